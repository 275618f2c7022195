/* SPDX-License-Identifier: Apache-2.0 */
/* The files that tidy looks at, in memory. */
#include "tidy.h"

#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const library_folders[] = {"runtime", "futures", "net", "fs", "proc"};

bool path_in(const char *path, const char *folder) {
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 && path[len] == '/';
}

bool path_ends(const char *path, const char *ending) {
    size_t path_len = strlen(path);
    size_t len = strlen(ending);
    return path_len >= len && strcmp(path + path_len - len, ending) == 0;
}

bool is_library(const struct file *file) {
    for (size_t i = 0; i < sizeof library_folders / sizeof library_folders[0]; i++) {
        if (path_in(file->path, library_folders[i])) {
            return true;
        }
    }
    return false;
}

bool is_public_header(const struct file *file) {
    return is_library(file) && path_ends(file->path, ".h") && !path_ends(file->path, "_impl.h");
}

int line_at(const struct file *file, const char *position) {
    const char *start =
        position >= file->text && position <= file->text + file->len ? file->text : file->code;
    int line = 1;
    for (const char *p = start; p < position; p++) {
        line += *p == '\n';
    }
    return line;
}

const struct file *tree_find(const struct tree *tree, const char *path) {
    for (size_t i = 0; i < tree->count; i++) {
        if (strcmp(tree->files[i].path, path) == 0) {
            return &tree->files[i];
        }
    }
    return NULL;
}

static enum language language_of(const char *path) {
    static const char *const c_endings[] = {".c", ".h", ".cpp", ".S", ".h.in"};
    static const char *const script_endings[] = {".sh",  ".py",     ".cmake", "CMakeLists.txt",
                                                 "/run", "Makefile"};
    for (size_t i = 0; i < sizeof c_endings / sizeof c_endings[0]; i++) {
        if (path_ends(path, c_endings[i])) {
            return LANGUAGE_C;
        }
    }
    for (size_t i = 0; i < sizeof script_endings / sizeof script_endings[0]; i++) {
        if (path_ends(path, script_endings[i])) {
            return LANGUAGE_SCRIPT;
        }
    }
    return LANGUAGE_OTHER;
}

/* A copy of the text in which comments, strings and character constants are spaces. Line ends
 * stay. */
static char *blank_comments(const char *text, size_t len) {
    char *code = malloc(len + 1);
    enum { CODE, LINE_COMMENT, COMMENT, STRING, CHARACTER } state = CODE;
    if (code == NULL) {
        exit(2);
    }
    for (size_t i = 0; i <= len; i++) {
        char c = text[i];
        char next = i < len ? text[i + 1] : '\0';
        char quote = state == STRING ? '"' : '\'';
        code[i] = c == '\n' || c == '\0' ? c : ' ';
        if (state == CODE) {
            if (c == '/' && (next == '/' || next == '*')) {
                state = next == '/' ? LINE_COMMENT : COMMENT;
                code[++i] = ' ';
            } else if (c == '"' || c == '\'') {
                state = c == '"' ? STRING : CHARACTER;
            } else {
                code[i] = c;
            }
        } else if (state == LINE_COMMENT) {
            state = c == '\n' ? CODE : state;
        } else if (state == COMMENT) {
            if (c == '*' && next == '/') {
                code[++i] = ' ';
                state = CODE;
            }
        } else if (c == '\\' && next != '\0') {
            code[++i] = next == '\n' ? '\n' : ' ';
        } else if (c == quote || c == '\n') {
            state = CODE;
        }
    }
    return code;
}

static void add_file(struct tree *tree, const char *path, const char *relative, size_t size) {
    struct file *file;
    FILE *in = fopen(path, "rb");
    tree->files = realloc(tree->files, (tree->count + 1) * sizeof *tree->files);
    if (in == NULL || tree->files == NULL) {
        perror(path);
        exit(2);
    }
    file = &tree->files[tree->count++];
    *file = (struct file){.path = strdup(relative), .text = malloc(size + 1)};
    if (file->path == NULL || file->text == NULL) {
        exit(2);
    }
    file->len = fread(file->text, 1, size, in);
    file->text[file->len] = '\0';
    file->language = language_of(relative);
    if (file->language == LANGUAGE_C) {
        file->code = blank_comments(file->text, file->len);
    }
    fclose(in);
}

static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

/* What is not ours to judge: built things, version control, test data, tidy's own planted
 * faults. */
static bool is_skipped(const char *relative, const FTSENT *entry) {
    return (strcmp(relative, "build") == 0) || strcmp(entry->fts_name, ".git") == 0 ||
           strcmp(relative, "tests/tidy/planted") == 0 || path_in(relative, "tests/cases") ||
           strcmp(entry->fts_name, "corpus") == 0 || strcmp(entry->fts_name, "__pycache__") == 0;
}

void tree_load(struct tree *tree, char *root) {
    size_t root_len = strlen(root);
    FTS *walk = fts_open((char *[]){root, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    *tree = (struct tree){.files = NULL};
    if (walk == NULL) {
        perror(root);
        exit(2);
    }
    for (FTSENT *entry; (entry = fts_read(walk)) != NULL;) {
        const char *relative = entry->fts_path + root_len;
        relative += *relative == '/';
        if (entry->fts_info == FTS_D && is_skipped(relative, entry)) {
            fts_set(walk, entry, FTS_SKIP);
        } else if (entry->fts_info == FTS_F) {
            add_file(tree, entry->fts_path, relative, (size_t)entry->fts_statp->st_size);
        }
    }
    fts_close(walk);
    qsort(tree->files, tree->count, sizeof *tree->files, by_path);
}

void tree_free(struct tree *tree) {
    for (size_t i = 0; i < tree->count; i++) {
        free(tree->files[i].path);
        free(tree->files[i].text);
        free(tree->files[i].code);
    }
    free(tree->files);
}
