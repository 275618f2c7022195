/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A buffer: bytes that grow. A zeroed one is empty and ready, so it needs no init:
 *
 *     EDDY_AUTO(eddy_buffer) out = {0};
 *     int r = eddy_buffer_printf(&out, "%d files", count);
 */
#ifndef EDDY_RUNTIME_BASE_BUFFER_H
#define EDDY_RUNTIME_BASE_BUFFER_H

#include <eddy/runtime/base/slice.h>

EDDY_BEGIN_DECLS

typedef struct eddy_buffer {
    char *data; /* cap bytes from eddy's memory hook, or NULL; not NUL-terminated */
    size_t len; /* bytes used */
    size_t cap; /* bytes available */
} eddy_buffer;

/**
 * Give the buffer's memory back; it is empty and ready again.
 *
 * Shape:   NULL and zeroed buffers are fine.
 * Owns:    frees the bytes.
 * Errors:  none.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API void eddy_buffer_done(eddy_buffer *buffer);

/**
 * Make room for `more` bytes behind the used ones.
 *
 * Shape:   afterwards cap - len >= more; at least doubles the size, so appending is O(1) a byte.
 * Owns:    data may move: slices of it are stale afterwards.
 * Errors:  -ENOMEM, the buffer as it was; -EOVERFLOW the size does not fit.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_buffer_reserve(eddy_buffer *buffer, size_t more);

/**
 * Append `len` bytes.
 *
 * Shape:   data may be NULL when len is 0; it must not point into the buffer itself.
 * Owns:    copies the bytes.
 * Errors:  as eddy_buffer_reserve; on an error nothing is appended.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_buffer_append(eddy_buffer *buffer, const void *data, size_t len);

/**
 * Append the bytes of a slice.
 *
 * Shape:   as eddy_buffer_append.
 * Owns:    copies the bytes.
 * Errors:  as eddy_buffer_append.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_buffer_append_slice(eddy_buffer *buffer, eddy_slice slice);

/**
 * Append text as printf makes it, without its NUL.
 *
 * Shape:   the C library's formats in the "C" sense for integers and strings; %f follows
 *          the locale.
 * Owns:    copies.
 * Errors:  as eddy_buffer_append; -EINVAL the format is broken.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_buffer_printf(eddy_buffer *buffer, const char *format, ...) EDDY_PRINTF(2, 3);

/**
 * Drop the first `len` bytes and move the rest to the front.
 *
 * Shape:   len is cut to what is there. O(rest).
 * Owns:    data stays where it is.
 * Errors:  none.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API void eddy_buffer_consume(eddy_buffer *buffer, size_t len);

/**
 * The used bytes as a C string: puts a NUL behind them, which does not count.
 *
 * Shape:   a NUL among the bytes ends the string early, as always in C.
 * Owns:    the text is the buffer's and stale after its next change.
 * Errors:  NULL when there is no memory for the NUL.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API const char *eddy_buffer_text(eddy_buffer *buffer);

/**
 * The used bytes as a slice.
 *
 * Shape:   empty for an empty buffer.
 * Owns:    borrows the buffer's bytes until its next change.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
static inline eddy_slice eddy_buffer_slice(const eddy_buffer *buffer) {
    eddy_slice slice = {buffer->data, buffer->len};
    return slice;
}

static inline void eddy_buffer_freep(eddy_buffer *buffer) {
    eddy_buffer_done(buffer);
}

EDDY_END_DECLS

#endif
