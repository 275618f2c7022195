/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/sim: Unix stream sockets, which answer differently from TCP at many ends. */
#include <sys/un.h>

#include "net.h"

static char buf[1 << 16];

/* A path in the case's folder, where the kernel puts a file and a world a name. */
static struct sockaddr_un path_of(const char *name, socklen_t *ret_len) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", test_tmpdir(), name);
    CHECK(len > 0 && (size_t)len < sizeof address.sun_path);
    *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len + 1);
    return address;
}

static socklen_t own_len(struct net *net, int fd) {
    struct sockaddr_un address;
    socklen_t len = sizeof address;
    CHECK_OK(HOST(net, getsockname, fd, (struct sockaddr *)&address, &len));
    return len;
}

static socklen_t peer_len(struct net *net, int fd) {
    struct sockaddr_un address;
    socklen_t len = sizeof address;
    CHECK_OK(HOST(net, getpeername, fd, (struct sockaddr *)&address, &len));
    return len;
}

/* ---- life of a listener ---------------------------------------------------------------------- */

static void by_path(struct net *net) {
    socklen_t len;
    struct sockaddr_un address = path_of("socket", &len);
    int listener = net_socket(net, AF_UNIX);
    CHECK_EQ(net_events(net, listener), POLLOUT | POLLHUP);
    CHECK_EQ(own_len(net, listener), 2);
    CHECK_ERR(net_recv(net, listener, buf, 9), -EINVAL);
    CHECK_ERR(net_send(net, listener, "x", 1), -ENOTCONN);
    CHECK_ERR(net_accept(net, listener), -EINVAL);
    CHECK_EQ(HOST(net, listen, listener, 1), -EINVAL);
    int client = net_socket(net, AF_UNIX);
    CHECK_ERR(net_connect(net, client, &address, len), -ENOENT);
    CHECK_EQ(HOST(net, bind, listener, (struct sockaddr *)&address, len), 0);
    CHECK_EQ(own_len(net, listener), len);
    CHECK_EQ(HOST(net, bind, client, (struct sockaddr *)&address, len), -EADDRINUSE);
    CHECK_ERR(net_connect(net, client, &address, len), -ECONNREFUSED);
    CHECK_EQ(HOST(net, listen, listener, 1), 0);
    CHECK_ERR(net_recv(net, listener, buf, 9), -EINVAL);
    CHECK_ERR(net_send(net, listener, "x", 1), -ENOTCONN);
    CHECK_EQ(net_events(net, listener), 0);
    CHECK_OK(net_connect(net, client, &address, len));
    CHECK_ERR(net_connect(net, client, &address, len), -EISCONN);
    CHECK_EQ(net_events(net, listener), POLLIN);
    int server = (int)CHECK_OK(net_accept(net, listener));
    CHECK_EQ(own_len(net, client), 2);
    CHECK_EQ(peer_len(net, client), len);
    CHECK_EQ(own_len(net, server), len);
    CHECK_EQ(peer_len(net, server), 2);
    CHECK_EQ(net_events(net, client), POLLOUT);
    net_close(net, listener);
    net_send_all(net, client, "still", 5);
    net_recv_exactly(net, server, buf, 5);
    net_close(net, client);
    net_close(net, server);
    client = net_socket(net, AF_UNIX);
    CHECK_ERR(net_connect(net, client, &address, len), -ECONNREFUSED);
    CHECK_EQ(HOST(net, bind, client, (struct sockaddr *)&address, len), -EADDRINUSE);
    CHECK_EQ(HOST(net, chmod_socket, address.sun_path, 0600), 0);
    CHECK_EQ(HOST(net, unlink_socket, address.sun_path), 0);
    CHECK_EQ(HOST(net, unlink_socket, address.sun_path), -ENOENT);
    CHECK_ERR(net_connect(net, client, &address, len), -ENOENT);
    CHECK_EQ(HOST(net, bind, client, (struct sockaddr *)&address, len), 0);
    net_close(net, client);
    CHECK_EQ(HOST(net, unlink_socket, address.sun_path), 0);
}

TEST(a_path_leads_to_its_listener_and_stays_behind_it) {
    on_both(by_path);
}

static void by_abstract_name(struct net *net) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t len = (socklen_t)(2 + 1 + snprintf(address.sun_path + 1, 40, "eddy-%d", getpid()));
    int listener = net_socket(net, AF_UNIX);
    CHECK_EQ(HOST(net, bind, listener, (struct sockaddr *)&address, len), 0);
    CHECK_EQ(own_len(net, listener), len);
    CHECK_EQ(HOST(net, listen, listener, 1), 0);
    int client = net_socket(net, AF_UNIX);
    CHECK_ERR(net_connect(net, client, &address, len + 1), -ECONNREFUSED);
    CHECK_OK(net_connect(net, client, &address, len));
    CHECK_EQ(peer_len(net, client), len);
    net_close(net, client);
    net_close(net, listener);
    client = net_socket(net, AF_UNIX);
    CHECK_ERR(net_connect(net, client, &address, len), -ECONNREFUSED);
    CHECK_EQ(HOST(net, bind, client, (struct sockaddr *)&address, len), 0);
    net_close(net, client);
    listener = net_socket(net, AF_UNIX);
    CHECK_EQ(HOST(net, bind, listener, (struct sockaddr *)&address, 2), 0);
    CHECK_EQ(own_len(net, listener), 2 + 6);
    CHECK_EQ(HOST(net, bind, listener, (struct sockaddr *)&address, 2), 0);
    CHECK_EQ(HOST(net, bind, listener, (struct sockaddr *)&address, 6), -EINVAL);
    net_close(net, listener);
}

static void unlinked_while_open(struct net *net) {
    socklen_t len;
    struct sockaddr_un address = path_of("unlinked", &len);
    int listener = net_socket(net, AF_UNIX);
    CHECK_EQ(HOST(net, bind, listener, (struct sockaddr *)&address, len), 0);
    CHECK_EQ(HOST(net, listen, listener, 1), 0);
    CHECK_EQ(HOST(net, unlink_socket, address.sun_path), 0);
    int other = net_socket(net, AF_UNIX);
    CHECK_ERR(net_connect(net, other, &address, len), -ENOENT);
    CHECK_EQ(own_len(net, listener), len);
    CHECK_EQ(HOST(net, bind, other, (struct sockaddr *)&address, len), 0);
    net_close(net, listener);
    CHECK_EQ(HOST(net, unlink_socket, address.sun_path), 0);
    net_close(net, other);
}

TEST(an_unlinked_path_is_free_and_its_socket_goes_on) {
    on_both(unlinked_while_open);
}

TEST(an_abstract_name_ends_with_its_socket) {
    on_both(by_abstract_name);
}

static void bad_names(struct net *net) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = net_socket(net, AF_UNIX);
    CHECK_EQ(HOST(net, bind, fd, (struct sockaddr *)&address, 1), -EINVAL);
    CHECK_EQ(HOST(net, bind, fd, (struct sockaddr *)&address, 200), -EINVAL);
    CHECK_ERR(net_connect(net, fd, &address, 2), -EINVAL);
    CHECK_ERR(net_connect(net, fd, &address, 3), -ECONNREFUSED);
    address.sun_family = AF_INET;
    CHECK_EQ(HOST(net, bind, fd, (struct sockaddr *)&address, 6), -EINVAL);
    net_close(net, fd);
}

TEST(names_that_are_none_are_refused) {
    on_both(bad_names);
}

static void listener_shut(struct net *net) {
    socklen_t len;
    struct sockaddr_un address = path_of("shut", &len);
    int listener = net_socket(net, AF_UNIX);
    CHECK_EQ(HOST(net, bind, listener, (struct sockaddr *)&address, len), 0);
    CHECK_EQ(HOST(net, listen, listener, 1), 0);
    int client = net_socket(net, AF_UNIX);
    CHECK_OK(net_connect(net, client, &address, len));
    CHECK_EQ(HOST(net, shutdown, listener, SHUT_RD), 0);
    CHECK_EQ(net_events(net, listener), POLLIN | POLLRDHUP);
    net_close(net, (int)CHECK_OK(net_accept(net, listener)));
    CHECK_ERR(net_accept(net, listener), -EINVAL);
    int other = net_socket(net, AF_UNIX);
    CHECK_ERR(net_connect(net, other, &address, len), -ECONNREFUSED);
    net_close(net, other);
    net_close(net, client);
    net_close(net, listener);
    CHECK_EQ(HOST(net, unlink_socket, address.sun_path), 0);
}

TEST(a_listener_that_is_shut_gives_out_what_waits_and_no_more) {
    on_both(listener_shut);
}

static void listener_closed(struct net *net) {
    socklen_t len;
    struct sockaddr_un address = path_of("closed", &len);
    int listener = net_socket(net, AF_UNIX);
    CHECK_EQ(HOST(net, bind, listener, (struct sockaddr *)&address, len), 0);
    CHECK_EQ(HOST(net, listen, listener, 1), 0);
    int client = net_socket(net, AF_UNIX);
    CHECK_OK(net_connect(net, client, &address, len));
    net_close(net, listener);
    CHECK_EQ(net_events(net, client), POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR);
    CHECK_ERR(net_recv(net, client, buf, 1), -ECONNRESET);
    CHECK_EQ(net_recv(net, client, buf, 1), 0);
    net_close(net, client);
    CHECK_EQ(HOST(net, unlink_socket, address.sun_path), 0);
}

TEST(a_unix_listener_that_closes_resets_who_was_not_accepted) {
    on_both(listener_closed);
}

/* A connect that finds no room waits until there is some. */
static void full_backlog(struct net *net) {
    socklen_t len;
    struct sockaddr_un address = path_of("full", &len);
    struct eddyi_handle handles[4];
    struct eddyi_op ops[4];
    int ends = 0;
    int listener = net_socket(net, AF_UNIX);
    CHECK_EQ(HOST(net, bind, listener, (struct sockaddr *)&address, len), 0);
    CHECK_EQ(HOST(net, listen, listener, 1), 0);
    for (int i = 0; i < 4; i++) {
        eddyi_handle_init(&handles[i], net_socket(net, AF_UNIX), EDDYI_HANDLE_SOCKET);
        ops[i] = make_op(EDDYI_OP_CONNECT, &handles[i], &ends);
        ops[i].addr = (struct sockaddr *)&address;
        ops[i].len = len;
        eddyi_op_submit(net->loop, &ops[i]);
    }
    settle(net->loop);
    CHECK_EQ(ends, 2);
    net_close(net, (int)CHECK_OK(net_accept(net, listener)));
    settle(net->loop);
    CHECK_EQ(ends, 3);
    net_close(net, listener);
    wait_ends(net->loop, &ends, 4);
    int refused = 0;
    for (int i = 0; i < 4; i++) {
        refused += ops[i].result == -ECONNREFUSED;
        CHECK(ops[i].result == 0 || ops[i].result == -ECONNREFUSED);
        eddyi_handle_close(net->loop, &handles[i]);
    }
    CHECK_EQ(refused, 1);
}

TEST(a_unix_connect_waits_for_room_in_the_backlog) {
    on_sim(full_backlog);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void pair_closes(struct net *net) {
    int fds[2];
    net_unix_pair(net, fds);
    CHECK_EQ(own_len(net, fds[0]), 2);
    CHECK_EQ(peer_len(net, fds[0]), 2);
    CHECK_EQ(net_events(net, fds[0]), POLLOUT);
    net_send_all(net, fds[1], "bye", 3);
    net_close(net, fds[1]);
    CHECK_EQ(net_events(net, fds[0]), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    net_recv_exactly(net, fds[0], buf, 3);
    CHECK_EQ(net_recv(net, fds[0], buf, 9), 0);
    CHECK_ERR(net_send(net, fds[0], "x", 1), -EPIPE);
    CHECK_EQ(HOST(net, shutdown, fds[0], SHUT_WR), 0);
    net_close(net, fds[0]);
}

TEST(after_a_unix_peer_closed_bytes_come_first_then_zero) {
    on_both(pair_closes);
}

static void pair_closes_with_unread(struct net *net) {
    int fds[2];
    net_unix_pair(net, fds);
    net_send_all(net, fds[0], "unread", 6);
    net_send_all(net, fds[1], "more", 4);
    net_close(net, fds[1]);
    CHECK_EQ(net_events(net, fds[0]), POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR);
    net_recv_exactly(net, fds[0], buf, 4);
    CHECK_ERR(net_send(net, fds[0], "x", 1), -EPIPE);
    CHECK_EQ(net_events(net, fds[0]), POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR);
    CHECK_ERR(net_recv(net, fds[0], buf, 9), -ECONNRESET);
    CHECK_EQ(net_recv(net, fds[0], buf, 9), 0);
    CHECK_EQ(net_events(net, fds[0]), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    CHECK_EQ(peer_len(net, fds[0]), 2);
    net_close(net, fds[0]);
}

TEST(a_unix_peer_that_closes_with_unread_bytes_resets) {
    on_both(pair_closes_with_unread);
}

static void pair_shuts(struct net *net) {
    int fds[2];
    net_unix_pair(net, fds);
    int a = fds[0], b = fds[1];
    CHECK_EQ(HOST(net, shutdown, a, SHUT_WR), 0);
    CHECK_EQ(net_events(net, a), POLLOUT);
    CHECK_EQ(net_events(net, b), POLLIN | POLLOUT | POLLRDHUP);
    CHECK_EQ(net_recv(net, b, buf, 9), 0);
    CHECK_ERR(net_send(net, a, "x", 1), -EPIPE);
    CHECK_EQ(net_send(net, b, "x", 1), 1);
    CHECK_EQ(HOST(net, shutdown, b, SHUT_WR), 0);
    CHECK_EQ(net_events(net, a), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    CHECK_EQ(net_events(net, b), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    CHECK_EQ(net_recv(net, a, buf, 9), 1);
    CHECK_EQ(net_recv(net, a, buf, 9), 0);
    net_close(net, a);
    net_close(net, b);
    net_unix_pair(net, fds);
    net_send_all(net, fds[1], "abc", 3);
    CHECK_EQ(HOST(net, shutdown, fds[0], SHUT_RD), 0);
    CHECK_EQ(net_events(net, fds[1]), POLLOUT);
    CHECK_ERR(net_send(net, fds[1], "x", 1), -EPIPE);
    net_recv_exactly(net, fds[0], buf, 3);
    CHECK_EQ(net_recv(net, fds[0], buf, 9), 0);
    CHECK_EQ(net_events(net, fds[0]), POLLIN | POLLOUT | POLLRDHUP);
    net_close(net, fds[0]);
    net_close(net, fds[1]);
}

TEST(shutdown_of_a_unix_socket_is_seen_by_both_sides_at_once) {
    on_both(pair_shuts);
}

static void credentials(struct net *net) {
    int fds[2];
    struct ucred peer;
    socklen_t len = sizeof peer;
    net_unix_pair(net, fds);
    CHECK_EQ(HOST(net, getsockopt, fds[0], SOL_SOCKET, SO_PEERCRED, &peer, &len), 0);
    CHECK_EQ(len, sizeof peer);
    CHECK_EQ(peer.pid, getpid());
    CHECK_EQ(peer.uid, geteuid());
    net_close(net, fds[0]);
    net_close(net, fds[1]);
}

TEST(the_peer_of_a_unix_socket_is_this_process) {
    on_both(credentials);
}
