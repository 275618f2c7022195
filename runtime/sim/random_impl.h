/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dice of a simulated world: splitmix64, small and good enough to choose latencies with. Each
 * purpose has a generator of its own, so that a program which draws one more secret does not get
 * another network.
 */
#ifndef EDDY_RUNTIME_SIM_RANDOM_IMPL_H
#define EDDY_RUNTIME_SIM_RANDOM_IMPL_H

#include <eddy/runtime/base/assert_impl.h>

struct eddyi_sim_random {
    uint64_t state;
};

/* Chances are so many of this. */
#define EDDYI_SIM_ALWAYS 1024

static inline uint64_t eddyi_sim_random_mix(uint64_t z) {
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t eddyi_sim_random_next(struct eddyi_sim_random *random) {
    return eddyi_sim_random_mix(random->state += UINT64_C(0x9e3779b97f4a7c15));
}

/* 0 .. count - 1; count is at least 1. */
static inline uint64_t eddyi_sim_random_below(struct eddyi_sim_random *random, uint64_t count) {
    EDDY_ASSERT(count > 0);
    /* The high half of the product; its bias of count in 2^64 is nothing here. */
    return (uint64_t)(((unsigned __int128)eddyi_sim_random_next(random) * count) >> 64);
}

static inline bool eddyi_sim_random_chance(struct eddyi_sim_random *random, uint32_t chance) {
    return chance != 0 && eddyi_sim_random_below(random, EDDYI_SIM_ALWAYS) < chance;
}

#endif
