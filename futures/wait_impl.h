/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A parker: what waits for futures, be it a task, which suspends, or a plain thread, which sleeps
 * on a futex. On the waiter's own stack:
 *
 *     begin -> register with whatever calls wake -> park until it is so -> deregister -> end
 *
 * Wake-ups are never lost between begin and end, and may be one too many: park in a loop.
 */
#ifndef EDDY_FUTURES_WAIT_IMPL_H
#define EDDY_FUTURES_WAIT_IMPL_H

#include <eddy/runtime/task/task_impl.h>

struct eddyi_parker {
    eddy_task *task;          /* who waits; NULL: this thread */
    struct eddyi_wait wait;   /* task: what it is parked in */
    struct eddyi_timer timer; /* task: the time that it has */
    bool expired;             /* task: the timer fired */
    _Atomic uint32_t wakes;   /* thread: the futex; 1 from a wake until the next park has seen it */
    int64_t deadline_ns;      /* thread: on eddyi_host_real's clock; EDDY_NEVER */
};

/* Whether the caller may wait for `f` now: 0 (also when it is DONE), -EDEADLK, EDDY_EFORKED. */
int eddyi_wait_check(const eddy_future *f);

/* Sets up the caller as the waiter, for timeout_ns at most (EDDY_NEVER: no limit): 0, or the code
 * of the task's cancel. To be ended in any case. */
int eddyi_parker_begin(struct eddyi_parker *parker, int64_t timeout_ns);
/* Sets up whoever calls: a task, or this thread, which will block even when it runs a loop. */
void eddyi_parker_begin_uncancelled(struct eddyi_parker *parker);
/* Sleeps until a wake: 0; -EINPROGRESS the time is up; the code of the task's cancel; -EDEADLK on a
 * loop's thread outside of every task. */
int eddyi_parker_park(struct eddyi_parker *parker);
/* The same, not refused by a cancel and without a time. */
void eddyi_parker_park_uncancelled(struct eddyi_parker *parker);
/* Any thread, between begin and end. */
void eddyi_parker_wake(struct eddyi_parker *parker);
/* Nobody wakes any more. */
void eddyi_parker_end(struct eddyi_parker *parker);

/* Waits for `f` alone: 0 once it is DONE, else as begin and park. `uncancelled`: never refused. */
int eddyi_wait_one(eddy_future *f, int64_t timeout_ns);
/* The same on a plain thread or in a task, never refused. */
void eddyi_wait_one_uncancelled(eddy_future *f);

#endif
