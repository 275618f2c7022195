/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <eddy/runtime/base/memory_impl.h>

#include "death.h"
#include "test.h"

/* --- blocks ----------------------------------------------------------------------------------- */

TEST(blocks_counts_what_is_held) {
    int64_t before = eddy_memory_blocks();
    void *a = eddyi_alloc(10);
    void *b = eddyi_zalloc(10);
    void *c = eddyi_resize(NULL, 10);
    char *d = eddyi_strndup("text", 4);
    CHECK_EQ(eddy_memory_blocks() - before, 4);
    c = eddyi_resize(c, 1000);
    CHECK_EQ(eddy_memory_blocks() - before, 4);
    eddyi_free(a);
    eddyi_free(b);
    eddyi_free(c);
    CHECK_EQ(eddy_memory_blocks() - before, 1);
    eddyi_free(d);
    CHECK_EQ(eddy_memory_blocks(), before);
}

TEST(free_of_null_does_nothing) {
    int64_t before = eddy_memory_blocks();
    eddyi_free(NULL);
    CHECK_EQ(eddy_memory_blocks(), before);
}

static void *allocate_and_free(void *arg) {
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        eddyi_free(eddyi_alloc(16));
    }
    return NULL;
}

TEST(blocks_counts_over_all_threads) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, allocate_and_free, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_EQ(eddy_memory_blocks(), 0);
}

static void free_a_foreign_block(void) {
    eddyi_free(malloc(10));
}

TEST(freeing_more_than_was_allocated_is_noticed) {
    struct death death = death_of(free_a_foreign_block);
    CHECK_EQ(death.signal, SIGABRT);
    CHECK(strstr(death.text, "more memory was freed than allocated") != NULL);
}

/* --- sizes ------------------------------------------------------------------------------------ */

TEST(size_zero_gives_a_block) {
    char *a = eddyi_alloc(0);
    char *b = eddyi_zalloc(0);
    char *c = eddyi_resize(NULL, 0);
    CHECK(a != NULL && b != NULL && c != NULL);
    c = eddyi_resize(c, 0);
    CHECK(c != NULL);
    a[0] = 1;
    CHECK_EQ(b[0], 0);
    c[0] = 1;
    eddyi_free(a);
    eddyi_free(b);
    eddyi_free(c);
}

TEST(sizes_that_no_object_can_have_are_refused) {
    char *block = eddyi_strndup("kept", 4);
    CHECK_PTR_EQ(eddyi_alloc(SIZE_MAX), NULL);
    CHECK_PTR_EQ(eddyi_alloc((size_t)PTRDIFF_MAX + 1), NULL);
    CHECK_PTR_EQ(eddyi_zalloc(SIZE_MAX), NULL);
    CHECK_PTR_EQ(eddyi_resize(NULL, SIZE_MAX), NULL);
    CHECK_PTR_EQ(eddyi_resize(block, SIZE_MAX), NULL);
    CHECK_PTR_EQ(eddyi_strndup("x", SIZE_MAX), NULL);
    CHECK_PTR_EQ(eddyi_strndup("x", SIZE_MAX - 1), NULL);
    CHECK_STR(block, "kept");
    CHECK_EQ(eddy_memory_blocks(), 1);
    eddyi_free(block);
}

TEST(zalloc_gives_zeros_even_where_there_was_something) {
    for (int i = 0; i < 100; i++) {
        unsigned char *block = eddyi_alloc(300);
        memset(block, 0xff, 300);
        eddyi_free(block);
        block = eddyi_zalloc(300);
        for (int at = 0; at < 300; at++) {
            CHECK_EQ(block[at], 0);
        }
        eddyi_free(block);
    }
}

TEST(resize_keeps_the_bytes) {
    char *block = eddyi_resize(NULL, 4);
    memcpy(block, "abc", 4);
    block = eddyi_resize(block, 100000);
    CHECK_STR(block, "abc");
    block = eddyi_resize(block, 4);
    CHECK_STR(block, "abc");
    eddyi_free(block);
}

TEST(strndup_copies_bytes_and_ends_them) {
    char *copy = eddyi_strndup("a\0bcd", 4);
    CHECK_BYTES(copy, 5, "a\0bc\0", 5);
    eddyi_free(copy);
    copy = eddyi_strndup(NULL, 0);
    CHECK_STR(copy, "");
    eddyi_free(copy);
}

/* --- failing on purpose ----------------------------------------------------------------------- */

static bool succeeds(void) {
    void *block = eddyi_alloc(8);
    eddyi_free(block);
    return block != NULL;
}

TEST(fail_at_fails_the_nth_allocation_only) {
    eddy_memory_fail_at(3, false);
    CHECK(succeeds());
    CHECK(succeeds());
    CHECK(!succeeds());
    CHECK(succeeds());
    eddy_memory_fail_at(1, false);
    CHECK(!succeeds());
    CHECK(succeeds());
}

TEST(fail_at_with_all_fails_the_rest_too) {
    eddy_memory_fail_at(2, true);
    CHECK(succeeds());
    CHECK(!succeeds());
    CHECK(!succeeds());
    eddy_memory_fail_at(0, true);
    CHECK(succeeds());
}

TEST(fail_at_gives_the_number_of_allocations_since_the_last_call) {
    eddy_memory_fail_at(0, false);
    CHECK_EQ(eddy_memory_fail_at(0, false), 0);
    CHECK(succeeds());
    CHECK(!eddyi_memory_refused());
    eddyi_free(NULL);
    CHECK_EQ(eddy_memory_fail_at(1, true), 2);
    CHECK(!succeeds());
    CHECK(!succeeds());
    CHECK_EQ(eddy_memory_fail_at(0, false), 2); /* those that failed count too */
}

TEST(every_kind_of_allocation_counts_and_fails) {
    char *block = eddyi_strndup("kept", 4);
    eddy_memory_fail_at(1, true);
    CHECK_PTR_EQ(eddyi_alloc(1), NULL);
    CHECK_PTR_EQ(eddyi_zalloc(1), NULL);
    CHECK_PTR_EQ(eddyi_resize(NULL, 1), NULL);
    CHECK_PTR_EQ(eddyi_resize(block, 100), NULL);
    CHECK_PTR_EQ(eddyi_resize(block, 1), NULL);
    CHECK_PTR_EQ(eddyi_strndup("a", 1), NULL);
    CHECK(eddyi_memory_refused());
    CHECK_EQ(eddy_memory_fail_at(0, false), 7);
    CHECK(!eddyi_memory_refused());
    CHECK_STR(block, "kept");
    eddyi_free(block);
}

static void *succeeds_in_thread(void *arg) {
    bool *ret = arg;
    ret[0] = succeeds();
    eddy_memory_fail_at(1, true);
    ret[1] = succeeds();
    return NULL;
}

TEST(each_thread_fails_by_its_own_plan) {
    bool result[2] = {false, true};
    pthread_t thread;
    eddy_memory_fail_at(1, true);
    CHECK_EQ(pthread_create(&thread, NULL, succeeds_in_thread, result), 0);
    pthread_join(thread, NULL);
    CHECK(result[0]);
    CHECK(!result[1]);
    CHECK(!succeeds());
    eddy_memory_fail_at(0, false);
    CHECK(succeeds());
}

/* --- the hook --------------------------------------------------------------------------------- */

struct counts {
    int allocs;
    int resizes;
    int frees;
    bool empty; /* there is no memory */
};

static void *counting_alloc(size_t size, void *ctx) {
    struct counts *counts = ctx;
    counts->allocs++;
    CHECK(size > 0);
    return counts->empty ? NULL : malloc(size);
}

static void *counting_resize(void *old, size_t size, void *ctx) {
    struct counts *counts = ctx;
    counts->resizes++;
    CHECK(size > 0);
    CHECK(old != NULL);
    return counts->empty ? NULL : realloc(old, size);
}

static void counting_free(void *old, void *ctx) {
    struct counts *counts = ctx;
    counts->frees++;
    CHECK(old != NULL);
    free(old);
}

static void set_counting(struct counts *counts) {
    eddy_memory hook = {counting_alloc, counting_resize, counting_free, counts};
    CHECK_OK(eddy_memory_set(&hook));
    memset(&hook, 0, sizeof hook); /* it was copied */
}

TEST(all_memory_comes_from_the_hook) {
    struct counts counts = {0};
    set_counting(&counts);
    void *a = eddyi_alloc(0);
    void *b = eddyi_resize(NULL, 0);
    b = eddyi_resize(b, 0);
    void *c = eddyi_zalloc(5);
    void *d = eddyi_strndup("", 0);
    eddyi_free(a);
    eddyi_free(b);
    eddyi_free(c);
    eddyi_free(d);
    eddyi_free(NULL);
    CHECK_EQ(counts.allocs, 4);
    CHECK_EQ(counts.resizes, 1);
    CHECK_EQ(counts.frees, 4);

    CHECK_OK(eddy_memory_set(NULL));
    eddyi_free(eddyi_alloc(10));
    CHECK_EQ(counts.allocs, 4);
    CHECK_EQ(counts.frees, 4);
}

TEST(a_hook_without_memory_is_a_failed_allocation) {
    struct counts counts = {0};
    set_counting(&counts);
    char *block = eddyi_strndup("kept", 4);
    counts.empty = true;
    CHECK_PTR_EQ(eddyi_alloc(10), NULL);
    CHECK_PTR_EQ(eddyi_zalloc(10), NULL);
    CHECK_PTR_EQ(eddyi_strndup("a", 1), NULL);
    CHECK_PTR_EQ(eddyi_resize(NULL, 10), NULL);
    CHECK_PTR_EQ(eddyi_resize(block, 10), NULL);
    CHECK_EQ(eddy_memory_blocks(), 1);
    CHECK_STR(block, "kept");
    eddyi_free(block);
}

TEST(sizes_that_no_object_can_have_do_not_reach_the_hook) {
    struct counts counts = {0};
    set_counting(&counts);
    char *block = eddyi_strndup("kept", 4);
    CHECK_PTR_EQ(eddyi_alloc((size_t)PTRDIFF_MAX + 1), NULL);
    CHECK_PTR_EQ(eddyi_resize(block, (size_t)PTRDIFF_MAX + 1), NULL);
    CHECK_EQ(counts.allocs, 1);
    CHECK_EQ(counts.resizes, 0);
    eddyi_free(block);
}

TEST(a_failure_on_purpose_does_not_reach_the_hook) {
    struct counts counts = {0};
    set_counting(&counts);
    eddy_memory_fail_at(1, true);
    CHECK(!succeeds());
    CHECK_EQ(counts.allocs, 0);
    eddy_memory_fail_at(0, false);
}

TEST(a_hook_with_a_function_missing_is_einval) {
    eddy_memory whole = {counting_alloc, counting_resize, counting_free, NULL};
    eddy_memory hook = whole;
    hook.alloc = NULL;
    CHECK_ERR(eddy_memory_set(&hook), -EINVAL);
    hook = whole;
    hook.resize = NULL;
    CHECK_ERR(eddy_memory_set(&hook), -EINVAL);
    hook = whole;
    hook.free = NULL;
    CHECK_ERR(eddy_memory_set(&hook), -EINVAL);
    CHECK(succeeds()); /* with the C library's, as before */
}

TEST(the_hook_cannot_change_while_memory_is_in_use) {
    struct counts counts = {0};
    void *block = eddyi_alloc(10);
    eddy_memory hook = {counting_alloc, counting_resize, counting_free, &counts};
    CHECK_ERR(eddy_memory_set(&hook), -EBUSY);
    CHECK_ERR(eddy_memory_set(NULL), -EBUSY);
    eddyi_free(block);
    CHECK_OK(eddy_memory_set(&hook));
    CHECK(succeeds());
    CHECK_EQ(counts.allocs, 1);
}
