/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the io_uring driver:
 *
 *     uring.c           the turn: one io_uring_enter that submits, sleeps and reaps
 *     uring_setup.c     the ring: flags by a ladder, sizes, why it cannot start
 *     uring_op.c        an operation's way into the kernel
 *     uring_end.c       and out of it: completed, cancelled, asked for once more
 *     uring_shot.c      requests of the driver's own that give many completions (multishots)
 *     uring_accept.c    listeners: one multishot accept, a queue of what it accepted
 *     uring_recv.c      stream sockets: a multishot receive, a queue of what it received
 *     uring_pool.c      the buffers that multishot receives are given
 *     uring_pollable.c  the loop in a foreign main loop
 *
 * Where an op is, between submit and DONE; each place is a list that it is linked into:
 *
 *     submit --> PARKED ----entry free----> IN_KERNEL --last completion--> complete, or once more
 *        |------> HELD (behind another of its direction) --> as if submitted then
 *        |------> WAITING (for a multishot of its handle) --> complete
 *         \-----> FINISHED (known at once, told by the next wait) --> complete
 *
 * The user_data of a request is the address of its op, because an op is left alone until its last
 * completion has come: its own and, where a cancel was sent, the cancel's. What may outlive its
 * owner has slot and generation instead (uring_shot.c).
 */
#ifndef EDDY_RUNTIME_DRIVER_URING_IMPL_H
#define EDDY_RUNTIME_DRIVER_URING_IMPL_H

#include <eddy/runtime/base/sanitizer_impl.h>
#include <eddy/runtime/driver/uring_uapi_impl.h>
#include <eddy/runtime/loop/driver_impl.h>
#include <eddy/runtime/loop/loop_impl.h>

/* What ThreadSanitizer cannot see: the kernel orders the submitter's writes before what follows
 * the completion. */
#ifdef EDDYI_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define EDDYI_URING_ACQUIRE(address) __tsan_acquire(address)
#define EDDYI_URING_RELEASE(address) __tsan_release(address)
#else
#define EDDYI_URING_ACQUIRE(address) ((void)(address))
#define EDDYI_URING_RELEASE(address) ((void)(address))
#endif

/* The lowest bits of user_data say whose completion it is. An op is aligned to more than these. */
enum {
    EDDYI_URING_TAG_OP = 0,     /* the op's address */
    EDDYI_URING_TAG_CANCEL = 1, /* of a cancel: the address of the op that is to end */
    EDDYI_URING_TAG_ACCEPT = 2, /* slot and generation */
    EDDYI_URING_TAG_RECV = 3,   /* slot and generation */
    EDDYI_URING_TAG_UNSHOT = 4, /* of a multishot's cancel: its slot and generation */
    EDDYI_URING_TAG_WAKE = 5,   /* the poll on the wake descriptor */
    EDDYI_URING_TAG_MASK = 7,
};

/* op->driver_word */
enum {
    EDDYI_URING_PARKED = 1 << 0,     /* in u->parked: there was no free entry */
    EDDYI_URING_IN_KERNEL = 1 << 1,  /* has an entry; in u->in_kernel, or u->cancels */
    EDDYI_URING_WAITING = 1 << 2,    /* in its listener's list of waiters */
    EDDYI_URING_FINISHED = 1 << 3,   /* in u->finished; op->result is what it will get */
    EDDYI_URING_POLLING = 1 << 4,    /* its request is a poll: the op is one, or it comes first */
    EDDYI_URING_POLL_MULTI = 1 << 5, /* and a multishot one (see eddyi_uring_op_event) */
    EDDYI_URING_POLL_HIT = 1 << 6,   /* op->result has the events; the poll has only to end */
    EDDYI_URING_CANCEL_WANTED = 1 << 7, /* in u->cancels until there is a free entry */
    EDDYI_URING_CANCEL_SENT = 1 << 8,   /* the cancel's own completion has not come yet */
    EDDYI_URING_ENDED = 1 << 9,         /* the request's has, and waits for the cancel's */
    EDDYI_URING_RETRIED = 1 << 10,      /* the call is made for the second time or more */
    EDDYI_URING_HELD = 1 << 11,         /* in no list: comes after another of its direction */
    EDDYI_URING_ERROR_TOLD = 1 << 12,   /* the poll said POLLERR or POLLHUP, the call -EAGAIN */
};

struct eddyi_uring;

/* A multishot request of the driver's own on behalf of a handle. */
struct eddyi_uring_shot {
    struct eddyi_list in_want; /* in u->shots while an entry is wanted, to arm or to cancel it */
    struct eddyi_handle *handle;
    uint32_t slot;
    uint8_t tag; /* EDDYI_URING_TAG_ACCEPT or _RECV */
    bool armed;  /* has an entry, and its last completion has not come */
    bool want_arm;
    bool want_cancel;
    bool ending; /* its cancel has been asked for */
};

struct eddyi_uring_slot {
    struct eddyi_uring_shot *shot; /* NULL: free */
    uint32_t generation;           /* goes up each time the slot's multishot is armed */
    uint32_t next_free;            /* of a free one */
};

#define EDDYI_URING_NO_SLOT UINT32_MAX

/* 1 MiB of a loop that receives; it cycles through all of it. A power of two, see uring_pool.c. */
#define EDDYI_URING_BUFFERS 256
#define EDDYI_URING_BUFFER_SIZE 4096
#define EDDYI_URING_BUFFER_GROUP 0
/* With fewer free, slow readers have the rest: then no further multishot is armed. */
#define EDDYI_URING_BUFFERS_LOW 64

/* A buffer of the pool, while it is in a stream's queue. */
struct eddyi_uring_buffer {
    uint16_t next;
    uint16_t from; /* the first byte that nobody has taken */
    uint16_t len;
};

struct eddyi_uring_pool {
    struct io_uring_buf_ring *ring; /* shared with the kernel; the buffers lie behind it */
    char *base;
    unsigned held; /* buffers in queues */
    bool dontfork;
    struct eddyi_uring_buffer buffers[EDDYI_URING_BUFFERS];
};

struct eddyi_uring {
    struct io_uring ring;
    eddy_loop *loop;
    unsigned enter_flags; /* those that every io_uring_enter carries */
    unsigned wait_flags;  /* and those of every one that waits or reaps */
    unsigned reserve;     /* entries that ops leave to cancels and the waker */
    unsigned since_reap;  /* entries submitted since completions were last looked at */
    bool enabled;         /* bound to the loop's thread */
    bool defers;          /* DEFER_TASKRUN: completions are only posted inside our own enter */
    bool lost;            /* completions were dropped; what is in the kernel is being ended */
    bool holding;         /* in a call that must not complete: what ends goes to `finished` */
    bool dontfork;        /* the ring's memory is not there in a forked child */

    struct eddyi_list parked;      /* ops without an entry, oldest first */
    struct eddyi_list in_kernel;   /* ops with one */
    struct eddyi_list cancels;     /* ops in the kernel whose cancel wants an entry */
    struct eddyi_list finished;    /* ops whose result is known */
    struct eddyi_list shots;       /* multishots that want an entry */
    struct eddyi_list dirty;       /* streams whose multishot has had completions */
    struct eddyi_uring_pool *pool; /* NULL: not made yet, or never */
    bool no_pool;                  /* never: it cannot be had */

    int wake_fd; /* eventfd */
    bool wake_armed;

    struct eddyi_uring_slot *slots;
    uint32_t slot_count;
    uint32_t slot_free; /* the first free one, or EDDYI_URING_NO_SLOT */

    /* uring_pollable.c; -1 until the first call. */
    int epoll_fd;
    int event_fd;
    int timer_fd;
    int64_t timer_ns; /* what the timer is set to; 1: a moment that has passed, 0: not set */

    /* For tests: the next so many calls of io_uring_enter give this error instead. */
    int fail_enter;
    unsigned fail_enter_times;
    unsigned lose;   /* so many of the next completions are lost, until that is told */
    uint64_t enters; /* how often it was called */
};

/* ---- uring_setup.c --------------------------------------------------------------------------- */

int eddyi_uring_open(eddy_loop *loop, const struct eddyi_driver_opts *opts, char *reason,
                     size_t size);
void eddyi_uring_close(eddy_loop *loop);
/* Binds the ring to the calling thread, which is the loop's. */
void eddyi_uring_enable(struct eddyi_uring *u);
/* For tests: lets the calling thread's next `times` calls of io_uring_setup give `error`. */
void eddyi_uring_fail_setup(int error, unsigned times);

/* ---- uring.c --------------------------------------------------------------------------------- */

/* A free entry, after handing what is queued to the kernel if need be; `reserve` are left over.
 * NULL: there is none before the next turn. */
struct io_uring_sqe *eddyi_uring_sqe(struct eddyi_uring *u, unsigned reserve);
/* Hands the kernel what is queued, without looking at completions. In the middle of a turn. */
void eddyi_uring_flush(struct eddyi_uring *u);
/* Gives every one who waits for an entry one; false when there were not enough. */
bool eddyi_uring_fill(struct eddyi_uring *u);
/* Submits, and waits until something has completed or the time has passed; 0: only looks. Reaps
 * what there is; true when that was anything. */
bool eddyi_uring_turn(struct eddyi_uring *u, int64_t timeout_ns);
/* As a turn that does not wait, for an attempt: it completes nothing, the next wait does. */
void eddyi_uring_look(struct eddyi_uring *u);
/* Whether the kernel has something for us that needs a call. */
bool eddyi_uring_pending(const struct eddyi_uring *u);
/* Completes the finished; true when there were any. */
bool eddyi_uring_finish(struct eddyi_uring *u);

/* ---- uring_op.c ------------------------------------------------------------------------------ */

void eddyi_uring_submit(eddy_loop *loop, struct eddyi_op *op);
int64_t eddyi_uring_attempt(eddy_loop *loop, struct eddyi_op *op);
/* Whether another of the same handle and direction has to end before it. */
bool eddyi_uring_must_queue(const struct eddyi_op *op);
/* Starts an op that is in no list on its way: at its submission, or when its turn has come. */
void eddyi_uring_begin(struct eddyi_uring *u, struct eddyi_op *op);
/* The op is about to end: the one that was held behind it begins. */
void eddyi_uring_begin_next(struct eddyi_uring *u, const struct eddyi_op *op);
/* Gives an op that is in no list an entry, or parks it. */
void eddyi_uring_issue(struct eddyi_uring *u, struct eddyi_op *op);
/* Fills the entry for an op, which is in no list. */
void eddyi_uring_start(struct eddyi_uring *u, struct eddyi_op *op, struct io_uring_sqe *sqe);
/* What a poll says at this moment; -EAGAIN: nothing. */
int64_t eddyi_uring_poll_now(const struct eddyi_op *op);
/* Of what a poll reports, what lets the op go on. */
int eddyi_uring_wanted_of(const struct eddyi_op *op, int res);

/* Ops of one direction are served in their order. */
enum eddyi_uring_direction { EDDYI_URING_NEITHER, EDDYI_URING_IN, EDDYI_URING_OUT };

enum eddyi_uring_direction eddyi_uring_direction_of(const struct eddyi_op *op);

static inline bool eddyi_uring_is_file(const struct eddyi_op *op) {
    return op->handle->kind == EDDYI_HANDLE_FILE;
}

/* ---- uring_end.c ----------------------------------------------------------------------------- */

void eddyi_uring_cancel(eddy_loop *loop, struct eddyi_op *op);
/* Fills the entry for the cancel of an op out of u->cancels. */
void eddyi_uring_start_cancel(struct eddyi_uring *u, struct eddyi_op *op, struct io_uring_sqe *sqe);
/* Takes the op out of its list and ends it; the next of its direction begins. */
void eddyi_uring_complete(struct eddyi_op *op, int64_t result);
/* Has the op end with `result` at the next wait; it is in no list. */
void eddyi_uring_finish_later(struct eddyi_uring *u, struct eddyi_op *op, int64_t result);
void eddyi_uring_op_event(struct eddyi_uring *u, struct eddyi_op *op, int res, unsigned flags);
void eddyi_uring_cancel_event(struct eddyi_uring *u, struct eddyi_op *op, int res);
/* There is something to read on the handle that its socket does not tell: polls look again. */
void eddyi_uring_hit_polls(struct eddyi_uring *u, struct eddyi_handle *handle);
/* The kernel has lost completions: what it still owes will not come. Those ops end. */
void eddyi_uring_give_up_ops(struct eddyi_uring *u);

/* ---- uring_shot.c ---------------------------------------------------------------------------- */

/* Finds it a slot; -ENOMEM. */
int eddyi_uring_shot_open(struct eddyi_uring *u, struct eddyi_uring_shot *shot, uint8_t tag,
                          struct eddyi_handle *handle);
/* Ends it, waiting for its last completion, and gives the slot back. */
void eddyi_uring_shot_close(struct eddyi_uring *u, struct eddyi_uring_shot *shot);
/* Asks for it to be armed, and to be cancelled: at once, or as soon as there is an entry. */
void eddyi_uring_shot_arm(struct eddyi_uring *u, struct eddyi_uring_shot *shot);
void eddyi_uring_shot_cancel(struct eddyi_uring *u, struct eddyi_uring_shot *shot);
/* Fills the entry for a multishot out of u->shots. */
void eddyi_uring_shot_start(struct eddyi_uring *u, struct eddyi_uring_shot *shot,
                            struct io_uring_sqe *sqe);
void eddyi_uring_shot_event(struct eddyi_uring *u, uint64_t user_data, int res, unsigned flags);
void eddyi_uring_give_up_shots(struct eddyi_uring *u);

/* ---- uring_accept.c -------------------------------------------------------------------------- */

/* True when the op is served by the handle's multishot; false: ask for it alone. */
bool eddyi_uring_accept(struct eddyi_uring *u, struct eddyi_op *op);
int64_t eddyi_uring_accept_attempt(struct eddyi_uring *u, struct eddyi_op *op);
void eddyi_uring_accept_event(struct eddyi_uring *u, struct eddyi_uring_shot *shot, int res);
void eddyi_uring_accept_forget(struct eddyi_uring *u, struct eddyi_handle *handle);

/* ---- uring_recv.c ---------------------------------------------------------------------------- */

/* No result of a call and no error: the socket itself is to be asked. */
#define EDDYI_URING_ASK_KERNEL INT64_MIN

/* True when the op is served by the handle's queue or multishot; false: ask for it alone. */
bool eddyi_uring_recv(struct eddyi_uring *u, struct eddyi_op *op);
void eddyi_uring_recv_cancelled(struct eddyi_op *op);
int64_t eddyi_uring_recv_attempt(struct eddyi_uring *u, struct eddyi_op *op);
/* A receive that asked the socket has given `result`. */
void eddyi_uring_received(const struct eddyi_op *op, int64_t result);
void eddyi_uring_recv_event(struct eddyi_uring *u, struct eddyi_uring_shot *shot, int res,
                            unsigned flags);
/* Its last completion is lost, and perhaps bytes with it. */
void eddyi_uring_recv_lost(struct eddyi_uring *u, struct eddyi_uring_shot *shot);
/* Gives out what completions have brought; after the last of them. */
void eddyi_uring_recv_serve(struct eddyi_uring *u);
/* The events that a poll of the socket does not show. */
int eddyi_uring_recv_events(const struct eddyi_handle *handle);
/* What a send's result would be if nobody had received. */
int64_t eddyi_uring_sent(const struct eddyi_op *op, int64_t result);
void eddyi_uring_recv_forget(struct eddyi_uring *u, struct eddyi_handle *handle);

/* ---- uring_pool.c ---------------------------------------------------------------------------- */

/* Whether there are buffers enough for a further multishot; makes the pool at the first call. */
bool eddyi_uring_pool_ready(struct eddyi_uring *u);
void eddyi_uring_pool_close(struct eddyi_uring *u, bool forked);
char *eddyi_uring_buffer(struct eddyi_uring *u, uint16_t id);
/* Gives a buffer back to the kernel. */
void eddyi_uring_recycle(struct eddyi_uring *u, uint16_t id);

/* ---- uring_pollable.c ------------------------------------------------------------------------ */

int eddyi_uring_pollable(eddy_loop *loop);
void eddyi_uring_arm(eddy_loop *loop, int64_t deadline_ns);
void eddyi_uring_pollable_close(struct eddyi_uring *u);

#endif
