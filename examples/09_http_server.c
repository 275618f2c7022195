/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP server with a handler of its own, and a task in the background that ends with it.
 *
 * Shows:  eddy_http_serve, eddy_http_respond, a query, a body with a limit, a ticker beside a
 *         server: what should end with the body is started, not spawned.
 * Needs:  Linux 5.10 or later.
 * Run:    ./09_http_server [--host HOST] [--port PORT] [--loops N]
 *         then: curl 'http://127.0.0.1:8080/hello?name=you'
 *         and: curl -d 'some text' http://127.0.0.1:8080/length
 * Expect: the address on the first line; "hello, you"; "9 bytes"; each minute a count
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eddy/eddy.h>

#define BODY_MAX_BYTES (1024 * 1024)

struct options {
    const char *host;
    const char *port;
    unsigned loops;
};

static _Atomic uint64_t answered; /* atomic, as the handler runs on each loop */

static int64_t hello(eddy_http_exchange *x, eddy_slice query) {
    eddy_slice value = eddy_slice_of("whoever you are");
    char name[64];
    char text[128];
    eddy_http_query_find(query, "name", &value);
    int64_t n = eddy_http_percent_decode(value, true, name, sizeof name);
    if (n < 0) {
        return eddy_http_respond(x, 400, "text/plain", eddy_slice_of("that is no name\n"));
    }
    int len = snprintf(text, sizeof text, "hello, %.*s\n", (int)n, name);
    return eddy_http_respond(x, 200, "text/plain; charset=utf-8",
                             eddy_slice_from(text, (size_t)len));
}

static int64_t length(eddy_http_exchange *x) {
    eddy_buffer body = {0};
    char text[64];
    int64_t n = eddy_http_request_body(x, BODY_MAX_BYTES, &body);
    eddy_buffer_done(&body);
    if (n < 0) {
        return n; /* a 413 where it was too large */
    }
    int len = snprintf(text, sizeof text, "%lld bytes\n", (long long)n);
    return eddy_http_respond(x, 200, "text/plain", eddy_slice_from(text, (size_t)len));
}

static int64_t answer(eddy_http_exchange *x, void *arg) {
    (void)arg;
    eddy_http_target target;
    int r = eddy_http_target_split(eddy_http_request_head(x)->target, &target);
    answered++;
    if (r == 0 && eddy_slice_equal(target.path, eddy_slice_of("/hello"))) {
        return hello(x, target.query);
    }
    if (r == 0 && eddy_slice_equal(target.path, eddy_slice_of("/length"))) {
        return length(x);
    }
    return eddy_http_respond(x, 404, "text/plain", eddy_slice_of("nothing here\n"));
}

static int64_t count(void *arg) {
    int r;
    (void)arg;
    while ((r = eddy_sleep(60 * EDDY_S)) == 0) {
        printf("%llu requests so far\n", (unsigned long long)answered);
        fflush(stdout);
    }
    return r;
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
        return r;
    }
    eddy_address address = eddy_listener_address(listener); /* with the port that was free */
    eddy_address_format(&address, text, sizeof text);
    printf("http://%s\n", text);
    fflush(stdout);
    eddy_task_start(count, NULL, 0); /* cancelled when app returns */
    return eddy_http_serve(listener, answer, NULL, NULL);
}

/* Whether the text is a number from 1 up. */
static bool read_loops(const char *text, unsigned *ret_loops) {
    char *end;
    unsigned long loops = strtoul(text, &end, 10);
    *ret_loops = (unsigned)loops;
    return *end == '\0' && loops >= 1 && loops <= 1024;
}

int main(int argc, char **argv) {
    struct options options = {.host = "127.0.0.1", .port = "8080", .loops = EDDY_LOOPS_PER_CPU};
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
