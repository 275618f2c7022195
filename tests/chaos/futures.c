/* SPDX-License-Identifier: Apache-2.0 */
/* A handful of futures of all kinds, some made of others, and everything that can be done with
 * them. */
#include "producers.h"

#define COUNT_MAX 6

enum kind { TASK, SLEEP, PROMISE, THEN, SHIELD, KINDS };

struct entry {
    enum kind kind;
    eddy_future *f;
    struct entry *base;     /* THEN, SHIELD */
    struct pledge *pledge;  /* PROMISE */
    struct frame root;      /* TASK */
    int64_t result;         /* TASK: what it returned; THEN: what it was given */
    _Atomic unsigned calls; /* of what makes the result */
};

struct futures {
    struct entry entries[COUNT_MAX];
    eddy_future *fs[COUNT_MAX + 1]; /* one of them twice, perhaps */
    size_t count;
    size_t fs_count;
    bool asked; /* for the cancel of some */
};

/* ---- making them ----------------------------------------------------------------------------- */

static int64_t task(struct me *me, void *arg) {
    struct entry *entry = arg;
    REQUIRE_EQ(atomic_fetch_add(&entry->calls, 1), 0);
    eddy_task_name_set("futures, a task");
    int64_t r = one_in(me, 2) ? act(me) : rest(me);
    if (is_cut(r) && me->frame->cut == 0) {
        r = 0;
    } else if (r == 0) {
        r = one_in(me, 6) ? -2000 - (int64_t)dice_below(me, 500) : (int64_t)dice_below(me, 1000);
    }
    entry->result = r;
    return r;
}

static int64_t after(int64_t result, void *arg) {
    struct entry *entry = arg;
    REQUIRE_EQ(atomic_fetch_add(&entry->calls, 1), 0);
    REQUIRE_EQ(eddy_future_result(entry->base->f), result);
    entry->result = result;
    return result < 0 ? result : result + 1;
}

static void heard(eddy_future *f, void *arg) {
    (void)arg;
    REQUIRE(eddy_future_done(f));
    atomic_fetch_sub(&chaos.outstanding, 1);
}

static void make(struct me *me, struct futures *all, struct entry *entry) {
    entry->kind = (enum kind)dice_below(me, all->count == 0 ? THEN : KINDS);
    entry->base = all->count == 0 ? NULL : &all->entries[dice_below(me, all->count)];
    entry->pledge = NULL;
    entry->result = 0;
    atomic_init(&entry->calls, 0);
    switch (entry->kind) {
    case TASK:
        entry->f = start_on(me, &entry->root, any_loop(me), task, entry);
        break;
    case SLEEP:
        entry->f = eddy_sleep_start(dice_time(me, 5 * EDDY_MS));
        break;
    case PROMISE:
        entry->pledge = pledge_new(me, &entry->f);
        break;
    case THEN:
        entry->f = eddy_future_then(entry->base->f, after, entry);
        break;
    default:
        entry->f = eddy_future_shield(entry->base->f);
        break;
    }
    if (one_in(me, 4)) {
        atomic_fetch_add(&chaos.outstanding, 1);
        REQUIRE_EQ(eddy_future_callback(entry->f, heard, NULL), 0);
    }
    all->fs[all->count++] = entry->f;
}

/* ---- looking at them ------------------------------------------------------------------------- */

/* `entry` has ended: as it may? */
static void check_entry(const struct futures *all, struct entry *entry, bool cut) {
    int64_t r = eddy_future_result(entry->f);
    bool may_be_cut = cut || all->asked;
    unsigned calls = atomic_load(&entry->calls);
    REQUIRE_EQ(eddy_future_result(entry->f), r);
    REQUIRE(!eddy_future_cancelled(entry->f) || is_cut(r));
    switch (entry->kind) {
    case TASK:
        if (calls == 0) {
            REQUIRE(is_cut(r) && may_be_cut);
        } else {
            REQUIRE_EQ(r, entry->result);
        }
        break;
    case SLEEP:
        REQUIRE(r == 0 || (is_cut(r) && may_be_cut));
        break;
    case PROMISE:
        REQUIRE(r == entry->pledge->value || (r == EDDY_EBROKEN && entry->pledge->broken) ||
                (is_cut(r) && may_be_cut));
        break;
    case THEN:
        REQUIRE_EQ(calls, 1);
        REQUIRE_EQ(r, entry->result < 0 ? entry->result : entry->result + 1);
        REQUIRE(eddy_future_done(entry->base->f));
        break;
    default:
        if (is_cut(r) && may_be_cut) {
            break;
        }
        REQUIRE(eddy_future_done(entry->base->f));
        REQUIRE_EQ(r, eddy_future_result(entry->base->f));
        break;
    }
}

/* `r` is one of those results that `how` looks for. */
static void check_one_of(const struct futures *all, int64_t r) {
    bool found = false;
    for (size_t i = 0; i < all->fs_count; i++) {
        REQUIRE(eddy_future_done(all->fs[i]));
        found = found || eddy_future_result(all->fs[i]) == r;
    }
    REQUIRE(found);
}

/* What "all", "any" and "race" promise of a result, where the caller itself was not cut short. */
static void check_combined(const struct futures *all, unsigned how, int64_t r, size_t index) {
    if (how == 0 && r == 0) {
        for (size_t i = 0; i < all->fs_count; i++) {
            REQUIRE(eddy_future_done(all->fs[i]) && eddy_future_result(all->fs[i]) >= 0);
        }
        return;
    }
    check_one_of(all, r);
    if (how == 0) {
        REQUIRE(r < 0);
    } else if (index < all->fs_count) {
        REQUIRE_EQ(eddy_future_result(all->fs[index]), r);
    } else {
        REQUIRE(how == 1 && r < 0);
    }
}

/* From now on any of them may be cancelled, and passes that on to those that it is made of. */
static void mark_asked(struct futures *all) {
    all->asked = true;
    for (size_t i = 0; i < all->count; i++) {
        if (all->entries[i].kind == TASK) {
            atomic_store(&all->entries[i].root.asked, true);
        }
    }
}

/* ---- using them ------------------------------------------------------------------------------ */

static void use_each(struct me *me, struct futures *all) {
    for (size_t i = 0; i < all->fs_count; i++) {
        int64_t r = one_in(me, 2) ? eddy_await(all->fs[i])
                                  : eddy_future_wait(all->fs[i], dice_time(me, 10 * EDDY_MS));
        if (r == -EINPROGRESS) {
            continue;
        }
        if (!eddy_future_done(all->fs[i])) {
            REQUIRE(is_cut(checked(me, r)));
            return;
        }
        REQUIRE(r == eddy_future_result(all->fs[i]) || is_cut(checked(me, r)));
    }
}

static void use_combined(struct me *me, struct futures *all) {
    unsigned how = (unsigned)dice_below(me, 3);
    size_t index = COUNT_MAX + 1;
    int64_t r;
    mark_asked(all);
    if (one_in(me, 2)) {
        r = how == 0   ? eddy_await_all(all->fs, all->fs_count)
            : how == 1 ? eddy_await_any(all->fs, all->fs_count, &index)
                       : eddy_await_race(all->fs, all->fs_count, &index);
    } else {
        eddy_future *f = how == 0   ? eddy_future_all(all->fs, all->fs_count)
                         : how == 1 ? eddy_future_any(all->fs, all->fs_count)
                                    : eddy_future_race(all->fs, all->fs_count);
        r = eddy_await(f);
        bool done = eddy_future_done(f);
        REQUIRE(done || is_cut(r));
        if (one_in(me, 2)) {
            eddy_future_release(f);
        }
        how = how == 2 ? 3 : how; /* its place is not told */
    }
    if (eddy_checkpoint() < 0) {
        return;
    }
    if (how == 3) {
        check_one_of(all, r);
    } else if (how == 1 && index > COUNT_MAX && r >= 0) {
        check_one_of(all, r);
    } else {
        check_combined(all, how, r, index);
    }
}

static void use_until(struct me *me, struct futures *all) {
    bool done[COUNT_MAX + 1];
    eddy_until what = (eddy_until)dice_below(me, 3);
    int64_t timeout_ns = one_in(me, 2) ? EDDY_NEVER : dice_time(me, 5 * EDDY_MS);
    int64_t r = eddy_await_until(all->fs, all->fs_count, what, timeout_ns, done);
    if (r < 0) {
        checked(me, r);
        return;
    }
    int64_t count = 0;
    for (size_t i = 0; i < all->fs_count; i++) {
        REQUIRE(!done[i] || eddy_future_done(all->fs[i]));
        count += done[i];
    }
    REQUIRE_EQ(count, r);
    if (timeout_ns == EDDY_NEVER) {
        REQUIRE(what == EDDY_UNTIL_ALL_COMPLETED ? r == (int64_t)all->fs_count : r > 0);
    }
}

static void use_as_completed(struct me *me, struct futures *all) {
    bool given[COUNT_MAX + 1] = {false};
    eddy_as_completed *iterator;
    int64_t r;
    REQUIRE_EQ(eddy_as_completed_new(all->fs, all->fs_count, &iterator), 0);
    while ((r = eddy_as_completed_next(iterator)) >= 0) {
        REQUIRE(r < (int64_t)all->fs_count && !given[r] && eddy_future_done(all->fs[r]));
        given[r] = true;
    }
    for (size_t i = 0; i < all->count && r == -ENOENT; i++) {
        REQUIRE(given[i]);
    }
    eddy_as_completed_free(iterator);
    if (r != -ENOENT) {
        REQUIRE(is_cut(checked(me, r)));
    }
}

static int64_t cancel_some(struct me *me, void *arg) {
    struct futures *all = arg;
    eddy_task_name_set("futures, the canceller");
    int64_t r = one_in(me, 2) ? rest(me) : 0;
    for (size_t i = 0; i < all->count; i++) {
        if (!one_in(me, 2)) {
            continue;
        }
        int asked = eddy_future_cancel(all->entries[i].f);
        REQUIRE(asked == 0 || asked == -EALREADY);
    }
    return r;
}

static void release(struct me *me, struct entry *entry) {
    bool was_done = eddy_future_done(entry->f);
    int64_t result = was_done ? eddy_future_result(entry->f) : 0;
    if (was_done && result >= 0 && entry->kind == PROMISE && one_in(me, 2)) {
        void *payload;
        size_t len;
        REQUIRE_EQ(eddy_future_take_payload(entry->f, &payload, &len), result);
        REQUIRE((payload != NULL) == (result % 3 == 0));
        if (payload != NULL) {
            REQUIRE_EQ(*(int64_t *)payload, result);
            pledge_dispose(payload);
            REQUIRE_EQ(eddy_future_take_payload(entry->f, &payload, &len), EDDY_ERELEASED);
        }
    }
    eddy_future_release(entry->f);
    if (entry->pledge != NULL) {
        pledge_sign(entry->pledge, was_done, result);
    }
}

int64_t act_futures(struct me *me) {
    struct futures all;
    struct frame frame;
    all.count = 0;
    all.asked = false;
    frame_enter(me, &frame, &(eddy_scope_opts){0});
    for (size_t n = 1 + dice_below(me, COUNT_MAX); all.count < n;) {
        make(me, &all, &all.entries[all.count]);
    }
    all.fs_count = all.count;
    if (one_in(me, 4)) {
        all.fs[all.fs_count++] = all.fs[0];
    }
    int64_t r = 0;
    if (one_in(me, 3)) {
        mark_asked(&all);
        r = spawn_in(me, &frame, true, cancel_some, &all);
    }
    switch (dice_below(me, 5)) {
    case 0:
        use_each(me, &all);
        break;
    case 1:
        use_combined(me, &all);
        break;
    case 2:
        use_until(me, &all);
        break;
    case 3:
        use_as_completed(me, &all);
        break;
    default:
        break;
    }
    bool cut = eddy_checkpoint() < 0;
    for (size_t i = 0; i < all.count; i++) {
        if (eddy_future_done(all.entries[i].f)) {
            check_entry(&all, &all.entries[i], cut || eddy_checkpoint() < 0);
        }
    }
    if (frame.cut == 0 && !all.asked && one_in(me, 2)) {
        /* Given back here and now: nobody else uses them. */
        mark_asked(&all);
        for (size_t i = all.count; i-- > 0;) {
            release(me, &all.entries[i]);
        }
        frame_leave(me, &frame, 0);
        return checked(me, eddy_checkpoint());
    }
    frame_leave(me, &frame, r); /* which releases those that it owns */
    for (size_t i = 0; i < all.count; i++) {
        if (all.entries[i].kind == PROMISE) {
            release(me, &all.entries[i]);
        }
    }
    return checked(me, eddy_checkpoint());
}
