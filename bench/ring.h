/* SPDX-License-Identifier: Apache-2.0 */
/* What the bare io_uring programs share: a ring in its best form. */
#ifndef EDDY_BENCH_RING_H
#define EDDY_BENCH_RING_H

#include <liburing.h>

#include "listen.h"

static struct io_uring ring;

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

#endif
