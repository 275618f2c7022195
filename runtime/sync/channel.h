/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel: a bounded queue of items of one size between tasks, over all loops. A full one makes
 * senders wait, an empty one receivers; that is the back-pressure.
 *
 *     eddy_channel *lines;
 *     int r = eddy_channel_new(sizeof(struct line), 16, &lines);
 *
 *     while ((r = eddy_channel_recv(lines, &line)) == 0) {          in one task
 *         ...
 *     }                                                             EDDY_ECLOSED: that was the last
 *
 *     eddy_channel_send(lines, &line);                              in another
 *     eddy_channel_close(lines);
 *
 * Items are copied in and out and arrive in the order in which they were sent. With capacity 0 a
 * send ends when a receiver has taken the item. Several may send and several receive; who has
 * waited longest is served first. A cancel loses no item: either it was sent (received), and the
 * call says so, or it was not.
 */
#ifndef EDDY_RUNTIME_SYNC_CHANNEL_H
#define EDDY_RUNTIME_SYNC_CHANNEL_H

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

typedef struct eddy_channel eddy_channel;

/* One thing that eddy_channel_select may do: a send or a receive. */
typedef struct eddy_channel_case {
    eddy_channel *channel; /* NULL: this case never comes true */
    const void *send;      /* the item to send, or NULL */
    void *recv;            /* where an item is received; used when `send` is NULL */
} eddy_channel_case;

/* The most cases of one select. */
#define EDDY_CHANNEL_CASES_MAX 64

/**
 * Make a channel.
 *
 * Shape:   item_size is 1 or more bytes; capacity items are kept, 0 for none.
 * Owns:    *ret_channel is freed with eddy_channel_free.
 * Errors:  -EINVAL item_size is 0, or ret_channel is NULL; -EOVERFLOW it is all too large; -ENOMEM.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_channel_new(size_t item_size, size_t capacity, eddy_channel **ret_channel);

/**
 * Free a channel, with the items in it.
 *
 * Shape:   NULL is fine. No task may be waiting in it.
 * Owns:    consumes the channel; what the items own is the caller's affair: receive them first.
 * Errors:  none; returns NULL.
 * Threads: any thread, once no other uses it.
 * Cancel:  does not suspend.
 */
EDDY_API eddy_channel *eddy_channel_free(eddy_channel *channel);

/**
 * Send an item, waiting for room.
 *
 * Shape:   0 when it is in the channel (capacity 0: when it has been received).
 * Owns:    copies item_size bytes at `item`.
 * Errors:  EDDY_ECLOSED; -ECANCELED, -ETIME (the item was not sent); EDDY_ENOTASK; -EINVAL channel
 *          or item is NULL.
 * Threads: fiber, on any loop.
 * Cancel:  suspends.
 */
EDDY_API int eddy_channel_send(eddy_channel *channel, const void *item);

/**
 * Send an item if there is room, or a receiver waits.
 *
 * Shape:   0 when it was sent.
 * Owns:    copies item_size bytes at `item`.
 * Errors:  -EAGAIN; EDDY_ECLOSED; -EINVAL channel or item is NULL.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_channel_try_send(eddy_channel *channel, const void *item);

/**
 * Receive the next item, waiting for one.
 *
 * Shape:   0 with item_size bytes at ret_item.
 * Owns:    writes to ret_item on success only.
 * Errors:  EDDY_ECLOSED closed, and all items have been received; -ECANCELED, -ETIME (nothing was
 *          received); EDDY_ENOTASK; -EINVAL channel or ret_item is NULL.
 * Threads: fiber, on any loop.
 * Cancel:  suspends.
 */
EDDY_API int eddy_channel_recv(eddy_channel *channel, void *ret_item);

/**
 * Receive the next item if there is one.
 *
 * Shape:   as eddy_channel_recv.
 * Owns:    as eddy_channel_recv.
 * Errors:  -EAGAIN; EDDY_ECLOSED, as eddy_channel_recv; -EINVAL.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_channel_try_recv(eddy_channel *channel, void *ret_item);

/**
 * Close the channel: no item can be sent any more, those in it are still received.
 *
 * Shape:   again is fine. Senders that wait get EDDY_ECLOSED.
 * Owns:    nothing; the channel still has to be freed.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API void eddy_channel_close(eddy_channel *channel);

/**
 * How many items are in the channel.
 *
 * Shape:   may have changed by the time it returns.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API size_t eddy_channel_count(eddy_channel *channel);

/**
 * Do one of several sends and receives: the first that can be done, waiting for that.
 *
 * Shape:   0, and *ret_index is the case that was done. Where several could be, one is drawn, so
 *          none is starved. A channel may stand in several cases.
 * Owns:    as send and recv; the cases are borrowed until it returns.
 * Errors:  EDDY_ECLOSED the channel of case *ret_index is closed (ret_index is written then, too);
 *          -EINVAL no case, too many, or a case with neither item; -ECANCELED, -ETIME (nothing was
 *          done); EDDY_ENOTASK. With only NULL channels it waits for a cancel.
 * Threads: fiber, on any loop.
 * Cancel:  suspends.
 */
EDDY_API int eddy_channel_select(const eddy_channel_case *cases, size_t count, size_t *ret_index);

/**
 * As eddy_channel_select, without waiting.
 *
 * Shape:   as eddy_channel_select.
 * Owns:    as eddy_channel_select.
 * Errors:  -EAGAIN none can be done now; otherwise as eddy_channel_select.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_channel_try_select(const eddy_channel_case *cases, size_t count,
                                     size_t *ret_index);

static inline void eddy_channel_freep(eddy_channel **channel) {
    eddy_channel_free(*channel);
}

EDDY_END_DECLS

#endif
