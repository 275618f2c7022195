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
    eddy_until what = (eddy_until)test_random_below(3);
    int64_t timeout_ns = test_random_below(2) == 0 ? EDDY_NEVER : (int64_t)test_random_below(2000);
    size_t count = round->pairs.count;
    int64_t n = eddy_await_until(round->pairs.fs, count, what, timeout_ns, done);
    CHECK(n >= 0 && (size_t)n <= count);
    for (size_t i = 0; i < count; i++) {
        CHECK(!done[i] || eddy_future_done(round->pairs.fs[i]));
    }
    if (timeout_ns == EDDY_NEVER) {
        CHECK(n >= 1);
        CHECK(what != EDDY_UNTIL_ALL_COMPLETED || (size_t)n == count);
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

/* ---- one future, from all sides at once ------------------------------------------------------ */

#define SIDES 5
#define CROWDS 60

/* One future that several threads, loops among them, use as they like. Whoever is last gives the
 * handle back, which may be anybody, and `thens` outlive it. */
struct crowd {
    eddy_future *future;
    eddy_promise *promise; /* NULL: the future is a task's */
    int64_t value;
    _Atomic int users;
    _Atomic int left;      /* sides that have not done yet */
    _Atomic int callbacks; /* registered and not yet called */
    _Atomic int begin;
};

static void crowd_callback(eddy_future *f, void *arg) {
    struct crowd *crowd = arg;
    CHECK(eddy_future_done(f));
    int64_t r = eddy_future_result(f);
    CHECK(r == crowd->value || r == -ECANCELED || r == EDDY_EBROKEN);
    atomic_fetch_sub(&crowd->callbacks, 1);
}

static int64_t pass_on(int64_t result, void *arg) {
    (void)arg;
    return result;
}

static void check_result(const struct crowd *crowd, int64_t r) {
    CHECK(r == crowd->value || r == -ECANCELED || (crowd->promise != NULL && r == EDDY_EBROKEN));
}

static void use_once(struct crowd *crowd, uint64_t what) {
    eddy_future *f = crowd->future;
    eddy_future *other;
    int64_t r;
    switch (what % 10) {
    case 0:
        check_result(crowd, eddy_await(f));
        break;
    case 1:
        r = eddy_future_wait(f, (int64_t)(what >> 8) % 50000);
        if (r != -EINPROGRESS) {
            check_result(crowd, r);
        }
        break;
    case 2:
        r = eddy_future_cancel(f);
        CHECK(r == 0 || r == -EALREADY);
        break;
    case 3:
        atomic_fetch_add(&crowd->callbacks, 1);
        CHECK_OK(eddy_future_callback(f, crowd_callback, crowd));
        break;
    case 4:
        other = eddy_future_then(f, pass_on, NULL);
        check_result(crowd, eddy_await(other));
        eddy_future_release(other);
        break;
    case 5: /* pending or not: cancels the source too */
        other = eddy_future_then(f, pass_on, NULL);
        eddy_future_release(other);
        break;
    case 6:
        other = eddy_future_shield(f);
        eddy_future_release(other);
        break;
    case 7:
        r = eddy_await_race(&f, 1, NULL);
        check_result(crowd, r);
        break;
    case 8:
        CHECK(eddy_await_until(&f, 1, EDDY_UNTIL_ALL_COMPLETED, (int64_t)(what >> 8) % 50000,
                               NULL) <= 1);
        break;
    default:
        r = eddy_future_result(f);
        CHECK(r == -EINPROGRESS || eddy_future_done(f));
        CHECK(!eddy_future_cancelled(f) || r == -EINPROGRESS || r == -ECANCELED);
    }
}

/* One side: `seed` decides what it does, and the last one releases. */
struct side {
    struct crowd *crowd;
    uint64_t seed;
    bool resolves;
};

static int64_t take_part(void *arg) {
    struct side *side = arg;
    struct crowd *crowd = side->crowd;
    uint64_t draw = side->seed;
    atomic_fetch_add(&crowd->begin, 1);
    while (atomic_load(&crowd->begin) < SIDES) {
        sched_yield();
    }
    for (int i = 0; i < 4; i++) {
        draw = draw * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        if (i == 1 && side->resolves) {
            if (draw >> 62 != 0) {
                int r = eddy_promise_resolve(crowd->promise, crowd->value);
                CHECK(r == 0 || r == -EALREADY);
            }
            eddy_promise_free(crowd->promise); /* unresolved: broken */
        } else if (!side->resolves || i > 1) {
            use_once(crowd, draw >> 33);
        }
    }
    if (atomic_fetch_sub(&crowd->users, 1) == 1) {
        eddy_future_release(crowd->future);
    }
    atomic_fetch_sub(&crowd->left, 1);
    return 0;
}

static void *take_part_on_a_thread(void *arg) {
    take_part(arg);
    return NULL;
}

static void *take_part_on_a_loop(void *arg) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_OK(eddy_loop_call(loop, take_part, arg));
    eddy_loop_free(loop);
    return NULL;
}

/* Sides 0 and 1 are plain threads, 2 and 3 loops, 4 the caller. */
static void gather_a_crowd(struct crowd *crowd) {
    struct side sides[SIDES];
    pthread_t threads[SIDES];
    crowd->users = SIDES;
    crowd->left = SIDES;
    for (int i = 0; i < SIDES; i++) {
        sides[i] = (struct side){crowd, test_random(), i == 0 && crowd->promise != NULL};
    }
    for (int i = 0; i < SIDES - 1; i++) {
        threads[i] = thread_start(i < 2 ? take_part_on_a_thread : take_part_on_a_loop, &sides[i]);
    }
    take_part(&sides[SIDES - 1]);
    /* A loop goes on meanwhile: what its task has ended, it may still have to tell the others. */
    while (atomic_load(&crowd->left) > 0 || atomic_load(&crowd->callbacks) > 0) {
        if (eddy_yield() == EDDY_ENOTASK) {
            sched_yield();
        }
    }
    for (int i = 0; i < SIDES - 1; i++) {
        thread_join(threads[i]);
    }
}

static void gather_promises(void) {
    for (int i = 0; i < CROWDS; i++) {
        struct pair pair = pair_new();
        struct crowd crowd = {.future = pair.future, .promise = pair.promise, .value = i};
        gather_a_crowd(&crowd);
    }
}

TEST_TIMEOUT(stress_a_promise_from_all_sides_at_once, 60) {
    gather_promises();
}

LOOP_TEST_TIMEOUT(stress_a_promise_from_all_sides_and_a_task, 60) {
    gather_promises();
}

static int64_t sleep_a_little(void *arg) {
    int64_t value = *(const int64_t *)arg;
    int r = eddy_sleep(value % 3 * 20 * EDDY_US);
    return r < 0 ? r : value;
}

static void gather_tasks(eddy_loop *loop) {
    for (int64_t i = 0; i < CROWDS; i++) {
        struct crowd crowd = {.value = i};
        eddy_scope scope;
        bool in_task = eddy_scope_enter(&scope, NULL) == 0;
        crowd.future = eddy_task_start_on(loop, sleep_a_little, &i, sizeof i);
        gather_a_crowd(&crowd);
        if (in_task) {
            CHECK_OK(eddy_scope_leave(&scope, 0));
        }
    }
}

TEST_TIMEOUT(stress_a_task_of_another_loop_from_all_sides_at_once, 60) {
    struct other_loop other;
    other_loop_start(&other);
    gather_tasks(other.loop);
    other_loop_stop(&other);
}

LOOP_TEST_TIMEOUT(stress_a_task_of_another_loop_from_all_sides_and_a_task, 60) {
    struct other_loop other;
    other_loop_start(&other);
    gather_tasks(other.loop);
    other_loop_stop(&other);
}
