/* SPDX-License-Identifier: Apache-2.0 */
/* What the built library shows to others, and what it keeps between calls. */
#include "tidy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_declared(const struct tree *tree, const char *name) {
    for (size_t i = 0; i < tree->count; i++) {
        if (is_public_header(&tree->files[i]) && find_word(tree->files[i].code, name) != NULL) {
            return true;
        }
    }
    return false;
}

/* Every EDDY_API function of the headers is in `exported`, the output of nm. */
static void check_defined(const struct tree *tree, const char *exported) {
    for (size_t i = 0; i < tree->count; i++) {
        const struct file *file = &tree->files[i];
        if (!is_public_header(file)) {
            continue;
        }
        for (const char *p = file->code; (p = find_word(p, "EDDY_API")) != NULL; p += 8) {
            const char *name = p;
            size_t len = 0;
            while (*name != '\0' && *name != ';' && len == 0) {
                name += strcspn(name, "e;");
                if (strncmp(name, "eddy_", 5) == 0 && !is_word(name[-1])) {
                    while (is_word(name[len])) {
                        len++;
                    }
                    if (name[len] != '(') { /* the type that is returned */
                        name += len;
                        len = 0;
                    }
                } else if (*name == 'e') {
                    name++;
                }
            }
            char word[128];
            snprintf(word, sizeof word, "%.*s", (int)len, name);
            if (len > 0 && find_word(exported, word) == NULL) {
                report(file->path, line_at(file, p),
                       "%s is declared here but not in the library; "
                       "define it or remove it",
                       word);
            }
        }
    }
}

/* symbols LIBRARY: exported names are eddy_*, each declared in a public header, and the reverse. */
void check_symbols(const struct tree *tree, char *const *args, int arg_count) {
    if (arg_count != 1) {
        fprintf(stderr, "usage: tidy ROOT symbols libeddy.so\n");
        exit(2);
    }
    char *exported = output_of("nm -D --defined-only --without-symbol-versions", args[0]);
    const char *slash = strrchr(args[0], '/');
    const char *base = slash == NULL ? args[0] : slash + 1;
    for (char *line = exported; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        char type;
        char name[256];
        if (sscanf(line, "%*s %c %255s", &type, name) == 2 && type != 'A') {
            if (strncmp(name, "eddy_", 5) != 0) {
                report(base, 0, "exports %s; public names start with eddy_, all others are hidden",
                       name);
            } else if (!is_declared(tree, name)) {
                report(base, 0,
                       "exports %s, which no public header declares; declare it there, or "
                       "call it eddyi_",
                       name);
            }
        }
        line += len + (line[len] == '\n');
    }
    check_defined(tree, exported);
    free(exported);
}

/* The section of a line of `nm -f sysv`, its last field: ".bss". */
static bool is_mutable_section(const char *section) {
    static const char *const sections[] = {".data", ".bss", ".tdata", ".tbss", "*COM*"};
    if (strncmp(section, ".data.rel.ro", 12) == 0) {
        return false; /* constant once the loader is through */
    }
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        if (strncmp(section, sections[i], strlen(sections[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* The variable's own name: a static of a function is "count.3" with gcc, "function.count" with
 * clang. */
static const char *variable_of(char *name) {
    char *dot = strrchr(name, '.');
    if (dot != NULL && dot[1 + strspn(dot + 1, "0123456789")] == '\0') {
        *dot = '\0';
        dot = strrchr(name, '.');
    }
    return dot == NULL ? name : dot + 1;
}

/* globals LIBRARY: each variable that lives longer than a call is named in docs/internals.md. */
void check_globals(const struct tree *tree, char *const *args, int arg_count) {
    const struct file *page = tree_find(tree, "docs/internals.md");
    if (arg_count != 1) {
        fprintf(stderr, "usage: tidy ROOT globals libeddy.a\n");
        exit(2);
    }
    char *symbols = output_of("nm -f sysv --defined-only --quiet", args[0]);
    char object[128] = "";
    for (char *line = symbols; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        char name[256];
        char section[64];
        char text[1024];
        snprintf(text, sizeof text, "%.*s", (int)len, line);
        sscanf(text, "Symbols from %*[^[][%127[^]]", object);
        if (sscanf(text, "%255[^ |]%*[ ]|%*[^|]|%*[^|]|%*[^|]|%*[^|]|%*[^|]|%63s", name, section) ==
                2 &&
            is_mutable_section(section) && name[0] != '.') {
            char quoted[300];
            snprintf(quoted, sizeof quoted, "`%s`", variable_of(name));
            if (page == NULL || strstr(page->text, quoted) == NULL) {
                report(object, 0,
                       "has the mutable global %s (%s), not listed in docs/internals.md; "
                       "put it into a loop or another object, or list it there with its reason",
                       name, section);
            }
        }
        line += len + (line[len] == '\n');
    }
    free(symbols);
}
