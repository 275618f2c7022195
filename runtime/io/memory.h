/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams in memory, which no kernel has a part in.
 *
 * A *memory stream* is a file that is a buffer: one position, at which reads and writes go on, over
 * bytes that grow. It never waits.
 *
 *     eddy_stream *memory;
 *     int r = eddy_memory_stream_new("some bytes", 10, &memory);
 *
 * A *pair* is two ends of a connection without a socket: what is written to one is read from the
 * other, in both directions, each with a bounded buffer. A writer waits for its reader there as it
 * would on a network: for tests, and for protocols inside of one program.
 *
 *     eddy_stream *client;
 *     eddy_stream *server;
 *     int r = eddy_memory_pair(64 * 1024, &client, &server);
 */
#ifndef EDDY_RUNTIME_IO_MEMORY_H
#define EDDY_RUNTIME_IO_MEMORY_H

#include <eddy/runtime/io/stream.h>

EDDY_BEGIN_DECLS

/**
 * Make a memory stream that holds a copy of `len` bytes, its position at their start.
 *
 * Shape:   len 0 makes an empty one. Its kind is "memory".
 * Owns:    copies the bytes; *ret_stream is closed with eddy_stream_close.
 * Errors:  -ENOMEM; -EINVAL; EDDY_ENOTASK no loop runs on this thread.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_memory_stream_new(const void *data, size_t len, eddy_stream **ret_stream);

/**
 * Move the position of a memory stream.
 *
 * Shape:   returns the new position: `offset` bytes from the start (SEEK_SET), the present position
 *          (SEEK_CUR) or the end (SEEK_END). It may lie behind the end: a read there is at the end
 *          of the stream, a write fills the gap with zeros.
 * Owns:    nothing.
 * Errors:  -EINVAL before the start, or another `whence`; -ESPIPE the stream is none of memory;
 *          EDDY_EWRONGLOOP.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API int64_t eddy_memory_seek(eddy_stream *stream, int64_t offset, int whence);

/**
 * The position of a memory stream.
 *
 * Shape:   in bytes from the start.
 * Owns:    nothing.
 * Errors:  -ESPIPE the stream is none of memory; EDDY_EWRONGLOOP.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API int64_t eddy_memory_tell(eddy_stream *stream);

/**
 * Cut a memory stream to `len` bytes, or fill it up to them with zeros.
 *
 * Shape:   0; the position stays, also behind the end.
 * Owns:    slices from eddy_memory_contents are stale.
 * Errors:  -ENOMEM; -ESPIPE the stream is none of memory; EDDY_EWRONGLOOP.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_memory_truncate(eddy_stream *stream, size_t len);

/**
 * All bytes of a memory stream, wherever its position is.
 *
 * Shape:   0; the slice may be empty.
 * Owns:    *ret_slice borrows the stream's bytes until it is next written, cut or closed.
 * Errors:  -ESPIPE the stream is none of memory; EDDY_EWRONGLOOP.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_memory_contents(eddy_stream *stream, eddy_slice *ret_slice);

/**
 * Make two streams that are connected to each other.
 *
 * Shape:   each direction holds up to `capacity` bytes, at least 1. Their kind is "pair". As with
 *          sockets: eddy_stream_shutdown ends one direction; the peer of a closed end reads what is
 *          left, then 0, and gets -EPIPE when it writes.
 * Owns:    both are closed with eddy_stream_close, in any order.
 * Errors:  -ENOMEM; -EINVAL; EDDY_ENOTASK no loop runs on this thread.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_memory_pair(size_t capacity, eddy_stream **ret_a, eddy_stream **ret_b);

/**
 * Break the connection of a pair, as a TCP reset does.
 *
 * Shape:   0. Afterwards each end reads what had arrived and then gets -ECONNRESET; so does, from
 *          the start, whoever writes. Both are still to be closed.
 * Owns:    nothing.
 * Errors:  -ENOTSUP the stream is none of a pair; EDDY_ECLOSED; EDDY_EWRONGLOOP.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_memory_reset(eddy_stream *stream);

EDDY_END_DECLS

#endif
