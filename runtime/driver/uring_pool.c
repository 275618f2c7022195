/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The buffers that the kernel fills for multishot receives, one block for a loop: a ring of entries
 * that are free, and behind it the buffers.
 *
 *     free, in the ring --the kernel fills it--> in a completion --> in a stream's queue
 *           ^                                          |                    |
 *           +------------------------ recycle ---------+--------------------+
 */
#include <eddy/runtime/driver/uring_impl.h>

#include <errno.h>
#include <sys/mman.h>

#include <eddy/runtime/base/memory_impl.h>

#define RING_SIZE (EDDYI_URING_BUFFERS * sizeof(struct io_uring_buf))
#define POOL_SIZE (RING_SIZE + (size_t)EDDYI_URING_BUFFERS * EDDYI_URING_BUFFER_SIZE)

static void *map_block(void) {
    if (eddyi_memory_refused()) {
        return NULL;
    }
    void *block = mmap(NULL, POOL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return block == MAP_FAILED ? NULL : block;
}

static int make(struct eddyi_uring *u) {
    struct eddyi_uring_pool *pool = eddyi_zalloc(sizeof *pool);
    if (pool == NULL) {
        return -ENOMEM;
    }
    char *block = map_block();
    if (block == NULL) {
        eddyi_free(pool);
        return -ENOMEM;
    }
    struct io_uring_buf_reg entry = {
        .ring_addr = (uint64_t)(uintptr_t)block,
        .ring_entries = EDDYI_URING_BUFFERS,
        .bgid = EDDYI_URING_BUFFER_GROUP,
    };
    int r = io_uring_register_buf_ring(&u->ring, &entry, 0);
    if (r < 0) {
        munmap(block, POOL_SIZE);
        eddyi_free(pool);
        return r;
    }
    pool->dontfork = madvise(block, POOL_SIZE, MADV_DONTFORK) == 0;
    pool->ring = (struct io_uring_buf_ring *)(void *)block;
    pool->base = block + RING_SIZE;
    u->pool = pool;
    for (unsigned i = 0; i < EDDYI_URING_BUFFERS; i++) {
        eddyi_uring_recycle(u, (uint16_t)i);
    }
    return 0;
}

bool eddyi_uring_pool_ready(struct eddyi_uring *u) {
    if (u->pool == NULL && !u->no_pool) {
        /* Without it receives are single, which is slower and nothing else: tried once. */
        u->no_pool = make(u) < 0;
    }
    return u->pool != NULL && u->pool->held <= EDDYI_URING_BUFFERS - EDDYI_URING_BUFFERS_LOW;
}

void eddyi_uring_pool_close(struct eddyi_uring *u, bool forked) {
    struct eddyi_uring_pool *pool = u->pool;
    if (pool != NULL) {
        if (!forked || !pool->dontfork) {
            munmap(pool->ring, POOL_SIZE);
        }
        eddyi_free(pool);
        u->pool = NULL;
    }
}

char *eddyi_uring_buffer(struct eddyi_uring *u, uint16_t id) {
    return u->pool->base + (size_t)id * EDDYI_URING_BUFFER_SIZE;
}

void eddyi_uring_recycle(struct eddyi_uring *u, uint16_t id) {
    EDDY_ASSERT(id < EDDYI_URING_BUFFERS);
    io_uring_buf_ring_add(u->pool->ring, eddyi_uring_buffer(u, id), EDDYI_URING_BUFFER_SIZE, id,
                          EDDYI_URING_BUFFERS - 1, 0);
    io_uring_buf_ring_advance(u->pool->ring, 1);
}
