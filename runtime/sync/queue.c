/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sync/queue_impl.h>

int eddyi_sync_wait(struct eddyi_spin *lock, struct eddyi_sync_queue *queue,
                    struct eddyi_sync_waiter *waiter) {
    for (;;) {
        eddyi_task_park(waiter->task, &waiter->wait);
        int code = waiter->wait.interrupt == NULL ? 0 : eddyi_task_cancelled(waiter->task);
        eddyi_spin_lock(lock);
        bool granted = waiter->granted;
        if (!granted && code != 0) {
            eddyi_sync_remove(queue, waiter);
        }
        eddyi_spin_unlock(lock);
        if (granted || code != 0) {
            return granted ? 0 : code;
        }
    }
}
