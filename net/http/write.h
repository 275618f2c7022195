/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the head of a message. Nothing can be injected: a name that is no token, a value with a
 * line end in it, a target with a space are refused, and then nothing of them is in the buffer.
 *
 *     r = eddy_http_write_status(&out, 200);
 *     r = r < 0 ? r : eddy_http_write_field(&out, "Content-Type", eddy_slice_of("text/plain"));
 *     r = r < 0 ? r : eddy_http_write_number(&out, "Content-Length", size);
 *     r = r < 0 ? r : eddy_http_write_end(&out);
 */
#ifndef EDDY_NET_HTTP_WRITE_H
#define EDDY_NET_HTTP_WRITE_H

#include <eddy/runtime/base/buffer.h>

EDDY_BEGIN_DECLS

/**
 * Append a status line: "HTTP/1.1 200 OK". A server says 1.1 to clients of 1.0 too (RFC 9110 6.2).
 *
 * Shape:   status is 100..999, with the phrase of eddy_http_status_text.
 * Owns:    copies.
 * Errors:  -EINVAL no status; -ENOMEM. Nothing is appended then.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_http_write_status(eddy_buffer *out, int status);

/**
 * Append a request line: "GET /path HTTP/1.1".
 *
 * Shape:   method is a token; target holds only what eddy_http_target_split takes.
 * Owns:    copies.
 * Errors:  -EINVAL a method or target that cannot be; -ENOMEM, -EOVERFLOW. Nothing is appended
 *          then.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_http_write_request(eddy_buffer *out, eddy_slice method, eddy_slice target);

/**
 * Append a field line.
 *
 * Shape:   name is a token; value as eddy_http_is_value has it, may be empty.
 * Owns:    copies.
 * Errors:  -EINVAL a name or value that cannot be; -ENOMEM, -EOVERFLOW. Nothing is appended then.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_http_write_field(eddy_buffer *out, const char *name, eddy_slice value);

/**
 * Append a field line with a number, as Content-Length.
 *
 * Shape:   name is a token; value is not negative.
 * Owns:    copies.
 * Errors:  as eddy_http_write_field.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_http_write_number(eddy_buffer *out, const char *name, int64_t value);

/**
 * Append a field line with a date, as Last-Modified.
 *
 * Shape:   name is a token; unix_s as eddy_http_date_format takes it.
 * Owns:    copies.
 * Errors:  as eddy_http_write_field; -ERANGE the year has not four digits.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_http_write_date(eddy_buffer *out, const char *name, int64_t unix_s);

/**
 * Append the empty line that ends a head.
 *
 * Shape:   what follows in the buffer is the body.
 * Owns:    copies.
 * Errors:  -ENOMEM.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_http_write_end(eddy_buffer *out);

EDDY_END_DECLS

#endif
