/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader: a buffer in front of a stream, for protocols that are made of lines and records.
 *
 *     eddy_reader *reader;
 *     int64_t r = eddy_reader_new(peer, NULL, &reader);
 *     eddy_slice line;
 *     while (r >= 0 && (r = eddy_reader_line(reader, 8192, &line)) > 0) {
 *         printf("%.*s\n", (int)line.len, line.data);
 *     }
 *     eddy_reader_free(reader);
 *
 * Whatever has no length of its own has a limit, so that no peer decides how much memory it gets. A
 * call that promises a whole thing and cannot deliver it (a limit, a cancel, an early end) consumes
 * nothing: the bytes are still there for the next call. Only eddy_reader_exactly and _all, which
 * write to the caller's memory, keep what came.
 *
 * A slice points into the reader's buffer and is valid until the next call on the reader. The
 * buffer is borrowed from the loop while there are bytes in it; a reader that waits holds none.
 *
 * One task at a time: a second one gets -EBUSY. Read from the stream itself only while
 * eddy_reader_buffered is 0.
 */
#ifndef EDDY_RUNTIME_IO_READER_H
#define EDDY_RUNTIME_IO_READER_H

#include <eddy/runtime/base/buffer.h>
#include <eddy/runtime/io/stream.h>

EDDY_BEGIN_DECLS

typedef struct eddy_reader eddy_reader;

typedef struct eddy_reader_opts {
    size_t size;              /* sizeof(eddy_reader_opts), or 0 (runtime/base/api.h) */
    size_t buffer_size_bytes; /* of one read from the stream; 0: 16 KiB, which is pooled */
} eddy_reader_opts;

/**
 * Make a reader over a stream.
 *
 * Shape:   opts NULL means defaults.
 * Owns:    borrows the stream until eddy_reader_free: close it afterwards. Copies opts.
 * Errors:  -ENOMEM; -EINVAL an option is out of range.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_reader_new(eddy_stream *stream, const eddy_reader_opts *opts,
                             eddy_reader **ret_reader);

/**
 * Free a reader. The stream stays; bytes that were read ahead are lost.
 *
 * Shape:   NULL is fine. No task may be inside one of its calls.
 * Owns:    consumes the reader; slices that it gave are stale.
 * Errors:  none; returns NULL.
 * Threads: loop thread, the stream's, before or after the stream is closed.
 * Cancel:  does not suspend.
 */
EDDY_API eddy_reader *eddy_reader_free(eddy_reader *reader);

/**
 * Read up to `cap` bytes into `dst`, as eddy_stream_read does.
 *
 * Shape:   returns 1..cap, or 0 at the end of the stream. What is buffered comes first and alone.
 * Owns:    borrows dst until it returns.
 * Errors:  as eddy_stream_read; -EBUSY another task uses the reader.
 * Threads: fiber, on the stream's loop.
 * Cancel:  suspends. -ECANCELED or -ETIME only when no byte was consumed.
 */
EDDY_API int64_t eddy_reader_read(eddy_reader *reader, void *dst, size_t cap);

/**
 * Look at the next bytes without consuming them, waiting until there are at least `want`.
 *
 * Shape:   returns how many there are, `want` or more: all that is buffered; 0 at the end of the
 *          stream with nothing left. Asking again for one more than there was costs O(1) a byte.
 *          The buffer grows to `want`, which is the limit here.
 * Owns:    *ret_slice borrows the reader's buffer until the next call.
 * Errors:  EDDY_EEND the stream ended with fewer than `want` (they are still there); -ENOMEM;
 *          -EINVAL want is 0; as eddy_stream_read; -EBUSY another task uses the reader.
 * Threads: fiber, on the stream's loop.
 * Cancel:  suspends; nothing is ever lost.
 */
EDDY_API int64_t eddy_reader_peek(eddy_reader *reader, size_t want, eddy_slice *ret_slice);

/**
 * Consume `len` of the bytes that are buffered: usually those that were just peeked at.
 *
 * Shape:   len is cut to what is buffered. Slices stay valid until the next call that suspends.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API void eddy_reader_consume(eddy_reader *reader, size_t len);

/**
 * Read just `len` bytes into `dst`.
 *
 * Shape:   returns len; 0 when the stream ended before the first of them (or len is 0).
 * Owns:    borrows dst until it returns. Large reads go there without a copy.
 * Errors:  EDDY_EEND the stream ended in between: what came is in dst, and eddy_reader_count tells
 *          how much; as eddy_stream_read; -EBUSY another task uses the reader.
 * Threads: fiber, on the stream's loop.
 * Cancel:  suspends; after -ECANCELED or -ETIME what came is in dst and counted.
 */
EDDY_API int64_t eddy_reader_exactly(eddy_reader *reader, void *dst, size_t len);

/**
 * Read up to and with the next `delimiter`.
 *
 * Shape:   returns 1, the slice ends with the delimiter; 0 at the end of the stream with nothing
 *          left. At most `limit` bytes, delimiter included. Each byte is looked at once.
 * Owns:    consumes the bytes; *ret_slice borrows the reader's buffer until the next call. Borrows
 *          delimiter until it returns.
 * Errors:  EDDY_ELIMIT no delimiter within `limit`; EDDY_EEND the stream ended without one. In both
 *          cases, as with every error, nothing is consumed: eddy_reader_peek shows the bytes.
 *          -ENOMEM; -EINVAL an empty delimiter, or a limit below its length; as eddy_stream_read;
 *          -EBUSY.
 * Threads: fiber, on the stream's loop.
 * Cancel:  suspends; nothing is lost.
 */
EDDY_API int64_t eddy_reader_until(eddy_reader *reader, eddy_slice delimiter, size_t limit,
                                   eddy_slice *ret_slice);

/**
 * Read a line that ends with \n or \r\n, and give it without that.
 *
 * Shape:   returns 1, also for an empty line; 0 at the end of the stream with nothing left. The
 *          line has at most `limit` bytes, its end not counted. Another \r is a byte like any
 *          other.
 * Owns:    consumes the line and its end; *ret_slice borrows the buffer until the next call.
 * Errors:  EDDY_ELIMIT the line is longer; EDDY_EEND the stream ended within it. Nothing is
 *          consumed then. Otherwise as eddy_reader_until.
 * Threads: fiber, on the stream's loop.
 * Cancel:  suspends; nothing is lost.
 */
EDDY_API int64_t eddy_reader_line(eddy_reader *reader, size_t limit, eddy_slice *ret_slice);

/**
 * Read all that comes until the stream ends, and append it to a buffer.
 *
 * Shape:   returns how many bytes, which may be 0; never more than `limit`.
 * Owns:    what came is in the buffer and consumed, *always*: also on an error.
 * Errors:  EDDY_ELIMIT more than `limit` came (limit bytes are in the buffer, the rest is still in
 *          the reader); -ENOMEM; as eddy_stream_read; -EBUSY another task uses the reader.
 * Threads: fiber, on the stream's loop.
 * Cancel:  suspends; what came is in the buffer.
 */
EDDY_API int64_t eddy_reader_all(eddy_reader *reader, size_t limit, eddy_buffer *buffer);

/**
 * How many bytes have been read from the stream and not consumed.
 *
 * Shape:   that many the next eddy_reader_peek gives without waiting.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API size_t eddy_reader_buffered(const eddy_reader *reader);

/**
 * How many bytes have been consumed since the reader was made.
 *
 * Shape:   eddy_stream_count_read of the stream also counts those that are buffered.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API uint64_t eddy_reader_count(const eddy_reader *reader);

static inline void eddy_reader_freep(eddy_reader **reader) {
    eddy_reader_free(*reader);
}

EDDY_END_DECLS

#endif
