/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/loop/offload_impl.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/loop/op_impl.h>
#include <eddy/runtime/task/task_impl.h>

#include "test.h"

/* ---- help ------------------------------------------------------------------------------------ */

struct job {
    struct eddyi_offload_job job;
    sem_t *gate;        /* waited for while running; NULL: none */
    _Atomic int *begun; /* counts those that have begun; NULL: nothing */
    pthread_t ran_on;
    bool ran;
    int done;
};

static int64_t run_job(struct eddyi_offload_job *base) {
    struct job *job = EDDYI_CONTAINER(base, struct job, job);
    job->ran_on = pthread_self();
    job->ran = true;
    if (job->begun != NULL) {
        atomic_fetch_add(job->begun, 1);
    }
    if (job->gate != NULL) {
        while (sem_wait(job->gate) < 0) {
        }
    }
    return 42;
}

static void job_done(struct eddyi_offload_job *base) {
    struct job *job = EDDYI_CONTAINER(base, struct job, job);
    CHECK(eddyi_loop_here == base->loop);
    job->done++;
}

static void start(eddy_loop *loop, struct job *job, sem_t *gate, _Atomic int *begun) {
    *job = (struct job){.job = {.run = run_job, .done = job_done}, .gate = gate, .begun = begun};
    CHECK_OK(eddyi_offload_submit(loop, &job->job));
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

static bool simulated(void) {
    return strcmp(test_driver(), "sim") == 0;
}

static void skip_on_sim(void) {
    if (simulated()) {
        SKIP("the simulation has no threads: it runs jobs on the loop's own");
    }
}

/* The pool's threads alone: a sanitizer has some of its own. */
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
            count += fgets(name, sizeof name, file) != NULL && strcmp(name, "eddy-offload\n") == 0;
            fclose(file);
        }
    }
    closedir(dir);
    return count;
}

/* The pool has ended its threads; not one after the other because they were idle, which takes three
 * seconds. One that was joined may be in the folder for another moment. */
static void check_no_thread_left(void) {
    int64_t start_ns = eddyi_host_real.mono_ns(eddyi_host_real.ctx);
    while (thread_count() > 0) {
        CHECK(eddyi_host_real.mono_ns(eddyi_host_real.ctx) - start_ns < 5 * EDDY_S / 2);
        sched_yield();
    }
}

static int pool_size(eddy_loop *loop) {
    int cpus = loop->host->cpu_count(loop->host->ctx);
    return cpus > EDDYI_OFFLOAD_THREADS_MIN ? cpus : EDDYI_OFFLOAD_THREADS_MIN;
}

static void wait_until(_Atomic int *count, int wanted) {
    while (atomic_load(count) < wanted) {
        sched_yield();
    }
}

static void open_gate(sem_t *gate, int times) {
    for (int i = 0; i < times; i++) {
        sem_post(gate);
    }
}

/* Occupies every thread that the pool may have with a job behind `gate`. */
static struct job *fill_pool(eddy_loop *loop, sem_t *gate, int *ret_count) {
    static _Atomic int begun;
    int count = pool_size(loop);
    struct job *jobs = eddyi_alloc((size_t)count * sizeof *jobs);
    CHECK(jobs != NULL);
    atomic_store(&begun, 0);
    sem_init(gate, 0, 0);
    for (int i = 0; i < count; i++) {
        start(loop, &jobs[i], gate, &begun);
    }
    wait_until(&begun, count);
    *ret_count = count;
    return jobs;
}

/* ---- claims ---------------------------------------------------------------------------------- */

TEST(job_runs_elsewhere_and_is_done_on_the_loops_thread) {
    eddy_loop *loop = new_loop();
    struct job job;
    start(loop, &job, NULL, NULL);
    CHECK_EQ(job.done, 0);
    CHECK_EQ(eddy_loop_run(loop), 0);
    CHECK_EQ(job.done, 1);
    CHECK_EQ(job.job.result, 42);
    CHECK_EQ(pthread_equal(job.ran_on, pthread_self()) != 0, simulated());
    eddy_loop_free(loop);
}

TEST(last_loop_that_used_the_pool_ends_its_threads) {
    skip_on_sim();
    eddy_loop *first = new_loop();
    eddy_loop *second = new_loop();
    eddy_loop *never = new_loop();
    struct job job;
    start(first, &job, NULL, NULL);
    CHECK_EQ(eddy_loop_run(first), 0);
    start(second, &job, NULL, NULL);
    CHECK_EQ(eddy_loop_run(second), 0);
    eddy_loop_free(first);
    CHECK(thread_count() > 0);
    start(second, &job, NULL, NULL);
    CHECK_EQ(eddy_loop_run(second), 0);
    eddy_loop_free(second);
    check_no_thread_left();
    /* And it comes back for the next one. */
    start(never, &job, NULL, NULL);
    CHECK_EQ(eddy_loop_run(never), 0);
    CHECK_EQ(job.job.result, 42);
    eddy_loop_free(never);
    check_no_thread_left();
}

TEST(pool_is_bounded_and_starts_only_what_it_needs) {
    skip_on_sim();
    eddy_loop *loop = new_loop();
    struct job job;
    for (int i = 0; i < 100; i++) {
        start(loop, &job, NULL, NULL);
        CHECK_EQ(eddy_loop_run(loop), 0);
    }
    CHECK(thread_count() <= 2); /* one after the other: the second at most by overlap */

    sem_t gate;
    int count;
    struct job *jobs = fill_pool(loop, &gate, &count);
    struct job more[8];
    for (int i = 0; i < 8; i++) {
        start(loop, &more[i], NULL, NULL);
    }
    CHECK_EQ(thread_count(), count);
    open_gate(&gate, count);
    CHECK_EQ(eddy_loop_run(loop), 0);
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(more[i].done, 1);
    }
    CHECK_EQ(thread_count(), count);
    eddyi_free(jobs);
    eddy_loop_free(loop);
}

TEST(threads_end_when_they_have_been_idle) {
    skip_on_sim();
    eddy_loop *loop = new_loop();
    sem_t gate;
    int count;
    struct job *jobs = fill_pool(loop, &gate, &count);
    open_gate(&gate, count);
    CHECK_EQ(eddy_loop_run(loop), 0);
    eddyi_free(jobs);
    while (thread_count() > 0) {
        sched_yield();
    }
    struct job job;
    start(loop, &job, NULL, NULL);
    CHECK_EQ(eddy_loop_run(loop), 0);
    CHECK_EQ(job.job.result, 42);
    eddy_loop_free(loop);
    check_no_thread_left();
}

TEST(pool_threads_take_no_signals) {
    skip_on_sim();
    eddy_loop *loop = new_loop();
    struct job job;
    sem_t gate;
    _Atomic int begun = 0;
    sem_init(&gate, 0, 0);
    start(loop, &job, &gate, &begun);
    wait_until(&begun, 1);
    sigset_t set;
    sigset_t old;
    sigset_t pending;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    kill(getpid(), SIGTERM); /* nobody takes it: it would end the process */
    sigpending(&pending);
    CHECK(sigismember(&pending, SIGTERM) == 1);
    int number;
    sigwait(&set, &number);
    CHECK_EQ(number, SIGTERM);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    open_gate(&gate, 1);
    CHECK_EQ(eddy_loop_run(loop), 0);
    eddy_loop_free(loop);
}

static int64_t square(void *arg) {
    int64_t *number = arg;
    *number *= *number;
    return *number;
}

LOOP_TEST(task_waits_for_a_job_while_others_run) {
    for (int64_t i = 1; i < 50; i++) {
        int64_t number = i;
        CHECK_EQ(eddyi_task_offload(eddyi_task_here, square, &number, "square"), i * i);
        CHECK_EQ(number, i * i);
    }
}

/* ---- cancel ---------------------------------------------------------------------------------- */

TEST(cancel_of_a_job_that_has_not_begun_keeps_it_from_running) {
    eddy_loop *loop = new_loop();
    struct job job;
    if (simulated()) {
        start(loop, &job, NULL, NULL);
        CHECK(eddyi_offload_cancel(&job.job));
        CHECK_EQ(eddy_loop_run(loop), 0);
    } else {
        sem_t gate;
        int count;
        struct job *jobs = fill_pool(loop, &gate, &count);
        start(loop, &job, NULL, NULL);
        CHECK(eddyi_offload_cancel(&job.job));
        CHECK(!eddyi_offload_cancel(&job.job));
        CHECK_EQ(job.done, 0);
        open_gate(&gate, count);
        CHECK_EQ(eddy_loop_run(loop), 0);
        eddyi_free(jobs);
    }
    CHECK(!job.ran);
    CHECK_EQ(job.done, 1);
    CHECK_ERR(job.job.result, -ECANCELED);
    eddy_loop_free(loop);
}

TEST(cancel_of_a_running_job_lets_it_end) {
    skip_on_sim();
    eddy_loop *loop = new_loop();
    struct job job;
    sem_t gate;
    _Atomic int begun = 0;
    sem_init(&gate, 0, 0);
    start(loop, &job, &gate, &begun);
    wait_until(&begun, 1);
    CHECK(!eddyi_offload_cancel(&job.job));
    open_gate(&gate, 1);
    CHECK_EQ(eddy_loop_run(loop), 0);
    CHECK(!eddyi_offload_cancel(&job.job));
    CHECK_EQ(job.done, 1);
    CHECK_EQ(job.job.result, 42);
    eddy_loop_free(loop);
}

static void *open_gate_on_thread(void *arg) {
    open_gate(arg, 64);
    return NULL;
}

TEST(loop_freed_with_jobs_queued_and_running_waits_for_them) {
    skip_on_sim();
    eddy_loop *loop = new_loop();
    sem_t gate;
    int count;
    struct job *jobs = fill_pool(loop, &gate, &count);
    struct job queued[16];
    for (int i = 0; i < 16; i++) {
        start(loop, &queued[i], NULL, NULL);
    }
    CHECK(eddyi_offload_cancel(&queued[7].job));
    pthread_t opener;
    pthread_create(&opener, NULL, open_gate_on_thread, &gate);
    eddy_loop_free(loop);
    pthread_join(opener, NULL);
    for (int i = 0; i < 16; i++) {
        CHECK_EQ(queued[i].done, 1);
        CHECK_EQ(queued[i].job.result, i == 7 ? -ECANCELED : 42);
    }
    for (int i = 0; i < count; i++) {
        CHECK_EQ(jobs[i].done, 1);
    }
    eddyi_free(jobs);
    check_no_thread_left();
}

/* ---- abandon --------------------------------------------------------------------------------- */

static _Atomic int left_count;

/* The job's memory is the thread's by now. */
static void job_left(struct eddyi_offload_job *base) {
    CHECK(eddyi_loop_here == NULL);
    CHECK_EQ(base->result, 42);
    eddyi_free(EDDYI_CONTAINER(base, struct job, job));
    atomic_fetch_add(&left_count, 1);
}

static struct job *start_hanging(eddy_loop *loop, sem_t *gate) {
    static _Atomic int begun;
    struct job *job = eddyi_zalloc(sizeof *job);
    CHECK(job != NULL);
    sem_init(gate, 0, 0);
    atomic_store(&begun, 0);
    start(loop, job, gate, &begun);
    job->job.left = job_left;
    wait_until(&begun, 1);
    return job;
}

TEST(loop_is_freed_while_an_abandoned_job_hangs) {
    skip_on_sim();
    sem_t gate;
    eddy_loop *loop = new_loop();
    struct job *job = start_hanging(loop, &gate);
    CHECK_EQ(loop->live, 1);
    CHECK(eddyi_offload_abandon(&job->job));
    CHECK(!eddyi_offload_abandon(&job->job));
    CHECK(!eddyi_offload_cancel(&job->job));
    CHECK_EQ(loop->live, 0);
    CHECK_EQ(eddy_loop_run(loop), 0);
    eddy_loop_free(loop);
    CHECK_EQ(thread_count(), 1); /* the lost one */
    CHECK_EQ(left_count, 0);
    open_gate(&gate, 1);
    wait_until(&left_count, 1);
    check_no_thread_left();
}

/* While the pool is in use again, and by another loop. */
TEST(lost_thread_that_comes_back_takes_jobs_again) {
    skip_on_sim();
    sem_t gate;
    eddy_loop *loop = new_loop();
    struct job *hanging = start_hanging(loop, &gate);
    struct job job;
    CHECK(eddyi_offload_abandon(&hanging->job));
    eddy_loop_free(loop);
    loop = new_loop();
    start(loop, &job, NULL, NULL);
    CHECK_EQ(eddy_loop_run(loop), 0);
    CHECK_EQ(job.job.result, 42);
    open_gate(&gate, 1);
    wait_until(&left_count, 1);
    for (int i = 0; i < 100; i++) {
        start(loop, &job, NULL, NULL);
        CHECK_EQ(eddy_loop_run(loop), 0);
    }
    eddy_loop_free(loop);
    check_no_thread_left();
}

TEST(abandoned_job_that_is_taken_back_is_done_on_its_loop) {
    skip_on_sim();
    sem_t gate;
    eddy_loop *loop = new_loop();
    struct job *job = start_hanging(loop, &gate);
    for (int i = 0; i < 3; i++) {
        CHECK(eddyi_offload_abandon(&job->job));
        CHECK(!eddyi_offload_has_left(&job->job));
        CHECK(eddyi_offload_reclaim(&job->job));
        CHECK_EQ(loop->live, 1);
    }
    open_gate(&gate, 1);
    CHECK_EQ(eddy_loop_run(loop), 0);
    CHECK_EQ(job->done, 1);
    CHECK_EQ(job->job.result, 42);
    CHECK_EQ(left_count, 0);
    eddyi_free(job);
    eddy_loop_free(loop);
    check_no_thread_left();
}

/* What follows the job that was taken back: submitted before that one's thread, which is one too
 * many, has come back for more. */
static struct {
    const struct eddyi_driver *real;
    struct job next;
    _Atomic bool submitted;
} relay;

static void wake_and_be_overtaken(eddy_loop *loop) {
    relay.real->wake(loop);
    while (!atomic_load(&relay.submitted)) {
        sched_yield();
    }
}

static int64_t run_until_the_loop_sleeps(struct eddyi_offload_job *base) {
    int64_t r = run_job(base);
    while (atomic_load(&base->loop->sleeping) == 0) {
        sched_yield();
    }
    return r;
}

static void job_done_and_next(struct eddyi_offload_job *base) {
    job_done(base);
    start(base->loop, &relay.next, NULL, NULL);
    atomic_store(&relay.submitted, true);
}

/* Who ends because there are too many leaves no job behind for threads that sleep: each of so many
 * would take seconds, until one has slept enough, and all of them longer than a test may. */
TEST(thread_that_is_one_too_many_leaves_no_job_to_sleepers) {
    skip_on_sim();
    eddy_loop *loop = new_loop();
    struct eddyi_driver driver = *loop->driver;
    relay.real = loop->driver;
    driver.wake = wake_and_be_overtaken;
    loop->driver = &driver;
    for (int i = 0; i < 100; i++) {
        sem_t kept_gate;
        sem_t gate;
        _Atomic int begun = 0;
        struct job kept = {.job = {.run = run_until_the_loop_sleeps, .done = job_done_and_next},
                           .gate = &kept_gate,
                           .begun = &begun};
        struct job others[64];
        int count = pool_size(loop);
        CHECK(count <= 64);
        sem_init(&kept_gate, 0, 0);
        sem_init(&gate, 0, 0);
        atomic_store(&relay.submitted, true);
        CHECK_OK(eddyi_offload_submit(loop, &kept.job));
        wait_until(&begun, 1);
        CHECK(eddyi_offload_abandon(&kept.job));
        for (int k = 0; k < count; k++) {
            start(loop, &others[k], &gate, &begun);
        }
        wait_until(&begun, 1 + count);
        open_gate(&gate, count);
        CHECK_EQ(eddy_loop_run(loop), 0); /* they sleep, or soon will */
        atomic_store(&relay.submitted, false);
        CHECK(eddyi_offload_reclaim(&kept.job));
        open_gate(&kept_gate, 1);
        CHECK_EQ(eddy_loop_run(loop), 0);
        CHECK_EQ(kept.done, 1);
        CHECK_EQ(relay.next.done, 1);
        CHECK_EQ(relay.next.job.result, 42);
    }
    eddy_loop_free(loop); /* with that driver: until then a thread may be waking it */
    check_no_thread_left();
}

static void stay(struct eddyi_offload_job *base) {
    (void)base;
}

TEST(abandoned_job_that_has_ended_is_not_taken_back) {
    skip_on_sim();
    sem_t gate;
    eddy_loop *loop = new_loop();
    struct job *job = start_hanging(loop, &gate);
    job->job.left = stay;
    CHECK(eddyi_offload_abandon(&job->job));
    open_gate(&gate, 1);
    while (!eddyi_offload_has_left(&job->job)) {
        sched_yield();
    }
    CHECK(!eddyi_offload_reclaim(&job->job));
    CHECK_EQ(job->job.result, 42);
    CHECK_EQ(job->done, 0);
    eddy_loop_free(loop);
    check_no_thread_left();
    eddyi_free(job);
}

TEST(job_that_has_not_begun_or_has_ended_is_not_abandoned) {
    eddy_loop *loop = new_loop();
    struct job job;
    if (simulated()) {
        start(loop, &job, NULL, NULL);
        CHECK(!eddyi_offload_abandon(&job.job));
        CHECK_EQ(eddy_loop_run(loop), 0);
    } else {
        sem_t gate;
        int count;
        struct job *jobs = fill_pool(loop, &gate, &count);
        start(loop, &job, NULL, NULL);
        CHECK(!eddyi_offload_abandon(&job.job));
        open_gate(&gate, count);
        CHECK_EQ(eddy_loop_run(loop), 0);
        eddyi_free(jobs);
    }
    CHECK_EQ(job.job.result, 42);
    CHECK(!eddyi_offload_abandon(&job.job));
    CHECK_EQ(job.done, 1);
    eddy_loop_free(loop);
}

/* All threads hang, then all are given up on: others come for what is queued. */
TEST(lost_threads_are_replaced_for_what_is_queued) {
    skip_on_sim();
    enum { ROUNDS = 3 };
    static sem_t gates[ROUNDS];
    eddy_loop *loop = new_loop();
    struct job queued;
    int lost = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int count = pool_size(loop);
        _Atomic int begun = 0;
        struct job *jobs[64];
        CHECK(count <= 64);
        sem_init(&gates[round], 0, 0);
        for (int i = 0; i < count; i++) {
            jobs[i] = eddyi_zalloc(sizeof *jobs[i]);
            CHECK(jobs[i] != NULL);
            start(loop, jobs[i], &gates[round], &begun);
            jobs[i]->job.left = job_left;
        }
        wait_until(&begun, count);
        start(loop, &queued, NULL, NULL);
        CHECK_EQ(thread_count(), lost + count);
        for (int i = 0; i < count; i++) {
            CHECK(eddyi_offload_abandon(&jobs[i]->job));
        }
        lost += count;
        CHECK_EQ(eddy_loop_run(loop), 0);
        CHECK_EQ(queued.job.result, 42);
    }
    for (int round = 0; round < ROUNDS; round++) {
        open_gate(&gates[round], lost / ROUNDS);
    }
    wait_until(&left_count, lost);
    eddy_loop_free(loop);
    check_no_thread_left();
}

/* Each job is abandoned and taken back at any moment of its life, and ends once all the same. */
TEST(stress_abandon_and_reclaim_against_the_end) {
    skip_on_sim();
    eddy_loop *loop = new_loop();
    int rounds = test_is_slow() ? 300 : 3000;
    for (int i = 0; i < rounds; i++) {
        struct job job;
        start(loop, &job, NULL, NULL);
        job.job.left = stay;
        bool abandoned = false;
        for (uint64_t k = test_random_below(8); k > 0; k--) {
            abandoned =
                abandoned ? !eddyi_offload_reclaim(&job.job) : eddyi_offload_abandon(&job.job);
            if (abandoned && eddyi_offload_has_left(&job.job)) {
                break;
            }
        }
        if (abandoned) {
            abandoned = !eddyi_offload_reclaim(&job.job);
        }
        CHECK_EQ(eddy_loop_run(loop), 0);
        CHECK_EQ(job.job.result, 42);
        CHECK_EQ(job.done, abandoned ? 0 : 1);
        CHECK_EQ(abandoned, eddyi_offload_has_left(&job.job));
    }
    eddy_loop_free(loop);
    check_no_thread_left();
}

/* ---- many ------------------------------------------------------------------------------------ */

#define MANY 5000

struct many {
    struct job jobs[MANY];
    int cancelled;
};

static void *run_many(void *arg) {
    struct many *many = arg;
    eddy_loop *loop = new_loop();
    for (int i = 0; i < MANY; i++) {
        start(loop, &many->jobs[i], NULL, NULL);
        if (i % 7 == 3) {
            many->cancelled += eddyi_offload_cancel(&many->jobs[i - 3].job) ? 1 : 0;
        }
        if (i % 100 == 99) {
            CHECK_EQ(eddy_loop_run(loop), 0);
        }
    }
    CHECK_EQ(eddy_loop_run(loop), 0);
    eddy_loop_free(loop);
    return NULL;
}

TEST(ten_thousand_jobs_from_two_loops_each_end_once) {
    static struct many many[2];
    pthread_t other;
    pthread_create(&other, NULL, run_many, &many[0]);
    run_many(&many[1]);
    pthread_join(other, NULL);
    for (int k = 0; k < 2; k++) {
        int cancelled = 0;
        for (int i = 0; i < MANY; i++) {
            const struct job *job = &many[k].jobs[i];
            CHECK_EQ(job->done, 1);
            CHECK_EQ(job->job.result, job->ran ? 42 : -ECANCELED);
            cancelled += !job->ran;
        }
        CHECK_EQ(cancelled, many[k].cancelled);
    }
    check_no_thread_left();
}

/* The thread that queues a loop's last item may still be in the loop when that has ended it. */
TEST(loop_freed_right_after_its_job_is_not_used_any_more) {
    for (int i = 0; i < (test_is_slow() ? 200 : 1000); i++) {
        eddy_loop *loop = new_loop();
        struct job job;
        start(loop, &job, NULL, NULL);
        CHECK_EQ(eddy_loop_run(loop), 0);
        eddy_loop_free(loop);
    }
}

/* ---- faults ---------------------------------------------------------------------------------- */

static int refuse_thread(void *ctx, const char *name, void *(*fn)(void *arg), void *arg,
                         pthread_t *ret_thread) {
    (void)ctx;
    (void)name;
    (void)fn;
    (void)arg;
    (void)ret_thread;
    return -EAGAIN;
}

TEST(submit_says_so_when_not_one_thread_can_be_had) {
    skip_on_sim();
    eddy_loop *loop = new_loop();
    struct eddyi_host host = *loop->host;
    host.thread_start = refuse_thread;
    struct job job = {.job = {.run = run_job, .done = job_done}};
    loop->host = &host;
    CHECK_ERR(eddyi_offload_submit(loop, &job.job), -EAGAIN);
    loop->host = &eddyi_host_real;
    eddy_memory_fail_at(1, true);
    CHECK_ERR(eddyi_offload_submit(loop, &job.job), -ENOMEM);
    eddy_memory_fail_at(0, false);
    CHECK_EQ(loop->live, 0);

    /* With one thread there is somebody to do it. */
    sem_t gate;
    _Atomic int begun = 0;
    struct job held;
    sem_init(&gate, 0, 0);
    start(loop, &held, &gate, &begun);
    wait_until(&begun, 1);
    loop->host = &host;
    start(loop, &job, NULL, NULL);
    loop->host = &eddyi_host_real;
    CHECK(!job.ran);
    open_gate(&gate, 1);
    CHECK_EQ(eddy_loop_run(loop), 0);
    CHECK_EQ(job.job.result, 42);
    eddy_loop_free(loop);
}

static void op_done(struct eddyi_op *op) {
    *(bool *)op->waiter = true;
}

TEST(file_operation_is_done_even_without_threads) {
    skip_on_sim();
    eddy_loop *loop = new_loop();
    struct eddyi_host host = *loop->host;
    host.thread_start = refuse_thread;
    char path[512];
    snprintf(path, sizeof path, "%s/file", test_tmpdir());
    struct eddyi_handle handle;
    int fd = host.open(host.ctx, -1, path, O_RDWR | O_CREAT, 0600);
    eddyi_handle_init(&handle, (int)CHECK_OK(fd), EDDYI_HANDLE_FILE);
    bool done = false;
    struct eddyi_op op = {.kind = EDDYI_OP_WRITE,
                          .handle = &handle,
                          .data = "text",
                          .len = 4,
                          .done = op_done,
                          .waiter = &done};
    loop->host = &host;
    eddyi_op_submit(loop, &op);
    CHECK(!done);
    CHECK_EQ(eddy_loop_run(loop), 0);
    loop->host = &eddyi_host_real;
    CHECK(done);
    CHECK_EQ(op.result, 4);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

TEST(forked_child_has_a_pool_of_its_own) {
    skip_on_sim();
    eddy_loop *loop = new_loop();
    sem_t gate;
    int count;
    struct job *jobs = fill_pool(loop, &gate, &count);
    pid_t pid = fork();
    if (pid == 0) {
        struct job job;
        CHECK_EQ(thread_count(), 0);
        eddy_loop *own = new_loop();
        start(own, &job, NULL, NULL);
        CHECK_EQ(eddy_loop_run(own), 0);
        CHECK_EQ(job.job.result, 42);
        eddy_loop_free(loop);
        eddy_loop_free(own);
        check_no_thread_left();
        _exit(7);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 7);
    open_gate(&gate, count);
    CHECK_EQ(eddy_loop_run(loop), 0);
    eddyi_free(jobs);
    eddy_loop_free(loop);
}
