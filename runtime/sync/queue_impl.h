/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks that wait for an object, first come first served. Unlike a list, a zeroed queue is empty
 * and ready, so that objects need no init:
 *
 *     head -> waiter <-> waiter <-> waiter <- tail
 *
 * All of it under the object's lock. Granting takes the waiter out, marks it and wakes its task;
 * the task looks at the mark under the lock again, so a cancel that came at the same time takes
 * nothing back: what was granted is had, and the next call reports the cancel.
 */
#ifndef EDDY_RUNTIME_SYNC_QUEUE_IMPL_H
#define EDDY_RUNTIME_SYNC_QUEUE_IMPL_H

#include <eddy/runtime/base/spin_impl.h>
#include <eddy/runtime/task/task_impl.h>

struct eddyi_sync_waiter {
    struct eddyi_sync_waiter *next;
    struct eddyi_sync_waiter *prev;
    struct eddyi_wait wait;
    eddy_task *task; /* whom to wake; park writes to wait.task, so others must not read that */
    bool queued;
    bool granted;
};

struct eddyi_sync_queue {
    struct eddyi_sync_waiter *head;
    struct eddyi_sync_waiter *tail;
    uint64_t count;
};

static inline void eddyi_sync_waiter_init(struct eddyi_sync_waiter *waiter, eddy_task *task,
                                          const char *what, bool cancellable) {
    *waiter = (struct eddyi_sync_waiter){
        .wait = {.interrupt = cancellable ? eddyi_wait_wake : NULL, .what = what},
        .task = task,
    };
}

static inline void eddyi_sync_push(struct eddyi_sync_queue *queue,
                                   struct eddyi_sync_waiter *waiter) {
    waiter->next = NULL;
    waiter->prev = queue->tail;
    if (queue->tail == NULL) {
        queue->head = waiter;
    } else {
        queue->tail->next = waiter;
    }
    queue->tail = waiter;
    queue->count++;
    waiter->queued = true;
}

/* Harmless when it is not queued. */
static inline void eddyi_sync_remove(struct eddyi_sync_queue *queue,
                                     struct eddyi_sync_waiter *waiter) {
    if (!waiter->queued) {
        return;
    }
    *(waiter->prev == NULL ? &queue->head : &waiter->prev->next) = waiter->next;
    *(waiter->next == NULL ? &queue->tail : &waiter->next->prev) = waiter->prev;
    queue->count--;
    waiter->queued = false;
}

/* The longest waiting task gets what it waits for: it, or NULL when nobody waits. The caller keeps
 * the lock; the task is only woken. */
static inline eddy_task *eddyi_sync_grant(struct eddyi_sync_queue *queue) {
    struct eddyi_sync_waiter *waiter = queue->head;
    if (waiter == NULL) {
        return NULL;
    }
    eddy_task *task = waiter->task;
    eddyi_sync_remove(queue, waiter);
    waiter->granted = true;
    eddyi_task_wake(task);
    return task;
}

/* Suspends a task whose waiter is queued (the lock is free): 0 once granted, or the cancel's code,
 * and then it is not queued any more. */
int eddyi_sync_wait(struct eddyi_spin *lock, struct eddyi_sync_queue *queue,
                    struct eddyi_sync_waiter *waiter);

#endif
