/* SPDX-License-Identifier: Apache-2.0 */
/* What a loop does over and over: the ready queue, what other threads put there, and the turn. */
#include <eddy/runtime/loop/loop_impl.h>

/* ---- the ready queue ------------------------------------------------------------------------- */

/* The simulation puts an item anywhere in the queue: whatever order a program relies on without
 * having asked for it shows under some seed. */
void eddyi_loop_ready_shuffled(eddy_loop *loop, struct eddyi_ready *ready) {
    uint64_t place = loop->driver->shuffle(loop, loop->ready_count);
    if (place >= loop->ready_count) {
        eddyi_loop_ready_last(loop, ready); /* without walking there */
        return;
    }
    struct eddyi_ready **link = &loop->ready_head;
    for (uint64_t i = 0; i < place && *link != NULL; i++) {
        link = &(*link)->next;
    }
    ready->next = *link;
    *link = ready;
    loop->ready_count++;
}

void eddyi_loop_ready_from_any(eddy_loop *loop, struct eddyi_ready *ready) {
    if (eddyi_loop_here == loop) {
        eddyi_loop_ready(loop, ready);
        return;
    }
    /* As soon as the item is queued the loop may run it, end and be freed: that waits for this. */
    atomic_fetch_add_explicit(&loop->wakers, 1, memory_order_relaxed);
    struct eddyi_ready *top = atomic_load_explicit(&loop->remote, memory_order_relaxed);
    do {
        ready->next = top;
    } while (!atomic_compare_exchange_weak(&loop->remote, &top, ready));
    /* Both this and the loop's "sleeping, then look again" are sequentially consistent: either the
     * loop sees the item or this thread sees it asleep. One write wakes it, whoever comes first. */
    if (atomic_load(&loop->sleeping) != 0 && atomic_exchange(&loop->sleeping, 0) != 0) {
        loop->driver->wake(loop);
    }
    atomic_fetch_sub_explicit(&loop->wakers, 1, memory_order_release);
}

/* The look is sequentially consistent: where `sleeping` was set before it, it must not go ahead of
 * that. */
void eddyi_loop_take_remote(eddy_loop *loop) {
    if (atomic_load(&loop->remote) == NULL) {
        return;
    }
    struct eddyi_ready *stack = atomic_exchange(&loop->remote, NULL);
    struct eddyi_ready *oldest = NULL;
    while (stack != NULL) {
        struct eddyi_ready *next = stack->next;
        stack->next = oldest;
        oldest = stack;
        stack = next;
    }
    while (oldest != NULL) {
        struct eddyi_ready *next = oldest->next;
        eddyi_loop_ready(loop, oldest);
        oldest = next;
    }
}

/* ---- the turn -------------------------------------------------------------------------------- */

static void begin_turn(eddy_loop *loop) {
    loop->turns++;
    loop->budget = loop->slice;
    loop->slices = EDDYI_LOOP_TURN_CALLS - loop->slice;
    loop->slice_ns = 0;
    loop->turn_ns = 0;
    loop->batch = loop->ready_count;
    loop->late = false;
}

bool eddyi_loop_goes_on(eddy_loop *loop) {
    if (loop->slices <= 0 || loop->late) {
        return false;
    }
    if (!loop->stepwise) {
        eddyi_loop_take_remote(loop); /* what others queue need not wait for the turn's end */
    }
    int64_t now_ns = eddyi_loop_clock(loop);
    if (loop->turn_ns == 0) {
        loop->turn_ns = now_ns + EDDYI_LOOP_TURN_NS;
    } else if (now_ns - loop->slice_ns > EDDYI_LOOP_SLICE_NS) {
        loop->slice = 1;
    } else if (loop->slice < EDDYI_LOOP_SLICE_CALLS) {
        loop->slice *= 2;
    }
    if (now_ns >= loop->turn_ns || now_ns >= eddyi_timers_next(loop)) {
        loop->late = true;
        return false;
    }
    loop->slice_ns = now_ns;
    loop->budget = loop->slice < loop->slices ? loop->slice : loop->slices;
    loop->slices -= loop->budget;
    return true;
}

bool eddyi_loop_more(eddy_loop *loop) {
    if (eddyi_loop_goes_on(loop)) {
        return true;
    }
    if (!loop->late || loop->slices <= 0 || loop->granted <= 0) {
        return false;
    }
    loop->slices--;
    loop->granted--;
    loop->budget = 1;
    return true;
}

/* Runs what is ready, and what becomes ready by it: tasks that only talk to one another need no
 * look at the kernel in between. */
static void run_ready(eddy_loop *loop) {
    struct eddyi_ready *ready;
    while ((ready = eddyi_loop_take(loop)) != NULL) {
        ready->run(ready);
    }
}

void eddyi_loop_turn(eddy_loop *loop, int64_t until_ns, const bool *done) {
    if (EDDYI_UNLIKELY(loop->forked)) {
        return; /* a turn that begins would open the queue again */
    }
    begin_turn(loop);
    run_ready(loop);
    if (EDDYI_UNLIKELY(loop->forked)) {
        return;
    }
    /* A turn that ran nothing costs no clock reading: the last wait ended in one. */
    if (eddyi_timers_next(loop) != EDDY_NEVER) {
        loop->now_ns = eddyi_loop_clock(loop);
        eddyi_timers_fire(loop);
    }
    eddyi_loop_take_remote(loop);
    bool waits =
        loop->ready_head == NULL && !loop->stopping && until_ns > 0 && !*done && loop->live > 0;
    if (waits) {
        int64_t timer_ns = eddyi_timers_next(loop);
        eddyi_loop_wait(loop, timer_ns < until_ns ? timer_ns : until_ns);
    } else {
        loop->driver->wait(loop, 0);
    }
    eddyi_loop_take_remote(loop);
    if (eddyi_timers_next(loop) != EDDY_NEVER) {
        loop->now_ns = eddyi_loop_clock(loop);
        eddyi_timers_fire(loop);
    }
}
