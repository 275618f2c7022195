/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many processors a program may keep busy. A container on a large machine often may use two of
 * its hundred: one thread for each of the hundred would only make them wait for each other.
 */
#ifndef EDDY_RUNTIME_BASE_CPU_IMPL_H
#define EDDY_RUNTIME_BASE_CPU_IMPL_H

#include <eddy/runtime/base/api.h>

/* On how many processors the calling thread may run; at least 1. */
int eddyi_cpu_affinity(void);

/*
 * How many processors' time the cgroups of this process grant, rounded up; 0: no limit is set or
 * can be read. Asks cgroup 2 (cpu.max) and 1 (cpu.cfs_quota_us), all groups from our own to the top
 * that is mounted, and takes the least. `root` stands before each absolute path ("": none), so that
 * tests can show it other systems.
 */
int eddyi_cpu_limit(const char *root);

/* The smaller of the two; at least 1. */
int eddyi_cpu_count(const char *root);

/* How many there are, for this thread or for others: those of the machine that are in use, and no
 * more than the cgroups grant; at least 1. */
int eddyi_cpu_there(const char *root);

#endif
