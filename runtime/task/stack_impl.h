/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks for tasks: reserved in slabs, committed by touch, used again and again.
 *
 *     slab:  | guard | stack 0 | guard | stack 1 | ...                              one mapping
 *
 *     stack: | ............ usable ............ | struct eddyi_stack |
 *            low                                 the stack's own record, on its top page
 *
 * The free list goes through the records, so a free stack is touched nowhere but on its top page,
 * and the one that was put back last is taken first, while it is warm. A stack that was never
 * taken, or whose pages were given back, has no record and is a bit in its slab.
 *
 * A pool belongs to one loop's thread: there is no lock.
 */
#ifndef EDDY_RUNTIME_TASK_STACK_IMPL_H
#define EDDY_RUNTIME_TASK_STACK_IMPL_H

#include <stdatomic.h>

#include <eddy/runtime/base/list_impl.h>

#define EDDYI_STACK_SIZE_DEFAULT ((size_t)256 * 1024)
#define EDDYI_STACK_SIZE_MIN ((size_t)16 * 1024)

/*
 * Rounded up to pages. As large as a stack of the default size, so that no frame that would fit
 * into one steps over the guard without touching it; what is larger is for the compiler
 * (-fstack-clash-protection) and for eddyi_stack_check.
 *
 * Not larger, because a guard region has an entry in the page tables for each of its pages.
 * Measured (Linux 6.18, 100,000 stacks of 256 KiB, two pages of each touched): 63 MB of page tables
 * and 8.5 us for each new stack with guards of 64 KiB, 100 MB and 11 us with 256 KiB, 251 MB and 18
 * us with 1 MiB. A stack that is used again costs nothing.
 */
#define EDDYI_STACK_GUARD_SIZE ((size_t)256 * 1024)

/* A stack pointer that is less far below its task's stack has overflowed it; what is farther away
 * is somebody else's stack. */
#define EDDYI_STACK_FRAME_MAX ((size_t)64 * 1024 * 1024)

/* In canary mode these bytes next below `low` are zero, as the kernel has mapped them, or somebody
 * has gone over the end. Zero, because reading it commits no memory and any other value would. */
#define EDDYI_STACK_CANARY_SIZE 64

/* What lies below a stack, best first. Each is taken where the one before it cannot be had. */
enum eddyi_stack_guard {
    EDDYI_STACK_GUARD_REGION, /* MADV_GUARD_INSTALL: faults, and is no mapping of its own */
    EDDYI_STACK_GUARD_PAGES,  /* mprotect: faults, and cuts the slab in pieces, which are limited */
    EDDYI_STACK_GUARD_CANARY, /* does not fault: eddyi_stack_check finds out afterwards */
};

struct eddyi_stack_slab;

struct eddyi_stack {
    struct eddyi_stack *next; /* in the free list */
    char *low;                /* usable memory is [low, (char *)stack) */
    size_t size;              /* (char *)stack - low */
    struct eddyi_stack_slab *slab;
    uint8_t index; /* its place in the slab */
    uint8_t guard; /* enum eddyi_stack_guard: what this one has */
} __attribute__((aligned(64)));

struct eddyi_stack_pool {
    struct eddyi_stack *free; /* a stack, linked by next */
    size_t stack_size;        /* of each, its record included */
    size_t guard_size;
    uint8_t guard;        /* enum eddyi_stack_guard: what new stacks get, or may fall back from */
    bool guard_proved;    /* REGION was seen to work */
    unsigned slab_stacks; /* how many the next slab is to have */
    struct eddyi_list partial; /* slabs with stacks that have no record */
    struct eddyi_list full;    /* the others */
    /* Statistics. */
    uint64_t in_use; /* taken and not put back */
    uint64_t in_use_max;
    uint64_t free_count; /* in the free list */
    uint64_t mapped;     /* all, with or without a record */
};

/* stack_size is in bytes, rounded up to pages and to the least; 0 is the default. Maps nothing. */
void eddyi_stack_pool_init(struct eddyi_stack_pool *pool, size_t stack_size);

/* All stacks have been put back. */
void eddyi_stack_pool_done(struct eddyi_stack_pool *pool);

/* Takes a stack out of the pool: 0 or -ENOMEM. What is in it is undefined. */
int eddyi_stack_get(struct eddyi_stack_pool *pool, struct eddyi_stack **ret_stack);

/* Puts it back; nothing runs on it any more. */
void eddyi_stack_put(struct eddyi_stack_pool *pool, struct eddyi_stack *stack);

/*
 * Gives the memory of free stacks back to the kernel, all but the `keep` that were used last, and
 * slabs in which no stack has a record. Stops after some milliseconds' worth of stacks; true when
 * there are more to give back.
 */
bool eddyi_stack_pool_trim(struct eddyi_stack_pool *pool, size_t keep);

/* Whether an address lies in what guards the stack. */
bool eddyi_stack_in_guard(const struct eddyi_stack *stack, const void *address);

/* What a fault has to do with the stack of the task that ran into it. */
enum eddyi_stack_fault {
    EDDYI_STACK_FAULT_NONE,
    EDDYI_STACK_FAULT_OVERFLOW, /* in its guard; or farther down, with the stack pointer there */
    EDDYI_STACK_FAULT_STRAY,    /* in another stack's guard, with the stack pointer in order */
};

/*
 * `fault` is the address that could not be reached, `sp` the stack pointer then, or NULL when it is
 * not known. Only looks: a signal handler may ask.
 */
enum eddyi_stack_fault eddyi_stack_blame(const struct eddyi_stack *stack, const void *fault,
                                         const void *sp);

/* For eddyi_stack_check: whether a stack pointer that is not in the stack lies outside of its slab
 * too. Then it is in a stack that the program itself has switched to within the task. */
bool eddyi_stack_is_foreign(const struct eddyi_stack *stack, const void *sp);

static inline const void *eddyi_stack_pointer(void) {
    const void *sp;
    /* The built-in gives the frame's address, and makes the function keep a frame pointer. */
#if defined(__x86_64__) && defined(__LP64__)
    __asm__("movq %%rsp, %0" : "=r"(sp));
#elif defined(__aarch64__)
    __asm__("mov %0, sp" : "=r"(sp));
#else
    sp = __builtin_frame_address(0);
#endif
    return sp;
}

/*
 * False when the task that runs went over the end of its stack: its stack pointer is in a
 * neighbour's, to which a large frame took it past the guard, or the stack has only a canary, and
 * that is gone. What lies below may be destroyed, and the program cannot go on. For each switch
 * away from the stack.
 */
static inline bool eddyi_stack_check(const struct eddyi_stack *stack) {
    const void *sp = eddyi_stack_pointer();
    if (EDDYI_UNLIKELY((uintptr_t)sp - (uintptr_t)stack->low >= stack->size) &&
        !eddyi_stack_is_foreign(stack, sp)) {
        return false;
    }
    if (EDDYI_LIKELY(stack->guard != EDDYI_STACK_GUARD_CANARY)) {
        return true;
    }
    const uint64_t *canary = (const uint64_t *)(const void *)stack->low;
    uint64_t all = 0;
    for (int i = 1; i <= EDDYI_STACK_CANARY_SIZE / (int)sizeof *canary; i++) {
        all |= canary[-i];
    }
    return all == 0;
}

/* How many guards of the kind PAGES the process may have: a quarter of vm.max_map_count, so that
 * the program has the rest. 0 until it has been read. Tests set it. */
extern _Atomic int64_t eddyi_stack_pages_max;

#endif
