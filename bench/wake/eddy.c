/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wake-ups across threads: two loops on a CPU each that post to one another, asleep in between, and
 * once more while they stay awake in between, as they do by themselves; and a thread that posts to
 * a loop which works, until its function has run.
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

/* Both loops on their CPUs. */
static int64_t set_up(void) {
    eddy_loop_group *group = eddy_loop_group_current();
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, NULL);
    for (int i = 0; i < 2 && r == 0; i++) {
        sides[i] =
            (struct side){.loop = eddy_loop_group_loop(group, (unsigned)i), .other = &sides[1 - i]};
        r = eddy_spawn_on(sides[i].loop, pin_loop, (void *)(intptr_t)i, 0);
    }
    return eddy_scope_leave(&scope, r);
}

/* Round trips; `arg` is what to call the time of one. */
static int64_t go_round(void *arg) {
    eddy_future *done;
    int64_t r = set_up();
    if (r < 0 || (r = eddy_promise_new(&sides[0].done, &done)) < 0) {
        return r;
    }
    int64_t begin_ns = now_ns();
    eddy_loop_post(sides[1].loop, woken, &sides[1]);
    r = eddy_await(done);
    printf("%s %.3f\n", (const char *)arg, (double)(now_ns() - begin_ns) / 1e3 / TRIPS);
    eddy_future_release(done);
    eddy_promise_free(sides[0].done);
    return r;
}

static void count(void *arg) {
    (void)arg;
    atomic_fetch_add(&ran, 1);
}

static void *post_and_watch(void *arg) {
    int64_t begin_ns = now_ns();
    for (int i = 0; i < TRIPS; i++) {
        eddy_loop_post(arg, count, NULL);
        while (atomic_load(&ran) == i) {
        }
    }
    printf("working_us %.3f\n", (double)(now_ns() - begin_ns) / 1e3 / TRIPS);
    return NULL;
}

static int64_t be_given_work(void *arg) {
    (void)arg;
    pthread_t thread;
    pin_to(1); /* where the thread begins: it could not move away from a CPU that is busy */
    if (pthread_create(&thread, NULL, post_and_watch, eddy_loop_current()) != 0) {
        return -EAGAIN;
    }
    pin_to(0);
    while (atomic_load(&ran) < TRIPS) {
        eddy_yield();
    }
    pthread_join(thread, NULL);
    return 0;
}

int main(void) {
    static char asleep_us[] = "asleep_us";
    static char spinning_us[] = "spinning_us";
    static const eddy_loop_opts asleep = {.spin_ns = EDDY_ZERO};
    int r = eddy_main(go_round, asleep_us, &(eddy_opts){.loops = 2, .loop = &asleep});
    r = r != 0 ? r : eddy_main(go_round, spinning_us, &(eddy_opts){.loops = 2});
    return r != 0 ? r : eddy_main(be_given_work, NULL, NULL);
}
