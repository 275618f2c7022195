/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/io/stream_impl.h>

#include <stdio.h>

void eddyi_stream_init(eddy_stream *stream, const struct eddyi_stream_class *class,
                       eddy_loop *loop) {
    *stream = (eddy_stream){.class = class, .loop = loop};
}

/* ---- who may come in ------------------------------------------------------------------------- */

int eddyi_stream_check(const eddy_stream *stream) {
    if (stream->loop != eddyi_loop_here) {
        return eddyi_loop_here == NULL ? EDDY_ENOTASK : EDDY_EWRONGLOOP;
    }
    if (EDDYI_UNLIKELY(stream->loop->forked)) {
        return EDDY_EFORKED;
    }
    return stream->closing ? EDDY_ECLOSED : 0;
}

int eddyi_stream_enter(eddy_stream *stream, bool *busy) {
    eddy_task *task;
    if (EDDYI_UNLIKELY(stream->loop != eddyi_loop_here)) {
        return eddyi_loop_here == NULL ? EDDY_ENOTASK : EDDY_EWRONGLOOP;
    }
    if (EDDYI_UNLIKELY(*busy || stream->closing)) {
        /* Not inside: after the checkpoint the stream may be gone. */
        int refusal = stream->closing ? EDDY_ECLOSED : -EBUSY;
        int r = eddyi_task_enter(&task);
        return r < 0 ? r : refusal;
    }
    *busy = true;
    int r = eddyi_task_enter(&task);
    if (EDDYI_LIKELY(r == 0 && !stream->closing)) {
        return 0;
    }
    eddyi_stream_leave(stream, busy);
    return r < 0 ? r : EDDY_ECLOSED;
}

/* ---- one read, one write --------------------------------------------------------------------- */

int64_t eddyi_stream_read_inside(eddy_stream *stream, void *dst, size_t cap) {
    eddyi_stream_read_begin(stream);
    int64_t n = stream->class->read(stream, dst, cap);
    return eddyi_stream_read_end(stream, n, eddyi_task_cancelled(eddyi_task_here));
}

/* A kind that took nothing of something would have its callers turn for ever. */
static int64_t moved(int64_t n) {
    return n == 0 ? -EIO : n;
}

int64_t eddyi_stream_write_inside(eddy_stream *stream, const void *src, size_t len) {
    eddyi_stream_write_begin(stream);
    int64_t n = moved(stream->class->write_some(stream, src, len));
    return eddyi_stream_write_end(stream, n, eddyi_task_cancelled(eddyi_task_here));
}

int64_t eddy_stream_read(eddy_stream *stream, void *dst, size_t cap) {
    if (EDDYI_UNLIKELY(stream->class->read == NULL || cap == 0)) {
        return cap == 0 ? -EINVAL : -EBADF;
    }
    int r = eddyi_stream_enter(stream, &stream->reading);
    if (EDDYI_UNLIKELY(r < 0)) {
        return r;
    }
    int64_t n = eddyi_stream_read_inside(stream, dst, cap);
    eddyi_stream_leave(stream, &stream->reading);
    return n;
}

static int read_exact_inside(eddy_stream *stream, char *dst, size_t len) {
    size_t at = 0;
    while (at < len) {
        int64_t n = eddyi_stream_read_inside(stream, dst + at, len - at);
        if (n <= 0) {
            return n == 0 ? EDDY_EEND : (int)n;
        }
        at += (size_t)n;
        int r = at < len ? eddyi_stream_go_on(stream) : 0;
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int eddy_stream_read_exact(eddy_stream *stream, void *dst, size_t len) {
    if (stream->class->read == NULL) {
        return -EBADF;
    }
    int r = eddyi_stream_enter(stream, &stream->reading);
    if (r < 0) {
        return r;
    }
    r = read_exact_inside(stream, dst, len);
    eddyi_stream_leave(stream, &stream->reading);
    return r;
}

int64_t eddy_stream_read_try(eddy_stream *stream, void *dst, size_t cap) {
    int r = eddyi_stream_check(stream);
    if (r < 0) {
        return r;
    }
    if (cap == 0 || stream->class->read_try == NULL) {
        return cap == 0 ? -EINVAL : -EBADF;
    }
    if (stream->reading) {
        return -EBUSY;
    }
    int64_t n = stream->class->read_try(stream, dst, cap);
    if (n > 0) {
        stream->read_count += (uint64_t)n;
    }
    return n;
}

int64_t eddy_stream_write_some(eddy_stream *stream, const void *src, size_t len) {
    if (stream->class->write_some == NULL || len == 0) {
        return len == 0 ? -EINVAL : -EBADF;
    }
    int r = eddyi_stream_enter(stream, &stream->writing);
    if (r < 0) {
        return r;
    }
    int64_t n = eddyi_stream_write_inside(stream, src, len);
    eddyi_stream_leave(stream, &stream->writing);
    return n;
}

int eddyi_stream_write_all_inside(eddy_stream *stream, const void *src, size_t len) {
    size_t at = 0;
    while (at < len) {
        int64_t n = eddyi_stream_write_inside(stream, (const char *)src + at, len - at);
        if (n < 0) {
            return (int)n;
        }
        at += (size_t)n;
        int r = at < len ? eddyi_stream_go_on(stream) : 0;
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int eddy_stream_write(eddy_stream *stream, const void *src, size_t len) {
    if (EDDYI_UNLIKELY(stream->class->write_some == NULL)) {
        return -EBADF;
    }
    int r = eddyi_stream_enter(stream, &stream->writing);
    if (EDDYI_UNLIKELY(r < 0)) {
        return r;
    }
    r = eddyi_stream_write_all_inside(stream, src, len);
    eddyi_stream_leave(stream, &stream->writing);
    return r;
}

/* ---- several slices at once ------------------------------------------------------------------ */

#define SLICES_MAX 64 /* fits a task's stack, and no caller of ours has needed more than four */

static int gather(struct iovec iov[SLICES_MAX], const eddy_slice *slices, size_t count) {
    int used = 0;
    for (size_t i = 0; i < count; i++) {
        if (slices[i].len > 0) {
            iov[used].iov_base = (void *)(uintptr_t)slices[i].data;
            iov[used].iov_len = slices[i].len;
            used++;
        }
    }
    return used;
}

static int64_t writev_inside(eddy_stream *stream, const struct iovec *iov, int count) {
    if (stream->class->writev_some == NULL || count == 1) {
        return eddyi_stream_write_inside(stream, iov->iov_base, iov->iov_len);
    }
    eddyi_stream_write_begin(stream);
    int64_t n = moved(stream->class->writev_some(stream, iov, count));
    return eddyi_stream_write_end(stream, n, eddyi_task_cancelled(eddyi_task_here));
}

int eddyi_stream_write_iov_inside(eddy_stream *stream, struct iovec *iov, int count) {
    while (count > 0) {
        int64_t n = writev_inside(stream, iov, count);
        if (n < 0) {
            return (int)n;
        }
        size_t moved = (size_t)n;
        while (count > 0 && moved >= iov->iov_len) {
            moved -= iov->iov_len;
            iov++;
            count--;
        }
        if (count > 0) {
            iov->iov_base = (char *)iov->iov_base + moved;
            iov->iov_len -= moved;
            int r = eddyi_stream_go_on(stream);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

int eddy_stream_write_slices(eddy_stream *stream, const eddy_slice *slices, size_t count) {
    if (stream->class->write_some == NULL || count > SLICES_MAX) {
        return count > SLICES_MAX ? -EINVAL : -EBADF;
    }
    int r = eddyi_stream_enter(stream, &stream->writing);
    if (r < 0) {
        return r;
    }
    struct iovec iov[SLICES_MAX];
    int used = gather(iov, slices, count);
    r = eddyi_stream_write_iov_inside(stream, iov, used);
    eddyi_stream_leave(stream, &stream->writing);
    return r;
}

int64_t eddy_stream_write_try(eddy_stream *stream, const void *src, size_t len) {
    int r = eddyi_stream_check(stream);
    if (r < 0) {
        return r;
    }
    if (len == 0 || stream->class->write_try == NULL) {
        return len == 0 ? -EINVAL : -EBADF;
    }
    if (stream->writing) {
        return -EBUSY;
    }
    int64_t n = stream->class->write_try(stream, src, len);
    if (n > 0) {
        stream->written_count += (uint64_t)n;
    }
    return n;
}

/* ---- the end --------------------------------------------------------------------------------- */

int eddy_stream_shutdown(eddy_stream *stream) {
    if (eddyi_task_here == NULL) {
        return EDDY_ENOTASK;
    }
    int r = eddyi_stream_check(stream);
    if (r < 0) {
        return r;
    }
    r = stream->class->shutdown == NULL ? -ENOTSUP : stream->class->shutdown(stream);
    eddyi_task_charge(eddyi_task_here);
    return r;
}

static void interrupt(eddy_stream *stream, bool reads, bool writes) {
    if (stream != NULL && stream->class->interrupt != NULL) {
        stream->class->interrupt(stream, reads, writes);
    }
}

int eddy_stream_close(eddy_stream *stream) {
    eddy_task *task = eddyi_task_here;
    if (stream == NULL) {
        return 0;
    }
    if (task == NULL) {
        return EDDY_ENOTASK;
    }
    if (stream->loop != task->loop) {
        return EDDY_EWRONGLOOP;
    }
    if (EDDYI_UNLIKELY(stream->loop->forked)) {
        return EDDY_EFORKED;
    }
    EDDY_ASSERT_SAY(!stream->closing, "a stream is closed twice");
    stream->closing = true;
    eddyi_timer_disarm(stream->loop, &stream->idle);
    if (stream->reading || stream->writing) {
        stream->closer = task;
        interrupt(stream, true, true);
        interrupt(stream->copied_to, false, true);
        interrupt(stream->copied_from, true, false);
        while (stream->reading || stream->writing) {
            struct eddyi_wait wait = {.what = "close"};
            eddyi_task_park(task, &wait);
        }
        stream->closer = NULL;
    }
    eddyi_timer_disarm(stream->loop, &stream->idle);
    eddyi_track_remove(&stream->track);
    return stream->class->close(stream);
}

/* ---- what it knows --------------------------------------------------------------------------- */

uint64_t eddy_stream_count_read(const eddy_stream *stream) {
    return stream->read_count;
}

uint64_t eddy_stream_count_written(const eddy_stream *stream) {
    return stream->written_count;
}

const char *eddy_stream_kind(const eddy_stream *stream) {
    return stream->class->kind;
}

int eddy_stream_fd(const eddy_stream *stream) {
    return stream->class->fd == NULL ? -ENOTSUP : stream->class->fd(stream);
}

int64_t eddyi_stream_seek(int64_t at, int64_t end, int64_t offset, int whence) {
    int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? at : whence == SEEK_END ? end : -1;
    int64_t to;
    if (from < 0 || __builtin_add_overflow(from, offset, &to) || to < 0) {
        return -EINVAL;
    }
    return to;
}
