/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the ring stand on: a loop that is turned by hand, without tasks, so that a case
 * sees each step of the driver.
 */
#ifndef EDDY_TESTS_URING_HARNESS_H
#define EDDY_TESTS_URING_HARNESS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <eddy/runtime/driver/uring_impl.h>

#include "test.h"

/* A loop on the ring with queues of this size, 0 for the usual; the case is skipped without one. */
static inline eddy_loop *ring_loop(unsigned sq_entries, unsigned cq_entries) {
    eddy_loop *loop;
    int r = eddy_loop_new(
        &(eddy_loop_opts){.driver = "uring", .sq_entries = sq_entries, .cq_entries = cq_entries},
        &loop);
    if (r == EDDY_EDRIVER) {
        test_skip("io_uring cannot start here");
    }
    CHECK_OK(r);
    return loop;
}

static inline struct eddyi_uring *uring_of(eddy_loop *loop) {
    return loop->driver_state;
}

/* op->waiter counts the ends. */
static inline void count_end(struct eddyi_op *op) {
    int *ends = op->waiter;
    (*ends)++;
}

static inline struct eddyi_op make_op(enum eddyi_op_kind kind, struct eddyi_handle *handle,
                                      int *ends) {
    return (struct eddyi_op){
        .kind = (uint8_t)kind, .handle = handle, .done = count_end, .waiter = ends};
}

static inline struct eddyi_op recv_op(struct eddyi_handle *handle, void *buf, size_t len,
                                      int *ends) {
    struct eddyi_op op = make_op(EDDYI_OP_RECV, handle, ends);
    op.buf = buf;
    op.len = len;
    return op;
}

static inline struct eddyi_op send_op(struct eddyi_handle *handle, const void *data, size_t len,
                                      int *ends) {
    struct eddyi_op op = make_op(EDDYI_OP_SEND, handle, ends);
    op.data = data;
    op.len = len;
    return op;
}

static inline struct eddyi_op poll_op(struct eddyi_handle *handle, int events, int *ends) {
    struct eddyi_op op = make_op(EDDYI_OP_POLL, handle, ends);
    op.flags = events;
    return op;
}

/* Turns the loop until so many ops have ended. */
static inline void wait_ends(eddy_loop *loop, const int *ends, int wanted) {
    while (*ends < wanted) {
        loop->driver->wait(loop, EDDY_NEVER);
    }
    CHECK_EQ(*ends, wanted);
}

/* Turns the loop without sleeping until nothing moves any more. */
static inline void settle_down(eddy_loop *loop) {
    for (int i = 0; i < 8; i++) {
        loop->driver->wait(loop, 0);
    }
}

/* The whole way of one op. */
static inline int64_t do_op(eddy_loop *loop, struct eddyi_op op) {
    int ends = 0;
    op.waiter = &ends;
    eddyi_op_submit(loop, &op);
    wait_ends(loop, &ends, 1);
    return op.result;
}

/* A listener on the loopback with a port that was free, and its address. */
static inline int listener_on(struct sockaddr_in *ret_address, in_port_t port) {
    int fd = (int)CHECK_OK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
    ret_address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof *ret_address;
    CHECK_OK(bind(fd, (struct sockaddr *)ret_address, len) < 0 ? -errno : 0);
    CHECK_OK(listen(fd, 512) < 0 ? -errno : 0);
    CHECK_OK(getsockname(fd, (struct sockaddr *)ret_address, &len));
    return fd;
}

static inline int connect_to(const struct sockaddr_in *address) {
    int fd = (int)CHECK_OK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_OK(connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0);
    return fd;
}

/* Two ends of a TCP connection; the first in a handle. */
static inline int tcp_pair(struct eddyi_handle *ret_handle) {
    struct sockaddr_in address;
    int listener = listener_on(&address, 0);
    int peer = connect_to(&address);
    int fd = (int)CHECK_OK(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    close(listener);
    eddyi_handle_init(ret_handle, fd, EDDYI_HANDLE_SOCKET);
    return peer;
}

/* Sends until the socket takes no byte more, now and after the peer's side has settled. */
static inline void fill_socket(int fd) {
    static char bulk[1 << 18];
    struct pollfd poller = {.fd = fd, .events = POLLOUT};
    do {
        while (send(fd, bulk, sizeof bulk, MSG_DONTWAIT) > 0) {
        }
    } while (poll(&poller, 1, 50) > 0);
    while (send(fd, bulk, 1, MSG_DONTWAIT) > 0) {
    }
}

/* Closes with a reset. */
static inline void reset_close(int fd) {
    struct linger linger = {.l_onoff = 1};
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    close(fd);
}

/* A message and its answer, over a connection of its own. */
static inline void echo_once(eddy_loop *loop) {
    struct eddyi_handle handle;
    int peer = tcp_pair(&handle);
    char buf[8];
    CHECK_EQ(write(peer, "hello", 5), 5);
    CHECK_EQ(do_op(loop, recv_op(&handle, buf, sizeof buf, NULL)), 5);
    CHECK_EQ(do_op(loop, send_op(&handle, buf, 5, NULL)), 5);
    CHECK_EQ(read(peer, buf, sizeof buf), 5);
    close(peer);
    CHECK_OK(eddyi_handle_close(loop, &handle));
}

#endif
