/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/resource.h>

#include "uring_harness.h"

static int listen_with(struct eddyi_handle *ret_handle, struct sockaddr_in *ret_address) {
    int fd = listener_on(ret_address, 0);
    eddyi_handle_init(ret_handle, fd, EDDYI_HANDLE_SOCKET);
    ret_handle->listening = true;
    return fd;
}

/* The one multishot of the loop. */
static const struct eddyi_uring_shot *shot_of(eddy_loop *loop) {
    return uring_of(loop)->slots[0].shot;
}

TEST(accepts_come_in_order_and_one_that_is_cancelled_loses_none) {
    eddy_loop *loop = ring_loop(0, 0);
    struct sockaddr_in address;
    struct eddyi_handle listener;
    int ends = 0;
    int clients[4];
    char buf[4];
    listen_with(&listener, &address);
    struct eddyi_op op = make_op(EDDYI_OP_ACCEPT, &listener, &ends);
    eddyi_op_submit(loop, &op);
    settle_down(loop);
    CHECK(shot_of(loop)->armed);
    eddyi_op_cancel(loop, &op);
    wait_ends(loop, &ends, 1);
    CHECK_EQ(op.result, -ECANCELED);
    for (int i = 0; i < 4; i++) {
        clients[i] = connect_to(&address);
        CHECK_EQ(write(clients[i], &i, 1), 1);
        settle_down(loop);
    }
    for (int i = 0; i < 4; i++) {
        int fd = (int)(i % 2 == 0 ? do_op(loop, op) : loop->driver->attempt(loop, &op));
        CHECK_OK(fd);
        CHECK_EQ(read(fd, buf, sizeof buf), 1);
        CHECK_EQ(buf[0], i);
        close(fd);
        close(clients[i]);
    }
    CHECK_EQ(loop->driver->attempt(loop, &op), -EAGAIN);
    CHECK_OK(eddyi_handle_close(loop, &listener));
    eddy_loop_free(loop);
}

TEST(an_attempt_finds_who_is_there_and_never_waits) {
    eddy_loop *loop = ring_loop(0, 0);
    struct sockaddr_in address;
    struct eddyi_handle listener;
    int clients[3];
    listen_with(&listener, &address);
    struct eddyi_op op = make_op(EDDYI_OP_ACCEPT, &listener, NULL);
    for (int i = 0; i < 3; i++) {
        clients[i] = connect_to(&address);
    }
    for (int i = 0; i < 3; i++) {
        close((int)CHECK_OK(loop->driver->attempt(loop, &op)));
        close(clients[i]);
    }
    CHECK_EQ(loop->driver->attempt(loop, &op), -EAGAIN);
    uint64_t enters = uring_of(loop)->enters;
    CHECK_EQ(loop->driver->attempt(loop, &op), -EAGAIN);
    CHECK_EQ(uring_of(loop)->enters, enters); /* nobody there costs no call */
    clients[0] = connect_to(&address);
    close((int)CHECK_OK(loop->driver->attempt(loop, &op)));
    close(clients[0]);
    CHECK_OK(eddyi_handle_close(loop, &listener));
    eddy_loop_free(loop);
}

TEST(an_attempt_completes_no_other_from_inside) {
    eddy_loop *loop = ring_loop(0, 0);
    struct sockaddr_in address;
    struct eddyi_handle listener;
    struct eddyi_handle other;
    char buf[8];
    int ends = 0;
    int peer = tcp_pair(&other);
    struct eddyi_op recv = recv_op(&other, buf, sizeof buf, &ends);
    listen_with(&listener, &address);
    struct eddyi_op op = make_op(EDDYI_OP_ACCEPT, &listener, NULL);
    eddyi_op_submit(loop, &recv);
    settle_down(loop);
    CHECK_EQ(write(peer, "abc", 3), 3);
    CHECK_EQ(loop->driver->attempt(loop, &op), -EAGAIN);
    CHECK_EQ(ends, 0);
    CHECK((recv.driver_word & EDDYI_URING_FINISHED) != 0);
    eddyi_op_cancel(loop, &recv); /* too late: it has its result */
    CHECK_EQ(ends, 0);
    loop->driver->wait(loop, EDDY_NEVER);
    CHECK_EQ(ends, 1);
    CHECK_EQ(recv.result, 3);
    close(peer);
    CHECK_OK(eddyi_handle_close(loop, &other));
    CHECK_OK(eddyi_handle_close(loop, &listener));
    eddy_loop_free(loop);
}

TEST(an_armed_listener_lets_its_port_go_when_it_is_closed) {
    eddy_loop *loop = ring_loop(0, 0);
    for (int i = 0; i < 100; i++) {
        struct sockaddr_in address;
        struct eddyi_handle listener;
        int ends = 0;
        listen_with(&listener, &address);
        struct eddyi_op op = make_op(EDDYI_OP_ACCEPT, &listener, &ends);
        eddyi_op_submit(loop, &op);
        if (i % 2 == 0) { /* else the multishot has not even reached the kernel */
            settle_down(loop);
        }
        eddyi_op_cancel(loop, &op);
        CHECK_EQ(ends, 1);
        CHECK_OK(eddyi_handle_close(loop, &listener));
        close(listener_on(&address, address.sin_port));
    }
    eddy_loop_free(loop);
}

TEST(connections_that_nobody_took_are_closed_with_the_listener) {
    eddy_loop *loop = ring_loop(0, 0);
    struct sockaddr_in address;
    struct eddyi_handle listener;
    char buf[4];
    listen_with(&listener, &address);
    struct eddyi_op op = make_op(EDDYI_OP_ACCEPT, &listener, NULL);
    int first = connect_to(&address);
    int second = connect_to(&address);
    close((int)CHECK_OK(do_op(loop, op)));
    settle_down(loop);
    CHECK_OK(eddyi_handle_close(loop, &listener));
    CHECK_EQ(read(second, buf, sizeof buf), 0);
    close(first);
    close(second);
    eddy_loop_free(loop);
}

TEST(a_queue_that_nobody_empties_stops_the_accepting) {
    enum { CLIENTS = 150 };
    eddy_loop *loop = ring_loop(0, 0);
    struct sockaddr_in address;
    struct eddyi_handle listener;
    static int clients[CLIENTS];
    listen_with(&listener, &address);
    struct eddyi_op op = make_op(EDDYI_OP_ACCEPT, &listener, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = connect_to(&address);
        if (i == 0) {
            close((int)CHECK_OK(do_op(loop, op)));
        }
        settle_down(loop);
    }
    CHECK(!shot_of(loop)->armed);
    uint64_t enters = uring_of(loop)->enters;
    settle_down(loop);
    CHECK_EQ(uring_of(loop)->enters, enters);
    for (int i = 1; i < CLIENTS; i++) {
        close((int)CHECK_OK(do_op(loop, op)));
        close(clients[i]);
    }
    close(clients[0]);
    CHECK_EQ(loop->driver->attempt(loop, &op), -EAGAIN);
    CHECK(shot_of(loop)->armed);
    CHECK_OK(eddyi_handle_close(loop, &listener));
    eddy_loop_free(loop);
}

TEST(accepting_survives_an_overflow_of_the_completion_queue) {
    enum { CLIENTS = 100 };
    eddy_loop *loop = ring_loop(2, 4);
    struct sockaddr_in address;
    struct eddyi_handle listener;
    static int clients[CLIENTS];
    static struct eddyi_op ops[CLIENTS];
    int ends = 0;
    listen_with(&listener, &address);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = connect_to(&address);
        ops[i] = make_op(EDDYI_OP_ACCEPT, &listener, &ends);
        if (i < CLIENTS / 2) {
            eddyi_op_submit(loop, &ops[i]);
        }
    }
    wait_ends(loop, &ends, CLIENTS / 2);
    settle_down(loop);
    for (int i = CLIENTS / 2; i < CLIENTS; i++) {
        eddyi_op_submit(loop, &ops[i]);
    }
    wait_ends(loop, &ends, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        close((int)CHECK_OK(ops[i].result));
        close(clients[i]);
    }
    CHECK_OK(eddyi_handle_close(loop, &listener));
    eddy_loop_free(loop);
}

TEST(without_descriptors_each_accept_says_so_once_and_nothing_spins) {
    eddy_loop *loop = ring_loop(0, 0);
    struct sockaddr_in address;
    struct eddyi_handle listener;
    struct rlimit usual;
    int ends = 0;
    listen_with(&listener, &address);
    int client = connect_to(&address);
    int last = (int)CHECK_OK(dup(0));
    close(last);
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &usual));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)last, usual.rlim_max}));
    struct eddyi_op ops[3];
    for (int i = 0; i < 3; i++) {
        ops[i] = make_op(EDDYI_OP_ACCEPT, &listener, &ends);
        eddyi_op_submit(loop, &ops[i]);
    }
    wait_ends(loop, &ends, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(ops[i].result, -EMFILE);
    }
    settle_down(loop);
    uint64_t enters = uring_of(loop)->enters;
    settle_down(loop);
    CHECK_EQ(uring_of(loop)->enters, enters);
    CHECK_EQ(loop->driver->attempt(loop, &ops[0]), -EMFILE);
    CHECK_EQ(do_op(loop, ops[0]), -EMFILE);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &usual));
    close((int)CHECK_OK(do_op(loop, ops[0])));
    close(client);
    CHECK_OK(eddyi_handle_close(loop, &listener));
    eddy_loop_free(loop);
}

TEST(what_is_no_listener_says_so) {
    eddy_loop *loop = ring_loop(0, 0);
    struct eddyi_handle handle;
    int peer = tcp_pair(&handle);
    handle.listening = true;
    struct eddyi_op op = make_op(EDDYI_OP_ACCEPT, &handle, NULL);
    CHECK_EQ(loop->driver->attempt(loop, &op), -EAGAIN);
    CHECK_EQ(do_op(loop, op), -EINVAL);
    close(peer);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

TEST(a_shut_down_listener_ends_its_accepts) {
    eddy_loop *loop = ring_loop(0, 0);
    struct sockaddr_in address;
    struct eddyi_handle listener;
    int ends = 0;
    int fd = listen_with(&listener, &address);
    struct eddyi_op op = make_op(EDDYI_OP_ACCEPT, &listener, &ends);
    eddyi_op_submit(loop, &op);
    settle_down(loop);
    CHECK_OK(shutdown(fd, SHUT_RDWR));
    wait_ends(loop, &ends, 1);
    CHECK_EQ(op.result, -EINVAL);
    CHECK_EQ(do_op(loop, op), -EINVAL);
    CHECK_OK(eddyi_handle_close(loop, &listener));
    eddy_loop_free(loop);
}

static int64_t accept_two(void *arg) {
    (void)arg;
    eddy_loop *loop;
    struct sockaddr_in address;
    struct eddyi_handle listener;
    int r = eddy_loop_new(&(eddy_loop_opts){.driver = "uring"}, &loop);
    if (r < 0) {
        return r;
    }
    listen_with(&listener, &address);
    struct eddyi_op op = make_op(EDDYI_OP_ACCEPT, &listener, NULL);
    for (int i = 0; i < 2; i++) {
        int client = connect_to(&address);
        close((int)CHECK_OK(do_op(loop, op)));
        close(client);
    }
    CHECK_OK(eddyi_handle_close(loop, &listener));
    eddy_loop_free(loop);
    return 0;
}

TEST(without_memory_for_a_queue_each_accept_asks_alone) {
    eddy_loop_free(ring_loop(0, 0)); /* or skip */
    CHECK(test_each_allocation_fails(accept_two, NULL) > 4);
}

TEST(more_listeners_than_slots_at_first) {
    enum { LISTENERS = 40 };
    eddy_loop *loop = ring_loop(4, 8);
    static struct sockaddr_in addresses[LISTENERS];
    static struct eddyi_handle listeners[LISTENERS];
    static struct eddyi_op ops[LISTENERS];
    static int clients[LISTENERS];
    for (int round = 0; round < 3; round++) {
        int ends = 0;
        for (int i = 0; i < LISTENERS; i++) {
            listen_with(&listeners[i], &addresses[i]);
            ops[i] = make_op(EDDYI_OP_ACCEPT, &listeners[i], &ends);
            eddyi_op_submit(loop, &ops[i]);
        }
        for (int i = 0; i < LISTENERS; i++) {
            clients[i] = connect_to(&addresses[i]);
        }
        wait_ends(loop, &ends, LISTENERS);
        for (int i = 0; i < LISTENERS; i++) {
            close((int)CHECK_OK(ops[i].result));
            close(clients[i]);
            CHECK_OK(eddyi_handle_close(loop, &listeners[i]));
        }
    }
    eddy_loop_free(loop);
}
