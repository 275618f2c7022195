/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/task/fiber_impl.h>
#include <eddy/runtime/task/stack_impl.h>

#include "runtime/base/death.h"
#include "test.h"

static struct eddyi_stack *get(struct eddyi_stack_pool *pool) {
    struct eddyi_stack *stack = NULL;
    CHECK_OK(eddyi_stack_get(pool, &stack));
    return stack;
}

static struct eddyi_stack **get_many(struct eddyi_stack_pool *pool, int count) {
    struct eddyi_stack **stacks = calloc((size_t)count, sizeof *stacks);
    CHECK(stacks != NULL);
    for (int i = 0; i < count; i++) {
        stacks[i] = get(pool);
    }
    return stacks;
}

static void put_many(struct eddyi_stack_pool *pool, struct eddyi_stack **stacks, int count) {
    for (int i = 0; i < count; i++) {
        eddyi_stack_put(pool, stacks[i]);
    }
    free(stacks);
}

/* A number of /proc/self/status: "RssAnon:" in KiB. */
static int64_t status_of(const char *name) {
    char line[256];
    int64_t value = -1;
    FILE *file = fopen("/proc/self/status", "re");
    CHECK(file != NULL);
    while (value < 0 && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            value = strtoll(line + strlen(name), NULL, 10);
        }
    }
    fclose(file);
    CHECK(value >= 0);
    return value;
}

static int count_mappings(void) {
    char line[1024];
    int count = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        count += strchr(line, '\n') != NULL;
    }
    fclose(file);
    return count;
}

/* --- shape ------------------------------------------------------------------------------------ */

TEST(sizes_are_rounded_to_pages_and_zero_is_the_default) {
    static const struct {
        size_t asked, got;
    } cases[] = {{0, 262144}, {1, 16384}, {16384, 16384}, {16385, 20480}, {1000000, 1003520}};
    size_t page = (size_t)getpagesize();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct eddyi_stack_pool pool;
        eddyi_stack_pool_init(&pool, cases[i].asked);
        struct eddyi_stack *stack = get(&pool);
        size_t wanted = (cases[i].got + page - 1) / page * page;
        CHECK_EQ((char *)(stack + 1) - stack->low, wanted);
        CHECK_EQ(stack->size, wanted - sizeof *stack);
        CHECK_EQ((uintptr_t)stack->low % page, 0);
        eddyi_stack_put(&pool, stack);
        eddyi_stack_pool_done(&pool);
    }
}

TEST(a_stack_that_is_too_large_gives_enomem) {
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 8, (size_t)1 << 52};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct eddyi_stack_pool pool;
        struct eddyi_stack *stack = NULL;
        eddyi_stack_pool_init(&pool, sizes[i]);
        CHECK_ERR(eddyi_stack_get(&pool, &stack), -ENOMEM);
        CHECK_PTR_EQ(stack, NULL);
        CHECK_EQ(pool.in_use + pool.mapped, 0);
        eddyi_stack_pool_done(&pool);
    }
}

TEST(where_a_slab_does_not_fit_a_smaller_one_is_taken) {
    enum { BYTES = 16 * 1024 * 1024 };
    struct eddyi_stack_pool pool;
    struct eddyi_stack *stacks[8];
    struct rlimit before;
    int count = 0;
    int r = 0;
    /* Address space for three more. Not every emulator obeys. */
    CHECK_EQ(getrlimit(RLIMIT_AS, &before), 0);
    rlim_t limit = (rlim_t)status_of("VmSize:") * 1024 + 3 * (rlim_t)BYTES + BYTES / 2;
    CHECK_EQ(setrlimit(RLIMIT_AS, &(struct rlimit){limit, before.rlim_max}), 0);
    void *eight = mmap(NULL, (size_t)8 * BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (eight != MAP_FAILED) {
        munmap(eight, (size_t)8 * BYTES);
    }
    eddyi_stack_pool_init(&pool, BYTES);
    while (count < 8 && (r = eddyi_stack_get(&pool, &stacks[count])) == 0) {
        count++;
    }
    if (eight == MAP_FAILED) {
        CHECK_ERR(r, -ENOMEM);
        CHECK_EQ(count, 3); /* a slab of two, and one of one */
    }
    CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
    while (count > 0) {
        eddyi_stack_put(&pool, stacks[--count]);
    }
    eddyi_stack_pool_done(&pool);
}

TEST(stacks_are_apart_and_all_of_each_can_be_used) {
    enum { COUNT = 150 };
    struct eddyi_stack_pool pool;
    eddyi_stack_pool_init(&pool, 32 * 1024);
    struct eddyi_stack **stacks = get_many(&pool, COUNT);
    for (int i = 0; i < COUNT; i++) {
        memset(stacks[i]->low, i, stacks[i]->size);
    }
    for (int i = 0; i < COUNT; i++) {
        char *low = stacks[i]->low;
        CHECK_EQ(low[0], (char)i);
        CHECK_EQ(memcmp(low, low + 1, stacks[i]->size - 1), 0);
    }
    put_many(&pool, stacks, COUNT);
    eddyi_stack_pool_done(&pool);
}

TEST(the_stack_that_was_put_last_is_taken_first) {
    struct eddyi_stack_pool pool;
    eddyi_stack_pool_init(&pool, 0);
    struct eddyi_stack *a = get(&pool);
    struct eddyi_stack *b = get(&pool);
    struct eddyi_stack *c = get(&pool);
    eddyi_stack_put(&pool, a);
    eddyi_stack_put(&pool, c);
    eddyi_stack_put(&pool, b);
    CHECK_PTR_EQ(get(&pool), b);
    CHECK_PTR_EQ(get(&pool), c);
    CHECK_PTR_EQ(get(&pool), a);
    eddyi_stack_put(&pool, a);
    eddyi_stack_put(&pool, b);
    eddyi_stack_put(&pool, c);
    eddyi_stack_pool_done(&pool);
}

TEST(a_pool_counts_its_stacks) {
    struct eddyi_stack_pool pool;
    eddyi_stack_pool_init(&pool, 0);
    CHECK_EQ(pool.in_use + pool.in_use_max + pool.free_count + pool.mapped, 0);
    put_many(&pool, get_many(&pool, 20), 20);
    put_many(&pool, get_many(&pool, 10), 10);
    struct eddyi_stack *stack = get(&pool);
    CHECK_EQ(pool.in_use, 1);
    CHECK_EQ(pool.in_use_max, 20);
    CHECK_EQ(pool.free_count, 19);
    CHECK_EQ(pool.mapped, 8 + 16);
    eddyi_stack_put(&pool, stack);
    eddyi_stack_pool_done(&pool);
    CHECK_EQ(pool.mapped, 0);
}

static void end_while_in_use(void) {
    struct eddyi_stack_pool pool;
    eddyi_stack_pool_init(&pool, 0);
    get(&pool);
    eddyi_stack_pool_done(&pool);
}

TEST(a_pool_does_not_end_while_a_stack_is_in_use) {
    struct death death = death_of(end_while_in_use);
    CHECK_EQ(death.signal, SIGABRT);
    CHECK(strstr(death.text, "a stack was not put back") != NULL);
}

/* --- guards ----------------------------------------------------------------------------------- */

/* Whether the kernel has guard regions, found out in another way than the pool does. */
static bool kernel_has_regions(void) {
    int ends[2];
    size_t page = (size_t)getpagesize();
    char *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK_EQ(pipe(ends), 0);
    bool has = madvise(memory, page, 102) == 0 && write(ends[1], memory, 1) < 0 && errno == EFAULT;
    close(ends[0]);
    close(ends[1]);
    munmap(memory, page);
    return has;
}

static uint8_t poked_guard;
static ptrdiff_t poked_at;

static void poke(void) {
    struct eddyi_stack_pool pool;
    eddyi_stack_pool_init(&pool, 64 * 1024);
    pool.guard = poked_guard;
    get(&pool);
    struct eddyi_stack *stack = get(&pool); /* its neighbour below is there, too */
    stack->low[0] = 1;
    ((volatile char *)stack->low)[poked_at] = 1;
    fputs("lived on\n", stderr);
}

/* A sanitizer reports the signal and ends the process in its own way. */
static void check_fault(uint8_t guard, ptrdiff_t at) {
    poked_guard = guard;
    poked_at = at;
    struct death death = death_of(poke);
    CHECK(death.signal == SIGSEGV || strstr(death.text, "SEGV") != NULL);
    CHECK(strstr(death.text, "lived on") == NULL);
}

TEST(a_touch_of_the_guard_faults) {
    ptrdiff_t guard_size = (ptrdiff_t)EDDYI_STACK_GUARD_SIZE;
    check_fault(EDDYI_STACK_GUARD_REGION, -1);
    check_fault(EDDYI_STACK_GUARD_REGION, -guard_size / 2);
    check_fault(EDDYI_STACK_GUARD_REGION, -guard_size);
    check_fault(EDDYI_STACK_GUARD_PAGES, -1);
    check_fault(EDDYI_STACK_GUARD_PAGES, -guard_size);
}

TEST(guards_are_regions_where_the_kernel_has_them_else_pages) {
    struct eddyi_stack_pool pool;
    eddyi_stack_pool_init(&pool, 0);
    struct eddyi_stack *stack = get(&pool);
    CHECK_EQ(stack->guard,
             kernel_has_regions() ? EDDYI_STACK_GUARD_REGION : EDDYI_STACK_GUARD_PAGES);
    CHECK_EQ(pool.guard, stack->guard);
    eddyi_stack_put(&pool, stack);
    eddyi_stack_pool_done(&pool);
}

TEST(an_address_is_in_the_guard_just_below_the_stack) {
    struct eddyi_stack_pool pool;
    eddyi_stack_pool_init(&pool, 0);
    put_many(&pool, get_many(&pool, 3), 3);
    for (int kind = EDDYI_STACK_GUARD_REGION; kind <= EDDYI_STACK_GUARD_CANARY; kind++) {
        pool.guard = (uint8_t)kind;
        struct eddyi_stack *stack = get(&pool);
        uintptr_t low = (uintptr_t)stack->low;
        CHECK(eddyi_stack_in_guard(stack, (void *)(low - 1)));
        CHECK(eddyi_stack_in_guard(stack, (void *)(low - pool.guard_size)));
        CHECK(!eddyi_stack_in_guard(stack, (void *)(low - pool.guard_size - 1)));
        CHECK(!eddyi_stack_in_guard(stack, (void *)low));
        CHECK(!eddyi_stack_in_guard(stack, stack));
        CHECK(!eddyi_stack_in_guard(stack, NULL));
        CHECK(!eddyi_stack_in_guard(stack, (void *)UINTPTR_MAX));
        eddyi_stack_put(&pool, stack);
    }
    eddyi_stack_pool_done(&pool);
}

TEST(a_fault_is_blamed_by_its_address_and_the_stack_pointer) {
    struct eddyi_stack_pool pool;
    eddyi_stack_pool_init(&pool, 0);
    struct eddyi_stack *lower = get(&pool);
    struct eddyi_stack *stack = get(&pool);
    struct eddyi_stack *upper = get(&pool);
    uintptr_t low = (uintptr_t)stack->low;
    const uintptr_t far = 1024 * 1024;
    const struct {
        uintptr_t fault, sp;
        enum eddyi_stack_fault blame;
    } cases[] = {
        {low - 1, low + 100, EDDYI_STACK_FAULT_OVERFLOW},
        {low - 1, 0, EDDYI_STACK_FAULT_OVERFLOW},
        {low - pool.guard_size, low - pool.guard_size, EDDYI_STACK_FAULT_OVERFLOW},
        /* A frame that ends far below: touched at its end, in the middle, by a call. */
        {low - 9 * far, low - 9 * far, EDDYI_STACK_FAULT_OVERFLOW},
        {low - 8 * far, low - 9 * far, EDDYI_STACK_FAULT_OVERFLOW},
        {low - 9 * far - 8, low - 9 * far, EDDYI_STACK_FAULT_OVERFLOW},
        /* Something else in such a frame, and a stack that is none of ours. */
        {8, low - 9 * far, EDDYI_STACK_FAULT_NONE},
        {low + 2 * far * far, low - 9 * far, EDDYI_STACK_FAULT_NONE},
        {low - 999 * far, low - 999 * far, EDDYI_STACK_FAULT_NONE},
        {8, low + 100, EDDYI_STACK_FAULT_NONE},
        {8, 0, EDDYI_STACK_FAULT_NONE},
        /* The guards of others, and what lies between. */
        {(uintptr_t)upper->low - 1, low + 100, EDDYI_STACK_FAULT_STRAY},
        {(uintptr_t)upper->low - pool.guard_size, low + 100, EDDYI_STACK_FAULT_STRAY},
        {(uintptr_t)upper->low - pool.guard_size - 1, low + 100, EDDYI_STACK_FAULT_NONE},
        {(uintptr_t)upper->low, low + 100, EDDYI_STACK_FAULT_NONE},
        {(uintptr_t)lower->low - 1, low + 100, EDDYI_STACK_FAULT_STRAY},
        {(uintptr_t)lower->low - 1, low - far, EDDYI_STACK_FAULT_OVERFLOW},
        {(uintptr_t)lower->low - pool.guard_size - 1, low + 100, EDDYI_STACK_FAULT_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_EQ(eddyi_stack_blame(stack, (void *)cases[i].fault, (void *)cases[i].sp),
                 cases[i].blame);
    }
    CHECK(eddyi_stack_check(stack)); /* this is no task's stack, and nobody's business */
    eddyi_stack_put(&pool, upper);
    eddyi_stack_put(&pool, stack);
    eddyi_stack_put(&pool, lower);
    eddyi_stack_pool_done(&pool);
}

/* The kinds that `count` stacks have. */
static void count_kinds(struct eddyi_stack **stacks, int count, int ret_kinds[3]) {
    memset(ret_kinds, 0, 3 * sizeof ret_kinds[0]);
    for (int i = 0; i < count; i++) {
        ret_kinds[stacks[i]->guard]++;
    }
}

TEST(pages_are_a_quarter_of_max_map_count_and_canaries_from_there_on) {
    struct eddyi_stack_pool pool;
    int kinds[3];
    eddyi_stack_pages_max = 10;
    for (int round = 0; round < 3; round++) { /* the end of a pool gives its share back */
        eddyi_stack_pool_init(&pool, 0);
        pool.guard = EDDYI_STACK_GUARD_PAGES;
        struct eddyi_stack **stacks = get_many(&pool, 30);
        count_kinds(stacks, 30, kinds);
        CHECK_EQ(kinds[EDDYI_STACK_GUARD_PAGES], 10);
        CHECK_EQ(kinds[EDDYI_STACK_GUARD_CANARY], 20);
        put_many(&pool, stacks, 30);
        /* Nor are the guards of stacks that come back counted twice. */
        stacks = get_many(&pool, 30);
        count_kinds(stacks, 30, kinds);
        CHECK_EQ(kinds[EDDYI_STACK_GUARD_PAGES], 10);
        put_many(&pool, stacks, 30);
        if (round == 1) { /* and so does a trim, where it unmaps a slab; elsewhere guards stay */
            struct eddyi_stack *held = get(&pool);
            CHECK(!eddyi_stack_pool_trim(&pool, 0));
            CHECK(pool.mapped > 1 && pool.mapped < 30);
            stacks = get_many(&pool, 29);
            count_kinds(stacks, 29, kinds);
            CHECK_EQ(kinds[EDDYI_STACK_GUARD_PAGES] + (held->guard == EDDYI_STACK_GUARD_PAGES), 10);
            put_many(&pool, stacks, 29);
            eddyi_stack_put(&pool, held);
        }
        eddyi_stack_pool_done(&pool);
    }
}

TEST(the_limit_of_pages_is_read_from_the_kernel) {
    char text[32] = "";
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    struct eddyi_stack_pool pool;
    eddyi_stack_pool_init(&pool, 0);
    pool.guard = EDDYI_STACK_GUARD_PAGES;
    eddyi_stack_pages_max = 0;
    struct eddyi_stack *stack = get(&pool);
    CHECK(file != NULL && fgets(text, sizeof text, file) != NULL);
    fclose(file);
    CHECK_EQ(eddyi_stack_pages_max, strtoll(text, NULL, 10) / 4);
    eddyi_stack_put(&pool, stack);
    eddyi_stack_pool_done(&pool);
}

TEST(a_canary_tells_when_the_end_was_passed) {
    struct eddyi_stack_pool pool;
    eddyi_stack_pool_init(&pool, 0);
    pool.guard = EDDYI_STACK_GUARD_CANARY;
    for (ptrdiff_t at = 1; at <= EDDYI_STACK_CANARY_SIZE; at++) {
        struct eddyi_stack *stack = get(&pool);
        memset(stack->low, 0xff, stack->size);
        CHECK(eddyi_stack_check(stack));
        stack->low[-at] = 1;
        CHECK(!eddyi_stack_check(stack));
        stack->low[-at] = 0;
        eddyi_stack_put(&pool, stack);
    }
    eddyi_stack_pool_done(&pool);
}

TEST(looking_at_a_canary_commits_no_memory) {
    enum { COUNT = 2000 };
    struct eddyi_stack_pool pool;
    eddyi_stack_pool_init(&pool, 0);
    pool.guard = EDDYI_STACK_GUARD_CANARY;
    struct eddyi_stack **stacks = get_many(&pool, COUNT);
    int64_t before = status_of("RssAnon:");
    for (int i = 0; i < COUNT; i++) {
        CHECK(eddyi_stack_check(stacks[i]));
    }
    if (!test_is_slow()) { /* a tool's own memory would be counted with it */
        CHECK(status_of("RssAnon:") - before < COUNT / 4);
    }
    put_many(&pool, stacks, COUNT);
    eddyi_stack_pool_done(&pool);
}

/* --- memory ----------------------------------------------------------------------------------- */

TEST(a_hundred_thousand_stacks_are_few_mappings_and_a_page_each) {
    struct eddyi_stack_pool pool;
    int count = test_is_slow() ? 2000 : 100000;
    /* KERNEL(6.13): before, each guard cuts a mapping in two, as far as that is allowed. */
    int64_t most = 100;
    if (!kernel_has_regions()) {
        eddyi_stack_pages_max = 1000;
        most += 2 * 1000;
    }
    eddyi_stack_pool_init(&pool, 0);
    int mappings = count_mappings();
    int64_t before = status_of("RssAnon:");
    struct eddyi_stack **stacks = get_many(&pool, count);
    CHECK(count_mappings() - mappings < most);
    if (!test_is_slow()) {
        CHECK(status_of("RssAnon:") - before < (int64_t)count * getpagesize() / 1024 * 11 / 10);
    }
    put_many(&pool, stacks, count);
    eddyi_stack_pool_done(&pool);
    if (!test_is_slow()) { /* it keeps books, and those are mappings, too */
        CHECK(count_mappings() - mappings < 10);
    }
}

TEST(trimming_gives_the_memory_of_free_stacks_back) {
    enum { COUNT = 300, KEPT = 20, TOUCHED = 64 * 1024 };
    struct eddyi_stack_pool pool;
    eddyi_stack_pool_init(&pool, 0);
    int64_t before = status_of("RssAnon:");
    struct eddyi_stack **stacks = get_many(&pool, COUNT);
    for (int i = 0; i < COUNT; i++) {
        memset((char *)stacks[i] - TOUCHED, 0x5a, TOUCHED);
    }
    put_many(&pool, stacks, COUNT);
    CHECK(!eddyi_stack_pool_trim(&pool, KEPT));
    CHECK_EQ(pool.free_count, KEPT);
    if (!test_is_slow()) {
        CHECK(status_of("RssAnon:") - before < 2 * KEPT * TOUCHED / 1024);
    }
    CHECK(!eddyi_stack_pool_trim(&pool, 0));
    CHECK_EQ(pool.free_count, 0);
    CHECK_EQ(pool.mapped, 0);
    put_many(&pool, get_many(&pool, COUNT), COUNT);
    eddyi_stack_pool_done(&pool);
}

TEST(trimming_keeps_those_that_were_used_last) {
    struct eddyi_stack_pool pool;
    struct eddyi_stack *kept[5];
    eddyi_stack_pool_init(&pool, 0);
    struct eddyi_stack **stacks = get_many(&pool, 20);
    memcpy(kept, stacks + 15, sizeof kept);
    put_many(&pool, stacks, 20);
    eddyi_stack_pool_trim(&pool, 5);
    for (int i = 4; i >= 0; i--) {
        CHECK_PTR_EQ(get(&pool), kept[i]);
    }
    for (int i = 0; i < 5; i++) {
        eddyi_stack_put(&pool, kept[i]);
    }
    eddyi_stack_pool_done(&pool);
}

TEST(trimming_stops_after_a_while_and_says_so) {
    struct eddyi_stack_pool pool;
    enum { COUNT = 3000 };
    int trims = 1;
    eddyi_stack_pool_init(&pool, EDDYI_STACK_SIZE_MIN);
    put_many(&pool, get_many(&pool, COUNT), COUNT);
    uint64_t left = pool.free_count;
    for (; eddyi_stack_pool_trim(&pool, 0); trims++) {
        CHECK(pool.free_count < left && pool.free_count > 0);
        left = pool.free_count;
    }
    CHECK_EQ(trims, 3);
    CHECK_EQ(pool.mapped, 0);
    eddyi_stack_pool_done(&pool);
}

/* What is in use keeps what is in it, whatever happens around it. */
struct model {
    struct eddyi_stack *stack;
    unsigned char mark;
};

static unsigned char *spot(struct eddyi_stack *stack, int part) {
    return (unsigned char *)stack->low + (stack->size - 1) * (size_t)part / 3;
}

TEST(taking_putting_and_trimming_in_any_order_disturbs_no_stack_in_use) {
    enum { MOST = 400 };
    static struct model models[MOST];
    struct eddyi_stack_pool pool;
    int count = 0;
    int steps = test_is_slow() ? 2000 : 50000;
    eddyi_stack_pool_init(&pool, EDDYI_STACK_SIZE_MIN);
    for (int step = 0; step < steps; step++) {
        /* Waves: mostly up for a while, then mostly down. */
        bool up = test_random_below(100) < ((step / 1000) % 2 == 0 ? 70 : 30);
        if (up && count < MOST) {
            struct model *model = &models[count++];
            *model = (struct model){get(&pool), (unsigned char)test_random()};
            CHECK_EQ(model->stack->guard == EDDYI_STACK_GUARD_CANARY, 0);
            for (int part = 0; part <= 3; part++) {
                *spot(model->stack, part) = model->mark;
            }
        } else if (!up && count > 0) {
            struct model *model = &models[test_random_below((uint64_t)count)];
            for (int part = 0; part <= 3; part++) {
                CHECK_EQ(*spot(model->stack, part), model->mark);
            }
            eddyi_stack_put(&pool, model->stack);
            *model = models[--count];
        }
        if (test_random_below(50) == 0) {
            eddyi_stack_pool_trim(&pool, test_random_below(100));
        }
        CHECK_EQ(pool.in_use, count);
        CHECK(pool.mapped >= pool.in_use + pool.free_count);
    }
    while (count > 0) {
        eddyi_stack_put(&pool, models[--count].stack);
    }
    eddyi_stack_pool_done(&pool);
}

static int64_t use_three_slabs(void *arg) {
    struct eddyi_stack_pool pool;
    struct eddyi_stack *stacks[30];
    int count = 0;
    int r = 0;
    (void)arg;
    eddyi_stack_pool_init(&pool, 0);
    while (count < 30 && (r = eddyi_stack_get(&pool, &stacks[count])) == 0) {
        count++;
    }
    CHECK_EQ(pool.in_use, count);
    for (int i = 0; i < count; i++) {
        eddyi_stack_put(&pool, stacks[i]);
    }
    eddyi_stack_pool_done(&pool);
    return r;
}

TEST(no_memory_for_a_slab_gives_enomem) {
    /* Three slabs, each with a mapping and a record of it; and the run that finds no more. */
    CHECK_EQ(test_each_allocation_fails(use_three_slabs, NULL), 2 * (6 + 1));
}

TEST(after_a_failure_the_pool_goes_on) {
    struct eddyi_stack_pool pool;
    struct eddyi_stack *stack = NULL;
    eddyi_stack_pool_init(&pool, 0);
    struct eddyi_stack **stacks = get_many(&pool, 8);
    eddy_memory_fail_at(1, false);
    CHECK_ERR(eddyi_stack_get(&pool, &stack), -ENOMEM);
    CHECK_PTR_EQ(stack, NULL);
    CHECK_EQ(pool.in_use, 8);
    stack = get(&pool);
    eddyi_stack_put(&pool, stack);
    put_many(&pool, stacks, 8);
    eddyi_stack_pool_done(&pool);
}

/* --- with fibers ------------------------------------------------------------------------------ */

static struct eddyi_fiber here;
static struct eddyi_fiber fiber;

_Noreturn static void leave_for_ever(void) {
    eddyi_fiber_switch_last(&fiber, &here);
}

/* Through a pointer, so that the compiler keeps the frames above. */
static void (*volatile leave_now)(void) = leave_for_ever;

/* Leaves for ever with frames on the stack, whose surroundings AddressSanitizer has marked. */
__attribute__((noinline)) static void leave_from(int levels) {
    volatile char block[300];
    memset((char *)(uintptr_t)block, levels, sizeof block);
    if (levels > 0) {
        leave_from(levels - 1);
    } else {
        leave_now();
    }
    block[0] = 0;
}

static void leave_early(void *arg) {
    leave_from((int)(intptr_t)arg);
}

TEST(a_stack_that_was_left_with_frames_on_it_is_as_good_as_new) {
    struct eddyi_stack_pool pool;
    eddyi_stack_pool_init(&pool, 0);
    eddyi_fiber_init_thread(&here);
    for (int levels = 0; levels < 100; levels++) {
        struct eddyi_stack *stack = get(&pool);
        memset(stack->low, 0x77, stack->size);
        eddyi_fiber_init(&fiber, stack->low, stack->size, leave_early, (void *)(intptr_t)levels);
        eddyi_fiber_switch(&here, &fiber);
        eddyi_fiber_done(&fiber);
        eddyi_stack_put(&pool, stack);
    }
    CHECK_EQ(pool.in_use_max, 1);
    eddyi_stack_pool_done(&pool);
}

/* --- threads ---------------------------------------------------------------------------------- */

static void *use_pool(void *arg) {
    struct eddyi_stack_pool pool;
    (void)arg;
    for (int i = 0; i < 10; i++) {
        eddyi_stack_pool_init(&pool, EDDYI_STACK_SIZE_MIN);
        pool.guard = EDDYI_STACK_GUARD_PAGES;
        put_many(&pool, get_many(&pool, 40), 40);
        eddyi_stack_pool_done(&pool);
    }
    return NULL;
}

TEST(pools_of_several_threads_share_the_limit_of_pages) {
    pthread_t threads[4];
    struct eddyi_stack_pool pool;
    int kinds[3];
    eddyi_stack_pages_max = 50;
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, use_pool, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    /* Nothing was lost on the way. */
    eddyi_stack_pool_init(&pool, 0);
    pool.guard = EDDYI_STACK_GUARD_PAGES;
    struct eddyi_stack **stacks = get_many(&pool, 60);
    count_kinds(stacks, 60, kinds);
    CHECK_EQ(kinds[EDDYI_STACK_GUARD_PAGES], 50);
    put_many(&pool, stacks, 60);
    eddyi_stack_pool_done(&pool);
}
