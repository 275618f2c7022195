/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP echo server on all cores.
 *
 * Shows:  eddy_tcp_listen, eddy_serve, one task a connection, a graceful end on SIGINT and SIGTERM.
 * Needs:  Linux 5.10 or later.
 * Run:    ./07_echo_server [--host HOST] [--port PORT] [--loops N], then: nc 127.0.0.1 7000
 * Expect: the address on the first line, and what you type comes back
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eddy/eddy.h>

struct options {
    const char *host;
    const char *port;
    unsigned loops;
};

static int64_t echo(eddy_stream *peer, void *arg) {
    (void)arg;
    char buf[16 * 1024];
    int64_t n;
    while ((n = eddy_stream_read(peer, buf, sizeof buf)) > 0) {
        if ((n = eddy_stream_write(peer, buf, (size_t)n)) < 0) {
            break;
        }
    }
    return n; /* serve closes the stream */
}

static int64_t app(void *arg) {
    const struct options *options = arg;
    char text[EDDY_ADDRESS_TEXT_MAX];
    snprintf(text, sizeof text, "%s:%s", options->host, options->port);
    eddy_listener *listener;
    int64_t r = eddy_tcp_listen(text, NULL, &listener);
    if (r < 0) {
        return r;
    }
    eddy_address address = eddy_listener_address(listener); /* with the port that was free */
    eddy_address_format(&address, text, sizeof text);
    printf("%s\n", text);
    fflush(stdout);
    return eddy_serve(listener, echo, NULL, NULL); /* until SIGINT or SIGTERM */
}

int main(int argc, char **argv) {
    struct options options = {.host = "127.0.0.1", .port = "7000", .loops = EDDY_LOOPS_PER_CPU};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--host") == 0) {
            options.host = argv[i + 1];
        } else if (strcmp(argv[i], "--port") == 0) {
            options.port = argv[i + 1];
        } else if (strcmp(argv[i], "--loops") == 0) {
            options.loops = (unsigned)strtoul(argv[i + 1], NULL, 10);
        } else {
            fprintf(stderr, "%s: unknown option %s\n", argv[0], argv[i]);
            return 2;
        }
    }
    return eddy_main(app, &options, &(eddy_opts){.loops = options.loops});
}
