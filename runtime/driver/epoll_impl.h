/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the epoll driver, in two parts: epoll.c keeps the registrations and waits;
 * epoll_try.c makes the system calls of operations in such a way that none of them can wait.
 *
 * A descriptor is registered once, edge-triggered for everything, and what epoll reports is kept in
 * handle->ready until a call says that it is used up. So a request and its answer cost epoll_wait,
 * recv and send, and no epoll_ctl.
 */
#ifndef EDDY_RUNTIME_DRIVER_EPOLL_IMPL_H
#define EDDY_RUNTIME_DRIVER_EPOLL_IMPL_H

#include <sys/epoll.h>

#include <eddy/runtime/base/list_impl.h>
#include <eddy/runtime/loop/loop_impl.h>

/* The bits of handle->ready. */
enum eddyi_epoll_ready {
    EDDYI_EPOLL_CAN_READ = 1 << 0,       /* a read, receive or accept may give something */
    EDDYI_EPOLL_CAN_WRITE = 1 << 1,      /* a write or send may take something */
    EDDYI_EPOLL_KEEP_READING = 1 << 2,   /* an end, error or urgent byte was reported: a short count
                                           does not mean that nothing follows */
    EDDYI_EPOLL_TCP = 1 << 3,            /* a short receive has emptied the socket */
    EDDYI_EPOLL_PROTOCOL_KNOWN = 1 << 4, /* whether it is TCP has been looked up */
    EDDYI_EPOLL_MADE_NONBLOCK = 1 << 5,  /* this driver has set O_NONBLOCK, and will clear it */
    EDDYI_EPOLL_CHECKED_BLOCK = 1 << 6,  /* a listener's O_NONBLOCK has been seen to */
    EDDYI_EPOLL_NO_NOWAIT = 1 << 7,      /* RWF_NOWAIT is refused for this kind of file */
    EDDYI_EPOLL_NO_NOSIGNAL = 1 << 8,    /* RWF_NOSIGNAL is not known to the kernel */
    EDDYI_EPOLL_NO_TERMINAL = 1 << 9,    /* writes need no second descriptor */
};

/*
 * One call for `op` on `fd`, which is the handle's descriptor or one of the same file. Gives the
 * result, or -EAGAIN when it would have to wait; the bits of handle->ready that the call has used
 * up are cleared. Never for CONNECT.
 */
int64_t eddyi_epoll_try(struct eddyi_handle *handle, int fd, const struct eddyi_op *op);

/* Sees to it that accept and connect do not wait, and undoes it. 0 or -errno. */
int eddyi_epoll_set_nonblock(struct eddyi_handle *handle);
void eddyi_epoll_clear_nonblock(struct eddyi_handle *handle);

/* ---- the driver's parts ---------------------------------------------------------------------- */

/* Reports taken in one wait; what is left over is reported by the next. */
#define EDDYI_EPOLL_EVENTS_MAX 256

/* What epoll gives back for the driver's own descriptors. */
#define EDDYI_EPOLL_WAKE_DATA UINT64_MAX
#define EDDYI_EPOLL_TIMER_DATA (UINT64_MAX - 1)

/*
 * A registration. Epoll gives back its index and generation, never a pointer: it goes on reporting
 * a file that somebody else keeps open after its descriptor has been closed behind the driver's
 * back.
 */
struct eddyi_epoll_slot {
    struct eddyi_handle *handle; /* NULL: free, and `fd` is the index of the next free one */
    uint32_t generation : 31;    /* counts the uses */
    uint32_t own : 1;            /* `fd` is the driver's: a duplicate */
    int fd;                      /* what is registered */
};

struct eddyi_epoll {
    int epoll_fd;
    int wake_fd;      /* eventfd */
    int timer_fd;     /* for a foreign main loop; -1 until asked for */
    bool no_pwait2;   /* epoll_pwait2 is not there */
    bool completed;   /* this wait has completed something, and need not sleep */
    int64_t timer_ns; /* the deadline that timer_fd is set to, or EDDY_NEVER */
    struct eddyi_epoll_slot *slots;
    uint32_t slot_count; /* below INT_MAX, so that an index fits `fd` */
    int slot_free;       /* index of the first free one, or -1 */
    struct eddyi_list due;
    struct eddyi_list later;
    struct eddyi_list ended;   /* result in op->driver_word */
    struct eddyi_list *cursor; /* the next node of a walk over handle->ops, or NULL */
    struct epoll_event events[EDDYI_EPOLL_EVENTS_MAX];
};

static inline struct eddyi_epoll *eddyi_epoll_of(eddy_loop *loop) {
    return loop->driver_state;
}

static inline struct eddyi_epoll_slot *eddyi_epoll_slot_of(struct eddyi_epoll *state,
                                                           const struct eddyi_handle *handle) {
    return &state->slots[(uintptr_t)handle->driver_data];
}

/* The descriptor to make calls on. */
static inline int eddyi_epoll_call_fd(struct eddyi_epoll *state,
                                      const struct eddyi_handle *handle) {
    return handle->attached ? eddyi_epoll_slot_of(state, handle)->fd : handle->fd;
}

/* epoll_slot.c: registers the handle; 0 or -errno. What is ready at this moment is reported by the
 * next wait. */
int eddyi_epoll_attach(struct eddyi_epoll *state, struct eddyi_handle *handle);
void eddyi_epoll_forget(eddy_loop *loop, struct eddyi_handle *handle);

/* epoll.c: moves what has to be tried again by now to `due`; the next time for that, or
 * EDDY_NEVER. */
int64_t eddyi_epoll_look_at_later(eddy_loop *loop);

/* epoll_setup.c */
int eddyi_epoll_open(eddy_loop *loop, const struct eddyi_driver_opts *opts, char *reason,
                     size_t size);
void eddyi_epoll_close(eddy_loop *loop);
int eddyi_epoll_pollable(eddy_loop *loop);
void eddyi_epoll_arm(eddy_loop *loop, int64_t deadline_ns);

#endif
