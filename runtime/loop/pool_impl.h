/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks that a loop lends: the buffers of readers and writers, which hold one only while there are
 * bytes in it. So 100,000 idle connections share a handful, and a busy one never sees the
 * allocator.
 */
#ifndef EDDY_RUNTIME_LOOP_POOL_IMPL_H
#define EDDY_RUNTIME_LOOP_POOL_IMPL_H

#include <stddef.h>

typedef struct eddy_loop eddy_loop;

/* The size that is kept: one TLS record, and what a socket hands over at once on a fast network.
 * Blocks of another size come from the allocator and go back to it. */
#define EDDYI_POOL_BLOCK_BYTES ((size_t)16 * 1024)

/* How many free blocks a loop keeps: 4 MiB. */
#define EDDYI_POOL_KEPT 256

struct eddyi_pool {
    void *free; /* the first free block, which begins with a pointer to the next; NULL */
    unsigned count;
};

/* A block of `size` bytes, or NULL when there is no memory. Loop's thread. */
void *eddyi_pool_get(eddy_loop *loop, size_t size) __attribute__((warn_unused_result));
/* Gives it back, with the size it was got with. Loop's thread. */
void eddyi_pool_put(eddy_loop *loop, void *block, size_t size);
/* The loop ends: frees what is kept. Whoever still has a block has outlived the loop. */
void eddyi_pool_done(eddy_loop *loop);

#endif
