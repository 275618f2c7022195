/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <eddy/runtime/base/heap_impl.h>

#include "death.h"
#include "test.h"

TEST(an_empty_heap_has_no_least_node) {
    struct eddyi_heap heap = {0};
    CHECK_PTR_EQ(eddyi_heap_min(&heap), NULL);
    CHECK_PTR_EQ(eddyi_heap_pop(&heap), NULL);
    CHECK(eddyi_heap_check(&heap));
}

TEST(nodes_come_out_by_key_and_equal_ones_in_the_order_of_insertion) {
    static const int64_t keys[] = {5, INT64_MAX, 5, -3, 0, 5, INT64_MIN, -3};
    static const int order[] = {6, 3, 7, 4, 0, 2, 5, 1};
    struct eddyi_heap_node nodes[8];
    struct eddyi_heap heap = {0};
    memset(nodes, 0xaa, sizeof nodes); /* insert trusts nothing in a node */
    for (int i = 0; i < 8; i++) {
        eddyi_heap_insert(&heap, &nodes[i], keys[i]);
        CHECK_EQ(heap.count, i + 1);
        CHECK(eddyi_heap_check(&heap));
    }
    for (int i = 0; i < 8; i++) {
        CHECK_PTR_EQ(eddyi_heap_min(&heap), &nodes[order[i]]);
        CHECK_PTR_EQ(eddyi_heap_pop(&heap), &nodes[order[i]]);
        CHECK(eddyi_heap_check(&heap));
    }
    CHECK_EQ(heap.count, 0);
}

static void remove_what_is_not_there(void) {
    struct eddyi_heap heap = {0};
    struct eddyi_heap_node nodes[2];
    eddyi_heap_insert(&heap, &nodes[0], 1);
    eddyi_heap_insert(&heap, &nodes[1], 2);
    eddyi_heap_remove(&heap, &nodes[1]);
    eddyi_heap_remove(&heap, &nodes[1]);
}

TEST(removing_a_node_twice_is_noticed) {
    CHECK_EQ(death_of(remove_what_is_not_there).signal, SIGABRT);
}

TEST(check_sees_what_is_broken) {
    struct eddyi_heap_node nodes[20];
    struct eddyi_heap heap = {0};
    for (int i = 0; i < 20; i++) {
        eddyi_heap_insert(&heap, &nodes[i], i / 2);
    }
    eddyi_heap_pop(&heap); /* gives it some depth */
    CHECK(eddyi_heap_check(&heap));
    for (int i = 1; i < 20; i++) {
        struct eddyi_heap_node kept = nodes[i];
        bool is_root = &nodes[i] == heap.root;
        nodes[i].key = is_root ? 1000 : -1;
        CHECK(!eddyi_heap_check(&heap));
        nodes[i] = kept;
        nodes[i].prev = is_root ? &nodes[i] : NULL;
        CHECK(!eddyi_heap_check(&heap));
        nodes[i] = kept;
        nodes[i].next = &nodes[i]; /* a ring must not keep it from ending */
        CHECK(!eddyi_heap_check(&heap));
        nodes[i] = kept;
        nodes[i].child = heap.root;
        CHECK(!eddyi_heap_check(&heap));
        nodes[i] = kept;
    }
    heap.count--;
    CHECK(!eddyi_heap_check(&heap));
    heap.count += 2;
    CHECK(!eddyi_heap_check(&heap));
    heap.count--;
    CHECK(eddyi_heap_check(&heap));
    heap.root = NULL;
    CHECK(!eddyi_heap_check(&heap));
}

/* --- random operations against a sorted array ------------------------------------------------- */

#define MODEL_COUNT 500

struct model {
    struct eddyi_heap heap;
    struct eddyi_heap_node nodes[MODEL_COUNT];
    bool used[MODEL_COUNT];
    struct eddyi_heap_node *sorted[MODEL_COUNT]; /* those in the heap, as they should come out */
    size_t count;
};

static void model_insert(struct model *model, struct eddyi_heap_node *node, int64_t key) {
    size_t at = model->count;
    while (at > 0 && model->sorted[at - 1]->key > key) {
        at--;
    }
    memmove(model->sorted + at + 1, model->sorted + at, (model->count - at) * sizeof node);
    model->sorted[at] = node;
    model->count++;
    model->used[node - model->nodes] = true;
    eddyi_heap_insert(&model->heap, node, key);
}

static struct eddyi_heap_node *model_drop(struct model *model, size_t at) {
    struct eddyi_heap_node *node = model->sorted[at];
    model->count--;
    memmove(model->sorted + at, model->sorted + at + 1, (model->count - at) * sizeof node);
    model->used[node - model->nodes] = false;
    return node;
}

static void run_model(uint64_t key_range) {
    static struct model model;
    memset(&model, 0, sizeof model);
    for (int step = 0; step < 100000; step++) {
        /* Grows for a while, then shrinks for a while, so that it gets full and empty. */
        bool growing = step / 2000 % 2 == 0;
        size_t free_at = test_random_below(MODEL_COUNT);
        bool insert = test_random_below(10) < (growing ? 6 : 3);
        if (insert && !model.used[free_at]) {
            model_insert(&model, &model.nodes[free_at], (int64_t)test_random_below(key_range));
        } else if (model.count > 0 && test_random_below(2) == 0) {
            CHECK_PTR_EQ(eddyi_heap_pop(&model.heap), model_drop(&model, 0));
        } else if (model.count > 0) {
            size_t at = test_random_below(model.count);
            eddyi_heap_remove(&model.heap, model_drop(&model, at));
        }
        CHECK_EQ(model.heap.count, model.count);
        CHECK_PTR_EQ(eddyi_heap_min(&model.heap), model.count == 0 ? NULL : model.sorted[0]);
        if (step % 16 == 0) {
            CHECK(eddyi_heap_check(&model.heap));
        }
    }
    while (model.count > 0) {
        CHECK_PTR_EQ(eddyi_heap_pop(&model.heap), model_drop(&model, 0));
    }
}

TEST(random_operations_with_few_keys_agree_with_a_sorted_array) {
    run_model(8);
}

TEST(random_operations_with_many_keys_agree_with_a_sorted_array) {
    run_model((uint64_t)1 << 62);
}

/* --- a million nodes on a small stack --------------------------------------------------------- */

struct large {
    int64_t (*key)(int64_t i, int64_t count);
    int64_t count;
};

static void *fill_and_empty(void *arg) {
    struct large *large = arg;
    struct eddyi_heap heap = {0};
    struct eddyi_heap_node *nodes = malloc((size_t)large->count * sizeof *nodes);
    CHECK(nodes != NULL);
    for (int64_t i = 0; i < large->count; i++) {
        eddyi_heap_insert(&heap, &nodes[i], large->key(i, large->count));
    }
    CHECK(eddyi_heap_check(&heap));
    /* From anywhere, also from the middle of a chain or a long row of siblings. */
    for (int64_t i = 0; i < large->count; i += 3) {
        eddyi_heap_remove(&heap, &nodes[i]);
    }
    CHECK(eddyi_heap_check(&heap));
    int64_t popped = 0;
    struct eddyi_heap_node last = {.key = INT64_MIN};
    for (struct eddyi_heap_node *node; (node = eddyi_heap_pop(&heap)) != NULL; popped++) {
        CHECK(last.key < node->key || (last.key == node->key && last.seq < node->seq));
        last = *node;
    }
    CHECK_EQ(popped, large->count - (large->count + 2) / 3);
    free(nodes);
    return NULL;
}

static void run_large(int64_t (*key)(int64_t i, int64_t count)) {
    /* Sanitizers take more of the stack, but nothing that grows with the heap. */
    size_t stack_size = test_is_slow() ? 512 * 1024 : 64 * 1024;
    struct large large = {key, test_is_slow() ? 200000 : 1000000};
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    CHECK_EQ(pthread_attr_setstacksize(&attributes, stack_size), 0);
    CHECK_EQ(pthread_create(&thread, &attributes, fill_and_empty, &large), 0);
    pthread_attr_destroy(&attributes);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static int64_t rising(int64_t i, int64_t count) {
    (void)count;
    return i;
}

static int64_t falling(int64_t i, int64_t count) {
    return count - i;
}

static int64_t equal(int64_t i, int64_t count) {
    (void)i;
    (void)count;
    return 7;
}

static int64_t scattered(int64_t i, int64_t count) {
    return (int64_t)((uint64_t)i * 0x9e3779b97f4a7c15 >> 1) % count;
}

TEST(a_row_of_a_million_siblings_needs_no_stack) {
    run_large(rising);
}

TEST(a_chain_a_million_deep_needs_no_stack) {
    run_large(falling);
}

TEST(a_million_equal_keys_need_no_stack) {
    run_large(equal);
}

TEST(a_million_scattered_keys_need_no_stack) {
    run_large(scattered);
}
