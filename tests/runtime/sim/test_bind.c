/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/sim: ports and addresses. */
#include "net.h"

/* ---- who may bind beside whom ---------------------------------------------------------------- */

enum { REUSE = 1, SHARE = 2, ONLY6 = 4, LISTENS = 8 };

static struct sockaddr_storage address_of(const char *text, in_port_t port, socklen_t *ret_len) {
    struct sockaddr_storage address = {0};
    if (strchr(text, ':') != NULL) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;
        *in6 = address_v6(text, ntohs(port));
        *ret_len = sizeof *in6;
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)&address;
        *in = loopback_v4(ntohs(port));
        CHECK_EQ(inet_pton(AF_INET, text, &in->sin_addr), 1);
        *ret_len = sizeof *in;
    }
    return address;
}

/* The port in the order of the network: it has the same place in both families. */
static in_port_t *port_of(struct sockaddr_storage *address) {
    return &((struct sockaddr_in *)address)->sin_port;
}

/* Binds, and listens if told to: 0 or the error of whichever failed. */
static int place(struct net *net, const char *text, in_port_t port, int how, int *ret_fd) {
    socklen_t len;
    struct sockaddr_storage address = address_of(text, port, &len);
    int fd = net_socket(net, address.ss_family);
    CHECK_OK((how & REUSE) != 0 ? net_set(net, fd, SOL_SOCKET, SO_REUSEADDR, 1) : 0);
    CHECK_OK((how & SHARE) != 0 ? net_set(net, fd, SOL_SOCKET, SO_REUSEPORT, 1) : 0);
    CHECK_OK((how & ONLY6) != 0 ? net_set(net, fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) : 0);
    int r = HOST(net, bind, fd, (struct sockaddr *)&address, len);
    if (r == 0 && (how & LISTENS) != 0) {
        r = HOST(net, listen, fd, 5);
    }
    *ret_fd = fd;
    return r;
}

/* A port that nobody has now, on any address of either family. */
static in_port_t free_port(struct net *net) {
    int fd;
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    CHECK_OK(place(net, "::", 0, 0, &fd));
    CHECK_OK(HOST(net, getsockname, fd, (struct sockaddr *)&address, &len));
    net_close(net, fd);
    return *port_of(&address);
}

static const struct neighbours {
    const char *first, *second;
    int first_how, second_how;
    int result; /* of the second */
} neighbours[] = {
    {"0.0.0.0", "0.0.0.0", 0, 0, -EADDRINUSE},
    {"0.0.0.0", "0.0.0.0", REUSE, REUSE | LISTENS, 0},
    {"0.0.0.0", "0.0.0.0", REUSE | LISTENS, REUSE, -EADDRINUSE},
    {"0.0.0.0", "0.0.0.0", SHARE | LISTENS, SHARE | LISTENS, 0},
    {"0.0.0.0", "0.0.0.0", SHARE | LISTENS, LISTENS, -EADDRINUSE},
    {"0.0.0.0", "127.0.0.1", LISTENS, LISTENS, -EADDRINUSE},
    {"0.0.0.0", "127.0.0.1", REUSE | LISTENS, REUSE | LISTENS, -EADDRINUSE},
    {"127.0.0.1", "127.0.0.2", LISTENS, LISTENS, 0},
    {"::", "0.0.0.0", LISTENS, LISTENS, -EADDRINUSE},
    {"::", "0.0.0.0", ONLY6 | LISTENS, LISTENS, 0},
    {"::", "127.0.0.1", LISTENS, LISTENS, -EADDRINUSE},
    {"::1", "0.0.0.0", LISTENS, LISTENS, 0},
    {"0.0.0.0", "::1", LISTENS, LISTENS, 0},
    {"0.0.0.0", "::", LISTENS, LISTENS, -EADDRINUSE},
    {"127.0.0.1", "::ffff:127.0.0.1", LISTENS, LISTENS, -EADDRINUSE},
    {"::", "0.0.0.0", SHARE | LISTENS, SHARE | LISTENS, 0},
    {"::", "::", REUSE | LISTENS, REUSE, -EADDRINUSE},
};

static void beside(struct net *net) {
    for (size_t i = 0; i < sizeof neighbours / sizeof neighbours[0]; i++) {
        const struct neighbours *n = &neighbours[i];
        int fds[2];
        in_port_t port = free_port(net);
        CHECK_EQ(place(net, n->first, port, n->first_how, &fds[0]), 0);
        int r = place(net, n->second, port, n->second_how, &fds[1]);
        if (r != n->result) {
            fprintf(stderr, "row %zu: ", i);
        }
        CHECK_EQ(r, n->result);
        net_close(net, fds[0]);
        net_close(net, fds[1]);
    }
}

TEST(two_sockets_share_a_port_only_where_the_kernel_lets_them) {
    on_both(beside);
}

static void listen_decides(struct net *net) {
    int fds[2];
    in_port_t port = free_port(net);
    CHECK_EQ(place(net, "127.0.0.1", port, REUSE, &fds[0]), 0);
    CHECK_EQ(place(net, "127.0.0.1", port, REUSE, &fds[1]), 0);
    CHECK_EQ(HOST(net, listen, fds[0], 1), 0);
    CHECK_EQ(HOST(net, listen, fds[1], 1), -EADDRINUSE);
    net_close(net, fds[0]);
    CHECK_EQ(HOST(net, listen, fds[1], 1), 0);
    net_close(net, fds[1]);
}

TEST(of_two_that_reuse_an_address_one_listens) {
    on_both(listen_decides);
}

/* ---- after a connection ---------------------------------------------------------------------- */

/* Listens with `how`, connects, accepts and closes the listener. */
static in_port_t connected(struct net *net, int how, int fds[2]) {
    int listener;
    in_port_t port = free_port(net);
    socklen_t len;
    struct sockaddr_storage address = address_of("127.0.0.1", port, &len);
    CHECK_EQ(place(net, "127.0.0.1", port, how | LISTENS, &listener), 0);
    fds[0] = net_socket(net, AF_INET);
    CHECK_OK(net_connect(net, fds[0], &address, len));
    fds[1] = (int)CHECK_OK(net_accept(net, listener));
    net_close(net, listener);
    return port;
}

static int try_place(struct net *net, in_port_t port, int how) {
    int fd;
    int r = place(net, "127.0.0.1", port, how | LISTENS, &fd);
    net_close(net, fd);
    return r;
}

static void wait_for_end(struct net *net, int fd) {
    char byte;
    CHECK_EQ(net_recv(net, fd, &byte, 1), 0);
}

static void ports_rest(struct net *net) {
    int fds[2];
    in_port_t port = connected(net, 0, fds);
    CHECK_EQ(try_place(net, port, 0), -EADDRINUSE);
    CHECK_EQ(try_place(net, port, REUSE), -EADDRINUSE);
    net_close(net, fds[1]);
    wait_for_end(net, fds[0]);
    CHECK_EQ(try_place(net, port, 0), -EADDRINUSE);
    net_close(net, fds[0]);
    if (net->loop != NULL) {
        settle(net->loop);
    }
    CHECK_EQ(try_place(net, port, 0), -EADDRINUSE);
    CHECK_EQ(try_place(net, port, REUSE), -EADDRINUSE);
}

TEST(the_port_of_a_connection_that_was_closed_from_here_rests) {
    on_both(ports_rest);
}

static void ports_are_reused(struct net *net) {
    int fds[2];
    in_port_t port = connected(net, REUSE, fds);
    CHECK_EQ(try_place(net, port, REUSE), 0);
    net_close(net, fds[1]);
    wait_for_end(net, fds[0]);
    CHECK_EQ(try_place(net, port, REUSE), 0);
    net_close(net, fds[0]);
    if (net->loop != NULL) {
        settle(net->loop);
    }
    CHECK_EQ(try_place(net, port, 0), -EADDRINUSE);
    CHECK_EQ(try_place(net, port, REUSE), 0);
}

TEST(so_reuseaddr_wakes_a_resting_port) {
    on_both(ports_are_reused);
}

static void peer_closes_first(struct net *net) {
    int fds[2];
    in_port_t port = connected(net, 0, fds);
    net_close(net, fds[0]);
    wait_for_end(net, fds[1]);
    net_close(net, fds[1]);
    if (net->loop != NULL) {
        settle(net->loop);
        CHECK_EQ(try_place(net, port, 0), 0);
    }
}

TEST(the_port_is_free_at_once_when_the_peer_closed_first) {
    on_sim(peer_closes_first);
}

TEST(a_resting_port_is_free_after_a_minute) {
    eddy_loop *loop = calm_loop();
    struct net net = {loop->host, loop};
    int fds[2];
    in_port_t port = connected(&net, 0, fds);
    net_close(&net, fds[1]);
    wait_for_end(&net, fds[0]);
    net_close(&net, fds[0]);
    settle(loop);
    CHECK_EQ(try_place(&net, port, 0), -EADDRINUSE);
    int64_t until_ns = now_of(loop) + 60 * EDDY_S;
    while (now_of(loop) < until_ns) {
        loop->driver->wait(loop, until_ns);
    }
    CHECK_EQ(try_place(&net, port, 0), 0);
    eddy_loop_free(loop);
}

/* ---- which addresses both ends have ---------------------------------------------------------- */

static const struct meeting {
    const char *listens, *connects; /* where the one listens and what the other asks for */
    int result;
    const char *client_local, *client_remote, *server_local, *server_remote;
} meetings[] = {
    {"127.0.0.1", "127.0.0.1", 0, "127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"},
    {"0.0.0.0", "127.0.0.5", 0, "127.0.0.1", "127.0.0.5", "127.0.0.5", "127.0.0.1"},
    {"0.0.0.0", "0.0.0.0", 0, "127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"},
    {"::", "127.0.0.1", 0, "127.0.0.1", "127.0.0.1", "::ffff:127.0.0.1", "::ffff:127.0.0.1"},
    {"::", "::1", 0, "::1", "::1", "::1", "::1"},
    {"::", "::", 0, "::1", "::1", "::1", "::1"},
    {"::", "::ffff:127.0.0.1", 0, "::ffff:127.0.0.1", "::ffff:127.0.0.1", "::ffff:127.0.0.1",
     "::ffff:127.0.0.1"},
    {"127.0.0.1", "::ffff:127.0.0.1", 0, "::ffff:127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1",
     "127.0.0.1"},
    {"::1", "127.0.0.1", -ECONNREFUSED, NULL, NULL, NULL, NULL},
    {"0.0.0.0", "::1", -ECONNREFUSED, NULL, NULL, NULL, NULL},
    {"127.0.0.1", "127.0.0.2", -ECONNREFUSED, NULL, NULL, NULL, NULL},
    {"0.0.0.0", "255.255.255.255", -ENETUNREACH, NULL, NULL, NULL, NULL},
    {"0.0.0.0", "224.0.0.1", -ENETUNREACH, NULL, NULL, NULL, NULL},
};

static void check_address(struct net *net, int fd, bool peer, const char *wanted) {
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char text[INET6_ADDRSTRLEN];
    if (peer) {
        CHECK_OK(HOST(net, getpeername, fd, (struct sockaddr *)&address, &len));
    } else {
        CHECK_OK(HOST(net, getsockname, fd, (struct sockaddr *)&address, &len));
    }
    bool v6 = address.ss_family == AF_INET6;
    CHECK_EQ(len, v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    const void *bytes = v6 ? (void *)&((struct sockaddr_in6 *)&address)->sin6_addr
                           : (void *)&((struct sockaddr_in *)&address)->sin_addr;
    CHECK_STR(inet_ntop(address.ss_family, bytes, text, sizeof text), wanted);
}

static void meet(struct net *net) {
    for (size_t i = 0; i < sizeof meetings / sizeof meetings[0]; i++) {
        const struct meeting *m = &meetings[i];
        int listener;
        socklen_t len;
        in_port_t port = free_port(net);
        CHECK_EQ(place(net, m->listens, port, LISTENS, &listener), 0);
        struct sockaddr_storage to = address_of(m->connects, port, &len);
        int client = net_socket(net, to.ss_family);
        CHECK_EQ(net_connect(net, client, &to, len), m->result);
        if (m->result == 0) {
            int server = (int)CHECK_OK(net_accept(net, listener));
            check_address(net, client, false, m->client_local);
            check_address(net, client, true, m->client_remote);
            check_address(net, server, false, m->server_local);
            check_address(net, server, true, m->server_remote);
            net_close(net, server);
        }
        net_close(net, client);
        net_close(net, listener);
    }
}

TEST(both_ends_see_the_addresses_that_the_kernel_would_show) {
    on_both(meet);
}

/* ---- what cannot be bound -------------------------------------------------------------------- */

static void bad_addresses(struct net *net) {
    struct sockaddr_in in = loopback_v4(0);
    struct sockaddr_in6 in6 = address_v6("::ffff:127.0.0.1", 1);
    int v4 = net_socket(net, AF_INET);
    int v6 = net_socket(net, AF_INET6);
    CHECK_EQ(HOST(net, bind, v4, (struct sockaddr *)&in, 4), -EINVAL);
    CHECK_EQ(HOST(net, bind, v6, (struct sockaddr *)&in, sizeof in), -EINVAL);
    CHECK_EQ(HOST(net, bind, v4, (struct sockaddr *)&in6, sizeof in6), -EAFNOSUPPORT);
    in.sin_addr.s_addr = htonl(0xc0000201);
    CHECK_EQ(HOST(net, bind, v4, (struct sockaddr *)&in, sizeof in), -EADDRNOTAVAIL);
    CHECK_EQ(net_set(net, v6, IPPROTO_IPV6, IPV6_V6ONLY, 1), 0);
    CHECK_EQ(HOST(net, bind, v6, (struct sockaddr *)&in6, sizeof in6), -EINVAL);
    CHECK_ERR(net_connect(net, v6, &in6, sizeof in6), -ENETUNREACH);
    in6 = address_v6("::1", 0);
    CHECK_EQ(HOST(net, bind, v6, (struct sockaddr *)&in6, sizeof in6), 0);
    CHECK_EQ(HOST(net, bind, v6, (struct sockaddr *)&in6, sizeof in6), -EINVAL);
    CHECK_EQ(net_set(net, v6, IPPROTO_IPV6, IPV6_V6ONLY, 0), -EINVAL);
    net_close(net, v4);
    net_close(net, v6);
}

TEST(addresses_of_others_and_of_other_families_are_refused) {
    on_both(bad_addresses);
}

static void kinds(struct net *net) {
    CHECK_EQ(HOST(net, socket, AF_INET, SOCK_STREAM, IPPROTO_UDP), -EPROTONOSUPPORT);
    CHECK_EQ(HOST(net, socket, AF_INET, 99, 0), -EINVAL);
    CHECK_EQ(HOST(net, socket, 99, SOCK_STREAM, 0), -EAFNOSUPPORT);
    CHECK_EQ(HOST(net, socket, AF_UNIX, SOCK_STREAM, IPPROTO_TCP), -EPROTONOSUPPORT);
    int fds[2];
    CHECK_EQ(HOST(net, socketpair, AF_INET, SOCK_STREAM, 0, fds), -EOPNOTSUPP);
    struct stat info;
    int fd = net_socket(net, AF_INET);
    CHECK_EQ(HOST(net, fstat, fd, &info), 0);
    CHECK(S_ISSOCK(info.st_mode));
    net_close(net, fd);
    CHECK_EQ(HOST(net, fstat, fd, &info), -EBADF);
}

TEST(only_kinds_of_sockets_that_exist_are_made) {
    on_both(kinds);
}

/* ---- several listeners ----------------------------------------------------------------------- */

static void shared_listeners(struct net *net) {
    int listeners[3];
    int served[3] = {0};
    in_port_t port = free_port(net);
    socklen_t len;
    struct sockaddr_storage to = address_of("127.0.0.1", port, &len);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(place(net, "127.0.0.1", port, SHARE | LISTENS, &listeners[i]), 0);
    }
    for (int i = 0; i < 60; i++) {
        int client = net_socket(net, AF_INET);
        CHECK_OK(net_connect(net, client, &to, len));
        int found = -1;
        for (int k = 0; k < 3; k++) {
            if (found < 0 && net_events(net, listeners[k]) == POLLIN) {
                found = k;
            }
        }
        CHECK(found >= 0);
        served[found]++;
        net_close(net, (int)CHECK_OK(net_accept(net, listeners[found])));
        net_close(net, client);
    }
    for (int i = 0; i < 3; i++) {
        CHECK(served[i] > 0);
        net_close(net, listeners[i]);
    }
}

TEST(listeners_that_share_a_port_share_its_connections) {
    on_both(shared_listeners);
}

TEST(a_connection_goes_to_the_listener_that_fits_best) {
    eddy_loop *loop = calm_loop();
    struct net net = {loop->host, loop};
    int any, exact;
    in_port_t port = free_port(&net);
    socklen_t len;
    struct sockaddr_storage to = address_of("127.0.0.1", port, &len);
    CHECK_EQ(place(&net, "0.0.0.0", port, SHARE | LISTENS, &any), 0);
    CHECK_EQ(place(&net, "127.0.0.1", port, SHARE | LISTENS, &exact), 0);
    int client = net_socket(&net, AF_INET);
    CHECK_OK(net_connect(&net, client, &to, len));
    CHECK_EQ(net_events(&net, any), 0);
    CHECK_EQ(net_events(&net, exact), POLLIN);
    net_close(&net, client);
    net_close(&net, any);
    net_close(&net, exact);
    eddy_loop_free(loop);
}

static void bind_later(struct net *net) {
    struct sockaddr_in address;
    struct sockaddr_in local = loopback_v4(0);
    socklen_t len = sizeof local;
    int listener = net_listener(net, 4, &address);
    int fd = net_socket(net, AF_INET);
    CHECK_EQ(net_set(net, fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1), 0);
    CHECK_EQ(HOST(net, bind, fd, (struct sockaddr *)&local, sizeof local), 0);
    CHECK_EQ(HOST(net, getsockname, fd, (struct sockaddr *)&local, &len), 0);
    CHECK_EQ(local.sin_port, 0);
    CHECK_OK(net_connect(net, fd, &address, sizeof address));
    CHECK_EQ(HOST(net, getsockname, fd, (struct sockaddr *)&local, &len), 0);
    CHECK(local.sin_port != 0);
    net_close(net, fd);
    net_close(net, listener);
}

TEST(an_address_can_be_bound_without_a_port) {
    on_both(bind_later);
}
