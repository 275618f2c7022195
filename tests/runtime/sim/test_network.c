/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/sim: TCP. What a simulated socket answers is what the kernel's answers. */
#include "net.h"

static char buf[1 << 16];

/* ---- bytes ----------------------------------------------------------------------------------- */

static void bytes_arrive_in_order(struct net *net) {
    int fds[2];
    net_pair(net, fds);
    net_send_all(net, fds[0], "hello, ", 7);
    net_send_all(net, fds[0], "world", 5);
    net_recv_exactly(net, fds[1], buf, 12);
    CHECK_BYTES(buf, 12, "hello, world", 12);
    net_send_all(net, fds[1], "and back", 8);
    net_recv_exactly(net, fds[0], buf, 8);
    CHECK_BYTES(buf, 8, "and back", 8);
    net_close(net, fds[0]);
    net_close(net, fds[1]);
}

TEST(tcp_carries_bytes_both_ways_in_order) {
    on_both(bytes_arrive_in_order);
}

static void peek_keeps(struct net *net) {
    int fds[2];
    net_pair(net, fds);
    net_send_all(net, fds[0], "x", 1);
    CHECK_EQ(net_recv_flags(net, fds[1], buf, 9, MSG_PEEK), 1);
    CHECK_EQ(net_recv_flags(net, fds[1], buf, 9, MSG_PEEK), 1);
    CHECK_EQ(net_recv(net, fds[1], buf, 9), 1);
    CHECK_ERR(net_recv_flags(net, fds[1], buf, 9, MSG_OOB), -EINVAL);
    net_close(net, fds[0]);
    net_close(net, fds[1]);
}

TEST(peeked_bytes_stay) {
    on_both(peek_keeps);
}

static void nothing_is_sent(struct net *net) {
    int fds[2];
    net_pair(net, fds);
    CHECK_EQ(net_send(net, fds[0], "", 0), 0);
    net_send_all(net, fds[0], "y", 1);
    CHECK_EQ(net_recv(net, fds[1], buf, 0), 0);
    CHECK_EQ(net_recv(net, fds[1], buf, 1), 1);
    net_close(net, fds[0]);
    net_close(net, fds[1]);
}

TEST(sending_and_receiving_nothing_gives_zero) {
    on_both(nothing_is_sent);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void close_ends(struct net *net) {
    int fds[2];
    net_pair(net, fds);
    net_send_all(net, fds[0], "last", 4);
    net_close(net, fds[0]);
    net_recv_exactly(net, fds[1], buf, 4);
    CHECK_EQ(net_recv(net, fds[1], buf, sizeof buf), 0);
    CHECK_EQ(net_recv(net, fds[1], buf, sizeof buf), 0);
    CHECK_EQ(net_events(net, fds[1]), POLLIN | POLLOUT | POLLRDHUP);
    net_close(net, fds[1]);
}

TEST(after_the_peer_closed_bytes_come_first_then_zero) {
    on_both(close_ends);
}

static void half_close(struct net *net) {
    int fds[2];
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    net_pair(net, fds);
    int a = fds[0], b = fds[1];
    CHECK_EQ(HOST(net, shutdown, a, 7), -EINVAL);
    CHECK_EQ(HOST(net, shutdown, a, SHUT_WR), 0);
    CHECK_EQ(net_recv(net, b, buf, 9), 0);
    CHECK_EQ(net_events(net, a), POLLOUT);
    CHECK_EQ(net_events(net, b), POLLIN | POLLOUT | POLLRDHUP);
    CHECK_ERR(net_send(net, a, "x", 1), -EPIPE);
    net_send_all(net, b, "yy", 2);
    CHECK_EQ(net_poll(net, a, POLLIN), POLLIN);
    CHECK_EQ(net_events(net, a), POLLIN | POLLOUT);
    net_recv_exactly(net, a, buf, 2);
    CHECK_EQ(HOST(net, shutdown, a, SHUT_WR), 0);
    CHECK_EQ(HOST(net, getpeername, a, (struct sockaddr *)&address, &len), 0);
    CHECK_EQ(HOST(net, shutdown, b, SHUT_WR), 0);
    CHECK_EQ(net_recv(net, a, buf, 9), 0);
    CHECK((net_poll(net, b, 0) & POLLHUP) != 0);
    CHECK_EQ(net_events(net, a), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    CHECK_EQ(net_events(net, b), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    CHECK_EQ(HOST(net, getpeername, a, (struct sockaddr *)&address, &len), -ENOTCONN);
    CHECK_EQ(HOST(net, getpeername, b, (struct sockaddr *)&address, &len), -ENOTCONN);
    CHECK_EQ(HOST(net, getsockname, a, (struct sockaddr *)&address, &len), 0);
    CHECK_EQ(net_recv(net, a, buf, 9), 0);
    CHECK_EQ(net_recv(net, b, buf, 9), 0);
    CHECK_ERR(net_send(net, a, "x", 1), -EPIPE);
    CHECK_EQ(HOST(net, shutdown, a, SHUT_RDWR), -ENOTCONN);
    CHECK_EQ(HOST(net, shutdown, b, SHUT_RDWR), -ENOTCONN);
    net_close(net, a);
    net_close(net, b);
}

TEST(each_direction_ends_by_itself) {
    on_both(half_close);
}

static void shutdown_reading(struct net *net) {
    int fds[2];
    net_pair(net, fds);
    int a = fds[0], b = fds[1];
    net_send_all(net, b, "abc", 3);
    CHECK_EQ(net_poll(net, a, POLLIN), POLLIN);
    CHECK_EQ(HOST(net, shutdown, a, SHUT_RD), 0);
    CHECK_EQ(net_events(net, a), POLLIN | POLLOUT | POLLRDHUP);
    net_recv_exactly(net, a, buf, 3);
    CHECK_EQ(net_recv(net, a, buf, 2), 0);
    CHECK_EQ(net_events(net, b), POLLOUT);
    CHECK_EQ(net_send(net, a, "x", 1), 1);
    CHECK_EQ(net_recv(net, b, buf, 1), 1);
    net_close(net, a);
    net_close(net, b);
}

TEST(after_shutdown_for_reading_what_is_there_is_read_then_zero) {
    on_both(shutdown_reading);
}

static void shutdown_both(struct net *net) {
    int fds[2];
    net_pair(net, fds);
    int a = fds[0], b = fds[1];
    CHECK_EQ(HOST(net, shutdown, a, SHUT_RDWR), 0);
    CHECK_EQ(net_recv(net, b, buf, 9), 0);
    CHECK_EQ(net_events(net, a), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    CHECK_EQ(net_send(net, b, "data", 1), 1);
    CHECK((net_poll(net, b, 0) & POLLERR) != 0);
    CHECK_EQ(net_events(net, a), POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR);
    CHECK_EQ(net_recv(net, b, buf, 9), 0);
    CHECK_ERR(net_send(net, b, "x", 1), -EPIPE);
    CHECK_ERR(net_recv(net, a, buf, 9), -ECONNRESET);
    CHECK_EQ(net_recv(net, a, buf, 9), 0);
    net_close(net, a);
    net_close(net, b);
}

TEST(data_for_who_shut_both_ways_resets_both) {
    on_both(shutdown_both);
}

/* ---- resets ---------------------------------------------------------------------------------- */

static void close_with_unread(struct net *net) {
    int fds[2];
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    net_pair(net, fds);
    int a = fds[0], b = fds[1];
    net_send_all(net, b, "xyz", 3);
    net_send_all(net, a, "data", 4);
    CHECK_EQ(net_poll(net, a, POLLIN), POLLIN);
    CHECK_EQ(net_poll(net, b, POLLIN), POLLIN);
    net_events(net, b); /* let all four arrive */
    net_close(net, a);
    CHECK((net_poll(net, b, 0) & POLLERR) != 0);
    CHECK_EQ(net_events(net, b), POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR);
    CHECK_EQ(HOST(net, getpeername, b, (struct sockaddr *)&address, &len), -ENOTCONN);
    net_recv_exactly(net, b, buf, 4);
    CHECK_ERR(net_recv(net, b, buf, 9), -ECONNRESET);
    CHECK_EQ(net_events(net, b), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    CHECK_EQ(net_recv(net, b, buf, 9), 0);
    CHECK_ERR(net_send(net, b, "x", 1), -EPIPE);
    CHECK_EQ(HOST(net, shutdown, b, SHUT_WR), -ENOTCONN);
    net_close(net, b);
}

TEST(close_with_unread_bytes_resets_and_what_had_arrived_is_read_first) {
    on_both(close_with_unread);
}

static void reset_then_send(struct net *net) {
    int fds[2];
    net_pair(net, fds);
    int a = fds[0], b = fds[1];
    net_reset_on_close(net, a);
    net_close(net, a);
    CHECK((net_poll(net, b, 0) & POLLERR) != 0);
    CHECK_ERR(net_send(net, b, "x", 1), -ECONNRESET);
    CHECK_ERR(net_send(net, b, "x", 1), -EPIPE);
    CHECK_EQ(net_recv(net, b, buf, 9), 0);
    net_close(net, b);
}

TEST(a_reset_is_told_once_by_send_then_it_is_a_broken_pipe) {
    on_both(reset_then_send);
}

static void reset_by_option(struct net *net) {
    int fds[2];
    net_pair(net, fds);
    int a = fds[0], b = fds[1];
    net_reset_on_close(net, a);
    net_close(net, a);
    CHECK((net_poll(net, b, 0) & POLLERR) != 0);
    CHECK_EQ(net_get(net, b, SOL_SOCKET, SO_ERROR), ECONNRESET);
    CHECK_EQ(net_get(net, b, SOL_SOCKET, SO_ERROR), 0);
    CHECK_EQ(net_recv(net, b, buf, 9), 0);
    CHECK_ERR(net_send(net, b, "x", 1), -EPIPE);
    net_close(net, b);
}

TEST(so_error_takes_the_reset) {
    on_both(reset_by_option);
}

static void write_to_closed(struct net *net) {
    int fds[2];
    net_pair(net, fds);
    int a = fds[0], b = fds[1];
    net_send_all(net, a, "hello", 5);
    net_close(net, a);
    CHECK((net_poll(net, b, POLLRDHUP) & POLLRDHUP) != 0);
    CHECK_EQ(net_send(net, b, "x", 1), 1);
    CHECK((net_poll(net, b, 0) & POLLERR) != 0);
    net_recv_exactly(net, b, buf, 5);
    CHECK_BYTES(buf, 5, "hello", 5);
    CHECK_EQ(net_recv(net, b, buf, 9), 0);
    CHECK_ERR(net_send(net, b, "x", 1), -EPIPE);
    CHECK_ERR(net_send(net, b, "x", 1), -EPIPE);
    CHECK_EQ(net_events(net, b), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    net_close(net, b);
}

TEST(sending_to_who_closed_works_once_then_the_pipe_is_broken) {
    on_both(write_to_closed);
}

static void end_then_reset(struct net *net) {
    int fds[2];
    net_pair(net, fds);
    int a = fds[0], b = fds[1];
    net_send_all(net, b, "q", 1);
    CHECK_EQ(net_poll(net, a, POLLIN), POLLIN);
    CHECK_EQ(HOST(net, shutdown, a, SHUT_WR), 0);
    CHECK_EQ(net_recv(net, b, buf, 1), 0);
    net_close(net, a);
    CHECK((net_poll(net, b, 0) & POLLERR) != 0);
    CHECK_EQ(net_get(net, b, SOL_SOCKET, SO_ERROR), EPIPE);
    CHECK_EQ(net_recv(net, b, buf, 9), 0);
    net_close(net, b);
}

TEST(a_reset_after_the_end_is_a_broken_pipe_and_no_reset) {
    on_both(end_then_reset);
}

/* ---- sockets that are not connected ---------------------------------------------------------- */

static void fresh(struct net *net) {
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    struct sockaddr_in to = loopback_v4(1);
    int fd = net_socket(net, AF_INET);
    CHECK_EQ(net_events(net, fd), POLLOUT | POLLHUP);
    CHECK_ERR(net_recv(net, fd, buf, 9), -ENOTCONN);
    CHECK_ERR(net_send(net, fd, "x", 1), -EPIPE);
    CHECK_ERR(net_accept(net, fd), -EINVAL);
    CHECK_ERR(net_connect(net, fd, &to, 4), -EINVAL);
    CHECK_EQ(HOST(net, getpeername, fd, (struct sockaddr *)&address, &len), -ENOTCONN);
    CHECK_EQ(HOST(net, getsockname, fd, (struct sockaddr *)&address, &len), 0);
    CHECK_EQ(len, sizeof(struct sockaddr_in));
    CHECK_EQ(HOST(net, shutdown, fd, SHUT_WR), -ENOTCONN);
    net_close(net, fd);
    CHECK_EQ(HOST(net, close, fd), -EBADF);
    CHECK_EQ(HOST(net, listen, fd, 1), -EBADF);
    CHECK_ERR(net_recv(net, fd, buf, 1), -EBADF);
}

TEST(a_new_socket_is_neither_connected_nor_listening) {
    on_both(fresh);
}

static void listening(struct net *net) {
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    int fd = net_listener(net, 5, &address);
    CHECK_EQ(net_events(net, fd), 0);
    CHECK_ERR(net_recv(net, fd, buf, 9), -ENOTCONN);
    CHECK_ERR(net_send(net, fd, "x", 1), -EPIPE);
    CHECK_ERR(net_connect(net, fd, &address, sizeof address), -EISCONN);
    CHECK_EQ(HOST(net, listen, fd, 7), 0);
    CHECK_EQ(HOST(net, getpeername, fd, (struct sockaddr *)&address, &len), -ENOTCONN);
    CHECK_EQ(HOST(net, bind, fd, (struct sockaddr *)&address, sizeof address), -EINVAL);
    CHECK_EQ(net_get(net, fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
    CHECK_EQ(HOST(net, shutdown, fd, SHUT_WR), 0);
    CHECK_EQ(HOST(net, shutdown, fd, SHUT_RD), 0);
    CHECK_EQ(net_events(net, fd), POLLOUT | POLLHUP);
    CHECK_ERR(net_accept(net, fd), -EINVAL);
    CHECK_EQ(HOST(net, listen, fd, 3), 0);
    CHECK_EQ(net_events(net, fd), 0);
    net_close(net, fd);
}

TEST(a_listener_does_nothing_but_listen) {
    on_both(listening);
}

/* ---- connecting ------------------------------------------------------------------------------ */

static void refused(struct net *net) {
    struct sockaddr_in address;
    int listener = net_listener(net, 1, &address);
    net_close(net, listener);
    int fd = net_socket(net, AF_INET);
    CHECK_ERR(net_connect(net, fd, &address, sizeof address), -ECONNREFUSED);
    CHECK_EQ(net_events(net, fd), POLLOUT | POLLHUP);
    CHECK_EQ(net_get(net, fd, SOL_SOCKET, SO_ERROR), 0);
    CHECK_ERR(net_send(net, fd, "x", 1), -EPIPE);
    CHECK_ERR(net_recv(net, fd, buf, 1), -ENOTCONN);
    CHECK_ERR(net_connect(net, fd, &address, sizeof address), -ECONNREFUSED);
    listener = net_socket(net, AF_INET);
    CHECK_OK(HOST(net, bind, listener, (struct sockaddr *)&address, sizeof address));
    CHECK_OK(HOST(net, listen, listener, 1));
    CHECK_OK(net_connect(net, fd, &address, sizeof address));
    CHECK_ERR(net_connect(net, fd, &address, sizeof address), -EISCONN);
    CHECK_EQ(HOST(net, listen, fd, 1), -EINVAL);
    CHECK_EQ(HOST(net, bind, fd, (struct sockaddr *)&address, sizeof address), -EINVAL);
    net_close(net, fd);
    net_close(net, listener);
}

TEST(nobody_listens_is_refused_and_the_socket_can_try_again) {
    on_both(refused);
}

static void listener_closes(struct net *net) {
    struct sockaddr_in address;
    int listener = net_listener(net, 1, &address);
    int fd = net_socket(net, AF_INET);
    CHECK_OK(net_connect(net, fd, &address, sizeof address));
    CHECK_EQ(net_poll(net, listener, POLLIN), POLLIN);
    net_close(net, listener);
    CHECK((net_poll(net, fd, 0) & POLLERR) != 0);
    CHECK_EQ(net_events(net, fd), POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR);
    CHECK_ERR(net_recv(net, fd, buf, 9), -ECONNRESET);
    net_close(net, fd);
}

TEST(a_listener_that_closes_resets_who_was_not_accepted) {
    on_both(listener_closes);
}

static void reset_before_accept(struct net *net) {
    struct sockaddr_in address;
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    int listener = net_listener(net, 1, &address);
    int fd = net_socket(net, AF_INET);
    CHECK_OK(net_connect(net, fd, &address, sizeof address));
    net_send_all(net, fd, "zz", 2);
    CHECK_EQ(net_poll(net, listener, POLLIN), POLLIN);
    net_events(net, listener);
    net_reset_on_close(net, fd);
    net_close(net, fd);
    CHECK_EQ(net_events(net, listener), POLLIN);
    int accepted = (int)CHECK_OK(net_accept(net, listener));
    CHECK((net_poll(net, accepted, 0) & POLLERR) != 0);
    CHECK_EQ(HOST(net, getpeername, accepted, (struct sockaddr *)&peer, &len), -ENOTCONN);
    net_recv_exactly(net, accepted, buf, 2);
    CHECK_ERR(net_recv(net, accepted, buf, 9), -ECONNRESET);
    net_close(net, accepted);
    net_close(net, listener);
}

TEST(a_connection_that_was_reset_is_still_accepted) {
    on_both(reset_before_accept);
}

/* A full queue lets requests go unanswered: they come again when TCP sends them again. */
TEST(a_full_backlog_delays_connections_by_seconds_and_loses_none) {
    for (int backlog = 0; backlog < 3; backlog++) {
        eddy_loop *loop = calm_loop();
        struct net net = {loop->host, loop};
        struct sockaddr_in address;
        struct eddyi_handle handles[5];
        struct eddyi_op ops[5];
        int ends = 0;
        int listener = net_listener(&net, backlog, &address);
        for (int i = 0; i < 5; i++) {
            eddyi_handle_init(&handles[i], net_socket(&net, AF_INET), EDDYI_HANDLE_SOCKET);
            ops[i] = make_op(EDDYI_OP_CONNECT, &handles[i], &ends);
            ops[i].addr = (struct sockaddr *)&address;
            ops[i].len = sizeof address;
            eddyi_op_submit(loop, &ops[i]);
        }
        while (now_of(loop) < EDDYI_SIM_MONO_START_NS + EDDY_S / 2) {
            loop->driver->wait(loop, EDDYI_SIM_MONO_START_NS + EDDY_S / 2);
        }
        CHECK_EQ(ends, backlog + 1);
        for (int i = 0; i < 5; i++) {
            net_close(&net, (int)CHECK_OK(net_accept(&net, listener)));
        }
        wait_ends(loop, &ends, 5);
        CHECK(now_of(loop) >= EDDYI_SIM_MONO_START_NS + EDDY_S);
        for (int i = 0; i < 5; i++) {
            CHECK_EQ(ops[i].result, 0);
            eddyi_handle_close(loop, &handles[i]);
        }
        net_close(&net, listener);
        eddy_loop_free(loop);
    }
}

TEST(an_address_of_nobody_times_out_after_127_seconds) {
    eddy_loop *loop = calm_loop();
    struct net net = {loop->host, loop};
    struct sockaddr_in address = loopback_v4(80);
    address.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1, kept for documents */
    int fd = net_socket(&net, AF_INET);
    int64_t start_ns = now_of(loop);
    CHECK_ERR(net_connect(&net, fd, &address, sizeof address), -ETIMEDOUT);
    CHECK_EQ((now_of(loop) - start_ns) / EDDY_S, 127);
    CHECK_EQ(net_set(&net, fd, IPPROTO_TCP, TCP_SYNCNT, 1), 0);
    start_ns = now_of(loop);
    CHECK_ERR(net_connect(&net, fd, &address, sizeof address), -ETIMEDOUT);
    CHECK_EQ((now_of(loop) - start_ns) / EDDY_S, 3);
    net_close(&net, fd);
    eddy_loop_free(loop);
}

static void shutdown_while_connecting(struct net *net) {
    struct sockaddr_in address = loopback_v4(80);
    address.sin_addr.s_addr = htonl(0xc0000201);
    struct eddyi_handle handle;
    int ends = 0;
    eddyi_handle_init(&handle, net_socket(net, AF_INET), EDDYI_HANDLE_SOCKET);
    struct eddyi_op op = make_op(EDDYI_OP_CONNECT, &handle, &ends);
    op.addr = (struct sockaddr *)&address;
    op.len = sizeof address;
    eddyi_op_submit(net->loop, &op);
    settle(net->loop);
    CHECK_EQ(ends, 0);
    CHECK_EQ(HOST(net, shutdown, handle.fd, SHUT_RDWR), 0);
    wait_ends(net->loop, &ends, 1);
    CHECK_ERR(op.result, -ECONNRESET);
    eddyi_handle_close(net->loop, &handle);
}

TEST(shutdown_ends_a_connect_under_way) {
    on_sim(shutdown_while_connecting);
}

/* Whoever leaves in the middle of a handshake leaves nothing behind, on either side. */
static void leave_while_connecting(struct net *net) {
    struct sockaddr_in address;
    for (int steps = 0; steps < 6; steps++) {
        int listener = net_listener(net, 4, &address);
        struct eddyi_handle handle;
        int ends = 0;
        eddyi_handle_init(&handle, net_socket(net, AF_INET), EDDYI_HANDLE_SOCKET);
        struct eddyi_op op = make_op(EDDYI_OP_CONNECT, &handle, &ends);
        op.addr = (struct sockaddr *)&address;
        op.len = sizeof address;
        eddyi_op_submit(net->loop, &op);
        for (int i = 0; i < steps; i++) {
            net->loop->driver->wait(net->loop, now_of(net->loop) + EDDY_MS);
        }
        eddyi_op_cancel(net->loop, &op);
        wait_ends(net->loop, &ends, 1);
        CHECK(op.result == 0 || op.result == -ECANCELED);
        eddyi_handle_close(net->loop, &handle);
        if (steps % 2 == 0) {
            net_close(net, listener);
            settle(net->loop);
        } else {
            settle(net->loop);
            net_close(net, listener);
        }
        settle(net->loop);
        CHECK(eddyi_list_empty(&eddyi_sim_of(net->loop)->host.sockets));
    }
}

TEST(a_handshake_that_is_given_up_leaves_no_socket) {
    on_sim(leave_while_connecting);
}

/* A listener that closes in the midst of a handshake: the client is refused, or connects and is
 * then reset; never something between. */
static void listener_leaves(struct net *net) {
    struct sockaddr_in address;
    for (int steps = 0; steps < 8; steps++) {
        struct eddyi_handle handle;
        int ends = 0;
        char byte;
        int listener = net_listener(net, 4, &address);
        eddyi_handle_init(&handle, net_socket(net, AF_INET), EDDYI_HANDLE_SOCKET);
        struct eddyi_op op = make_op(EDDYI_OP_CONNECT, &handle, &ends);
        op.addr = (struct sockaddr *)&address;
        op.len = sizeof address;
        eddyi_op_submit(net->loop, &op);
        for (int i = 0; i < steps; i++) {
            net->loop->driver->wait(net->loop, now_of(net->loop) + EDDY_S);
        }
        net_close(net, listener);
        wait_ends(net->loop, &ends, 1);
        if (op.result == 0) {
            CHECK_ERR(net_recv(net, handle.fd, &byte, 1), -ECONNRESET);
            CHECK_EQ(net_recv(net, handle.fd, &byte, 1), 0);
        } else {
            /* Reset already when the connect could tell, as the kernel tells it. */
            CHECK(op.result == -ECONNREFUSED || op.result == -ECONNRESET);
        }
        settle(net->loop);
        CHECK(eddyi_sim_socket_of(&eddyi_sim_of(net->loop)->host, handle.fd)->state ==
              EDDYI_SIM_CLOSED);
        eddyi_handle_close(net->loop, &handle);
    }
}

TEST(a_listener_that_closes_during_a_handshake_refuses_or_resets) {
    on_sim(listener_leaves);
}

TEST(descriptors_run_out_as_the_process_limit_says) {
    eddy_loop *loop = calm_loop();
    struct net net = {loop->host, loop};
    struct sockaddr_in address;
    struct rlimit limit;
    struct rlimit lower;
    int listener = net_listener(&net, 4, &address);
    int fd = net_socket(&net, AF_INET);
    CHECK_OK(net_connect(&net, fd, &address, sizeof address));
    CHECK_EQ(net_poll(&net, listener, POLLIN), POLLIN);
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    int next = (int)CHECK_OK(dup(0));
    close(next);
    lower = (struct rlimit){.rlim_cur = (rlim_t)next + 2, .rlim_max = limit.rlim_max};
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &lower));
    CHECK_ERR(net_accept(&net, listener), -EMFILE);
    CHECK_EQ(HOST(&net, socket, AF_INET, SOCK_STREAM, 0), -EMFILE);
    int pair[2] = {-7, -7};
    CHECK_EQ(HOST(&net, socketpair, AF_UNIX, SOCK_STREAM, 0, pair), -EMFILE);
    lower.rlim_cur = (rlim_t)next + 3;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &lower));
    CHECK_EQ(HOST(&net, socketpair, AF_UNIX, SOCK_STREAM, 0, pair), -EMFILE);
    CHECK_EQ(pair[0], -7);
    int accepted = (int)CHECK_OK(net_accept(&net, listener));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    net_close(&net, accepted);
    net_close(&net, fd);
    net_close(&net, listener);
    eddy_loop_free(loop);
}

static void accepted_in_order(struct net *net) {
    struct sockaddr_in address;
    int clients[6];
    int listener = net_listener(net, 8, &address);
    for (int i = 0; i < 6; i++) {
        clients[i] = net_socket(net, AF_INET);
        CHECK_OK(net_connect(net, clients[i], &address, sizeof address));
    }
    for (int i = 0; i < 6; i++) {
        struct sockaddr_in peer;
        struct sockaddr_in own;
        socklen_t len = sizeof peer;
        int fd = (int)CHECK_OK(net_accept(net, listener));
        CHECK_OK(HOST(net, getpeername, fd, (struct sockaddr *)&peer, &len));
        CHECK_OK(HOST(net, getsockname, clients[i], (struct sockaddr *)&own, &len));
        CHECK_EQ(peer.sin_port, own.sin_port);
        net_close(net, fd);
        net_close(net, clients[i]);
    }
    net_close(net, listener);
}

TEST(who_connected_first_is_accepted_first) {
    on_both(accepted_in_order);
}
