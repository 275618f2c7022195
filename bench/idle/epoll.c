/* SPDX-License-Identifier: Apache-2.0 */
/* A server of lines on epoll and nothing else: one buffer for all, what is left of a line stays
 * with its connection. Prints its port. */
#include "../epoll.h"

struct connection {
    int fd;
    char *part; /* of a line whose end has not come; NULL: none */
    size_t len;
};

static epoll_data_t welcome(int fd) {
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        die("calloc", errno);
    }
    connection->fd = fd;
    return (epoll_data_t){.ptr = connection};
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

static void echo_lines(epoll_data_t data) {
    struct connection *connection = data.ptr;
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
    serve_by_epoll(welcome, echo_lines);
}
