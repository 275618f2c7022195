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

/* Rounded up to pages. More than a page, because a frame with a large buffer can step over a small
 * guard without touching it; it costs address space only (to install it takes as long). */
#define EDDYI_STACK_GUARD_SIZE ((size_t)64 * 1024)

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

/*
 * False when a task went over the end of a stack that has only a canary: what lies below may be
 * destroyed, and the program cannot go on. For each switch away from the stack.
 */
static inline bool eddyi_stack_check(const struct eddyi_stack *stack) {
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
