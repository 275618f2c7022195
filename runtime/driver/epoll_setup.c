/* SPDX-License-Identifier: Apache-2.0 */
/* The epoll driver's own descriptors: made, lent to a foreign main loop, closed. */
#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/driver/epoll_impl.h>

/* ---- opening and closing --------------------------------------------------------------------- */

static void close_descriptors(struct eddyi_epoll *state) {
    int fds[] = {state->timer_fd, state->wake_fd, state->epoll_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
}

static int open_descriptors(struct eddyi_epoll *state, char *reason, size_t size) {
    const char *what = "epoll_create1";
    state->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (state->epoll_fd >= 0) {
        what = "eventfd";
        state->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    if (state->wake_fd >= 0) {
        /* Edge-triggered, each write is reported once, and nobody has to read it. */
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = EDDYI_EPOLL_WAKE_DATA};
        what = "epoll_ctl";
        if (epoll_ctl(state->epoll_fd, EPOLL_CTL_ADD, state->wake_fd, &event) == 0) {
            return 0;
        }
    }
    int r = -errno;
    snprintf(reason, size, "%s: %s", what, eddy_error_text(r));
    return r;
}

int eddyi_epoll_open(eddy_loop *loop, const struct eddyi_driver_opts *opts, char *reason,
                     size_t size) {
    (void)opts;
    struct eddyi_epoll *state = eddyi_zalloc(sizeof *state);
    if (state == NULL) {
        snprintf(reason, size, "no memory");
        return -ENOMEM;
    }
    state->epoll_fd = -1;
    state->wake_fd = -1;
    state->timer_fd = -1;
    state->slot_free = -1;
    eddyi_list_init(&state->due);
    eddyi_list_init(&state->later);
    eddyi_list_init(&state->ended);
    int r = open_descriptors(state, reason, size);
    if (r < 0) {
        close_descriptors(state);
        eddyi_free(state);
        return r;
    }
    loop->driver_state = state;
    return 0;
}

void eddyi_epoll_close(eddy_loop *loop) {
    struct eddyi_epoll *state = eddyi_epoll_of(loop);
    /* In a forked child handles were not forgotten; their own memory may be gone already. */
    for (uint32_t i = 0; i < state->slot_count; i++) {
        if (state->slots[i].handle != NULL && state->slots[i].own) {
            close(state->slots[i].fd);
        }
    }
    close_descriptors(state);
    eddyi_free(state->slots);
    eddyi_free(state);
    loop->driver_state = NULL;
}

/* ---- a foreign main loop --------------------------------------------------------------------- */

int eddyi_epoll_pollable(eddy_loop *loop) {
    struct eddyi_epoll *state = eddyi_epoll_of(loop);
    if (state->timer_fd >= 0) {
        return state->epoll_fd;
    }
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = EDDYI_EPOLL_TIMER_DATA};
    if (epoll_ctl(state->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    state->timer_fd = fd;
    state->timer_ns = EDDY_NEVER;
    return state->epoll_fd;
}

void eddyi_epoll_arm(eddy_loop *loop, int64_t deadline_ns) {
    struct eddyi_epoll *state = eddyi_epoll_of(loop);
    if (state->timer_fd < 0) {
        return;
    }
    int64_t later_ns = eddyi_epoll_look_at_later(loop);
    if (!eddyi_list_empty(&state->due) || !eddyi_list_empty(&state->ended)) {
        deadline_ns = 0;
    } else if (later_ns < deadline_ns) {
        deadline_ns = later_ns;
    }
    if (deadline_ns == state->timer_ns) {
        return;
    }
    struct itimerspec setting = {0};
    if (deadline_ns != EDDY_NEVER) {
        /* Zero would disarm it; a nanosecond after the start of time is over, too. */
        int64_t at_ns = deadline_ns < 1 ? 1 : deadline_ns;
        setting.it_value.tv_sec = (time_t)(at_ns / EDDY_S);
        setting.it_value.tv_nsec = (long)(at_ns % EDDY_S);
    }
    int r = timerfd_settime(state->timer_fd, TFD_TIMER_ABSTIME, &setting, NULL);
    EDDY_ASSERT(r == 0);
    state->timer_ns = deadline_ns;
}
