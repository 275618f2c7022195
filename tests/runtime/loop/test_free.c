/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop that is freed with work pending ends, whatever the work waits for, and nothing of it is
 * left. A case that hangs here is the bug.
 */
#include <eddy/eddy.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <eddy/fs/open_impl.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/loop/offload_impl.h>

#include "test.h"

/* ---- help ------------------------------------------------------------------------------------ */

static eddy_loop *new_loop(void) {
    eddy_loop *loop;
    int r = eddy_loop_new(NULL, &loop);
    if (r == EDDY_EDRIVER) {
        SKIP("the driver cannot start here");
    }
    CHECK_OK(r);
    return loop;
}

static void skip_on_sim(const char *why) {
    if (strcmp(test_driver(), "sim") == 0) {
        SKIP(why);
    }
}

static _Atomic int waiting; /* tasks that have got to where they wait */

/* The last line before what the loop is to be freed under. */
static void about_to_wait(void) {
    atomic_fetch_add(&waiting, 1);
}

static int64_t sleep_until_waiting(void *arg) {
    while (atomic_load(&waiting) < *(int *)arg) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
    atomic_store(&waiting, 0);
    return eddy_sleep(EDDY_MS);
}

static void let_them_wait(eddy_loop *loop, int count) {
    CHECK_OK(eddy_loop_call(loop, sleep_until_waiting, &count));
}

/* Starts `fn` on the loop, lets it get where it waits, and frees the loop under it. */
static void free_under(eddy_task_fn fn, void *arg) {
    eddy_loop *loop = new_loop();
    CHECK_OK(eddy_spawn_on(loop, fn, arg, 0));
    let_them_wait(loop, 1);
    eddy_loop_free(loop);
}

/* As a member of a group, which is freed. */
static void free_group_under(eddy_task_fn fn, void *arg) {
    eddy_loop *loop = new_loop();
    eddy_loop_group *group;
    CHECK_OK(eddy_loop_group_new(loop, 3, &group));
    for (unsigned i = 0; i < eddy_loop_group_count(group); i++) {
        CHECK_OK(eddy_spawn_on(eddy_loop_group_loop(group, i), fn, arg, 0));
    }
    let_them_wait(loop, (int)eddy_loop_group_count(group));
    eddy_loop_group_free(group);
    eddy_loop_free(loop);
}

/* ---- operations of the driver ---------------------------------------------------------------- */

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

static void close_pair(const struct pair *pair) {
    CHECK_OK(eddy_stream_close(pair->near));
    CHECK_OK(eddy_stream_close(pair->far));
}

static int64_t reads(void *arg) {
    struct pair pair = connect_pair();
    char buf[64];
    (void)arg;
    about_to_wait();
    CHECK_ERR(eddy_stream_read(pair.near, buf, sizeof buf), -ECANCELED);
    close_pair(&pair);
    return 0;
}

static int64_t writes(void *arg) {
    struct pair pair = connect_pair();
    static char buf[256 * 1024];
    int r;
    (void)arg;
    about_to_wait();
    while ((r = eddy_stream_write(pair.near, buf, sizeof buf)) == 0) {
    }
    CHECK_ERR(r, -ECANCELED);
    close_pair(&pair);
    return 0;
}

static int64_t accepts(void *arg) {
    eddy_listener *listener;
    eddy_stream *peer;
    (void)arg;
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &listener));
    about_to_wait();
    CHECK_ERR(eddy_listener_accept(listener, &peer), -ECANCELED);
    CHECK_OK(eddy_listener_close(listener));
    return 0;
}

/* A Unix listener whose backlog is full lets a connect wait. */
static int64_t connects(void *arg) {
    eddy_listener *listener;
    eddy_stream *peers[64];
    char text[200];
    int count = 0;
    int r = 0;
    (void)arg;
    snprintf(text, sizeof text, "unix:%s/socket", test_tmpdir());
    CHECK_OK(eddy_tcp_listen(text, &(eddy_listen_opts){.backlog = 1}, &listener));
    about_to_wait();
    while (count < 64 && (r = eddy_tcp_connect(text, NULL, &peers[count])) == 0) {
        count++;
    }
    CHECK_ERR(r, -ECANCELED);
    while (count > 0) {
        CHECK_OK(eddy_stream_close(peers[--count]));
    }
    CHECK_OK(eddy_listener_close(listener));
    return 0;
}

TEST(a_read_a_write_and_an_accept_end) {
    free_under(reads, NULL);
    free_under(writes, NULL);
    free_under(accepts, NULL);
}

TEST(a_connect_to_a_full_backlog_ends) {
    free_under(connects, NULL);
}

TEST(operations_on_all_loops_of_a_group_end) {
    free_group_under(reads, NULL);
    free_group_under(accepts, NULL);
}

/* ---- time and other tasks -------------------------------------------------------------------- */

static int64_t starts_timers(void *arg) {
    (void)arg;
    for (int i = 0; i < 100; i++) {
        eddy_future *future = eddy_sleep_start(EDDY_NEVER);
        CHECK(future != NULL);
    }
    about_to_wait();
    CHECK_ERR(eddy_sleep(EDDY_NEVER), -ECANCELED);
    return 0;
}

TEST(timers_and_their_futures_end) {
    free_under(starts_timers, NULL);
    free_group_under(starts_timers, NULL);
}

static int64_t sleeps(void *arg) {
    (void)arg;
    return eddy_sleep(EDDY_NEVER);
}

/* The shield holds its task, and what that spawned, up to the loop's grace. */
static int64_t shields(void *arg) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.shield = true}));
    CHECK_OK(eddy_spawn(sleeps, NULL, 0));
    about_to_wait();
    int r = eddy_sleep(EDDY_NEVER);
    CHECK_ERR(r, -ETIME);
    *(_Atomic int *)arg += 1;
    return eddy_scope_leave(&scope, r);
}

/* Cleanup that begins in the free has the rest of the grace. */
static int64_t shields_late(void *arg) {
    about_to_wait();
    CHECK_ERR(eddy_sleep(EDDY_NEVER), -ECANCELED);
    return shields(arg);
}

static int64_t shields_briefly(void *arg) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.shield = true}));
    about_to_wait();
    CHECK_OK(eddy_sleep(100 * EDDY_MS)); /* what is finite gets through */
    *(_Atomic int *)arg += 1;
    return eddy_scope_leave(&scope, 0);
}

TEST(a_shield_without_a_deadline_gets_the_loops_grace) {
    _Atomic int ended = 0;
    eddy_loop *loop = new_loop();
    CHECK_OK(eddy_spawn_on(loop, shields, &ended, 0));
    CHECK_OK(eddy_spawn_on(loop, shields_late, &ended, 0));
    CHECK_OK(eddy_spawn_on(loop, shields_briefly, &ended, 0));
    let_them_wait(loop, 3);
    eddy_loop_free(loop);
    CHECK_EQ(ended, 3);
}

TEST(a_shield_on_another_loop_of_a_group_gets_its_grace) {
    _Atomic int ended = 0;
    skip_on_sim("a group has one loop there");
    free_group_under(shields, &ended);
    CHECK_EQ(ended, 3);
}

/* ---- futures --------------------------------------------------------------------------------- */

static int64_t awaits(void *arg) {
    about_to_wait();
    CHECK_ERR(eddy_await(arg), -ECANCELED);
    return 0;
}

TEST(an_await_of_what_no_thread_ever_resolves_ends) {
    eddy_promise *promise;
    eddy_future *future;
    CHECK_OK(eddy_promise_new(&promise, &future));
    free_under(awaits, future);
    eddy_future_release(future);
    eddy_promise_free(promise);
}

static int64_t as_it_is(int64_t result, void *arg) {
    *(int64_t *)arg = result;
    return result;
}

struct late {
    eddy_future *future;
    int64_t then;
    int64_t callback;
};

static void note_result(eddy_future *future, void *arg) {
    struct late *late = arg;
    late->callback = eddy_future_result(future);
}

static int64_t leaves_callbacks(void *arg) {
    struct late *late = arg;
    eddy_future *then = eddy_future_then(late->future, as_it_is, &late->then);
    CHECK(then != NULL);
    CHECK_OK(eddy_future_callback(late->future, note_result, late));
    about_to_wait();
    return eddy_sleep(EDDY_NEVER);
}

TEST(callbacks_of_what_no_thread_ever_resolves_hear_of_the_cancel) {
    eddy_promise *promise;
    struct late late = {0};
    CHECK_OK(eddy_promise_new(&promise, &late.future));
    free_under(leaves_callbacks, &late);
    CHECK_ERR(late.then, -ECANCELED);
    CHECK_ERR(late.callback, -ECANCELED);
    eddy_future_release(late.future);
    eddy_promise_free(promise);
}

/* No task holds it: only the callback keeps the loop. */
static int64_t leaves_one_callback(void *arg) {
    struct late *late = arg;
    return eddy_future_callback(late->future, note_result, late);
}

TEST(a_callback_alone_hears_of_the_cancel) {
    eddy_promise *promise;
    struct late late = {0};
    CHECK_OK(eddy_promise_new(&promise, &late.future));
    eddy_loop *loop = new_loop();
    CHECK_OK(eddy_loop_call(loop, leaves_one_callback, &late));
    eddy_loop_free(loop);
    CHECK_ERR(late.callback, -ECANCELED);
    eddy_future_release(late.future);
    eddy_promise_free(promise);
}

/* ---- blocking jobs --------------------------------------------------------------------------- */

/* An open that hangs on an offload thread as on a dead mount: a pipe that nobody writes to. */
static int64_t opens(void *arg) {
    struct eddyi_open hanging = {.dirfd = -1, .path = arg, .flags = O_RDONLY | O_CREAT};
    eddy_task *task;
    about_to_wait();
    int fd = eddyi_task_enter(&task); /* it may begin when its loop is being freed */
    fd = fd < 0 ? fd : eddyi_open(task, &hanging);
    CHECK_ERR(fd, -ECANCELED);
    return 0;
}

static const char *make_fifo(void) {
    static char path[300];
    skip_on_sim("the simulation runs jobs on the loop's own thread, where none may hang");
    snprintf(path, sizeof path, "%s/fifo", test_tmpdir());
    CHECK_EQ(mkfifo(path, 0600), 0);
    return path;
}

/* Lets the opens of a pipe end, which are no loop's any more, and waits until all that they held
 * has been given back. */
static void let_go(const char *fifo, int64_t blocks) {
    int writer = open(fifo, O_RDWR | O_CLOEXEC);
    CHECK(writer >= 0);
    while (eddy_memory_blocks() > blocks) {
        sched_yield();
    }
    close(writer);
}

TEST(opens_that_hang_are_left_behind) {
    const char *fifo = make_fifo();
    int64_t blocks = eddy_memory_blocks();
    for (int i = 0; i < 20; i++) {
        free_under(opens, (void *)(uintptr_t)fifo);
    }
    let_go(fifo, blocks);
}

TEST(opens_that_hang_hold_up_no_group) {
    const char *fifo = make_fifo();
    int64_t blocks = eddy_memory_blocks();
    free_group_under(opens, (void *)(uintptr_t)fifo);
    let_go(fifo, blocks);
}

enum { QUEUED = 600 }; /* more than threads are started for */

TEST(opens_that_are_queued_behind_hanging_ones_end) {
    const char *fifo = make_fifo();
    int64_t blocks = eddy_memory_blocks();
    eddy_loop *loop = new_loop();
    for (int i = 0; i < QUEUED; i++) {
        CHECK_OK(eddy_spawn_on(loop, opens, (void *)(uintptr_t)fifo, 0));
    }
    let_them_wait(loop, QUEUED);
    eddy_loop_free(loop);
    let_go(fifo, blocks);
}

static int64_t stats(void *arg) {
    eddy_stat st;
    (void)arg;
    return eddy_stat_path("/", 0, &st);
}

TEST(the_next_loop_works_while_calls_of_the_last_one_hang) {
    const char *fifo = make_fifo();
    int64_t blocks = eddy_memory_blocks();
    for (int i = 0; i < 10; i++) {
        free_under(opens, (void *)(uintptr_t)fifo);
        eddy_loop *loop = new_loop();
        CHECK_OK(eddy_loop_call(loop, stats, NULL));
        eddy_loop_free(loop);
    }
    let_go(fifo, blocks);
}

/* Whoever exits, returns from main or is told to end does so. */
TEST(a_process_ends_under_a_call_that_hangs) {
    const char *fifo = make_fifo();
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0) {
            free_under(opens, (void *)(uintptr_t)fifo);
            if (i == 0) {
                exit(7);
            }
            kill(getpid(), SIGKILL);
        }
        int status;
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(i == 0 ? WIFEXITED(status) && WEXITSTATUS(status) == 7
                     : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
}

/* ---- a fork meanwhile ------------------------------------------------------------------------ */

static pid_t forked = -1;

static int64_t forks_in_its_cleanup(void *arg) {
    (void)arg;
    about_to_wait();
    CHECK_ERR(eddy_sleep(EDDY_NEVER), -ECANCELED);
    forked = fork();
    if (forked == 0) {
        alarm(20); /* nobody else would end it if it hung */
    }
    return 0;
}

static int64_t ends_in_the_parent(void *arg) {
    eddy_scope shield;
    (void)arg;
    about_to_wait();
    CHECK_ERR(eddy_sleep(EDDY_NEVER), -ECANCELED);
    CHECK_OK(eddy_scope_enter(&shield, &(eddy_scope_opts){.shield = true}));
    while (forked == -1) {
        CHECK_OK(eddy_yield());
    }
    CHECK_OK(eddy_scope_leave(&shield, 0));
    CHECK(forked != 0);
    return 0;
}

TEST(in_the_child_of_a_task_that_forks_meanwhile_only_memory_is_given_back) {
    eddy_loop *loop = new_loop();
    CHECK_OK(eddy_spawn_on(loop, ends_in_the_parent, NULL, 0));
    CHECK_OK(eddy_spawn_on(loop, forks_in_its_cleanup, NULL, 0));
    CHECK_OK(eddy_spawn_on(loop, ends_in_the_parent, NULL, 0));
    let_them_wait(loop, 3);
    eddy_loop_free(loop);
    if (forked == 0) {
        _exit(eddy_loop_current() == NULL ? 7 : 1);
    }
    int status;
    CHECK_EQ(waitpid(forked, &status, 0), forked);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* ---- and what a root task leaves ------------------------------------------------------------- */

LOOP_TEST(what_a_root_task_leaves_behind_ends_with_its_loop) {
    CHECK_OK(eddy_spawn_on(eddy_loop_current(), sleeps, NULL, 0));
    CHECK_OK(eddy_spawn_on(eddy_loop_current(), reads, NULL, 0));
    int count = 1;
    CHECK_OK(sleep_until_waiting(&count));
}
