/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scope: a stretch of code that owns tasks, a deadline and a cancellation, and ends when all in
 * it has ended.
 *
 *     eddy_scope s;
 *     eddy_scope_enter(&s, &(eddy_scope_opts){.timeout_ns = 2 * EDDY_S});
 *     eddy_spawn(fetch, "a", 0);
 *     eddy_spawn(fetch, "b", 0);
 *     int64_t r = eddy_scope_leave(&s, 0);          joins both; the first failure, or 0
 *
 * What a scope's end looks like to those inside, sticky until the scope is left:
 *     its deadline passed        every suspending call returns -ETIME
 *     it was cancelled           every suspending call returns -ECANCELED (outranks -ETIME)
 *     a task in it failed        the others and the body see -ECANCELED; leave returns the failure
 * What the body waits for is spawned: leave joins it, so with a ticker among the spawned tasks it
 * waits for ever. What should end with the body is started (eddy_task_start): leave cancels it.
 *     eddy_task_start(tick, NULL, 0);               a ticker, a watcher, a cleaner beside ...
 *     r = eddy_serve(listener, handler, NULL, NULL);
 *     r = eddy_scope_leave(&s, r);                  ... a server: ends the ticker
 * Scopes nest, and a task's children inherit all of it. A shielded scope keeps the outer cancel and
 * the outer deadline out, for cleanup that must suspend; give it a deadline of its own. (Without
 * one it gets five seconds, and then -ETIME, when its loop is freed.)
 */
#ifndef EDDY_RUNTIME_TASK_SCOPE_H
#define EDDY_RUNTIME_TASK_SCOPE_H

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

/* Lives on the stack of the task that enters it. Its inside is the library's. */
typedef struct eddy_scope {
    uint64_t private_[72];
} eddy_scope;

typedef enum eddy_scope_policy {
    EDDY_SCOPE_ALL = 0, /* the first failure cancels the rest, and is what leave returns */
    /* the first success cancels the rest; leave returns it, or the first failure */
    EDDY_SCOPE_ANY,
    /* failures cancel nothing; leave returns the first one after all have ended */
    EDDY_SCOPE_COLLECT,
} eddy_scope_policy;

typedef struct eddy_scope_opts {
    size_t size;        /* sizeof(eddy_scope_opts), or 0 (runtime/base/api.h) */
    int64_t timeout_ns; /* from now; 0: none; EDDY_ZERO: at once */
    /* on the loop's clock (eddy_loop_now); 0: none. The earlier one counts */
    int64_t deadline_ns;
    eddy_scope_policy policy; /* what a task's end means for the others */
    /* how many spawned tasks may run at once: eddy_spawn waits; 0: no limit */
    uint32_t limit;
    bool shield; /* the outer cancel and deadline stay outside */
} eddy_scope_opts;

/* One failed task, as its scope remembers it. */
typedef struct eddy_scope_failure {
    int64_t error;    /* what the task returned */
    const char *site; /* "file:line" of its spawn; static */
    char task[32];    /* its name, or "" */
} eddy_scope_failure;

/* How many failures a scope keeps in full: the first and the next ones that it suppressed. */
#define EDDY_SCOPE_FAILURES_MAX 4

/**
 * Begin a scope in the running task: eddy_scope_enter(scope, opts).
 *
 * Shape:   scope is uninitialised storage; opts NULL means no deadline, EDDY_SCOPE_ALL, no limit.
 *          Scopes are left in the reverse order of their entering, by the same task; a task that
 *          returns without leaving one ends the program, with a line that says which.
 * Owns:    borrows `scope` until eddy_scope_leave; copies opts.
 * Errors:  EDDY_ENOTASK; -EINVAL an option is out of range (the scope is then not entered).
 * Threads: fiber.
 * Cancel:  does not suspend; entering in a cancelled scope works, and the new one is cancelled too.
 */
#define eddy_scope_enter(...) eddy_scope_enter_from(EDDY_SITE, __VA_ARGS__)

/**
 * What eddy_scope_enter is made of: `site` is where a report of a scope that was not left says that
 * it was entered.
 *
 * Shape:   as eddy_scope_enter; site is "file:line".
 * Owns:    as eddy_scope_enter; borrows site until eddy_scope_leave.
 * Errors:  as eddy_scope_enter.
 * Threads: fiber.
 * Cancel:  as eddy_scope_enter.
 */
EDDY_API int eddy_scope_enter_from(const char *site, eddy_scope *scope,
                                   const eddy_scope_opts *opts);

/**
 * End a scope: wait for its tasks, release the futures started in it, and say how it went.
 *
 * Shape:   `result` is the body's own: a negative one is a failure like a task's, so with
 *          EDDY_SCOPE_ALL it cancels the tasks. Returns the first failure; else `result`. With
 *          EDDY_SCOPE_ANY the first task's success, if there was one. A scope whose deadline cut a
 *          task short returns -ETIME. Tasks that ended with -ECANCELED because the scope was
 *          cancelled are no failures. A body that passes its own -ECANCELED or -ETIME on gets it
 *          back, whoever caused it, because it did not come to its end: eddy_scope_cancelled and
 *          eddy_scope_expired tell whether it was this scope. A body for which its own cancel is
 *          the normal end passes 0.
 * Owns:    the storage is the caller's again; failures can still be read from it.
 * Errors:  whatever the tasks returned; -EINVAL the scope is not the innermost one; EDDY_ENOTASK.
 * Threads: fiber, the one that entered.
 * Cancel:  suspends, and is never refused: a cancel or a deadline makes the tasks end sooner.
 */
EDDY_API int64_t eddy_scope_leave(eddy_scope *scope, int64_t result);

/**
 * Cancel a scope: every suspending call in it, and in the scopes and tasks below, returns
 * -ECANCELED.
 *
 * Shape:   sticky, harmless when repeated. The body goes on until it leaves.
 * Owns:    nothing.
 * Errors:  -EINVAL the scope has been left; EDDY_EWRONGLOOP called on another thread.
 * Threads: loop thread; from others post a function that does it (eddy_loop_post).
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_scope_cancel(eddy_scope *scope);

/**
 * Whether this scope's own deadline has passed: tells an outer deadline's -ETIME from its own.
 *
 * Shape:   readable after leave too.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API bool eddy_scope_expired(const eddy_scope *scope);

/**
 * Whether this scope itself was cancelled by eddy_scope_cancel: tells an outer cancel's -ECANCELED
 * from its own.
 *
 * Shape:   readable after leave too. False when only a failure in it ended the rest.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API bool eddy_scope_cancelled(const eddy_scope *scope);

/**
 * How many tasks of the scope failed, the suppressed ones included.
 *
 * Shape:   readable after leave too; 0 for none. A body that failed does not count.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API uint64_t eddy_scope_failure_count(const eddy_scope *scope);

/**
 * One failure, in the order in which they happened; index 0 is the one that leave returned.
 *
 * Shape:   NULL beyond eddy_scope_failure_count, and beyond EDDY_SCOPE_FAILURES_MAX.
 * Owns:    borrowed from the scope's storage.
 * Errors:  none.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API const eddy_scope_failure *eddy_scope_failure_at(const eddy_scope *scope, size_t index);

/**
 * The deadline that holds in the running task now, the nearest of all scopes around.
 *
 * Shape:   on the loop's clock; EDDY_NEVER for none, or outside of a task.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int64_t eddy_scope_deadline(void);

EDDY_END_DECLS

#endif
