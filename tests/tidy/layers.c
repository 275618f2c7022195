/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Includes go one way:
 *
 *     base <- loop <- driver, sim
 *             loop <- task <- futures, sync <- io <- net, fs, proc <- pools, app, inspect
 *     base <- time, text, crypto
 *
 * and nothing of ours is included by a relative name.
 */
#include "tidy.h"

#include <stdio.h>
#include <string.h>

/*
 * The table. A file belongs to the first row whose path starts its own, so files stand before their
 * folder. It may include its own layer and those that are named; "*" is everything.
 */
static const struct layer {
    const char *path;
    const char *name;
    const char *may_include;
} layers[] = {
    {"runtime/base/", "base", ""},
    {"runtime/loop/", "loop", "base"},
    {"runtime/driver/", "driver", "base loop"},
    {"runtime/sim/", "sim", "base loop"},
    {"runtime/time/", "time", "base"},
    {"runtime/text/", "text", "base"},
    {"runtime/crypto/", "crypto", "base"},
    {"runtime/task/", "task", "base loop"},
    {"runtime/sync/", "sync", "base loop task"},
    {"futures/executor", "pools", "base loop task futures sync io net fs proc time text crypto"},
    {"futures/job", "pools", "base loop task futures sync io net fs proc time text crypto"},
    {"futures/thread_pool", "pools", "base loop task futures sync io net fs proc time text crypto"},
    {"futures/process_pool", "pools",
     "base loop task futures sync io net fs proc time text crypto"},
    {"futures/", "futures", "base loop task"},
    {"runtime/io/", "io", "base loop task futures sync time text crypto"},
    {"net/", "net", "base loop task futures sync io time text crypto"},
    {"fs/", "fs", "base loop task futures sync io time text crypto"},
    {"proc/", "proc", "base loop task futures sync io time text crypto"},
    {"runtime/app/", "app", "base loop task futures sync io net fs proc time text crypto"},
    {"runtime/inspect/", "inspect", "base loop task futures sync io net fs proc time text crypto"},
    {"tests/", "tests", "*"},
    {"examples/", "examples", "*"},
    {"bench/", "bench", "*"},
};

static const struct layer *layer_of(const char *path) {
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        if (strncmp(path, layers[i].path, strlen(layers[i].path)) == 0) {
            return &layers[i];
        }
    }
    return NULL;
}

static void check_include(const struct file *file, const struct layer *layer, int line,
                          const char *target) {
    const struct layer *wanted = layer_of(target);
    bool outside = strcmp(layer->name, "examples") == 0 || strcmp(layer->name, "bench") == 0;
    if (outside && path_ends(target, "_impl.h")) {
        report(file->path, line, "includes the private <eddy/%s>; %s see public headers only",
               target, layer->name);
    } else if (is_public_header(file) && path_ends(target, "_impl.h")) {
        report(file->path, line,
               "a public header includes the private <eddy/%s>, which is not "
               "installed; declare what is needed here",
               target);
    } else if (strcmp(target, "eddy.h") == 0) {
        if (is_library(file)) {
            report(file->path, line, "the library includes <eddy/eddy.h>; include what is used");
        }
    } else if (wanted == NULL) {
        report(file->path, line,
               "<eddy/%s> is in no layer; add its folder to the table in "
               "tests/tidy/layers.c",
               target);
    } else if (strcmp(layer->may_include, "*") != 0 && strcmp(layer->name, wanted->name) != 0 &&
               find_word(layer->may_include, wanted->name) == NULL) {
        report(file->path, line,
               "%s includes %s (<eddy/%s>), it may include only itself and: %s; "
               "move the code, or turn the dependency round with a hook",
               layer->name, wanted->name, target, layer->may_include);
    }
}

void check_layers(const struct tree *tree, char *const *args, int arg_count) {
    (void)args;
    (void)arg_count;
    for (size_t i = 0; i < tree->count; i++) {
        const struct file *file = &tree->files[i];
        if (file->language != LANGUAGE_C) {
            continue;
        }
        const struct layer *layer = layer_of(file->path);
        if (layer == NULL) {
            if (is_library(file)) {
                report(file->path, 0,
                       "is in no layer; add its folder to the table in "
                       "tests/tidy/layers.c");
            }
            continue;
        }
        int line = 0;
        for (const char *p = file->text; p != NULL; p = strchr(p, '\n')) {
            char target[256];
            char quote;
            p += *p == '\n';
            line++;
            if (sscanf(p, " # include %c%255[^\">\n]", &quote, target) != 2) {
                continue;
            }
            if (quote == '<' && strncmp(target, "eddy/", 5) == 0) {
                check_include(file, layer, line, target + 5);
            } else if (quote == '"' && is_library(file)) {
                report(file->path, line, "includes \"%s\"; spell it <eddy/...> with its whole path",
                       target);
            }
        }
    }
}
