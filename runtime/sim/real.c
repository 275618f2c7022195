/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real descriptors on a simulated loop: a pipe to another program, a signalfd, an inherited socket.
 * They are asked by poll(2) when the world is quiet, and tried without waiting when it says so.
 * Nothing about them is decided by the seed.
 */
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/base/try_impl.h>
#include <eddy/runtime/sim/sim_impl.h>

#define POLL_CAP_MIN 8

/* ---- trying ---------------------------------------------------------------------------------- */

static int64_t try_read(const struct eddyi_op *op, int fd) {
    int64_t r = eddyi_try_poll(fd, POLLIN);
    return r < 0 ? r : EDDYI_AGAIN_ON_EINTR(read(fd, op->buf, op->len));
}

static int64_t try_write(const struct eddyi_op *op, int fd) {
    int64_t r = eddyi_try_poll(fd, POLLOUT);
    /* A pipe that polls writable promises to take so much without waiting. */
    size_t len = op->len < PIPE_BUF ? op->len : PIPE_BUF;
    return r < 0 ? r : eddyi_try_write(fd, op->data, len, 0);
}

static int64_t try_send(const struct eddyi_op *op, int fd) {
    int flags = op->flags | MSG_DONTWAIT | MSG_NOSIGNAL;
    if (op->kind != EDDYI_OP_SENDV) {
        return EDDYI_AGAIN_ON_EINTR(send(fd, op->data, op->len, flags));
    }
    struct msghdr message = {.msg_iovlen = op->len};
    /* The kernel only reads the array; the member is shared with recvmsg. */
    memcpy(&message.msg_iov, &op->iov, sizeof message.msg_iov);
    return EDDYI_AGAIN_ON_EINTR(sendmsg(fd, &message, flags));
}

static int64_t try_accept(int fd) {
    int64_t r = eddyi_try_poll(fd, POLLIN);
    return r < 0 ? r : EDDYI_AGAIN_ON_EINTR(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
}

/* A world has its own network: who asks for a socket here gets a simulated one, and a real one that
 * came from elsewhere is connected to nothing. */
static int refuse_connect(int fd) {
    int type;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ? -errno : -EOPNOTSUPP;
}

int64_t eddyi_sim_real_try(struct eddyi_op *op) {
    int fd = op->handle->fd;
    bool is_file = op->handle->kind == EDDYI_HANDLE_FILE;
    if (fd < 0) {
        return -EBADF; /* of which poll takes no notice */
    }
    switch ((enum eddyi_op_kind)op->kind) {
    case EDDYI_OP_READ:
        /* Files are read as jobs, at a moment of the world's. */
        return is_file ? -EAGAIN : try_read(op, fd);
    case EDDYI_OP_WRITE:
        return is_file ? -EAGAIN : try_write(op, fd);
    case EDDYI_OP_RECV:
        return EDDYI_AGAIN_ON_EINTR(recv(fd, op->buf, op->len, op->flags | MSG_DONTWAIT));
    case EDDYI_OP_SEND:
    case EDDYI_OP_SENDV:
        return try_send(op, fd);
    case EDDYI_OP_ACCEPT:
        return try_accept(fd);
    case EDDYI_OP_POLL:
        return eddyi_try_poll(fd, op->flags);
    case EDDYI_OP_CONNECT:
        break;
    }
    return refuse_connect(fd);
}

/* ---- waiting --------------------------------------------------------------------------------- */

bool eddyi_sim_real_reserve(struct eddyi_sim *sim) {
    if (sim->real_count + 2 <= sim->poll_cap) {
        return true;
    }
    size_t cap = sim->poll_cap == 0 ? POLL_CAP_MIN : 2 * sim->poll_cap;
    struct pollfd *polls = eddyi_resize(sim->polls, cap * sizeof *polls);
    if (polls == NULL) {
        return false;
    }
    sim->polls = polls;
    sim->poll_cap = cap;
    return true;
}

/* POLLERR and POLLHUP come by themselves; nothing else is to be waited for where a call says at
 * once that it cannot be done. */
static short events_of(const struct eddyi_op *op) {
    switch ((enum eddyi_op_kind)op->kind) {
    case EDDYI_OP_READ:
    case EDDYI_OP_RECV:
    case EDDYI_OP_ACCEPT:
        return POLLIN;
    case EDDYI_OP_POLL:
        return (short)op->flags;
    default:
        return POLLOUT;
    }
}

/* A call may fail where poll sees nothing to wait for: each is tried once before it is polled. */
static bool end_some(struct eddyi_sim *sim, const struct pollfd *polls) {
    bool ended = false;
    size_t i = 0;
    EDDYI_LIST_EACH(node, &sim->real_ops) {
        struct eddyi_op *op = EDDYI_LIST_ENTRY(node, struct eddyi_op, in_driver);
        struct eddyi_sim_op *own = eddyi_sim_op_of(op);
        bool look = polls != NULL ? polls[i].revents != 0 : !own->begun;
        i++;
        own->begun = true;
        int64_t result = look ? eddyi_sim_real_try(op) : -EAGAIN;
        if (result != -EAGAIN) {
            eddyi_sim_op_end(sim, op, result);
            ended = true;
        }
    }
    return ended;
}

void eddyi_sim_real_drain(struct eddyi_sim *sim) {
    uint64_t count;
    /* Without a wake there is nothing to read, which is as good. */
    (void)EDDYI_AGAIN_ON_EINTR(read(sim->wake_fd, &count, sizeof count));
}

void eddyi_sim_real_poll(struct eddyi_sim *sim, int timeout_ms) {
    sim->turns_unlooked = 0;
    if (end_some(sim, NULL)) {
        return;
    }
    size_t count = 0;
    EDDYI_LIST_EACH(node, &sim->real_ops) {
        const struct eddyi_op *op = EDDYI_LIST_ENTRY(node, struct eddyi_op, in_driver);
        sim->polls[count++] = (struct pollfd){.fd = op->handle->fd, .events = events_of(op)};
    }
    struct pollfd *wake = &sim->polls[count];
    *wake = (struct pollfd){.fd = sim->wake_fd, .events = POLLIN};
    if (poll(sim->polls, count + 1, timeout_ms) > 0) {
        if (wake->revents != 0) {
            eddyi_sim_real_drain(sim);
        }
        end_some(sim, sim->polls);
    }
}
