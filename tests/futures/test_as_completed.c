/* SPDX-License-Identifier: Apache-2.0 */
/* eddy_as_completed of <eddy/futures/combine.h>. */
#include <eddy/futures/combine.h>

#include "helpers.h"

TEST(each_comes_once_and_the_first_ended_first) {
    struct pairs pairs;
    eddy_as_completed *each;
    pairs_new(&pairs, 4);
    resolve(&pairs, 2, 0);
    resolve(&pairs, 1, 0);
    CHECK_OK(eddy_as_completed_new(pairs.fs, 4, &each));
    resolve(&pairs, 3, 0);
    resolve(&pairs, 0, -EIO);
    CHECK_EQ(eddy_as_completed_next(each), 1); /* had ended: as they stand there */
    CHECK_EQ(eddy_as_completed_next(each), 2);
    CHECK_EQ(eddy_as_completed_next(each), 3); /* as they ended */
    CHECK_EQ(eddy_as_completed_next(each), 0);
    CHECK_ERR(eddy_as_completed_next(each), -ENOENT);
    CHECK_ERR(eddy_as_completed_next(each), -ENOENT);
    eddy_as_completed_free(each);
    pairs_free(&pairs);
}

TEST(a_future_that_stands_there_twice_comes_once) {
    struct pairs pairs;
    eddy_as_completed *each;
    pairs_new(&pairs, 2);
    eddy_future *fs[] = {pairs.fs[0], pairs.fs[0], pairs.fs[1], pairs.fs[0], pairs.fs[1]};
    CHECK_OK(eddy_as_completed_new(fs, 5, &each));
    resolve(&pairs, 1, 0);
    resolve(&pairs, 0, 0);
    CHECK_EQ(eddy_as_completed_next(each), 2);
    CHECK_EQ(eddy_as_completed_next(each), 0);
    CHECK_ERR(eddy_as_completed_next(each), -ENOENT);
    eddy_as_completed_free(each);
    pairs_free(&pairs);
}

TEST(each_as_it_ends_on_a_thread) {
    struct pairs pairs;
    EDDY_AUTO(eddy_as_completed) *each = NULL;
    pairs_new(&pairs, 3);
    CHECK_OK(eddy_as_completed_new(pairs.fs, 3, &each));
    CHECK_ERR(eddy_as_completed_wait(each, EDDY_ZERO), -EINPROGRESS);
    CHECK_ERR(eddy_as_completed_wait(each, EDDY_US), -EINPROGRESS);
    struct script script = {&pairs, {{2, 5}, {0, 6}, {1, 7}}, 3};
    pthread_t thread = thread_start(play, &script);
    CHECK_EQ(eddy_as_completed_next(each), 2);
    CHECK_EQ(eddy_as_completed_wait(each, 10 * EDDY_S), 0);
    CHECK_EQ(eddy_as_completed_next(each), 1);
    thread_join(thread);
    pairs_free(&pairs);
}

static int64_t ends_after(void *arg) {
    eddy_future **other = arg;
    return eddy_await(*other);
}

LOOP_TEST(each_as_it_ends_in_a_task) {
    eddy_as_completed *each;
    eddy_future *fs[3];
    fs[1] = eddy_sleep_start(EDDY_MS);
    fs[0] = eddy_task_start(ends_after, &fs[1], 0);
    fs[2] = eddy_task_start(ends_after, &fs[0], 0);
    CHECK_OK(eddy_as_completed_new(fs, 3, &each));
    CHECK_EQ(eddy_as_completed_next(each), 1);
    CHECK_EQ(eddy_as_completed_next(each), 0);
    CHECK_EQ(eddy_as_completed_next(each), 2);
    CHECK_ERR(eddy_as_completed_next(each), -ENOENT);
    eddy_as_completed_free(each);
}

LOOP_TEST(a_deadline_leaves_the_iterator_as_it_was) {
    struct pairs pairs;
    eddy_as_completed *each;
    eddy_scope s;
    pairs_new(&pairs, 2);
    CHECK_OK(eddy_as_completed_new(pairs.fs, 2, &each));
    CHECK_OK(eddy_scope_enter(&s, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_ERR(eddy_as_completed_next(each), -ETIME);
    resolve(&pairs, 1, 0);
    CHECK_ERR(eddy_as_completed_next(each), -ETIME); /* sticky */
    eddy_scope_leave(&s, 0);
    CHECK_EQ(eddy_as_completed_next(each), 1);
    CHECK_ERR(eddy_as_completed_wait(each, EDDY_MS), -EINPROGRESS);
    eddy_as_completed_free(each); /* with one left */
    pairs_free(&pairs);
}

TEST(each_may_be_released_when_it_has_come) {
    struct pairs pairs;
    eddy_as_completed *each;
    int64_t i;
    pairs_new(&pairs, MANY);
    CHECK_OK(eddy_as_completed_new(pairs.fs, MANY, &each));
    for (size_t k = 0; k < MANY; k++) {
        resolve(&pairs, (k * 37) % MANY, 0);
    }
    for (size_t k = 0; (i = eddy_as_completed_next(each)) >= 0; k++) {
        CHECK_EQ(i, (k * 37) % MANY);
        pair_free(&pairs.pair[i]);
    }
    CHECK_ERR(i, -ENOENT);
    eddy_as_completed_free(each);
}
