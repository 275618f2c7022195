/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeded chaos: thousands of tasks on several loops that do at random whatever the runtime offers,
 * while timeouts and cancels cut them short, checked against what the headers promise.
 *
 *     chaos --seconds 60 --tasks 10000 --seed 7 --loops 2          $EDDY_DRIVER decides the driver
 *
 *     main -- loops, threads -- keeper -- actors: act, act, act ... each in a *frame*
 *                                            `- children, in the frames that an act enters
 *
 * On the sim driver all is the seed's, on one loop and without threads: equal runs print equal
 * lines. Elsewhere the seed decides what is tried, and the machine how it meets.
 *
 * Checked all along:
 *     a mutex, permit or barrier        held by no more than it may be
 *     what was sent                     received once, in order where one task sends and one
 *                                       receives; what a cancelled send did not send, never
 *     a scope                           left with no child alive, with a result that it may have
 *     a cancel                          seen only where one was asked for, sticky, and -ETIME only
 *                                       after the deadline
 *     a future                          ends once, with its producer's result; each `then` and
 *                                       callback is called once
 *     a wake-up                         comes, where nothing else would end the wait
 *     a stream                          brings the bytes that were written, none lost, none twice
 * and at the end: every counter back at zero, no object, block, descriptor or thread left.
 */
#ifndef EDDY_TESTS_CHAOS_CHAOS_H
#define EDDY_TESTS_CHAOS_CHAOS_H

#include <stdatomic.h>

#include <eddy/futures/combine.h>
#include <eddy/futures/future.h>
#include <eddy/futures/promise.h>
#include <eddy/runtime/base/error.h>
#include <eddy/runtime/loop/group.h>
#include <eddy/runtime/task/scope.h>
#include <eddy/runtime/task/task.h>

/* ---- what is asked for, and what is counted -------------------------------------------------- */

struct chaos_options {
    double seconds;   /* of the first loop's clock */
    uint64_t actions; /* ends before, after so many; 0: no such limit */
    unsigned tasks;   /* how many actors there are at a time */
    unsigned loops;
    uint64_t seed;
};

struct chaos {
    struct chaos_options options;
    eddy_loop_group *group;
    unsigned loops; /* what the group has */
    bool slow;      /* under a sanitizer */
    /* The longest of the deadlines drawn: some acts come to their end in it, and some do not. */
    int64_t patience_ns;
    bool sim;              /* no other threads, then: a seed does not decide what they do */
    _Atomic bool stopping; /* actors begin nothing new */
    _Atomic bool ending;   /* all is cancelled: nobody has to ask for it any more */
    /* The counters that the watchdog looks at and the last line shows. */
    _Atomic uint64_t actions;
    _Atomic uint64_t begun; /* tasks */
    _Atomic uint64_t ended;
    _Atomic uint64_t cuts;       /* calls that ended with -ECANCELED or -ETIME */
    _Atomic int64_t unobserved;  /* failures that on_unobserved was told */
    _Atomic int64_t strays;      /* tasks spawned outside of every frame that are alive */
    _Atomic int64_t outstanding; /* callbacks and disposals that are still to come */
};

extern struct chaos chaos;

/* Ends the program, naming the seed and what every task waits for. */
__attribute__((format(printf, 3, 4))) _Noreturn void chaos_fail(const char *file, int line,
                                                                const char *format, ...);
#define REQUIRE(condition) \
    ((condition) ? (void)0 : chaos_fail(__FILE__, __LINE__, "not so: %s", #condition))
#define REQUIRE_EQ(got, wanted) \
    require_eq((int64_t)(got), (int64_t)(wanted), #got, #wanted, __FILE__, __LINE__)

static inline void require_eq(int64_t got, int64_t wanted, const char *got_text,
                              const char *wanted_text, const char *file, int line) {
    if (got != wanted) {
        chaos_fail(file, line, "%s is %lld, not %s, %lld", got_text, (long long)got, wanted_text,
                   (long long)wanted);
    }
}

/* ---- frames ---------------------------------------------------------------------------------- */

#define FAILURES_NOTED 8

/* What this program knows of a scope, or of a task's own: who asked for its end. Lives where the
 * scope lives, and outlives the tasks in it. */
struct frame {
    struct frame *outer; /* NULL: none */
    bool started;        /* the root of a task that a future stands for: it ends with the frame */
    bool shield;         /* what is asked outside does not count in here */
    eddy_scope_policy policy;
    uint32_t limit;
    _Atomic bool asked;   /* somebody has cancelled it, or what a task returned did */
    _Atomic bool leaving; /* its body is over: what was started in it is cancelled */
    bool called;          /* by eddy_scope_cancel on this scope; its loop's thread only */
    int cut;              /* what its own task's calls have returned: 0, -ETIME or -ECANCELED */
    eddy_scope scope;
    _Atomic int64_t alive;   /* tasks spawned in it */
    _Atomic int64_t running; /* of them, those that have begun */
    _Atomic unsigned failure_count;
    _Atomic int64_t failures[FAILURES_NOTED];
    _Atomic unsigned success_count;
    _Atomic int64_t successes[FAILURES_NOTED];
};

/* A task of ours, on its own stack. */
struct me {
    uint64_t dice;
    unsigned depth; /* of spawning */
    struct frame *frame;
    struct frame root;
};

uint64_t dice_next(uint64_t *dice);
uint64_t dice_below(struct me *me, uint64_t below);
bool one_in(struct me *me, uint64_t n);
/* 1 ns to some `longest_ns`, short ones as often as long ones. */
int64_t dice_time(struct me *me, int64_t longest_ns);

/* Enters a scope with these options; left by frame_leave, which checks that no task of it is left
 * and that its result is one that it may have, and returns that. */
void frame_enter(struct me *me, struct frame *frame, const eddy_scope_opts *opts);
int64_t frame_leave(struct me *me, struct frame *frame, int64_t body);
void frame_cancel(struct frame *frame);

/* The result of a suspending call that a cancel cuts short: checks that it may be -ECANCELED or
 * -ETIME when it is one, and sticky. Gives the result back. */
int64_t checked(struct me *me, int64_t result);
static inline bool is_cut(int64_t result) {
    return result == -ECANCELED || result == -ETIME;
}

/* ---- tasks ----------------------------------------------------------------------------------- */

typedef int64_t (*chaos_body)(struct me *me, void *arg);

/* Spawns body(me, arg) in `frame`, in which the caller stands, or outside of every frame (NULL); on
 * any loop, or on this one. The result is eddy_spawn's, checked. */
int64_t spawn_in(struct me *me, struct frame *frame, bool anywhere, chaos_body body, void *arg);
/* The same as a future, on `loop` (NULL: this one); `root` is the new task's own frame, which
 * outlives it. */
eddy_future *start_on(struct me *me, struct frame *root, eddy_loop *loop, chaos_body body,
                      void *arg);
/* A random loop of the group. */
eddy_loop *any_loop(struct me *me);
/* Something at random, in a frame of its own as a rule: 0, or what the task was cut short with. */
int64_t act(struct me *me);
/* How often each came to its end. */
void acts_print(void);
/* A short rest: yields or sleeps, checked. */
int64_t rest(struct me *me);

/* ---- what can be done: each returns 0 or a cut ----------------------------------------------- */

int64_t act_mutex(struct me *me); /* locks.c */
int64_t act_buffer(struct me *me);
int64_t act_semaphore(struct me *me);
int64_t act_event(struct me *me);
int64_t act_barrier(struct me *me);
void locks_init(void);
void locks_check(void);
int64_t act_channel(struct me *me); /* channels.c */
int64_t act_select(struct me *me);
int64_t act_pipe(struct me *me);
void channels_init(void);
void channels_check(void);
int64_t act_tree(struct me *me); /* trees.c */
/* Outside of every frame: spawns what its task's end cancels. */
int64_t act_stray(struct me *me);
int64_t act_cancel(struct me *me);
int64_t act_shield(struct me *me);
int64_t act_local(struct me *me);
int64_t act_futures(struct me *me); /* futures.c */
void producers_start(void);
void producers_stop(void);
int64_t act_certain(struct me *me); /* certain.c */
int64_t act_pair(struct me *me);    /* streams.c */
int64_t act_socket(struct me *me);
int64_t act_file(struct me *me);
/* In the task that all others are spawned by, around them. */
void servers_start(struct me *me);
void servers_stop(void);

/* ---- the watchdog ---------------------------------------------------------------------------- */

void watchdog_start(void);
void watchdog_stop(void);
/* On standard error: who waits where for what, counted. From any thread, even of a loop that
 * hangs: nothing is locked, the process is about to end. */
void dump_tasks(void);

#endif
