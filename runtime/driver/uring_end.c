/* SPDX-License-Identifier: Apache-2.0 */
/* How operations end: by their completions, by a cancel, or because completions were lost. */
#include <eddy/runtime/driver/uring_impl.h>

#include <errno.h>
#include <poll.h>

#include <eddy/runtime/driver/epoll_impl.h>

static uint64_t address_of(const struct eddyi_op *op) {
    return (uint64_t)(uintptr_t)op;
}

/* ---- the end --------------------------------------------------------------------------------- */

void eddyi_uring_complete(struct eddyi_op *op, int64_t result) {
    struct eddyi_uring *u = op->loop->driver_state;
    bool held = (op->driver_word & EDDYI_URING_HELD) != 0;
    eddyi_list_remove(&op->in_driver);
    op->driver_word = 0;
    if (EDDYI_UNLIKELY(u->holding)) {
        eddyi_uring_finish_later(u, op, result);
        return;
    }
    if (!held) {
        eddyi_uring_begin_next(u, op);
    }
    eddyi_op_complete(op, result);
}

void eddyi_uring_finish_later(struct eddyi_uring *u, struct eddyi_op *op, int64_t result) {
    op->result = result;
    op->driver_word |= EDDYI_URING_FINISHED;
    eddyi_list_push_back(&u->finished, &op->in_driver);
}

/* Asks once more: for the call itself, or for a poll that comes before it. Not after a cancel. */
static void again(struct eddyi_uring *u, struct eddyi_op *op, uint64_t polling) {
    eddyi_list_remove(&op->in_driver);
    if (op->state == EDDYI_OP_CANCELLING) {
        eddyi_uring_complete(op, -ECANCELED);
        return;
    }
    const uint64_t kept = EDDYI_URING_RETRIED | EDDYI_URING_ERROR_TOLD;
    op->driver_word = polling | (op->driver_word & kept);
    if (polling == 0) {
        op->driver_word |= EDDYI_URING_RETRIED;
        op->tries++;
    }
    eddyi_uring_issue(u, op);
}

/* The poll before a call, or the one that the op is, has ended with `res`. */
static void poll_settled(struct eddyi_uring *u, struct eddyi_op *op, int res) {
    uint64_t polling = op->driver_word & (EDDYI_URING_POLLING | EDDYI_URING_POLL_MULTI);
    int wanted = eddyi_uring_wanted_of(op, res);
    if (op->kind != EDDYI_OP_POLL && res > 0 && (res & (POLLERR | POLLHUP)) != 0) {
        /* If the call does not give it, as one in the queue of MSG_ERRQUEUE, it stays true until
         * somebody takes it from there, and would be reported at once each time, too. */
        op->driver_word |= EDDYI_URING_ERROR_TOLD;
    }
    if (res < 0 && res != -EINTR) {
        eddyi_uring_complete(op, res);
    } else if (wanted == 0) {
        /*
         * Only what the op has not asked for, such as the peer's end, which would be reported at
         * once each time. A multishot poll tells it once, and then when there is news.
         */
        again(u, op, polling | (res > 0 ? EDDYI_URING_POLL_MULTI : 0));
    } else if (op->kind != EDDYI_OP_POLL &&
               (op->handle->kind != EDDYI_HANDLE_POLLABLE || op->state == EDDYI_OP_CANCELLING)) {
        again(u, op, 0);
    } else {
        /* For a poll too: the ring reports the events of a wake-up, which for a socket always have
         * POLLPRI among them, and by now somebody may have taken what was there. */
        int64_t n = op->kind == EDDYI_OP_POLL ? eddyi_uring_poll_now(op)
                                              : eddyi_epoll_try(op->handle, op->handle->fd, op);
        if (n == -EAGAIN) {
            again(u, op, polling);
        } else {
            eddyi_uring_complete(op, n);
        }
    }
}

static void call_settled(struct eddyi_uring *u, struct eddyi_op *op, int res) {
    bool connects = op->kind == EDDYI_OP_CONNECT;
    bool retried = (op->driver_word & EDDYI_URING_RETRIED) != 0;
    if (res == -EINTR) {
        again(u, op, 0);
    } else if (eddyi_uring_is_file(op) && res == -EAGAIN && !retried) {
        again(u, op, 0); /* with a thread of the kernel's */
    } else if (eddyi_uring_is_file(op) && res == -EOPNOTSUPP && op->offset >= 0 &&
               op->state != EDDYI_OP_CANCELLING) {
        /* Some file systems say so to the ring only. */
        eddyi_list_remove(&op->in_driver);
        eddyi_op_offload(op->loop, op);
    } else if (!eddyi_uring_is_file(op) && res == -EAGAIN) {
        again(u, op, EDDYI_URING_POLLING); /* a full socket, or somebody else's O_NONBLOCK */
    } else if (connects && (res == -EINPROGRESS || res == -EALREADY)) {
        op->driver_word |= EDDYI_URING_RETRIED;
        again(u, op, EDDYI_URING_POLLING);
    } else if (connects && res == -EISCONN && retried) {
        eddyi_uring_complete(op, 0); /* the first call has connected it */
    } else if (eddyi_uring_direction_of(op) == EDDYI_URING_IN) {
        eddyi_uring_received(op, res);
        eddyi_uring_complete(op, res);
    } else {
        eddyi_uring_complete(
            op, eddyi_uring_direction_of(op) == EDDYI_URING_OUT ? eddyi_uring_sent(op, res) : res);
    }
}

/* The last completion has come, and the cancel's where one was sent: nothing in the kernel knows
 * the op any more. */
static void settle(struct eddyi_uring *u, struct eddyi_op *op) {
    int res = (int)op->result;
    uint64_t polling = op->driver_word & (EDDYI_URING_POLLING | EDDYI_URING_POLL_MULTI);
    if (EDDYI_UNLIKELY(res == -ECANCELED && u->lost)) {
        again(u, op, polling); /* it was ended with all the others, and nobody had asked for that */
    } else if (polling != 0) {
        poll_settled(u, op, res);
    } else {
        call_settled(u, op, res);
    }
}

/* ---- cancelling ------------------------------------------------------------------------------ */

void eddyi_uring_start_cancel(struct eddyi_uring *u, struct eddyi_op *op,
                              struct io_uring_sqe *sqe) {
    io_uring_prep_cancel64(sqe, address_of(op) | EDDYI_URING_TAG_OP, 0);
    sqe->user_data = address_of(op) | EDDYI_URING_TAG_CANCEL;
    eddyi_list_remove(&op->in_driver);
    eddyi_list_push_back(&u->in_kernel, &op->in_driver);
    op->driver_word &= ~(uint64_t)EDDYI_URING_CANCEL_WANTED;
    op->driver_word |= EDDYI_URING_CANCEL_SENT;
}

/* Has the request of an op that is in the kernel cancelled there. */
static void want_cancel(struct eddyi_uring *u, struct eddyi_op *op) {
    const uint64_t asked = EDDYI_URING_CANCEL_WANTED | EDDYI_URING_CANCEL_SENT | EDDYI_URING_ENDED;
    if ((op->driver_word & asked) != 0) {
        return;
    }
    struct io_uring_sqe *sqe = eddyi_uring_sqe(u, 0);
    if (sqe != NULL) {
        eddyi_uring_start_cancel(u, op, sqe);
    } else {
        op->driver_word |= EDDYI_URING_CANCEL_WANTED;
        eddyi_list_remove(&op->in_driver);
        eddyi_list_push_back(&u->cancels, &op->in_driver);
    }
}

void eddyi_uring_cancel(eddy_loop *loop, struct eddyi_op *op) {
    struct eddyi_uring *u = loop->driver_state;
    const uint64_t ours = EDDYI_URING_PARKED | EDDYI_URING_WAITING | EDDYI_URING_HELD;
    if ((op->driver_word & ours) != 0) {
        eddyi_uring_recv_cancelled(op);
        eddyi_uring_complete(op, -ECANCELED);
    } else if ((op->driver_word & EDDYI_URING_IN_KERNEL) != 0) {
        want_cancel(u, op);
    }
}

void eddyi_uring_cancel_event(struct eddyi_uring *u, struct eddyi_op *op, int res) {
    op->driver_word &= ~(uint64_t)EDDYI_URING_CANCEL_SENT;
    if ((op->driver_word & EDDYI_URING_ENDED) != 0) {
        settle(u, op);
    } else if (res == -ENOENT && !eddyi_uring_is_file(op) && !u->lost) {
        /* It was between two of the kernel's queues, and may go on to wait. What reads a file is
         * not found either, but always ends. */
        want_cancel(u, op);
    }
}

void eddyi_uring_hit_polls(struct eddyi_uring *u, struct eddyi_handle *handle) {
    int events = eddyi_uring_recv_events(handle);
    EDDYI_LIST_EACH(node, &handle->ops) {
        struct eddyi_op *op = EDDYI_LIST_ENTRY(node, struct eddyi_op, in_handle);
        if (op->kind != EDDYI_OP_POLL || (events & (op->flags | POLLERR)) == 0) {
            continue;
        }
        if ((op->driver_word & EDDYI_URING_PARKED) != 0) {
            eddyi_list_remove(&op->in_driver);
            op->driver_word = 0;
            eddyi_uring_finish_later(u, op, eddyi_uring_poll_now(op));
        } else if ((op->driver_word & EDDYI_URING_IN_KERNEL) != 0 &&
                   (op->driver_word & (EDDYI_URING_POLL_HIT | EDDYI_URING_ENDED)) == 0) {
            op->driver_word |= EDDYI_URING_POLL_HIT;
            op->result = events & (op->flags | POLLERR);
            want_cancel(u, op);
        }
    }
}

/* ---- completions ----------------------------------------------------------------------------- */

void eddyi_uring_op_event(struct eddyi_uring *u, struct eddyi_op *op, int res, unsigned flags) {
    EDDYI_URING_ACQUIRE(op);
    if ((flags & IORING_CQE_F_MORE) != 0) {
        int wanted = eddyi_uring_wanted_of(op, res);
        if ((op->driver_word & EDDYI_URING_POLL_HIT) == 0 && wanted != 0) {
            op->driver_word |= EDDYI_URING_POLL_HIT;
            op->result = wanted;
            want_cancel(u, op);
        }
        return;
    }
    if ((op->driver_word & EDDYI_URING_POLL_HIT) != 0) {
        op->result |= eddyi_uring_wanted_of(op, res);
    } else {
        op->result = res;
    }
    op->driver_word |= EDDYI_URING_ENDED;
    op->driver_word &= ~(uint64_t)EDDYI_URING_CANCEL_WANTED;
    if (EDDYI_LIKELY((op->driver_word & EDDYI_URING_CANCEL_SENT) == 0)) {
        settle(u, op);
    }
}

/* Those in `ops` get what they have, or fail: what they have done is not known. */
static void give_up_list(struct eddyi_list *ops) {
    struct eddyi_list list;
    struct eddyi_list *node;
    eddyi_list_init(&list);
    eddyi_list_splice_back(&list, ops);
    while ((node = eddyi_list_pop_front(&list)) != NULL) {
        struct eddyi_op *op = EDDYI_LIST_ENTRY(node, struct eddyi_op, in_driver);
        bool ended = (op->driver_word & EDDYI_URING_ENDED) != 0;
        bool polled = (op->driver_word & EDDYI_URING_POLLING) != 0 && op->kind != EDDYI_OP_POLL;
        eddyi_uring_complete(op, ended && !polled ? op->result : -EIO);
    }
}

void eddyi_uring_give_up_ops(struct eddyi_uring *u) {
    give_up_list(&u->in_kernel);
    give_up_list(&u->cancels);
}
