/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task-local values: what a request id or a trace is kept in without passing it through every call.
 *
 *     static eddy_local request_id = EDDY_LOCAL_INIT(EDDY_LOCAL_INHERIT, NULL);
 *
 *     eddy_local_set(&request_id, "r-17");
 *     ... in the same task, and in those it spawns from now on:
 *     printf("%s\n", (const char *)eddy_local_get(&request_id));
 */
#ifndef EDDY_RUNTIME_TASK_LOCAL_H
#define EDDY_RUNTIME_TASK_LOCAL_H

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

enum {
    EDDY_LOCAL_OWN = 0,     /* a new task begins without the value */
    EDDY_LOCAL_INHERIT = 1, /* a new task begins with its parent's pointer */
};

/* How many different values a program may have. */
#define EDDY_LOCALS_MAX 64

/* A value's key. Static, one for each value; the same in all tasks and threads. */
typedef struct eddy_local {
    int inherit; /* EDDY_LOCAL_OWN or EDDY_LOCAL_INHERIT */
    /* Called with a task's value when the task ends or sets it anew; NULL: nothing. Not with
     * EDDY_LOCAL_INHERIT, where several tasks share one pointer. */
    void (*dispose)(void *value);
    int slot_; /* the library's: 0 until first used */
} eddy_local;

#define EDDY_LOCAL_INIT(inherit_, dispose_) \
    { (inherit_), (dispose_), 0 }

/**
 * Set the running task's value.
 *
 * Shape:   value may be NULL, which is what a task that never set one has.
 * Owns:    borrows value for the task's life (and its children's, when inherited), or, with
 *          `dispose`, consumes it on success.
 * Errors:  EDDY_ENOTASK; -ENOMEM; EDDY_ELIMIT more than EDDY_LOCALS_MAX keys; -EINVAL a key that
 *          inherits has a dispose. The old value stays.
 * Threads: fiber.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_local_set(eddy_local *local, void *value);

/**
 * The running task's value.
 *
 * Shape:   NULL when none was set or inherited, and outside of a task.
 * Owns:    borrowed from the task.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API void *eddy_local_get(const eddy_local *local);

EDDY_END_DECLS

#endif
