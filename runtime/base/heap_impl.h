/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An intrusive pairing heap of (key, sequence): the least key first, equal keys in the order of
 * insertion. It allocates nothing, so adding a timer cannot fail.
 *
 *          root                 Each node points to its first child and to its siblings; `prev` is
 *         / | \                 the left sibling, or the parent for a first child.
 *        a  b  c                insert and meld O(1), pop O(log n) amortised, remove likewise
 *       / \                     (O(1) for a leaf: a timer cancelled soon after it was added).
 */
#ifndef EDDY_RUNTIME_BASE_HEAP_IMPL_H
#define EDDY_RUNTIME_BASE_HEAP_IMPL_H

#include <eddy/runtime/base/assert_impl.h>

struct eddyi_heap_node {
    int64_t key;
    uint64_t seq; /* set by insert; unique in its heap */
    struct eddyi_heap_node *child;
    struct eddyi_heap_node *next;
    struct eddyi_heap_node *prev;
};

struct eddyi_heap {
    struct eddyi_heap_node *root; /* NULL when empty */
    uint64_t seq;
    size_t count;
};

void eddyi_heap_insert(struct eddyi_heap *heap, struct eddyi_heap_node *node, int64_t key);
/* The least node, left in place, or NULL. */
static inline struct eddyi_heap_node *eddyi_heap_min(const struct eddyi_heap *heap) {
    return heap->root;
}
/* The least node, taken out, or NULL. */
struct eddyi_heap_node *eddyi_heap_pop(struct eddyi_heap *heap);
/* The node must be in this heap. */
void eddyi_heap_remove(struct eddyi_heap *heap, struct eddyi_heap_node *node);
/* Walks the whole heap: order and links hold. For tests and EDDY_ASSERT_SLOW. */
bool eddyi_heap_check(const struct eddyi_heap *heap);

#endif
