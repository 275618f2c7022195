/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/driver/uring_impl.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

/* How often one wait goes round for what is ready already: under DEFER_TASKRUN a call gives about
 * twenty completions, and with a tiny ring every few ops are a round. The rest is for the next
 * wait, so that a fast peer does not keep the loop in here. */
#define ROUNDS_MAX 64

/* When the kernel has no memory for a request, how long to let those in flight end. */
#define NAP_NS EDDY_MS

/* ---- io_uring_enter -------------------------------------------------------------------------- */

static int enter(struct eddyi_uring *u, unsigned submit, unsigned min_complete, unsigned flags,
                 int64_t timeout_ns) {
    if (EDDYI_UNLIKELY(!u->enabled)) {
        eddyi_uring_enable(u);
    }
    if (EDDYI_UNLIKELY(u->fail_enter_times > 0)) {
        u->fail_enter_times--;
        return u->fail_enter;
    }
    u->enters++;
    flags |= u->enter_flags;
    if (timeout_ns == EDDY_NEVER || timeout_ns == 0) {
        return io_uring_enter2(u->ring.enter_ring_fd, submit, min_complete, flags, NULL, _NSIG / 8);
    }
    /* Relative: an absolute one (6.12) would save a reading of the clock, 20 ns of a sleep. */
    struct __kernel_timespec timeout = {
        .tv_sec = timeout_ns / EDDY_S,
        .tv_nsec = timeout_ns % EDDY_S,
    };
    struct io_uring_getevents_arg arg = {
        .sigmask_sz = _NSIG / 8,
        .ts = (uint64_t)(uintptr_t)&timeout,
    };
    return io_uring_enter2(u->ring.enter_ring_fd, submit, min_complete,
                           flags | IORING_ENTER_EXT_ARG, (sigset_t *)(void *)&arg, sizeof arg);
}

/* Shows the kernel the entries that were filled; gives how many it has not taken yet. */
static unsigned publish(struct eddyi_uring *u) {
    struct io_uring_sq *sq = &u->ring.sq;
    io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
    return sq->sqe_tail - *sq->khead;
}

static void give_up(struct eddyi_uring *u);

/* What an error of io_uring_enter asks for; true when operations have ended by that. */
static bool on_error(struct eddyi_uring *u, int error, int64_t timeout_ns) {
    switch (error) {
    case -ETIME: /* the time has passed */
    case -EINTR: /* a signal: the wait ends early */
    case -EBUSY: /* completions must be taken out before more is submitted: they are, next */
        return false;
    case -EAGAIN: /* no memory for a request; something must end first */
    case -ENOMEM:
        if (timeout_ns <= 0 ||
            enter(u, 0, 1, u->wait_flags, timeout_ns < NAP_NS ? timeout_ns : NAP_NS) != -EBADR) {
            return false;
        }
        /* fall through */
    case -EBADR: /* no memory for completions: some were dropped, and it is said once */
        give_up(u);
        return true;
    default:
        EDDY_ASSERT_SAY(error >= 0, "io_uring_enter refuses: was the ring's descriptor closed?");
        return false;
    }
}

/* In the middle of a turn, to get free entries. Completions wait for the turn's end, so no more is
 * submitted than there is room for. */
void eddyi_uring_flush(struct eddyi_uring *u) {
    unsigned ready = io_uring_sq_ready(&u->ring);
    if (ready == 0 || u->since_reap + ready > u->ring.cq.ring_entries) {
        return;
    }
    int r = enter(u, publish(u), 0, 0, 0);
    if (r > 0) {
        u->since_reap += (unsigned)r;
    } else if (r != -EBADR) { /* which only who looks at completions is told */
        (void)on_error(u, r, 0);
    }
}

struct io_uring_sqe *eddyi_uring_sqe(struct eddyi_uring *u, unsigned reserve) {
    if (EDDYI_UNLIKELY(io_uring_sq_space_left(&u->ring) <= reserve || u->lost)) {
        if (u->lost) {
            return NULL; /* nothing goes in while all that is in there is ended */
        }
        eddyi_uring_flush(u);
        if (io_uring_sq_space_left(&u->ring) <= reserve) {
            return NULL;
        }
    }
    return io_uring_get_sqe(&u->ring);
}

/* ---- the waker ------------------------------------------------------------------------------- */

static bool arm_waker(struct eddyi_uring *u) {
    struct io_uring_sqe *sqe = eddyi_uring_sqe(u, 0);
    if (sqe == NULL) {
        return false;
    }
    io_uring_prep_poll_multishot(sqe, u->wake_fd, POLLIN);
    sqe->user_data = EDDYI_URING_TAG_WAKE;
    u->wake_armed = true;
    return true;
}

static void wake_event(struct eddyi_uring *u, unsigned flags) {
    uint64_t count;
    if ((flags & IORING_CQE_F_MORE) == 0) {
        u->wake_armed = false;
    }
    /* Who wrote has queued before; the loop looks at its queue after the wait. */
    (void)!read(u->wake_fd, &count, sizeof count);
}

static void uring_wake(eddy_loop *loop) {
    struct eddyi_uring *u = loop->driver_state;
    uint64_t one = 1;
    /* It only fails when 2^64 - 2 wakes wait already. */
    (void)!write(u->wake_fd, &one, sizeof one);
}

/* ---- completions ----------------------------------------------------------------------------- */

static void dispatch(struct eddyi_uring *u, uint64_t user_data, int res, unsigned flags) {
    struct eddyi_op *op =
        (struct eddyi_op *)(uintptr_t)(user_data & ~(uint64_t)EDDYI_URING_TAG_MASK);
    switch (user_data & EDDYI_URING_TAG_MASK) {
    case EDDYI_URING_TAG_OP:
        eddyi_uring_op_event(u, op, res, flags);
        break;
    case EDDYI_URING_TAG_CANCEL:
        eddyi_uring_cancel_event(u, op, res);
        break;
    case EDDYI_URING_TAG_WAKE:
        wake_event(u, flags);
        break;
    default:
        eddyi_uring_shot_event(u, user_data, res, flags);
        break;
    }
}

/* Each completion is taken out before it is looked at: what it leads to may submit, and even
 * reap. */
static bool reap(struct eddyi_uring *u) {
    struct io_uring_cq *cq = &u->ring.cq;
    unsigned head = *cq->khead;
    bool some = false;
    while (head != io_uring_smp_load_acquire(cq->ktail)) {
        const struct io_uring_cqe *cqe = &cq->cqes[head & cq->ring_mask];
        uint64_t user_data = cqe->user_data;
        int res = cqe->res;
        unsigned flags = cqe->flags;
        io_uring_smp_store_release(cq->khead, head + 1);
        if (EDDYI_UNLIKELY(u->lose > 0)) {
            u->lose--;
        } else {
            dispatch(u, user_data, res, flags);
        }
        some = true;
        head = *cq->khead;
    }
    u->since_reap = 0;
    eddyi_uring_recv_serve(u);
    return some;
}

bool eddyi_uring_finish(struct eddyi_uring *u) {
    struct eddyi_list finished;
    struct eddyi_list *node;
    if (eddyi_list_empty(&u->finished)) {
        return false;
    }
    eddyi_list_init(&finished);
    eddyi_list_splice_back(&finished, &u->finished);
    while ((node = eddyi_list_pop_front(&finished)) != NULL) {
        struct eddyi_op *op = EDDYI_LIST_ENTRY(node, struct eddyi_op, in_driver);
        eddyi_uring_complete(op, op->result);
    }
    return true;
}

/* ---- the turn -------------------------------------------------------------------------------- */

bool eddyi_uring_fill(struct eddyi_uring *u) {
    struct io_uring_sqe *sqe;
    if (!u->wake_armed && !arm_waker(u)) {
        return false;
    }
    while (!eddyi_list_empty(&u->cancels)) {
        if ((sqe = eddyi_uring_sqe(u, 0)) == NULL) {
            return false;
        }
        eddyi_uring_start_cancel(u, EDDYI_LIST_ENTRY(u->cancels.next, struct eddyi_op, in_driver),
                                 sqe);
    }
    while (!eddyi_list_empty(&u->shots)) {
        if ((sqe = eddyi_uring_sqe(u, 0)) == NULL) {
            return false;
        }
        eddyi_uring_shot_start(u, EDDYI_LIST_ENTRY(u->shots.next, struct eddyi_uring_shot, in_want),
                               sqe);
    }
    while (!eddyi_list_empty(&u->parked)) {
        if ((sqe = eddyi_uring_sqe(u, u->reserve)) == NULL) {
            return false;
        }
        struct eddyi_op *op = EDDYI_LIST_ENTRY(u->parked.next, struct eddyi_op, in_driver);
        eddyi_list_remove(&op->in_driver);
        op->driver_word &= ~(uint64_t)EDDYI_URING_PARKED;
        eddyi_uring_start(u, op, sqe);
    }
    return true;
}

bool eddyi_uring_pending(const struct eddyi_uring *u) {
    unsigned flags = IO_URING_READ_ONCE(*u->ring.sq.kflags);
    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

bool eddyi_uring_turn(struct eddyi_uring *u, int64_t timeout_ns) {
    unsigned submit = publish(u);
    int r = enter(u, submit, timeout_ns > 0 ? 1 : 0, u->wait_flags, timeout_ns);
    bool some = r < 0 && on_error(u, r, timeout_ns);
    return reap(u) || some;
}

void eddyi_uring_look(struct eddyi_uring *u) {
    u->holding = true;
    eddyi_uring_turn(u, 0);
    u->holding = false;
}

/* How long to sleep; 0 once the deadline is past. */
static int64_t time_until(eddy_loop *loop, int64_t deadline_ns) {
    if (deadline_ns == EDDY_NEVER || deadline_ns <= 0) {
        return deadline_ns;
    }
    int64_t left = deadline_ns - eddyi_loop_clock(loop);
    return left > 0 ? left : 0;
}

static void uring_wait(eddy_loop *loop, int64_t deadline_ns) {
    struct eddyi_uring *u = loop->driver_state;
    bool some = eddyi_uring_finish(u);
    bool all_in;
    bool more;
    int rounds = 0;
    do {
        all_in = eddyi_uring_fill(u);
        int64_t timeout_ns = some || !all_in ? 0 : time_until(loop, deadline_ns);
        if (timeout_ns > 0 || io_uring_sq_ready(&u->ring) > 0 || eddyi_uring_pending(u)) {
            some |= eddyi_uring_turn(u, timeout_ns);
        } else {
            some |= reap(u);
        }
        some |= eddyi_uring_finish(u);
        more = !all_in || io_uring_sq_ready(&u->ring) > 0 || eddyi_uring_pending(u);
    } while (more && ++rounds < ROUNDS_MAX);
}

/* ---- when completions are lost --------------------------------------------------------------- */

/* Ends requests in the kernel, and waits for what a thread of the kernel's is at: the one of that
 * user_data, or all that can be ended at once. How many there were. */
static int cancel_now(struct eddyi_uring *u, uint64_t user_data, unsigned flags) {
    struct io_uring_sync_cancel_reg which = {
        .addr = user_data,
        .fd = -1,
        .flags = flags,
        .timeout = {.tv_sec = -1, .tv_nsec = -1},
    };
    return io_uring_register_sync_cancel(&u->ring, &which);
}

/*
 * Until nothing of ours is there any more. One look is not enough: a request that something has
 * just woken is in none of the places where a cancel looks, and may go on to wait; and what reads
 * a file cannot be cancelled, but ends.
 */
static void end_all(struct eddyi_uring *u) {
    bool some;
    do {
        some = cancel_now(u, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL) > 0;
        EDDYI_LIST_EACH(node, &u->in_kernel) {
            const struct eddyi_op *op = EDDYI_LIST_ENTRY(node, struct eddyi_op, in_driver);
            some |= cancel_now(u, (uint64_t)(uintptr_t)op | EDDYI_URING_TAG_OP, 0) >= 0;
        }
        int r = enter(u, 0, 0, u->wait_flags, 0);
        some |= r == -EINTR || r == -EBADR;
        some |= reap(u);
    } while (some || eddyi_uring_pending(u));
}

/* Takes back what has not been handed over: to do so now would need memory. */
static void take_back(struct eddyi_uring *u) {
    struct io_uring_sq *sq = &u->ring.sq;
    unsigned head = *sq->khead;
    unsigned tail = sq->sqe_tail;
    sq->sqe_tail = head;
    (void)publish(u);
    for (; head != tail; head++) {
        dispatch(u, sq->sqes[head & sq->ring_mask].user_data, -ECANCELED, 0);
    }
}

/*
 * The kernel had no memory to note a completion that did not fit into the queue. Which one, nobody
 * can say: so all that is in the kernel is ended there, for its buffers must be free. Whose last
 * completion comes is asked for again; the others have lost theirs, and fail.
 */
static void give_up(struct eddyi_uring *u) {
    u->lost = true;
    take_back(u);
    end_all(u);
    u->lose = 0;
    u->wake_armed = false;
    eddyi_uring_give_up_ops(u);
    u->lost = false;
    eddyi_uring_give_up_shots(u);
    eddyi_uring_recv_serve(u);
}

/* ---- the table ------------------------------------------------------------------------------- */

static void uring_forget(eddy_loop *loop, struct eddyi_handle *handle) {
    struct eddyi_uring_shot *shot = handle->driver_data;
    if (shot == NULL) {
        return;
    }
    if (shot->tag == EDDYI_URING_TAG_ACCEPT) {
        eddyi_uring_accept_forget(loop->driver_state, handle);
    } else {
        eddyi_uring_recv_forget(loop->driver_state, handle);
    }
}

const struct eddyi_driver eddyi_driver_uring = {
    .name = "uring",
    .open = eddyi_uring_open,
    .close = eddyi_uring_close,
    .attempt = eddyi_uring_attempt,
    .submit = eddyi_uring_submit,
    .cancel = eddyi_uring_cancel,
    .wait = uring_wait,
    .wake = uring_wake,
    .forget = uring_forget,
    .pollable = eddyi_uring_pollable,
    .arm = eddyi_uring_arm,
};
