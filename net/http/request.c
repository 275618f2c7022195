/* SPDX-License-Identifier: Apache-2.0 */
/* The request's side of an exchange: its body, however it is framed. */
#include <eddy/net/http/exchange_impl.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/loop/loop.h>

/* What is read and dropped of a body that the handler did not want, before it is cheaper to
 * close. */
#define DROP_MAX_BYTES (256 * 1024)

/* How much of a body is read at once into a buffer, and so how much room is made for it at least:
 * a client that only announces a large one does not get the memory for it. */
#define PIECE_BYTES (16 * 1024)

void eddyi_http_request_reset(eddy_http_exchange *x) {
    x->body_left = 0;
    x->body_read = 0;
    x->body_begun = false;
    x->body_done = true;
}

const eddy_http_head *eddy_http_request_head(const eddy_http_exchange *x) {
    return &x->head;
}

eddy_stream *eddy_http_request_peer(const eddy_http_exchange *x) {
    return x->peer;
}

/* Before the first byte: a client that asked whether it may send is told to. */
static int begin_body(eddy_http_exchange *x) {
    x->body_begun = true;
    x->body_since_ns = eddy_loop_now(eddy_loop_current());
    bool is_told = x->flushed || eddy_reader_buffered(x->reader) > 0;
    if (!x->framing.expect_continue || is_told) {
        return 0;
    }
    /* Older responses first, in their order; what has begun of this one comes after. */
    int r = x->begun_at == 0 ? 0 : eddy_stream_write(x->peer, x->out.data, x->begun_at);
    eddy_buffer_consume(&x->out, x->begun_at);
    x->begun_at = 0;
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    return r < 0 ? r : eddy_stream_write(x->peer, go_on, sizeof go_on - 1);
}

/* A client that trickles is as good as one that has stopped. */
static int check_rate(const eddy_http_exchange *x) {
    int64_t taken_ns = eddy_loop_now(eddy_loop_current()) - x->body_since_ns;
    if (taken_ns <= x->opts.head_timeout_ns) {
        return 0;
    }
    double rate = (double)x->body_read * (double)EDDY_S / (double)taken_ns;
    return rate < x->opts.body_rate_min ? -ETIMEDOUT : 0;
}

static int64_t read_sized(eddy_http_exchange *x, void *dst, size_t cap) {
    size_t want = (uint64_t)x->body_left < cap ? (size_t)x->body_left : cap;
    int64_t n = eddy_reader_read(x->reader, dst, want);
    if (n == 0) {
        return EDDY_EHTTP_BODY;
    }
    if (n > 0) {
        x->body_left -= n;
        x->body_done = x->body_left == 0;
    }
    return n;
}

static int64_t read_chunked(eddy_http_exchange *x, void *dst, size_t cap) {
    for (;;) {
        eddy_slice in;
        int64_t n = eddy_reader_peek(x->reader, 1, &in);
        if (n <= 0) {
            return n == 0 ? EDDY_EHTTP_BODY : n;
        }
        /* The decoder gives a run of data whole: it is shown no more than fits. */
        eddy_slice data;
        eddy_http_fault fault;
        n = eddy_http_chunked_next(&x->chunked, eddy_slice_sub(in, 0, cap), &data, &fault);
        if (n < 0) {
            return n;
        }
        if (data.len > 0) {
            memcpy(dst, data.data, data.len);
        }
        size_t got = data.len;
        eddy_reader_consume(x->reader, (size_t)n);
        x->body_done = x->chunked.done;
        if (got > 0 || x->body_done) {
            return (int64_t)got;
        }
    }
}

int64_t eddy_http_request_read(eddy_http_exchange *x, void *dst, size_t cap) {
    if (cap == 0) {
        return -EINVAL;
    }
    if (x->body_done) {
        return 0;
    }
    int r = x->body_begun ? check_rate(x) : begin_body(x);
    if (r < 0) {
        return r;
    }
    int64_t n = x->framing.body == EDDY_HTTP_BODY_CHUNKED ? read_chunked(x, dst, cap)
                                                          : read_sized(x, dst, cap);
    if (n > 0) {
        x->body_read += (uint64_t)n;
        if (x->body_read > x->opts.body_max_bytes) {
            return EDDY_EHTTP_TOO_LARGE;
        }
    }
    return n;
}

int64_t eddy_http_request_body(eddy_http_exchange *x, size_t limit, eddy_buffer *buffer) {
    bool is_sized = x->framing.body == EDDY_HTTP_BODY_SIZED;
    if (buffer == NULL) {
        return -EINVAL;
    }
    if (!x->body_done && is_sized && (uint64_t)x->body_left > limit) {
        return EDDY_EHTTP_TOO_LARGE;
    }
    size_t got = 0;
    while (!x->body_done) {
        char beyond; /* a byte for which there is no room */
        char *dst = &beyond;
        size_t cap = limit - got < PIECE_BYTES ? limit - got : PIECE_BYTES;
        if (cap > 0) {
            int r = eddy_buffer_reserve(buffer, cap);
            if (r < 0) {
                return r;
            }
            dst = buffer->data + buffer->len;
        }
        int64_t n = eddy_http_request_read(x, dst, cap > 0 ? cap : 1);
        if (n < 0 || (n > 0 && cap == 0)) {
            return n < 0 ? n : EDDY_EHTTP_TOO_LARGE;
        }
        buffer->len += (size_t)n;
        got += (size_t)n;
    }
    return (int64_t)got;
}

bool eddyi_http_request_is_uninvited(const eddy_http_exchange *x) {
    return !x->body_done && !x->body_begun && x->framing.expect_continue;
}

int eddyi_http_request_drop_body(eddy_http_exchange *x) {
    char dropped[4096];
    uint64_t limit = x->body_read + DROP_MAX_BYTES;
    if (eddyi_http_request_is_uninvited(x)) {
        return EDDY_EHTTP_BODY; /* whether it comes nobody knows */
    }
    while (!x->body_done) {
        int64_t n = eddy_http_request_read(x, dropped, sizeof dropped);
        if (n < 0) {
            return (int)n;
        }
        if (x->body_read > limit) {
            return EDDY_EHTTP_TOO_LARGE;
        }
    }
    return 0;
}
