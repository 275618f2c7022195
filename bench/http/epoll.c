/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A responder on epoll and nothing else: the limit for an HTTP server. It looks for the end of a
 * head and answers with a fixed response. Prints its port. With `close` as its argument it ends
 * each connection after its response.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "response.h"

struct connection {
    int fd;
    size_t len;
    char bytes[4096];
};

static bool closes;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void welcome(int epoll, int listener) {
    int one = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    struct connection *connection = malloc(sizeof *connection);
    if (connection == NULL) {
        die("malloc");
    }
    connection->fd = fd;
    connection->len = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        die("epoll_ctl");
    }
} /* NOLINT(clang-analyzer-unix.Malloc): the kernel keeps the connection, in its event. */

static void part(struct connection *connection) {
    close(connection->fd);
    free(connection);
}

static void respond(struct connection *connection) {
    ssize_t n = recv(connection->fd, connection->bytes + connection->len,
                     sizeof connection->bytes - connection->len, 0);
    if (n <= 0) {
        part(connection);
        return;
    }
    connection->len += (size_t)n;
    if (memmem(connection->bytes, connection->len, "\r\n\r\n", 4) == NULL) {
        return;
    }
    connection->len = 0;
    const char *response = closes ? CLOSING_RESPONSE : RESPONSE;
    size_t len = strlen(response);
    if (send(connection->fd, response, len, MSG_NOSIGNAL) != (ssize_t)len || closes) {
        part(connection);
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    closes = argc > 1 && strcmp(argv[1], "close") == 0;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&address, len) < 0 || listen(listener, 4096) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) < 0) {
        die("listen");
    }
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) {
        die("epoll_ctl");
    }
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct epoll_event events[256];
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) {
                welcome(epoll, listener);
            } else {
                respond(events[i].data.ptr);
            }
        }
    }
}
