/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interval: ticks at equal distances, whatever the work between them takes.
 *
 *     eddy_interval every;
 *     eddy_interval_init(&every, 100 * EDDY_MS, EDDY_INTERVAL_SKIP);
 *     int64_t ticks;
 *     while ((ticks = eddy_interval_wait(&every)) > 0) {
 *         sample();
 *     }
 *
 * A tick is missed when the one after it is due before anybody has waited for it, because the task
 * was busy. What becomes of it is a choice (period 10 from 0 on, first waited for at 25):
 *
 *     BURST   25 25 30 40        at once, one after another, until it has caught up
 *     SKIP    25    30 40        one at once that counts for all missed, then in step again
 *     DELAY   25    35 45        one at once, and the others a period after that
 *
 * A tick that comes late without having been missed moves no other: nothing drifts.
 */
#ifndef EDDY_RUNTIME_TASK_INTERVAL_H
#define EDDY_RUNTIME_TASK_INTERVAL_H

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

typedef enum eddy_interval_missed {
    EDDY_INTERVAL_BURST = 0,
    EDDY_INTERVAL_SKIP,
    EDDY_INTERVAL_DELAY,
} eddy_interval_missed;

typedef struct eddy_interval {
    int64_t period_ns; /* may be changed between two waits: holds after the next tick */
    int64_t next_ns;   /* when the next tick is, on the loop's clock */
    eddy_interval_missed missed;
} eddy_interval;

/**
 * Begin an interval; the first tick is one period from now.
 *
 * Shape:   0. period_ns is 1 or more. To have the first tick at another time set next_ns
 *          afterwards.
 * Owns:    the struct is the caller's; nothing has to be freed.
 * Errors:  -EINVAL; EDDY_ENOTASK no loop runs on this thread.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_interval_init(eddy_interval *interval, int64_t period_ns,
                                eddy_interval_missed missed);

/**
 * Wait for the next tick.
 *
 * Shape:   returns how many ticks this one stands for: 1, or with EDDY_INTERVAL_SKIP one more for
 *          each that was missed.
 * Owns:    nothing. No allocation.
 * Errors:  -ECANCELED, -ETIME: the tick is not lost, the next call waits for it; EDDY_ENOTASK;
 *          -EINVAL interval is NULL, or its period is less than 1.
 * Threads: fiber; one task at a time.
 * Cancel:  suspends.
 */
EDDY_API int64_t eddy_interval_wait(eddy_interval *interval);

/**
 * Suspend until the wall clock has reached a time, however it is set meanwhile.
 *
 * Shape:   0 when it has. unix_ns is nanoseconds since 1970, UTC. A time in the past is eddy_yield.
 *          A step of the clock is noticed within a second.
 * Owns:    nothing. No allocation.
 * Errors:  -ECANCELED, -ETIME, EDDY_ENOTASK.
 * Threads: fiber.
 * Cancel:  suspends; returns early.
 */
EDDY_API int eddy_sleep_until_wall(int64_t unix_ns);

EDDY_END_DECLS

#endif
