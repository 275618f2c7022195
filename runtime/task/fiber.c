/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/task/fiber_impl.h>

#ifdef EDDYI_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef EDDYI_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#ifdef EDDYI_VALGRIND
#include <valgrind/memcheck.h>
#endif

#ifdef EDDYI_ASAN
/* The fiber that this thread's last switch left. AddressSanitizer knows the bounds of a thread's
 * own stack, and says them to whoever is switched to from there. */
static _Thread_local struct eddyi_fiber *left;

__attribute__((no_sanitize_address)) static void arrive(void *fake) {
    const void *low;
    size_t size;
    __sanitizer_finish_switch_fiber(fake, &low, &size);
    if (left->of_thread) {
        left->stack_low = (char *)(uintptr_t)low;
        left->stack_size = size;
    }
}

/* On top of a new fiber's stack: what to begin with once AddressSanitizer knows where we are. */
struct beginning {
    void (*entry)(void *arg);
    void *arg;
};

__attribute__((no_sanitize_address)) static void begin(void *arg) {
    struct beginning *beginning = arg;
    arrive(NULL);
    beginning->entry(beginning->arg);
}
#endif

void eddyi_fiber_init_thread(struct eddyi_fiber *fiber) {
    *fiber = (struct eddyi_fiber){.of_thread = true};
#ifdef EDDYI_TSAN
    fiber->tsan = __tsan_get_current_fiber();
#endif
}

void eddyi_fiber_init(struct eddyi_fiber *fiber, char *stack_low, size_t stack_size,
                      void (*entry)(void *arg), void *arg) {
    char *top = stack_low + stack_size;
    *fiber = (struct eddyi_fiber){.stack_low = stack_low, .stack_size = stack_size};
#ifdef EDDYI_VALGRIND
    /* What an earlier fiber left here is not this one's to read, and below its last stack pointer
     * Valgrind took the memory away. */
    (void)VALGRIND_MAKE_MEM_UNDEFINED(stack_low, stack_size);
    fiber->valgrind_id = VALGRIND_STACK_REGISTER(stack_low, stack_low + stack_size - 1);
#endif
#ifdef EDDYI_ASAN
    struct beginning *beginning = (struct beginning *)((uintptr_t)top & ~(uintptr_t)15) - 1;
    *beginning = (struct beginning){entry, arg};
    eddyi_fiber_prepare(fiber, (char *)beginning, begin, beginning);
#else
    eddyi_fiber_prepare(fiber, top, entry, arg);
#endif
}

#ifdef EDDYI_TSAN
/* ThreadSanitizer dies at some 8,000 threads and fibers, so only those that have begun are known to
 * it. */
static void *known_as(struct eddyi_fiber *fiber) {
    if (fiber->tsan == NULL) {
        fiber->tsan = __tsan_create_fiber(0);
    }
    return fiber->tsan;
}
#endif

/* Under both sanitizers functions are entered and left on the same fiber, as their books demand:
 * what stands between the announcement and the jump must call nothing. */
void eddyi_fiber_switch_annotated(struct eddyi_fiber *from, struct eddyi_fiber *to) {
#ifdef EDDYI_ASAN
    left = from;
    __sanitizer_start_switch_fiber(&from->asan_fake, to->stack_low, to->stack_size);
#endif
#ifdef EDDYI_TSAN
    /* 0: what `from` did is seen by `to`, as is true on one thread. */
    __tsan_switch_to_fiber(known_as(to), 0);
#endif
    eddyi_fiber_jump(from, to);
#ifdef EDDYI_ASAN
    arrive(from->asan_fake);
#endif
}

void eddyi_fiber_switch_last_annotated(struct eddyi_fiber *from, struct eddyi_fiber *to) {
#ifdef EDDYI_ASAN
    left = from;
    /* NULL: its fake frames are freed. */
    __sanitizer_start_switch_fiber(NULL, to->stack_low, to->stack_size);
#endif
#ifdef EDDYI_TSAN
    __tsan_switch_to_fiber(known_as(to), 0);
#endif
    eddyi_fiber_jump(from, to);
    __builtin_trap();
}

void eddyi_fiber_done(struct eddyi_fiber *fiber) {
    if (fiber->of_thread) {
        return;
    }
#ifdef EDDYI_TSAN
    if (fiber->tsan != NULL) {
        __tsan_destroy_fiber(fiber->tsan);
    }
#endif
#ifdef EDDYI_VALGRIND
    VALGRIND_STACK_DEREGISTER(fiber->valgrind_id);
#endif
}
