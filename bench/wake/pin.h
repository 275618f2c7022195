/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EDDY_BENCH_PIN_H
#define EDDY_BENCH_PIN_H

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* A thread inherits the CPUs of the one that starts it, which may be pinned already. */
static cpu_set_t pin_allowed;

__attribute__((constructor)) static void pin_look(void) {
    sched_getaffinity(0, sizeof pin_allowed, &pin_allowed);
}

/* The calling thread on the index-th of the CPUs that the program may use. */
static inline void pin_to(int index) {
    cpu_set_t one;
    int count = CPU_COUNT(&pin_allowed);
    CPU_ZERO(&one);
    for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &pin_allowed) && seen++ == index % count) {
            CPU_SET(cpu, &one);
        }
    }
    if (pthread_setaffinity_np(pthread_self(), sizeof one, &one) != 0) {
        fprintf(stderr, "a thread cannot be pinned\n");
        exit(1);
    }
}

#endif
