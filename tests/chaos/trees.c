/* SPDX-License-Identifier: Apache-2.0 */
/* Scopes with tasks in them, of every policy; what cancels itself, and what a shield keeps out; the
 * values that tasks carry. */
#include <stdlib.h>

#include <eddy/runtime/task/local.h>

#include "chaos.h"

/* Results that say "failed" and are nobody else's. */
#define FAILURE_FIRST 3000
#define FAILURES 500

static int64_t acts_then_returns(struct me *me) {
    int64_t r = 0;
    for (uint64_t n = dice_below(me, 3); n > 0 && r == 0; n--) {
        r = act(me);
    }
    if (r != 0) {
        return r;
    }
    return one_in(me, 6) ? -FAILURE_FIRST - (int64_t)dice_below(me, FAILURES)
                         : (int64_t)dice_below(me, 1000);
}

static int64_t branch(struct me *me, void *arg) {
    (void)arg;
    return acts_then_returns(me);
}

int64_t act_tree(struct me *me) {
    struct frame frame;
    eddy_scope_opts opts = {
        .policy = (eddy_scope_policy)dice_below(me, 3),
        .limit = one_in(me, 2) ? 1 + (uint32_t)dice_below(me, 3) : 0,
        .timeout_ns = one_in(me, 3) ? dice_time(me, chaos.patience_ns) : 0,
    };
    frame_enter(me, &frame, &opts);
    int64_t r = 0;
    for (uint64_t n = dice_below(me, 6); n > 0 && r == 0; n--) {
        r = spawn_in(me, &frame, true, branch, NULL);
    }
    if (r == 0 && one_in(me, 3)) {
        r = acts_then_returns(me);
    }
    if (one_in(me, 8)) {
        frame_cancel(&frame);
    }
    frame_leave(me, &frame, r);
    return checked(me, eddy_checkpoint());
}

static int64_t stray(struct me *me, void *arg) {
    (void)arg;
    while (act(me) == 0 && !one_in(me, 3)) {
    }
    if (one_in(me, 4)) {
        REQUIRE(is_cut(eddy_sleep(EDDY_NEVER)));
    }
    atomic_fetch_sub(&chaos.strays, 1);
    return 0;
}

int64_t act_stray(struct me *me) {
    atomic_fetch_add(&chaos.strays, 1);
    int64_t r = spawn_in(me, NULL, true, stray, NULL);
    if (r < 0) {
        atomic_fetch_sub(&chaos.strays, 1);
    }
    return r;
}

/* Whoever cancels itself sees it in its next call, and nobody around does. */
int64_t act_cancel(struct me *me) {
    struct frame frame;
    struct frame inner;
    frame_enter(me, &frame, &(eddy_scope_opts){0});
    bool nested = one_in(me, 2);
    if (nested) {
        frame_enter(me, &inner, &(eddy_scope_opts){.policy = EDDY_SCOPE_COLLECT});
    }
    frame_cancel(&frame);
    REQUIRE_EQ(checked(me, eddy_sleep(EDDY_MS)), -ECANCELED);
    REQUIRE_EQ(checked(me, rest(me)), -ECANCELED);
    REQUIRE(is_cut(spawn_in(me, me->frame, true, branch, NULL)));
    if (nested) {
        REQUIRE_EQ(frame_leave(me, &inner, -ECANCELED), -ECANCELED);
    }
    REQUIRE_EQ(frame_leave(me, &frame, 0), 0);
    return checked(me, eddy_checkpoint());
}

/* What a shield keeps out: acts go on in it, within its own deadline. */
int64_t act_shield(struct me *me) {
    struct frame frame;
    struct frame shield;
    frame_enter(me, &frame, &(eddy_scope_opts){0});
    frame_cancel(&frame);
    frame_enter(me, &shield,
                &(eddy_scope_opts){.shield = true, .timeout_ns = dice_time(me, chaos.patience_ns)});
    int64_t r = act(me);
    REQUIRE(r == 0 || r == -ETIME || atomic_load(&chaos.ending));
    frame_leave(me, &shield, r);
    REQUIRE_EQ(checked(me, eddy_checkpoint()), -ECANCELED);
    frame_leave(me, &frame, 0);
    return checked(me, eddy_checkpoint());
}

/* ---- values ---------------------------------------------------------------------------------- */

static void dispose(void *value) {
    free(value);
    atomic_fetch_sub(&chaos.outstanding, 1);
}

static eddy_local own = EDDY_LOCAL_INIT(EDDY_LOCAL_OWN, dispose);
static eddy_local inherited = EDDY_LOCAL_INIT(EDDY_LOCAL_INHERIT, NULL);

static int64_t look(struct me *me, void *arg) {
    eddy_task_name_set("local, a child");
    REQUIRE(eddy_local_get(&own) == NULL);
    REQUIRE(eddy_local_get(&inherited) == arg);
    return rest(me);
}

int64_t act_local(struct me *me) {
    struct frame frame;
    uint64_t *value = malloc(sizeof *value);
    void *before = eddy_local_get(&inherited);
    REQUIRE(value != NULL);
    *value = dice_next(&me->dice);
    uint64_t wanted = *value;
    atomic_fetch_add(&chaos.outstanding, 1);
    REQUIRE_EQ(eddy_local_set(&own, value), 0);
    REQUIRE_EQ(eddy_local_set(&inherited, &frame), 0);
    frame_enter(me, &frame, &(eddy_scope_opts){0});
    int64_t r = 0;
    for (uint64_t n = dice_below(me, 3); n > 0 && r == 0; n--) {
        r = spawn_in(me, &frame, true, look, &frame);
    }
    frame_leave(me, &frame, r);
    REQUIRE(eddy_local_get(&own) == value && *value == wanted);
    REQUIRE_EQ(eddy_local_set(&inherited, before), 0);
    return checked(me, eddy_checkpoint());
}
