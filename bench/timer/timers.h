/* SPDX-License-Identifier: Apache-2.0 */
/* The timers that each program of this benchmark makes: a million, due within a quarter of a second
 * in no order. Each makes them twice and tells of the second time: see bench/README.md. */
#ifndef EDDY_BENCH_TIMERS_H
#define EDDY_BENCH_TIMERS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../cpu.h"

#define TIMERS 1000000
#define SPREAD_NS 250000000

static inline int64_t duration_ns(uint32_t i) {
    return (int64_t)((uint64_t)(i * 2654435761U) * SPREAD_NS >> 32);
}

static inline void print(bool tells, const char *name, int64_t begin_ns) {
    if (tells) {
        printf("%s %.3f\n", name, (double)(now_ns() - begin_ns) / TIMERS);
    }
}

#endif
