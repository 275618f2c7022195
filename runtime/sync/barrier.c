/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sync/barrier.h>

#include <eddy/runtime/sync/queue_impl.h>

struct __attribute__((may_alias)) barrier {
    uint64_t parties;
    struct eddyi_spin lock;
    struct eddyi_sync_queue waiters;
};

_Static_assert(sizeof(struct barrier) <= sizeof(eddy_barrier), "eddy_barrier has room");

static struct barrier *inside(eddy_barrier *barrier) {
    return (struct barrier *)(void *)barrier;
}

static bool complete(struct barrier *barrier) {
    if (barrier->waiters.count + 1 < barrier->parties) {
        return false;
    }
    while (eddyi_sync_grant(&barrier->waiters) != NULL) {
        /* All of the round. */
    }
    return true;
}

int eddy_barrier_wait(eddy_barrier *public_barrier) {
    struct barrier *barrier = inside(public_barrier);
    eddy_task *task;
    int r = eddyi_task_enter(&task);
    if (r < 0) {
        return r;
    }
    struct eddyi_sync_waiter waiter;
    eddyi_sync_waiter_init(&waiter, task, "barrier", true);
    eddyi_spin_lock(&barrier->lock);
    bool last = complete(barrier);
    if (!last) {
        eddyi_sync_push(&barrier->waiters, &waiter);
    }
    eddyi_spin_unlock(&barrier->lock);
    return last ? 1 : eddyi_sync_wait(&barrier->lock, &barrier->waiters, &waiter);
}

uint64_t eddy_barrier_waiting(eddy_barrier *public_barrier) {
    struct barrier *barrier = inside(public_barrier);
    eddyi_spin_lock(&barrier->lock);
    uint64_t waiting = barrier->waiters.count;
    eddyi_spin_unlock(&barrier->lock);
    return waiting;
}
