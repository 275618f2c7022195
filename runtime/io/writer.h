/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer: a buffer in front of a stream, so that many small writes become one.
 *
 *     eddy_writer *writer;
 *     int r = eddy_writer_new(peer, NULL, &writer);
 *     if (r == 0) {
 *         r = eddy_writer_printf(writer, "%d items\n", count);
 *     }
 *     for (int i = 0; r == 0 && i < count; i++) {
 *         r = eddy_writer_write_slice(writer, items[i]);
 *     }
 *     if (r == 0) {
 *         r = eddy_writer_flush(writer);            nothing is flushed by itself
 *     }
 *     eddy_writer_free(writer);
 *
 * A buffer that is full is written out, and until the stream has taken it the task waits: that is
 * the back-pressure. After an error what did not go out is still there, and the next flush goes on
 * just behind what did. The buffer is borrowed from the loop while there are bytes in it.
 *
 * One task at a time: a second one gets -EBUSY. Write to the stream itself only while
 * eddy_writer_buffered is 0.
 */
#ifndef EDDY_RUNTIME_IO_WRITER_H
#define EDDY_RUNTIME_IO_WRITER_H

#include <stdarg.h>

#include <eddy/runtime/io/stream.h>

EDDY_BEGIN_DECLS

typedef struct eddy_writer eddy_writer;

typedef struct eddy_writer_opts {
    size_t size;              /* sizeof(eddy_writer_opts), or 0 (runtime/base/api.h) */
    size_t buffer_size_bytes; /* 0: 16 KiB, which is pooled */
} eddy_writer_opts;

/**
 * Make a writer over a stream.
 *
 * Shape:   opts NULL means defaults.
 * Owns:    borrows the stream until eddy_writer_free: close it afterwards. Copies opts.
 * Errors:  -ENOMEM; -EINVAL an option is out of range.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_writer_new(eddy_stream *stream, const eddy_writer_opts *opts,
                             eddy_writer **ret_writer);

/**
 * Free a writer. It flushes nothing: call eddy_writer_flush before. What is buffered is lost, and
 * eddy_writer_buffered says how much that is.
 *
 * Shape:   NULL is fine. No task may be inside one of its calls.
 * Owns:    consumes the writer. The stream stays.
 * Errors:  none; returns NULL.
 * Threads: loop thread, the stream's, before or after the stream is closed.
 * Cancel:  does not suspend.
 */
EDDY_API eddy_writer *eddy_writer_free(eddy_writer *writer);

/**
 * Write all of `len` bytes, to the buffer or through it.
 *
 * Shape:   0 when all have been taken; they reach the stream with the next flush at the latest. len
 *          0 is fine. What does not fit goes out at once, together with what is buffered and
 *          without a copy where the stream gathers.
 * Owns:    borrows src until it returns.
 * Errors:  as eddy_stream_write; -ENOMEM no buffer (nothing was taken); -EBUSY another task uses
 *          the writer. eddy_writer_count tells how much of src was taken.
 * Threads: fiber, on the stream's loop.
 * Cancel:  suspends while the stream takes a full buffer; checked also when it does not.
 */
EDDY_API int eddy_writer_write(eddy_writer *writer, const void *src, size_t len);

/**
 * Write all bytes of a slice.
 *
 * Shape:   as eddy_writer_write.
 * Owns:    as eddy_writer_write.
 * Errors:  as eddy_writer_write.
 * Threads: fiber, on the stream's loop.
 * Cancel:  as eddy_writer_write.
 */
static inline int eddy_writer_write_slice(eddy_writer *writer, eddy_slice slice) {
    return eddy_writer_write(writer, slice.data, slice.len);
}

/**
 * Write text as printf makes it, without its NUL.
 *
 * Shape:   0 when all of it has been taken. Formats as for eddy_buffer_printf. Text that is longer
 *          than the buffer is made in memory of its own first.
 * Owns:    copies.
 * Errors:  as eddy_writer_write; -EINVAL the format is broken; -EOVERFLOW more text than fits an
 *          int.
 * Threads: fiber, on the stream's loop.
 * Cancel:  as eddy_writer_write.
 */
EDDY_API int eddy_writer_printf(eddy_writer *writer, const char *format, ...) EDDY_PRINTF(2, 3);

/**
 * As eddy_writer_printf, for functions that pass their own arguments on.
 *
 * Shape:   as eddy_writer_printf.
 * Owns:    uses args up, as vprintf does.
 * Errors:  as eddy_writer_printf.
 * Threads: fiber, on the stream's loop.
 * Cancel:  as eddy_writer_write.
 */
EDDY_API int eddy_writer_vprintf(eddy_writer *writer, const char *format, va_list args)
    EDDY_PRINTF(2, 0);

/**
 * Hand everything that is buffered to the stream.
 *
 * Shape:   0 when the stream has taken all of it, also when there was nothing.
 * Owns:    gives the buffer back to the loop.
 * Errors:  as eddy_stream_write: what did not go out stays for the next flush. -EBUSY another task
 *          uses the writer.
 * Threads: fiber, on the stream's loop.
 * Cancel:  suspends. Refused by a cancel or a deadline like any other write.
 */
EDDY_API int eddy_writer_flush(eddy_writer *writer);

/**
 * How many bytes wait for a flush.
 *
 * Shape:   at most the size of the buffer.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API size_t eddy_writer_buffered(const eddy_writer *writer);

/**
 * How many bytes the writer has taken since it was made.
 *
 * Shape:   less eddy_writer_buffered: how many the stream has taken.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API uint64_t eddy_writer_count(const eddy_writer *writer);

static inline void eddy_writer_freep(eddy_writer **writer) {
    eddy_writer_free(*writer);
}

EDDY_END_DECLS

#endif
