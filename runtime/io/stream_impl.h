/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a stream: a class of verbs and what all kinds share. The public calls check task,
 * loop, cancel and that only one task reads and one writes, count bytes, and say EDDY_ECLOSED or
 * -ETIMEDOUT for what a close or the idle timer has ended; a class only moves bytes.
 *
 * `reading` and `writing` say that somebody is inside, from before the checkpoint (which may let
 * others run) to the end. A close waits until both are false: nobody inside ever finds the stream
 * freed. A read and a write each begin and end so:
 *
 *     enter: task, loop, checkpoint, closing, busy     eddyi_stream_enter
 *       note the time, arm the idle timer              eddyi_stream_read_begin
 *         class->read, class->write_some, ...
 *       what the result means                          eddyi_stream_read_end
 *     leave: a close that waits may go on              eddyi_stream_leave
 */
#ifndef EDDY_RUNTIME_IO_STREAM_IMPL_H
#define EDDY_RUNTIME_IO_STREAM_IMPL_H

#include <sys/uio.h>

#include <eddy/runtime/base/track_impl.h>
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
    /* For kinds whose read and write are each one operation: fills it in for a start, everything
     * but `done` and `waiter`. NULL: a start makes a task. */
    void (*read_op)(eddy_stream *stream, struct eddyi_op *op, void *dst, size_t cap);
    void (*write_op)(eddy_stream *stream, struct eddyi_op *op, const void *src, size_t len);
    int (*shutdown)(eddy_stream *stream); /* NULL: -ENOTSUP */
    /* Asks pending operations to end with -ECANCELED: a close has begun, or an idle timeout has
     * passed. NULL: the kind never waits long. */
    void (*interrupt)(eddy_stream *stream, bool reads, bool writes);
    /* Nobody is inside any more: gives everything back, the struct included. May suspend. */
    int (*close)(eddy_stream *stream);
    int (*fd)(const eddy_stream *stream); /* NULL: -ENOTSUP */
};

struct eddy_stream {
    const struct eddyi_stream_class *class;
    eddy_loop *loop;
    void *owner;            /* whoever keeps a record of its own for it (net/serve.c); NULL */
    uint64_t read_count;    /* bytes */
    uint64_t written_count; /* bytes */
    bool reading;           /* a task, or a started read, is inside a read */
    bool writing;
    bool closing;
    bool read_idle; /* the idle timer ended the present read: it gives -ETIMEDOUT */
    bool write_idle;
    eddy_task *closer;        /* parked in close until nobody is inside */
    eddy_stream *copied_to;   /* who reads is a copy, which may wait to write there; or NULL */
    eddy_stream *copied_from; /* who writes is a copy, which may wait to read there; or NULL */
    int64_t read_idle_ns;     /* 0: none */
    int64_t write_idle_ns;
    int64_t read_since_ns; /* when the present read began, or last moved a byte */
    int64_t write_since_ns;
    struct eddyi_timer idle; /* one for both directions, re-armed lazily: not per call */
    struct eddyi_track track;
};

void eddyi_stream_init(eddy_stream *stream, const struct eddyi_stream_class *class,
                       eddy_loop *loop);

/* The stream is given to the user, by the public function that EDDYI_PLACE has called. Only from
 * then on can it be forgotten; until then whoever makes it sees to its end. */
static inline eddy_stream *eddyi_stream_give(eddy_stream *stream, const void *place) {
    eddyi_track_add(&stream->track, stream->class->kind, "stream", stream->loop, place, NULL);
    return stream;
}

/* Whether a call that does not suspend may use the stream here and now. */
int eddyi_stream_check(const eddy_stream *stream);

/* Into a call that suspends; `busy` is its &reading or &writing, which is true after 0. */
int eddyi_stream_enter(eddy_stream *stream, bool *busy);

/* Out again: the last one out lets a waiting close go on. */
static inline void eddyi_stream_leave(eddy_stream *stream, bool *busy) {
    *busy = false;
    if (EDDYI_UNLIKELY(stream->closer != NULL) && !stream->reading && !stream->writing) {
        eddyi_task_wake(stream->closer);
    }
}

/* Between two parts of a longer call: the checkpoint, and a close by another task, also of the
 * stream whose bytes a copy brings here: what waited was asked to end, and moved a part instead. */
static inline int eddyi_stream_go_on(const eddy_stream *stream) {
    int r = eddyi_task_checkpoint(eddyi_task_here);
    bool closing = stream->closing || (stream->copied_from != NULL && stream->copied_from->closing);
    return r == 0 && EDDYI_UNLIKELY(closing) ? EDDY_ECLOSED : r;
}

/* runtime/io/stream_idle.c: the slow part of the two below. */
void eddyi_stream_idle_note(eddy_stream *stream, int64_t limit_ns, int64_t *since_ns);

static inline void eddyi_stream_read_begin(eddy_stream *stream) {
    stream->read_idle = false;
    if (EDDYI_UNLIKELY(stream->read_idle_ns > 0)) {
        eddyi_stream_idle_note(stream, stream->read_idle_ns, &stream->read_since_ns);
    }
}

static inline void eddyi_stream_write_begin(eddy_stream *stream) {
    stream->write_idle = false;
    if (EDDYI_UNLIKELY(stream->write_idle_ns > 0)) {
        eddyi_stream_idle_note(stream, stream->write_idle_ns, &stream->write_since_ns);
    }
}

/* What the class's result means to the caller: the cancel `code` under which the caller stands (0
 * for none) comes first, then a close, then an idle timeout. */
static inline int64_t eddyi_stream_outcome(const eddy_stream *stream, int64_t r, bool idle,
                                           int code) {
    if (EDDYI_LIKELY(r >= 0)) {
        return r;
    }
    if (code != 0 && (r == -ECANCELED || r == code)) {
        return code;
    }
    if (stream->closing) {
        return EDDY_ECLOSED;
    }
    return r == -ECANCELED && idle ? -ETIMEDOUT : r;
}

/* The ends of a read and of a write: they count what has moved. */
static inline int64_t eddyi_stream_read_end(eddy_stream *stream, int64_t r, int code) {
    stream->read_count += r > 0 ? (uint64_t)r : 0;
    return eddyi_stream_outcome(stream, r, stream->read_idle, code);
}

static inline int64_t eddyi_stream_write_end(eddy_stream *stream, int64_t r, int code) {
    stream->written_count += r > 0 ? (uint64_t)r : 0;
    return eddyi_stream_outcome(stream, r, stream->write_idle, code);
}

/* One read and one write of some, by a task that is inside already. */
int64_t eddyi_stream_read_inside(eddy_stream *stream, void *dst, size_t cap);
int64_t eddyi_stream_write_inside(eddy_stream *stream, const void *src, size_t len);
/* All of it. */
int eddyi_stream_write_all_inside(eddy_stream *stream, const void *src, size_t len);
/* Likewise, of parts that are not empty; uses `iov` up. */
int eddyi_stream_write_iov_inside(eddy_stream *stream, struct iovec *iov, int count);

/* Where a seek from the position `at` leads, in what ends at `end`: or -EINVAL. */
int64_t eddyi_stream_seek(int64_t at, int64_t end, int64_t offset, int whence);

#endif
