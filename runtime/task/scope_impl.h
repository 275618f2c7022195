/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scopes form a tree on each loop: a task's root hangs below the scope that it was spawned in, and
 * the scopes that it enters hang below its root, one in the other.
 *
 *     loop root
 *      `- task A root
 *          `- scope s  (A's innermost)          `effective` of each node is the strongest of its
 *          own
 *              |- task B root                    code and its parent's (a shield looks only at its
 *              `- task C root                    own), kept up to date when a code changes, so that
 *                  `- scope t                    a suspending call reads one word.
 *
 * A task on another loop hangs below that loop's root and is tied to its scope by a `remote`.
 */
#ifndef EDDY_RUNTIME_TASK_SCOPE_IMPL_H
#define EDDY_RUNTIME_TASK_SCOPE_IMPL_H

#include <eddy/runtime/loop/cell_impl.h>
#include <eddy/runtime/task/scope.h>

struct eddy_task;

struct __attribute__((may_alias)) eddyi_scope {
    /* 0, -ETIME or -ECANCELED: what suspending calls here return. EDDY_EFORKED: of a task that
     * forked, in the child. */
    int effective;
    int own;                    /* the same, of this scope itself */
    struct eddyi_scope *parent; /* NULL for a loop's root */
    struct eddy_task *owner;    /* whose scope it is; NULL for a loop's root */
    eddy_loop *loop;
    const char *site;           /* where it was entered; unset in roots */
    struct eddyi_list siblings; /* in parent->children */
    struct eddyi_list children; /* scopes below, by siblings */
    struct eddyi_list futures;  /* handles that the scope owns, by eddy_future.owned */
    struct eddyi_list remotes;  /* tasks on other loops, by struct eddyi_remote.in_scope */
    uint64_t running;           /* spawned tasks that have not ended, remote ones included */
    uint32_t limit;             /* 0: none */
    uint8_t policy;             /* eddy_scope_policy */
    bool shield;
    bool expired;               /* its own deadline passed */
    bool cancelled;             /* by eddy_scope_cancel on this very scope */
    bool entered;               /* between enter and leave */
    bool succeeded;             /* EDDY_SCOPE_ANY: `success` is valid */
    bool failed;                /* `own` is there because a task of it failed */
    struct eddy_task *joiner;   /* parked in leave until running is 0 */
    struct eddyi_list spawners; /* tasks parked at the limit, struct spawner in scope.c */
    int64_t deadline_ns;        /* its own; EDDY_NEVER */
    struct eddyi_timer timer;
    int64_t success;
    uint64_t failure_count;
    eddy_scope_failure failures[EDDY_SCOPE_FAILURES_MAX]; /* the first failure_count are valid */
};

_Static_assert(sizeof(struct eddyi_scope) <= sizeof(eddy_scope),
               "eddy_scope has room for its inside");

static inline struct eddyi_scope *eddyi_scope_of(eddy_scope *scope) {
    return (struct eddyi_scope *)(void *)scope;
}

/* Sets up `scope` below `parent` (NULL for a loop's root). */
void eddyi_scope_init(struct eddyi_scope *scope, struct eddyi_scope *parent, eddy_loop *loop,
                      struct eddy_task *owner);
/* Takes it out of the tree; nothing may be left in it. */
void eddyi_scope_done(struct eddyi_scope *scope);
/* The scope's loop is being freed: a shield without a deadline gets that of the loop's grace. */
void eddyi_scope_limit(struct eddyi_scope *scope);
/* Raises the scope's code to -ETIME or -ECANCELED and tells everything below. */
void eddyi_scope_raise(struct eddyi_scope *scope, int code);
/* Waits until no spawned task is left, then releases the futures. Not refused by a cancel. */
void eddyi_scope_join(struct eddyi_scope *scope);
/* In the child of a fork: the scope, in which the task that forked stands, and all around it have
 * nothing but EDDY_EFORKED from now on. Wakes nobody. */
void eddyi_scope_forked(struct eddyi_scope *scope);
/* A task's root, which has returned `result`: ends what the task has left in it and gives the
 * task's result, which is that of a scope that is left with `result`. *ret_cancelled is the code
 * under which the task stood, without the cancel that follows on a failure in the root itself. */
int64_t eddyi_scope_end_root(struct eddyi_scope *root, int64_t result, int *ret_cancelled);
/* A spawned task of the scope has ended. `cancelled` is the code that the task itself stood
 * under. */
void eddyi_scope_child_ended(struct eddyi_scope *scope, int64_t result, int cancelled,
                             const char *site, const char *name);
/* Waits for room under the limit, then counts one more running task: 0 or the scope's code. */
int eddyi_scope_admit(struct eddyi_scope *scope);
/* What was admitted could not be started. */
void eddyi_scope_retract(struct eddyi_scope *scope);
/* The nearest deadline that holds in it; EDDY_NEVER. */
int64_t eddyi_scope_deadline(const struct eddyi_scope *scope);
/* Gives a handle to the current scope; without a task to the loop, without a loop to nobody: then
 * it can be forgotten, and `place` is the caller's EDDYI_PLACE. */
void eddyi_scope_own(eddy_future *cell, const void *place);
/* A future that has failed, owned likewise: what a start gives that could not begin. */
eddy_future *eddyi_scope_own_failed(eddy_loop *home, int64_t error, const void *place);

#endif
