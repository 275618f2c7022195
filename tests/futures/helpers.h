/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of futures share: threads, and a second loop on a thread of its own. */
#ifndef EDDY_TESTS_FUTURES_HELPERS_H
#define EDDY_TESTS_FUTURES_HELPERS_H

#include <pthread.h>
#include <stdatomic.h>

#include <eddy/futures/future.h>
#include <eddy/futures/promise.h>
#include <eddy/runtime/loop/loop.h>
#include <eddy/runtime/task/scope.h>
#include <eddy/runtime/task/task.h>
#include "test.h"

static inline pthread_t thread_start(void *(*fn)(void *arg), void *arg) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

static inline void thread_join(pthread_t thread) {
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* A promise and its future in one variable. */
struct pair {
    eddy_promise *promise;
    eddy_future *future;
};

static inline struct pair pair_new(void) {
    struct pair pair;
    CHECK_OK(eddy_promise_new(&pair.promise, &pair.future));
    return pair;
}

static inline void pair_free(struct pair *pair) {
    pair->promise = eddy_promise_free(pair->promise);
    pair->future = eddy_future_release(pair->future);
}

/* A future that nobody but its promise's pair owns, and that has ended. */
static inline eddy_future *ended_with(int64_t result) {
    struct pair pair = pair_new();
    CHECK_OK(eddy_promise_resolve(pair.promise, result));
    eddy_promise_free(pair.promise);
    return pair.future;
}

/* ---- many pairs ------------------------------------------------------------------------------ */

/* More than a waiter keeps on its stack. */
#define MANY 100

struct pairs {
    struct pair pair[MANY];
    eddy_future *fs[MANY];
    size_t count;
};

static inline void pairs_new(struct pairs *pairs, size_t count) {
    pairs->count = count;
    for (size_t i = 0; i < count; i++) {
        pairs->pair[i] = pair_new();
        pairs->fs[i] = pairs->pair[i].future;
    }
}

static inline void pairs_free(struct pairs *pairs) {
    for (size_t i = 0; i < pairs->count; i++) {
        pair_free(&pairs->pair[i]);
    }
}

static inline void resolve(struct pairs *pairs, size_t index, int64_t result) {
    CHECK_OK(eddy_promise_resolve(pairs->pair[index].promise, result));
}

/* On a thread: resolves one after the other, as the script says. */
struct script {
    struct pairs *pairs;
    struct {
        size_t index;
        int64_t result;
    } steps[8];
    size_t count;
};

static inline void *play(void *arg) {
    struct script *script = arg;
    for (size_t i = 0; i < script->count; i++) {
        resolve(script->pairs, script->steps[i].index, script->steps[i].result);
    }
    return NULL;
}

/* ---- a second loop --------------------------------------------------------------------------- */

struct other_loop {
    pthread_t thread;
    eddy_loop *loop;
    struct pair ready; /* its loop runs */
    struct pair stop;  /* it may end */
};

static inline int64_t other_loop_main(void *arg) {
    struct other_loop *other = arg;
    CHECK_OK(eddy_promise_resolve(other->ready.promise, 0));
    return eddy_await(other->stop.future);
}

static inline void *other_loop_thread(void *arg) {
    struct other_loop *other = arg;
    CHECK_OK(eddy_loop_new(NULL, &other->loop));
    CHECK_OK(eddy_loop_call(other->loop, other_loop_main, other));
    eddy_loop_free(other->loop);
    return NULL;
}

/* From a task or from a plain thread; returns when the loop runs. */
static inline void other_loop_start(struct other_loop *other) {
    other->ready = pair_new();
    other->stop = pair_new();
    other->thread = thread_start(other_loop_thread, other);
    CHECK_OK(eddy_await(other->ready.future));
}

static inline void other_loop_stop(struct other_loop *other) {
    CHECK_OK(eddy_promise_resolve(other->stop.promise, 0));
    thread_join(other->thread);
    pair_free(&other->ready);
    pair_free(&other->stop);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static inline int64_t give_back(void *arg) {
    return *(const int64_t *)arg;
}

/* A task that gives `value`. */
static inline eddy_future *start_value(int64_t value) {
    return eddy_task_start(give_back, &value, sizeof value);
}

static inline int64_t sleep_for_ever(void *arg) {
    (void)arg;
    return eddy_sleep(EDDY_NEVER);
}

/* Sleeps until it is cancelled, then adds one to the counter. */
static inline int64_t count_cancel(void *arg) {
    int r = eddy_sleep(EDDY_NEVER);
    if (r == -ECANCELED) {
        atomic_fetch_add((_Atomic int *)arg, 1);
    }
    return r;
}

#endif
