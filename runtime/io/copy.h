/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From one stream to another, through a buffer that the loop lends.
 *
 *     int r = eddy_stream_copy(peer, file, size);
 *     int r = eddy_stream_copy(peer, peer, EDDY_COPY_ALL);       an echo server
 */
#ifndef EDDY_RUNTIME_IO_COPY_H
#define EDDY_RUNTIME_IO_COPY_H

#include <eddy/runtime/io/stream.h>

EDDY_BEGIN_DECLS

/* As the length of a copy: until `src` ends. */
#define EDDY_COPY_ALL ((int64_t)-1)

/**
 * Copy `len` bytes from `src` to `dst`.
 *
 * Shape:   0 when all have been handed to dst: just `len` bytes, or with EDDY_COPY_ALL everything
 *          until src ended. len 0 is fine. Neither stream is shut down or closed. dst may be src.
 * Owns:    borrows both streams; one buffer while it runs, if any.
 * Errors:  EDDY_EEND src ended before `len` bytes; -ENOMEM; -EINVAL; as eddy_stream_read of src and
 *          eddy_stream_write of dst, which may not be told apart. eddy_stream_count_written of dst
 *          tells how far it got; what src counts beyond that was read and is lost.
 * Threads: fiber, on the loop of both streams.
 * Cancel:  suspends, as eddy_stream_write.
 */
EDDY_API int eddy_stream_copy(eddy_stream *dst, eddy_stream *src, int64_t len);

EDDY_END_DECLS

#endif
