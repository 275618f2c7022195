/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream: what bytes flow through, whatever is at its other end: a TCP connection, a file, a
 * pipe, memory. All kinds share these verbs; a kind adds what only it has (eddy_tcp_...,
 * eddy_file_...).
 *
 *     char buf[4096];
 *     int64_t n;
 *     while ((n = eddy_stream_read(peer, buf, sizeof buf)) > 0) {
 *         if ((n = eddy_stream_write(peer, buf, (size_t)n)) < 0) {
 *             break;
 *         }
 *     }
 *     eddy_stream_close(peer);
 *
 * A buffer is borrowed until the call returns, and the call returns only when the kernel has let
 * go: one on the stack is safe, after a cancel and after a timeout too.
 *
 * Some or all: a call that moves *some* bytes (read, write_some) returns how many, and if a cancel
 * came at the same moment the next call reports it. A call that promises *all* (write, read_exact)
 * returns 0 only when all moved; otherwise the error, and eddy_stream_count_read and _written tell
 * how far it got.
 *
 * One task may read while another writes. A second reader (or writer) at the same time gets -EBUSY.
 */
#ifndef EDDY_RUNTIME_IO_STREAM_H
#define EDDY_RUNTIME_IO_STREAM_H

#include <eddy/runtime/base/slice.h>
#include <eddy/runtime/task/task.h>

EDDY_BEGIN_DECLS

typedef struct eddy_stream eddy_stream;

/**
 * Read up to `cap` bytes into `dst`, waiting for at least one.
 *
 * Shape:   returns 1..cap, or 0 at the end of the stream (again each time). Short reads are normal.
 * Owns:    borrows dst until it returns. No allocation.
 * Errors:  -ECONNRESET the peer reset it; -ETIMEDOUT the idle timeout (or the network's own)
 *          passed; -EBUSY another task is reading; EDDY_ECLOSED another task closed it; -EBADF not
 *          readable; -EINVAL cap is 0; EDDY_EWRONGLOOP; EDDY_ENOTASK.
 * Threads: fiber, on the stream's loop.
 * Cancel:  suspends. -ECANCELED or -ETIME only when no byte was consumed; the stream stays usable.
 */
EDDY_API int64_t eddy_stream_read(eddy_stream *stream, void *dst, size_t cap);

/**
 * Read just `len` bytes.
 *
 * Shape:   0 when dst is full; len 0 is fine.
 * Owns:    borrows dst until it returns.
 * Errors:  EDDY_EEND the stream ended before (what came is in dst, counted by count_read); as read.
 * Threads: fiber, on the stream's loop.
 * Cancel:  suspends; after -ECANCELED or -ETIME the bytes that came are in dst and counted.
 */
EDDY_API int eddy_stream_read_exact(eddy_stream *stream, void *dst, size_t len);

/**
 * Read what is there without waiting.
 *
 * Shape:   1..cap, 0 at the end of the stream.
 * Owns:    borrows dst until it returns.
 * Errors:  -EAGAIN nothing is there now; otherwise as eddy_stream_read.
 * Threads: loop thread, inside a task or not.
 * Cancel:  does not suspend, and looks at no scope.
 */
EDDY_API int64_t eddy_stream_read_try(eddy_stream *stream, void *dst, size_t cap);

/**
 * Start a read and go on; the future ends with what eddy_stream_read would return.
 *
 * Shape:   as eddy_stream_read; never NULL.
 * Owns:    dst stays borrowed until the future ends. The future belongs to the current scope.
 * Errors:  in the future: as eddy_stream_read, -ENOMEM.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend; cancelling the future ends the read.
 */
EDDY_API eddy_future *eddy_stream_read_start(eddy_stream *stream, void *dst, size_t cap);

/**
 * Write all of `len` bytes.
 *
 * Shape:   0 when all have been handed over (to the kernel, for sockets); len 0 is fine.
 * Owns:    borrows src until it returns.
 * Errors:  -EPIPE or -ECONNRESET the peer is gone; -ETIMEDOUT the idle timeout; -EBUSY another task
 *          is writing; EDDY_ECLOSED; -EBADF not writable; EDDY_EWRONGLOOP; EDDY_ENOTASK. No
 *          SIGPIPE.
 * Threads: fiber, on the stream's loop.
 * Cancel:  suspends; eddy_stream_count_written tells what went out before -ECANCELED or -ETIME.
 */
EDDY_API int eddy_stream_write(eddy_stream *stream, const void *src, size_t len);

/**
 * Write some of `len` bytes, at least one.
 *
 * Shape:   returns 1..len.
 * Owns:    borrows src until it returns.
 * Errors:  as eddy_stream_write; -EINVAL len is 0.
 * Threads: fiber, on the stream's loop.
 * Cancel:  suspends. -ECANCELED or -ETIME only when no byte went out.
 */
EDDY_API int64_t eddy_stream_write_some(eddy_stream *stream, const void *src, size_t len);

/**
 * Write all bytes of several slices, one after another, in as few system calls as the kind allows.
 *
 * Shape:   as eddy_stream_write; count 0 and empty slices are fine; up to 64 slices at once.
 * Owns:    borrows the slices and their bytes until it returns.
 * Errors:  as eddy_stream_write; -EINVAL more than 64 slices.
 * Threads: fiber, on the stream's loop.
 * Cancel:  as eddy_stream_write.
 */
EDDY_API int eddy_stream_write_slices(eddy_stream *stream, const eddy_slice *slices, size_t count);

/**
 * Write without waiting.
 *
 * Shape:   1..len: what fitted.
 * Owns:    borrows src until it returns.
 * Errors:  -EAGAIN nothing fits now; otherwise as eddy_stream_write_some.
 * Threads: loop thread, inside a task or not.
 * Cancel:  does not suspend, and looks at no scope.
 */
EDDY_API int64_t eddy_stream_write_try(eddy_stream *stream, const void *src, size_t len);

/**
 * Start to write all of `len` bytes and go on; the future ends with what eddy_stream_write returns.
 *
 * Shape:   as eddy_stream_write; never NULL.
 * Owns:    src stays borrowed until the future ends. The future belongs to the current scope.
 * Errors:  in the future: as eddy_stream_write, -ENOMEM.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend; cancelling the future ends the write.
 */
EDDY_API eddy_future *eddy_stream_write_start(eddy_stream *stream, const void *src, size_t len);

/**
 * End the writing direction: the peer reads to the end and then sees 0. Reading goes on.
 *
 * Shape:   0; again is fine. Writing afterwards gives -EPIPE.
 * Owns:    nothing.
 * Errors:  -ENOTSUP the kind has no directions (a file); -ENOTCONN; EDDY_ECLOSED; EDDY_EWRONGLOOP.
 * Threads: fiber, on the stream's loop.
 * Cancel:  suspends where a kind must say goodbye (TLS); TCP does not. Not refused by a cancel.
 */
EDDY_API int eddy_stream_shutdown(eddy_stream *stream);

/**
 * Close the stream and free it. Complete when it returns: what other tasks had pending on it, or on
 * a reader, writer or copy over it, has ended (they get EDDY_ECLOSED), the buffers are free, the
 * descriptor and its port are gone.
 *
 * Shape:   NULL is fine. Returns 0, or what the kernel said about late writes (-EIO, -ENOSPC). A
 *          call that begins after the close uses a pointer to nothing, as after free.
 * Owns:    consumes the stream, always. A reader or writer over it stays, to be freed.
 * Errors:  EDDY_EWRONGLOOP, EDDY_ENOTASK (the stream is then not closed).
 * Threads: fiber, on the stream's loop.
 * Cancel:  may suspend; never refused by a cancel or a deadline.
 */
EDDY_API int eddy_stream_close(eddy_stream *stream);

/**
 * Let reads and writes that move nothing for so long fail with -ETIMEDOUT.
 *
 * Shape:   nanoseconds for each direction; 0: no limit. Counts from the last byte that moved, or
 *          the start of the call where that is later; checked to within an eighth of the limit.
 * Owns:    nothing.
 * Errors:  -EINVAL negative; -ENOTSUP a kind that never waits (memory); EDDY_EWRONGLOOP.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_stream_idle_set(eddy_stream *stream, int64_t read_ns, int64_t write_ns);

/**
 * How many bytes have been read from the stream since it was made.
 *
 * Shape:   counts what the calls above returned, bytes of interrupted read_exact calls included.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API uint64_t eddy_stream_count_read(const eddy_stream *stream);

/**
 * How many bytes have been written to the stream since it was made.
 *
 * Shape:   as eddy_stream_count_read.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API uint64_t eddy_stream_count_written(const eddy_stream *stream);

/**
 * What the stream is: "tcp", "file", "memory", ...
 *
 * Shape:   never NULL.
 * Owns:    static.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API const char *eddy_stream_kind(const eddy_stream *stream);

/**
 * The descriptor below the stream.
 *
 * Shape:   for setsockopt and the like. On the sim driver it is no descriptor of the kernel's.
 * Owns:    the stream's: never close it, never change O_NONBLOCK.
 * Errors:  -ENOTSUP the kind has none.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_stream_fd(const eddy_stream *stream);

static inline void eddy_stream_freep(eddy_stream **stream) {
    if (*stream != NULL) {
        eddy_stream_close(*stream);
    }
}

EDDY_END_DECLS

#endif
