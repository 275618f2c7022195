/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An intrusive, circular, doubly linked list. A node out of every list points to itself, so removal
 * needs no list and removing twice is harmless.
 *
 *     head <-> a <-> b <-> head            an empty list, and an unlinked node: head <-> head
 */
#ifndef EDDY_RUNTIME_BASE_LIST_IMPL_H
#define EDDY_RUNTIME_BASE_LIST_IMPL_H

#include <eddy/runtime/base/assert_impl.h>

struct eddyi_list {
    struct eddyi_list *next;
    struct eddyi_list *prev;
};

#define EDDYI_LIST_INIT(name) \
    { &(name), &(name) }

static inline void eddyi_list_init(struct eddyi_list *node) {
    node->next = node;
    node->prev = node;
}

static inline bool eddyi_list_empty(const struct eddyi_list *head) {
    return head->next == head;
}

/* Whether a node stands in some list. */
static inline bool eddyi_list_linked(const struct eddyi_list *node) {
    return node->next != node;
}

static inline void eddyi_list_insert_before_(struct eddyi_list *at, struct eddyi_list *node) {
    EDDY_ASSERT_SLOW(!eddyi_list_linked(node));
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

static inline void eddyi_list_push_back(struct eddyi_list *head, struct eddyi_list *node) {
    eddyi_list_insert_before_(head, node);
}

static inline void eddyi_list_push_front(struct eddyi_list *head, struct eddyi_list *node) {
    eddyi_list_insert_before_(head->next, node);
}

static inline void eddyi_list_remove(struct eddyi_list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    eddyi_list_init(node);
}

/* The first node, taken out, or NULL. */
static inline struct eddyi_list *eddyi_list_pop_front(struct eddyi_list *head) {
    struct eddyi_list *node = head->next;
    if (node == head) {
        return NULL;
    }
    eddyi_list_remove(node);
    return node;
}

/* Move everything from `from`, which is empty afterwards, to the end of `to`. */
static inline void eddyi_list_splice_back(struct eddyi_list *to, struct eddyi_list *from) {
    if (eddyi_list_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    eddyi_list_init(from);
}

#define EDDYI_LIST_ENTRY(node, type, member) EDDYI_CONTAINER(node, type, member)

/* Walks `head`; the present node may be removed, no other. */
#define EDDYI_LIST_EACH(node, head) \
    for (struct eddyi_list *node = (head)->next, *node##_next_ = node->next; node != (head); \
         node = node##_next_, node##_next_ = node->next)

#endif
