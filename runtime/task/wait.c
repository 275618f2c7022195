/* SPDX-License-Identifier: Apache-2.0 */
/* How a task waits: for an operation, a blocking job, a time, a cell. */
#include <eddy/runtime/base/time_impl.h>
#include <eddy/runtime/loop/offload_impl.h>
#include <eddy/runtime/task/task_impl.h>

/* ---- an operation ---------------------------------------------------------------------------- */

struct op_wait {
    struct eddyi_wait wait;
    struct eddyi_op *op;
};

static void wake_for_op(struct eddyi_op *op) {
    eddyi_task_wake(op->waiter);
}

/* Asks only: the task wakes when the op has ended, with whatever result it has by then. */
static void interrupt_op(struct eddyi_wait *wait) {
    struct eddyi_op *op = EDDYI_CONTAINER(wait, struct op_wait, wait)->op;
    eddyi_op_cancel(wait->task->loop, op);
}

static int64_t wait_for_op(eddy_task *task, struct eddyi_op *op, const char *what,
                           void (*interrupt)(struct eddyi_wait *wait)) {
    struct op_wait wait = {.wait = {.interrupt = interrupt, .what = what}, .op = op};
    op->waiter = task;
    op->done = wake_for_op;
    eddyi_op_submit(task->loop, op);
    while (op->state != EDDYI_OP_DONE) {
        eddyi_task_park(task, &wait.wait);
    }
    return op->result;
}

int64_t eddyi_task_op(eddy_task *task, struct eddyi_op *op, const char *what, bool defer) {
    if (!defer) {
        int64_t r = eddyi_op_attempt(task->loop, op);
        if (r != -EAGAIN) {
            return r;
        }
    }
    int64_t r = wait_for_op(task, op, what, interrupt_op);
    int code = eddyi_task_cancelled(task);
    return r == -ECANCELED && code != 0 ? code : r;
}

int64_t eddyi_task_op_uncancelled(eddy_task *task, struct eddyi_op *op, const char *what) {
    int64_t r = eddyi_op_attempt(task->loop, op);
    return r != -EAGAIN ? r : wait_for_op(task, op, what, NULL);
}

/* ---- a blocking job -------------------------------------------------------------------------- */

struct offload_wait {
    struct eddyi_wait wait;
    struct eddyi_offload_job job;
    eddy_task *task;
    int64_t (*fn)(void *arg);
    void *arg;
    bool done;
};

static int64_t run_offloaded(struct eddyi_offload_job *job) {
    struct offload_wait *offload = EDDYI_CONTAINER(job, struct offload_wait, job);
    return offload->fn(offload->arg);
}

static void wake_for_offloaded(struct eddyi_offload_job *job) {
    struct offload_wait *offload = EDDYI_CONTAINER(job, struct offload_wait, job);
    offload->done = true;
    eddyi_task_wake(offload->task);
}

static void interrupt_offloaded(struct eddyi_wait *wait) {
    eddyi_offload_cancel(&EDDYI_CONTAINER(wait, struct offload_wait, wait)->job);
}

int64_t eddyi_task_offload(eddy_task *task, int64_t (*fn)(void *arg), void *arg, const char *what) {
    struct offload_wait offload = {
        .wait = {.interrupt = interrupt_offloaded, .what = what},
        .job = {.run = run_offloaded, .done = wake_for_offloaded},
        .task = task,
        .fn = fn,
        .arg = arg,
    };
    int r = eddyi_offload_submit(task->loop, &offload.job);
    if (r < 0) {
        return r;
    }
    while (!offload.done) {
        eddyi_task_park(task, &offload.wait);
    }
    int code = eddyi_task_cancelled(task);
    return offload.job.result == -ECANCELED && code != 0 ? code : offload.job.result;
}

/* ---- a cell ---------------------------------------------------------------------------------- */

struct cell_wait {
    struct eddyi_waiter waiter;
    struct eddyi_wait wait;
    eddy_task *task; /* wait.task is written by park, when another thread may read already */
};

static void wake_for_cell(struct eddyi_waiter *waiter, eddy_future *cell) {
    (void)cell;
    eddyi_task_wake(EDDYI_CONTAINER(waiter, struct cell_wait, waiter)->task);
}

int eddyi_task_await(eddy_task *task, eddy_future *cell) {
    struct cell_wait wait = {
        .waiter = {.wake = wake_for_cell},
        .wait = {.interrupt = eddyi_wait_wake, .what = "await"},
        .task = task,
    };
    if (!eddyi_cell_wait(cell, &wait.waiter)) {
        return 0;
    }
    while (!eddyi_cell_is_done(cell) && eddyi_task_cancelled(task) == 0) {
        eddyi_task_park(task, &wait.wait);
    }
    return eddyi_cell_unwait(cell, &wait.waiter) ? eddyi_task_cancelled(task) : 0;
}

void eddyi_task_await_uncancelled(eddy_task *task, eddy_future *cell) {
    struct cell_wait wait = {
        .waiter = {.wake = wake_for_cell},
        .wait = {.what = "await"},
        .task = task,
    };
    if (!eddyi_cell_wait(cell, &wait.waiter)) {
        return;
    }
    while (!eddyi_cell_is_done(cell)) {
        eddyi_task_park(task, &wait.wait);
    }
    eddyi_cell_unwait(cell, &wait.waiter);
}

/* ---- a time ---------------------------------------------------------------------------------- */

struct sleep_wait {
    struct eddyi_wait wait;
    struct eddyi_timer timer;
    bool fired;
};

static void wake_for_time(struct eddyi_timer *timer) {
    struct sleep_wait *sleep = EDDYI_CONTAINER(timer, struct sleep_wait, timer);
    sleep->fired = true;
    eddyi_task_wake(sleep->wait.task);
}

int eddy_sleep_until(int64_t deadline_ns) {
    eddy_task *task = eddyi_task_here;
    if (task == NULL) {
        return EDDY_ENOTASK;
    }
    eddy_loop *loop = task->loop;
    if (deadline_ns <= eddyi_loop_clock(loop)) {
        return eddyi_task_yield(task);
    }
    int r = eddyi_task_checkpoint(task);
    if (r < 0) {
        return r;
    }
    struct sleep_wait sleep = {
        .wait = {.interrupt = eddyi_wait_wake, .what = "sleep", .task = task},
        .timer.fire = wake_for_time,
    };
    eddyi_timer_arm(loop, &sleep.timer, deadline_ns);
    while (!sleep.fired && eddyi_task_cancelled(task) == 0) {
        eddyi_task_park(task, &sleep.wait);
    }
    eddyi_timer_disarm(loop, &sleep.timer);
    return sleep.fired ? 0 : eddyi_task_cancelled(task);
}

int eddyi_task_pause(eddy_task *task, int64_t duration_ns, const char *what) {
    struct sleep_wait pause = {
        .wait = {.interrupt = eddyi_wait_wake, .what = what, .task = task},
        .timer.fire = wake_for_time,
    };
    if (eddyi_task_cancelled(task) == 0) {
        eddyi_timer_arm(task->loop, &pause.timer,
                        eddyi_time_after(eddyi_loop_clock(task->loop), duration_ns));
        eddyi_task_park(task, &pause.wait);
        eddyi_timer_disarm(task->loop, &pause.timer);
    }
    return eddyi_task_cancelled(task);
}

int eddy_sleep(int64_t duration_ns) {
    eddy_task *task = eddyi_task_here;
    if (task == NULL) {
        return EDDY_ENOTASK;
    }
    return duration_ns <= 0
               ? eddyi_task_yield(task)
               : eddy_sleep_until(eddyi_time_after(eddyi_loop_clock(task->loop), duration_ns));
}

/* The future of a time: the producer's reference goes with the timer. */
struct sleep_cell {
    eddy_future base;
    struct eddyi_timer timer;
};

static void end_sleep(struct sleep_cell *sleep, int64_t result) {
    sleep->base.home->live--;
    eddyi_cell_complete(&sleep->base, result, NULL, 0, NULL);
    eddyi_cell_unref(&sleep->base);
}

static void fire_sleep(struct eddyi_timer *timer) {
    end_sleep(EDDYI_CONTAINER(timer, struct sleep_cell, timer), 0);
}

static void cancel_sleep(eddy_future *cell, int code) {
    struct sleep_cell *sleep = EDDYI_CONTAINER(cell, struct sleep_cell, base);
    eddyi_timer_disarm(cell->home, &sleep->timer);
    end_sleep(sleep, code);
}

static void discard_sleep(eddy_future *cell) {
    eddyi_timer_disarm(cell->home, &EDDYI_CONTAINER(cell, struct sleep_cell, base)->timer);
    cell->home->live--;
    eddyi_cell_free(cell);
}

static const struct eddyi_cell_class sleep_class = {
    .kind = "sleep",
    .cancel = cancel_sleep,
    .free = eddyi_cell_free,
    .discard = discard_sleep,
};

eddy_future *eddy_sleep_start(int64_t duration_ns) {
    eddy_loop *loop = eddyi_loop_here;
    eddy_task *task = eddyi_task_here;
    int64_t r = loop == NULL ? EDDY_ENOTASK : task == NULL ? 0 : eddyi_task_cancelled(task);
    eddy_future *cell =
        r < 0 ? NULL : eddyi_cell_new(&sleep_class, sizeof(struct sleep_cell), loop, 2);
    if (cell == NULL) {
        return eddyi_scope_own_failed(loop, r < 0 ? r : -ENOMEM, EDDYI_PLACE);
    }
    struct sleep_cell *sleep = EDDYI_CONTAINER(cell, struct sleep_cell, base);
    eddyi_timer_init(&sleep->timer, fire_sleep);
    loop->live++;
    eddyi_timer_arm(loop, &sleep->timer,
                    eddyi_time_after(eddyi_loop_clock(loop), duration_ns < 0 ? 0 : duration_ns));
    eddyi_scope_own(&sleep->base, EDDYI_PLACE);
    return &sleep->base;
}
