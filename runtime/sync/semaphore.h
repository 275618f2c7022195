/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A semaphore: a number of permits, over all loops. Posting may be done by anybody, tasks or not.
 *
 *     eddy_semaphore downloads = EDDY_SEMAPHORE_INIT(8);       at most eight at once
 *
 *     int r = eddy_semaphore_wait(&downloads);
 *     if (r == 0) {
 *         ...
 *         eddy_semaphore_post(&downloads);
 *     }
 *
 * Fair: permits go to those who wait in the order in which they came.
 */
#ifndef EDDY_RUNTIME_SYNC_SEMAPHORE_H
#define EDDY_RUNTIME_SYNC_SEMAPHORE_H

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

typedef struct eddy_semaphore {
    uint64_t count;       /* permits; read and written by the library once it is in use */
    uint64_t private_[4]; /* zero at first */
} eddy_semaphore;

#define EDDY_SEMAPHORE_INIT(permits) \
    { \
        (permits), { \
            0, 0, 0, 0 \
        } \
    }

/**
 * Take a permit, waiting for one.
 *
 * Shape:   0 when it was taken.
 * Owns:    borrows the semaphore until it returns.
 * Errors:  -ECANCELED, -ETIME; EDDY_ENOTASK.
 * Threads: fiber, on any loop.
 * Cancel:  suspends; no permit is lost: one that was given at the same moment is had (0).
 */
EDDY_API int eddy_semaphore_wait(eddy_semaphore *semaphore);

/**
 * Take a permit if there is one and nobody waits for it.
 *
 * Shape:   0 when it was taken.
 * Owns:    nothing.
 * Errors:  -EAGAIN.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_semaphore_try_wait(eddy_semaphore *semaphore);

/**
 * Give a permit: to the task that has waited longest, or to whoever comes.
 *
 * Shape:   0.
 * Owns:    nothing.
 * Errors:  -EOVERFLOW there are UINT64_MAX already.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_semaphore_post(eddy_semaphore *semaphore);

/**
 * How many permits there are now.
 *
 * Shape:   may be another number by the time it returns.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API uint64_t eddy_semaphore_count(eddy_semaphore *semaphore);

EDDY_END_DECLS

#endif
