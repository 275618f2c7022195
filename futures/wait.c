/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/futures/wait_impl.h>

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <eddy/runtime/base/time_impl.h>

/* ---- a plain thread's sleep ------------------------------------------------------------------ */

static void futex_wake(_Atomic uint32_t *word) {
    /* It cannot fail: a word that is gone meanwhile wakes nobody. */
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Sleeps while *word is 0, until the deadline at the latest. Returns early freely. */
static void futex_wait(_Atomic uint32_t *word, int64_t deadline_ns) {
    struct timespec deadline = {
        .tv_sec = deadline_ns / EDDY_S,
        .tv_nsec = deadline_ns % EDDY_S,
    };
    /* -EAGAIN (woken already), -EINTR and -ETIMEDOUT all mean: look again. */
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, 0,
            deadline_ns == EDDY_NEVER ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
}

static int64_t thread_clock(void) {
    return eddyi_host_real.mono_ns(eddyi_host_real.ctx);
}

/* 0 woken, -EINPROGRESS the deadline has passed. */
static int park_thread(struct eddyi_parker *parker, int64_t deadline_ns) {
    while (atomic_exchange_explicit(&parker->wakes, 0, memory_order_acq_rel) == 0) {
        if (deadline_ns != EDDY_NEVER && thread_clock() >= deadline_ns) {
            return -EINPROGRESS;
        }
        futex_wait(&parker->wakes, deadline_ns);
    }
    return 0;
}

/* ---- the parker ------------------------------------------------------------------------------ */

int eddyi_wait_check(const eddy_future *f) {
    if (eddyi_cell_is_done(f)) {
        return 0;
    }
    eddy_task *task = eddyi_task_here;
    if (task != NULL) {
        return task->loop->forked ? EDDY_EFORKED : task->cell == f ? -EDEADLK : 0;
    }
    if (eddyi_loop_here != NULL) {
        return -EDEADLK;
    }
    if (f->home != NULL && f->home->pid != getpid()) {
        return EDDY_EFORKED;
    }
    /* Between two polls of a foreign main loop: nobody else would poll meanwhile. */
    return f->home != NULL && eddyi_loop_is_bound_here(f->home) ? -EDEADLK : 0;
}

static void expire(struct eddyi_timer *timer) {
    struct eddyi_parker *parker = EDDYI_CONTAINER(timer, struct eddyi_parker, timer);
    parker->expired = true;
    eddyi_task_wake(parker->task);
}

void eddyi_parker_begin_uncancelled(struct eddyi_parker *parker) {
    eddy_task *task = eddyi_task_here;
    parker->task = task;
    parker->wait = (struct eddyi_wait){.interrupt = eddyi_wait_wake, .what = "await", .task = task};
    eddyi_timer_init(&parker->timer, expire);
    parker->expired = false;
    atomic_init(&parker->wakes, 0);
    parker->deadline_ns = EDDY_NEVER;
}

int eddyi_parker_begin(struct eddyi_parker *parker, int64_t timeout_ns) {
    eddyi_parker_begin_uncancelled(parker);
    eddy_task *task = parker->task;
    if (task == NULL) {
        if (timeout_ns != EDDY_NEVER) {
            parker->deadline_ns = eddyi_time_after(thread_clock(), timeout_ns);
        }
        return 0;
    }
    int r = eddyi_task_checkpoint(task);
    if (r == 0 && timeout_ns != EDDY_NEVER) {
        eddyi_timer_arm(task->loop, &parker->timer,
                        eddyi_time_after(eddyi_loop_clock(task->loop), timeout_ns));
    }
    return r;
}

int eddyi_parker_park(struct eddyi_parker *parker) {
    eddy_task *task = parker->task;
    if (task == NULL) {
        return eddyi_loop_here != NULL ? -EDEADLK : park_thread(parker, parker->deadline_ns);
    }
    /* A cancel that came with the wake-up is reported by whoever finds its condition false. */
    int code = eddyi_task_cancelled(task);
    if (code != 0 || parker->expired) {
        return code != 0 ? code : -EINPROGRESS;
    }
    eddyi_task_park(task, &parker->wait);
    return 0;
}

void eddyi_parker_park_uncancelled(struct eddyi_parker *parker) {
    if (parker->task == NULL) {
        park_thread(parker, EDDY_NEVER);
        return;
    }
    struct eddyi_wait wait = {.what = "drain"};
    eddyi_task_park(parker->task, &wait);
}

void eddyi_parker_wake(struct eddyi_parker *parker) {
    if (parker->task != NULL) {
        eddyi_task_wake(parker->task);
    } else {
        atomic_store_explicit(&parker->wakes, 1, memory_order_release);
        futex_wake(&parker->wakes);
    }
}

void eddyi_parker_end(struct eddyi_parker *parker) {
    if (parker->task != NULL) {
        eddyi_timer_disarm(parker->task->loop, &parker->timer);
    }
}

/* ---- one future ------------------------------------------------------------------------------ */

struct one {
    struct eddyi_waiter waiter;
    struct eddyi_parker parker;
};

static void wake_one(struct eddyi_waiter *waiter, eddy_future *cell) {
    (void)cell;
    eddyi_parker_wake(&EDDYI_CONTAINER(waiter, struct one, waiter)->parker);
}

int eddyi_wait_one(eddy_future *f, int64_t timeout_ns) {
    struct one one = {.waiter.wake = wake_one};
    int r = eddyi_parker_begin(&one.parker, timeout_ns);
    if (r < 0 || !eddyi_cell_wait(f, &one.waiter)) {
        eddyi_parker_end(&one.parker);
        return r;
    }
    while (!eddyi_cell_is_done(f) && r == 0) {
        r = eddyi_parker_park(&one.parker);
    }
    if (!eddyi_cell_unwait(f, &one.waiter)) {
        r = 0; /* it has ended after all, and the real thing wins */
    }
    eddyi_parker_end(&one.parker);
    return r;
}

void eddyi_wait_one_uncancelled(eddy_future *f) {
    struct one one = {.waiter.wake = wake_one};
    eddyi_parker_begin_uncancelled(&one.parker);
    if (!eddyi_cell_wait(f, &one.waiter)) {
        return;
    }
    while (!eddyi_cell_is_done(f)) {
        eddyi_parker_park_uncancelled(&one.parker);
    }
    eddyi_cell_unwait(f, &one.waiter);
}
