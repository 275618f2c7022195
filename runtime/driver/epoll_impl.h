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

#include <eddy/runtime/loop/driver_impl.h>

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

#endif
