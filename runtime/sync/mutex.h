/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mutex: one task at a time, over all loops. A task that waits suspends; its loop goes on.
 *
 *     static eddy_mutex lock;                        zeroed is unlocked and ready
 *
 *     int r = eddy_mutex_lock(&lock);
 *     if (r == 0) {
 *         ...
 *         eddy_mutex_unlock(&lock);
 *     }
 *
 * Fair: unlocking hands it to the task that has waited longest, and nobody overtakes. On one loop a
 * mutex is only needed where its holder suspends. A task must not end while it holds one.
 */
#ifndef EDDY_RUNTIME_SYNC_MUTEX_H
#define EDDY_RUNTIME_SYNC_MUTEX_H

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

typedef struct eddy_mutex {
    uint64_t private_[5]; /* zero: unlocked */
} eddy_mutex;

/**
 * Lock, waiting until it is this task's turn.
 *
 * Shape:   0 when it is held.
 * Owns:    borrows the mutex until eddy_mutex_unlock.
 * Errors:  -EDEADLK this task holds it; -ECANCELED, -ETIME; EDDY_ENOTASK.
 * Threads: fiber, on any loop.
 * Cancel:  suspends; afterwards the task is not in the queue. A lock that was handed over at the
 *          same moment is held (0), and the next call reports the cancel.
 */
EDDY_API int eddy_mutex_lock(eddy_mutex *mutex);

/**
 * Lock if nobody holds it.
 *
 * Shape:   0 when it is held.
 * Owns:    as eddy_mutex_lock.
 * Errors:  -EAGAIN somebody holds it; -EDEADLK this task does; EDDY_ENOTASK.
 * Threads: fiber, on any loop.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_mutex_try_lock(eddy_mutex *mutex);

/**
 * Unlock: the next in the queue holds it when this returns.
 *
 * Shape:   0.
 * Owns:    nothing.
 * Errors:  -EPERM this task does not hold it.
 * Threads: fiber, the one that locked.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_mutex_unlock(eddy_mutex *mutex);

EDDY_END_DECLS

#endif
