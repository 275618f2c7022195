/* SPDX-License-Identifier: Apache-2.0 */
/* Round trips by the million, and their percentiles. */
#ifndef EDDY_BENCH_SAMPLES_H
#define EDDY_BENCH_SAMPLES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SAMPLES_MAX (1 << 22)

static uint32_t samples[SAMPLES_MAX]; /* in units of 100 ns */
static size_t sample_count;

static inline void sample(int64_t duration_ns) {
    if (sample_count < SAMPLES_MAX) {
        samples[sample_count++] = (uint32_t)(duration_ns / 100);
    }
}

static inline int compare_samples(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static inline void print_percentiles(void) {
    qsort(samples, sample_count, sizeof samples[0], compare_samples);
    printf("p50_us %.1f\n", samples[sample_count / 2] / 10.0);
    printf("p99_us %.1f\n", samples[sample_count * 99 / 100] / 10.0);
    printf("p999_us %.1f\n", samples[sample_count * 999 / 1000] / 10.0);
}

#endif
