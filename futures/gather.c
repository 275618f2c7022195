/* SPDX-License-Identifier: Apache-2.0 */
/* Several futures as one, and one behind a shield. */
#include <eddy/futures/combine.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/loop/cell_impl.h>
#include <eddy/runtime/task/scope_impl.h>

/* ---- all, any, race -------------------------------------------------------------------------- */

enum goal { ALL, ANY, RACE };

struct gather;

struct branch {
    struct eddyi_waiter waiter;
    struct gather *gather;
    eddy_future *f; /* with a reference, until the gather ends */
};

/*
 * Ends when every branch has ended, with what decided it. `pending` counts the branches and whoever
 * walks over them just now (the maker, a cancel), so that they stay where they are meanwhile.
 */
struct gather {
    eddy_future base;
    enum goal goal;
    size_t count;
    struct eddyi_spin lock; /* guards what follows */
    size_t pending;
    bool decided;    /* by `verdict`, which is final; the rest is cancelled */
    bool failed;     /* `verdict` is the first failure, until something decides */
    int64_t verdict; /* 0 before both */
    struct branch branches[];
};

static struct gather *gather_of(eddy_future *cell) {
    return EDDYI_CONTAINER(cell, struct gather, base);
}

/* One of the pending less; the last one ends it. */
static void let_go(struct gather *gather) {
    eddyi_spin_lock(&gather->lock);
    bool last = --gather->pending == 0;
    eddyi_spin_unlock(&gather->lock);
    if (last) {
        for (size_t i = 0; i < gather->count; i++) {
            eddyi_cell_unref(gather->branches[i].f);
        }
        eddyi_cell_complete(&gather->base, gather->verdict, NULL, 0, NULL);
        eddyi_cell_unref(&gather->base);
    }
}

static void cancel_branches(struct gather *gather, int code) {
    for (size_t i = 0; i < gather->count; i++) {
        eddyi_cell_cancel(gather->branches[i].f, code);
    }
}

/* Whether this result is the one that decides. Under the lock. */
static bool decide(struct gather *gather, int64_t result) {
    if (gather->decided) {
        return false;
    }
    if (gather->goal == RACE || (gather->goal == ALL) == (result < 0)) {
        gather->decided = true;
        gather->verdict = result;
    } else if (result < 0 && !gather->failed) {
        gather->failed = true;
        gather->verdict = result;
    }
    return gather->decided;
}

static void branch_ended(struct branch *branch) {
    struct gather *gather = branch->gather;
    int64_t result = eddyi_cell_observe(branch->f);
    eddyi_spin_lock(&gather->lock);
    bool decided = decide(gather, result);
    eddyi_spin_unlock(&gather->lock);
    if (decided) {
        cancel_branches(gather, -ECANCELED);
    }
    let_go(gather);
}

/* After the branch's lock: a cancel of the others must not happen under it. */
static void wake_branch(struct eddyi_waiter *waiter) {
    branch_ended(EDDYI_CONTAINER(waiter, struct branch, waiter));
}

static void cancel_gather(eddy_future *cell, int code) {
    struct gather *gather = gather_of(cell);
    eddyi_spin_lock(&gather->lock);
    bool over = gather->pending == 0;
    gather->pending += !over;
    eddyi_spin_unlock(&gather->lock);
    if (!over) {
        cancel_branches(gather, code);
        let_go(gather);
    }
}

static void free_gather(eddy_future *cell) {
    eddyi_free(gather_of(cell));
}

static const struct eddyi_cell_class classes[] = {
    [ALL] = {.kind = "all", .cancel = cancel_gather, .free = free_gather},
    [ANY] = {.kind = "any", .cancel = cancel_gather, .free = free_gather},
    [RACE] = {.kind = "race", .cancel = cancel_gather, .free = free_gather},
};

static int check(eddy_future *const *fs, size_t count, enum goal goal) {
    if (count == 0) {
        return goal == ALL ? 0 : -EINVAL;
    }
    if (fs == NULL) {
        return -EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        if (fs[i] == NULL) {
            return -EINVAL;
        }
    }
    return count > (SIZE_MAX - sizeof(struct gather)) / sizeof(struct branch) ? -ENOMEM : 0;
}

static eddy_future *gather_start(eddy_future *const *fs, size_t count, enum goal goal,
                                 const void *place) {
    int r = check(fs, count, goal);
    if (r < 0) {
        return eddyi_scope_own_failed(eddyi_loop_here, r, place);
    }
    struct gather *gather = eddyi_alloc(sizeof *gather + count * sizeof gather->branches[0]);
    if (gather == NULL) {
        return eddyi_scope_own_failed(eddyi_loop_here, -ENOMEM, place);
    }
    eddyi_cell_init(&gather->base, &classes[goal], eddyi_loop_here, 2);
    gather->goal = goal;
    gather->count = count;
    gather->lock = (struct eddyi_spin){0};
    gather->pending = count + 1;
    gather->decided = false;
    gather->failed = false;
    gather->verdict = 0;
    for (size_t i = 0; i < count; i++) {
        gather->branches[i] =
            (struct branch){.waiter.later = wake_branch, .gather = gather, .f = fs[i]};
        eddyi_cell_ref(fs[i]);
    }
    eddyi_scope_own(&gather->base, place);
    for (size_t i = 0; i < count; i++) {
        if (!eddyi_cell_wait(fs[i], &gather->branches[i].waiter)) {
            branch_ended(&gather->branches[i]);
        }
    }
    eddy_future *f = &gather->base;
    let_go(gather);
    return f;
}

eddy_future *eddy_future_all(eddy_future *const *fs, size_t count) {
    return gather_start(fs, count, ALL, EDDYI_PLACE);
}

eddy_future *eddy_future_any(eddy_future *const *fs, size_t count) {
    return gather_start(fs, count, ANY, EDDYI_PLACE);
}

eddy_future *eddy_future_race(eddy_future *const *fs, size_t count) {
    return gather_start(fs, count, RACE, EDDYI_PLACE);
}

/* ---- shield ---------------------------------------------------------------------------------- */

/* The producer's reference is the waiter's: it goes when the source has ended, or when a cancel has
 * taken the waiter back. */
struct shield {
    eddy_future base;
    struct eddyi_waiter waiter;
    struct eddyi_spin lock; /* guards `source`: a cancel may look at it while it ends */
    eddy_future *source;    /* with a reference, until the shield ends */
};

static struct shield *shield_of(eddy_future *cell) {
    return EDDYI_CONTAINER(cell, struct shield, base);
}

static void end_shield(struct shield *shield, int64_t result) {
    eddyi_spin_lock(&shield->lock);
    eddy_future *source = shield->source;
    shield->source = NULL;
    eddyi_spin_unlock(&shield->lock);
    eddyi_cell_unref(source);
    eddyi_cell_complete(&shield->base, result, NULL, 0, NULL);
    eddyi_cell_unref(&shield->base);
}

static void wake_shield(struct eddyi_waiter *waiter) {
    struct shield *shield = EDDYI_CONTAINER(waiter, struct shield, waiter);
    end_shield(shield, eddyi_cell_observe(shield->source));
}

/* A source that ends at this very moment ends the shield itself. */
static void cancel_shield(eddy_future *cell, int code) {
    struct shield *shield = shield_of(cell);
    eddyi_spin_lock(&shield->lock);
    eddy_future *source = shield->source;
    if (source != NULL) {
        eddyi_cell_ref(source);
    }
    eddyi_spin_unlock(&shield->lock);
    if (source != NULL) {
        if (eddyi_cell_unwait(source, &shield->waiter)) {
            end_shield(shield, code);
        }
        eddyi_cell_unref(source);
    }
}

static void free_shield(eddy_future *cell) {
    eddyi_free(shield_of(cell));
}

static const struct eddyi_cell_class shield_class = {
    .kind = "shield",
    .cancel = cancel_shield,
    .free = free_shield,
};

eddy_future *eddy_future_shield(eddy_future *f) {
    if (f == NULL) {
        return eddyi_scope_own_failed(eddyi_loop_here, -EINVAL, EDDYI_PLACE);
    }
    struct shield *shield = eddyi_alloc(sizeof *shield);
    if (shield == NULL) {
        return eddyi_scope_own_failed(eddyi_loop_here, -ENOMEM, EDDYI_PLACE);
    }
    eddyi_cell_init(&shield->base, &shield_class, eddyi_loop_here, 2);
    shield->base.site = f->site;
    shield->waiter = (struct eddyi_waiter){.later = wake_shield};
    shield->lock = (struct eddyi_spin){0};
    shield->source = f;
    eddyi_cell_ref(f);
    eddyi_scope_own(&shield->base, EDDYI_PLACE);
    if (!eddyi_cell_wait(f, &shield->waiter)) {
        end_shield(shield, eddyi_cell_observe(f));
    }
    return &shield->base;
}
