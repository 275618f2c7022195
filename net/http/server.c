/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a connection: wait, parse, let the handler answer, and again. */
#include <eddy/net/http/server.h>

#include <string.h>

#include <eddy/net/http/exchange_impl.h>
#include <eddy/net/tcp.h>
#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/opts_impl.h>
#include <eddy/runtime/io/memory.h>
#include <eddy/runtime/task/scope.h>

#define BODY_MAX_DEFAULT_BYTES (64 * 1024 * 1024)
#define HEAD_TIMEOUT_DEFAULT_NS (10 * EDDY_S)
#define IDLE_DEFAULT_NS (60 * EDDY_S)
#define BODY_RATE_DEFAULT 100

/* What is read and dropped of a client that goes on sending after the last answer. */
#define LINGER_MAX_BYTES (1024 * 1024)
#define LINGER_MAX_NS (2 * EDDY_S)

/* How long a drain waits for a request that may be under way: for the first one of a connection
 * that was accepted last (a packet may be lost, and be sent again), and for one that came together
 * with the drain on a kept connection. */
#define DRAIN_FIRST_WAIT_NS EDDY_S
#define DRAIN_WAIT_NS (10 * EDDY_MS)

/* A buffer larger than this is given back while a connection waits for its next request. */
#define OUT_KEPT_BYTES 4096

static int set_options(eddy_http_exchange *x, const eddy_http_opts *opts) {
    if (EDDYI_OPTS_READ(&x->opts, opts, serve) < 0 ||
        EDDYI_OPTS_READ(&x->limits, x->opts.limits, fields) < 0) {
        return -EINVAL;
    }
    if (x->opts.body_max_bytes == 0) {
        x->opts.body_max_bytes = BODY_MAX_DEFAULT_BYTES;
    }
    if (x->opts.head_timeout_ns == 0) {
        x->opts.head_timeout_ns = HEAD_TIMEOUT_DEFAULT_NS;
    }
    if (x->opts.idle_ns == 0) {
        x->opts.idle_ns = IDLE_DEFAULT_NS;
    }
    if (x->opts.body_rate_min == 0) {
        x->opts.body_rate_min = BODY_RATE_DEFAULT;
    }
    return 0;
}

/* ---- a request's head ------------------------------------------------------------------------ */

/* In a drain: what the client has sent already is answered, and nobody waits long for more. A
 * client whose first request has not come has only just been accepted: it may be on its way. */
static int64_t wait_in_drain(eddy_http_exchange *x, eddy_slice *ret_in) {
    eddy_scope scope;
    int64_t wait_ns = x->served == 0 ? DRAIN_FIRST_WAIT_NS : DRAIN_WAIT_NS;
    int64_t r = eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = wait_ns});
    if (r < 0) {
        return r;
    }
    r = eddy_scope_leave(&scope, eddy_reader_peek(x->reader, 1, ret_in));
    return r == -ETIME && eddy_scope_expired(&scope) ? 0 : r;
}

/* Waits for the first bytes of a request: 1, 0 when the client has closed, or an error. */
static int64_t wait_for_request(eddy_http_exchange *x, eddy_slice *ret_in) {
    if (eddy_reader_buffered(x->reader) > 0) {
        return eddy_reader_peek(x->reader, 1, ret_in);
    }
    int r = eddyi_http_response_flush(x);
    if (r < 0) {
        return r;
    }
    if (x->out.cap > OUT_KEPT_BYTES) {
        eddy_buffer_done(&x->out);
    }
    int64_t n = -ECANCELED;
    if (eddy_serve_idle(x->peer, true) == 0) {
        n = eddy_reader_peek(x->reader, 1, ret_in);
    }
    eddy_serve_idle(x->peer, false);
    if (n == -ECANCELED && eddy_serve_draining(x->peer)) {
        n = wait_in_drain(x, ret_in);
    }
    /* What ends the wait of an idle connection is nobody's failure. */
    return n == -ETIMEDOUT || n == -ECONNRESET ? 0 : n;
}

/* The rest of a head that did not come at once, against the clock. */
static int64_t parse_slowly(eddy_http_exchange *x, eddy_slice in, eddy_http_fault *ret_fault) {
    eddy_scope scope;
    int64_t n = eddyi_http_response_flush(x);
    n = n < 0 ? n
              : eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = x->opts.head_timeout_ns});
    if (n < 0) {
        return n;
    }
    do {
        n = eddy_reader_peek(x->reader, in.len + 1, &in);
        n = n <= 0 ? (n == 0 ? EDDY_EEND : n) : eddy_http_head_parse(&x->head, in, ret_fault);
    } while (n == -EAGAIN);
    n = eddy_scope_leave(&scope, n);
    return n == -ETIME && eddy_scope_expired(&scope) ? -ETIMEDOUT : n;
}

/* The request's head, complete and judged: its length, 0 at the end of the connection, or an error
 * with a fault whose status answers it (0: nothing can be answered). */
static int64_t read_head(eddy_http_exchange *x, eddy_http_fault *ret_fault) {
    eddy_slice in;
    ret_fault->status = 0;
    eddy_http_head_init(&x->head, EDDY_HTTP_REQUEST, &x->limits);
    int64_t n = wait_for_request(x, &in);
    if (n <= 0) {
        return n;
    }
    n = eddy_http_head_parse(&x->head, in, ret_fault);
    if (n == -EAGAIN) {
        n = parse_slowly(x, in, ret_fault);
    }
    if (n == -ETIMEDOUT) {
        *ret_fault = (eddy_http_fault){.status = 408, .text = "the head took too long"};
    }
    int r = n < 0 ? 0 : eddy_http_framing_of_request(&x->head, &x->framing, ret_fault);
    return r < 0 ? r : n;
}

/* A body may follow: the head's bytes are kept, because the reader's move on. */
static int prepare_body(eddy_http_exchange *x, size_t head_len) {
    const eddy_http_framing *framing = &x->framing;
    bool chunked = framing->body == EDDY_HTTP_BODY_CHUNKED;
    if (!chunked && (framing->body != EDDY_HTTP_BODY_SIZED || framing->length == 0)) {
        return 0;
    }
    x->kept_head.len = 0;
    int r = eddy_buffer_append(&x->kept_head, x->head.data, head_len);
    if (r < 0) {
        return r;
    }
    eddy_http_head_move(&x->head, x->kept_head.data);
    eddy_reader_consume(x->reader, head_len);
    if (chunked) {
        eddy_http_chunked_init(&x->chunked, NULL);
    }
    x->body_left = framing->length;
    x->body_done = false;
    return !chunked && (uint64_t)framing->length > x->opts.body_max_bytes ? EDDY_EHTTP_TOO_LARGE
                                                                          : 0;
}

/* ---- one request after another --------------------------------------------------------------- */

static void log_response(eddy_http_exchange *x, void *arg) {
    if (x->opts.on_response != NULL) {
        x->opts.on_response(x, arg);
    }
}

/* Says no. */
static int64_t refuse(eddy_http_exchange *x, int status, const char *why, void *arg) {
    int r = eddyi_http_response_refuse(x, status, why);
    log_response(x, arg);
    x->linger = true;
    return r;
}

/* One request: 1 when another may follow, 0 when the connection is to end, or an error. */
static int64_t exchange(eddy_http_exchange *x, eddy_http_fn handler, void *arg) {
    eddy_http_fault fault;
    eddyi_http_request_reset(x);
    eddyi_http_response_reset(x);
    int64_t n = read_head(x, &fault);
    if (n <= 0) {
        if (fault.status == 0) {
            return n == EDDY_EEND ? 0 : n;
        }
        x->head.len = 0;
        x->head.method = EDDY_HTTP_OTHER;
        x->head.version = 11;
        return refuse(x, fault.status, fault.text, arg);
    }
    size_t head_len = (size_t)n;
    x->served++;
    x->keep_alive = x->framing.keep_alive && x->served != x->opts.requests_max;
    int64_t r = prepare_body(x, head_len);
    if (r == EDDY_EHTTP_TOO_LARGE) {
        return refuse(x, 413, NULL, arg);
    }
    x->head_left = x->body_done ? head_len : 0;
    r = r < 0 ? r : handler(x, arg);
    r = eddyi_http_response_finish(x, r);
    eddy_reader_consume(x->reader, x->head_left);
    log_response(x, arg);
    if (r >= 0 && !x->body_done) {
        /* The client may wait for the answer before it sends, or does not send, the rest. */
        r = eddyi_http_response_flush(x);
        if (r == 0 && x->keep_alive) {
            x->keep_alive = eddyi_http_request_drop_body(x) == 0;
        }
    }
    x->linger = !x->keep_alive && (!x->body_done || eddy_reader_buffered(x->reader) > 0);
    return r < 0 ? r : x->keep_alive;
}

/* Where the connection's end is the body's, only a reset says that the body is not whole. */
static void cut(eddy_http_exchange *x) {
    if (x->phase != EDDYI_HTTP_BODY || x->chunks || x->announced != EDDY_HTTP_LENGTH_UNKNOWN) {
        return;
    }
    if (eddy_tcp_opts_set(x->peer, &(eddy_tcp_opts){.linger = true}) == -ENOTSOCK) {
        eddy_memory_reset(x->peer);
    }
}

/* The client may still be sending what nobody will read. Closing at once would reset the
 * connection, and the last answer with it; so what comes is dropped, up to so much and so long. */
static int64_t linger(eddy_http_exchange *x) {
    eddy_scope scope;
    char dropped[4096];
    uint64_t limit = eddy_stream_count_read(x->peer) + LINGER_MAX_BYTES;
    int64_t r = eddy_stream_shutdown(x->peer);
    if (r < 0 || eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = LINGER_MAX_NS}) < 0) {
        return r;
    }
    do {
        r = eddy_stream_read(x->peer, dropped, sizeof dropped);
    } while (r > 0 && eddy_stream_count_read(x->peer) < limit);
    eddy_scope_leave(&scope, 0);
    return 0;
}

int64_t eddy_http_connection(eddy_stream *peer, eddy_http_fn handler, void *arg,
                             const eddy_http_opts *opts) {
    eddy_http_exchange x;
    memset(&x, 0, offsetof(eddy_http_exchange, head));
    x.peer = peer;
    x.kept_head = (eddy_buffer){0};
    int64_t r = set_options(&x, opts);
    r = r < 0 ? r : eddy_reader_new(peer, NULL, &x.reader);
    if (r < 0) {
        return r;
    }
    r = eddy_stream_idle_set(peer, x.opts.idle_ns, x.opts.idle_ns);
    r = r == 0 || r == -ENOTSUP ? 1 : r; /* a stream in memory never waits for a network */
    while (r > 0) {
        x.linger = false;
        r = exchange(&x, handler, arg);
    }
    r = r < 0 ? r : eddyi_http_response_flush(&x);
    if (r < 0) {
        cut(&x);
    } else if (x.linger) {
        r = linger(&x);
    }
    eddy_reader_free(x.reader);
    eddy_buffer_done(&x.out);
    eddy_buffer_done(&x.kept_head);
    return r < 0 ? r : x.failed;
}

/* ---- on a listener --------------------------------------------------------------------------- */

struct site {
    eddy_http_fn handler;
    void *arg;
    const eddy_http_opts *opts;
};

static int64_t serve_one(eddy_stream *peer, void *arg) {
    const struct site *site = arg;
    return eddy_http_connection(peer, site->handler, site->arg, site->opts);
}

int64_t eddy_http_serve(eddy_listener *listener, eddy_http_fn handler, void *arg,
                        const eddy_http_opts *opts) {
    eddy_http_opts copy;
    eddy_http_limits limits;
    struct site site = {handler, arg, &copy};
    int r = EDDYI_OPTS_READ(&copy, opts, serve);
    r = r < 0 ? r : EDDYI_OPTS_READ(&limits, copy.limits, fields);
    /* Without a handler it is -EINVAL there too, and the listener is dealt with. */
    return eddy_serve(listener, r < 0 || handler == NULL ? NULL : serve_one, &site, copy.serve);
}
