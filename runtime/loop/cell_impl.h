/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The completion cell: what every eddy_future is. It ends once, from any thread, in one int64_t and
 * perhaps one owned payload, and wakes whoever waits: a task, a plain thread, a callback, another
 * cell.
 *
 *     PENDING --eddyi_cell_complete--> DONE        (never back; a second complete is refused)
 *
 * References: one for the handle that a user holds, one for the producer, and one for each message
 * under way between threads. The class frees it with the last.
 *
 * Cells that are made of cells (then, all, shield) pass an end on to the next one and a cancel to
 * the one before, over chains as long as a program likes. So neither is a call in a call: what an
 * end or a cancel leads to on the same thread is put on the thread's agenda, and whoever came first
 * works it off before it returns. A user's function that is called meanwhile may wait for any of
 * it; so it runs between eddyi_cell_step_out and eddyi_cell_step_in, as if nothing were under way.
 */
#ifndef EDDY_RUNTIME_LOOP_CELL_IMPL_H
#define EDDY_RUNTIME_LOOP_CELL_IMPL_H

#include <stdatomic.h>

#include <eddy/runtime/base/spin_impl.h>
#include <eddy/runtime/base/track_impl.h>
#include <eddy/runtime/loop/loop_impl.h>

typedef struct eddy_future eddy_future;

/* Somebody who waits for a cell. Linked under the cell's lock. */
struct eddyi_waiter {
    struct eddyi_list link;
    /* Called once, under the cell's lock, on whichever thread completed it: only wakes, enqueues or
     * counts, and may be the last moment at which the waiter's memory exists. */
    void (*wake)(struct eddyi_waiter *waiter, eddy_future *cell);
    /* A waiter whose work must not be done under the lock sets this instead. It is called after
     * unlocking, from the agenda; until then the waiter stays where it is, also when
     * eddyi_cell_unwait has come too late, and keeps the cell alive if it needs it. */
    void (*later)(struct eddyi_waiter *waiter);
};

struct eddyi_cell_class {
    const char *kind; /* "task", "operation", "promise": for dumps */
    /* Asks, on the thread `home` names; NULL: cannot be cancelled. `code`: -ECANCELED or -ETIME.
     * Never suspends. May be called again, with the same code or with -ECANCELED after -ETIME;
     * without a home also on two threads at once. */
    void (*cancel)(eddy_future *cell, int code);
    void (*free)(eddy_future *cell); /* the last reference is gone */
    /* Optional, on the thread `home` names, for a cell that nobody but its producer and its one
     * handle knows: what a cancel, the end that it leads to and the last reference come to. */
    void (*discard)(eddy_future *cell);
};

struct eddy_future {
    _Atomic uint32_t refs;
    _Atomic uint8_t done;     /* 0 PENDING, 1 DONE; set under `lock`, read with acquire */
    _Atomic uint8_t observed; /* somebody has read the result */
    /* `cancel_message` is under way, and will find whatever code there is then */
    _Atomic uint8_t cancel_queued;
    _Atomic uint8_t cancel_timed; /* -ETIME was among the codes */
    _Atomic int cancel_code;      /* 0, or the strongest code with which a cancel was asked */
    struct eddyi_spin lock;       /* guards waiters and the step to DONE */
    int64_t result;               /* valid when DONE */
    void *payload;                /* owned until taken; NULL for none */
    size_t payload_len;
    void (*dispose)(void *payload); /* frees the payload; NULL with no payload */
    struct eddyi_list waiters;      /* struct eddyi_waiter */
    struct eddyi_list callbacks;    /* futures/callback.c: the first callback of each loop */
    bool taken;                     /* there was a payload and somebody has it now; under `lock` */
    const struct eddyi_cell_class *class;
    eddy_loop *home;                    /* where cancel runs; NULL: on the calling thread */
    const char *site;                   /* "file:line" of its start, or NULL */
    const char *name;                   /* the failed task's, as old as the cell; NULL for none */
    struct eddyi_ready cancel_message;  /* cancel asked from another thread, or on the agenda */
    struct eddyi_ready release_message; /* released on another thread */
    struct eddyi_list owned;            /* in the list of the scope that owns the handle */
    /* That scope's loop, whose thread alone touches `owned`; NULL: no scope owns the handle. */
    eddy_loop *owner;
    struct eddyi_slab *slab;  /* where eddyi_cell_new got it */
    struct eddyi_track track; /* of a handle that no scope owns */
};

/* For a cell that is part of something: its class frees nothing by eddyi_cell_free. */
void eddyi_cell_init(eddy_future *cell, const struct eddyi_cell_class *class, eddy_loop *home,
                     uint32_t refs);
/* A cell with memory of its own, `size` bytes that begin with the cell: what follows it is the
 * caller's to set. NULL: no memory. */
eddy_future *eddyi_cell_new(const struct eddyi_cell_class *class, size_t size, eddy_loop *home,
                            uint32_t refs) __attribute__((warn_unused_result));
/* The last act of the class's `free`, for such a one. Any thread. */
void eddyi_cell_free(eddy_future *cell);
void eddyi_cell_ref(eddy_future *cell);
void eddyi_cell_unref(eddy_future *cell);
static inline bool eddyi_cell_is_done(const eddy_future *cell) {
    return atomic_load_explicit(&cell->done, memory_order_acquire) != 0;
}
/* Ends the cell: 0, or -EALREADY when it had ended (the payload is then disposed of). The caller
 * holds a reference. Any thread. */
int eddyi_cell_complete(eddy_future *cell, int64_t result, void *payload, size_t payload_len,
                        void (*dispose)(void *payload));
/* Links a waiter; false when the cell is DONE already (nothing linked). Any thread. */
bool eddyi_cell_wait(eddy_future *cell, struct eddyi_waiter *waiter);
/* Takes a waiter back; false when it has been woken, or its `later` has been or will be called. No
 * `wake` touches the waiter any more when this returns. Any thread. */
bool eddyi_cell_unwait(eddy_future *cell, struct eddyi_waiter *waiter);
/* Asks the producer to end early, with -ECANCELED or -ETIME. Any thread; a code counts once,
 * -ETIME only as the first, and a cell that is DONE takes no notice. From within an end or a cancel
 * the producer is asked a little later. */
void eddyi_cell_cancel(eddy_future *cell, int code);
struct eddyi_agenda;
/* Before and after a call of a user's function that an end or a cancel leads to. */
struct eddyi_agenda *eddyi_cell_step_out(void);
void eddyi_cell_step_in(struct eddyi_agenda *agenda);
/* Marks the result as looked at, so that a failure does not reach on_unobserved. */
static inline int64_t eddyi_cell_observe(eddy_future *cell) {
    atomic_store_explicit(&cell->observed, 1, memory_order_relaxed);
    return cell->result;
}
/* Whether it is DONE and ended as a cancel ends things. Any thread. */
bool eddyi_cell_is_cancelled(const eddy_future *cell);
/* Gives the reference of a handle back. A failure that nobody has looked at, and that is no cancel,
 * reaches on_unobserved on the home's thread (of a cell without a home: when this thread runs a
 * loop, of that one). The caller has taken the handle out of its owner's list. Any thread. */
void eddyi_cell_drop(eddy_future *cell);
/* The short way to release a handle that the current scope or its loop owns, of a cell that is
 * pending: not to cancel, end and let go of it, each so that others may look on, when there are no
 * others. False: there is no short way. From a task. */
bool eddyi_cell_discard(eddy_future *cell);
/* A cell that has failed from the start with one reference, so that what returns a future never
 * returns NULL. Without memory: a static one, which carries -ENOMEM and outlives every release. */
eddy_future *eddyi_cell_failed(eddy_loop *home, int64_t error);
/* Whether it is that static one, which many hold at once and which no list can take. */
bool eddyi_cell_is_static(const eddy_future *cell);

#endif
