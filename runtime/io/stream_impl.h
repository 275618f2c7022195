/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a stream: a class of verbs and what all kinds share. The public calls check task,
 * loop, cancel and that only one task reads and one writes, count bytes, and map an op that was
 * ended by a close to EDDY_ECLOSED; a class only moves bytes.
 */
#ifndef EDDY_RUNTIME_IO_STREAM_IMPL_H
#define EDDY_RUNTIME_IO_STREAM_IMPL_H

#include <sys/uio.h>

#include <eddy/runtime/io/stream.h>
#include <eddy/runtime/task/task_impl.h>

struct eddyi_stream_class {
    const char *kind;
    /* In a task, after its checkpoint. NULL: not readable, not writable. */
    int64_t (*read)(eddy_stream *stream, void *dst, size_t cap);
    int64_t (*write_some)(eddy_stream *stream, const void *src, size_t len);
    /* Gathers, may write less; NULL: the slices go one by one. */
    int64_t (*writev_some)(eddy_stream *stream, const struct iovec *iov, int count);
    /* Never suspend: -EAGAIN. */
    int64_t (*read_try)(eddy_stream *stream, void *dst, size_t cap);
    int64_t (*write_try)(eddy_stream *stream, const void *src, size_t len);
    int (*shutdown)(eddy_stream *stream);  /* NULL: -ENOTSUP */
    /* Asks pending operations to end: a close has begun, or an idle timeout has passed. */
    void (*interrupt)(eddy_stream *stream, bool reads, bool writes);
    /* Nobody is inside any more: gives everything back, the struct included. May suspend. */
    int (*close)(eddy_stream *stream);
    int (*fd)(const eddy_stream *stream);  /* NULL: -ENOTSUP */
};

struct eddy_stream {
    const struct eddyi_stream_class *class;
    eddy_loop *loop;
    void *owner;               /* whoever keeps a record of its own for it (net/serve.c); NULL */
    uint64_t read_count;       /* bytes */
    uint64_t written_count;    /* bytes */
    bool reading;              /* a task, or a started read, is inside a read */
    bool writing;
    bool closing;
    bool read_idle;            /* the idle timer ended the present read: it gives -ETIMEDOUT */
    bool write_idle;
    eddy_task *closer;         /* parked in close until nobody is inside */
    int64_t read_idle_ns;      /* 0: none */
    int64_t write_idle_ns;
    int64_t read_since_ns;     /* when the present read began, or last moved a byte */
    int64_t write_since_ns;
    struct eddyi_timer idle;   /* one for both directions, re-armed lazily: not per call */
};

void eddyi_stream_init(eddy_stream *stream, const struct eddyi_stream_class *class,
                       eddy_loop *loop);

#endif
