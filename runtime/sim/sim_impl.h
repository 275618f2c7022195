/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's part of a loop: the world it runs in, its host there, and the few real things that
 * reach into a simulation: the wake-up from other threads, and operations on real descriptors.
 *
 * So far each loop has a world of its own; what is kept apart here (a world knows no loop, a host
 * knows only its world) is kept apart so that several can share one.
 */
#ifndef EDDY_RUNTIME_SIM_SIM_IMPL_H
#define EDDY_RUNTIME_SIM_SIM_IMPL_H

#include <poll.h>

#include <eddy/runtime/loop/loop_impl.h>
#include <eddy/runtime/sim/socket_impl.h>

struct eddyi_sim {
    struct eddyi_sim_world world;
    struct eddyi_sim_host host;
    eddy_buffer log_path; /* where the log goes in the end; empty for nowhere */
    uint64_t pending;     /* ops between submit and DONE, without those on offload */
    uint64_t jobs_run;
    struct eddyi_list jobs;     /* not yet run */
    int wake_fd;                /* an eventfd */
    _Atomic int woken;          /* something was written to it */
    struct eddyi_list real_ops; /* on real descriptors, by op->in_driver */
    size_t real_count;
    struct pollfd *polls; /* room for all real ops and the eventfd */
    size_t poll_cap;
    unsigned turns_unlooked; /* waits since poll(2) was last asked */
};

/* What the driver keeps in an op. */
struct eddyi_sim_op {
    struct eddyi_sim_event event;    /* its completion, or its cancel */
    struct eddyi_sim_socket *socket; /* NULL: a real descriptor, or a bad one */
    uint64_t id;                     /* for the log */
    bool begun;                      /* tried once; CONNECT waits for the handshake's end since */
};

_Static_assert(sizeof(struct eddyi_sim_op) <= sizeof(((struct eddyi_op *)0)->offload.job),
               "an op has room for what the simulation keeps in it");
_Static_assert(_Alignof(struct eddyi_sim_op) <= _Alignof(void *), "and is aligned for it");

static inline struct eddyi_sim *eddyi_sim_of(eddy_loop *loop) {
    return loop->driver_state;
}
static inline struct eddyi_sim_op *eddyi_sim_op_of(struct eddyi_op *op) {
    return (struct eddyi_sim_op *)(void *)op->offload.job;
}
static inline struct eddyi_op *eddyi_sim_op_back(struct eddyi_sim_op *own) {
    return EDDYI_CONTAINER(own, struct eddyi_op, offload);
}

/* ---- operation.c ----------------------------------------------------------------------------- */

int64_t eddyi_sim_op_attempt(struct eddyi_sim *sim, struct eddyi_op *op);
void eddyi_sim_op_submit(struct eddyi_sim *sim, struct eddyi_op *op);
void eddyi_sim_op_cancel(struct eddyi_sim *sim, struct eddyi_op *op);
/* The op's one end: out of all lists and queues. */
void eddyi_sim_op_end(struct eddyi_sim *sim, struct eddyi_op *op, int64_t result);

/* ---- real.c: descriptors that the kernel knows ----------------------------------------------- */

/* Without waiting: the result, or -EAGAIN. */
int64_t eddyi_sim_real_try(struct eddyi_op *op);
/* Room to poll for one more; false when there is no memory. */
bool eddyi_sim_real_reserve(struct eddyi_sim *sim);
/* Forgets what was written to the eventfd. */
void eddyi_sim_real_drain(struct eddyi_sim *sim);
/* Waits up to `timeout_ms` (-1: for ever) for real descriptors and a wake; ends what can end. */
void eddyi_sim_real_poll(struct eddyi_sim *sim, int timeout_ms);

/* ---- host.c ---------------------------------------------------------------------------------- */

/* Fills host->table. */
void eddyi_sim_host_table(struct eddyi_sim_host *host);

#endif
