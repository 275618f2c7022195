/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/loop/timer_impl.h: each timer at its time and in its turn. */
#include <string.h>

#include <eddy/runtime/loop/loop_impl.h>

#include "test.h"

/* As far as timers go a loop is its clock, so these cases need none that runs. */
static eddy_loop loop;

static struct {
    struct eddyi_timer *order[64];
    size_t count;
} fired;

static void note(struct eddyi_timer *timer) {
    CHECK(!eddyi_timer_is_armed(timer));
    CHECK(fired.count < sizeof fired.order / sizeof fired.order[0]);
    fired.order[fired.count++] = timer;
}

static size_t fire_at(int64_t now_ns) {
    fired.count = 0;
    loop.now_ns = now_ns;
    eddyi_timers_fire(&loop);
    return fired.count;
}

/* --- claims ----------------------------------------------------------------------------------- */

TEST(without_a_timer_there_is_no_next_deadline) {
    CHECK_EQ(eddyi_timers_next(&loop), EDDY_NEVER);
    CHECK_EQ(fire_at(EDDY_S), 0);
    struct eddyi_timer timer = {.fire = note};
    eddyi_timer_arm(&loop, &timer, EDDY_NEVER);
    CHECK(!eddyi_timer_is_armed(&timer));
    CHECK_EQ(eddyi_timers_next(&loop), EDDY_NEVER);
    eddyi_timer_disarm(&loop, &timer);
}

TEST(a_timer_fires_at_its_nanosecond_and_not_before) {
    for (unsigned bit = 0; bit < 63; bit++) {
        for (int64_t around = -1; around <= 1; around++) {
            struct eddyi_timer timer = {.fire = note};
            int64_t deadline_ns = ((int64_t)1 << bit) + around;
            memset(&loop, 0, sizeof loop);
            eddyi_timer_arm(&loop, &timer, deadline_ns);
            CHECK_EQ(eddyi_timers_next(&loop), deadline_ns);
            CHECK_EQ(fire_at(deadline_ns - 1), 0);
            CHECK_EQ(eddyi_timers_next(&loop), deadline_ns);
            CHECK_EQ(fire_at(deadline_ns), 1);
            CHECK_EQ(eddyi_timers_next(&loop), EDDY_NEVER);
        }
    }
    struct eddyi_timer last = {.fire = note};
    eddyi_timer_arm(&loop, &last, EDDY_NEVER - 1);
    CHECK_EQ(fire_at(EDDY_NEVER - 2), 0);
    CHECK_EQ(fire_at(EDDY_NEVER), 1);
}

TEST(equal_deadlines_fire_in_the_order_of_arming) {
    struct eddyi_timer timers[40];
    memset(timers, 0, sizeof timers);
    for (int i = 0; i < 40; i++) {
        timers[i].fire = note;
        /* The floor moves meanwhile, so they are armed at different distances. */
        CHECK_EQ(fire_at(i * EDDY_MS), 0);
        struct eddyi_timer other = {.fire = note};
        eddyi_timer_arm(&loop, &other, i * EDDY_MS + 1);
        eddyi_timer_arm(&loop, &timers[i], EDDY_S);
        CHECK_EQ(fire_at(i * EDDY_MS + 1), 1);
    }
    eddyi_timer_arm(&loop, &timers[7], EDDY_S); /* the last one now */
    CHECK_EQ(fire_at(EDDY_S), 40);
    for (int i = 0; i < 39; i++) {
        CHECK_PTR_EQ(fired.order[i], &timers[i < 7 ? i : i + 1]);
    }
    CHECK_PTR_EQ(fired.order[39], &timers[7]);
}

TEST(a_timer_that_is_armed_again_moves) {
    struct eddyi_timer timer = {.fire = note};
    eddyi_timer_arm(&loop, &timer, 5 * EDDY_S);
    eddyi_timer_arm(&loop, &timer, 7 * EDDY_S);
    CHECK_EQ(eddyi_timers_next(&loop), 7 * EDDY_S);
    eddyi_timer_arm(&loop, &timer, 3 * EDDY_S);
    CHECK_EQ(eddyi_timers_next(&loop), 3 * EDDY_S);
    CHECK_EQ(fire_at(4 * EDDY_S), 1);
    eddyi_timer_arm(&loop, &timer, 7 * EDDY_S);
    eddyi_timer_arm(&loop, &timer, EDDY_NEVER);
    CHECK(!eddyi_timer_is_armed(&timer));
    CHECK_EQ(eddyi_timers_next(&loop), EDDY_NEVER);
}

TEST(disarming_the_next_one_brings_up_the_one_after) {
    struct eddyi_timer timers[3] = {{.fire = note}, {.fire = note}, {.fire = note}};
    eddyi_timer_arm(&loop, &timers[0], 60 * EDDY_S);
    eddyi_timer_arm(&loop, &timers[1], 60 * EDDY_S + 7);
    eddyi_timer_arm(&loop, &timers[2], 3600 * EDDY_S);
    CHECK_EQ(eddyi_timers_next(&loop), 60 * EDDY_S);
    eddyi_timer_disarm(&loop, &timers[0]);
    eddyi_timer_disarm(&loop, &timers[0]);
    CHECK_EQ(eddyi_timers_next(&loop), 60 * EDDY_S + 7);
    eddyi_timer_disarm(&loop, &timers[1]);
    CHECK_EQ(eddyi_timers_next(&loop), 3600 * EDDY_S);
    eddyi_timer_disarm(&loop, &timers[2]);
    CHECK_EQ(eddyi_timers_next(&loop), EDDY_NEVER);
}

TEST(a_deadline_that_is_over_is_due_at_once) {
    struct eddyi_timer timers[3] = {{.fire = note}, {.fire = note}, {.fire = note}};
    eddyi_timer_arm(&loop, &timers[0], EDDY_S);
    CHECK_EQ(fire_at(EDDY_S), 1);
    eddyi_timer_arm(&loop, &timers[0], EDDY_S + 1);
    eddyi_timer_arm(&loop, &timers[1], 17);
    eddyi_timer_arm(&loop, &timers[2], -EDDY_S);
    CHECK(eddyi_timers_next(&loop) <= EDDY_S);
    CHECK_EQ(fire_at(EDDY_S + 1), 3);
    CHECK_PTR_EQ(fired.order[0], &timers[1]);
    CHECK_PTR_EQ(fired.order[1], &timers[2]);
    CHECK_PTR_EQ(fired.order[2], &timers[0]);
}

/* --- from within one that fires --------------------------------------------------------------- */

static struct eddyi_timer victim = {.fire = note};
static int rounds;

static void disarm_victim(struct eddyi_timer *timer) {
    note(timer);
    eddyi_timer_disarm(&loop, &victim);
}

static void arm_again(struct eddyi_timer *timer) {
    note(timer);
    if (++rounds < 10) {
        eddyi_timer_arm(&loop, timer, timer->deadline_ns + EDDY_MS);
    }
}

TEST(one_that_fires_may_disarm_another_that_is_due) {
    struct eddyi_timer timer = {.fire = disarm_victim};
    eddyi_timer_arm(&loop, &timer, 5);
    eddyi_timer_arm(&loop, &victim, 5);
    CHECK_EQ(fire_at(5), 1);
    CHECK(!eddyi_timer_is_armed(&victim));
    CHECK_EQ(eddyi_timers_next(&loop), EDDY_NEVER);
}

TEST(one_that_fires_may_arm_itself_for_a_time_that_is_over_and_gets_its_turn) {
    struct eddyi_timer timer = {.fire = arm_again};
    struct eddyi_timer between = {.fire = note};
    eddyi_timer_arm(&loop, &timer, EDDY_MS);
    eddyi_timer_arm(&loop, &between, 3 * EDDY_MS + 1);
    CHECK_EQ(fire_at(20 * EDDY_MS), 11);
    CHECK_PTR_EQ(fired.order[2], &timer);
    CHECK_PTR_EQ(fired.order[3], &between);
    CHECK_PTR_EQ(fired.order[4], &timer);
}

/* --- how often the loop wakes up -------------------------------------------------------------- */

#define CROWD 1000

/* Moves the clock to wherever the loop would wake up. */
static int wakes_until_empty(void) {
    int wakes = 0;
    for (int64_t next_ns; (next_ns = eddyi_timers_next(&loop)) != EDDY_NEVER; wakes++) {
        CHECK(next_ns >= loop.now_ns);
        fire_at(next_ns);
    }
    return wakes;
}

TEST(a_few_timers_cost_a_wake_each) {
    struct eddyi_timer timers[32];
    memset(timers, 0, sizeof timers);
    for (int i = 0; i < 32; i++) {
        timers[i].fire = note;
        eddyi_timer_arm(&loop, &timers[i], 3600 * EDDY_S + i * 1237 % 32 * EDDY_US);
    }
    CHECK_EQ(wakes_until_empty(), 32);
}

static void count(struct eddyi_timer *timer) {
    (void)timer;
}

TEST(a_crowd_costs_few_wakes_more_than_it_has_timers) {
    static struct eddyi_timer timers[CROWD];
    for (int i = 0; i < CROWD; i++) {
        timers[i].fire = count;
        eddyi_timer_arm(&loop, &timers[i], 3600 * EDDY_S + i * 617 % CROWD * EDDY_US);
    }
    int wakes = wakes_until_empty();
    CHECK(wakes >= CROWD);
    CHECK(wakes <= CROWD + CROWD / 8);
}

/* --- random operations against a sorted array ------------------------------------------------- */

#define MODEL_COUNT 500

struct entry {
    struct eddyi_timer timer;
    int64_t deadline_ns; /* when it has to fire: the wheel's own is not looked at */
};

static struct {
    struct entry entries[MODEL_COUNT];
    struct entry *sorted[MODEL_COUNT]; /* the armed ones, as they have to fire */
    size_t count;
} model;

static void model_drop(size_t at) {
    model.count--;
    memmove(model.sorted + at, model.sorted + at + 1, (model.count - at) * sizeof model.sorted[0]);
}

static void model_disarm(struct entry *entry) {
    for (size_t at = 0; at < model.count; at++) {
        if (model.sorted[at] == entry) {
            model_drop(at);
            break;
        }
    }
    eddyi_timer_disarm(&loop, &entry->timer);
}

static void model_arm(struct entry *entry, int64_t deadline_ns) {
    model_disarm(entry);
    /* What is over and done is not told apart any more. */
    entry->deadline_ns = deadline_ns > loop.timers.floor_ns ? deadline_ns : loop.timers.floor_ns;
    size_t at = model.count;
    while (at > 0 && model.sorted[at - 1]->deadline_ns > entry->deadline_ns) {
        at--;
    }
    memmove(model.sorted + at + 1, model.sorted + at, (model.count - at) * sizeof model.sorted[0]);
    model.sorted[at] = entry;
    model.count++;
    eddyi_timer_arm(&loop, &entry->timer, deadline_ns);
}

/* A span of any magnitude, so that all levels are met and each distance between two timers. */
static int64_t some_ns(unsigned bits_max) {
    return (int64_t)(test_random() >> 1 >> (63 - test_random_below(bits_max)));
}

static unsigned span_bits;

static struct entry *some_entry(void) {
    return &model.entries[test_random_below(MODEL_COUNT)];
}

static void model_fires(struct eddyi_timer *timer) {
    CHECK(model.count > 0);
    CHECK_PTR_EQ(timer, &model.sorted[0]->timer);
    CHECK(model.sorted[0]->deadline_ns <= loop.now_ns);
    CHECK(!eddyi_timer_is_armed(timer));
    struct entry *entry = model.sorted[0];
    model_drop(0);
    if (test_random_below(4) == 0) {
        model_arm(entry, loop.now_ns + 1 + some_ns(span_bits));
    }
    if (test_random_below(8) == 0) {
        model_disarm(some_entry());
    }
}

static void check_next(void) {
    int64_t next_ns = eddyi_timers_next(&loop);
    if (model.count == 0) {
        CHECK_EQ(next_ns, EDDY_NEVER);
        return;
    }
    int64_t first_ns = model.sorted[0]->deadline_ns;
    if (model.count <= 32) {
        CHECK_EQ(next_ns, first_ns);
    } else {
        CHECK(next_ns <= first_ns);
        /* It would wake up for nothing again and again. */
        CHECK(next_ns > loop.now_ns || first_ns <= loop.now_ns);
    }
}

static void model_advance(void) {
    int64_t next_ns = eddyi_timers_next(&loop);
    if (test_random_below(3) == 0 && next_ns != EDDY_NEVER) {
        loop.now_ns = next_ns > loop.now_ns ? next_ns : loop.now_ns;
    } else {
        loop.now_ns += some_ns(span_bits);
    }
    eddyi_timers_fire(&loop);
    CHECK(model.count == 0 || model.sorted[0]->deadline_ns > loop.now_ns);
}

static void run_model(unsigned bits) {
    span_bits = bits;
    loop.now_ns = some_ns(50);
    for (int i = 0; i < MODEL_COUNT; i++) {
        model.entries[i].timer.fire = model_fires;
    }
    for (int step = 0; step < 100000; step++) {
        /* Grows for a while, then shrinks for a while, so that it gets full and empty. */
        uint64_t arming = step / 2000 % 2 == 0 ? 12 : 5;
        uint64_t draw = test_random_below(16);
        if (draw < arming) {
            model_arm(some_entry(), loop.now_ns - (int64_t)test_random_below(4) + some_ns(bits));
        } else if (draw < 14) {
            model_disarm(some_entry());
        } else {
            model_advance();
        }
        check_next();
    }
    while (model.count > 0) {
        model_advance();
    }
    CHECK_EQ(eddyi_timers_next(&loop), EDDY_NEVER);
    CHECK_EQ(loop.timers.levels, 0);
}

TEST(random_operations_within_few_nanoseconds_agree_with_a_sorted_array) {
    run_model(5);
}

TEST(random_operations_within_a_millisecond_agree_with_a_sorted_array) {
    run_model(20);
}

TEST(random_operations_within_hours_agree_with_a_sorted_array) {
    run_model(44);
}
