/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EDDY_NET_HTTP_EXCHANGE_IMPL_H
#define EDDY_NET_HTTP_EXCHANGE_IMPL_H

#include <eddy/net/http/chunked.h>
#include <eddy/net/http/date.h>
#include <eddy/net/http/server.h>
#include <eddy/runtime/io/reader.h>

enum eddyi_http_phase {
    EDDYI_HTTP_NOT_BEGUN,
    EDDYI_HTTP_FIELDS, /* between begin and body */
    EDDYI_HTTP_BODY,   /* a streamed body is under way */
    EDDYI_HTTP_SENT,   /* complete, perhaps still in `out` */
};

/* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" */
#define EDDYI_HTTP_DATE_LINE_LEN (EDDY_HTTP_DATE_LEN + 8)

/* One connection; the exchange is the part of it that the handler sees. Lives on the connection's
 * stack; reused from request to request. */
struct eddy_http_exchange {
    eddy_stream *peer;
    eddy_reader *reader;
    eddy_http_opts opts; /* defaults filled in */
    eddy_http_limits limits;
    eddy_buffer out; /* heads and small bodies that have not been written yet */
    uint32_t served; /* requests so far, this one included */
    bool linger;     /* the client may be sending still: close so that it hears the answer */
    int64_t failed;  /* what a handler failed with that was answered with 500; or 0 */
    int64_t date_s;  /* the second that `date_line` says */
    char date_line[EDDYI_HTTP_DATE_LINE_LEN + 1];

    /* The request. */
    eddy_http_head head;
    eddy_http_framing framing;
    eddy_buffer kept_head;     /* the head's bytes where a body follows: the reader moves on */
    eddy_http_chunked chunked; /* where the body is chunked */
    int64_t body_left;         /* SIZED: bytes that are still to come */
    uint64_t body_read;        /* bytes that were given to the handler, or dropped */
    int64_t body_since_ns;     /* when the first byte of it was asked for */
    size_t head_left;          /* bytes of the head that the reader still holds */
    bool body_begun;
    bool body_done;

    /* The response. */
    enum eddyi_http_phase phase;
    size_t begun_at; /* where in `out` it begins: cut off there when the handler fails */
    int status;
    int64_t error; /* what the handler failed with, or 0 */
    bool keep_alive;
    bool no_body;      /* HEAD, 204, 304 */
    bool chunks;       /* the body goes out in chunks */
    bool flushed;      /* some of this response has reached the peer: no going back */
    int64_t announced; /* bytes of body still to come, or EDDY_HTTP_LENGTH_UNKNOWN */
    int64_t written;   /* bytes of body so far */
};

/* Makes `x` ready for the next request on its connection. */
void eddyi_http_request_reset(eddy_http_exchange *x);
/* Whether the client waits to be told to send its body, which it has not been. */
bool eddyi_http_request_is_uninvited(const eddy_http_exchange *x);
/* Drops what the handler left of the body: 0, or an error after which the connection must end. */
int eddyi_http_request_drop_body(eddy_http_exchange *x);

void eddyi_http_response_reset(eddy_http_exchange *x);
/* Writes what is in `out`. */
int eddyi_http_response_flush(eddy_http_exchange *x);
/* The handler has returned `r`: ends the response, or makes it a 500. Negative: cut the line. */
int64_t eddyi_http_response_finish(eddy_http_exchange *x, int64_t r);
/* A complete response without a handler: for what was refused. */
int eddyi_http_response_refuse(eddy_http_exchange *x, int status, const char *why);

#endif
