/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving. The first RECV of a stream socket is a request of its own. When it gave little, which
 * is how requests and messages come, the next one arms a multishot receive that stays: the kernel
 * fills buffers of the loop's pool, and their bytes are copied to the RECV that waits, or wait for
 * the next one in the stream's queue.
 *
 *     SINGLE --a small result, and then a RECV--> ARMED: data, data, data ...
 *       ^                                           |
 *       +--- bulk, a large or peeking RECV, no buffers: cancelled; the queue is emptied first ---+
 *
 * At 64 bytes this is the cheapest form there is; for bulk, receiving into the reader's own memory
 * saves the copy. What the socket has given up already must not show: the queue comes first in
 * every receive, poll and attempt, the end or error comes after it, and a send that fails finds the
 * error that the multishot took from the socket.
 */
#include <eddy/runtime/driver/uring_impl.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <eddy/runtime/base/memory_impl.h>

/* Who brings more room than a reader usually does (16 KiB) expects bulk. */
#define LARGE ((size_t)16 * 1024)

/* Buffers in the queue of a stream whose reader is slow, or whose peer sends bulk: then the
 * multishot is cancelled, and the rest stays in the socket, which is what makes the peer wait. One
 * look may bring thirty more. */
#define QUEUED_HIGH 8

/* Small results in a row after which a multishot pays: at first, and once it had to be
 * cancelled. */
#define PATIENCE_FIRST 1
#define PATIENCE_LATER 16

#define NO_BUFFER UINT16_MAX

/* In handle->ready, of which the calls in epoll_try.c use the low bits: a receive gave little. */
#define SMALL_SEEN (UINT32_C(1) << 31)

struct stream {
    struct eddyi_uring_shot shot;
    struct eddyi_list in_dirty; /* in u->dirty from a completion to the end of the reaping */
    struct eddyi_op *waiter;    /* the oldest RECV; others are held behind it */
    uint16_t first;             /* the queue, by the buffers' numbers, or NO_BUFFER */
    uint16_t last;
    uint16_t queued; /* buffers in it */
    uint8_t smalls;  /* small results in a row */
    uint8_t patience;
    bool typed;     /* `multishot` has been looked up */
    bool multishot; /* a stream, and the kernel knows how */
    bool has_end;   /* `end` comes after the queue */
    bool broken;    /* bytes were lost, so the end stays */
    int end;        /* 0, or an error */
};

static struct stream *stream_of(const struct eddyi_handle *handle) {
    struct eddyi_uring_shot *shot = handle->driver_data;
    return shot != NULL && shot->tag == EDDYI_URING_TAG_RECV ? handle->driver_data : NULL;
}

/* Made at the second RECV, for many a connection has only one. NULL without memory, and for what
 * has none. */
static struct stream *find(struct eddyi_uring *u, struct eddyi_handle *handle) {
    if (EDDYI_LIKELY(handle->driver_data != NULL)) {
        return stream_of(handle);
    }
    if ((handle->ready & SMALL_SEEN) == 0 || handle->kind != EDDYI_HANDLE_SOCKET || !u->defers) {
        return NULL;
    }
    struct stream *stream = eddyi_alloc(sizeof *stream);
    if (stream == NULL) {
        return NULL;
    }
    *stream = (struct stream){
        .first = NO_BUFFER, .last = NO_BUFFER, .smalls = 1, .patience = PATIENCE_FIRST};
    if (eddyi_uring_shot_open(u, &stream->shot, EDDYI_URING_TAG_RECV, handle) < 0) {
        eddyi_free(stream);
        return NULL;
    }
    eddyi_list_init(&stream->in_dirty);
    handle->driver_data = stream;
    handle->attached = true;
    return stream;
}

static int flags_of(const struct eddyi_op *op) {
    return op->kind == EDDYI_OP_RECV ? op->flags : 0;
}

/* ---- the queue ------------------------------------------------------------------------------- */

static void put(struct eddyi_uring *u, struct stream *stream, uint16_t id, int len) {
    u->pool->buffers[id] =
        (struct eddyi_uring_buffer){.next = NO_BUFFER, .from = 0, .len = (uint16_t)len};
    if (stream->queued == 0) {
        stream->first = id;
    } else {
        u->pool->buffers[stream->last].next = id;
    }
    stream->last = id;
    stream->queued++;
    u->pool->held++;
}

static void drop_first(struct eddyi_uring *u, struct stream *stream) {
    uint16_t id = stream->first;
    stream->first = u->pool->buffers[id].next;
    stream->queued--;
    u->pool->held--;
    eddyi_uring_recycle(u, id);
}

/* As many bytes as there are and fit. */
static int64_t copy_out(struct eddyi_uring *u, struct stream *stream, char *dst, size_t len,
                        bool peeks) {
    size_t done = 0;
    uint16_t id = stream->first;
    for (unsigned left = stream->queued; left > 0 && done < len; left--) {
        struct eddyi_uring_buffer *buffer = &u->pool->buffers[id];
        uint16_t next = buffer->next;
        size_t n = buffer->len - buffer->from;
        n = n < len - done ? n : len - done;
        memcpy(dst + done, eddyi_uring_buffer(u, id) + buffer->from, n);
        done += n;
        if (!peeks) {
            buffer->from = (uint16_t)(buffer->from + n);
            if (buffer->from == buffer->len) {
                drop_first(u, stream);
            }
        }
        id = next;
    }
    return (int64_t)done;
}

/* What a receive gets from here; there is something. */
static int64_t take(struct eddyi_uring *u, struct stream *stream, const struct eddyi_op *op) {
    bool peeks = (flags_of(op) & MSG_PEEK) != 0;
    if (stream->queued > 0) {
        return copy_out(u, stream, op->buf, op->len, peeks);
    }
    stream->has_end = stream->broken; /* a peek takes an error away too, in the kernel */
    return stream->end;
}

static bool has_something(const struct stream *stream) {
    return stream->queued > 0 || stream->has_end;
}

/* ---- receiving ------------------------------------------------------------------------------- */

static bool may_arm(struct eddyi_uring *u, struct stream *stream) {
    if (!stream->typed) {
        int type = 0;
        socklen_t len = sizeof type;
        stream->typed = true;
        /* Messages keep their bounds only in a receive of their own. */
        stream->multishot =
            getsockopt(stream->shot.handle->fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
            type == SOCK_STREAM;
    }
    return stream->multishot && eddyi_uring_pool_ready(u);
}

static void no_more(struct eddyi_uring *u, struct stream *stream) {
    stream->patience = PATIENCE_LATER;
    stream->smalls = 0;
    eddyi_uring_shot_cancel(u, &stream->shot);
}

bool eddyi_uring_recv(struct eddyi_uring *u, struct eddyi_op *op) {
    struct stream *stream = find(u, op->handle);
    int flags = flags_of(op);
    if (stream == NULL || (flags & (MSG_OOB | MSG_ERRQUEUE)) != 0) {
        return false;
    }
    if (has_something(stream)) {
        eddyi_uring_finish_later(u, op, take(u, stream, op));
        return true;
    }
    bool plain = op->len <= LARGE && (flags & (MSG_PEEK | MSG_TRUNC)) == 0;
    if (!plain) {
        no_more(u, stream);
    }
    if (!stream->shot.armed && !stream->shot.want_arm) {
        if (!plain || stream->smalls < stream->patience || !may_arm(u, stream)) {
            return false;
        }
        eddyi_uring_shot_arm(u, &stream->shot);
    }
    stream->waiter = op;
    op->driver_word |= EDDYI_URING_WAITING;
    return true;
}

void eddyi_uring_recv_cancelled(struct eddyi_op *op) {
    struct stream *stream = stream_of(op->handle);
    if (stream != NULL && stream->waiter == op) {
        stream->waiter = NULL;
    }
}

void eddyi_uring_received(const struct eddyi_op *op, int64_t result) {
    struct stream *stream = stream_of(op->handle);
    if (result <= 0) {
        return;
    }
    bool small = result <= EDDYI_URING_BUFFER_SIZE;
    if (stream == NULL) {
        op->handle->ready |= small ? SMALL_SEEN : 0;
    } else {
        stream->smalls = small ? (uint8_t)(stream->smalls + (stream->smalls < UINT8_MAX)) : 0;
    }
}

int64_t eddyi_uring_recv_attempt(struct eddyi_uring *u, struct eddyi_op *op) {
    struct stream *stream = stream_of(op->handle);
    if (stream == NULL || (flags_of(op) & (MSG_OOB | MSG_ERRQUEUE)) != 0) {
        return EDDYI_URING_ASK_KERNEL;
    }
    if (has_something(stream)) {
        return take(u, stream, op);
    }
    if (!stream->shot.armed) {
        return EDDYI_URING_ASK_KERNEL;
    }
    /*
     * The next bytes may be in a completion already, so the socket must not be asked. As long as
     * the kernel announces nothing there is nothing, which costs no call; else one call brings what
     * has come for all streams.
     */
    if (eddyi_uring_pending(u) || io_uring_cq_ready(&u->ring) > 0) {
        eddyi_uring_look(u);
    }
    return has_something(stream) ? take(u, stream, op) : -EAGAIN;
}

/* ---- completions ----------------------------------------------------------------------------- */

static void end_with(struct stream *stream, int end) {
    if (!stream->has_end) {
        stream->has_end = true;
        stream->end = end;
    }
}

void eddyi_uring_recv_event(struct eddyi_uring *u, struct eddyi_uring_shot *shot, int res,
                            unsigned flags) {
    struct stream *stream = EDDYI_CONTAINER(shot, struct stream, shot);
    if ((flags & IORING_CQE_F_BUFFER) != 0) {
        uint16_t id = (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT);
        if (res > 0) {
            put(u, stream, id, res);
        } else {
            eddyi_uring_recycle(u, id);
        }
    }
    if (!shot->armed && res <= 0) {
        switch (res) {
        case -ECANCELED: /* as we had asked */
        case -ENOBUFS:   /* all buffers are in use: the next receive is single, or finds some */
        case -EINTR:
            break;
        case -EINVAL: /* the kernel does not know how; a receive of its own says what else */
        case -EOPNOTSUPP:
        case -EAGAIN:
            stream->multishot = false;
            break;
        default:
            end_with(stream, res);
            break;
        }
    }
    if (!eddyi_list_linked(&stream->in_dirty)) {
        eddyi_list_push_back(&u->dirty, &stream->in_dirty);
    }
}

void eddyi_uring_recv_lost(struct eddyi_uring *u, struct eddyi_uring_shot *shot) {
    struct stream *stream = EDDYI_CONTAINER(shot, struct stream, shot);
    stream->broken = true;
    end_with(stream, -EIO);
    eddyi_uring_recv_event(u, shot, -ECANCELED, 0);
}

/* All that one look has brought is given out at once: small pieces of one message together. */
static void serve(struct eddyi_uring *u, struct stream *stream) {
    struct eddyi_op *op = stream->waiter;
    if (op != NULL && has_something(stream)) {
        stream->waiter = NULL;
        eddyi_uring_complete(op, take(u, stream, op));
    } else if (op != NULL && !stream->shot.armed && !stream->shot.want_arm) {
        stream->waiter = NULL;
        op->driver_word = 0;
        eddyi_uring_begin(u, op);
    }
    if (has_something(stream)) {
        eddyi_uring_hit_polls(u, stream->shot.handle);
    }
    if (stream->queued >= QUEUED_HIGH) {
        no_more(u, stream);
    }
}

void eddyi_uring_recv_serve(struct eddyi_uring *u) {
    struct eddyi_list *node;
    while (!u->lost && (node = eddyi_list_pop_front(&u->dirty)) != NULL) {
        serve(u, EDDYI_LIST_ENTRY(node, struct stream, in_dirty));
    }
}

/* ---- what others must know of it ------------------------------------------------------------- */

int eddyi_uring_recv_events(const struct eddyi_handle *handle) {
    const struct stream *stream = stream_of(handle);
    if (stream == NULL || !has_something(stream)) {
        return 0;
    }
    return POLLIN | POLLRDNORM | (stream->has_end && stream->end < 0 ? POLLERR : 0);
}

int64_t eddyi_uring_sent(const struct eddyi_op *op, int64_t result) {
    struct stream *stream = stream_of(op->handle);
    if (result == -EPIPE && stream != NULL && stream->has_end && stream->end < 0) {
        /* The socket gives its error to the first who asks, and then -EPIPE and the end. The
         * multishot has asked first, but for nobody. */
        result = stream->end;
        stream->end = stream->broken ? stream->end : 0;
    }
    return result;
}

void eddyi_uring_recv_forget(struct eddyi_uring *u, struct eddyi_handle *handle) {
    struct stream *stream = handle->driver_data;
    EDDY_ASSERT(stream->waiter == NULL);
    eddyi_uring_shot_close(u, &stream->shot);
    eddyi_list_remove(&stream->in_dirty);
    if (stream->queued > 0 && u->loop->pid == getpid()) { /* in a forked child there is no pool */
        while (stream->queued > 0) {
            drop_first(u, stream);
        }
    }
    eddyi_free(stream);
    handle->driver_data = NULL;
    handle->attached = false;
}
