/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An operation on a simulated socket. It stays in the socket's list until it is done; whenever the
 * socket changes so that the operation could go on, its event is set, at once or a little late.
 * When that fires, it is tried for real, and waits on when somebody else was faster:
 *
 *     waiting --socket changes--> event set --fires--> done
 *        ^                                       |
 *        +---------- nothing left for it --------+
 *
 * A cancel ends it at once, or sets the event too: then it ends with its own result if there is one
 * by that time, and with -ECANCELED if not. Nothing is taken from a socket before the end of the
 * operation that takes it, so no cancel loses a byte or a connection.
 */
#include <string.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/sim/sim_impl.h>

#define RECEIVE_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_PEEK | MSG_CMSG_CLOEXEC)
#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE)

static bool is_receive(const struct eddyi_op *op) {
    return op->kind == EDDYI_OP_RECV || op->kind == EDDYI_OP_READ;
}

static bool is_send(const struct eddyi_op *op) {
    return op->kind == EDDYI_OP_SEND || op->kind == EDDYI_OP_SENDV || op->kind == EDDYI_OP_WRITE;
}

/* What no socket does, and flags that are not simulated: better refused than taken for granted. */
static int check(const struct eddyi_op *op) {
    int flags = op->kind == EDDYI_OP_READ || op->kind == EDDYI_OP_WRITE ? 0 : op->flags;
    if ((op->kind == EDDYI_OP_READ || op->kind == EDDYI_OP_WRITE) && op->offset >= 0) {
        return -ESPIPE;
    }
    if (is_receive(op) && (flags & ~RECEIVE_FLAGS) != 0) {
        return (flags & MSG_OOB) != 0 ? -EINVAL : -EOPNOTSUPP;
    }
    return is_send(op) && (flags & ~SEND_FLAGS) != 0 ? -EOPNOTSUPP : 0;
}

/* ---- trying ---------------------------------------------------------------------------------- */

static int64_t send_op(struct eddyi_sim_socket *socket, const struct eddyi_op *op,
                       uint32_t chance) {
    if (op->kind == EDDYI_OP_SENDV) {
        return eddyi_sim_send(socket, op->iov, op->len, chance);
    }
    struct iovec piece = {.iov_len = op->len};
    memcpy(&piece.iov_base, &op->data,
           sizeof op->data); /* only read, though the member is not const */
    return eddyi_sim_send(socket, &piece, 1, chance);
}

static int64_t poll_op(struct eddyi_sim_socket *socket, const struct eddyi_op *op) {
    int events = eddyi_sim_poll(socket) & (op->flags | POLLERR | POLLHUP);
    /* What was said to be there is there: no attempt may deny it until it was used. */
    socket->told_readable |= (events & POLLIN) != 0;
    socket->told_writable |= (events & POLLOUT) != 0;
    return events == 0 ? -EAGAIN : events;
}

static int64_t connect_op(struct eddyi_sim_socket *socket, struct eddyi_op *op) {
    struct eddyi_sim_op *own = eddyi_sim_op_of(op);
    if (!own->begun) {
        int r = eddyi_sim_connect(socket, op->addr, op->len);
        if (r < 0) {
            return r;
        }
        own->begun = true;
    }
    switch (socket->state) {
    case EDDYI_SIM_CONNECTING:
        return -EAGAIN;
    case EDDYI_SIM_CONNECTED:
        return 0;
    default: {
        int error = socket->error;
        eddyi_sim_disconnect(socket);
        return error == 0 ? -ECONNABORTED : -error;
    }
    }
}

static int64_t try_op(struct eddyi_sim_socket *socket, struct eddyi_op *op) {
    uint32_t short_chance = socket->host->world->plan.short_count;
    int r = check(op);
    if (r < 0) {
        return r;
    }
    switch ((enum eddyi_op_kind)op->kind) {
    case EDDYI_OP_READ:
        return eddyi_sim_receive(socket, op->buf, op->len, false, short_chance);
    case EDDYI_OP_RECV:
        return eddyi_sim_receive(socket, op->buf, op->len, (op->flags & MSG_PEEK) != 0,
                                 short_chance);
    case EDDYI_OP_WRITE:
    case EDDYI_OP_SEND:
    case EDDYI_OP_SENDV:
        return send_op(socket, op, short_chance);
    case EDDYI_OP_ACCEPT:
        return eddyi_sim_accept(socket);
    case EDDYI_OP_CONNECT:
        return connect_op(socket, op);
    case EDDYI_OP_POLL:
        return poll_op(socket, op);
    }
    return -EINVAL;
}

/* Whether try_op would do something else than wait. */
static bool is_ready(struct eddyi_sim_socket *socket, struct eddyi_op *op) {
    if (check(op) < 0) {
        return true;
    }
    int events = eddyi_sim_poll(socket);
    switch ((enum eddyi_op_kind)op->kind) {
    case EDDYI_OP_READ:
    case EDDYI_OP_RECV:
        return (events & (POLLIN | POLLERR)) != 0 ||
               (socket->state != EDDYI_SIM_CONNECTED && socket->state != EDDYI_SIM_CONNECTING);
    case EDDYI_OP_WRITE:
    case EDDYI_OP_SEND:
    case EDDYI_OP_SENDV:
        return eddyi_sim_can_send(socket);
    case EDDYI_OP_ACCEPT:
        return socket->state != EDDYI_SIM_LISTENING || (events & POLLIN) != 0 ||
               eddyi_sim_fd_check(socket->host) < 0;
    case EDDYI_OP_CONNECT:
        return !eddyi_sim_op_of(op)->begun || socket->state != EDDYI_SIM_CONNECTING;
    case EDDYI_OP_POLL:
        break;
    }
    return (events & (op->flags | POLLERR | POLLHUP)) != 0;
}

/* ---- the life of an op ----------------------------------------------------------------------- */

void eddyi_sim_op_end(struct eddyi_sim *sim, struct eddyi_op *op, int64_t result) {
    struct eddyi_sim_op *own = eddyi_sim_op_of(op);
    struct eddyi_sim_world *world = &sim->world;
    eddyi_sim_event_unset(world, &own->event);
    if (eddyi_list_linked(&op->in_driver) && own->socket == NULL) {
        sim->real_count--;
    }
    eddyi_list_remove(&op->in_driver);
    EDDY_ASSERT(sim->pending > 0);
    sim->pending--;
    world->completions++;
    /* The number of a real descriptor is not the seed's doing. */
    bool real_fd = op->kind == EDDYI_OP_ACCEPT && own->socket == NULL && result > 0;
    eddyi_sim_note(world, EDDYI_SIM_NOTE_DONE, (int64_t)own->id, real_fd ? 0 : result, 0);
    eddyi_op_complete(op, result);
}

static void fire(struct eddyi_sim_event *event) {
    struct eddyi_sim_op *own = EDDYI_CONTAINER(event, struct eddyi_sim_op, event);
    struct eddyi_op *op = eddyi_sim_op_back(own);
    int64_t result = try_op(own->socket, op);
    if (result == -EAGAIN && op->state == EDDYI_OP_CANCELLING) {
        result = -ECANCELED;
    }
    if (result != -EAGAIN) {
        eddyi_sim_op_end(eddyi_sim_of(op->loop), op, result);
    }
}

/* For what can neither be done nor waited for: its result is known, its time has not come. */
static void fire_result(struct eddyi_sim_event *event) {
    struct eddyi_op *op = eddyi_sim_op_back(EDDYI_CONTAINER(event, struct eddyi_sim_op, event));
    eddyi_sim_op_end(eddyi_sim_of(op->loop), op, op->result);
}

static void fire_soon(struct eddyi_sim_world *world, struct eddyi_sim_op *own) {
    int64_t at_ns = eddyi_sim_world_now(world) + eddyi_sim_world_lateness(world);
    eddyi_sim_event_set(world, &own->event, at_ns);
}

void eddyi_sim_wake(struct eddyi_sim_socket *socket) {
    EDDYI_LIST_EACH(node, &socket->ops) {
        struct eddyi_op *op = EDDYI_LIST_ENTRY(node, struct eddyi_op, in_driver);
        struct eddyi_sim_op *own = eddyi_sim_op_of(op);
        if (!own->event.armed && is_ready(socket, op)) {
            fire_soon(socket->host->world, own);
        }
    }
}

/* Says "not yet" where there is something, as TCP can between any two calls. But not about what a
 * poll has promised, nor about an end or an error, which do not go away; and AF_UNIX has no way on
 * which anything could still be. */
static bool deny(struct eddyi_sim_socket *socket, const struct eddyi_op *op) {
    struct eddyi_sim_world *world = socket->host->world;
    bool there = false;
    if (socket->domain == AF_UNIX) {
        return false;
    }
    if (is_receive(op)) {
        there = !socket->told_readable && socket->link != NULL &&
                eddyi_sim_lane_unread(eddyi_sim_lane_in(socket)) > 0;
    } else if (is_send(op)) {
        /* Into an empty buffer something always goes. */
        there = !socket->told_writable && socket->state == EDDYI_SIM_CONNECTED &&
                socket->error == 0 && !socket->shut_write &&
                eddyi_sim_lane_unacknowledged(eddyi_sim_lane_out(socket)) > 0;
    } else if (op->kind == EDDYI_OP_ACCEPT) {
        there = !socket->told_readable && socket->state == EDDYI_SIM_LISTENING &&
                !eddyi_list_empty(&socket->accepting);
    }
    return there && eddyi_sim_world_chance(world, world->plan.again);
}

static int64_t attempt_on(struct eddyi_sim_socket *socket, struct eddyi_op *op) {
    if (op->kind == EDDYI_OP_CONNECT || deny(socket, op)) {
        return -EAGAIN;
    }
    return try_op(socket, op);
}

int64_t eddyi_sim_op_attempt(struct eddyi_sim *sim, struct eddyi_op *op) {
    int fd = op->handle->fd;
    struct eddyi_sim_socket *socket = eddyi_sim_socket_of(&sim->host, fd);
    int64_t result;
    if (socket != NULL) {
        result = attempt_on(socket, op);
    } else {
        result = eddyi_sim_fd_is_virtual(fd) ? -EBADF : eddyi_sim_real_try(op);
    }
    bool real_fd = op->kind == EDDYI_OP_ACCEPT && socket == NULL && result > 0;
    eddyi_sim_note(&sim->world, EDDYI_SIM_NOTE_ATTEMPT, op->kind,
                   socket == NULL ? 0 : (int64_t)socket->id, real_fd ? 0 : result);
    return result;
}

void eddyi_sim_op_submit(struct eddyi_sim *sim, struct eddyi_op *op) {
    struct eddyi_sim_world *world = &sim->world;
    struct eddyi_sim_op *own = eddyi_sim_op_of(op);
    int fd = op->handle->fd;
    *own = (struct eddyi_sim_op){.event.fire = fire, .id = ++world->last_id};
    sim->pending++;
    own->socket = eddyi_sim_socket_of(&sim->host, fd);
    eddyi_sim_note(world, EDDYI_SIM_NOTE_SUBMIT, (int64_t)own->id, op->kind,
                   own->socket == NULL ? 0 : (int64_t)own->socket->id);
    if (own->socket != NULL) {
        eddyi_list_push_back(&own->socket->ops, &op->in_driver);
        if (is_ready(own->socket, op)) {
            fire_soon(world, own);
        }
    } else if (!eddyi_sim_fd_is_virtual(fd) && eddyi_sim_real_reserve(sim)) {
        eddyi_list_push_back(&sim->real_ops, &op->in_driver);
        sim->real_count++;
    } else {
        op->result = eddyi_sim_fd_is_virtual(fd) ? -EBADF : -ENOMEM;
        own->event.fire = fire_result;
        fire_soon(world, own);
    }
}

void eddyi_sim_op_cancel(struct eddyi_sim *sim, struct eddyi_op *op) {
    struct eddyi_sim_world *world = &sim->world;
    struct eddyi_sim_op *own = eddyi_sim_op_of(op);
    eddyi_sim_note(world, EDDYI_SIM_NOTE_CANCEL, (int64_t)own->id, 0, 0);
    if (own->socket == NULL || !eddyi_sim_world_chance(world, world->plan.cancel_late)) {
        eddyi_sim_op_end(sim, op, -ECANCELED);
    } else if (!own->event.armed) {
        int64_t late_ns =
            1 + (int64_t)eddyi_sim_random_below(&world->network, (uint64_t)world->plan.late_ns);
        eddyi_sim_event_set(world, &own->event, eddyi_sim_world_now(world) + late_ns);
    }
}
