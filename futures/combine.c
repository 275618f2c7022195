/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for several futures at once, in a task or on a plain thread. */
#include <eddy/futures/combine.h>

#include <eddy/futures/wait_impl.h>
#include <eddy/runtime/base/memory_impl.h>

#define NONE SIZE_MAX

/* As many as this are waited for without an allocation; 40 bytes each on the waiter's stack. */
#define MEMBERS_INLINE 16

struct set;

struct member {
    struct eddyi_waiter waiter;
    struct set *set;
    bool ended; /* under the set's lock */
};

/* What a waiter wants to know of its futures. Members are counted by whoever ends them. */
struct set {
    eddy_future *const *fs;
    size_t count;
    struct member *members;
    struct member some[MEMBERS_INLINE];
    bool (*reached)(const struct set *set); /* what is waited for; called and set under the lock */
    struct eddyi_parker parker;
    struct eddyi_spin lock; /* guards what follows */
    size_t pending;
    size_t first_ended; /* places in fs, in the order of time; NONE for not yet */
    size_t first_success;
    size_t first_failure; /* of any kind */
    size_t first_error;   /* that is no cancel */
};

/* ---- counting -------------------------------------------------------------------------------- */

static void keep_first(size_t *first, bool applies, size_t index) {
    if (applies && *first == NONE) {
        *first = index;
    }
}

static void note(struct set *set, struct member *member) {
    size_t index = (size_t)(member - set->members);
    const eddy_future *f = set->fs[index];
    eddyi_spin_lock(&set->lock);
    member->ended = true;
    set->pending--;
    keep_first(&set->first_ended, true, index);
    keep_first(&set->first_success, f->result >= 0, index);
    keep_first(&set->first_failure, f->result < 0, index);
    keep_first(&set->first_error, f->result < 0 && !eddyi_cell_is_cancelled(f), index);
    if (set->pending == 0 || set->reached(set)) {
        eddyi_parker_wake(&set->parker);
    }
    eddyi_spin_unlock(&set->lock);
}

/* Under the cell's lock. The set is gone as soon as its own lock is free and nothing is pending. */
static void wake_member(struct eddyi_waiter *waiter, eddy_future *cell) {
    (void)cell;
    struct member *member = EDDYI_CONTAINER(waiter, struct member, waiter);
    note(member->set, member);
}

static bool is_reached(struct set *set) {
    eddyi_spin_lock(&set->lock);
    bool reached = set->pending == 0 || set->reached(set);
    eddyi_spin_unlock(&set->lock);
    return reached;
}

static bool all_ended(const struct set *set) {
    return set->pending == 0;
}

static bool one_failed(const struct set *set) {
    return set->first_failure != NONE;
}

static bool one_failed_uncancelled(const struct set *set) {
    return set->first_error != NONE;
}

static bool one_succeeded(const struct set *set) {
    return set->first_success != NONE;
}

static bool one_ended(const struct set *set) {
    return set->first_ended != NONE;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static int check(eddy_future *const *fs, size_t count) {
    int r = count > 0 && fs == NULL ? -EINVAL : 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        r = fs[i] == NULL ? -EINVAL : 0;
    }
    return r;
}

static int check_wait(eddy_future *const *fs, size_t count) {
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        r = eddyi_wait_check(fs[i]);
    }
    return r;
}

/* Room for the members: 0 or -ENOMEM. */
static int set_init(struct set *set, eddy_future *const *fs, size_t count,
                    bool (*reached)(const struct set *set)) {
    set->fs = fs;
    set->count = count;
    set->members = set->some;
    if (count > MEMBERS_INLINE) {
        set->members = count > SIZE_MAX / sizeof *set->members
                           ? NULL
                           : eddyi_alloc(count * sizeof *set->members);
    }
    set->reached = reached;
    set->lock = (struct eddyi_spin){0};
    set->pending = count;
    set->first_ended = NONE;
    set->first_success = NONE;
    set->first_failure = NONE;
    set->first_error = NONE;
    return set->members == NULL ? -ENOMEM : 0;
}

static void set_done(struct set *set) {
    if (set->members != set->some) {
        eddyi_free(set->members);
    }
}

/* Between the parker's begin and end. */
static void set_register(struct set *set) {
    for (size_t i = 0; i < set->count; i++) {
        struct member *member = &set->members[i];
        *member = (struct member){.waiter.wake = wake_member, .set = set};
        if (!eddyi_cell_wait(set->fs[i], &member->waiter)) {
            note(set, member);
        }
    }
}

/* Afterwards nobody touches the set. */
static void set_deregister(struct set *set) {
    for (size_t i = 0; i < set->count; i++) {
        eddyi_spin_lock(&set->lock);
        bool ended = set->members[i].ended;
        eddyi_spin_unlock(&set->lock);
        if (!ended) {
            eddyi_cell_unwait(set->fs[i], &set->members[i].waiter);
        }
    }
}

/* Waits until the goal is reached: 0, or why it was not. */
static int set_wait(struct set *set) {
    int r = 0;
    while (!is_reached(set) && r == 0) {
        r = eddyi_parker_park(&set->parker);
    }
    return is_reached(set) ? 0 : r;
}

static void set_drain(struct set *set) {
    eddyi_spin_lock(&set->lock);
    set->reached = all_ended;
    eddyi_spin_unlock(&set->lock);
    for (size_t i = 0; i < set->count; i++) {
        eddyi_cell_cancel(set->fs[i], -ECANCELED);
    }
    while (!is_reached(set)) {
        eddyi_parker_park_uncancelled(&set->parker);
    }
    for (size_t i = 0; i < set->count; i++) {
        eddyi_cell_observe(set->fs[i]);
    }
}

/* ---- all, any, race -------------------------------------------------------------------------- */

/* Waits until the goal is reached, then ends the rest. The set's firsts are valid after 0. */
static int wait_and_drain(struct set *set, eddy_future *const *fs, size_t count,
                          bool (*reached)(const struct set *set)) {
    int r = check_wait(fs, count);
    if (r == 0) {
        r = set_init(set, fs, count, reached);
    }
    if (r < 0) {
        return r;
    }
    r = eddyi_parker_begin(&set->parker, EDDY_NEVER);
    if (r == 0) {
        set_register(set);
        r = set_wait(set);
        if (r == 0) {
            set_drain(set);
        } else {
            set_deregister(set);
        }
    }
    eddyi_parker_end(&set->parker);
    set_done(set);
    return r;
}

static int64_t result_of(const struct set *set, size_t index, size_t *ret_index) {
    if (ret_index != NULL) {
        *ret_index = index;
    }
    return set->fs[index]->result;
}

int64_t eddy_await_all(eddy_future *const *fs, size_t count) {
    struct set set;
    int r = check(fs, count);
    if (r == 0) {
        r = wait_and_drain(&set, fs, count, one_failed);
    }
    if (r < 0) {
        return r;
    }
    return set.first_failure == NONE ? 0 : result_of(&set, set.first_failure, NULL);
}

int64_t eddy_await_any(eddy_future *const *fs, size_t count, size_t *ret_index) {
    struct set set;
    int r = count == 0 ? -EINVAL : check(fs, count);
    if (r == 0) {
        r = wait_and_drain(&set, fs, count, one_succeeded);
    }
    if (r < 0) {
        return r;
    }
    return set.first_success != NONE ? result_of(&set, set.first_success, ret_index)
                                     : result_of(&set, set.first_failure, NULL);
}

int64_t eddy_await_race(eddy_future *const *fs, size_t count, size_t *ret_index) {
    struct set set;
    int r = count == 0 ? -EINVAL : check(fs, count);
    if (r == 0) {
        r = wait_and_drain(&set, fs, count, one_ended);
    }
    return r < 0 ? r : result_of(&set, set.first_ended, ret_index);
}

/* ---- wait ------------------------------------------------------------------------------------ */

static int64_t report(eddy_future *const *fs, size_t count, bool *ret_done) {
    int64_t ended = 0;
    for (size_t i = 0; i < count; i++) {
        bool done = eddyi_cell_is_done(fs[i]);
        ended += done;
        if (ret_done != NULL) {
            ret_done[i] = done;
        }
    }
    return ended;
}

static int wait_until(eddy_future *const *fs, size_t count, int64_t timeout_ns,
                      bool (*reached)(const struct set *set)) {
    struct set set;
    int r = set_init(&set, fs, count, reached);
    if (r < 0) {
        return r;
    }
    r = eddyi_parker_begin(&set.parker, timeout_ns);
    if (r == 0) {
        set_register(&set);
        r = is_reached(&set) ? 0 : check_wait(fs, count);
        if (r == 0) {
            r = set_wait(&set);
        }
        set_deregister(&set);
    }
    eddyi_parker_end(&set.parker);
    set_done(&set);
    return r == -EINPROGRESS ? 0 : r;
}

int64_t eddy_await_until(eddy_future *const *fs, size_t count, eddy_until what, int64_t timeout_ns,
                         bool *ret_done) {
    static bool (*const goals[])(const struct set *) = {
        [EDDY_UNTIL_ALL_COMPLETED] = all_ended,
        [EDDY_UNTIL_FIRST_COMPLETED] = one_ended,
        [EDDY_UNTIL_FIRST_FAILED] = one_failed_uncancelled,
    };
    int r = check(fs, count);
    if (r < 0 || (unsigned)what >= sizeof goals / sizeof goals[0]) {
        return -EINVAL;
    }
    if (timeout_ns <= 0 || count == 0) {
        eddy_task *task = eddyi_task_here;
        r = task == NULL ? 0 : eddyi_task_checkpoint(task);
    } else {
        r = wait_until(fs, count, timeout_ns, goals[what]);
    }
    return r < 0 ? r : report(fs, count, ret_done);
}
