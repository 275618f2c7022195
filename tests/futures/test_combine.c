/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/futures/combine.h>

#include <eddy/runtime/base/memory.h>
#include "helpers.h"

/* ---- nothing, and nonsense ------------------------------------------------------------------- */

static void check_failed(eddy_future *f, int64_t error) {
    CHECK(eddy_future_done(f));
    CHECK_ERR(eddy_future_result(f), error);
    eddy_future_release(f);
}

static void of_nothing(void) {
    size_t index = 7;
    eddy_as_completed *each;
    CHECK_EQ(eddy_await_all(NULL, 0), 0);
    CHECK_ERR(eddy_await_any(NULL, 0, &index), -EINVAL);
    CHECK_ERR(eddy_await_race(NULL, 0, &index), -EINVAL);
    CHECK_EQ(index, 7);
    CHECK_EQ(eddy_await_until(NULL, 0, EDDY_UNTIL_ALL_COMPLETED, EDDY_NEVER, NULL), 0);
    CHECK_EQ(eddy_await_until(NULL, 0, EDDY_UNTIL_FIRST_COMPLETED, EDDY_NEVER, NULL), 0);
    eddy_future *all = eddy_future_all(NULL, 0);
    CHECK_EQ(eddy_await(all), 0);
    eddy_future_release(all);
    check_failed(eddy_future_any(NULL, 0), -EINVAL);
    check_failed(eddy_future_race(NULL, 0), -EINVAL);
    CHECK_OK(eddy_as_completed_new(NULL, 0, &each));
    CHECK_ERR(eddy_as_completed_next(each), -ENOENT);
    eddy_as_completed_free(each);
}

TEST(nothing_ends_at_once_on_a_thread) {
    of_nothing();
}

LOOP_TEST(nothing_ends_at_once_in_a_task) {
    of_nothing();
}

TEST(null_is_refused_or_harmless) {
    struct pairs pairs;
    pairs_new(&pairs, 1);
    eddy_future *fs[] = {pairs.fs[0], NULL};
    eddy_as_completed *each;
    CHECK_ERR(eddy_await_all(fs, 2), -EINVAL);
    CHECK_ERR(eddy_await_any(fs, 2, NULL), -EINVAL);
    CHECK_ERR(eddy_await_race(fs, 2, NULL), -EINVAL);
    CHECK_ERR(eddy_await_until(fs, 2, EDDY_UNTIL_ALL_COMPLETED, 0, NULL), -EINVAL);
    CHECK_ERR(eddy_await_until(fs, 1, (eddy_until)3, 0, NULL), -EINVAL);
    CHECK_ERR(eddy_await_all(NULL, 2), -EINVAL);
    check_failed(eddy_future_all(fs, 2), -EINVAL);
    check_failed(eddy_future_any(NULL, 2), -EINVAL);
    check_failed(eddy_future_shield(NULL), -EINVAL);
    CHECK_ERR(eddy_as_completed_new(fs, 2, &each), -EINVAL);
    CHECK_ERR(eddy_as_completed_new(fs, 1, NULL), -EINVAL);
    CHECK_ERR(eddy_as_completed_next(NULL), -EINVAL);
    CHECK_PTR_EQ(eddy_as_completed_free(NULL), NULL);
    CHECK(!eddy_promise_cancelled(pairs.pair[0].promise));
    pairs_free(&pairs);
}

/* ---- all ------------------------------------------------------------------------------------- */

LOOP_TEST(all_gives_zero_when_all_ended_well) {
    eddy_future *fs[MANY];
    for (int i = 0; i < MANY; i++) {
        fs[i] = i % 2 == 0 ? start_value(i) : eddy_sleep_start(i * EDDY_US);
    }
    CHECK_EQ(eddy_await_all(fs, 3), 0);
    CHECK_EQ(eddy_await_all(fs, MANY), 0);
    CHECK_EQ(eddy_future_result(fs[98]), 98);
}

LOOP_TEST(the_first_failure_cancels_the_others_and_waits_for_them) {
    _Atomic int cancels = 0;
    eddy_future *fs[] = {
        eddy_task_start(count_cancel, &cancels, 0), eddy_task_start(count_cancel, &cancels, 0),
        eddy_future_then(eddy_sleep_start(EDDY_MS), NULL, NULL), /* -EINVAL from the start */
    };
    CHECK_OK(eddy_yield());
    CHECK_ERR(eddy_await_all(fs, 3), -EINVAL);
    CHECK_EQ(cancels, 2);
    CHECK(eddy_future_cancelled(fs[0]));
}

/* Fails when another future has. */
static int64_t fail_after(void *first) {
    int64_t r = eddy_await(first);
    return r == -EIO ? -EPIPE : r;
}

LOOP_TEST(the_first_failure_in_time_is_the_one) {
    eddy_future *early = start_value(-EIO);
    eddy_future *late = eddy_task_start(fail_after, early, 0);
    eddy_future *fs[] = {late, early};
    CHECK_ERR(eddy_await_all(fs, 2), -EIO);
    int64_t r = eddy_future_result(late);
    CHECK(r == -EPIPE || r == -ECANCELED);
}

LOOP_TEST(a_cancelled_future_is_a_failure_of_all) {
    eddy_future *fs[] = {eddy_task_start(sleep_for_ever, NULL, 0),
                         eddy_task_start(sleep_for_ever, NULL, 0)};
    CHECK_OK(eddy_future_cancel(fs[1]));
    CHECK_ERR(eddy_await_all(fs, 2), -ECANCELED);
    CHECK(eddy_future_cancelled(fs[0]));
}

LOOP_TEST(a_deadline_ends_await_all_and_not_the_futures) {
    struct pairs pairs;
    eddy_scope s;
    pairs_new(&pairs, 20);
    CHECK_OK(eddy_scope_enter(&s, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_ERR(eddy_await_all(pairs.fs, pairs.count), -ETIME);
    CHECK_ERR(eddy_await_any(pairs.fs, pairs.count, NULL), -ETIME);
    CHECK_ERR(eddy_await_race(pairs.fs, pairs.count, NULL), -ETIME);
    CHECK_ERR(eddy_await_until(pairs.fs, 1, EDDY_UNTIL_ALL_COMPLETED, EDDY_ZERO, NULL), -ETIME);
    eddy_scope_leave(&s, 0);
    for (size_t i = 0; i < pairs.count; i++) {
        CHECK(!eddy_promise_cancelled(pairs.pair[i].promise));
        resolve(&pairs, i, 0);
    }
    CHECK_EQ(eddy_await_all(pairs.fs, pairs.count), 0);
    pairs_free(&pairs);
}

struct stubborn {
    eddy_scope *scope;
    bool ended;
};

/* Cancelled by a sibling's failure, it cancels the scope in which all are awaited, and takes its
 * time. */
static int64_t be_stubborn(void *arg) {
    struct stubborn *stubborn = arg;
    eddy_scope s;
    CHECK_ERR(eddy_sleep(EDDY_NEVER), -ECANCELED);
    CHECK_OK(eddy_scope_cancel(stubborn->scope));
    CHECK_OK(eddy_scope_enter(&s, &(eddy_scope_opts){.shield = true}));
    CHECK_OK(eddy_sleep(EDDY_MS));
    stubborn->ended = true;
    return eddy_scope_leave(&s, -ECANCELED);
}

LOOP_TEST(the_wait_for_the_cancelled_ones_is_not_refused_by_a_cancel) {
    eddy_scope s;
    struct stubborn stubborn = {.scope = &s};
    CHECK_OK(eddy_scope_enter(&s, NULL));
    eddy_future *fs[] = {eddy_task_start(be_stubborn, &stubborn, 0), start_value(-EIO)};
    CHECK_ERR(eddy_await_all(fs, 2), -EIO);
    CHECK(stubborn.ended);
    CHECK_ERR(eddy_checkpoint(), -ECANCELED);
    eddy_scope_leave(&s, 0);
}

TEST(all_on_a_thread_waits_for_the_last) {
    struct pairs pairs;
    pairs_new(&pairs, 3);
    struct script script = {&pairs, {{2, 5}, {0, 6}, {1, 7}}, 3};
    pthread_t thread = thread_start(play, &script);
    CHECK_EQ(eddy_await_all(pairs.fs, 3), 0);
    thread_join(thread);
    CHECK_EQ(eddy_future_result(pairs.fs[1]), 7);
    pairs_free(&pairs);
}

TEST(all_on_a_thread_cancels_the_rest) {
    struct pairs pairs;
    pairs_new(&pairs, MANY);
    struct script script = {&pairs, {{99, 5}, {50, -EIO}}, 2};
    pthread_t thread = thread_start(play, &script);
    CHECK_ERR(eddy_await_all(pairs.fs, MANY), -EIO);
    thread_join(thread);
    CHECK(eddy_promise_cancelled(pairs.pair[0].promise));
    CHECK_EQ(eddy_future_result(pairs.fs[99]), 5);
    pairs_free(&pairs);
}

TEST(the_same_future_may_stand_there_twice) {
    struct pairs pairs;
    pairs_new(&pairs, 2);
    eddy_future *fs[] = {pairs.fs[0], pairs.fs[1], pairs.fs[0]};
    struct script script = {&pairs, {{0, 5}, {1, 6}}, 2};
    pthread_t thread = thread_start(play, &script);
    CHECK_EQ(eddy_await_all(fs, 3), 0);
    eddy_future *all = eddy_future_all(fs, 3);
    CHECK_EQ(eddy_await(all), 0);
    eddy_future_release(all);
    thread_join(thread);
    pairs_free(&pairs);
}

static int64_t await_all_of_it(void *arg) {
    eddy_future *fs[] = {*(eddy_future **)arg};
    CHECK_ERR(eddy_await_any(fs, 1, NULL), -EDEADLK);
    CHECK_ERR(eddy_await_race(fs, 1, NULL), -EDEADLK);
    CHECK_ERR(eddy_await_until(fs, 1, EDDY_UNTIL_ALL_COMPLETED, EDDY_NEVER, NULL), -EDEADLK);
    CHECK_EQ(eddy_await_until(fs, 1, EDDY_UNTIL_ALL_COMPLETED, EDDY_ZERO, NULL), 0);
    eddy_as_completed *each;
    CHECK_OK(eddy_as_completed_new(fs, 1, &each));
    CHECK_ERR(eddy_as_completed_next(each), -EDEADLK);
    eddy_as_completed_free(each);
    return eddy_await_all(fs, 1);
}

LOOP_TEST(a_task_among_its_own_futures_is_told) {
    eddy_future *self = NULL;
    self = eddy_task_start(await_all_of_it, &self, 0);
    CHECK_ERR(eddy_await(self), -EDEADLK);
}

/* ---- any and race ---------------------------------------------------------------------------- */

LOOP_TEST(any_gives_the_first_success_and_cancels_the_rest) {
    _Atomic int cancels = 0;
    size_t index = 9;
    eddy_future *fs[] = {
        eddy_task_start(count_cancel, &cancels, 0),
        start_value(-EIO),
        eddy_sleep_start(EDDY_MS),
    };
    CHECK_OK(eddy_yield());
    CHECK_EQ(eddy_await_any(fs, 3, &index), 0);
    CHECK_EQ(index, 2);
    CHECK_EQ(cancels, 1);
}

LOOP_TEST(any_of_failures_gives_the_first) {
    size_t index = 9;
    eddy_future *early = start_value(-EIO);
    eddy_future *fs[] = {eddy_task_start(fail_after, early, 0), early};
    CHECK_ERR(eddy_await_any(fs, 2, &index), -EIO);
    CHECK_EQ(index, 9); /* an output, written on success only */
    CHECK_ERR(eddy_future_result(fs[0]), -EPIPE);
}

LOOP_TEST(race_gives_the_first_of_any_kind) {
    _Atomic int cancels = 0;
    size_t index = 9;
    eddy_future *fs[] = {eddy_task_start(count_cancel, &cancels, 0), start_value(-EIO)};
    CHECK_OK(eddy_yield());
    CHECK_ERR(eddy_await_race(fs, 2, &index), -EIO);
    CHECK_EQ(index, 1);
    CHECK_EQ(cancels, 1);
    CHECK_ERR(eddy_await_race(fs, 2, NULL), -ECANCELED); /* all ended: the first in the array */
}

TEST(any_and_race_on_a_thread) {
    struct pairs pairs;
    size_t index = 9;
    pairs_new(&pairs, 3);
    struct script script = {&pairs, {{2, -EIO}, {1, 7}}, 2};
    pthread_t thread = thread_start(play, &script);
    CHECK_EQ(eddy_await_any(pairs.fs, 3, &index), 7);
    CHECK_EQ(index, 1);
    thread_join(thread);
    pairs_free(&pairs);
    pairs_new(&pairs, 3);
    script.count = 1;
    thread = thread_start(play, &script);
    CHECK_ERR(eddy_await_race(pairs.fs, 3, &index), -EIO);
    CHECK_EQ(index, 2);
    thread_join(thread);
    pairs_free(&pairs);
}

/* ---- wait ------------------------------------------------------------------------------------ */

TEST(wait_says_which_have_ended) {
    struct pairs pairs;
    bool done[4];
    pairs_new(&pairs, 4);
    CHECK_EQ(eddy_await_until(pairs.fs, 4, EDDY_UNTIL_FIRST_COMPLETED, EDDY_ZERO, done), 0);
    CHECK(!done[0] && !done[1] && !done[2] && !done[3]);
    CHECK_EQ(eddy_await_until(pairs.fs, 4, EDDY_UNTIL_FIRST_COMPLETED, EDDY_US, done), 0);
    resolve(&pairs, 2, 1);
    CHECK_EQ(eddy_await_until(pairs.fs, 4, EDDY_UNTIL_FIRST_COMPLETED, EDDY_NEVER, done), 1);
    CHECK(!done[0] && !done[1] && done[2] && !done[3]);
    CHECK_EQ(eddy_await_until(pairs.fs, 4, EDDY_UNTIL_FIRST_FAILED, EDDY_US, NULL), 1);
    resolve(&pairs, 0, -EIO);
    CHECK_EQ(eddy_await_until(pairs.fs, 4, EDDY_UNTIL_FIRST_FAILED, EDDY_NEVER, done), 2);
    CHECK(done[0] && !done[1] && done[2] && !done[3]);
    CHECK(!eddy_promise_cancelled(pairs.pair[1].promise)); /* nothing is cancelled */
    CHECK_EQ(eddy_await_until(pairs.fs, 4, EDDY_UNTIL_ALL_COMPLETED, EDDY_US, done), 2);
    resolve(&pairs, 1, 0);
    resolve(&pairs, 3, 0);
    CHECK_EQ(eddy_await_until(pairs.fs, 4, EDDY_UNTIL_ALL_COMPLETED, EDDY_NEVER, done), 4);
    CHECK(done[0] && done[1] && done[2] && done[3]);
    pairs_free(&pairs);
}

TEST(a_cancelled_future_has_not_failed_but_ended) {
    struct pairs pairs;
    pairs_new(&pairs, 2);
    CHECK_OK(eddy_future_cancel(pairs.fs[0]));
    CHECK_EQ(eddy_await_until(pairs.fs, 2, EDDY_UNTIL_FIRST_FAILED, EDDY_US, NULL), 1);
    CHECK_EQ(eddy_await_until(pairs.fs, 2, EDDY_UNTIL_FIRST_COMPLETED, EDDY_NEVER, NULL), 1);
    CHECK_OK(eddy_future_cancel(pairs.fs[1]));
    CHECK_EQ(eddy_await_until(pairs.fs, 2, EDDY_UNTIL_FIRST_FAILED, EDDY_NEVER, NULL), 2);
    pairs_free(&pairs);
}

TEST(a_cancel_wakes_who_waits) {
    struct pairs pairs;
    pairs_new(&pairs, 2);
    struct other_loop other;
    other_loop_start(&other);
    eddy_future *fs[] = {pairs.fs[0], eddy_task_start_on(other.loop, sleep_for_ever, NULL, 0)};
    CHECK_OK(eddy_future_cancel(fs[1]));
    CHECK_EQ(eddy_await_until(fs, 2, EDDY_UNTIL_FIRST_COMPLETED, EDDY_NEVER, NULL), 1);
    eddy_future_release(fs[1]);
    other_loop_stop(&other);
    pairs_free(&pairs);
}

LOOP_TEST(the_wait_for_a_failure_goes_on_after_a_cancelled_one) {
    struct pairs pairs;
    pairs_new(&pairs, 2);
    CHECK_OK(eddy_future_cancel(pairs.fs[0]));
    int64_t before = eddy_loop_now(eddy_loop_current());
    CHECK_EQ(eddy_await_until(pairs.fs, 2, EDDY_UNTIL_FIRST_FAILED, EDDY_MS, NULL), 1);
    CHECK(eddy_loop_now(eddy_loop_current()) - before >= EDDY_MS);
    pairs_free(&pairs);
}

LOOP_TEST(wait_in_a_task_with_a_timeout) {
    struct pairs pairs;
    bool done[2];
    pairs_new(&pairs, 2);
    int64_t before = eddy_loop_now(eddy_loop_current());
    CHECK_EQ(eddy_await_until(pairs.fs, 2, EDDY_UNTIL_ALL_COMPLETED, EDDY_MS, done), 0);
    CHECK(eddy_loop_now(eddy_loop_current()) - before >= EDDY_MS);
    eddy_future *fs[] = {eddy_sleep_start(EDDY_MS), pairs.fs[1]};
    CHECK_EQ(eddy_await_until(fs, 2, EDDY_UNTIL_FIRST_COMPLETED, EDDY_S, done), 1);
    CHECK(done[0] && !done[1]);
    pairs_free(&pairs);
}

struct look_case {
    struct pairs *pairs;
    eddy_promise *over;
};

static void look_in_a_post(void *arg) {
    struct look_case *c = arg;
    eddy_future **fs = c->pairs->fs;
    eddy_as_completed *each;
    CHECK_EQ(eddy_await_until(fs, 2, EDDY_UNTIL_FIRST_COMPLETED, EDDY_NEVER, NULL), 1);
    CHECK_ERR(eddy_await_until(fs, 2, EDDY_UNTIL_ALL_COMPLETED, EDDY_NEVER, NULL), -EDEADLK);
    CHECK_ERR(eddy_await_all(fs, 2), -EDEADLK);
    CHECK_EQ(eddy_await_all(fs, 1), 0);
    CHECK_OK(eddy_as_completed_new(fs, 2, &each));
    CHECK_EQ(eddy_as_completed_next(each), 0);
    CHECK_ERR(eddy_as_completed_next(each), -EDEADLK);
    CHECK_ERR(eddy_as_completed_wait(each, EDDY_ZERO), -EINPROGRESS);
    eddy_as_completed_free(each);
    CHECK_OK(eddy_promise_resolve(c->over, 0));
}

LOOP_TEST(a_loops_thread_outside_of_tasks_may_look_but_not_wait) {
    struct pairs pairs;
    struct pair over = pair_new();
    pairs_new(&pairs, 2);
    resolve(&pairs, 0, 0);
    struct look_case c = {&pairs, over.promise};
    CHECK_OK(eddy_loop_post(eddy_loop_current(), look_in_a_post, &c));
    CHECK_OK(eddy_await(over.future));
    pair_free(&over);
    pairs_free(&pairs);
}

/* ---- futures of futures ---------------------------------------------------------------------- */

TEST(all_any_and_race_as_futures) {
    struct pairs pairs;
    pairs_new(&pairs, 3);
    eddy_future *all = eddy_future_all(pairs.fs, 3);
    CHECK(!eddy_future_done(all));
    resolve(&pairs, 1, 5);
    CHECK(!eddy_future_done(all));
    eddy_future *any = eddy_future_any(pairs.fs, 3); /* decided, and so cancels the rest */
    CHECK_EQ(eddy_future_result(any), 5);
    CHECK(eddy_promise_cancelled(pairs.pair[0].promise));
    CHECK_ERR(eddy_future_result(all), -ECANCELED);
    eddy_future *race = eddy_future_race(pairs.fs, 3);
    CHECK_ERR(eddy_future_result(race), -ECANCELED);
    eddy_future_release(all);
    eddy_future_release(any);
    eddy_future_release(race);
    pairs_free(&pairs);
}

TEST(any_of_failures_as_a_future_gives_the_first_in_time) {
    struct pairs pairs;
    pairs_new(&pairs, 3);
    eddy_future *any = eddy_future_any(pairs.fs, 3);
    resolve(&pairs, 1, -EIO);
    resolve(&pairs, 2, -EPIPE);
    CHECK(!eddy_future_done(any));
    resolve(&pairs, 0, -EPERM);
    CHECK_ERR(eddy_future_result(any), -EIO);
    eddy_future_release(any);
    pairs_free(&pairs);
}

static void take_its_time(void *arg) {
    (void)arg;
}

TEST(a_gathering_future_ends_when_the_last_has_ended) {
    struct pairs pairs;
    pairs_new(&pairs, 2);
    CHECK_OK(eddy_promise_on_cancel(pairs.pair[0].promise, take_its_time, NULL));
    eddy_future *all = eddy_future_all(pairs.fs, 2);
    resolve(&pairs, 1, -EIO);
    CHECK(eddy_promise_cancelled(pairs.pair[0].promise));
    CHECK(!eddy_future_done(all)); /* the other one takes its time */
    resolve(&pairs, 0, 3);
    CHECK_ERR(eddy_future_result(all), -EIO);
    eddy_future_release(all);
    pairs_free(&pairs);
}

LOOP_TEST(a_cancel_of_a_gathering_future_cancels_all) {
    _Atomic int cancels = 0;
    eddy_future *fs[] = {eddy_task_start(count_cancel, &cancels, 0),
                         eddy_task_start(count_cancel, &cancels, 0)};
    eddy_future *all = eddy_future_all(fs, 2);
    CHECK_OK(eddy_yield());
    CHECK_OK(eddy_future_cancel(all));
    CHECK_ERR(eddy_await(all), -ECANCELED);
    CHECK(eddy_future_cancelled(all));
    CHECK_EQ(cancels, 2);
}

LOOP_TEST(a_deadline_reaches_the_futures_of_its_scope_through_a_gathering_one) {
    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    eddy_future *fs[] = {eddy_task_start(sleep_for_ever, NULL, 0), eddy_sleep_start(EDDY_NEVER)};
    eddy_future *all = eddy_future_all(fs, 2);
    CHECK_ERR(eddy_await(all), -ETIME);
    CHECK_EQ(eddy_scope_leave(&s, 0), 0);
    CHECK(eddy_scope_expired(&s));
}

TEST(gathering_futures_nest) {
    struct pairs pairs;
    pairs_new(&pairs, 4);
    eddy_future *left = eddy_future_any(pairs.fs, 2);
    eddy_future *right = eddy_future_race(pairs.fs + 2, 2);
    eddy_future *both[] = {left, right};
    eddy_future *all = eddy_future_all(both, 2);
    struct script script = {&pairs, {{0, -EIO}, {3, 8}, {1, 9}}, 3};
    pthread_t thread = thread_start(play, &script);
    CHECK_EQ(eddy_await(all), 0);
    CHECK_EQ(eddy_future_result(left), 9);
    CHECK_EQ(eddy_future_result(right), 8);
    thread_join(thread);
    eddy_future_release(all);
    eddy_future_release(left);
    eddy_future_release(right);
    pairs_free(&pairs);
}

TEST(the_futures_may_be_released_before_what_gathers_them) {
    struct pairs pairs;
    pairs_new(&pairs, 2);
    eddy_future *all = eddy_future_all(pairs.fs, 2);
    resolve(&pairs, 0, 1);
    resolve(&pairs, 1, 1);
    pairs_free(&pairs);
    CHECK_EQ(eddy_await(all), 0);
    eddy_future_release(all);
}

LOOP_TEST(a_gathering_future_of_two_loops) {
    struct other_loop other;
    other_loop_start(&other);
    int64_t value = 4;
    eddy_future *fs[] = {
        start_value(3),
        eddy_task_start_on(other.loop, give_back, &value, sizeof value),
        eddy_sleep_start(EDDY_MS),
    };
    eddy_future *all = eddy_future_all(fs, 3);
    CHECK_EQ(eddy_await(all), 0);
    eddy_future_release(all);
    CHECK_EQ(eddy_await_all(fs, 3), 0);
    eddy_future_release(fs[1]);
    other_loop_stop(&other);
}

/* ---- shield ---------------------------------------------------------------------------------- */

TEST(a_shield_ends_as_its_source) {
    struct pair pair = pair_new();
    eddy_future *shield = eddy_future_shield(pair.future);
    CHECK(!eddy_future_done(shield));
    CHECK_OK(eddy_promise_resolve(pair.promise, 6));
    CHECK_EQ(eddy_future_result(shield), 6);
    eddy_future *late = eddy_future_shield(pair.future);
    CHECK_EQ(eddy_future_result(late), 6);
    eddy_future_release(late);
    eddy_future_release(shield);
    pair_free(&pair);
}

TEST(a_cancel_stops_at_a_shield) {
    struct pair pair = pair_new();
    eddy_future *shield = eddy_future_shield(pair.future);
    CHECK_OK(eddy_future_cancel(shield));
    CHECK_ERR(eddy_future_result(shield), -ECANCELED);
    eddy_future_release(shield);
    eddy_future_release(eddy_future_shield(pair.future)); /* pending: ends at once as well */
    CHECK(!eddy_promise_cancelled(pair.promise));
    CHECK_OK(eddy_promise_resolve(pair.promise, 6));
    CHECK_EQ(eddy_await(pair.future), 6);
    pair_free(&pair);
}

LOOP_TEST(a_shielded_future_survives_all) {
    struct pair slow = pair_new();
    eddy_future *fs[] = {eddy_future_shield(slow.future), start_value(-EIO)};
    CHECK_ERR(eddy_await_all(fs, 2), -EIO);
    CHECK(!eddy_promise_cancelled(slow.promise));
    CHECK_OK(eddy_promise_resolve(slow.promise, 4));
    CHECK_EQ(eddy_await(slow.future), 4);
    pair_free(&slow);
}

/* ---- a look is a look ------------------------------------------------------------------------ */

static void complain(int64_t error, const char *site, const char *name, void *ctx) {
    (void)error;
    (void)site;
    (void)name;
    (*(int *)ctx)++;
}

static int64_t fail_in_company(void *arg) {
    int *complaints = arg;
    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, NULL));
    eddy_future *fs[] = {start_value(-EIO), start_value(-EIO), start_value(-EIO)};
    CHECK_ERR(eddy_await_all(fs, 3), -EIO); /* the suppressed ones as well */
    eddy_scope_leave(&s, 0);
    CHECK_EQ(*complaints, 0);

    CHECK_OK(eddy_scope_enter(&s, NULL));
    eddy_future *gathered[] = {start_value(-EIO), start_value(-EIO)};
    CHECK_ERR(eddy_await(eddy_future_all(gathered, 2)), -EIO);
    CHECK_ERR(eddy_await(eddy_future_shield(start_value(-EPERM))), -EPERM);
    eddy_scope_leave(&s, 0);
    CHECK_EQ(*complaints, 0);

    CHECK_OK(eddy_scope_enter(&s, NULL));
    eddy_future *waited[] = {start_value(-EIO)};
    CHECK_EQ(eddy_await_until(waited, 1, EDDY_UNTIL_ALL_COMPLETED, EDDY_NEVER, NULL), 1);
    eddy_scope_leave(&s, 0);
    CHECK_EQ(*complaints, 1); /* waited for, but not looked at */

    CHECK_OK(eddy_scope_enter(&s, NULL));
    eddy_future *unread[] = {start_value(-EIO), start_value(1)};
    eddy_future *all = eddy_future_all(unread, 2);
    while (!eddy_future_done(all)) {
        CHECK_OK(eddy_yield());
    }
    eddy_scope_leave(&s, 0);
    CHECK_EQ(*complaints, 2); /* the gathering one's failure is its own */
    return 0;
}

TEST(who_gathers_failures_has_looked_at_them) {
    int complaints = 0;
    eddy_loop *loop;
    CHECK_OK(
        eddy_loop_new(&(eddy_loop_opts){.on_unobserved = complain, .ctx = &complaints}, &loop));
    CHECK_OK(eddy_loop_call(loop, fail_in_company, &complaints));
    eddy_loop_free(loop);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Everything that allocates, over more futures than fit on a stack. */
static int64_t combine_all(void *arg) {
    struct pairs *pairs = arg;
    eddy_as_completed *each = NULL;
    int64_t failed = eddy_await_all(pairs->fs, MANY);
    int64_t r = eddy_await_any(pairs->fs, MANY, NULL);
    failed = r < 0 ? r : failed;
    r = eddy_await_race(pairs->fs, MANY, NULL);
    failed = r < 0 ? r : failed;
    r = eddy_await_until(pairs->fs, MANY, EDDY_UNTIL_ALL_COMPLETED, EDDY_S, NULL);
    failed = r < 0 ? r : failed;
    r = eddy_as_completed_new(pairs->fs, MANY, &each);
    failed = r < 0 ? r : failed;
    eddy_as_completed_free(each);
    eddy_future *fs[] = {
        eddy_future_all(pairs->fs, MANY),
        eddy_future_any(pairs->fs, MANY),
        eddy_future_race(pairs->fs, MANY),
        eddy_future_shield(pairs->fs[0]),
    };
    for (int i = 0; i < 4; i++) {
        r = eddy_await(fs[i]);
        failed = r < 0 ? r : failed;
        eddy_future_release(fs[i]);
    }
    return failed;
}

static void each_allocation_fails(void) {
    struct pairs pairs;
    pairs_new(&pairs, MANY);
    for (size_t i = 0; i < MANY; i++) {
        resolve(&pairs, i, 0);
    }
    CHECK(test_each_allocation_fails(combine_all, &pairs) > 20);
    pairs_free(&pairs);
}

TEST(each_allocation_may_fail_on_a_thread) {
    each_allocation_fails();
}

LOOP_TEST(each_allocation_may_fail_in_a_task) {
    each_allocation_fails();
}

static int64_t combine_some(void *arg) {
    struct pairs *pairs = arg;
    CHECK_EQ(eddy_await_all(pairs->fs, 16), 0);
    CHECK_EQ(eddy_await_until(pairs->fs, 16, EDDY_UNTIL_ALL_COMPLETED, EDDY_S, NULL), 16);
    return eddy_await(pairs->fs[0]);
}

LOOP_TEST(a_few_futures_are_waited_for_without_an_allocation) {
    struct pairs pairs;
    pairs_new(&pairs, 16);
    for (size_t i = 0; i < 16; i++) {
        resolve(&pairs, i, 0);
    }
    CHECK_EQ(test_each_allocation_fails(combine_some, &pairs), 2); /* both found none to fail */
    pairs_free(&pairs);
}

/* Zero is a success: it decides nothing for all, and everything for any. */
TEST(a_gathering_future_takes_zero_for_a_success) {
    struct pairs pairs;
    pairs_new(&pairs, 3);
    eddy_future *all = eddy_future_all(pairs.fs, 2);
    eddy_future *any = eddy_future_any(&pairs.fs[1], 2);
    resolve(&pairs, 0, 0);
    CHECK(!eddy_promise_cancelled(pairs.pair[1].promise));
    CHECK(!eddy_future_done(all));
    resolve(&pairs, 1, 0);
    CHECK_EQ(eddy_future_result(all), 0);
    CHECK(eddy_promise_cancelled(pairs.pair[2].promise));
    CHECK_EQ(eddy_future_result(any), 0);
    eddy_future_release(all);
    eddy_future_release(any);
    pairs_free(&pairs);
}
