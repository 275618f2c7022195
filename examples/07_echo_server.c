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
    bool bare_ipv6 = strchr(options->host, ':') != NULL && options->host[0] != '[';
    snprintf(text, sizeof text, bare_ipv6 ? "[%s]:%s" : "%s:%s", options->host, options->port);
    eddy_listener *listener;
    int64_t r = eddy_tcp_listen(text, NULL, &listener);
    if (r < 0) {
        fprintf(stderr, "cannot listen on %s\n", text);
        return r; /* and eddy_main says why */
    }
    eddy_address address = eddy_listener_address(listener); /* with the port that was free */
    eddy_address_format(&address, text, sizeof text);
    printf("%s\n", text);
    fflush(stdout);
    return eddy_serve(listener, echo, NULL, NULL); /* until SIGINT or SIGTERM */
}

/* Whether the text is a number from 1 up. */
static bool read_loops(const char *text, unsigned *ret_loops) {
    char *end;
    unsigned long loops = strtoul(text, &end, 10);
    *ret_loops = (unsigned)loops;
    return *end == '\0' && loops >= 1 && loops <= 1024;
}

int main(int argc, char **argv) {
    struct options options = {.host = "127.0.0.1", .port = "7000", .loops = EDDY_LOOPS_PER_CPU};
    for (int i = 1; i < argc; i += 2) {
        const char *value = argv[i + 1]; /* NULL behind the last */
        if (strcmp(argv[i], "--host") == 0 && value != NULL) {
            options.host = value;
        } else if (strcmp(argv[i], "--port") == 0 && value != NULL) {
            options.port = value;
        } else if (strcmp(argv[i], "--loops") != 0 || value == NULL ||
                   !read_loops(value, &options.loops)) {
            bool asked = strcmp(argv[i], "--help") == 0;
            fprintf(asked ? stdout : stderr, "usage: %s [--host HOST] [--port PORT] [--loops N]\n",
                    argv[0]);
            return asked ? 0 : 2;
        }
    }
    return eddy_main(app, &options, &(eddy_opts){.loops = options.loops});
}
