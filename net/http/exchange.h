/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exchange: one request that a server got, and the response to it. A handler is given one, reads
 * what it wants of the request, and answers:
 *
 *     static int64_t hello(eddy_http_exchange *x, void *arg) {
 *         return eddy_http_respond(x, 200, "text/plain", eddy_slice_of("hello\n"));
 *     }
 *
 * or, with fields of its own or a body that comes in pieces, in this order:
 *
 *     begin --> field, field ... --> body                    all at once, or
 *                                --> stream --> write ...    in pieces
 *
 * The server itself writes Date, Connection, Content-Length and Transfer-Encoding, leaves the body
 * out where there must be none (HEAD, 204, 304), reads what the handler left of the request's body,
 * and answers 500 when the handler failed before it began to send.
 */
#ifndef EDDY_NET_HTTP_EXCHANGE_H
#define EDDY_NET_HTTP_EXCHANGE_H

#include <eddy/net/http/framing.h>
#include <eddy/runtime/base/buffer.h>
#include <eddy/runtime/io/stream.h>

EDDY_BEGIN_DECLS

typedef struct eddy_http_exchange eddy_http_exchange;

/* For eddy_http_response_stream: the length is not known before the end. */
#define EDDY_HTTP_LENGTH_UNKNOWN ((int64_t)-1)

/**
 * The request's head, complete and judged (net/http/head.h).
 *
 * Shape:   never NULL in a handler.
 * Owns:    borrowed, with all its slices, until the handler returns.
 * Errors:  none.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API const eddy_http_head *eddy_http_request_head(const eddy_http_exchange *x);

/**
 * The connection that the request came on: for its addresses, idle limits and counters.
 *
 * Shape:   do not read, write or close it.
 * Owns:    borrowed until the handler returns.
 * Errors:  none.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API eddy_stream *eddy_http_request_peer(const eddy_http_exchange *x);

/**
 * Read some of the request's body, decoded from chunks where it came so.
 *
 * Shape:   returns 1..cap, or 0 at its end (at once, where there is none). The first call sends
 *          "100 Continue" to a client that waits for it.
 * Owns:    borrows dst until it returns.
 * Errors:  EDDY_EHTTP_BODY it ended early or is malformed; EDDY_EHTTP_TOO_LARGE over
 *          body_max_bytes; -ETIMEDOUT the client is too slow; as eddy_stream_read; -EINVAL cap is
 *          0.
 * Threads: fiber, on the connection's loop.
 * Cancel:  suspends, as eddy_stream_read.
 */
EDDY_API int64_t eddy_http_request_read(eddy_http_exchange *x, void *dst, size_t cap);

/**
 * Read the request's whole body, and append it to a buffer.
 *
 * Shape:   returns how many bytes, 0 where there is no body; never more than `limit`. A body that
 *          announces more is not read at all, and its client not told to send it.
 * Owns:    what came is in the buffer, *always*: also on an error.
 * Errors:  EDDY_EHTTP_TOO_LARGE more than `limit`, or over body_max_bytes: a handler that returns
 *          it answers 413; -ENOMEM; -EINVAL buffer is NULL; as eddy_http_request_read.
 * Threads: fiber, on the connection's loop.
 * Cancel:  suspends; what came is in the buffer.
 */
EDDY_API int64_t eddy_http_request_body(eddy_http_exchange *x, size_t limit, eddy_buffer *buffer);

/**
 * Answer with a status and a body: begin, a Content-Type, body.
 *
 * Shape:   status is 200..999; content_type NULL sends none.
 * Owns:    borrows content_type and the bytes until it returns.
 * Errors:  as eddy_http_response_begin, eddy_http_response_field and eddy_http_response_body.
 * Threads: fiber, on the connection's loop.
 * Cancel:  suspends when it writes.
 */
EDDY_API int eddy_http_respond(eddy_http_exchange *x, int status, const char *content_type,
                               eddy_slice body);

/**
 * Begin the response.
 *
 * Shape:   status is 200..999. Nothing is sent yet.
 * Owns:    nothing.
 * Errors:  -EINVAL; -EALREADY it was begun; -ENOMEM.
 * Threads: fiber, on the connection's loop.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_http_response_begin(eddy_http_exchange *x, int status);

/**
 * Add a header field.
 *
 * Shape:   as eddy_http_write_field; several with one name are all sent, in their order.
 * Owns:    copies.
 * Errors:  -EINVAL a name or value that cannot be, or one that the server writes itself (Date,
 *          Connection, Content-Length, Transfer-Encoding); -EPROTO not between begin and body;
 *          -ENOMEM.
 * Threads: fiber, on the connection's loop.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_http_response_field(eddy_http_exchange *x, const char *name, eddy_slice value);

/**
 * Send the whole body, and so the response.
 *
 * Shape:   Content-Length is body.len. A small response may wait in a buffer for the next one, when
 *          the client has sent more than one request.
 * Owns:    borrows the bytes until it returns.
 * Errors:  -EPROTO not begun, or a body was begun; -ENOMEM; as eddy_stream_write.
 * Threads: fiber, on the connection's loop.
 * Cancel:  suspends when it writes.
 */
EDDY_API int eddy_http_response_body(eddy_http_exchange *x, eddy_slice body);

/**
 * Begin a body that comes in pieces.
 *
 * Shape:   length of it in bytes, or EDDY_HTTP_LENGTH_UNKNOWN: chunked, and for an HTTP/1.0 client
 *          until the connection's end.
 * Owns:    nothing.
 * Errors:  -EPROTO; -EINVAL; -ENOMEM.
 * Threads: fiber, on the connection's loop.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_http_response_stream(eddy_http_exchange *x, int64_t length);

/**
 * Whether the client wants the bytes of a body at all: not with HEAD, and not with 204 or 304.
 *
 * Shape:   what is written to a body that is not wanted is counted and dropped.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API bool eddy_http_response_wants_body(const eddy_http_exchange *x);

/**
 * Write the next piece of a body.
 *
 * Shape:   any length. The body ends when the handler returns >= 0.
 * Owns:    borrows the bytes until it returns.
 * Errors:  -EPROTO no body was begun; -EMSGSIZE more than the announced length: nothing is sent;
 *          as eddy_stream_write.
 * Threads: fiber, on the connection's loop.
 * Cancel:  suspends, as eddy_stream_write.
 */
EDDY_API int eddy_http_response_write(eddy_http_exchange *x, const void *data, size_t len);

/**
 * Write `len` bytes of another stream as the next piece of a body of known length, as
 * eddy_stream_copy does. Little goes out together with the head.
 *
 * Shape:   len bytes from where the source is.
 * Owns:    borrows the source until it returns.
 * Errors:  as eddy_http_response_write and eddy_stream_copy; EDDY_EEND the source was shorter: the
 *          response is a 500 if nothing of it has gone out, else the connection is closed.
 * Threads: fiber, on the connection's loop.
 * Cancel:  suspends.
 */
EDDY_API int eddy_http_response_copy(eddy_http_exchange *x, eddy_stream *source, int64_t len);

/**
 * End the connection after this response.
 *
 * Shape:   before body or stream, so that the client is told.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API void eddy_http_response_close(eddy_http_exchange *x);

/**
 * The status that was, or will be, sent.
 *
 * Shape:   0 before begin.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_http_response_status(const eddy_http_exchange *x);

/**
 * What kept the handler from answering, for on_response (net/http/server.h).
 *
 * Shape:   what the handler returned when that was negative, whatever was sent then; -EPROTO when
 *          it returned without an answer; EDDY_EHTTP_RESPONSE when its body was shorter than
 *          announced; else 0, also where a request was refused before a handler saw it.
 * Owns:    nothing.
 * Errors:  none of its own.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int64_t eddy_http_response_error(const eddy_http_exchange *x);

/**
 * How many bytes of body have been written, those that were dropped for HEAD not counted.
 *
 * Shape:   without heads and chunk lines.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int64_t eddy_http_response_count(const eddy_http_exchange *x);

EDDY_END_DECLS

#endif
