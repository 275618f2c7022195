/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task-local values: what a request id or a trace is kept in without passing it through every call.
 *
 *     static eddy_local request_id = EDDY_LOCAL_INIT(EDDY_LOCAL_INHERIT, NULL);
 *
 *     eddy_local_set(&request_id, "r-17");
 *     ... in the same task, and in those it starts from now on:
 *     printf("%s\n", (const char *)eddy_local_get(&request_id));
 *
 * What is inherited. A task that is started by a task (eddy_spawn, eddy_task_start, on this loop or
 * on another) begins with the values that its parent had in the keys of EDDY_LOCAL_INHERIT at that
 * moment. It has pointers of its own: what either sets afterwards the other does not see. What they
 * point to is one and the same, so a value that is shared with another loop must not be changed, or
 * be safe to use from two threads. Children end before their parent does, so memory that lives as
 * long as the task that set the value is long enough. A task that is started outside of every task
 * begins with nothing.
 */
#ifndef EDDY_RUNTIME_TASK_LOCAL_H
#define EDDY_RUNTIME_TASK_LOCAL_H

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

enum {
    EDDY_LOCAL_OWN = 0,     /* a new task begins without the value */
    EDDY_LOCAL_INHERIT = 1, /* a new task begins with its parent's pointer, on any loop */
};

/* How many different values a program may have. */
#define EDDY_LOCALS_MAX 64

/* A value's key. Static, one for each value; the same in all tasks and threads. */
typedef struct eddy_local {
    int inherit; /* EDDY_LOCAL_OWN or EDDY_LOCAL_INHERIT */
    /* Called once with each value that a task has set, when the task sets another one or ends: then
     * after its children have ended and before anybody hears of its end. Must not suspend. NULL:
     * nothing is called. Not with EDDY_LOCAL_INHERIT, where several tasks share one pointer. */
    void (*dispose)(void *value);
    int slot_; /* the library's: 0 until first used */
} eddy_local;

#define EDDY_LOCAL_INIT(inherit_, dispose_) \
    { (inherit_), (dispose_), 0 }

/**
 * Set the running task's value.
 *
 * Shape:   value may be NULL, which is what a task that never set one has. Setting the value that
 *          it has already disposes of nothing.
 * Owns:    borrows value until the task sets another one or ends, and when it is inherited until
 *          the children that began with it have ended; or, with `dispose`, consumes it on success.
 * Errors:  EDDY_ENOTASK; -ENOMEM; EDDY_ELIMIT more than EDDY_LOCALS_MAX keys; -EINVAL a key that
 *          inherits has a dispose. The old value stays.
 * Threads: fiber.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_local_set(eddy_local *local, void *value);

/**
 * The running task's value.
 *
 * Shape:   NULL when none was set or inherited, outside of a task, and in a `dispose` that the
 *          task's end calls.
 * Owns:    borrowed from the task.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API void *eddy_local_get(const eddy_local *local);

EDDY_END_DECLS

#endif
