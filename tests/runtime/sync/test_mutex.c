/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sync/mutex.h>
#include <eddy/runtime/task/scope.h>

#include "two_loops.h"

static eddy_mutex lock;
static int order[16];
static int at;

static int64_t lock_and_note(void *arg) {
    int r = eddy_mutex_lock(&lock);
    if (r < 0) {
        return r;
    }
    order[at++] = *(int *)arg;
    r = eddy_yield();
    CHECK_OK(eddy_mutex_unlock(&lock));
    return r;
}

LOOP_TEST(mutex_is_handed_over_in_the_order_of_waiting) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_mutex_lock(&lock));
    for (int i = 0; i < 8; i++) {
        CHECK_OK(eddy_spawn(lock_and_note, &i, sizeof i));
        CHECK_OK(eddy_sleep(EDDY_MS)); /* it waits now: on sim the order of starting is anybody's */
    }
    CHECK_OK(eddy_mutex_unlock(&lock));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(order[i], i);
    }
}

LOOP_TEST(mutex_held_by_this_task_is_a_deadlock) {
    CHECK_OK(eddy_mutex_lock(&lock));
    CHECK_ERR(eddy_mutex_lock(&lock), -EDEADLK);
    CHECK_ERR(eddy_mutex_try_lock(&lock), -EDEADLK);
    CHECK_OK(eddy_mutex_unlock(&lock));
    CHECK_ERR(eddy_mutex_unlock(&lock), -EPERM);
}

static int64_t try_it(void *arg) {
    (void)arg;
    CHECK_ERR(eddy_mutex_try_lock(&lock), -EAGAIN);
    CHECK_ERR(eddy_mutex_unlock(&lock), -EPERM);
    return 0;
}

LOOP_TEST(try_lock_does_not_wait) {
    eddy_scope scope;
    CHECK_OK(eddy_mutex_lock(&lock));
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(try_it, NULL, 0));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_OK(eddy_mutex_unlock(&lock));
    CHECK_OK(eddy_mutex_try_lock(&lock));
    CHECK_OK(eddy_mutex_unlock(&lock));
}

LOOP_TEST(a_cancelled_waiter_leaves_no_trace) {
    eddy_scope scope;
    int one = 1;
    CHECK_OK(eddy_mutex_lock(&lock));
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_OK(eddy_spawn(lock_and_note, &one, sizeof one));
    CHECK_ERR(eddy_scope_leave(&scope, 0), -ETIME);
    CHECK_EQ(at, 0);
    CHECK_OK(eddy_mutex_unlock(&lock));
    CHECK_OK(eddy_mutex_lock(&lock)); /* nobody got it in between */
    CHECK_OK(eddy_mutex_unlock(&lock));
}

TEST(mutex_needs_a_task) {
    CHECK_ERR(eddy_mutex_lock(&lock), EDDY_ENOTASK);
    CHECK_ERR(eddy_mutex_try_lock(&lock), EDDY_ENOTASK);
    CHECK_ERR(eddy_mutex_unlock(&lock), -EPERM);
}

static int counter;

static int64_t count_up(void *arg) {
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        int r = eddy_mutex_lock(&lock);
        if (r < 0) {
            return r;
        }
        int seen = counter;
        if (i % 16 == 0) {
            eddy_yield();
        }
        counter = seen + 1;
        CHECK_OK(eddy_mutex_unlock(&lock));
    }
    return 0;
}

static int64_t count_in_tasks(void *arg) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < 5; i++) {
        CHECK_OK(eddy_spawn(count_up, arg, 0));
    }
    return eddy_scope_leave(&scope, 0);
}

TEST(mutex_excludes_across_loops) {
    struct other_loop one;
    struct other_loop two;
    other_loop_start(&one, count_in_tasks, NULL);
    other_loop_start(&two, count_in_tasks, NULL);
    CHECK_OK(other_loop_join(&one));
    CHECK_OK(other_loop_join(&two));
    CHECK_EQ(counter, 10000);
}

LOOP_TEST(a_lock_that_was_handed_over_at_the_same_moment_as_a_cancel_is_held) {
    int one = 1;
    eddy_scope scope;
    CHECK_OK(eddy_mutex_lock(&lock));
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(lock_and_note, &one, sizeof one));
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK_OK(eddy_mutex_unlock(&lock));
    CHECK_ERR(eddy_mutex_try_lock(&lock), -EAGAIN); /* the next in the queue holds it already */
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(at, 1);
    CHECK_OK(eddy_mutex_try_lock(&lock));
    CHECK_OK(eddy_mutex_unlock(&lock));
}

LOOP_TEST(in_a_cancelled_scope_lock_is_refused_and_unlock_is_not) {
    eddy_scope scope;
    CHECK_OK(eddy_mutex_lock(&lock));
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_mutex_unlock(&lock));
    CHECK_ERR(eddy_mutex_lock(&lock), -ECANCELED);
    CHECK_OK(eddy_mutex_try_lock(&lock)); /* does not suspend, so it is not refused */
    CHECK_OK(eddy_mutex_unlock(&lock));
    CHECK_OK(eddy_scope_leave(&scope, 0));
}
