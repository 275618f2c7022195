/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/sync/channel.h>
#include <eddy/runtime/task/scope.h>

#include "two_loops.h"

static eddy_channel *channel(size_t capacity) {
    eddy_channel *made;
    CHECK_OK(eddy_channel_new(sizeof(int64_t), capacity, &made));
    return made;
}

/* ---- one channel ----------------------------------------------------------------------------- */

TEST(try_forms_need_no_task) {
    eddy_channel *ch = channel(2);
    int64_t item = 1;
    CHECK_OK(eddy_channel_try_send(ch, &item));
    item = 2;
    CHECK_OK(eddy_channel_try_send(ch, &item));
    CHECK_ERR(eddy_channel_try_send(ch, &item), -EAGAIN);
    CHECK_EQ(eddy_channel_count(ch), 2);
    CHECK_OK(eddy_channel_try_recv(ch, &item));
    CHECK_EQ(item, 1);
    eddy_channel_close(ch);
    eddy_channel_close(ch);
    CHECK_ERR(eddy_channel_try_send(ch, &item), EDDY_ECLOSED);
    CHECK_OK(eddy_channel_try_recv(ch, &item));
    CHECK_EQ(item, 2);
    CHECK_ERR(eddy_channel_try_recv(ch, &item), EDDY_ECLOSED);
    CHECK_ERR(eddy_channel_recv(ch, &item), EDDY_ENOTASK);
    eddy_channel_free(ch);
    eddy_channel_free(NULL);
    CHECK_ERR(eddy_channel_new(0, 1, &ch), -EINVAL);
    CHECK_ERR(eddy_channel_new(SIZE_MAX, 2, &ch), -EOVERFLOW);
}

struct stream {
    eddy_channel *ch;
    int64_t from;
    int64_t count;
};

static int64_t sends(void *arg) {
    struct stream *stream = arg;
    for (int64_t i = 0; i < stream->count; i++) {
        int64_t item = stream->from + i;
        int r = eddy_channel_send(stream->ch, &item);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static void items_arrive_in_order(size_t capacity) {
    struct stream stream = {channel(capacity), 0, 1000};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(sends, &stream, sizeof stream));
    for (int64_t i = 0; i < 1000; i++) {
        int64_t item;
        CHECK_OK(eddy_channel_recv(stream.ch, &item));
        CHECK_EQ(item, i);
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    eddy_channel_free(stream.ch);
}

LOOP_TEST(items_arrive_in_the_order_of_sending) {
    items_arrive_in_order(0);
    items_arrive_in_order(1);
    items_arrive_in_order(7);
}

LOOP_TEST(a_full_channel_makes_senders_wait) {
    struct stream stream = {channel(3), 0, 10};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(sends, &stream, sizeof stream));
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK_EQ(eddy_channel_count(stream.ch), 3);
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(eddy_channel_count(stream.ch), 3); /* the one that waited was not sent */
    eddy_channel_free(stream.ch);
}

static int64_t receives_one(void *arg) {
    int64_t item;
    int r = eddy_channel_recv(arg, &item);
    return r < 0 ? r : item;
}

LOOP_TEST(closing_ends_those_who_wait) {
    eddy_channel *ch = channel(0);
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.policy = EDDY_SCOPE_COLLECT}));
    CHECK_OK(eddy_spawn(receives_one, ch, 0));
    CHECK_OK(eddy_spawn(receives_one, ch, 0));
    CHECK_OK(eddy_sleep(EDDY_MS));
    eddy_channel_close(ch);
    CHECK_ERR(eddy_scope_leave(&scope, 0), EDDY_ECLOSED);
    CHECK_EQ(eddy_scope_failure_count(&scope), 2);
    eddy_channel_free(ch);
}

LOOP_TEST(closing_ends_a_sender_and_keeps_what_was_sent) {
    struct stream stream = {channel(1), 5, 2};
    eddy_scope scope;
    int64_t item = 0;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(sends, &stream, sizeof stream));
    CHECK_OK(eddy_sleep(EDDY_MS));
    eddy_channel_close(stream.ch);
    CHECK_ERR(eddy_scope_leave(&scope, 0), EDDY_ECLOSED);
    CHECK_OK(eddy_channel_recv(stream.ch, &item));
    CHECK_EQ(item, 5);
    CHECK_ERR(eddy_channel_recv(stream.ch, &item), EDDY_ECLOSED);
    eddy_channel_free(stream.ch);
}

/* ---- select ---------------------------------------------------------------------------------- */

LOOP_TEST(select_takes_what_is_there) {
    eddy_channel *a = channel(1);
    eddy_channel *b = channel(1);
    int64_t got = 0;
    int64_t item = 4;
    size_t index = 99;
    eddy_channel_case cases[] = {{.channel = a, .recv = &got}, {.channel = b, .recv = &got}};
    CHECK_ERR(eddy_channel_try_select(cases, 2, &index), -EAGAIN);
    CHECK_OK(eddy_channel_send(b, &item));
    CHECK_OK(eddy_channel_select(cases, 2, &index));
    CHECK_EQ(index, 1);
    CHECK_EQ(got, 4);
    cases[0].send = &item;
    CHECK_OK(eddy_channel_select(cases, 2, &index));
    CHECK_EQ(index, 0);
    CHECK_EQ(eddy_channel_count(a), 1);
    eddy_channel_close(b);
    CHECK_ERR(eddy_channel_select(cases, 2, &index), EDDY_ECLOSED);
    CHECK_EQ(index, 1);
    CHECK_ERR(eddy_channel_select(cases, 0, &index), -EINVAL);
    CHECK_ERR(eddy_channel_select(cases, 65, &index), -EINVAL);
    CHECK_ERR(eddy_channel_select(&(eddy_channel_case){.channel = a}, 1, &index), -EINVAL);
    eddy_channel_free(a);
    eddy_channel_free(b);
}

LOOP_TEST(select_waits_and_leaves_no_trace_in_the_others) {
    eddy_channel *a = channel(0);
    eddy_channel *b = channel(0);
    struct stream stream = {b, 1, 1};
    int64_t got = 0;
    int64_t item = 9;
    size_t index = 99;
    eddy_channel_case cases[] = {
        {.channel = a, .recv = &got},
        {.channel = NULL},
        {.channel = b, .recv = &got},
        {.channel = a, .send = &item},
    };
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(sends, &stream, sizeof stream));
    CHECK_OK(eddy_channel_select(cases, 4, &index));
    CHECK_EQ(index, 2);
    CHECK_EQ(got, 1);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_ERR(eddy_channel_try_send(a, &item), -EAGAIN);
    CHECK_ERR(eddy_channel_try_recv(a, &got), -EAGAIN);
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_ERR(eddy_channel_select(cases, 4, &index), -ETIME);
    CHECK_ERR(eddy_channel_select(&cases[1], 1, &index), -ETIME);
    CHECK_ERR(eddy_scope_leave(&scope, -ETIME), -ETIME);
    CHECK_ERR(eddy_channel_try_send(a, &item), -EAGAIN);
    eddy_channel_free(a);
    eddy_channel_free(b);
}

LOOP_TEST(select_starves_no_case) {
    eddy_channel *chs[3];
    eddy_channel_case cases[3];
    int seen[3] = {0};
    int64_t item = 0;
    for (int i = 0; i < 3; i++) {
        chs[i] = channel(1);
        cases[i] = (eddy_channel_case){.channel = chs[i], .recv = &item};
        CHECK_OK(eddy_channel_send(chs[i], &item));
    }
    for (int i = 0; i < 300; i++) {
        size_t index;
        CHECK_OK(eddy_channel_select(cases, 3, &index));
        seen[index]++;
        CHECK_OK(eddy_channel_send(chs[index], &item));
    }
    for (int i = 0; i < 3; i++) {
        CHECK(seen[i] >= 50);
        eddy_channel_free(chs[i]);
    }
}

/* ---- across loops: nothing is lost, nothing is doubled --------------------------------------- */

#define ITEMS 4000

struct market {
    eddy_channel *ways[3];
    bool seen[4 * ITEMS]; /* by the receivers of one loop each, checked at the end */
};

static struct market market;

static int64_t sells(void *arg) {
    int64_t from = *(int64_t *)arg * ITEMS;
    for (int64_t i = 0; i < ITEMS; i++) {
        int64_t item = from + i;
        eddy_channel_case cases[3];
        for (int way = 0; way < 3; way++) {
            cases[way] = (eddy_channel_case){.channel = market.ways[way], .send = &item};
        }
        size_t index;
        int r = i % 3 == 0 ? eddy_channel_send(market.ways[i % 2], &item)
                           : eddy_channel_select(cases, 3, &index);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int64_t buys(void *arg) {
    int64_t wanted = *(int64_t *)arg;
    for (int64_t i = 0; i < wanted; i++) {
        int64_t item;
        eddy_channel_case cases[3];
        size_t index;
        for (int way = 0; way < 3; way++) {
            cases[way] = (eddy_channel_case){.channel = market.ways[way], .recv = &item};
        }
        int r = eddy_channel_select(cases, 3, &index);
        if (r < 0) {
            return r;
        }
        CHECK(!__atomic_exchange_n(&market.seen[item], true, __ATOMIC_RELAXED));
    }
    return 0;
}

static int64_t trade(void *arg) {
    int64_t first = *(int64_t *)arg;
    int64_t wanted = ITEMS;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int64_t i = 0; i < 2; i++) {
        int64_t number = first + i;
        CHECK_OK(eddy_spawn(sells, &number, sizeof number));
        CHECK_OK(eddy_spawn(buys, &wanted, sizeof wanted));
    }
    return eddy_scope_leave(&scope, 0);
}

TEST_TIMEOUT(selects_on_two_loops_lose_and_double_nothing, 120) {
    struct other_loop one;
    struct other_loop two;
    int64_t firsts[] = {0, 2};
    for (size_t way = 0; way < 3; way++) {
        market.ways[way] = channel(way);
    }
    other_loop_start(&one, trade, &firsts[0]);
    other_loop_start(&two, trade, &firsts[1]);
    CHECK_OK(other_loop_join(&one));
    CHECK_OK(other_loop_join(&two));
    for (int i = 0; i < 4 * ITEMS; i++) {
        CHECK(market.seen[i]);
    }
    for (int way = 0; way < 3; way++) {
        CHECK_EQ(eddy_channel_count(market.ways[way]), 0);
        eddy_channel_free(market.ways[way]);
    }
    CHECK_EQ(eddy_memory_blocks(), 0);
}

static int64_t makes_one(void *arg) {
    (void)arg;
    eddy_channel *ch;
    int r = eddy_channel_new(8, 8, &ch);
    if (r == 0) {
        eddy_channel_free(ch);
    }
    return r;
}

TEST(without_memory_there_is_no_channel) {
    CHECK(test_each_allocation_fails(makes_one, NULL) > 1);
}

/* ---- turns ----------------------------------------------------------------------------------- */

TEST(null_is_refused) {
    eddy_channel *ch = channel(1);
    int64_t item = 0;
    CHECK_ERR(eddy_channel_new(8, 1, NULL), -EINVAL);
    CHECK_ERR(eddy_channel_try_send(NULL, &item), -EINVAL);
    CHECK_ERR(eddy_channel_try_send(ch, NULL), -EINVAL);
    CHECK_ERR(eddy_channel_try_recv(NULL, &item), -EINVAL);
    CHECK_ERR(eddy_channel_try_recv(ch, NULL), -EINVAL);
    CHECK_ERR(eddy_channel_send(ch, NULL), -EINVAL);
    CHECK_ERR(eddy_channel_recv(ch, NULL), -EINVAL);
    CHECK_ERR(eddy_channel_send(NULL, &item), -EINVAL);
    CHECK_ERR(eddy_channel_recv(NULL, &item), -EINVAL);
    CHECK_EQ(eddy_channel_count(ch), 0);
    eddy_channel_free(ch);
}

struct turn {
    eddy_channel *ch;
    int64_t number;
};

static int order[8];
static int at;

static int64_t receives_in_turn(void *arg) {
    struct turn *turn = arg;
    int64_t item;
    int r = eddy_channel_recv(turn->ch, &item);
    if (r == 0) {
        CHECK_EQ(item, turn->number);
        order[at++] = (int)turn->number;
    }
    return r;
}

static int64_t sends_in_turn(void *arg) {
    struct turn *turn = arg;
    return eddy_channel_send(turn->ch, &turn->number);
}

/* The n-th to wait gets the n-th item, though all are sent before the first of them runs. */
LOOP_TEST(receivers_are_served_in_the_order_of_their_coming) {
    struct turn turn = {channel(2), 0};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (turn.number = 0; turn.number < 8; turn.number++) {
        CHECK_OK(eddy_spawn(receives_in_turn, &turn, sizeof turn));
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
    for (int64_t i = 0; i < 8; i++) {
        CHECK_OK(eddy_channel_try_send(turn.ch, &i));
    }
    CHECK_EQ(eddy_channel_count(turn.ch), 0);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(at, 8);
    eddy_channel_free(turn.ch);
}

static void senders_in_turn(size_t capacity) {
    struct turn turn = {channel(capacity), 0};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (turn.number = 0; turn.number < 8; turn.number++) {
        CHECK_OK(eddy_spawn(sends_in_turn, &turn, sizeof turn));
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
    for (int64_t i = 0; i < 8; i++) {
        int64_t item = -1;
        CHECK_OK(eddy_channel_try_recv(turn.ch, &item));
        CHECK_EQ(item, i);
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    eddy_channel_free(turn.ch);
}

LOOP_TEST(senders_are_served_in_the_order_of_their_coming) {
    senders_in_turn(0);
    senders_in_turn(1);
    senders_in_turn(3);
}

/* What was received or sent at the same moment as a cancel was; what came after it was not. */
LOOP_TEST(a_cancel_loses_no_item) {
    for (int before = 0; before <= 1; before++) {
        struct turn turn = {channel(0), 5};
        eddy_scope scope;
        at = 0;
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        CHECK_OK(eddy_spawn(receives_in_turn, &turn, 0));
        CHECK_OK(eddy_sleep(EDDY_MS));
        if (before == 1) {
            CHECK_OK(eddy_scope_cancel(&scope));
        }
        int sent = eddy_channel_try_send(turn.ch, &turn.number);
        if (before == 0) {
            CHECK_OK(eddy_scope_cancel(&scope));
        }
        CHECK_OK(eddy_scope_leave(&scope, 0));
        CHECK_EQ(at, sent == 0);
        CHECK(sent == 0 || before == 1);
        eddy_channel_free(turn.ch);
    }
}

struct picker {
    eddy_channel_case cases[2];
    int seen[2];
    int64_t item;
};

static int64_t picks(void *arg) {
    struct picker *picker = arg;
    for (int i = 0; i < 200; i++) {
        size_t index;
        CHECK_OK(eddy_channel_select(picker->cases, 2, &index));
        picker->seen[index]++;
        CHECK_OK(eddy_channel_try_send(picker->cases[index].channel, &picker->item));
        CHECK_OK(eddy_yield());
    }
    return 0;
}

/* Two tasks that take turns, on the same channels: for neither is one of them starved. */
LOOP_TEST(selects_that_take_turns_starve_no_case) {
    static struct picker pickers[2];
    eddy_channel *a = channel(2);
    eddy_channel *b = channel(2);
    int64_t item = 0;
    eddy_scope scope;
    CHECK_OK(eddy_channel_try_send(a, &item));
    CHECK_OK(eddy_channel_try_send(b, &item));
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < 2; i++) {
        pickers[i].cases[0] = (eddy_channel_case){.channel = a, .recv = &pickers[i].item};
        pickers[i].cases[1] = (eddy_channel_case){.channel = b, .recv = &pickers[i].item};
        CHECK_OK(eddy_spawn(picks, &pickers[i], 0));
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    for (int i = 0; i < 2; i++) {
        CHECK(pickers[i].seen[0] >= 50 && pickers[i].seen[1] >= 50);
    }
    eddy_channel_free(a);
    eddy_channel_free(b);
}

/* ---- select against everything at once ------------------------------------------------------- */

#define WAYS 3

static struct {
    eddy_channel *ways[WAYS];
    _Atomic int64_t sent;
    _Atomic int64_t received;
    _Atomic int64_t sent_sum;
    _Atomic int64_t received_sum;
} fair;

/* Sends or receives by select until the channels are closed, each time under a short deadline. */
static int64_t trades_under_deadlines(void *arg) {
    bool sends = *(int64_t *)arg % 2 == 0;
    int64_t item = *(int64_t *)arg * 1000000;
    for (;;) {
        eddy_channel_case cases[WAYS];
        eddy_scope scope;
        size_t index;
        int64_t mine = sends ? ++item : 0;
        for (size_t way = 0; way < WAYS; way++) {
            cases[way] = (eddy_channel_case){
                .channel = fair.ways[way],
                .send = sends ? &mine : NULL,
                .recv = sends ? NULL : &mine,
            };
        }
        int64_t timeout = 1 + (item * 7919) % 50;
        CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = timeout * EDDY_US}));
        int r = eddy_channel_select(cases, WAYS, &index);
        CHECK_OK(eddy_scope_leave(&scope, 0));
        item += !sends;
        if (r == EDDY_ECLOSED) {
            return 0;
        }
        CHECK(r == 0 || r == -ETIME);
        if (r == 0) {
            atomic_fetch_add(sends ? &fair.sent : &fair.received, 1);
            atomic_fetch_add(sends ? &fair.sent_sum : &fair.received_sum, mine);
        }
    }
}

static int64_t trade_under_deadlines(void *arg) {
    int64_t first = *(int64_t *)arg;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int64_t i = 0; i < 4; i++) {
        int64_t number = first + i;
        CHECK_OK(eddy_spawn(trades_under_deadlines, &number, sizeof number));
    }
    return eddy_scope_leave(&scope, 0);
}

/* What is neither received nor still there was not sent, whatever came in between. */
TEST_TIMEOUT(selects_with_deadlines_and_a_close_lose_and_double_nothing, 60) {
    struct other_loop loops[2];
    int64_t firsts[] = {0, 4};
    for (size_t way = 0; way < WAYS; way++) {
        fair.ways[way] = channel(way);
    }
    for (int i = 0; i < 2; i++) {
        other_loop_start(&loops[i], trade_under_deadlines, &firsts[i]);
    }
    while (atomic_load(&fair.received) < 3000) {
        sched_yield();
    }
    for (int way = 0; way < WAYS; way++) {
        eddy_channel_close(fair.ways[way]);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_OK(other_loop_join(&loops[i]));
    }
    for (int way = 0; way < WAYS; way++) {
        int64_t item;
        while (eddy_channel_try_recv(fair.ways[way], &item) == 0) {
            atomic_fetch_add(&fair.received, 1);
            atomic_fetch_add(&fair.received_sum, item);
        }
        eddy_channel_free(fair.ways[way]);
    }
    CHECK_EQ(atomic_load(&fair.sent), atomic_load(&fair.received));
    CHECK_EQ(atomic_load(&fair.sent_sum), atomic_load(&fair.received_sum));
}
