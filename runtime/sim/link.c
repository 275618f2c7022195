/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What flows between two connected sockets, and how it ends. What a socket then answers follows
 * net/ipv4/tcp.c and net/unix/af_unix.c:
 *
 *   - close with unread bytes, or with SO_LINGER 0, resets; else the end travels behind the bytes.
 *   - bytes that reach a closed socket are answered with a reset.
 *   - who is reset reads what had arrived, then -ECONNRESET once, then 0; a send gives -ECONNRESET
 *     once, then -EPIPE. Where the end had arrived before, it is 0 and -EPIPE from the beginning.
 */
#include <poll.h>
#include <string.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/sim/socket_impl.h>

static void note(struct eddyi_sim_socket *socket, enum eddyi_sim_what what, int64_t a, int64_t b) {
    eddyi_sim_note(socket->host->world, what, (int64_t)socket->id, a, b);
}

/* ---- being there ----------------------------------------------------------------------------- */

/* A program's own size counts half: the kernel doubles it for its book-keeping. */
static size_t send_limit(const struct eddyi_sim_socket *socket) {
    const struct eddyi_sim_plan *plan = &socket->host->world->plan;
    if (socket->options.sndbuf_set) {
        return (size_t)socket->options.numbers[EDDYI_SIM_SNDBUF] / 2;
    }
    return socket->domain == AF_UNIX ? plan->send_bytes + plan->receive_bytes : plan->send_bytes;
}

static size_t receive_limit(const struct eddyi_sim_socket *socket) {
    const struct eddyi_sim_plan *plan = &socket->host->world->plan;
    return socket->options.rcvbuf_set ? (size_t)socket->options.numbers[EDDYI_SIM_RCVBUF] / 2
                                      : plan->receive_bytes;
}

static void arrive_at_0(struct eddyi_sim_event *event);
static void arrive_at_1(struct eddyi_sim_event *event);

int eddyi_sim_link_new(struct eddyi_sim_socket *a, struct eddyi_sim_socket *b) {
    struct eddyi_sim_link *link = eddyi_alloc(sizeof *link);
    if (link == NULL) {
        return -ENOMEM;
    }
    *link = (struct eddyi_sim_link){.world = a->host->world, .ends = {a, b}};
    bool direct = a->domain == AF_UNIX;
    for (int i = 0; i < 2; i++) {
        struct eddyi_sim_socket *end = link->ends[i];
        eddyi_sim_lane_init(&link->lanes[i], direct, send_limit(end),
                            receive_limit(link->ends[1 - i]));
        end->link = link;
        end->side = i;
    }
    link->lanes[0].event.fire = arrive_at_1;
    link->lanes[1].event.fire = arrive_at_0;
    return 0;
}

void eddyi_sim_link_resize(struct eddyi_sim_socket *socket) {
    if (socket->link != NULL) {
        eddyi_sim_lane_out(socket)->send_limit = send_limit(socket);
        eddyi_sim_lane_in(socket)->receive_limit = receive_limit(socket);
    }
}

static void drop_hold(struct eddyi_sim_link *link) {
    if (--link->holds > 0 || link->ends[0] != NULL || link->ends[1] != NULL) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        eddyi_sim_lane_done(link->world, &link->lanes[i]);
    }
    eddyi_free(link);
}

void eddyi_sim_link_leave(struct eddyi_sim_socket *socket) {
    struct eddyi_sim_link *link = socket->link;
    link->holds++;
    link->ends[socket->side] = NULL;
    socket->link = NULL;
    drop_hold(link);
}

/* ---- ends and resets ------------------------------------------------------------------------- */

/* Nobody will accept it, read it or close it any more. */
static bool is_abandoned(const struct eddyi_sim_socket *socket) {
    return socket->fd < 0 && socket->listener == NULL;
}

/* The connection is over for this end: what had arrived can still be read. */
static void end_connection(struct eddyi_sim_socket *socket, int error) {
    socket->state = EDDYI_SIM_CLOSED;
    socket->shut_read = true;
    socket->shut_write = true;
    if (error != 0) {
        socket->error = error;
    }
    if (is_abandoned(socket)) {
        eddyi_sim_socket_free(socket);
    } else {
        eddyi_sim_unbind_found(socket);
        eddyi_sim_wake(socket);
    }
}

/* AF_UNIX: the peer has closed. */
static void peer_gone(struct eddyi_sim_socket *peer, int error) {
    peer->shut_read = true;
    peer->shut_write = true;
    if (error != 0) {
        peer->error = error;
    }
    eddyi_sim_wake(peer);
}

void eddyi_sim_link_reset(struct eddyi_sim_socket *socket) {
    struct eddyi_sim_world *world = socket->host->world;
    struct eddyi_sim_socket *peer = eddyi_sim_peer(socket);
    if (socket->domain == AF_UNIX) {
        if (peer != NULL) {
            peer_gone(peer, ECONNRESET);
        }
        return;
    }
    eddyi_sim_lane_cut(world, eddyi_sim_lane_in(socket));
    if (peer != NULL) {
        eddyi_sim_lane_reset(world, eddyi_sim_lane_out(socket));
    }
}

static void reset_arrives(struct eddyi_sim_link *link, int side) {
    struct eddyi_sim_socket *socket = link->ends[side];
    note(socket, EDDYI_SIM_NOTE_RESET, 0, 0);
    eddyi_sim_lane_cut(link->world, eddyi_sim_lane_out(socket));
    if (socket->state == EDDYI_SIM_SHAKING) {
        /* The kernel has no socket yet for a handshake under way: it is as if none had begun. */
        eddyi_sim_event_unset(link->world, &socket->shake);
        socket->listener->pending--;
        socket->listener = NULL;
        eddyi_sim_socket_free(socket);
        return;
    }
    end_connection(socket, socket->end_seen ? EPIPE : ECONNRESET);
}

/* Both ends have been seen by both sides: the connection is over, in peace. */
static void end_in_peace(struct eddyi_sim_link *link) {
    for (int i = 0; i < 2; i++) {
        struct eddyi_sim_socket *socket = link->ends[i];
        if (socket != NULL) {
            end_connection(socket, 0);
        }
    }
}

static void end_arrives(struct eddyi_sim_link *link, int side) {
    struct eddyi_sim_socket *socket = link->ends[side];
    const struct eddyi_sim_lane *out = eddyi_sim_lane_out(socket);
    socket->end_seen = true;
    note(socket, EDDYI_SIM_NOTE_END, 0, 0);
    if (!out->end_launched) {
        eddyi_sim_wake(socket);
    } else {
        /* Who said its end without having heard the other's keeps the port for a while. */
        eddyi_sim_bind_rest(socket);
        if (out->end_arrived) {
            end_in_peace(link);
        } else {
            eddyi_sim_wake(socket);
        }
    }
}

/* `before` is what had arrived before this. */
static void data_arrives(struct eddyi_sim_link *link, int side, uint64_t before) {
    struct eddyi_sim_socket *socket = link->ends[side];
    struct eddyi_sim_lane *lane = eddyi_sim_lane_in(socket);
    if (is_abandoned(socket)) {
        eddyi_sim_link_reset(socket);
        eddyi_sim_socket_free(socket);
    } else if (socket->shut_read && eddyi_sim_lane_out(socket)->end_launched) {
        /* Nobody reads and nobody writes here any more: the kernel ends it from this side, and does
         * not keep the bytes. */
        lane->arrived = before;
        eddyi_sim_link_reset(socket);
        end_connection(socket, ECONNRESET);
    } else {
        note(socket, EDDYI_SIM_NOTE_ARRIVED, (int64_t)eddyi_sim_lane_unread(lane),
             (int64_t)lane->arrived);
        eddyi_sim_wake(socket);
    }
    if (link->ends[1 - side] != NULL) {
        eddyi_sim_wake(link->ends[1 - side]); /* has room again */
    }
}

/* Something has arrived at the end `side`. */
static void arrive(struct eddyi_sim_link *link, int side) {
    struct eddyi_sim_lane *lane = &link->lanes[1 - side];
    uint64_t before = lane->arrived;
    link->holds++;
    struct eddyi_sim_segment segment = eddyi_sim_lane_arrive(link->world, lane);
    if (link->ends[side] != NULL) {
        switch (segment.kind) {
        case EDDYI_SIM_SEGMENT_DATA:
            data_arrives(link, side, before);
            break;
        case EDDYI_SIM_SEGMENT_END:
            end_arrives(link, side);
            break;
        case EDDYI_SIM_SEGMENT_RESET:
            reset_arrives(link, side);
            break;
        }
    }
    drop_hold(link);
}

static void arrive_at_1(struct eddyi_sim_event *event) {
    arrive(EDDYI_CONTAINER(event, struct eddyi_sim_link, lanes[0].event), 1);
}

static void arrive_at_0(struct eddyi_sim_event *event) {
    arrive(EDDYI_CONTAINER(event, struct eddyi_sim_link, lanes[1].event), 0);
}

void eddyi_sim_link_close(struct eddyi_sim_socket *socket) {
    const struct linger *linger = &socket->options.linger;
    bool unread = eddyi_sim_lane_unread(eddyi_sim_lane_in(socket)) > 0;
    struct eddyi_sim_socket *peer = eddyi_sim_peer(socket);
    if (socket->domain == AF_UNIX) {
        if (peer != NULL) {
            peer_gone(peer, unread ? ECONNRESET : 0);
        }
        eddyi_sim_socket_free(socket);
    } else if (socket->state == EDDYI_SIM_CLOSED) {
        eddyi_sim_socket_free(socket);
    } else if (socket->state == EDDYI_SIM_CONNECTING || unread ||
               (linger->l_onoff != 0 && linger->l_linger == 0)) {
        eddyi_sim_link_reset(socket);
        eddyi_sim_socket_free(socket);
    } else {
        /* It stays until the peer has ended too, or sends something that nobody reads any more. */
        eddyi_sim_lane_end(eddyi_sim_lane_out(socket));
        eddyi_sim_lane_launch(socket->host->world, eddyi_sim_lane_out(socket));
    }
}

/* ---- shutdown -------------------------------------------------------------------------------- */

static int shutdown_unix(struct eddyi_sim_socket *socket, bool reading, bool writing) {
    socket->shut_read |= reading;
    socket->shut_write |= writing;
    struct eddyi_sim_socket *peer = socket->link == NULL ? NULL : eddyi_sim_peer(socket);
    if (peer != NULL) {
        peer->shut_write |= reading;
        peer->shut_read |= writing;
        eddyi_sim_wake(peer);
    }
    eddyi_sim_wake_connectors(socket);
    eddyi_sim_wake(socket);
    return 0;
}

static int shutdown_tcp(struct eddyi_sim_socket *socket, bool reading, bool writing) {
    switch (socket->state) {
    case EDDYI_SIM_LISTENING:
        if (reading) {
            eddyi_sim_unlisten(socket);
            eddyi_sim_unbind_found(socket);
            socket->shut_read = socket->shut_write = false;
        }
        return 0;
    case EDDYI_SIM_CONNECTING:
        eddyi_sim_disconnect(socket);
        socket->error = ECONNRESET;
        eddyi_sim_wake(socket);
        return 0;
    case EDDYI_SIM_CONNECTED:
        break;
    default:
        /* The kernel says so and does it all the same, also to a connection that comes later. */
        socket->shut_read |= reading;
        socket->shut_write |= writing;
        eddyi_sim_wake(socket);
        return -ENOTCONN;
    }
    socket->shut_read |= reading;
    socket->shut_write |= writing;
    if (writing && !eddyi_sim_lane_out(socket)->end_written) {
        eddyi_sim_lane_end(eddyi_sim_lane_out(socket));
        eddyi_sim_lane_launch(socket->host->world, eddyi_sim_lane_out(socket));
    }
    eddyi_sim_wake(socket);
    return 0;
}

int eddyi_sim_shutdown(struct eddyi_sim_socket *socket, int how) {
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) {
        return -EINVAL;
    }
    note(socket, EDDYI_SIM_NOTE_SHUTDOWN, how, 0);
    bool reading = how != SHUT_WR;
    bool writing = how != SHUT_RD;
    return socket->domain == AF_UNIX ? shutdown_unix(socket, reading, writing)
                                     : shutdown_tcp(socket, reading, writing);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static int take_error(struct eddyi_sim_socket *socket) {
    int error = socket->error;
    socket->error = 0;
    return -error;
}

/* What a receive says when there is no byte. */
static int64_t receive_nothing(struct eddyi_sim_socket *socket) {
    if (socket->domain == AF_UNIX && socket->link == NULL) {
        return -EINVAL;
    }
    if (socket->state == EDDYI_SIM_LISTENING) {
        return -ENOTCONN;
    }
    if (socket->end_seen) {
        return 0;
    }
    if (socket->error != 0) {
        return take_error(socket);
    }
    if (socket->shut_read) {
        return 0;
    }
    return socket->state == EDDYI_SIM_CONNECTED || socket->state == EDDYI_SIM_CONNECTING
               ? -EAGAIN
               : -ENOTCONN;
}

int64_t eddyi_sim_receive(struct eddyi_sim_socket *socket, void *buf, size_t len, bool peek,
                          uint32_t short_chance) {
    struct eddyi_sim_world *world = socket->host->world;
    struct eddyi_sim_lane *lane = socket->link == NULL ? NULL : eddyi_sim_lane_in(socket);
    size_t unread = lane == NULL ? 0 : eddyi_sim_lane_unread(lane);
    if (unread == 0) {
        return receive_nothing(socket);
    }
    size_t some = eddyi_sim_world_some(world, short_chance, len < unread ? len : unread);
    eddyi_sim_lane_read(lane, buf, some, peek);
    if (!peek) {
        socket->told_readable = false;
        eddyi_sim_lane_launch(world, lane);
        if (lane->direct && eddyi_sim_peer(socket) != NULL) {
            eddyi_sim_wake(eddyi_sim_peer(socket));
        }
    }
    return (int64_t)some;
}

/* What a send says before it looks for room, or 0. */
static int send_check(struct eddyi_sim_socket *socket) {
    if (socket->domain == AF_UNIX) {
        if (socket->link == NULL) {
            return -ENOTCONN;
        }
        return socket->shut_write ? -EPIPE : 0;
    }
    if (socket->error != 0) {
        return take_error(socket);
    }
    if (socket->state == EDDYI_SIM_CONNECTING) {
        return -EAGAIN;
    }
    return socket->state != EDDYI_SIM_CONNECTED || socket->shut_write ? -EPIPE : 0;
}

int64_t eddyi_sim_send(struct eddyi_sim_socket *socket, const struct iovec *pieces, size_t count,
                       uint32_t short_chance) {
    struct eddyi_sim_world *world = socket->host->world;
    int r = send_check(socket);
    if (r < 0) {
        return r;
    }
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        if (__builtin_add_overflow(len, pieces[i].iov_len, &len)) {
            return -EINVAL;
        }
    }
    struct eddyi_sim_lane *lane = eddyi_sim_lane_out(socket);
    size_t room = eddyi_sim_lane_room(lane);
    if (len == 0 || room == 0) {
        return len == 0 ? 0 : -EAGAIN;
    }
    size_t some = eddyi_sim_world_some(world, short_chance, len < room ? len : room);
    int64_t n = eddyi_sim_lane_write(lane, pieces, count, some);
    if (n > 0) {
        socket->told_writable = false;
        eddyi_sim_lane_launch(world, lane);
        if (lane->direct && eddyi_sim_peer(socket) != NULL) {
            eddyi_sim_wake(eddyi_sim_peer(socket));
        }
    }
    return n;
}

/* ---- readiness ------------------------------------------------------------------------------- */

bool eddyi_sim_can_send(const struct eddyi_sim_socket *socket) {
    if (socket->state == EDDYI_SIM_CONNECTING) {
        return false;
    }
    return socket->error != 0 || socket->shut_write || socket->state != EDDYI_SIM_CONNECTED ||
           eddyi_sim_lane_room(eddyi_sim_lane_out(socket)) > 0;
}

/* Room for a single byte is not worth waking for: the kernel waits for a third of a TCP buffer, for
 * three quarters of a Unix one. */
static bool is_roomy(const struct eddyi_sim_socket *socket) {
    const struct eddyi_sim_lane *lane = eddyi_sim_lane_out(socket);
    size_t room = eddyi_sim_lane_room(lane);
    return lane->direct ? room >= lane->send_limit - lane->send_limit / 4
                        : room > 0 && room >= lane->send_limit / 3;
}

int eddyi_sim_poll(const struct eddyi_sim_socket *socket) {
    if (socket->state == EDDYI_SIM_LISTENING && socket->domain != AF_UNIX) {
        return eddyi_list_empty(&socket->accepting) ? 0 : POLLIN | POLLRDNORM;
    }
    bool reading_over = socket->shut_read || socket->end_seen;
    int events = socket->error != 0 ? POLLERR : 0;
    if (reading_over) {
        events |= POLLIN | POLLRDNORM | POLLRDHUP;
    }
    if (reading_over && socket->shut_write) {
        events |= POLLHUP;
    }
    switch (socket->state) {
    case EDDYI_SIM_LISTENING:
        return events | (eddyi_list_empty(&socket->accepting) ? 0 : POLLIN | POLLRDNORM);
    case EDDYI_SIM_CONNECTING:
        return events;
    case EDDYI_SIM_CLOSED:
        events |= POLLHUP | POLLOUT | POLLWRNORM;
        break;
    default:
        if (socket->shut_write || is_roomy(socket)) {
            events |= POLLOUT | POLLWRNORM;
        }
        break;
    }
    if (socket->link != NULL && eddyi_sim_lane_unread(eddyi_sim_lane_in(socket)) > 0) {
        events |= POLLIN | POLLRDNORM;
    }
    return events;
}
