/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a loop waits (runtime/loop/wait.c). The driver's `wait` and `wake` are put in brackets, so
 * that a test sees each look of a loop that is awake, and can have something happen in between.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <eddy/runtime/base/cpu_impl.h>
#include <eddy/runtime/loop/loop_impl.h>
#include <eddy/runtime/sync/event.h>
#include <eddy/runtime/task/task.h>

#include "test.h"

static struct {
    const struct eddyi_driver *driver; /* the real one */
    void (*before)(eddy_loop *loop);   /* what happens at the next look, once; or NULL */
    unsigned looks;
    unsigned sleeps;
    _Atomic unsigned wakes;
} seen;

static void wait_and_see(eddy_loop *loop, int64_t deadline_ns) {
    if (deadline_ns > 0) {
        seen.sleeps++;
    } else {
        seen.looks++;
        if (seen.before != NULL) {
            void (*before)(eddy_loop *) = seen.before;
            seen.before = NULL;
            before(loop);
        }
    }
    seen.driver->wait(loop, deadline_ns);
}

static void wake_and_see(eddy_loop *loop) {
    atomic_fetch_add(&seen.wakes, 1);
    seen.driver->wake(loop);
}

/* The present loop, which stays awake for so long; the simulation's does not. */
static eddy_loop *awake_for(int64_t ns) {
    static struct eddyi_driver driver;
    eddy_loop *loop = eddy_loop_current();
    if (strcmp(eddy_loop_driver(loop), "sim") == 0) {
        CHECK_EQ(loop->spin.ns, 0);
        SKIP("simulated time goes on while the loop sleeps");
    }
    memset(&seen, 0, sizeof seen);
    seen.driver = loop->driver;
    driver = *loop->driver;
    driver.wait = wait_and_see;
    driver.wake = wake_and_see;
    loop->driver = &driver;
    loop->spin = (struct eddyi_loop_spin){.ns = ns};
    return loop;
}

static void done_with(eddy_loop *loop) {
    loop->driver = seen.driver;
}

/* ---- awake ----------------------------------------------------------------------------------- */

static eddy_event arrived;

static void arrive(void *arg) {
    (void)arg;
    eddy_event_set(&arrived);
}

static void *post(void *loop) {
    CHECK_OK(eddy_loop_post(loop, arrive, NULL));
    return NULL;
}

/* Another thread posts, while this one is in the middle of a look. */
static void post_from_afar(eddy_loop *loop) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, post, loop), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

LOOP_TEST(what_is_posted_to_a_loop_that_is_awake_wakes_nobody) {
    eddy_loop *loop = awake_for(10 * EDDY_MS);
    seen.before = post_from_afar;
    CHECK_OK(eddy_event_wait(&arrived)); /* no timer and no operation would end the wait */
    CHECK_EQ(atomic_load(&seen.wakes), 0);
    CHECK_EQ(seen.sleeps, 0);
    CHECK_EQ(loop->spin.skip, 0); /* and the next time it is awake, too */
    done_with(loop);
}

LOOP_TEST(a_timer_fires_while_the_loop_is_awake) {
    eddy_loop *loop = awake_for(3600 * EDDY_S);
    int64_t begin_ns = eddy_loop_now(loop);
    CHECK_OK(eddy_sleep(2 * EDDY_MS));
    CHECK(eddy_loop_now(loop) - begin_ns >= 2 * EDDY_MS);
    CHECK_EQ(seen.sleeps, 0);
    CHECK_EQ(loop->spin.failures, 1); /* which asleep it would have done as well */
    done_with(loop);
}

/* ---- asleep ---------------------------------------------------------------------------------- */

LOOP_TEST(who_was_awake_in_vain_sleeps_and_a_long_sleep_counts_for_nothing) {
    eddy_loop *loop = awake_for(EDDY_US);
    CHECK_OK(eddy_sleep(20 * EDDY_MS));
    CHECK_EQ(loop->spin.failures, 1);
    CHECK_EQ(loop->spin.skip, 2);
    CHECK(seen.sleeps > 0);
    unsigned looks = seen.looks;
    for (int i = 0; i < 5; i++) {
        CHECK_OK(eddy_sleep(5 * EDDY_MS));
    }
    CHECK_EQ(loop->spin.skip, 2);
    CHECK(seen.looks - looks <= 10); /* those that hand over what was submitted */
    done_with(loop);
}

LOOP_TEST(after_short_sleeps_the_loop_is_awake_again) {
    eddy_loop *loop = awake_for(10 * EDDY_MS);
    loop->spin.skip = 3;
    while (loop->spin.skip > 0) { /* where a machine is busy a sleep may turn out long */
        CHECK_OK(eddy_sleep(10 * EDDY_US));
    }
    CHECK(seen.sleeps >= 3);
    unsigned sleeps = seen.sleeps;
    seen.before = post_from_afar;
    eddy_event_clear(&arrived);
    CHECK_OK(eddy_event_wait(&arrived));
    CHECK_EQ(seen.sleeps, sleeps);
    done_with(loop);
}

static int64_t cpu_ns(void) {
    struct timespec used;
    CHECK_EQ(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used), 0);
    return used.tv_sec * EDDY_S + used.tv_nsec;
}

LOOP_TEST(an_idle_loop_uses_no_processor) {
    eddy_loop *loop = eddy_loop_current();
    int64_t used_ns = cpu_ns();
    CHECK_OK(eddy_sleep(200 * EDDY_MS));
    if (strcmp(eddy_loop_driver(loop), "sim") != 0) {
        CHECK(cpu_ns() - used_ns < 20 * EDDY_MS);
    }
}

/* ---- the option ------------------------------------------------------------------------------ */

static int64_t spin_of(int64_t spin_ns, const char *driver) {
    eddy_loop *loop;
    eddy_loop_opts opts = {.driver = driver, .spin_ns = spin_ns};
    int r = eddy_loop_new(&opts, &loop);
    if (r < 0) {
        return r;
    }
    int64_t ns = loop->spin.ns;
    eddy_loop_free(loop);
    return ns;
}

TEST(the_time_to_be_awake_is_an_option) {
    if (eddyi_cpu_there("") == 1) {
        SKIP("with one processor no loop waits awake");
    }
    CHECK_EQ(spin_of(0, "epoll"), 50 * EDDY_US);
    CHECK_EQ(spin_of(EDDY_MS, "epoll"), EDDY_MS);
    CHECK_EQ(spin_of(EDDY_ZERO, "epoll"), 0);
    CHECK_EQ(spin_of(EDDY_MS, "sim"), 0);
    CHECK_EQ(spin_of(10 * EDDY_MS, "epoll"), 10 * EDDY_MS);
    CHECK_ERR(spin_of(10 * EDDY_MS + 1, "epoll"), -EINVAL);
    CHECK_ERR(spin_of(-2, "epoll"), -EINVAL);
    static const struct {
        const char *text;
        int64_t spin_ns;
    } settings[] = {{"0", 0},         {"7000", 7000},  {"", -EINVAL},
                    {"1us", -EINVAL}, {"-1", -EINVAL}, {"10000001", -EINVAL}};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        CHECK_EQ(setenv("EDDY_SPIN_NS", settings[i].text, 1), 0);
        CHECK_EQ(spin_of(0, "epoll"), settings[i].spin_ns);
        CHECK_EQ(spin_of(EDDY_MS, "epoll"), EDDY_MS); /* who says it in the program is heard */
    }
    CHECK_EQ(unsetenv("EDDY_SPIN_NS"), 0);
}

TEST(where_affinity_leaves_one_processor_others_get_it_between_two_looks) {
    cpu_set_t all;
    cpu_set_t one;
    CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, &all)) {
            CPU_SET(cpu, &one);
        }
    }
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK(loop->spin.yields);
    eddy_loop_free(loop);
}
