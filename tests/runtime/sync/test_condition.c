/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/futures/future.h>
#include <eddy/runtime/sync/condition.h>
#include <eddy/runtime/task/scope.h>

#include "two_loops.h"

static eddy_mutex lock;
static eddy_condition changed;
static int value;
static int awake;

static int64_t wait_for_value(void *arg) {
    int wanted = *(int *)arg;
    int r = eddy_mutex_lock(&lock);
    if (r < 0) {
        return r;
    }
    while (value < wanted && r == 0) {
        r = eddy_condition_wait(&changed, &lock);
    }
    awake += r == 0;
    CHECK_OK(eddy_mutex_unlock(&lock)); /* held, whatever r is */
    return r;
}

LOOP_TEST(signal_wakes_one_and_broadcast_all) {
    eddy_scope scope;
    int one = 1;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < 4; i++) {
        CHECK_OK(eddy_spawn(wait_for_value, &one, sizeof one));
    }
    CHECK_OK(eddy_sleep(EDDY_MS));
    value = 1;
    eddy_condition_signal(&changed);
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK_EQ(awake, 1);
    eddy_condition_broadcast(&changed);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(awake, 4);
    eddy_condition_signal(&changed); /* for nobody */
}

static int64_t holds_the_lock(void *arg) {
    (void)arg;
    CHECK_OK(eddy_mutex_lock(&lock));
    eddy_scope shield;
    CHECK_OK(eddy_scope_enter(&shield, &(eddy_scope_opts){.shield = true}));
    CHECK_OK(eddy_sleep(20 * EDDY_MS));
    CHECK_OK(eddy_scope_leave(&shield, 0));
    return eddy_mutex_unlock(&lock);
}

LOOP_TEST(a_cancelled_wait_takes_the_lock_again_before_it_returns) {
    eddy_scope scope;
    int one = 1;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(wait_for_value, &one, sizeof one));
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK_OK(eddy_spawn(holds_the_lock, NULL, 0));
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(awake, 0);
    CHECK_OK(eddy_mutex_lock(&lock));
    CHECK_OK(eddy_mutex_unlock(&lock));
}

LOOP_TEST(waiting_needs_the_lock) {
    CHECK_ERR(eddy_condition_wait(&changed, &lock), -EPERM);
    CHECK_OK(eddy_yield());
}

/* A bounded queue of one place between two loops: each change is waited for by the other side. */
static int place;

static int64_t puts_in(void *arg) {
    (void)arg;
    for (int i = 1; i <= 3000; i++) {
        int r = eddy_mutex_lock(&lock);
        while (r == 0 && place != 0) {
            r = eddy_condition_wait(&changed, &lock);
        }
        place = i;
        eddy_condition_signal(&changed);
        CHECK_OK(eddy_mutex_unlock(&lock));
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int64_t takes_out(void *arg) {
    (void)arg;
    for (int i = 1; i <= 3000; i++) {
        int r = eddy_mutex_lock(&lock);
        while (r == 0 && place == 0) {
            r = eddy_condition_wait(&changed, &lock);
        }
        CHECK_EQ(place, i);
        place = 0;
        eddy_condition_signal(&changed);
        CHECK_OK(eddy_mutex_unlock(&lock));
    }
    return 0;
}

TEST(a_condition_works_across_loops) {
    struct other_loop one;
    struct other_loop two;
    other_loop_start(&one, puts_in, NULL);
    other_loop_start(&two, takes_out, NULL);
    CHECK_OK(other_loop_join(&one));
    CHECK_OK(other_loop_join(&two));
}

/* ---- order, deadlines, the same moment ------------------------------------------------------- */

static int order[4];
static int at;

static int64_t waits_in_turn(void *arg) {
    CHECK_OK(eddy_mutex_lock(&lock));
    int r = eddy_condition_wait(&changed, &lock);
    if (r == 0) {
        order[at++] = *(int *)arg;
    }
    CHECK_OK(eddy_mutex_unlock(&lock)); /* held, whatever r is */
    return r;
}

LOOP_TEST(a_signal_wakes_who_has_waited_longest) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < 4; i++) {
        CHECK_OK(eddy_spawn(waits_in_turn, &i, sizeof i));
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
    for (int i = 0; i < 4; i++) {
        eddy_condition_signal(&changed);
        while (at <= i) {
            CHECK_OK(eddy_yield());
        }
        CHECK_EQ(order[i], i);
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
}

LOOP_TEST(a_deadline_ends_the_wait_with_the_lock_held) {
    eddy_scope scope;
    CHECK_OK(eddy_mutex_lock(&lock));
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_ERR(eddy_condition_wait(&changed, &lock), -ETIME);
    CHECK_ERR(eddy_mutex_try_lock(&lock), -EDEADLK);
    CHECK_ERR(eddy_condition_wait(&changed, &lock), -ETIME); /* sticky; held all the time */
    CHECK_ERR(eddy_mutex_try_lock(&lock), -EDEADLK);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_OK(eddy_mutex_unlock(&lock));
    eddy_condition_signal(&changed); /* nobody is left in it */
}

LOOP_TEST(a_signal_at_the_same_moment_as_a_cancel_counts) {
    int one = 1;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(waits_in_turn, &one, sizeof one));
    CHECK_OK(eddy_sleep(EDDY_MS));
    eddy_condition_signal(&changed);
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(at, 1);
}

/* A signal goes to one who still waits, not to one who has been cancelled and only needs the lock
 * to say so. */
LOOP_TEST(a_signal_is_not_lost_to_who_was_cancelled) {
    int numbers[] = {0, 1};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    eddy_future *first = eddy_task_start(waits_in_turn, &numbers[0], 0);
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK_OK(eddy_spawn(waits_in_turn, &numbers[1], 0));
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK_OK(eddy_mutex_lock(&lock));
    CHECK_OK(eddy_future_cancel(first));
    CHECK_OK(eddy_sleep(EDDY_MS)); /* the first has seen its cancel, and waits for the lock */
    eddy_condition_signal(&changed);
    CHECK_OK(eddy_mutex_unlock(&lock));
    CHECK_ERR(eddy_await(first), -ECANCELED);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(at, 1);
    CHECK_EQ(order[0], 1);
}

static int64_t waits_without_the_lock(void *arg) {
    (void)arg;
    CHECK_ERR(eddy_condition_wait(&changed, &lock), -EPERM);
    return 0;
}

LOOP_TEST(a_lock_that_another_task_holds_is_not_enough) {
    eddy_scope scope;
    CHECK_OK(eddy_mutex_lock(&lock));
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(waits_without_the_lock, NULL, 0));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_ERR(eddy_mutex_try_lock(&lock), -EDEADLK);
    CHECK_OK(eddy_mutex_unlock(&lock));
}

TEST(a_condition_needs_a_task_to_wait_and_none_to_signal) {
    CHECK_ERR(eddy_condition_wait(&changed, &lock), EDDY_ENOTASK);
    eddy_condition_signal(&changed);
    eddy_condition_broadcast(&changed);
}
