/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a sweep strikes, and what must be as before afterwards. The moments are the driver's waits,
 * from both sides, with a turn for all that is ready in between:
 *
 *     ... task suspends --> (before: in flight) wait (after: done, not resumed) --> resumes ...
 *
 * Who is resumed and asks for the next thing is past the second moment of the last one, so "before
 * it asks" is among these too.
 */
#ifndef EDDY_TESTS_SWEEP_MOMENTS_H
#define EDDY_TESTS_SWEEP_MOMENTS_H

#include <dirent.h>
#include <string.h>

#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/driver/epoll_impl.h>
#include <eddy/runtime/driver/uring_impl.h>
#include <eddy/runtime/loop/loop_impl.h>
#include <eddy/runtime/sim/sim_impl.h>
#include <eddy/runtime/task/scope.h>
#include <eddy/runtime/task/task.h>

#include "test.h"

/* ---- moments --------------------------------------------------------------------------------- */

/* The driver with a wait that counts, and a clock that can be moved. A case has a process of its
 * own. */
static struct {
    struct eddyi_driver driver;
    const struct eddyi_driver *real;
    struct eddyi_host host;
    const struct eddyi_host *real_host;
    int64_t skipped_ns;          /* the clock's lead over the real one */
    int64_t left;                /* waits until the strike; 0: none comes, or it has come */
    bool before;                 /* strike before that wait, or after it */
    int64_t more;                /* so many further strikes follow, one at each wait */
    void (*strike)(int64_t nth); /* from 0; outside of every task */
    int64_t struck;              /* how many there were */
} moments;

static int64_t moments_clock(void *ctx) {
    (void)ctx;
    return moments.real_host->mono_ns(moments.real_host->ctx) + moments.skipped_ns;
}

static inline bool moments_in_world(void) {
    return moments.real == &eddyi_driver_sim;
}

static void moments_wait(eddy_loop *loop, int64_t deadline_ns) {
    bool now = moments.left > 0 && --moments.left == 0;
    if (now && moments.more > 0) {
        moments.more--;
        moments.left = 1;
    }
    if (now && moments.before) {
        moments.strike(moments.struck++);
        deadline_ns = 0; /* somebody is ready now, which the loop could not know */
    }
    if (moments_in_world() && deadline_ns > 0 && deadline_ns != EDDY_NEVER) {
        deadline_ns -= moments.skipped_ns; /* the world has not heard of it */
    }
    moments.real->wait(loop, deadline_ns);
    if (now && !moments.before) {
        moments.strike(moments.struck++);
    }
}

/* On the running loop, for good: a thread of the pool may look up at any time how to wake it. */
static inline void moments_begin(void) {
    eddy_loop *loop = eddy_loop_current();
    moments.real = loop->driver;
    moments.driver = *loop->driver;
    moments.driver.wait = moments_wait;
    loop->driver = &moments.driver;
    moments.real_host = loop->host;
    moments.host = *loop->host;
    moments.host.mono_ns = moments_clock;
    loop->host = &moments.host;
    loop->stepwise = true;
    eddyi_loop_exhaust(loop); /* from the next turn on */
    CHECK_OK(eddy_yield());
}

/* Strikes at the moment-th wait from now, counted from 1; 0: not at all. */
static inline void moments_arm(int64_t moment, bool before, int64_t more,
                               void (*strike)(int64_t nth)) {
    moments.struck = 0;
    moments.strike = strike;
    moments.before = before;
    moments.more = moment > 0 ? more : 0;
    moments.left = moment;
}

/* Whether it came to that, before this. */
static inline bool moments_disarm(void) {
    moments.left = 0;
    moments.more = 0;
    return moments.struck > 0;
}

/* Each moment at first, then ever larger strides: in a world that is never quiet the later ones are
 * many and much alike. */
static inline int64_t moments_next(int64_t moment) {
    return moment + 1 + moment / (test_is_slow() ? 8 : 32);
}

/* ---- what must be as before ------------------------------------------------------------------ */

struct inventory {
    int64_t blocks;
    uint64_t live; /* tasks, jobs and others for whose end a loop waits */
    uint64_t descriptors;
};

static inline uint64_t inventory_descriptors(void) {
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir != NULL);
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

/* Nothing that anybody has asked for is still in the driver's hands. */
static inline void inventory_check_driver(eddy_loop *loop) {
    if (strcmp(eddy_loop_driver(loop), "uring") == 0) {
        const struct eddyi_uring *u = loop->driver_state;
        CHECK(eddyi_list_empty(&u->parked) && eddyi_list_empty(&u->in_kernel));
        CHECK(eddyi_list_empty(&u->cancels) && eddyi_list_empty(&u->finished));
        CHECK(eddyi_list_empty(&u->shots) && eddyi_list_empty(&u->dirty));
        CHECK(u->pool == NULL || u->pool->held == 0);
        for (uint32_t i = 0; i < u->slot_count; i++) {
            CHECK(u->slots[i].shot == NULL);
        }
    } else if (strcmp(eddy_loop_driver(loop), "epoll") == 0) {
        const struct eddyi_epoll *state = loop->driver_state;
        CHECK(eddyi_list_empty(&state->due) && eddyi_list_empty(&state->later));
        CHECK(eddyi_list_empty(&state->ended));
    }
}

/* Call it in the only task that there should be. */
static inline struct inventory inventory_take(void) {
    eddy_loop *loop = eddy_loop_current();
    struct inventory inventory = {0};
    if (strcmp(eddy_loop_driver(loop), "sim") == 0) {
        const struct eddyi_sim *sim = loop->driver_state;
        CHECK_OK(eddy_sleep(3600 * EDDY_S)); /* what is on its way arrives, or is given up */
        inventory.descriptors = sim->host.open_count;
        /* Kept until somebody looks. */
        inventory.blocks = -(int64_t)sim->host.time_wait_count;
    } else {
        inventory.descriptors = inventory_descriptors();
    }
    inventory_check_driver(loop);
    inventory.blocks += eddy_memory_blocks();
    inventory.live = loop->live;
    return inventory;
}

static inline void inventory_check(const struct inventory *before) {
    struct inventory now = inventory_take();
    /* A job that was abandoned gives its memory back when its thread has done it. */
    for (int i = 0; i < 20000 && !moments_in_world() && now.blocks > before->blocks; i++) {
        CHECK_OK(eddy_sleep(EDDY_MS));
        now = inventory_take();
    }
    CHECK_EQ(now.live, before->live);
    CHECK_EQ(now.descriptors, before->descriptors);
    CHECK_EQ(now.blocks, before->blocks);
}

#endif
