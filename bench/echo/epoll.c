/* SPDX-License-Identifier: Apache-2.0 */
/* Echo on epoll and nothing else: the limit of what readiness can do. Prints its port. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/tcp.h>
#include <unistd.h>

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        die("epoll_ctl");
    }
}

static void welcome(int epoll, int listener) {
    int one = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(epoll, fd);
    }
}

/* The load never has more under way than fits into a socket's buffer, so a send is never short. */
static void echo(int fd) {
    static char buf[16 * 1024];
    ssize_t n = recv(fd, buf, sizeof buf, 0);
    if (n <= 0 || send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n) {
        close(fd);
    }
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&address, len) < 0 || listen(listener, 4096) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) < 0) {
        die("listen");
    }
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, listener);
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct epoll_event events[256];
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener) {
                welcome(epoll, listener);
            } else {
                echo(events[i].data.fd);
            }
        }
    }
}
