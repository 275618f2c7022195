/* SPDX-License-Identifier: Apache-2.0 */
/* eddy_future_callback and eddy_future_then of <eddy/futures/future.h>. */
#include <eddy/futures/future.h>

#include <eddy/runtime/base/memory.h>
#include "helpers.h"

static void *resolve_with_seven(void *promise) {
    CHECK_OK(eddy_promise_resolve(promise, 7));
    return NULL;
}

/* ---- callbacks ------------------------------------------------------------------------------- */

struct trace {
    char text[64];
    size_t len;
    pthread_t thread; /* of the last one */
};

struct step {
    struct trace *trace;
    char letter;
};

static void trace_letter(struct trace *trace, char letter) {
    CHECK(trace->len < sizeof trace->text - 1);
    trace->text[trace->len++] = letter;
    trace->thread = pthread_self();
}

static void trace_step(eddy_future *f, void *arg) {
    struct step *step = arg;
    CHECK(eddy_future_done(f));
    trace_letter(step->trace, step->letter);
}

static struct step steps[26];

static void add_steps(eddy_future *f, struct trace *trace, const char *letters) {
    for (; *letters != '\0'; letters++) {
        struct step *step = &steps[*letters - 'a'];
        *step = (struct step){trace, *letters};
        CHECK_OK(eddy_future_callback(f, trace_step, step));
    }
}

TEST(without_a_loop_callbacks_run_in_order_on_the_completing_thread) {
    struct pair pair = pair_new();
    struct trace trace = {0};
    add_steps(pair.future, &trace, "abcdefgh");
    CHECK_STR(trace.text, "");
    pthread_t thread = thread_start(resolve_with_seven, pair.promise);
    thread_join(thread);
    CHECK_STR(trace.text, "abcdefgh");
    CHECK(!pthread_equal(trace.thread, pthread_self()));
    add_steps(pair.future, &trace, "i"); /* has ended: at once, here */
    CHECK_STR(trace.text, "abcdefghi");
    CHECK(pthread_equal(trace.thread, pthread_self()));
    pair_free(&pair);
}

LOOP_TEST(on_a_loop_callbacks_run_in_order_and_never_inside_of_the_call) {
    struct pair pair = pair_new();
    struct trace trace = {0};
    add_steps(pair.future, &trace, "abcdefgh");
    CHECK_OK(eddy_promise_resolve(pair.promise, 0));
    CHECK_STR(trace.text, "");
    add_steps(pair.future, &trace, "ijk"); /* between the end and their run */
    CHECK_STR(trace.text, "");
    while (trace.len == 0) {
        CHECK_OK(eddy_yield());
    }
    CHECK_STR(trace.text, "abcdefghijk");
    add_steps(pair.future, &trace, "lmn");
    CHECK_EQ(trace.len, 11);
    while (trace.len == 11) {
        CHECK_OK(eddy_yield());
    }
    CHECK_STR(trace.text, "abcdefghijklmn");
    pair_free(&pair);
}

LOOP_TEST(a_loops_callbacks_run_on_it_wherever_the_future_ends) {
    struct pair pair = pair_new();
    struct trace trace = {0};
    struct pair over = pair_new();
    add_steps(pair.future, &trace, "ab");
    pthread_t thread = thread_start(resolve_with_seven, pair.promise);
    thread_join(thread);
    CHECK_STR(trace.text, "");
    while (trace.len == 0) {
        CHECK_OK(eddy_yield());
    }
    CHECK_STR(trace.text, "ab");
    CHECK(pthread_equal(trace.thread, pthread_self()));
    pair_free(&pair);
    pair_free(&over);
}

struct add_more {
    struct trace *trace;
    int left;
};

static void trace_and_add(eddy_future *f, void *arg) {
    struct add_more *more = arg;
    trace_letter(more->trace, 'x');
    if (more->left-- > 0) {
        CHECK_OK(eddy_future_callback(f, trace_and_add, more));
    }
}

LOOP_TEST(a_callback_may_add_another_one) {
    struct pair pair = pair_new();
    struct trace trace = {0};
    struct add_more more = {&trace, 3};
    CHECK_OK(eddy_future_callback(pair.future, trace_and_add, &more));
    CHECK_OK(eddy_promise_resolve(pair.promise, 0));
    while (trace.len < 4) {
        CHECK_OK(eddy_yield());
    }
    pair_free(&pair);
}

static void check_result(eddy_future *f, void *arg) {
    CHECK_EQ(eddy_future_result(f), 6);
    *(bool *)arg = true;
}

LOOP_TEST(a_callback_may_use_the_future_although_its_handle_is_gone) {
    struct pair pair = pair_new();
    bool called = false;
    CHECK_OK(eddy_future_callback(pair.future, check_result, &called));
    CHECK_OK(eddy_promise_resolve(pair.promise, 6));
    pair_free(&pair);
    while (!called) {
        CHECK_OK(eddy_yield());
    }
}

static void note_task(eddy_future *f, void *arg) {
    (void)f;
    CHECK_ERR(eddy_yield(), EDDY_ENOTASK);
    *(bool *)arg = true;
}

static int64_t resolve_from_a_task(void *promise) {
    return eddy_promise_resolve(promise, 0);
}

TEST(without_a_loop_of_its_own_a_callback_runs_from_the_queue_of_the_completing_loop) {
    struct pair pair = pair_new();
    bool called = false;
    eddy_loop *loop;
    CHECK_OK(eddy_future_callback(pair.future, note_task, &called));
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_OK(eddy_loop_call(loop, resolve_from_a_task, pair.promise));
    CHECK_OK(eddy_loop_run(loop));
    CHECK(called);
    eddy_loop_free(loop);
    pair_free(&pair);
}

static int64_t leave_a_callback(void *arg) {
    struct trace *trace = arg;
    struct pair pair = pair_new();
    add_steps(pair.future, trace, "a");
    eddy_future_release(pair.future);
    eddy_promise_free(pair.promise);
    return 0;
}

TEST(a_loop_is_not_freed_before_its_callbacks_have_run) {
    struct trace trace = {0};
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_OK(eddy_loop_call(loop, leave_a_callback, &trace));
    eddy_loop_free(loop);
    CHECK_STR(trace.text, "a");
}

static int64_t wait_for_a_thread(void *arg) {
    struct pair *pair = arg;
    static bool called;
    CHECK_OK(eddy_future_callback(pair->future, check_result, &called));
    return 0;
}

static void *resolve_with_six(void *promise) {
    CHECK_OK(eddy_promise_resolve(promise, 6));
    return NULL;
}

TEST(run_goes_on_until_the_callbacks_of_the_loop_have_run) {
    struct pair pair = pair_new();
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_OK(eddy_loop_call(loop, wait_for_a_thread, &pair));
    pthread_t thread = thread_start(resolve_with_six, pair.promise);
    CHECK_OK(eddy_loop_run(loop));
    CHECK(eddy_future_done(pair.future));
    thread_join(thread);
    eddy_loop_free(loop);
    pair_free(&pair);
}

/* ---- then ------------------------------------------------------------------------------------ */

static int64_t double_it(int64_t result, void *arg) {
    (*(int *)arg)++;
    return result < 0 ? result : 2 * result;
}

LOOP_TEST(then_makes_a_result_of_a_result) {
    int calls = 0;
    eddy_future *f = eddy_future_then(start_value(21), double_it, &calls);
    CHECK_EQ(eddy_await(f), 42);
    f = eddy_future_then(eddy_future_then(f, double_it, &calls), double_it, &calls);
    CHECK_EQ(eddy_await(f), 168);
    CHECK_EQ(calls, 3);
}

static int64_t forgive(int64_t result, void *arg) {
    (void)arg;
    return result == -EIO ? 1 : result;
}

LOOP_TEST(then_is_given_failures_too) {
    int calls = 0;
    CHECK_EQ(eddy_await(eddy_future_then(start_value(-EIO), forgive, NULL)), 1);
    CHECK_ERR(eddy_await(eddy_future_then(start_value(-EPIPE), double_it, &calls)), -EPIPE);
    CHECK_EQ(calls, 1);
}

TEST(then_without_a_loop_runs_where_the_future_ends) {
    struct pair pair = pair_new();
    int calls = 0;
    eddy_future *f = eddy_future_then(pair.future, double_it, &calls);
    pthread_t thread = thread_start(resolve_with_seven, pair.promise);
    CHECK_EQ(eddy_await(f), 14);
    thread_join(thread);
    eddy_future_release(f);
    f = eddy_future_then(pair.future, double_it, &calls); /* has ended */
    CHECK(eddy_future_done(f));
    CHECK_EQ(eddy_future_result(f), 14);
    eddy_future_release(f);
    CHECK_EQ(calls, 2);
    pair_free(&pair);
}

LOOP_TEST(a_cancel_of_then_reaches_its_source_and_fn_is_called_all_the_same) {
    _Atomic int cancels = 0;
    int calls = 0;
    eddy_future *source = eddy_task_start(count_cancel, &cancels, 0);
    eddy_future *f = eddy_future_then(source, double_it, &calls);
    CHECK_OK(eddy_yield());
    CHECK_OK(eddy_future_cancel(f));
    CHECK_ERR(eddy_await(f), -ECANCELED);
    CHECK(eddy_future_cancelled(source));
    CHECK_EQ(cancels, 1);
    CHECK_EQ(calls, 1);
}

LOOP_TEST(a_scope_waits_for_the_then_that_it_owns) {
    int calls = 0;
    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, NULL));
    eddy_future_then(eddy_task_start(sleep_for_ever, NULL, 0), double_it, &calls);
    CHECK_EQ(eddy_scope_leave(&s, 0), 0);
    CHECK_EQ(calls, 1);
}

LOOP_TEST(callbacks_and_thens_share_one_order) {
    struct pair pair = pair_new();
    struct trace trace = {0};
    int calls = 0;
    add_steps(pair.future, &trace, "a");
    eddy_future *f = eddy_future_then(pair.future, double_it, &calls);
    add_steps(f, &trace, "c");
    add_steps(pair.future, &trace, "b");
    CHECK_OK(eddy_promise_resolve(pair.promise, 0));
    while (trace.len < 3) {
        CHECK_OK(eddy_yield());
    }
    CHECK_STR(trace.text, "abc");
    pair_free(&pair);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void set_called(eddy_future *f, void *arg) {
    (void)f;
    *(bool *)arg = true;
}

/* Sets *called when its callback has been called, or never will be. */
static int64_t use_futures(void *called) {
    eddy_promise *promise;
    eddy_future *f;
    int calls = 0;
    int64_t r = eddy_promise_new(&promise, &f);
    if (r < 0) {
        *(bool *)called = true;
        return r;
    }
    eddy_future *doubled = eddy_future_then(f, double_it, &calls);
    r = eddy_future_callback(f, set_called, called);
    if (r < 0) {
        *(bool *)called = true;
    }
    eddy_promise_resolve(promise, 4);
    eddy_promise_free(promise);
    int64_t result = eddy_await(doubled);
    CHECK(result == 8 || (result == -ENOMEM && calls == 0));
    eddy_future_release(doubled);
    eddy_future_release(f);
    return r < 0 ? r : result;
}

TEST(each_allocation_may_fail_on_a_thread) {
    bool called;
    CHECK(test_each_allocation_fails(use_futures, &called) > 6);
}

/* On a loop the callback comes later, and keeps the future until then. */
static int64_t use_futures_and_yield(void *arg) {
    (void)arg;
    bool called = false;
    int64_t r = use_futures(&called);
    while (!called) {
        CHECK_OK(eddy_yield());
    }
    return r;
}

LOOP_TEST(each_allocation_may_fail_in_a_task) {
    CHECK(test_each_allocation_fails(use_futures_and_yield, NULL) > 6);
}
