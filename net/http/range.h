/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a representation (RFC 9110 14): the Range field, the Content-Range field, and the lines
 * that stand between the parts of a multipart/byteranges body. Whether a Range counts at all also
 * depends on the request's method and on If-Range: net/http/condition.h asks both.
 */
#ifndef EDDY_NET_HTTP_RANGE_H
#define EDDY_NET_HTTP_RANGE_H

#include <eddy/runtime/base/buffer.h>

EDDY_BEGIN_DECLS

typedef struct eddy_http_range {
    int64_t from; /* offset of the first byte */
    int64_t len;  /* bytes, at least 1 */
} eddy_http_range;

/* How many ranges one Range may name before any are merged. More is an attack. */
#define EDDY_HTTP_RANGE_SPECS_MAX 200

/**
 * Read the value of Range for a representation of `size` bytes.
 *
 * Shape:   returns how many ranges there are to send: at most cap, within the representation, none
 *          touching another (those that overlap or adjoin are one, at the place of the first), in
 *          the order in which they were asked for. 0: send the whole with status 200, because the
 *          unit is not bytes, the value is malformed, it names too many, or all that it asks for is
 *          the end of nothing (size 0).
 * Owns:    nothing.
 * Errors:  -ERANGE well-formed, but no range of it begins within the representation: answer 416.
 *          -EINVAL size is negative or cap is 0.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int64_t eddy_http_range_parse(eddy_slice value, int64_t size, eddy_http_range *ret_ranges,
                                       size_t cap);

/* "bytes 9223372036854775807-9223372036854775807/9223372036854775807" and a NUL */
#define EDDY_HTTP_CONTENT_RANGE_MAX 66

/**
 * The value of Content-Range for a part: "bytes 0-99/1234"; for a 416, without one: "bytes *"
 * "/1234".
 *
 * Shape:   range NULL gives the second. Writes a NUL too; returns the length without it.
 * Owns:    nothing.
 * Errors:  -EINVAL a negative size, or a range that is empty or not within it.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_http_content_range_format(const eddy_http_range *range, int64_t size,
                                            char ret_text[EDDY_HTTP_CONTENT_RANGE_MAX]);

/**
 * Read the value of Content-Range.
 *
 * Shape:   *ret_size is -1 where the sender does not know it ("bytes 0-4/ *" without the space);
 *          ret_range->len is 0 for the form without a range, that of a 416.
 * Owns:    nothing.
 * Errors:  EDDY_ESYNTAX malformed, another unit, or a range that is not within the size.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_http_content_range_parse(eddy_slice value, eddy_http_range *ret_range,
                                           int64_t *ret_size);

/**
 * Append what stands before the bytes of one part of a multipart/byteranges body.
 *
 * Shape:   boundary is a token of at most 70 bytes that is in none of the parts; type is the media
 *          type of the representation, or empty for none.
 * Owns:    copies.
 * Errors:  -ENOMEM; -EINVAL a boundary, type or range that cannot be. Nothing is appended then.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_http_range_part(eddy_buffer *out, eddy_slice boundary, eddy_slice type,
                                  const eddy_http_range *range, int64_t size);

/**
 * Append what stands after the last part of a multipart/byteranges body.
 *
 * Shape:   boundary as for the parts.
 * Owns:    copies.
 * Errors:  as eddy_http_range_part.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_http_range_end(eddy_buffer *out, eddy_slice boundary);

EDDY_END_DECLS

#endif
