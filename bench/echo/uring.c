/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Echo on liburing and nothing else: the limit of what completions can do. Multishot accept and
 * receive into provided buffers, copied to the connection's own, sends queued and submitted
 * together. Prints its port.
 */
#include <stdbool.h>
#include <unistd.h>

#include "../ring.h"

#define BUFFERS 512
#define BUFFER_SIZE (16 * 1024)
#define GROUP 1

enum { ACCEPT, RECEIVE, SEND };

struct connection {
    int fd;
    unsigned start, end; /* what of bytes has to be sent */
    bool sending, closed;
    char bytes[2 * BUFFER_SIZE];
};

static struct io_uring_buf_ring *provided;
static char *buffers;
static struct connection *connections[65536];

static void accept_on(int listener) {
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    mark(sqe, ACCEPT, listener);
}

static void receive_on(int fd) {
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    mark(sqe, RECEIVE, fd);
}

static void send_rest(struct connection *connection) {
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_send(sqe, connection->fd, connection->bytes + connection->start,
                       connection->end - connection->start, MSG_NOSIGNAL);
    mark(sqe, SEND, connection->fd);
    connection->sending = true;
}

static void provide(unsigned id) {
    io_uring_buf_ring_add(provided, buffers + (size_t)id * BUFFER_SIZE, BUFFER_SIZE,
                          (unsigned short)id, io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(provided, 1);
}

static void close_when_idle(struct connection *connection) {
    connection->closed = true;
    if (!connection->sending) {
        close(connection->fd);
        connections[connection->fd] = NULL;
        free(connection);
    }
}

static void accepted(const struct io_uring_cqe *cqe, int listener) {
    int one = 1;
    if (cqe->res >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        connection->fd = cqe->res;
        connections[cqe->res] = connection;
        setsockopt(cqe->res, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        receive_on(cqe->res);
    }
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        accept_on(listener);
    }
}

/* The load has one message under way, so what comes fits behind what is still to be sent. */
static void received(const struct io_uring_cqe *cqe, struct connection *connection) {
    if (cqe->res <= 0 && cqe->res != -ENOBUFS) {
        close_when_idle(connection);
        return;
    }
    if (cqe->res > 0) {
        unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        memcpy(connection->bytes + connection->end, buffers + (size_t)id * BUFFER_SIZE,
               (size_t)cqe->res);
        connection->end += (unsigned)cqe->res;
        provide(id);
        if (!connection->sending) {
            send_rest(connection);
        }
    }
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        receive_on(connection->fd);
    }
}

static void sent(const struct io_uring_cqe *cqe, struct connection *connection) {
    connection->sending = false;
    if (cqe->res < 0 || connection->closed) {
        close_when_idle(connection);
        return;
    }
    connection->start += (unsigned)cqe->res;
    if (connection->start < connection->end) {
        send_rest(connection);
    } else {
        connection->start = connection->end = 0;
    }
}

static void provide_all(void) {
    size_t size = BUFFERS * sizeof(struct io_uring_buf);
    if (posix_memalign((void **)&provided, 4096, size) != 0 ||
        posix_memalign((void **)&buffers, 4096, (size_t)BUFFERS * BUFFER_SIZE) != 0) {
        die("posix_memalign", ENOMEM);
    }
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)provided, .ring_entries = BUFFERS, .bgid = GROUP};
    io_uring_buf_ring_init(provided);
    int error = io_uring_register_buf_ring(&ring, &reg, 0);
    if (error < 0) {
        die("io_uring_register_buf_ring", -error);
    }
    for (unsigned id = 0; id < BUFFERS; id++) {
        provide(id);
    }
}

static void complete(const struct io_uring_cqe *cqe) {
    int fd = (int)(cqe->user_data & UINT32_MAX);
    switch (cqe->user_data >> 32) {
    case ACCEPT:
        accepted(cqe, fd);
        break;
    case RECEIVE:
        received(cqe, connections[fd]);
        break;
    default:
        sent(cqe, connections[fd]);
        break;
    }
}

int main(void) {
    int listener = listen_somewhere(0);
    start_ring();
    provide_all();
    accept_on(listener);
    run_ring(complete);
}
