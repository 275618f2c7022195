/* SPDX-License-Identifier: Apache-2.0 */
/* Dice, frames and tasks: what every act is made of, and the choice of the next one. */
#include <inttypes.h>
#include <stdio.h>

#include "chaos.h"

/* A run of so many acts has seen each of them come to its end and be cut short: chaos that only
 * ever cancels tests little else. */
#define ACTS_FOR_ALL 40000

/* ---- dice ------------------------------------------------------------------------------------ */

uint64_t dice_next(uint64_t *dice) {
    uint64_t z = *dice += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t dice_below(struct me *me, uint64_t below) {
    return dice_next(&me->dice) % below;
}

bool one_in(struct me *me, uint64_t n) {
    return dice_below(me, n) == 0;
}

int64_t dice_time(struct me *me, int64_t longest_ns) {
    return 1 + (int64_t)(dice_below(me, (uint64_t)longest_ns) >> dice_below(me, 16));
}

eddy_loop *any_loop(struct me *me) {
    return eddy_loop_group_loop(chaos.group, (unsigned)dice_below(me, chaos.loops));
}

/* ---- who may be cut short -------------------------------------------------------------------- */

/* Somebody has asked for a cancel that reaches here. */
static bool was_asked(const struct frame *frame) {
    if (atomic_load(&chaos.ending)) {
        return true;
    }
    for (bool started = false; frame != NULL; frame = frame->outer) {
        if (atomic_load(&frame->asked) || (started && atomic_load(&frame->leaving))) {
            return true;
        }
        if (frame->shield) {
            return false;
        }
        started = frame->started;
    }
    return false;
}

static void check_cut(struct me *me, int64_t result) {
    if (result == -ECANCELED) {
        REQUIRE(was_asked(me->frame));
    } else {
        REQUIRE(eddy_loop_now(eddy_loop_current()) >= eddy_scope_deadline());
        REQUIRE(me->frame->cut != -ECANCELED);
    }
    me->frame->cut = (int)result;
    atomic_fetch_add_explicit(&chaos.cuts, 1, memory_order_relaxed);
}

int64_t checked(struct me *me, int64_t result) {
    if (!is_cut(result)) {
        REQUIRE(me->frame->cut == 0 || result < 0);
        return result;
    }
    check_cut(me, result);
    int again = eddy_checkpoint();
    REQUIRE(is_cut(again));
    check_cut(me, again);
    return result;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void frame_init(struct frame *frame, struct frame *outer) {
    frame->outer = outer;
    frame->started = false;
    frame->shield = false;
    frame->policy = EDDY_SCOPE_ALL;
    frame->limit = 0;
    frame->called = false;
    frame->cut = 0;
    atomic_init(&frame->asked, false);
    atomic_init(&frame->leaving, false);
    atomic_init(&frame->alive, 0);
    atomic_init(&frame->running, 0);
    atomic_init(&frame->failure_count, 0);
    atomic_init(&frame->success_count, 0);
}

void frame_enter(struct me *me, struct frame *frame, const eddy_scope_opts *opts) {
    frame_init(frame, me->frame);
    frame->shield = opts->shield;
    frame->policy = opts->policy;
    frame->limit = opts->limit;
    frame->cut = opts->shield ? 0 : me->frame->cut;
    REQUIRE_EQ(eddy_scope_enter(&frame->scope, opts), 0);
    me->frame = frame;
}

void frame_cancel(struct frame *frame) {
    atomic_store(&frame->asked, true);
    int r = eddy_scope_cancel(&frame->scope);
    REQUIRE(r == 0 || (r == -EINVAL && atomic_load(&frame->leaving)));
    frame->called = frame->called || r == 0;
}

static void note(_Atomic unsigned *count, _Atomic int64_t *values, int64_t value) {
    unsigned at = atomic_fetch_add(count, 1);
    if (at < FAILURES_NOTED) {
        atomic_store(&values[at], value);
    }
}

/* Whether `value` was noted, or may have been beyond what is kept. */
static bool noted(_Atomic unsigned *count, _Atomic int64_t *values, int64_t value) {
    unsigned noted_count = atomic_load(count);
    for (unsigned i = 0; i < noted_count && i < FAILURES_NOTED; i++) {
        if (atomic_load(&values[i]) == value) {
            return true;
        }
    }
    return noted_count > FAILURES_NOTED;
}

int64_t frame_leave(struct me *me, struct frame *frame, int64_t body) {
    int64_t deadline_ns = eddy_scope_deadline();
    atomic_store(&frame->leaving, true);
    if (body < 0 && frame->policy == EDDY_SCOPE_ALL) {
        atomic_store(&frame->asked, true);
    }
    int64_t r = eddy_scope_leave(&frame->scope, body);
    unsigned failures = atomic_load(&frame->failure_count);
    unsigned successes = atomic_load(&frame->success_count);
    REQUIRE_EQ(atomic_load(&frame->alive), 0);
    REQUIRE_EQ(eddy_scope_cancelled(&frame->scope), frame->called);
    if (eddy_scope_expired(&frame->scope)) {
        REQUIRE(eddy_loop_now(eddy_loop_current()) >= deadline_ns);
    }
    REQUIRE(eddy_scope_failure_count(&frame->scope) <= failures);
    if (frame->policy == EDDY_SCOPE_ANY && successes > 0) {
        REQUIRE(noted(&frame->success_count, frame->successes, r));
    } else if (failures == 0) {
        REQUIRE_EQ(r, body);
    } else {
        REQUIRE(r == body || noted(&frame->failure_count, frame->failures, r));
        if (body >= 0 && r >= 0) { /* then all that failed were cancelled */
            REQUIRE_EQ(eddy_scope_failure_count(&frame->scope), 0);
            REQUIRE(was_asked(frame));
        }
    }
    me->frame = frame->outer;
    return r;
}

/* ---- tasks ----------------------------------------------------------------------------------- */

struct job {
    struct frame *frame; /* whose task it is; NULL: of none */
    struct frame *root;  /* for a started one: its own; NULL: on its stack */
    chaos_body body;
    void *arg;
    uint64_t dice;
    unsigned depth;
};

/* Around tasks that nobody waits for: their parent may return at any time, which cancels them. */
static struct frame nowhere = {.asked = true};

static int64_t run_job(void *arg) {
    const struct job *job = arg;
    struct me me = {.dice = job->dice, .depth = job->depth};
    struct frame *frame = job->frame;
    atomic_fetch_add_explicit(&chaos.begun, 1, memory_order_relaxed);
    if (job->root == NULL) {
        frame_init(&me.root, frame == NULL ? &nowhere : frame);
        me.frame = &me.root;
    } else {
        me.frame = job->root;
    }
    bool counted = frame != NULL && job->root == NULL;
    if (counted) {
        int64_t running = atomic_fetch_add(&frame->running, 1) + 1;
        REQUIRE(frame->limit == 0 || running <= frame->limit);
    }
    int64_t r = job->body(&me, job->arg);
    REQUIRE(me.frame == (job->root == NULL ? &me.root : job->root));
    if (is_cut(r) && me.frame->cut == 0) {
        r = 0; /* cut short was what it had entered, not the task itself */
    }
    if (counted) {
        if (r < 0) {
            note(&frame->failure_count, frame->failures, r);
            if (frame->policy == EDDY_SCOPE_ALL) {
                atomic_store(&frame->asked, true);
            }
        } else {
            note(&frame->success_count, frame->successes, r);
            if (frame->policy == EDDY_SCOPE_ANY) {
                atomic_store(&frame->asked, true);
            }
        }
        atomic_fetch_sub(&frame->running, 1);
        atomic_fetch_sub(&frame->alive, 1);
    }
    atomic_fetch_add_explicit(&chaos.ended, 1, memory_order_relaxed);
    return r;
}

static struct job job_of(struct me *me, chaos_body body, void *arg) {
    return (struct job){
        .body = body, .arg = arg, .dice = dice_next(&me->dice), .depth = me->depth + 1};
}

int64_t spawn_in(struct me *me, struct frame *frame, bool anywhere, chaos_body body, void *arg) {
    struct job job = job_of(me, body, arg);
    job.frame = frame;
    if (frame != NULL) {
        REQUIRE(frame == me->frame);
        atomic_fetch_add(&frame->alive, 1);
    }
    int r = anywhere ? eddy_spawn_on(any_loop(me), run_job, &job, sizeof job)
                     : eddy_spawn(run_job, &job, sizeof job);
    if (r < 0) {
        REQUIRE(is_cut(r));
        if (frame != NULL) {
            atomic_fetch_sub(&frame->alive, 1);
        }
    }
    return checked(me, r);
}

eddy_future *start_on(struct me *me, struct frame *root, eddy_loop *loop, chaos_body body,
                      void *arg) {
    struct job job = job_of(me, body, arg);
    frame_init(root, me->frame);
    root->started = true;
    job.frame = me->frame;
    job.root = root;
    return eddy_task_start_on(loop, run_job, &job, sizeof job);
}

/* ---- acts ------------------------------------------------------------------------------------ */

int64_t rest(struct me *me) {
    if (one_in(me, 2)) {
        return checked(me, eddy_yield());
    }
    return checked(me, eddy_sleep(dice_time(me, 200 * EDDY_US)));
}

static int64_t act_sleep(struct me *me) {
    int64_t before_ns = eddy_loop_now(eddy_loop_current());
    int64_t duration_ns = dice_time(me, 5 * EDDY_MS);
    int64_t r = one_in(me, 2) ? eddy_sleep(duration_ns) : eddy_sleep_until(before_ns + duration_ns);
    if (r == 0) {
        REQUIRE(eddy_loop_now(eddy_loop_current()) >= before_ns + duration_ns);
    }
    return checked(me, r);
}

static int64_t act_yield(struct me *me) {
    int64_t r = 0;
    for (uint64_t n = dice_below(me, 20); n > 0 && r == 0; n--) {
        r = checked(me, one_in(me, 2) ? eddy_yield() : eddy_checkpoint());
    }
    return r;
}

static const struct {
    const char *name; /* what a dump shows */
    int64_t (*act)(struct me *me);
    unsigned weight;
    bool deep; /* spawns tasks that act themselves: not without end */
} acts[] = {
    {"sleep", act_sleep, 6, false},
    {"yield", act_yield, 4, false},
    {"mutex", act_mutex, 10, false},
    {"buffer", act_buffer, 8, false},
    {"semaphore", act_semaphore, 8, false},
    {"event", act_event, 6, false},
    {"barrier", act_barrier, 6, false},
    {"channel", act_channel, 12, false},
    {"select", act_select, 8, false},
    {"pipe", act_pipe, 3, false},
    {"tree", act_tree, 4, true},
    {"futures", act_futures, 8, true},
    {"cancel", act_cancel, 4, false},
    {"shield", act_shield, 3, true},
    {"local", act_local, 3, false},
    {"pair", act_pair, 3, false},
    {"socket", act_socket, 3, false},
    {"file", act_file, 3, false},
    {"certain", act_certain, 4, false},
};
#define ACT_COUNT (sizeof acts / sizeof acts[0])
#define DEPTH_MAX 3

static size_t draw_act(struct me *me) {
    unsigned total = 0;
    for (size_t i = 0; i < ACT_COUNT; i++) {
        total += acts[i].deep && me->depth >= DEPTH_MAX ? 0 : acts[i].weight;
    }
    uint64_t at = dice_below(me, total);
    for (size_t i = 0;; i++) {
        unsigned weight = acts[i].deep && me->depth >= DEPTH_MAX ? 0 : acts[i].weight;
        if (at < weight) {
            return i;
        }
        at -= weight;
    }
}

static struct {
    _Atomic uint64_t whole; /* came to their own end */
    _Atomic uint64_t cut;
} outcomes[ACT_COUNT];

/* Cancels a frame from another task, if it comes in time. */
struct canceller {
    struct frame *frame; /* NULL: it has been left */
    int64_t after_ns;
};

static int64_t cancel_later(struct me *me, void *arg) {
    struct canceller *canceller = arg;
    eddy_task_name_set("canceller");
    int64_t r = checked(me, eddy_sleep(canceller->after_ns));
    if (r == 0 && canceller->frame != NULL) {
        frame_cancel(canceller->frame);
    }
    return r;
}

/* In a frame that a deadline ends, somebody else cancels, or both; now and then neither. */
static int64_t act_framed(struct me *me, size_t which) {
    struct frame frame;
    struct frame root;
    eddy_scope_opts opts = {0};
    uint64_t kind = dice_below(me, 16);
    if (kind < 12) {
        opts.timeout_ns = one_in(me, 50) ? EDDY_ZERO : dice_time(me, chaos.patience_ns);
    }
    struct canceller canceller = {&frame, dice_time(me, chaos.patience_ns)};
    eddy_future *cancel = NULL;
    if (kind > 8 && kind < 15) {
        cancel = start_on(me, &root, NULL, cancel_later, &canceller);
    }
    frame_enter(me, &frame, &opts);
    int64_t r = acts[which].act(me);
    atomic_fetch_add_explicit(r == 0 ? &outcomes[which].whole : &outcomes[which].cut, 1,
                              memory_order_relaxed);
    r = frame_leave(me, &frame, r);
    canceller.frame = NULL;
    if (cancel != NULL) {
        atomic_store(&root.asked, true);
        eddy_future_release(cancel);
    }
    return is_cut(r) ? checked(me, eddy_checkpoint()) : r;
}

int64_t act(struct me *me) {
    size_t which = draw_act(me);
    eddy_task_name_set(acts[which].name);
    int64_t r = act_framed(me, which);
    atomic_fetch_add_explicit(&chaos.actions, 1, memory_order_relaxed);
    return r;
}

void acts_print(void) {
    for (size_t i = 0; i < ACT_COUNT; i++) {
        uint64_t whole = atomic_load(&outcomes[i].whole);
        uint64_t cut = atomic_load(&outcomes[i].cut);
        printf("  %-10s %9" PRIu64 " whole %9" PRIu64 " cut short\n", acts[i].name, whole, cut);
        if (atomic_load(&chaos.actions) >= ACTS_FOR_ALL) {
            REQUIRE(whole > 0 && cut > 0);
        }
    }
}
