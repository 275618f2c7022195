/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Echo on liburing and nothing else: the limit of what completions can do. Multishot accept and
 * receive into provided buffers, copied to the connection's own, sends queued and submitted
 * together. Prints its port. Arguments ask for other forms, which bench/forms compares:
 *
 *     provided         what was received is sent from the provided buffer
 *     single           each receive is asked for, into the connection's buffer, once all is sent
 *     poll_first       likewise, and the kernel does not look before it waits
 *     inline           send(2), and only what it leaves is queued
 *     plain, coop      a ring without DEFER_TASKRUN; with COOP_TASKRUN instead
 *     registered       the ring's descriptor is registered
 *     no_sqarray       the ring has no array of indices
 *     min_wait=US      waits so long for up to 32 completions
 */
#include <unistd.h>

#include "../ring.h"

#define BUFFERS 512
#define BUFFER_SIZE (16 * 1024)
#define GROUP 1
#define NO_BUFFER BUFFERS

enum { ACCEPT, RECEIVE, SEND };

static struct {
    bool single, provided, sends_inline;
    unsigned short receive_flags; /* IORING_RECVSEND_... */
} form;

struct connection {
    int fd;
    unsigned start, end;  /* what of bytes, or of the first buffer, has to be sent */
    unsigned first, last; /* the buffers that have to be sent, when none is copied */
    bool sending, closed;
    char bytes[2 * BUFFER_SIZE];
};

static struct io_uring_buf_ring *provided;
static char *buffers;
static struct { unsigned next, len; } queued[BUFFERS]; /* of a buffer that has to be sent */
static struct connection *connections[65536];

static void accept_on(int listener) {
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    mark(sqe, ACCEPT, listener);
}

static void receive_on(struct connection *connection) {
    struct io_uring_sqe *sqe = next_sqe();
    if (form.single) {
        io_uring_prep_recv(sqe, connection->fd, connection->bytes, BUFFER_SIZE, 0);
        sqe->ioprio |= form.receive_flags;
    } else {
        io_uring_prep_recv_multishot(sqe, connection->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = GROUP;
    }
    mark(sqe, RECEIVE, connection->fd);
}

static char *buffer_of(unsigned id) {
    return buffers + (size_t)id * BUFFER_SIZE;
}

static void provide(unsigned id) {
    io_uring_buf_ring_add(provided, buffer_of(id), BUFFER_SIZE, (unsigned short)id,
                          io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(provided, 1);
}

/* True: there is more to send, from the next buffer. */
static bool all_sent(struct connection *connection) {
    connection->start = connection->end = 0;
    if (form.single) {
        receive_on(connection);
    }
    if (!form.provided) {
        return false;
    }
    unsigned id = connection->first;
    connection->first = queued[id].next;
    provide(id);
    if (connection->first == NO_BUFFER) {
        return false;
    }
    connection->end = queued[connection->first].len;
    return true;
}

static bool send_now(struct connection *connection, const char *bytes) {
    ssize_t n = send(connection->fd, bytes + connection->start, connection->end - connection->start,
                     MSG_NOSIGNAL | MSG_DONTWAIT);
    connection->start += n > 0 ? (unsigned)n : 0;
    return connection->start == connection->end;
}

static void send_rest(struct connection *connection) {
    const char *bytes;
    do {
        bytes = form.provided ? buffer_of(connection->first) : connection->bytes;
        if (!form.sends_inline || !send_now(connection, bytes)) {
            struct io_uring_sqe *sqe = next_sqe();
            io_uring_prep_send(sqe, connection->fd, bytes + connection->start,
                               connection->end - connection->start, MSG_NOSIGNAL);
            mark(sqe, SEND, connection->fd);
            connection->sending = true;
            return;
        }
    } while (all_sent(connection));
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
        connection->first = NO_BUFFER;
        connections[cqe->res] = connection;
        setsockopt(cqe->res, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        receive_on(connection);
    }
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        accept_on(listener);
    }
}

static void put_behind(struct connection *connection, unsigned id, unsigned len) {
    queued[id].next = NO_BUFFER;
    queued[id].len = len;
    if (connection->first == NO_BUFFER) {
        connection->first = id;
        connection->end = len;
    } else {
        queued[connection->last].next = id;
    }
    connection->last = id;
}

/* The load has one message under way, so what comes fits behind what is still to be sent. */
static void received(const struct io_uring_cqe *cqe, struct connection *connection) {
    if (cqe->res <= 0 && cqe->res != -ENOBUFS) {
        close_when_idle(connection);
        return;
    }
    if (cqe->res > 0) {
        unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        if (form.provided) {
            put_behind(connection, id, (unsigned)cqe->res);
        } else {
            if (!form.single) {
                memcpy(connection->bytes + connection->end, buffer_of(id), (size_t)cqe->res);
                provide(id);
            }
            connection->end += (unsigned)cqe->res;
        }
        if (!connection->sending) {
            send_rest(connection);
        }
    }
    if (!form.single && !(cqe->flags & IORING_CQE_F_MORE)) {
        receive_on(connection);
    }
}

static void sent(const struct io_uring_cqe *cqe, struct connection *connection) {
    connection->sending = false;
    if (cqe->res < 0 || connection->closed) {
        close_when_idle(connection);
        return;
    }
    connection->start += (unsigned)cqe->res;
    if (connection->start < connection->end || all_sent(connection)) {
        send_rest(connection);
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

static bool is(const char *argument, const char *name) {
    return strcmp(argument, name) == 0;
}

static void choose(const char *argument) {
    if (is(argument, "provided")) {
        form.provided = true;
    } else if (is(argument, "single")) {
        form.single = true;
    } else if (is(argument, "poll_first")) {
        form.single = true;
        form.receive_flags = IORING_RECVSEND_POLL_FIRST;
    } else if (is(argument, "inline")) {
        form.sends_inline = true;
    } else if (is(argument, "plain")) {
        ring_form.flags = 0;
    } else if (is(argument, "coop")) {
        ring_form.flags = IORING_SETUP_COOP_TASKRUN;
    } else if (is(argument, "registered")) {
        ring_form.registered = true;
    } else if (is(argument, "no_sqarray")) {
        ring_form.flags |= IORING_SETUP_NO_SQARRAY;
    } else if (sscanf(argument, "min_wait=%u", &ring_form.min_wait_us) == 1) {
        ring_form.batch = 32;
    } else {
        die(argument, EINVAL);
    }
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        choose(argv[i]);
    }
    int listener = listen_somewhere(0);
    start_ring();
    provide_all();
    accept_on(listener);
    run_ring(complete);
}
