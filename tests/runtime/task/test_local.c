/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/task/local.h>

#include <stdlib.h>

#include <eddy/runtime/base/memory.h>

#include "futures/helpers.h"

static int value_a;
static int value_b;
static eddy_local inherited = EDDY_LOCAL_INIT(EDDY_LOCAL_INHERIT, NULL);
static eddy_local own = EDDY_LOCAL_INIT(EDDY_LOCAL_OWN, NULL);

/* ---- one task -------------------------------------------------------------------------------- */

TEST(outside_of_a_task_there_is_no_value) {
    CHECK_ERR(eddy_local_set(&own, &value_a), EDDY_ENOTASK);
    CHECK(eddy_local_get(&own) == NULL);
    CHECK(eddy_local_get(NULL) == NULL);
}

LOOP_TEST(a_value_is_what_was_set_last_and_null_before) {
    CHECK(eddy_local_get(&own) == NULL);
    CHECK_OK(eddy_local_set(&own, &value_a));
    CHECK_PTR_EQ(eddy_local_get(&own), &value_a);
    CHECK(eddy_local_get(&inherited) == NULL);
    CHECK_OK(eddy_yield());
    CHECK_PTR_EQ(eddy_local_get(&own), &value_a);
    CHECK_OK(eddy_local_set(&own, &value_b));
    CHECK_PTR_EQ(eddy_local_get(&own), &value_b);
    CHECK_OK(eddy_local_set(&own, NULL));
    CHECK(eddy_local_get(&own) == NULL);
    CHECK(eddy_local_get(NULL) == NULL);
}

static void dispose_of_nothing(void *value) {
    (void)value;
}

LOOP_TEST(a_key_that_inherits_and_disposes_is_refused) {
    static eddy_local both = EDDY_LOCAL_INIT(EDDY_LOCAL_INHERIT, dispose_of_nothing);
    CHECK_ERR(eddy_local_set(&both, &value_a), -EINVAL);
    CHECK_ERR(eddy_local_set(NULL, &value_a), -EINVAL);
    CHECK(eddy_local_get(&both) == NULL);
}

LOOP_TEST(one_key_too_many_is_refused_and_the_others_stay) {
    static eddy_local keys[EDDY_LOCALS_MAX + 1];
    static int values[EDDY_LOCALS_MAX + 1];
    for (int i = 0; i < EDDY_LOCALS_MAX; i++) {
        CHECK_OK(eddy_local_set(&keys[i], &values[i]));
    }
    CHECK_ERR(eddy_local_set(&keys[EDDY_LOCALS_MAX], &values[0]), EDDY_ELIMIT);
    CHECK(eddy_local_get(&keys[EDDY_LOCALS_MAX]) == NULL);
    for (int i = 0; i < EDDY_LOCALS_MAX; i++) {
        CHECK_PTR_EQ(eddy_local_get(&keys[i]), &values[i]);
    }
    CHECK_OK(eddy_local_set(&keys[0], &value_a)); /* a key that has a place keeps it */
}

/* ---- what is inherited ----------------------------------------------------------------------- */

static int64_t check_inherited(void *arg) {
    CHECK_PTR_EQ(eddy_local_get(&inherited), arg);
    CHECK(eddy_local_get(&own) == NULL);
    return 0;
}

static int64_t check_set_and_start(void *arg) {
    CHECK_OK(check_inherited(arg));
    CHECK_OK(eddy_yield());
    CHECK_OK(check_inherited(arg));
    CHECK_OK(eddy_local_set(&inherited, &value_b));
    CHECK_OK(eddy_local_set(&own, &value_b));
    return eddy_await(eddy_task_start(check_inherited, &value_b, 0));
}

/* A child, started as `start` says, has the values of the moment of its start. */
static void check_children(eddy_loop *loop) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn_on(loop, check_inherited, NULL, 0));
    CHECK_OK(eddy_local_set(&inherited, &value_a));
    CHECK_OK(eddy_local_set(&own, &value_a));
    CHECK_OK(eddy_spawn_on(loop, check_set_and_start, &value_a, 0));
    eddy_future *started = eddy_task_start_on(loop, check_set_and_start, &value_a, 0);
    CHECK_OK(eddy_local_set(&inherited, NULL));
    CHECK_OK(eddy_spawn_on(loop, check_inherited, NULL, 0));
    CHECK_OK(eddy_await(started));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK(eddy_local_get(&inherited) == NULL);
    CHECK_PTR_EQ(eddy_local_get(&own), &value_a);
}

LOOP_TEST(a_child_begins_with_what_its_parent_had_at_that_moment) {
    check_children(NULL);
}

LOOP_TEST(a_child_on_another_loop_begins_with_it_too) {
    struct other_loop other;
    other_loop_start(&other);
    check_children(other.loop);
    other_loop_stop(&other);
}

static void spawn_outside_of_tasks(void *arg) {
    CHECK_OK(eddy_spawn(check_inherited, NULL, 0));
    CHECK_OK(eddy_promise_resolve(arg, 0));
}

LOOP_TEST(a_task_started_outside_of_tasks_begins_with_nothing) {
    struct pair pair = pair_new();
    CHECK_OK(eddy_local_set(&inherited, &value_a));
    CHECK_OK(eddy_loop_post(eddy_loop_current(), spawn_outside_of_tasks, pair.promise));
    CHECK_OK(eddy_await(pair.future));
    pair_free(&pair);
}

static void *start_without_a_task(void *arg) {
    eddy_future *started = eddy_task_start_on(arg, check_inherited, NULL, 0);
    CHECK_OK(eddy_await(started));
    eddy_future_release(started);
    return NULL;
}

LOOP_TEST(a_task_started_by_a_plain_thread_begins_with_nothing) {
    struct other_loop other;
    other_loop_start(&other);
    CHECK_OK(eddy_local_set(&inherited, &value_a));
    thread_join(thread_start(start_without_a_task, other.loop));
    other_loop_stop(&other);
}

static void *free_loop(void *loop) {
    return eddy_loop_free(loop);
}

/* The child begins when its loop is freed, with what its parent had long before. */
LOOP_TEST(the_values_of_a_child_wait_for_its_loop) {
    eddy_loop *loop;
    eddy_scope scope;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_local_set(&inherited, &value_a));
    CHECK_OK(eddy_spawn_on(loop, check_inherited, &value_a, 0));
    CHECK_OK(eddy_local_set(&inherited, &value_b));
    thread_join(thread_start(free_loop, loop));
    CHECK_OK(eddy_scope_leave(&scope, 0));
}

/* ---- dispose --------------------------------------------------------------------------------- */

static int disposed[4];

static void note_disposed(void *value) {
    ++*(int *)value;
}

static eddy_local counted = EDDY_LOCAL_INIT(EDDY_LOCAL_OWN, note_disposed);

static int64_t set_several(void *arg) {
    (void)arg;
    CHECK_OK(eddy_local_set(&counted, &disposed[0]));
    CHECK_OK(eddy_local_set(&counted, &disposed[0]));
    CHECK_EQ(disposed[0], 0);
    CHECK_OK(eddy_local_set(&counted, &disposed[1]));
    CHECK_EQ(disposed[0], 1);
    CHECK_OK(eddy_local_set(&counted, NULL));
    CHECK_EQ(disposed[1], 1);
    CHECK_OK(eddy_local_set(&counted, &disposed[2]));
    return 0;
}

LOOP_TEST(a_value_is_disposed_of_once_when_it_goes) {
    CHECK_OK(eddy_await(eddy_task_start(set_several, NULL, 0)));
    CHECK_EQ(disposed[0], 1);
    CHECK_EQ(disposed[1], 1);
    CHECK_EQ(disposed[2], 1);
}

static void check_over(void *value) {
    ++*(int *)value;
    CHECK_EQ(eddy_task_id(), 0);
    CHECK_ERR(eddy_yield(), EDDY_ENOTASK);
    CHECK_ERR(eddy_local_set(&own, value), EDDY_ENOTASK);
    CHECK(eddy_local_get(&own) == NULL);
}

static eddy_local at_the_end = EDDY_LOCAL_INIT(EDDY_LOCAL_OWN, check_over);

static int64_t set_and_sleep(void *arg) {
    CHECK_OK(eddy_local_set(&own, arg));
    CHECK_OK(eddy_local_set(&at_the_end, arg));
    return eddy_sleep(EDDY_NEVER);
}

LOOP_TEST(at_the_end_dispose_runs_as_outside_of_every_task) {
    int count = 0;
    eddy_future *started = eddy_task_start(set_and_sleep, &count, 0);
    CHECK_OK(eddy_yield());
    CHECK_EQ(count, 0);
    CHECK_OK(eddy_future_cancel(started));
    CHECK_ERR(eddy_await(started), -ECANCELED);
    CHECK_EQ(count, 1);
    CHECK(eddy_task_id() != 0);
}

struct family {
    bool child_ended;
    bool disposed;
};

static void check_child_ended(void *value) {
    struct family *family = value;
    CHECK(family->child_ended);
    family->disposed = true;
}

static eddy_local of_parent = EDDY_LOCAL_INIT(EDDY_LOCAL_OWN, check_child_ended);

static int64_t child_of_family(void *arg) {
    struct family *family = arg;
    int r = eddy_sleep(EDDY_NEVER);
    family->child_ended = true;
    return r;
}

static int64_t parent_of_family(void *arg) {
    CHECK_OK(eddy_local_set(&of_parent, arg));
    CHECK_OK(eddy_spawn(child_of_family, arg, 0));
    return eddy_yield();
}

LOOP_TEST(values_stay_until_the_children_have_ended) {
    struct family family = {0};
    CHECK_OK(eddy_await(eddy_task_start(parent_of_family, &family, 0)));
    CHECK(family.disposed);
}

/* The one who hears of the end, on another thread, may take away at once what dispose touches. */
LOOP_TEST(nobody_hears_of_the_end_before_dispose_has_returned) {
    struct other_loop other;
    other_loop_start(&other);
    for (int i = 0; i < 200; i++) {
        struct family *family = calloc(1, sizeof *family);
        family->child_ended = true;
        eddy_future *started = eddy_task_start_on(other.loop, parent_of_family, family, 0);
        CHECK_OK(eddy_await(started));
        CHECK(family->disposed);
        free(family);
        eddy_future_release(started);

        family = calloc(1, sizeof *family);
        eddy_scope scope;
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        CHECK_OK(eddy_spawn_on(other.loop, parent_of_family, family, 0));
        CHECK_OK(eddy_scope_leave(&scope, 0));
        CHECK(family->disposed);
        free(family);
    }
    other_loop_stop(&other);
}

TEST(the_tasks_of_a_loop_that_is_freed_dispose_of_theirs) {
    eddy_loop *loop;
    int count = 0;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_OK(eddy_spawn_on(loop, set_and_sleep, &count, 0));
    CHECK_OK(eddy_loop_poll(loop));
    eddy_loop_free(loop);
    CHECK_EQ(count, 1);
}

/* ---- threads --------------------------------------------------------------------------------- */

#define SHARED_KEYS 32

static eddy_local shared_keys[SHARED_KEYS];

static int64_t use_keys(void *arg) {
    for (int i = 0; i < SHARED_KEYS; i++) {
        CHECK(eddy_local_get(&shared_keys[i]) == NULL);
        CHECK_OK(eddy_local_set(&shared_keys[i], (char *)arg + i));
        CHECK_OK(eddy_checkpoint());
    }
    for (int i = 0; i < SHARED_KEYS; i++) {
        CHECK_PTR_EQ(eddy_local_get(&shared_keys[i]), (char *)arg + i);
    }
    return 0;
}

static void *use_keys_on_a_loop(void *arg) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_OK(eddy_loop_call(loop, use_keys, arg));
    eddy_loop_free(loop);
    return NULL;
}

TEST(threads_may_use_a_key_for_the_first_time_at_once) {
    static char values[4][SHARED_KEYS];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        threads[i] = thread_start(use_keys_on_a_loop, values[i]);
    }
    for (int i = 0; i < 4; i++) {
        thread_join(threads[i]);
    }
    for (int i = 0; i < SHARED_KEYS; i++) {
        for (int j = 0; j < i; j++) {
            CHECK(shared_keys[i].slot_ != shared_keys[j].slot_);
        }
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

static int64_t set_one(void *arg) {
    int r = eddy_local_set(&inherited, arg);
    CHECK_PTR_EQ(eddy_local_get(&inherited), r < 0 ? NULL : arg);
    return r;
}

static int64_t inherit_everywhere(void *arg) {
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, NULL);
    if (r == 0) {
        r = eddy_local_set(&inherited, &value_a);
    }
    if (r == 0) {
        r = eddy_spawn(check_inherited, &value_a, 0);
    }
    if (r == 0) {
        r = eddy_spawn_on(arg, check_inherited, &value_a, 0);
    }
    if (r == 0) {
        r = eddy_await(eddy_task_start(check_inherited, &value_a, 0));
    }
    if (r == 0) {
        r = eddy_await(eddy_task_start_on(arg, check_inherited, &value_a, 0));
    }
    return eddy_scope_leave(&scope, r);
}

/* In a task of its own, so that each run begins without values. The other loop may give its part of
 * the memory back a moment later than it says what the result is. */
static int64_t in_a_task(eddy_task_fn fn, void *arg) {
    int64_t before = eddy_memory_blocks();
    eddy_future *started = eddy_task_start(fn, arg, 0);
    int64_t r = eddy_await(started);
    eddy_future_release(started);
    while (eddy_memory_blocks() != before) {
        CHECK_OK(eddy_yield());
    }
    return r;
}

static int64_t inherit_in_a_task(void *arg) {
    return in_a_task(inherit_everywhere, arg);
}

static int64_t set_in_a_task(void *arg) {
    return in_a_task(set_one, arg);
}

LOOP_TEST(each_allocation_may_fail) {
    CHECK(test_each_allocation_fails(set_in_a_task, &value_a) > 2);
    struct other_loop other;
    other_loop_start(&other);
    CHECK(test_each_allocation_fails(inherit_in_a_task, other.loop) > 10);
    other_loop_stop(&other);
}

struct poor_loop {
    eddy_loop *loop;
    eddy_future *last; /* of what was sent to it */
    struct pair polled;
    struct pair freed;
};

static void *poll_without_memory(void *arg) {
    struct poor_loop *poor = arg;
    eddy_memory_fail_at(1, true);
    while (!eddy_future_done(poor->last)) {
        CHECK_OK(eddy_loop_poll(poor->loop));
    }
    eddy_memory_fail_at(0, false);
    CHECK_OK(eddy_promise_resolve(poor->polled.promise, 0));
    CHECK_OK(eddy_await(poor->freed.future));
    eddy_loop_free(poor->loop);
    return NULL;
}

/* What went with them is freed, whoever has it. */
LOOP_TEST(tasks_that_a_loop_has_no_memory_for_fail) {
    struct poor_loop poor = {.polled = pair_new(), .freed = pair_new()};
    eddy_scope scope;
    CHECK_OK(eddy_loop_new(NULL, &poor.loop));
    CHECK_OK(eddy_local_set(&inherited, &value_a));
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.policy = EDDY_SCOPE_COLLECT}));
    CHECK_OK(eddy_spawn_on(poor.loop, check_inherited, &value_a, 0));
    poor.last = eddy_task_start_on(poor.loop, check_inherited, &value_a, 0);
    pthread_t thread = thread_start(poll_without_memory, &poor);
    CHECK_OK(eddy_await(poor.polled.future));
    CHECK_ERR(eddy_await(poor.last), -ENOMEM);
    CHECK_ERR(eddy_scope_leave(&scope, 0), -ENOMEM);
    CHECK_EQ(eddy_scope_failure_count(&scope), 1);
    CHECK_OK(eddy_promise_resolve(poor.freed.promise, 0));
    thread_join(thread);
    pair_free(&poor.polled);
    pair_free(&poor.freed);
}
