/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/loop/pool_impl.h>

#include <string.h>

#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/loop/loop_impl.h>

#include "test.h"

LOOP_TEST(a_block_that_was_given_back_is_given_out_again) {
    eddy_loop *loop = eddyi_loop_here;
    char *a = eddyi_pool_get(loop, EDDYI_POOL_BLOCK_BYTES);
    char *b = eddyi_pool_get(loop, EDDYI_POOL_BLOCK_BYTES);
    CHECK(a != NULL && b != NULL && a != b);
    memset(a, 1, EDDYI_POOL_BLOCK_BYTES);
    memset(b, 2, EDDYI_POOL_BLOCK_BYTES);
    eddyi_pool_put(loop, a, EDDYI_POOL_BLOCK_BYTES);
    eddyi_pool_put(loop, b, EDDYI_POOL_BLOCK_BYTES);
    CHECK_EQ(loop->pool.count, 2);
    eddy_memory_fail_at(1, true);                                  /* needs no memory now */
    CHECK_PTR_EQ(eddyi_pool_get(loop, EDDYI_POOL_BLOCK_BYTES), b); /* the warm one first */
    CHECK_PTR_EQ(eddyi_pool_get(loop, EDDYI_POOL_BLOCK_BYTES), a);
    CHECK(eddyi_pool_get(loop, EDDYI_POOL_BLOCK_BYTES) == NULL);
    eddy_memory_fail_at(0, false);
    memset(a, 3, EDDYI_POOL_BLOCK_BYTES);
    eddyi_pool_put(loop, a, EDDYI_POOL_BLOCK_BYTES);
    eddyi_pool_put(loop, b, EDDYI_POOL_BLOCK_BYTES); /* the loop's end frees them */
}

LOOP_TEST(blocks_of_another_size_are_not_kept) {
    eddy_loop *loop = eddyi_loop_here;
    int64_t blocks = eddy_memory_blocks();
    char *small = eddyi_pool_get(loop, 10);
    char *large = eddyi_pool_get(loop, EDDYI_POOL_BLOCK_BYTES + 1);
    CHECK(small != NULL && large != NULL);
    CHECK_EQ(eddy_memory_blocks(), blocks + 2);
    eddyi_pool_put(loop, small, 10);
    eddyi_pool_put(loop, large, EDDYI_POOL_BLOCK_BYTES + 1);
    eddyi_pool_put(loop, NULL, EDDYI_POOL_BLOCK_BYTES);
    CHECK_EQ(eddy_memory_blocks(), blocks);
    CHECK_EQ(loop->pool.count, 0);
}

LOOP_TEST(a_bounded_number_is_kept) {
    enum { COUNT = EDDYI_POOL_KEPT + 10 };
    eddy_loop *loop = eddyi_loop_here;
    static void *all[COUNT];
    int64_t blocks = eddy_memory_blocks();
    for (size_t i = 0; i < COUNT; i++) {
        all[i] = eddyi_pool_get(loop, EDDYI_POOL_BLOCK_BYTES);
        CHECK(all[i] != NULL);
    }
    for (size_t i = 0; i < COUNT; i++) {
        eddyi_pool_put(loop, all[i], EDDYI_POOL_BLOCK_BYTES);
    }
    CHECK_EQ(loop->pool.count, EDDYI_POOL_KEPT);
    CHECK_EQ(eddy_memory_blocks(), blocks + EDDYI_POOL_KEPT);
}
