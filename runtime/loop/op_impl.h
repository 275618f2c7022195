/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An operation: one thing asked of a driver. It lives with whoever waits for it (on the stack of a
 * suspended task, inside a future) and allocates nothing.
 *
 *     NEW --submit--> SUBMITTED --cancel--> CANCELLING
 *      |                  |                     |
 *      | attempt          +------ complete -----+---> DONE   exactly once, with the op's own result
 *      +-- inline result
 *
 * Between submit and DONE the op, its buffer and its handle belong to the driver, whatever is
 * cancelled meanwhile; after DONE the driver has no memory of it.
 */
#ifndef EDDY_RUNTIME_LOOP_OP_IMPL_H
#define EDDY_RUNTIME_LOOP_OP_IMPL_H

#include <sys/socket.h>
#include <sys/uio.h>

#include <eddy/runtime/base/list_impl.h>
#include <eddy/runtime/loop/loop.h>

enum eddyi_op_kind {
    EDDYI_OP_READ,    /* buf, len, offset; a file, or a pipe or terminal with offset -1 */
    EDDYI_OP_WRITE,   /* buf, len, offset; likewise */
    EDDYI_OP_RECV,    /* buf, len, flags (MSG_*); a socket; 0 is the end */
    EDDYI_OP_SEND,    /* buf, len, flags (MSG_*); a socket; may send less than len */
    EDDYI_OP_SENDV,   /* iov, len = how many, flags; a socket; gathers, may send less */
    EDDYI_OP_ACCEPT,  /* result: the new descriptor, close-on-exec, blocking */
    EDDYI_OP_CONNECT, /* addr, len = its length */
    EDDYI_OP_POLL,    /* events (POLLIN...); result: those that are true, POLLERR and POLLHUP too */
};

enum eddyi_op_state {
    EDDYI_OP_NEW,
    EDDYI_OP_SUBMITTED,
    EDDYI_OP_CANCELLING,
    EDDYI_OP_DONE,
};

enum eddyi_handle_kind {
    /* takes MSG_DONTWAIT; the epoll driver registers it edge-triggered once */
    EDDYI_HANDLE_SOCKET,
    EDDYI_HANDLE_POLLABLE, /* pipe, terminal, eventfd, a foreign descriptor */
    /* regular file: always ready; the epoll driver reads and writes it on offload */
    EDDYI_HANDLE_FILE,
};

/*
 * A descriptor as a driver sees it. Zero it, then eddyi_handle_init; call eddyi_handle_close on the
 * loop's thread when no op is left on it.
 */
struct eddyi_handle {
    int fd;         /* -1 once closed */
    uint8_t kind;   /* enum eddyi_handle_kind */
    bool listening; /* EDDYI_OP_ACCEPT is what it is for */
    /* the driver holds something for it (an epoll registration, an armed multishot) */
    bool attached;
    uint32_t ready;        /* epoll: readiness seen and not used up, EPOLLIN and so on */
    struct eddyi_list ops; /* every op between submit and DONE, by op->in_handle */
    void *driver_data;     /* the driver's own, released by its `forget` */
};

struct eddyi_op {
    uint8_t kind;  /* enum eddyi_op_kind */
    uint8_t state; /* enum eddyi_op_state */
    /* the driver's own: resubmissions after -EINTR and the like */
    uint16_t tries;
    int flags;                   /* MSG_*, or the poll events */
    struct eddyi_handle *handle; /* outlives the op */
    union {
        void *buf;                   /* READ, RECV */
        const void *data;            /* WRITE, SEND */
        const struct iovec *iov;     /* SENDV */
        const struct sockaddr *addr; /* CONNECT */
    };
    size_t len;     /* bytes, or entries of iov, or bytes of addr */
    int64_t offset; /* READ, WRITE; -1 for the current position */
    int64_t result; /* valid when DONE */
    /* called once on the loop's thread; wakes, never runs a user's code */
    void (*done)(struct eddyi_op *op);
    void *waiter;                /* for `done` */
    eddy_loop *loop;             /* set by submit */
    struct eddyi_list in_handle; /* in handle->ops */
    struct eddyi_list in_driver; /* the driver's own queue (parked, delayed) */
    uint64_t driver_word;        /* the driver's own */
    union {
        struct msghdr msg; /* SENDV in the ring: must stay until DONE */
        struct {           /* on offload: eddyi_op_offload */
            void *job[12]; /* a struct eddyi_offload_job, checked in op.c */
        } offload;
    };
};

void eddyi_handle_init(struct eddyi_handle *handle, int fd, enum eddyi_handle_kind kind);
/* Lets the driver forget the handle and closes its descriptor. No op may be left on it. */
int eddyi_handle_close(eddy_loop *loop, struct eddyi_handle *handle);
/* Asks for every op on the handle to end; each still ends by itself, with its own result. */
void eddyi_handle_cancel(eddy_loop *loop, struct eddyi_handle *handle);

/* One attempt without waiting: the result, or -EAGAIN. */
int64_t eddyi_op_attempt(eddy_loop *loop, struct eddyi_op *op);
/* Hands the op to the driver; op->done is called later, never from inside this call. */
void eddyi_op_submit(eddy_loop *loop, struct eddyi_op *op);
/* Asks for its end; harmless when it is DONE or was asked before. */
void eddyi_op_cancel(eddy_loop *loop, struct eddyi_op *op);
/* For drivers that cannot do an op without blocking (READ and WRITE of regular files): runs it on
 * the offload threads. Call it from `submit`; cancel of such an op goes there by itself. */
void eddyi_op_offload(eddy_loop *loop, struct eddyi_op *op);
/* For drivers: the op's one end. */
void eddyi_op_complete(struct eddyi_op *op, int64_t result);

#endif
