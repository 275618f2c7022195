/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A condition: to wait, with a mutex held, until what it guards has changed.
 *
 *     eddy_mutex_lock(&lock);
 *     while (queue_is_empty() && r == 0) {
 *         r = eddy_condition_wait(&not_empty, &lock);      without the lock meanwhile
 *     }
 *     ...
 *     eddy_mutex_unlock(&lock);                            held again, whatever r is
 */
#ifndef EDDY_RUNTIME_SYNC_CONDITION_H
#define EDDY_RUNTIME_SYNC_CONDITION_H

#include <eddy/runtime/sync/mutex.h>

EDDY_BEGIN_DECLS

typedef struct eddy_condition {
    uint64_t private_[4]; /* zero: nobody waits */
} eddy_condition;

/**
 * Unlock, wait for a signal, lock again.
 *
 * Shape:   0 after a signal; look at the condition again. The mutex is held in every case but
 *          EDDY_ENOTASK and -EPERM.
 * Owns:    borrows both until it returns.
 * Errors:  -EPERM this task does not hold the mutex; -ECANCELED, -ETIME; EDDY_ENOTASK.
 * Threads: fiber, on any loop.
 * Cancel:  suspends; locking again is not refused, so after -ECANCELED the mutex is held too. A
 *          signal that came at the same moment counts (0).
 */
EDDY_API int eddy_condition_wait(eddy_condition *condition, eddy_mutex *mutex);

/**
 * Wake the task that has waited longest.
 *
 * Shape:   nothing happens when nobody waits.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: any thread; for sense, with the mutex held.
 * Cancel:  does not suspend.
 */
EDDY_API void eddy_condition_signal(eddy_condition *condition);

/**
 * Wake all tasks that wait.
 *
 * Shape:   as eddy_condition_signal.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API void eddy_condition_broadcast(eddy_condition *condition);

EDDY_END_DECLS

#endif
