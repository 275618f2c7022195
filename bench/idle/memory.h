/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EDDY_BENCH_MEMORY_H
#define EDDY_BENCH_MEMORY_H

#include <stdio.h>
#include <unistd.h>

/* What of this process is in memory. */
static inline double resident_mib(void) {
    long size = 0;
    long resident = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm != NULL) {
        if (fscanf(statm, "%ld %ld", &size, &resident) != 2) {
            resident = 0;
        }
        fclose(statm);
    }
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

#endif
