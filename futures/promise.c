/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/futures/promise.h>

#include <eddy/futures/wait_impl.h>
#include <eddy/runtime/base/memory_impl.h>

/*
 * What becomes of a cancel, under `lock`:
 *
 *     PLAIN --on_cancel--> GUARDED --consumer cancels--> ASKED --fn is called--> CALLING --> OVER
 *       \--the consumer cancels: the future ends--> OVER
 *     free: from CALLING on another thread waits for OVER; from anything else straight to OVER
 */
enum state { PLAIN, GUARDED, ASKED, CALLING, OVER };

struct eddy_promise {
    eddy_future base; /* first reference the consumer's, second the producer's */
    struct eddyi_spin lock;
    uint8_t state;
    pthread_t caller;           /* CALLING: the thread that runs fn */
    struct eddyi_parker *freer; /* waits for OVER in eddy_promise_free, or NULL */
    void (*fn)(void *arg);
    void *arg;
    eddy_loop *loop;            /* ASKED on a loop's thread: where fn will run */
    struct eddyi_ready message; /* to there, with a reference */
    struct eddyi_track track;   /* the producer's handle; the consumer's is in base */
};

static eddy_promise *promise_of(eddy_future *cell) {
    return EDDYI_CONTAINER(cell, eddy_promise, base);
}

/* ---- cancel ---------------------------------------------------------------------------------- */

static void call_fn(eddy_promise *promise) {
    eddyi_spin_lock(&promise->lock);
    bool wanted = promise->state == ASKED;
    if (wanted) {
        promise->state = CALLING;
        promise->caller = pthread_self();
    }
    eddyi_spin_unlock(&promise->lock);
    if (!wanted) {
        return;
    }
    struct eddyi_agenda *agenda = eddyi_cell_step_out();
    promise->fn(promise->arg);
    eddyi_cell_step_in(agenda);
    eddyi_spin_lock(&promise->lock);
    promise->state = OVER;
    if (promise->freer != NULL) {
        eddyi_parker_wake(promise->freer);
    }
    eddyi_spin_unlock(&promise->lock);
}

static void call_on_loop(struct eddyi_ready *ready) {
    eddy_promise *promise = EDDYI_CONTAINER(ready, eddy_promise, message);
    eddyi_loop_here->live--;
    call_fn(promise);
    eddyi_cell_unref(&promise->base);
}

static void cancel_promise(eddy_future *cell, int code) {
    eddy_promise *promise = promise_of(cell);
    eddyi_spin_lock(&promise->lock);
    bool plain = promise->state == PLAIN;
    bool guarded = promise->state == GUARDED;
    promise->state = plain ? OVER : guarded ? ASKED : promise->state;
    eddyi_spin_unlock(&promise->lock);
    if (plain) {
        eddyi_cell_complete(cell, code, NULL, 0, NULL);
    }
    if (!guarded) {
        return;
    }
    eddyi_cell_ref(cell);
    eddy_loop *here = eddyi_loop_here;
    if (here == NULL) {
        call_fn(promise);
        eddyi_cell_unref(cell);
        return;
    }
    /* A loop's thread may stand deep inside of a scope's cancel, which is no place for a user's
     * code. */
    here->live++;
    promise->message.run = call_on_loop;
    eddyi_loop_ready(here, &promise->message);
}

static void free_promise(eddy_future *cell) {
    eddyi_free(promise_of(cell));
}

static const struct eddyi_cell_class promise_class = {
    .kind = "promise",
    .cancel = cancel_promise,
    .free = free_promise,
};

/* ---- the public side ------------------------------------------------------------------------- */

int eddy_promise_new(eddy_promise **ret_promise, eddy_future **ret_future) {
    if (ret_promise == NULL || ret_future == NULL) {
        return -EINVAL;
    }
    eddy_promise *promise = eddyi_zalloc(sizeof *promise);
    if (promise == NULL) {
        return -ENOMEM;
    }
    eddyi_cell_init(&promise->base, &promise_class, NULL, 2);
    eddyi_track_add(&promise->track, "promise", NULL, NULL, EDDYI_PLACE, NULL);
    eddyi_track_add(&promise->base.track, "future", NULL, NULL, EDDYI_PLACE, NULL);
    *ret_promise = promise;
    *ret_future = &promise->base;
    return 0;
}

int eddy_promise_resolve_payload(eddy_promise *promise, int64_t result, void *payload, size_t len,
                                 void (*dispose)(void *payload)) {
    if (promise == NULL) {
        if (dispose != NULL) {
            dispose(payload);
        }
        return -EINVAL;
    }
    return eddyi_cell_complete(&promise->base, result, payload, len, dispose);
}

int eddy_promise_resolve(eddy_promise *promise, int64_t result) {
    return eddy_promise_resolve_payload(promise, result, NULL, 0, NULL);
}

int eddy_promise_resolve_buffer(eddy_promise *promise, int64_t result, eddy_buffer *buffer) {
    eddy_buffer bytes = {0};
    if (buffer != NULL) {
        bytes = *buffer;
        *buffer = (eddy_buffer){0};
    }
    return eddy_promise_resolve_payload(promise, result, bytes.data, bytes.len,
                                        bytes.data == NULL ? NULL : eddyi_free);
}

bool eddy_promise_cancelled(const eddy_promise *promise) {
    return promise != NULL &&
           atomic_load_explicit(&promise->base.cancel_code, memory_order_relaxed) != 0;
}

int eddy_promise_on_cancel(eddy_promise *promise, void (*fn)(void *arg), void *arg) {
    if (promise == NULL || fn == NULL) {
        return -EINVAL;
    }
    int r = 0;
    eddyi_spin_lock(&promise->lock);
    if (promise->state == OVER || eddyi_cell_is_done(&promise->base)) {
        r = -EALREADY;
    } else if (promise->state != PLAIN) {
        r = -EBUSY;
    } else {
        promise->state = GUARDED;
        promise->fn = fn;
        promise->arg = arg;
    }
    eddyi_spin_unlock(&promise->lock);
    return r;
}

/* Sees to it that fn neither runs, but on this thread, nor will. */
static void end_cancel(eddy_promise *promise) {
    struct eddyi_parker parker;
    bool waiting = false;
    eddyi_spin_lock(&promise->lock);
    if (promise->state != CALLING) {
        promise->state = OVER;
    } else if (!pthread_equal(promise->caller, pthread_self())) {
        waiting = true;
        eddyi_parker_begin_uncancelled(&parker);
        promise->freer = &parker;
    }
    while (waiting && promise->state != OVER) {
        eddyi_spin_unlock(&promise->lock);
        eddyi_parker_park_uncancelled(&parker);
        eddyi_spin_lock(&promise->lock);
    }
    eddyi_spin_unlock(&promise->lock);
}

eddy_promise *eddy_promise_free(eddy_promise *promise) {
    if (promise == NULL) {
        return NULL;
    }
    eddyi_track_remove(&promise->track);
    end_cancel(promise);
    int code = atomic_load_explicit(&promise->base.cancel_code, memory_order_relaxed);
    eddyi_cell_complete(&promise->base, code != 0 ? code : EDDY_EBROKEN, NULL, 0, NULL);
    eddyi_cell_unref(&promise->base);
    return NULL;
}
