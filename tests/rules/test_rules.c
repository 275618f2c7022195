/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of behaviour that hold for the whole library, one case or more for each, on every
 * driver. The rooms' own tests go into the corners; here stands what a user may rely on without
 * knowing which room a call is from.
 */
#include <eddy/eddy.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

/* A connected pair over the driver's own TCP. */
struct pair {
    eddy_stream *near;
    eddy_stream *far;
};

static struct pair connect_pair(void) {
    struct pair pair;
    eddy_listener *listener;
    char text[EDDY_ADDRESS_TEXT_MAX];
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &listener));
    eddy_address address = eddy_listener_address(listener);
    CHECK_OK(eddy_address_format(&address, text, sizeof text));
    CHECK_OK(eddy_tcp_connect(text, NULL, &pair.near));
    CHECK_OK(eddy_listener_accept(listener, &pair.far));
    CHECK_OK(eddy_listener_close(listener));
    return pair;
}

static void close_pair(struct pair *pair) {
    CHECK_OK(eddy_stream_close(pair->near));
    CHECK_OK(eddy_stream_close(pair->far));
}

static int64_t fails(void *arg) {
    (void)arg;
    return -EIO;
}

static int64_t sleeps(void *arg) {
    (void)arg;
    return eddy_sleep(EDDY_NEVER);
}

/* ---- 1. results ------------------------------------------------------------------------------ */

LOOP_TEST(rule_01_errors_are_the_kernels_or_from_one_table_and_errno_is_left_alone) {
    eddy_stream *stream = NULL;
    errno = 4711;
    CHECK_ERR(eddy_tcp_connect("127.0.0.1:1", NULL, &stream), -ECONNREFUSED);
    CHECK(stream == NULL); /* outputs are written on success only */
    CHECK_ERR(eddy_tcp_connect("nonsense", NULL, &stream), EDDY_EADDRESS);
    CHECK(strlen(eddy_error_detail()) > 0);
    CHECK_STR(eddy_error_name(EDDY_EADDRESS), "EDDY_EADDRESS");
    CHECK_STR(eddy_error_name(-ECONNREFUSED), "ECONNREFUSED");
}

LOOP_TEST(rule_01_what_returns_a_future_never_returns_null) {
    eddy_future *failed = eddy_task_start(NULL, NULL, 0);
    CHECK(failed != NULL);
    CHECK_ERR(eddy_await(failed), -EINVAL);
}

/* ---- 2. buffers ------------------------------------------------------------------------------ */

static int64_t reads_into_its_stack(void *arg) {
    char buf[4096];
    memset(buf, 'x', sizeof buf);
    int64_t n = eddy_stream_read(arg, buf, sizeof buf);
    /* The kernel has let go: what comes later goes to another buffer. */
    memset(buf, 'y', sizeof buf);
    int r = eddy_yield();
    (void)r;
    for (size_t i = 0; i < sizeof buf; i++) {
        CHECK_EQ(buf[i], 'y');
    }
    return n;
}

LOOP_TEST(rule_02_a_stack_buffer_is_safe_after_a_cancel) {
    struct pair pair = connect_pair();
    eddy_scope scope;
    char buf[8];
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(reads_into_its_stack, pair.near, 0));
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_OK(eddy_stream_write(pair.far, "late", 4));
    CHECK_OK(eddy_stream_read_exact(pair.near, buf, 4)); /* not a byte went astray */
    CHECK_BYTES(buf, 4, "late", 4);
    close_pair(&pair);
}

/* ---- 3. two layers, one verb list ------------------------------------------------------------ */

LOOP_TEST(rule_03_try_never_suspends_and_start_gives_a_future) {
    struct pair pair = connect_pair();
    char buf[8];
    CHECK_ERR(eddy_stream_read_try(pair.near, buf, sizeof buf), -EAGAIN);
    eddy_future *read = eddy_stream_read_start(pair.near, buf, sizeof buf);
    CHECK_OK(eddy_stream_write(pair.far, "abc", 3));
    int64_t n = eddy_await(read);
    CHECK(n >= 1 && n <= 3);
    CHECK_BYTES(buf, (size_t)n, "abc", (size_t)n);
    close_pair(&pair);
}

TEST(rule_03_without_a_task_suspending_calls_say_so) {
    CHECK_ERR(eddy_sleep(1), EDDY_ENOTASK);
    CHECK_ERR(eddy_yield(), EDDY_ENOTASK);
    eddy_stream *stream;
    CHECK_ERR(eddy_tcp_connect("127.0.0.1:1", NULL, &stream), EDDY_ENOTASK);
}

/* ---- 4. structure ---------------------------------------------------------------------------- */

LOOP_TEST(rule_04_a_scope_ends_when_all_in_it_has_ended_and_gives_the_first_failure) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(sleeps, NULL, 0));
    CHECK_OK(eddy_spawn(fails, NULL, 0));
    CHECK_ERR(eddy_scope_leave(&scope, 0), -EIO);
    CHECK_EQ(eddy_scope_failure_count(&scope), 1);
}

static int unobserved;

static void on_unobserved(int64_t error, const char *site, const char *name, void *ctx) {
    (void)site;
    (void)name;
    (void)ctx;
    CHECK_EQ(error, -EIO);
    unobserved++;
}

static int64_t forgets_a_failure(void *arg) {
    (void)arg;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    eddy_future *failed = eddy_task_start(fails, NULL, 0);
    CHECK_OK(eddy_sleep(EDDY_MS));
    (void)failed;
    return eddy_scope_leave(&scope, 0);
}

TEST(rule_04_a_failure_that_nobody_observes_reaches_a_hook) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.on_unobserved = on_unobserved}, &loop));
    CHECK_OK(eddy_loop_call(loop, forgets_a_failure, NULL));
    eddy_loop_free(loop);
    CHECK_EQ(unobserved, 1);
}

/* Spawns one that fails and waits: gives what `arg` points to, or what the wait gave. */
static int64_t spawns_who_fails(void *arg) {
    CHECK_OK(eddy_spawn(fails, NULL, 0));
    int r = eddy_sleep(EDDY_NEVER);
    CHECK_ERR(r, -ECANCELED);
    return arg != NULL ? *(const int64_t *)arg : r;
}

/* The same, but has returned before the other begins. */
static int64_t leaves_a_failure(void *arg) {
    CHECK_OK(eddy_spawn(fails, NULL, 0));
    return arg != NULL ? *(const int64_t *)arg : 0;
}

LOOP_TEST(rule_04_a_tasks_result_is_the_failure_of_what_it_spawned) {
    int64_t results[] = {0, 7, -EPIPE};
    eddy_scope scope;
    for (size_t i = 0; i < 3; i++) {
        CHECK_ERR(eddy_await(eddy_task_start(spawns_who_fails, &results[i], 0)), -EIO);
        CHECK_EQ(eddy_await(eddy_task_start(leaves_a_failure, &results[i], 0)),
                 results[i] < 0 ? results[i] : -EIO);
    }
    CHECK_ERR(eddy_await(eddy_task_start(spawns_who_fails, NULL, 0)), -EIO);
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(spawns_who_fails, NULL, 0));
    CHECK_ERR(eddy_scope_leave(&scope, eddy_sleep(EDDY_NEVER)), -EIO);
    CHECK_EQ(eddy_scope_failure_count(&scope), 1);
    CHECK_EQ(eddy_scope_failure_at(&scope, 0)->error, -EIO);
}

TEST(rule_04_a_failure_below_a_task_of_the_loop_reaches_the_hook_or_the_caller) {
    eddy_loop *loop;
    int64_t well = 0;
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.on_unobserved = on_unobserved}, &loop));
    CHECK_OK(eddy_spawn_on(loop, fails, NULL, 0));
    CHECK_OK(eddy_loop_run(loop));
    CHECK_EQ(unobserved, 1);
    CHECK_OK(eddy_spawn_on(loop, spawns_who_fails, NULL, 0));
    CHECK_OK(eddy_spawn_on(loop, spawns_who_fails, &well, 0));
    CHECK_OK(eddy_spawn_on(loop, leaves_a_failure, NULL, 0));
    CHECK_OK(eddy_loop_run(loop));
    CHECK_EQ(unobserved, 4);
    CHECK_ERR(eddy_loop_call(loop, spawns_who_fails, NULL), -EIO);
    CHECK_ERR(eddy_loop_call(loop, leaves_a_failure, NULL), -EIO);
    CHECK_ERR(eddy_loop_call(loop, fails, NULL), -EIO);
    CHECK_EQ(unobserved, 4);
    eddy_loop_free(loop);
}

static int reported;

static int64_t reports(void *arg) {
    (void)arg;
    CHECK_OK(eddy_sleep(EDDY_MS));
    reported++;
    return 0;
}

static void spawns_a_report(int64_t error, const char *site, const char *name, void *ctx) {
    (void)site;
    (void)name;
    (void)ctx;
    CHECK_EQ(error, -EIO);
    CHECK_ERR(eddy_sleep(0), EDDY_ENOTASK);
    CHECK_OK(eddy_spawn(reports, NULL, 0));
}

TEST(rule_04_what_the_hook_spawns_is_the_loops_own) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.on_unobserved = spawns_a_report}, &loop));
    CHECK_OK(eddy_spawn_on(loop, fails, NULL, 0)); /* told from the task's end */
    CHECK_OK(eddy_loop_run(loop));
    CHECK_EQ(reported, 1);
    CHECK_OK(eddy_loop_call(loop, forgets_a_failure, NULL)); /* and from the end of its scope */
    CHECK_OK(eddy_loop_run(loop));
    CHECK_EQ(reported, 2);
    eddy_loop_free(loop);
}

/* ---- 5. cancellation ------------------------------------------------------------------------- */

LOOP_TEST(rule_05_a_cancel_is_sticky_checked_before_inline_attempts_and_never_stops_a_close) {
    struct pair pair = connect_pair();
    eddy_scope scope;
    char buf[8];
    CHECK_OK(eddy_stream_write(pair.far, "there", 5));
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_scope_cancel(&scope));
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(eddy_stream_read(pair.near, buf, sizeof buf), -ECANCELED);
        CHECK_ERR(eddy_stream_write(pair.near, buf, 1), -ECANCELED);
        CHECK_ERR(eddy_sleep(1), -ECANCELED);
    }
    close_pair(&pair);
    CHECK_OK(eddy_scope_leave(&scope, 0));
}

static int64_t reads_until_closed(void *arg) {
    char buf[8];
    CHECK_ERR(eddy_stream_read(arg, buf, sizeof buf), EDDY_ECLOSED);
    return 0;
}

LOOP_TEST(rule_05_a_stream_closed_by_another_task_says_so) {
    struct pair pair = connect_pair();
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(reads_until_closed, pair.near, 0));
    CHECK_OK(eddy_sleep(EDDY_MS));
    close_pair(&pair);
    CHECK_OK(eddy_scope_leave(&scope, 0));
}

/* ---- 6. committed progress ------------------------------------------------------------------- */

LOOP_TEST(rule_06_what_moved_before_a_deadline_is_known) {
    struct pair pair = connect_pair();
    eddy_scope scope;
    char buf[8];
    CHECK_OK(eddy_stream_write(pair.far, "abc", 3));
    CHECK_EQ(eddy_stream_count_written(pair.far), 3);
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = 50 * EDDY_MS}));
    CHECK_ERR(eddy_stream_read_exact(pair.near, buf, sizeof buf), -ETIME);
    CHECK_ERR(eddy_scope_leave(&scope, -ETIME), -ETIME);
    /* On sim some of it may still be on its way: what came is known, and the rest comes. */
    size_t came = eddy_stream_count_read(pair.near);
    CHECK(came <= 3);
    CHECK_OK(eddy_stream_read_exact(pair.near, buf + came, 3 - came));
    CHECK_BYTES(buf, 3, "abc", 3);
    close_pair(&pair);
}

/* ---- 7. time --------------------------------------------------------------------------------- */

LOOP_TEST(rule_07_a_deadline_is_etime_a_network_timeout_is_etimedout_and_a_cancel_outranks_both) {
    struct pair pair = connect_pair();
    eddy_scope scope;
    char buf[8];
    CHECK_OK(eddy_stream_idle_set(pair.near, 5 * EDDY_MS, 0));
    CHECK_ERR(eddy_stream_read(pair.near, buf, sizeof buf), -ETIMEDOUT);
    CHECK_OK(eddy_stream_idle_set(pair.near, 0, 0));
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = 5 * EDDY_MS}));
    CHECK_ERR(eddy_stream_read(pair.near, buf, sizeof buf), -ETIME);
    CHECK(eddy_scope_expired(&scope));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_ERR(eddy_stream_read(pair.near, buf, sizeof buf), -ECANCELED);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    close_pair(&pair);
}

/* ---- 8. threads ------------------------------------------------------------------------------ */

static void *resolves(void *arg) {
    eddy_promise_resolve(arg, 42);
    eddy_promise_free(arg);
    return NULL;
}

LOOP_TEST(rule_08_a_plain_thread_completes_what_a_task_awaits) {
    eddy_promise *promise;
    eddy_future *future;
    pthread_t thread;
    CHECK_OK(eddy_promise_new(&promise, &future));
    CHECK_EQ(pthread_create(&thread, NULL, resolves, promise), 0);
    CHECK_EQ(eddy_await(future), 42);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    eddy_future_release(future);
}

static void *uses_a_foreign_stream(void *arg) {
    char buf[8];
    CHECK_ERR(eddy_stream_read(arg, buf, sizeof buf), EDDY_ENOTASK);
    return NULL;
}

LOOP_TEST(rule_08_a_stream_is_used_on_its_loop) {
    struct pair pair = connect_pair();
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, uses_a_foreign_stream, pair.near), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    close_pair(&pair);
}

/* ---- 9. closing ------------------------------------------------------------------------------ */

LOOP_TEST(rule_09_when_close_returns_the_port_is_free) {
    eddy_listener *listener;
    char text[EDDY_ADDRESS_TEXT_MAX];
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &listener));
    eddy_address address = eddy_listener_address(listener);
    CHECK_OK(eddy_address_format(&address, text, sizeof text));
    for (int i = 0; i < 10; i++) {
        eddy_stream *stream;
        CHECK_OK(eddy_listener_close(listener));
        CHECK_ERR(eddy_tcp_connect(text, NULL, &stream), -ECONNREFUSED);
        CHECK_OK(eddy_tcp_listen(text, &(eddy_listen_opts){.no_reuse = true}, &listener));
    }
    CHECK_OK(eddy_listener_close(listener));
}

struct forgotten {
    char kinds[256];
    int by_main; /* how many a task of this name made */
};

static void note_forgotten(const char *kind, const char *place, const char *task, void *ctx) {
    struct forgotten *forgotten = ctx;
    size_t len = strlen(forgotten->kinds);
    snprintf(forgotten->kinds + len, sizeof forgotten->kinds - len, ",%s", kind);
    CHECK(strstr(place, "forget_all") != NULL);
    forgotten->by_main += task != NULL && strcmp(task, "main") == 0;
}

/* One of each kind, none of which is closed. */
__attribute__((noinline)) static int64_t forget_all(void *arg) {
    (void)arg;
    eddy_listener *listener;
    eddy_stream *streams[6];
    eddy_dir *dir;
    eddy_reader *reader;
    eddy_writer *writer;
    eddy_channel *channel;
    eddy_promise *promise;
    eddy_future *future;
    char text[EDDY_ADDRESS_TEXT_MAX];
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &listener));
    eddy_address address = eddy_listener_address(listener);
    CHECK_OK(eddy_address_format(&address, text, sizeof text));
    CHECK_OK(eddy_tcp_connect(text, NULL, &streams[0]));
    CHECK_OK(eddy_listener_accept(listener, &streams[1]));
    CHECK_OK(eddy_memory_stream_new(NULL, 0, &streams[2]));
    CHECK_OK(eddy_memory_pair(1, &streams[3], &streams[4]));
    CHECK_OK(eddy_file_open("/dev/null", EDDY_FILE_READ, 0, &streams[5]));
    CHECK_OK(eddy_dir_open("/", &dir));
    CHECK_OK(eddy_reader_new(streams[2], NULL, &reader));
    CHECK_OK(eddy_writer_new(streams[2], NULL, &writer));
    CHECK_OK(eddy_channel_new(1, 1, &channel));
    CHECK_OK(eddy_promise_new(&promise, &future));
    eddy_sleep_start(EDDY_NEVER); /* its scope ends it */
    return 3;
}

static void forget_in_a_program(void) {
    struct forgotten forgotten = {.kinds = ""};
    eddy_loop_opts loop = {.on_forgotten = note_forgotten, .ctx = &forgotten};
    eddy_opts opts = {.loop = &loop};
    CHECK_EQ(eddy_main(forget_all, NULL, &opts), 3);
    CHECK_STR(forgotten.kinds,
              ",listener,tcp stream,tcp stream,memory stream,pair stream,pair stream,pipe stream"
              ",folder,reader,writer,channel,promise,future");
    CHECK_EQ(forgotten.by_main, 13);
}

TEST(rule_09_forgotten_objects_are_reported_with_the_place_that_made_them) {
    if (eddy_track_each(NULL, NULL) == -ENOTSUP) {
        SKIP("the library was built without EDDY_TRACK");
    }
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        forget_in_a_program();
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

/* ---- 10. guests' manners --------------------------------------------------------------------- */

LOOP_TEST(rule_10_a_broken_pipe_is_an_error_and_no_signal) {
    struct pair pair = connect_pair();
    char bytes[4096] = {0};
    int r = 0;
    CHECK_OK(eddy_stream_close(pair.far));
    while (r == 0) { /* until the reset has come back, or the buffers were full */
        r = eddy_stream_write(pair.near, bytes, sizeof bytes);
    }
    CHECK(r == -EPIPE || r == -ECONNRESET);
    CHECK_OK(eddy_stream_close(pair.near));
}

static int64_t spawns_on(void *loop) {
    return eddy_spawn_on(loop, fails, NULL, 0);
}

/* From a thread without a loop, and from a task of a loop that the child has made itself. */
static bool refuses_tasks(eddy_loop *loop) {
    eddy_loop *own;
    eddy_future *f = eddy_task_start_on(loop, fails, NULL, 0);
    CHECK_OK(eddy_loop_new(NULL, &own));
    bool refused = spawns_on(loop) == EDDY_EFORKED && eddy_future_result(f) == EDDY_EFORKED &&
                   eddy_loop_call(own, spawns_on, loop) == EDDY_EFORKED;
    eddy_future_release(f);
    eddy_loop_free(own);
    return refused;
}

TEST(rule_10_in_a_forked_child_a_loop_is_dead_and_says_so) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    pid_t child = fork();
    if (child == 0) {
        bool dead = eddy_loop_run(loop) == EDDY_EFORKED && eddy_loop_poll(loop) == EDDY_EFORKED &&
                    eddy_loop_call(loop, fails, NULL) == EDDY_EFORKED && refuses_tasks(loop);
        eddy_loop_free(loop);
        _exit(dead ? 0 : 1);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_ERR(eddy_loop_call(loop, fails, NULL), -EIO); /* the parent's lives on */
    eddy_loop_free(loop);
}

static int64_t reads_once(void *arg) {
    char buf[8] = "";
    int64_t n = eddy_stream_read(arg, buf, sizeof buf);
    CHECK(n == 1 && buf[0] == 'p'); /* nothing of a child's */
    return n;
}

/* What a task does in the child, for which it is as if all had been cancelled. */
static void check_child(struct pair *pair, eddy_scope *scope, eddy_future *pending) {
    eddy_stream *stream;
    eddy_scope shield;
    char buf[8];
    for (int i = 0; i < 5000; i++) {
        CHECK_ERR(eddy_checkpoint(), EDDY_EFORKED);
        CHECK_ERR(eddy_yield(), EDDY_EFORKED);
    }
    CHECK_ERR(eddy_sleep(EDDY_MS), EDDY_EFORKED);
    CHECK_ERR(eddy_sleep(0), EDDY_EFORKED);
    CHECK_ERR(eddy_stream_read(pair->far, buf, sizeof buf), EDDY_EFORKED);
    CHECK_ERR(eddy_stream_read(pair->near, buf, sizeof buf), EDDY_EFORKED);
    CHECK_ERR(eddy_stream_write(pair->far, "c", 1), EDDY_EFORKED);
    CHECK_ERR(eddy_stream_read_try(pair->far, buf, sizeof buf), EDDY_EFORKED);
    CHECK_ERR(eddy_stream_write_try(pair->far, "c", 1), EDDY_EFORKED);
    CHECK_ERR(eddy_await(eddy_stream_write_start(pair->far, "c", 1)), EDDY_EFORKED);
    CHECK_ERR(eddy_stream_shutdown(pair->far), EDDY_EFORKED);
    CHECK_ERR(eddy_stream_close(pair->near), EDDY_EFORKED);
    CHECK_ERR(eddy_tcp_connect("127.0.0.1:1", NULL, &stream), EDDY_EFORKED);
    CHECK_ERR(eddy_file_open("/dev/null", EDDY_FILE_READ, 0, &stream), EDDY_EFORKED);
    CHECK_ERR(eddy_spawn(fails, NULL, 0), EDDY_EFORKED);
    CHECK_ERR(eddy_future_result(eddy_task_start(fails, NULL, 0)), EDDY_EFORKED);
    CHECK_OK(eddy_scope_enter(&shield, &(eddy_scope_opts){.shield = true}));
    CHECK_ERR(eddy_sleep(EDDY_MS), EDDY_EFORKED);
    CHECK_ERR(eddy_scope_cancel(&shield), EDDY_EFORKED);
    CHECK_ERR(eddy_scope_leave(&shield, 0), EDDY_EFORKED);
    CHECK_ERR(eddy_await(pending), EDDY_EFORKED);
    CHECK_ERR(eddy_await_all(&pending, 1), EDDY_EFORKED);
    CHECK_OK(eddy_future_cancel(pending));
    eddy_future_release(pending);
    CHECK_ERR(eddy_scope_leave(scope, 0), EDDY_EFORKED); /* does not wait for the reader */
    CHECK_ERR(eddy_sleep(EDDY_MS), EDDY_EFORKED);
    CHECK_ERR(eddy_loop_post(eddy_loop_current(), NULL, NULL), -EINVAL);
}

LOOP_TEST(rule_10_a_task_that_forks_has_no_loop_in_the_child) {
    struct pair pair = connect_pair();
    eddy_scope scope;
    char buf[8];
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(reads_once, pair.near, 0));
    eddy_future *pending = eddy_sleep_start(EDDY_NEVER);
    CHECK_OK(eddy_sleep(EDDY_MS)); /* the read is under way */
    pid_t child = fork();
    if (child == 0) {
        alarm(20); /* nobody else would end it if it hung */
        check_child(&pair, &scope, pending);
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_OK(eddy_stream_write(pair.far, "p", 1));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_ERR(eddy_stream_read_try(pair.near, buf, sizeof buf), -EAGAIN);
    close_pair(&pair);
}

static pid_t child_of_a_task;

static int64_t runs_in_the_parent(void *arg) {
    (void)arg;
    CHECK(child_of_a_task != 0);
    return 0;
}

static int64_t forks_and_returns(void *arg) {
    struct pair pair = connect_pair(); /* left open: it is the parent's as well */
    CHECK_OK(eddy_spawn(reads_once, pair.near, 0));
    CHECK_OK(eddy_sleep(EDDY_MS));
    CHECK_OK(eddy_spawn(runs_in_the_parent, NULL, 0));
    child_of_a_task = fork();
    if (child_of_a_task == 0) {
        alarm(20);
        return 7;
    }
    CHECK_OK(eddy_stream_write(pair.far, "p", 1));
    while (eddy_stream_count_read(pair.near) == 0) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
    close_pair(&pair);
    return *(int *)arg;
}

static void forks_in_a_post(void *arg) {
    (void)arg;
    child_of_a_task = fork();
    if (child_of_a_task == 0) {
        CHECK_ERR(eddy_spawn(fails, NULL, 0), EDDY_EFORKED);
    }
}

/* In the child ends it; in the parent waits for its end. */
static void end_child(eddy_loop *loop, int64_t r) {
    int status;
    if (child_of_a_task == 0) {
        CHECK_ERR(r, EDDY_EFORKED);
        CHECK_ERR(eddy_loop_run(loop), EDDY_EFORKED);
        eddy_loop_free(loop);
        _exit(0);
    }
    CHECK_EQ(waitpid(child_of_a_task, &status, 0), child_of_a_task);
    CHECK_EQ(status, 0);
}

TEST(rule_10_in_the_child_of_what_ran_on_a_loop_the_loop_returns) {
    test_goes_on_in_a_fork();
    eddy_loop *loop;
    int result = 5;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    int64_t r = eddy_loop_call(loop, forks_and_returns, &result);
    end_child(loop, r);
    CHECK_EQ(r, 5);
    CHECK_OK(eddy_loop_post(loop, forks_in_a_post, NULL));
    r = eddy_loop_run(loop);
    end_child(loop, r);
    CHECK_EQ(r, 0);
    CHECK_OK(eddy_loop_post(loop, forks_in_a_post, NULL));
    do {
        r = eddy_loop_poll(loop);
    } while (r > 0);
    end_child(loop, r);
    CHECK_EQ(r, 0);
    eddy_loop_free(loop);
}

/* ---- 11. memory ------------------------------------------------------------------------------ */

static int64_t exchange(void *arg) {
    (void)arg;
    eddy_listener *listener = NULL;
    eddy_stream *near = NULL;
    eddy_stream *far = NULL;
    char text[EDDY_ADDRESS_TEXT_MAX];
    char buf[3];
    int64_t r = eddy_tcp_listen("127.0.0.1:0", NULL, &listener);
    if (r == 0) {
        eddy_address address = eddy_listener_address(listener);
        eddy_address_format(&address, text, sizeof text);
        r = eddy_tcp_connect(text, NULL, &near);
    }
    r = r < 0 ? r : eddy_listener_accept(listener, &far);
    r = r < 0 ? r : eddy_stream_write(near, "abc", 3);
    r = r < 0 ? r : eddy_stream_read_exact(far, buf, 3);
    eddy_stream_close(near);
    eddy_stream_close(far);
    eddy_listener_close(listener);
    /* The simulated network's memory is from the same hook: without it a segment is lost. */
    bool lost = r == -ETIMEDOUT && strcmp(test_driver(), "sim") == 0;
    return lost ? -ENOMEM : r;
}

static int64_t exchange_on_a_loop(void *arg) {
    eddy_loop *loop;
    int r = eddy_loop_new(NULL, &loop);
    if (r < 0) {
        return r;
    }
    int64_t result = eddy_loop_call(loop, exchange, arg);
    eddy_loop_free(loop);
    return result;
}

TEST_TIMEOUT(rule_11_running_out_of_memory_is_an_error_wherever_it_happens, 120) {
    CHECK(test_each_allocation_fails(exchange_on_a_loop, NULL) > 4);
}

/* ---- 12. fairness ---------------------------------------------------------------------------- */

static int64_t reads_all_the_time(void *arg) {
    struct pair *pair = arg;
    char byte = 'x';
    for (;;) {
        int64_t r = eddy_stream_write(pair->far, &byte, 1);
        r = r < 0 ? r : eddy_stream_read_exact(pair->near, &byte, 1);
        if (r < 0) {
            return r;
        }
    }
}

LOOP_TEST(rule_12_a_fast_peer_does_not_starve_the_loop) {
    struct pair pair = connect_pair();
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(reads_all_the_time, &pair, 0));
    CHECK_OK(eddy_sleep(5 * EDDY_MS)); /* its timer is looked at all the same */
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    close_pair(&pair);
}

static int64_t says_that_it_ran(void *arg) {
    *(bool *)arg = true;
    return 0;
}

LOOP_TEST(rule_12_a_task_that_never_waits_lets_others_run) {
    bool ran = false;
    int calls = 0;
    CHECK_OK(eddy_spawn(says_that_it_ran, &ran, 0));
    while (!ran) {
        CHECK_OK(eddy_checkpoint());
        CHECK(++calls < 1000000); /* a seeded order draws it late at worst */
    }
}

static int64_t cpu_ns(void) {
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * EDDY_S + used.tv_nsec;
}

LOOP_TEST(rule_12_a_task_whose_calls_lie_far_apart_hears_of_its_deadline) {
    if (strcmp(test_driver(), "sim") == 0) {
        return; /* no time passes there while code runs */
    }
    int calls = 0;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = 5 * EDDY_MS}));
    while (eddy_checkpoint() == 0) {
        int64_t end_ns = cpu_ns() + EDDY_MS;
        while (cpu_ns() < end_ns) {
        }
        CHECK(++calls < 100);
    }
    CHECK(eddy_scope_expired(&scope));
    eddy_scope_leave(&scope, 0);
}

/* ---- 13. same answers on every driver -------------------------------------------------------- */

LOOP_TEST(rule_13_the_end_of_a_stream_and_a_half_close_look_the_same_everywhere) {
    struct pair pair = connect_pair();
    char buf[8];
    CHECK_OK(eddy_stream_write(pair.near, "ab", 2));
    CHECK_OK(eddy_stream_shutdown(pair.near));
    CHECK_OK(eddy_stream_shutdown(pair.near));
    CHECK_ERR(eddy_stream_write(pair.near, "c", 1), -EPIPE);
    CHECK_OK(eddy_stream_read_exact(pair.far, buf, 2));
    CHECK_EQ(eddy_stream_read(pair.far, buf, sizeof buf), 0);
    CHECK_EQ(eddy_stream_read(pair.far, buf, sizeof buf), 0);
    CHECK_ERR(eddy_stream_read_exact(pair.far, buf, 1), EDDY_EEND);
    CHECK_OK(eddy_stream_write(pair.far, "back", 4)); /* the other direction goes on */
    CHECK_OK(eddy_stream_read_exact(pair.near, buf, 4));
    close_pair(&pair);
}
