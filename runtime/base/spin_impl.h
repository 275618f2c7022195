/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lock for a handful of instructions: linking a waiter, taking a list. Never held across a call
 * that can suspend, block or run a user's code.
 */
#ifndef EDDY_RUNTIME_BASE_SPIN_IMPL_H
#define EDDY_RUNTIME_BASE_SPIN_IMPL_H

#include <sched.h>
#include <stdatomic.h>

#include <eddy/runtime/base/assert_impl.h>

struct eddyi_spin {
    _Atomic unsigned char held;
};

static inline void eddyi_spin_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Until whoever holds the lock now has let go; what they did is seen. */
static inline void eddyi_spin_wait(const struct eddyi_spin *spin) {
    /* The holder may have been preempted: on few cores, spinning on would only delay it. */
    for (int tries = 0; atomic_load_explicit(&spin->held, memory_order_acquire) != 0; tries++) {
        if (tries < 64) {
            eddyi_spin_pause();
        } else {
            sched_yield();
        }
    }
}

static inline void eddyi_spin_lock(struct eddyi_spin *spin) {
    while (EDDYI_UNLIKELY(atomic_exchange_explicit(&spin->held, 1, memory_order_acquire) != 0)) {
        eddyi_spin_wait(spin);
    }
}

static inline void eddyi_spin_unlock(struct eddyi_spin *spin) {
    atomic_store_explicit(&spin->held, 0, memory_order_release);
}

#endif
