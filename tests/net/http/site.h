/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the server share: a site with a page for each kind of answer, and a client. */
#ifndef EDDY_TESTS_NET_HTTP_SITE_H
#define EDDY_TESTS_NET_HTTP_SITE_H

#include <stdio.h>
#include <string.h>

#include <eddy/net/http/server.h>
#include <eddy/net/tcp.h>
#include <eddy/runtime/io/memory.h>
#include <eddy/runtime/task/scope.h>

#include "test.h"

struct site {
    char address[EDDY_ADDRESS_TEXT_MAX];
    eddy_listener *listener;
    eddy_http_opts opts;
    eddy_serve_opts serve;
    int answered;
    int statuses[64];     /* as on_response saw them */
    int64_t failures[64]; /* as on_response saw them */
    int64_t counts[64];   /* as on_response saw them */
    int status_count;
    eddy_serve_stats stats;
    int errors; /* on_error's */
    int64_t error;
};

static struct site site = {.opts.serve = &site.serve};

/* "/echo" gives the (short) body back, "/begun" too but begins to answer before it reads;
 * "/size/N" a body of N bytes, "/copy/N/M" N of a stream that has M, "/stream" pieces, "/fail" an
 * error, "/late" one after the body has begun, "/forget" nothing, "/short" less than it announced;
 * "/upload" the length of the body, up to 20 bytes; "/respond" what eddy_http_respond makes;
 * "/last" ends the connection; "/wants/N" answers N with or without "wanted"; "/peer" the client's
 * address; all else "hello". */
static inline int64_t echo(eddy_http_exchange *x) {
    char buf[777];
    size_t len = 0;
    int64_t n;
    while ((n = eddy_http_request_read(x, buf + len, sizeof buf - len)) > 0) {
        len += (size_t)n;
    }
    int64_t r = n < 0 ? n : eddy_http_response_begin(x, 200);
    r = r < 0 ? r : eddy_http_response_stream(x, EDDY_HTTP_LENGTH_UNKNOWN);
    return r < 0 ? r : eddy_http_response_write(x, buf, len); /* one chunk, however it came */
}

static inline int64_t begun(eddy_http_exchange *x) {
    char buf[8];
    size_t len = 0;
    int64_t n;
    CHECK_OK(eddy_http_response_begin(x, 200));
    while ((n = eddy_http_request_read(x, buf + len, sizeof buf - len)) > 0) {
        len += (size_t)n;
    }
    return n < 0 ? n : eddy_http_response_body(x, eddy_slice_from(buf, len));
}

static inline int64_t sized(eddy_http_exchange *x, size_t size) {
    static char bytes[256 * 1024];
    memset(bytes, 'b', sizeof bytes);
    int64_t r = eddy_http_response_begin(x, 200);
    return r < 0 ? r : eddy_http_response_body(x, eddy_slice_from(bytes, size));
}

static inline int64_t copied(eddy_http_exchange *x, size_t len, size_t there) {
    static char bytes[256 * 1024];
    eddy_stream *source;
    memset(bytes, 'c', sizeof bytes);
    CHECK_OK(eddy_memory_stream_new(bytes, there, &source));
    int64_t r = eddy_http_response_begin(x, 200);
    r = r < 0 ? r : eddy_http_response_stream(x, (int64_t)len);
    r = r < 0 ? r : eddy_http_response_copy(x, source, (int64_t)len);
    CHECK_OK(eddy_stream_close(source));
    return r;
}

static inline int64_t pieces(eddy_http_exchange *x) {
    int64_t r = eddy_http_response_begin(x, 200);
    r = r < 0 ? r : eddy_http_response_stream(x, 9);
    for (int i = 0; i < 3 && r == 0; i++) {
        r = eddy_http_response_write(x, "abc", 3);
        CHECK_OK(eddy_yield());
    }
    CHECK_ERR(eddy_http_response_write(x, "d", 1), -EMSGSIZE);
    return r;
}

static inline int64_t upload(eddy_http_exchange *x) {
    eddy_buffer body = {0};
    char answer[128];
    int64_t n = eddy_http_request_body(x, 20, &body);
    int len = snprintf(answer, sizeof answer, "%d: %.*s", (int)n, (int)body.len,
                       body.len == 0 ? "" : body.data);
    eddy_buffer_done(&body);
    return n < 0 ? n : eddy_http_respond(x, 200, NULL, eddy_slice_from(answer, (size_t)len));
}

static inline int64_t respond(eddy_http_exchange *x) {
    CHECK_ERR(eddy_http_respond(x, 99, "text/plain", eddy_slice_of("")), -EINVAL);
    CHECK_OK(eddy_http_respond(x, 201, "text/plain", eddy_slice_of("made")));
    CHECK_ERR(eddy_http_respond(x, 200, "text/plain", eddy_slice_of("")), -EALREADY);
    return 0;
}

static inline int64_t last(eddy_http_exchange *x) {
    eddy_http_response_close(x);
    return eddy_http_respond(x, 200, NULL, eddy_slice_of("bye"));
}

static inline int64_t wants(eddy_http_exchange *x, int status) {
    CHECK_EQ(eddy_http_response_count(x), 0);
    CHECK_OK(eddy_http_response_begin(x, status));
    bool wanted = eddy_http_response_wants_body(x);
    CHECK_OK(eddy_http_response_field(x, "X-Wants", eddy_slice_of(wanted ? "yes" : "no")));
    CHECK_OK(eddy_http_response_stream(x, 6));
    CHECK_OK(eddy_http_response_write(x, "wan", 3));
    CHECK_EQ(eddy_http_response_count(x), wanted ? 3 : 0);
    return eddy_http_response_write(x, "ted", 3);
}

static inline int64_t peer(eddy_http_exchange *x) {
    eddy_address address;
    char name[EDDY_ADDRESS_TEXT_MAX];
    CHECK_OK(eddy_tcp_peer(eddy_http_request_peer(x), &address));
    CHECK_OK(eddy_address_format(&address, name, sizeof name));
    return eddy_http_respond(x, 200, NULL, eddy_slice_of(name));
}

static inline int64_t handle(eddy_http_exchange *x, void *arg) {
    struct site *mine = arg;
    eddy_slice target = eddy_http_request_head(x)->target;
    char path[64];
    size_t size;
    int status;
    snprintf(path, sizeof path, "%.*s", (int)target.len, target.data);
    mine->answered++;
    if (strcmp(path, "/echo") == 0) {
        return echo(x);
    }
    if (strcmp(path, "/begun") == 0) {
        return begun(x);
    }
    if (sscanf(path, "/size/%zu", &size) == 1) {
        return sized(x, size);
    }
    size_t there;
    if (sscanf(path, "/copy/%zu/%zu", &size, &there) == 2) {
        return copied(x, size, there);
    }
    if (strcmp(path, "/stream") == 0) {
        return pieces(x);
    }
    if (strcmp(path, "/forget") == 0 || strcmp(path, "/fail") == 0) {
        return strcmp(path, "/fail") == 0 ? -EIO : 0;
    }
    if (strcmp(path, "/upload") == 0 || strcmp(path, "/respond") == 0) {
        return strcmp(path, "/upload") == 0 ? upload(x) : respond(x);
    }
    if (sscanf(path, "/wants/%d", &status) == 1) {
        return wants(x, status);
    }
    if (strcmp(path, "/last") == 0 || strcmp(path, "/peer") == 0) {
        return strcmp(path, "/last") == 0 ? last(x) : peer(x);
    }
    if (strcmp(path, "/short") == 0) {
        CHECK_OK(eddy_http_response_begin(x, 200));
        return eddy_http_response_stream(x, 1);
    }
    if (strcmp(path, "/late") == 0) {
        int64_t r = eddy_http_response_begin(x, 200);
        r = r < 0 ? r : eddy_http_response_stream(x, 100);
        r = r < 0 ? r : eddy_http_response_write(x, "too little", 10);
        return r < 0 ? r : -EIO;
    }
    CHECK_ERR(eddy_http_response_field(x, "X-Early", eddy_slice_of("1")), -EPROTO);
    int64_t r = eddy_http_response_begin(x, 200);
    CHECK_ERR(eddy_http_response_field(x, "X-Bad", eddy_slice_of("a\r\nb")), -EINVAL);
    CHECK_ERR(eddy_http_response_field(x, "Content-Length", eddy_slice_of("5")), -EINVAL);
    r = r < 0 ? r : eddy_http_response_field(x, "Content-Type", eddy_slice_of("text/plain"));
    return r < 0 ? r : eddy_http_response_body(x, eddy_slice_of("hello"));
}

static inline void on_response(eddy_http_exchange *x, void *arg) {
    struct site *mine = arg;
    if (mine->status_count < 64) {
        mine->counts[mine->status_count] = eddy_http_response_count(x);
        mine->failures[mine->status_count] = eddy_http_response_error(x);
        mine->statuses[mine->status_count++] = eddy_http_response_status(x);
    }
}

static inline void on_error(int64_t error, const eddy_address *peer, void *ctx) {
    struct site *mine = ctx;
    (void)peer;
    mine->errors++;
    mine->error = error;
}

static inline int64_t serve(void *arg) {
    struct site *mine = arg;
    mine->serve.on_error = mine->serve.on_error == NULL ? on_error : mine->serve.on_error;
    mine->serve.ctx = mine;
    mine->serve.stats = &mine->stats;
    mine->opts.on_response = on_response;
    return eddy_http_serve(mine->listener, handle, mine, &mine->opts);
}

/* The server runs in the scope beside the case, until `stop`. */
static inline void start(eddy_scope *scope) {
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &site.listener));
    eddy_address address = eddy_listener_address(site.listener);
    CHECK_OK(eddy_address_format(&address, site.address, sizeof site.address));
    CHECK_OK(eddy_scope_enter(scope, NULL));
    CHECK_OK(eddy_spawn(serve, &site, 0));
    CHECK_OK(eddy_yield());
}

static inline void stop(eddy_scope *scope) {
    CHECK_OK(eddy_loop_drain(eddy_loop_current()));
    CHECK_OK(eddy_scope_leave(scope, 0));
}

static inline eddy_stream *call(void) {
    eddy_stream *stream;
    CHECK_OK(eddy_tcp_connect(site.address, NULL, &stream));
    return stream;
}

/* All that comes until the server closes, as text. */
static inline void hear(eddy_stream *stream, char *ret_text, size_t cap) {
    size_t at = 0;
    int64_t n;
    while (at + 1 < cap && (n = eddy_stream_read(stream, ret_text + at, cap - 1 - at)) > 0) {
        at += (size_t)n;
    }
    ret_text[at] = '\0';
}

/* Sends, ends its side, and gives all that came back. */
static inline void ask(const char *request, size_t len, char *ret_text, size_t cap) {
    eddy_stream *stream = call();
    int r = eddy_stream_write(stream, request, len);
    if (r == 0) {
        eddy_stream_shutdown(stream);
    }
    hear(stream, ret_text, cap);
    CHECK_OK(eddy_stream_close(stream));
}

static inline int count_of(const char *text, const char *what) {
    int count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what)) {
        count++;
    }
    return count;
}

/* What takes 10 s by default is waited for in virtual time; real drivers have smaller limits. */
static inline bool is_virtual(void) {
    return strcmp(test_driver(), "sim") == 0;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static char text[64 * 1024];

/* Reads one answer of "/", up to its last byte. */
static inline void hear_hello(eddy_stream *stream) {
    size_t at = 0;
    do {
        int64_t n = eddy_stream_read(stream, text + at, sizeof text - 1 - at);
        CHECK(n > 0);
        at += (size_t)n;
        text[at] = '\0';
    } while (strstr(text, "\r\n\r\nhello") == NULL);
}

#endif
