/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every room's scenario, over and over: cancelled at its first moment, its second, and so on until
 * it is through before (moments.h), and with each allocation failing in turn. A scenario that was
 * cancelled says so or is through; either way nothing is left, and the next run finds everything as
 * the first did.
 */
#include "sweep/scenarios.h"

#include "sweep/moments.h"

static eddy_scope *swept;

static void cancel_it(int64_t nth) {
    (void)nth;
    CHECK_OK(eddy_scope_cancel(swept));
}

/* False when it was through before the cancel came. */
static bool cancel_at(int64_t (*scenario)(void), int64_t moment, bool before) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    swept = &scope;
    moments_arm(moment, before, 0, cancel_it);
    int64_t r = scenario();
    bool cancelled = moments_disarm();
    r = eddy_scope_leave(&scope, r);
    /* Who is cancelled hangs up, and the other side may hear of that first. */
    bool told =
        r == -ECANCELED || r == -ECONNRESET || r == -EPIPE || r == -ENOTCONN || r == EDDY_EEND;
    if (r < 0 && !(told && cancelled)) {
        test_fail(__FILE__, __LINE__, "cancelled %s wait %lld%s: %s", before ? "before" : "after",
                  (long long)moment, cancelled ? "" : " (not reached)", eddy_error_name(r));
    }
    return cancelled;
}

static void sweep_cancels(int64_t (*scenario)(void)) {
    moments_begin();
    cancel_at(scenario, 0, false); /* what is made once is there now */
    struct inventory inventory = inventory_take();
    for (int before = 0; before <= 1; before++) {
        int64_t moment = 1;
        while (cancel_at(scenario, moment, before != 0)) {
            inventory_check(&inventory);
            moment = moments_next(moment);
        }
        CHECK(moment > 2);
        cancel_at(scenario, 0, false);
        inventory_check(&inventory);
    }
}

static int64_t in_task(void *arg) {
    int64_t (**scenario)(void) = arg;
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, NULL);
    return r < 0 ? r : eddy_scope_leave(&scope, (*scenario)());
}

/* On a loop of its own each time, so that it is swept too and nothing of an earlier run is there.
 * Without memory a server hangs up, of which its client may hear first; a world's network loses
 * connection requests, and a connect that has lost seven gives up. */
static int64_t in_loop(void *arg) {
    eddy_loop *loop;
    int64_t r = eddy_loop_new(&(eddy_loop_opts){.seed = test_seed()}, &loop);
    if (r < 0) {
        return r;
    }
    r = eddy_loop_call(loop, in_task, arg);
    bool in_world = strcmp(eddy_loop_driver(loop), "sim") == 0;
    eddy_loop_free(loop);
    bool hung_up = r == -ECONNRESET || r == -EPIPE;
    return hung_up || (r == -ETIMEDOUT && in_world) ? -ENOMEM : r;
}

static void sweep_memory(int64_t (*scenario)(void)) {
    CHECK_OK(in_loop(&scenario));
    CHECK(test_each_allocation_fails(in_loop, &scenario) > 10);
    CHECK_OK(in_loop(&scenario));
}

#define SWEEP(room) \
    LOOP_TEST_TIMEOUT(room##_are_cancelled_at_each_moment, 120) { \
        sweep_cancels(room); \
    } \
    TEST_TIMEOUT(room##_are_refused_each_allocation, 120) { \
        sweep_memory(room); \
    }

SWEEP(tasks)
SWEEP(syncs)
SWEEP(futures)
SWEEP(streams)
SWEEP(sockets)
SWEEP(unix_sockets)
SWEEP(http)
SWEEP(files)
