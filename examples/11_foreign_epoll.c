/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eddy inside a main loop that is somebody else's: here a plain epoll loop with a timer of its own.
 *
 * Shows:  eddy_loop_fd, eddy_loop_poll; the host's events and eddy's tasks take turns on one
 *         thread.
 * Needs:  Linux 5.10 or later.
 * Run:    ./11_foreign_epoll
 * Expect: three ticks of the host's timer, three steps of a task, then "both are done"
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <eddy/eddy.h>

static bool task_done;

static int64_t task(void *arg) {
    (void)arg;
    for (int step = 1; step <= 3; step++) {
        int r = eddy_sleep(2 * EDDY_MS);
        if (r < 0) {
            return r;
        }
        printf("a task's step %d\n", step);
    }
    task_done = true;
    return 0;
}

static int watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* The host's own loop: it knows of eddy only a descriptor and a function to call. How long it goes
 * on is its own affair: eddy never says that no task is left, so the tasks do (task_done). */
static int run(int epoll, int timer, eddy_loop *loop) {
    int ticks = 0;
    while (ticks < 3 || !task_done) {
        struct epoll_event event;
        int n = epoll_wait(epoll, &event, 1, -1);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n == 1 && event.data.fd == timer) {
            uint64_t expirations;
            if (read(timer, &expirations, sizeof expirations) > 0 && ticks < 3) {
                printf("the host's tick %d\n", ++ticks);
            }
        } else if (n == 1) {
            int r = eddy_loop_poll(loop);
            if (r < 0) {
                return r;
            }
        }
    }
    printf("both are done\n");
    return 0;
}

int main(void) {
    EDDY_AUTO(eddy_loop) *loop = NULL;
    int r = eddy_loop_new(NULL, &loop);
    if (r == 0) {
        r = eddy_spawn_on(loop, task, NULL, 0);
    }
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct itimerspec every_ms = {{0, 3000000}, {0, 3000000}};
    if (r == 0 && (timer < 0 || epoll < 0 || timerfd_settime(timer, 0, &every_ms, NULL) < 0)) {
        r = -errno;
    }
    if (r == 0 && (r = watch(epoll, timer)) == 0 && (r = watch(epoll, eddy_loop_fd(loop))) == 0) {
        r = run(epoll, timer, loop);
    }
    if (r < 0) {
        fprintf(stderr, "%s\n", eddy_error_text(r));
    }
    close(timer);
    close(epoll);
    return r < 0;
}
