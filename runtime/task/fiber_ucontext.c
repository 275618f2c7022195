/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switch for CPUs that have none of their own: the C library's. It is some 200 times slower,
 * mostly because it asks the kernel for the signal mask each time.
 */
#include <eddy/runtime/task/switch_impl.h>

#ifdef EDDYI_FIBER_UCONTEXT

#include <ucontext.h>

/* makecontext passes ints: the pointer goes in two halves. */
static void begin(unsigned high, unsigned low) {
    void **words = (void **)(uintptr_t)((uint64_t)high << 32 | low);
    void (*entry)(void *arg) = (void (*)(void *))(uintptr_t)words[0];
    entry(words[1]);
    __builtin_trap();
}

/*
 *     stack_low ...................... | ucontext_t | entry, arg | top
 *     the stack proper                   read once
 */
void eddyi_fiber_prepare(struct eddyi_fiber *fiber, char *top, void (*entry)(void *arg),
                         void *arg) {
    void **words = (void **)((uintptr_t)top & ~(uintptr_t)15) - 2;
    words[0] = (void *)(uintptr_t)entry;
    words[1] = arg;
    ucontext_t *context = (ucontext_t *)(((uintptr_t)words - sizeof *context) &
                                         ~(uintptr_t)(_Alignof(max_align_t) - 1));
    EDDY_ASSERT(getcontext(context) == 0);
    context->uc_link = NULL;
    context->uc_stack = (stack_t){.ss_sp = fiber->stack_low,
                                  .ss_size = (size_t)((char *)context - fiber->stack_low)};
    makecontext(context, (void (*)(void))begin, 2, (unsigned)((uint64_t)(uintptr_t)words >> 32),
                (unsigned)(uintptr_t)words);
    fiber->sp = context;
}

void eddyi_fiber_jump(struct eddyi_fiber *from, struct eddyi_fiber *to) {
    /* It lies on the stack that it describes, and lives as long as `from` is suspended. */
    ucontext_t here;
    here.uc_stack = (stack_t){0}; /* AddressSanitizer looks at it */
    from->sp = &here;
    EDDY_ASSERT(swapcontext(&here, to->sp) == 0);
}

#endif
