/* SPDX-License-Identifier: Apache-2.0 */
/* What the bare io_uring programs share: a ring in its best form, and a listener. */
#ifndef EDDY_BENCH_RING_H
#define EDDY_BENCH_RING_H

#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct io_uring ring;

static inline void die(const char *what, int error) {
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(1);
}

static inline void start_ring(void) {
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
        .cq_entries = 4096,
    };
    int error = io_uring_queue_init_params(256, &ring, &params);
    if (error < 0) {
        die("io_uring_queue_init_params", -error);
    }
}

static inline struct io_uring_sqe *next_sqe(void) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    while (sqe == NULL) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    return sqe;
}

/* What an operation is and for which descriptor; set after io_uring_prep, which clears it. */
static inline void mark(struct io_uring_sqe *sqe, unsigned kind, int fd) {
    sqe->user_data = (uint64_t)kind << 32 | (unsigned)fd;
}

static inline void run_ring(void (*complete)(const struct io_uring_cqe *cqe)) {
    for (;;) {
        io_uring_submit_and_wait(&ring, 1);
        struct io_uring_cqe *cqe;
        unsigned head;
        unsigned seen = 0;
        io_uring_for_each_cqe(&ring, head, cqe) {
            complete(cqe);
            seen++;
        }
        io_uring_cq_advance(&ring, seen);
    }
}

/* Prints the port. */
static inline int listen_somewhere(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, len) < 0 || listen(listener, 4096) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) < 0) {
        die("listen", errno);
    }
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

#endif
