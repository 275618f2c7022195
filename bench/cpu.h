/* SPDX-License-Identifier: Apache-2.0 */
/* What a load has to know of the server that it measures: the time, and the CPU that it used. */
#ifndef EDDY_BENCH_CPU_H
#define EDDY_BENCH_CPU_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline int64_t clock_ns(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static inline int64_t now_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

/* On a CPU, of all threads of this process, the kernel's own for it among them. */
static inline int64_t own_cpu_ns(void) {
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* Nanoseconds on a CPU of all threads of a process, to the scheduler's own precision. */
static inline int64_t cpu_ns_of(const char *pid) {
    char path[300];
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *threads = opendir(path);
    if (threads == NULL) {
        perror(path);
        exit(1);
    }
    long long total = 0;
    struct dirent *thread;
    while ((thread = readdir(threads)) != NULL) {
        long long used = 0;
        char file[600];
        snprintf(file, sizeof file, "%s/%s/schedstat", path, thread->d_name);
        FILE *stat = thread->d_name[0] == '.' ? NULL : fopen(file, "re");
        if (stat != NULL) {
            total += fscanf(stat, "%lld", &used) == 1 ? used : 0;
            fclose(stat);
        }
    }
    closedir(threads);
    return total;
}

#endif
