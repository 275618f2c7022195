/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/futures/future.h>

#include <eddy/futures/combine.h>
#include <eddy/runtime/loop/cell_impl.h>

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <eddy/runtime/base/memory.h>
#include "helpers.h"

/* ---- awaiting -------------------------------------------------------------------------------- */

static void *resolve_with_seven(void *promise) {
    CHECK_OK(eddy_promise_resolve(promise, 7));
    return NULL;
}

TEST(await_on_a_plain_thread_blocks_until_the_end) {
    struct pair pair = pair_new();
    pthread_t thread = thread_start(resolve_with_seven, pair.promise);
    CHECK_EQ(eddy_await(pair.future), 7);
    CHECK_EQ(eddy_await(pair.future), 7); /* consumes nothing */
    thread_join(thread);
    pair_free(&pair);
}

static void *await_it(void *future) {
    CHECK_EQ(eddy_await(future), 7);
    return NULL;
}

TEST(many_threads_may_await_one_future) {
    struct pair pair = pair_new();
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        threads[i] = thread_start(await_it, pair.future);
    }
    CHECK_OK(eddy_promise_resolve(pair.promise, 7));
    for (int i = 0; i < 8; i++) {
        thread_join(threads[i]);
    }
    pair_free(&pair);
}

TEST(null_is_refused_or_harmless) {
    CHECK_ERR(eddy_await(NULL), -EINVAL);
    CHECK_ERR(eddy_future_wait(NULL, 5), -EINVAL);
    CHECK_ERR(eddy_future_wait(NULL, EDDY_ZERO), -EINVAL);
    CHECK(!eddy_future_done(NULL));
    CHECK(!eddy_future_cancelled(NULL));
    CHECK_ERR(eddy_future_result(NULL), -EINVAL);
    CHECK_ERR(eddy_future_cancel(NULL), -EINVAL);
    CHECK_PTR_EQ(eddy_future_payload(NULL, NULL), NULL);
    CHECK_ERR(eddy_future_take(NULL, NULL), -EINVAL);
    CHECK_ERR(eddy_future_take_payload(NULL, NULL, NULL), -EINVAL);
    CHECK_ERR(eddy_future_callback(NULL, NULL, NULL), -EINVAL);
    CHECK_PTR_EQ(eddy_future_release(NULL), NULL);
    eddy_future *failed = eddy_future_then(NULL, NULL, NULL);
    CHECK_ERR(eddy_future_result(failed), -EINVAL);
    eddy_future_release(failed);
}

TEST(a_pending_future_says_so) {
    struct pair pair = pair_new();
    size_t len = 1;
    eddy_buffer buffer = {0};
    void *payload;
    CHECK(!eddy_future_done(pair.future));
    CHECK(!eddy_future_cancelled(pair.future));
    CHECK_ERR(eddy_future_result(pair.future), -EINPROGRESS);
    CHECK_ERR(eddy_future_wait(pair.future, EDDY_ZERO), -EINPROGRESS);
    CHECK_ERR(eddy_future_wait(pair.future, 0), -EINPROGRESS);
    CHECK_ERR(eddy_future_wait(pair.future, 1), -EINPROGRESS);
    CHECK_ERR(eddy_future_take(pair.future, &buffer), -EINPROGRESS);
    CHECK_ERR(eddy_future_take_payload(pair.future, &payload, NULL), -EINPROGRESS);
    CHECK_PTR_EQ(eddy_future_payload(pair.future, &len), NULL);
    CHECK_EQ(len, 0);
    CHECK_OK(eddy_promise_resolve(pair.promise, 0));
    CHECK(eddy_future_done(pair.future));
    CHECK_EQ(eddy_future_wait(pair.future, EDDY_ZERO), 0);
    CHECK_EQ(eddy_future_wait(pair.future, EDDY_NEVER), 0);
    CHECK_EQ(eddy_future_wait(pair.future, EDDY_S), 0);
    pair_free(&pair);
}

LOOP_TEST(await_in_a_task_suspends_and_gives_the_result) {
    CHECK_EQ(eddy_await(start_value(42)), 42);
    CHECK_EQ(eddy_await(start_value(-EIO)), -EIO);
}

LOOP_TEST(a_task_awaits_what_a_thread_resolves) {
    struct pair pair = pair_new();
    pthread_t thread = thread_start(resolve_with_seven, pair.promise);
    CHECK_EQ(eddy_await(pair.future), 7);
    thread_join(thread);
    pair_free(&pair);
}

static int64_t await_itself(void *arg) {
    return eddy_await(*(eddy_future **)arg);
}

LOOP_TEST(a_task_that_awaits_itself_is_told) {
    eddy_future *self = NULL;
    self = eddy_task_start(await_itself, &self, 0);
    CHECK_ERR(eddy_await(self), -EDEADLK);
}

static int64_t wait_for_itself(void *arg) {
    return eddy_future_wait(*(eddy_future **)arg, EDDY_S);
}

LOOP_TEST(a_task_that_waits_for_itself_with_a_timeout_is_told) {
    eddy_future *self = NULL;
    self = eddy_task_start(wait_for_itself, &self, 0);
    CHECK_ERR(eddy_await(self), -EDEADLK);
}

LOOP_TEST(a_deadline_ends_the_await_and_not_the_future) {
    struct pair pair = pair_new();
    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_ERR(eddy_await(pair.future), -ETIME);
    CHECK(!eddy_future_done(pair.future));
    CHECK(!eddy_promise_cancelled(pair.promise));
    CHECK_OK(eddy_promise_resolve(pair.promise, 3));
    CHECK_ERR(eddy_await(pair.future), -ETIME); /* sticky, although it has ended */
    CHECK_ERR(eddy_future_wait(pair.future, EDDY_ZERO), -ETIME);
    CHECK_EQ(eddy_future_result(pair.future), 3);
    eddy_scope_leave(&s, 0);
    CHECK_EQ(eddy_await(pair.future), 3);
    pair_free(&pair);
}

LOOP_TEST(a_timeout_in_a_task_is_einprogress_and_leaves_the_task_alone) {
    struct pair pair = pair_new();
    int64_t before = eddy_loop_now(eddy_loop_current());
    CHECK_ERR(eddy_future_wait(pair.future, 2 * EDDY_MS), -EINPROGRESS);
    CHECK(eddy_loop_now(eddy_loop_current()) - before >= 2 * EDDY_MS);
    CHECK_OK(eddy_checkpoint());
    CHECK_OK(eddy_promise_resolve(pair.promise, 9));
    CHECK_EQ(eddy_future_wait(pair.future, 2 * EDDY_MS), 9);
    pair_free(&pair);
}

LOOP_TEST(an_end_before_the_timeout_wins) {
    eddy_future *f = eddy_sleep_start(EDDY_MS);
    CHECK_EQ(eddy_future_wait(f, 10 * EDDY_S), 0);
}

/* ---- where nothing can wait ------------------------------------------------------------------ */

struct deadlock_case {
    eddy_future *pending;
    eddy_future *ended;
    eddy_promise *over;
};

static void wait_in_a_post(void *arg) {
    struct deadlock_case *c = arg;
    CHECK_ERR(eddy_await(c->pending), -EDEADLK);
    CHECK_ERR(eddy_future_wait(c->pending, EDDY_S), -EDEADLK);
    CHECK_ERR(eddy_future_wait(c->pending, EDDY_ZERO), -EINPROGRESS);
    CHECK_EQ(eddy_await(c->ended), 5);
    CHECK_EQ(eddy_future_wait(c->ended, EDDY_S), 5);
    CHECK_OK(eddy_promise_resolve(c->over, 0));
}

LOOP_TEST(a_loops_thread_outside_of_tasks_gets_edeadlk) {
    struct pair pending = pair_new();
    struct pair over = pair_new();
    struct deadlock_case c = {pending.future, ended_with(5), over.promise};
    CHECK_OK(eddy_loop_post(eddy_loop_current(), wait_in_a_post, &c));
    CHECK_OK(eddy_await(over.future));
    pair_free(&pending);
    pair_free(&over);
    eddy_future_release(c.ended);
}

TEST(a_thread_that_polls_the_loop_it_waits_for_gets_edeadlk) {
    eddy_loop *loop;
    int64_t value = 4;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_OK(eddy_loop_poll(loop));
    eddy_future *f = eddy_task_start_on(loop, give_back, &value, sizeof value);
    CHECK_ERR(eddy_await(f), -EDEADLK);
    CHECK_ERR(eddy_future_wait(f, EDDY_S), -EDEADLK);
    CHECK_OK(eddy_loop_run(loop));
    CHECK_EQ(eddy_await(f), 4);
    eddy_future_release(f);
    eddy_loop_free(loop);
}

TEST(in_a_forked_child_a_loops_future_gives_eforked) {
    eddy_loop *loop;
    int64_t value = 4;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    eddy_future *f = eddy_task_start_on(loop, give_back, &value, sizeof value);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20); /* nobody else would end it if it hung */
        CHECK_ERR(eddy_await(f), EDDY_EFORKED);
        eddy_future_release(f); /* does not wait */
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_OK(eddy_loop_run(loop));
    CHECK_EQ(eddy_await(f), 4);
    eddy_future_release(f);
    eddy_loop_free(loop);
}

/* ---- cancel ---------------------------------------------------------------------------------- */

LOOP_TEST(cancel_asks_and_the_future_ends_with_its_own_result) {
    _Atomic int cancels = 0;
    eddy_future *f = eddy_task_start(count_cancel, &cancels, 0);
    CHECK_OK(eddy_yield()); /* it sleeps now */
    CHECK_OK(eddy_future_cancel(f));
    CHECK_OK(eddy_future_cancel(f)); /* again is fine */
    CHECK(!eddy_future_done(f));
    CHECK_ERR(eddy_await(f), -ECANCELED);
    CHECK(eddy_future_cancelled(f));
    CHECK_EQ(cancels, 1);
    CHECK_ERR(eddy_future_cancel(f), -EALREADY);
}

LOOP_TEST(a_task_that_is_cancelled_before_its_first_turn_begins_and_sees_the_cancel) {
    _Atomic int cancels = 0;
    eddy_future *f = eddy_task_start(count_cancel, &cancels, 0);
    CHECK_OK(eddy_future_cancel(f));
    CHECK_ERR(eddy_await(f), -ECANCELED);
    CHECK_EQ(cancels, 1);
}

static int64_t ignore_cancel(void *arg) {
    (void)arg;
    eddy_sleep(EDDY_NEVER);
    return 11;
}

LOOP_TEST(a_future_that_succeeds_in_spite_of_a_cancel_was_not_cancelled) {
    eddy_future *f = eddy_task_start(ignore_cancel, NULL, 0);
    CHECK_OK(eddy_future_cancel(f));
    CHECK_EQ(eddy_await(f), 11);
    CHECK(!eddy_future_cancelled(f));
}

static void *cancel_it(void *future) {
    CHECK_OK(eddy_future_cancel(future));
    return NULL;
}

LOOP_TEST(cancel_from_a_thread_reaches_the_task) {
    _Atomic int cancels = 0;
    eddy_future *f = eddy_task_start(count_cancel, &cancels, 0);
    pthread_t thread = thread_start(cancel_it, f);
    CHECK_ERR(eddy_await(f), -ECANCELED);
    thread_join(thread);
    CHECK_EQ(cancels, 1);
}

static int64_t await_with_no_memory(void *arg) {
    eddy_memory_fail_at(1, true);
    int64_t r = eddy_await(arg);
    CHECK_EQ(eddy_memory_fail_at(0, false), 0); /* not one was asked for */
    return r;
}

LOOP_TEST(await_allocates_nothing) {
    eddy_future *f = eddy_sleep_start(EDDY_MS);
    CHECK_EQ(await_with_no_memory(f), 0);
}

TEST(await_on_a_thread_allocates_nothing) {
    struct pair pair = pair_new();
    pthread_t thread = thread_start(resolve_with_seven, pair.promise);
    CHECK_EQ(await_with_no_memory(pair.future), 7);
    thread_join(thread);
    pair_free(&pair);
}

/* ---- payloads -------------------------------------------------------------------------------- */

static int disposals;

static void dispose(void *payload) {
    (void)payload;
    disposals++;
}

TEST(bytes_from_eddys_memory_are_moved) {
    struct pair pair = pair_new();
    eddy_buffer in = {0};
    eddy_buffer out = {0};
    size_t len;
    CHECK_OK(eddy_buffer_append(&in, "hello", 5));
    char *data = in.data;
    CHECK_OK(eddy_promise_resolve_buffer(pair.promise, 1, &in));
    CHECK_PTR_EQ(in.data, NULL);
    CHECK_PTR_EQ(eddy_future_payload(pair.future, &len), data);
    CHECK_EQ(len, 5);
    CHECK_EQ(eddy_future_take(pair.future, &out), 1);
    CHECK_PTR_EQ(out.data, data);
    CHECK_BYTES(out.data, out.len, "hello", 5);
    CHECK_OK(eddy_buffer_append(&out, " again", 6)); /* a buffer like any other */
    CHECK_ERR(eddy_future_take(pair.future, &out), EDDY_ERELEASED);
    CHECK_PTR_EQ(eddy_future_payload(pair.future, &len), NULL);
    eddy_buffer_done(&out);
    pair_free(&pair);
}

TEST(bytes_from_elsewhere_are_copied_and_disposed_of) {
    struct pair pair = pair_new();
    static char data[] = "static";
    eddy_buffer out = {0};
    CHECK_OK(eddy_promise_resolve_payload(pair.promise, 2, data, 6, dispose));
    eddy_memory_fail_at(1, false);
    CHECK_ERR(eddy_future_take(pair.future, &out), -ENOMEM);
    eddy_memory_fail_at(0, false);
    CHECK_PTR_EQ(eddy_future_payload(pair.future, NULL), data); /* still there */
    CHECK_EQ(disposals, 0);
    CHECK_EQ(eddy_future_take(pair.future, &out), 2);
    CHECK_EQ(disposals, 1);
    CHECK_BYTES(out.data, out.len, "static", 6);
    eddy_buffer_done(&out);
    pair_free(&pair);
    CHECK_EQ(disposals, 1);
}

TEST(an_object_is_taken_as_it_is) {
    struct pair pair = pair_new();
    int object;
    void *taken;
    size_t len = 9;
    CHECK_OK(eddy_promise_resolve_payload(pair.promise, 0, &object, 0, dispose));
    CHECK_EQ(eddy_future_take_payload(pair.future, &taken, &len), 0);
    CHECK_PTR_EQ(taken, &object);
    CHECK_EQ(len, 0);
    CHECK_ERR(eddy_future_take_payload(pair.future, &taken, &len), EDDY_ERELEASED);
    pair_free(&pair);
    CHECK_EQ(disposals, 0);
}

TEST(a_payload_that_nobody_took_is_disposed_of) {
    struct pair pair = pair_new();
    CHECK_OK(eddy_promise_resolve_payload(pair.promise, 0, &pair, 0, dispose));
    pair_free(&pair);
    CHECK_EQ(disposals, 1);
}

TEST(a_future_without_a_payload_gives_an_empty_one) {
    eddy_future *f = ended_with(3);
    eddy_buffer out = {.len = 7};
    void *taken = &out;
    CHECK_EQ(eddy_future_take(f, &out), 3);
    CHECK_EQ(out.len, 0);
    CHECK_EQ(eddy_future_take(f, &out), 3);
    CHECK_EQ(eddy_future_take_payload(f, &taken, NULL), 3);
    CHECK_PTR_EQ(taken, NULL);
    eddy_future_release(f);
}

TEST(what_a_failed_future_carries_can_be_seen_but_not_taken) {
    struct pair pair = pair_new();
    eddy_buffer out = {.len = 7};
    static char partial[] = "partial";
    size_t len;
    CHECK_OK(eddy_promise_resolve_payload(pair.promise, -EPIPE, partial, 7, NULL));
    CHECK_ERR(eddy_future_take(pair.future, &out), -EPIPE);
    CHECK_EQ(out.len, 7); /* not written */
    const char *payload = eddy_future_payload(pair.future, &len);
    CHECK_BYTES(payload, len, "partial", 7);
    pair_free(&pair);
}

/* ---- release --------------------------------------------------------------------------------- */

LOOP_TEST(release_of_a_pending_future_cancels_and_waits) {
    _Atomic int cancels = 0;
    eddy_future *f = eddy_task_start(count_cancel, &cancels, 0);
    CHECK_OK(eddy_yield());
    CHECK_PTR_EQ(eddy_future_release(f), NULL);
    CHECK_EQ(cancels, 1);
}

LOOP_TEST(release_in_a_cancelled_scope_waits_all_the_same) {
    _Atomic int cancels = 0;
    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, NULL));
    eddy_future *f = eddy_task_start(count_cancel, &cancels, 0);
    CHECK_OK(eddy_yield());
    CHECK_OK(eddy_scope_cancel(&s));
    eddy_future_release(f);
    CHECK_EQ(cancels, 1);
    eddy_scope_leave(&s, 0);
}

LOOP_TEST(a_scope_releases_what_was_started_in_it) {
    _Atomic int cancels = 0;
    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, NULL));
    eddy_task_start(count_cancel, &cancels, 0);
    start_value(3);
    CHECK_OK(eddy_yield());
    CHECK_EQ(eddy_scope_leave(&s, 8), 8);
    CHECK_EQ(cancels, 1);
}

static int64_t takes_over(void *arg) {
    int *owned = arg;
    *owned = 0;
    return -EIO;
}

LOOP_TEST(a_future_that_has_ended_when_its_start_returns_never_ran) {
    int owned = 1;
    eddy_future *f = eddy_task_start(takes_over, &owned, 0);
    CHECK(!eddy_future_done(f));
    CHECK_ERR(eddy_await(f), -EIO);
    CHECK_EQ(owned, 0);

    owned = 1;
    eddy_memory_fail_at(1, false);
    f = eddy_task_start(takes_over, &owned, 0);
    eddy_memory_fail_at(0, false);
    CHECK(eddy_future_done(f));
    CHECK_ERR(eddy_future_result(f), -ENOMEM);

    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, NULL));
    CHECK_OK(eddy_scope_cancel(&s));
    f = eddy_task_start(takes_over, &owned, 0);
    CHECK(eddy_future_done(f));
    CHECK_ERR(eddy_future_result(f), -ECANCELED);
    CHECK_EQ(eddy_scope_leave(&s, 0), 0);
    CHECK_OK(eddy_yield());
    CHECK_EQ(owned, 1);
}

LOOP_TEST(a_released_future_is_out_of_its_scope) {
    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, NULL));
    for (int i = 0; i < 10; i++) {
        eddy_future *f = start_value(i);
        CHECK_EQ(eddy_await(f), i);
        eddy_future_release(f);
    }
    CHECK_EQ(eddy_scope_leave(&s, 0), 0);
}

LOOP_TEST(auto_releases_at_the_end_of_its_block) {
    _Atomic int cancels = 0;
    {
        EDDY_AUTO(eddy_future) *f = eddy_task_start(count_cancel, &cancels, 0);
        CHECK_OK(eddy_yield());
        CHECK(!eddy_future_done(f));
    }
    CHECK_EQ(cancels, 1);
}

struct release_case {
    eddy_future *f;
    eddy_promise *over;
};

static void *release_it(void *arg) {
    struct release_case *c = arg;
    eddy_future_release(c->f);
    CHECK_OK(eddy_promise_resolve(c->over, 0));
    return NULL;
}

static void release_on_a_thread(eddy_future *f) {
    struct pair over = pair_new();
    struct release_case c = {f, over.promise};
    pthread_t thread = thread_start(release_it, &c);
    CHECK_OK(eddy_await(over.future));
    thread_join(thread);
    pair_free(&over);
}

LOOP_TEST(a_scopes_future_may_be_released_on_a_foreign_thread) {
    _Atomic int cancels = 0;
    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, NULL));
    eddy_future *ended = start_value(1);
    CHECK_EQ(eddy_await(ended), 1);
    release_on_a_thread(ended);
    release_on_a_thread(eddy_task_start(count_cancel, &cancels, 0));
    CHECK_EQ(eddy_scope_leave(&s, 0), 0);
    CHECK_EQ(cancels <= 1, 1); /* cancelled before it ran, it never sleeps */
}

LOOP_TEST(a_scope_may_end_before_the_foreign_release_has_arrived) {
    for (int i = 0; i < 20; i++) {
        struct pair over = pair_new();
        eddy_scope s;
        CHECK_OK(eddy_scope_enter(&s, NULL));
        struct release_case c = {start_value(1), over.promise};
        CHECK_EQ(eddy_await(c.f), 1);
        pthread_t thread = thread_start(release_it, &c);
        thread_join(thread); /* blocks the loop, so that the message is still under way */
        CHECK_EQ(eddy_scope_leave(&s, 0), 0);
        CHECK_OK(eddy_await(over.future));
        pair_free(&over);
    }
}

static void release_in_a_post(void *arg) {
    struct release_case *c = arg;
    eddy_future_release(c->f);
    CHECK_OK(eddy_promise_resolve(c->over, 0));
}

LOOP_TEST(release_where_nothing_can_wait_leaves_it_to_the_scope) {
    struct pair over = pair_new();
    _Atomic int cancels = 0;
    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, NULL));
    struct release_case c = {eddy_task_start(count_cancel, &cancels, 0), over.promise};
    CHECK_OK(eddy_yield());
    CHECK_OK(eddy_loop_post(eddy_loop_current(), release_in_a_post, &c));
    CHECK_OK(eddy_await(over.future));
    CHECK_EQ(eddy_scope_leave(&s, 0), 0);
    CHECK_EQ(cancels, 1);
    pair_free(&over);
}

static int64_t release_itself(void *arg) {
    eddy_future_release(*(eddy_future **)arg);
    return eddy_sleep(EDDY_NEVER);
}

LOOP_TEST(a_task_that_releases_itself_is_cancelled) {
    eddy_future *self = NULL;
    self = eddy_task_start(release_itself, &self, 0);
    CHECK_ERR(eddy_await(self), -ECANCELED); /* the scope still has it */
}

static int64_t release_a_sibling(void *arg) {
    eddy_future *sibling = arg;
    CHECK_ERR(eddy_sleep(EDDY_NEVER), -ECANCELED);
    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, &(eddy_scope_opts){.shield = true}));
    CHECK_ERR(eddy_await(sibling), -ECANCELED);
    CHECK_OK(eddy_sleep(EDDY_MS)); /* long after the scope's own wait for it */
    CHECK_ERR(eddy_future_result(sibling), -ECANCELED);
    eddy_future_release(sibling);
    return eddy_scope_leave(&s, 0);
}

LOOP_TEST(a_scopes_futures_stay_until_the_last_of_them_has_ended) {
    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, NULL));
    eddy_future *first = eddy_task_start(sleep_for_ever, NULL, 0);
    eddy_task_start(release_a_sibling, first, 0);
    CHECK_OK(eddy_yield());
    CHECK_EQ(eddy_scope_leave(&s, 0), 0);
}

/* ---- two loops ------------------------------------------------------------------------------- */

LOOP_TEST(a_task_awaits_a_task_of_another_loop) {
    struct other_loop other;
    other_loop_start(&other);
    int64_t value = 77;
    eddy_future *f = eddy_task_start_on(other.loop, give_back, &value, sizeof value);
    CHECK_EQ(eddy_await(f), 77);
    eddy_future_release(f);
    _Atomic int cancels = 0;
    f = eddy_task_start_on(other.loop, count_cancel, &cancels, 0);
    CHECK_ERR(eddy_future_wait(f, EDDY_MS), -EINPROGRESS);
    eddy_future_release(f);
    CHECK_EQ(cancels, 1);
    other_loop_stop(&other);
}

static int64_t release_there(void *arg) {
    struct release_case *c = arg;
    eddy_future_release(c->f);
    return 0;
}

LOOP_TEST(a_scopes_future_may_be_released_by_a_task_of_another_loop) {
    struct other_loop other;
    other_loop_start(&other);
    _Atomic int cancels = 0;
    struct release_case c = {eddy_task_start(count_cancel, &cancels, 0), NULL};
    CHECK_OK(eddy_yield());
    CHECK_EQ(eddy_await(eddy_task_start_on(other.loop, release_there, &c, 0)), 0);
    CHECK_EQ(cancels, 1);
    other_loop_stop(&other);
}

TEST(a_plain_thread_starts_awaits_and_releases_on_a_loop) {
    struct other_loop other;
    other_loop_start(&other);
    int64_t value = 5;
    _Atomic int cancels = 0;
    eddy_future *f = eddy_task_start_on(other.loop, give_back, &value, sizeof value);
    CHECK_EQ(eddy_await(f), 5);
    eddy_future_release(f);
    f = eddy_task_start_on(other.loop, count_cancel, &cancels, 0);
    CHECK_ERR(eddy_future_wait(f, EDDY_MS), -EINPROGRESS);
    eddy_future_release(f);
    CHECK_EQ(cancels, 1);
    other_loop_stop(&other);
}

static _Atomic bool released;

/* A loop that is bound to its thread and does not run, until it is told to. */
static void *keep_a_loop_idle(void *arg) {
    struct other_loop *other = arg;
    CHECK_OK(eddy_loop_new(NULL, &other->loop));
    CHECK_OK(eddy_loop_poll(other->loop));
    CHECK_OK(eddy_promise_resolve(other->ready.promise, 0));
    CHECK_OK(eddy_await(other->stop.future));
    CHECK_OK(eddy_loop_run(other->loop));
    while (!atomic_load(&released)) { /* a loop is freed after the futures of what ran on it */
        sched_yield();
    }
    eddy_loop_free(other->loop);
    return NULL;
}

TEST(release_waits_for_a_loop_that_does_not_run_until_it_does) {
    struct other_loop other = {.ready = pair_new(), .stop = pair_new()};
    _Atomic int cancels = 0;
    other.thread = thread_start(keep_a_loop_idle, &other);
    CHECK_OK(eddy_await(other.ready.future));
    eddy_future *f = eddy_task_start_on(other.loop, count_cancel, &cancels, 0);
    CHECK_ERR(eddy_future_wait(f, EDDY_MS), -EINPROGRESS);
    CHECK_OK(eddy_future_cancel(f));
    CHECK_EQ(cancels, 0);
    CHECK_OK(eddy_promise_resolve(other.stop.promise, 0));
    eddy_future_release(f);
    atomic_store(&released, true);
    CHECK_EQ(cancels, 1); /* the task has begun and ended: its argument is the caller's again */
    thread_join(other.thread);
    pair_free(&other.ready);
    pair_free(&other.stop);
}

/* ---- a cancel after a deadline --------------------------------------------------------------- */

struct codes {
    _Atomic int first;
    _Atomic int second;
};

static int64_t note_both_codes(void *arg) {
    struct codes *codes = arg;
    codes->first = eddy_sleep(EDDY_NEVER);
    int code;
    do {
        code = eddy_yield();
    } while (code == codes->first);
    codes->second = code;
    return code;
}

static void check_both_codes(eddy_loop *loop) {
    struct codes codes = {0};
    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    eddy_future *f = eddy_task_start_on(loop, note_both_codes, &codes, 0);
    while (codes.first == 0) {
        eddy_yield();
    }
    CHECK_OK(eddy_scope_cancel(&s));
    while (codes.second == 0) {
        eddy_yield();
    }
    CHECK_EQ(codes.first, -ETIME);
    CHECK_EQ(codes.second, -ECANCELED);
    while (!eddy_future_done(f)) {
        eddy_yield();
    }
    CHECK(eddy_future_cancelled(f));
    CHECK_EQ(eddy_scope_leave(&s, 0), 0);
}

LOOP_TEST(a_cancel_outranks_a_deadline_that_came_before_it_on_every_loop) {
    struct other_loop other;
    other_loop_start(&other);
    for (int i = 0; i < 20; i++) {
        check_both_codes(NULL);
        check_both_codes(other.loop);
    }
    other_loop_stop(&other);
}

static int64_t note_both_and_give_the_first(void *arg) {
    CHECK_ERR(note_both_codes(arg), -ECANCELED);
    return -ETIME;
}

LOOP_TEST(a_future_that_ends_with_its_deadline_is_cancelled_also_after_a_cancel) {
    struct codes codes = {0};
    eddy_future *f = eddy_task_start(note_both_and_give_the_first, &codes, 0);
    eddyi_cell_cancel(f, -ETIME);
    while (codes.first == 0) { /* in a seeded order it may take several turns */
        CHECK_OK(eddy_yield());
    }
    eddyi_cell_cancel(f, -ETIME); /* again is fine */
    CHECK_OK(eddy_future_cancel(f));
    eddyi_cell_cancel(f, -ETIME); /* and weaker by now */
    CHECK_ERR(eddy_await(f), -ETIME);
    CHECK(eddy_future_cancelled(f));
    f = eddy_sleep_start(EDDY_NEVER); /* ends at once, and is asked no second time */
    eddyi_cell_cancel(f, -ETIME);
    CHECK_ERR(eddy_await(f), -ETIME);
    CHECK_ERR(eddy_future_cancel(f), -EALREADY);
}

/* ---- failures that nobody looks at ----------------------------------------------------------- */

static int64_t pass_on(int64_t result, void *arg) {
    (void)arg;
    return result;
}

struct complaints {
    int count;
    int64_t error;
    char site[256];
    char name[32];
    pthread_t thread;
};

static void complain(int64_t error, const char *site, const char *name, void *ctx) {
    struct complaints *complaints = ctx;
    complaints->count++;
    complaints->error = error;
    complaints->thread = pthread_self();
    snprintf(complaints->site, sizeof complaints->site, "%s", site == NULL ? "" : site);
    snprintf(complaints->name, sizeof complaints->name, "%s", name == NULL ? "" : name);
}

static int64_t fail_with_a_name(void *arg) {
    (void)arg;
    eddy_task_name_set("careless");
    return -EPERM;
}

static eddy_loop *complaining_loop(struct complaints *complaints) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.on_unobserved = complain, .ctx = complaints}, &loop));
    return loop;
}

static int64_t ignore_failures(void *arg) {
    struct complaints *complaints = arg;
    eddy_scope s;

    CHECK_OK(eddy_scope_enter(&s, NULL));
    start_value(-EIO);
    CHECK_OK(eddy_yield());
    CHECK_EQ(eddy_scope_leave(&s, 0), 0);
    CHECK_EQ(complaints->count, 1); /* the scope let go of it */
    CHECK_ERR(complaints->error, -EIO);
    CHECK(strstr(complaints->site, "helpers.h:") != NULL);
    CHECK_STR(complaints->name, "");

    CHECK_OK(eddy_scope_enter(&s, NULL));
    eddy_task_start(fail_with_a_name, NULL, 0);
    CHECK_OK(eddy_yield());
    CHECK_EQ(eddy_scope_leave(&s, 0), 0);
    CHECK_EQ(complaints->count, 2);
    CHECK_STR(complaints->name, "careless");
    complaints->count = 1;

    eddy_future *f = start_value(-EPIPE);
    while (!eddy_future_done(f)) {
        CHECK_OK(eddy_yield());
    }
    eddy_future_release(f);
    CHECK_EQ(complaints->count, 2); /* we let go of it */
    CHECK_ERR(complaints->error, -EPIPE);

    f = ended_with(-EBADF);
    eddy_future_release(f);
    CHECK_EQ(complaints->count, 3); /* a promise has no loop of its own: this one is told */

    f = start_value(-EPIPE);
    CHECK_ERR(eddy_await(f), -EPIPE);
    eddy_future_release(f);
    f = ended_with(-EPIPE);
    CHECK_ERR(eddy_future_result(f), -EPIPE);
    eddy_future_release(f);
    f = start_value(-EPIPE);
    CHECK_EQ(eddy_await(eddy_future_then(f, pass_on, NULL)), -EPIPE);
    eddy_future_release(f);
    CHECK_EQ(complaints->count, 3); /* looked at */

    f = eddy_task_start(sleep_for_ever, NULL, 0);
    CHECK_OK(eddy_yield());
    eddy_future_release(f);
    eddy_future_release(ended_with(-ECANCELED));
    CHECK_EQ(complaints->count, 3); /* cancelled */

    eddy_future_release(start_value(5));
    CHECK_EQ(complaints->count, 3); /* no failure */
    return 0;
}

TEST(a_failure_that_nobody_looked_at_is_told_once) {
    struct complaints complaints = {0};
    eddy_loop *loop = complaining_loop(&complaints);
    CHECK_OK(eddy_loop_call(loop, ignore_failures, &complaints));
    eddy_loop_free(loop);
    CHECK_EQ(complaints.count, 3);
}

static void *release_unread(void *future) {
    while (!eddy_future_done(future)) {
        sched_yield();
    }
    eddy_future_release(future);
    return NULL;
}

static int64_t let_a_thread_release(void *arg) {
    (void)arg;
    eddy_scope s;
    CHECK_OK(eddy_scope_enter(&s, NULL));
    eddy_future *f = start_value(-EIO);
    while (!eddy_future_done(f)) {
        CHECK_OK(eddy_yield());
    }
    thread_join(thread_start(release_unread, f));
    CHECK_EQ(eddy_scope_leave(&s, 0), 0);
    return 0;
}

TEST(a_failure_released_on_a_foreign_thread_is_told_on_the_loops_own) {
    struct complaints complaints = {0};
    eddy_loop *loop = complaining_loop(&complaints);
    CHECK_OK(eddy_loop_call(loop, let_a_thread_release, NULL));
    CHECK_EQ(complaints.count, 1);
    CHECK(pthread_equal(complaints.thread, pthread_self()));
    int64_t value = -EIO;
    eddy_future *f = eddy_task_start_on(loop, give_back, &value, sizeof value);
    CHECK_OK(eddy_loop_run(loop));
    thread_join(thread_start(release_unread, f));
    CHECK_EQ(complaints.count, 1); /* not yet: that was another thread */
    eddy_loop_free(loop);
    CHECK_EQ(complaints.count, 2);
    CHECK(pthread_equal(complaints.thread, pthread_self()));
}

/* ---- a handle that is released before its end ------------------------------------------------ */

static void note_result(eddy_future *f, void *ret_result) {
    *(int64_t *)ret_result = eddy_future_result(f);
}

LOOP_TEST(of_a_sleep_that_nobody_waits_for_nothing_is_left_when_it_is_released) {
    eddy_loop *loop = eddyi_loop_here;
    int64_t blocks = eddy_memory_blocks();
    uint64_t live = loop->live;
    eddy_future *early = eddy_sleep_start(EDDY_S * 1000);
    eddy_future *late = eddy_sleep_start(EDDY_S * 2000);
    eddy_future *never = eddy_sleep_start(EDDY_NEVER);
    CHECK_EQ(loop->live, live + 3);
    eddy_future_release(late);
    eddy_future_release(never);
    CHECK(eddyi_timers_next(loop) != EDDY_NEVER);
    eddy_future_release(early);
    CHECK_EQ(eddyi_timers_next(loop), EDDY_NEVER);
    CHECK_EQ(loop->live, live);
    CHECK_EQ(eddy_memory_blocks(), blocks);
}

LOOP_TEST(whoever_waits_for_a_sleep_hears_of_its_release) {
    int64_t heard = 0;
    eddy_future *f = eddy_sleep_start(EDDY_S * 1000);
    CHECK_OK(eddy_future_callback(f, note_result, &heard));
    eddy_future_release(f);
    while (heard == 0) {
        CHECK_OK(eddy_yield());
    }
    CHECK_EQ(heard, -ECANCELED);

    f = eddy_sleep_start(EDDY_S * 1000);
    eddy_future *all = eddy_future_all(&f, 1);
    eddy_future_release(f);
    CHECK_EQ(eddy_await(all), -ECANCELED);
    eddy_future_release(all);
}
