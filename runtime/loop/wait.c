/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a loop waits when nothing is ready: awake for a moment, where that pays, and then asleep.
 *
 * To wake a sleeping thread takes its waker a dozen microseconds and the thread some fifty. A loop
 * that looks for what it waits for itself spares both, and uses the time that it waits. So it only
 * does it where the wait is about to be over:
 *
 *     ASLEEP (skip > 0) --so many short sleeps--> AWAKE (skip = 0) --in vain--> ASLEEP
 *                                                  \--it came--/
 *
 * and where it is in vain more often than not, it takes twice as many short sleeps each time to
 * try again. A deadline that is met awake was in vain, too: the kernel would have met it. A loop
 * that is idle sleeps for long, which counts for nothing: it has been awake once, and then never.
 */
#include <eddy/runtime/loop/loop_impl.h>

#include <sched.h>

#include <eddy/runtime/base/spin_impl.h>

/* A sleep is short up to so many times the time to be awake: it has the waking in it, of this
 * thread and perhaps of the one that it waits for. */
#define SHORT_SLEEP 4

/* After so many failures more, 1 << so many short sleeps until the next trial. */
#define FAILURES_MAX 10

static bool has_something(eddy_loop *loop) {
    loop->driver->wait(loop, 0);
    eddyi_loop_take_remote(loop);
    return loop->ready_head != NULL;
}

/* `sleeping` is 0 all the time: who queues an item for the loop has no need to wake it. In vain,
 * the turn ends all the same: what has completed meanwhile may be what the loop runs for. */
static void wait_awake(eddy_loop *loop, int64_t deadline_ns) {
    /* This one hands over what was submitted, whose result often is there at once. */
    if (has_something(loop)) {
        return;
    }
    int64_t now_ns = eddyi_loop_clock(loop);
    int64_t end_ns = deadline_ns - now_ns < loop->spin.ns ? deadline_ns : now_ns + loop->spin.ns;
    while (now_ns < end_ns) {
        if (loop->spin.yields) {
            sched_yield();
        } else {
            eddyi_spin_pause();
        }
        if (has_something(loop)) {
            loop->spin.failures -= loop->spin.failures > 0;
            return;
        }
        now_ns = eddyi_loop_clock(loop);
    }
    loop->spin.failures += loop->spin.failures < FAILURES_MAX;
    loop->spin.skip = UINT32_C(1) << loop->spin.failures;
}

void eddyi_loop_trim(eddy_loop *loop) {
    if (loop->tasks_idle != NULL) {
        loop->tasks_idle(loop);
    }
    eddyi_shelf_trim(loop);
}

static void wait_asleep(eddy_loop *loop, int64_t deadline_ns) {
    eddyi_loop_trim(loop);
    int64_t begin_ns = loop->spin.ns > 0 ? eddyi_loop_clock(loop) : 0;
    atomic_store(&loop->sleeping, 1);
    if (atomic_load(&loop->remote) != NULL) {
        deadline_ns = 0;
    }
    loop->driver->wait(loop, deadline_ns);
    atomic_store_explicit(&loop->sleeping, 0, memory_order_relaxed);
    if (loop->spin.skip > 0 && eddyi_loop_clock(loop) - begin_ns < SHORT_SLEEP * loop->spin.ns) {
        loop->spin.skip--;
    }
}

void eddyi_loop_wait(eddy_loop *loop, int64_t deadline_ns) {
    if (loop->spin.ns > 0 && loop->spin.skip == 0) {
        wait_awake(loop, deadline_ns);
    } else {
        wait_asleep(loop, deadline_ns);
    }
}
