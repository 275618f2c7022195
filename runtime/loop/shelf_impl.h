/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for small things that are made and freed all the time: a loop's futures. A shelf is cut
 * from slabs, each of places of one size:
 *
 *     loop -> shelf -> slabs with a free place, by size -> free places
 *
 * On the loop's thread to take a place, or to give it back, is a few instructions. What is given
 * back elsewhere is put aside under a lock, until the loop runs out of places of its own. A place
 * may outlive the loop; then the shelf stays until the last one is given back.
 *
 * Each place counts as a block (eddy_memory_blocks), and each may be refused by a test.
 */
#ifndef EDDY_RUNTIME_LOOP_SHELF_IMPL_H
#define EDDY_RUNTIME_LOOP_SHELF_IMPL_H

#include <stddef.h>

typedef struct eddy_loop eddy_loop;

/* What is larger comes from the allocator, one by one. */
#define EDDYI_SHELF_PLACE_MAX ((size_t)512)

/* How many free slabs, of half a MiB together, a loop keeps that falls asleep; besides them, one of
 * each size. What a burst has needed stays until then: the next one may follow at once. */
#define EDDYI_SHELF_KEPT 64

struct eddyi_shelf;
struct eddyi_slab;

/* `size` bytes, aligned for anything, or NULL when there is no memory. From the shelf of the loop
 * that runs on this thread; where none does, or there is no place for it, *ret_slab is NULL. */
void *eddyi_shelf_get(size_t size, struct eddyi_slab **ret_slab)
    __attribute__((warn_unused_result));
/* Gives it back, on any thread, with the slab it came with. */
void eddyi_shelf_put(struct eddyi_slab *slab, void *memory);
/* The loop is about to fall asleep: gives back some of what has been free for a while. */
void eddyi_shelf_trim(eddy_loop *loop);
/* The loop ends. NULL is fine. */
void eddyi_shelf_done(struct eddyi_shelf *shelf);
/* In the child of a fork: a thread that gave something back at that moment is not there to end it.
 * NULL is fine. */
void eddyi_shelf_forked(struct eddyi_shelf *shelf);

#endif
