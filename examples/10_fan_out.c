/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many things at once, but not too many: fetches a page N times over HTTP, fifty at a time.
 *
 * Shows:  a scope's limit, a deadline for each task, the first failure that cancels the rest.
 * Needs:  Linux 5.10 or later, and a server: 09_http_server or another one.
 * Run:    ./10_fan_out 127.0.0.1:8080 /hello 1000
 * Expect: how many were fetched, and with how many at once; or what failed first, and where
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eddy/eddy.h>

#define AT_ONCE 50
#define PAGE_MAX_BYTES (1024 * 1024)

struct page {
    const char *server;
    const char *path;
};

static int fetched, active, most; /* one loop: no two tasks touch them at the same moment */

static int64_t request(const struct page *page, eddy_buffer *answer) {
    EDDY_AUTO(eddy_stream) *stream = NULL;
    EDDY_AUTO(eddy_reader) *reader = NULL;
    char head[512];
    int len = snprintf(head, sizeof head,
                       "GET %.256s HTTP/1.1\r\nHost: %.64s\r\nConnection: close\r\n\r\n",
                       page->path, page->server);
    int64_t r = eddy_tcp_connect(page->server, NULL, &stream);
    r = r < 0 ? r : eddy_stream_write(stream, head, (size_t)len);
    r = r < 0 ? r : eddy_reader_new(stream, NULL, &reader);
    return r < 0 ? r : eddy_reader_all(reader, PAGE_MAX_BYTES, answer);
}

static int64_t fetch(void *arg) {
    eddy_scope scope;
    eddy_buffer answer = {0};
    most = ++active > most ? active : most;
    int64_t r = eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = 10 * EDDY_S});
    if (r == 0) {
        r = eddy_scope_leave(&scope, request(arg, &answer));
    }
    if (r >= 0 && (answer.len < 12 || memcmp(answer.data, "HTTP/1.1 200", 12) != 0)) {
        r = -EPROTO;
    }
    eddy_buffer_done(&answer);
    active--;
    fetched += r >= 0;
    return r < 0 ? r : 0;
}

static int64_t app(void *arg) {
    char **args = arg;
    struct page page = {args[1], args[2]};
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, &(eddy_scope_opts){.limit = AT_ONCE});
    if (r < 0) {
        return r;
    }
    for (long left = strtol(args[3], NULL, 10); left > 0 && r == 0; left--) {
        r = eddy_spawn(fetch, &page, sizeof page); /* waits while fifty are running */
    }
    r = eddy_scope_leave(&scope, r);
    const eddy_scope_failure *first = eddy_scope_failure_at(&scope, 0);
    if (first != NULL) {
        printf("the task of %s failed: %s\n", first->site, eddy_error_text(first->error));
    }
    printf("%d fetched, %d at once\n", fetched, most);
    return r;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s HOST:PORT PATH COUNT\n", argv[0]);
        return 2;
    }
    return eddy_main(app, argv, NULL);
}
