/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every driver has to do alike: each kind of operation, each way in which it can end, cancel
 * in each state, and closing. Run on the driver that $EDDY_DRIVER names, as the LOOP_TESTs are.
 */
#include <eddy/runtime/loop/driver_impl.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/time.h>

#include <eddy/runtime/base/memory_impl.h>

#include "ops.h"

/* A loop and a connection. */
struct fixture {
    eddy_loop *loop;
    struct eddyi_handle a;
    struct eddyi_handle b;
    char buf[64];
};

static void set_up(struct fixture *fix) {
    *fix = (struct fixture){.loop = trial_loop()};
    open_pair(fix->loop, &fix->a, &fix->b);
}

static void tear_down(struct fixture *fix) {
    close_handle(fix->loop, &fix->a);
    close_handle(fix->loop, &fix->b);
    eddy_loop_free(fix->loop);
}

static struct trial recv_on(struct fixture *fix) {
    return trial_recv(&fix->a, fix->buf, sizeof fix->buf);
}

/* ---- receive and send ------------------------------------------------------------------------ */

TEST(receive_waits_for_bytes_and_takes_what_there_is) {
    struct fixture fix;
    set_up(&fix);
    struct trial recv = recv_on(&fix);
    start(fix.loop, &recv);
    run_for(fix.loop, EDDY_MS);
    CHECK(!recv.ended);
    send_all(fix.loop, &fix.b, "hello", 5);
    take(fix.loop, &fix.a, &recv, "hello");
    tear_down(&fix);
}

TEST(receive_of_what_has_come_already_ends_at_the_next_wait) {
    struct fixture fix;
    set_up(&fix);
    for (int round = 0; round < 3; round++) {
        send_all(fix.loop, &fix.b, "hello", 5);
        run_for(fix.loop, EDDY_MS);
        take(fix.loop, &fix.a, NULL, "he");
        struct trial recv = recv_on(&fix);
        start(fix.loop, &recv);
        take(fix.loop, &fix.a, &recv, "llo");
    }
    tear_down(&fix);
}

TEST(attempt_gives_eagain_or_the_result_and_completes_nothing) {
    struct fixture fix;
    set_up(&fix);
    struct trial recv = recv_on(&fix);
    CHECK_ERR(try_now(fix.loop, &recv), -EAGAIN);
    CHECK_ERR(try_now(fix.loop, &recv), -EAGAIN);
    struct trial send = trial_send(&fix.b, "h", 1);
    int64_t n = try_now(fix.loop, &send);
    if (n == -EAGAIN) {
        n = run(fix.loop, send); /* a driver may leave sends to its batches */
    }
    CHECK_EQ(n, 1);
    run_for(fix.loop, EDDY_S);
    n = try_now(fix.loop, &recv);
    if (n == -EAGAIN) {
        n = run(fix.loop, recv);
    }
    CHECK_EQ(n, 1);
    CHECK_ERR(try_now(fix.loop, &recv), -EAGAIN);
    CHECK(!recv.ended);
    tear_down(&fix);
}

TEST(several_receives_of_one_handle_share_the_bytes) {
    struct fixture fix;
    set_up(&fix);
    char bytes[4] = {0};
    struct trial recv[4];
    for (int i = 0; i < 4; i++) {
        recv[i] = trial_recv(&fix.a, &bytes[i], 1);
        start(fix.loop, &recv[i]);
    }
    send_all(fix.loop, &fix.b, "abcd", 4);
    int sum = 0;
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(finish(fix.loop, &recv[i]), 1);
        sum |= 1 << (bytes[i] - 'a'); /* in which order they are served is the kernel's affair */
    }
    CHECK_EQ(sum, 15);
    tear_down(&fix);
}

TEST(send_waits_while_the_peer_takes_nothing_and_no_byte_is_lost) {
    struct fixture fix;
    set_up(&fix);
    enum { TOTAL = 8 << 20, CHUNK = 64 << 10 };
    char *data = eddyi_alloc(TOTAL);
    char *got = eddyi_alloc(TOTAL);
    CHECK(data != NULL && got != NULL);
    for (size_t i = 0; i < TOTAL; i++) {
        data[i] = (char)test_random();
    }
    size_t sent = 0;
    size_t received = 0;
    struct trial send = {.ended = true};
    struct trial recv = {.ended = true};
    bool blocked = false;
    while (received < TOTAL) {
        if (send.ended && sent < TOTAL) {
            sent += (size_t)CHECK_OK(send.op.result);
            if (sent < TOTAL) {
                send = trial_send(&fix.b, data + sent, TOTAL - sent);
                start(fix.loop, &send);
                run_for(fix.loop, EDDY_MS);
                blocked |= !send.ended;
                continue;
            }
        }
        size_t want = TOTAL - received < CHUNK ? TOTAL - received : CHUNK;
        recv = trial_recv(&fix.a, got + received, want);
        start(fix.loop, &recv);
        received += (size_t)CHECK_OK(finish(fix.loop, &recv));
    }
    CHECK(blocked);
    if (sent < TOTAL) {
        /* The last send ended together with the receive that took the last byte. */
        sent += (size_t)CHECK_OK(finish(fix.loop, &send));
    }
    CHECK_EQ(sent, TOTAL);
    CHECK_BYTES(got, TOTAL, data, TOTAL);
    eddyi_free(data);
    eddyi_free(got);
    tear_down(&fix);
}

TEST(send_of_several_parts_gathers_them) {
    struct fixture fix;
    set_up(&fix);
    char head[] = "head ";
    char body[] = "body";
    struct iovec parts[] = {{head, 5}, {head, 0}, {body, 4}};
    struct trial send = trial_of(EDDYI_OP_SENDV, &fix.b);
    send.op.iov = parts;
    send.op.len = 3;
    int64_t n = run(fix.loop, send);
    CHECK(n >= 1 && n <= 9);
    send_all(fix.loop, &fix.b, &"head body"[n], 9 - (size_t)n);
    take(fix.loop, &fix.a, NULL, "head body");
    tear_down(&fix);
}

TEST(a_waiting_receive_does_not_hold_up_a_send) {
    struct fixture fix;
    set_up(&fix);
    struct trial recv = recv_on(&fix);
    start(fix.loop, &recv);
    send_all(fix.loop, &fix.a, "out", 3);
    take(fix.loop, &fix.b, NULL, "out");
    CHECK(!recv.ended);
    send_all(fix.loop, &fix.b, "in", 2);
    take(fix.loop, &fix.a, &recv, "in");
    tear_down(&fix);
}

TEST(peek_takes_nothing_away) {
    struct fixture fix;
    set_up(&fix);
    struct trial peek = recv_on(&fix);
    peek.op.flags = MSG_PEEK;
    start(fix.loop, &peek);
    send_all(fix.loop, &fix.b, "hello", 5);
    int64_t n = CHECK_OK(finish(fix.loop, &peek));
    CHECK(n >= 1 && n <= 5);
    CHECK_BYTES(fix.buf, (size_t)n, "hello", (size_t)n);
    take(fix.loop, &fix.a, NULL, "hello");
    tear_down(&fix);
}

/* ---- ends ------------------------------------------------------------------------------------ */

TEST(receive_gives_zero_at_the_end_and_again) {
    struct fixture fix;
    set_up(&fix);
    struct trial recv = recv_on(&fix);
    start(fix.loop, &recv);
    send_all(fix.loop, &fix.b, "last", 4);
    const struct eddyi_host *host = fix.loop->host;
    CHECK_OK(host->shutdown(host->ctx, fix.b.fd, SHUT_WR));
    take(fix.loop, &fix.a, &recv, "last");
    CHECK_EQ(run(fix.loop, recv_on(&fix)), 0);
    CHECK_EQ(run(fix.loop, recv_on(&fix)), 0);
    /* The other direction lives on. */
    send_all(fix.loop, &fix.a, "reply", 5);
    take(fix.loop, &fix.b, NULL, "reply");
    tear_down(&fix);
}

TEST(a_waiting_receive_ends_when_the_peer_closes) {
    struct fixture fix;
    set_up(&fix);
    struct trial recv = recv_on(&fix);
    start(fix.loop, &recv);
    run_for(fix.loop, EDDY_MS);
    close_handle(fix.loop, &fix.b);
    CHECK_EQ(finish(fix.loop, &recv), 0);
    tear_down(&fix);
}

TEST(a_waiting_receive_ends_with_a_reset) {
    struct fixture fix;
    set_up(&fix);
    struct trial recv = recv_on(&fix);
    start(fix.loop, &recv);
    run_for(fix.loop, EDDY_MS);
    /* To close with bytes unread resets the connection. */
    send_all(fix.loop, &fix.a, "unread", 6);
    run_for(fix.loop, EDDY_S);
    close_handle(fix.loop, &fix.b);
    CHECK_ERR(finish(fix.loop, &recv), -ECONNRESET);
    CHECK_EQ(run(fix.loop, recv_on(&fix)), 0); /* the error is told once */
    CHECK_ERR(run(fix.loop, trial_send(&fix.a, "x", 1)), -EPIPE);
    tear_down(&fix);
}

TEST(send_after_the_own_end_gives_epipe_and_no_signal) {
    struct fixture fix;
    set_up(&fix);
    const struct eddyi_host *host = fix.loop->host;
    CHECK_OK(host->shutdown(host->ctx, fix.a.fd, SHUT_WR));
    CHECK_ERR(run(fix.loop, trial_send(&fix.a, "x", 1)), -EPIPE);
    struct trial send = trial_send(&fix.a, "x", 1);
    int64_t r = try_now(fix.loop, &send);
    CHECK(r == -EPIPE || r == -EAGAIN);
    tear_down(&fix);
}

/* ---- connect and accept ---------------------------------------------------------------------- */

TEST(connect_to_a_closed_port_is_refused) {
    eddy_loop *loop = trial_loop();
    struct eddyi_handle listener;
    struct eddyi_handle client;
    struct sockaddr_in address;
    open_listener(loop, &listener, 1, &address);
    close_handle(loop, &listener);
    open_socket(loop, &client);
    CHECK_ERR(run(loop, trial_connect(&client, &address, sizeof address)), -ECONNREFUSED);
    close_handle(loop, &client);
    eddy_loop_free(loop);
}

TEST(accept_waits_and_takes_connections_one_by_one) {
    eddy_loop *loop = trial_loop();
    struct eddyi_handle listener;
    struct sockaddr_in address;
    enum { COUNT = 5 };
    struct eddyi_handle clients[COUNT];
    struct eddyi_handle served[COUNT];
    open_listener(loop, &listener, COUNT, &address);
    struct trial accept = trial_of(EDDYI_OP_ACCEPT, &listener);
    start(loop, &accept);
    run_for(loop, EDDY_MS);
    CHECK(!accept.ended);
    for (int i = 0; i < COUNT; i++) {
        open_socket(loop, &clients[i]);
        CHECK_EQ(run(loop, trial_connect(&clients[i], &address, sizeof address)), 0);
    }
    for (int i = 0; i < COUNT; i++) {
        int64_t fd =
            i == 0 ? finish(loop, &accept) : run(loop, trial_of(EDDYI_OP_ACCEPT, &listener));
        eddyi_handle_init(&served[i], (int)CHECK_OK(fd), EDDYI_HANDLE_SOCKET);
    }
    for (int i = 0; i < COUNT; i++) {
        char byte = (char)('a' + i);
        char got;
        send_all(loop, &clients[i], &byte, 1);
        CHECK_EQ(run(loop, trial_recv(&served[i], &got, 1)), 1);
        CHECK_EQ(got, byte);
        close_handle(loop, &clients[i]);
        close_handle(loop, &served[i]);
    }
    close_handle(loop, &listener);
    eddy_loop_free(loop);
}

TEST(accepted_and_connected_sockets_are_blocking_and_close_on_exec) {
    eddy_loop *loop = trial_loop();
    trial_real_only(&loop);
    struct fixture fix = {.loop = loop};
    open_pair(loop, &fix.a, &fix.b);
    CHECK_EQ(fcntl(fix.a.fd, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(fcntl(fix.b.fd, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(fcntl(fix.a.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_EQ(fcntl(fix.b.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    tear_down(&fix);
}

/* Fills the backlog of a listener with connections, so that the next one has to wait. */
static int fill_backlog(eddy_loop *loop, struct eddyi_handle *clients, int count,
                        struct sockaddr_in *address) {
    for (int i = 0; i < count; i++) {
        open_socket(loop, &clients[i]);
        struct trial connect = trial_connect(&clients[i], address, sizeof *address);
        start(loop, &connect);
        run_for(loop, 20 * EDDY_MS);
        if (!connect.ended) {
            eddyi_op_cancel(loop, &connect.op);
        }
        int64_t r = finish(loop, &connect);
        if (r != 0) {
            CHECK_ERR(r, -ECANCELED);
            return i + 1;
        }
    }
    test_fail(__FILE__, __LINE__, "the backlog takes everything");
}

TEST(cancel_of_a_connect_that_waits_for_the_peer) {
    eddy_loop *loop = trial_loop();
    trial_real_only(&loop);
    struct eddyi_handle listener;
    struct eddyi_handle clients[8];
    struct sockaddr_in address;
    open_listener(loop, &listener, 0, &address);
    int count = fill_backlog(loop, clients, 8, &address);
    CHECK_EQ(fcntl(clients[count - 1].fd, F_GETFL) & O_NONBLOCK, 0);
    for (int i = 0; i < count; i++) {
        close_handle(loop, &clients[i]);
    }
    close_handle(loop, &listener);
    eddy_loop_free(loop);
}

TEST(accept_without_a_descriptor_left_says_so_and_goes_on_later) {
    eddy_loop *loop = trial_loop();
    trial_real_only(&loop);
    struct eddyi_handle listener;
    struct eddyi_handle client;
    struct sockaddr_in address;
    open_listener(loop, &listener, 4, &address);
    open_socket(loop, &client);
    run_for(loop, EDDY_MS); /* what the driver opens at first is open */
    struct rlimit old;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    int highest = fcntl(0, F_DUPFD, 0);
    close(highest);
    struct rlimit low = {.rlim_cur = (rlim_t)highest, .rlim_max = old.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    CHECK_EQ(run(loop, trial_connect(&client, &address, sizeof address)), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(run(loop, trial_of(EDDYI_OP_ACCEPT, &listener)), -EMFILE);
    }
    /* Nobody accepts: a connection that waits must not keep the loop awake. */
    uint64_t turns = loop->turns;
    run_for(loop, 20 * EDDY_MS);
    CHECK(loop->turns - turns < 10);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    int fd = (int)CHECK_OK(run(loop, trial_of(EDDYI_OP_ACCEPT, &listener)));
    close(fd);
    close_handle(loop, &client);
    close_handle(loop, &listener);
    eddy_loop_free(loop);
}

/* ---- poll ------------------------------------------------------------------------------------ */

TEST(poll_tells_what_is_true_and_as_long_as_it_is) {
    struct fixture fix;
    set_up(&fix);
    CHECK_EQ(run(fix.loop, trial_poll(&fix.a, POLLOUT)), POLLOUT);
    struct trial poll = trial_poll(&fix.a, POLLIN);
    CHECK_ERR(try_now(fix.loop, &poll), -EAGAIN);
    start(fix.loop, &poll);
    run_for(fix.loop, EDDY_MS);
    CHECK(!poll.ended);
    send_all(fix.loop, &fix.b, "hello", 5);
    CHECK_EQ(finish(fix.loop, &poll), POLLIN);
    CHECK_EQ(run(fix.loop, trial_poll(&fix.a, POLLIN)), POLLIN);
    CHECK_EQ(run(fix.loop, trial_poll(&fix.a, POLLIN | POLLOUT)), POLLIN | POLLOUT);
    take(fix.loop, &fix.a, NULL, "hello");
    poll = trial_poll(&fix.a, POLLIN);
    start(fix.loop, &poll);
    run_for(fix.loop, EDDY_MS);
    CHECK(!poll.ended);
    close_handle(fix.loop, &fix.b);
    CHECK_EQ(finish(fix.loop, &poll), POLLIN);
    tear_down(&fix);
}

TEST(several_polls_of_one_handle_each_get_their_answer) {
    struct fixture fix;
    set_up(&fix);
    struct trial in[3];
    struct trial recv = recv_on(&fix);
    struct trial out = trial_poll(&fix.a, POLLOUT);
    for (int i = 0; i < 3; i++) {
        in[i] = trial_poll(&fix.a, POLLIN);
        start(fix.loop, &in[i]);
    }
    start(fix.loop, &recv);
    start(fix.loop, &out);
    CHECK_EQ(finish(fix.loop, &out), POLLOUT);
    eddyi_op_cancel(fix.loop, &in[1].op);
    CHECK_ERR(finish(fix.loop, &in[1]), -ECANCELED);
    send_all(fix.loop, &fix.b, "hello", 5);
    take(fix.loop, &fix.a, &recv, "hello");
    send_all(fix.loop, &fix.b, "hello", 5); /* the polls may have come too late for the first */
    CHECK_EQ(finish(fix.loop, &in[0]), POLLIN);
    CHECK_EQ(finish(fix.loop, &in[2]), POLLIN);
    tear_down(&fix);
}

TEST(poll_tells_of_a_reset_unasked) {
    struct fixture fix;
    set_up(&fix);
    send_all(fix.loop, &fix.a, "unread", 6);
    run_for(fix.loop, EDDY_S);
    struct trial poll = trial_poll(&fix.a, POLLPRI);
    start(fix.loop, &poll);
    run_for(fix.loop, EDDY_MS);
    CHECK(!poll.ended);
    close_handle(fix.loop, &fix.b);
    CHECK_EQ(finish(fix.loop, &poll), POLLERR | POLLHUP);
    tear_down(&fix);
}

/* ---- cancel and close ------------------------------------------------------------------------ */

TEST(cancel_before_the_first_wait) {
    struct fixture fix;
    set_up(&fix);
    struct trial recv = recv_on(&fix);
    start(fix.loop, &recv);
    eddyi_op_cancel(fix.loop, &recv.op);
    eddyi_op_cancel(fix.loop, &recv.op);
    CHECK_ERR(finish(fix.loop, &recv), -ECANCELED);
    eddyi_op_cancel(fix.loop, &recv.op);
    tear_down(&fix);
}

TEST(cancel_of_what_waits_loses_no_byte) {
    struct fixture fix;
    set_up(&fix);
    memset(fix.buf, '-', sizeof fix.buf);
    struct trial recv = recv_on(&fix);
    start(fix.loop, &recv);
    run_for(fix.loop, EDDY_MS);
    eddyi_op_cancel(fix.loop, &recv.op);
    CHECK_ERR(finish(fix.loop, &recv), -ECANCELED);
    send_all(fix.loop, &fix.b, "hello", 5);
    run_for(fix.loop, EDDY_MS);
    CHECK_EQ(fix.buf[0], '-'); /* the buffer was given back */
    take(fix.loop, &fix.a, NULL, "hello");
    tear_down(&fix);
}

TEST(cancel_against_completion_gives_one_of_both_and_loses_no_byte) {
    struct fixture fix;
    set_up(&fix);
    for (int i = 0; i < 200; i++) {
        struct trial recv = recv_on(&fix);
        struct trial send = trial_send(&fix.b, "x", 1);
        start(fix.loop, &recv);
        start(fix.loop, &send);
        if (i % 2 == 0) {
            CHECK_EQ(finish(fix.loop, &send), 1);
        }
        if (i % 3 == 0) {
            CHECK_OK(eddy_loop_poll(fix.loop));
        }
        eddyi_op_cancel(fix.loop, &recv.op);
        int64_t n = finish(fix.loop, &recv);
        CHECK_EQ(finish(fix.loop, &send), 1);
        if (n != 1) {
            CHECK_ERR(n, -ECANCELED);
            CHECK_EQ(run(fix.loop, recv_on(&fix)), 1);
        }
    }
    tear_down(&fix);
}

TEST(cancel_of_accept_and_of_send) {
    struct fixture fix;
    set_up(&fix);
    struct eddyi_handle listener;
    struct sockaddr_in address;
    open_listener(fix.loop, &listener, 1, &address);
    struct trial accept = trial_of(EDDYI_OP_ACCEPT, &listener);
    start(fix.loop, &accept);
    run_for(fix.loop, EDDY_MS);
    eddyi_op_cancel(fix.loop, &accept.op);
    CHECK_ERR(finish(fix.loop, &accept), -ECANCELED);
    /* The next one still works. */
    struct eddyi_handle client;
    open_socket(fix.loop, &client);
    CHECK_EQ(run(fix.loop, trial_connect(&client, &address, sizeof address)), 0);
    struct eddyi_handle peer;
    int64_t fd = run(fix.loop, trial_of(EDDYI_OP_ACCEPT, &listener));
    eddyi_handle_init(&peer, (int)CHECK_OK(fd), EDDYI_HANDLE_SOCKET);
    close_handle(fix.loop, &peer);
    close_handle(fix.loop, &client);
    close_handle(fix.loop, &listener);

    static char block[1 << 20];
    struct trial send = {.ended = true};
    do {
        send = trial_send(&fix.a, block, sizeof block);
        start(fix.loop, &send);
        run_for(fix.loop, EDDY_MS);
    } while (send.ended);
    eddyi_op_cancel(fix.loop, &send.op);
    int64_t n = finish(fix.loop, &send);
    CHECK(n == -ECANCELED || n > 0); /* some of it may have gone by now */
    tear_down(&fix);
}

TEST(close_with_operations_waiting_ends_each_of_them_once) {
    struct fixture fix;
    set_up(&fix);
    enum { COUNT = 6 };
    struct trial trials[COUNT];
    for (int i = 0; i < COUNT; i++) {
        trials[i] = i % 2 == 0 ? recv_on(&fix) : trial_poll(&fix.a, POLLIN);
        start(fix.loop, &trials[i]);
        if (i == 3) {
            run_for(fix.loop, EDDY_MS); /* some have reached the kernel, some have not */
        }
    }
    eddyi_handle_cancel(fix.loop, &fix.a);
    for (int i = 0; i < COUNT; i++) {
        CHECK_ERR(finish(fix.loop, &trials[i]), -ECANCELED);
    }
    CHECK(eddyi_list_empty(&fix.a.ops));
    tear_down(&fix);
}

TEST(a_descriptor_that_is_used_again_gets_its_own_results) {
    struct fixture fix;
    set_up(&fix);
    for (int i = 0; i < 20; i++) {
        struct trial recv = recv_on(&fix);
        start(fix.loop, &recv);
        run_for(fix.loop, EDDY_MS / 10);
        send_all(fix.loop, &fix.b, "old", 3); /* on its way while everything is closed */
        eddyi_op_cancel(fix.loop, &recv.op);
        finish(fix.loop, &recv);
        close_handle(fix.loop, &fix.a);
        close_handle(fix.loop, &fix.b);
        open_pair(fix.loop, &fix.a, &fix.b);
        recv = recv_on(&fix);
        start(fix.loop, &recv);
        run_for(fix.loop, EDDY_MS / 10);
        CHECK(!recv.ended);
        send_all(fix.loop, &fix.b, "new!", 4);
        take(fix.loop, &fix.a, &recv, "new!");
    }
    tear_down(&fix);
}

static struct trial rivals[3];

static void cancel_rivals(struct eddyi_op *op) {
    EDDYI_CONTAINER(op, struct trial, op)->ended = true;
    for (int i = 0; i < 3; i++) {
        eddyi_op_cancel(op->loop, &rivals[i].op);
    }
}

TEST(an_end_may_cancel_the_other_operations_of_its_handle) {
    struct fixture fix;
    set_up(&fix);
    char bytes[3];
    for (int i = 0; i < 3; i++) {
        rivals[i] = trial_recv(&fix.a, &bytes[i], 1);
        start(fix.loop, &rivals[i]);
        rivals[i].op.done = cancel_rivals;
    }
    run_for(fix.loop, EDDY_MS);
    send_all(fix.loop, &fix.b, "abc", 3);
    int64_t received = 0;
    for (int i = 0; i < 3; i++) {
        int64_t n = finish(fix.loop, &rivals[i]);
        CHECK(n == 1 || n == -ECANCELED); /* several may have ended in the same batch */
        received += n == 1 ? 1 : 0;
    }
    CHECK(received >= 1);
    for (; received < 3; received++) {
        CHECK_EQ(run(fix.loop, trial_recv(&fix.a, bytes, 1)), 1);
    }
    tear_down(&fix);
}

/* ---- waiting --------------------------------------------------------------------------------- */

TEST(wait_ends_at_the_deadline_and_not_before) {
    eddy_loop *loop = trial_loop();
    int64_t least = INT64_MAX; /* a busy machine may stop us at any time, but not each time */
    for (int i = 0; i < 10; i++) {
        int64_t before = eddy_loop_now(loop);
        run_for(loop, 1500 * EDDY_US);
        int64_t took = eddy_loop_now(loop) - before;
        CHECK(took >= 1500 * EDDY_US);
        least = took < least ? took : least;
    }
    CHECK(least < 500 * EDDY_MS);
    eddy_loop_free(loop);
}

TEST(idle_loop_sleeps) {
    struct fixture fix;
    set_up(&fix);
    struct trial recv = recv_on(&fix);
    start(fix.loop, &recv);
    run_for(fix.loop, EDDY_MS);
    struct rusage before;
    struct rusage after;
    uint64_t turns = fix.loop->turns;
    getrusage(RUSAGE_THREAD, &before);
    run_for(fix.loop, 100 * EDDY_MS);
    getrusage(RUSAGE_THREAD, &after);
    CHECK(fix.loop->turns - turns <= 5);
    struct timeval used;
    timersub(&after.ru_utime, &before.ru_utime, &used);
    CHECK(used.tv_sec == 0 && used.tv_usec < 50000);
    CHECK(!recv.ended);
    eddyi_op_cancel(fix.loop, &recv.op);
    CHECK_ERR(finish(fix.loop, &recv), -ECANCELED);
    tear_down(&fix);
}

struct wakes {
    eddy_loop *loop;
    _Atomic int seen;
    int wanted;
    bool all;
};

static void count_wake(void *arg) {
    struct wakes *wakes = arg;
    int seen = atomic_fetch_add(&wakes->seen, 1) + 1;
    wakes->all = seen == wakes->wanted;
}

static void *send_wakes(void *arg) {
    struct wakes *wakes = arg;
    for (int i = 0; i < wakes->wanted; i++) {
        CHECK_OK(eddy_loop_post(wakes->loop, count_wake, wakes));
        /* Every third only when the one before has arrived, so that the loop sleeps in between. */
        while (i % 3 == 0 && atomic_load(&wakes->seen) <= i) {
            sched_yield();
        }
    }
    return NULL;
}

TEST(no_wake_is_lost_in_an_endless_sleep) {
    eddy_loop *loop = trial_loop();
    trial_real_only(&loop);
    struct wakes wakes = {.loop = loop, .wanted = test_is_slow() ? 3000 : 30000};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, send_wakes, &wakes), 0);
    run_until(loop, &wakes.all);
    pthread_join(thread, NULL);
    eddy_loop_free(loop);
}

/* ---- a foreign main loop --------------------------------------------------------------------- */

/* Whether the loop's descriptor is or becomes readable within so many milliseconds. */
static bool readable(eddy_loop *loop, int timeout_ms) {
    struct pollfd poller = {.fd = eddy_loop_fd(loop), .events = POLLIN};
    CHECK_OK(poller.fd);
    return poll(&poller, 1, timeout_ms) == 1;
}

/* Polls the loop until it has nothing more to do for now. */
static void settle(eddy_loop *loop) {
    while (readable(loop, 0)) {
        CHECK_OK(eddy_loop_poll(loop));
    }
}

static void *post_later(void *arg) {
    struct wakes *wakes = arg;
    CHECK_OK(eddy_loop_post(wakes->loop, count_wake, wakes));
    return NULL;
}

struct chain {
    eddy_loop *loop;
    int left;
};

static void chain_on(void *arg) {
    struct chain *chain = arg;
    if (chain->left-- > 0) {
        CHECK_OK(eddy_loop_post(chain->loop, chain_on, chain));
    }
}

TEST(loop_descriptor_tells_when_there_is_something_to_do) {
    struct fixture fix;
    set_up(&fix);
    if (trial_simulated(fix.loop)) {
        CHECK_ERR(eddy_loop_fd(fix.loop), -ENOTSUP);
        tear_down(&fix);
        return;
    }
    settle(fix.loop);
    CHECK(!readable(fix.loop, 0));

    /* What was submitted from outside is on its way by the next poll. */
    struct trial recv = recv_on(&fix);
    start(fix.loop, &recv);
    CHECK_OK(eddy_loop_poll(fix.loop));
    settle(fix.loop);
    CHECK(!recv.ended);
    CHECK_EQ(write(fix.b.fd, "hello", 5), 5);
    CHECK(readable(fix.loop, 5000));
    settle(fix.loop);
    CHECK(recv.ended);
    CHECK_EQ(recv.op.result, 5);
    CHECK(!readable(fix.loop, 0));

    struct wakes wakes = {.loop = fix.loop, .wanted = 1};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, post_later, &wakes), 0);
    CHECK(readable(fix.loop, 5000));
    pthread_join(thread, NULL);
    settle(fix.loop);
    CHECK(wakes.all);

    /* A timer. */
    struct nap nap = {.timer.fire = end_nap};
    for (int i = 0; i < 3; i++) {
        nap.over = false;
        eddyi_timer_arm(fix.loop, &nap.timer, eddy_loop_now(fix.loop) + 5 * EDDY_MS);
        CHECK_OK(eddy_loop_poll(fix.loop));
        int looks = 0;
        while (!nap.over) {
            CHECK(readable(fix.loop, 5000));
            settle(fix.loop);
            CHECK(++looks < 10); /* readable without a reason once in a while, not all the time */
        }
    }
    CHECK(!readable(fix.loop, 0));

    /* As long as something is ready it stays readable. */
    struct chain chain = {.loop = fix.loop, .left = 20};
    chain_on(&chain);
    while (chain.left > 0) {
        CHECK(readable(fix.loop, 0));
        CHECK_OK(eddy_loop_poll(fix.loop));
    }
    settle(fix.loop);

    /* And the loop can still run by itself, asleep in between. */
    uint64_t turns = fix.loop->turns;
    run_for(fix.loop, 20 * EDDY_MS);
    CHECK(fix.loop->turns - turns < 10);
    tear_down(&fix);
}

/* ---- pipes, terminals, files ----------------------------------------------------------------- */

static void open_pipe(eddy_loop *loop, struct eddyi_handle *reader, struct eddyi_handle *writer) {
    int fds[2];
    (void)loop;
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    eddyi_handle_init(reader, fds[0], EDDYI_HANDLE_POLLABLE);
    eddyi_handle_init(writer, fds[1], EDDYI_HANDLE_POLLABLE);
}

TEST(pipe_gives_bytes_and_its_end) {
    eddy_loop *loop = trial_loop();
    trial_real_only(&loop);
    struct eddyi_handle reader;
    struct eddyi_handle writer;
    char buf[16];
    open_pipe(loop, &reader, &writer);
    struct trial read = trial_read(&reader, buf, sizeof buf, -1);
    start(loop, &read);
    run_for(loop, EDDY_MS);
    CHECK(!read.ended);
    CHECK_EQ(run(loop, trial_write(&writer, "hello", 5, -1)), 5);
    CHECK_EQ(finish(loop, &read), 5);
    CHECK_BYTES(buf, 5, "hello", 5);
    CHECK_EQ(fcntl(reader.fd, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(fcntl(writer.fd, F_GETFL) & O_NONBLOCK, 0);
    read = trial_read(&reader, buf, sizeof buf, -1);
    start(loop, &read);
    close_handle(loop, &writer);
    CHECK_EQ(finish(loop, &read), 0);
    CHECK_EQ(run(loop, trial_read(&reader, buf, sizeof buf, -1)), 0);
    close_handle(loop, &reader);
    eddy_loop_free(loop);
}

TEST(pipe_that_nobody_reads_gives_epipe_and_no_signal) {
    eddy_loop *loop = trial_loop();
    trial_real_only(&loop);
    struct eddyi_handle reader;
    struct eddyi_handle writer;
    open_pipe(loop, &reader, &writer);
    close_handle(loop, &reader);
    CHECK_ERR(run(loop, trial_write(&writer, "x", 1, -1)), -EPIPE);
    close_handle(loop, &writer);
    eddy_loop_free(loop);
}

/* Moves a megabyte from one end to the other, both waiting for each other all the time. */
static void move_megabyte(eddy_loop *loop, struct eddyi_handle *reader,
                          struct eddyi_handle *writer) {
    enum { TOTAL = 1 << 20 };
    char *data = eddyi_alloc(TOTAL);
    char *got = eddyi_alloc(TOTAL);
    CHECK(data != NULL && got != NULL);
    for (size_t i = 0; i < TOTAL; i++) {
        data[i] = (char)test_random();
    }
    size_t written = 0;
    size_t taken = 0;
    struct trial write = {.ended = true};
    while (taken < TOTAL) {
        if (write.ended && written < TOTAL) {
            written += (size_t)CHECK_OK(write.op.result);
            write = trial_write(writer, data + written, TOTAL - written, -1);
            if (written < TOTAL) {
                start(loop, &write);
                run_for(loop, EDDY_MS / 10);
            }
        }
        taken += (size_t)CHECK_OK(run(loop, trial_read(reader, got + taken, TOTAL - taken, -1)));
    }
    CHECK_BYTES(got, TOTAL, data, TOTAL);
    eddyi_free(data);
    eddyi_free(got);
}

TEST(pipe_that_is_full_suspends_the_writer) {
    eddy_loop *loop = trial_loop();
    trial_real_only(&loop);
    struct eddyi_handle reader;
    struct eddyi_handle writer;
    open_pipe(loop, &reader, &writer);
    move_megabyte(loop, &reader, &writer);
    close_handle(loop, &reader);
    close_handle(loop, &writer);
    eddy_loop_free(loop);
}

TEST(cancel_of_reads_and_writes_of_a_pipe) {
    eddy_loop *loop = trial_loop();
    trial_real_only(&loop);
    struct eddyi_handle reader;
    struct eddyi_handle writer;
    static char block[1 << 20];
    open_pipe(loop, &reader, &writer);
    struct trial read = trial_read(&reader, block, sizeof block, -1);
    start(loop, &read);
    run_for(loop, EDDY_MS);
    eddyi_op_cancel(loop, &read.op);
    CHECK_ERR(finish(loop, &read), -ECANCELED);
    struct trial write = {.ended = true};
    do {
        write = trial_write(&writer, block, sizeof block, -1);
        start(loop, &write);
        run_for(loop, EDDY_MS);
    } while (write.ended);
    eddyi_op_cancel(loop, &write.op);
    int64_t n = finish(loop, &write);
    CHECK(n == -ECANCELED || n > 0);
    close_handle(loop, &reader);
    close_handle(loop, &writer);
    eddy_loop_free(loop);
}

static int open_terminal(struct eddyi_handle *slave) {
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    char name[64];
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
        ptsname_r(master, name, sizeof name) != 0) {
        SKIP("no pseudo-terminals here");
    }
    int fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(fd >= 0);
    eddyi_handle_init(slave, fd, EDDYI_HANDLE_POLLABLE);
    return master;
}

TEST(terminal_is_read_by_line_and_written) {
    eddy_loop *loop = trial_loop();
    trial_real_only(&loop);
    struct eddyi_handle slave;
    char buf[64];
    int master = open_terminal(&slave);
    struct trial read_line = trial_read(&slave, buf, sizeof buf, -1);
    start(loop, &read_line);
    CHECK_EQ(write(master, "half", 4), 4);
    run_for(loop, 10 * EDDY_MS);
    CHECK(!read_line.ended);
    CHECK_EQ(write(master, " a line\n", 8), 8);
    CHECK_EQ(finish(loop, &read_line), 12);
    CHECK_EQ(run(loop, trial_write(&slave, "out", 3, -1)), 3);
    CHECK_EQ(fcntl(slave.fd, F_GETFL) & O_NONBLOCK, 0); /* the shell shares it */
    read_line = trial_read(&slave, buf, sizeof buf, -1);
    start(loop, &read_line);
    run_for(loop, EDDY_MS);
    eddyi_op_cancel(loop, &read_line.op);
    CHECK_ERR(finish(loop, &read_line), -ECANCELED);
    close_handle(loop, &slave);
    close(master);
    eddy_loop_free(loop);
}

TEST(terminal_that_is_held_suspends_the_writer_and_not_the_loop) {
    eddy_loop *loop = trial_loop();
    trial_real_only(&loop);
    struct eddyi_handle slave;
    static char text[3001]; /* no divisor of the room: the last one fits in part */
    int master = open_terminal(&slave);
    memset(text, 'x', sizeof text);
    struct trial write_text = {.ended = true};
    do {
        write_text = trial_write(&slave, text, sizeof text, -1);
        start(loop, &write_text);
        run_for(loop, 5 * EDDY_MS);
    } while (write_text.ended);
    static char sink[100];
    struct pollfd shown = {.fd = master, .events = POLLIN};
    while (!write_text.ended) {
        if (poll(&shown, 1, 0) == 1) {
            CHECK(read(master, sink, sizeof sink) > 0);
        }
        run_for(loop, EDDY_MS / 10);
    }
    CHECK(write_text.op.result > 0);
    close_handle(loop, &slave);
    close(master);
    eddy_loop_free(loop);
}

TEST(file_is_read_and_written_at_a_place_or_the_next) {
    eddy_loop *loop = trial_loop();
    trial_real_only(&loop);
    struct eddyi_handle file;
    char path[512];
    char buf[16];
    snprintf(path, sizeof path, "%s/file", test_tmpdir());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    eddyi_handle_init(&file, fd, EDDYI_HANDLE_FILE);
    CHECK_EQ(run(loop, trial_write(&file, "0123456789", 10, 0)), 10);
    CHECK_EQ(run(loop, trial_read(&file, buf, sizeof buf, 4)), 6);
    CHECK_BYTES(buf, 6, "456789", 6);
    CHECK_EQ(run(loop, trial_read(&file, buf, sizeof buf, 10)), 0);
    CHECK_EQ(run(loop, trial_read(&file, buf, 4, -1)), 4);
    CHECK_EQ(run(loop, trial_read(&file, buf, 4, -1)), 4);
    CHECK_BYTES(buf, 4, "4567", 4);
    CHECK_EQ(run(loop, trial_write(&file, "!", 1, -1)), 1);
    CHECK_EQ(run(loop, trial_read(&file, buf, sizeof buf, 7)), 3);
    CHECK_BYTES(buf, 3, "7!9", 3);
    struct trial read = trial_read(&file, buf, sizeof buf, 0);
    int64_t n = try_now(loop, &read);
    CHECK(n == 10 || n == -EAGAIN);
    CHECK_EQ(run(loop, trial_poll(&file, POLLIN | POLLOUT)), POLLIN | POLLOUT);
    close_handle(loop, &file);
    eddy_loop_free(loop);
}

/* Standard input may be anything. */
TEST(file_or_device_in_the_place_of_a_pipe_works) {
    eddy_loop *loop = trial_loop();
    trial_real_only(&loop);
    struct eddyi_handle file;
    char path[512];
    char buf[16];
    snprintf(path, sizeof path, "%s/file", test_tmpdir());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK_EQ(write(fd, "0123456789", 10), 10);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    eddyi_handle_init(&file, fd, EDDYI_HANDLE_POLLABLE);
    CHECK_EQ(run(loop, trial_poll(&file, POLLIN)), POLLIN);
    CHECK_EQ(run(loop, trial_read(&file, buf, 6, -1)), 6);
    CHECK_EQ(run(loop, trial_read(&file, buf, 6, -1)), 4);
    CHECK_EQ(run(loop, trial_read(&file, buf, 6, -1)), 0);
    CHECK_EQ(run(loop, trial_write(&file, "more", 4, -1)), 4);
    close_handle(loop, &file);

    struct eddyi_handle null;
    eddyi_handle_init(&null, open("/dev/null", O_RDWR | O_CLOEXEC), EDDYI_HANDLE_POLLABLE);
    CHECK_EQ(run(loop, trial_read(&null, buf, 6, -1)), 0);
    CHECK_EQ(run(loop, trial_write(&null, "more", 4, -1)), 4);
    close_handle(loop, &null);
    eddy_loop_free(loop);
}

TEST(one_descriptor_in_several_handles) {
    eddy_loop *loop = trial_loop();
    trial_real_only(&loop);
    struct fixture fix = {.loop = loop};
    open_pair(loop, &fix.a, &fix.b);
    struct trial recv = recv_on(&fix);
    start(loop, &recv);
    run_for(loop, EDDY_MS);
    /* The same number twice more, and a duplicate. */
    struct eddyi_handle handles[3];
    struct trial polls[3];
    eddyi_handle_init(&handles[0], fix.a.fd, EDDYI_HANDLE_POLLABLE);
    eddyi_handle_init(&handles[1], fix.a.fd, EDDYI_HANDLE_POLLABLE);
    eddyi_handle_init(&handles[2], dup(fix.a.fd), EDDYI_HANDLE_POLLABLE);
    for (int i = 0; i < 3; i++) {
        polls[i] = trial_poll(&handles[i], POLLIN);
        start(loop, &polls[i]);
    }
    run_for(loop, EDDY_MS);
    eddyi_op_cancel(loop, &recv.op); /* so that it does not take the bytes before the polls look */
    CHECK_ERR(finish(loop, &recv), -ECANCELED);
    send_all(loop, &fix.b, "hello", 5);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(finish(loop, &polls[i]), POLLIN);
    }
    loop->driver->forget(loop, &handles[0]); /* not closed: it was the user's */
    CHECK_EQ(run(loop, trial_poll(&handles[1], POLLIN)), POLLIN);
    loop->driver->forget(loop, &handles[1]);
    close_handle(loop, &handles[2]);
    CHECK_EQ(run(loop, recv_on(&fix)), 5);
    tear_down(&fix);
}

TEST(wrong_descriptors_end_with_the_kernels_error) {
    eddy_loop *loop = trial_loop();
    trial_real_only(&loop);
    char buf[8];
    struct eddyi_handle handle;
    int closed = dup(0);
    close(closed);
    eddyi_handle_init(&handle, closed, EDDYI_HANDLE_SOCKET);
    CHECK_ERR(run(loop, trial_recv(&handle, buf, sizeof buf)), -EBADF);
    CHECK_ERR(run(loop, trial_send(&handle, "x", 1)), -EBADF);
    CHECK_ERR(run(loop, trial_of(EDDYI_OP_ACCEPT, &handle)), -EBADF);
    CHECK_ERR(run(loop, trial_poll(&handle, POLLIN)), -EBADF);
    struct sockaddr_in address = {.sin_family = AF_INET};
    CHECK_ERR(run(loop, trial_connect(&handle, &address, sizeof address)), -EBADF);
    eddyi_handle_init(&handle, closed, EDDYI_HANDLE_POLLABLE);
    CHECK_ERR(run(loop, trial_read(&handle, buf, sizeof buf, -1)), -EBADF);
    CHECK_ERR(run(loop, trial_write(&handle, buf, sizeof buf, -1)), -EBADF);

    int fd = eventfd(1, EFD_CLOEXEC);
    eddyi_handle_init(&handle, fd, EDDYI_HANDLE_SOCKET);
    CHECK_ERR(run(loop, trial_recv(&handle, buf, sizeof buf)), -ENOTSOCK);
    CHECK_ERR(run(loop, trial_send(&handle, "x", 1)), -ENOTSOCK);
    close_handle(loop, &handle);
    eddy_loop_free(loop);
}

/* ---- against a model ------------------------------------------------------------------------- */

#define PAIRS 8

/* One direction of a connection: what was sent and not yet received is the bytes after `received`
 * of a sequence that anybody can compute. */
struct lane {
    struct eddyi_handle *from;
    struct eddyi_handle *to;
    uint64_t sent;
    uint64_t received;
    struct trial send;
    struct trial recv;
    unsigned char out[4096];
    unsigned char in[4096];
};

static unsigned char byte_at(uint64_t place) {
    return (unsigned char)(place * 167 + (place >> 8) * 13);
}

static void collect(struct lane *lane) {
    if (lane->send.ended) {
        int64_t n = lane->send.op.result;
        CHECK(n > 0 || n == -ECANCELED);
        lane->sent += n > 0 ? (uint64_t)n : 0;
        lane->send = (struct trial){0};
    }
    if (lane->recv.ended) {
        int64_t n = lane->recv.op.result;
        CHECK(n > 0 || n == -ECANCELED);
        for (int64_t i = 0; i < n; i++) {
            CHECK_EQ(lane->in[i], byte_at(lane->received + (uint64_t)i));
        }
        lane->received += n > 0 ? (uint64_t)n : 0;
        lane->recv = (struct trial){0};
    }
}

static void act(eddy_loop *loop, struct lane *lane) {
    size_t len = 1 + (size_t)test_random_below(sizeof lane->out);
    switch (test_random_below(6)) {
    case 0:
    case 1:
        if (lane->send.op.state == EDDYI_OP_NEW) {
            for (size_t i = 0; i < len; i++) {
                lane->out[i] = byte_at(lane->sent + i);
            }
            lane->send = trial_send(lane->from, lane->out, len);
            start(loop, &lane->send);
        }
        break;
    case 2:
    case 3:
        if (lane->recv.op.state == EDDYI_OP_NEW) {
            lane->recv = trial_recv(lane->to, lane->in, len);
            start(loop, &lane->recv);
        }
        break;
    case 4:
        if (lane->recv.op.state == EDDYI_OP_SUBMITTED) {
            eddyi_op_cancel(loop, &lane->recv.op);
        }
        break;
    default:
        if (lane->send.op.state == EDDYI_OP_SUBMITTED && test_random_below(4) == 0) {
            eddyi_op_cancel(loop, &lane->send.op);
        }
        break;
    }
}

TEST(random_operations_keep_every_byte_in_its_place) {
    eddy_loop *loop = trial_loop();
    static struct eddyi_handle ends[PAIRS][2];
    static struct lane lanes[2 * PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        open_pair(loop, &ends[i][0], &ends[i][1]);
        lanes[2 * i] = (struct lane){.from = &ends[i][0], .to = &ends[i][1]};
        lanes[2 * i + 1] = (struct lane){.from = &ends[i][1], .to = &ends[i][0]};
    }
    for (int step = 0; step < (test_is_slow() ? 5000 : 50000); step++) {
        struct lane *lane = &lanes[test_random_below(2 * PAIRS)];
        collect(lane);
        act(loop, lane);
        if (test_random_below(3) == 0) {
            CHECK_OK(eddy_loop_poll(loop));
        }
    }
    /* All that was sent arrives. */
    for (int i = 0; i < 2 * PAIRS; i++) {
        struct lane *lane = &lanes[i];
        if (lane->send.op.state == EDDYI_OP_SUBMITTED) {
            eddyi_op_cancel(loop, &lane->send.op);
        }
        if (lane->send.op.state != EDDYI_OP_NEW) {
            finish(loop, &lane->send);
        }
        for (collect(lane); lane->received < lane->sent; collect(lane)) {
            if (lane->recv.op.state == EDDYI_OP_NEW) {
                lane->recv = trial_recv(lane->to, lane->in, sizeof lane->in);
                start(loop, &lane->recv);
            }
            finish(loop, &lane->recv);
        }
        CHECK_EQ(lane->received, lane->sent);
        CHECK(lane->sent > 0);
        if (lane->recv.op.state == EDDYI_OP_SUBMITTED ||
            lane->recv.op.state == EDDYI_OP_CANCELLING) {
            eddyi_op_cancel(loop, &lane->recv.op);
            CHECK_ERR(finish(loop, &lane->recv), -ECANCELED);
        }
    }
    for (int i = 0; i < PAIRS; i++) {
        close_handle(loop, &ends[i][0]);
        close_handle(loop, &ends[i][1]);
    }
    eddy_loop_free(loop);
}
