/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts and sockets of a simulated world. A host is a machine as one kernel shows it: descriptors,
 * ports and names. A socket is there as long as a descriptor, an accept queue or the network still
 * has to do with it; two connected sockets share a link.
 *
 *     CLOSED --listen--> LISTENING           link: ends[0] --lanes[0]--> ends[1]
 *        |                                         ends[0] <--lanes[1]-- ends[1]
 *        +--connect--> CONNECTING --> CONNECTED --> CLOSED (both ends seen, or reset)
 *                      SHAKING ------->             on the accepting side
 */
#ifndef EDDY_RUNTIME_SIM_SOCKET_IMPL_H
#define EDDY_RUNTIME_SIM_SOCKET_IMPL_H

#include <eddy/runtime/base/host_impl.h>
#include <eddy/runtime/base/list_impl.h>
#include <eddy/runtime/sim/address_impl.h>
#include <eddy/runtime/sim/lane_impl.h>
#include <eddy/runtime/sim/option_impl.h>

/* Descriptors begin here, where no real one comes: Linux allows at most 2^20 of those as it is set
 * up, and nobody has sixteen times as many. */
#define EDDYI_SIM_FD_FIRST (1 << 24)

#define EDDYI_SIM_PORT_BUCKETS 256
/* As /proc/sys/net/core/somaxconn and ipv4/ip_local_port_range have it. */
#define EDDYI_SIM_BACKLOG_MAX 4096
#define EDDYI_SIM_PORT_FIRST 32768
#define EDDYI_SIM_PORT_LAST 60999

enum eddyi_sim_state {
    EDDYI_SIM_CLOSED, /* new, or the connection is over in both directions */
    EDDYI_SIM_LISTENING,
    EDDYI_SIM_CONNECTING, /* asked for a connection */
    EDDYI_SIM_SHAKING,    /* the listener's side of that, before the handshake's end */
    EDDYI_SIM_CONNECTED,
};

struct eddyi_sim_socket {
    struct eddyi_sim_host *host;
    struct eddyi_list in_host;
    uint64_t id; /* for the log */
    int fd;      /* -1: not open (accept has not given it out yet, or closed) */
    int domain;  /* AF_INET, AF_INET6, AF_UNIX */
    int protocol;
    enum eddyi_sim_state state;
    struct eddyi_sim_options options;
    struct eddyi_sim_address local;
    struct eddyi_sim_address remote;
    bool bound;                  /* `local` was given or taken */
    bool port_taken;             /* connect took it, bind did not */
    bool port_named;             /* bind was given its number, so it stays while the socket does */
    struct eddyi_list in_port;   /* in the host's bucket for local.port, while it has one */
    struct eddyi_sim_name *name; /* AF_UNIX: the name that leads here, while it is open */
    int error;                   /* as SO_ERROR gives it, positive; 0 for none */
    bool shut_read;              /* by shutdown here or, AF_UNIX, there */
    bool shut_write;
    bool end_seen; /* TCP: the peer's end has arrived */

    /* LISTENING */
    int backlog;
    uint64_t pending;             /* in the two lists */
    int64_t last_queued_ns;       /* when the latest of them will be in `accepting` */
    struct eddyi_list shaking;    /* by in_listener */
    struct eddyi_list accepting;  /* shaken, by in_listener, the oldest first */
    struct eddyi_list connectors; /* AF_UNIX: who waits for room, by in_listener */

    /* SHAKING, or waiting to be accepted, or one of the connectors */
    struct eddyi_sim_socket *listener;
    struct eddyi_list in_listener;

    struct eddyi_sim_event shake; /* the handshake's next step */
    int tries;                    /* connection requests without an answer */

    struct eddyi_sim_link *link; /* since the handshake, until the socket is gone */
    int side;                    /* its place among the link's ends */

    struct eddyi_list ops; /* submitted and not done, by op->in_driver */
    bool told_readable;    /* a poll said so: an attempt now finds something */
    bool told_writable;
};

struct eddyi_sim_link {
    struct eddyi_sim_world *world;
    struct eddyi_sim_socket *ends[2]; /* NULL once that side is gone */
    struct eddyi_sim_lane lanes[2];   /* lanes[i] leads away from ends[i] */
    unsigned holds;                   /* code that still looks at the link */
};

/* A name of AF_UNIX. A path stays behind its socket, as a file would, until it is unlinked. */
struct eddyi_sim_name {
    struct eddyi_list in_host;
    struct eddyi_sim_address address;
    struct eddyi_sim_socket *socket; /* NULL: a path whose socket was closed */
};

/* A local port that is not free again yet after a connection that was closed from here. */
struct eddyi_sim_time_wait {
    struct eddyi_list in_host; /* the oldest first */
    struct eddyi_sim_address local;
    bool reuse;
    int64_t until_ns;
};

struct eddyi_sim_host {
    struct eddyi_host table; /* for the loops on it; its ctx is the host */
    struct eddyi_sim_world *world;
    struct eddyi_list sockets;
    struct eddyi_sim_socket **open; /* by descriptor, counted from EDDYI_SIM_FD_FIRST */
    size_t open_cap;
    size_t open_first_free; /* no free place is before it */
    size_t open_count;
    struct eddyi_list ports[EDDYI_SIM_PORT_BUCKETS];
    struct eddyi_list names;
    struct eddyi_list time_waits;
    size_t time_wait_count;
};

void eddyi_sim_host_init(struct eddyi_sim_host *host, struct eddyi_sim_world *world);
/* What is still open goes into the log. */
void eddyi_sim_host_note_leaks(struct eddyi_sim_host *host);
/* Ends all that is left. */
void eddyi_sim_host_done(struct eddyi_sim_host *host);

static inline bool eddyi_sim_fd_is_virtual(int fd) {
    return fd >= EDDYI_SIM_FD_FIRST;
}
/* The open socket of that descriptor, or NULL. */
struct eddyi_sim_socket *eddyi_sim_socket_of(const struct eddyi_sim_host *host, int fd);

/* ---- socket.c: being there ------------------------------------------------------------------- */

/* Not open yet, in no list but the host's. NULL when there is no memory. */
struct eddyi_sim_socket *eddyi_sim_socket_new(struct eddyi_sim_host *host, int domain,
                                              int protocol);
void eddyi_sim_socket_free(struct eddyi_sim_socket *socket);
/* Whether another descriptor may be had: 0, or -EMFILE as the process's own limit would give it. */
int eddyi_sim_fd_check(struct eddyi_sim_host *host);
/* Gives it the lowest free descriptor: that, -EMFILE or -ENOMEM. */
int eddyi_sim_socket_open(struct eddyi_sim_socket *socket);
/* Takes the descriptor back and lets go of everything; the network may still need the socket. */
void eddyi_sim_socket_close(struct eddyi_sim_socket *socket);

/* ---- bind.c: ports and names ----------------------------------------------------------------- */

int eddyi_sim_bind(struct eddyi_sim_socket *socket, const struct sockaddr *address, socklen_t len);
/* Gives an unbound socket a free port for listening: 0 or -EADDRINUSE. */
int eddyi_sim_bind_any_port(struct eddyi_sim_socket *socket);
/* Gives a socket a port for its connection to `remote`: 0 or -EADDRNOTAVAIL. */
int eddyi_sim_bind_to_connect(struct eddyi_sim_socket *socket);
/* 0, or -EADDRINUSE when somebody else has the socket's address. */
int eddyi_sim_bind_check(struct eddyi_sim_socket *socket);
/* Enters a socket whose `local` is set in its bucket. */
void eddyi_sim_bind_enter(struct eddyi_sim_socket *socket);
void eddyi_sim_unbind(struct eddyi_sim_socket *socket);
/* The socket neither listens nor is connected any more: a port that was found for it is free. */
void eddyi_sim_unbind_found(struct eddyi_sim_socket *socket);
/* The connection was closed from here: its port rests for a while. */
void eddyi_sim_bind_rest(struct eddyi_sim_socket *socket);
/* Who gets a connection to `to`, or NULL; among equals the dice choose. */
struct eddyi_sim_socket *eddyi_sim_find_listener(struct eddyi_sim_host *host,
                                                 const struct eddyi_sim_address *to);
struct eddyi_sim_name *eddyi_sim_find_name(struct eddyi_sim_host *host,
                                           const struct eddyi_sim_address *address);
/* What unlink does to a path: whoever has the socket keeps it. 0 or -ENOENT. */
int eddyi_sim_unlink_name(struct eddyi_sim_host *host, const char *path);

/* ---- connect.c: from CLOSED to CONNECTED ----------------------------------------------------- */

int eddyi_sim_listen(struct eddyi_sim_socket *socket, int backlog);
/* Whoever waits to be accepted is reset; back to CLOSED. */
void eddyi_sim_unlisten(struct eddyi_sim_socket *listener);
/* AF_UNIX: those who wait for room may look again. */
void eddyi_sim_wake_connectors(struct eddyi_sim_socket *listener);
/* Begins: 0 (it goes on by itself), or the error. For AF_UNIX it is done at once, or -EAGAIN when
 * the listener has no room. */
int eddyi_sim_connect(struct eddyi_sim_socket *socket, const struct sockaddr *address, size_t len);
/* The descriptor of the oldest connection that waits, -EAGAIN, or the error. */
int eddyi_sim_accept(struct eddyi_sim_socket *listener);
int eddyi_sim_socketpair(struct eddyi_sim_host *host, int ret_fds[2]);
/* After a connect that failed, or in its midst: as new. */
void eddyi_sim_disconnect(struct eddyi_sim_socket *socket);

/* ---- link.c: what flows between two sockets -------------------------------------------------- */

/* Joins both, or -ENOMEM. */
int eddyi_sim_link_new(struct eddyi_sim_socket *a, struct eddyi_sim_socket *b);
static inline struct eddyi_sim_lane *eddyi_sim_lane_out(const struct eddyi_sim_socket *socket) {
    return &socket->link->lanes[socket->side];
}
static inline struct eddyi_sim_lane *eddyi_sim_lane_in(const struct eddyi_sim_socket *socket) {
    return &socket->link->lanes[1 - socket->side];
}
static inline struct eddyi_sim_socket *eddyi_sim_peer(const struct eddyi_sim_socket *socket) {
    return socket->link->ends[1 - socket->side];
}
/* As the system call. */
int eddyi_sim_shutdown(struct eddyi_sim_socket *socket, int how);
/* The socket has no descriptor any more: end or reset the connection. May free the socket. */
void eddyi_sim_link_close(struct eddyi_sim_socket *socket);
/* From this end at once: nothing more is taken, and the peer sees a reset (AF_UNIX: the end, with
 * -ECONNRESET). The socket stays. */
void eddyi_sim_link_reset(struct eddyi_sim_socket *socket);
/* The socket is out of the link, which goes with its second end. */
void eddyi_sim_link_leave(struct eddyi_sim_socket *socket);
/* The buffer sizes were set. */
void eddyi_sim_link_resize(struct eddyi_sim_socket *socket);
/* The number of bytes read, 0 for the end, -EAGAIN or the error. `most` bounds what is moved. */
int64_t eddyi_sim_receive(struct eddyi_sim_socket *socket, void *buf, size_t len, bool peek,
                          uint32_t short_chance);
int64_t eddyi_sim_send(struct eddyi_sim_socket *socket, const struct iovec *pieces, size_t count,
                       uint32_t short_chance);
/* POLLIN and so on, as poll(2) would have them. */
int eddyi_sim_poll(const struct eddyi_sim_socket *socket);
/* Whether a send would do something else than -EAGAIN; POLLOUT waits for more room than that. */
bool eddyi_sim_can_send(const struct eddyi_sim_socket *socket);

/* ---- operation.c ----------------------------------------------------------------------------- */

/* Something about the socket has changed: operations that wait for it may go on. */
void eddyi_sim_wake(struct eddyi_sim_socket *socket);

#endif
