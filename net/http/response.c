/* SPDX-License-Identifier: Apache-2.0 */
/* The response's side of an exchange: heads and small bodies gather in one buffer, in order. */
#include <eddy/net/http/exchange_impl.h>

#include <stdio.h>

#include <eddy/net/http/write.h>
#include <eddy/runtime/base/error.h>
#include <eddy/runtime/io/copy.h>
#include <eddy/runtime/task/task_impl.h>

/* A body of up to so many bytes is copied behind its head; a larger one is written from where it
 * is, in the same system call. Beyond it the buffer is written before more comes into it. */
#define GATHER_MAX_BYTES (16 * 1024)

void eddyi_http_response_reset(eddy_http_exchange *x) {
    x->phase = EDDYI_HTTP_NOT_BEGUN;
    x->begun_at = x->out.len;
    x->status = 0;
    x->error = 0;
    x->keep_alive = false;
    x->no_body = false;
    x->chunks = false;
    x->flushed = false;
    x->announced = 0;
    x->written = 0;
}

int eddyi_http_response_flush(eddy_http_exchange *x) {
    if (x->out.len == 0) {
        return 0;
    }
    int r = eddy_stream_write(x->peer, x->out.data, x->out.len);
    x->flushed = x->phase != EDDYI_HTTP_NOT_BEGUN;
    x->out.len = 0;
    x->begun_at = 0;
    return r;
}

/* ---- the head -------------------------------------------------------------------------------- */

/* The line is made once a second for each connection. */
static int write_date(eddy_http_exchange *x) {
    const struct eddyi_host *host = eddyi_loop_here->host;
    int64_t now_s = host->wall_ns(host->ctx) / EDDY_S;
    if (now_s != x->date_s || x->date_line[0] == '\0') {
        char date[EDDY_HTTP_DATE_LEN + 1];
        int r = eddy_http_date_format(now_s, date);
        if (r < 0) {
            return r;
        }
        snprintf(x->date_line, sizeof x->date_line, "Date: %s\r\n", date);
        x->date_s = now_s;
    }
    return eddy_buffer_append(&x->out, x->date_line, EDDYI_HTTP_DATE_LINE_LEN);
}

int eddy_http_response_begin(eddy_http_exchange *x, int status) {
    if (status < 200 || status > 999) {
        return -EINVAL;
    }
    if (x->phase != EDDYI_HTTP_NOT_BEGUN) {
        return -EALREADY;
    }
    x->begun_at = x->out.len;
    int r = eddy_http_write_status(&x->out, status);
    r = r < 0 ? r : write_date(x);
    if (r < 0) {
        x->out.len = x->begun_at;
        return r;
    }
    x->status = status;
    x->no_body = x->head.method == EDDY_HTTP_HEAD || eddy_http_status_is_bodiless(status);
    x->phase = EDDYI_HTTP_FIELDS;
    return 0;
}

static bool is_ours(const char *name) {
    static const char *const ours[] = {"Date", "Connection", "Content-Length", "Transfer-Encoding"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (eddy_slice_equal_ignore_case(eddy_slice_of(name), eddy_slice_of(ours[i]))) {
            return true;
        }
    }
    return false;
}

int eddy_http_response_field(eddy_http_exchange *x, const char *name, eddy_slice value) {
    if (x->phase != EDDYI_HTTP_FIELDS) {
        return -EPROTO;
    }
    return is_ours(name) ? -EINVAL : eddy_http_write_field(&x->out, name, value);
}

/* Whether more requests have been read already: a drain answers them, and tells with the last. */
static bool is_followed(const eddy_http_exchange *x) {
    return x->body_done && eddy_reader_buffered(x->reader) > x->head_left;
}

/* The fields that say where the response ends, and the head's end. `length` of the body that a GET
 * would get, or EDDY_HTTP_LENGTH_UNKNOWN. */
static int end_head(eddy_http_exchange *x, int64_t length) {
    bool old = x->head.version == 10;
    bool announces = x->status != 204 && x->status != 304;
    int r = 0;
    if (announces && length != EDDY_HTTP_LENGTH_UNKNOWN) {
        r = eddy_http_write_number(&x->out, "Content-Length", length);
    } else if (announces && !old) {
        x->chunks = true;
        r = eddy_http_write_field(&x->out, "Transfer-Encoding", eddy_slice_of("chunked"));
    } else if (announces) {
        x->keep_alive = false; /* the connection's end is the body's */
    }
    x->keep_alive &= !eddyi_http_request_is_uninvited(x);
    x->keep_alive &= !eddy_serve_draining(x->peer) || is_followed(x);
    if (r == 0 && !x->keep_alive) {
        r = eddy_http_write_field(&x->out, "Connection", eddy_slice_of("close"));
    } else if (r == 0 && old) {
        r = eddy_http_write_field(&x->out, "Connection", eddy_slice_of("keep-alive"));
    }
    x->chunks &= !x->no_body;
    return r < 0 ? r : eddy_http_write_end(&x->out);
}

/* ---- the body -------------------------------------------------------------------------------- */

/* Writes what has gathered and `data` behind it. */
static int write_through(eddy_http_exchange *x, eddy_slice data) {
    eddy_slice both[] = {eddy_buffer_slice(&x->out), data};
    int r = eddy_stream_write_slices(x->peer, both, 2);
    x->flushed = true;
    x->out.len = 0;
    x->begun_at = 0;
    return r;
}

static int put(eddy_http_exchange *x, eddy_slice data) {
    if (data.len > GATHER_MAX_BYTES) {
        return write_through(x, data);
    }
    int r = eddy_buffer_append_slice(&x->out, data);
    return r == 0 && x->out.len > GATHER_MAX_BYTES ? eddyi_http_response_flush(x) : r;
}

int eddy_http_response_body(eddy_http_exchange *x, eddy_slice body) {
    if (x->phase != EDDYI_HTTP_FIELDS) {
        return -EPROTO;
    }
    int r = end_head(x, (int64_t)body.len);
    if (r < 0) {
        return r;
    }
    x->phase = EDDYI_HTTP_SENT;
    if (x->no_body) {
        return 0;
    }
    x->written = (int64_t)body.len;
    return put(x, body);
}

int eddy_http_respond(eddy_http_exchange *x, int status, const char *content_type,
                      eddy_slice body) {
    int r = eddy_http_response_begin(x, status);
    if (r == 0 && content_type != NULL) {
        r = eddy_http_response_field(x, "Content-Type", eddy_slice_of(content_type));
    }
    return r < 0 ? r : eddy_http_response_body(x, body);
}

int eddy_http_response_stream(eddy_http_exchange *x, int64_t length) {
    if (x->phase != EDDYI_HTTP_FIELDS) {
        return -EPROTO;
    }
    if (length < EDDY_HTTP_LENGTH_UNKNOWN) {
        return -EINVAL;
    }
    int r = end_head(x, length);
    if (r < 0) {
        return r;
    }
    x->announced = length;
    x->phase = EDDYI_HTTP_BODY;
    return 0;
}

bool eddy_http_response_wants_body(const eddy_http_exchange *x) {
    return !x->no_body;
}

/* Counts `len` more bytes of the announced ones. */
static int announce(eddy_http_exchange *x, int64_t len) {
    if (x->phase != EDDYI_HTTP_BODY) {
        return -EPROTO;
    }
    if (x->announced == EDDY_HTTP_LENGTH_UNKNOWN) {
        return 0;
    }
    if (len > x->announced) {
        return -EMSGSIZE;
    }
    x->announced -= len;
    return 0;
}

static int put_chunk(eddy_http_exchange *x, eddy_slice data) {
    char line[EDDY_HTTP_CHUNK_LINE_MAX];
    int n = eddy_http_chunk_line(data.len, line);
    int r = n < 0 ? n : eddy_buffer_append(&x->out, line, (size_t)n);
    r = r < 0 ? r : put(x, data);
    return r < 0 ? r : eddy_buffer_append_slice(&x->out, eddy_slice_of(EDDY_HTTP_CHUNK_TAIL));
}

int eddy_http_response_write(eddy_http_exchange *x, const void *data, size_t len) {
    int r = len > INT64_MAX ? -EMSGSIZE : announce(x, (int64_t)len);
    if (r < 0 || len == 0 || x->no_body) {
        return r;
    }
    x->written += (int64_t)len;
    eddy_slice slice = eddy_slice_from(data, len);
    return x->chunks ? put_chunk(x, slice) : put(x, slice);
}

/* Little is read to where it gathers. */
static int copy_little(eddy_http_exchange *x, eddy_stream *source, size_t len) {
    int r = eddy_buffer_reserve(&x->out, len);
    r = r < 0 ? r : eddy_stream_read_exact(source, x->out.data + x->out.len, len);
    if (r < 0) {
        return r;
    }
    x->out.len += len;
    x->written += (int64_t)len;
    return x->out.len > GATHER_MAX_BYTES ? eddyi_http_response_flush(x) : 0;
}

int eddy_http_response_copy(eddy_http_exchange *x, eddy_stream *source, int64_t len) {
    if (len < 0 || x->chunks || x->announced == EDDY_HTTP_LENGTH_UNKNOWN) {
        return len < 0 ? -EINVAL : -EPROTO;
    }
    int r = announce(x, len);
    if (r < 0 || len == 0 || x->no_body) {
        return r;
    }
    if (len <= GATHER_MAX_BYTES) {
        return copy_little(x, source, (size_t)len);
    }
    r = eddyi_http_response_flush(x);
    uint64_t before = eddy_stream_count_written(x->peer);
    x->flushed = true;
    r = r < 0 ? r : eddy_stream_copy(x->peer, source, len);
    x->written += (int64_t)(eddy_stream_count_written(x->peer) - before);
    return r;
}

void eddy_http_response_close(eddy_http_exchange *x) {
    x->keep_alive = false;
}

int64_t eddy_http_response_error(const eddy_http_exchange *x) {
    return x->error;
}

int eddy_http_response_status(const eddy_http_exchange *x) {
    return x->status;
}

int64_t eddy_http_response_count(const eddy_http_exchange *x) {
    return x->written;
}

/* ---- the end --------------------------------------------------------------------------------- */

int eddyi_http_response_refuse(eddy_http_exchange *x, int status, const char *why) {
    char text[256];
    x->out.len = x->begun_at;
    x->phase = EDDYI_HTTP_NOT_BEGUN;
    x->keep_alive = false;
    int n = snprintf(text, sizeof text, "%d %s%s%s\n", status, eddy_http_status_text(status),
                     why == NULL ? "" : ": ", why == NULL ? "" : why);
    int r = eddy_http_response_begin(x, status);
    r = r < 0 ? r
              : eddy_http_response_field(x, "Content-Type",
                                         eddy_slice_of("text/plain; charset=utf-8"));
    return r < 0 ? r : eddy_http_response_body(x, eddy_slice_from(text, (size_t)n));
}

int64_t eddyi_http_response_finish(eddy_http_exchange *x, int64_t r) {
    if (r >= 0 && x->phase == EDDYI_HTTP_FIELDS) {
        r = eddy_http_response_body(x, (eddy_slice){0});
    } else if (r >= 0 && x->phase == EDDYI_HTTP_NOT_BEGUN) {
        r = -EPROTO; /* the handler forgot to answer */
    }
    if (r >= 0 && x->phase == EDDYI_HTTP_BODY) {
        if (x->announced > 0 && !x->no_body) {
            r = EDDY_EHTTP_RESPONSE; /* shorter than announced */
        } else if (x->chunks) {
            r = eddy_buffer_append_slice(&x->out, eddy_slice_of(EDDY_HTTP_CHUNK_END));
        }
        x->phase = r < 0 ? x->phase : EDDYI_HTTP_SENT;
    }
    x->error = r < 0 ? r : 0;
    if (r < 0 && !x->flushed && r != -ECANCELED && r != -ETIME) {
        int status = r == EDDY_EHTTP_TOO_LARGE ? 413
                     : r == EDDY_EHTTP_BODY    ? 400
                     : r == -ETIMEDOUT         ? 408
                                               : 500;
        x->failed = status == 500 ? r : 0;
        return eddyi_http_response_refuse(x, status, NULL);
    }
    return r;
}
