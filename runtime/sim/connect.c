/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How two sockets find each other. TCP's handshake takes three journeys, each an event of the
 * socket at whose end something happens:
 *
 *     connect --request--> find the listener --answer--> CONNECTED --confirms--> can be accepted
 *     CONNECTING           (or nobody)                               SHAKING -> CONNECTED
 *
 * A request that meets a full queue, or an address that is nobody's, gets no answer and is sent
 * again after 1, 2, 4 ... seconds, as TCP does. AF_UNIX connects at once or waits for room.
 */
#include <string.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/sim/socket_impl.h>

/* The wait between two requests doubles so often: to 64 seconds, the last of the usual seven. */
#define WAIT_DOUBLINGS_MAX 6

static void request_arrives(struct eddyi_sim_event *event);

static struct eddyi_sim_socket *socket_of(struct eddyi_sim_event *event) {
    return EDDYI_CONTAINER(event, struct eddyi_sim_socket, shake);
}

static void note(struct eddyi_sim_socket *socket, enum eddyi_sim_what what, int64_t a, int64_t b) {
    eddyi_sim_note(socket->host->world, what, (int64_t)socket->id, a, b);
}

/* The socket's next step comes after one journey; gives the time. */
static int64_t after_journey(struct eddyi_sim_socket *socket,
                             void (*step)(struct eddyi_sim_event *event)) {
    struct eddyi_sim_world *world = socket->host->world;
    int64_t at_ns = eddyi_sim_world_now(world) + eddyi_sim_world_latency(world);
    socket->shake.fire = step;
    eddyi_sim_event_set(world, &socket->shake, at_ns);
    return at_ns;
}

/* ---- listening ------------------------------------------------------------------------------- */

int eddyi_sim_listen(struct eddyi_sim_socket *socket, int backlog) {
    if (socket->state != EDDYI_SIM_LISTENING) {
        if (socket->state != EDDYI_SIM_CLOSED || socket->link != NULL ||
            (socket->domain == AF_UNIX && !socket->bound)) {
            return -EINVAL;
        }
        if (socket->domain != AF_UNIX) {
            /* Bound sockets may share a port that only one of them may listen on. */
            int r = !socket->bound || socket->local.port == 0 ? eddyi_sim_bind_any_port(socket)
                                                              : eddyi_sim_bind_check(socket);
            if (r < 0) {
                return r;
            }
        }
        socket->state = EDDYI_SIM_LISTENING;
    }
    /* The kernel compares as unsigned: a negative backlog is the longest. */
    socket->backlog =
        backlog < 0 || backlog > EDDYI_SIM_BACKLOG_MAX ? EDDYI_SIM_BACKLOG_MAX : backlog;
    note(socket, EDDYI_SIM_NOTE_LISTEN, socket->backlog, 0);
    return 0;
}

/* Like the kernel, one more than was asked for. */
static bool is_full(const struct eddyi_sim_socket *listener) {
    return listener->pending > (uint64_t)listener->backlog;
}

void eddyi_sim_wake_connectors(struct eddyi_sim_socket *listener) {
    struct eddyi_list *node;
    while ((node = eddyi_list_pop_front(&listener->connectors)) != NULL) {
        eddyi_sim_wake(EDDYI_LIST_ENTRY(node, struct eddyi_sim_socket, in_listener));
    }
}

static void leave_listener(struct eddyi_sim_socket *child) {
    eddyi_list_remove(&child->in_listener);
    child->listener->pending--;
    child->listener = NULL;
}

void eddyi_sim_unlisten(struct eddyi_sim_socket *listener) {
    struct eddyi_list *lists[] = {&listener->shaking, &listener->accepting};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        while (!eddyi_list_empty(lists[i])) {
            struct eddyi_sim_socket *child =
                EDDYI_LIST_ENTRY(lists[i]->next, struct eddyi_sim_socket, in_listener);
            leave_listener(child);
            eddyi_sim_event_unset(child->host->world, &child->shake);
            eddyi_sim_link_reset(child);
            eddyi_sim_socket_free(child);
        }
    }
    listener->state = EDDYI_SIM_CLOSED;
    eddyi_sim_wake_connectors(listener);
    eddyi_sim_wake(listener);
}

int eddyi_sim_accept(struct eddyi_sim_socket *listener) {
    /* The kernel takes the descriptor first: without one, nothing leaves the queue. */
    int r = eddyi_sim_fd_check(listener->host);
    if (r < 0) {
        return r;
    }
    if (listener->state != EDDYI_SIM_LISTENING) {
        return -EINVAL;
    }
    if (eddyi_list_empty(&listener->accepting)) {
        return listener->domain == AF_UNIX && listener->shut_read ? -EINVAL : -EAGAIN;
    }
    struct eddyi_sim_socket *child =
        EDDYI_LIST_ENTRY(listener->accepting.next, struct eddyi_sim_socket, in_listener);
    r = eddyi_sim_socket_open(child);
    if (r >= 0) {
        listener->told_readable = false;
        leave_listener(child);
        eddyi_sim_wake_connectors(listener);
    }
    return r;
}

/* ---- connecting, TCP ------------------------------------------------------------------------- */

void eddyi_sim_disconnect(struct eddyi_sim_socket *socket) {
    eddyi_sim_event_unset(socket->host->world, &socket->shake);
    if (socket->link != NULL) {
        eddyi_sim_link_reset(socket);
        eddyi_sim_link_leave(socket);
    }
    if (socket->port_taken) {
        eddyi_sim_unbind(socket);
        socket->local = eddyi_sim_address_any(socket->domain);
    }
    eddyi_sim_unbind_found(socket);
    socket->state = EDDYI_SIM_CLOSED;
    socket->error = 0;
    socket->shut_read = false;
    socket->shut_write = false;
    socket->tries = 0;
}

static void fail_connect(struct eddyi_sim_socket *socket, int error) {
    socket->state = EDDYI_SIM_CLOSED;
    socket->error = error;
    socket->shut_read = true;
    socket->shut_write = true;
    note(socket, EDDYI_SIM_NOTE_REFUSED, error, 0);
    eddyi_sim_wake(socket);
}

static void refusal_arrives(struct eddyi_sim_event *event) {
    fail_connect(socket_of(event), ECONNREFUSED);
}

static void confirmation_arrives(struct eddyi_sim_event *event) {
    struct eddyi_sim_socket *child = socket_of(event);
    struct eddyi_sim_socket *listener = child->listener;
    child->state = EDDYI_SIM_CONNECTED;
    eddyi_list_remove(&child->in_listener);
    eddyi_list_push_back(&listener->accepting, &child->in_listener);
    note(child, EDDYI_SIM_NOTE_QUEUED, (int64_t)listener->id, 0);
    eddyi_sim_wake(listener);
}

/* Sends the last part of the handshake on its way; gives the time of its arrival. Who connected
 * first is accepted first: it is one machine, and on a loopback nothing overtakes. */
static int64_t confirm(struct eddyi_sim_socket *child) {
    struct eddyi_sim_socket *listener = child->listener;
    int64_t at_ns = after_journey(child, confirmation_arrives);
    if (at_ns < listener->last_queued_ns) {
        at_ns = listener->last_queued_ns;
        eddyi_sim_event_set(child->host->world, &child->shake, at_ns);
    }
    listener->last_queued_ns = at_ns;
    return at_ns;
}

static void answer_arrives(struct eddyi_sim_event *event) {
    struct eddyi_sim_socket *socket = socket_of(event);
    struct eddyi_sim_socket *child = eddyi_sim_peer(socket);
    socket->state = EDDYI_SIM_CONNECTED;
    note(socket, EDDYI_SIM_NOTE_CONNECTED, child == NULL ? 0 : (int64_t)child->id, 0);
    if (child != NULL) {
        /* Otherwise the listener was closed meanwhile, and a reset follows the answer. */
        eddyi_sim_lane_out(socket)->last_at_ns = confirm(child);
    }
    eddyi_sim_wake(socket);
}

static void patience_ends(struct eddyi_sim_event *event) {
    fail_connect(socket_of(event), ETIMEDOUT);
}

static void request_lost(struct eddyi_sim_socket *socket) {
    struct eddyi_sim_world *world = socket->host->world;
    int64_t wait_ns =
        EDDY_S << (socket->tries < WAIT_DOUBLINGS_MAX ? socket->tries : WAIT_DOUBLINGS_MAX);
    socket->tries++;
    note(socket, EDDYI_SIM_NOTE_LOST, socket->tries, 0);
    bool again = socket->tries <= socket->options.numbers[EDDYI_SIM_SYNCNT];
    socket->shake.fire = again ? request_arrives : patience_ends;
    eddyi_sim_event_set(world, &socket->shake, eddyi_sim_world_now(world) + wait_ns);
}

/* The socket that accept will give out, or NULL when there is no memory. */
static struct eddyi_sim_socket *make_child(struct eddyi_sim_socket *listener,
                                           struct eddyi_sim_socket *client,
                                           const struct eddyi_sim_address *local) {
    struct eddyi_sim_socket *child =
        eddyi_sim_socket_new(listener->host, listener->domain, listener->protocol);
    if (child == NULL) {
        return NULL;
    }
    child->options = listener->options;
    child->bound = true; /* to the listener's name; bind_enter adds the port, where it is one */
    child->local = *local;
    child->remote = client->local;
    if (eddyi_sim_link_new(client, child) < 0) {
        eddyi_sim_socket_free(child);
        return NULL;
    }
    child->listener = listener;
    listener->pending++;
    return child;
}

static void request_arrives(struct eddyi_sim_event *event) {
    struct eddyi_sim_socket *client = socket_of(event);
    struct eddyi_sim_host *host = client->host;
    if (!eddyi_sim_address_is_loopback(&client->remote)) {
        request_lost(client);
        return;
    }
    struct eddyi_sim_socket *listener = eddyi_sim_find_listener(host, &client->remote);
    if (listener == NULL) {
        after_journey(client, refusal_arrives);
        return;
    }
    struct eddyi_sim_socket *child =
        is_full(listener) ? NULL : make_child(listener, client, &client->remote);
    if (child == NULL) {
        request_lost(client);
        return;
    }
    child->state = EDDYI_SIM_SHAKING;
    eddyi_sim_bind_enter(child);
    eddyi_list_push_back(&listener->shaking, &child->in_listener);
    /* Whatever the accepting side sends, a reset too, comes behind its answer. */
    eddyi_sim_lane_out(child)->last_at_ns = after_journey(client, answer_arrives);
}

static int connect_ip(struct eddyi_sim_socket *socket, struct eddyi_sim_address remote) {
    if (eddyi_sim_address_is_any(&remote)) {
        uint16_t port = remote.port;
        remote = eddyi_sim_address_loopback(&remote);
        remote.port = port;
    }
    bool v4 = eddyi_sim_address_is_v4(&remote);
    bool local_any = eddyi_sim_address_is_any(&socket->local);
    if (eddyi_sim_address_is_group(&remote) ||
        (v4 && socket->domain == AF_INET6 && socket->options.numbers[EDDYI_SIM_V6ONLY]) ||
        (!local_any && v4 != eddyi_sim_address_is_v4(&socket->local))) {
        return -ENETUNREACH;
    }
    struct eddyi_sim_address before = socket->local;
    socket->remote = remote;
    if (local_any) {
        socket->local = eddyi_sim_address_loopback(&remote);
        socket->local.port = before.port;
    }
    if (!socket->bound || socket->local.port == 0) {
        int r = eddyi_sim_bind_to_connect(socket);
        if (r < 0) {
            socket->local = before;
            return r;
        }
    }
    socket->state = EDDYI_SIM_CONNECTING;
    socket->tries = 0;
    note(socket, EDDYI_SIM_NOTE_CONNECT, socket->local.port, remote.port);
    after_journey(socket, request_arrives);
    return 0;
}

/* ---- connecting, AF_UNIX --------------------------------------------------------------------- */

static int connect_unix(struct eddyi_sim_socket *socket, const struct eddyi_sim_address *remote) {
    if (remote->name_len == 0) {
        return -EINVAL;
    }
    struct eddyi_sim_name *name = eddyi_sim_find_name(socket->host, remote);
    if (name == NULL) {
        return remote->name[0] == '\0' ? -ECONNREFUSED : -ENOENT;
    }
    struct eddyi_sim_socket *listener = name->socket;
    if (listener == NULL || listener->state != EDDYI_SIM_LISTENING || listener->shut_read) {
        return -ECONNREFUSED;
    }
    if (is_full(listener)) {
        eddyi_list_remove(&socket->in_listener);
        eddyi_list_push_back(&listener->connectors, &socket->in_listener);
        return -EAGAIN;
    }
    /* Only now, as the kernel does: who is refused is refused, connected or not. */
    if (socket->state != EDDYI_SIM_CLOSED || socket->link != NULL) {
        return socket->state == EDDYI_SIM_LISTENING ? -EINVAL : -EISCONN;
    }
    struct eddyi_sim_socket *child = make_child(listener, socket, &listener->local);
    if (child == NULL) {
        return -ENOMEM;
    }
    socket->remote = *remote;
    socket->state = EDDYI_SIM_CONNECTED;
    child->state = EDDYI_SIM_CONNECTED;
    eddyi_list_push_back(&listener->accepting, &child->in_listener);
    note(socket, EDDYI_SIM_NOTE_CONNECTED, (int64_t)child->id, 0);
    eddyi_sim_wake(listener);
    return 0;
}

/* ---- both ------------------------------------------------------------------------------------ */

int eddyi_sim_connect(struct eddyi_sim_socket *socket, const struct sockaddr *address, size_t len) {
    struct eddyi_sim_address remote;
    int r = eddyi_sim_address_read(&remote, socket->domain, address, len);
    if (r < 0) {
        return r;
    }
    if (socket->domain == AF_UNIX) {
        return connect_unix(socket, &remote);
    }
    if (socket->state == EDDYI_SIM_CONNECTING) {
        /* A blocking connect waits for the one that is under way. */
        return 0;
    }
    if (socket->state != EDDYI_SIM_CLOSED || socket->link != NULL) {
        return -EISCONN;
    }
    return connect_ip(socket, remote);
}

int eddyi_sim_socketpair(struct eddyi_sim_host *host, int ret_fds[2]) {
    struct eddyi_sim_socket *pair[2] = {NULL, NULL};
    int r = -ENOMEM;
    pair[0] = eddyi_sim_socket_new(host, AF_UNIX, 0);
    pair[1] = pair[0] == NULL ? NULL : eddyi_sim_socket_new(host, AF_UNIX, 0);
    if (pair[1] != NULL) {
        r = eddyi_sim_link_new(pair[0], pair[1]);
    }
    if (r == 0) {
        pair[0]->state = pair[1]->state = EDDYI_SIM_CONNECTED;
        r = eddyi_sim_socket_open(pair[0]);
    }
    if (r >= 0) {
        r = eddyi_sim_socket_open(pair[1]);
    }
    if (r >= 0) {
        ret_fds[0] = pair[0]->fd;
        ret_fds[1] = pair[1]->fd;
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        if (pair[i] != NULL && pair[i]->fd >= 0) {
            eddyi_sim_socket_close(pair[i]);
        } else if (pair[i] != NULL) {
            eddyi_sim_socket_free(pair[i]);
        }
    }
    return r;
}
