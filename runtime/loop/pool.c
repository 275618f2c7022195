/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/loop/pool_impl.h>

#include <string.h>

#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/base/poison_impl.h>
#include <eddy/runtime/loop/loop_impl.h>

/* A slice into a buffer that was given back is a mistake that nothing else would find: of a free
 * block only its link may be touched. */
static void *kept_part(char *block) {
    return block + sizeof(void *);
}
#define KEPT_PART_BYTES (EDDYI_POOL_BLOCK_BYTES - sizeof(void *))

static char *pop(struct eddyi_pool *pool) {
    char *block = pool->free;
    memcpy(&pool->free, block, sizeof pool->free);
    pool->count--;
    eddyi_unpoison(kept_part(block), KEPT_PART_BYTES);
    return block;
}

void *eddyi_pool_get(eddy_loop *loop, size_t size) {
    if (size == EDDYI_POOL_BLOCK_BYTES && loop->pool.free != NULL) {
        return pop(&loop->pool);
    }
    return eddyi_alloc(size);
}

void eddyi_pool_put(eddy_loop *loop, void *block, size_t size) {
    struct eddyi_pool *pool = &loop->pool;
    if (size != EDDYI_POOL_BLOCK_BYTES || pool->count >= EDDYI_POOL_KEPT || block == NULL) {
        eddyi_free(block);
        return;
    }
    memcpy(block, &pool->free, sizeof pool->free);
    pool->free = block;
    pool->count++;
    eddyi_poison(kept_part(block), KEPT_PART_BYTES);
}

void eddyi_pool_done(eddy_loop *loop) {
    while (loop->pool.free != NULL) {
        eddyi_free(pop(&loop->pool));
    }
}
