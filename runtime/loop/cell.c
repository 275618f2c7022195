/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/loop/cell_impl.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/memory_impl.h>

/* Nobody releases this one: it is what a call that returns a future gives when there is no memory
 * for a future. Its references are counted like any other's and never reach zero. */
#define IMMORTAL_REFS (UINT32_MAX / 2)

static void free_nothing(eddy_future *cell) {
    atomic_store_explicit(&cell->refs, IMMORTAL_REFS, memory_order_relaxed);
}

static void free_heap(eddy_future *cell) {
    eddyi_free(cell);
}

static const struct eddyi_cell_class immortal_class = {"failed", NULL, free_nothing};
static const struct eddyi_cell_class failed_class = {"failed", NULL, free_heap};

static eddy_future no_memory = {
    .refs = IMMORTAL_REFS,
    .done = 1,
    .observed = 1,
    .result = -ENOMEM,
    .class = &immortal_class,
    .waiters = EDDYI_LIST_INIT(no_memory.waiters),
    .callbacks = EDDYI_LIST_INIT(no_memory.callbacks),
    .owned = EDDYI_LIST_INIT(no_memory.owned),
};

void eddyi_cell_init(eddy_future *cell, const struct eddyi_cell_class *class, eddy_loop *home,
                     uint32_t refs) {
    *cell = (eddy_future){.class = class, .home = home};
    atomic_init(&cell->refs, refs);
    eddyi_list_init(&cell->waiters);
    eddyi_list_init(&cell->callbacks);
    eddyi_list_init(&cell->owned);
}

void eddyi_cell_ref(eddy_future *cell) {
    atomic_fetch_add_explicit(&cell->refs, 1, memory_order_relaxed);
}

void eddyi_cell_unref(eddy_future *cell) {
    if (atomic_fetch_sub_explicit(&cell->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (cell->dispose != NULL) {
        cell->dispose(cell->payload);
    }
    cell->class->free(cell);
}

/* ---- the end of a handle --------------------------------------------------------------------- */

bool eddyi_cell_is_cancelled(const eddy_future *cell) {
    if (!eddyi_cell_is_done(cell)) {
        return false;
    }
    int asked = atomic_load_explicit(&cell->cancel_code, memory_order_relaxed);
    return cell->result == -ECANCELED || (asked != 0 && cell->result == asked);
}

static void tell_unobserved(const eddy_future *cell, eddy_loop *loop) {
    loop->opts.on_unobserved(cell->result, cell->site, cell->name, loop->opts.ctx);
}

static void tell_at_home(struct eddyi_ready *ready) {
    eddy_future *cell = EDDYI_CONTAINER(ready, eddy_future, release_message);
    tell_unobserved(cell, cell->home);
    eddyi_cell_unref(cell);
}

void eddyi_cell_drop(eddy_future *cell) {
    if (eddyi_cell_is_done(cell) && cell->result < 0 && !eddyi_cell_is_cancelled(cell) &&
        atomic_load_explicit(&cell->observed, memory_order_relaxed) == 0) {
        eddy_loop *loop = cell->home != NULL ? cell->home : eddyi_loop_here;
        if (loop != NULL && loop->opts.on_unobserved != NULL) {
            if (loop != eddyi_loop_here && !eddyi_loop_is_bound_here(loop)) {
                cell->release_message.run = tell_at_home;
                eddyi_loop_ready_from_any(loop, &cell->release_message);
                return;
            }
            tell_unobserved(cell, loop);
        }
    }
    eddyi_cell_unref(cell);
}

int eddyi_cell_complete(eddy_future *cell, int64_t result, void *payload, size_t payload_len,
                        void (*dispose)(void *payload)) {
    struct eddyi_list later = EDDYI_LIST_INIT(later);
    eddyi_spin_lock(&cell->lock);
    if (atomic_load_explicit(&cell->done, memory_order_relaxed) != 0) {
        eddyi_spin_unlock(&cell->lock);
        if (dispose != NULL) {
            dispose(payload);
        }
        return -EALREADY;
    }
    cell->result = result;
    cell->payload = payload;
    cell->payload_len = payload_len;
    cell->dispose = dispose;
    atomic_store_explicit(&cell->done, 1, memory_order_release);
    struct eddyi_list *node;
    while ((node = eddyi_list_pop_front(&cell->waiters)) != NULL) {
        struct eddyi_waiter *waiter = EDDYI_LIST_ENTRY(node, struct eddyi_waiter, link);
        if (waiter->later != NULL) {
            eddyi_list_push_back(&later, node);
        } else {
            waiter->wake(waiter, cell);
        }
    }
    eddyi_spin_unlock(&cell->lock);
    while ((node = eddyi_list_pop_front(&later)) != NULL) {
        struct eddyi_waiter *waiter = EDDYI_LIST_ENTRY(node, struct eddyi_waiter, link);
        waiter->later(waiter, cell);
    }
    return 0;
}

bool eddyi_cell_wait(eddy_future *cell, struct eddyi_waiter *waiter) {
    eddyi_list_init(&waiter->link);
    if (eddyi_cell_is_done(cell)) {
        return false;
    }
    eddyi_spin_lock(&cell->lock);
    bool pending = atomic_load_explicit(&cell->done, memory_order_relaxed) == 0;
    if (pending) {
        eddyi_list_push_back(&cell->waiters, &waiter->link);
    }
    eddyi_spin_unlock(&cell->lock);
    return pending;
}

bool eddyi_cell_unwait(eddy_future *cell, struct eddyi_waiter *waiter) {
    eddyi_spin_lock(&cell->lock);
    bool waiting = atomic_load_explicit(&cell->done, memory_order_relaxed) == 0;
    if (waiting) {
        waiting = eddyi_list_linked(&waiter->link);
        eddyi_list_remove(&waiter->link);
    }
    eddyi_spin_unlock(&cell->lock);
    return waiting;
}

/* ---- cancel ---------------------------------------------------------------------------------- */

static void cancel_at_home(struct eddyi_ready *ready) {
    eddy_future *cell = EDDYI_CONTAINER(ready, eddy_future, cancel_message);
    if (!eddyi_cell_is_done(cell)) {
        cell->class->cancel(cell, atomic_load(&cell->cancel_code));
    }
    eddyi_cell_unref(cell);
}

void eddyi_cell_cancel(eddy_future *cell, int code) {
    int none = 0;
    if (cell->class->cancel == NULL || eddyi_cell_is_done(cell) ||
        !atomic_compare_exchange_strong(&cell->cancel_code, &none, code)) {
        return;
    }
    if (cell->home == NULL || cell->home == eddyi_loop_here) {
        cell->class->cancel(cell, code);
        return;
    }
    eddyi_cell_ref(cell);
    cell->cancel_message.run = cancel_at_home;
    eddyi_loop_ready_from_any(cell->home, &cell->cancel_message);
}

eddy_future *eddyi_cell_failed(eddy_loop *home, int64_t error) {
    eddy_future *cell = eddyi_alloc(sizeof *cell);
    if (cell == NULL) {
        return &no_memory;
    }
    eddyi_cell_init(cell, &failed_class, home, 1);
    cell->result = error;
    atomic_store_explicit(&cell->done, 1, memory_order_release);
    return cell;
}

bool eddyi_cell_is_static(const eddy_future *cell) {
    return cell == &no_memory;
}
