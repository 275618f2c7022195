/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpd.h"

static void usage(FILE *out, const char *program) {
    fprintf(out,
            "usage: %s [--host HOST] [--port PORT] [--loops N] [--root FOLDER] [--log FILE]\n"
            "\n"
            "Serves the files of a folder over HTTP.\n"
            "\n"
            "  --host HOST    address to listen on (default: 127.0.0.1)\n"
            "  --port PORT    port to listen on, 0 for a free one (default: 8080)\n"
            "  --loops N      loops, a thread each (default: one for each CPU)\n"
            "  --root FOLDER  the folder to serve (default: the present one)\n"
            "  --log FILE     where the access log goes, - for standard output (default: -)\n"
            "                 \"none\" for no log\n",
            program);
}

static int wrong(const char *program, const char *what, const char *which) {
    fprintf(stderr, "%s: %s: %s\n", program, what, which);
    usage(stderr, program);
    return 2;
}

int options_read(struct options *options, int argc, char **argv) {
    *options = (struct options){
        .host = "127.0.0.1",
        .port = "8080",
        .root = ".",
        .log = "-",
        .loops = EDDY_LOOPS_PER_CPU,
    };
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
            usage(stdout, argv[0]);
            return 0;
        }
        const char *value = i + 1 < argc ? argv[++i] : NULL;
        if (strncmp(name, "--", 2) != 0) {
            return wrong(argv[0], "not an option", name);
        }
        if (value == NULL) {
            return wrong(argv[0], "a value is missing for", name);
        }
        if (strcmp(name, "--host") == 0) {
            options->host = value;
        } else if (strcmp(name, "--port") == 0) {
            options->port = value;
        } else if (strcmp(name, "--root") == 0) {
            options->root = value;
        } else if (strcmp(name, "--log") == 0) {
            options->log = strcmp(value, "none") == 0 ? NULL : value;
        } else if (strcmp(name, "--loops") == 0) {
            char *end;
            unsigned long loops = strtoul(value, &end, 10);
            if (*end != '\0' || loops < 1 || loops > 1024) {
                return wrong(argv[0], "--loops takes a number from 1 to 1024, not", value);
            }
            options->loops = (unsigned)loops;
        } else {
            return wrong(argv[0], "unknown option", name);
        }
    }
    return -1;
}
