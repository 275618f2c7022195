/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sync/semaphore.h>
#include <eddy/runtime/task/scope.h>

#include "two_loops.h"

static eddy_semaphore permits = EDDY_SEMAPHORE_INIT(2);
static int inside;
static int most;

static int64_t pass(void *arg) {
    (void)arg;
    int r = eddy_semaphore_wait(&permits);
    if (r < 0) {
        return r;
    }
    inside++;
    most = inside > most ? inside : most;
    r = eddy_sleep(EDDY_MS);
    inside--;
    CHECK_OK(eddy_semaphore_post(&permits));
    return r;
}

LOOP_TEST(as_many_pass_as_there_are_permits) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < 10; i++) {
        CHECK_OK(eddy_spawn(pass, NULL, 0));
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(most, 2);
    CHECK_EQ(eddy_semaphore_count(&permits), 2);
}

LOOP_TEST(a_cancelled_wait_takes_no_permit) {
    eddy_scope scope;
    CHECK_OK(eddy_semaphore_wait(&permits));
    CHECK_OK(eddy_semaphore_try_wait(&permits));
    CHECK_ERR(eddy_semaphore_try_wait(&permits), -EAGAIN);
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_ERR(eddy_semaphore_wait(&permits), -ETIME);
    CHECK_ERR(eddy_scope_leave(&scope, -ETIME), -ETIME);
    CHECK_OK(eddy_semaphore_post(&permits));
    CHECK_OK(eddy_semaphore_post(&permits));
    CHECK_EQ(eddy_semaphore_count(&permits), 2);
}

TEST(a_semaphore_does_not_overflow) {
    eddy_semaphore full = EDDY_SEMAPHORE_INIT(UINT64_MAX);
    CHECK_ERR(eddy_semaphore_post(&full), -EOVERFLOW);
    CHECK_ERR(eddy_semaphore_wait(&full), EDDY_ENOTASK);
    CHECK_OK(eddy_semaphore_try_wait(&full));
    CHECK_OK(eddy_semaphore_post(&full));
}

static eddy_semaphore ping = EDDY_SEMAPHORE_INIT(0);

static void *posts(void *arg) {
    (void)arg;
    for (int i = 0; i < 20000; i++) {
        CHECK_OK(eddy_semaphore_post(&ping));
    }
    return NULL;
}

static int64_t takes(void *arg) {
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        int r = eddy_semaphore_wait(&ping);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

TEST(a_plain_thread_posts_to_tasks_of_two_loops) {
    struct other_loop one;
    struct other_loop two;
    pthread_t thread;
    other_loop_start(&one, takes, NULL);
    other_loop_start(&two, takes, NULL);
    CHECK_EQ(pthread_create(&thread, NULL, posts, NULL), 0);
    CHECK_OK(other_loop_join(&one));
    CHECK_OK(other_loop_join(&two));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(eddy_semaphore_count(&ping), 0);
}

/* ---- order ----------------------------------------------------------------------------------- */

static eddy_semaphore queue = EDDY_SEMAPHORE_INIT(0);
static int order[8];
static int at;

static int64_t takes_in_turn(void *arg) {
    int r = eddy_semaphore_wait(&queue);
    if (r == 0) {
        order[at++] = *(int *)arg;
    }
    return r;
}

LOOP_TEST(permits_go_to_those_who_wait_in_the_order_of_their_coming) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < 8; i++) {
        CHECK_OK(eddy_spawn(takes_in_turn, &i, sizeof i));
        CHECK_OK(eddy_sleep(EDDY_MS)); /* it waits now */
    }
    for (int i = 0; i < 8; i++) {
        CHECK_OK(eddy_semaphore_post(&queue));
        /* It has an owner already, who has waited: nobody overtakes. */
        CHECK_EQ(eddy_semaphore_count(&queue), 0);
        CHECK_ERR(eddy_semaphore_try_wait(&queue), -EAGAIN);
        while (at <= i) {
            CHECK_OK(eddy_yield());
        }
        CHECK_EQ(order[i], i);
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
}

LOOP_TEST(a_permit_that_was_given_at_the_same_moment_as_a_cancel_is_had) {
    int one = 1;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(takes_in_turn, &one, sizeof one));
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK_OK(eddy_semaphore_post(&queue));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(at, 1);
    CHECK_EQ(eddy_semaphore_count(&queue), 0);
}

/* And one that is given after the cancel, before the task ran, goes to the next or stays. */
LOOP_TEST(a_permit_after_a_cancel_is_not_lost) {
    int one = 1;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(takes_in_turn, &one, sizeof one));
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_semaphore_post(&queue));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ((uint64_t)at + eddy_semaphore_count(&queue), 1);
}

/* More posts than there ever were permits: it is no lock, and simply has them. */
TEST(posting_more_than_was_taken_adds_permits) {
    eddy_semaphore few = EDDY_SEMAPHORE_INIT(1);
    CHECK_OK(eddy_semaphore_post(&few));
    CHECK_OK(eddy_semaphore_post(&few));
    CHECK_EQ(eddy_semaphore_count(&few), 3);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(eddy_semaphore_try_wait(&few));
    }
    CHECK_ERR(eddy_semaphore_try_wait(&few), -EAGAIN);
}
