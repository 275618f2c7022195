/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "uring_harness.h"

static eddy_loop *shot_loop(unsigned sq_entries, unsigned cq_entries) {
    eddy_loop *loop = ring_loop(sq_entries, cq_entries);
    if (!uring_of(loop)->defers) {
        eddy_loop_free(loop);
        SKIP("needs Linux 6.1 for DEFER_TASKRUN, without which receives are single");
    }
    return loop;
}

/* The multishot of a handle, or NULL while receives are single. */
static const struct eddyi_uring_shot *shot_of(const struct eddyi_handle *handle) {
    return handle->driver_data;
}

static bool armed(const struct eddyi_handle *handle) {
    return shot_of(handle) != NULL && shot_of(handle)->armed;
}

static unsigned held(eddy_loop *loop) {
    struct eddyi_uring_pool *pool = uring_of(loop)->pool;
    return pool == NULL ? 0 : pool->held;
}

static void put(int peer, const char *text) {
    CHECK_EQ(write(peer, text, strlen(text)), strlen(text));
}

static void expect(eddy_loop *loop, struct eddyi_handle *handle, size_t len, const char *wanted) {
    char buf[64];
    int64_t n = do_op(loop, recv_op(handle, buf, len, NULL));
    CHECK_OK(n);
    CHECK_BYTES(buf, (size_t)n, wanted, strlen(wanted));
}

/* A connection whose multishot is armed, with nothing in its queue. */
static int armed_pair(eddy_loop *loop, struct eddyi_handle *ret_handle) {
    char buf[8];
    int ends = 0;
    int peer = tcp_pair(ret_handle);
    put(peer, "one");
    expect(loop, ret_handle, 8, "one");
    struct eddyi_op op = recv_op(ret_handle, buf, sizeof buf, &ends);
    eddyi_op_submit(loop, &op);
    settle_down(loop);
    put(peer, "two");
    wait_ends(loop, &ends, 1);
    CHECK_EQ(op.result, 3);
    CHECK(armed(ret_handle));
    return peer;
}

static void finish(eddy_loop *loop, struct eddyi_handle *handle, int peer) {
    close(peer);
    CHECK_OK(eddyi_handle_close(loop, handle));
    CHECK_EQ(held(loop), 0);
    eddy_loop_free(loop);
}

/* ---- what a reader sees ---------------------------------------------------------------------- */

TEST(messages_come_without_a_request_for_each) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_handle handle;
    int peer = armed_pair(loop, &handle);
    uint64_t enters = uring_of(loop)->enters;
    for (int i = 0; i < 1000; i++) {
        char text[24];
        snprintf(text, sizeof text, "message %d", i);
        put(peer, text);
        expect(loop, &handle, sizeof text, text);
        CHECK(armed(&handle));
    }
    CHECK(uring_of(loop)->enters - enters <= 1010);
    finish(loop, &handle, peer);
}

TEST(a_connection_with_one_request_arms_nothing) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_handle handle;
    int peer = tcp_pair(&handle);
    put(peer, "GET /");
    expect(loop, &handle, 64, "GET /");
    CHECK(shot_of(&handle) == NULL);
    finish(loop, &handle, peer);
}

TEST(what_does_not_fit_waits_for_the_next_receive) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_handle handle;
    char buf[8];
    int peer = armed_pair(loop, &handle);
    struct eddyi_op op = recv_op(&handle, buf, 2, NULL);
    put(peer, "abcdefghi");
    settle_down(loop);
    CHECK_EQ(held(loop), 1);
    op.flags = MSG_PEEK;
    CHECK_EQ(do_op(loop, op), 2);
    CHECK_EQ(loop->driver->attempt(loop, &op), 2);
    CHECK_BYTES(buf, 2, "ab", 2);
    expect(loop, &handle, 2, "ab");
    op.flags = 0;
    CHECK_EQ(loop->driver->attempt(loop, &op), 2);
    CHECK_BYTES(buf, 2, "cd", 2);
    put(peer, "jk");
    settle_down(loop);
    expect(loop, &handle, 64, "efghijk"); /* two buffers in one */
    CHECK_EQ(loop->driver->attempt(loop, &op), -EAGAIN);
    put(peer, "l");
    int64_t n;
    while ((n = loop->driver->attempt(loop, &op)) == -EAGAIN) {
    }
    CHECK_EQ(n, 1); /* from the socket itself, past the multishot */
    finish(loop, &handle, peer);
}

TEST(a_cancelled_receive_loses_no_byte) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_handle handle;
    char buf[8];
    int ends = 0;
    int peer = armed_pair(loop, &handle);
    for (int i = 0; i < 3; i++) {
        struct eddyi_op op = recv_op(&handle, buf, sizeof buf, &ends);
        eddyi_op_submit(loop, &op);
        if (i == 1) {
            settle_down(loop);
        }
        put(peer, "abc");
        eddyi_op_cancel(loop, &op); /* at once: the multishot stays */
        CHECK_EQ(ends, i + 1);
        CHECK_EQ(op.result, -ECANCELED);
        if (i == 2) {
            settle_down(loop);
        }
        expect(loop, &handle, 8, "abc");
    }
    finish(loop, &handle, peer);
}

TEST(the_end_comes_after_the_bytes_and_again) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_handle handle;
    int peer = armed_pair(loop, &handle);
    put(peer, "last");
    CHECK_OK(shutdown(peer, SHUT_WR));
    settle_down(loop);
    CHECK(!armed(&handle));
    expect(loop, &handle, 2, "la");
    expect(loop, &handle, 8, "st");
    for (int i = 0; i < 3; i++) {
        expect(loop, &handle, 8, "");
    }
    /* Half closed: the other direction still works. */
    CHECK_EQ(do_op(loop, send_op(&handle, "bye", 3, NULL)), 3);
    finish(loop, &handle, peer);
}

TEST(a_waiting_receive_sees_the_end) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_handle handle;
    char buf[8];
    int ends = 0;
    int peer = armed_pair(loop, &handle);
    struct eddyi_op ops[3];
    for (int i = 0; i < 3; i++) {
        ops[i] = recv_op(&handle, buf, sizeof buf, &ends);
        eddyi_op_submit(loop, &ops[i]);
    }
    settle_down(loop);
    CHECK_OK(shutdown(peer, SHUT_WR));
    wait_ends(loop, &ends, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(ops[i].result, 0);
    }
    finish(loop, &handle, peer);
}

TEST(our_own_shutdown_ends_a_waiting_receive) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_handle handle;
    char buf[8];
    int ends = 0;
    int peer = armed_pair(loop, &handle);
    struct eddyi_op op = recv_op(&handle, buf, sizeof buf, &ends);
    eddyi_op_submit(loop, &op);
    settle_down(loop);
    CHECK_OK(shutdown(handle.fd, SHUT_RD));
    wait_ends(loop, &ends, 1);
    CHECK_EQ(op.result, 0);
    finish(loop, &handle, peer);
}

TEST(a_reset_comes_after_the_bytes_and_once) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_handle handle;
    char buf[8];
    int ends = 0;
    int peer = armed_pair(loop, &handle);
    put(peer, "ab");
    settle_down(loop);
    reset_close(peer);
    settle_down(loop);
    expect(loop, &handle, 8, "ab");
    CHECK_EQ(do_op(loop, recv_op(&handle, buf, sizeof buf, NULL)), -ECONNRESET);
    CHECK_EQ(do_op(loop, recv_op(&handle, buf, sizeof buf, NULL)), 0);
    CHECK_OK(eddyi_handle_close(loop, &handle));

    peer = armed_pair(loop, &handle);
    struct eddyi_op op = recv_op(&handle, buf, sizeof buf, &ends);
    eddyi_op_submit(loop, &op);
    settle_down(loop);
    reset_close(peer);
    wait_ends(loop, &ends, 1);
    CHECK_EQ(op.result, -ECONNRESET);
    CHECK_EQ(do_op(loop, send_op(&handle, "x", 1, NULL)), -EPIPE);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

/* Without a multishot the first call that asks gets a socket's error, then there is an end. */
TEST(the_error_that_nobody_received_goes_to_a_send) {
    eddy_loop *loop = shot_loop(0, 0);
    for (int attempts = 0; attempts < 2; attempts++) {
        struct eddyi_handle handle;
        char buf[8];
        int peer = armed_pair(loop, &handle);
        reset_close(peer);
        settle_down(loop);
        CHECK(!armed(&handle));
        struct eddyi_op send = send_op(&handle, "x", 1, NULL);
        struct eddyi_op recv = recv_op(&handle, buf, sizeof buf, NULL);
        if (attempts == 1) {
            CHECK_EQ(loop->driver->attempt(loop, &send), -ECONNRESET);
            CHECK_EQ(loop->driver->attempt(loop, &send), -EPIPE);
            CHECK_EQ(loop->driver->attempt(loop, &recv), 0);
        } else {
            CHECK_EQ(do_op(loop, send), -ECONNRESET);
            CHECK_EQ(do_op(loop, send), -EPIPE);
        }
        CHECK_EQ(do_op(loop, recv), 0);
        CHECK_OK(eddyi_handle_close(loop, &handle));
    }
    eddy_loop_free(loop);
}

TEST(messages_of_a_datagram_socket_keep_their_bounds) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_handle handle;
    char buf[8];
    int fds[2];
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds));
    eddyi_handle_init(&handle, fds[0], EDDYI_HANDLE_SOCKET);
    for (int i = 0; i < 8; i++) {
        put(fds[1], "abc");
        put(fds[1], "def");
        expect(loop, &handle, 8, "abc");
        expect(loop, &handle, 2, "de"); /* the rest of a message is gone */
        CHECK(!armed(&handle));
    }
    CHECK_EQ(write(fds[1], "", 0), 0);
    CHECK_EQ(do_op(loop, recv_op(&handle, buf, sizeof buf, NULL)), 0);
    put(fds[1], "abc");
    expect(loop, &handle, 8, "abc");
    finish(loop, &handle, fds[1]);
}

/* ---- polls ----------------------------------------------------------------------------------- */

TEST(a_poll_sees_what_the_multishot_has_taken) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_handle handle;
    int ends = 0;
    int peer = armed_pair(loop, &handle);
    struct eddyi_op in = poll_op(&handle, POLLIN, &ends);
    struct eddyi_op both = poll_op(&handle, POLLIN | POLLOUT, NULL);
    struct eddyi_op out = poll_op(&handle, POLLOUT, NULL);
    struct eddyi_op urgent = poll_op(&handle, POLLPRI, &ends);
    eddyi_op_submit(loop, &in);
    eddyi_op_submit(loop, &urgent);
    settle_down(loop);
    CHECK_EQ(ends, 0);
    put(peer, "abc");
    wait_ends(loop, &ends, 1); /* it waited in the kernel, where there is nothing any more */
    CHECK_EQ(in.result, POLLIN);
    CHECK_EQ(held(loop), 1);
    CHECK_EQ(do_op(loop, in), POLLIN);
    CHECK_EQ(loop->driver->attempt(loop, &in), POLLIN);
    CHECK_EQ(do_op(loop, both), POLLIN | POLLOUT);
    CHECK_EQ(do_op(loop, out), POLLOUT);
    expect(loop, &handle, 8, "abc");
    CHECK_EQ(loop->driver->attempt(loop, &in), -EAGAIN);
    eddyi_op_submit(loop, &in);
    settle_down(loop);
    CHECK_EQ(ends, 1);
    CHECK_OK(shutdown(peer, SHUT_WR));
    wait_ends(loop, &ends, 2);
    CHECK_EQ(in.result, POLLIN);
    CHECK_EQ(do_op(loop, poll_op(&handle, POLLIN | POLLRDHUP, NULL)), POLLIN | POLLRDHUP);
    eddyi_op_cancel(loop, &urgent);
    wait_ends(loop, &ends, 3);
    CHECK_EQ(urgent.result, -ECANCELED);
    finish(loop, &handle, peer);
}

TEST(a_poll_sees_the_error_that_the_multishot_has_taken) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_handle handle;
    int peer = armed_pair(loop, &handle);
    reset_close(peer);
    settle_down(loop);
    CHECK_EQ(do_op(loop, poll_op(&handle, POLLIN, NULL)), POLLIN | POLLERR | POLLHUP);
    CHECK_EQ(do_op(loop, poll_op(&handle, 0, NULL)), POLLERR | POLLHUP);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

/* ---- limits ---------------------------------------------------------------------------------- */

TEST(a_slow_reader_makes_the_peer_wait) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_handle handle;
    static char bulk[1 << 16];
    int small = 8192;
    int peer = armed_pair(loop, &handle);
    CHECK_OK(setsockopt(handle.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small));
    CHECK_OK(setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
    int64_t sent = 0;
    struct pollfd poller = {.fd = peer, .events = POLLOUT};
    do {
        ssize_t n;
        while ((n = send(peer, bulk, sizeof bulk, MSG_DONTWAIT)) > 0) {
            sent += n;
        }
        settle_down(loop);
    } while (poll(&poller, 1, 100) > 0);
    CHECK(!armed(&handle));
    CHECK(held(loop) >= 1 && held(loop) <= 8 + 33);
    CHECK(sent < 1 << 20);
    uint64_t enters = uring_of(loop)->enters;
    settle_down(loop);
    CHECK_EQ(uring_of(loop)->enters, enters);
    /* And none of it is lost. */
    CHECK_OK(shutdown(peer, SHUT_WR));
    int64_t got = 0;
    int64_t n;
    while ((n = do_op(loop, recv_op(&handle, bulk, 5000, NULL))) > 0) {
        got += n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(got, sent);
    finish(loop, &handle, peer);
}

TEST(bulk_is_received_without_a_copy_and_messages_again_with_one) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_handle handle;
    static char bulk[1 << 16];
    int peer = armed_pair(loop, &handle);
    CHECK_EQ(write(peer, bulk, sizeof bulk), sizeof bulk);
    int64_t got = 0;
    while (got < (int64_t)sizeof bulk) {
        got += CHECK_OK(do_op(loop, recv_op(&handle, bulk, sizeof bulk, NULL)));
    }
    CHECK(!armed(&handle));
    for (int i = 0; i < 40; i++) {
        CHECK_EQ(armed(&handle), i > 16);
        put(peer, "abc");
        expect(loop, &handle, 16384, "abc");
    }
    finish(loop, &handle, peer);
}

TEST(when_slow_readers_have_all_buffers_others_still_receive) {
    enum { SLOW = 40, FAST = 10 };
    eddy_loop *loop = shot_loop(0, 0);
    static struct eddyi_handle slow[SLOW];
    static struct eddyi_handle fast[FAST];
    int slow_peers[SLOW];
    int fast_peers[FAST];
    static char bulk[1 << 17];
    int64_t sent[SLOW] = {0};
    for (int i = 0; i < FAST; i++) {
        fast_peers[i] = armed_pair(loop, &fast[i]);
    }
    for (int i = 0; i < SLOW; i++) {
        slow_peers[i] = i < 30 ? armed_pair(loop, &slow[i]) : tcp_pair(&slow[i]);
    }
    for (int i = 0; i < SLOW; i++) {
        sent[i] = CHECK_OK(send(slow_peers[i], bulk, sizeof bulk, MSG_DONTWAIT));
        settle_down(loop);
    }
    CHECK(held(loop) > EDDYI_URING_BUFFERS - EDDYI_URING_BUFFERS_LOW);
    /* One that waits meanwhile asks once, and not for ever for a buffer that is not there. */
    int ends = 0;
    struct eddyi_op waits = recv_op(&fast[0], bulk, 16, &ends);
    eddyi_op_submit(loop, &waits);
    settle_down(loop);
    uint64_t enters = uring_of(loop)->enters;
    settle_down(loop);
    CHECK_EQ(uring_of(loop)->enters, enters);
    put(fast_peers[0], "abc");
    wait_ends(loop, &ends, 1);
    CHECK_EQ(waits.result, 3);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < FAST; i++) {
            put(fast_peers[i], "abc");
        }
        for (int i = 0; i < FAST; i++) {
            expect(loop, &fast[i], 16, "abc");
        }
    }
    for (int i = 0; i < SLOW; i++) {
        CHECK_OK(shutdown(slow_peers[i], SHUT_WR));
        int64_t n;
        while ((n = do_op(loop, recv_op(&slow[i], bulk, 3000, NULL))) > 0) {
            sent[i] -= n;
        }
        CHECK_EQ(n, 0);
        CHECK_EQ(sent[i], i < 30 ? 0 : 0);
        close(slow_peers[i]);
        CHECK_OK(eddyi_handle_close(loop, &slow[i]));
    }
    CHECK_EQ(held(loop), 0);
    for (int i = 0; i < FAST; i++) {
        close(fast_peers[i]);
        CHECK_OK(eddyi_handle_close(loop, &fast[i]));
    }
    eddy_loop_free(loop);
}

/* ---- closing --------------------------------------------------------------------------------- */

TEST(closing_an_armed_stream_lets_it_go_at_once) {
    eddy_loop *loop = shot_loop(0, 0);
    for (int i = 0; i < 50; i++) {
        struct eddyi_handle handle;
        char buf[8];
        int ends = 0;
        int peer = armed_pair(loop, &handle);
        struct eddyi_op op = recv_op(&handle, buf, sizeof buf, &ends);
        if (i % 3 == 1) {
            put(peer, "unread");
            settle_down(loop);
        } else if (i % 3 == 2) {
            eddyi_op_submit(loop, &op);
            eddyi_op_cancel(loop, &op);
        }
        CHECK_OK(eddyi_handle_close(loop, &handle));
        CHECK_EQ(recv(peer, buf, sizeof buf, MSG_DONTWAIT), 0);
        CHECK_EQ(held(loop), 0);
        close(peer);
    }
    eddy_loop_free(loop);
}

TEST(closing_one_completes_no_other_from_inside) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_handle handle;
    struct eddyi_handle other;
    char buf[8];
    int ends = 0;
    int peer = armed_pair(loop, &handle);
    int other_peer = armed_pair(loop, &other);
    struct eddyi_op op = recv_op(&other, buf, sizeof buf, &ends);
    eddyi_op_submit(loop, &op);
    settle_down(loop);
    put(other_peer, "abc");
    CHECK_OK(eddyi_handle_close(loop, &handle));
    CHECK_EQ(ends, 0);
    close(peer);
    wait_ends(loop, &ends, 1);
    CHECK_EQ(op.result, 3);
    finish(loop, &other, other_peer);
}

TEST(a_forked_child_can_close_a_stream_with_a_queue) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_handle handle;
    int status;
    int peer = armed_pair(loop, &handle);
    put(peer, "abc");
    settle_down(loop);
    CHECK_EQ(held(loop), 1);
    pid_t child = (pid_t)CHECK_OK(fork());
    if (child == 0) {
        eddyi_handle_close(loop, &handle);
        eddy_loop_free(loop);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    expect(loop, &handle, 8, "abc");
    put(peer, "def");
    expect(loop, &handle, 8, "def");
    finish(loop, &handle, peer);
}

/* ---- faults ---------------------------------------------------------------------------------- */

TEST(lost_completions_break_a_stream_only_when_bytes_may_be_gone) {
    eddy_loop *loop = shot_loop(0, 0);
    struct eddyi_uring *u = uring_of(loop);
    for (unsigned lost = 0; lost < 3; lost += 2) {
        struct eddyi_handle handle;
        char buf[8];
        int ends = 0;
        int peer = armed_pair(loop, &handle);
        struct eddyi_op op = recv_op(&handle, buf, sizeof buf, &ends);
        eddyi_op_submit(loop, &op);
        settle_down(loop);
        u->fail_enter = -EBADR;
        u->fail_enter_times = 1;
        u->lose = lost; /* the waker's and the stream's */
        loop->driver->wake(loop);
        loop->driver->wait(loop, EDDY_NEVER);
        u->lose = 0;
        put(peer, "abc");
        wait_ends(loop, &ends, 1);
        if (lost == 0) {
            CHECK_EQ(op.result, 3);
        } else {
            for (int i = 0; i < 3; i++) {
                CHECK_EQ(op.result, -EIO);
                op.result = do_op(loop, op);
            }
        }
        close(peer);
        CHECK_OK(eddyi_handle_close(loop, &handle));
    }
    eddy_loop_free(loop);
}

static int64_t chat(void *arg) {
    (void)arg;
    eddy_loop *loop;
    struct eddyi_handle handle;
    int r = eddy_loop_new(&(eddy_loop_opts){.driver = "uring"}, &loop);
    if (r < 0) {
        return r;
    }
    int peer = tcp_pair(&handle);
    for (int i = 0; i < 5; i++) {
        put(peer, "abc");
        expect(loop, &handle, 8, "abc");
    }
    close(peer);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
    return 0;
}

TEST(without_memory_receives_are_single) {
    eddy_loop_free(shot_loop(0, 0)); /* or skip */
    CHECK(test_each_allocation_fails(chat, NULL) > 8);
}

/* ---- anything at all ------------------------------------------------------------------------- */

/* Byte k of what a peer sends. */
static unsigned char byte_at(uint64_t k) {
    return (unsigned char)(k * 131 + (k >> 8) * 7 + (k >> 16));
}

struct side {
    struct eddyi_handle handle;
    int peer;
    uint64_t sent;
    uint64_t got;
    struct eddyi_op op;
    struct eddyi_op poll;
    int ends;
    int poll_ends;
    bool receiving;
    bool polling;
    bool over; /* the peer has ended its direction */
    bool seen_end;
    bool chatty; /* sends and takes little, so that its multishot stays armed */
    char buf[40000];
};

static void check_bytes(struct side *side, int64_t n, bool peeked) {
    for (int64_t i = 0; i < n; i++) {
        CHECK_EQ((unsigned char)side->buf[i], byte_at(side->got + (uint64_t)i));
    }
    side->got += peeked ? 0 : (uint64_t)n;
}

static void received(struct side *side, int64_t n, int flags) {
    if (n > 0) {
        check_bytes(side, n, (flags & MSG_PEEK) != 0);
    } else if (n == 0) {
        CHECK(side->over);
        CHECK_EQ(side->got, side->sent);
        side->seen_end = true;
    } else {
        CHECK(n == -ECANCELED || n == -EAGAIN);
    }
}

static void peer_sends(struct side *side) {
    static const size_t sizes[] = {1, 2, 7, 100, 4095, 4096, 4097, 9000, 30000, 100000};
    static unsigned char out[100000];
    size_t len = sizes[test_random_below(side->chatty ? 4 : sizeof sizes / sizeof sizes[0])];
    for (size_t i = 0; i < len; i++) {
        out[i] = byte_at(side->sent + i);
    }
    ssize_t n = send(side->peer, out, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    side->sent += n > 0 ? (uint64_t)n : 0;
}

static void step(eddy_loop *loop, struct side *side) {
    static const size_t rooms[] = {1, 3, 64, 4096, 5000, 16384, 16385, 40000};
    size_t room = rooms[test_random_below(side->chatty ? 4 : sizeof rooms / sizeof rooms[0])];
    int flags = test_random_below(side->chatty ? 200 : 8) == 0 ? MSG_PEEK : 0;
    switch (test_random_below(10)) {
    case 0:
    case 1:
        if (!side->over) {
            peer_sends(side);
        }
        break;
    case 2:
    case 3:
    case 4:
        if (!side->receiving) {
            side->op = recv_op(&side->handle, side->buf, room, &side->ends);
            side->op.flags = flags;
            side->ends = 0;
            side->receiving = true;
            eddyi_op_submit(loop, &side->op);
            CHECK_EQ(side->ends, 0);
        }
        break;
    case 5:
        if (!side->receiving) {
            struct eddyi_op op = recv_op(&side->handle, side->buf, room, NULL);
            op.flags = flags;
            received(side, loop->driver->attempt(loop, &op), flags);
        }
        break;
    case 6:
        if (side->receiving && test_random_below(2) == 0) {
            eddyi_op_cancel(loop, &side->op);
        }
        break;
    case 7:
        if (!side->polling) {
            side->poll = poll_op(&side->handle, POLLIN, &side->poll_ends);
            side->poll_ends = 0;
            side->polling = true;
            eddyi_op_submit(loop, &side->poll);
        } else if (test_random_below(4) == 0) {
            eddyi_op_cancel(loop, &side->poll);
        }
        break;
    case 8:
        if (!side->over && test_random_below(4000) == 0) {
            CHECK_OK(shutdown(side->peer, SHUT_WR));
            side->over = true;
        }
        break;
    default:
        break;
    }
}

static void look(struct side *side) {
    if (side->receiving && side->ends > 0) {
        CHECK_EQ(side->ends, 1);
        side->receiving = false;
        received(side, side->op.result, side->op.flags);
    }
    if (side->polling && side->poll_ends > 0) {
        CHECK_EQ(side->poll_ends, 1);
        side->polling = false;
        CHECK(side->poll.result == POLLIN || side->poll.result == -ECANCELED);
    }
}

/* Gives how often, of six times `steps`, it saw a multishot armed. */
static int random_streams(unsigned sq_entries, unsigned cq_entries, int steps) {
    enum { SIDES = 6 };
    static struct side sides[SIDES];
    eddy_loop *loop = shot_loop(sq_entries, cq_entries);
    int times_armed = 0;
    for (int i = 0; i < SIDES; i++) {
        sides[i] = (struct side){.chatty = i < 4};
        if (i % 2 == 0) {
            sides[i].peer = tcp_pair(&sides[i].handle);
        } else {
            int fds[2];
            CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
            eddyi_handle_init(&sides[i].handle, fds[0], EDDYI_HANDLE_SOCKET);
            sides[i].peer = fds[1];
        }
    }
    for (int k = 0; k < steps; k++) {
        for (int i = 0; i < SIDES; i++) {
            step(loop, &sides[i]);
        }
        if (test_random_below(3) != 0) {
            loop->driver->wait(loop, 0);
        }
        for (int i = 0; i < SIDES; i++) {
            look(&sides[i]);
            times_armed += armed(&sides[i].handle);
        }
    }
    for (int i = 0; i < SIDES; i++) {
        struct side *side = &sides[i];
        if (!side->over) {
            CHECK_OK(shutdown(side->peer, SHUT_WR));
            side->over = true;
        }
        while (side->receiving || side->polling || !side->seen_end) {
            if (!side->receiving) {
                side->op = recv_op(&side->handle, side->buf, sizeof side->buf, &side->ends);
                side->ends = 0;
                side->receiving = true;
                eddyi_op_submit(loop, &side->op);
            }
            for (int k = 0; k < SIDES; k++) {
                look(&sides[k]);
            }
            if (side->receiving || side->polling) {
                loop->driver->wait(loop, EDDY_NEVER);
            }
        }
        CHECK_EQ(side->got, side->sent);
        close(side->peer);
        CHECK_OK(eddyi_handle_close(loop, &side->handle));
    }
    CHECK_EQ(held(loop), 0);
    eddy_loop_free(loop);
    return times_armed;
}

TEST_TIMEOUT(random_receives_see_every_byte_once_and_in_order, 120) {
    int steps = test_is_slow() ? 3000 : 20000;
    int times_armed = random_streams(0, 0, steps) + random_streams(8, 16, steps) +
                      random_streams(2, 4, steps) + random_streams(1, 1, steps);
    CHECK(times_armed > 2 * steps); /* or it would test something else */
}
