/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>

#include "uring_harness.h"

/* ---- waking ---------------------------------------------------------------------------------- */

enum { WAKES = 100000 };

struct waking {
    eddy_loop *loop;
    _Atomic int run;
};

static void one_more(void *arg) {
    struct waking *waking = arg;
    if (++waking->run == WAKES) {
        eddy_loop_stop(waking->loop);
    }
}

/* Every eighth time it waits until the loop has run what it posted, and is about to sleep. */
static void *waker(void *arg) {
    struct waking *waking = arg;
    for (int i = 1; i <= WAKES; i++) {
        CHECK_OK(eddy_loop_post(waking->loop, one_more, waking));
        while (i % 8 == 0 && waking->run < i) {
            sched_yield();
        }
    }
    return NULL;
}

TEST_TIMEOUT(no_wake_up_is_lost, 120) {
    struct waking waking = {.loop = ring_loop(0, 0)};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, waker, &waking), 0);
    waking.loop->live++; /* so that run does not return when nothing is there yet */
    CHECK_EQ(eddy_loop_run(waking.loop), 1);
    waking.loop->live--;
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(waking.run, WAKES);
    eddy_loop_free(waking.loop);
}

TEST(a_wake_before_the_wait_ends_it) {
    eddy_loop *loop = ring_loop(1, 1);
    loop->driver->wake(loop);
    loop->driver->wait(loop, EDDY_NEVER);
    loop->driver->wake(loop);
    loop->driver->wake(loop);
    loop->driver->wait(loop, EDDY_NEVER);
    eddy_loop_free(loop);
}

TEST(an_overflow_does_not_end_the_waking) {
    enum { OPS = 16 };
    eddy_loop *loop = ring_loop(1, 1);
    struct eddyi_handle handle;
    struct eddyi_op ops[OPS];
    int ends = 0;
    int times_ended = 0;
    int peer = tcp_pair(&handle);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < OPS; i++) {
            ops[i] = poll_op(&handle, POLLIN, &ends);
            eddyi_op_submit(loop, &ops[i]);
        }
        settle_down(loop);
        CHECK_EQ(write(peer, "x", 1), 1);
        loop->driver->wake(loop);
        ends = 0;
        while (ends < OPS) {
            loop->driver->wait(loop, EDDY_NEVER);
            times_ended += !uring_of(loop)->wake_armed;
        }
        CHECK_EQ(do_op(loop, recv_op(&handle, &(char){0}, 1, NULL)), 1);
        settle_down(loop);
        loop->driver->wake(loop);
        loop->driver->wait(loop, EDDY_NEVER);
    }
    CHECK(times_ended > 0);
    close(peer);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

TEST(a_wait_ends_at_its_deadline) {
    eddy_loop *loop = ring_loop(0, 0);
    loop->driver->wait(loop, 0);
    int64_t start = eddy_loop_now(loop);
    int64_t deadline = start + 20 * EDDY_MS;
    while (eddy_loop_now(loop) < deadline) {
        loop->driver->wait(loop, deadline);
    }
    CHECK(uring_of(loop)->enters < 10);
    eddy_loop_free(loop);
}

/* ---- in a foreign main loop ------------------------------------------------------------------ */

static int readable(int fd, int timeout_ms) {
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    return poll(&poller, 1, timeout_ms);
}

TEST(the_descriptor_tells_a_foreign_loop_when_to_poll) {
    eddy_loop *loop = ring_loop(0, 0);
    struct eddyi_handle handle;
    char buf[8];
    int ends = 0;
    int peer = tcp_pair(&handle);
    int fd = (int)CHECK_OK(eddy_loop_fd(loop));
    CHECK_EQ(eddy_loop_fd(loop), fd);
    while (readable(fd, 0) == 1) {
        CHECK_OK(eddy_loop_poll(loop));
    }
    struct eddyi_op op = recv_op(&handle, buf, sizeof buf, &ends);
    for (int i = 0; i < 3; i++) {
        eddyi_op_submit(loop, &op);
        CHECK_OK(eddy_loop_poll(loop));
        CHECK_EQ(readable(fd, 0), 0);
        CHECK_EQ(write(peer, "abc", 3), 3);
        CHECK_EQ(readable(fd, -1), 1);
        while (ends == i) {
            CHECK_EQ(readable(fd, -1), 1);
            CHECK_OK(eddy_loop_poll(loop));
        }
        CHECK_EQ(op.result, 3);
        CHECK_EQ(readable(fd, 0), 0);
    }
    loop->driver->wake(loop);
    CHECK_EQ(readable(fd, -1), 1);
    CHECK_OK(eddy_loop_poll(loop));
    CHECK_EQ(readable(fd, 0), 0);
    loop->driver->arm(loop, eddy_loop_now(loop) + EDDY_MS);
    CHECK_EQ(readable(fd, -1), 1);
    loop->driver->arm(loop, EDDY_NEVER);
    CHECK_EQ(readable(fd, 0), 0);
    loop->driver->arm(loop, 0);
    CHECK_EQ(readable(fd, 0), 1);
    loop->driver->arm(loop, EDDY_NEVER);
    CHECK_EQ(readable(fd, 0), 0);
    /* What ends while it is submitted by `arm` is work too. */
    CHECK_EQ(write(peer, "abc", 3), 3);
    eddyi_op_submit(loop, &op);
    loop->driver->arm(loop, EDDY_NEVER);
    CHECK_EQ(readable(fd, 0), 1);
    wait_ends(loop, &ends, 4);
    close(peer);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

/* ---- faults of io_uring_enter ---------------------------------------------------------------- */

TEST(errors_of_enter_lose_nothing) {
    static const int errors[] = {-EINTR, -EBUSY, -EAGAIN, -ENOMEM, -ETIME};
    eddy_loop *loop = ring_loop(2, 4);
    struct eddyi_uring *u = uring_of(loop);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        for (unsigned times = 1; times < 5; times++) {
            u->fail_enter = errors[i];
            u->fail_enter_times = times;
            echo_once(loop);
        }
    }
    eddy_loop_free(loop);
}

TEST(after_lost_completions_only_the_ops_that_lost_theirs_fail) {
    eddy_loop *loop = ring_loop(0, 0);
    struct eddyi_uring *u = uring_of(loop);
    struct sockaddr_in address;
    struct eddyi_handle handle;
    struct eddyi_handle listener;
    enum { OPS = 4 };
    char buf[OPS][8];
    for (unsigned lost = 0; lost < 6; lost++) {
        int ends = 0;
        int accepted = 0;
        int failed = 0;
        int peer = tcp_pair(&handle);
        struct eddyi_op ops[OPS] = {
            recv_op(&handle, buf[0], 1, &ends),
            poll_op(&handle, POLLIN, &ends),
            recv_op(&handle, buf[2], 1, &ends), /* held behind the first */
            poll_op(&handle, POLLIN | POLLPRI, &ends),
        };
        eddyi_handle_init(&listener, listener_on(&address, 0), EDDYI_HANDLE_SOCKET);
        listener.listening = true;
        struct eddyi_op acceptor = make_op(EDDYI_OP_ACCEPT, &listener, &accepted);
        eddyi_op_submit(loop, &acceptor);
        for (int i = 0; i < OPS; i++) {
            eddyi_op_submit(loop, &ops[i]);
            if (i < OPS - 1) {
                settle_down(loop);
            }
        }
        u->fail_enter = -EBADR;
        u->fail_enter_times = 1;
        u->lose = lost;
        loop->driver->wait(loop, EDDY_NEVER);
        u->lose = 0;
        settle_down(loop);
        CHECK_EQ(u->fail_enter_times, 0);
        CHECK_EQ(accepted, 0); /* its multishot is armed again */
        CHECK_EQ(write(peer, "abc", 3), 3);
        wait_ends(loop, &ends, OPS);
        for (int i = 0; i < OPS; i++) {
            failed += ops[i].result == -EIO;
            CHECK(ops[i].result > 0 || ops[i].result == -EIO);
        }
        CHECK(lost == 0 ? failed == 0 : failed <= (int)lost);
        /* All that was in the kernel: the waker's, the listener's, and two. The last op had not
         * been handed over, and is. */
        CHECK(lost < 4 || failed == 2);
        int client = connect_to(&address);
        wait_ends(loop, &accepted, 1);
        close((int)CHECK_OK(acceptor.result));
        close(client);
        loop->driver->wake(loop);
        loop->driver->wait(loop, EDDY_NEVER);
        close(peer);
        CHECK_OK(eddyi_handle_close(loop, &listener));
        CHECK_OK(eddyi_handle_close(loop, &handle));
    }
    eddy_loop_free(loop);
}
