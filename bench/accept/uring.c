/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short connections on liburing and nothing else: multishot accept, a receive, and the response
 * linked to the close. Prints its port.
 */
#include <stdbool.h>
#include <unistd.h>

#include "../http/response.h"
#include "../ring.h"

enum { ACCEPT, RECEIVE, SEND, CLOSE };

struct connection {
    size_t len;
    char bytes[4096];
};

static struct connection *connections[65536];

static void accept_on(int listener) {
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    mark(sqe, ACCEPT, listener);
}

static void receive_on(int fd) {
    struct connection *connection = connections[fd];
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_recv(sqe, fd, connection->bytes + connection->len,
                       sizeof connection->bytes - connection->len, 0);
    mark(sqe, RECEIVE, fd);
}

static void close_after(int fd, bool response) {
    if (io_uring_sq_space_left(&ring) < 2) {
        io_uring_submit(&ring);
    }
    if (response) {
        struct io_uring_sqe *sqe = next_sqe();
        io_uring_prep_send(sqe, fd, CLOSING_RESPONSE, sizeof CLOSING_RESPONSE - 1, MSG_NOSIGNAL);
        sqe->flags |= IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS;
        mark(sqe, SEND, fd);
    }
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_close(sqe, fd);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    mark(sqe, CLOSE, fd);
    free(connections[fd]);
    connections[fd] = NULL;
}

static void accepted(const struct io_uring_cqe *cqe, int listener) {
    int one = 1;
    if (cqe->res >= 0) {
        struct connection *connection = malloc(sizeof *connection);
        if (connection == NULL) {
            die("malloc", ENOMEM);
        }
        connection->len = 0;
        connections[cqe->res] = connection;
        setsockopt(cqe->res, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        receive_on(cqe->res);
    }
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        accept_on(listener);
    }
}

static void received(const struct io_uring_cqe *cqe, int fd) {
    struct connection *connection = connections[fd];
    if (cqe->res <= 0) {
        close_after(fd, false);
        return;
    }
    connection->len += (size_t)cqe->res;
    if (memmem(connection->bytes, connection->len, "\r\n\r\n", 4) == NULL) {
        receive_on(fd);
    } else {
        close_after(fd, true);
    }
}

static void complete(const struct io_uring_cqe *cqe) {
    int fd = (int)(cqe->user_data & UINT32_MAX);
    switch (cqe->user_data >> 32) {
    case ACCEPT:
        accepted(cqe, fd);
        break;
    case RECEIVE:
        received(cqe, fd);
        break;
    default:
        break; /* a send or a close that failed: the client is gone */
    }
}

int main(void) {
    int listener = listen_somewhere(0);
    start_ring();
    accept_on(listener);
    run_ring(complete);
}
