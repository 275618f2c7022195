/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/base/track.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <eddy/futures/combine.h>
#include <eddy/futures/promise.h>
#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/io/memory.h>
#include <eddy/runtime/loop/group.h>
#include <eddy/runtime/sync/channel.h>
#include <eddy/runtime/task/scope.h>

#include "test.h"

/* What was told, in order. */
struct told {
    int count;
    char kinds[128]; /* each behind a comma */
    char place[256]; /* the last one's */
    char task[64];
};

static void note(const char *kind, const char *place, const char *task, void *ctx) {
    struct told *told = ctx;
    size_t len = strlen(told->kinds);
    told->count++;
    snprintf(told->kinds + len, sizeof told->kinds - len, ",%s", kind);
    snprintf(told->place, sizeof told->place, "%s", place);
    snprintf(told->task, sizeof told->task, "%s", task == NULL ? "none" : task);
}

static void needs_tracking(void) {
    if (eddy_track_each(NULL, NULL) == -ENOTSUP) {
        SKIP("the library was built without EDDY_TRACK");
    }
}

/* For what forgets: a process of its own, whose objects nobody looks for afterwards. */
static void in_child(void (*fn)(void)) {
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        fn();
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

__attribute__((noinline)) static eddy_channel *make_a_channel(void) {
    eddy_channel *channel = NULL;
    CHECK_OK(eddy_channel_new(1, 1, &channel));
    return channel;
}

/* ---- what is there --------------------------------------------------------------------------- */

TEST(an_object_is_told_of_until_it_is_freed) {
    needs_tracking();
    struct told told = {0};
    CHECK_EQ(eddy_track_each(note, &told), 0);
    eddy_channel *channel = make_a_channel();
    CHECK_EQ(eddy_track_each(NULL, NULL), 1);
    CHECK_EQ(eddy_track_each(note, &told), 1);
    CHECK_STR(told.kinds, ",channel");
    CHECK_STR(told.task, "none");
    eddy_channel_free(channel);
    CHECK_EQ(eddy_track_each(note, &told), 0);
    CHECK_EQ(told.count, 1);
}

TEST(a_place_names_the_function_and_its_program) {
    needs_tracking();
    struct told told = {0};
    eddy_channel *channel = make_a_channel();
    CHECK_EQ(eddy_track_each(note, &told), 1);
    CHECK_EQ(strncmp(told.place, "make_a_channel+0x", strlen("make_a_channel+0x")), 0);
    CHECK(strstr(told.place, " (test_runtime_base_track)") != NULL);
    eddy_channel_free(channel);
}

static int64_t seven(void *arg) {
    (void)arg;
    return 7;
}

TEST(all_that_belongs_to_the_process_is_told_in_the_order_of_making) {
    needs_tracking();
    struct told told = {0};
    eddy_loop *loop;
    eddy_loop_group *group;
    eddy_promise *promise;
    eddy_future *future;
    eddy_as_completed *iterator;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_OK(eddy_loop_group_new(loop, 2, &group));
    eddy_channel *channel = make_a_channel();
    CHECK_OK(eddy_promise_new(&promise, &future));
    CHECK_OK(eddy_as_completed_new(&future, 1, &iterator));
    eddy_future *all = eddy_future_all(&future, 1);
    CHECK_EQ(eddy_track_each(note, &told), 7);
    CHECK_STR(told.kinds, ",loop,loop group,channel,promise,future,as_completed,future");
    eddy_as_completed_free(iterator);
    CHECK_OK(eddy_promise_resolve(promise, 0));
    eddy_promise_free(promise);
    eddy_future_release(all);
    eddy_future_release(future);
    eddy_channel_free(channel);
    eddy_loop_group_free(group);
    eddy_loop_free(loop);
    CHECK_EQ(eddy_track_each(NULL, NULL), 0);
}

TEST(a_future_that_was_started_from_outside_is_told_with_file_and_line) {
    needs_tracking();
    struct told told = {0};
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    eddy_future *future = eddy_task_start_on(loop, seven, NULL, 0);
    CHECK_EQ(eddy_track_each(note, &told), 2);
    CHECK_STR(told.kinds, ",loop,future");
    CHECK(strstr(told.place, "test_track.c:") != NULL);
    CHECK_EQ(eddy_loop_run(loop), 0);
    CHECK_EQ(eddy_track_each(NULL, NULL), 2); /* ended, and still to be released */
    eddy_future_release(future);
    eddy_loop_free(loop);
    CHECK_EQ(eddy_track_each(NULL, NULL), 0);
}

static void free_and_make(const char *kind, const char *place, const char *task, void *ctx) {
    eddy_channel **channel = ctx;
    note(kind, place, task, &(struct told){0});
    if (*channel != NULL) {
        *channel = eddy_channel_free(*channel);
        eddy_channel_free(make_a_channel());
    }
}

TEST(whoever_is_told_may_free_the_object_and_make_others) {
    needs_tracking();
    eddy_channel *channel = make_a_channel();
    eddy_channel *other = make_a_channel();
    CHECK_EQ(eddy_track_each(free_and_make, &channel), 2);
    CHECK_EQ(eddy_track_each(NULL, NULL), 1);
    eddy_channel_free(other);
}

/* ---- when a loop is freed -------------------------------------------------------------------- */

static int64_t forget_a_stream(void *arg) {
    eddy_stream *stream;
    (void)arg;
    eddy_task_name_set("forgetful");
    return eddy_memory_stream_new(NULL, 0, &stream);
}

static void forget_on_a_loop(void) {
    struct told told = {0};
    eddy_loop_opts opts = {.on_forgotten = note, .ctx = &told};
    eddy_loop *loop;
    make_a_channel(); /* the process's, and no business of the loop */
    CHECK_OK(eddy_loop_new(&opts, &loop));
    CHECK_OK(eddy_loop_call(loop, forget_a_stream, NULL));
    CHECK_EQ(told.count, 0);
    eddy_loop_free(loop);
    CHECK_STR(told.kinds, ",memory stream");
    CHECK_STR(told.task, "forgetful");
    CHECK_EQ(strncmp(told.place, "forget_a_stream+0x", strlen("forget_a_stream+0x")), 0);
    /* Perhaps at the same address. */
    CHECK_OK(eddy_loop_new(&opts, &loop));
    eddy_loop_free(loop);
    CHECK_EQ(told.count, 1);
    CHECK_EQ(eddy_track_each(NULL, NULL), 2);
}

TEST(a_loop_tells_once_of_what_was_forgotten_on_it_and_of_nothing_else) {
    needs_tracking();
    in_child(forget_on_a_loop);
}

static void forget_silently(void) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_OK(eddy_loop_call(loop, forget_a_stream, NULL));
    eddy_loop_free(loop);
}

TEST(without_a_hook_the_library_says_nothing) {
    needs_tracking();
    char path[4096];
    char text[64];
    snprintf(path, sizeof path, "%s/stderr", test_tmpdir());
    fflush(stderr);
    int saved = dup(2);
    CHECK(freopen(path, "w+", stderr) != NULL);
    in_child(forget_silently);
    ssize_t n = pread(2, text, sizeof text, 0);
    CHECK_EQ(dup2(saved, 2), 2);
    close(saved);
    CHECK_EQ(n, 0);
}

static int64_t start_and_look_away(void *arg) {
    (void)arg;
    eddy_task_start(seven, NULL, 0);
    eddy_sleep_start(EDDY_NEVER);
    return eddy_task_start(NULL, NULL, 0) == NULL;
}

TEST(what_a_scope_ends_by_itself_is_not_forgotten) {
    needs_tracking();
    struct told told = {0};
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.on_forgotten = note, .ctx = &told}, &loop));
    CHECK_OK(eddy_loop_call(loop, start_and_look_away, NULL));
    CHECK_EQ(eddy_track_each(NULL, NULL), 1); /* the loop */
    eddy_loop_free(loop);
    CHECK_EQ(told.count, 0);
}

static int64_t forget_a_channel(void *arg) {
    return eddy_channel_new(1, 1, arg);
}

static int64_t spawn_and_wait(void *arg) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(forget_a_channel, arg, 0));
    return eddy_scope_leave(&scope, 0);
}

TEST(a_task_without_a_name_is_told_by_where_it_was_spawned) {
    needs_tracking();
    struct told told = {0};
    eddy_loop *loop;
    eddy_channel *channel;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_OK(eddy_loop_call(loop, spawn_and_wait, &channel));
    eddy_loop_free(loop);
    CHECK_EQ(eddy_track_each(note, &told), 1);
    CHECK(strstr(told.task, "test_track.c:") != NULL);
    eddy_channel_free(channel);
}

/* ---- processes and threads ------------------------------------------------------------------- */

static eddy_channel *of_the_parent;

static void look_in_child(void) {
    struct told told = {0};
    CHECK_EQ(eddy_track_each(note, &told), 0);
    eddy_channel *first = make_a_channel();
    eddy_channel *second = make_a_channel();
    eddy_channel_free(of_the_parent); /* leaves the child's own list alone */
    CHECK_EQ(eddy_track_each(note, &told), 2);
    eddy_channel_free(first);
    eddy_channel_free(second);
    CHECK_EQ(eddy_track_each(NULL, NULL), 0);
}

TEST(a_forked_child_is_told_of_its_own_objects_only) {
    needs_tracking();
    of_the_parent = make_a_channel();
    eddy_channel *second = make_a_channel();
    in_child(look_in_child);
    CHECK_EQ(eddy_track_each(NULL, NULL), 2);
    eddy_channel_free(of_the_parent);
    eddy_channel_free(second);
}

static _Atomic bool enough;

static void *make_and_free(void *arg) {
    (void)arg;
    while (!enough) {
        eddy_channel *first = make_a_channel();
        eddy_channel *second = make_a_channel();
        eddy_channel_free(first);
        eddy_channel_free(second);
    }
    return NULL;
}

TEST(threads_make_and_free_while_others_look_and_fork) {
    needs_tracking();
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, make_and_free, NULL), 0);
    }
    for (int i = 0; i < 50; i++) {
        struct told told = {0};
        CHECK(eddy_track_each(note, &told) <= 1000);
        /* Some other thread may be inside of the list at this moment. */
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            _exit(eddy_track_each(NULL, NULL) == 0 ? 0 : 1);
        }
        int status;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
    enough = true;
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_EQ(eddy_track_each(NULL, NULL), 0);
}
