/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a task, and how anything makes a task wait.
 *
 *     high address   struct eddyi_stack      (runtime/task/stack_impl.h)
 *                    struct eddy_task        the record
 *                    the copied argument
 *                    the task's frames, growing down
 *     low address    guard
 *
 * Waiting, in three steps, on the task's own thread:
 *     1. eddyi_task_checkpoint: refuses when cancelled, charges the budget.
 *     2. Register with whatever will call eddyi_task_wake, from any thread, until step 3 ends.
 *     3. eddyi_task_park; then deregister, and look whether what was waited for has come: a
 *        wake-up for a cancel may come together with the real one, and the real one wins.
 */
#ifndef EDDY_RUNTIME_TASK_TASK_IMPL_H
#define EDDY_RUNTIME_TASK_TASK_IMPL_H

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/loop/cell_impl.h>
#include <eddy/runtime/task/fiber_impl.h>
#include <eddy/runtime/task/scope_impl.h>
#include <eddy/runtime/task/stack_impl.h>
#include <eddy/runtime/task/task.h>

typedef struct eddy_task eddy_task;

/* A spawned task on another loop, between the two: runtime/task/spawn.c. */
struct eddyi_remote {
    struct eddyi_list in_scope; /* in scope->remotes; the scope's loop */
    struct eddyi_scope *scope;
    eddy_loop *origin; /* the scope's loop */
    eddy_loop *target; /* the task's */
    _Atomic int refs;  /* the task's life, and a cancel message under way */
    _Atomic int code;  /* the cancel's code, 0 for none */
    _Atomic bool cancel_queued;
    eddy_task *task; /* target's thread; NULL before the start and after the end */
    eddy_task_fn fn;
    void *arg;
    size_t copy; /* bytes at `bytes`, or 0 */
    const char *site;
    int64_t deadline_ns; /* inherited */
    void **locals;       /* inherited; NULL once the task has them */
    int64_t result;
    int cancelled;
    char name[32];
    struct eddyi_ready start;
    struct eddyi_ready cancel;
    struct eddyi_ready ended;
    _Alignas(max_align_t) char bytes[];
};

enum eddyi_task_state {
    EDDYI_TASK_READY, /* queued */
    EDDYI_TASK_RUNNING,
    EDDYI_TASK_PARKED, /* `wait` says for what */
    EDDYI_TASK_ENDED,
};

/* What a parked task waits for. On the task's own stack. */
struct eddyi_wait {
    /* A cancel or deadline reached the task, which is parked: make it wake, at once or later. NULL:
     * this wait is never refused. eddyi_wait_wake just wakes. */
    void (*interrupt)(struct eddyi_wait *wait);
    const char *what; /* "read", "lock": static, for dumps */
    eddy_task *task;  /* set by park */
};

struct eddy_task {
    /* What a switch touches comes first. */
    struct eddyi_ready ready;
    eddy_loop *loop;
    struct eddyi_scope *scope; /* the innermost */
    uint8_t state;             /* enum eddyi_task_state; loop's thread only */
    bool queued;               /* `ready` is in the queue; loop's thread only */
    bool copied;               /* the argument was copied to this stack */
    /* 1 while `from_afar` is on its way: it is queued at most once */
    _Atomic uint8_t woken;
    /* How far below the record the stack pointer may be; 0: more is to be looked at. */
    size_t reach;
    struct eddyi_fiber fiber;
    struct eddyi_ready from_afar; /* another thread's wake-up on its way */
    struct eddyi_wait *wait;      /* while PARKED */
    eddy_task_fn fn;
    void *arg;
    int64_t result;
    eddy_future *cell;           /* eddy_task_start's, or NULL */
    struct eddyi_remote *remote; /* spawned in a scope of another loop, or NULL */
    struct eddyi_stack *stack;
    const char *site;
    uint64_t id;
    struct eddyi_list in_loop;   /* in the room's `all` */
    void **locals;               /* runtime/task/local.c: slots by key, or NULL */
    struct eddyi_detail *detail; /* the last error's sentence, or NULL */
    char name[32];
    /* the implicit scope around fn; last: its failures stay untouched */
    struct eddyi_scope root;
};

/* The task room's part of a loop. */
struct eddyi_task_room {
    struct eddyi_fiber fiber; /* the loop's own, which tasks switch back to */
    bool fiber_ready;
    eddy_task *ended; /* the last one: its stack may still be stood on */
    struct eddyi_stack_pool stacks;
    struct eddyi_list all;   /* every task, by in_loop */
    struct eddyi_scope root; /* what has no other scope */
    int64_t trimmed_ns;      /* when free stacks were last looked at */
    uint64_t last_id;        /* the number of the youngest task, and how many the loop has yet */
    unsigned ids_left;
};

extern _Thread_local eddy_task *eddyi_task_here; /* the running task, or NULL */

/* Makes the room on first use: 0 or -ENOMEM. Loop's thread, or before the loop is bound. */
int eddyi_task_room(eddy_loop *loop);

/* A new task in `scope`, queued, with the locals of the task that calls. With copy > 0 bytes of
 * `arg` go to its stack. The caller has admitted it (eddyi_scope_admit) when it counts as
 * running. */
int eddyi_task_new(eddy_loop *loop, struct eddyi_scope *scope, const char *site, eddy_task_fn fn,
                   void *arg, size_t copy, eddy_task **ret_task);

/* runtime/task/local.c: what a child of `parent` (NULL: of none) begins with, for its `locals`:
 * NULL for nothing, else freed with eddyi_free by whoever does not get it into a task. 0 or
 * -ENOMEM. On the parent's thread; what it gives may go to another one. */
int eddyi_local_inherit(const eddy_task *parent, void ***ret_locals);
/* Disposes of a task's values. Nothing in the task may run afterwards that sets one. */
void eddyi_local_done(eddy_task *task);

/* runtime/task/spawn.c: the task has ended; tells the scope on the loop that spawned it. */
void eddyi_remote_ended(struct eddyi_remote *remote, eddy_task *task, int cancelled);
/* The task of an eddy_task_start has ended; completes its future. */
void eddyi_task_cell_ended(eddy_task *task);
/* Tells the task of a remote to end; the scope's loop. */
void eddyi_remote_cancel(struct eddyi_remote *remote, int code);

/* ---- waiting --------------------------------------------------------------------------------- */

/* Lets others run; the slow part of the one below. */
int eddyi_task_yield(eddy_task *task);

/* The first line of every suspending call: the cancel's code, or 0 once the call may go on. */
static inline int eddyi_task_checkpoint(eddy_task *task) {
    eddy_loop *loop = task->loop;
    if (EDDYI_UNLIKELY(loop->budget <= 0 && !eddyi_loop_more(loop))) {
        return eddyi_task_yield(task);
    }
    loop->budget--;
    return task->scope->effective;
}

/* For calls that a cancel does not refuse: the charge alone, as their last line, when nothing is
 * used any more that another task may give back meanwhile. */
static inline void eddyi_task_charge(eddy_task *task) {
    (void)eddyi_task_checkpoint(task);
}

/* The running task, after its checkpoint: 0, EDDY_ENOTASK, -ECANCELED or -ETIME. */
static inline int eddyi_task_enter(eddy_task **ret_task) {
    eddy_task *task = eddyi_task_here;
    if (EDDYI_UNLIKELY(task == NULL)) {
        return EDDY_ENOTASK;
    }
    *ret_task = task;
    return eddyi_task_checkpoint(task);
}

/* The code under which the task stands now: 0, -ECANCELED or -ETIME. */
static inline int eddyi_task_cancelled(const eddy_task *task) {
    return task->scope->effective;
}

/* Suspends the running task until somebody wakes it. Wake-ups are never lost: one that came after
 * registering and before this call counts. */
void eddyi_task_park(eddy_task *task, struct eddyi_wait *wait);

/* Makes a parked (or parking) task ready. Any thread; the waker's registration keeps it alive. */
static inline void eddyi_task_wake(eddy_task *task) {
    if (EDDYI_LIKELY(eddyi_loop_here == task->loop)) {
        if (!task->queued) {
            task->queued = true;
            eddyi_loop_ready(task->loop, &task->ready);
        }
    } else if (atomic_exchange_explicit(&task->woken, 1, memory_order_acq_rel) == 0) {
        eddyi_loop_ready_from_any(task->loop, &task->from_afar);
    }
}

/* For eddyi_wait.interrupt. */
static inline void eddyi_wait_wake(struct eddyi_wait *wait) {
    eddyi_task_wake(wait->task);
}

/* Waits for an op and returns its result: inline when the driver can (unless `defer`), else
 * submitted. A result of -ECANCELED under a cancel comes back as the cancel's code. Returns only
 * when the driver has let go of the op. The caller did the checkpoint. */
int64_t eddyi_task_op(eddy_task *task, struct eddyi_op *op, const char *what, bool defer);

/* The same, never refused: for close and the like. */
int64_t eddyi_task_op_uncancelled(eddy_task *task, struct eddyi_op *op, const char *what);

/* Runs fn(arg) on the offload threads while the task waits; `arg` stays borrowed until it returns,
 * so a job that has begun is waited for. For work that may be abandoned see offload_impl.h. */
int64_t eddyi_task_offload(eddy_task *task, int64_t (*fn)(void *arg), void *arg, const char *what);

/* Waits until somebody wakes the task, `duration_ns` have passed, or a cancel, whose code it gives.
 * It may also return early for nothing: the caller looks at its condition. */
int eddyi_task_pause(eddy_task *task, int64_t duration_ns, const char *what);

/* Waits for a cell: 0 once it is DONE, or the cancel's code. The caller did the checkpoint. */
int eddyi_task_await(eddy_task *task, eddy_future *cell);
/* The same, never refused. */
void eddyi_task_await_uncancelled(eddy_task *task, eddy_future *cell);

#endif
