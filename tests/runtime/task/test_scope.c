/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eddy/runtime/sync/event.h>
#include <eddy/runtime/task/scope.h>
#include <eddy/runtime/task/task.h>

#include "runtime/base/death.h"
#include "test.h"

static int64_t fails(void *arg) {
    return *(int *)arg;
}

static int64_t sleeps_for_ever(void *arg) {
    int r = eddy_sleep(EDDY_NEVER);
    if (arg != NULL) {
        *(int *)arg = r;
    }
    return r;
}

static int64_t succeeds_with(void *arg) {
    return *(int *)arg;
}

/* ---- ending ---------------------------------------------------------------------------------- */

LOOP_TEST(an_empty_scope_ends_at_once) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_EQ(eddy_scope_leave(&scope, 7), 7);
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_ERR(eddy_scope_leave(&scope, -EIO), -EIO);
}

LOOP_TEST(scopes_are_left_innermost_first) {
    eddy_scope outer;
    eddy_scope inner;
    CHECK_OK(eddy_scope_enter(&outer, NULL));
    CHECK_OK(eddy_scope_enter(&inner, NULL));
    CHECK_ERR(eddy_scope_leave(&outer, 0), -EINVAL);
    CHECK_OK(eddy_scope_leave(&inner, 0));
    CHECK_OK(eddy_scope_leave(&outer, 0));
    CHECK_ERR(eddy_scope_cancel(&outer), -EINVAL);
}

LOOP_TEST(options_out_of_range_are_refused) {
    eddy_scope scope;
    CHECK_ERR(eddy_scope_enter(NULL, NULL), -EINVAL);
    CHECK_ERR(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = -2}), -EINVAL);
    CHECK_ERR(eddy_scope_enter(&scope, &(eddy_scope_opts){.deadline_ns = -2}), -EINVAL);
    CHECK_ERR(eddy_scope_enter(&scope, &(eddy_scope_opts){.policy = (eddy_scope_policy)3}),
              -EINVAL);
    CHECK_ERR(eddy_scope_enter(&scope, &(eddy_scope_opts){.size = 4096}), -EINVAL);
}

/* ---- failure --------------------------------------------------------------------------------- */

LOOP_TEST(the_first_failure_cancels_siblings_and_body_and_is_what_leave_returns) {
    eddy_scope scope;
    int error = -EIO;
    int sibling = 0;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(sleeps_for_ever, &sibling, 0));
    CHECK_OK(eddy_spawn(fails, &error, 0));
    int body = eddy_sleep(EDDY_NEVER);
    CHECK_ERR(body, -ECANCELED);
    CHECK_ERR(eddy_yield(), -ECANCELED); /* sticky */
    CHECK_ERR(eddy_scope_leave(&scope, body), -EIO);
    CHECK_EQ(sibling, -ECANCELED);
    CHECK_EQ(eddy_scope_failure_count(&scope), 1);
    CHECK_EQ(eddy_scope_failure_at(&scope, 0)->error, -EIO);
    CHECK(strstr(eddy_scope_failure_at(&scope, 0)->site, "test_scope.c:") != NULL);
    CHECK(eddy_scope_failure_at(&scope, 1) == NULL);
    CHECK_OK(eddy_yield()); /* the task itself goes on */
}

LOOP_TEST(a_body_that_fails_cancels_its_tasks) {
    eddy_scope scope;
    int sibling = 0;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(sleeps_for_ever, &sibling, 0));
    CHECK_ERR(eddy_scope_leave(&scope, -ENOENT), -ENOENT);
    CHECK_EQ(sibling, -ECANCELED);
    CHECK_EQ(eddy_scope_failure_count(&scope), 0);
}

static int64_t named_failure(void *arg) {
    eddy_task_name_set("culprit");
    return fails(arg);
}

LOOP_TEST(suppressed_failures_are_kept) {
    eddy_scope scope;
    int error = -EIO;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.policy = EDDY_SCOPE_COLLECT}));
    for (int i = 0; i < 10; i++) {
        CHECK_OK(eddy_spawn(named_failure, &error, 0));
    }
    CHECK_ERR(eddy_scope_leave(&scope, 0), -EIO);
    CHECK_EQ(eddy_scope_failure_count(&scope), 10);
    for (size_t i = 0; i < EDDY_SCOPE_FAILURES_MAX; i++) {
        CHECK_STR(eddy_scope_failure_at(&scope, i)->task, "culprit");
    }
    CHECK(eddy_scope_failure_at(&scope, EDDY_SCOPE_FAILURES_MAX) == NULL);
}

LOOP_TEST(collect_cancels_nothing) {
    eddy_scope scope;
    int error = -EIO;
    int good = 3;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.policy = EDDY_SCOPE_COLLECT}));
    CHECK_OK(eddy_spawn(fails, &error, 0));
    CHECK_OK(eddy_spawn(succeeds_with, &good, 0));
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK_ERR(eddy_scope_leave(&scope, 0), -EIO);
}

LOOP_TEST(any_takes_the_first_success_and_cancels_the_rest) {
    eddy_scope scope;
    int error = -EIO;
    int good = 3;
    int rest = 0;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.policy = EDDY_SCOPE_ANY}));
    CHECK_OK(eddy_spawn(fails, &error, 0));
    CHECK_OK(eddy_spawn(sleeps_for_ever, &rest, 0));
    CHECK_OK(eddy_spawn(succeeds_with, &good, 0));
    CHECK_EQ(eddy_scope_leave(&scope, 0), 3);
    CHECK_EQ(rest, -ECANCELED);

    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.policy = EDDY_SCOPE_ANY}));
    CHECK_OK(eddy_spawn(fails, &error, 0));
    CHECK_OK(eddy_spawn(fails, &error, 0));
    CHECK_ERR(eddy_scope_leave(&scope, 0), -EIO);
}

/* Gives way once, and then succeeds unless it was cancelled meanwhile. */
static int64_t yields_and_succeeds(void *arg) {
    int r = eddy_yield();
    return r < 0 ? r : succeeds_with(arg);
}

LOOP_TEST(a_body_that_failed_cancels_its_tasks_under_all_only) {
    static const struct {
        eddy_scope_policy policy;
        int64_t result;
    } cases[] = {{EDDY_SCOPE_ALL, -EIO}, {EDDY_SCOPE_ANY, 3}, {EDDY_SCOPE_COLLECT, -EIO}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eddy_scope scope;
        int good = 3;
        CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.policy = cases[i].policy}));
        CHECK_OK(eddy_spawn(yields_and_succeeds, &good, 0));
        CHECK_EQ(eddy_scope_leave(&scope, -EIO), cases[i].result);
    }
}

/* ---- cancel ---------------------------------------------------------------------------------- */

LOOP_TEST(a_cancel_is_sticky_until_the_scope_is_left_and_no_failure) {
    eddy_scope scope;
    int child = 0;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(sleeps_for_ever, &child, 0));
    CHECK_OK(eddy_yield());
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_scope_cancel(&scope));
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(eddy_sleep(1), -ECANCELED);
        CHECK_ERR(eddy_checkpoint(), -ECANCELED);
    }
    CHECK_ERR(eddy_spawn(sleeps_for_ever, NULL, 0), -ECANCELED);
    CHECK_EQ(eddy_scope_leave(&scope, 5), 5);
    CHECK_EQ(child, -ECANCELED);
    CHECK_EQ(eddy_scope_failure_count(&scope), 0);
    CHECK_OK(eddy_sleep(1));
}

/* Cancels the scope around its parent's body, which hears of it as of any other cancel. */
static int64_t cancels_it(void *arg) {
    return eddy_scope_cancel(arg);
}

LOOP_TEST(a_body_gets_its_cancel_back_and_the_scope_says_whose_it_was) {
    eddy_scope outer;
    eddy_scope inner;
    CHECK_OK(eddy_scope_enter(&outer, NULL));
    CHECK_OK(eddy_scope_enter(&inner, NULL));
    CHECK(!eddy_scope_cancelled(&inner));
    CHECK_OK(eddy_spawn(cancels_it, &inner, 0));
    int r = eddy_sleep(EDDY_NEVER);
    CHECK_ERR(r, -ECANCELED);
    CHECK_ERR(eddy_scope_leave(&inner, r), -ECANCELED);
    CHECK(eddy_scope_cancelled(&inner));
    CHECK(!eddy_scope_cancelled(&outer));

    CHECK_OK(eddy_scope_enter(&inner, NULL));
    CHECK_OK(eddy_scope_cancel(&inner));
    CHECK_EQ(eddy_scope_leave(&inner, 0), 0); /* its normal end */
    CHECK(eddy_scope_cancelled(&inner));

    CHECK_OK(eddy_scope_enter(&inner, NULL));
    CHECK_OK(eddy_spawn(cancels_it, &outer, 0));
    r = eddy_sleep(EDDY_NEVER);
    CHECK_ERR(eddy_scope_leave(&inner, r), -ECANCELED);
    CHECK(!eddy_scope_cancelled(&inner)); /* from outside */
    CHECK_ERR(eddy_scope_leave(&outer, r), -ECANCELED);
    CHECK(eddy_scope_cancelled(&outer));
}

LOOP_TEST(a_failure_or_a_deadline_that_ends_a_scope_is_no_cancel_of_it) {
    int error = -EIO;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(fails, &error, 0));
    CHECK_ERR(eddy_sleep(EDDY_NEVER), -ECANCELED);
    CHECK_ERR(eddy_scope_leave(&scope, -ECANCELED), -EIO);
    CHECK(!eddy_scope_cancelled(&scope));

    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_ERR(eddy_sleep(EDDY_NEVER), -ETIME);
    CHECK_ERR(eddy_scope_leave(&scope, -ETIME), -ETIME);
    CHECK(!eddy_scope_cancelled(&scope));
}

struct nest {
    int depth;
    int cancelled;
};

static int64_t nests(void *arg) {
    struct nest *nest = arg;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    int r;
    if (nest->depth-- > 0) {
        CHECK_OK(eddy_spawn(nests, nest, 0));
    }
    r = eddy_sleep(EDDY_NEVER);
    nest->cancelled += r == -ECANCELED;
    return eddy_scope_leave(&scope, r);
}

LOOP_TEST(a_cancel_reaches_every_task_below) {
    struct nest nest = {.depth = 500};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(nests, &nest, 0));
    while (nest.depth >= 0) {
        CHECK_OK(eddy_yield());
    }
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(nest.cancelled, 501);
}

static int64_t ignores_the_cancel(void *arg) {
    int *turns = arg;
    while (*turns > 0) {
        --*turns;
        eddy_yield();
    }
    return 9;
}

LOOP_TEST(leave_waits_for_a_task_that_ignores_the_cancel) {
    int turns = 50;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(ignores_the_cancel, &turns, 0));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(turns, 0);
}

LOOP_TEST(a_task_cancelled_before_its_first_turn_runs_all_the_same) {
    int seen = 0;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(sleeps_for_ever, &seen, 0));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(seen, -ECANCELED);
}

/* ---- shield ---------------------------------------------------------------------------------- */

LOOP_TEST(a_shield_keeps_the_outer_cancel_out_and_its_own_deadline_in) {
    eddy_scope outer;
    eddy_scope shield;
    CHECK_OK(eddy_scope_enter(&outer, NULL));
    CHECK_OK(eddy_scope_cancel(&outer));
    CHECK_ERR(eddy_yield(), -ECANCELED);
    CHECK_OK(
        eddy_scope_enter(&shield, &(eddy_scope_opts){.shield = true, .timeout_ns = 200 * EDDY_MS}));
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK_ERR(eddy_sleep(EDDY_NEVER), -ETIME);
    CHECK_ERR(eddy_scope_leave(&shield, -ETIME), -ETIME);
    CHECK_ERR(eddy_yield(), -ECANCELED);
    CHECK_OK(eddy_scope_leave(&outer, 0));
}

/* ---- deadlines ------------------------------------------------------------------------------- */

LOOP_TEST(a_deadline_gives_etime_and_says_whose_it_was) {
    eddy_scope outer;
    eddy_scope inner;
    CHECK_OK(eddy_scope_enter(&outer, &(eddy_scope_opts){.timeout_ns = 5 * EDDY_MS}));
    CHECK_OK(eddy_scope_enter(&inner, &(eddy_scope_opts){.timeout_ns = 3600 * EDDY_S}));
    CHECK_ERR(eddy_sleep(EDDY_NEVER), -ETIME);
    CHECK_ERR(eddy_sleep(0), -ETIME);
    CHECK(!eddy_scope_expired(&inner));
    CHECK(eddy_scope_expired(&outer));
    CHECK_ERR(eddy_scope_leave(&inner, -ETIME), -ETIME);
    CHECK_ERR(eddy_scope_leave(&outer, -ETIME), -ETIME);
    CHECK(eddy_scope_expired(&outer));
}

LOOP_TEST(a_deadline_that_cuts_a_task_short_is_what_leave_returns) {
    eddy_scope scope;
    int child = 0;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_OK(eddy_spawn(sleeps_for_ever, &child, 0));
    CHECK_ERR(eddy_scope_leave(&scope, 0), -ETIME);
    CHECK_EQ(child, -ETIME);
}

LOOP_TEST(a_cancel_outranks_a_deadline) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_ZERO}));
    CHECK_ERR(eddy_checkpoint(), -ETIME);
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_ERR(eddy_checkpoint(), -ECANCELED);
    CHECK(eddy_scope_expired(&scope));
    CHECK_OK(eddy_scope_leave(&scope, 0));
}

LOOP_TEST(the_nearest_deadline_holds) {
    eddy_scope outer;
    eddy_scope inner;
    int64_t now = eddy_loop_now(eddy_loop_current());
    CHECK_EQ(eddy_scope_deadline(), EDDY_NEVER);
    CHECK_OK(eddy_scope_enter(&outer, &(eddy_scope_opts){.deadline_ns = now + 10 * EDDY_S}));
    CHECK_OK(eddy_scope_enter(
        &inner, &(eddy_scope_opts){.deadline_ns = now + 5 * EDDY_S, .timeout_ns = EDDY_NEVER}));
    CHECK_EQ(eddy_scope_deadline(), now + 5 * EDDY_S);
    CHECK_OK(eddy_scope_leave(&inner, 0));
    CHECK_EQ(eddy_scope_deadline(), now + 10 * EDDY_S);
    CHECK_OK(eddy_scope_enter(&inner, &(eddy_scope_opts){.shield = true}));
    CHECK_EQ(eddy_scope_deadline(), EDDY_NEVER);
    CHECK_OK(eddy_scope_leave(&inner, 0));
    CHECK_OK(eddy_scope_leave(&outer, 0));
}

/* ---- limit ----------------------------------------------------------------------------------- */

static int running;
static int most;

static int64_t counts_itself(void *arg) {
    (void)arg;
    running++;
    most = running > most ? running : most;
    int r = eddy_sleep(EDDY_MS);
    running--;
    return r;
}

LOOP_TEST(spawn_waits_at_the_limit) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.limit = 3}));
    for (int i = 0; i < 20; i++) {
        CHECK_OK(eddy_spawn(counts_itself, NULL, 0));
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(most, 3);
    CHECK_EQ(running, 0);
}

LOOP_TEST(a_deadline_ends_the_wait_at_the_limit) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.limit = 1, .timeout_ns = EDDY_MS}));
    CHECK_OK(eddy_spawn(sleeps_for_ever, NULL, 0));
    CHECK_ERR(eddy_spawn(sleeps_for_ever, NULL, 0), -ETIME);
    CHECK_ERR(eddy_scope_leave(&scope, -ETIME), -ETIME);
}

/* ---- depth ----------------------------------------------------------------------------------- */

#define DEEP 1000

struct deep {
    eddy_event start;
    int began;
    int ended;
};

static struct deep deep;

/* Each fails by itself as soon as the event is set, and so does its child, and so on. */
static int64_t fails_with_its_child(void *arg) {
    int number = ++deep.began;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    if (number < DEEP) {
        CHECK_OK(eddy_spawn(fails_with_its_child, arg, 0));
    }
    int r = eddy_event_wait(&deep.start);
    int64_t result = eddy_scope_leave(&scope, r < 0 ? r : -1000 - number);
    deep.ended++;
    return result;
}

static void start_when_all_have_begun(void) {
    while (deep.began < DEEP) {
        CHECK_OK(eddy_yield());
    }
    eddy_event_set(&deep.start);
}

LOOP_TEST(a_thousand_nested_tasks_may_fail_at_once) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(fails_with_its_child, NULL, 0));
    start_when_all_have_begun();
    int64_t r = eddy_scope_leave(&scope, 0);
    CHECK(r < -1000 && r >= -1000 - DEEP);
    CHECK_EQ(eddy_scope_failure_count(&scope), 1);
    CHECK_EQ(deep.ended, DEEP);
}

static int64_t fails_at_the_event(void *arg) {
    (void)arg;
    deep.began++;
    int r = eddy_event_wait(&deep.start);
    deep.ended += r == 0;
    return r < 0 ? r : -EIO;
}

/* Those whom the event has let through do not see the cancel of the first: nearly all. (One may
 * have been sent to the end of the queue before it came to wait.) */
LOOP_TEST(a_thousand_siblings_may_fail_at_once) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < DEEP; i++) {
        CHECK_OK(eddy_spawn(fails_at_the_event, NULL, 0));
    }
    start_when_all_have_begun();
    CHECK_ERR(eddy_scope_leave(&scope, 0), -EIO);
    CHECK_EQ(eddy_scope_failure_count(&scope), deep.ended);
    CHECK(deep.ended >= DEEP / 2);
}

LOOP_TEST(a_cancel_reaches_the_innermost_of_a_thousand_scopes) {
    eddy_scope *scopes = calloc(DEEP, sizeof *scopes);
    int seen[DEEP] = {0};
    for (int i = 0; i < DEEP; i++) {
        CHECK_OK(eddy_scope_enter(&scopes[i], NULL));
        CHECK_OK(eddy_spawn(sleeps_for_ever, &seen[i], 0));
    }
    CHECK_OK(eddy_yield());
    CHECK_OK(eddy_scope_cancel(&scopes[0]));
    CHECK_ERR(eddy_checkpoint(), -ECANCELED);
    for (int i = DEEP - 1; i >= 0; i--) {
        CHECK_EQ(eddy_scope_leave(&scopes[i], 0), 0);
        CHECK_EQ(seen[i], -ECANCELED);
    }
    free(scopes);
    CHECK_OK(eddy_checkpoint());
}

/* ---- a scope that is not left ---------------------------------------------------------------- */

enum { ENTER_LINE = __LINE__ + 4 };
static int64_t forgets_its_scope(void *arg) {
    eddy_scope scope;
    eddy_task_name_set(arg);
    return eddy_scope_enter(&scope, &(eddy_scope_opts){.limit = 1, .shield = true});
}

enum { SPAWN_LINE = __LINE__ + 3 };
static int64_t spawns_who_forgets(void *arg) {
    char name[] = "careless";
    return arg != NULL ? 0 : eddy_spawn(forgets_its_scope, name, sizeof name);
}

static void forget_a_scope(void) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_OK(eddy_loop_call(loop, spawns_who_forgets, NULL));
    eddy_loop_free(loop);
}

TEST(a_scope_that_is_not_left_is_named_by_its_line_and_its_tasks) {
    struct death death = death_of(forget_a_scope);
    CHECK_EQ(death.signal, SIGABRT);
    char wanted[256];
    snprintf(wanted, sizeof wanted,
             "a task returned without leaving the scope entered at %s:%d "
             "(task \"careless\", spawned at %s:%d)\n",
             __FILE__, ENTER_LINE, __FILE__, SPAWN_LINE);
    CHECK(strstr(death.text, wanted) != NULL);
}
