/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include <eddy/runtime/base/assert_impl.h>
#include <eddy/runtime/base/buffer.h>
#include <eddy/runtime/base/memory_impl.h>

#define FIRST_CAP 64        /* a line of text; less would only be resized at once */
#define LARGEST PTRDIFF_MAX /* beyond it pointers into the buffer could not be subtracted */

void eddy_buffer_done(eddy_buffer *buffer) {
    if (buffer == NULL) {
        return;
    }
    eddyi_free(buffer->data);
    *buffer = (eddy_buffer){0};
}

int eddy_buffer_reserve(eddy_buffer *buffer, size_t more) {
    EDDY_ASSERT(buffer->len <= buffer->cap);
    if (more <= buffer->cap - buffer->len) {
        return 0;
    }
    if (more > LARGEST - buffer->len) {
        return -EOVERFLOW;
    }
    size_t cap = buffer->cap > LARGEST / 2 ? LARGEST : buffer->cap * 2;
    if (cap < FIRST_CAP) {
        cap = FIRST_CAP;
    }
    if (cap < buffer->len + more) {
        cap = buffer->len + more;
    }
    char *data = eddyi_resize(buffer->data, cap);
    if (data == NULL) {
        return -ENOMEM;
    }
    buffer->data = data;
    buffer->cap = cap;
    return 0;
}

int eddy_buffer_append(eddy_buffer *buffer, const void *data, size_t len) {
    if (len == 0) {
        return 0;
    }
    int r = eddy_buffer_reserve(buffer, len);
    if (r < 0) {
        return r;
    }
    memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
    return 0;
}

int eddy_buffer_append_slice(eddy_buffer *buffer, eddy_slice slice) {
    return eddy_buffer_append(buffer, slice.data, slice.len);
}

/* Formats behind the used bytes. Gives the length of the text, also when it did not fit. */
static int64_t format_tail(eddy_buffer *buffer, const char *format, va_list args) EDDY_PRINTF(2, 0);

static int64_t format_tail(eddy_buffer *buffer, const char *format, va_list args) {
    size_t room = buffer->cap - buffer->len;
    int n = vsnprintf(room == 0 ? NULL : buffer->data + buffer->len, room, format, args);
    if (n >= 0) {
        return n;
    }
    switch (errno) {
    case EOVERFLOW: /* more than INT_MAX bytes of text */
    case ENOMEM:    /* the C library wanted memory for a wide precision */
        return -errno;
    default: /* EILSEQ, EINVAL: no such conversion, or a wide character that has no bytes */
        return -EINVAL;
    }
}

int eddy_buffer_printf(eddy_buffer *buffer, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int64_t n = format_tail(buffer, format, args);
    va_end(args);
    if (n < 0) {
        return (int)n;
    }
    if ((size_t)n >= buffer->cap - buffer->len) {
        /* One more than the text, for the NUL that vsnprintf insists on. */
        int r = eddy_buffer_reserve(buffer, (size_t)n + 1);
        if (r < 0) {
            return r;
        }
        va_start(args, format);
        n = format_tail(buffer, format, args);
        va_end(args);
        if (n < 0) {
            return (int)n;
        }
        /* Longer the second time: somebody changed an argument in between. */
        EDDY_ASSERT((size_t)n < buffer->cap - buffer->len);
    }
    buffer->len += (size_t)n;
    return 0;
}

void eddy_buffer_consume(eddy_buffer *buffer, size_t len) {
    if (len >= buffer->len) {
        buffer->len = 0;
        return;
    }
    if (len > 0) {
        buffer->len -= len;
        memmove(buffer->data, buffer->data + len, buffer->len);
    }
}

const char *eddy_buffer_text(eddy_buffer *buffer) {
    if (eddy_buffer_reserve(buffer, 1) < 0) {
        return NULL;
    }
    buffer->data[buffer->len] = '\0';
    return buffer->data;
}
