/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sync/event.h>

#include <eddy/runtime/sync/queue_impl.h>

struct __attribute__((may_alias)) event {
    struct eddyi_spin lock;
    bool set;
    struct eddyi_sync_queue waiters;
};

_Static_assert(sizeof(struct event) <= sizeof(eddy_event), "eddy_event has room for its inside");

static struct event *inside(eddy_event *event) {
    return (struct event *)(void *)event;
}

int eddy_event_wait(eddy_event *public_event) {
    struct event *event = inside(public_event);
    eddy_task *task;
    int r = eddyi_task_enter(&task);
    if (r < 0) {
        return r;
    }
    struct eddyi_sync_waiter waiter;
    eddyi_sync_waiter_init(&waiter, task, "event", true);
    eddyi_spin_lock(&event->lock);
    bool set = event->set;
    if (!set) {
        eddyi_sync_push(&event->waiters, &waiter);
    }
    eddyi_spin_unlock(&event->lock);
    return set ? 0 : eddyi_sync_wait(&event->lock, &event->waiters, &waiter);
}

void eddy_event_set(eddy_event *public_event) {
    struct event *event = inside(public_event);
    eddyi_spin_lock(&event->lock);
    event->set = true;
    while (eddyi_sync_grant(&event->waiters) != NULL) {
        /* All of them. */
    }
    eddyi_spin_unlock(&event->lock);
}

bool eddy_event_clear(eddy_event *public_event) {
    struct event *event = inside(public_event);
    eddyi_spin_lock(&event->lock);
    bool set = event->set;
    event->set = false;
    eddyi_spin_unlock(&event->lock);
    return set;
}

bool eddy_event_is_set(eddy_event *public_event) {
    struct event *event = inside(public_event);
    eddyi_spin_lock(&event->lock);
    bool set = event->set;
    eddyi_spin_unlock(&event->lock);
    return set;
}
