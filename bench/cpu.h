/* SPDX-License-Identifier: Apache-2.0 */
/* What a load has to know of the server that it measures: the time, and the CPU that it used. */
#ifndef EDDY_BENCH_CPU_H
#define EDDY_BENCH_CPU_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
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
