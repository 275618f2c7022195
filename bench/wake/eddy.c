/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wake-ups across threads: two loops on a CPU each that post to one another, asleep in between; and
 * a thread that posts to a loop which works, until its function has run.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <eddy/eddy.h>

#include "../cpu.h"
#include "pin.h"

#define TRIPS 20000

struct side {
    eddy_loop *loop;
    struct side *other;
    eddy_promise *done;
    int trips;
};

static struct side sides[2];
static _Atomic int ran;

static void woken(void *arg) {
    struct side *side = arg;
    if (++side->trips < TRIPS || side == &sides[1]) {
        eddy_loop_post(side->other->loop, woken, side->other);
    }
    if (side->trips == TRIPS && side == &sides[0]) {
        eddy_promise_resolve(side->done, 0);
    }
}

static int64_t pin_loop(void *arg) {
    pin_to((int)(intptr_t)arg);
    return 0;
}

static void measure_asleep(void) {
    eddy_future *done;
    if (eddy_promise_new(&sides[0].done, &done) < 0) {
        return;
    }
    int64_t begin_ns = now_ns();
    eddy_loop_post(sides[1].loop, woken, &sides[1]);
    eddy_await(done);
    printf("asleep_us %.3f\n", (double)(now_ns() - begin_ns) / 1e3 / TRIPS);
    eddy_future_release(done);
    eddy_promise_free(sides[0].done);
}

static int64_t work(void *arg) {
    (void)arg;
    while (atomic_load(&ran) < TRIPS) {
        eddy_yield();
    }
    return 0;
}

static void count(void *arg) {
    (void)arg;
    atomic_fetch_add(&ran, 1);
}

static void *post_and_watch(void *arg) {
    pin_to(1);
    int64_t begin_ns = now_ns();
    for (int i = 0; i < TRIPS; i++) {
        eddy_loop_post(arg, count, NULL);
        while (atomic_load(&ran) == i) {
        }
    }
    printf("working_us %.3f\n", (double)(now_ns() - begin_ns) / 1e3 / TRIPS);
    return NULL;
}

static int64_t app(void *arg) {
    (void)arg;
    eddy_loop_group *group = eddy_loop_group_current();
    for (int i = 0; i < 2; i++) {
        sides[i].loop = eddy_loop_group_loop(group, (unsigned)i);
        sides[i].other = &sides[1 - i];
        eddy_loop_call(sides[i].loop, pin_loop, (void *)(intptr_t)i);
    }
    measure_asleep();
    pthread_t thread;
    if (pthread_create(&thread, NULL, post_and_watch, sides[0].loop) != 0) {
        return -EAGAIN;
    }
    work(NULL);
    pthread_join(thread, NULL);
    return 0;
}

int main(void) {
    return eddy_main(app, NULL, &(eddy_opts){.loops = 2});
}
