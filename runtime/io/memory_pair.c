/* SPDX-License-Identifier: Apache-2.0 */
/*
 *            write            lane[0]             read
 *     end[0] ---------> [ ring of capacity ] ---------> end[1]
 *            read             lane[1]            write
 *            <--------- [ ring of capacity ] <---------
 *
 * Each lane knows the one task that waits to read it and the one that waits to write to it: there
 * are no more, the streams see to that.
 */
#include <eddy/runtime/io/memory.h>

#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/io/stream_impl.h>

/* A task that waits at one side of a lane. */
struct waiting {
    eddy_task *task;  /* or NULL */
    bool interrupted; /* by a close of its own end, or the idle timer */
};

struct lane {
    char *ring;
    size_t start; /* of the bytes in it */
    size_t len;
    bool ended;  /* the writer will write no more: the reader comes to an end */
    bool broken; /* the reader is gone: writing is in vain */
    struct waiting reader;
    struct waiting writer;
};

struct end {
    eddy_stream base;
    struct pair *pair;
    struct lane *in;
    struct lane *out;
};

struct pair {
    struct end ends[2];
    struct lane lanes[2];
    size_t capacity;
    int open; /* ends that are not closed */
    bool reset;
    char rings[]; /* two of them */
};

static struct end *end_of(eddy_stream *stream) {
    return EDDYI_CONTAINER(stream, struct end, base);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void wake(const struct waiting *waiting) {
    if (waiting->task != NULL) {
        eddyi_task_wake(waiting->task);
    }
}

static void interrupt(struct waiting *waiting) {
    if (waiting->task != NULL) {
        waiting->interrupted = true;
        eddyi_task_wake(waiting->task);
    }
}

/* Until something has changed, which the caller then looks at: 0, the cancel's code, or -ECANCELED
 * for an interrupt. */
static int wait_at(struct waiting *waiting, const char *what) {
    eddy_task *task = eddyi_task_here;
    int code = eddyi_task_cancelled(task);
    if (code != 0 || waiting->interrupted) {
        return code != 0 ? code : -ECANCELED;
    }
    struct eddyi_wait wait = {.interrupt = eddyi_wait_wake, .what = what};
    eddyi_task_park(task, &wait);
    return 0;
}

/* ---- moving bytes ---------------------------------------------------------------------------- */

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t take_out(struct lane *lane, size_t capacity, char *dst, size_t cap) {
    size_t len = smaller(lane->len, cap);
    size_t first = smaller(len, capacity - lane->start);
    memcpy(dst, lane->ring + lane->start, first);
    memcpy(dst + first, lane->ring, len - first);
    lane->start = (lane->start + len) % capacity;
    lane->len -= len;
    return len;
}

static size_t put_in(struct lane *lane, size_t capacity, const char *src, size_t size) {
    size_t len = smaller(capacity - lane->len, size);
    size_t at = (lane->start + lane->len) % capacity;
    size_t first = smaller(len, capacity - at);
    memcpy(lane->ring + at, src, first);
    memcpy(lane->ring, src + first, len - first);
    lane->len += len;
    return len;
}

static int64_t pair_read_try(eddy_stream *stream, void *dst, size_t cap) {
    struct end *end = end_of(stream);
    struct lane *lane = end->in;
    if (lane->len > 0) {
        size_t len = take_out(lane, end->pair->capacity, dst, cap);
        wake(&lane->writer);
        return (int64_t)len;
    }
    return end->pair->reset ? -ECONNRESET : lane->ended ? 0 : -EAGAIN;
}

static int64_t pair_write_try(eddy_stream *stream, const void *src, size_t len) {
    struct end *end = end_of(stream);
    struct lane *lane = end->out;
    if (end->pair->reset || lane->ended || lane->broken) {
        return end->pair->reset ? -ECONNRESET : -EPIPE;
    }
    len = put_in(lane, end->pair->capacity, src, len);
    wake(&lane->reader);
    return len == 0 ? -EAGAIN : (int64_t)len;
}

static int64_t pair_read(eddy_stream *stream, void *dst, size_t cap) {
    struct waiting *waiting = &end_of(stream)->in->reader;
    int64_t r = pair_read_try(stream, dst, cap);
    if (r != -EAGAIN) {
        return r;
    }
    *waiting = (struct waiting){.task = eddyi_task_here};
    int stop = 0;
    while (r == -EAGAIN && stop == 0) {
        stop = wait_at(waiting, "read");
        r = pair_read_try(stream, dst, cap);
    }
    waiting->task = NULL;
    return r == -EAGAIN ? stop : r;
}

static int64_t pair_write_some(eddy_stream *stream, const void *src, size_t len) {
    struct waiting *waiting = &end_of(stream)->out->writer;
    int64_t r = pair_write_try(stream, src, len);
    if (r != -EAGAIN) {
        return r;
    }
    *waiting = (struct waiting){.task = eddyi_task_here};
    int stop = 0;
    while (r == -EAGAIN && stop == 0) {
        stop = wait_at(waiting, "write");
        r = pair_write_try(stream, src, len);
    }
    waiting->task = NULL;
    return r == -EAGAIN ? stop : r;
}

/* ---- ending ---------------------------------------------------------------------------------- */

static int pair_shutdown(eddy_stream *stream) {
    struct lane *lane = end_of(stream)->out;
    lane->ended = true;
    wake(&lane->reader);
    wake(&lane->writer);
    return 0;
}

static void pair_interrupt(eddy_stream *stream, bool reads, bool writes) {
    struct end *end = end_of(stream);
    if (reads) {
        interrupt(&end->in->reader);
    }
    if (writes) {
        interrupt(&end->out->writer);
    }
}

static int pair_close(eddy_stream *stream) {
    struct end *end = end_of(stream);
    struct pair *pair = end->pair;
    end->out->ended = true;
    end->in->broken = true;
    wake(&end->out->reader);
    wake(&end->in->writer);
    if (--pair->open == 0) {
        eddyi_free(pair);
    }
    return 0;
}

static const struct eddyi_stream_class pair_class = {
    .kind = "pair",
    .read = pair_read,
    .write_some = pair_write_some,
    .read_try = pair_read_try,
    .write_try = pair_write_try,
    .shutdown = pair_shutdown,
    .interrupt = pair_interrupt,
    .close = pair_close,
};

int eddy_memory_pair(size_t capacity, eddy_stream **ret_a, eddy_stream **ret_b) {
    if (eddyi_loop_here == NULL) {
        return EDDY_ENOTASK;
    }
    if (capacity == 0 || capacity > PTRDIFF_MAX / 4) {
        return -EINVAL;
    }
    struct pair *pair = eddyi_alloc(sizeof *pair + 2 * capacity);
    if (pair == NULL) {
        return -ENOMEM;
    }
    memset(pair, 0, sizeof *pair);
    pair->capacity = capacity;
    pair->open = 2;
    for (size_t i = 0; i < 2; i++) {
        eddyi_stream_init(&pair->ends[i].base, &pair_class, eddyi_loop_here);
        pair->ends[i].pair = pair;
        pair->ends[i].out = &pair->lanes[i];
        pair->ends[i].in = &pair->lanes[1 - i];
        pair->lanes[i].ring = pair->rings + i * capacity;
    }
    *ret_a = eddyi_stream_give(&pair->ends[0].base, EDDYI_PLACE);
    *ret_b = eddyi_stream_give(&pair->ends[1].base, EDDYI_PLACE);
    return 0;
}

int eddy_memory_reset(eddy_stream *stream) {
    if (stream->class != &pair_class) {
        return -ENOTSUP;
    }
    int r = eddyi_stream_check(stream);
    if (r < 0) {
        return r;
    }
    struct pair *pair = end_of(stream)->pair;
    pair->reset = true;
    for (size_t i = 0; i < 2; i++) {
        wake(&pair->lanes[i].reader);
        wake(&pair->lanes[i].writer);
    }
    return 0;
}
