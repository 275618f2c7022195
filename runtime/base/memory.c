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

/* One counter for all threads is cheap enough: what runs often allocates nothing. */
static _Atomic int64_t blocks;

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

int64_t eddy_memory_blocks(void) {
    return atomic_load_explicit(&blocks, memory_order_relaxed);
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

void *eddyi_alloc(size_t size) {
    if (EDDYI_UNLIKELY(refused(size))) {
        return NULL;
    }
    void *block = memory.alloc(size == 0 ? 1 : size, memory.ctx);
    if (block != NULL) {
        atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
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
    int64_t before = atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
    EDDY_ASSERT_SAY(before > 0, "more memory was freed than allocated");
    memory.free(old, memory.ctx);
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
