/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/fs/open_impl.h>

#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/loop/loop_impl.h>

#include <eddy/futures/future.h>

#include "fs/fs.h"

enum { HANGING = 64 }; /* more than there are offload threads */

static int64_t hang(void *arg) {
    return open_hanging(arg);
}

static const char *make_fifo(void) {
    if (simulated()) {
        SKIP("the simulation runs jobs on the loop's own thread, where none may hang");
    }
    const char *fifo = in_tmp("fifo");
    CHECK_EQ(mkfifo(fifo, 0600), 0);
    return fifo;
}

/* Waits until all that was left behind has been disposed of. */
static void wait_for_jobs(int64_t blocks) {
    while (eddy_memory_blocks() > blocks) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
}

LOOP_TEST(an_open_that_hangs_is_abandoned_and_what_it_opens_late_is_closed) {
    const char *fifo = make_fifo();
    int64_t blocks = eddy_memory_blocks();
    uint64_t live = eddyi_loop_here->live;
    /* One that no thread has taken yet is given up without a trace: it gets more time. */
    for (int64_t timeout_ns = 20 * EDDY_MS; eddy_memory_blocks() == blocks; timeout_ns *= 2) {
        eddy_scope scope;
        CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = timeout_ns}));
        int r = open_hanging(fifo);
        CHECK_ERR(r, -ETIME);
        CHECK_ERR(eddy_scope_leave(&scope, r), -ETIME);
        CHECK_EQ(eddyi_loop_here->live, live); /* it keeps no loop */
    }
    int writer = open(fifo, O_RDWR | O_CLOEXEC); /* now it opens, and nobody wants it */
    CHECK(writer >= 0);
    wait_for_jobs(blocks);
    close(writer);
}

static int64_t nap(void *arg) {
    (void)arg;
    return eddy_sleep(EDDY_MS);
}

static void spawn_all(eddy_task_fn fn, const char *arg) {
    for (int i = 0; i < HANGING; i++) {
        CHECK_OK(eddy_spawn(fn, (void *)(uintptr_t)arg, 0));
    }
}

/* A thread that is lost in one is replaced, up to a number: some run and are abandoned, some wait
 * for a thread and never run. */
LOOP_TEST(a_cancel_ends_opens_that_run_and_opens_that_are_queued) {
    const char *fifo = make_fifo();
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    spawn_all(nap, NULL); /* makes the stacks, which stay */
    CHECK_OK(eddy_scope_leave(&scope, 0));
    int64_t blocks = eddy_memory_blocks();
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.policy = EDDY_SCOPE_COLLECT}));
    spawn_all(hang, fifo);
    CHECK_OK(eddy_sleep(10 * EDDY_MS));
    /* Every thread is taken, by what nobody has given up on: a stat waits behind them. */
    eddy_scope inner;
    eddy_stat st;
    CHECK_OK(eddy_scope_enter(&inner, &(eddy_scope_opts){.timeout_ns = 5 * EDDY_MS}));
    int r = eddy_stat_path("/", 0, &st);
    CHECK_ERR(r, -ETIME);
    CHECK_ERR(eddy_scope_leave(&inner, r), -ETIME);
    CHECK_OK(eddy_scope_cancel(&scope));
    eddy_scope_leave(&scope, 0);
    CHECK_EQ(eddy_scope_failure_count(&scope), 0);
    CHECK_OK(eddy_stat_path("/", 0, &st)); /* others have come for the threads that are lost */
    int writer = open(fifo, O_RDWR | O_CLOEXEC);
    CHECK(writer >= 0);
    wait_for_jobs(blocks);
    close(writer);
    CHECK_OK(eddy_stat_path("/", 0, &st));
}

/* A wake-up that nobody meant is not an answer. */
static int64_t wake_often(void *arg) {
    for (int i = 0; i < 20; i++) {
        eddyi_task_wake(arg);
        CHECK_OK(eddy_sleep(EDDY_MS / 4));
    }
    return 0;
}

static int64_t release(void *arg) {
    CHECK_OK(eddy_sleep(20 * EDDY_MS));
    return open(arg, O_RDWR | O_CLOEXEC);
}

LOOP_TEST(a_wake_up_without_a_result_is_waited_out) {
    const char *fifo = make_fifo();
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(wake_often, eddyi_task_here, 0));
    eddy_future *writer = eddy_task_start(release, (void *)(uintptr_t)fifo, 0);
    int fd = (int)CHECK_OK(open_hanging(fifo));
    struct stat st;
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK(S_ISFIFO(st.st_mode));
    close(fd);
    close((int)CHECK_OK(eddy_await(writer)));
    CHECK_OK(eddy_scope_leave(&scope, 0));
}

LOOP_TEST(an_open_in_a_cancelled_scope_does_not_begin) {
    eddy_scope scope;
    eddy_stream *file = NULL;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_ERR(eddy_file_open(in_tmp("new"), EDDY_FILE_WRITE | EDDY_FILE_CREATE, 0, &file),
              -ECANCELED);
    eddy_scope_leave(&scope, 0);
    CHECK_PTR_EQ(file, NULL);
    CHECK_EQ(access(in_tmp("new"), F_OK), -1);
}
