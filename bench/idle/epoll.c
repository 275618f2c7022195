/* SPDX-License-Identifier: Apache-2.0 */
/* A server of lines on epoll and nothing else: one buffer for all, what is left of a line stays
 * with its connection. Prints its port. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    int fd;
    char *part; /* of a line whose end has not come; NULL: none */
    size_t len;
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void welcome(int epoll, int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct connection *connection = fd < 0 ? NULL : calloc(1, sizeof *connection);
    if (connection == NULL) {
        return;
    }
    connection->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        die("epoll_ctl");
    }
}

static void part(struct connection *connection) {
    close(connection->fd);
    free(connection->part);
    free(connection);
}

static void keep(struct connection *connection, const char *bytes, size_t len) {
    free(connection->part);
    connection->part = len == 0 ? NULL : memcpy(malloc(len), bytes, len);
    connection->len = len;
}

static void echo_lines(struct connection *connection) {
    static char bytes[64 * 1024];
    if (connection->len > 0) {
        memcpy(bytes, connection->part, connection->len);
    }
    ssize_t n = recv(connection->fd, bytes + connection->len, sizeof bytes / 2, 0);
    if (n <= 0 || connection->len + (size_t)n > sizeof bytes / 2) {
        part(connection);
        return;
    }
    size_t len = connection->len + (size_t)n;
    char *end = memrchr(bytes, '\n', len);
    size_t whole = end == NULL ? 0 : (size_t)(end + 1 - bytes);
    if (whole > 0 && send(connection->fd, bytes, whole, MSG_NOSIGNAL) < 0) {
        part(connection);
        return;
    }
    keep(connection, bytes + whole, len - whole);
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
                echo_lines(events[i].data.ptr);
            }
        }
    }
}
