/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/task/stack_impl.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/base/poison_impl.h>

/* Newer than Debian 12's headers. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* The first slab is small for the many programs with a handful of tasks; each is twice the one
 * before it, up to the number of bits in `fresh`. */
#define SLAB_STACKS_FIRST 8
#define SLAB_STACKS_MAX 64

/* Some microseconds each, so a loop that trims before it sleeps is not late by more than a few
 * milliseconds. */
#define TRIM_STACKS_MAX 1024

#define MAP_COUNT_DEFAULT 65530 /* the kernel's, where vm.max_map_count cannot be read */

struct eddyi_stack_slab {
    struct eddyi_list in_pool; /* in partial or full */
    char *base;
    size_t size;
    unsigned count;    /* of stacks */
    uint64_t fresh;    /* bit i: stack i has no record and no pages that matter */
    uint64_t guarded;  /* bit i: its guard is in place, for as long as the slab is mapped */
    uint64_t in_pages; /* bit i: and is of the kind PAGES */
};

_Atomic int64_t eddyi_stack_pages_max;
static _Atomic int64_t pages_count; /* guards of that kind in the process */

void eddyi_stack_pool_init(struct eddyi_stack_pool *pool, size_t stack_size) {
    size_t page = (size_t)getpagesize();
    *pool = (struct eddyi_stack_pool){.slab_stacks = SLAB_STACKS_FIRST};
    if (stack_size == 0) {
        stack_size = EDDYI_STACK_SIZE_DEFAULT;
    } else if (stack_size < EDDYI_STACK_SIZE_MIN) {
        stack_size = EDDYI_STACK_SIZE_MIN;
    } else if (stack_size > PTRDIFF_MAX) {
        stack_size = PTRDIFF_MAX; /* which cannot be mapped, and rounds without overflow */
    }
    pool->stack_size = (stack_size + page - 1) / page * page;
    pool->guard_size = (EDDYI_STACK_GUARD_SIZE + page - 1) / page * page;
    eddyi_list_init(&pool->partial);
    eddyi_list_init(&pool->full);
}

static size_t slot_size(const struct eddyi_stack_pool *pool) {
    return pool->guard_size + pool->stack_size;
}

/* ---- slabs ----------------------------------------------------------------------------------- */

static uint64_t all_bits(const struct eddyi_stack_slab *slab) {
    return slab->count == 64 ? UINT64_MAX : ((uint64_t)1 << slab->count) - 1;
}

static int slab_new(struct eddyi_stack_pool *pool) {
    unsigned count = pool->slab_stacks;
    size_t size;
    /* Asked once a slab, not once an attempt: a test's failure is to be seen. */
    if (eddyi_memory_refused()) {
        return -ENOMEM;
    }
    struct eddyi_stack_slab *slab = eddyi_alloc(sizeof *slab);
    if (slab == NULL) {
        return -ENOMEM;
    }
    char *base = MAP_FAILED;
    while (__builtin_mul_overflow(slot_size(pool), (size_t)count, &size) ||
           (base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0)) ==
               MAP_FAILED) {
        /* Address space is limited (RLIMIT_AS) or stacks are large: a smaller slab may do. */
        if (count == 1) {
            eddyi_free(slab);
            return -ENOMEM;
        }
        count /= 2;
    }
    /* One touch would commit 2 MiB. -EINVAL where the kernel has no such pages. */
    (void)madvise(base, size, MADV_NOHUGEPAGE);
    *slab = (struct eddyi_stack_slab){.base = base, .size = size, .count = count};
    slab->fresh = all_bits(slab);
    eddyi_list_init(&slab->in_pool);
    eddyi_list_push_front(&pool->partial, &slab->in_pool);
    pool->mapped += count;
    if (pool->slab_stacks < SLAB_STACKS_MAX) {
        pool->slab_stacks *= 2;
    }
    return 0;
}

static void slab_free(struct eddyi_stack_pool *pool, struct eddyi_stack_slab *slab) {
    eddyi_unpoison(slab->base, slab->size); /* what is mapped there next need not be ours */
    munmap(slab->base, slab->size);
    atomic_fetch_sub_explicit(&pages_count, __builtin_popcountll(slab->in_pages),
                              memory_order_relaxed);
    pool->mapped -= slab->count;
    eddyi_list_remove(&slab->in_pool);
    eddyi_free(slab);
}

/* ---- guards ---------------------------------------------------------------------------------- */

static int64_t read_pages_max(void) {
    int64_t count = MAP_COUNT_DEFAULT;
    char text[32];
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t len = read(fd, text, sizeof text - 1);
        close(fd);
        if (len > 0) {
            text[len] = '\0';
            count = strtoll(text, NULL, 10);
        }
    }
    return count < 4 ? 1 : count / 4;
}

/* Whether one more guard may cut a slab. Each that does adds two mappings to the process. */
static bool pages_take(void) {
    int64_t max = atomic_load_explicit(&eddyi_stack_pages_max, memory_order_relaxed);
    if (max == 0) {
        max = read_pages_max();
        atomic_store_explicit(&eddyi_stack_pages_max, max, memory_order_relaxed);
    }
    if (atomic_fetch_add_explicit(&pages_count, 1, memory_order_relaxed) < max) {
        return true;
    }
    atomic_fetch_sub_explicit(&pages_count, 1, memory_order_relaxed);
    return false;
}

/* KERNEL(6.13): before, guard regions are refused; and emulators may accept what they do not know,
 * so the first of a pool must prove itself. */
static bool install_region(struct eddyi_stack_pool *pool, char *guard) {
    if (madvise(guard, pool->guard_size, MADV_GUARD_INSTALL) < 0) {
        if (errno != ENOMEM && errno != EAGAIN) {
            pool->guard = EDDYI_STACK_GUARD_PAGES;
        }
        return false;
    }
    if (!pool->guard_proved) {
        if (madvise(guard, pool->guard_size, MADV_POPULATE_READ) == 0 || errno != EFAULT) {
            pool->guard = EDDYI_STACK_GUARD_PAGES;
            return false;
        }
        pool->guard_proved = true;
    }
    return true;
}

static void install_guard(struct eddyi_stack_pool *pool, struct eddyi_stack_slab *slab,
                          unsigned index) {
    char *guard = slab->base + slot_size(pool) * index;
    uint64_t bit = (uint64_t)1 << index;
    if (pool->guard == EDDYI_STACK_GUARD_REGION && install_region(pool, guard)) {
        slab->guarded |= bit;
    } else if (pool->guard != EDDYI_STACK_GUARD_CANARY && pages_take()) {
        if (mprotect(guard, pool->guard_size, PROT_NONE) == 0) {
            slab->guarded |= bit;
            slab->in_pages |= bit;
        } else { /* the program itself has used up its mappings */
            atomic_fetch_sub_explicit(&pages_count, 1, memory_order_relaxed);
        }
    }
}

bool eddyi_stack_in_guard(const struct eddyi_stack *stack, const void *address) {
    size_t page = (size_t)getpagesize();
    size_t guard_size = (EDDYI_STACK_GUARD_SIZE + page - 1) / page * page;
    /* One comparison, without forming an address outside of the slab. */
    return (uintptr_t)stack->low - 1 - (uintptr_t)address < guard_size;
}

bool eddyi_stack_is_foreign(const struct eddyi_stack *stack, const void *sp) {
    return (uintptr_t)sp - (uintptr_t)stack->slab->base >= stack->slab->size;
}

/* A frame that stepped over the guard is touched somewhere between where it ends, the stack
 * pointer, and where it began; a call and a leaf's own frame lie less than a page below. */
static bool in_frame_below(const struct eddyi_stack *stack, uintptr_t fault, uintptr_t sp) {
    uintptr_t low = (uintptr_t)stack->low;
    return sp < low && low - sp < EDDYI_STACK_FRAME_MAX && fault < low && fault >= sp - 4096;
}

enum eddyi_stack_fault eddyi_stack_blame(const struct eddyi_stack *stack, const void *fault,
                                         const void *sp) {
    const struct eddyi_stack_slab *slab = stack->slab;
    if (eddyi_stack_in_guard(stack, fault) ||
        in_frame_below(stack, (uintptr_t)fault, (uintptr_t)sp)) {
        return EDDYI_STACK_FAULT_OVERFLOW;
    }
    size_t offset = (size_t)((uintptr_t)fault - (uintptr_t)slab->base);
    size_t slot = slab->size / slab->count;
    size_t usable = stack->size + sizeof *stack;
    return offset < slab->size && offset % slot < slot - usable ? EDDYI_STACK_FAULT_STRAY
                                                                : EDDYI_STACK_FAULT_NONE;
}

/* ---- stacks ---------------------------------------------------------------------------------- */

/* A stack that has no record gets one. */
static int stack_cut(struct eddyi_stack_pool *pool, struct eddyi_stack **ret_stack) {
    if (eddyi_list_empty(&pool->partial)) {
        int r = slab_new(pool);
        if (r < 0) {
            return r;
        }
    }
    struct eddyi_stack_slab *slab =
        EDDYI_LIST_ENTRY(pool->partial.next, struct eddyi_stack_slab, in_pool);
    unsigned index = (unsigned)__builtin_ctzll(slab->fresh);
    uint64_t bit = (uint64_t)1 << index;
    char *low = slab->base + slot_size(pool) * index + pool->guard_size;
    struct eddyi_stack *stack = (struct eddyi_stack *)(void *)(low + pool->stack_size) - 1;
    if ((slab->guarded & bit) == 0) {
        install_guard(pool, slab, index);
    }
    slab->fresh &= ~bit;
    if (slab->fresh == 0) {
        eddyi_list_remove(&slab->in_pool);
        eddyi_list_push_back(&pool->full, &slab->in_pool);
    }
    *stack = (struct eddyi_stack){
        .low = low,
        .size = (size_t)((char *)stack - low),
        .slab = slab,
        .index = (uint8_t)index,
        .guard = (slab->guarded & bit) == 0    ? EDDYI_STACK_GUARD_CANARY
                 : (slab->in_pages & bit) != 0 ? EDDYI_STACK_GUARD_PAGES
                                               : EDDYI_STACK_GUARD_REGION,
    };
    *ret_stack = stack;
    return 0;
}

int eddyi_stack_get(struct eddyi_stack_pool *pool, struct eddyi_stack **ret_stack) {
    struct eddyi_stack *stack = pool->free;
    if (EDDYI_LIKELY(stack != NULL)) {
        pool->free = stack->next;
        pool->free_count--;
        eddyi_unpoison(stack->low, stack->size);
    } else {
        int r = stack_cut(pool, &stack);
        if (r < 0) {
            return r;
        }
    }
    stack->next = NULL;
    if (++pool->in_use > pool->in_use_max) {
        pool->in_use_max = pool->in_use;
    }
    *ret_stack = stack;
    return 0;
}

void eddyi_stack_put(struct eddyi_stack_pool *pool, struct eddyi_stack *stack) {
    EDDY_ASSERT(pool->in_use > 0);
    eddyi_poison(stack->low, stack->size);
    stack->next = pool->free;
    pool->free = stack;
    pool->free_count++;
    pool->in_use--;
}

/* ---- trimming -------------------------------------------------------------------------------- */

/* The stack, which is in no list, loses its record and its pages. */
static void stack_give_back(struct eddyi_stack_pool *pool, struct eddyi_stack *stack) {
    struct eddyi_stack_slab *slab = stack->slab;
    unsigned index = stack->index;
    eddyi_unpoison(stack->low, stack->size);
    /* Where it fails (the program has locked its memory), the pages stay, and do no harm. */
    (void)madvise(stack->low, pool->stack_size, MADV_DONTNEED);
    if (slab->fresh == 0) {
        eddyi_list_remove(&slab->in_pool);
        eddyi_list_push_front(&pool->partial, &slab->in_pool);
    }
    slab->fresh |= (uint64_t)1 << index;
    if (slab->fresh == all_bits(slab)) {
        slab_free(pool, slab);
    }
}

bool eddyi_stack_pool_trim(struct eddyi_stack_pool *pool, size_t keep) {
    struct eddyi_stack **link = &pool->free;
    for (size_t i = 0; i < keep && *link != NULL; i++) {
        link = &(*link)->next;
    }
    for (int i = 0; i < TRIM_STACKS_MAX && *link != NULL; i++) {
        struct eddyi_stack *stack = *link;
        *link = stack->next;
        pool->free_count--;
        stack_give_back(pool, stack);
    }
    return *link != NULL;
}

static void slabs_free(struct eddyi_stack_pool *pool, struct eddyi_list *slabs) {
    while (!eddyi_list_empty(slabs)) {
        slab_free(pool, EDDYI_LIST_ENTRY(slabs->next, struct eddyi_stack_slab, in_pool));
    }
}

void eddyi_stack_pool_done(struct eddyi_stack_pool *pool) {
    EDDY_ASSERT_SAY(pool->in_use == 0, "a stack was not put back");
    pool->free = NULL;
    pool->free_count = 0;
    slabs_free(pool, &pool->partial);
    slabs_free(pool, &pool->full);
}
