/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sim/plan_impl.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DRAW(random, array) ((array)[eddyi_sim_random_below((random), COUNT(array))])

/* What loopback takes, about. */
#define CALM_LATENCY_NS (20 * EDDY_US)
#define CALM_BUFFER_BYTES (64u << 10)

/* The slowest ordinary packet takes about so many times as long as the fastest. */
#define LATENCY_SPREAD 3

/* Each list has the quiet case in it, so that every perturbation is also met without the others. */
static const uint32_t order_chances[] = {128, 512, EDDYI_SIM_ALWAYS};
static const uint32_t short_chances[] = {0, 64, 512, 1000};
static const uint32_t again_chances[] = {0, 64, 256};
static const uint32_t split_chances[] = {0, 64, 512};
static const uint32_t late_chances[] = {0, 64, 512};
static const uint32_t cancel_late_chances[] = {0, 256, 768};
static const int64_t latencies_ns[] = {1 * EDDY_US, 50 * EDDY_US, 1 * EDDY_MS, 20 * EDDY_MS};
static const int64_t lates_ns[] = {1 * EDDY_US, 100 * EDDY_US, 5 * EDDY_MS};
static const int64_t jobs_ns[] = {1 * EDDY_US, 100 * EDDY_US, 10 * EDDY_MS};
/* Not smaller: programs may take it for granted that a kernel keeps a few KiB for them. */
static const uint32_t buffers_bytes[] = {16u << 10, 64u << 10, 256u << 10};

void eddyi_sim_plan_calm(struct eddyi_sim_plan *plan) {
    *plan = (struct eddyi_sim_plan){
        .latency_ns = CALM_LATENCY_NS,
        .send_bytes = CALM_BUFFER_BYTES,
        .receive_bytes = CALM_BUFFER_BYTES,
    };
}

void eddyi_sim_plan_draw(struct eddyi_sim_plan *plan, struct eddyi_sim_random *random) {
    plan->order = DRAW(random, order_chances);
    plan->short_count = DRAW(random, short_chances);
    plan->again = DRAW(random, again_chances);
    plan->split = DRAW(random, split_chances);
    plan->late = DRAW(random, late_chances);
    plan->cancel_late = DRAW(random, cancel_late_chances);
    plan->latency_ns = DRAW(random, latencies_ns);
    plan->latency_span_ns = LATENCY_SPREAD * plan->latency_ns;
    plan->late_ns = DRAW(random, lates_ns);
    plan->job_ns = DRAW(random, jobs_ns);
    plan->send_bytes = DRAW(random, buffers_bytes);
    plan->receive_bytes = DRAW(random, buffers_bytes);
}
