/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/task/interval.h>

#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/loop/loop_impl.h>
#include <eddy/runtime/task/scope.h>
#include <eddy/runtime/task/task.h>

#include "test.h"

/* So long that no tick of it comes by itself in a test. */
#define LONG (1000 * EDDY_S)

static int64_t now(void) {
    return eddy_loop_now(eddy_loop_current());
}

static bool on_sim(void) {
    return eddy_loop_current()->host != &eddyi_host_real;
}

/* ---- beginning ------------------------------------------------------------------------------- */

TEST(an_interval_needs_a_loop_and_a_task) {
    eddy_interval interval = {.period_ns = 1};
    CHECK_ERR(eddy_interval_init(&interval, EDDY_S, EDDY_INTERVAL_BURST), EDDY_ENOTASK);
    CHECK_EQ(interval.period_ns, 1);
    CHECK_ERR(eddy_interval_wait(&interval), EDDY_ENOTASK);
    CHECK_ERR(eddy_sleep_until_wall(0), EDDY_ENOTASK);
}

LOOP_TEST(what_is_out_of_range_is_refused) {
    eddy_interval interval;
    CHECK_ERR(eddy_interval_init(NULL, 1, EDDY_INTERVAL_BURST), -EINVAL);
    CHECK_ERR(eddy_interval_init(&interval, 0, EDDY_INTERVAL_BURST), -EINVAL);
    CHECK_ERR(eddy_interval_init(&interval, -1, EDDY_INTERVAL_BURST), -EINVAL);
    CHECK_ERR(eddy_interval_init(&interval, 1, (eddy_interval_missed)3), -EINVAL);
    CHECK_ERR(eddy_interval_init(&interval, 1, (eddy_interval_missed)-1), -EINVAL);
    CHECK_ERR(eddy_interval_wait(NULL), -EINVAL);
    CHECK_OK(eddy_interval_init(&interval, 1, EDDY_INTERVAL_DELAY));
    interval.period_ns = 0;
    CHECK_ERR(eddy_interval_wait(&interval), -EINVAL);
}

LOOP_TEST(the_first_tick_is_one_period_from_now) {
    eddy_interval interval;
    int64_t before = now();
    CHECK_OK(eddy_interval_init(&interval, 2 * EDDY_MS, EDDY_INTERVAL_BURST));
    CHECK(interval.next_ns >= before + 2 * EDDY_MS && interval.next_ns <= now() + 2 * EDDY_MS);
    int64_t first = interval.next_ns;
    CHECK_EQ(eddy_interval_wait(&interval), 1);
    CHECK(now() >= first);
    CHECK_EQ(interval.next_ns, first + 2 * EDDY_MS);
}

LOOP_TEST(the_first_tick_may_be_at_another_time) {
    eddy_interval interval;
    CHECK_OK(eddy_interval_init(&interval, LONG, EDDY_INTERVAL_BURST));
    int64_t first = now() + EDDY_MS;
    interval.next_ns = first;
    CHECK_EQ(eddy_interval_wait(&interval), 1);
    CHECK(now() >= first && now() < first + LONG);
    CHECK_EQ(interval.next_ns, first + LONG);
}

/* ---- ticks ----------------------------------------------------------------------------------- */

/* Whatever the machine did meanwhile: each tick that was given stands for one period. */
static void check_no_drift(eddy_interval_missed missed) {
    eddy_interval interval;
    int64_t period = 100 * EDDY_US;
    CHECK_OK(eddy_interval_init(&interval, period, missed));
    int64_t begin = interval.next_ns - period;
    int64_t given = 0;
    for (int i = 0; i < 200; i++) {
        int64_t due = interval.next_ns;
        int64_t ticks = eddy_interval_wait(&interval);
        CHECK(ticks >= 1 && (ticks == 1 || missed == EDDY_INTERVAL_SKIP));
        CHECK(now() >= due);
        given += ticks;
        CHECK_EQ(interval.next_ns, begin + (given + 1) * period);
    }
    if (on_sim()) {
        CHECK_EQ(given, 200);
        CHECK_EQ(now(), begin + 200 * period);
    }
}

LOOP_TEST(ticks_in_a_burst_do_not_drift) {
    check_no_drift(EDDY_INTERVAL_BURST);
}

LOOP_TEST(ticks_that_skip_do_not_drift) {
    check_no_drift(EDDY_INTERVAL_SKIP);
}

/* As in the header's picture: the second of two ticks has been due for half a period. */
static int64_t two_and_a_half(eddy_interval *interval, eddy_interval_missed missed) {
    CHECK_OK(eddy_interval_init(interval, LONG, missed));
    interval->next_ns = now() - LONG - LONG / 2;
    return interval->next_ns;
}

LOOP_TEST(missed_ticks_come_in_a_burst) {
    eddy_interval interval;
    int64_t first = two_and_a_half(&interval, EDDY_INTERVAL_BURST);
    int64_t begin = now();
    CHECK_EQ(eddy_interval_wait(&interval), 1);
    CHECK_EQ(interval.next_ns, first + LONG);
    CHECK_EQ(eddy_interval_wait(&interval), 1);
    CHECK(now() < begin + LONG / 4);
    CHECK_EQ(interval.next_ns, first + 2 * LONG);
}

LOOP_TEST(missed_ticks_are_skipped_and_counted) {
    eddy_interval interval;
    int64_t first = two_and_a_half(&interval, EDDY_INTERVAL_SKIP);
    int64_t begin = now();
    CHECK_EQ(eddy_interval_wait(&interval), 2);
    CHECK(now() < begin + LONG / 4);
    CHECK_EQ(interval.next_ns, first + 2 * LONG);
}

LOOP_TEST(a_missed_tick_delays_the_others) {
    eddy_interval interval;
    two_and_a_half(&interval, EDDY_INTERVAL_DELAY);
    int64_t begin = now();
    CHECK_EQ(eddy_interval_wait(&interval), 1);
    CHECK(interval.next_ns >= begin + LONG && interval.next_ns <= now() + LONG);
}

/* Late, but the next one is not due yet: for no policy is that a missed tick. */
LOOP_TEST(a_late_tick_that_was_not_missed_moves_no_other) {
    for (int missed = EDDY_INTERVAL_BURST; missed <= EDDY_INTERVAL_DELAY; missed++) {
        eddy_interval interval;
        CHECK_OK(eddy_interval_init(&interval, LONG, (eddy_interval_missed)missed));
        int64_t due = now() - LONG / 2;
        interval.next_ns = due;
        CHECK_EQ(eddy_interval_wait(&interval), 1);
        CHECK_EQ(interval.next_ns, due + LONG);
    }
}

LOOP_TEST(a_whole_period_late_is_missed) {
    eddy_interval interval;
    CHECK_OK(eddy_interval_init(&interval, LONG, EDDY_INTERVAL_SKIP));
    int64_t begin = now();
    interval.next_ns = begin - LONG;
    CHECK_EQ(eddy_interval_wait(&interval), 2);
    CHECK_EQ(interval.next_ns, begin + LONG);
}

LOOP_TEST(a_changed_period_holds_after_the_next_tick) {
    eddy_interval interval;
    CHECK_OK(eddy_interval_init(&interval, EDDY_MS, EDDY_INTERVAL_BURST));
    int64_t first = interval.next_ns;
    interval.period_ns = LONG;
    CHECK_EQ(eddy_interval_wait(&interval), 1);
    CHECK(now() < first + LONG);
    CHECK_EQ(interval.next_ns, first + LONG);
}

LOOP_TEST(times_at_the_ends_of_the_range_do_not_overflow) {
    eddy_interval interval;
    CHECK_OK(eddy_interval_init(&interval, INT64_MAX, EDDY_INTERVAL_BURST));
    CHECK_EQ(interval.next_ns, EDDY_NEVER);
    for (int missed = EDDY_INTERVAL_BURST; missed <= EDDY_INTERVAL_DELAY; missed++) {
        for (int i = 0; i < 2; i++) {
            CHECK_OK(eddy_interval_init(&interval, i == 0 ? 1 : INT64_MAX,
                                        (eddy_interval_missed)missed));
            interval.next_ns = INT64_MIN;
            CHECK(eddy_interval_wait(&interval) >= 1);
            CHECK(missed == EDDY_INTERVAL_BURST || interval.next_ns > now() - EDDY_S);
        }
    }
}

/* ---- cancel ---------------------------------------------------------------------------------- */

LOOP_TEST(a_tick_is_not_lost_to_a_deadline) {
    eddy_interval interval;
    eddy_scope scope;
    CHECK_OK(eddy_interval_init(&interval, LONG, EDDY_INTERVAL_BURST));
    int64_t first = interval.next_ns;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_ERR(eddy_interval_wait(&interval), -ETIME);
    CHECK_ERR(eddy_scope_leave(&scope, 0), 0);
    CHECK_EQ(interval.next_ns, first);
}

LOOP_TEST(a_tick_that_is_due_is_not_lost_to_a_cancel) {
    for (int missed = EDDY_INTERVAL_BURST; missed <= EDDY_INTERVAL_DELAY; missed++) {
        eddy_interval interval;
        eddy_scope scope;
        int64_t first = two_and_a_half(&interval, (eddy_interval_missed)missed);
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        CHECK_OK(eddy_scope_cancel(&scope));
        CHECK_ERR(eddy_interval_wait(&interval), -ECANCELED);
        CHECK_EQ(eddy_scope_leave(&scope, 0), 0);
        CHECK_EQ(interval.next_ns, first);
        CHECK_EQ(eddy_interval_wait(&interval), missed == EDDY_INTERVAL_SKIP ? 2 : 1);
    }
}

static int64_t ticks_for_ever(void *arg) {
    eddy_interval interval;
    CHECK_OK(eddy_interval_init(&interval, LONG, EDDY_INTERVAL_SKIP));
    int64_t r = eddy_interval_wait(&interval);
    *(int64_t *)arg = r;
    return r;
}

LOOP_TEST(a_cancel_wakes_who_waits_for_a_tick) {
    int64_t seen = 0;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(ticks_for_ever, &seen, 0));
    CHECK_OK(eddy_yield());
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(seen, -ECANCELED);
}

TEST(the_end_of_a_loop_ends_the_wait) {
    eddy_loop *loop;
    int64_t seen = 0;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_OK(eddy_spawn_on(loop, ticks_for_ever, &seen, 0));
    CHECK_OK(eddy_loop_poll(loop));
    eddy_loop_free(loop);
    CHECK_EQ(seen, -ECANCELED);
}

/* ---- the wall clock -------------------------------------------------------------------------- */

static int64_t wall(void) {
    const struct eddyi_host *host = eddy_loop_current()->host;
    return host->wall_ns(host->ctx);
}

static int64_t note_run(void *arg) {
    *(bool *)arg = true;
    return 0;
}

LOOP_TEST(a_wall_time_in_the_past_yields) {
    const int64_t times[] = {INT64_MIN, -1, 0, 1};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        bool ran = false;
        int64_t begin = now();
        eddy_scope scope;
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        CHECK_OK(eddy_spawn(note_run, &ran, 0));
        for (int turns = 0; turns < 100 && !ran; turns++) {
            CHECK_OK(eddy_sleep_until_wall(times[i]));
        }
        CHECK(ran);
        CHECK(!on_sim() || now() < begin + EDDY_MS);
        CHECK_OK(eddy_scope_leave(&scope, 0));
    }
}

LOOP_TEST(a_sleep_by_the_wall_clock_ends_at_its_time) {
    int64_t end = wall() + 3 * EDDY_MS;
    CHECK_OK(eddy_sleep_until_wall(end));
    CHECK(wall() >= end);
    CHECK(!on_sim() || wall() == end);
}

LOOP_TEST(a_sleep_by_the_wall_clock_is_cut_short_by_a_deadline) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_ERR(eddy_sleep_until_wall(INT64_MAX), -ETIME);
    CHECK_ERR(eddy_sleep_until_wall(0), -ETIME);
    CHECK_OK(eddy_scope_leave(&scope, 0));
}

/* A wall clock that somebody sets: what it says at each look. */
static struct {
    int64_t says[4];
    size_t looks;
} set_clock;

static int64_t look_at_set_clock(void *ctx) {
    (void)ctx;
    CHECK(set_clock.looks < 4);
    return set_clock.says[set_clock.looks++];
}

LOOP_TEST(a_step_of_the_wall_clock_is_noticed_within_a_second) {
    eddy_loop *loop = eddy_loop_current();
    const struct eddyi_host *host = loop->host;
    struct eddyi_host stepped = *host;
    stepped.wall_ns = look_at_set_clock;
    int64_t hour = 3600 * EDDY_S;
    /* Nearly there, set back an hour, set forward beyond the time. */
    set_clock.says[0] = 2 * hour - EDDY_MS;
    set_clock.says[1] = hour;
    set_clock.says[2] = 2 * hour + 1;
    int64_t begin = now();
    loop->host = &stepped;
    int r = eddy_sleep_until_wall(2 * hour);
    loop->host = host;
    CHECK_OK(r);
    CHECK_EQ(set_clock.looks, 3);
    CHECK(now() >= begin + EDDY_S + EDDY_MS);
    CHECK(!on_sim() || now() == begin + EDDY_S + EDDY_MS);
}

/* ---- memory ---------------------------------------------------------------------------------- */

LOOP_TEST(waiting_needs_no_memory) {
    eddy_interval interval;
    eddy_memory_fail_at(1, true);
    CHECK_OK(eddy_interval_init(&interval, 1, EDDY_INTERVAL_SKIP));
    for (int i = 0; i < 10; i++) {
        CHECK(eddy_interval_wait(&interval) >= 1);
    }
    CHECK_OK(eddy_sleep_until_wall(wall() + 1));
    CHECK_EQ(eddy_memory_fail_at(0, false), 0);
}
