/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sync/mutex_impl.h>

struct __attribute__((may_alias)) mutex {
    struct eddyi_spin lock;
    eddy_task *owner; /* NULL: unlocked. Compared, never followed */
    struct eddyi_sync_queue waiters;
};

_Static_assert(sizeof(struct mutex) <= sizeof(eddy_mutex), "eddy_mutex has room for its inside");

static struct mutex *inside(eddy_mutex *mutex) {
    return (struct mutex *)(void *)mutex;
}

/* 0 taken, -EAGAIN queued as `waiter` (not queued when that is NULL), -EDEADLK. */
static int take(struct mutex *mutex, eddy_task *task, struct eddyi_sync_waiter *waiter) {
    int r = 0;
    eddyi_spin_lock(&mutex->lock);
    if (mutex->owner == NULL) {
        mutex->owner = task;
    } else if (mutex->owner == task) {
        r = -EDEADLK;
    } else {
        r = -EAGAIN;
        if (waiter != NULL) {
            eddyi_sync_push(&mutex->waiters, waiter);
        }
    }
    eddyi_spin_unlock(&mutex->lock);
    return r;
}

int eddy_mutex_lock(eddy_mutex *public_mutex) {
    struct mutex *mutex = inside(public_mutex);
    eddy_task *task;
    int r = eddyi_task_enter(&task);
    if (r < 0) {
        return r;
    }
    struct eddyi_sync_waiter waiter;
    eddyi_sync_waiter_init(&waiter, task, "lock", true);
    r = take(mutex, task, &waiter);
    return r == -EAGAIN ? eddyi_sync_wait(&mutex->lock, &mutex->waiters, &waiter) : r;
}

void eddyi_mutex_lock_uncancelled(eddy_mutex *public_mutex, eddy_task *task) {
    struct mutex *mutex = inside(public_mutex);
    struct eddyi_sync_waiter waiter;
    eddyi_sync_waiter_init(&waiter, task, "lock", false);
    if (take(mutex, task, &waiter) == -EAGAIN) {
        eddyi_sync_wait(&mutex->lock, &mutex->waiters, &waiter);
    }
}

int eddy_mutex_try_lock(eddy_mutex *mutex) {
    eddy_task *task = eddyi_task_here;
    return task == NULL ? EDDY_ENOTASK : take(inside(mutex), task, NULL);
}

int eddy_mutex_unlock(eddy_mutex *public_mutex) {
    struct mutex *mutex = inside(public_mutex);
    eddyi_spin_lock(&mutex->lock);
    bool ours = eddyi_task_here != NULL && mutex->owner == eddyi_task_here;
    if (ours) {
        /* Handed over, not let go: who comes in between waits. */
        mutex->owner = eddyi_sync_grant(&mutex->waiters);
    }
    eddyi_spin_unlock(&mutex->lock);
    return ours ? 0 : -EPERM;
}
