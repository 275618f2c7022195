/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/loop/group.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/loop/loop_impl.h>
#include <eddy/runtime/task/scope.h>
#include <eddy/runtime/task/task.h>

#include "test.h"

#define LOOPS 3

static bool simulated(void) {
    return strcmp(test_driver(), "sim") == 0;
}

static eddy_loop *new_loop(void) {
    eddy_loop *loop;
    int r = eddy_loop_new(NULL, &loop);
    if (r == EDDY_EDRIVER) {
        SKIP("the driver cannot start here");
    }
    CHECK_OK(r);
    return loop;
}

static eddy_loop_group *new_group(eddy_loop *first) {
    eddy_loop_group *group;
    if (simulated()) {
        eddy_loop_free(first);
        SKIP("on the simulation a group has one loop");
    }
    CHECK_OK(eddy_loop_group_new(first, LOOPS, &group));
    return group;
}

static int thread_count(void) {
    int count = 0;
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[64 + sizeof entry->d_name];
        char name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file != NULL) {
            count += fgets(name, sizeof name, file) != NULL && strcmp(name, "eddy-loop\n") == 0;
            fclose(file);
        }
    }
    closedir(dir);
    return count;
}

static void check_no_thread_left(void) {
    while (thread_count() > 0) {
        sched_yield(); /* one that was joined may be listed for another moment */
    }
}

static void wait_until(const _Atomic int *count, int wanted) {
    while (atomic_load(count) < wanted) {
        sched_yield();
    }
}

/* ---- shape ----------------------------------------------------------------------------------- */

TEST(group_has_the_loops_that_were_asked_for) {
    eddy_loop *first = new_loop();
    eddy_loop_group *group;
    CHECK_OK(eddy_loop_group_new(first, LOOPS, &group));
    unsigned wanted = simulated() ? 1 : LOOPS;
    CHECK_EQ(eddy_loop_group_count(group), wanted);
    CHECK_PTR_EQ(eddy_loop_group_loop(group, 0), first);
    for (unsigned i = 1; i < wanted; i++) {
        eddy_loop *loop = eddy_loop_group_loop(group, i);
        CHECK(loop != NULL && loop != eddy_loop_group_loop(group, i - 1));
        CHECK_STR(eddy_loop_driver(loop), eddy_loop_driver(first));
    }
    CHECK_PTR_EQ(eddy_loop_group_loop(group, wanted), NULL);
    CHECK_EQ(thread_count(), wanted - 1);
    CHECK_PTR_EQ(eddy_loop_group_free(group), NULL);
    eddy_loop_free(first);
    check_no_thread_left();
}

TEST(without_a_number_there_is_a_loop_for_each_processor) {
    eddy_loop *first = new_loop();
    eddy_loop_group *group;
    CHECK_OK(eddy_loop_group_new(first, 0, &group));
    int cpus = first->host->cpu_count(first->host->ctx);
    CHECK_EQ(eddy_loop_group_count(group), simulated() ? 1 : cpus);
    eddy_loop_group_free(group);
    eddy_loop_free(first);
}

TEST(group_and_loop_end_with_their_block) {
    EDDY_AUTO(eddy_loop) *first = new_loop();
    EDDY_AUTO(eddy_loop_group) *group = NULL;
    CHECK_OK(eddy_loop_group_new(first, LOOPS, &group));
    CHECK_EQ(eddy_loop_group_count(group), simulated() ? 1 : LOOPS);
}

TEST(free_of_no_group_is_fine) {
    CHECK_PTR_EQ(eddy_loop_group_free(NULL), NULL);
}

TEST(group_that_makes_no_sense_is_refused) {
    eddy_loop *first = new_loop();
    eddy_loop_group *group;
    eddy_loop_group *second = NULL;
    CHECK_ERR(eddy_loop_group_new(NULL, 1, &group), -EINVAL);
    CHECK_ERR(eddy_loop_group_new(first, 1, NULL), -EINVAL);
    CHECK_OK(eddy_loop_group_new(first, 1, &group));
    CHECK_ERR(eddy_loop_group_new(first, 1, &second), -EBUSY);
    CHECK_PTR_EQ(second, NULL);
    eddy_loop_group_free(group);
    /* Once freed the loop is free for another. */
    CHECK_OK(eddy_loop_group_new(first, 1, &group));
    eddy_loop_group_free(group);
    eddy_loop_free(first);
}

LOOP_TEST(a_loop_without_a_group_says_so_and_a_task_cannot_make_one) {
    eddy_loop_group *group = NULL;
    CHECK_PTR_EQ(eddy_loop_group_current(), NULL);
    CHECK_ERR(eddy_loop_group_new(eddy_loop_current(), 2, &group), -EDEADLK);
    CHECK_PTR_EQ(group, NULL);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct visit {
    eddy_loop *loop;
    eddy_loop_group *group;
    unsigned index;
    pthread_t thread;
    _Atomic int *count;
};

static void note_visit(void *arg) {
    struct visit *visit = arg;
    visit->loop = eddy_loop_current();
    visit->group = eddy_loop_group_current();
    visit->index = visit->loop->index;
    visit->thread = pthread_self();
    atomic_fetch_add(visit->count, 1);
}

TEST(each_member_runs_on_a_thread_of_its_own) {
    eddy_loop *first = new_loop();
    eddy_loop_group *group = new_group(first);
    _Atomic int count = 0;
    struct visit visits[LOOPS];
    for (unsigned i = 1; i < LOOPS; i++) {
        visits[i] = (struct visit){.count = &count};
        CHECK_OK(eddy_loop_post(eddy_loop_group_loop(group, i), note_visit, &visits[i]));
    }
    wait_until(&count, LOOPS - 1);
    for (unsigned i = 1; i < LOOPS; i++) {
        CHECK_PTR_EQ(visits[i].loop, eddy_loop_group_loop(group, i));
        CHECK_PTR_EQ(visits[i].group, group);
        CHECK_EQ(visits[i].index, i);
        CHECK(!pthread_equal(visits[i].thread, pthread_self()));
    }
    CHECK(!pthread_equal(visits[1].thread, visits[2].thread));
    CHECK_PTR_EQ(eddy_loop_group_current(), NULL);
    eddy_loop_group_free(group);
    eddy_loop_free(first);
    check_no_thread_left();
}

static void stop_loop(void *arg) {
    (void)arg;
    eddy_loop_stop(eddy_loop_current());
}

TEST(member_that_is_stopped_runs_on) {
    eddy_loop *first = new_loop();
    eddy_loop_group *group = new_group(first);
    _Atomic int count = 0;
    struct visit visit = {.count = &count};
    eddy_loop *member = eddy_loop_group_loop(group, 1);
    for (int i = 0; i < 100; i++) {
        eddy_loop_stop(member);
        CHECK_OK(eddy_loop_post(member, stop_loop, NULL));
        CHECK_OK(eddy_loop_post(member, note_visit, &visit));
    }
    wait_until(&count, 100);
    eddy_loop_stop(member);
    eddy_loop_group_free(group);
    eddy_loop_free(first);
}

TEST(idle_group_sleeps) {
    eddy_loop *first = new_loop();
    eddy_loop_group *group = new_group(first);
    _Atomic int count = 0;
    struct visit visit = {.count = &count};
    CHECK_OK(eddy_loop_post(eddy_loop_group_loop(group, 1), note_visit, &visit));
    wait_until(&count, 1);
    struct rusage before;
    struct rusage after;
    getrusage(RUSAGE_SELF, &before);
    nanosleep(&(struct timespec){.tv_nsec = 100 * EDDY_MS}, NULL); /* nothing is waited for */
    getrusage(RUSAGE_SELF, &after);
    int64_t used_us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * INT64_C(1000000) +
                      after.ru_utime.tv_usec - before.ru_utime.tv_usec;
    CHECK(used_us < 50000);
    eddy_loop_group_free(group);
    eddy_loop_free(first);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static _Atomic int begun;
static _Atomic int cancelled;

static int64_t sleep_for_good(void *arg) {
    (void)arg;
    atomic_fetch_add(&begun, 1);
    int r = eddy_sleep(EDDY_NEVER);
    CHECK_ERR(r, -ECANCELED);
    atomic_fetch_add(&cancelled, 1);
    return r;
}

TEST(tasks_left_on_the_members_are_cancelled_and_end) {
    eddy_loop *first = new_loop();
    eddy_loop_group *group = new_group(first);
    for (unsigned i = 0; i < 10 * LOOPS; i++) {
        if (i % LOOPS != 0) {
            CHECK_OK(
                eddy_spawn_on(eddy_loop_group_loop(group, i % LOOPS), sleep_for_good, NULL, 0));
        }
    }
    wait_until(&begun, 10 * (LOOPS - 1));
    eddy_loop_group_free(group);
    CHECK_EQ(atomic_load(&cancelled), 10 * (LOOPS - 1));
    eddy_loop_free(first);
    check_no_thread_left();
}

/* Waits for a child on each loop of the group, the first included; none ends by itself. */
static int64_t wait_for_others(void *arg) {
    eddy_loop_group *group = eddy_loop_group_current();
    CHECK_PTR_EQ(group, arg);
    eddy_scope scope;
    eddy_scope_enter(&scope, NULL);
    int64_t r = 0;
    for (unsigned i = 0; i < eddy_loop_group_count(group) && r >= 0; i++) {
        r = eddy_spawn_on(eddy_loop_group_loop(group, i), sleep_for_good, NULL, 0);
    }
    return eddy_scope_leave(&scope, r);
}

TEST(tasks_that_wait_for_each_other_across_loops_end_with_the_group) {
    for (int round = 0; round < (test_is_slow() ? 20 : 200); round++) {
        eddy_loop *first = new_loop();
        eddy_loop_group *group = new_group(first);
        int before = atomic_load(&begun);
        for (unsigned i = 1; i < LOOPS; i++) {
            CHECK_OK(eddy_spawn_on(eddy_loop_group_loop(group, i), wait_for_others, group, 0));
        }
        if (round % 2 == 0) {
            /* Those on the first loop begin when it runs, which may be while the group is freed. */
            wait_until(&begun, before + (LOOPS - 1) * (LOOPS - 1));
        }
        eddy_loop_group_free(group);
        eddy_loop_free(first);
    }
    CHECK_EQ(atomic_load(&begun), atomic_load(&cancelled));
    check_no_thread_left();
}

static int64_t add_one(void *arg) {
    atomic_fetch_add((_Atomic int *)arg, 1);
    return eddy_sleep(EDDY_MS);
}

static int64_t spread(void *arg) {
    eddy_scope scope;
    eddy_scope_enter(&scope, NULL);
    eddy_loop_group *group = eddy_loop_group_current();
    int64_t r = 0;
    for (unsigned i = 0; i < 1000 && r >= 0; i++) {
        r = eddy_spawn_on(eddy_loop_group_loop(group, i % LOOPS), add_one, arg, 0);
    }
    return eddy_scope_leave(&scope, r);
}

TEST(scope_joins_what_it_spreads_over_the_group) {
    eddy_loop *first = new_loop();
    eddy_loop_group *group = new_group(first);
    _Atomic int count = 0;
    CHECK_EQ(eddy_loop_call(first, spread, &count), 0);
    CHECK_EQ(atomic_load(&count), 1000);
    eddy_loop_group_free(group);
    eddy_loop_free(first);
}

/* ---- faults ---------------------------------------------------------------------------------- */

static int threads_left;

static int start_some_threads(void *ctx, const char *name, void *(*fn)(void *arg), void *arg,
                              pthread_t *ret_thread) {
    if (threads_left == 0) {
        return -EAGAIN;
    }
    threads_left--;
    return eddyi_host_real.thread_start(ctx, name, fn, arg, ret_thread);
}

TEST(member_that_cannot_start_undoes_the_group) {
    eddy_loop *first = new_loop();
    eddy_loop_group *group = new_group(first);
    eddy_loop_group_free(group);
    struct eddyi_host host = *first->host;
    const struct eddyi_host *real = first->host;
    host.thread_start = start_some_threads;
    group = NULL;
    for (int some = 0; some < LOOPS - 1; some++) {
        threads_left = some;
        first->host = &host;
        CHECK_ERR(eddy_loop_group_new(first, LOOPS, &group), -EAGAIN);
        first->host = real;
        CHECK_PTR_EQ(group, NULL);
        CHECK_PTR_EQ(first->group, NULL);
        check_no_thread_left();
    }
    eddy_loop_free(first);
}

/* Only what the caller allocates is let fail; a member's loop is tried by descriptors, below. */
static int64_t make_group(void *arg) {
    eddy_loop_group *group;
    int r = eddy_loop_group_new(arg, LOOPS, &group);
    if (r == 0) {
        eddy_loop_group_free(group);
    }
    return r;
}

TEST(each_allocation_may_fail) {
    eddy_loop *first = new_loop();
    CHECK(test_each_allocation_fails(make_group, first) >= 4);
    eddy_loop_free(first);
    check_no_thread_left();
}

TEST(member_without_a_descriptor_undoes_the_group) {
    eddy_loop *first = new_loop();
    eddy_loop_group *group = new_group(first);
    eddy_loop_group_free(group);
    struct rlimit old;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    int lowest = fcntl(0, F_DUPFD, 0);
    close(lowest);
    int failed = 0;
    for (int r = -1; r < 0; failed++) {
        struct rlimit low = {.rlim_cur = (rlim_t)(lowest + failed), .rlim_max = old.rlim_max};
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
        r = eddy_loop_group_new(first, LOOPS, &group);
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
        if (r < 0) {
            CHECK(r == -EMFILE || r == EDDY_EDRIVER);
            check_no_thread_left();
        }
    }
    CHECK(failed > 2);
    eddy_loop_group_free(group);
    eddy_loop_free(first);
}

TEST(forked_child_only_gives_things_back) {
    test_goes_on_in_a_fork();
    eddy_loop *first = new_loop();
    eddy_loop_group *group = new_group(first);
    CHECK_OK(eddy_spawn_on(eddy_loop_group_loop(group, 1), sleep_for_good, NULL, 0));
    wait_until(&begun, 1);
    pid_t pid = fork();
    if (pid == 0) {
        eddy_loop_group_free(group);
        eddy_loop_free(first);
        _exit(7);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 7);
    eddy_loop_group_free(group);
    CHECK_EQ(atomic_load(&cancelled), 1);
    eddy_loop_free(first);
}

static _Atomic int child;

static void exits_as_told(void) {
    _exit(7);
}

static int64_t ends_in_the_parent(void *arg) {
    (void)arg;
    CHECK(atomic_load(&child) > 0);
    return 0;
}

static int64_t forks(void *arg) {
    (void)arg;
    eddy_spawn(ends_in_the_parent, NULL, 0);
    pid_t pid = fork();
    atomic_store(&child, pid);
    if (pid == 0) {
        alarm(20); /* nobody else would end it if it hung */
        CHECK_EQ(atexit(exits_as_told), 0);
    }
    return 0;
}

static int64_t forks_in_its_cleanup(void *arg) {
    atomic_fetch_add(&begun, 1);
    CHECK_ERR(eddy_sleep(EDDY_NEVER), -ECANCELED);
    return forks(arg);
}

static void check_child(void) {
    int status;
    CHECK_EQ(waitpid(atomic_load(&child), &status, 0), atomic_load(&child));
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 7);
}

TEST(child_of_a_members_task_exits_when_the_task_returns) {
    test_goes_on_in_a_fork();
    eddy_loop *first = new_loop();
    eddy_loop_group *group = new_group(first);
    CHECK_OK(eddy_spawn_on(eddy_loop_group_loop(group, 1), forks, NULL, 0));
    wait_until(&child, 1);
    check_child();
    eddy_loop_group_free(group);
    eddy_loop_free(first);
}

TEST(child_of_a_members_task_exits_when_the_group_ends_meanwhile) {
    test_goes_on_in_a_fork();
    eddy_loop *first = new_loop();
    eddy_loop_group *group = new_group(first);
    CHECK_OK(eddy_spawn_on(eddy_loop_group_loop(group, 1), forks_in_its_cleanup, NULL, 0));
    wait_until(&begun, 1);
    eddy_loop_group_free(group);
    check_child();
    eddy_loop_free(first);
}

TEST(child_of_a_task_on_the_first_loop_frees_the_group_that_ends_meanwhile) {
    test_goes_on_in_a_fork();
    eddy_loop *first = new_loop();
    eddy_loop_group *group = new_group(first);
    CHECK_OK(eddy_spawn_on(first, forks, NULL, 0));
    eddy_loop_group_free(group);
    eddy_loop_free(first);
    if (atomic_load(&child) == 0) {
        _exit(7);
    }
    check_child();
}
