/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/base/try_impl.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "test.h"

static int interrupted(int *left) {
    if (*left == 0) {
        return 7;
    }
    (*left)--;
    errno = EINTR;
    return -1;
}

static int refused(void) {
    errno = EACCES;
    return -1;
}

TEST(a_call_is_made_until_no_signal_interrupts_it_and_gives_its_error) {
    int left = 3;
    CHECK_EQ(EDDYI_AGAIN_ON_EINTR(interrupted(&left)), 7);
    CHECK_EQ(left, 0);
    CHECK_ERR(EDDYI_AGAIN_ON_EINTR(refused()), -EACCES);
}

TEST(poll_says_what_is_so_now) {
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    CHECK_ERR(eddyi_try_poll(fds[0], POLLIN), -EAGAIN);
    CHECK_EQ(eddyi_try_poll(fds[1], POLLOUT), POLLOUT);
    CHECK_EQ(eddyi_try_write(fds[1], "abc", 3, 0), 3);
    CHECK_EQ(eddyi_try_poll(fds[0], POLLIN), POLLIN);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(close(fds[1]), 0);
    CHECK_ERR(eddyi_try_poll(fds[1], POLLIN), -EBADF);
}

static bool is_pending(int number) {
    sigset_t pending;
    CHECK_EQ(sigpending(&pending), 0);
    return sigismember(&pending, number) == 1;
}

TEST(a_write_to_a_pipe_that_nobody_reads_raises_no_signal) {
    int fds[2];
    sigset_t broken_pipe;
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_ERR(eddyi_try_write(fds[1], "abc", 3, 0), -EPIPE); /* we would be dead */
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    CHECK_EQ(sigprocmask(SIG_BLOCK, &broken_pipe, NULL), 0);
    CHECK_ERR(eddyi_try_write(fds[1], "abc", 3, 0), -EPIPE);
    CHECK(!is_pending(SIGPIPE));
    /* One that was there before is its owner's. */
    CHECK_EQ(raise(SIGPIPE), 0);
    CHECK_ERR(eddyi_try_write(fds[1], "abc", 3, 0), -EPIPE);
    CHECK(is_pending(SIGPIPE));
    CHECK_EQ(close(fds[1]), 0);
}
