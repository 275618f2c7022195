/* SPDX-License-Identifier: Apache-2.0 */
/* Who has which port and which name. The rules are those of net/ipv4/inet_connection_sock.c. */
#include <stdio.h>
#include <string.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/sim/socket_impl.h>

#define PORT_COUNT (EDDYI_SIM_PORT_LAST - EDDYI_SIM_PORT_FIRST + 1)
/* As TCP_TIMEWAIT_LEN. */
#define TIME_WAIT_NS (60 * EDDY_S)
/* A kernel also ends the oldest early when there are too many. */
#define TIME_WAIT_MAX 1024
/* The kernel's own names of Unix sockets: five hexadecimal digits behind a NUL. */
#define AUTO_NAME_LEN 6
#define AUTO_NAME_COUNT (1 << 20)

static struct eddyi_list *bucket_of(struct eddyi_sim_host *host, uint16_t port) {
    return &host->ports[port % EDDYI_SIM_PORT_BUCKETS];
}

static int option(const struct eddyi_sim_socket *socket, enum eddyi_sim_option which) {
    return socket->options.numbers[which];
}

/* ---- ports ----------------------------------------------------------------------------------- */

/* Whether a socket that is bound to "any" also has the addresses of `ip`'s family. */
static bool any_covers(const struct eddyi_sim_address *any, bool v6only,
                       const struct eddyi_sim_address *ip) {
    bool any_is_v4 = eddyi_sim_address_is_v4(any);
    return any_is_v4 == eddyi_sim_address_is_v4(ip) || (!any_is_v4 && !v6only);
}

static bool overlap(const struct eddyi_sim_address *a, bool a_v6only,
                    const struct eddyi_sim_address *b, bool b_v6only) {
    bool a_any = eddyi_sim_address_is_any(a);
    bool b_any = eddyi_sim_address_is_any(b);
    if (a_any && any_covers(a, a_v6only, b)) {
        return true;
    }
    if (b_any && any_covers(b, b_v6only, a)) {
        return true;
    }
    return !a_any && !b_any && eddyi_sim_address_same_ip(a, b);
}

static bool in_conflict(const struct eddyi_sim_socket *socket,
                        const struct eddyi_sim_socket *other) {
    if (other == socket || other->local.port != socket->local.port ||
        !overlap(&socket->local, option(socket, EDDYI_SIM_V6ONLY), &other->local,
                 option(other, EDDYI_SIM_V6ONLY))) {
        return false;
    }
    if (option(socket, EDDYI_SIM_REUSEPORT) && option(other, EDDYI_SIM_REUSEPORT)) {
        return false;
    }
    return !option(socket, EDDYI_SIM_REUSEADDR) || !option(other, EDDYI_SIM_REUSEADDR) ||
           other->state == EDDYI_SIM_LISTENING;
}

static void end_time_wait(struct eddyi_sim_host *host, struct eddyi_sim_time_wait *wait) {
    eddyi_list_remove(&wait->in_host);
    host->time_wait_count--;
    eddyi_free(wait);
}

static struct eddyi_sim_time_wait *oldest_time_wait(struct eddyi_sim_host *host) {
    return eddyi_list_empty(&host->time_waits)
               ? NULL
               : EDDYI_LIST_ENTRY(host->time_waits.next, struct eddyi_sim_time_wait, in_host);
}

/* They are looked at when somebody binds, and have no event: nothing happens when one ends. */
static void end_old_time_waits(struct eddyi_sim_host *host) {
    int64_t now_ns = eddyi_sim_world_now(host->world);
    struct eddyi_sim_time_wait *wait;
    while ((wait = oldest_time_wait(host)) != NULL &&
           (wait->until_ns <= now_ns || host->time_wait_count > TIME_WAIT_MAX)) {
        end_time_wait(host, wait);
    }
}

int eddyi_sim_bind_check(struct eddyi_sim_socket *socket) {
    struct eddyi_sim_host *host = socket->host;
    EDDYI_LIST_EACH(node, bucket_of(host, socket->local.port)) {
        if (in_conflict(socket, EDDYI_LIST_ENTRY(node, struct eddyi_sim_socket, in_port))) {
            return -EADDRINUSE;
        }
    }
    end_old_time_waits(host);
    EDDYI_LIST_EACH(node, &host->time_waits) {
        struct eddyi_sim_time_wait *wait =
            EDDYI_LIST_ENTRY(node, struct eddyi_sim_time_wait, in_host);
        if (wait->local.port == socket->local.port &&
            !(wait->reuse && option(socket, EDDYI_SIM_REUSEADDR)) &&
            overlap(&socket->local, option(socket, EDDYI_SIM_V6ONLY), &wait->local, true)) {
            return -EADDRINUSE;
        }
    }
    return 0;
}

void eddyi_sim_bind_enter(struct eddyi_sim_socket *socket) {
    socket->bound = true;
    if (socket->local.port != 0) {
        eddyi_list_push_back(bucket_of(socket->host, socket->local.port), &socket->in_port);
    }
}

/* Tries the ports in a ring from a random one on, until `check` likes one. */
static int find_port(struct eddyi_sim_socket *socket,
                     int (*check)(struct eddyi_sim_socket *socket)) {
    uint64_t start = eddyi_sim_random_below(&socket->host->world->network, PORT_COUNT);
    for (uint64_t i = 0; i < PORT_COUNT; i++) {
        socket->local.port = (uint16_t)(EDDYI_SIM_PORT_FIRST + (start + i) % PORT_COUNT);
        if (check(socket) == 0) {
            eddyi_sim_bind_enter(socket);
            return 0;
        }
    }
    socket->local.port = 0;
    return -EADDRINUSE;
}

int eddyi_sim_bind_any_port(struct eddyi_sim_socket *socket) {
    return find_port(socket, eddyi_sim_bind_check);
}

/* A connection may share its port with connections to other places, not with anything else. */
static int check_to_connect(struct eddyi_sim_socket *socket) {
    EDDYI_LIST_EACH(node, bucket_of(socket->host, socket->local.port)) {
        struct eddyi_sim_socket *other = EDDYI_LIST_ENTRY(node, struct eddyi_sim_socket, in_port);
        if (other->local.port == socket->local.port &&
            (!other->port_taken || (other->remote.port == socket->remote.port &&
                                    eddyi_sim_address_same_ip(&other->remote, &socket->remote)))) {
            return -EADDRINUSE;
        }
    }
    return 0;
}

int eddyi_sim_bind_to_connect(struct eddyi_sim_socket *socket) {
    if (find_port(socket, check_to_connect) < 0) {
        return -EADDRNOTAVAIL;
    }
    socket->port_taken = true;
    return 0;
}

void eddyi_sim_bind_rest(struct eddyi_sim_socket *socket) {
    struct eddyi_sim_host *host = socket->host;
    struct eddyi_sim_time_wait *wait = eddyi_alloc(sizeof *wait);
    if (wait == NULL) {
        /* As a kernel that has no memory for it: the port is free at once. */
        return;
    }
    *wait = (struct eddyi_sim_time_wait){
        .local = socket->local,
        .reuse = option(socket, EDDYI_SIM_REUSEADDR),
        .until_ns = eddyi_sim_world_now(host->world) + TIME_WAIT_NS,
    };
    eddyi_list_init(&wait->in_host);
    eddyi_list_push_back(&host->time_waits, &wait->in_host);
    host->time_wait_count++;
    end_old_time_waits(host);
}

/* How well a listener fits, or -1: an exact address before "any", IPv4's own before IPv6's. */
static int fitness(const struct eddyi_sim_socket *listener, const struct eddyi_sim_address *to) {
    if (listener->state != EDDYI_SIM_LISTENING || listener->local.port != to->port) {
        return -1;
    }
    int family = listener->domain == AF_INET;
    if (eddyi_sim_address_is_any(&listener->local)) {
        return any_covers(&listener->local, option(listener, EDDYI_SIM_V6ONLY), to) ? family : -1;
    }
    return eddyi_sim_address_same_ip(&listener->local, to) ? 2 + family : -1;
}

struct eddyi_sim_socket *eddyi_sim_find_listener(struct eddyi_sim_host *host,
                                                 const struct eddyi_sim_address *to) {
    struct eddyi_sim_socket *best = NULL;
    int best_fitness = -1;
    uint64_t equals = 0;
    EDDYI_LIST_EACH(node, bucket_of(host, to->port)) {
        struct eddyi_sim_socket *socket = EDDYI_LIST_ENTRY(node, struct eddyi_sim_socket, in_port);
        int fit = fitness(socket, to);
        if (fit < 0 || fit < best_fitness) {
            continue;
        }
        equals = fit > best_fitness ? 1 : equals + 1;
        if (equals == 1 || eddyi_sim_random_below(&host->world->network, equals) == 0) {
            best = socket;
        }
        best_fitness = fit;
    }
    return best;
}

/* ---- names ----------------------------------------------------------------------------------- */

struct eddyi_sim_name *eddyi_sim_find_name(struct eddyi_sim_host *host,
                                           const struct eddyi_sim_address *address) {
    EDDYI_LIST_EACH(node, &host->names) {
        struct eddyi_sim_name *name = EDDYI_LIST_ENTRY(node, struct eddyi_sim_name, in_host);
        if (eddyi_sim_address_same_name(&name->address, address)) {
            return name;
        }
    }
    return NULL;
}

static int bind_name(struct eddyi_sim_socket *socket, const struct eddyi_sim_address *address) {
    if (eddyi_sim_find_name(socket->host, address) != NULL) {
        return -EADDRINUSE;
    }
    struct eddyi_sim_name *name = eddyi_alloc(sizeof *name);
    if (name == NULL) {
        return -ENOMEM;
    }
    *name = (struct eddyi_sim_name){.address = *address, .socket = socket};
    eddyi_list_init(&name->in_host);
    eddyi_list_push_back(&socket->host->names, &name->in_host);
    socket->name = name;
    socket->local = *address;
    socket->bound = true;
    if (socket->link != NULL && eddyi_sim_peer(socket) != NULL) {
        eddyi_sim_peer(socket)->remote = *address;
    }
    return 0;
}

static int bind_auto_name(struct eddyi_sim_socket *socket) {
    if (socket->bound) {
        return 0; /* whatever its name is, it has one */
    }
    uint64_t start = eddyi_sim_random_below(&socket->host->world->network, AUTO_NAME_COUNT);
    for (uint64_t i = 0; i < AUTO_NAME_COUNT; i++) {
        struct eddyi_sim_address address = {.name_len = AUTO_NAME_LEN};
        snprintf(address.name + 1, AUTO_NAME_LEN, "%05x",
                 (unsigned)((start + i) % AUTO_NAME_COUNT));
        int r = bind_name(socket, &address);
        if (r != -EADDRINUSE) {
            return r;
        }
    }
    return -ENOSPC;
}

static void unbind_name(struct eddyi_sim_name *name) {
    name->socket = NULL;
    if (name->address.name[0] == '\0') {
        eddyi_list_remove(&name->in_host);
        eddyi_free(name);
    }
}

int eddyi_sim_unlink_name(struct eddyi_sim_host *host, const char *path) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct eddyi_sim_address address;
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof un.sun_path) {
        return -ENOENT;
    }
    memcpy(un.sun_path, path, len);
    int r = eddyi_sim_address_read(&address, AF_UNIX, (struct sockaddr *)&un, sizeof un);
    struct eddyi_sim_name *name = r < 0 ? NULL : eddyi_sim_find_name(host, &address);
    if (name == NULL) {
        return -ENOENT;
    }
    if (name->socket != NULL) {
        name->socket->name = NULL;
    }
    eddyi_list_remove(&name->in_host);
    eddyi_free(name);
    return 0;
}

/* ---- both ------------------------------------------------------------------------------------ */

static int bind_ip(struct eddyi_sim_socket *socket, struct eddyi_sim_address address) {
    bool v4 = eddyi_sim_address_is_v4(&address);
    if (socket->domain == AF_INET6 && v4 && option(socket, EDDYI_SIM_V6ONLY)) {
        return -EINVAL;
    }
    if (!eddyi_sim_address_is_any(&address) && !eddyi_sim_address_is_loopback(&address)) {
        return -EADDRNOTAVAIL;
    }
    struct eddyi_sim_address before = socket->local;
    socket->local = address;
    int r = 0;
    if (address.port != 0) {
        r = eddyi_sim_bind_check(socket);
        if (r == 0) {
            eddyi_sim_bind_enter(socket);
            socket->port_named = true;
        }
    } else if (option(socket, EDDYI_SIM_BIND_NO_PORT)) {
        socket->bound = true;
    } else {
        r = eddyi_sim_bind_any_port(socket);
    }
    if (r < 0) {
        socket->local = before;
    }
    return r;
}

int eddyi_sim_bind(struct eddyi_sim_socket *socket, const struct sockaddr *address, socklen_t len) {
    struct eddyi_sim_address local;
    int r = eddyi_sim_address_read(&local, socket->domain, address, len);
    if (r < 0) {
        return r;
    }
    bool unix_domain = socket->domain == AF_UNIX;
    bool connected = socket->state != EDDYI_SIM_CLOSED;
    if (unix_domain && local.name_len == 0) {
        r = bind_auto_name(socket);
    } else if (unix_domain && local.name[0] != '\0' &&
               eddyi_sim_find_name(socket->host, &local) != NULL) {
        r = -EADDRINUSE; /* the kernel makes the file before it looks at the socket */
    } else if (socket->bound || (connected && !unix_domain)) {
        r = -EINVAL;
    } else {
        r = unix_domain ? bind_name(socket, &local) : bind_ip(socket, local);
    }
    if (r == 0) {
        eddyi_sim_note(socket->host->world, EDDYI_SIM_NOTE_BIND, (int64_t)socket->id,
                       socket->local.port, 0);
    }
    return r;
}

void eddyi_sim_unbind(struct eddyi_sim_socket *socket) {
    eddyi_list_remove(&socket->in_port);
    if (socket->name != NULL) {
        unbind_name(socket->name);
        socket->name = NULL;
    }
    socket->bound = false;
    socket->port_taken = false;
    socket->port_named = false;
}

void eddyi_sim_unbind_found(struct eddyi_sim_socket *socket) {
    if (!socket->port_named && socket->domain != AF_UNIX) {
        /* getsockname still tells the number, as the kernel's does. */
        eddyi_sim_unbind(socket);
    }
}
