/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop in a foreign main loop: an epoll descriptor over three others.
 *
 *     epoll <--- eventfd, registered with the ring: something completes, or could if we looked
 *          ^---- the wake eventfd
 *          ^---- timerfd: the next deadline, or a moment that has passed while there is work left
 *
 * The ring's own descriptor would not do: under DEFER_TASKRUN nothing completes before we look, so
 * it would never become readable.
 */
#include <eddy/runtime/driver/uring_impl.h>

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

void eddyi_uring_pollable_close(struct eddyi_uring *u) {
    int *const fds[] = {&u->epoll_fd, &u->event_fd, &u->timer_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] >= 0) {
            close(*fds[i]);
            *fds[i] = -1;
        }
    }
}

static int watch(struct eddyi_uring *u, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(u->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int make(struct eddyi_uring *u) {
    if ((u->epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
        (u->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0 ||
        (u->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) < 0) {
        return -errno;
    }
    u->timer_ns = 0;
    int r = watch(u, u->event_fd);
    if (r == 0) {
        r = watch(u, u->wake_fd);
    }
    if (r == 0) {
        r = watch(u, u->timer_fd);
    }
    if (r == 0) {
        r = io_uring_register_eventfd(&u->ring, u->event_fd);
    }
    return r;
}

int eddyi_uring_pollable(eddy_loop *loop) {
    struct eddyi_uring *u = loop->driver_state;
    if (u->epoll_fd < 0) {
        if (!u->enabled) {
            eddyi_uring_enable(u);
        }
        int r = make(u);
        if (r < 0) {
            eddyi_uring_pollable_close(u);
            return r;
        }
    }
    return u->epoll_fd;
}

/* A call only when it changes: a timer that has expired stays readable until it is set again. */
static void set_timer(struct eddyi_uring *u, int64_t deadline_ns) {
    int64_t timer_ns = deadline_ns == EDDY_NEVER ? 0 : deadline_ns < 1 ? 1 : deadline_ns;
    if (timer_ns != u->timer_ns) {
        struct itimerspec spec = {
            .it_value = {.tv_sec = timer_ns / EDDY_S, .tv_nsec = timer_ns % EDDY_S},
        };
        timerfd_settime(u->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
        u->timer_ns = timer_ns;
    }
}

void eddyi_uring_arm(eddy_loop *loop, int64_t deadline_ns) {
    struct eddyi_uring *u = loop->driver_state;
    uint64_t count;
    bool all_in = eddyi_uring_fill(u);
    if (io_uring_sq_ready(&u->ring) > 0) {
        eddyi_uring_flush(u);
    }
    if (u->epoll_fd < 0) {
        return; /* nobody has asked for the descriptor */
    }
    /* First the event is taken back, then its cause is looked for: what comes after sets it
     * again. */
    (void)!read(u->event_fd, &count, sizeof count);
    bool work = !all_in || io_uring_sq_ready(&u->ring) > 0 || io_uring_cq_ready(&u->ring) > 0 ||
                eddyi_uring_pending(u) || !eddyi_list_empty(&u->finished);
    set_timer(u, work ? 0 : deadline_ns);
}
