/* SPDX-License-Identifier: Apache-2.0 */
/* The limit of a wake-up across threads: two that wait for an eventfd each in epoll, and write the
 * other's. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../cpu.h"
#include "pin.h"

#define TRIPS 20000

struct side {
    int epoll;
    int fd;
};

static struct side sides[2];

static void await_wake(struct side *side) {
    struct epoll_event event;
    uint64_t count;
    if (epoll_wait(side->epoll, &event, 1, -1) != 1 ||
        read(side->fd, &count, sizeof count) != sizeof count) {
        abort();
    }
}

static void wake(struct side *side) {
    uint64_t one = 1;
    if (write(side->fd, &one, sizeof one) != sizeof one) {
        abort();
    }
}

static void *answer(void *arg) {
    pin_to(1);
    for (int i = 0; i < TRIPS; i++) {
        await_wake(&sides[1]);
        wake(&sides[0]);
    }
    return arg;
}

int main(void) {
    pthread_t thread;
    for (int i = 0; i < 2; i++) {
        struct epoll_event event = {.events = EPOLLIN};
        sides[i].epoll = epoll_create1(EPOLL_CLOEXEC);
        sides[i].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (epoll_ctl(sides[i].epoll, EPOLL_CTL_ADD, sides[i].fd, &event) < 0) {
            return 1;
        }
    }
    if (pthread_create(&thread, NULL, answer, NULL) != 0) {
        return 1;
    }
    pin_to(0);
    int64_t begin_ns = now_ns();
    for (int i = 0; i < TRIPS; i++) {
        wake(&sides[1]);
        await_wake(&sides[0]);
    }
    printf("asleep_us %.3f\n", (double)(now_ns() - begin_ns) / 1e3 / TRIPS);
    pthread_join(thread, NULL);
    return 0;
}
