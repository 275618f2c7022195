/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 server: strict about what it takes, and patient with nobody.
 *
 *     static int64_t hello(eddy_http_exchange *x, void *arg) { ... }        (net/http/exchange.h)
 *
 *     eddy_listener *listener;
 *     int64_t r = eddy_tcp_listen("127.0.0.1:8080", NULL, &listener);
 *     return r < 0 ? r : eddy_http_serve(listener, hello, NULL, NULL);
 *
 * Keep-alive and pipelining are the server's business: requests of one connection are answered one
 * after another, responses to requests that came together go out together. A request that is
 * malformed, ambiguous, too large or too slow is answered (400, 408, 413, 414, 417, 431, 501, 505)
 * and the connection closed after the client has had time to read that.
 */
#ifndef EDDY_NET_HTTP_SERVER_H
#define EDDY_NET_HTTP_SERVER_H

#include <eddy/net/http/exchange.h>
#include <eddy/net/serve.h>

EDDY_BEGIN_DECLS

/* Answers one request. A negative result means that it could not: where nothing has been sent yet
 * the client gets a 413 for EDDY_EHTTP_TOO_LARGE, 400 for EDDY_EHTTP_BODY, 408 for -ETIMEDOUT and
 * 500 for all else; otherwise the connection is cut so that the client sees it. on_response can ask
 * eddy_http_response_error which it was, and what ended in a 500 or a cut is the connection's
 * failure: serve->on_error hears of it. So it is with a handler that forgets to answer (-EPROTO).
 */
typedef int64_t (*eddy_http_fn)(eddy_http_exchange *x, void *arg);

typedef struct eddy_http_opts {
    size_t size;                    /* sizeof(eddy_http_opts), or 0 (runtime/base/api.h) */
    const eddy_http_limits *limits; /* of heads; NULL: defaults */
    uint64_t body_max_bytes;        /* of a request; 0: 64 MiB */
    uint32_t requests_max;          /* on one connection; 0: no limit */
    int64_t head_timeout_ns;        /* from a head's first byte to its last; 0: 10 s */
    int64_t idle_ns;        /* for a next request, for the next bytes of a body, for a write that
                               * moves nothing; 0: 60 s */
    uint32_t body_rate_min; /* bytes a second that a request's body must come at, after the first
                               * head_timeout_ns; 0: 100 */
    /* Called after each response, also after one to a request that no handler saw; for logs. `x`
     * and its head are readable (a malformed head is not: eddy_http_request_head(x)->len is 0). */
    void (*on_response)(eddy_http_exchange *x, void *arg);
    /* eddy_http_serve: limits on connections, draining; NULL: defaults. Its idle times count for
     * nothing: idle_ns is both of them. */
    const eddy_serve_opts *serve;
} eddy_http_opts;

/**
 * Serve HTTP on a listener until a drain.
 *
 * Shape:   as eddy_serve, with a handler for requests.
 * Owns:    as eddy_serve.
 * Errors:  as eddy_serve.
 * Threads: fiber, on the listener's loop.
 * Cancel:  as eddy_serve. In a drain what was sent by then is answered, the last of it with
 *          Connection: close; idle connections end, one that has had no request yet after a second.
 */
EDDY_API int64_t eddy_http_serve(eddy_listener *listener, eddy_http_fn handler, void *arg,
                                 const eddy_http_opts *opts);

/**
 * Serve HTTP on one stream of any kind, until its end.
 *
 * Shape:   0 when the client closed, asked for it, or was refused; for eddy_serve and for tests.
 * Owns:    borrows all of it until it returns; the stream stays open.
 * Errors:  what reading and writing gave: -ECONNRESET, -EPIPE, -ECANCELED, -ETIME; -ENOMEM; what
 *          the handler failed with, -EPROTO when it did not answer: the client has its 500 then, or
 *          a response that is not whole.
 * Threads: fiber, on the stream's loop.
 * Cancel:  suspends.
 */
EDDY_API int64_t eddy_http_connection(eddy_stream *peer, eddy_http_fn handler, void *arg,
                                      const eddy_http_opts *opts);

EDDY_END_DECLS

#endif
