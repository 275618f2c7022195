/* SPDX-License-Identifier: Apache-2.0 */
/* What a program sees of a task that needs more than its stack; runtime/task/overflow_impl.h. Each
 * case on every driver, as with LOOP_TEST, but in a program of its own. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <eddy/runtime/app/main.h>
#include <eddy/runtime/task/scope.h>
#include <eddy/runtime/task/task.h>

#include "runtime/base/death.h"
#include "test.h"

#define KIB ((size_t)1024)

/* ---- what a task does to its stack ----------------------------------------------------------- */

static volatile size_t wanted; /* so that no compiler knows */

__attribute__((noinline)) static void fill(volatile char *low, size_t size) {
    for (size_t i = 0; i < size; i += 100) {
        low[i] = 1;
    }
}

#define FRAME(name, size) \
    __attribute__((noinline)) static void name(void) { \
        volatile char room[size]; \
        fill(room, sizeof room); \
        eddy_yield(); \
    }
FRAME(frame_300, 300 * KIB)
FRAME(frame_700, 700 * KIB)
FRAME(frame_1024, 1024 * KIB)
FRAME(frame_9000, 9000 * KIB)

__attribute__((noinline)) static void take_alloca(void) {
    fill(__builtin_alloca(wanted), 1);
    eddy_yield();
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wvla"
__attribute__((noinline)) static void take_vla(void) {
    char room[wanted];
    fill(room, 1);
    eddy_yield();
}
#pragma GCC diagnostic pop

static int recurse(int level);
static int (*volatile deeper)(int level) = recurse; /* so that no compiler sees where it ends */

static int recurse(int level) {
    volatile char room[500];
    room[0] = (char)level;
    return deeper(level + 1) + room[0];
}

static void take_recursion(void) {
    recurse(0);
}

/* A frame that nobody probes: calls `fn` with the stack pointer `size` bytes farther down. */
__attribute__((noinline)) static void step_over(size_t size, void (*fn)(void)) {
#if defined(__x86_64__)
    __asm__ volatile("movq %%rsp, %%rbx\n\t"
                     "subq %[size], %%rsp\n\t"
                     "andq $-16, %%rsp\n\t"
                     "callq *%[fn]\n\t"
                     "movq %%rbx, %%rsp"
                     :
                     : [size] "r"(size), [fn] "r"(fn)
                     : "memory", "cc", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
                       "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
#else
    __asm__ volatile("mov x20, sp\n\t"
                     "sub x9, x20, %[size]\n\t"
                     "and x9, x9, #-16\n\t"
                     "mov x10, %[fn]\n\t"
                     "mov sp, x9\n\t"
                     "blr x10\n\t"
                     "mov sp, x20"
                     :
                     : [size] "r"(size), [fn] "r"(fn)
                     : "memory", "cc", "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9",
                       "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x20", "x30", "v0",
                       "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20",
                       "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
#endif
}

static void yield(void) {
    eddy_yield();
}

static void take_step(void) {
    step_over(wanted, yield);
}

/* ---- among others ---------------------------------------------------------------------------- */

static int64_t neighbour(void *arg) {
    (void)arg;
    return eddy_sleep(60 * EDDY_S);
}

static int64_t bad(void *arg) {
    void (*const *act)(void) = arg;
    eddy_task_name_set("digger");
    (*act)();
    fputs("lived on\n", stderr);
    return 0;
}

/* The neighbours come first, so that their stacks are the ones below. */
static int64_t app(void *arg) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < 4; i++) {
        CHECK_OK(eddy_spawn(neighbour, NULL, 0));
    }
    CHECK_OK(eddy_spawn(bad, arg, 0));
    return eddy_scope_leave(&scope, 0);
}

static void (*act)(void);

static void run(void) {
    _exit(eddy_main(app, &act, NULL));
}

static struct death death_by(void (*what)(void), size_t size) {
    act = what;
    wanted = size;
    struct death death = death_of(run);
    CHECK(strstr(death.text, "lived on") == NULL);
    return death;
}

/* Reported by us first; a sanitizer then ends the process in its own way. */
static void check_overflow(void (*what)(void), size_t size) {
    static const char line[] = "eddy: stack overflow in task \"digger\" (spawned at ";
    struct sigaction before;
    CHECK_EQ(sigaction(SIGSEGV, NULL, &before), 0);
    struct death death = death_by(what, size);
    CHECK_BYTES(death.text, strnlen(death.text, sizeof line - 1), line, sizeof line - 1);
    CHECK(strstr(death.text, "test_overflow.c:") != NULL);
    CHECK_EQ(death.signal, before.sa_handler == SIG_DFL ? SIGSEGV : 0);
}

TEST(frames_of_any_size_are_reported_by_name) {
    check_overflow(frame_300, 0);
    check_overflow(frame_700, 0);
    check_overflow(frame_1024, 0);
    check_overflow(frame_9000, 0);
}

TEST(alloca_of_any_size_is_reported_by_name) {
    static const size_t sizes[] = {260, 300, 400, 700, 1024, 9000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check_overflow(take_alloca, sizes[i] * KIB);
    }
}

TEST(variable_arrays_of_any_size_are_reported_by_name) {
    static const size_t sizes[] = {260, 300, 400, 700, 1024, 9000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check_overflow(take_vla, sizes[i] * KIB);
    }
}

TEST(deep_recursion_is_reported_by_name) {
    check_overflow(take_recursion, 0);
}

TEST(frames_up_to_a_stacks_size_are_reported_without_the_compilers_help) {
    check_overflow(take_step, 260 * KIB);
    check_overflow(take_step, 300 * KIB);
    check_overflow(take_step, 480 * KIB);
}

/* Where nothing faulted, what waits next says so, before the neighbour runs again. */
TEST(a_task_that_stands_on_its_neighbours_stack_does_not_go_on) {
    static const size_t sizes[] = {600, 700};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct death death = death_by(take_step, sizes[i] * KIB);
        CHECK_EQ(death.signal, SIGABRT);
        CHECK(strstr(death.text, "a task has overflowed its stack") != NULL);
        CHECK(strstr(death.text, "digger") != NULL);
    }
}
