/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each thing that a task can wait for, with the first allocation after its beginning refused, the
 * second, and so on, each once alone and once with all after it until somebody was told. (The same
 * for whole programs, their loops included: test_rooms.c.) Who is told -ENOMEM has lost nothing:
 * the victim's call has either done its part or is as if it had not been made, and its peers, who
 * ask again, go on where they were. Then the next run finds everything as the first did.
 */
#include "sweep/victims.h"

/* So long memory is away when nobody is told: a world's network has lost what it had no room for,
 * and sends it once more. */
enum { WAITS = 4 };

static void comes_back(int64_t nth) {
    (void)nth;
    end_outage();
}

/* Whether an allocation was refused. The victims' others may have ended that. */
static bool run_once(const struct scenario *scenario, int64_t nth, bool all) {
    eddy_scope others;
    memset(&run, 0, sizeof run);
    run.how = BY_MEMORY;
    run.nth = nth;
    CHECK_OK(eddy_scope_enter(&others, NULL));
    scenario->set_up();
    moments_arm(nth > 0 ? WAITS : 0, false, 0, comes_back);
    eddy_memory_fail_at(nth, all);
    int64_t r = scenario->victim();
    end_outage();
    moments_disarm();
    if (r < 0 && !(r == -ENOMEM && run.refused)) {
        test_fail(__FILE__, __LINE__, "without allocation %lld%s%s: %s", (long long)nth,
                  all ? " and all after it" : "", run.refused ? "" : " (not reached)",
                  eddy_error_name(r));
    }
    scenario->settle();
    CHECK_OK(eddy_scope_leave(&others, 0));
    return run.refused;
}

static void sweep(const struct scenario *scenario) {
    moments_begin();
    run_once(scenario, 0, false); /* what is made once is there now */
    struct inventory before = inventory_take();
    for (int all = 0; all <= 1; all++) {
        int64_t nth = 1;
        while (run_once(scenario, nth, all != 0)) {
            inventory_check(&before);
            run_once(scenario, 0, false); /* as if nothing had been */
            nth = moments_next(nth);
        }
        bool makes = scenario->victim == accept_victim || scenario->victim == connect_victim;
        CHECK(nth > 1 || !makes);
    }
    inventory_check(&before);
}

#define SWEEP(what, set_up_, victim_, settle_, kill_, resets_) \
    LOOP_TEST_TIMEOUT(what##_is_refused_each_allocation, 120) { \
        static const struct scenario scenario = {set_up_, victim_, settle_, kill_, resets_}; \
        sweep(&scenario); \
    }

SWEEP_VICTIMS(SWEEP)
