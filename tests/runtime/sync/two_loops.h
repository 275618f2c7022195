/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a task on a loop of another thread while the case goes on: for what works across loops. */
#ifndef EDDY_TESTS_TWO_LOOPS_H
#define EDDY_TESTS_TWO_LOOPS_H

#include <pthread.h>

#include <eddy/runtime/task/task.h>

#include "test.h"

struct other_loop {
    pthread_t thread;
    eddy_task_fn fn;
    void *arg;
    int64_t result;
};

static inline void *other_loop_run(void *arg) {
    struct other_loop *other = arg;
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    other->result = eddy_loop_call(loop, other->fn, other->arg);
    eddy_loop_free(loop);
    return NULL;
}

static inline void other_loop_start(struct other_loop *other, eddy_task_fn fn, void *arg) {
    other->fn = fn;
    other->arg = arg;
    CHECK_EQ(pthread_create(&other->thread, NULL, other_loop_run, other), 0);
}

/* Outside of tasks only: it blocks the thread. */
static inline int64_t other_loop_join(struct other_loop *other) {
    CHECK_EQ(pthread_join(other->thread, NULL), 0);
    return other->result;
}

#endif
