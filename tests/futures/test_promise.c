/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/futures/promise.h>

#include <sched.h>

#include <eddy/runtime/base/memory.h>
#include "helpers.h"

/* ---- resolving ------------------------------------------------------------------------------- */

TEST(the_first_of_two_results_wins) {
    struct pair pair = pair_new();
    CHECK_OK(eddy_promise_resolve(pair.promise, 1));
    CHECK_ERR(eddy_promise_resolve(pair.promise, 2), -EALREADY);
    CHECK_EQ(eddy_await(pair.future), 1);
    pair_free(&pair);
}

TEST(a_failure_is_a_result_like_any_other) {
    eddy_future *f = ended_with(-EIO);
    CHECK_ERR(eddy_await(f), -EIO);
    CHECK(!eddy_future_cancelled(f));
    eddy_future_release(f);
}

TEST(a_promise_that_is_freed_unresolved_is_broken) {
    struct pair pair = pair_new();
    CHECK_PTR_EQ(eddy_promise_free(pair.promise), NULL);
    CHECK_ERR(eddy_await(pair.future), EDDY_EBROKEN);
    eddy_future_release(pair.future);
}

TEST(auto_frees_a_promise) {
    eddy_future *f;
    {
        EDDY_AUTO(eddy_promise) *promise = NULL;
        CHECK_OK(eddy_promise_new(&promise, &f));
    }
    CHECK_ERR(eddy_await(f), EDDY_EBROKEN);
    eddy_future_release(f);
}

TEST(null_is_refused_or_harmless) {
    eddy_promise *promise;
    eddy_future *f;
    CHECK_ERR(eddy_promise_new(NULL, &f), -EINVAL);
    CHECK_ERR(eddy_promise_new(&promise, NULL), -EINVAL);
    CHECK_ERR(eddy_promise_resolve(NULL, 1), -EINVAL);
    CHECK_ERR(eddy_promise_on_cancel(NULL, NULL, NULL), -EINVAL);
    CHECK(!eddy_promise_cancelled(NULL));
    CHECK_PTR_EQ(eddy_promise_free(NULL), NULL);
}

static int disposals;

static void dispose(void *payload) {
    (void)payload;
    disposals++;
}

TEST(a_payload_is_consumed_also_when_it_comes_too_late) {
    struct pair pair = pair_new();
    eddy_buffer buffer = {0};
    int object;
    CHECK_ERR(eddy_promise_resolve_payload(NULL, 0, &object, 0, dispose), -EINVAL);
    CHECK_EQ(disposals, 1);
    CHECK_OK(eddy_promise_resolve(pair.promise, 0));
    CHECK_ERR(eddy_promise_resolve_payload(pair.promise, 0, &object, 0, dispose), -EALREADY);
    CHECK_EQ(disposals, 2);
    CHECK_OK(eddy_buffer_append(&buffer, "late", 4));
    CHECK_ERR(eddy_promise_resolve_buffer(pair.promise, 0, &buffer), -EALREADY);
    CHECK_PTR_EQ(buffer.data, NULL);
    CHECK_OK(eddy_buffer_append(&buffer, "none", 4));
    CHECK_ERR(eddy_promise_resolve_buffer(NULL, 0, &buffer), -EINVAL);
    CHECK_PTR_EQ(buffer.data, NULL);
    pair_free(&pair);
}

TEST(an_empty_buffer_is_a_payload_of_nothing) {
    struct pair pair = pair_new();
    eddy_buffer in = {0};
    eddy_buffer out = {.len = 1};
    CHECK_OK(eddy_promise_resolve_buffer(pair.promise, 5, &in));
    CHECK_EQ(eddy_future_take(pair.future, &out), 5);
    CHECK_EQ(out.len, 0);
    pair_free(&pair);
}

/* ---- cancel ---------------------------------------------------------------------------------- */

TEST(a_cancel_ends_the_future_at_once) {
    struct pair pair = pair_new();
    CHECK(!eddy_promise_cancelled(pair.promise));
    CHECK_OK(eddy_future_cancel(pair.future));
    CHECK(eddy_promise_cancelled(pair.promise));
    CHECK_ERR(eddy_await(pair.future), -ECANCELED);
    CHECK(eddy_future_cancelled(pair.future));
    CHECK_ERR(eddy_promise_resolve(pair.promise, 1), -EALREADY);
    pair_free(&pair);
}

TEST(releasing_a_pending_future_tells_the_producer) {
    struct pair pair = pair_new();
    eddy_future_release(pair.future);
    CHECK(eddy_promise_cancelled(pair.promise));
    CHECK_ERR(eddy_promise_resolve(pair.promise, 1), -EALREADY);
    eddy_promise_free(pair.promise);
}

LOOP_TEST(a_scope_has_no_part_in_a_promise) {
    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, NULL));
    struct pair pair = pair_new();
    CHECK_OK(eddy_scope_cancel(&s));
    eddy_scope_leave(&s, 0);
    CHECK(!eddy_promise_cancelled(pair.promise));
    CHECK_OK(eddy_promise_resolve(pair.promise, 1));
    CHECK_EQ(eddy_await(pair.future), 1);
    pair_free(&pair);
}

static void count(void *arg) {
    atomic_fetch_add((_Atomic int *)arg, 1);
}

TEST(with_a_cancel_function_the_future_waits_for_the_producers_word) {
    struct pair pair = pair_new();
    _Atomic int calls = 0;
    CHECK_OK(eddy_promise_on_cancel(pair.promise, count, &calls));
    CHECK_ERR(eddy_promise_on_cancel(pair.promise, count, &calls), -EBUSY);
    CHECK_OK(eddy_future_cancel(pair.future));
    CHECK_OK(eddy_future_cancel(pair.future));
    CHECK_EQ(calls, 1); /* once, here */
    CHECK(!eddy_future_done(pair.future));
    CHECK_ERR(eddy_promise_on_cancel(pair.promise, count, &calls), -EALREADY);
    CHECK_OK(eddy_promise_resolve(pair.promise, 3));
    CHECK_EQ(eddy_await(pair.future), 3); /* it was quicker than the cancel */
    CHECK(!eddy_future_cancelled(pair.future));
    pair_free(&pair);
    CHECK_EQ(calls, 1);
}

TEST(a_cancelled_promise_that_is_freed_gives_the_cancels_code) {
    struct pair pair = pair_new();
    _Atomic int calls = 0;
    CHECK_OK(eddy_promise_on_cancel(pair.promise, count, &calls));
    CHECK_OK(eddy_future_cancel(pair.future));
    eddy_promise_free(pair.promise);
    CHECK_ERR(eddy_await(pair.future), -ECANCELED);
    eddy_future_release(pair.future);
}

TEST(a_cancel_function_comes_too_late_for_what_has_ended) {
    struct pair pair = pair_new();
    _Atomic int calls = 0;
    CHECK_OK(eddy_promise_resolve(pair.promise, 0));
    CHECK_ERR(eddy_promise_on_cancel(pair.promise, count, &calls), -EALREADY);
    pair_free(&pair);
    pair = pair_new();
    CHECK_OK(eddy_future_cancel(pair.future));
    CHECK_ERR(eddy_promise_on_cancel(pair.promise, count, &calls), -EALREADY);
    pair_free(&pair);
    CHECK_EQ(calls, 0);
}

TEST(without_a_cancel_the_function_is_not_called) {
    struct pair pair = pair_new();
    _Atomic int calls = 0;
    CHECK_OK(eddy_promise_on_cancel(pair.promise, count, &calls));
    CHECK_OK(eddy_promise_resolve(pair.promise, 0));
    CHECK_ERR(eddy_future_cancel(pair.future), -EALREADY);
    pair_free(&pair);
    pair = pair_new();
    CHECK_OK(eddy_promise_on_cancel(pair.promise, count, &calls));
    eddy_promise_free(pair.promise);
    eddy_future_release(pair.future);
    CHECK_EQ(calls, 0);
}

static void resolve_cancelled(void *promise) {
    CHECK(eddy_promise_cancelled(promise));
    CHECK_OK(eddy_promise_resolve(promise, -ECANCELED));
}

TEST(the_cancel_function_may_resolve) {
    struct pair pair = pair_new();
    CHECK_OK(eddy_promise_on_cancel(pair.promise, resolve_cancelled, pair.promise));
    CHECK_OK(eddy_future_cancel(pair.future));
    CHECK_ERR(eddy_future_result(pair.future), -ECANCELED);
    pair_free(&pair);
}

static void free_promise(void *promise) {
    eddy_promise_free(promise);
}

TEST(the_cancel_function_may_free_the_promise) {
    struct pair pair = pair_new();
    CHECK_OK(eddy_promise_on_cancel(pair.promise, free_promise, pair.promise));
    eddy_future_release(pair.future); /* cancels, and waits for nothing any more */
}

LOOP_TEST(on_a_loop_the_cancel_function_runs_from_the_ready_queue) {
    struct pair pair = pair_new();
    CHECK_OK(eddy_promise_on_cancel(pair.promise, resolve_cancelled, pair.promise));
    CHECK_OK(eddy_future_cancel(pair.future));
    CHECK(!eddy_future_done(pair.future));
    CHECK_ERR(eddy_await(pair.future), -ECANCELED);
    pair_free(&pair);
}

LOOP_TEST(a_queued_cancel_function_is_forgotten_with_its_promise) {
    struct pair pair = pair_new();
    _Atomic int calls = 0;
    CHECK_OK(eddy_promise_on_cancel(pair.promise, count, &calls));
    CHECK_OK(eddy_future_cancel(pair.future));
    eddy_promise_free(pair.promise);
    CHECK_ERR(eddy_await(pair.future), -ECANCELED);
    eddy_future_release(pair.future);
    CHECK_OK(eddy_yield());
    CHECK_EQ(calls, 0);
}

LOOP_TEST(release_waits_for_a_producer_that_holds_the_consumers_memory) {
    struct pair pair = pair_new();
    CHECK_OK(eddy_promise_on_cancel(pair.promise, resolve_cancelled, pair.promise));
    eddy_future_release(pair.future);
    eddy_promise_free(pair.promise);
}

/* ---- a free that meets a running cancel function
 * ---------------------------------------------- */

struct meeting {
    struct pair pair;
    _Atomic int inside; /* the function runs */
    _Atomic int go_on;
    _Atomic int returned;
};

static void wait_inside(void *arg) {
    struct meeting *meeting = arg;
    atomic_store(&meeting->inside, 1);
    while (atomic_load(&meeting->go_on) == 0) {
        sched_yield();
    }
    atomic_store(&meeting->returned, 1);
}

static void *cancel_it(void *future) {
    CHECK_OK(eddy_future_cancel(future));
    return NULL;
}

static void *let_it_go_on(void *arg) {
    atomic_store((_Atomic int *)arg, 1);
    return NULL;
}

static void meet(void) {
    struct meeting meeting = {.pair = pair_new()};
    CHECK_OK(eddy_promise_on_cancel(meeting.pair.promise, wait_inside, &meeting));
    pthread_t canceller = thread_start(cancel_it, meeting.pair.future);
    while (atomic_load(&meeting.inside) == 0) {
        sched_yield();
    }
    pthread_t helper = thread_start(let_it_go_on, &meeting.go_on);
    eddy_promise_free(meeting.pair.promise);
    CHECK_EQ(meeting.returned, 1);
    thread_join(canceller);
    thread_join(helper);
    eddy_future_release(meeting.pair.future);
}

TEST(free_waits_for_a_cancel_function_that_runs) {
    for (int i = 0; i < 50; i++) {
        meet();
    }
}

LOOP_TEST(free_in_a_task_waits_for_a_cancel_function_that_runs) {
    for (int i = 0; i < 50; i++) {
        meet();
    }
}

/* ---- across loops ---------------------------------------------------------------------------- */

static int64_t resolve_there(void *arg) {
    eddy_promise *promise = *(eddy_promise **)arg;
    eddy_buffer bytes = {0};
    CHECK_OK(eddy_buffer_append(&bytes, "across", 6));
    CHECK_OK(eddy_promise_resolve_buffer(promise, 6, &bytes));
    eddy_promise_free(promise);
    return 0;
}

LOOP_TEST(a_promise_carries_bytes_from_loop_to_loop) {
    struct other_loop other;
    other_loop_start(&other);
    struct pair pair = pair_new();
    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, NULL));
    CHECK_OK(eddy_spawn_on(other.loop, resolve_there, &pair.promise, sizeof pair.promise));
    eddy_buffer bytes;
    CHECK_EQ(eddy_await(pair.future), 6);
    CHECK_EQ(eddy_future_take(pair.future, &bytes), 6);
    CHECK_BYTES(bytes.data, bytes.len, "across", 6);
    eddy_buffer_done(&bytes);
    eddy_future_release(pair.future);
    CHECK_EQ(eddy_scope_leave(&s, 0), 0); /* the other loop outlives its tasks' scope */
    other_loop_stop(&other);
}

/* ---- stress: a consumer that cancels against a producer that frees
 * ----------------------------- */

#define RACES 400

struct race {
    struct pair pair;
    _Atomic int calls;
    bool freed; /* the producer's: the function must not run any more */
};

static void check_not_freed(void *arg) {
    struct race *race = arg;
    CHECK(!race->freed);
    atomic_fetch_add(&race->calls, 1);
}

static void *resolve_and_free(void *arg) {
    struct race *races = arg;
    for (int i = 0; i < RACES; i++) {
        int r = eddy_promise_resolve(races[i].pair.promise, i);
        CHECK(r == 0 || r == -EALREADY);
        eddy_promise_free(races[i].pair.promise);
        races[i].freed = true;
    }
    return NULL;
}

static void race_a_producer(void) {
    static struct race races[RACES];
    for (int i = 0; i < RACES; i++) {
        races[i] = (struct race){.pair = pair_new()};
        if (i % 3 != 0) {
            CHECK_OK(eddy_promise_on_cancel(races[i].pair.promise, check_not_freed, &races[i]));
        }
    }
    pthread_t thread = thread_start(resolve_and_free, races);
    for (int i = 0; i < RACES; i++) {
        eddy_future *f = races[i].pair.future;
        if (test_random_below(2) == 0) {
            eddy_future_cancel(f);
            int64_t r = eddy_await(f);
            CHECK(r == i || (i % 3 == 0 && r == -ECANCELED));
        }
        eddy_future_release(f);
    }
    thread_join(thread);
    for (int i = 0; i < RACES; i++) {
        CHECK(races[i].calls <= 1);
    }
}

TEST(stress_a_cancel_on_a_thread_against_a_free) {
    race_a_producer();
}

LOOP_TEST(stress_a_cancel_in_a_task_against_a_free) {
    race_a_producer();
}

/* ---- memory ---------------------------------------------------------------------------------- */

static int64_t make_one(void *arg) {
    (void)arg;
    eddy_promise *promise;
    eddy_future *f;
    int r = eddy_promise_new(&promise, &f);
    if (r < 0) {
        return r;
    }
    eddy_promise_free(promise);
    eddy_future_release(f);
    return 0;
}

TEST(the_allocation_may_fail) {
    CHECK_EQ(test_each_allocation_fails(make_one, NULL), 4);
}
