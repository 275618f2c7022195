/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for every file as text: its first line, its width, nothing left half done. */
#include "tidy.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS_MAX 100
#define LINES_MAX 800

/* The columns of a line of UTF-8: continuation bytes take none. */
static int width_of(const char *line, size_t len) {
    int width = 0;
    for (size_t i = 0; i < len; i++) {
        width += ((unsigned char)line[i] & 0xc0) != 0x80;
    }
    return width;
}

static void check_first_line(const struct file *file) {
    const char *text = file->text;
    if (file->language == LANGUAGE_SCRIPT && strncmp(text, "#!", 2) == 0) {
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    const char *wanted = file->language == LANGUAGE_C
                             ? "/* SPDX-License-Identifier: Apache-2.0 */\n"
                             : "# SPDX-License-Identifier: Apache-2.0\n";
    if (strncmp(text, wanted, strlen(wanted)) != 0) {
        report(file->path, 1, "does not begin with its licence; put \"%.*s\" first",
               (int)strlen(wanted) - 1, wanted);
    }
}

static void check_line(const struct file *file, int number, const char *line, size_t len) {
    /* Cut in two, so that this file passes its own check. */
    static const char *const unfinished[] = {"TO"
                                             "DO",
                                             "FIX"
                                             "ME",
                                             "XX"
                                             "X"};
    char copy[512];
    if (file->language != LANGUAGE_OTHER && width_of(line, len) > COLUMNS_MAX) {
        report(file->path, number, "has %d columns; break it at %d", width_of(line, len),
               COLUMNS_MAX);
    }
    if (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t')) {
        report(file->path, number, "ends with white space; remove it");
    }
    if (file->language == LANGUAGE_C && memchr(line, '\t', len) != NULL) {
        report(file->path, number, "has a tab; indent with spaces");
    }
    snprintf(copy, sizeof copy, "%.*s", (int)len, line);
    for (size_t i = 0; i < sizeof unfinished / sizeof unfinished[0]; i++) {
        if (find_word(copy, unfinished[i]) != NULL) {
            report(file->path, number, "%s; finish it, or open an issue", unfinished[i]);
        }
    }
}

void check_text(const struct tree *tree, char *const *args, int arg_count) {
    (void)args;
    (void)arg_count;
    for (size_t i = 0; i < tree->count; i++) {
        const struct file *file = &tree->files[i];
        bool foreign = memchr(file->text, '\0', file->len) != NULL ||
                       path_ends(file->path, "LICENSE") || path_ends(file->path, ".expect");
        if (foreign) {
            continue;
        }
        if (file->language != LANGUAGE_OTHER) {
            check_first_line(file);
        }
        int number = 0;
        for (const char *p = file->text; *p != '\0';) {
            size_t len = strcspn(p, "\n");
            check_line(file, ++number, p, len);
            p += len;
            if (*p == '\0') {
                report(file->path, number, "has no line end at its end; add it");
            } else {
                p++;
            }
        }
        if (is_library(file) && number > LINES_MAX) {
            report(file->path, 0, "has %d lines, over %d; ask which noun wants out", number,
                   LINES_MAX);
        }
    }
}
