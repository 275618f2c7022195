/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/loop/cell_impl.h>

#include <eddy/runtime/base/error.h>

/* Nobody releases this one: it is what a call that returns a future gives when there is no memory
 * for a future. Its references are counted like any other's and never reach zero. */
#define IMMORTAL_REFS (UINT32_MAX / 2)

static void free_nothing(eddy_future *cell) {
    atomic_store_explicit(&cell->refs, IMMORTAL_REFS, memory_order_relaxed);
}

static const struct eddyi_cell_class immortal_class = {.kind = "failed", .free = free_nothing};
static const struct eddyi_cell_class failed_class = {.kind = "failed", .free = eddyi_cell_free};

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

static inline void init(eddy_future *cell, const struct eddyi_cell_class *class, eddy_loop *home,
                        uint32_t refs, struct eddyi_slab *slab) {
    /* Field by field: to clear a struct of this size at once, gcc uses an instruction that takes
     * 10 ns to get going. The messages are written when they are sent. */
    atomic_init(&cell->refs, refs);
    atomic_init(&cell->done, 0);
    atomic_init(&cell->observed, 0);
    atomic_init(&cell->cancel_queued, 0);
    atomic_init(&cell->cancel_timed, 0);
    atomic_init(&cell->cancel_code, 0);
    cell->lock = (struct eddyi_spin){0};
    cell->payload = NULL;
    cell->payload_len = 0;
    cell->dispose = NULL;
    eddyi_list_init(&cell->waiters);
    eddyi_list_init(&cell->callbacks);
    cell->taken = false;
    cell->class = class;
    cell->home = home;
    cell->site = NULL;
    cell->name = NULL;
    eddyi_list_init(&cell->owned);
    cell->owner = NULL;
    cell->slab = slab;
    cell->track = (struct eddyi_track){};
}

void eddyi_cell_init(eddy_future *cell, const struct eddyi_cell_class *class, eddy_loop *home,
                     uint32_t refs) {
    init(cell, class, home, refs, NULL);
}

eddy_future *eddyi_cell_new(const struct eddyi_cell_class *class, size_t size, eddy_loop *home,
                            uint32_t refs) {
    struct eddyi_slab *slab;
    eddy_future *cell = eddyi_shelf_get(size, &slab);
    if (cell != NULL) {
        init(cell, class, home, refs, slab);
    }
    return cell;
}

void eddyi_cell_free(eddy_future *cell) {
    eddyi_shelf_put(cell->slab, cell);
}

void eddyi_cell_ref(eddy_future *cell) {
    atomic_fetch_add_explicit(&cell->refs, 1, memory_order_relaxed);
}

static void dispose_of(void *payload, void (*dispose)(void *payload)) {
    if (dispose != NULL) {
        struct eddyi_agenda *agenda = eddyi_cell_step_out();
        dispose(payload);
        eddyi_cell_step_in(agenda);
    }
}

void eddyi_cell_unref(eddy_future *cell) {
    /* Whoever has the only reference need not ask whether it is the last. */
    if (atomic_load_explicit(&cell->refs, memory_order_acquire) != 1 &&
        atomic_fetch_sub_explicit(&cell->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    dispose_of(cell->payload, cell->dispose);
    cell->class->free(cell);
}

/* ---- the agenda ------------------------------------------------------------------------------ */

/* What an end or a cancel on this thread has led to and is still to be done, on the stack of the
 * first of them. */
struct eddyi_agenda {
    struct eddyi_list ended;     /* struct eddyi_waiter with `later` */
    struct eddyi_ready *cancels; /* cells by cancel_message, each with a reference; the first */
    struct eddyi_ready **cancels_end;
};

static _Thread_local struct eddyi_agenda *agenda_here;

/* The caller's own, unless one is being worked off already. Goes with agenda_end. */
static void agenda_begin(struct eddyi_agenda *own) {
    if (agenda_here == NULL) {
        eddyi_list_init(&own->ended);
        own->cancels = NULL;
        own->cancels_end = &own->cancels;
        agenda_here = own;
    }
}

static void ask(eddy_future *cell) {
    /* Before the look at the code: who raises it later asks again. */
    atomic_store(&cell->cancel_queued, 0);
    if (!eddyi_cell_is_done(cell)) {
        cell->class->cancel(cell, atomic_load(&cell->cancel_code));
    }
}

static void ask_next(struct eddyi_agenda *agenda) {
    struct eddyi_ready *message = agenda->cancels;
    agenda->cancels = message->next;
    if (agenda->cancels == NULL) {
        agenda->cancels_end = &agenda->cancels;
    }
    eddy_future *cell = EDDYI_CONTAINER(message, eddy_future, cancel_message);
    ask(cell);
    eddyi_cell_unref(cell);
}

/* Works it off, when it is the caller's own. */
static void agenda_end(struct eddyi_agenda *own) {
    if (agenda_here != own) {
        return;
    }
    for (;;) {
        struct eddyi_list *node = eddyi_list_pop_front(&own->ended);
        if (node != NULL) {
            struct eddyi_waiter *waiter = EDDYI_LIST_ENTRY(node, struct eddyi_waiter, link);
            waiter->later(waiter);
        } else if (own->cancels != NULL) {
            ask_next(own);
        } else {
            break;
        }
    }
    agenda_here = NULL;
}

struct eddyi_agenda *eddyi_cell_step_out(void) {
    struct eddyi_agenda *agenda = agenda_here;
    agenda_here = NULL;
    return agenda;
}

void eddyi_cell_step_in(struct eddyi_agenda *agenda) {
    agenda_here = agenda;
}

/* ---- the end of a handle --------------------------------------------------------------------- */

bool eddyi_cell_is_cancelled(const eddy_future *cell) {
    if (!eddyi_cell_is_done(cell)) {
        return false;
    }
    return cell->result == -ECANCELED ||
           (cell->result == -ETIME &&
            atomic_load_explicit(&cell->cancel_timed, memory_order_relaxed) != 0);
}

static void tell_at_home(struct eddyi_ready *ready) {
    eddy_future *cell = EDDYI_CONTAINER(ready, eddy_future, release_message);
    eddyi_loop_unobserved(cell->home, cell->result, cell->site, cell->name);
    eddyi_cell_unref(cell);
}

void eddyi_cell_drop(eddy_future *cell) {
    eddyi_track_remove(&cell->track);
    if (eddyi_cell_is_done(cell) && cell->result < 0 && !eddyi_cell_is_cancelled(cell) &&
        atomic_load_explicit(&cell->observed, memory_order_relaxed) == 0) {
        eddy_loop *loop = cell->home != NULL ? cell->home : eddyi_loop_here;
        if (loop != NULL && loop->opts.on_unobserved != NULL) {
            if (loop != eddyi_loop_here && !eddyi_loop_is_bound_here(loop)) {
                cell->release_message.run = tell_at_home;
                eddyi_loop_ready_from_any(loop, &cell->release_message);
                return;
            }
            eddyi_loop_unobserved(loop, cell->result, cell->site, cell->name);
        }
    }
    eddyi_cell_unref(cell);
}

bool eddyi_cell_discard(eddy_future *cell) {
    /* The producer's reference goes on this thread, so two are it and the handle. A message under
     * way, a callback or another cell has one of its own; who waits without is in the list. */
    if (cell->class->discard == NULL || cell->home != eddyi_loop_here || cell->home->forked ||
        cell->owner != cell->home || !eddyi_list_empty(&cell->waiters) ||
        atomic_load_explicit(&cell->refs, memory_order_acquire) != 2) {
        return false;
    }
    eddyi_list_remove(&cell->owned);
    cell->class->discard(cell);
    return true;
}

int eddyi_cell_complete(eddy_future *cell, int64_t result, void *payload, size_t payload_len,
                        void (*dispose)(void *payload)) {
    struct eddyi_list later = EDDYI_LIST_INIT(later);
    struct eddyi_agenda own;
    eddyi_spin_lock(&cell->lock);
    if (atomic_load_explicit(&cell->done, memory_order_relaxed) != 0) {
        eddyi_spin_unlock(&cell->lock);
        dispose_of(payload, dispose);
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
    if (!eddyi_list_empty(&later)) {
        agenda_begin(&own);
        eddyi_list_splice_back(&agenda_here->ended, &later);
        agenda_end(&own);
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
    if (eddyi_cell_is_done(cell)) {
        eddyi_spin_wait(&cell->lock); /* until all are woken */
        return false;
    }
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
    struct eddyi_agenda own;
    eddy_future *cell = EDDYI_CONTAINER(ready, eddy_future, cancel_message);
    agenda_begin(&own);
    ask(cell);
    agenda_end(&own);
    eddyi_cell_unref(cell);
}

/* Whether the code is new: a cancel outranks a deadline, and counts after one. */
static bool raise_code(eddy_future *cell, int code) {
    int asked = 0;
    if (code == -ETIME) {
        atomic_store_explicit(&cell->cancel_timed, 1, memory_order_relaxed);
        return atomic_compare_exchange_strong(&cell->cancel_code, &asked, code);
    }
    return atomic_exchange(&cell->cancel_code, -ECANCELED) != -ECANCELED;
}

void eddyi_cell_cancel(eddy_future *cell, int code) {
    if (cell->class->cancel == NULL || eddyi_cell_is_done(cell) || !raise_code(cell, code)) {
        return;
    }
    struct eddyi_agenda own;
    if (cell->home != NULL && cell->home == eddyi_loop_here && agenda_here == NULL) {
        /* The usual case, without the queue: nothing is under way that would have to come first. */
        agenda_begin(&own);
        cell->class->cancel(cell, atomic_load_explicit(&cell->cancel_code, memory_order_relaxed));
        agenda_end(&own);
        return;
    }
    if (atomic_exchange(&cell->cancel_queued, 1) != 0) {
        return;
    }
    eddyi_cell_ref(cell);
    if (cell->home == NULL || cell->home == eddyi_loop_here) {
        agenda_begin(&own);
        cell->cancel_message.next = NULL;
        *agenda_here->cancels_end = &cell->cancel_message;
        agenda_here->cancels_end = &cell->cancel_message.next;
        agenda_end(&own);
        return;
    }
    cell->cancel_message.run = cancel_at_home;
    eddyi_loop_ready_from_any(cell->home, &cell->cancel_message);
}

eddy_future *eddyi_cell_failed(eddy_loop *home, int64_t error) {
    eddy_future *cell = eddyi_cell_new(&failed_class, sizeof *cell, home, 1);
    if (cell == NULL) {
        return &no_memory;
    }
    cell->result = error;
    atomic_store_explicit(&cell->done, 1, memory_order_release);
    return cell;
}

bool eddyi_cell_is_static(const eddy_future *cell) {
    return cell == &no_memory;
}
