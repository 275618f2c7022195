/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals at a high rate, from a timer to the process and from a thread to the loop's: what they
 * interrupt goes on, and nobody is told.
 */
#include "sweep/scenarios.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include <eddy/runtime/base/sanitizer_impl.h>

#include "sweep/crowd.h"

static struct {
    pthread_t target;
    pthread_t sender;
    _Atomic bool over;
    _Atomic int timed; /* signals that were handled */
    _Atomic int sent;
} storm;

static void count_signal(int number) {
    if (number == SIGALRM) {
        storm.timed++;
    } else {
        storm.sent++;
    }
}

static void *send_signals(void *arg) {
    const struct timespec *pause = arg;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    while (!storm.over) {
        CHECK_EQ(pthread_kill(storm.target, SIGUSR1), 0);
        nanosleep(pause, NULL);
    }
    return NULL;
}

/* A sanitizer needs many times longer for each, and they must not be all that happens. */
static void storm_begin(void) {
#ifdef EDDYI_TSAN
    SKIP("ThreadSanitizer calls handlers late, and now and then leaves all signals blocked by it");
#endif
    static struct timespec pause;
    long interval_us = test_is_slow() ? 2000 : 150;
    pause.tv_nsec = interval_us * 1000;
    struct sigaction action = {.sa_handler = count_signal}; /* without SA_RESTART */
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    storm.target = pthread_self();
    CHECK_EQ(pthread_create(&storm.sender, NULL, send_signals, &pause), 0);
    struct itimerval timer = {.it_interval.tv_usec = interval_us, .it_value.tv_usec = interval_us};
    CHECK_EQ(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void storm_end(void) {
    CHECK_EQ(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL), 0);
    storm.over = true;
    CHECK_EQ(pthread_join(storm.sender, NULL), 0);
}

static bool enough(void) {
    int wanted = test_is_slow() ? 50 : 500;
    return storm.timed >= wanted && storm.sent >= wanted;
}

LOOP_TEST_TIMEOUT(signals_at_a_high_rate_show_nowhere, 120) {
    storm_begin();
    do {
        for (size_t i = 0; i < ROOMS; i++) {
            CHECK_OK(rooms[i].run());
        }
        crowd_run(20);
    } while (!enough());
    storm_end();
}

static int64_t use_files_and_sockets(void *arg) {
    (void)arg;
    CHECK_OK(files());
    CHECK_OK(sockets());
    return 0;
}

/* The loops, and with them the threads of the pool, come and go. */
TEST_TIMEOUT(loops_are_made_and_freed_under_signals, 120) {
    storm_begin();
    do {
        eddy_loop *loop;
        CHECK_OK(eddy_loop_new(NULL, &loop));
        CHECK_OK(eddy_loop_call(loop, use_files_and_sockets, NULL));
        eddy_loop_free(loop);
    } while (!enough());
    storm_end();
}
