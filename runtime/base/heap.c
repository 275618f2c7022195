/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No function here recurses: a heap of a million equal deadlines can be one list of a million
 * siblings or one chain a million deep, and it is popped on a task's small stack.
 */
#include <eddy/runtime/base/heap_impl.h>

static bool before(const struct eddyi_heap_node *a, const struct eddyi_heap_node *b) {
    return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

/* Joins two roots, which have neither `next` nor `prev`: the later one becomes a child. */
static struct eddyi_heap_node *meld(struct eddyi_heap_node *a, struct eddyi_heap_node *b) {
    if (before(b, a)) {
        struct eddyi_heap_node *swap = a;
        a = b;
        b = swap;
    }
    b->next = a->child;
    b->prev = a;
    if (a->child != NULL) {
        a->child->prev = b;
    }
    a->child = b;
    return a;
}

static struct eddyi_heap_node *detach_first(struct eddyi_heap_node **list) {
    struct eddyi_heap_node *node = *list;
    *list = node->next;
    node->next = NULL;
    node->prev = NULL;
    return node;
}

/*
 * Makes one root, or NULL, of a list of siblings. In pairs from the left, then the pairs from the
 * right: it is the pairing that gives O(log n), one pass alone could cost O(n) each time.
 */
static struct eddyi_heap_node *merge_siblings(struct eddyi_heap_node *siblings) {
    struct eddyi_heap_node *pairs = NULL; /* the last pair first */
    while (siblings != NULL) {
        struct eddyi_heap_node *pair = detach_first(&siblings);
        if (siblings != NULL) {
            pair = meld(pair, detach_first(&siblings));
        }
        pair->next = pairs;
        pairs = pair;
    }
    if (pairs == NULL) {
        return NULL;
    }
    struct eddyi_heap_node *root = detach_first(&pairs);
    while (pairs != NULL) {
        root = meld(root, detach_first(&pairs));
    }
    return root;
}

void eddyi_heap_insert(struct eddyi_heap *heap, struct eddyi_heap_node *node, int64_t key) {
    *node = (struct eddyi_heap_node){.key = key, .seq = heap->seq++};
    heap->root = heap->root == NULL ? node : meld(heap->root, node);
    heap->count++;
}

struct eddyi_heap_node *eddyi_heap_pop(struct eddyi_heap *heap) {
    struct eddyi_heap_node *node = heap->root;
    if (node == NULL) {
        return NULL;
    }
    heap->root = merge_siblings(node->child);
    heap->count--;
    node->child = NULL;
    return node;
}

void eddyi_heap_remove(struct eddyi_heap *heap, struct eddyi_heap_node *node) {
    if (node == heap->root) {
        eddyi_heap_pop(heap);
        return;
    }
    EDDY_ASSERT_SAY(node->prev != NULL, "a node was removed from a heap in which it is not");
    if (node->prev->child == node) {
        node->prev->child = node->next;
    } else {
        node->prev->next = node->next;
    }
    if (node->next != NULL) {
        node->next->prev = node->prev;
    }
    struct eddyi_heap_node *rest = merge_siblings(node->child);
    if (rest != NULL) {
        heap->root = meld(heap->root, rest);
    }
    heap->count--;
    node->child = NULL;
    node->next = NULL;
    node->prev = NULL;
}

/*
 * Checks a node's children and counts them in `seen`. It ends whatever the links are: in a ring of
 * siblings, one would have two left neighbours.
 */
static bool check_children(const struct eddyi_heap_node *node, size_t *seen) {
    const struct eddyi_heap_node *left = node;
    for (const struct eddyi_heap_node *child = node->child; child != NULL; child = child->next) {
        if (child->prev != left || !before(node, child)) {
            return false;
        }
        left = child;
        ++*seen;
    }
    return true;
}

/* The next node, parents before children, or NULL. Siblings lead back to their parent by `prev`. */
static const struct eddyi_heap_node *step(const struct eddyi_heap_node *node) {
    if (node->child != NULL) {
        return node->child;
    }
    while (node->next == NULL) {
        const struct eddyi_heap_node *child;
        do {
            child = node;
            node = node->prev;
            if (node == NULL) {
                return NULL;
            }
        } while (node->child != child);
    }
    return node->next;
}

bool eddyi_heap_check(const struct eddyi_heap *heap) {
    const struct eddyi_heap_node *root = heap->root;
    if (root == NULL) {
        return heap->count == 0;
    }
    if (root->next != NULL || root->prev != NULL) {
        return false;
    }
    size_t seen = 1;
    for (const struct eddyi_heap_node *node = root; node != NULL; node = step(node)) {
        if (!check_children(node, &seen)) {
            return false;
        }
    }
    return seen == heap->count;
}
