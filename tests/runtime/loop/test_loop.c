/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's turn and sleep. Tasks, timers and drivers meet it in their own tests. */
#include <pthread.h>
#include <string.h>

#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/loop/loop_impl.h>
#include <eddy/runtime/sync/event.h>
#include <eddy/runtime/task/task.h>

#include "test.h"

static struct {
    bool (*idle)(eddy_loop *loop);
    eddy_loop *loop;
    eddy_event arrived;
    bool posted;
} late;

static void arrive(void *arg) {
    (void)arg;
    eddy_event_set(&late.arrived);
}

static void *post(void *arg) {
    (void)arg;
    CHECK_OK(eddy_loop_post(late.loop, arrive, NULL));
    return NULL;
}

/* The loop has looked for what other threads queued, and has not yet said that it sleeps. */
static bool post_and_idle(eddy_loop *loop) {
    if (!late.posted) {
        pthread_t thread;
        late.posted = true;
        CHECK_EQ(pthread_create(&thread, NULL, post, NULL), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    return late.idle(loop);
}

LOOP_TEST(what_is_posted_between_the_last_look_and_the_sleep_is_not_slept_over) {
    late.loop = eddy_loop_current();
    late.idle = late.loop->tasks_idle;
    late.loop->tasks_idle = post_and_idle;
    CHECK_EQ(eddy_event_wait(&late.arrived), 0); /* no timer and no operation would end the sleep */
    CHECK(late.posted);
    late.loop->tasks_idle = late.idle;
}

/* ---- the budget ------------------------------------------------------------------------------ */

static uint64_t last_turn;
static int in_turn;
static int most_in_turn;

static void count_item(void *arg) {
    const eddy_loop *loop = arg;
    in_turn = loop->turns == last_turn ? in_turn + 1 : 1;
    last_turn = loop->turns;
    most_in_turn = in_turn > most_in_turn ? in_turn : most_in_turn;
}

TEST(options_out_of_range_are_refused_on_every_driver) {
    const eddy_loop_opts bad[] = {
        {.stack_size_bytes = SIZE_MAX}, {.stack_size_bytes = ((size_t)1 << 30) + 1},
        {.sq_entries = UINT32_MAX},     {.sq_entries = 32769},
        {.cq_entries = 65537},
    };
    eddy_loop *loop;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_ERR(eddy_loop_new(&bad[i], &loop), -EINVAL);
    }
    CHECK_ERR(eddy_loop_new(NULL, NULL), -EINVAL);
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.stack_size_bytes = (size_t)1 << 30}, &loop));
    eddy_loop_free(loop);
}

TEST(a_turn_runs_no_more_items_than_its_budget) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    /* Whatever length the last slice had, which hangs on what ran in it. */
    for (int slice = 1; slice <= EDDYI_LOOP_SLICE_CALLS; slice++) {
        loop->slice = slice;
        for (int i = 0; i < 3 * EDDYI_LOOP_TURN_CALLS; i++) {
            CHECK_OK(eddy_loop_post(loop, count_item, loop));
        }
        CHECK_OK(eddy_loop_run(loop));
        CHECK(most_in_turn <= EDDYI_LOOP_TURN_CALLS); /* or the time ended it before */
    }
    eddy_loop_free(loop);
}

/* ---- stop ------------------------------------------------------------------------------------ */

static int arrivals;

static void count_arrival(void *arg) {
    (void)arg;
    arrivals++;
}

/* Twice, as soon as the loop runs, and without memory. */
static void *post_and_stop(void *arg) {
    CHECK_OK(eddy_loop_post(arg, count_arrival, NULL));
    eddy_memory_fail_at(1, true);
    eddy_loop_stop(arg);
    eddy_loop_stop(arg);
    CHECK_EQ(eddy_memory_fail_at(0, false), 0);
    return NULL;
}

static pthread_t stopper;

static int64_t sleep_until_cancelled(void *arg) {
    if (arg != NULL) {
        CHECK_EQ(pthread_create(&stopper, NULL, post_and_stop, arg), 0);
    }
    return eddy_sleep(EDDY_NEVER);
}

TEST(a_loop_is_stopped_from_another_thread_without_memory) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    for (int round = 1; round <= 20; round++) {
        CHECK_ERR(eddy_loop_call(loop, sleep_until_cancelled, loop), -ECANCELED);
        CHECK_EQ(pthread_join(stopper, NULL), 0);
        CHECK_EQ(arrivals, round);
        /* Before the loop runs: then it does one turn. */
        CHECK_EQ(pthread_create(&stopper, NULL, post_and_stop, loop), 0);
        CHECK_EQ(pthread_join(stopper, NULL), 0);
        CHECK_OK(eddy_spawn_on(loop, sleep_until_cancelled, NULL, 0));
        CHECK_EQ(eddy_loop_run(loop), 1);
        arrivals--;
    }
    eddy_loop_free(loop);
}

/* ---- order ----------------------------------------------------------------------------------- */

static char order[8];

static void note_letter(void *letter) {
    order[strlen(order)] = *(const char *)letter;
}

TEST(what_is_posted_runs_in_the_order_of_posting) {
    static char letters[] = "abcdefg";
    if (strcmp(test_driver(), "sim") == 0) {
        SKIP("the simulation shuffles what is ready");
    }
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    for (size_t i = 0; i < sizeof letters - 1; i++) {
        CHECK_OK(eddy_loop_post(loop, note_letter, &letters[i]));
    }
    CHECK_OK(eddy_loop_run(loop));
    CHECK_STR(order, letters);
    eddy_loop_free(loop);
}
