/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <time.h>

#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/sync/barrier.h>
#include <eddy/runtime/task/scope.h>
#include <eddy/runtime/task/task_impl.h>

#include "futures/helpers.h"

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

/* ---- tasks on another loop ------------------------------------------------------------------- */

static int64_t says_its_deadline(void *arg) {
    *(int64_t *)arg = eddy_scope_deadline();
    return eddy_sleep(EDDY_NEVER);
}

LOOP_TEST(deadline_and_cancel_of_a_scope_reach_its_tasks_on_other_loops) {
    struct other_loop other;
    other_loop_start(&other);
    for (int cancel = 0; cancel <= 1; cancel++) {
        int64_t spawned = 0;
        int64_t started = 0;
        int64_t deadline = eddy_loop_now(eddy_loop_current()) + (cancel ? 60 : 2) * EDDY_S;
        eddy_scope scope;
        CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.deadline_ns = deadline}));
        CHECK_OK(eddy_spawn_on(other.loop, says_its_deadline, &spawned, 0));
        eddy_future *f = eddy_task_start_on(other.loop, says_its_deadline, &started, 0);
        if (cancel) {
            CHECK_OK(eddy_scope_cancel(&scope));
        }
        CHECK_ERR(eddy_sleep(EDDY_NEVER), cancel ? -ECANCELED : -ETIME);
        eddy_scope shield;
        CHECK_OK(eddy_scope_enter(&shield, &(eddy_scope_opts){.shield = true}));
        CHECK_ERR(eddy_await(f), cancel ? -ECANCELED : -ETIME);
        CHECK_OK(eddy_scope_leave(&shield, 0));
        CHECK_EQ(eddy_scope_leave(&scope, 0), cancel ? 0 : -ETIME);
        CHECK_EQ(eddy_scope_failure_count(&scope), cancel ? 0 : 1);
        CHECK_EQ(spawned, deadline);
        CHECK_EQ(started, deadline);
    }
    other_loop_stop(&other);
}

static int64_t fails_by_name(void *arg) {
    (void)arg;
    eddy_task_name_set("far away");
    return -EIO;
}

LOOP_TEST(a_failure_on_another_loop_is_the_scopes_like_any_other) {
    struct other_loop other;
    other_loop_start(&other);
    int seen = 0;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn_on(other.loop, sleeps_for_ever, &seen, 0));
    CHECK_OK(eddy_spawn_from("here.c:1", other.loop, fails_by_name, NULL, 0));
    CHECK_ERR(eddy_scope_leave(&scope, 0), -EIO);
    CHECK_EQ(seen, -ECANCELED);
    CHECK_EQ(eddy_scope_failure_count(&scope), 1);
    CHECK_STR(eddy_scope_failure_at(&scope, 0)->task, "far away");
    CHECK_STR(eddy_scope_failure_at(&scope, 0)->site, "here.c:1");
    other_loop_stop(&other);
}

static int64_t spawns_who_fails(void *seen) {
    CHECK_OK(eddy_spawn(fails_by_name, NULL, 0));
    *(int *)seen = eddy_sleep(EDDY_NEVER);
    return 0;
}

LOOP_TEST(a_failure_below_a_task_on_another_loop_is_that_tasks) {
    struct other_loop other;
    other_loop_start(&other);
    int seen = 0;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn_on(other.loop, spawns_who_fails, &seen, 0));
    CHECK_ERR(eddy_scope_leave(&scope, 0), -EIO);
    CHECK_EQ(seen, -ECANCELED);
    CHECK_ERR(eddy_await(eddy_task_start_on(other.loop, spawns_who_fails, &seen, 0)), -EIO);
    other_loop_stop(&other);
}

struct crowded {
    eddy_barrier pairs;
    _Atomic int now;
    _Atomic int most;
};

/* Needs somebody else beside it. */
static int64_t stands_in(void *arg) {
    struct crowded *crowded = arg;
    int count = atomic_fetch_add(&crowded->now, 1) + 1;
    int most = atomic_load(&crowded->most);
    while (count > most && !atomic_compare_exchange_weak(&crowded->most, &most, count)) {
    }
    int r = eddy_barrier_wait(&crowded->pairs);
    atomic_fetch_sub(&crowded->now, 1);
    return r;
}

LOOP_TEST(the_limit_counts_tasks_on_other_loops) {
    struct other_loop other;
    struct crowded crowded = {.pairs = EDDY_BARRIER_INIT(2)};
    eddy_scope scope;
    other_loop_start(&other);
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.limit = 2}));
    for (int i = 0; i < 8; i++) {
        CHECK_OK(eddy_spawn_on(i % 2 == 0 ? other.loop : NULL, stands_in, &crowded, 0));
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(crowded.most, 2);
    other_loop_stop(&other);
}

static int64_t cancels_foreign_scope(void *scope) {
    CHECK_ERR(eddy_scope_cancel(scope), EDDY_EWRONGLOOP);
    return 0;
}

LOOP_TEST(a_scope_is_cancelled_on_its_loop_only) {
    struct other_loop other;
    eddy_scope scope;
    other_loop_start(&other);
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn_on(other.loop, cancels_foreign_scope, &scope, 0));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    other_loop_stop(&other);
}

/* ---- the future of a time -------------------------------------------------------------------- */

TEST(the_future_of_a_time_needs_a_loop) {
    eddy_future *f = eddy_sleep_start(1);
    CHECK_ERR(eddy_await(f), EDDY_ENOTASK);
    eddy_future_release(f);
}

LOOP_TEST(the_future_of_a_time_ends_then_or_when_it_is_cancelled) {
    int64_t begin = eddy_loop_now(eddy_loop_current());
    CHECK_OK(eddy_await(eddy_sleep_start(2 * EDDY_MS)));
    CHECK(eddy_loop_now(eddy_loop_current()) >= begin + 2 * EDDY_MS);
    CHECK_OK(eddy_await(eddy_sleep_start(0)));
    CHECK_OK(eddy_await(eddy_sleep_start(INT64_MIN)));
    eddy_future *never = eddy_sleep_start(EDDY_NEVER);
    eddy_future *nearly = eddy_sleep_start(EDDY_NEVER - 1);
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK(!eddy_future_done(never));
    CHECK(!eddy_future_done(nearly));
    CHECK_OK(eddy_future_cancel(never));
    CHECK_ERR(eddy_await(never), -ECANCELED);
    CHECK(eddy_future_cancelled(never));
}

LOOP_TEST(the_future_of_a_time_ends_with_its_scopes_deadline) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    eddy_future *f = eddy_sleep_start(EDDY_NEVER);
    CHECK_ERR(eddy_sleep(EDDY_NEVER - 1), -ETIME);
    CHECK_ERR(eddy_future_result(f), -ETIME);
    CHECK(eddy_future_cancelled(f));
    CHECK_ERR(eddy_future_result(eddy_sleep_start(1)), -ETIME);
    CHECK_OK(eddy_scope_leave(&scope, 0));
}

/* ---- what is refused ------------------------------------------------------------------------- */

static int64_t gives_its_number(void *arg) {
    (void)arg;
    eddy_task_name_set(NULL);
    CHECK_STR(eddy_task_name(), "");
    return (int64_t)eddy_task_id();
}

LOOP_TEST(task_numbers_are_given_once) {
    int64_t before = (int64_t)eddy_task_id();
    for (int i = 0; i < 10; i++) {
        int64_t number = eddy_await(eddy_task_start(gives_its_number, NULL, 0));
        CHECK(number > before);
        before = number;
    }
}

LOOP_TEST(in_a_cancelled_scope_nothing_is_started) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_ERR(eddy_spawn(note, NULL, 0), -ECANCELED);
    CHECK_ERR(eddy_await(eddy_task_start(note, NULL, 0)), -ECANCELED);
    CHECK_ERR(eddy_future_result(eddy_task_start(note, NULL, 0)), -ECANCELED);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(order.at, 0);
    CHECK_ERR(eddy_future_result(eddy_task_start(NULL, NULL, 0)), -EINVAL);
    CHECK_ERR(eddy_future_result(eddy_task_start(note, NULL, 8)), -EINVAL);
    CHECK_ERR(eddy_future_result(eddy_task_start(note, &scope, EDDY_SPAWN_COPY_MAX + 1)), -EINVAL);
}

/* ---- stacks ---------------------------------------------------------------------------------- */

static int64_t nothing(void *arg) {
    (void)arg;
    return 0;
}

/* Long enough that the loop falls asleep meanwhile. */
static int64_t takes_long(void *arg) {
    (void)arg;
    struct timespec nap = {.tv_nsec = EDDY_MS};
    nanosleep(&nap, NULL);
    return 0;
}

LOOP_TEST(stacks_of_a_burst_are_given_back_when_a_loop_without_timers_sleeps) {
    eddy_task *task = eddyi_task_here;
    const struct eddyi_stack_pool *stacks = &task->loop->tasks->stacks;
    for (int burst = 0; burst < 2; burst++) {
        eddy_scope scope;
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        for (int i = 0; i < 1000; i++) {
            CHECK_OK(eddy_spawn(nothing, NULL, 0));
        }
        CHECK_OK(eddy_scope_leave(&scope, 0));
        /* As if it had been that long ago; and where no timer is armed nobody keeps now_ns. */
        task->loop->tasks->trimmed_ns = eddyi_loop_clock(task->loop) - 2 * EDDY_S;
        task->loop->now_ns = 0;
        for (int i = 0; i < 1000 && stacks->free_count > 256; i++) {
            CHECK_OK(eddyi_task_offload(task, takes_long, NULL, "nothing"));
        }
        CHECK(stacks->free_count <= 256);
    }
}

TEST(call_refuses_null) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_ERR(eddy_loop_call(NULL, returns_its_argument, NULL), -EINVAL);
    CHECK_ERR(eddy_loop_call(loop, NULL, NULL), -EINVAL);
    eddy_loop_free(loop);
}
