/* SPDX-License-Identifier: Apache-2.0 */
/*
 * httpd: a server of static files, on all cores.
 *
 * Shows:  eddy_http_serve, files below a folder that no path leads out of, a log that blocks
 * nobody. Needs:  Linux 5.15 or later.
 * Run:    ./httpd [--host HOST] [--port PORT] [--loops N] [--root FOLDER] [--log FILE]
 * Expect: the address on the first line; then curl, wrk or a browser there
 *
 * GET and HEAD, ranges, conditional requests, media types, index.html or a listing, an access log.
 * Left out: TLS, virtual hosts, compression, caching of open files.
 */
#include <stdio.h>

#include "httpd.h"

struct program {
    struct options options;
    struct access_log *log;
};

static void on_response(eddy_http_exchange *x, void *arg) {
    struct program *program = arg;
    access_log_response(x, program->log);
}

static int64_t answer(eddy_http_exchange *x, void *arg) {
    struct program *program = arg;
    return site_answer(x, &program->options);
}

static int64_t app(void *arg) {
    struct program *program = arg;
    char text[EDDY_ADDRESS_TEXT_MAX];
    eddy_listener *listener;
    snprintf(text, sizeof text, "%s:%s", program->options.host, program->options.port);
    int64_t r = eddy_tcp_listen(text, NULL, &listener);
    if (r < 0) {
        return r;
    }
    if (program->options.log != NULL) {
        r = access_log_open(program->options.log, &program->log);
        if (r < 0) {
            eddy_listener_close(listener);
            return r;
        }
    }
    eddy_address address = eddy_listener_address(listener);
    eddy_address_format(&address, text, sizeof text);
    printf("http://%s\n", text);
    fflush(stdout);
    r = eddy_http_serve(listener, answer, program, &(eddy_http_opts){.on_response = on_response});
    access_log_close(program->log);
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
