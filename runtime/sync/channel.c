/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sync/channel_impl.h>

#include <string.h>

#include <eddy/runtime/base/memory_impl.h>

int eddy_channel_new(size_t item_size, size_t capacity, eddy_channel **ret_channel) {
    size_t bytes;
    if (item_size == 0 || ret_channel == NULL) {
        return -EINVAL;
    }
    if (__builtin_mul_overflow(item_size, capacity, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(eddy_channel), &bytes)) {
        return -EOVERFLOW;
    }
    eddy_channel *channel = eddyi_alloc(bytes);
    if (channel == NULL) {
        return -ENOMEM;
    }
    memset(channel, 0, sizeof *channel);
    channel->item_size = item_size;
    channel->capacity = capacity;
    eddyi_track_add(&channel->track, "channel", NULL, NULL, EDDYI_PLACE, NULL);
    *ret_channel = channel;
    return 0;
}

eddy_channel *eddy_channel_free(eddy_channel *channel) {
    EDDY_ASSERT_SAY(channel == NULL ||
                        (channel->senders.head == NULL && channel->receivers.head == NULL),
                    "a channel is freed while a task waits in it");
    if (channel != NULL) {
        eddyi_track_remove(&channel->track);
    }
    eddyi_free(channel);
    return NULL;
}

/* ---- the ring -------------------------------------------------------------------------------- */

static void ring_put(eddy_channel *channel, const void *item) {
    size_t place = channel->first + channel->count;
    place -= place >= channel->capacity ? channel->capacity : 0;
    memcpy(channel->ring + place * channel->item_size, item, channel->item_size);
    channel->count++;
}

static void ring_take(eddy_channel *channel, void *ret_item) {
    memcpy(ret_item, channel->ring + channel->first * channel->item_size, channel->item_size);
    channel->first = channel->first + 1 == channel->capacity ? 0 : channel->first + 1;
    channel->count--;
}

/* ---- serving those who wait ------------------------------------------------------------------ */

/* The longest waiting call of a queue that nobody else has claimed, taken out; or NULL. */
static struct eddyi_channel_waiter *claim(struct eddyi_sync_queue *queue) {
    while (queue->head != NULL) {
        struct eddyi_channel_waiter *waiter =
            EDDYI_CONTAINER(queue->head, struct eddyi_channel_waiter, link);
        eddyi_sync_remove(queue, &waiter->link);
        int unclaimed = 0;
        if (atomic_compare_exchange_strong(&waiter->call->claimed, &unclaimed, 1)) {
            return waiter;
        }
    }
    return NULL;
}

static void serve(struct eddyi_channel_waiter *waiter, int result) {
    struct eddyi_channel_call *call = waiter->call;
    eddy_task *task = call->task;
    call->index = waiter->index;
    call->result = result;
    waiter->link.granted = true;
    /* 2: the rest of the call may be looked at. Its frame may be gone right after the wake-up. */
    atomic_store_explicit(&call->claimed, 2, memory_order_release);
    eddyi_task_wake(task);
}

static int attempt_send(eddy_channel *channel, const void *item) {
    if (channel->closed) {
        return EDDY_ECLOSED;
    }
    /* Somebody who waits to receive means that the ring is empty. */
    struct eddyi_channel_waiter *receiver = claim(&channel->receivers);
    if (receiver != NULL) {
        memcpy(receiver->recv, item, channel->item_size);
        serve(receiver, 0);
        return 0;
    }
    if (channel->count == channel->capacity) {
        return -EAGAIN;
    }
    ring_put(channel, item);
    return 0;
}

static int attempt_recv(eddy_channel *channel, void *ret_item) {
    if (channel->count > 0) {
        ring_take(channel, ret_item);
        struct eddyi_channel_waiter *sender = claim(&channel->senders);
        if (sender != NULL) {
            ring_put(channel, sender->send); /* keeps the order of sending */
            serve(sender, 0);
        }
        return 0;
    }
    struct eddyi_channel_waiter *sender = claim(&channel->senders);
    if (sender != NULL) {
        memcpy(ret_item, sender->send, channel->item_size);
        serve(sender, 0);
        return 0;
    }
    return channel->closed ? EDDY_ECLOSED : -EAGAIN;
}

int eddyi_channel_attempt(eddy_channel *channel, const void *send, void *recv) {
    return send != NULL ? attempt_send(channel, send) : attempt_recv(channel, recv);
}

void eddy_channel_close(eddy_channel *channel) {
    struct eddyi_channel_waiter *waiter;
    eddyi_spin_lock(&channel->lock);
    channel->closed = true;
    while ((waiter = claim(&channel->senders)) != NULL) {
        serve(waiter, EDDY_ECLOSED);
    }
    while ((waiter = claim(&channel->receivers)) != NULL) {
        serve(waiter, EDDY_ECLOSED); /* the ring is empty, or they would not wait */
    }
    eddyi_spin_unlock(&channel->lock);
}

size_t eddy_channel_count(eddy_channel *channel) {
    eddyi_spin_lock(&channel->lock);
    size_t count = channel->count;
    eddyi_spin_unlock(&channel->lock);
    return count;
}

/* ---- one send, one receive ------------------------------------------------------------------- */

int eddyi_channel_park(struct eddyi_channel_call *call) {
    int code = 0;
    while (atomic_load_explicit(&call->claimed, memory_order_acquire) != 2) {
        int unclaimed = 0;
        code = eddyi_task_cancelled(call->task);
        if (code != 0 && atomic_compare_exchange_strong(&call->claimed, &unclaimed, 1)) {
            return code;
        }
        /* Claimed by somebody who is just about to serve: the wake-up comes. */
        eddyi_task_park(call->task, &call->wait);
    }
    return call->result;
}

/* Just one of the two items. */
static bool is_valid(const eddy_channel *channel, const void *send, const void *recv) {
    return channel != NULL && (send != NULL || recv != NULL);
}

static int send_or_recv(eddy_channel *channel, const void *send, void *recv) {
    eddy_task *task;
    int r = is_valid(channel, send, recv) ? eddyi_task_enter(&task) : -EINVAL;
    if (r < 0) {
        return r;
    }
    eddyi_spin_lock(&channel->lock);
    r = eddyi_channel_attempt(channel, send, recv);
    if (r != -EAGAIN) {
        eddyi_spin_unlock(&channel->lock);
        return r;
    }
    struct eddyi_channel_call call = {
        .wait = {.interrupt = eddyi_wait_wake, .what = send != NULL ? "send" : "receive"},
        .task = task,
    };
    struct eddyi_channel_waiter waiter = {.call = &call, .send = send, .recv = recv};
    eddyi_sync_push(eddyi_channel_queue(channel, send), &waiter.link);
    eddyi_spin_unlock(&channel->lock);
    r = eddyi_channel_park(&call);
    /* Under the lock: nobody serves, or looks at, this waiter any more afterwards. */
    eddyi_spin_lock(&channel->lock);
    eddyi_sync_remove(eddyi_channel_queue(channel, send), &waiter.link);
    eddyi_spin_unlock(&channel->lock);
    return r;
}

static int try_send_or_recv(eddy_channel *channel, const void *send, void *recv) {
    if (!is_valid(channel, send, recv)) {
        return -EINVAL;
    }
    eddyi_spin_lock(&channel->lock);
    int r = eddyi_channel_attempt(channel, send, recv);
    eddyi_spin_unlock(&channel->lock);
    return r;
}

int eddy_channel_send(eddy_channel *channel, const void *item) {
    return send_or_recv(channel, item, NULL);
}

int eddy_channel_recv(eddy_channel *channel, void *ret_item) {
    return send_or_recv(channel, NULL, ret_item);
}

int eddy_channel_try_send(eddy_channel *channel, const void *item) {
    return try_send_or_recv(channel, item, NULL);
}

int eddy_channel_try_recv(eddy_channel *channel, void *ret_item) {
    return try_send_or_recv(channel, NULL, ret_item);
}
