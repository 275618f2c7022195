/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/futures/future.h>

#include <eddy/futures/wait_impl.h>
#include <eddy/runtime/base/memory_impl.h>

/* ---- waiting --------------------------------------------------------------------------------- */

int64_t eddy_await(eddy_future *f) {
    if (f == NULL) {
        return -EINVAL;
    }
    int r = eddyi_wait_check(f);
    if (r < 0) {
        return r;
    }
    eddy_task *task = eddyi_task_here;
    if (EDDYI_LIKELY(task != NULL)) {
        r = eddyi_task_checkpoint(task);
        if (r == 0) {
            r = eddyi_task_await(task, f);
        }
    } else if (!eddyi_cell_is_done(f)) {
        r = eddyi_wait_one(f, EDDY_NEVER);
    }
    return r < 0 ? r : eddyi_cell_observe(f);
}

int64_t eddy_future_wait(eddy_future *f, int64_t timeout_ns) {
    if (timeout_ns == EDDY_NEVER || f == NULL) {
        return eddy_await(f);
    }
    if (timeout_ns <= 0) {
        eddy_task *task = eddyi_task_here;
        int code = task == NULL ? 0 : eddyi_task_checkpoint(task);
        return code < 0 ? code : eddy_future_result(f);
    }
    int r = eddyi_wait_check(f);
    if (r == 0 && (eddyi_task_here != NULL || !eddyi_cell_is_done(f))) {
        r = eddyi_wait_one(f, timeout_ns);
    }
    return r < 0 ? r : eddyi_cell_observe(f);
}

/* ---- looking --------------------------------------------------------------------------------- */

bool eddy_future_done(const eddy_future *f) {
    return f != NULL && eddyi_cell_is_done(f);
}

int64_t eddy_future_result(eddy_future *f) {
    if (f == NULL) {
        return -EINVAL;
    }
    return eddyi_cell_is_done(f) ? eddyi_cell_observe(f) : -EINPROGRESS;
}

bool eddy_future_cancelled(const eddy_future *f) {
    return f != NULL && eddyi_cell_is_cancelled(f);
}

int eddy_future_cancel(eddy_future *f) {
    if (f == NULL) {
        return -EINVAL;
    }
    if (eddyi_cell_is_done(f)) {
        return -EALREADY;
    }
    if (f->class->cancel == NULL) {
        return -ENOTSUP;
    }
    eddyi_cell_cancel(f, -ECANCELED);
    return 0;
}

/* ---- the payload ----------------------------------------------------------------------------- */

void *eddy_future_payload(eddy_future *f, size_t *ret_len) {
    void *payload = NULL;
    size_t len = 0;
    if (f != NULL && eddyi_cell_is_done(f)) {
        eddyi_spin_lock(&f->lock);
        payload = f->payload;
        len = f->payload_len;
        eddyi_spin_unlock(&f->lock);
    }
    if (ret_len != NULL) {
        *ret_len = payload == NULL ? 0 : len;
    }
    return payload;
}

struct payload {
    void *data;
    size_t len;
    void (*dispose)(void *payload);
};

/* Out of the future into `ret_payload`: 0 or why not. */
static int64_t take(eddy_future *f, struct payload *ret_payload) {
    if (!eddyi_cell_is_done(f)) {
        return -EINPROGRESS;
    }
    int64_t r = eddyi_cell_observe(f);
    if (r < 0) {
        return r;
    }
    eddyi_spin_lock(&f->lock);
    if (f->taken) {
        r = EDDY_ERELEASED;
    } else {
        *ret_payload = (struct payload){f->payload, f->payload_len, f->dispose};
        f->taken = f->payload != NULL;
        f->payload = NULL;
        f->payload_len = 0;
        f->dispose = NULL;
    }
    eddyi_spin_unlock(&f->lock);
    return r;
}

static void put_back(eddy_future *f, const struct payload *payload) {
    eddyi_spin_lock(&f->lock);
    f->taken = false;
    f->payload = payload->data;
    f->payload_len = payload->len;
    f->dispose = payload->dispose;
    eddyi_spin_unlock(&f->lock);
}

int64_t eddy_future_take(eddy_future *f, eddy_buffer *ret_buffer) {
    struct payload payload;
    if (f == NULL || ret_buffer == NULL) {
        return -EINVAL;
    }
    int64_t result = take(f, &payload);
    if (result < 0) {
        return result;
    }
    eddy_buffer buffer = {0};
    if (payload.dispose == eddyi_free) {
        buffer = (eddy_buffer){.data = payload.data, .len = payload.len, .cap = payload.len};
    } else {
        int r = eddy_buffer_append(&buffer, payload.data, payload.len);
        if (r < 0) {
            put_back(f, &payload);
            return r;
        }
        if (payload.dispose != NULL) {
            payload.dispose(payload.data);
        }
    }
    *ret_buffer = buffer;
    return result;
}

int64_t eddy_future_take_payload(eddy_future *f, void **ret_payload, size_t *ret_len) {
    struct payload payload;
    if (f == NULL || ret_payload == NULL) {
        return -EINVAL;
    }
    int64_t result = take(f, &payload);
    if (result < 0) {
        return result;
    }
    *ret_payload = payload.data;
    if (ret_len != NULL) {
        *ret_len = payload.len;
    }
    return result;
}

/* ---- the end of a handle --------------------------------------------------------------------- */

/* On the owner's thread. The scope may have let go of the handle meanwhile, at its own end. */
static void release_owned(eddy_future *f) {
    if (f->owner != NULL) {
        eddyi_list_remove(&f->owned);
        f->owner = NULL;
        eddyi_cell_drop(f);
    }
}

static void release_at_owner(struct eddyi_ready *ready) {
    eddy_future *f = EDDYI_CONTAINER(ready, eddy_future, release_message);
    release_owned(f);
    eddyi_cell_unref(f);
}

eddy_future *eddy_future_release(eddy_future *f) {
    if (f == NULL) {
        return NULL;
    }
    if (!eddyi_cell_is_done(f)) {
        if (eddyi_task_here != NULL && eddyi_cell_discard(f)) {
            return NULL;
        }
        int r = eddyi_wait_check(f);
        if (r != EDDY_EFORKED) {
            eddyi_cell_cancel(f, -ECANCELED);
        }
        if (r == 0) {
            if (!eddyi_cell_is_done(f)) { /* most are at once */
                eddyi_wait_one_uncancelled(f);
            }
        } else if (f->owner != NULL) {
            return NULL; /* the scope waits for it */
        }
    }
    eddy_loop *owner = f->owner;
    if (owner == NULL) {
        eddyi_cell_drop(f);
    } else if (owner == eddyi_loop_here) {
        release_owned(f);
    } else {
        eddyi_cell_ref(f);
        f->release_message.run = release_at_owner;
        eddyi_loop_ready_from_any(owner, &f->release_message);
    }
    return NULL;
}
