/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event: something that has happened, or not yet. Setting lets everybody through who waits, and
 * who comes later, until it is cleared. Setting may be done by anybody, tasks or not.
 *
 *     static eddy_event ready;                        zeroed is not set
 *
 *     eddy_event_wait(&ready);                        in some tasks
 *     eddy_event_set(&ready);                         once, from anywhere
 */
#ifndef EDDY_RUNTIME_SYNC_EVENT_H
#define EDDY_RUNTIME_SYNC_EVENT_H

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

typedef struct eddy_event {
    uint64_t private_[4]; /* zero: not set */
} eddy_event;

/**
 * Wait until the event is set.
 *
 * Shape:   0 when it is, or was while this task waited.
 * Owns:    borrows the event until it returns.
 * Errors:  -ECANCELED, -ETIME; EDDY_ENOTASK.
 * Threads: fiber, on any loop.
 * Cancel:  suspends.
 */
EDDY_API int eddy_event_wait(eddy_event *event);

/**
 * Set the event and wake all who wait.
 *
 * Shape:   again is fine.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API void eddy_event_set(eddy_event *event);

/**
 * Clear the event: who comes from now on waits.
 *
 * Shape:   true when it was set.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API bool eddy_event_clear(eddy_event *event);

/**
 * Whether the event is set now.
 *
 * Shape:   may have changed by the time it returns.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API bool eddy_event_is_set(eddy_event *event);

EDDY_END_DECLS

#endif
