/* SPDX-License-Identifier: Apache-2.0 */
/* What the servers on epoll and nothing else share: they accept, and read what is ready. */
#ifndef EDDY_BENCH_EPOLL_H
#define EDDY_BENCH_EPOLL_H

#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "listen.h"

#define LISTENER UINT64_MAX /* no descriptor and no pointer */

static inline void watch(int epoll, int fd, epoll_data_t data) {
    struct epoll_event event = {.events = EPOLLIN, .data = data};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        die("epoll_ctl", errno);
    }
}

/* `welcome` says what `serve` gets for a new connection each time it is readable. */
static inline _Noreturn void serve_by_epoll(epoll_data_t (*welcome)(int fd),
                                            void (*serve)(epoll_data_t data)) {
    int one = 1;
    int listener = listen_somewhere(SOCK_NONBLOCK);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, listener, (epoll_data_t){.u64 = LISTENER});
    for (;;) {
        struct epoll_event events[256];
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 != LISTENER) {
                serve(events[i].data);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (fd >= 0) {
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                watch(epoll, fd, welcome(fd));
            }
        }
    }
}

#endif
