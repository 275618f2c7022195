/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a channel, for the two files that make one: channel.c and select.c.
 *
 * A task that waits stands in a queue of the channel, with the place of its item. Whoever comes to
 * the other side serves it under the channel's lock: copies the item, marks the waiter, wakes it. A
 * select stands in several channels at once; so whoever would serve one of its waiters has to claim
 * the select first, and only one claim succeeds.
 */
#ifndef EDDY_RUNTIME_SYNC_CHANNEL_IMPL_H
#define EDDY_RUNTIME_SYNC_CHANNEL_IMPL_H

#include <eddy/runtime/base/track_impl.h>
#include <eddy/runtime/sync/channel.h>
#include <eddy/runtime/sync/queue_impl.h>

/* What one waiting call shares between its waiters: one for send and recv, several for select. */
struct eddyi_channel_call {
    struct eddyi_wait wait;
    eddy_task *task;
    _Atomic int claimed; /* 0, or 1 once somebody has served it (or it has given up) */
    size_t index;        /* written by who claimed it: which case */
    int result;          /* 0 or EDDY_ECLOSED */
};

struct eddyi_channel_waiter {
    struct eddyi_sync_waiter link; /* in the channel's queue; its task and wait are not used */
    struct eddyi_channel_call *call;
    size_t index; /* of the case in its select */
    const void *send;
    void *recv;
};

struct eddy_channel {
    struct eddyi_spin lock;
    bool closed;
    size_t item_size;
    size_t capacity;
    size_t count; /* items in the ring */
    size_t first; /* the oldest one's place */
    struct eddyi_sync_queue senders;
    struct eddyi_sync_queue receivers;
    uint64_t draw; /* select: the generator of where it begins to look */
    struct eddyi_track track;
    _Alignas(max_align_t) char ring[];
};

/* Under the channel's lock: does the send (recv NULL) or the receive if it can be done now: 0,
 * EDDY_ECLOSED or -EAGAIN. */
int eddyi_channel_attempt(eddy_channel *channel, const void *send, void *recv);

/* Parks until the call is claimed: its result; or gives up: the cancel's code, and nobody can claim
 * it afterwards. The waiters are still queued, unless they were served. */
int eddyi_channel_park(struct eddyi_channel_call *call);

static inline struct eddyi_sync_queue *eddyi_channel_queue(eddy_channel *channel,
                                                           const void *send) {
    return send != NULL ? &channel->senders : &channel->receivers;
}

#endif
