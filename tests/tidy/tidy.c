/* SPDX-License-Identifier: Apache-2.0 */
#include "tidy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int findings;

void report(const char *path, int line, const char *format, ...) {
    va_list args;
    if (line > 0) {
        printf("%s:%d: ", path, line);
    } else {
        printf("%s: ", path);
    }
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    findings++;
}

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

const char *find_word(const char *from, const char *word) {
    size_t len = strlen(word);
    for (const char *p = from; (p = strstr(p, word)) != NULL; p += len) {
        if ((p == from || !is_word(p[-1])) && !is_word(p[len])) {
            return p;
        }
    }
    return NULL;
}

char *output_of(const char *program, const char *file) {
    char command[2048];
    char *output = NULL;
    size_t len = 0;
    snprintf(command, sizeof command, "%s '%s'", program, file);
    FILE *pipe = popen(command, "r");
    if (pipe == NULL || getdelim(&output, &len, '\0', pipe) < 0 || pclose(pipe) != 0) {
        fprintf(stderr, "did not succeed: %s\n", command);
        exit(2);
    }
    return output;
}

static const struct {
    const char *name;
    void (*run)(const struct tree *tree, char *const *args, int arg_count);
} checks[] = {
    {"layers", check_layers}, {"labels", check_labels},   {"calls", check_calls},
    {"text", check_text},     {"symbols", check_symbols}, {"globals", check_globals},
};

/* tidy ROOT CHECK [argument of the check ...] */
int main(int argc, char **argv) {
    struct tree tree;
    bool found = false;
    if (argc < 3) {
        fprintf(stderr, "usage: tidy ROOT CHECK [ARGUMENT ...]\n");
        return 2;
    }
    tree_load(&tree, argv[1]);
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        if (strcmp(argv[2], checks[i].name) == 0) {
            checks[i].run(&tree, argv + 3, argc - 3);
            found = true;
        }
    }
    if (!found) {
        fprintf(stderr, "tidy: no check is called %s\n", argv[2]);
        return 2;
    }
    printf("%s: %zu files, %d findings\n", argv[2], tree.count, findings);
    tree_free(&tree);
    return findings == 0 ? 0 : 1;
}
