/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sync/event.h>
#include <eddy/runtime/task/scope.h>

#include "two_loops.h"

static eddy_event event;
static int passed;

static int64_t wait_for_it(void *arg) {
    (void)arg;
    int r = eddy_event_wait(&event);
    passed += r == 0;
    return r;
}

LOOP_TEST(setting_lets_all_through_and_those_who_come_later) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < 5; i++) {
        CHECK_OK(eddy_spawn(wait_for_it, NULL, 0));
    }
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK_EQ(passed, 0);
    CHECK(!eddy_event_is_set(&event));
    eddy_event_set(&event);
    eddy_event_set(&event);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(passed, 5);
    CHECK_OK(eddy_event_wait(&event));
    CHECK(eddy_event_is_set(&event));
    CHECK(eddy_event_clear(&event));
    CHECK(!eddy_event_clear(&event));
}

LOOP_TEST(who_was_let_through_passes_though_it_was_cleared_at_once) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(wait_for_it, NULL, 0));
    CHECK_OK(eddy_sleep(EDDY_MS));
    eddy_event_set(&event);
    eddy_event_clear(&event);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(passed, 1);
}

LOOP_TEST(a_set_at_the_same_moment_wins_over_a_cancel) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(wait_for_it, NULL, 0));
    CHECK_OK(eddy_sleep(EDDY_MS));
    eddy_event_set(&event);
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(passed, 1);
}

LOOP_TEST(a_deadline_ends_the_wait) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_ERR(eddy_event_wait(&event), -ETIME);
    CHECK_ERR(eddy_scope_leave(&scope, -ETIME), -ETIME);
}

static eddy_event there;
static eddy_event back;

static int64_t answers(void *arg) {
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        int r = eddy_event_wait(&there);
        if (r < 0) {
            return r;
        }
        eddy_event_clear(&there);
        eddy_event_set(&back);
    }
    return 0;
}

static int64_t asks(void *arg) {
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        eddy_event_set(&there);
        int r = eddy_event_wait(&back);
        if (r < 0) {
            return r;
        }
        eddy_event_clear(&back);
    }
    return 0;
}

TEST(two_loops_play_ping_pong_and_lose_no_wake_up) {
    struct other_loop one;
    struct other_loop two;
    other_loop_start(&one, answers, NULL);
    other_loop_start(&two, asks, NULL);
    CHECK_OK(other_loop_join(&one));
    CHECK_OK(other_loop_join(&two));
}

TEST(an_event_needs_a_task_to_wait_and_none_to_set) {
    CHECK_ERR(eddy_event_wait(&event), EDDY_ENOTASK);
    eddy_event_set(&event);
    CHECK(eddy_event_is_set(&event));
    CHECK_ERR(eddy_event_wait(&event), EDDY_ENOTASK);
    CHECK(eddy_event_clear(&event));
}

static void *sets(void *arg) {
    eddy_event_set(arg);
    return NULL;
}

LOOP_TEST(a_plain_thread_sets_it) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, sets, &event), 0);
    CHECK_OK(eddy_event_wait(&event));
    CHECK_EQ(pthread_join(thread, NULL), 0);
}
