/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes that are started: a future with the operation inside for kinds that have one
 * (descriptors), a task for the others. From the start on the stream counts as being read or
 * written, so a close, which waits for whoever is inside, ends what has been started.
 */
#include <eddy/runtime/io/stream_impl.h>

#include <eddy/runtime/base/memory_impl.h>

/* ---- an operation inside a future ------------------------------------------------------------ */

struct started {
    eddy_future base; /* the producer's reference goes with the end */
    struct eddyi_op op;
    struct eddyi_ready again; /* goes on with the rest of a write */
    eddy_stream *stream;
    const char *src; /* write: what is left */
    size_t len;
    int code; /* of a cancel, or 0 */
};

static void finish(struct started *started, int64_t result, bool *busy) {
    eddy_stream *stream = started->stream;
    stream->loop->live--;
    eddyi_stream_leave(stream, busy);
    eddyi_cell_complete(&started->base, result, NULL, 0, NULL);
    eddyi_cell_unref(&started->base);
}

static void read_done(struct eddyi_op *op) {
    struct started *started = EDDYI_CONTAINER(op, struct started, op);
    eddy_stream *stream = started->stream;
    finish(started, eddyi_stream_read_end(stream, op->result, started->code), &stream->reading);
}

static void write_begin(struct started *started) {
    eddyi_stream_write_begin(started->stream);
    started->stream->class->write_op(started->stream, &started->op, started->src, started->len);
    eddyi_op_submit(started->stream->loop, &started->op);
}

static void write_done(struct eddyi_op *op) {
    struct started *started = EDDYI_CONTAINER(op, struct started, op);
    eddy_stream *stream = started->stream;
    int64_t n = op->result == 0 ? -EIO : op->result;
    n = eddyi_stream_write_end(stream, n, started->code);
    if (n < 0) {
        finish(started, n, &stream->writing);
        return;
    }
    started->src += n;
    started->len -= (size_t)n;
    if (started->len == 0) {
        finish(started, 0, &stream->writing);
        return;
    }
    /* Not from here: the driver is in the middle of completing. */
    eddyi_loop_ready(stream->loop, &started->again);
}

static void write_again(struct eddyi_ready *ready) {
    struct started *started = EDDYI_CONTAINER(ready, struct started, again);
    int64_t r = started->code != 0 ? started->code : started->stream->closing ? EDDY_ECLOSED : 0;
    if (r < 0) {
        finish(started, r, &started->stream->writing);
    } else {
        write_begin(started);
    }
}

/* Between two operations of a write there is none to cancel: write_again looks at the code. */
static void cancel_started(eddy_future *cell, int code) {
    struct started *started = EDDYI_CONTAINER(cell, struct started, base);
    started->code = code;
    eddyi_op_cancel(cell->home, &started->op);
}

static void free_started(eddy_future *cell) {
    eddyi_free(EDDYI_CONTAINER(cell, struct started, base));
}

static const struct eddyi_cell_class started_class = {
    .kind = "operation",
    .cancel = cancel_started,
    .free = free_started,
};

/* What a start has in common with a call that suspends, without the checkpoint. */
static int check_start(const eddy_stream *stream, bool busy) {
    int r = eddyi_task_here == NULL ? 0 : eddyi_task_cancelled(eddyi_task_here);
    if (r == 0) {
        r = eddyi_stream_check(stream);
    }
    return r < 0 ? r : busy ? -EBUSY : 0;
}

static struct started *new_started(eddy_stream *stream) {
    struct started *started = eddyi_alloc(sizeof *started);
    if (started == NULL) {
        return NULL;
    }
    eddyi_cell_init(&started->base, &started_class, stream->loop, 2);
    started->again.run = write_again;
    started->op.waiter = NULL;
    started->stream = stream;
    started->code = 0;
    stream->loop->live++;
    return started;
}

/* ---- a task ---------------------------------------------------------------------------------- */

struct call {
    eddy_stream *stream;
    void *dst;
    const void *src;
    size_t len;
};

static int64_t read_in_task(void *arg) {
    struct call *call = arg;
    int64_t r = eddyi_stream_go_on(call->stream);
    if (r == 0) {
        r = eddyi_stream_read_inside(call->stream, call->dst, call->len);
    }
    eddyi_stream_leave(call->stream, &call->stream->reading);
    return r;
}

static int64_t write_in_task(void *arg) {
    struct call *call = arg;
    int r = eddyi_stream_go_on(call->stream);
    if (r == 0) {
        r = eddyi_stream_write_all_inside(call->stream, call->src, call->len);
    }
    eddyi_stream_leave(call->stream, &call->stream->writing);
    return r;
}

/* A task that could not be made has ended when its start returns; one that was made has not yet
 * begun. */
static eddy_future *start_task(eddy_task_fn fn, const struct call *call, bool *busy) {
    eddy_future *future = eddy_task_start(fn, (void *)(uintptr_t)call, sizeof *call);
    *busy = !eddyi_cell_is_done(future);
    return future;
}

/* ---- the calls ------------------------------------------------------------------------------- */

eddy_future *eddy_stream_read_start(eddy_stream *stream, void *dst, size_t cap) {
    int r = check_start(stream, stream->reading);
    if (r == 0 && (cap == 0 || stream->class->read == NULL)) {
        r = cap == 0 ? -EINVAL : -EBADF;
    }
    if (r < 0) {
        return eddyi_scope_own_failed(eddyi_loop_here, r, EDDYI_PLACE);
    }
    if (stream->class->read_op == NULL) {
        struct call call = {.stream = stream, .dst = dst, .len = cap};
        return start_task(read_in_task, &call, &stream->reading);
    }
    struct started *started = new_started(stream);
    if (started == NULL) {
        return eddyi_scope_own_failed(eddyi_loop_here, -ENOMEM, EDDYI_PLACE);
    }
    stream->reading = true;
    eddyi_scope_own(&started->base, EDDYI_PLACE);
    eddyi_stream_read_begin(stream);
    stream->class->read_op(stream, &started->op, dst, cap);
    started->op.done = read_done;
    eddyi_op_submit(stream->loop, &started->op);
    return &started->base;
}

eddy_future *eddy_stream_write_start(eddy_stream *stream, const void *src, size_t len) {
    int r = check_start(stream, stream->writing);
    if (r == 0 && stream->class->write_some == NULL) {
        r = -EBADF;
    }
    if (r < 0) {
        return eddyi_scope_own_failed(eddyi_loop_here, r, EDDYI_PLACE);
    }
    if (stream->class->write_op == NULL) {
        struct call call = {.stream = stream, .src = src, .len = len};
        return start_task(write_in_task, &call, &stream->writing);
    }
    struct started *started = new_started(stream);
    if (started == NULL) {
        return eddyi_scope_own_failed(eddyi_loop_here, -ENOMEM, EDDYI_PLACE);
    }
    stream->writing = true;
    eddyi_scope_own(&started->base, EDDYI_PLACE);
    started->src = src;
    started->len = len;
    started->op.state = EDDYI_OP_NEW;
    started->op.done = write_done;
    if (len == 0) {
        finish(started, 0, &stream->writing);
    } else {
        write_begin(started);
    }
    return &started->base;
}
