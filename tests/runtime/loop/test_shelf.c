/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/loop/shelf_impl.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/loop/loop_impl.h>
#include <eddy/runtime/task/task.h>

#include "test.h"

struct thing {
    char *memory;
    size_t size;
    struct eddyi_slab *slab;
};

static void get(struct thing *thing, size_t size) {
    thing->size = size;
    thing->memory = eddyi_shelf_get(size, &thing->slab);
    CHECK(thing->memory != NULL);
}

static void put(struct thing *thing) {
    eddyi_shelf_put(thing->slab, thing->memory);
}

LOOP_TEST(what_was_given_back_is_given_out_again) {
    struct thing a;
    struct thing b;
    struct thing again;
    get(&a, 100);
    get(&b, 100);
    CHECK(a.slab != NULL && a.memory != b.memory);
    put(&a);
    put(&b);
    get(&again, 97); /* the warm one first, for a size that is about the same */
    CHECK_PTR_EQ(again.memory, b.memory);
    put(&again);
}

LOOP_TEST(each_place_is_a_block_and_can_be_refused) {
    struct thing thing;
    struct eddyi_slab *slab;
    int64_t blocks = eddy_memory_blocks();
    get(&thing, 100);
    CHECK_EQ(eddy_memory_blocks(), blocks + 1);
    put(&thing);
    CHECK_EQ(eddy_memory_blocks(), blocks);
    eddy_memory_fail_at(1, false);
    CHECK_PTR_EQ(eddyi_shelf_get(100, &slab), NULL);
    CHECK_EQ(eddy_memory_fail_at(0, false), 1);
    CHECK_EQ(eddy_memory_blocks(), blocks);
}

LOOP_TEST(places_of_all_sizes_are_aligned_and_apart) {
    enum { COUNT = 2000 };
    static struct thing things[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        get(&things[i], 1 + test_random_below(EDDYI_SHELF_PLACE_MAX + 10));
        CHECK_EQ((uintptr_t)things[i].memory % _Alignof(max_align_t), 0);
        CHECK_EQ(things[i].slab == NULL, things[i].size > EDDYI_SHELF_PLACE_MAX);
        memset(things[i].memory, (int)(i % 251), things[i].size);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t at = 0; at < things[i].size; at++) {
            CHECK_EQ((unsigned char)things[i].memory[at], i % 251);
        }
        put(&things[i]);
    }
}

TEST(without_a_loop_it_is_a_block_as_any_other) {
    struct thing thing;
    get(&thing, 100);
    CHECK_PTR_EQ(thing.slab, NULL);
    CHECK_EQ(eddy_memory_blocks(), 1);
    put(&thing);
}

/* --- other threads ---------------------------------------------------------------------------- */

static void *put_both(void *arg) {
    struct thing *things = arg;
    put(&things[0]);
    put(&things[1]);
    return NULL;
}

LOOP_TEST(what_another_thread_gives_back_is_used_when_there_is_nothing_else) {
    enum { COUNT = 200 };
    static struct thing things[COUNT];
    int64_t blocks = eddy_memory_blocks();
    pthread_t thread;
    size_t count = 0;
    /* Until a slab is full: what comes next would need another one. */
    do {
        get(&things[count], 400);
    } while (things[count++].slab == things[0].slab);
    put(&things[--count]);
    CHECK(count > 3);
    CHECK_EQ(pthread_create(&thread, NULL, put_both, things), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(eddy_memory_blocks(), blocks + (int64_t)count - 2);
    struct thing more[200];
    size_t more_count = 0;
    bool found = false;
    while (!found) {
        get(&more[more_count], 400);
        found = more[more_count].memory == things[0].memory ||
                more[more_count].memory == things[1].memory;
        more_count++;
        CHECK(more_count < 200);
    }
    for (size_t i = 2; i < count; i++) {
        put(&things[i]);
    }
    for (size_t i = 0; i < more_count; i++) {
        put(&more[i]);
    }
}

static struct thing outliving[3];

static int64_t get_three(void *arg) {
    (void)arg;
    get(&outliving[0], 200);
    get(&outliving[1], 200);
    get(&outliving[2], 300);
    return 0;
}

TEST(a_place_may_outlive_its_loop) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_OK(eddy_loop_call(loop, get_three, NULL));
    put(&outliving[0]); /* on the loop's thread, but not from inside it */
    eddy_loop_free(loop);
    memset(outliving[1].memory, 1, outliving[1].size);
    memset(outliving[2].memory, 2, outliving[2].size);
    CHECK_EQ(eddy_memory_blocks(), 2);
    put(&outliving[1]);
    CHECK_EQ(eddy_memory_blocks(), 1);
    put(&outliving[2]);
    CHECK_EQ(eddy_memory_blocks(), 0);
}

/* --- how much is kept ------------------------------------------------------------------------- */

static int64_t blocks_out;

static void *count_alloc(size_t size, void *ctx) {
    (void)ctx;
    blocks_out++;
    return malloc(size);
}

static void *just_resize(void *old, size_t size, void *ctx) {
    (void)ctx;
    return realloc(old, size);
}

static void count_free(void *old, void *ctx) {
    (void)ctx;
    blocks_out--;
    free(old);
}

/* Of slabs: more than is given back before a sleep. */
enum { BURST = 6 * EDDYI_SHELF_KEPT, BURST_PLACES = BURST * (8 * 1024 / 256) };

static void burst(void) {
    static struct thing things[BURST_PLACES];
    for (size_t i = 0; i < BURST_PLACES; i++) {
        get(&things[i], 256);
    }
    for (size_t i = 0; i < BURST_PLACES; i++) {
        put(&things[i]);
    }
}

/* In a simulation, whose blocks are counted. */
static void run_counted(eddy_task_fn fn) {
    eddy_memory counting = {count_alloc, just_resize, count_free, NULL};
    eddy_loop_opts opts = {.driver = "sim"};
    eddy_loop *loop;
    CHECK_OK(eddy_memory_set(&counting));
    CHECK_OK(eddy_loop_new(&opts, &loop));
    CHECK_OK(eddy_loop_call(loop, fn, NULL));
    eddy_loop_free(loop);
    CHECK_EQ(blocks_out, 0);
}

static int64_t burst_and_sleep(void *arg) {
    (void)arg;
    int64_t before = blocks_out;
    CHECK_OK(eddy_sleep(2 * EDDY_S)); /* so that the first look is due, wherever the clock began */
    burst();
    int64_t after = blocks_out;
    CHECK(after - before >= BURST && after - before < BURST * 11 / 10);
    burst(); /* from what is there */
    CHECK_EQ(blocks_out, after);
    CHECK_OK(eddy_sleep(1));
    CHECK(blocks_out < after && blocks_out > before + 2 * EDDYI_SHELF_KEPT);
    CHECK_OK(eddy_sleep(1));
    CHECK_EQ(blocks_out, before + EDDYI_SHELF_KEPT + 2); /* one is open, and the shelf itself */
    burst();
    CHECK_EQ(blocks_out, after);
    CHECK_OK(eddy_sleep(1));
    CHECK_EQ(blocks_out, after); /* it was looked at a moment ago */
    CHECK_OK(eddy_sleep(EDDY_S));
    CHECK_OK(eddy_sleep(1));
    CHECK_OK(eddy_sleep(1));
    CHECK_EQ(blocks_out, before + EDDYI_SHELF_KEPT + 2);
    return 0;
}

TEST(what_a_burst_has_needed_goes_back_little_by_little_when_the_loop_sleeps) {
    run_counted(burst_and_sleep);
}

static int64_t change_sizes(void *arg) {
    (void)arg;
    enum { COUNT = 200 };
    struct thing things[COUNT];
    int64_t most = 0;
    for (size_t size = 32; size <= EDDYI_SHELF_PLACE_MAX; size += 32) {
        for (size_t i = 0; i < COUNT; i++) {
            get(&things[i], size);
            memset(things[i].memory, (int)i, size);
        }
        most = blocks_out > most ? blocks_out : most;
        for (size_t i = 0; i < COUNT; i++) {
            CHECK_EQ((unsigned char)things[i].memory[size - 1], i);
            put(&things[i]);
        }
    }
    /* The largest need all that there is, and one of each other size stays open. */
    return most <= COUNT * 512 / 7500 + 2 * 16 ? 0 : -ENOSPC;
}

TEST(a_free_slab_is_cut_anew_for_another_size) {
    run_counted(change_sizes);
}
