/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <eddy/runtime/base/assert_impl.h>
#include <eddy/runtime/base/memory_impl.h>

static void *libc_alloc(size_t size, void *ctx) {
    (void)ctx;
    return malloc(size);
}

static void *libc_resize(void *old, size_t size, void *ctx) {
    (void)ctx;
    return realloc(old, size);
}

static void libc_free(void *old, void *ctx) {
    (void)ctx;
    free(old);
}

static const eddy_memory libc_memory = {libc_alloc, libc_resize, libc_free, NULL};

/* Written only while no block is out and before there are threads of ours: no lock to read it. */
static eddy_memory memory = {libc_alloc, libc_resize, libc_free, NULL};

/*
 * Each loop counts for itself, without locked instructions. The meters lie in an array and not in
 * the loops, so that to read them all needs no lock, which the child of a fork could find held. One
 * that is given back keeps its counts, and whoever claims it next goes on with them.
 *
 * The first is for all threads that run no loop, and for loops that found every other one claimed.
 */
struct eddyi_meter {
    _Alignas(64) _Atomic int64_t made;
    _Atomic int64_t freed;
    _Atomic bool claimed;
};
#define METER_COUNT 64
static struct eddyi_meter meters[METER_COUNT];

_Thread_local struct eddyi_meter *eddyi_meter_here;

/* The fault plan of this thread; see eddy_memory_fail_at. */
static _Thread_local struct {
    int64_t made; /* allocations asked for since the plan was set */
    int64_t nth;  /* the one that fails, from 1; 0 none */
    bool all;     /* those after it fail too */
} plan;

int eddy_memory_set(const eddy_memory *wanted) {
    if (wanted == NULL) {
        wanted = &libc_memory;
    }
    if (wanted->alloc == NULL || wanted->resize == NULL || wanted->free == NULL) {
        return -EINVAL;
    }
    if (eddy_memory_blocks() > 0) {
        return -EBUSY;
    }
    memory = *wanted;
    return 0;
}

struct eddyi_meter *eddyi_meter_claim(void) {
    for (size_t i = 1; i < METER_COUNT; i++) {
        if (!atomic_exchange_explicit(&meters[i].claimed, true, memory_order_acquire)) {
            return &meters[i];
        }
    }
    return NULL;
}

void eddyi_meter_release(struct eddyi_meter *meter) {
    if (meter != NULL) {
        atomic_store_explicit(&meter->claimed, false, memory_order_release);
    }
}

static void count_one_more(_Atomic int64_t *counter) {
    int64_t count = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, count + 1, memory_order_release);
}

void eddyi_memory_made(void) {
    if (EDDYI_LIKELY(eddyi_meter_here != NULL)) {
        count_one_more(&eddyi_meter_here->made);
    } else {
        atomic_fetch_add_explicit(&meters[0].made, 1, memory_order_release);
    }
}

void eddyi_memory_freed(void) {
    if (EDDYI_LIKELY(eddyi_meter_here != NULL)) {
        count_one_more(&eddyi_meter_here->freed);
        return;
    }
    int64_t freed = atomic_fetch_add_explicit(&meters[0].freed, 1, memory_order_release) + 1;
    EDDY_ASSERT_SAY(freed <= atomic_load_explicit(&meters[0].made, memory_order_relaxed) ||
                        eddy_memory_blocks() >= 0,
                    "more memory was freed than allocated");
}

/* Who frees comes after who made, and is read before: the count is never too low, whatever goes on
 * meanwhile. */
int64_t eddy_memory_blocks(void) {
    int64_t count = 0;
    for (size_t i = 0; i < METER_COUNT; i++) {
        count -= atomic_load_explicit(&meters[i].freed, memory_order_acquire);
    }
    for (size_t i = 0; i < METER_COUNT; i++) {
        count += atomic_load_explicit(&meters[i].made, memory_order_relaxed);
    }
    return count;
}

int64_t eddy_memory_fail_at(int64_t nth, bool all) {
    int64_t made = plan.made;
    plan.made = 0;
    plan.nth = nth;
    plan.all = all;
    return made;
}

bool eddyi_memory_refused(void) {
    plan.made++;
    if (EDDYI_LIKELY(plan.nth <= 0)) {
        return false;
    }
    return plan.made == plan.nth || (plan.all && plan.made > plan.nth);
}

/* No object may be larger than PTRDIFF_MAX; a length that went below zero ends up here, too. */
static bool refused(size_t size) {
    return eddyi_memory_refused() || size > PTRDIFF_MAX;
}

void *eddyi_alloc_uncounted(size_t size) {
    return memory.alloc(size, memory.ctx);
}

void eddyi_free_uncounted(void *old) {
    memory.free(old, memory.ctx);
}

void *eddyi_alloc(size_t size) {
    if (EDDYI_UNLIKELY(refused(size))) {
        return NULL;
    }
    void *block = eddyi_alloc_uncounted(size == 0 ? 1 : size);
    if (block != NULL) {
        eddyi_memory_made();
    }
    return block;
}

void *eddyi_zalloc(size_t size) {
    void *block = eddyi_alloc(size);
    if (block != NULL) {
        memset(block, 0, size == 0 ? 1 : size);
    }
    return block;
}

void *eddyi_resize(void *old, size_t size) {
    if (old == NULL) {
        return eddyi_alloc(size);
    }
    if (EDDYI_UNLIKELY(refused(size))) {
        return NULL;
    }
    return memory.resize(old, size == 0 ? 1 : size, memory.ctx);
}

void eddyi_free(void *old) {
    if (old == NULL) {
        return;
    }
    eddyi_memory_freed();
    eddyi_free_uncounted(old);
}

char *eddyi_strndup(const char *text, size_t len) {
    /* SIZE_MAX stays as it is, so that the NUL does not make it wrap to a block of one byte. */
    char *copy = eddyi_alloc(len == SIZE_MAX ? len : len + 1);
    if (copy == NULL) {
        return NULL;
    }
    if (len > 0) {
        memcpy(copy, text, len);
    }
    copy[len] = '\0';
    return copy;
}
