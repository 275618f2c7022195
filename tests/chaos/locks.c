/* SPDX-License-Identifier: Apache-2.0 */
/* What tasks wait for each other with: few of each, so that many meet at one. */
#include <eddy/runtime/sync/barrier.h>
#include <eddy/runtime/sync/condition.h>
#include <eddy/runtime/sync/event.h>
#include <eddy/runtime/sync/mutex.h>
#include <eddy/runtime/sync/semaphore.h>

#include "chaos.h"

#define COUNT 16

/* `holder` is no atomic: ThreadSanitizer sees a mutex that lets two in. */
struct lock {
    eddy_mutex mutex;
    const struct me *holder;
    uint64_t held;
};

struct buffer {
    struct lock lock;
    eddy_condition not_empty;
    eddy_condition not_full;
    unsigned count;
    unsigned cap;
    uint64_t put;
    uint64_t got;
};

static struct lock locks[COUNT];
static struct buffer buffers[COUNT];

static struct {
    eddy_semaphore semaphore;
    unsigned permits;
    _Atomic int64_t out;
} pools[COUNT];

static struct {
    eddy_event event;
    _Atomic uint64_t sets;
} events[COUNT];

static struct {
    eddy_barrier barrier;
    _Atomic uint64_t completed; /* rounds */
    _Atomic uint64_t passed;    /* by others than the one that completed */
} barriers[COUNT];

void locks_init(void) {
    for (unsigned i = 0; i < COUNT; i++) {
        buffers[i].cap = 1 + i % 4;
        pools[i].permits = 1 + i % 5;
        pools[i].semaphore = (eddy_semaphore)EDDY_SEMAPHORE_INIT(pools[i].permits);
        barriers[i].barrier = (eddy_barrier)EDDY_BARRIER_INIT(1 + i % 4);
    }
}

/* ---- mutex ----------------------------------------------------------------------------------- */

static void hold(struct me *me, struct lock *lock) {
    REQUIRE(lock->holder == NULL);
    lock->holder = me;
    lock->held++;
}

static void let_go(struct me *me, struct lock *lock) {
    REQUIRE(lock->holder == me);
    lock->holder = NULL;
}

int64_t act_mutex(struct me *me) {
    struct lock *lock = &locks[dice_below(me, COUNT)];
    bool trying = one_in(me, 4);
    int64_t r = trying ? eddy_mutex_try_lock(&lock->mutex) : eddy_mutex_lock(&lock->mutex);
    if (trying && r == -EAGAIN) {
        return 0;
    }
    if (r < 0) {
        REQUIRE(!trying);
        REQUIRE(is_cut(r));
        REQUIRE_EQ(eddy_mutex_unlock(&lock->mutex), -EPERM);
        return checked(me, r);
    }
    hold(me, lock);
    REQUIRE_EQ(eddy_mutex_try_lock(&lock->mutex), -EDEADLK);
    if (one_in(me, 2)) {
        r = rest(me);
    }
    let_go(me, lock);
    REQUIRE_EQ(eddy_mutex_unlock(&lock->mutex), 0);
    return r;
}

/* ---- condition: a bounded buffer of nothing -------------------------------------------------- */

int64_t act_buffer(struct me *me) {
    struct buffer *buffer = &buffers[dice_below(me, COUNT)];
    struct lock *lock = &buffer->lock;
    bool putting = one_in(me, 2);
    int64_t r = eddy_mutex_lock(&lock->mutex);
    if (r < 0) {
        return checked(me, r);
    }
    hold(me, lock);
    while (r == 0 && buffer->count == (putting ? buffer->cap : 0)) {
        let_go(me, lock);
        r = eddy_condition_wait(putting ? &buffer->not_full : &buffer->not_empty, &lock->mutex);
        hold(me, lock); /* whatever r is */
    }
    if (r == 0) {
        buffer->count = putting ? buffer->count + 1 : buffer->count - 1;
        *(putting ? &buffer->put : &buffer->got) += 1;
    }
    /* One that was woken and then cut short may have missed what others wait for. */
    eddy_condition *next = putting == (r == 0) ? &buffer->not_empty : &buffer->not_full;
    if (one_in(me, 4)) {
        eddy_condition_broadcast(next);
    } else {
        eddy_condition_signal(next);
    }
    let_go(me, lock);
    REQUIRE_EQ(eddy_mutex_unlock(&lock->mutex), 0);
    REQUIRE(r == 0 || is_cut(r));
    return checked(me, r);
}

/* ---- semaphore ------------------------------------------------------------------------------- */

int64_t act_semaphore(struct me *me) {
    uint64_t which = dice_below(me, COUNT);
    eddy_semaphore *semaphore = &pools[which].semaphore;
    bool trying = one_in(me, 4);
    int64_t r = trying ? eddy_semaphore_try_wait(semaphore) : eddy_semaphore_wait(semaphore);
    if (trying && r == -EAGAIN) {
        return 0;
    }
    if (r < 0) {
        REQUIRE(!trying && is_cut(r));
        return checked(me, r);
    }
    REQUIRE(atomic_fetch_add(&pools[which].out, 1) < pools[which].permits);
    if (one_in(me, 2)) {
        r = rest(me);
    }
    REQUIRE(atomic_fetch_sub(&pools[which].out, 1) > 0);
    REQUIRE_EQ(eddy_semaphore_post(semaphore), 0);
    return r;
}

/* ---- event ----------------------------------------------------------------------------------- */

int64_t act_event(struct me *me) {
    uint64_t which = dice_below(me, COUNT);
    eddy_event *event = &events[which].event;
    switch (dice_below(me, 4)) {
    case 0:
        atomic_fetch_add(&events[which].sets, 1);
        eddy_event_set(event);
        return 0;
    case 1:
        if (eddy_event_clear(event)) {
            REQUIRE(atomic_load(&events[which].sets) > 0);
        }
        return 0;
    default: {
        int64_t r = eddy_event_wait(event);
        REQUIRE(is_cut(r) || (r == 0 && atomic_load(&events[which].sets) > 0));
        return checked(me, r);
    }
    }
}

/* ---- barrier --------------------------------------------------------------------------------- */

int64_t act_barrier(struct me *me) {
    uint64_t which = dice_below(me, COUNT);
    int64_t r = eddy_barrier_wait(&barriers[which].barrier);
    if (r == 1) {
        atomic_fetch_add(&barriers[which].completed, 1);
    } else if (r == 0) {
        atomic_fetch_add(&barriers[which].passed, 1);
    } else {
        REQUIRE(is_cut(r));
        return checked(me, r);
    }
    return 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

void locks_check(void) {
    for (unsigned i = 0; i < COUNT; i++) {
        REQUIRE(locks[i].holder == NULL);
        REQUIRE(buffers[i].lock.holder == NULL);
        REQUIRE_EQ(buffers[i].put, buffers[i].got + buffers[i].count);
        REQUIRE_EQ(atomic_load(&pools[i].out), 0);
        REQUIRE_EQ(eddy_semaphore_count(&pools[i].semaphore), pools[i].permits);
        REQUIRE_EQ(eddy_barrier_waiting(&barriers[i].barrier), 0);
        REQUIRE_EQ(atomic_load(&barriers[i].passed),
                   atomic_load(&barriers[i].completed) * (barriers[i].barrier.parties - 1));
    }
}
