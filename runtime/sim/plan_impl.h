/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan: how rough a world is. Its knobs are drawn from the seed before anything happens, as a
 * thousand seeds of one average roughness meet fewer bugs than a thousand different worlds: one
 * where every read is short and nothing is late, one where it is the other way round.
 */
#ifndef EDDY_RUNTIME_SIM_PLAN_IMPL_H
#define EDDY_RUNTIME_SIM_PLAN_IMPL_H

#include <eddy/runtime/sim/random_impl.h>

/* Chances are of EDDYI_SIM_ALWAYS. */
struct eddyi_sim_plan {
    uint32_t order;          /* a ready item is put anywhere, not at the end */
    uint32_t short_count;    /* a read, a send moves 1..n of the n bytes that it could */
    uint32_t again;          /* an attempt says -EAGAIN although there is something */
    uint32_t split;          /* what was sent together travels in parts */
    uint32_t late;           /* a completion comes some time after its cause */
    uint32_t cancel_late;    /* a cancel works some time after it was asked for */
    int64_t latency_ns;      /* one way through the network: from this ... */
    int64_t latency_span_ns; /* ... to so much more; 0: always the same */
    int64_t late_ns;         /* how late, at most */
    int64_t job_ns;          /* when a blocking job runs, at most */
    uint32_t send_bytes;     /* a TCP socket's send buffer, where the program sets none */
    uint32_t receive_bytes;  /* likewise */
};

/* One packet in so many takes so many times as long: a retransmission, a full switch. */
#define EDDYI_SIM_LATENCY_TAIL_CHANCE (EDDYI_SIM_ALWAYS / 64)
#define EDDYI_SIM_LATENCY_TAIL 16

/* No perturbation at all: everything in order and at once, after one small latency. */
void eddyi_sim_plan_calm(struct eddyi_sim_plan *plan);
/* A plan drawn from the generator. */
void eddyi_sim_plan_draw(struct eddyi_sim_plan *plan, struct eddyi_sim_random *random);

#endif
