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
int eddyi_uring_wanted_of(const struct eddyi_op *op, int res) {
    unsigned always =
        POLLNVAL |
        ((op->driver_word & EDDYI_URING_ERROR_TOLD) != 0 ? 0 : (unsigned)(POLLERR | POLLHUP));
    return res > 0 ? res & (int)(events_of(op) | always) : 0;
}

/* What to ask the kernel for. It does not wake who asks for POLLPRI alone. */
static unsigned asked_of(const struct eddyi_op *op) {
    unsigned events = events_of(op);
    return (events & POLLPRI) != 0 ? events | POLLIN : events;
}

static void prep(struct eddyi_op *op, struct io_uring_sqe *sqe) {
    int fd = op->handle->fd;
    size_t len = op->len < LEN_MAX ? op->len : LEN_MAX;
    bool is_rw = op->kind == EDDYI_OP_READ || op->kind == EDDYI_OP_WRITE;
    int flags = is_rw ? 0 : op->flags & ~(MSG_DONTWAIT | MSG_WAITALL);
    if ((op->driver_word & EDDYI_URING_POLL_MULTI) != 0) {
        io_uring_prep_poll_multishot(sqe, fd, asked_of(op));
        return;
    }
    if ((op->driver_word & EDDYI_URING_POLLING) != 0) {
        io_uring_prep_poll_add(sqe, fd, asked_of(op));
        return;
    }
    switch ((enum eddyi_op_kind)op->kind) {
    case EDDYI_OP_READ:
        if (eddyi_uring_is_file(op)) {
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
        if (eddyi_uring_is_file(op)) {
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
    struct io_uring_sqe *sqe = eddyi_list_empty(&u->parked) ? eddyi_uring_sqe(u, u->reserve) : NULL;
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
enum eddyi_uring_direction eddyi_uring_direction_of(const struct eddyi_op *op) {
    if (eddyi_uring_is_file(op)) {
        return EDDYI_URING_NEITHER; /* places in a file are independent of each other */
    }
    switch ((enum eddyi_op_kind)op->kind) {
    case EDDYI_OP_READ:
    case EDDYI_OP_RECV:
        return EDDYI_URING_IN;
    case EDDYI_OP_WRITE:
    case EDDYI_OP_SEND:
    case EDDYI_OP_SENDV:
    case EDDYI_OP_CONNECT:
        return EDDYI_URING_OUT;
    default:
        return EDDYI_URING_NEITHER;
    }
}

static bool must_queue(const struct eddyi_op *op) {
    enum eddyi_uring_direction direction = eddyi_uring_direction_of(op);
    if (direction == EDDYI_URING_NEITHER) {
        return false;
    }
    EDDYI_LIST_EACH(node, &op->handle->ops) {
        const struct eddyi_op *other = EDDYI_LIST_ENTRY(node, struct eddyi_op, in_handle);
        if (other != op && eddyi_uring_direction_of(other) == direction) {
            return true;
        }
    }
    return false;
}

/* The op is about to end: the one that was held behind it begins. */
void eddyi_uring_begin_next(struct eddyi_uring *u, const struct eddyi_op *op) {
    enum eddyi_uring_direction direction = eddyi_uring_direction_of(op);
    if (direction == EDDYI_URING_NEITHER) {
        return;
    }
    for (struct eddyi_list *node = op->in_handle.next; node != &op->handle->ops;
         node = node->next) {
        struct eddyi_op *next = EDDYI_LIST_ENTRY(node, struct eddyi_op, in_handle);
        if ((next->driver_word & EDDYI_URING_HELD) != 0 &&
            eddyi_uring_direction_of(next) == direction) {
            next->driver_word = 0;
            eddyi_uring_begin(u, next);
            return;
        }
    }
}

/* ---- submit and attempt ---------------------------------------------------------------------- */

/* What a poll says at this moment; -EAGAIN: nothing. */
int64_t eddyi_uring_poll_now(const struct eddyi_op *op) {
    int more = eddyi_uring_recv_events(op->handle) & (op->flags | POLLERR);
    int64_t n = eddyi_epoll_try(op->handle, op->handle->fd, op);
    return more == 0 || (n < 0 && n != -EAGAIN) ? n : (n < 0 ? 0 : n) | more;
}

void eddyi_uring_begin(struct eddyi_uring *u, struct eddyi_op *op) {
    switch ((enum eddyi_op_kind)op->kind) {
    case EDDYI_OP_RECV:
        if (eddyi_uring_recv(u, op)) {
            return;
        }
        break;
    case EDDYI_OP_ACCEPT:
        if (op->handle->listening && eddyi_uring_accept(u, op)) {
            return;
        }
        break;
    case EDDYI_OP_POLL:
        if ((eddyi_uring_recv_events(op->handle) & (op->flags | POLLERR)) != 0) {
            eddyi_uring_finish_later(u, op, eddyi_uring_poll_now(op));
            return;
        }
        op->driver_word |= EDDYI_URING_POLLING;
        break;
    case EDDYI_OP_READ:
        if (op->handle->kind == EDDYI_HANDLE_SOCKET && eddyi_uring_recv(u, op)) {
            return;
        }
        /* fall through */
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
    if (EDDYI_UNLIKELY(must_queue(op))) {
        op->driver_word |= EDDYI_URING_HELD;
    } else if (eddyi_uring_is_file(op) && op->kind == EDDYI_OP_READ && op->len > FILE_INLINE_MAX &&
               op->offset >= 0) {
        eddyi_op_offload(loop, op);
    } else {
        eddyi_uring_begin(u, op);
    }
}

int64_t eddyi_uring_attempt(eddy_loop *loop, struct eddyi_op *op) {
    struct eddyi_uring *u = loop->driver_state;
    if (op->kind == EDDYI_OP_ACCEPT) {
        return op->handle->listening ? eddyi_uring_accept_attempt(u, op) : -EAGAIN;
    }
    if (op->kind == EDDYI_OP_POLL) {
        return eddyi_uring_poll_now(op);
    }
    enum eddyi_uring_direction direction = eddyi_uring_direction_of(op);
    if (op->kind == EDDYI_OP_CONNECT || must_queue(op)) {
        return -EAGAIN;
    }
    if (direction == EDDYI_URING_IN) {
        int64_t n = eddyi_uring_recv_attempt(u, op);
        if (n != EDDYI_URING_ASK_KERNEL) {
            return n;
        }
    }
    /* The same calls as the epoll driver's, so that the answers are the same. */
    int64_t n = eddyi_epoll_try(op->handle, op->handle->fd, op);
    if (direction == EDDYI_URING_IN) {
        eddyi_uring_received(op, n);
    }
    return direction == EDDYI_URING_OUT ? eddyi_uring_sent(op, n) : n;
}
