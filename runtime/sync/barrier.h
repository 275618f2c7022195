/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A barrier: tasks that wait for each other. When as many have come as it is made for, all go on,
 * and it is ready for the next round.
 *
 *     static eddy_barrier phase = EDDY_BARRIER_INIT(4);
 *
 *     int r = eddy_barrier_wait(&phase);              1 in one of the four, 0 in the others
 */
#ifndef EDDY_RUNTIME_SYNC_BARRIER_H
#define EDDY_RUNTIME_SYNC_BARRIER_H

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

typedef struct eddy_barrier {
    uint64_t parties;     /* how many tasks make a round; 0 counts as 1 */
    uint64_t private_[4]; /* zero at first */
} eddy_barrier;

#define EDDY_BARRIER_INIT(parties) \
    { \
        (parties), { \
            0, 0, 0, 0 \
        } \
    }

/**
 * Wait until the round is complete.
 *
 * Shape:   1 for the task that completed the round, 0 for the others.
 * Owns:    borrows the barrier until it returns.
 * Errors:  -ECANCELED, -ETIME; EDDY_ENOTASK.
 * Threads: fiber, on any loop.
 * Cancel:  suspends; a task that goes does not count any more, the others wait on. A round that was
 *          completed at the same moment counts (0).
 */
EDDY_API int eddy_barrier_wait(eddy_barrier *barrier);

/**
 * How many tasks wait now.
 *
 * Shape:   0 .. parties - 1.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API uint64_t eddy_barrier_waiting(eddy_barrier *barrier);

EDDY_END_DECLS

#endif
