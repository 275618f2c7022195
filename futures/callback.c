/* SPDX-License-Identifier: Apache-2.0 */
/* Callbacks of futures, and `then`, which is one that ends another future. */
#include <eddy/futures/callback_impl.h>

#include <eddy/futures/future.h>
#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/task/scope_impl.h>

/* ---- running them ---------------------------------------------------------------------------- */

/* Takes the leader out of the cell and calls it and its followers; says how many. */
static uint64_t run_all(struct eddyi_callback *leader) {
    struct eddyi_list callbacks = EDDYI_LIST_INIT(callbacks);
    struct eddyi_list *node;
    uint64_t count = 0;
    eddyi_list_remove(&leader->in_loop);
    eddyi_spin_lock(&leader->cell->lock);
    eddyi_list_remove(&leader->link);
    eddyi_spin_unlock(&leader->cell->lock);
    eddyi_list_push_back(&callbacks, &leader->link);
    eddyi_list_splice_back(&callbacks, &leader->followers);
    while ((node = eddyi_list_pop_front(&callbacks)) != NULL) {
        struct eddyi_callback *callback = EDDYI_LIST_ENTRY(node, struct eddyi_callback, link);
        eddy_future *cell = callback->cell;
        callback->call(callback);
        eddyi_cell_unref(cell);
        count++;
    }
    return count;
}

/* On its loop, which has been kept alive for each of them. */
static void run_on_loop(struct eddyi_ready *ready) {
    eddyi_loop_here->live -= run_all(EDDYI_CONTAINER(ready, struct eddyi_callback, ready));
}

/* Without a loop of their own, on the loop of the thread that ended the cell. */
static void run_on_foreign_loop(struct eddyi_ready *ready) {
    run_all(EDDYI_CONTAINER(ready, struct eddyi_callback, ready));
    eddyi_loop_here->live--;
}

static void queue(struct eddyi_callback *leader) {
    leader->ready.run = run_on_loop;
    eddyi_loop_ready_from_any(leader->loop, &leader->ready);
}

static void wake(struct eddyi_waiter *waiter, eddy_future *cell) {
    (void)cell;
    queue(EDDYI_CONTAINER(waiter, struct eddyi_callback, waiter));
}

/* A loop's thread may have ended the cell deep inside of its driver or of a scope's cancel, which
 * is no place for a user's code. */
static void run_later(struct eddyi_waiter *waiter) {
    struct eddyi_callback *leader = EDDYI_CONTAINER(waiter, struct eddyi_callback, waiter);
    eddy_loop *here = eddyi_loop_here;
    if (here == NULL) {
        run_all(leader);
    } else {
        here->live++;
        leader->ready.run = run_on_foreign_loop;
        eddyi_loop_ready(here, &leader->ready);
    }
}

/* ---- adding one ------------------------------------------------------------------------------ */

/* The loop is to be freed, and waits for its callbacks: their futures have to end. */
static void drain(eddy_loop *loop) {
    EDDYI_LIST_EACH(node, &loop->callbacks) {
        eddyi_cell_cancel(EDDYI_LIST_ENTRY(node, struct eddyi_callback, in_loop)->cell, -ECANCELED);
    }
}

static struct eddyi_callback *leader_of(eddy_future *cell, const eddy_loop *loop) {
    EDDYI_LIST_EACH(node, &cell->callbacks) {
        struct eddyi_callback *leader = EDDYI_LIST_ENTRY(node, struct eddyi_callback, link);
        if (leader->loop == loop) {
            return leader;
        }
    }
    return NULL;
}

/* On a loop's thread. Its leader stays in the cell until it runs, on this same thread, so that what
 * is added between the end of the cell and then still runs after the others. */
static void add_on_loop(eddy_future *cell, struct eddyi_callback *callback) {
    eddy_loop *loop = callback->loop;
    loop->live++;
    loop->callbacks_drain = drain;
    eddyi_spin_lock(&cell->lock);
    struct eddyi_callback *leader = leader_of(cell, loop);
    bool done = eddyi_cell_is_done(cell);
    if (leader == NULL) {
        eddyi_list_push_back(&cell->callbacks, &callback->link);
        if (!done) {
            callback->waiter.wake = wake;
            eddyi_list_push_back(&cell->waiters, &callback->waiter.link);
        }
    }
    eddyi_spin_unlock(&cell->lock);
    if (leader != NULL) {
        eddyi_list_push_back(&leader->followers, &callback->link);
        return;
    }
    eddyi_list_push_back(&loop->callbacks, &callback->in_loop);
    if (done) {
        queue(callback);
    } else if (loop->ending) {
        eddyi_cell_cancel(cell, -ECANCELED);
    }
}

static void add_on_thread(eddy_future *cell, struct eddyi_callback *callback) {
    eddyi_spin_lock(&cell->lock);
    bool done = eddyi_cell_is_done(cell);
    if (!done) {
        struct eddyi_callback *leader = leader_of(cell, NULL);
        if (leader != NULL) {
            eddyi_list_push_back(&leader->followers, &callback->link);
        } else {
            eddyi_list_push_back(&cell->callbacks, &callback->link);
            callback->waiter.later = run_later;
            eddyi_list_push_back(&cell->waiters, &callback->waiter.link);
        }
    }
    eddyi_spin_unlock(&cell->lock);
    if (done) {
        callback->call(callback);
        eddyi_cell_unref(cell);
    }
}

void eddyi_callback_add(eddy_future *cell, struct eddyi_callback *callback) {
    eddyi_cell_ref(cell);
    callback->cell = cell;
    callback->loop = eddyi_loop_here;
    callback->waiter = (struct eddyi_waiter){0};
    eddyi_list_init(&callback->waiter.link);
    eddyi_list_init(&callback->link);
    eddyi_list_init(&callback->followers);
    eddyi_list_init(&callback->in_loop);
    if (callback->loop != NULL) {
        add_on_loop(cell, callback);
    } else {
        add_on_thread(cell, callback);
    }
}

/* ---- a user's -------------------------------------------------------------------------------- */

struct user_callback {
    struct eddyi_callback base;
    void (*fn)(eddy_future *f, void *arg);
    void *arg;
};

static void call_user(struct eddyi_callback *callback) {
    struct user_callback *user = EDDYI_CONTAINER(callback, struct user_callback, base);
    eddy_future *cell = callback->cell;
    void (*fn)(eddy_future *, void *) = user->fn;
    void *arg = user->arg;
    eddyi_free(user);
    struct eddyi_agenda *agenda = eddyi_cell_step_out();
    fn(cell, arg);
    eddyi_cell_step_in(agenda);
}

int eddy_future_callback(eddy_future *f, void (*fn)(eddy_future *f, void *arg), void *arg) {
    if (f == NULL || fn == NULL) {
        return -EINVAL;
    }
    struct user_callback *user = eddyi_alloc(sizeof *user);
    if (user == NULL) {
        return -ENOMEM;
    }
    user->base.call = call_user;
    user->fn = fn;
    user->arg = arg;
    eddyi_callback_add(f, &user->base);
    return 0;
}

/* ---- then ------------------------------------------------------------------------------------ */

struct then {
    eddy_future base;
    struct eddyi_callback callback;
    int64_t (*fn)(int64_t result, void *arg);
    void *arg;
    struct eddyi_spin lock; /* guards `source` */
    eddy_future *source;    /* with a reference; NULL once fn has been called */
};

static struct then *then_of(eddy_future *cell) {
    return EDDYI_CONTAINER(cell, struct then, base);
}

static void call_then(struct eddyi_callback *callback) {
    struct then *then = EDDYI_CONTAINER(callback, struct then, callback);
    struct eddyi_agenda *agenda = eddyi_cell_step_out();
    int64_t result = then->fn(eddyi_cell_observe(callback->cell), then->arg);
    eddyi_cell_step_in(agenda);
    eddyi_spin_lock(&then->lock);
    eddy_future *source = then->source;
    then->source = NULL;
    eddyi_spin_unlock(&then->lock);
    eddyi_cell_unref(source);
    eddyi_cell_complete(&then->base, result, NULL, 0, NULL);
    eddyi_cell_unref(&then->base);
}

static void cancel_then(eddy_future *cell, int code) {
    struct then *then = then_of(cell);
    eddyi_spin_lock(&then->lock);
    eddy_future *source = then->source;
    if (source != NULL) {
        eddyi_cell_ref(source);
    }
    eddyi_spin_unlock(&then->lock);
    if (source != NULL) {
        eddyi_cell_cancel(source, code);
        eddyi_cell_unref(source);
    }
}

static void free_then(eddy_future *cell) {
    eddyi_free(then_of(cell));
}

static const struct eddyi_cell_class then_class = {
    .kind = "then",
    .cancel = cancel_then,
    .free = free_then,
};

eddy_future *eddy_future_then(eddy_future *f, int64_t (*fn)(int64_t result, void *arg), void *arg) {
    eddy_loop *loop = eddyi_loop_here;
    int r = f == NULL || fn == NULL ? -EINVAL : 0;
    struct then *then = r < 0 ? NULL : eddyi_alloc(sizeof *then);
    if (then == NULL) {
        return eddyi_scope_own_failed(loop, r < 0 ? r : -ENOMEM, EDDYI_PLACE);
    }
    eddyi_cell_init(&then->base, &then_class, loop, 2);
    then->base.site = f->site;
    then->callback.call = call_then;
    then->fn = fn;
    then->arg = arg;
    then->lock = (struct eddyi_spin){0};
    then->source = f;
    eddyi_cell_ref(f);
    eddyi_scope_own(&then->base, EDDYI_PLACE);
    eddyi_callback_add(f, &then->callback);
    return &then->base;
}
