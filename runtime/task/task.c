/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/task/task_impl.h>

#include <stdio.h>
#include <string.h>

#include <eddy/runtime/base/detail_impl.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/task/overflow_impl.h>

_Thread_local eddy_task *eddyi_task_here;

/* Free stacks that stay resident when a loop falls asleep, and how often that is looked at. */
#define STACKS_KEPT 256
#define TRIM_INTERVAL_NS EDDY_S

/* How many numbers a loop takes for its tasks at once. */
#define IDS_TAKEN 1024

static _Atomic uint64_t last_id;

/* ---- the room -------------------------------------------------------------------------------- */

static void drain(eddy_loop *loop) {
    eddyi_scope_raise(&loop->tasks->root, -ECANCELED);
    EDDYI_LIST_EACH(node, &loop->tasks->all) {
        eddy_task *task = EDDYI_LIST_ENTRY(node, eddy_task, in_loop);
        for (struct eddyi_scope *scope = task->scope; scope != &task->root; scope = scope->parent) {
            eddyi_scope_limit(scope);
        }
    }
}

/* In the child of a fork: every suspending call of the running task gives EDDY_EFORKED. */
static void forked(eddy_loop *loop) {
    (void)loop;
    if (eddyi_task_here != NULL) {
        eddyi_scope_forked(eddyi_task_here->scope);
    }
}

static void reclaim(eddy_task *task) {
    eddy_loop *loop = task->loop;
    eddyi_list_remove(&task->in_loop);
    eddyi_local_done(task); /* of one that has not ended, in a forked child */
    eddyi_free(task->detail);
    eddyi_fiber_done(&task->fiber);
    eddyi_stack_put(&loop->tasks->stacks, task->stack);
}

static void done(eddy_loop *loop) {
    struct eddyi_task_room *room = loop->tasks;
    struct eddyi_list *node;
    /* In a forked child only: these never run again, and their stacks are given back all the
     * same. */
    EDDYI_LIST_EACH(task, &room->all) {
        reclaim(EDDYI_LIST_ENTRY(task, eddy_task, in_loop));
    }
    while ((node = eddyi_list_pop_front(&room->root.futures)) != NULL) {
        eddy_future *cell = EDDYI_LIST_ENTRY(node, eddy_future, owned);
        cell->owner = NULL;
        eddyi_cell_drop(cell);
    }
    loop->tasks = NULL;
    eddyi_stack_pool_done(&room->stacks);
    if (room->fiber_ready) {
        eddyi_fiber_done(&room->fiber);
    }
    eddyi_free(room);
}

static bool idle(eddy_loop *loop) {
    struct eddyi_task_room *room = loop->tasks;
    if (room->stacks.free_count <= STACKS_KEPT) {
        return false;
    }
    int64_t now_ns = eddyi_loop_clock(loop); /* without timers the loop does not keep its own */
    if (now_ns - room->trimmed_ns < TRIM_INTERVAL_NS) {
        return false;
    }
    /* A little at a time: what is left goes when the loop falls asleep the next time. */
    if (!eddyi_stack_pool_trim(&room->stacks, STACKS_KEPT)) {
        room->trimmed_ns = now_ns;
    }
    return true;
}

static void aside(void (*fn)(void *arg), void *arg) {
    eddy_task *task = eddyi_task_here;
    eddyi_task_here = NULL;
    fn(arg);
    eddyi_task_here = task;
}

int eddyi_task_room(eddy_loop *loop) {
    if (EDDYI_LIKELY(loop->tasks != NULL)) {
        return 0;
    }
    struct eddyi_task_room *room = eddyi_zalloc(sizeof *room);
    if (room == NULL) {
        return -ENOMEM;
    }
    eddyi_stack_pool_init(&room->stacks, loop->opts.stack_size_bytes);
    eddyi_list_init(&room->all);
    eddyi_scope_init(&room->root, NULL, loop, NULL);
    room->root.policy = EDDY_SCOPE_COLLECT;
    if (loop->ending) {
        eddyi_scope_raise(&room->root, -ECANCELED);
    }
    loop->tasks = room;
    loop->tasks_drain = drain;
    loop->tasks_done = done;
    loop->tasks_idle = idle;
    loop->tasks_aside = aside;
    loop->tasks_forked = forked;
    return 0;
}

/* ---- a task's life --------------------------------------------------------------------------- */

static inline void has_the_cpu(eddy_task *task) {
    task->queued = false;
    task->state = EDDYI_TASK_RUNNING;
    task->fiber.code = task->scope->effective;
    eddyi_task_here = task;
}

/* A task that has ended stands on its own stack until it has switched to another fiber. So it is
 * the next one to end or to begin, or at the latest the loop's fiber, that gives the stack back. */
static void bury(struct eddyi_task_room *room) {
    if (EDDYI_UNLIKELY(room->ended != NULL)) {
        eddy_task *task = room->ended;
        room->ended = NULL;
        reclaim(task);
    }
}

/* From the loop's own fiber to a task's, until no more tasks are to run. */
static void resume(struct eddyi_ready *ready) {
    eddy_task *task = EDDYI_CONTAINER(ready, eddy_task, ready);
    struct eddyi_task_room *room = task->loop->tasks;
    if (EDDYI_UNLIKELY(!room->fiber_ready)) {
        eddyi_fiber_init_thread(&room->fiber);
        room->fiber_ready = true;
    }
    has_the_cpu(task);
    eddyi_fiber_switch(&room->fiber, &task->fiber);
    eddyi_task_here = NULL;
    bury(room);
}

/* The fiber that goes on when a task gives up the CPU: the next task's, when that is what runs next
 * in this turn, else the loop's. */
static struct eddyi_fiber *next_fiber(eddy_loop *loop) {
    struct eddyi_ready *ready = loop->ready_head;
    if (ready == NULL || ready->run != resume || eddyi_loop_take(loop) == NULL) {
        return &loop->tasks->fiber;
    }
    eddy_task *task = EDDYI_CONTAINER(ready, eddy_task, ready);
    has_the_cpu(task);
    return &task->fiber;
}

/* For sure; else there is more to look at. */
static inline bool is_on_its_stack(const eddy_task *task) {
    return EDDYI_LIKELY((uintptr_t)task - (uintptr_t)eddyi_stack_pointer() < task->reach);
}

static void check_stack(const eddy_task *task) {
    EDDY_ASSERT_SAY(is_on_its_stack(task) || eddyi_stack_check(task->stack),
                    "a task has overflowed its stack");
}

/* Returns when somebody has made the task ready again: the code under which it stands then. */
static int leave_cpu(eddy_task *task) {
    check_stack(task);
    struct eddyi_fiber *next = next_fiber(task->loop);
    return next == &task->fiber ? next->code : eddyi_fiber_leave(&task->fiber, next);
}

/* A wake-up of another thread has reached the loop. */
static void wake_from_afar(struct eddyi_ready *ready) {
    eddy_task *task = EDDYI_CONTAINER(ready, eddy_task, from_afar);
    /* An exchange, not a store: a waker that still found it woken queued nothing, so what it did
     * before must be seen by the task, and its 1 must not be lost under our 0. */
    atomic_exchange_explicit(&task->woken, 0, memory_order_acq_rel);
    eddyi_task_wake(task);
}

/* A task that eddy_loop_call waits for. */
struct call {
    eddy_task_fn fn;
    void *arg;
    int64_t result;
    bool done;
};

static int64_t run_call(void *arg) {
    struct call *call = arg;
    return call->fn(call->arg);
}

/* Its result is the caller's, and no failure of the loop's. */
static void end_call(eddy_task *task) {
    struct call *call = task->arg;
    call->result = task->result;
    call->done = true;
    task->result = 0;
}

/* The task has nothing left in it: tells whoever waits for its result. */
static void report(eddy_task *task, int cancelled) {
    struct eddyi_scope *parent = task->root.parent;
    eddyi_scope_done(&task->root);
    if (EDDYI_UNLIKELY(task->fn == run_call)) {
        end_call(task);
    }
    if (task->cell != NULL) {
        eddyi_task_cell_ended(task);
    } else if (task->remote != NULL) {
        eddyi_remote_ended(task->remote, task, cancelled);
    } else {
        eddyi_scope_child_ended(parent, task->result, cancelled, task->site, task->name);
    }
}

/* Where the scope was entered is where to look, and not this file. */
static _Noreturn void panic_of_scope(const struct eddyi_scope *scope) {
    char sentence[256];
    snprintf(sentence, sizeof sentence, "a task returned without leaving the scope entered at %s",
             scope->site);
    eddyi_panic(__FILE__, __LINE__, "task->scope == &task->root", sentence);
}

static void run(void *arg) {
    eddy_task *task = arg;
    task->result = task->fn(task->arg);
    while (EDDYI_UNLIKELY(task->loop->forked)) {
        (void)leave_cpu(task); /* to the loop, which returns to whoever runs it */
    }
    if (EDDYI_UNLIKELY(task->scope != &task->root)) {
        panic_of_scope(task->scope);
    }
    int cancelled = task->root.effective;
    if (task->root.running > 0 || task->root.failure_count > 0 ||
        !eddyi_list_empty(&task->root.futures)) {
        task->result = eddyi_scope_end_root(&task->root, task->result, &cancelled);
    }
    /* Before the report: what a value's end touches may belong to whoever hears of it. */
    eddyi_local_done(task);
    /* A wake-up may have come after the task ran on for a cancel: it is queued, and its memory must
     * not go before it is out of the queue. */
    while (task->queued || atomic_load_explicit(&task->woken, memory_order_acquire) != 0) {
        task->state = EDDYI_TASK_READY;
        (void)leave_cpu(task);
    }
    report(task, cancelled);
    check_stack(task);
    task->state = EDDYI_TASK_ENDED;
    bury(task->loop->tasks);
    task->loop->tasks->ended = task;
    task->loop->live--;
    eddyi_fiber_switch_last(&task->fiber, next_fiber(task->loop));
}

static char *align_down(char *address, size_t alignment) {
    return address - ((uintptr_t)address & (alignment - 1));
}

static uint64_t new_id(struct eddyi_task_room *room) {
    if (room->ids_left == 0) {
        room->last_id = atomic_fetch_add_explicit(&last_id, IDS_TAKEN, memory_order_relaxed);
        room->ids_left = IDS_TAKEN;
    }
    room->ids_left--;
    return ++room->last_id;
}

int eddyi_task_new(eddy_loop *loop, struct eddyi_scope *scope, const char *site, eddy_task_fn fn,
                   void *arg, size_t copy, eddy_task **ret_task) {
    struct eddyi_stack *stack;
    bury(loop->tasks);
    int r = eddyi_stack_get(&loop->tasks->stacks, &stack);
    if (r < 0) {
        return r;
    }
    eddy_task *task = (void *)align_down((char *)stack - sizeof *task, 64);
    char *top = (char *)task;
    task->ready.run = resume;
    task->loop = loop;
    task->state = EDDYI_TASK_READY;
    task->copied = copy > 0;
    task->queued = true;
    task->from_afar.run = wake_from_afar;
    atomic_init(&task->woken, 0);
    task->wait = NULL;
    task->fn = fn;
    task->arg = arg;
    task->cell = NULL;
    task->remote = NULL;
    task->stack = stack;
    task->reach =
        stack->guard == EDDYI_STACK_GUARD_CANARY ? 0 : (size_t)((char *)task - stack->low) + 1;
    task->site = site;
    task->id = new_id(loop->tasks);
    task->detail = NULL;
    task->name[0] = '\0';
    if (copy > 0) {
        top = align_down(top - copy, _Alignof(max_align_t));
        memcpy(top, arg, copy);
        task->arg = top;
    }
    r = eddyi_local_inherit(eddyi_task_here, &task->locals);
    if (r < 0) {
        eddyi_stack_put(&loop->tasks->stacks, stack);
        return r;
    }
    eddyi_scope_init(&task->root, scope, loop, task);
    task->scope = &task->root;
    eddyi_fiber_init(&task->fiber, stack->low, (size_t)(top - stack->low), run, task);
    eddyi_list_init(&task->in_loop);
    eddyi_list_push_back(&loop->tasks->all, &task->in_loop);
    loop->live++;
    eddyi_loop_ready(loop, &task->ready);
    *ret_task = task;
    return 0;
}

static __attribute__((noinline)) int yield_slowly(eddy_task *task) {
    if (task->loop->forked) {
        return EDDY_EFORKED;
    }
    eddyi_task_wake(task); /* unless a wake-up that came too late has queued it already */
    task->state = EDDYI_TASK_READY;
    return leave_cpu(task);
}

/* The usual case, in which the next task is ready: this one goes to the end of the queue, and the
 * queue is as long as before. */
int eddyi_task_yield(eddy_task *task) {
    eddy_loop *loop = task->loop;
    struct eddyi_ready *ready = loop->ready_head;
    if (EDDYI_UNLIKELY(ready == NULL || ready->run != resume || loop->budget <= 0 ||
                       loop->stepwise || task->queued || !is_on_its_stack(task))) {
        return yield_slowly(task);
    }
    eddyi_loop_rotate(loop, &task->ready);
    task->queued = true;
    task->state = EDDYI_TASK_READY;
    eddy_task *next = EDDYI_CONTAINER(ready, eddy_task, ready);
    has_the_cpu(next);
    return eddyi_fiber_pass(&task->fiber, &next->fiber);
}

void eddyi_task_park(eddy_task *task, struct eddyi_wait *wait) {
    wait->task = task;
    task->wait = wait;
    task->state = EDDYI_TASK_PARKED;
    (void)leave_cpu(task);
}

/* ---- the door from main ---------------------------------------------------------------------- */

int64_t eddy_loop_call(eddy_loop *loop, eddy_task_fn fn, void *arg) {
    if (loop == NULL || fn == NULL) {
        return -EINVAL;
    }
    int r = eddyi_loop_here != NULL ? -EDEADLK : eddyi_loop_check(loop);
    if (r < 0 || (r = eddyi_task_room(loop)) < 0) {
        return r;
    }
    struct call call = {.fn = fn, .arg = arg};
    eddy_task *task;
    loop->tasks->root.running++;
    r = eddyi_task_new(loop, &loop->tasks->root, NULL, run_call, &call, 0, &task);
    if (r < 0) {
        loop->tasks->root.running--;
        return r;
    }
    memcpy(task->name, "main", sizeof "main");
    r = eddyi_loop_run_until(loop, &call.done);
    if (call.done || r == EDDY_EFORKED) {
        return call.done ? call.result : r;
    }
    /* Stopped. The task's argument and this frame are the caller's: it must have ended first. */
    eddyi_scope_raise(&task->root, -ECANCELED);
    while (!call.done && r != EDDY_EFORKED) {
        r = eddyi_loop_run_until(loop, &call.done);
    }
    return call.done ? -ECANCELED : r;
}

/* ---- what a task knows of itself ------------------------------------------------------------- */

int eddy_yield(void) {
    eddy_task *task = eddyi_task_here;
    return task == NULL ? EDDY_ENOTASK : eddyi_task_yield(task);
}

int eddy_checkpoint(void) {
    eddy_task *task;
    return eddyi_task_enter(&task);
}

void eddy_task_name_set(const char *name) {
    eddy_task *task = eddyi_task_here;
    if (task != NULL && name != NULL) {
        size_t len = strnlen(name, sizeof task->name - 1);
        memcpy(task->name, name, len);
        task->name[len] = '\0';
    }
}

const char *eddy_task_name(void) {
    return eddyi_task_here == NULL ? NULL : eddyi_task_here->name;
}

uint64_t eddy_task_id(void) {
    return eddyi_task_here == NULL ? 0 : eddyi_task_here->id;
}

/* ---- what lower rooms ask of the running task ------------------------------------------------ */

static struct eddyi_detail *detail_of_task(bool make) {
    eddy_task *task = eddyi_task_here;
    if (task == NULL) {
        return NULL;
    }
    if (task->detail == NULL && make) {
        task->detail = eddyi_zalloc(sizeof *task->detail);
    }
    return task->detail;
}

static const char *describe_task(const char **ret_site) {
    *ret_site = eddyi_task_here == NULL ? NULL : eddyi_task_here->site;
    return eddy_task_name();
}

static bool describe_overflow(const void *fault, const void *sp,
                              struct eddyi_overflow_facts *ret_facts) {
    eddy_task *task = eddyi_task_here;
    enum eddyi_stack_fault blame =
        task == NULL ? EDDYI_STACK_FAULT_NONE : eddyi_stack_blame(task->stack, fault, sp);
    if (blame == EDDYI_STACK_FAULT_NONE) {
        return false;
    }
    *ret_facts = (struct eddyi_overflow_facts){
        .stray = blame == EDDYI_STACK_FAULT_STRAY,
        .name = task->name,
        .site = task->site,
        .stack_bytes = task->stack->size,
    };
    return true;
}

/* Set once, before any thread of ours exists. */
__attribute__((constructor)) static void connect_lower_rooms(void) {
    eddyi_detail_of_task = detail_of_task;
    eddyi_panic_context = describe_task;
    eddyi_overflow_describe = describe_overflow;
}
