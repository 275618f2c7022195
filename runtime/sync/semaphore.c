/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sync/semaphore.h>

#include <eddy/runtime/sync/queue_impl.h>

struct __attribute__((may_alias)) semaphore {
    uint64_t count;
    struct eddyi_spin lock;
    struct eddyi_sync_queue waiters;
};

_Static_assert(sizeof(struct semaphore) <= sizeof(eddy_semaphore), "eddy_semaphore has room");

static struct semaphore *inside(eddy_semaphore *semaphore) {
    return (struct semaphore *)(void *)semaphore;
}

static bool take(struct semaphore *semaphore, struct eddyi_sync_waiter *waiter) {
    eddyi_spin_lock(&semaphore->lock);
    bool taken = semaphore->count > 0;
    if (taken) {
        semaphore->count--; /* nobody waits while there are permits */
    } else if (waiter != NULL) {
        eddyi_sync_push(&semaphore->waiters, waiter);
    }
    eddyi_spin_unlock(&semaphore->lock);
    return taken;
}

int eddy_semaphore_wait(eddy_semaphore *public_semaphore) {
    struct semaphore *semaphore = inside(public_semaphore);
    eddy_task *task;
    int r = eddyi_task_enter(&task);
    if (r < 0) {
        return r;
    }
    struct eddyi_sync_waiter waiter;
    eddyi_sync_waiter_init(&waiter, task, "semaphore", true);
    return take(semaphore, &waiter)
               ? 0
               : eddyi_sync_wait(&semaphore->lock, &semaphore->waiters, &waiter);
}

int eddy_semaphore_try_wait(eddy_semaphore *semaphore) {
    return take(inside(semaphore), NULL) ? 0 : -EAGAIN;
}

int eddy_semaphore_post(eddy_semaphore *public_semaphore) {
    struct semaphore *semaphore = inside(public_semaphore);
    int r = 0;
    eddyi_spin_lock(&semaphore->lock);
    if (eddyi_sync_grant(&semaphore->waiters) == NULL) {
        r = semaphore->count == UINT64_MAX ? -EOVERFLOW : 0;
        semaphore->count += r == 0;
    }
    eddyi_spin_unlock(&semaphore->lock);
    return r;
}

uint64_t eddy_semaphore_count(eddy_semaphore *public_semaphore) {
    struct semaphore *semaphore = inside(public_semaphore);
    eddyi_spin_lock(&semaphore->lock);
    uint64_t count = semaphore->count;
    eddyi_spin_unlock(&semaphore->lock);
    return count;
}
