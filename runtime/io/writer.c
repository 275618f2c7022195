/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     data          start          end            cap
 *      |  went out   |   buffered   |    room      |
 *
 * `start` is not 0 only after a flush that ended half-way.
 */
#include <eddy/runtime/io/writer.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/base/opts_impl.h>
#include <eddy/runtime/io/stream_impl.h>

#define LARGEST ((size_t)PTRDIFF_MAX)

struct eddy_writer {
    eddy_stream *stream;
    eddy_loop *loop;
    char *data; /* `size` bytes of the loop's pool; NULL while nothing is buffered */
    size_t size;
    size_t start;   /* of what is buffered, in data */
    size_t end;     /* behind it */
    uint64_t count; /* bytes taken from the callers */
    bool busy;      /* a task is inside */
    struct eddyi_track track;
};

int eddy_writer_new(eddy_stream *stream, const eddy_writer_opts *opts, eddy_writer **ret_writer) {
    eddy_writer_opts copy;
    if (stream == NULL || EDDYI_OPTS_READ(&copy, opts, buffer_size_bytes) < 0 ||
        copy.buffer_size_bytes > LARGEST) {
        return -EINVAL;
    }
    eddy_writer *writer = eddyi_zalloc(sizeof *writer);
    if (writer == NULL) {
        return -ENOMEM;
    }
    writer->stream = stream;
    writer->loop = stream->loop;
    writer->size = copy.buffer_size_bytes == 0 ? EDDYI_POOL_BLOCK_BYTES : copy.buffer_size_bytes;
    eddyi_track_add(&writer->track, "writer", NULL, writer->loop, EDDYI_PLACE, NULL);
    *ret_writer = writer;
    return 0;
}

eddy_writer *eddy_writer_free(eddy_writer *writer) {
    if (writer == NULL) {
        return NULL;
    }
    EDDY_ASSERT_SAY(!writer->busy, "a writer is freed while a task waits in it");
    eddyi_pool_put(writer->loop, writer->data, writer->size);
    eddyi_track_remove(&writer->track);
    eddyi_free(writer);
    return NULL;
}

/* ---- who may come in ------------------------------------------------------------------------- */

/* The stream counts as being written for as long as somebody is in here, also while all goes to the
 * buffer: so a close by another task waits for this one, wherever it was let yield. */
static int enter(eddy_writer *writer) {
    if (EDDYI_UNLIKELY(writer->stream->class->write_some == NULL)) {
        return -EBADF;
    }
    int r = eddyi_stream_enter(writer->stream, &writer->stream->writing);
    if (EDDYI_LIKELY(r == 0)) {
        writer->busy = true;
    }
    return r;
}

/* ---- the buffer ------------------------------------------------------------------------------ */

static inline size_t buffered(const eddy_writer *writer) {
    return writer->end - writer->start;
}

static inline size_t room(const eddy_writer *writer) {
    return writer->size - writer->end;
}

static int need_block(eddy_writer *writer) {
    if (EDDYI_UNLIKELY(writer->data == NULL)) {
        writer->data = eddyi_pool_get(writer->loop, writer->size);
    }
    return writer->data == NULL ? -ENOMEM : 0;
}

static void give_block_back(eddy_writer *writer) {
    eddyi_pool_put(writer->loop, writer->data, writer->size);
    writer->data = NULL;
    writer->start = 0;
    writer->end = 0;
}

/* `len` of the buffered bytes went out. */
static void went_out(eddy_writer *writer, size_t len) {
    writer->start += len;
    if (writer->start == writer->end) {
        give_block_back(writer);
    }
}

static int leave(eddy_writer *writer, int result) {
    if (writer->start == writer->end && writer->data != NULL) {
        give_block_back(writer); /* taken for a text that came to nothing */
    }
    writer->busy = false;
    eddyi_stream_leave(writer->stream, &writer->stream->writing);
    return result;
}

static int flush(eddy_writer *writer) {
    size_t len = buffered(writer);
    if (len == 0) {
        return 0;
    }
    uint64_t before = writer->stream->written_count;
    int r = eddyi_stream_write_all_inside(writer->stream, writer->data + writer->start, len);
    went_out(writer, r == 0 ? len : (size_t)(writer->stream->written_count - before));
    return r;
}

int eddy_writer_flush(eddy_writer *writer) {
    int r = enter(writer);
    return r < 0 ? r : leave(writer, flush(writer));
}

/* ---- writing --------------------------------------------------------------------------------- */

static int append(eddy_writer *writer, const void *src, size_t len) {
    int r = need_block(writer);
    if (r == 0) {
        memcpy(writer->data + writer->end, src, len);
        writer->end += len;
        writer->count += len;
    }
    return r;
}

/* What is buffered and what is new, in one write. */
static int write_through(eddy_writer *writer, const void *src, size_t len) {
    size_t old = buffered(writer);
    struct iovec iov[2] = {
        {.iov_base = old == 0 ? NULL : writer->data + writer->start, .iov_len = old},
        {.iov_base = (void *)(uintptr_t)src, .iov_len = len},
    };
    uint64_t before = writer->stream->written_count;
    int r = old == 0 ? eddyi_stream_write_all_inside(writer->stream, src, len)
                     : eddyi_stream_write_iov_inside(writer->stream, iov, 2);
    size_t moved = r == 0 ? old + len : (size_t)(writer->stream->written_count - before);
    writer->count += moved > old ? moved - old : 0;
    if (old > 0) {
        went_out(writer, moved < old ? moved : old);
    }
    return r;
}

static int write_all(eddy_writer *writer, const void *src, size_t len) {
    if (len == 0) {
        return 0;
    }
    if (EDDYI_LIKELY(len <= room(writer))) {
        return append(writer, src, len);
    }
    /* A stream that does not gather makes a write of each slice (of TLS: a record), so little is
     * better copied to the next buffer. */
    if (writer->stream->class->writev_some == NULL && len < writer->size) {
        int r = flush(writer);
        return r < 0 ? r : append(writer, src, len);
    }
    return write_through(writer, src, len);
}

int eddy_writer_write(eddy_writer *writer, const void *src, size_t len) {
    int r = enter(writer);
    return r < 0 ? r : leave(writer, write_all(writer, src, len));
}

/* Formats behind what is buffered. Gives the length of the text, and takes it when it fits. */
static int64_t format_to_room(eddy_writer *writer, const char *format, va_list args)
    EDDY_PRINTF(2, 0);

static int64_t format_to_room(eddy_writer *writer, const char *format, va_list args) {
    int r = need_block(writer);
    if (r < 0) {
        return r;
    }
    va_list copy;
    va_copy(copy, args);
    int n = vsnprintf(writer->data + writer->end, room(writer), format, copy);
    va_end(copy);
    if (n < 0) {
        /* EOVERFLOW: more than INT_MAX bytes of text; ENOMEM: the C library wanted memory for a
         * wide precision; else: no such conversion, or a wide character that has no bytes. */
        return errno == EOVERFLOW || errno == ENOMEM ? -errno : -EINVAL;
    }
    if ((size_t)n < room(writer)) {
        writer->end += (size_t)n;
        writer->count += (uint64_t)n;
    }
    return n;
}

/* Text that does not fit even an empty buffer, with the NUL that vsnprintf insists on. */
static int write_long(eddy_writer *writer, size_t len, const char *format, va_list args)
    EDDY_PRINTF(3, 0);

static int write_long(eddy_writer *writer, size_t len, const char *format, va_list args) {
    char *text = eddyi_alloc(len + 1);
    if (text == NULL) {
        return -ENOMEM;
    }
    /* Should an argument have changed meanwhile, the text is cut, never read beyond its end. */
    int n = vsnprintf(text, len + 1, format, args);
    int r = n < 0 ? -EINVAL : write_all(writer, text, (size_t)n < len ? (size_t)n : len);
    eddyi_free(text);
    return r;
}

static int write_formatted(eddy_writer *writer, const char *format, va_list args) EDDY_PRINTF(2, 0);

static int write_formatted(eddy_writer *writer, const char *format, va_list args) {
    size_t before = room(writer);
    int64_t n = format_to_room(writer, format, args);
    if (n < 0 || (size_t)n < before) {
        return n < 0 ? (int)n : 0;
    }
    if ((size_t)n >= writer->size) {
        return write_long(writer, (size_t)n, format, args);
    }
    int r = flush(writer);
    if (r == 0) {
        n = format_to_room(writer, format, args);
        r = n < 0 ? (int)n : 0;
    }
    return r;
}

int eddy_writer_vprintf(eddy_writer *writer, const char *format, va_list args) {
    int r = enter(writer);
    return r < 0 ? r : leave(writer, write_formatted(writer, format, args));
}

int eddy_writer_printf(eddy_writer *writer, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int r = eddy_writer_vprintf(writer, format, args);
    va_end(args);
    return r;
}

/* ---- what it knows --------------------------------------------------------------------------- */

size_t eddy_writer_buffered(const eddy_writer *writer) {
    return buffered(writer);
}

uint64_t eddy_writer_count(const eddy_writer *writer) {
    return writer->count;
}
