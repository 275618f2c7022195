/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sim/socket_impl.h>

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/memory_impl.h>

#define OPEN_CAP_MIN 16

/* ---- hosts ----------------------------------------------------------------------------------- */

void eddyi_sim_host_init(struct eddyi_sim_host *host, struct eddyi_sim_world *world) {
    *host = (struct eddyi_sim_host){.world = world};
    eddyi_list_init(&host->sockets);
    eddyi_list_init(&host->names);
    eddyi_list_init(&host->time_waits);
    for (size_t i = 0; i < EDDYI_SIM_PORT_BUCKETS; i++) {
        eddyi_list_init(&host->ports[i]);
    }
}

void eddyi_sim_host_note_leaks(struct eddyi_sim_host *host) {
    for (size_t i = 0; i < host->open_cap; i++) {
        if (host->open[i] != NULL) {
            eddyi_sim_note(host->world, EDDYI_SIM_NOTE_LEAK, (int64_t)host->open[i]->id, 0, 0);
        }
    }
}

void eddyi_sim_host_done(struct eddyi_sim_host *host) {
    host->world->ended = true;
    EDDYI_LIST_EACH(each, &host->sockets) {
        struct eddyi_sim_socket *socket = EDDYI_LIST_ENTRY(each, struct eddyi_sim_socket, in_host);
        /* In a forked child the operations are the parent's, and nobody has ended them. */
        eddyi_list_init(&socket->ops);
        eddyi_sim_socket_free(socket);
    }
    struct eddyi_list *node;
    while ((node = eddyi_list_pop_front(&host->names)) != NULL) {
        eddyi_free(EDDYI_LIST_ENTRY(node, struct eddyi_sim_name, in_host));
    }
    while ((node = eddyi_list_pop_front(&host->time_waits)) != NULL) {
        eddyi_free(EDDYI_LIST_ENTRY(node, struct eddyi_sim_time_wait, in_host));
    }
    eddyi_free(host->open);
}

struct eddyi_sim_socket *eddyi_sim_socket_of(const struct eddyi_sim_host *host, int fd) {
    if (fd < EDDYI_SIM_FD_FIRST || (size_t)(fd - EDDYI_SIM_FD_FIRST) >= host->open_cap) {
        return NULL;
    }
    return host->open[fd - EDDYI_SIM_FD_FIRST];
}

/* ---- descriptors ----------------------------------------------------------------------------- */

int eddyi_sim_fd_check(struct eddyi_sim_host *host) {
    /* The limit counts real descriptors and virtual ones together, so that a test which lowers it
     * sees what it would see without a simulation. Far below it nothing is asked of the kernel. */
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || host->open_count + 512 < limit.rlim_cur) {
        return 0;
    }
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        return errno == EMFILE ? -EMFILE : 0;
    }
    close(fd);
    return host->open_count + (size_t)fd < limit.rlim_cur ? 0 : -EMFILE;
}

static int grow_open(struct eddyi_sim_host *host) {
    size_t cap = host->open_cap == 0 ? OPEN_CAP_MIN : 2 * host->open_cap;
    struct eddyi_sim_socket **open =
        eddyi_resize(host->open, cap * sizeof(struct eddyi_sim_socket *));
    if (open == NULL) {
        return -ENOMEM;
    }
    for (size_t i = host->open_cap; i < cap; i++) {
        open[i] = NULL;
    }
    host->open = open;
    host->open_cap = cap;
    return 0;
}

int eddyi_sim_socket_open(struct eddyi_sim_socket *socket) {
    struct eddyi_sim_host *host = socket->host;
    int r = eddyi_sim_fd_check(host);
    if (r < 0) {
        return r;
    }
    size_t place = host->open_first_free;
    while (place < host->open_cap && host->open[place] != NULL) {
        place++;
    }
    if (place == host->open_cap) {
        r = grow_open(host);
        if (r < 0) {
            return r;
        }
    }
    host->open[place] = socket;
    host->open_first_free = place + 1;
    host->open_count++;
    socket->fd = EDDYI_SIM_FD_FIRST + (int)place;
    return socket->fd;
}

/* ---- sockets --------------------------------------------------------------------------------- */

struct eddyi_sim_socket *eddyi_sim_socket_new(struct eddyi_sim_host *host, int domain,
                                              int protocol) {
    struct eddyi_sim_socket *socket = eddyi_zalloc(sizeof *socket);
    if (socket == NULL) {
        return NULL;
    }
    socket->host = host;
    socket->id = ++host->world->last_id;
    socket->fd = -1;
    socket->domain = domain;
    socket->protocol = protocol;
    socket->state = EDDYI_SIM_CLOSED;
    if (domain != AF_UNIX) {
        socket->local = eddyi_sim_address_any(domain);
    }
    eddyi_sim_options_init(&socket->options, domain);
    eddyi_list_init(&socket->in_host);
    eddyi_list_init(&socket->in_port);
    eddyi_list_init(&socket->shaking);
    eddyi_list_init(&socket->accepting);
    eddyi_list_init(&socket->connectors);
    eddyi_list_init(&socket->in_listener);
    eddyi_list_init(&socket->ops);
    eddyi_list_push_back(&host->sockets, &socket->in_host);
    eddyi_sim_note(host->world, EDDYI_SIM_NOTE_SOCKET, (int64_t)socket->id, domain, 0);
    return socket;
}

void eddyi_sim_socket_free(struct eddyi_sim_socket *socket) {
    EDDY_ASSERT_SAY(eddyi_list_empty(&socket->ops), "a socket is gone under an operation");
    eddyi_sim_event_unset(socket->host->world, &socket->shake);
    if (socket->link != NULL) {
        eddyi_sim_link_leave(socket);
    }
    eddyi_sim_unbind(socket);
    struct eddyi_list *lists[] = {&socket->shaking, &socket->accepting, &socket->connectors};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        while (eddyi_list_pop_front(lists[i]) != NULL) {
        }
    }
    eddyi_list_remove(&socket->in_listener);
    eddyi_list_remove(&socket->in_host);
    eddyi_free(socket);
}

void eddyi_sim_socket_close(struct eddyi_sim_socket *socket) {
    struct eddyi_sim_host *host = socket->host;
    EDDY_ASSERT_SAY(eddyi_list_empty(&socket->ops), "a descriptor is closed under an operation");
    size_t place = (size_t)(socket->fd - EDDYI_SIM_FD_FIRST);
    host->open[place] = NULL;
    host->open_count--;
    if (place < host->open_first_free) {
        host->open_first_free = place;
    }
    socket->fd = -1;
    size_t unread = socket->link == NULL ? 0 : eddyi_sim_lane_unread(eddyi_sim_lane_in(socket));
    eddyi_sim_note(host->world, EDDYI_SIM_NOTE_CLOSE, (int64_t)socket->id, (int64_t)unread, 0);
    if (socket->state == EDDYI_SIM_LISTENING) {
        eddyi_sim_unlisten(socket);
    }
    if (socket->link != NULL) {
        eddyi_sim_link_close(socket);
    } else {
        eddyi_sim_socket_free(socket);
    }
}
