/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/task/scope_impl.h>

#include <string.h>

#include <eddy/runtime/base/opts_impl.h>
#include <eddy/runtime/base/time_impl.h>
#include <eddy/runtime/task/task_impl.h>

/* ---- the tree -------------------------------------------------------------------------------- */

static void expire(struct eddyi_timer *timer) {
    struct eddyi_scope *scope = EDDYI_CONTAINER(timer, struct eddyi_scope, timer);
    scope->expired = true;
    eddyi_scope_raise(scope, -ETIME);
}

void eddyi_scope_init(struct eddyi_scope *scope, struct eddyi_scope *parent, eddy_loop *loop,
                      eddy_task *owner) {
    scope->effective = parent == NULL ? 0 : parent->effective;
    scope->own = 0;
    scope->parent = parent;
    scope->owner = owner;
    scope->loop = loop;
    eddyi_list_init(&scope->siblings);
    if (parent != NULL) {
        eddyi_list_push_back(&parent->children, &scope->siblings);
    }
    eddyi_list_init(&scope->children);
    eddyi_list_init(&scope->futures);
    eddyi_list_init(&scope->remotes);
    eddyi_list_init(&scope->spawners);
    scope->running = 0;
    scope->limit = 0;
    scope->policy = EDDY_SCOPE_ALL;
    scope->shield = false;
    scope->expired = false;
    scope->cancelled = false;
    scope->entered = true;
    scope->succeeded = false;
    scope->failed = false;
    scope->joiner = NULL;
    scope->deadline_ns = EDDY_NEVER;
    eddyi_timer_init(&scope->timer, expire);
    scope->failure_count = 0;
}

void eddyi_scope_done(struct eddyi_scope *scope) {
    EDDY_ASSERT(eddyi_list_empty(&scope->children) && scope->running == 0);
    eddyi_timer_disarm(scope->loop, &scope->timer);
    eddyi_list_remove(&scope->siblings);
    scope->entered = false;
}

/* A cancel outranks a deadline, and both outrank nothing; a fork outranks all. */
static int stronger(int a, int b) {
    if (EDDYI_UNLIKELY(a == EDDY_EFORKED || b == EDDY_EFORKED)) {
        return EDDY_EFORKED;
    }
    if (a == -ECANCELED || b == -ECANCELED) {
        return -ECANCELED;
    }
    return a != 0 ? a : b;
}

/* The scope's code has changed: wakes the task that waits in it and passes the cancel on to what
 * the scope owns elsewhere. Only wakes and queues, so the tree stays as it is meanwhile. */
static void tell(struct eddyi_scope *scope) {
    eddy_task *task = scope->owner;
    if (task != NULL && task->scope == scope && task->state == EDDYI_TASK_PARKED &&
        task->wait->interrupt != NULL) {
        task->wait->interrupt(task->wait);
    }
    EDDYI_LIST_EACH(node, &scope->futures) {
        eddyi_cell_cancel(EDDYI_LIST_ENTRY(node, eddy_future, owned), scope->effective);
    }
    EDDYI_LIST_EACH(node, &scope->remotes) {
        eddyi_remote_cancel(EDDYI_LIST_ENTRY(node, struct eddyi_remote, in_scope),
                            scope->effective);
    }
}

/* Brings `effective` up to date from `top` down. A walk, not a recursion: tasks may nest deeper
 * than a stack is. */
static void refresh(struct eddyi_scope *top) {
    struct eddyi_scope *scope = top;
    for (;;) {
        int inherited = scope->shield || scope->parent == NULL ? 0 : scope->parent->effective;
        int effective = stronger(scope->own, inherited);
        bool changed = effective != scope->effective;
        if (changed) {
            scope->effective = effective;
            tell(scope);
        }
        if (changed && !eddyi_list_empty(&scope->children)) {
            scope = EDDYI_LIST_ENTRY(scope->children.next, struct eddyi_scope, siblings);
            continue;
        }
        while (scope != top && scope->siblings.next == &scope->parent->children) {
            scope = scope->parent;
        }
        if (scope == top) {
            return;
        }
        scope = EDDYI_LIST_ENTRY(scope->siblings.next, struct eddyi_scope, siblings);
    }
}

void eddyi_scope_raise(struct eddyi_scope *scope, int code) {
    scope->own = stronger(scope->own, code);
    refresh(scope);
}

void eddyi_scope_forked(struct eddyi_scope *scope) {
    for (; scope != NULL; scope = scope->parent) {
        scope->own = EDDY_EFORKED;
        scope->effective = EDDY_EFORKED;
    }
}

void eddyi_scope_limit(struct eddyi_scope *scope) {
    if (scope->shield && scope->deadline_ns == EDDY_NEVER) {
        scope->deadline_ns = scope->loop->grace_ns;
        eddyi_timer_arm(scope->loop, &scope->timer, scope->deadline_ns);
    }
}

/* ---- its tasks ------------------------------------------------------------------------------- */

struct spawner {
    struct eddyi_list link;
    struct eddyi_wait wait;
};

static void wake_spawner(struct eddyi_scope *scope) {
    struct eddyi_list *node = eddyi_list_pop_front(&scope->spawners);
    if (node != NULL) {
        eddyi_task_wake(EDDYI_LIST_ENTRY(node, struct spawner, link)->wait.task);
    }
}

int eddyi_scope_admit(struct eddyi_scope *scope) {
    eddy_task *task = eddyi_task_here;
    while (scope->effective == 0 && scope->limit != 0 && scope->running >= scope->limit) {
        struct spawner spawner = {.wait = {.interrupt = eddyi_wait_wake, .what = "spawn"}};
        eddyi_list_init(&spawner.link);
        eddyi_list_push_back(&scope->spawners, &spawner.link);
        eddyi_task_park(task, &spawner.wait);
        eddyi_list_remove(&spawner.link);
    }
    if (scope->effective != 0) {
        wake_spawner(scope);
        return scope->effective;
    }
    scope->running++;
    return 0;
}

void eddyi_scope_retract(struct eddyi_scope *scope) {
    scope->running--;
    wake_spawner(scope);
}

static void record_failure(struct eddyi_scope *scope, int64_t error, const char *site,
                           const char *name) {
    if (scope->failure_count < EDDY_SCOPE_FAILURES_MAX) {
        eddy_scope_failure *failure = &scope->failures[scope->failure_count];
        failure->error = error;
        failure->site = site;
        memcpy(failure->task, name, sizeof failure->task);
    }
    scope->failure_count++;
}

void eddyi_scope_child_ended(struct eddyi_scope *scope, int64_t result, int cancelled,
                             const char *site, const char *name) {
    scope->running--;
    if (scope->owner == NULL) {
        if (result < 0 && cancelled == 0) {
            eddyi_loop_unobserved(scope->loop, result, site, name);
        }
        return;
    }
    bool obeyed = result == -ECANCELED && cancelled == -ECANCELED;
    if (result < 0 && !obeyed) {
        record_failure(scope, result, site, name);
        if (scope->policy == EDDY_SCOPE_ALL && scope->own == 0) {
            scope->failed = true;
            eddyi_scope_raise(scope, -ECANCELED);
        }
    } else if (result >= 0 && scope->policy == EDDY_SCOPE_ANY && !scope->succeeded) {
        scope->succeeded = true;
        scope->success = result;
        eddyi_scope_raise(scope, -ECANCELED);
    }
    wake_spawner(scope);
    if (scope->running == 0 && scope->joiner != NULL) {
        eddyi_task_wake(scope->joiner);
    }
}

/* Waits until all futures of the scope have ended, whatever their order. They stay the scope's
 * until the last has: a task among them may use, and release, another one. */
static void end_futures(struct eddyi_scope *scope) {
    struct eddyi_list ended = EDDYI_LIST_INIT(ended);
    struct eddyi_list *node;
    /* All are asked before the first is waited for. */
    EDDYI_LIST_EACH(each, &scope->futures) {
        eddyi_cell_cancel(EDDYI_LIST_ENTRY(each, eddy_future, owned), -ECANCELED);
    }
    while (!eddyi_list_empty(&scope->futures)) {
        eddy_future *cell = EDDYI_LIST_ENTRY(scope->futures.next, eddy_future, owned);
        eddyi_cell_ref(cell);
        eddyi_task_await_uncancelled(scope->owner, cell);
        if (cell->owner != NULL) {
            eddyi_list_remove(&cell->owned);
            eddyi_list_push_back(&ended, &cell->owned);
        }
        eddyi_cell_unref(cell);
    }
    while ((node = eddyi_list_pop_front(&ended)) != NULL) {
        eddy_future *cell = EDDYI_LIST_ENTRY(node, eddy_future, owned);
        cell->owner = NULL;
        eddyi_cell_drop(cell);
    }
}

void eddyi_scope_join(struct eddyi_scope *scope) {
    eddy_task *task = scope->owner;
    scope->joiner = task;
    while (scope->running > 0) {
        struct eddyi_wait wait = {.what = "leave"};
        eddyi_task_park(task, &wait);
    }
    scope->joiner = NULL;
    end_futures(scope);
}

static int64_t verdict(const struct eddyi_scope *scope, int64_t result) {
    if (scope->succeeded) {
        return scope->success;
    }
    return scope->failure_count > 0 ? scope->failures[0].error : result;
}

int64_t eddyi_scope_end_root(struct eddyi_scope *root, int64_t result, int *ret_cancelled) {
    bool own_failure = result < 0 && root->failure_count == 0 && result != root->effective;
    *ret_cancelled = root->failed ? root->parent->effective : root->effective;
    eddyi_scope_raise(root, -ECANCELED);
    eddyi_scope_join(root);
    return own_failure ? result : verdict(root, result);
}

void eddyi_scope_own(eddy_future *cell, const void *place) {
    eddy_task *task = eddyi_task_here;
    eddy_loop *loop = eddyi_loop_here;
    if (eddyi_cell_is_static(cell)) {
        return;
    }
    if (loop == NULL || loop->tasks == NULL) {
        eddyi_track_add(&cell->track, "future", NULL, NULL, place, cell->site);
        return;
    }
    cell->owner = loop;
    eddyi_list_push_back(task != NULL ? &task->scope->futures : &loop->tasks->root.futures,
                         &cell->owned);
}

eddy_future *eddyi_scope_own_failed(eddy_loop *home, int64_t error, const void *place) {
    eddy_future *failed = eddyi_cell_failed(home, error);
    eddyi_scope_own(failed, place);
    return failed;
}

/* ---- the public side ------------------------------------------------------------------------- */

static int64_t deadline_of(eddy_loop *loop, const eddy_scope_opts *opts) {
    int64_t deadline_ns = opts->deadline_ns == 0 ? EDDY_NEVER : opts->deadline_ns;
    if (opts->timeout_ns != 0) {
        int64_t now_ns = eddyi_loop_clock(loop);
        int64_t timeout_ns = opts->timeout_ns == EDDY_ZERO ? 0 : opts->timeout_ns;
        int64_t end_ns = eddyi_time_after(now_ns, timeout_ns);
        deadline_ns = end_ns < deadline_ns ? end_ns : deadline_ns;
    }
    if (opts->shield && loop->ending && deadline_ns == EDDY_NEVER) {
        deadline_ns = loop->grace_ns;
    }
    return deadline_ns;
}

int eddy_scope_enter_from(const char *site, eddy_scope *public_scope, const eddy_scope_opts *opts) {
    eddy_scope_opts copy;
    eddy_task *task = eddyi_task_here;
    struct eddyi_scope *scope = eddyi_scope_of(public_scope);
    if (task == NULL) {
        return EDDY_ENOTASK;
    }
    if (scope == NULL || EDDYI_OPTS_READ(&copy, opts, shield) < 0 || copy.timeout_ns < EDDY_ZERO ||
        copy.deadline_ns < 0 || (unsigned)copy.policy > EDDY_SCOPE_COLLECT) {
        return -EINVAL;
    }
    eddyi_scope_init(scope, task->scope, task->loop, task);
    scope->site = site;
    scope->policy = (uint8_t)copy.policy;
    scope->limit = copy.limit;
    if (copy.shield && !scope->loop->forked) {
        scope->shield = true;
        scope->effective = 0;
    }
    task->scope = scope;
    scope->deadline_ns = deadline_of(task->loop, &copy);
    if (scope->deadline_ns != EDDY_NEVER) {
        if (scope->deadline_ns <= eddyi_loop_clock(task->loop)) {
            expire(&scope->timer);
        } else {
            eddyi_timer_arm(task->loop, &scope->timer, scope->deadline_ns);
        }
    }
    return 0;
}

static void let_go(struct eddyi_list *list) {
    while (eddyi_list_pop_front(list) != NULL) {
    }
}

/* In the child of a fork the scope's tasks have nobody to run them to their end. They are forgotten
 * where they are, and the storage is the caller's again. */
static void leave_forked(struct eddyi_scope *scope) {
    let_go(&scope->children);
    let_go(&scope->futures);
    let_go(&scope->remotes);
    let_go(&scope->spawners);
    scope->running = 0;
    scope->owner->scope = scope->parent;
    eddyi_scope_done(scope);
}

int64_t eddy_scope_leave(eddy_scope *public_scope, int64_t result) {
    eddy_task *task = eddyi_task_here;
    struct eddyi_scope *scope = eddyi_scope_of(public_scope);
    if (task == NULL) {
        return EDDY_ENOTASK;
    }
    if (scope == NULL || task->scope != scope || scope == &task->root) {
        return -EINVAL;
    }
    if (EDDYI_UNLIKELY(task->loop->forked)) {
        leave_forked(scope);
        return EDDY_EFORKED;
    }
    /* A body that failed by itself ends its tasks; one that only passes on their failure does not
     * come before it. */
    bool body_first = result < 0 && scope->failure_count == 0 && !scope->succeeded;
    if (body_first && scope->policy == EDDY_SCOPE_ALL && scope->own == 0) {
        eddyi_scope_raise(scope, -ECANCELED);
    }
    bool obeyed = body_first && result == scope->effective;
    eddyi_scope_join(scope);
    task->scope = scope->parent;
    eddyi_scope_done(scope);
    eddyi_task_charge(task);
    return body_first && !obeyed && !scope->succeeded ? result : verdict(scope, result);
}

int eddy_scope_cancel(eddy_scope *public_scope) {
    struct eddyi_scope *scope = eddyi_scope_of(public_scope);
    if (scope == NULL || !scope->entered) {
        return -EINVAL;
    }
    if (scope->loop != eddyi_loop_here) {
        return EDDY_EWRONGLOOP;
    }
    if (scope->loop->forked) {
        return EDDY_EFORKED;
    }
    scope->cancelled = true;
    eddyi_scope_raise(scope, -ECANCELED);
    return 0;
}

bool eddy_scope_cancelled(const eddy_scope *scope) {
    return ((const struct eddyi_scope *)(const void *)scope)->cancelled;
}

bool eddy_scope_expired(const eddy_scope *scope) {
    return ((const struct eddyi_scope *)(const void *)scope)->expired;
}

uint64_t eddy_scope_failure_count(const eddy_scope *scope) {
    return ((const struct eddyi_scope *)(const void *)scope)->failure_count;
}

const eddy_scope_failure *eddy_scope_failure_at(const eddy_scope *public_scope, size_t index) {
    const struct eddyi_scope *scope = (const struct eddyi_scope *)(const void *)public_scope;
    if (index >= scope->failure_count || index >= EDDY_SCOPE_FAILURES_MAX) {
        return NULL;
    }
    return &scope->failures[index];
}

int64_t eddyi_scope_deadline(const struct eddyi_scope *scope) {
    int64_t deadline_ns = EDDY_NEVER;
    for (; scope != NULL; scope = scope->parent) {
        deadline_ns = scope->deadline_ns < deadline_ns ? scope->deadline_ns : deadline_ns;
        if (scope->shield) {
            break;
        }
    }
    return deadline_ns;
}

int64_t eddy_scope_deadline(void) {
    return eddyi_task_here == NULL ? EDDY_NEVER : eddyi_scope_deadline(eddyi_task_here->scope);
}
