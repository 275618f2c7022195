/* SPDX-License-Identifier: Apache-2.0 */
/* Producers on one thread against consumers on another, and what must hold whoever is quicker. */
#include <eddy/futures/combine.h>

#include <sched.h>
#include <string.h>

#include <eddy/runtime/base/host_impl.h>
#include "helpers.h"

/* ---- one future ------------------------------------------------------------------------------ */

static int64_t double_it(int64_t result, void *arg) {
    (*(int *)arg)++;
    return result < 0 ? result : 2 * result;
}

#define RACES 400

struct race {
    eddy_promise *promise;
    eddy_future *future;
    _Atomic int callbacks;
};

static void count_callback(eddy_future *f, void *arg) {
    CHECK(eddy_future_done(f));
    atomic_fetch_add((_Atomic int *)arg, 1);
}

/* The producers' side: resolves each as it comes. */
static void *resolve_all(void *arg) {
    struct race *races = arg;
    for (int i = 0; i < RACES; i++) {
        int r = eddy_promise_resolve(races[i].promise, i);
        CHECK(r == 0 || r == -EALREADY);
        eddy_promise_free(races[i].promise);
    }
    return NULL;
}

/* What a consumer may do at any moment. */
static void consume_one(struct race *race, int index) {
    int64_t r;
    int calls = 0;
    switch (test_random_below(6)) {
    case 0:
        r = eddy_await(race->future);
        CHECK_EQ(r, index);
        break;
    case 1:
        r = eddy_future_wait(race->future, (int64_t)test_random_below(2000));
        CHECK(r == index || r == -EINPROGRESS);
        break;
    case 2:
        eddy_future_cancel(race->future);
        r = eddy_await(race->future);
        CHECK(r == index || r == -ECANCELED);
        break;
    case 3: {
        eddy_future *f = eddy_future_then(race->future, double_it, &calls);
        CHECK_EQ(eddy_await(f), 2 * index);
        CHECK_EQ(calls, 1);
        eddy_future_release(f);
        break;
    }
    case 4: {
        eddy_future *f = eddy_future_then(race->future, double_it, &calls);
        eddy_future_cancel(f);
        r = eddy_await(f);
        CHECK(r == 2 * index || r == -ECANCELED);
        eddy_future_release(f);
        break;
    }
    default:
        CHECK_OK(eddy_future_callback(race->future, count_callback, &race->callbacks));
        eddy_await(race->future);
        while (atomic_load(&race->callbacks) == 0) {
            if (eddy_yield() == EDDY_ENOTASK) {
                sched_yield();
            }
        }
    }
    eddy_future_release(race->future);
}

static void race_a_producer(void) {
    static struct race races[RACES];
    for (int i = 0; i < RACES; i++) {
        struct pair pair = pair_new();
        races[i] = (struct race){.promise = pair.promise, .future = pair.future};
    }
    pthread_t thread = thread_start(resolve_all, races);
    for (int i = 0; i < RACES; i++) {
        consume_one(&races[i], i);
    }
    thread_join(thread);
}

TEST(stress_a_consumer_on_a_thread_against_a_producer) {
    race_a_producer();
}

LOOP_TEST(stress_a_consumer_in_a_task_against_a_producer) {
    race_a_producer();
}

struct duel {
    eddy_promise *promise;
    _Atomic int64_t deadline_ns; /* 0: not yet known */
};

/* Resolves each just when the consumer's deadline passes. */
static void *resolve_at_the_deadline(void *arg) {
    struct duel *duels = arg;
    bool virtual_time = strcmp(test_driver(), "sim") == 0;
    for (int i = 0; i < RACES; i++) {
        int64_t deadline_ns;
        while ((deadline_ns = atomic_load(&duels[i].deadline_ns)) == 0) {
            sched_yield();
        }
        while (!virtual_time && eddyi_host_real.mono_ns(NULL) < deadline_ns + i % 16 * EDDY_US) {
        }
        CHECK_OK(eddy_promise_resolve(duels[i].promise, i));
        eddy_promise_free(duels[i].promise);
    }
    return NULL;
}

/* A cancel on this loop's thread and an end on another's come together: the task runs on for the
 * one, and must not be hurt by the other, whatever it does next. */
LOOP_TEST(stress_a_deadline_against_an_end_on_another_thread) {
    static struct duel duels[RACES];
    static eddy_future *fs[RACES];
    for (int i = 0; i < RACES; i++) {
        struct pair pair = pair_new();
        duels[i].promise = pair.promise;
        fs[i] = pair.future;
    }
    pthread_t thread = thread_start(resolve_at_the_deadline, duels);
    for (int i = 0; i < RACES; i++) {
        eddy_scope s;
        int64_t deadline_ns = eddy_loop_now(eddy_loop_current()) + 20 * EDDY_US;
        CHECK_OK(eddy_scope_enter(&s, &(eddy_scope_opts){.deadline_ns = deadline_ns}));
        atomic_store(&duels[i].deadline_ns, deadline_ns);
        int64_t r = eddy_await(fs[i]);
        CHECK(r == i || r == -ETIME);
        eddy_scope_leave(&s, 0);
        CHECK_OK(eddy_yield());
        CHECK_EQ(eddy_await(fs[i]), i);
        eddy_future_release(fs[i]);
    }
    thread_join(thread);
}

/* ---- several --------------------------------------------------------------------------------- */

#define ROUNDS 150

/* The producer's side of a round: the results, in a random order, written before the thread
 * starts. */
struct round {
    struct pairs pairs;
    size_t order[24];
    int64_t results[24];
};

static void *produce(void *arg) {
    struct round *round = arg;
    for (size_t i = 0; i < round->pairs.count; i++) {
        size_t index = round->order[i];
        int r = eddy_promise_resolve(round->pairs.pair[index].promise, round->results[index]);
        CHECK(r == 0 || r == -EALREADY);
        if (i % 5 == 0) {
            sched_yield();
        }
    }
    return NULL;
}

static size_t round_failures(const struct round *round) {
    size_t failures = 0;
    for (size_t i = 0; i < round->pairs.count; i++) {
        failures += round->results[i] < 0;
    }
    return failures;
}

static void round_new(struct round *round) {
    size_t count = 1 + test_random_below(24);
    uint64_t failing = test_random_below(4); /* of 8 */
    pairs_new(&round->pairs, count);
    for (size_t i = 0; i < count; i++) {
        size_t j = test_random_below(i + 1);
        round->order[i] = round->order[j];
        round->order[j] = i;
        round->results[i] = test_random_below(8) < failing ? -1000 - (int64_t)i : (int64_t)i;
    }
}

static void check_all_ended(const struct round *round) {
    for (size_t i = 0; i < round->pairs.count; i++) {
        int64_t r = eddy_future_result(round->pairs.fs[i]);
        CHECK(r == round->results[i] || r == -ECANCELED);
    }
}

static void consume_all(struct round *round, int64_t r) {
    check_all_ended(round);
    if (round_failures(round) == 0) {
        CHECK_EQ(r, 0);
    } else {
        CHECK(r <= -1000 && round->results[-1000 - r] == r);
    }
}

static void consume_any(struct round *round, int64_t r) {
    check_all_ended(round);
    if (round_failures(round) == round->pairs.count) {
        CHECK(r <= -1000);
    } else {
        CHECK(r >= 0 && round->results[r] == r);
    }
}

static void consume_each(struct round *round) {
    eddy_as_completed *each;
    bool seen[24] = {false};
    int64_t i;
    size_t count = 0;
    CHECK_OK(eddy_as_completed_new(round->pairs.fs, round->pairs.count, &each));
    size_t limit = test_random_below(2) == 0 ? SIZE_MAX : test_random_below(24);
    while (count < limit && (i = eddy_as_completed_wait(each, EDDY_NEVER)) >= 0) {
        CHECK(!seen[i]);
        seen[i] = true;
        CHECK_EQ(eddy_future_result(round->pairs.fs[i]), round->results[i]);
        count++;
    }
    if (limit == SIZE_MAX) {
        CHECK_EQ(count, round->pairs.count);
    }
    eddy_as_completed_free(each);
}

static void consume_wait(struct round *round) {
    bool done[24];
    eddy_wait_for what = (eddy_wait_for)test_random_below(3);
    int64_t timeout_ns = test_random_below(2) == 0 ? EDDY_NEVER : (int64_t)test_random_below(2000);
    size_t count = round->pairs.count;
    int64_t n = eddy_futures_wait(round->pairs.fs, count, what, timeout_ns, done);
    CHECK(n >= 0 && (size_t)n <= count);
    for (size_t i = 0; i < count; i++) {
        CHECK(!done[i] || eddy_future_done(round->pairs.fs[i]));
    }
    if (timeout_ns == EDDY_NEVER) {
        CHECK(n >= 1);
        CHECK(what != EDDY_WAIT_ALL_COMPLETED || (size_t)n == count);
    }
}

static void consume_shields(struct round *round) {
    eddy_future *shields[24];
    size_t count = round->pairs.count;
    for (size_t i = 0; i < count; i++) {
        shields[i] = eddy_future_shield(round->pairs.fs[i]);
    }
    eddy_future *all = eddy_future_all(shields, count);
    if (test_random_below(2) == 0) {
        eddy_future_cancel(all);
    }
    eddy_await(all);
    for (size_t i = 0; i < count; i++) {
        CHECK(eddy_future_done(shields[i]));
        CHECK_EQ(eddy_await(round->pairs.fs[i]), round->results[i]); /* untouched */
        eddy_future_release(shields[i]);
    }
    eddy_future_release(all);
}

static void consume_round(struct round *round) {
    eddy_future *const *fs = round->pairs.fs;
    size_t count = round->pairs.count;
    size_t index = SIZE_MAX;
    eddy_future *f;
    int64_t r;
    switch (test_random_below(9)) {
    case 0:
        consume_all(round, eddy_await_all(fs, count));
        break;
    case 1:
        consume_any(round, eddy_await_any(fs, count, NULL));
        break;
    case 2:
        r = eddy_await_race(fs, count, &index);
        check_all_ended(round);
        CHECK_EQ(r, round->results[index]);
        break;
    case 3:
        f = eddy_future_all(fs, count);
        consume_all(round, eddy_await(f));
        eddy_future_release(f);
        break;
    case 4:
        f = eddy_future_any(fs, count);
        consume_any(round, eddy_await(f));
        eddy_future_release(f);
        break;
    case 5:
        f = eddy_future_race(fs, count);
        eddy_future_cancel(f);
        eddy_await(f);
        check_all_ended(round);
        eddy_future_release(f);
        break;
    case 6:
        consume_each(round);
        break;
    case 7:
        consume_wait(round);
        break;
    default:
        consume_shields(round);
    }
}

static void play_rounds(void) {
    static struct round round;
    for (int i = 0; i < ROUNDS; i++) {
        round_new(&round);
        pthread_t thread = thread_start(produce, &round);
        consume_round(&round);
        thread_join(thread);
        pairs_free(&round.pairs);
    }
}

TEST(stress_a_combining_thread_against_a_producer) {
    play_rounds();
}

LOOP_TEST(stress_a_combining_task_against_a_producer) {
    play_rounds();
}
