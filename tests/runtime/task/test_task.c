/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <string.h>

#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/task/scope.h>
#include <eddy/runtime/task/task.h>

#include "test.h"

/* ---- starting -------------------------------------------------------------------------------- */

struct order {
    int at;
    int ran[8];
};

static struct order order;

static int64_t note(void *arg) {
    order.ran[order.at++] = *(int *)arg;
    return 0;
}

LOOP_TEST(spawn_only_queues) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    int one = 1;
    CHECK_OK(eddy_spawn(note, &one, sizeof one));
    CHECK_EQ(order.at, 0);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(order.at, 1);
    CHECK_EQ(order.ran[0], 1);
}

static int64_t check_copy(void *arg) {
    const unsigned char *bytes = arg;
    CHECK_EQ((uintptr_t)arg % _Alignof(max_align_t), 0);
    for (size_t i = 0; i < EDDY_SPAWN_COPY_MAX; i++) {
        CHECK_EQ(bytes[i], (unsigned char)(i * 7));
    }
    return 0;
}

LOOP_TEST(spawn_copies_the_argument) {
    static unsigned char bytes[EDDY_SPAWN_COPY_MAX + 1];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(i * 7);
    }
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(check_copy, bytes, EDDY_SPAWN_COPY_MAX));
    CHECK_ERR(eddy_spawn(check_copy, bytes, sizeof bytes), -EINVAL);
    CHECK_ERR(eddy_spawn(NULL, NULL, 0), -EINVAL);
    memset(bytes, 0xff, sizeof bytes);
    CHECK_OK(eddy_scope_leave(&scope, 0));
}

static int64_t see_pointer(void *arg) {
    *(int *)arg = 17;
    return 0;
}

LOOP_TEST(spawn_of_size_zero_passes_the_pointer) {
    int value = 0;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(see_pointer, &value, 0));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(value, 17);
}

static int64_t chain(void *arg) {
    int left = *(int *)arg - 1;
    order.at++;
    if (left == 0) {
        return 0;
    }
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    return eddy_scope_leave(&scope, eddy_spawn(chain, &left, sizeof left));
}

/* Tasks left when their parent returns are cancelled and joined. */
static int64_t sleeps_for_ever(void *arg) {
    int r = eddy_sleep(EDDY_NEVER);
    *(int *)arg = r;
    return r;
}

static int64_t returns_over_children(void *arg) {
    CHECK_OK(eddy_spawn(sleeps_for_ever, arg, 0));
    return eddy_yield();
}

LOOP_TEST(tasks_left_when_their_parent_returns_are_cancelled_and_joined) {
    int seen = 0;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(returns_over_children, &seen, 0));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(seen, -ECANCELED);
}

LOOP_TEST(a_deep_chain_of_tasks_ends) {
    int depth = 2000;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(chain, &depth, sizeof depth));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(order.at, 2000);
}

/* ---- outside of a task ----------------------------------------------------------------------- */

TEST(suspending_calls_need_a_task) {
    eddy_scope scope;
    CHECK_ERR(eddy_yield(), EDDY_ENOTASK);
    CHECK_ERR(eddy_sleep(1), EDDY_ENOTASK);
    CHECK_ERR(eddy_sleep_until(1), EDDY_ENOTASK);
    CHECK_ERR(eddy_checkpoint(), EDDY_ENOTASK);
    CHECK_ERR(eddy_scope_enter(&scope, NULL), EDDY_ENOTASK);
    CHECK_ERR(eddy_spawn(note, NULL, 0), EDDY_ENOTASK);
    CHECK_EQ(eddy_task_id(), 0);
    CHECK(eddy_task_name() == NULL);
    CHECK_EQ(eddy_scope_deadline(), EDDY_NEVER);
}

static int64_t returns_its_argument(void *arg) {
    return *(int64_t *)arg;
}

TEST(call_gives_the_result) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    int64_t values[] = {0, 42, -EIO, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        CHECK_EQ(eddy_loop_call(loop, returns_its_argument, &values[i]), values[i]);
    }
    eddy_loop_free(loop);
}

static int64_t calls_again(void *arg) {
    eddy_loop *loop = *(eddy_loop **)arg;
    CHECK_ERR(eddy_loop_call(loop, returns_its_argument, NULL), -EDEADLK);
    CHECK_ERR(eddy_loop_run(loop), -EDEADLK);
    CHECK_ERR(eddy_loop_poll(loop), -EDEADLK);
    eddy_loop *other;
    CHECK_OK(eddy_loop_new(NULL, &other));
    CHECK_ERR(eddy_loop_run(other), -EDEADLK);
    *(eddy_loop **)arg = other;
    return 0;
}

TEST(a_loop_inside_a_loop_is_a_deadlock) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    eddy_loop *other = loop;
    CHECK_OK(eddy_loop_call(loop, calls_again, &other));
    eddy_loop_free(other);
    eddy_loop_free(loop);
}

static int64_t sleeps_long(void *arg) {
    (void)arg;
    return eddy_sleep(3600 * EDDY_S);
}

static int64_t stops(void *arg) {
    CHECK_OK(eddy_spawn_on(arg, sleeps_long, NULL, 0));
    eddy_loop_stop(arg);
    return eddy_sleep(EDDY_NEVER);
}

TEST(stopping_a_loop_cancels_its_call) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_ERR(eddy_loop_call(loop, stops, loop), -ECANCELED);
    eddy_loop_free(loop);
    CHECK_EQ(eddy_memory_blocks(), 0);
}

TEST(a_loop_is_freed_with_tasks_waiting) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    int seen[10] = {0};
    for (int i = 0; i < 10; i++) {
        CHECK_OK(eddy_spawn_on(loop, sleeps_for_ever, &seen[i], 0));
    }
    CHECK_OK(eddy_loop_poll(loop));
    eddy_loop_free(loop);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(seen[i], -ECANCELED);
    }
    CHECK_EQ(eddy_memory_blocks(), 0);
}

TEST(a_loop_is_freed_before_it_ever_ran) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    int seen = 0;
    CHECK_OK(eddy_spawn_on(loop, sleeps_for_ever, &seen, 0));
    eddy_loop_free(loop);
    CHECK_EQ(seen, -ECANCELED);
    CHECK_EQ(eddy_memory_blocks(), 0);
}

/* ---- what a task knows ----------------------------------------------------------------------- */

LOOP_TEST(a_task_knows_its_name_and_number) {
    CHECK(eddy_task_id() > 0);
    eddy_task_name_set("a name that is longer than thirty-one bytes");
    CHECK_STR(eddy_task_name(), "a name that is longer than thir");
    eddy_task_name_set("");
    CHECK_STR(eddy_task_name(), "");
}

/* ---- sleeping -------------------------------------------------------------------------------- */

static int asleep;

struct sleeper {
    int64_t until_ns;
    int number;
};

static int64_t sleep_and_note(void *arg) {
    struct sleeper *sleeper = arg;
    asleep++;
    int r = eddy_sleep_until(sleeper->until_ns);
    return r < 0 ? r : note(&sleeper->number);
}

/* Begins the sleeps `ahead_ns` from now; false when not all were asleep by then. */
static bool sleep_in_order(int64_t ahead_ns) {
    static const int numbers[] = {5, 1, 4, 2, 3};
    eddy_loop *loop = eddy_loop_current();
    eddy_scope scope;
    order.at = 0;
    asleep = 0;
    int64_t begin = eddy_loop_now(loop) + ahead_ns;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < 5; i++) {
        struct sleeper sleeper = {begin + numbers[i] * EDDY_MS, numbers[i]};
        CHECK_OK(eddy_spawn(sleep_and_note, &sleeper, sizeof sleeper));
    }
    while (asleep < 5) {
        CHECK_OK(eddy_yield());
    }
    bool in_time = eddy_loop_now(loop) < begin;
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK(eddy_loop_now(loop) >= begin + 5 * EDDY_MS);
    return in_time;
}

/* A busy machine may keep us from putting them to sleep in time: then again, further ahead. */
LOOP_TEST(sleepers_wake_in_the_order_of_their_times) {
    int64_t ahead_ns = 20 * EDDY_MS;
    while (!sleep_in_order(ahead_ns)) {
        ahead_ns *= 2;
    }
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(order.ran[i], i + 1);
    }
}

LOOP_TEST(a_sleep_of_nothing_yields) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    int one = 1;
    CHECK_OK(eddy_spawn(note, &one, sizeof one));
    for (int i = 0; i < 1000 && order.at == 0; i++) {
        CHECK_OK(eddy_sleep(0));
    }
    CHECK_EQ(order.at, 1);
    CHECK_OK(eddy_sleep_until(INT64_MIN));
    CHECK_OK(eddy_sleep(-5));
    CHECK_OK(eddy_scope_leave(&scope, 0));
}

/* ---- fairness -------------------------------------------------------------------------------- */

static int64_t never_waits(void *arg) {
    bool *stop = arg;
    while (!*stop) {
        int r = eddy_checkpoint();
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

LOOP_TEST(a_task_that_only_makes_checkpoints_starves_nobody) {
    bool stop = false;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(never_waits, &stop, 0));
    CHECK_OK(eddy_sleep(EDDY_MS)); /* needs a turn of the loop, and a timer to be looked at */
    stop = true;
    CHECK_OK(eddy_scope_leave(&scope, 0));
}

/* ---- other threads --------------------------------------------------------------------------- */

static int64_t count_on_loop(void *arg) {
    ++*(int *)arg;
    return 0;
}

struct poster {
    eddy_loop *loop;
    int count;
};

static void *posts(void *arg) {
    struct poster *poster = arg;
    for (int i = 0; i < 10000; i++) {
        CHECK_OK(eddy_spawn_on(poster->loop, count_on_loop, &poster->count, 0));
    }
    return NULL;
}

static int64_t waits_for_count(void *arg) {
    struct poster *poster = arg;
    while (poster->count < 10000) {
        int r = eddy_sleep(EDDY_MS);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

LOOP_TEST(a_plain_thread_spawns_on_a_running_loop) {
    struct poster poster = {eddy_loop_current(), 0};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, posts, &poster), 0);
    CHECK_OK(waits_for_count(&poster));
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static int64_t spawn_some(void *arg) {
    (void)arg;
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, NULL);
    int seen = 0;
    for (int i = 0; i < 3 && r == 0; i++) {
        r = eddy_spawn(returns_over_children, &seen, 0);
    }
    return r < 0 && r != -ENOMEM ? r : eddy_scope_leave(&scope, r);
}

static int64_t call_spawn_some(void *arg) {
    (void)arg;
    eddy_loop *loop;
    int r = eddy_loop_new(NULL, &loop);
    if (r < 0) {
        return r;
    }
    int64_t result = eddy_loop_call(loop, spawn_some, NULL);
    eddy_loop_free(loop);
    return result;
}

TEST(every_allocation_of_spawn_may_fail) {
    CHECK(test_each_allocation_fails(call_spawn_some, NULL) > 2);
}
