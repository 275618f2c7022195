/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idle timeouts: one timer a stream for both directions, and no work for it in a call that finds it
 * armed early enough. It fires at the deadline of some earlier call; most times the stream has
 * moved since, and the timer only goes to where it belongs now.
 */
#include <eddy/runtime/io/stream_impl.h>

/* When the direction's limit passes, or EDDY_NEVER while nobody waits in it. */
static int64_t deadline(bool busy, int64_t since_ns, int64_t limit_ns) {
    int64_t at_ns;
    if (!busy || limit_ns == 0 || __builtin_add_overflow(since_ns, limit_ns, &at_ns)) {
        return EDDY_NEVER;
    }
    return at_ns;
}

static int64_t read_deadline(const eddy_stream *stream) {
    return deadline(stream->reading, stream->read_since_ns, stream->read_idle_ns);
}

static int64_t write_deadline(const eddy_stream *stream) {
    return deadline(stream->writing, stream->write_since_ns, stream->write_idle_ns);
}

static void arm(eddy_stream *stream) {
    int64_t read_ns = read_deadline(stream);
    int64_t write_ns = write_deadline(stream);
    eddyi_timer_arm(stream->loop, &stream->idle, read_ns < write_ns ? read_ns : write_ns);
}

static void fire(struct eddyi_timer *timer) {
    eddy_stream *stream = EDDYI_CONTAINER(timer, eddy_stream, idle);
    int64_t now_ns = stream->loop->now_ns;
    bool reads = read_deadline(stream) <= now_ns;
    bool writes = write_deadline(stream) <= now_ns;
    if (reads || writes) {
        stream->read_idle |= reads;
        stream->write_idle |= writes;
        stream->class->interrupt(stream, reads, writes);
        /* What has been asked to end is not asked again at once, should it take its time. */
        stream->read_since_ns = reads ? now_ns : stream->read_since_ns;
        stream->write_since_ns = writes ? now_ns : stream->write_since_ns;
    }
    arm(stream);
}

/* The turn's own clock would not do: it stands still where a task computes for long, and while no
 * timer is armed at all. */
void eddyi_stream_idle_note(eddy_stream *stream, int64_t limit_ns, int64_t *since_ns) {
    *since_ns = eddyi_loop_clock(stream->loop);
    if (!eddyi_timer_is_armed(&stream->idle) || stream->idle.deadline_ns - limit_ns > *since_ns) {
        arm(stream);
    }
}

int eddy_stream_idle_set(eddy_stream *stream, int64_t read_ns, int64_t write_ns) {
    int r = eddyi_stream_check(stream);
    if (r < 0) {
        return r;
    }
    if (read_ns < 0 || write_ns < 0) {
        return -EINVAL;
    }
    if (stream->class->interrupt == NULL) {
        return -ENOTSUP;
    }
    stream->idle.fire = fire;
    stream->read_idle_ns = read_ns == EDDY_NEVER ? 0 : read_ns;
    stream->write_idle_ns = write_ns == EDDY_NEVER ? 0 : write_ns;
    /* For whoever waits already, the time counts from now. */
    stream->read_since_ns = eddyi_loop_clock(stream->loop);
    stream->write_since_ns = stream->read_since_ns;
    arm(stream);
    return 0;
}
