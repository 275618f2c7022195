/* SPDX-License-Identifier: Apache-2.0 */
/*
 * httpd: a server of static files, on all cores.
 *
 * Shows:  eddy_http_serve, files below a folder that no path leads out of, a log that blocks
 *         nobody.
 * Needs:  Linux 5.10 or later.
 * Run:    ./httpd [--host HOST] [--port PORT] [--loops N] [--root FOLDER] ... (--help has them all)
 * Expect: the address on the first line; then curl, wrk or a browser there
 *
 * GET and HEAD, ranges, conditional requests, media types, index.html or a listing, an access log.
 * Left out: TLS, virtual hosts, compression, caching of open files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "httpd.h"

struct program {
    struct options options;
    eddy_dir *root;
    struct access_log *log;
};

static void on_response(eddy_http_exchange *x, void *arg) {
    struct program *program = arg;
    access_log_response(x, program->log);
}

static int64_t answer(eddy_http_exchange *x, void *arg) {
    struct program *program = arg;
    return site_answer(x, program->root);
}

static int64_t cannot(const char *what, const char *which, int64_t error) {
    const char *detail = error == EDDY_EADDRESS ? eddy_error_detail() : "";
    fprintf(stderr, "httpd: cannot %s %s: %s%s%s\n", what, which, eddy_error_text(error),
            detail[0] == '\0' ? "" : ": ", detail);
    return EXIT_FAILURE;
}

static void address_text(const struct options *options, char *ret_text, size_t cap) {
    bool bare_ipv6 = strchr(options->host, ':') != NULL && options->host[0] != '[';
    snprintf(ret_text, cap, bare_ipv6 ? "[%s]:%s" : "%s:%s", options->host, options->port);
}

/* The first line that is printed: where it serves. A human is told more. */
static void say_where(const eddy_listener *listener, const char *folder) {
    char text[EDDY_ADDRESS_TEXT_MAX];
    eddy_address address = eddy_listener_address(listener);
    eddy_address_format(&address, text, sizeof text);
    printf("http://%s\n", text);
    fflush(stdout);
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "Serving the folder %s; Ctrl-C ends it.\n", folder);
    }
}

static int64_t serve(struct program *program, eddy_listener *listener) {
    const struct options *options = &program->options;
    if (options->log != NULL) {
        int r = access_log_open(options->log, options->log_combined, &program->log);
        if (r < 0) {
            eddy_listener_close(listener);
            return cannot("write the log", options->log, r);
        }
    }
    say_where(listener, options->root);
    int64_t r =
        eddy_http_serve(listener, answer, program, &(eddy_http_opts){.on_response = on_response});
    access_log_close(program->log);
    return r;
}

static int64_t app(void *arg) {
    struct program *program = arg;
    const struct options *options = &program->options;
    char address[256];
    eddy_listener *listener;
    int64_t r = eddy_dir_open(options->root, &program->root);
    if (r < 0) {
        return cannot("open the folder", options->root, r);
    }
    address_text(options, address, sizeof address);
    r = eddy_tcp_listen(address, NULL, &listener);
    r = r < 0 ? cannot("listen on", address, r) : serve(program, listener);
    eddy_dir_close(program->root);
    return r;
}

int main(int argc, char **argv) {
    struct program program = {0};
    int status = options_read(&program.options, argc, argv);
    if (status >= 0) {
        return status;
    }
    return eddy_main(app, &program, &(eddy_opts){.loops = program.options.loops});
}
