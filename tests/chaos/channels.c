/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels that everybody uses, and *pipes* between a few. An item of the former carries a ticket
 * of its own, on which both ends sign: what was sent is received once, and what a cancel kept from
 * being sent, never.
 */
#include <stdlib.h>

#include <eddy/runtime/sync/channel.h>

#include "chaos.h"

#define COUNT 12

enum { SENT = 1, NOT_SENT = 2, RECEIVED = 4 };

struct ticket {
    _Atomic unsigned signs;
    struct ticket *next; /* among those that were not sent, which are kept to the end */
};

/* Larger than a word, so that one that was not copied whole is seen. */
struct item {
    struct ticket *ticket;
    uint64_t number;
    uint64_t twice;
};

static eddy_channel *channels[COUNT];
static _Atomic(struct ticket *) not_sent;
static _Atomic int64_t under_way;
static _Atomic uint64_t received_count;

void channels_init(void) {
    static const size_t capacities[] = {0, 0, 1, 2, 7, 64};
    for (unsigned i = 0; i < COUNT; i++) {
        size_t capacity = capacities[i % (sizeof capacities / sizeof capacities[0])];
        REQUIRE_EQ(eddy_channel_new(sizeof(struct item), capacity, &channels[i]), 0);
    }
}

static struct item item_new(struct me *me) {
    struct ticket *ticket = calloc(1, sizeof *ticket);
    uint64_t number = dice_next(&me->dice);
    REQUIRE(ticket != NULL);
    return (struct item){ticket, number, 2 * number};
}

/* The sender knows how it went. */
static void sign_sent(struct item *item, bool sent) {
    struct ticket *ticket = item->ticket;
    if (sent) {
        atomic_fetch_add(&under_way, 1);
        if (atomic_fetch_or(&ticket->signs, SENT) == RECEIVED) {
            free(ticket);
        }
        return;
    }
    REQUIRE_EQ(atomic_fetch_or(&ticket->signs, NOT_SENT), 0);
    ticket->next = atomic_load(&not_sent);
    while (!atomic_compare_exchange_weak(&not_sent, &ticket->next, ticket)) {
    }
}

static void sign_received(const struct item *item) {
    REQUIRE_EQ(item->twice, 2 * item->number);
    unsigned signs = atomic_fetch_or(&item->ticket->signs, RECEIVED);
    REQUIRE((signs & (RECEIVED | NOT_SENT)) == 0);
    if (signs == SENT) {
        free(item->ticket);
    }
    atomic_fetch_sub(&under_way, 1);
    atomic_fetch_add_explicit(&received_count, 1, memory_order_relaxed);
}

int64_t act_channel(struct me *me) {
    eddy_channel *channel = channels[dice_below(me, COUNT)];
    bool trying = one_in(me, 4);
    bool sending = one_in(me, 2);
    struct item item = {0};
    int64_t r;
    if (sending) {
        item = item_new(me);
        r = trying ? eddy_channel_try_send(channel, &item) : eddy_channel_send(channel, &item);
        sign_sent(&item, r == 0);
    } else {
        r = trying ? eddy_channel_try_recv(channel, &item) : eddy_channel_recv(channel, &item);
        if (r == 0) {
            sign_received(&item);
        } else {
            REQUIRE(item.ticket == NULL);
        }
    }
    if (trying) {
        REQUIRE(r == 0 || r == -EAGAIN);
        return 0;
    }
    REQUIRE(r == 0 || is_cut(r));
    return checked(me, r);
}

#define CASES_MAX 4

int64_t act_select(struct me *me) {
    struct item items[CASES_MAX] = {{0}};
    eddy_channel_case cases[CASES_MAX] = {{0}};
    size_t count = 1 + dice_below(me, CASES_MAX);
    size_t index = CASES_MAX;
    bool trying = one_in(me, 4);
    for (size_t i = 0; i < count; i++) {
        cases[i].channel = one_in(me, 10) ? NULL : channels[dice_below(me, COUNT)];
        if (one_in(me, 2)) {
            items[i] = item_new(me);
            cases[i].send = &items[i];
        } else {
            cases[i].recv = &items[i];
        }
    }
    int64_t r = trying ? eddy_channel_try_select(cases, count, &index)
                       : eddy_channel_select(cases, count, &index);
    REQUIRE(r == 0 ? index < count : index == CASES_MAX);
    for (size_t i = 0; i < count; i++) {
        bool done = r == 0 && i == index;
        if (cases[i].send != NULL) {
            sign_sent(&items[i], done);
        } else if (done) {
            sign_received(&items[i]);
        } else {
            REQUIRE(items[i].ticket == NULL);
        }
    }
    if (trying) {
        REQUIRE(r == 0 || r == -EAGAIN);
        return 0;
    }
    REQUIRE(r == 0 || is_cut(r));
    return checked(me, r);
}

/* ---- a pipe: one sender, some receivers, in order -------------------------------------------- */

struct pipe {
    eddy_channel *channel;
    uint64_t total;
    uint64_t sent; /* the sender's, until the frame is left */
    _Atomic uint64_t received;
    _Atomic uint64_t sum;
};

static int64_t pipe_send(struct me *me, void *arg) {
    struct pipe *pipe = arg;
    eddy_task_name_set("pipe, the sender");
    int64_t r = 0;
    while (r == 0 && pipe->sent < pipe->total) {
        r = checked(me, eddy_channel_send(pipe->channel, &pipe->sent));
        pipe->sent += r == 0;
        if (r == 0 && one_in(me, 8)) {
            r = rest(me);
        }
    }
    REQUIRE(r == 0 || is_cut(r));
    eddy_channel_close(pipe->channel);
    REQUIRE_EQ(eddy_channel_try_send(pipe->channel, &pipe->sent), EDDY_ECLOSED);
    return r;
}

static int64_t pipe_receive(struct me *me, void *arg) {
    struct pipe *pipe = arg;
    uint64_t next = 0;
    uint64_t number = 0;
    int64_t r;
    eddy_task_name_set("pipe, a receiver");
    while ((r = checked(me, eddy_channel_recv(pipe->channel, &number))) == 0) {
        REQUIRE(number >= next && number < pipe->total);
        next = number + 1;
        atomic_fetch_add(&pipe->received, 1);
        atomic_fetch_add(&pipe->sum, number);
        if (one_in(me, 8) && (r = rest(me)) != 0) {
            break;
        }
    }
    if (r == EDDY_ECLOSED) {
        return 0;
    }
    REQUIRE(is_cut(r));
    return r;
}

int64_t act_pipe(struct me *me) {
    struct frame frame;
    struct pipe pipe = {.total = dice_below(me, 60)};
    REQUIRE_EQ(eddy_channel_new(sizeof(uint64_t), dice_below(me, 4), &pipe.channel), 0);
    frame_enter(me, &frame, &(eddy_scope_opts){0});
    int64_t r = spawn_in(me, &frame, true, pipe_send, &pipe);
    for (uint64_t n = 1 + dice_below(me, 3); n > 0 && r == 0; n--) {
        r = spawn_in(me, &frame, true, pipe_receive, &pipe);
    }
    r = frame_leave(me, &frame, r);
    uint64_t number;
    while (eddy_channel_try_recv(pipe.channel, &number) == 0) {
        atomic_fetch_add(&pipe.received, 1);
        atomic_fetch_add(&pipe.sum, number);
    }
    REQUIRE_EQ(pipe.sent, atomic_load(&pipe.received));
    REQUIRE_EQ(atomic_load(&pipe.sum), pipe.sent * (pipe.sent - (pipe.sent > 0)) / 2);
    eddy_channel_free(pipe.channel);
    int64_t cut = checked(me, eddy_checkpoint());
    REQUIRE(r != 0 || cut != 0 || pipe.sent == pipe.total);
    return cut;
}

/* ---- the end --------------------------------------------------------------------------------- */

void channels_check(void) {
    struct item item;
    for (unsigned i = 0; i < COUNT; i++) {
        eddy_channel_close(channels[i]);
        int r;
        while ((r = eddy_channel_try_recv(channels[i], &item)) == 0) {
            sign_received(&item);
        }
        REQUIRE_EQ(r, EDDY_ECLOSED);
        REQUIRE_EQ(eddy_channel_count(channels[i]), 0);
        eddy_channel_free(channels[i]);
    }
    REQUIRE_EQ(atomic_load(&under_way), 0);
    struct ticket *ticket = atomic_load(&not_sent);
    while (ticket != NULL) {
        struct ticket *next = ticket->next;
        REQUIRE_EQ(atomic_load(&ticket->signs), NOT_SENT);
        free(ticket);
        ticket = next;
    }
}
