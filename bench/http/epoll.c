/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A responder on epoll and nothing else: the limit for an HTTP server. It looks for the end of a
 * head and answers with a fixed response. Prints its port. With `close` as its argument it ends
 * each connection after its response.
 */
#include <stdbool.h>

#include "../epoll.h"
#include "response.h"

struct connection {
    int fd;
    size_t len;
    char bytes[4096];
};

static bool closes;

static epoll_data_t welcome(int fd) {
    struct connection *connection = malloc(sizeof *connection);
    if (connection == NULL) {
        die("malloc", errno);
    }
    connection->fd = fd;
    connection->len = 0;
    return (epoll_data_t){.ptr = connection};
}

static void part(struct connection *connection) {
    close(connection->fd);
    free(connection);
}

static void respond(epoll_data_t data) {
    struct connection *connection = data.ptr;
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
    closes = argc > 1 && strcmp(argv[1], "close") == 0;
    serve_by_epoll(welcome, respond);
}
