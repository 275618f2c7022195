/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fiber: a stack and the place where it goes on. Nothing here knows what a task is.
 *
 *     struct eddyi_fiber loop, fiber;
 *     eddyi_fiber_init_thread(&loop);                     the stack that this thread runs on
 *     eddyi_fiber_init(&fiber, low, size, entry, arg);    another one
 *     eddyi_fiber_switch(&loop, &fiber);                  entry(arg) runs, until it switches back
 *     ...
 *         eddyi_fiber_switch_last(&fiber, &loop);         in entry: over
 *     ...
 *     eddyi_fiber_done(&fiber);                           back on the thread's stack
 *
 * A fiber is resumed on the thread where it was suspended. AddressSanitizer, ThreadSanitizer and,
 * with EDDYI_VALGRIND, Valgrind are told of each switch, stack and end.
 */
#ifndef EDDY_RUNTIME_TASK_FIBER_IMPL_H
#define EDDY_RUNTIME_TASK_FIBER_IMPL_H

#include <eddy/runtime/base/sanitizer_impl.h>
#include <eddy/runtime/task/switch_impl.h>

/*
 * Make `fiber` stand for the stack that the caller runs on, which is the calling thread's own. It
 * is there to be switched from and back to; for eddyi_fiber_done there is nothing to do.
 */
void eddyi_fiber_init_thread(struct eddyi_fiber *fiber);

/*
 * Make `fiber` begin with entry(arg) when it is first switched to, on the stack of `stack_size`
 * bytes from `stack_low` up. Nothing runs yet; only the top few words of the stack are touched.
 * What lies above the stack (a task's record) is the caller's. entry never returns: it ends in
 * eddyi_fiber_switch_last.
 */
void eddyi_fiber_init(struct eddyi_fiber *fiber, char *stack_low, size_t stack_size,
                      void (*entry)(void *arg), void *arg);

/*
 * As eddyi_fiber_switch, for the last time: `from` is never resumed. Its memory must stay until the
 * switch is over, so it is for `to` to give it back.
 */
static inline _Noreturn void eddyi_fiber_switch_last(struct eddyi_fiber *from,
                                                     struct eddyi_fiber *to);

/*
 * Tell the tools that the fiber is no more. Called on another fiber of its thread, before its stack
 * is given back, whether it has begun or not.
 */
void eddyi_fiber_done(struct eddyi_fiber *fiber);

void eddyi_fiber_switch_annotated(struct eddyi_fiber *from, struct eddyi_fiber *to);
_Noreturn void eddyi_fiber_switch_last_annotated(struct eddyi_fiber *from, struct eddyi_fiber *to);

/*
 * Suspend `from`, which is the fiber that runs now, and resume `to`. Returns when something
 * switches to `from` again. Every register of the caller survives; rounding modes are the thread's
 * (switch_impl.h).
 */
static inline void eddyi_fiber_switch(struct eddyi_fiber *from, struct eddyi_fiber *to) {
#if defined(EDDYI_ASAN) || defined(EDDYI_TSAN)
    eddyi_fiber_switch_annotated(from, to);
#else
    eddyi_fiber_jump(from, to);
#endif
}

/*
 * eddyi_fiber_switch as the last line of a function: returns from.code when `from` is resumed.
 * eddyi_fiber_pass is for calls that a program makes in loops at different places, as a yield: it
 * does not return by `ret` where the CPU would go astray (switch_impl.h).
 */
#if defined(EDDYI_FIBER_FUNCTIONS) && !defined(EDDYI_ASAN) && !defined(EDDYI_TSAN)
int eddyi_fiber_leave(struct eddyi_fiber *from, struct eddyi_fiber *to);
int eddyi_fiber_pass(struct eddyi_fiber *from, struct eddyi_fiber *to);
#else
static inline int eddyi_fiber_leave(struct eddyi_fiber *from, struct eddyi_fiber *to) {
    eddyi_fiber_switch(from, to);
    return from->code;
}
#define eddyi_fiber_pass eddyi_fiber_leave
#endif

static inline __attribute__((always_inline)) void eddyi_fiber_switch_last(struct eddyi_fiber *from,
                                                                          struct eddyi_fiber *to) {
#if defined(EDDYI_ASAN) || defined(EDDYI_TSAN)
    eddyi_fiber_switch_last_annotated(from, to);
#else
    eddyi_fiber_jump(from, to);
    __builtin_trap();
#endif
}

#endif
