/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/base/try_impl.h>

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

int64_t eddyi_try_poll(int fd, int events) {
    struct pollfd poller = {.fd = fd, .events = (short)events};
    int64_t r = EDDYI_AGAIN_ON_EINTR(poll(&poller, 1, 0));
    if (r < 0) {
        return r;
    }
    if ((poller.revents & POLLNVAL) != 0) {
        return -EBADF;
    }
    return r == 0 ? -EAGAIN : (int64_t)poller.revents;
}

int64_t eddyi_try_write(int fd, const void *data, size_t len, int flags) {
    struct iovec part = {.iov_len = len};
    sigset_t broken_pipe;
    sigset_t old;
    sigset_t pending;
    memcpy(&part.iov_base, &data, sizeof data); /* only read, though the member is not const */
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    sigpending(&pending);
    int r = pthread_sigmask(SIG_BLOCK, &broken_pipe, &old);
    if (r != 0) {
        return -r;
    }
    int64_t n = EDDYI_AGAIN_ON_EINTR(pwritev2(fd, &part, 1, -1, flags));
    if (n == -EPIPE && sigismember(&pending, SIGPIPE) == 0) {
        static const struct timespec no_time = {0};
        while (sigtimedwait(&broken_pipe, NULL, &no_time) < 0 && errno == EINTR) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return n;
}
