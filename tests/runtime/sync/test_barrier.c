/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/futures/future.h>
#include <eddy/runtime/sync/barrier.h>
#include <eddy/runtime/task/scope.h>

#include "two_loops.h"

static eddy_barrier barrier = EDDY_BARRIER_INIT(4);
static int arrived;
static int last;

static int64_t rounds(void *arg) {
    int count = *(int *)arg;
    for (int i = 1; i <= count; i++) {
        arrived++;
        int r = eddy_barrier_wait(&barrier);
        if (r < 0) {
            return r;
        }
        CHECK(arrived >= 4 * i); /* all of this round have come */
        last += r;
    }
    return 0;
}

LOOP_TEST(nobody_passes_before_all_have_come) {
    int count = 50;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < 4; i++) {
        CHECK_OK(eddy_spawn(rounds, &count, sizeof count));
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(last, 50); /* one in each round is told */
    CHECK_EQ(eddy_barrier_waiting(&barrier), 0);
}

LOOP_TEST(a_task_that_is_cancelled_does_not_count) {
    int once = 1;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_OK(eddy_spawn(rounds, &once, sizeof once));
    CHECK_ERR(eddy_scope_leave(&scope, 0), -ETIME);
    CHECK_EQ(eddy_barrier_waiting(&barrier), 0);
    arrived = 0;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < 4; i++) {
        CHECK_OK(eddy_spawn(rounds, &once, sizeof once));
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
}

LOOP_TEST(a_barrier_of_one_waits_for_nobody) {
    eddy_barrier alone = EDDY_BARRIER_INIT(1);
    CHECK_EQ(eddy_barrier_wait(&alone), 1);
    eddy_barrier none = EDDY_BARRIER_INIT(0);
    CHECK_EQ(eddy_barrier_wait(&none), 1);
}

static eddy_barrier both = EDDY_BARRIER_INIT(2);

static int64_t meets(void *arg) {
    (void)arg;
    int64_t told = 0;
    for (int i = 0; i < 2000; i++) {
        int r = eddy_barrier_wait(&both);
        if (r < 0) {
            return r;
        }
        told += r;
    }
    return told;
}

TEST(two_loops_meet_at_a_barrier) {
    struct other_loop one;
    struct other_loop two;
    other_loop_start(&one, meets, NULL);
    other_loop_start(&two, meets, NULL);
    CHECK_EQ(other_loop_join(&one) + other_loop_join(&two), 2000);
}

/* ---- at the same moment ---------------------------------------------------------------------- */

static int64_t comes(void *arg) {
    int r = eddy_barrier_wait(&barrier);
    *(int *)arg = r;
    return r;
}

static void wait_until_waiting(uint64_t count) {
    while (eddy_barrier_waiting(&barrier) != count) {
        CHECK_OK(eddy_yield());
    }
}

LOOP_TEST(when_one_goes_the_others_wait_on) {
    int seen[5] = {9, 9, 9, 9, 9};
    eddy_scope all;
    CHECK_OK(eddy_scope_enter(&all, NULL));
    CHECK_OK(eddy_spawn(comes, &seen[0], 0));
    CHECK_OK(eddy_spawn(comes, &seen[1], 0));
    eddy_future *goes = eddy_task_start(comes, &seen[2], 0);
    wait_until_waiting(3);
    CHECK_OK(eddy_future_cancel(goes));
    CHECK_ERR(eddy_await(goes), -ECANCELED);
    CHECK_EQ(eddy_barrier_waiting(&barrier), 2);
    CHECK_OK(eddy_spawn(comes, &seen[3], 0));
    wait_until_waiting(3);
    CHECK_EQ(seen[0], 9);
    CHECK_EQ(seen[1], 9);
    CHECK_EQ(eddy_barrier_wait(&barrier), 1);
    CHECK_OK(eddy_scope_leave(&all, 0));
    CHECK_EQ(seen[0] + seen[1] + seen[3], 0);
    CHECK_EQ(seen[2], -ECANCELED);
}

LOOP_TEST(a_round_that_was_completed_at_the_same_moment_as_a_cancel_counts) {
    int seen[3] = {9, 9, 9};
    eddy_scope all;
    CHECK_OK(eddy_scope_enter(&all, NULL));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(eddy_spawn(comes, &seen[i], 0));
    }
    wait_until_waiting(3);
    CHECK_EQ(eddy_barrier_wait(&barrier), 1);
    CHECK_OK(eddy_scope_cancel(&all));
    CHECK_ERR(eddy_barrier_wait(&barrier), -ECANCELED);
    CHECK_OK(eddy_scope_leave(&all, 0));
    CHECK_EQ(seen[0] + seen[1] + seen[2], 0);
    CHECK_EQ(eddy_barrier_waiting(&barrier), 0);
}

TEST(a_barrier_needs_a_task) {
    CHECK_ERR(eddy_barrier_wait(&barrier), EDDY_ENOTASK);
    CHECK_EQ(eddy_barrier_waiting(&barrier), 0);
}
