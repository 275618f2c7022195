/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unwind.h>

#include <eddy/runtime/task/fiber_impl.h>

#include "test.h"

#define STACK_BYTES ((size_t)256 * 1024)

/* A fiber, its stack, and the fiber to go back to. */
struct actor {
    struct eddyi_fiber fiber;
    struct eddyi_fiber *back;
    char *stack;
    size_t stack_bytes;
    void (*act)(struct actor *actor);
    int64_t count;
    bool ended;
};

static void leave(struct actor *actor) {
    eddyi_fiber_switch(&actor->fiber, actor->back);
}

static void enter(struct actor *actor) {
    eddyi_fiber_switch(actor->back, &actor->fiber);
}

static void entry(void *arg) {
    struct actor *actor = arg;
    actor->act(actor);
    actor->ended = true;
    eddyi_fiber_switch_last(&actor->fiber, actor->back);
}

static void actor_init(struct actor *actor, struct eddyi_fiber *back, size_t stack_bytes,
                       void (*act)(struct actor *actor)) {
    *actor = (struct actor){.back = back, .stack_bytes = stack_bytes, .act = act};
    actor->stack =
        mmap(NULL, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(actor->stack != MAP_FAILED);
    eddyi_fiber_init(&actor->fiber, actor->stack, stack_bytes, entry, actor);
}

static void actor_done(struct actor *actor) {
    eddyi_fiber_done(&actor->fiber);
    munmap(actor->stack, actor->stack_bytes);
}

/* Runs one actor to its end and gives how often it came back before that. */
static int64_t play(void (*act)(struct actor *actor)) {
    struct eddyi_fiber here;
    struct actor actor;
    int64_t returns = 0;
    eddyi_fiber_init_thread(&here);
    actor_init(&actor, &here, STACK_BYTES, act);
    for (enter(&actor); !actor.ended; enter(&actor)) {
        returns++;
    }
    actor_done(&actor);
    eddyi_fiber_done(&here);
    return returns;
}

/* --- control ---------------------------------------------------------------------------------- */

static int64_t switches(void) {
    return test_is_slow() ? 20000 : 1000000;
}

static void come_back_often(struct actor *actor) {
    for (int64_t n = switches(); actor->count < n; actor->count++) {
        leave(actor);
    }
}

TEST(a_million_switches_go_to_and_fro) {
    CHECK_EQ(play(come_back_often), switches());
}

static void do_nothing(struct actor *actor) {
    actor->count = 1;
}

TEST(a_fiber_runs_only_when_switched_to_and_gets_its_argument) {
    struct eddyi_fiber here;
    struct actor actor;
    eddyi_fiber_init_thread(&here);
    actor_init(&actor, &here, STACK_BYTES, do_nothing);
    CHECK_EQ(actor.count, 0);
    enter(&actor);
    CHECK_EQ(actor.count, 1);
    CHECK(actor.ended);
    actor_done(&actor);
}

TEST(a_fiber_that_never_began_can_be_let_go) {
    struct eddyi_fiber here;
    struct actor actor;
    eddyi_fiber_init_thread(&here);
    actor_init(&actor, &here, STACK_BYTES, do_nothing);
    actor_done(&actor);
    CHECK_EQ(actor.count, 0);
}

/* ThreadSanitizer knows only some 8,000 at a time. */
TEST(fibers_that_have_not_begun_may_be_many) {
    enum { COUNT = 9000, BYTES = 8192 };
    static struct actor actors[COUNT];
    struct eddyi_fiber here;
    struct actor all; /* whose stack the others share out */
    eddyi_fiber_init_thread(&here);
    actor_init(&all, &here, (size_t)COUNT * BYTES, do_nothing);
    for (int i = 0; i < COUNT; i++) {
        actors[i] = (struct actor){.back = &here, .act = do_nothing};
        eddyi_fiber_init(&actors[i].fiber, all.stack + (size_t)i * BYTES, BYTES, entry, &actors[i]);
    }
    /* gcc's needs milliseconds for each that begins: every ninth will do. */
    for (int i = 0; i < COUNT; i++) {
        if (i % 9 == 0) {
            enter(&actors[i]);
        }
        CHECK_EQ(actors[i].ended, i % 9 == 0);
        eddyi_fiber_done(&actors[i].fiber);
    }
    actor_done(&all);
}

TEST(a_stack_serves_one_fiber_after_another) {
    struct eddyi_fiber here;
    struct actor actor;
    eddyi_fiber_init_thread(&here);
    actor_init(&actor, &here, STACK_BYTES, do_nothing);
    for (int i = 0; i < 100; i++) {
        enter(&actor);
        CHECK(actor.ended);
        eddyi_fiber_done(&actor.fiber);
        actor.ended = false;
        /* Each time a little less of it, as with arguments of several sizes on top. */
        eddyi_fiber_init(&actor.fiber, actor.stack, STACK_BYTES - (size_t)i, entry, &actor);
    }
    actor_done(&actor);
}

/* Hands on to the next in the ring, not back. */
static struct actor ring[8];

static void hand_on(struct actor *actor) {
    struct actor *next = actor == &ring[7] ? &ring[0] : actor + 1;
    while (++actor->count < 1000) {
        eddyi_fiber_switch(&actor->fiber, &next->fiber);
    }
}

TEST(fibers_switch_to_each_other_directly) {
    struct eddyi_fiber here;
    eddyi_fiber_init_thread(&here);
    for (int i = 0; i < 8; i++) {
        actor_init(&ring[i], &here, STACK_BYTES, hand_on);
    }
    for (int i = 0; i < 8; i++) {
        enter(&ring[i]); /* at first the whole ring runs, then each in turn finds its end */
        CHECK(ring[i].ended);
    }
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(ring[i].count, 1000);
        actor_done(&ring[i]);
    }
}

/* --- what survives ---------------------------------------------------------------------------- */

/* More values than there are registers to keep them in, of each kind. */
static void keep_values(struct actor *actor) {
    volatile uint64_t seed = test_random() | 1;
    uint64_t a = seed * 3, b = seed * 5, c = seed * 7, d = seed * 9, e = seed * 11, f = seed * 13;
    uint64_t g = seed * 17, h = seed * 19, i = seed * 23, j = seed * 29, k = seed * 31,
             l = seed * 37;
    double m = (double)(seed >> 12), n = m + 1, o = m + 2, p = m + 3, q = m + 4, r = m + 5;
    float s = (float)(seed >> 50), t = s + 1;
    long double u = (long double)m / 3, v = u + 1;
    for (int round = 0; round < 1000; round++) {
        leave(actor);
        CHECK(a == seed * 3 && b == seed * 5 && c == seed * 7 && d == seed * 9);
        CHECK(e == seed * 11 && f == seed * 13 && g == seed * 17 && h == seed * 19);
        CHECK(i == seed * 23 && j == seed * 29 && k == seed * 31 && l == seed * 37);
        CHECK(m == (double)(seed >> 12) && n == m + 1 && o == m + 2 && p == m + 3);
        CHECK(q == m + 4 && r == m + 5);
        CHECK(s == (float)(seed >> 50) && t == s + 1);
        CHECK(u == (long double)m / 3 && v == u + 1);
    }
}

TEST(integers_and_floating_point_values_survive_a_switch) {
    struct eddyi_fiber here;
    struct actor actors[3];
    eddyi_fiber_init_thread(&here);
    for (int i = 0; i < 3; i++) {
        actor_init(&actors[i], &here, STACK_BYTES, keep_values);
    }
    while (!actors[0].ended || !actors[1].ended || !actors[2].ended) {
        struct actor *actor = &actors[test_random_below(3)];
        if (!actor->ended) {
            enter(actor);
        }
    }
    for (int i = 0; i < 3; i++) {
        actor_done(&actors[i]);
    }
}

/* Frames whose size is not known before: compilers may address them through a register that cannot
 * be declared to be overwritten. */
__attribute__((noinline)) static void keep_frame(struct actor *actor, size_t len) {
    _Alignas(64) char aligned[64];
    char *variable = __builtin_alloca(len);
    memset(aligned, (int)len & 0x7f, sizeof aligned);
    memset(variable, (int)len & 0x7f, len);
    leave(actor);
    CHECK_EQ((uintptr_t)aligned % 64, 0);
    for (size_t i = 0; i < sizeof aligned; i++) {
        CHECK_EQ(aligned[i], (int)len & 0x7f);
    }
    for (size_t i = 0; i < len; i++) {
        CHECK_EQ(variable[i], (int)len & 0x7f);
    }
}

static void keep_frames(struct actor *actor) {
    for (size_t len = 1; len < 500; len += 7) {
        keep_frame(actor, len);
    }
}

TEST(aligned_frames_of_variable_size_survive_a_switch) {
    CHECK_EQ(play(keep_frames), 72);
}

#ifdef EDDYI_FIBER_UCONTEXT
#define ROUNDING_OF_THREAD 0
#else
#define ROUNDING_OF_THREAD 1
#endif

/* The control register and a value in it that rounds upwards. */
#ifdef __x86_64__
#define ROUND_UP 0x4000u
static unsigned rounding_get(void) {
    return __builtin_ia32_stmxcsr() & 0x6000u;
}
static void rounding_set(unsigned mode) {
    __builtin_ia32_ldmxcsr((__builtin_ia32_stmxcsr() & ~0x6000u) | mode);
}
#elif defined(__aarch64__)
#define ROUND_UP 0x400000u
static unsigned rounding_get(void) {
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return (unsigned)fpcr & 0xc00000u;
}
static void rounding_set(unsigned mode) {
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode));
}
#else
#define ROUND_UP 0u
static unsigned rounding_get(void) {
    return 0;
}
static void rounding_set(unsigned mode) {
    (void)mode;
}
#endif

static void change_rounding(struct actor *actor) {
    rounding_set(ROUND_UP);
    leave(actor);
    if (ROUNDING_OF_THREAD) {
        CHECK_EQ(rounding_get(), 0);
    }
    rounding_set(0);
}

static void look_at_rounding(struct actor *actor) {
    actor->count = rounding_get();
}

TEST(the_rounding_mode_is_the_threads) {
    struct eddyi_fiber here;
    struct actor actors[2];
    eddyi_fiber_init_thread(&here);
    actor_init(&actors[0], &here, STACK_BYTES, change_rounding);
    actor_init(&actors[1], &here, STACK_BYTES, look_at_rounding);
    enter(&actors[0]);
    enter(&actors[1]);
    if (ROUNDING_OF_THREAD) {
        CHECK_EQ(actors[1].count, ROUND_UP);
        rounding_set(0);
    }
    enter(&actors[0]);
    CHECK(actors[0].ended && actors[1].ended);
    actor_done(&actors[0]);
    actor_done(&actors[1]);
}

/* --- the stack -------------------------------------------------------------------------------- */

static void check_alignment(struct actor *actor) {
    volatile uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    CHECK_EQ(frame % 16, 0);
    actor->count++;
}

static void entry_aligned(void *arg) {
    struct actor *actor = arg;
    check_alignment(actor);
    eddyi_fiber_switch_last(&actor->fiber, actor->back);
}

TEST(the_stack_is_aligned_wherever_its_top_is) {
    struct eddyi_fiber here;
    struct actor actor;
    eddyi_fiber_init_thread(&here);
    actor_init(&actor, &here, STACK_BYTES, do_nothing);
    for (size_t less = 0; less < 64; less++) {
        eddyi_fiber_done(&actor.fiber);
        eddyi_fiber_init(&actor.fiber, actor.stack, STACK_BYTES - less, entry_aligned, &actor);
        enter(&actor);
    }
    CHECK_EQ(actor.count, 64);
    actor_done(&actor);
}

/* About a KiB a level, all of it looked at on the way back. */
__attribute__((noinline)) static unsigned descend(struct actor *actor, unsigned levels) {
    unsigned char block[1000];
    memset(block, (int)(levels & 0xff), sizeof block);
    if (levels == 0) {
        leave(actor);
    } else {
        CHECK_EQ(descend(actor, levels - 1), levels - 1);
    }
    for (size_t i = 0; i < sizeof block; i++) {
        CHECK_EQ(block[i], levels & 0xff);
    }
    return levels;
}

static void go_deep(struct actor *actor) {
    unsigned levels = test_is_slow() ? 80 : 200;
    CHECK_EQ(descend(actor, levels), levels);
}

TEST(a_fiber_can_be_suspended_deep_in_its_stack) {
    CHECK_EQ(play(go_deep), 1);
}

static void start_another(struct actor *outer) {
    struct actor inner;
    actor_init(&inner, &outer->fiber, STACK_BYTES, go_deep);
    enter(&inner);
    leave(outer);
    enter(&inner);
    CHECK(inner.ended);
    actor_done(&inner);
}

TEST(a_fiber_can_start_another) {
    CHECK_EQ(play(start_another), 1);
}

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *arg) {
    uintptr_t *frames = arg;
    if (_Unwind_GetIP(context) != 0) { /* libgcc also shows the nothing beyond the end */
        frames[0]++;
        frames[1] = _Unwind_GetIP(context);
    }
    return frames[0] < 100 ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

__attribute__((noinline)) static void unwind(struct actor *actor) {
    uintptr_t frames[2] = {0};
    leave(actor);
    CHECK_EQ(_Unwind_Backtrace(count_frame, frames), _URC_END_OF_STACK);
    /* This one, entry and the beginning; a sanitizer's and ucontext's own may come on top. */
    CHECK(frames[0] >= 3 && frames[0] <= 6);
#ifndef EDDYI_FIBER_UCONTEXT
    CHECK(frames[1] > (uintptr_t)eddyi_fiber_start &&
          frames[1] < (uintptr_t)eddyi_fiber_start + 32);
#endif
    actor->count++;
}

TEST(unwinding_ends_where_the_fiber_began) {
    CHECK_EQ(play(unwind), 1);
}

/* --- many, threads and signals ---------------------------------------------------------------- */

static void count_at_random_depth(struct actor *actor) {
    for (int i = 0; i < 20; i++) {
        descend(actor, (unsigned)test_random_below(20));
        actor->count++;
    }
}

TEST(many_fibers_in_any_order_keep_apart) {
    enum { COUNT = 500 };
    static struct actor actors[COUNT];
    struct eddyi_fiber here;
    int left = COUNT;
    eddyi_fiber_init_thread(&here);
    for (int i = 0; i < COUNT; i++) {
        actor_init(&actors[i], &here, STACK_BYTES, count_at_random_depth);
    }
    while (left > 0) {
        struct actor *actor = &actors[test_random_below(COUNT)];
        if (!actor->ended) {
            enter(actor);
            left -= actor->ended;
        }
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(actors[i].count, 20);
        actor_done(&actors[i]);
    }
}

static void add_to_shared(struct actor *actor) {
    /* Not atomic: fibers of one thread never run at once, and ThreadSanitizer must know. */
    static _Thread_local int64_t shared;
    for (int i = 0; i < 1000; i++) {
        shared++;
        leave(actor);
    }
    actor->count = shared;
}

static void *run_thread(void *arg) {
    struct eddyi_fiber here;
    struct actor actors[4];
    int64_t *ret_most = arg;
    eddyi_fiber_init_thread(&here);
    for (int i = 0; i < 4; i++) {
        actor_init(&actors[i], &here, STACK_BYTES, add_to_shared);
    }
    for (int turn = 0; turn <= 1000; turn++) {
        for (int i = 0; i < 4; i++) {
            enter(&actors[i]);
        }
    }
    for (int i = 0; i < 4; i++) {
        CHECK(actors[i].ended);
        actor_done(&actors[i]);
    }
    *ret_most = actors[3].count;
    return NULL;
}

TEST(each_thread_switches_its_own_fibers) {
    pthread_t threads[4];
    int64_t most[4];
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, run_thread, &most[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
        CHECK_EQ(most[i], 4000);
    }
}

static volatile sig_atomic_t alarms;

static void on_alarm(int number) {
    volatile char scribble[512];
    (void)number;
    for (size_t i = 0; i < sizeof scribble; i++) {
        scribble[i] = (char)0xee;
    }
    alarms++;
}

/* Signals arrive at any instruction, those of the switch included, and run on the fiber's stack. */
TEST(signals_may_arrive_while_switching) {
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 100}, {0, 100}};
    int wanted = test_is_slow() ? 50 : 500;
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    CHECK_EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
    while (alarms < wanted) {
        play(keep_values);
    }
    CHECK_EQ(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL), 0);
}
