/* SPDX-License-Identifier: Apache-2.0 */
/* What the bare io_uring programs share: a ring in its best form. */
#ifndef EDDY_BENCH_RING_H
#define EDDY_BENCH_RING_H

#include <liburing.h>
#include <signal.h>
#include <stdbool.h>

#include "listen.h"

/* Newer than Debian 12's headers: Linux 6.6. */
#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16)
#endif

static _Thread_local struct io_uring ring;

/* How the ring is made and waited for; a program may say otherwise before start_ring. */
static struct {
    unsigned flags;       /* IORING_SETUP_... */
    bool registered;      /* its descriptor, by IORING_REGISTER_RING_FDS */
    unsigned batch;       /* so many completions are waited for, ... */
    unsigned min_wait_us; /* ... but after so long for one; 0: no such wait */
} ring_form = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, .batch = 1};

/* liburing 2.3 would fill the array of entries that such a ring has not. */
static inline int map_without_array(struct io_uring_params *params) {
    static unsigned nowhere[256];
    int fd = io_uring_setup(sizeof nowhere / sizeof nowhere[0], params);
    int error = fd < 0 ? fd : io_uring_queue_mmap(fd, params, &ring);
    ring.sq.array = nowhere;
    return error;
}

static inline void start_ring(void) {
    struct io_uring_params params = {
        .flags = ring_form.flags | IORING_SETUP_CQSIZE,
        .cq_entries = 4096,
    };
    int error = (params.flags & IORING_SETUP_NO_SQARRAY) != 0
                    ? map_without_array(&params)
                    : io_uring_queue_init_params(256, &ring, &params);
    if (error < 0) {
        die("io_uring_queue_init_params", -error);
    }
    if (ring_form.registered && io_uring_register_ring_fd(&ring) != 1) {
        die("io_uring_register_ring_fd", EINVAL);
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

/* Linux 6.12: sleeps until the batch is full, or the least time is over and anything has come. */
static inline void submit_and_wait_for_batch(void) {
    /* io_uring_getevents_arg, whose last but one was padding in Debian 12's headers. */
    const struct {
        uint64_t sigmask;
        uint32_t sigmask_size;
        uint32_t min_wait_us;
        uint64_t timeout;
    } arg = {.sigmask_size = _NSIG / 8, .min_wait_us = ring_form.min_wait_us};
    _Static_assert(sizeof arg == sizeof(struct io_uring_getevents_arg), "it is the kernel's");
    io_uring_smp_store_release(ring.sq.ktail, ring.sq.sqe_tail);
    io_uring_enter2((unsigned)ring.ring_fd, ring.sq.sqe_tail - *ring.sq.khead, ring_form.batch,
                    IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, (sigset_t *)(uintptr_t)&arg,
                    sizeof arg);
}

static inline void run_ring(void (*complete)(const struct io_uring_cqe *cqe)) {
    for (;;) {
        if (ring_form.min_wait_us == 0) {
            io_uring_submit_and_wait(&ring, ring_form.batch);
        } else {
            submit_and_wait_for_batch();
        }
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
