/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/io/stream_impl.h>

void eddyi_stream_init(eddy_stream *stream, const struct eddyi_stream_class *class,
                       eddy_loop *loop) {
    *stream = (eddy_stream){.class = class, .loop = loop};
}

/* ---- who may come in ------------------------------------------------------------------------- */

/* For calls that do not suspend: whether the stream may be used here and now. */
static int check(const eddy_stream *stream) {
    if (stream->loop != eddyi_loop_here) {
        return EDDY_EWRONGLOOP;
    }
    return stream->closing ? EDDY_ECLOSED : 0;
}

/* For calls that do: also a task, its checkpoint, and that nobody else is inside. The stream may
 * have been closed while the checkpoint let others run, so that is looked at last; a stream that
 * was freed meanwhile is the caller's mistake, as with any pointer. */
static int enter(const eddy_stream *stream, const bool *busy) {
    eddy_task *task;
    if (stream->loop != eddyi_loop_here) {
        return eddyi_loop_here == NULL ? EDDY_ENOTASK : EDDY_EWRONGLOOP;
    }
    int r = eddyi_task_enter(&task);
    if (r < 0) {
        return r;
    }
    if (stream->closing) {
        return EDDY_ECLOSED;
    }
    return *busy ? -EBUSY : 0;
}

/* Out again: the last one out lets a waiting close go on. */
static void leave(eddy_stream *stream, bool *busy) {
    *busy = false;
    if (EDDYI_UNLIKELY(stream->closer != NULL) && !stream->reading && !stream->writing) {
        eddyi_task_wake(stream->closer);
    }
}

/* ---- idle timeouts --------------------------------------------------------------------------- */

/* When the direction's limit passes, or EDDY_NEVER while nobody waits in it. */
static int64_t idle_deadline(bool busy, int64_t since_ns, int64_t limit_ns) {
    return busy && limit_ns > 0 ? since_ns + limit_ns : EDDY_NEVER;
}

static void idle_arm(eddy_stream *stream) {
    int64_t read_ns = idle_deadline(stream->reading, stream->read_since_ns, stream->read_idle_ns);
    int64_t write_ns =
        idle_deadline(stream->writing, stream->write_since_ns, stream->write_idle_ns);
    eddyi_timer_arm(stream->loop, &stream->idle, read_ns < write_ns ? read_ns : write_ns);
}

/* Fires at the deadline of some earlier call; most times the stream has moved since, and the timer
 * only goes to where it belongs now. */
static void idle_fire(struct eddyi_timer *timer) {
    eddy_stream *stream = EDDYI_CONTAINER(timer, eddy_stream, idle);
    int64_t now_ns = stream->loop->now_ns;
    bool read_late =
        idle_deadline(stream->reading, stream->read_since_ns, stream->read_idle_ns) <= now_ns;
    bool write_late =
        idle_deadline(stream->writing, stream->write_since_ns, stream->write_idle_ns) <= now_ns;
    stream->read_idle |= read_late;
    stream->write_idle |= write_late;
    if (read_late || write_late) {
        stream->class->interrupt(stream, read_late, write_late);
    }
    if (read_late) {
        stream->read_since_ns = now_ns;
    }
    if (write_late) {
        stream->write_since_ns = now_ns;
    }
    idle_arm(stream);
}

int eddy_stream_idle_set(eddy_stream *stream, int64_t read_ns, int64_t write_ns) {
    int r = check(stream);
    if (r < 0) {
        return r;
    }
    if (read_ns < 0 || write_ns < 0) {
        return -EINVAL;
    }
    if (stream->class->interrupt == NULL) {
        return -ENOTSUP;
    }
    stream->idle.fire = idle_fire;
    stream->read_idle_ns = read_ns == EDDY_NEVER ? 0 : read_ns;
    stream->write_idle_ns = write_ns == EDDY_NEVER ? 0 : write_ns;
    stream->read_since_ns = stream->loop->now_ns;
    stream->write_since_ns = stream->loop->now_ns;
    idle_arm(stream);
    return 0;
}

/* The turn's clock is good enough here and costs nothing. The timer is only armed where none is. */
static void idle_begin(eddy_stream *stream, int64_t limit_ns, int64_t *since_ns, bool *late) {
    *late = false;
    if (limit_ns > 0) {
        *since_ns = stream->loop->now_ns;
        if (!stream->idle.armed) {
            idle_arm(stream);
        }
    }
}

/* ---- one read, one write --------------------------------------------------------------------- */

/* What an operation that moved nothing means to the caller. */
static int64_t outcome(const eddy_stream *stream, int64_t r, bool late) {
    if (r >= 0) {
        return r;
    }
    if (stream->closing) {
        return EDDY_ECLOSED;
    }
    return r == -ECANCELED && late ? -ETIMEDOUT : r;
}

static int64_t read_inside(eddy_stream *stream, void *dst, size_t cap) {
    idle_begin(stream, stream->read_idle_ns, &stream->read_since_ns, &stream->read_idle);
    int64_t n = stream->class->read(stream, dst, cap);
    if (n > 0) {
        stream->read_count += (uint64_t)n;
    }
    return outcome(stream, n, stream->read_idle);
}

int64_t eddy_stream_read(eddy_stream *stream, void *dst, size_t cap) {
    if (EDDYI_UNLIKELY(stream->class->read == NULL || cap == 0)) {
        return cap == 0 ? -EINVAL : -EBADF;
    }
    int r = enter(stream, &stream->reading);
    if (EDDYI_UNLIKELY(r < 0)) {
        return r;
    }
    stream->reading = true;
    int64_t n = read_inside(stream, dst, cap);
    leave(stream, &stream->reading);
    return n;
}

/* Between two parts of a longer call: the checkpoint, and a close by another task. */
static int go_on(const eddy_stream *stream) {
    int r = eddyi_task_checkpoint(eddyi_task_here);
    return r == 0 && stream->closing ? EDDY_ECLOSED : r;
}

static int read_exact_inside(eddy_stream *stream, char *dst, size_t len) {
    size_t at = 0;
    while (at < len) {
        int64_t n = read_inside(stream, dst + at, len - at);
        if (n <= 0) {
            return n == 0 ? EDDY_EEND : (int)n;
        }
        at += (size_t)n;
        int r = at < len ? go_on(stream) : 0;
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
    int r = enter(stream, &stream->reading);
    if (r < 0) {
        return r;
    }
    stream->reading = true;
    r = read_exact_inside(stream, dst, len);
    leave(stream, &stream->reading);
    return r;
}

int64_t eddy_stream_read_try(eddy_stream *stream, void *dst, size_t cap) {
    int r = check(stream);
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

static int64_t write_inside(eddy_stream *stream, const void *src, size_t len) {
    idle_begin(stream, stream->write_idle_ns, &stream->write_since_ns, &stream->write_idle);
    int64_t n = stream->class->write_some(stream, src, len);
    if (n > 0) {
        stream->written_count += (uint64_t)n;
    }
    return outcome(stream, n, stream->write_idle);
}

int64_t eddy_stream_write_some(eddy_stream *stream, const void *src, size_t len) {
    if (stream->class->write_some == NULL || len == 0) {
        return len == 0 ? -EINVAL : -EBADF;
    }
    int r = enter(stream, &stream->writing);
    if (r < 0) {
        return r;
    }
    stream->writing = true;
    int64_t n = write_inside(stream, src, len);
    leave(stream, &stream->writing);
    return n;
}

static int write_all_inside(eddy_stream *stream, const char *src, size_t len) {
    size_t at = 0;
    while (at < len) {
        int64_t n = write_inside(stream, src + at, len - at);
        if (n < 0) {
            return (int)n;
        }
        at += (size_t)n;
        int r = at < len ? go_on(stream) : 0;
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
    int r = enter(stream, &stream->writing);
    if (EDDYI_UNLIKELY(r < 0)) {
        return r;
    }
    stream->writing = true;
    r = write_all_inside(stream, src, len);
    leave(stream, &stream->writing);
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
        return write_inside(stream, iov->iov_base, iov->iov_len);
    }
    idle_begin(stream, stream->write_idle_ns, &stream->write_since_ns, &stream->write_idle);
    int64_t n = stream->class->writev_some(stream, iov, count);
    if (n > 0) {
        stream->written_count += (uint64_t)n;
    }
    return outcome(stream, n, stream->write_idle);
}

static int write_iov_inside(eddy_stream *stream, struct iovec *iov, int count) {
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
            int r = go_on(stream);
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
    int r = enter(stream, &stream->writing);
    if (r < 0) {
        return r;
    }
    struct iovec iov[SLICES_MAX];
    int used = gather(iov, slices, count);
    stream->writing = true;
    r = write_iov_inside(stream, iov, used);
    leave(stream, &stream->writing);
    return r;
}

int64_t eddy_stream_write_try(eddy_stream *stream, const void *src, size_t len) {
    int r = check(stream);
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
    int r = check(stream);
    if (r < 0) {
        return r;
    }
    return stream->class->shutdown == NULL ? -ENOTSUP : stream->class->shutdown(stream);
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
    EDDY_ASSERT_SAY(!stream->closing, "a stream is closed twice");
    stream->closing = true;
    eddyi_timer_disarm(stream->loop, &stream->idle);
    if (stream->reading || stream->writing) {
        stream->closer = task;
        if (stream->class->interrupt != NULL) {
            stream->class->interrupt(stream, true, true);
        }
        while (stream->reading || stream->writing) {
            struct eddyi_wait wait = {.what = "close"};
            eddyi_task_park(task, &wait);
        }
        stream->closer = NULL;
    }
    eddyi_timer_disarm(stream->loop, &stream->idle);
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
