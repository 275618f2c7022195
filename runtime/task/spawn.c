/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting tasks, here and on other loops. What crosses to another loop is a message: a queued item
 * inside a struct that both sides know, freed by whoever lets go last.
 */
#include <string.h>
#include <unistd.h>

#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/task/task_impl.h>

/* ---- spawned on another loop, with a scope here ---------------------------------------------- */

static void unref_remote(struct eddyi_remote *remote) {
    if (atomic_fetch_sub_explicit(&remote->refs, 1, memory_order_acq_rel) == 1) {
        eddyi_free(remote->locals);
        eddyi_free(remote);
    }
}

/* The scope's loop: the task is over. */
static void remote_is_over(struct eddyi_ready *ready) {
    struct eddyi_remote *remote = EDDYI_CONTAINER(ready, struct eddyi_remote, ended);
    eddyi_list_remove(&remote->in_scope);
    eddyi_scope_child_ended(remote->scope, remote->result, remote->cancelled, remote->site,
                            remote->name);
    unref_remote(remote);
}

static void send_over(struct eddyi_remote *remote, int64_t result, int cancelled) {
    remote->result = result;
    remote->cancelled = cancelled;
    remote->ended.run = remote_is_over;
    eddyi_loop_ready_from_any(remote->origin, &remote->ended);
}

void eddyi_remote_ended(struct eddyi_remote *remote, eddy_task *task, int cancelled) {
    remote->task = NULL;
    memcpy(remote->name, task->name, sizeof remote->name);
    send_over(remote, task->result, cancelled);
}

/* The task's loop. */
static void start_remote(struct eddyi_ready *ready) {
    struct eddyi_remote *remote = EDDYI_CONTAINER(ready, struct eddyi_remote, start);
    eddy_loop *loop = remote->target;
    eddy_task *task = NULL;
    int r = eddyi_task_room(loop);
    if (r == 0) {
        r = eddyi_task_new(loop, &loop->tasks->root, remote->site, remote->fn,
                           remote->copy > 0 ? remote->bytes : remote->arg, remote->copy, &task);
    }
    if (r < 0) {
        send_over(remote, r, 0);
        return;
    }
    task->remote = remote;
    task->locals = remote->locals;
    remote->locals = NULL;
    task->root.deadline_ns = remote->deadline_ns;
    remote->task = task;
    int code = atomic_load(&remote->code);
    if (code != 0) {
        eddyi_scope_raise(&task->root, code);
    }
}

/* The task's loop. Before the start it finds no task, and the start finds the code. */
static void cancel_remote(struct eddyi_ready *ready) {
    struct eddyi_remote *remote = EDDYI_CONTAINER(ready, struct eddyi_remote, cancel);
    atomic_store(&remote->cancel_queued, false);
    if (remote->task != NULL) {
        eddyi_scope_raise(&remote->task->root, atomic_load(&remote->code));
    }
    unref_remote(remote);
}

void eddyi_remote_cancel(struct eddyi_remote *remote, int code) {
    atomic_store(&remote->code, code);
    if (atomic_exchange(&remote->cancel_queued, true)) {
        return;
    }
    atomic_fetch_add_explicit(&remote->refs, 1, memory_order_relaxed);
    remote->cancel.run = cancel_remote;
    eddyi_loop_ready_from_any(remote->target, &remote->cancel);
}

static int spawn_remote(struct eddyi_scope *scope, eddy_loop *target, const char *site,
                        eddy_task_fn fn, void *arg, size_t copy) {
    struct eddyi_remote *remote = eddyi_zalloc(sizeof *remote + copy);
    int r = remote == NULL ? -ENOMEM : eddyi_local_inherit(eddyi_task_here, &remote->locals);
    if (r < 0) {
        eddyi_free(remote);
        return r;
    }
    remote->scope = scope;
    remote->origin = scope->loop;
    remote->target = target;
    atomic_init(&remote->refs, 1);
    remote->fn = fn;
    remote->arg = arg;
    remote->copy = copy;
    remote->site = site;
    remote->deadline_ns = eddyi_scope_deadline(scope);
    if (copy > 0) {
        memcpy(remote->bytes, arg, copy);
    }
    eddyi_list_init(&remote->in_scope);
    eddyi_list_push_back(&scope->remotes, &remote->in_scope);
    remote->start.run = start_remote;
    eddyi_loop_ready_from_any(target, &remote->start);
    return 0;
}

/* ---- spawned on a loop from outside of every task -------------------------------------------- */

struct order {
    struct eddyi_ready ready;
    eddy_loop *loop;
    eddy_task_fn fn;
    void *arg;
    const char *site;
    size_t copy;
    _Alignas(max_align_t) char bytes[];
};

static int spawn_at_root(eddy_loop *loop, const char *site, eddy_task_fn fn, void *arg,
                         size_t copy) {
    int r = eddyi_task_room(loop);
    if (r < 0) {
        return r;
    }
    eddy_task *task;
    r = eddyi_task_new(loop, &loop->tasks->root, site, fn, arg, copy, &task);
    if (r == 0) {
        loop->tasks->root.running++;
    }
    return r;
}

static void carry_out(struct eddyi_ready *ready) {
    struct order *order = EDDYI_CONTAINER(ready, struct order, ready);
    eddy_loop *loop = order->loop;
    int r = spawn_at_root(loop, order->site, order->fn, order->copy > 0 ? order->bytes : order->arg,
                          order->copy);
    if (r < 0) {
        eddyi_loop_unobserved(loop, r, order->site, NULL);
    }
    eddyi_free(order);
}

static int send_order(eddy_loop *loop, const char *site, eddy_task_fn fn, void *arg, size_t copy) {
    struct order *order = eddyi_zalloc(sizeof *order + copy);
    if (order == NULL) {
        return -ENOMEM;
    }
    order->ready.run = carry_out;
    order->loop = loop;
    order->fn = fn;
    order->arg = arg;
    order->site = site;
    order->copy = copy;
    if (copy > 0) {
        memcpy(order->bytes, arg, copy);
    }
    eddyi_loop_ready_from_any(loop, &order->ready);
    return 0;
}

static int check_spawn(eddy_loop **loop, eddy_task_fn fn, const void *arg, size_t copy) {
    if (*loop == NULL) {
        *loop = eddyi_loop_here;
    }
    if (*loop == NULL) {
        return EDDY_ENOTASK;
    }
    if (fn == NULL || copy > EDDY_SPAWN_COPY_MAX || (copy > 0 && arg == NULL)) {
        return -EINVAL;
    }
    /* In a forked child nobody would carry it out, and to wake the loop would write to a descriptor
     * that is the parent's as well. */
    bool forked = *loop == eddyi_loop_here ? (*loop)->forked : (*loop)->pid != getpid();
    return forked ? EDDY_EFORKED : 0;
}

int eddy_spawn_from(const char *site, eddy_loop *loop, eddy_task_fn fn, void *arg, size_t copy) {
    int r = check_spawn(&loop, fn, arg, copy);
    if (r < 0) {
        return r;
    }
    eddy_task *here = eddyi_task_here;
    if (here == NULL) {
        return loop == eddyi_loop_here ? spawn_at_root(loop, site, fn, arg, copy)
                                       : send_order(loop, site, fn, arg, copy);
    }
    struct eddyi_scope *scope = here->scope;
    r = eddyi_scope_admit(scope);
    if (r < 0) {
        return r;
    }
    if (loop == here->loop) {
        eddy_task *task;
        r = eddyi_task_new(loop, scope, site, fn, arg, copy, &task);
    } else {
        r = spawn_remote(scope, loop, site, fn, arg, copy);
    }
    if (r < 0) {
        eddyi_scope_retract(scope);
    }
    return r;
}

/* ---- started with a future ------------------------------------------------------------------- */

struct task_cell {
    eddy_future base;
    eddy_task *task; /* the task's loop; NULL before the start and after the end */
    eddy_task_fn fn;
    void *arg;
    size_t copy;
    int64_t deadline_ns;
    void **locals; /* inherited; NULL once the task has them, and on the loop of the parent */
    struct eddyi_ready start;
    char name[32]; /* a failed task's, for on_unobserved */
    _Alignas(max_align_t) char bytes[];
};

static struct task_cell *task_cell_of(eddy_future *cell) {
    return EDDYI_CONTAINER(cell, struct task_cell, base);
}

static void cancel_task(eddy_future *cell, int code) {
    struct task_cell *started = task_cell_of(cell);
    if (started->task != NULL) {
        eddyi_scope_raise(&started->task->root, code);
    }
}

static void free_task_cell(eddy_future *cell) {
    eddyi_free(task_cell_of(cell)->locals);
    eddyi_cell_free(cell);
}

static const struct eddyi_cell_class task_class = {
    .kind = "task",
    .cancel = cancel_task,
    .free = free_task_cell,
};

void eddyi_task_cell_ended(eddy_task *task) {
    struct task_cell *started = task_cell_of(task->cell);
    started->task = NULL;
    if (task->result < 0 && task->name[0] != '\0') {
        memcpy(started->name, task->name, sizeof started->name);
        started->base.name = started->name;
    }
    eddyi_cell_complete(task->cell, task->result, NULL, 0, NULL);
    eddyi_cell_unref(task->cell);
}

static void start_cell(struct task_cell *started, struct eddyi_scope *scope, void *arg) {
    eddy_task *task;
    int r = eddyi_task_new(scope->loop, scope, started->base.site, started->fn, arg, started->copy,
                           &task);
    if (r < 0) {
        eddyi_cell_complete(&started->base, r, NULL, 0, NULL);
        eddyi_cell_unref(&started->base);
        return;
    }
    started->task = task;
    task->cell = &started->base;
    if (started->locals != NULL) {
        task->locals = started->locals;
        started->locals = NULL;
    }
    task->root.deadline_ns = started->deadline_ns;
    int code = atomic_load_explicit(&started->base.cancel_code, memory_order_relaxed);
    if (code != 0) {
        eddyi_scope_raise(&task->root, code);
    }
}

static void start_cell_remotely(struct eddyi_ready *ready) {
    struct task_cell *started = EDDYI_CONTAINER(ready, struct task_cell, start);
    eddy_loop *loop = started->base.home;
    int r = eddyi_task_room(loop);
    if (r < 0) {
        eddyi_cell_complete(&started->base, r, NULL, 0, NULL);
        eddyi_cell_unref(&started->base);
        return;
    }
    start_cell(started, &loop->tasks->root, started->copy > 0 ? started->bytes : started->arg);
}

eddy_future *eddy_task_start_from(const char *site, eddy_loop *loop, eddy_task_fn fn, void *arg,
                                  size_t copy) {
    eddy_task *here = eddyi_task_here;
    int r = check_spawn(&loop, fn, arg, copy);
    if (r == 0 && here != NULL) {
        r = here->scope->effective;
    }
    if (r == 0 && loop == eddyi_loop_here) {
        r = eddyi_task_room(loop);
    }
    bool local = loop != NULL && loop == eddyi_loop_here;
    size_t kept = local ? 0 : copy; /* locally the bytes go straight to the new stack */
    eddy_future *cell = NULL;
    void **locals = NULL; /* locally the new task takes them from the running one */
    if (r == 0 && !local) {
        r = eddyi_local_inherit(here, &locals);
    }
    if (r == 0) {
        cell = eddyi_cell_new(&task_class, sizeof(struct task_cell) + kept, loop, 2);
    }
    if (cell == NULL) {
        eddyi_free(locals);
        return eddyi_scope_own_failed(loop, r < 0 ? r : -ENOMEM, EDDYI_PLACE);
    }
    struct task_cell *started = task_cell_of(cell);
    started->base.site = site;
    started->task = NULL;
    started->fn = fn;
    started->arg = arg;
    started->copy = copy;
    started->deadline_ns = EDDY_NEVER;
    started->locals = locals;
    eddyi_scope_own(&started->base, EDDYI_PLACE);
    if (local) {
        struct eddyi_scope *scope = here == NULL ? &loop->tasks->root : here->scope;
        start_cell(started, scope, arg);
        return &started->base;
    }
    if (copy > 0) {
        memcpy(started->bytes, arg, copy);
    }
    if (here != NULL) {
        started->deadline_ns = eddyi_scope_deadline(here->scope);
    }
    started->start.run = start_cell_remotely;
    eddyi_loop_ready_from_any(loop, &started->start);
    return &started->base;
}
