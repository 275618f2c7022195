/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EDDY_BENCH_PIN_H
#define EDDY_BENCH_PIN_H

#include <pthread.h>
#include <sched.h>

/* The calling thread on the index-th of the CPUs that it may use. */
static inline void pin_to(int index) {
    cpu_set_t may;
    cpu_set_t one;
    sched_getaffinity(0, sizeof may, &may);
    int count = CPU_COUNT(&may);
    CPU_ZERO(&one);
    for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &may) && seen++ == index % count) {
            CPU_SET(cpu, &one);
        }
    }
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

#endif
