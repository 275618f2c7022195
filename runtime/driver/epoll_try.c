/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/driver/epoll_impl.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <eddy/runtime/base/try_impl.h>

/* KERNEL(6.18): the flag is newer than Debian 12's headers. */
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x00000100
#endif

/* More than this is not copied from the page cache on the loop's thread, where others wait. */
#define FILE_INLINE_MAX ((size_t)256 * 1024)

/* ---- O_NONBLOCK ------------------------------------------------------------------------------ */

int eddyi_epoll_set_nonblock(struct eddyi_handle *handle) {
    int flags = fcntl(handle->fd, F_GETFL);
    if (flags < 0) {
        return -errno;
    }
    if ((flags & O_NONBLOCK) == 0) {
        int on = 1;
        if (ioctl(handle->fd, FIONBIO, &on) < 0) {
            return -errno;
        }
        handle->ready |= EDDYI_EPOLL_MADE_NONBLOCK;
    }
    return 0;
}

void eddyi_epoll_clear_nonblock(struct eddyi_handle *handle) {
    if ((handle->ready & EDDYI_EPOLL_MADE_NONBLOCK) != 0) {
        int off = 0;
        (void)ioctl(handle->fd, FIONBIO, &off);
        handle->ready &= ~(uint32_t)EDDYI_EPOLL_MADE_NONBLOCK;
    }
}

/* ---- sockets --------------------------------------------------------------------------------- */

/*
 * Whether a receive of less than was asked for has emptied the socket. Of TCP that holds; a message
 * is short by nature, and a Unix stream stops where descriptors are attached. Asked once, and only
 * when it matters.
 */
static bool is_tcp(struct eddyi_handle *handle) {
    if ((handle->ready & EDDYI_EPOLL_PROTOCOL_KNOWN) == 0) {
        int protocol = 0;
        socklen_t len = sizeof protocol;
        handle->ready |= EDDYI_EPOLL_PROTOCOL_KNOWN;
        if (getsockopt(handle->fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 &&
            protocol == IPPROTO_TCP) {
            handle->ready |= EDDYI_EPOLL_TCP;
        }
    }
    return (handle->ready & EDDYI_EPOLL_TCP) != 0;
}

static int64_t receive(struct eddyi_handle *handle, const struct eddyi_op *op, int flags) {
    int64_t n = EDDYI_AGAIN_ON_EINTR(recv(handle->fd, op->buf, op->len, flags | MSG_DONTWAIT));
    if (n == -EAGAIN) {
        handle->ready &= ~(uint32_t)(EDDYI_EPOLL_CAN_READ | EDDYI_EPOLL_KEEP_READING);
    } else if (n > 0 && (size_t)n < op->len && (flags & (MSG_PEEK | MSG_OOB)) == 0 &&
               (handle->ready & (EDDYI_EPOLL_CAN_READ | EDDYI_EPOLL_KEEP_READING)) ==
                   EDDYI_EPOLL_CAN_READ &&
               is_tcp(handle)) {
        /*
         * The buffer in the kernel was empty after this, and whatever comes now is a new edge. It
         * saves the receive that would only say so, a fifth of the calls of an echo. What does not
         * come as an edge of its own has been reported with the bytes: an end, an error, the urgent
         * byte before which a receive stops; KEEP_READING stands for these.
         */
        handle->ready &= ~(uint32_t)EDDYI_EPOLL_CAN_READ;
    }
    return n;
}

static int64_t transmit(struct eddyi_handle *handle, const struct eddyi_op *op, int flags) {
    int64_t n;
    flags |= MSG_DONTWAIT | MSG_NOSIGNAL;
    if (op->kind == EDDYI_OP_SENDV) {
        struct msghdr message = {.msg_iovlen = op->len};
        /* The kernel only reads the array; the member is shared with recvmsg. */
        memcpy(&message.msg_iov, &op->iov, sizeof message.msg_iov);
        n = EDDYI_AGAIN_ON_EINTR(sendmsg(handle->fd, &message, flags));
    } else {
        n = EDDYI_AGAIN_ON_EINTR(send(handle->fd, op->data, op->len, flags));
    }
    if (n == -EAGAIN) {
        handle->ready &= ~(uint32_t)EDDYI_EPOLL_CAN_WRITE;
    }
    return n;
}

static int64_t accept_one(struct eddyi_handle *handle) {
    /* There is no accept with MSG_DONTWAIT, and asking poll first is not enough: who was there may
     * have gone by the time of the call, which then waits for the next. */
    if ((handle->ready & EDDYI_EPOLL_CHECKED_BLOCK) == 0) {
        int r = eddyi_epoll_set_nonblock(handle);
        if (r < 0) {
            return r;
        }
        handle->ready |= EDDYI_EPOLL_CHECKED_BLOCK;
    }
    int64_t fd = EDDYI_AGAIN_ON_EINTR(accept4(handle->fd, NULL, NULL, SOCK_CLOEXEC));
    if (fd == -EAGAIN) {
        handle->ready &= ~(uint32_t)EDDYI_EPOLL_CAN_READ;
    }
    return fd;
}

/* ---- pipes, terminals and others ------------------------------------------------------------- */

static int64_t read_once(int fd, const struct eddyi_op *op, int flags) {
    struct iovec part = {.iov_base = op->buf, .iov_len = op->len};
    return EDDYI_AGAIN_ON_EINTR(preadv2(fd, &part, 1, -1, flags));
}

static int64_t write_once(int fd, const void *data, size_t len, int flags) {
    struct iovec part = {.iov_len = len};
    memcpy(&part.iov_base, &data, sizeof data); /* only read, though the member is not const */
    return EDDYI_AGAIN_ON_EINTR(pwritev2(fd, &part, 1, -1, flags));
}

/* A write that raises no signal. -EOPNOTSUPP is about `flags`. KERNEL(6.18): RWF_NOSIGNAL. */
static int64_t write_quietly(struct eddyi_handle *handle, int fd, const void *data, size_t len,
                             int flags) {
    if ((handle->ready & EDDYI_EPOLL_NO_NOSIGNAL) == 0) {
        int64_t n = write_once(fd, data, len, flags | RWF_NOSIGNAL);
        if (n != -EOPNOTSUPP) {
            return n;
        }
    }
    int64_t n = eddyi_try_write(fd, data, len, flags);
    if (n != -EOPNOTSUPP) {
        handle->ready |= EDDYI_EPOLL_NO_NOSIGNAL; /* the other flag was not the reason */
    }
    return n;
}

/*
 * A terminal knows no call that does not wait: poll says that there is room, and a write of more
 * than the room waits until somebody has read the rest. Its O_NONBLOCK is shared with whoever else
 * has it open, the shell for one, so it is opened a second time for the write: a descriptor, or -1
 * where that is not possible, or not needed.
 */
static int reopen_terminal(struct eddyi_handle *handle, int fd) {
    struct termios settings;
    int number;
    if ((handle->ready & EDDYI_EPOLL_NO_TERMINAL) != 0) {
        return -1;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_NONBLOCK) != 0 || tcgetattr(fd, &settings) < 0 ||
        ioctl(fd, TIOCGPTN, &number) == 0) {
        /* Opening the master side of a pseudo-terminal again would make another terminal. */
        handle->ready |= EDDYI_EPOLL_NO_TERMINAL;
        return -1;
    }
    char path[sizeof "/proc/self/fd/" + 3 * sizeof fd];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/*
 * KERNEL(6.4): pipes know RWF_NOWAIT since then; named ones, terminals and many devices do not yet.
 * Of these poll says whether a call can do something without waiting: a read of what is there
 * (nobody else takes it meanwhile, or this is not the only reader), a write of what a pipe promises
 * to take whole.
 */
static int64_t read_pollable(struct eddyi_handle *handle, int fd, const struct eddyi_op *op) {
    int64_t n = -EOPNOTSUPP;
    if ((handle->ready & EDDYI_EPOLL_NO_NOWAIT) == 0) {
        n = read_once(fd, op, RWF_NOWAIT);
    }
    if (n == -EOPNOTSUPP) {
        handle->ready |= EDDYI_EPOLL_NO_NOWAIT;
        n = eddyi_try_poll(fd, POLLIN);
        if (n >= 0) {
            n = read_once(fd, op, 0);
        }
    }
    if (n == -EAGAIN) {
        handle->ready &= ~(uint32_t)EDDYI_EPOLL_CAN_READ;
    }
    return n;
}

static int64_t write_when_polled(struct eddyi_handle *handle, int fd, const struct eddyi_op *op) {
    int64_t n = eddyi_try_poll(fd, POLLOUT);
    if (n < 0) {
        return n;
    }
    int own = reopen_terminal(handle, fd);
    if (own >= 0) {
        n = write_quietly(handle, own, op->data, op->len, 0);
        close(own);
        return n;
    }
    return write_quietly(handle, fd, op->data, op->len < PIPE_BUF ? op->len : PIPE_BUF, 0);
}

static int64_t write_pollable(struct eddyi_handle *handle, int fd, const struct eddyi_op *op) {
    int64_t n = -EOPNOTSUPP;
    if ((handle->ready & EDDYI_EPOLL_NO_NOWAIT) == 0) {
        n = write_quietly(handle, fd, op->data, op->len, RWF_NOWAIT);
    }
    if (n == -EOPNOTSUPP) {
        handle->ready |= EDDYI_EPOLL_NO_NOWAIT;
        n = write_when_polled(handle, fd, op);
    }
    if (n == -EAGAIN) {
        handle->ready &= ~(uint32_t)EDDYI_EPOLL_CAN_WRITE;
    }
    return n;
}

/* ---- files ----------------------------------------------------------------------------------- */

/*
 * Reads what the page cache has: all that was asked for, or up to the end of the file. Anything
 * else, errors too, is left to a thread, which gives the whole answer. At the current position
 * nothing is tried, because half an answer would have moved it.
 */
static int64_t read_cached(int fd, const struct eddyi_op *op) {
    if (op->offset < 0 || op->len > FILE_INLINE_MAX) {
        return -EAGAIN;
    }
    size_t done = 0;
    while (done < op->len) {
        struct iovec part = {.iov_base = (char *)op->buf + done, .iov_len = op->len - done};
        int64_t n =
            EDDYI_AGAIN_ON_EINTR(preadv2(fd, &part, 1, op->offset + (int64_t)done, RWF_NOWAIT));
        if (n < 0) {
            return -EAGAIN;
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return (int64_t)done;
}

/* ---- all of them ----------------------------------------------------------------------------- */

int64_t eddyi_epoll_try(struct eddyi_handle *handle, int fd, const struct eddyi_op *op) {
    bool is_socket = handle->kind == EDDYI_HANDLE_SOCKET;
    switch ((enum eddyi_op_kind)op->kind) {
    case EDDYI_OP_RECV:
        return receive(handle, op, op->flags);
    case EDDYI_OP_SEND:
    case EDDYI_OP_SENDV:
        return transmit(handle, op, op->flags);
    case EDDYI_OP_ACCEPT:
        return accept_one(handle);
    case EDDYI_OP_POLL:
        return eddyi_try_poll(fd, op->flags);
    case EDDYI_OP_READ:
        if (handle->kind == EDDYI_HANDLE_FILE) {
            return read_cached(fd, op);
        }
        return is_socket ? receive(handle, op, 0) : read_pollable(handle, fd, op);
    case EDDYI_OP_WRITE:
        if (handle->kind == EDDYI_HANDLE_FILE) {
            return -EAGAIN;
        }
        return is_socket ? transmit(handle, op, 0) : write_pollable(handle, fd, op);
    case EDDYI_OP_CONNECT:
        break;
    }
    return -EAGAIN;
}
