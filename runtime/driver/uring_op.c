/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/driver/uring_impl.h>

#include <errno.h>
#include <poll.h>

#include <eddy/runtime/driver/epoll_impl.h>

/* The kernel's own limit of one call, which fits into an entry's 32 bits. */
#define LEN_MAX ((size_t)0x7ffff000)

/* More than this is not copied from the page cache on the loop's thread, where others wait. */
#define FILE_INLINE_MAX ((size_t)256 * 1024)

_Static_assert(_Alignof(struct eddyi_op) > EDDYI_URING_TAG_MASK, "room for the tag");

static uint64_t address_of(const struct eddyi_op *op) {
    return (uint64_t)(uintptr_t)op;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* The events that let the op's call go on. */
static unsigned events_of(const struct eddyi_op *op) {
    switch ((enum eddyi_op_kind)op->kind) {
    case EDDYI_OP_POLL:
        return (unsigned)op->flags;
    case EDDYI_OP_READ:
    case EDDYI_OP_RECV:
    case EDDYI_OP_ACCEPT:
        return POLLIN;
    default:
        return POLLOUT;
    }
}

/* Of what a poll reports, what was asked for. The kernel's request for a poll adds POLLRDHUP. */
static int wanted_of(const struct eddyi_op *op, int res) {
    return res > 0 ? res & (int)(events_of(op) | POLLERR | POLLHUP | POLLNVAL) : 0;
}

static bool is_file(const struct eddyi_op *op) {
    return op->handle->kind == EDDYI_HANDLE_FILE;
}

static void prep(struct eddyi_op *op, struct io_uring_sqe *sqe) {
    int fd = op->handle->fd;
    size_t len = op->len < LEN_MAX ? op->len : LEN_MAX;
    bool is_rw = op->kind == EDDYI_OP_READ || op->kind == EDDYI_OP_WRITE;
    int flags = is_rw ? 0 : op->flags & ~(MSG_DONTWAIT | MSG_WAITALL);
    if ((op->driver_word & EDDYI_URING_POLL_MULTI) != 0) {
        io_uring_prep_poll_multishot(sqe, fd, events_of(op));
        return;
    }
    if ((op->driver_word & EDDYI_URING_POLLING) != 0) {
        io_uring_prep_poll_add(sqe, fd, events_of(op));
        return;
    }
    switch ((enum eddyi_op_kind)op->kind) {
    case EDDYI_OP_READ:
        if (is_file(op)) {
            io_uring_prep_read(sqe, fd, op->buf, (unsigned)len, (uint64_t)op->offset);
            if ((op->driver_word & EDDYI_URING_RETRIED) != 0) {
                sqe->flags |= IOSQE_ASYNC;
            }
            break;
        }
        /* fall through */
    case EDDYI_OP_RECV:
        io_uring_prep_recv(sqe, fd, op->buf, len, flags);
        break;
    case EDDYI_OP_WRITE:
        if (is_file(op)) {
            io_uring_prep_write(sqe, fd, op->data, (unsigned)len, (uint64_t)op->offset);
            break;
        }
        /* fall through */
    case EDDYI_OP_SEND:
        /*
         * With MSG_DONTWAIT a full socket is ours to poll. Left to the kernel, a peer that has sent
         * its end makes it try again and again, for that is an event too (POLLRDHUP), and then
         * hands the send to a thread that blocks: thirty such peers, and there is none left.
         */
        io_uring_prep_send(sqe, fd, op->data, len, flags | MSG_NOSIGNAL | MSG_DONTWAIT);
        break;
    case EDDYI_OP_SENDV:
        op->msg =
            (struct msghdr){.msg_iov = (struct iovec *)(uintptr_t)op->iov, .msg_iovlen = op->len};
        io_uring_prep_sendmsg(sqe, fd, &op->msg, (unsigned)(flags | MSG_NOSIGNAL | MSG_DONTWAIT));
        break;
    case EDDYI_OP_ACCEPT:
        io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
        break;
    case EDDYI_OP_CONNECT:
        io_uring_prep_connect(sqe, fd, op->addr, (socklen_t)op->len);
        break;
    case EDDYI_OP_POLL: /* above */
        break;
    }
}

void eddyi_uring_start(struct eddyi_uring *u, struct eddyi_op *op, struct io_uring_sqe *sqe) {
    prep(op, sqe);
    sqe->user_data = address_of(op) | EDDYI_URING_TAG_OP;
    op->driver_word |= EDDYI_URING_IN_KERNEL;
    eddyi_list_push_back(&u->in_kernel, &op->in_driver);
    EDDYI_URING_RELEASE(op);
}

void eddyi_uring_issue(struct eddyi_uring *u, struct eddyi_op *op) {
    /* Who was parked before goes first. */
    bool now = eddyi_list_empty(&u->parked) && !u->lost;
    struct io_uring_sqe *sqe = now ? eddyi_uring_sqe(u, u->reserve) : NULL;
    if (EDDYI_LIKELY(sqe != NULL)) {
        eddyi_uring_start(u, op, sqe);
    } else {
        op->driver_word |= EDDYI_URING_PARKED;
        eddyi_list_push_back(&u->parked, &op->in_driver);
    }
}

/* ---- one after the other --------------------------------------------------------------------- */

/*
 * What waits in the kernel is woken last in, first out. So of the ops that take bytes from a handle
 * only the oldest is given to it, and likewise of those that put bytes in; the others are HELD.
 */
enum direction { NONE, IN, OUT };

static enum direction direction_of(const struct eddyi_op *op) {
    if (is_file(op)) {
        return NONE; /* places in a file are independent of each other */
    }
    switch ((enum eddyi_op_kind)op->kind) {
    case EDDYI_OP_READ:
    case EDDYI_OP_RECV:
        return IN;
    case EDDYI_OP_WRITE:
    case EDDYI_OP_SEND:
    case EDDYI_OP_SENDV:
    case EDDYI_OP_CONNECT:
        return OUT;
    default:
        return NONE;
    }
}

bool eddyi_uring_must_queue(const struct eddyi_op *op) {
    enum direction direction = direction_of(op);
    if (direction == NONE) {
        return false;
    }
    EDDYI_LIST_EACH(node, &op->handle->ops) {
        const struct eddyi_op *other = EDDYI_LIST_ENTRY(node, struct eddyi_op, in_handle);
        if (other != op && direction_of(other) == direction) {
            return true;
        }
    }
    return false;
}

static void begin(struct eddyi_uring *u, struct eddyi_op *op);

/* The op is about to end: the one that was held behind it begins. */
static void begin_next(struct eddyi_uring *u, const struct eddyi_op *op) {
    enum direction direction = direction_of(op);
    if (direction == NONE) {
        return;
    }
    for (struct eddyi_list *node = op->in_handle.next; node != &op->handle->ops;
         node = node->next) {
        struct eddyi_op *next = EDDYI_LIST_ENTRY(node, struct eddyi_op, in_handle);
        if ((next->driver_word & EDDYI_URING_HELD) != 0 && direction_of(next) == direction) {
            next->driver_word = 0;
            begin(u, next);
            return;
        }
    }
}

/* ---- submit and attempt ---------------------------------------------------------------------- */

static void begin(struct eddyi_uring *u, struct eddyi_op *op) {
    switch ((enum eddyi_op_kind)op->kind) {
    case EDDYI_OP_ACCEPT:
        if (op->handle->listening && eddyi_uring_accept(u, op)) {
            return;
        }
        break;
    case EDDYI_OP_POLL:
        op->driver_word |= EDDYI_URING_POLLING;
        break;
    case EDDYI_OP_READ:
    case EDDYI_OP_WRITE:
        /* A read from a pipe or a terminal would block a thread of the kernel's, and a write raise
         * SIGPIPE: the ring only says when, and the call is made here. */
        if (op->handle->kind == EDDYI_HANDLE_POLLABLE) {
            op->driver_word |= EDDYI_URING_POLLING;
        }
        break;
    default:
        break;
    }
    eddyi_uring_issue(u, op);
}

void eddyi_uring_submit(eddy_loop *loop, struct eddyi_op *op) {
    struct eddyi_uring *u = loop->driver_state;
    if (EDDYI_UNLIKELY(eddyi_uring_must_queue(op))) {
        op->driver_word |= EDDYI_URING_HELD;
    } else if (is_file(op) && op->kind == EDDYI_OP_READ && op->len > FILE_INLINE_MAX &&
               op->offset >= 0) {
        eddyi_op_offload(loop, op);
    } else {
        begin(u, op);
    }
}

int64_t eddyi_uring_attempt(eddy_loop *loop, struct eddyi_op *op) {
    struct eddyi_uring *u = loop->driver_state;
    switch ((enum eddyi_op_kind)op->kind) {
    case EDDYI_OP_ACCEPT:
        return op->handle->listening ? eddyi_uring_accept_attempt(u, op) : -EAGAIN;
    case EDDYI_OP_CONNECT:
        return -EAGAIN;
    default:
        if (eddyi_uring_must_queue(op)) {
            return -EAGAIN;
        }
        /* The same calls as the epoll driver's, so that the answers are the same. */
        return eddyi_epoll_try(op->handle, op->handle->fd, op);
    }
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
        begin_next(u, op);
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
    op->driver_word = polling | (op->driver_word & EDDYI_URING_RETRIED);
    if (polling == 0) {
        op->driver_word |= EDDYI_URING_RETRIED;
        op->tries++;
    }
    eddyi_uring_issue(u, op);
}

/* The poll before a call, or the one that the op is, has ended with `res`. */
static void poll_settled(struct eddyi_uring *u, struct eddyi_op *op, int res) {
    uint64_t polling = op->driver_word & (EDDYI_URING_POLLING | EDDYI_URING_POLL_MULTI);
    int wanted = wanted_of(op, res);
    if (res < 0 && res != -EINTR) {
        eddyi_uring_complete(op, res);
    } else if (wanted == 0) {
        /*
         * Only the peer's end, which was not asked for and would be reported at once each time. A
         * multishot poll tells it once, and then when there is news.
         */
        again(u, op, polling | (res > 0 ? EDDYI_URING_POLL_MULTI : 0));
    } else if (op->kind != EDDYI_OP_POLL &&
               (op->handle->kind != EDDYI_HANDLE_POLLABLE || op->state == EDDYI_OP_CANCELLING)) {
        again(u, op, 0);
    } else {
        /* For a poll too: the ring reports the events of a wake-up, which for a socket always have
         * POLLPRI among them, and by now somebody may have taken what was there. */
        int64_t n = eddyi_epoll_try(op->handle, op->handle->fd, op);
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
    } else if (is_file(op) && res == -EAGAIN && !retried) {
        again(u, op, 0); /* with a thread of the kernel's */
    } else if (is_file(op) && res == -EOPNOTSUPP && op->offset >= 0 &&
               op->state != EDDYI_OP_CANCELLING) {
        /* Some file systems say so to the ring only. */
        eddyi_list_remove(&op->in_driver);
        eddyi_op_offload(op->loop, op);
    } else if (!is_file(op) && res == -EAGAIN) {
        again(u, op, EDDYI_URING_POLLING); /* a full socket, or somebody else's O_NONBLOCK */
    } else if (connects && (res == -EINPROGRESS || res == -EALREADY)) {
        op->driver_word |= EDDYI_URING_RETRIED;
        again(u, op, EDDYI_URING_POLLING);
    } else if (connects && res == -EISCONN && retried) {
        eddyi_uring_complete(op, 0); /* the first call has connected it */
    } else {
        eddyi_uring_complete(op, res);
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
        eddyi_uring_complete(op, -ECANCELED);
    } else if ((op->driver_word & EDDYI_URING_IN_KERNEL) != 0) {
        want_cancel(u, op);
    }
}

void eddyi_uring_cancel_event(struct eddyi_uring *u, struct eddyi_op *op, int res) {
    op->driver_word &= ~(uint64_t)EDDYI_URING_CANCEL_SENT;
    if ((op->driver_word & EDDYI_URING_ENDED) != 0) {
        settle(u, op);
    } else if (res == -ENOENT && !is_file(op) && !u->lost) {
        /* It was between two of the kernel's queues, and may go on to wait. What reads a file is
         * not found either, but always ends. */
        want_cancel(u, op);
    }
}

/* ---- completions ----------------------------------------------------------------------------- */

void eddyi_uring_op_event(struct eddyi_uring *u, struct eddyi_op *op, int res, unsigned flags) {
    EDDYI_URING_ACQUIRE(op);
    if ((flags & IORING_CQE_F_MORE) != 0) {
        int wanted = wanted_of(op, res);
        if ((op->driver_word & EDDYI_URING_POLL_HIT) == 0 && wanted != 0) {
            op->driver_word |= EDDYI_URING_POLL_HIT;
            op->result = wanted;
            want_cancel(u, op);
        }
        return;
    }
    if ((op->driver_word & EDDYI_URING_POLL_HIT) != 0) {
        op->result |= wanted_of(op, res);
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
