/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpd.h"

#define LOOPS_MAX 1024

static void synopsis(FILE *out, const char *program) {
    fprintf(out,
            "usage: %s [--host HOST] [--port PORT] [--loops N] [--root FOLDER] [--log FILE]\n"
            "       [--log-format FORMAT] [--help] [--version]\n",
            program);
}

static void usage(const char *program) {
    synopsis(stdout, program);
    printf(
        "\n"
        "Serves the files of a folder over HTTP.\n"
        "\n"
        "  --host HOST    address to listen on, IPv4 or IPv6 (default: 127.0.0.1)\n"
        "  --port PORT    port to listen on, 0 for a free one (default: 8080)\n"
        "  --loops N      loops, a thread each (default: one for each CPU)\n"
        "  --root FOLDER  the folder to serve (default: the present one)\n"
        "  --log FILE     where the access log goes: a file, - for standard output, none for no\n"
        "                 log (default: -)\n"
        "  --log-format FORMAT\n"
        "                 common or combined, which also has Referer and User-Agent (default:\n"
        "                 common)\n"
        "  --help, -h     this text\n"
        "  --version      the version\n"
        "\n"
        "Ctrl-C (or SIGTERM) ends it when the requests under way have been answered, a second\n"
        "one at once.\n");
}

static int wrong(const char *program, const char *what, const char *which) {
    fprintf(stderr, "%s: %s: %s\n", program, what, which);
    synopsis(stderr, program);
    return 2;
}

/* Decimal digits and nothing else: -1 where it is not that, or over `max`. */
static long number(const char *text, long max) {
    long value = 0;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || value > max) {
            return -1;
        }
        value = value * 10 + (*at - '0');
    }
    return *text == '\0' || value > max ? -1 : value;
}

/* One option with its value: 0, or 2 after a message. */
static int set(struct options *options, const char *program, const char *name, const char *value) {
    if (strcmp(name, "--host") == 0) {
        options->host = value;
    } else if (strcmp(name, "--port") == 0) {
        if (number(value, 65535) < 0) {
            return wrong(program, "--port takes a number from 0 to 65535, not", value);
        }
        options->port = value;
    } else if (strcmp(name, "--root") == 0) {
        options->root = value;
    } else if (strcmp(name, "--log") == 0) {
        options->log = strcmp(value, "none") == 0 ? NULL : value;
    } else if (strcmp(name, "--log-format") == 0) {
        options->log_combined = strcmp(value, "combined") == 0;
        if (!options->log_combined && strcmp(value, "common") != 0) {
            return wrong(program, "--log-format is common or combined, not", value);
        }
    } else if (strcmp(name, "--loops") == 0) {
        long loops = number(value, LOOPS_MAX);
        if (loops < 1) {
            return wrong(program, "--loops takes a number from 1 to 1024, not", value);
        }
        options->loops = (unsigned)loops;
    } else {
        return wrong(program, "unknown option", name);
    }
    return 0;
}

int options_read(struct options *options, int argc, char **argv) {
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *program = slash != NULL ? slash + 1 : "httpd";
    *options = (struct options){
        .host = "127.0.0.1",
        .port = "8080",
        .root = ".",
        .log = "-",
        .loops = EDDY_LOOPS_PER_CPU,
    };
    for (int i = 1; i < argc; i++) {
        char name[32];
        const char *equals = strchr(argv[i], '=');
        size_t len = equals == NULL ? strlen(argv[i]) : (size_t)(equals - argv[i]);
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            usage(program);
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("httpd of eddy %s\n", eddy_version());
            return 0;
        }
        if (strncmp(argv[i], "--", 2) != 0 || len >= sizeof name) {
            return wrong(program, len >= sizeof name ? "unknown option" : "not an option", argv[i]);
        }
        snprintf(name, sizeof name, "%.*s", (int)len, argv[i]);
        const char *value = equals != NULL ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
        int r = value == NULL || value[0] == '\0' ? wrong(program, "a value is missing for", name)
                                                  : set(options, program, name, value);
        if (r != 0) {
            return r;
        }
    }
    return -1;
}
