/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sync/condition.h>

#include <eddy/runtime/sync/mutex_impl.h>

struct __attribute__((may_alias)) condition {
    struct eddyi_spin lock;
    struct eddyi_sync_queue waiters;
};

_Static_assert(sizeof(struct condition) <= sizeof(eddy_condition), "eddy_condition has room");

static struct condition *inside(eddy_condition *condition) {
    return (struct condition *)(void *)condition;
}

int eddy_condition_wait(eddy_condition *public_condition, eddy_mutex *mutex) {
    struct condition *condition = inside(public_condition);
    eddy_task *task;
    int r = eddyi_task_enter(&task);
    if (r < 0) {
        return r;
    }
    struct eddyi_sync_waiter waiter;
    eddyi_sync_waiter_init(&waiter, task, "condition", true);
    /* Queued before the mutex is let go, so that no signal falls in between. */
    eddyi_spin_lock(&condition->lock);
    eddyi_sync_push(&condition->waiters, &waiter);
    eddyi_spin_unlock(&condition->lock);
    r = eddy_mutex_unlock(mutex);
    if (r < 0) {
        eddyi_spin_lock(&condition->lock);
        bool granted = waiter.granted;
        eddyi_sync_remove(&condition->waiters, &waiter);
        if (granted) {
            eddyi_sync_grant(&condition->waiters); /* the signal was for somebody who waits */
        }
        eddyi_spin_unlock(&condition->lock);
        if (granted) {
            eddyi_task_park(task, &waiter.wait); /* the wake-up that is under way */
        }
        return r;
    }
    r = eddyi_sync_wait(&condition->lock, &condition->waiters, &waiter);
    eddyi_mutex_lock_uncancelled(mutex, task);
    return r;
}

void eddy_condition_signal(eddy_condition *public_condition) {
    struct condition *condition = inside(public_condition);
    eddyi_spin_lock(&condition->lock);
    eddyi_sync_grant(&condition->waiters);
    eddyi_spin_unlock(&condition->lock);
}

void eddy_condition_broadcast(eddy_condition *public_condition) {
    struct condition *condition = inside(public_condition);
    eddyi_spin_lock(&condition->lock);
    while (eddyi_sync_grant(&condition->waiters) != NULL) {
        /* All of them. */
    }
    eddyi_spin_unlock(&condition->lock);
}
