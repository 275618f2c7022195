/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/task/local.h>

#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/task/task_impl.h>

/* The keys that have been used, in the order of their slots. A slot is given once and for good. */
static _Atomic(eddy_local *) keys[EDDY_LOCALS_MAX];
static _Atomic int key_count;
static struct eddyi_spin keys_lock;

/* The key's slot from 0 up, given now if it has none. The number in the key is one more, so that a
 * static key starts without. */
static int slot_of(eddy_local *local) {
    int slot = __atomic_load_n(&local->slot_, __ATOMIC_ACQUIRE);
    if (slot > 0) {
        return slot - 1;
    }
    eddyi_spin_lock(&keys_lock);
    slot = __atomic_load_n(&local->slot_, __ATOMIC_RELAXED);
    int count = atomic_load_explicit(&key_count, memory_order_relaxed);
    if (slot == 0 && count < EDDY_LOCALS_MAX) {
        atomic_store(&keys[count], local);
        atomic_store(&key_count, count + 1);
        slot = count + 1;
        __atomic_store_n(&local->slot_, slot, __ATOMIC_RELEASE);
    }
    eddyi_spin_unlock(&keys_lock);
    return slot > 0 ? slot - 1 : EDDY_ELIMIT;
}

static void **make_locals(void) {
    return eddyi_zalloc(EDDY_LOCALS_MAX * sizeof(void *));
}

static int make_room(eddy_task *task) {
    if (task->locals == NULL) {
        task->locals = make_locals();
    }
    return task->locals == NULL ? -ENOMEM : 0;
}

int eddy_local_set(eddy_local *local, void *value) {
    eddy_task *task = eddyi_task_here;
    if (task == NULL) {
        return EDDY_ENOTASK;
    }
    if (local == NULL || (local->inherit == EDDY_LOCAL_INHERIT && local->dispose != NULL)) {
        return -EINVAL;
    }
    int slot = slot_of(local);
    int r = slot < 0 ? slot : make_room(task);
    if (r < 0) {
        return r;
    }
    void *old = task->locals[slot];
    task->locals[slot] = value;
    if (local->dispose != NULL && old != NULL && old != value) {
        local->dispose(old);
    }
    return 0;
}

void *eddy_local_get(const eddy_local *local) {
    const eddy_task *task = eddyi_task_here;
    if (task == NULL || task->locals == NULL || local == NULL) {
        return NULL;
    }
    int slot = __atomic_load_n(&local->slot_, __ATOMIC_ACQUIRE);
    return slot == 0 ? NULL : task->locals[slot - 1];
}

int eddyi_local_inherit(const eddy_task *parent, void ***ret_locals) {
    void **locals = NULL;
    if (EDDYI_UNLIKELY(parent != NULL && parent->locals != NULL)) {
        int count = atomic_load(&key_count);
        for (int slot = 0; slot < count; slot++) {
            if (parent->locals[slot] == NULL || !atomic_load(&keys[slot])->inherit) {
                continue;
            }
            if (locals == NULL && (locals = make_locals()) == NULL) {
                return -ENOMEM;
            }
            locals[slot] = parent->locals[slot];
        }
    }
    *ret_locals = locals;
    return 0;
}

void eddyi_local_done(eddy_task *task) {
    if (EDDYI_LIKELY(task->locals == NULL)) {
        return;
    }
    /* Nothing may be started in a task that is over, nor may it wait: its `dispose` functions run
     * as outside of every task. */
    eddy_task *here = eddyi_task_here;
    eddyi_task_here = NULL;
    int count = atomic_load(&key_count);
    for (int slot = 0; slot < count; slot++) {
        void *value = task->locals[slot];
        const eddy_local *local = atomic_load(&keys[slot]);
        if (value != NULL && local->dispose != NULL) {
            task->locals[slot] = NULL;
            local->dispose(value);
        }
    }
    eddyi_free(task->locals);
    task->locals = NULL;
    eddyi_task_here = here;
}
