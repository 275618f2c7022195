/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each thing that a task can wait for, ended at each moment: by a cancel, by a deadline, by a close
 * from another task, by the peer's reset, and by a cancel that is followed by others while the task
 * tidies up. Whatever it is, nothing is lost: each byte, connection, item, task and result is
 * either with whom was ended or still there for who asks next. And nothing is left: no block, no
 * descriptor, no task, no operation. The next run finds everything as the first did.
 */
#include "sweep/victims.h"

static void strike(int64_t nth) {
    switch (run.how) {
    case BY_CANCEL:
        CHECK_OK(eddy_scope_cancel(run.scope));
        break;
    case BY_CANCELS:
        CHECK_OK(eddy_scope_cancel(nth % 2 == 0 ? run.scope : run.outer));
        if (nth > 2 && run.tidying != NULL) {
            CHECK_OK(eddy_scope_cancel(run.tidying));
        }
        break;
    case BY_DEADLINE:
        moments.skipped_ns += LONG_NS;
        break;
    case BY_CLOSE:
    case BY_RESET:
        eddy_event_set(&run.kill);
        break;
    case BY_MEMORY:
        break; /* not here: test_memory.c */
    }
}

static int64_t executioner(void *arg) {
    const struct scenario *scenario = arg;
    CHECK_OK(eddy_event_wait(&run.kill));
    if (!run.spared) {
        run.over = true;
        scenario->kill();
    }
    return 0;
}

/* What a careful program does when it is ended: something that waits, behind a shield. */
static void tidy_up(void) {
    eddy_scope shield;
    CHECK_OK(eddy_scope_enter(&shield, &(eddy_scope_opts){.shield = true}));
    run.tidying = &shield;
    int64_t r = eddy_sleep(NAP_NS);
    r = r < 0 ? r : eddy_sleep(NAP_NS);
    CHECK(r == 0 || (run.how == BY_CANCELS && r == -ECANCELED));
    run.tidying = NULL;
    eddy_scope_leave(&shield, 0);
}

static int64_t victim(void *arg) {
    const struct scenario *scenario = arg;
    int64_t r = scenario->victim();
    if (r < 0) {
        tidy_up();
    }
    return r;
}

static void check_result(int64_t r, bool struck) {
    bool told = r == 0;
    if (struck) {
        switch (run.how) {
        case BY_CANCEL:
        case BY_CANCELS:
            told = told || r == -ECANCELED;
            break;
        case BY_DEADLINE:
            told = told || r == -ETIME;
            break;
        case BY_CLOSE:
            told = told || r == EDDY_ECLOSED;
            break;
        case BY_RESET:
            told = told || r == -ECONNRESET || r == -EPIPE;
            break;
        case BY_MEMORY:
            break;
        }
    }
    if (!told) {
        test_fail(__FILE__, __LINE__, "ended by way %d: %s", run.how, eddy_error_name(r));
    }
}

/* False when the victim had ended before its end came. */
static bool run_once(const struct scenario *scenario, enum how how, int64_t moment, bool before) {
    eddy_scope others;
    eddy_scope outer;
    eddy_scope scope;
    bool kills = how == BY_CLOSE || how == BY_RESET;
    memset(&run, 0, sizeof run);
    run.how = how;
    run.outer = &outer;
    run.scope = &scope;
    CHECK_OK(eddy_scope_enter(&others, NULL));
    scenario->set_up();
    CHECK(!kills || eddy_spawn(executioner, (void *)(uintptr_t)scenario, 0) == 0);
    CHECK_OK(eddy_scope_enter(&outer, NULL));
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = LONG_NS / 2}));
    moments_arm(moment, before, how == BY_CANCELS ? 6 : 0, strike);
    int64_t r = victim((void *)(uintptr_t)scenario);
    bool struck = moments_disarm();
    r = eddy_scope_leave(&scope, r);
    eddy_scope_leave(&outer, 0);
    check_result(r, struck);
    if (kills && !struck) {
        run.spared = true;
        eddy_event_set(&run.kill);
    }
    while (kills && struck && !run.over) {
        CHECK_OK(eddy_yield()); /* the victim was faster */
    }
    scenario->settle();
    CHECK_OK(eddy_scope_leave(&others, 0));
    return struck;
}

static void sweep(const struct scenario *scenario) {
    moments_begin();
    run_once(scenario, BY_CANCEL, 0, false); /* what is made once is there now */
    struct inventory before = inventory_take();
    for (int how = BY_CANCEL; how <= BY_RESET; how++) {
        if ((how == BY_CLOSE && scenario->kill == NULL) || (how == BY_RESET && !scenario->resets)) {
            continue;
        }
        for (int side = 0; side <= 1; side++) {
            int64_t moment = 1;
            while (run_once(scenario, how, moment, side != 0)) {
                inventory_check(&before);
                CHECK(!run_once(scenario, how, 0, false)); /* as if nothing had been */
                moment = moments_next(moment);
            }
            CHECK(moment > 2);
        }
    }
    inventory_check(&before);
}

#define SWEEP(what, set_up_, victim_, settle_, kill_, resets_) \
    LOOP_TEST_TIMEOUT(what##_is_ended_at_each_moment, 120) { \
        static const struct scenario scenario = {set_up_, victim_, settle_, kill_, resets_}; \
        sweep(&scenario); \
    }

SWEEP_VICTIMS(SWEEP)
