/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tidy: the rules of the house that a compiler and a formatter cannot see. `tidy ROOT CHECK ...`
 * runs the named checks over the tree at ROOT; ctest runs each as tidy/<check>. A finding is one
 * line, `path:line: what is wrong; what to do`, and makes the run fail. tidy uses nothing of eddy,
 * so that it also works on a tree that does not compile.
 */
#ifndef EDDY_TESTS_TIDY_TIDY_H
#define EDDY_TESTS_TIDY_TIDY_H

#include <stdbool.h>
#include <stddef.h>

enum language { LANGUAGE_C, LANGUAGE_SCRIPT, LANGUAGE_OTHER };

struct file {
    char *path; /* from ROOT on: "net/tcp.h" */
    char *text; /* ends with a NUL */
    char *
        code; /* C only: text with comments, strings and character constants blanked, same length */
    size_t len;
    enum language language;
};

struct tree {
    struct file *files; /* sorted by path */
    size_t count;
};

void tree_load(struct tree *tree, char *root);
void tree_free(struct tree *tree);
const struct file *tree_find(const struct tree *tree, const char *path);

/* A path that starts with `folder/`. */
bool path_in(const char *path, const char *folder);
bool path_ends(const char *path, const char *ending);
/* Under runtime, futures, net, fs or proc: what goes into the library. */
bool is_library(const struct file *file);
/* A header that is installed. */
bool is_public_header(const struct file *file);
int line_at(const struct file *file, const char *position);

/* Records a finding. Line 0 stands for the whole file. */
__attribute__((format(printf, 3, 4))) void report(const char *path, int line, const char *format,
                                                  ...);

bool is_word(char c);
/* The next whole word `word` in `text` from `from` on, or NULL. */
const char *find_word(const char *from, const char *word);

/* What `program file` prints, as one string that the caller frees. It must succeed and print. */
char *output_of(const char *program, const char *file);

void check_layers(const struct tree *tree, char *const *args, int arg_count);
void check_labels(const struct tree *tree, char *const *args, int arg_count);
void check_calls(const struct tree *tree, char *const *args, int arg_count);
void check_text(const struct tree *tree, char *const *args, int arg_count);
void check_symbols(const struct tree *tree, char *const *args, int arg_count);
void check_globals(const struct tree *tree, char *const *args, int arg_count);

#endif
