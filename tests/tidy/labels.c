/* SPDX-License-Identifier: Apache-2.0 */
/* The header is the manual: what each public function's comment has to say. */
#include "tidy.h"

#include <stdio.h>
#include <string.h>

/* The name of the function that is declared at `p`: the word before the first parenthesis. False
 * for a declaration without one, which is a variable. */
static bool function_name(const char *p, char name[128]) {
    const char *end = p + strcspn(p, "(;{=");
    if (*end != '(') {
        return false;
    }
    while (end > p && end[-1] == ' ') {
        end--;
    }
    const char *start = end;
    while (start > p && is_word(start[-1])) {
        start--;
    }
    snprintf(name, 128, "%.*s", (int)(end - start), start);
    return true;
}

/* The comment that ends on the line before `p`, or NULL. */
static const char *comment_before(const char *text, const char *p) {
    const char *end = p;
    while (end > text && (end[-1] == '\n' || end[-1] == ' ')) {
        end--;
    }
    /* An empty line between the comment and the declaration parts them. */
    if (end - text < 2 || strncmp(end - 2, "*/", 2) != 0 || p - end > 1) {
        return NULL;
    }
    for (const char *start = end - 2; start > text; start--) {
        if (strncmp(start, "/*", 2) == 0) {
            return start;
        }
    }
    return NULL;
}

static void check_function(const struct file *file, const char *declaration) {
    static const char *const labels[] = {"Shape:", "Owns:", "Errors:", "Threads:", "Cancel:"};
    char name[128];
    int line = line_at(file, declaration);
    if (!function_name(file->code + (declaration - file->text), name)) {
        report(file->path, line, "a variable is public; make it a function");
        return;
    }
    if (path_ends(name, "_freep")) {
        return; /* made for EDDY_AUTO, never called by hand */
    }
    const char *comment = comment_before(file->text, declaration);
    if (comment == NULL || strncmp(comment, "/**", 3) != 0) {
        report(file->path, line,
               "%s has no comment; put one right above it, with the labels Shape, "
               "Owns, Errors, Threads and Cancel",
               name);
        return;
    }
    const char *after = comment;
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        char text[32];
        snprintf(text, sizeof text, "\n * %s", labels[i]);
        const char *found = strstr(after, text);
        if (found == NULL || found > declaration) {
            report(file->path, line,
                   "%s does not say \"%s\" in its comment (after the label before "
                   "it); say it, or \"Pure.\" where there is nothing to say",
                   name, labels[i]);
        } else {
            after = found;
        }
    }
}

void check_labels(const struct tree *tree, char *const *args, int arg_count) {
    (void)args;
    (void)arg_count;
    for (size_t i = 0; i < tree->count; i++) {
        const struct file *file = &tree->files[i];
        if (!is_public_header(file)) {
            continue;
        }
        for (const char *p = file->text; p != NULL; p = strchr(p, '\n')) {
            p += *p == '\n';
            if (strncmp(p, "EDDY_API ", 9) == 0 || strncmp(p, "static inline ", 14) == 0) {
                check_function(file, p);
            }
        }
    }
}
