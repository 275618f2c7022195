/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a loop. One turn:
 *
 *     run ready items within the budget -> fire timers -> take what other threads queued
 *       -> driver->wait: submit, sleep, complete (which makes items ready)
 */
#ifndef EDDY_RUNTIME_LOOP_LOOP_IMPL_H
#define EDDY_RUNTIME_LOOP_LOOP_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <eddy/runtime/base/track_impl.h>
#include <eddy/runtime/loop/driver_impl.h>
#include <eddy/runtime/loop/loop.h>
#include <eddy/runtime/loop/pool_impl.h>
#include <eddy/runtime/loop/shelf_impl.h>
#include <eddy/runtime/loop/timer_impl.h>

/* Something to run on a loop's thread. Queued at most once at a time. */
struct eddyi_ready {
    struct eddyi_ready *next;
    void (*run)(struct eddyi_ready *ready);
};

/* Something that ends gracefully when eddy_loop_drain asks: a server. */
struct eddyi_stopper {
    struct eddyi_list link;                      /* in loop->stoppers */
    void (*stop)(struct eddyi_stopper *stopper); /* on the loop's thread; only wakes */
};

/*
 * How long a turn goes on before the loop looks at timers and the kernel again, in time and in what
 * is charged to it: suspending calls and items that ran. The clock is read once a slice. Slices are
 * long while what is charged costs little, down to one call where each takes long, so that a
 * deadline is late by a few calls of the slow task and not by a thousand.
 */
#define EDDYI_LOOP_TURN_NS (200 * EDDY_US)
#define EDDYI_LOOP_TURN_CALLS 1024
#define EDDYI_LOOP_SLICE_CALLS 32
#define EDDYI_LOOP_SLICE_NS (20 * EDDY_US)
/* Calls that each item of those that were ready when a turn began may make in it in any case. */
#define EDDYI_LOOP_GRANTED_CALLS 4

/* How long a shielded scope without a deadline of its own may go on when its loop is freed: cleanup
 * that waits for a peer gets through, and what would wait for ever does not hold up the end. */
#define EDDYI_LOOP_GRACE_NS (5 * EDDY_S)

/* How the loop waits; runtime/loop/wait.c. */
struct eddyi_loop_spin {
    int64_t ns;        /* how long it stays awake; 0: it never does */
    uint32_t skip;     /* how many short sleeps there are to be before it does; 0: it does */
    uint32_t failures; /* how much more often it was in vain than not */
    bool yields;       /* it has one processor: others get it between two looks */
};

struct eddyi_offload_job;
struct eddyi_task_room;

struct eddy_loop {
    const struct eddyi_driver *driver;
    void *driver_state;
    const struct eddyi_host *host;

    struct eddyi_ready *ready_head; /* FIFO; NULL when empty */
    struct eddyi_ready *ready_tail;
    uint64_t ready_count;
    uint64_t batch; /* how many of those that were ready at the turn's begin are still to run */
    /* What is ready at a turn's begin is all that runs in it: in a simulation, where no time
     * passes while code runs, and in tests that look between all steps. */
    bool stepwise;
    int budget;       /* what is left of the slice */
    int slice;        /* what a slice has at first: 1..EDDYI_LOOP_SLICE_CALLS */
    int slices;       /* what is left of the turn after this one, in calls; 0: it is over */
    int64_t slice_ns; /* when this slice began; 0: not known, it is the turn's first */
    int64_t turn_ns;  /* when the turn ends; 0: not known yet */
    bool late;        /* it has */
    int granted;      /* calls that who runs now may make all the same */
    bool stopping;    /* eddy_loop_stop was called */
    bool ending;      /* eddy_loop_free has begun: what still starts is cancelled */
    bool forked;      /* this process was forked while the loop ran: nothing runs on it any more */
    int64_t grace_ns; /* while `ending`: when shields without a deadline end */
    bool running;     /* inside run or poll */
    int64_t now_ns;   /* the clock as of this turn */
    struct eddyi_loop_spin spin;
    struct eddyi_pool pool;    /* free buffers */
    struct eddyi_shelf *shelf; /* of cells; NULL before the first */
    struct eddyi_meter *meter; /* counts the blocks that this loop makes and frees; or NULL */

    /* Other threads. */
    _Atomic(struct eddyi_ready *) remote; /* a stack, taken whole and reversed */
    /* 1 between the last look at `remote` and the end of wait */
    _Atomic int sleeping;
    _Atomic unsigned wakers; /* threads inside eddyi_loop_ready_from_any */
    struct eddyi_ready stop; /* eddy_loop_stop from another thread */
    _Atomic bool stop_queued;

    struct eddyi_list stoppers; /* struct eddyi_stopper */
    uint64_t live;              /* tasks and others for whose end `run` waits */
    uint64_t turns;             /* statistics */
    pthread_t thread;           /* bound by the first run, poll or call */
    _Atomic bool bound;         /* `thread` is valid; other threads ask too */
    pid_t pid;                  /* the process that made it: another one is a forked child */
    char driver_reason[160];    /* why the preferred driver did not start, or "" */
    eddy_loop_opts opts;
    struct eddy_loop_group *group; /* the loops it works with, or NULL */
    /* Called on the thread of each further loop of a group, at its begin and, when that gave 0, at
     * its end: set by eddy_main on the first loop before the group is made. NULL: nothing. */
    int (*thread_begin)(void);
    void (*thread_end)(void);
    /* Called on the loop's thread when a server starts on it. NULL: nothing. */
    void (*on_serving)(eddy_loop *loop);
    unsigned index;    /* its place in the group */
    bool uses_offload; /* counted by the offload pool */

    /* the task room's part of the loop, made on first use */
    struct eddyi_task_room *tasks;
    /* free: cancel every task; the loop then runs until live is 0 */
    void (*tasks_drain)(eddy_loop *loop);
    void (*tasks_done)(eddy_loop *loop); /* free: give the room's memory back */
    bool (*tasks_idle)(eddy_loop *loop); /* about to sleep: trim stacks */
    /* calls fn(arg) as from outside of every task */
    void (*tasks_aside)(void (*fn)(void *arg), void *arg);
    void (*tasks_forked)(eddy_loop *loop); /* `forked` has become true */

    struct eddyi_list callbacks; /* of futures, to run here: futures/callback.c's */
    /* free: cancel the futures that they wait for. NULL: there never was one */
    void (*callbacks_drain)(eddy_loop *loop);
    struct eddyi_track track;
    struct eddyi_timers timers; /* large, so behind all that is used more often */
};

/* the loop that runs on this thread now, or NULL */
extern _Thread_local eddy_loop *eddyi_loop_here;

/* The two orders of the ready queue: the simulation has one of its own. */
void eddyi_loop_ready_shuffled(eddy_loop *loop, struct eddyi_ready *ready);
static inline void eddyi_loop_ready_last(eddy_loop *loop, struct eddyi_ready *ready) {
    ready->next = NULL;
    if (loop->ready_tail == NULL) {
        loop->ready_head = ready;
    } else {
        loop->ready_tail->next = ready;
    }
    loop->ready_tail = ready;
    loop->ready_count++;
}

/* Loop's thread only: queue `ready` for this loop. */
static inline void eddyi_loop_ready(eddy_loop *loop, struct eddyi_ready *ready) {
    if (EDDYI_UNLIKELY(loop->driver->shuffle != NULL)) {
        eddyi_loop_ready_shuffled(loop, ready);
    } else {
        eddyi_loop_ready_last(loop, ready);
    }
}

/* The slice is used up: true when the turn goes on, with another one. */
bool eddyi_loop_goes_on(eddy_loop *loop);
/* The same for the next call of who runs now, which may be let off though the time is over. */
bool eddyi_loop_more(eddy_loop *loop);

/* Ends the turn at the next checkpoint. */
static inline void eddyi_loop_exhaust(eddy_loop *loop) {
    loop->budget = 0;
    loop->slices = 0;
    loop->granted = 0;
}

/*
 * Loop's thread only: the item that runs next in this turn, out of the queue and charged to it;
 * NULL when it is for the loop itself to go on. What was ready at the turn's begin gets its chance
 * also when the time is over: who was spawned before a sleep began has begun when that ends.
 */
static inline struct eddyi_ready *eddyi_loop_take(eddy_loop *loop) {
    struct eddyi_ready *ready = loop->ready_head;
    bool early = loop->batch > 0;
    if (ready == NULL || (loop->stepwise && !early)) {
        return NULL;
    }
    if (loop->budget <= 0 && !eddyi_loop_goes_on(loop)) {
        if (!early || !loop->late || loop->slices <= 0) {
            return NULL;
        }
        loop->slices--;
        loop->budget = 1;
    }
    loop->ready_head = ready->next;
    if (loop->ready_head == NULL) {
        loop->ready_tail = NULL;
    }
    loop->ready_count--;
    loop->batch -= early;
    loop->granted = early ? EDDYI_LOOP_GRANTED_CALLS : 0;
    loop->budget--;
    return ready;
}

/* The first item out and charged, and `last`, which runs now, to the end: eddyi_loop_ready and
 * eddyi_loop_take for a queue that is not empty, a slice that is not used up and a loop that is not
 * stepwise. */
static inline void eddyi_loop_rotate(eddy_loop *loop, struct eddyi_ready *last) {
    bool early = loop->batch > 0;
    last->next = NULL;
    loop->ready_tail->next = last;
    loop->ready_tail = last;
    loop->ready_head = loop->ready_head->next;
    loop->batch -= early;
    loop->granted = early ? EDDYI_LOOP_GRANTED_CALLS : 0;
    loop->budget--;
}

/* Any thread: queue `ready`, waking the loop when it sleeps. */
void eddyi_loop_ready_from_any(eddy_loop *loop, struct eddyi_ready *ready);
/* Moves what other threads queued into the ready queue, oldest first. Loop's thread. */
void eddyi_loop_take_remote(eddy_loop *loop);
/* One turn; sleeps until `until_ns` at the latest when nothing is ready, unless what ran just now
 * was what the caller waits for: the last that lives, or what sets *done. */
void eddyi_loop_turn(eddy_loop *loop, int64_t until_ns, const bool *done);
/* Waits until something is ready or the deadline has passed; may return earlier. */
void eddyi_loop_wait(eddy_loop *loop, int64_t deadline_ns);
/* About to fall asleep: gives back memory that is kept for later and was not needed for a while. */
void eddyi_loop_trim(eddy_loop *loop);
/* Whether the calling thread may use the loop now: 0, EDDY_EFORKED or EDDY_EWRONGLOOP. */
int eddyi_loop_check(eddy_loop *loop);
/* Whether the loop is bound to the calling thread, running or not. Any thread. */
static inline bool eddyi_loop_is_bound_here(const eddy_loop *loop) {
    return atomic_load_explicit(&loop->bound, memory_order_acquire) &&
           pthread_equal(loop->thread, pthread_self());
}

/* The loop is to be freed: cancels what runs on it, and what will yet start. Its thread. */
void eddyi_loop_end(eddy_loop *loop);

/* As eddy_loop_run, and returns as soon as *done is true. */
int eddyi_loop_run_until(eddy_loop *loop, const bool *done);

/* The clock, read now; loop->now_ns is the turn's. */
static inline int64_t eddyi_loop_clock(eddy_loop *loop) {
    return loop->host->mono_ns(loop->host->ctx);
}

/* Tells the loop's hook of a failure that nobody looked at. Its thread; from a task that is over or
 * a scope that is being left too, so what the hook starts is no part of them. */
void eddyi_loop_unobserved(eddy_loop *loop, int64_t error, const char *site, const char *name);

/* Loop's thread. */
void eddyi_stopper_add(eddy_loop *loop, struct eddyi_stopper *stopper);
void eddyi_stopper_remove(struct eddyi_stopper *stopper);

#endif
