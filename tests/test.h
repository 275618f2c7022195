/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How eddy is tested. One program per header, and in it cases that register themselves, each named
 * by its claim:
 *
 *     #include <eddy/net/tcp.h>
 *     #include "test.h"
 *
 *     TEST(address_without_port_is_an_error) {             in a plain process, no loop
 *         CHECK_ERR(eddy_address_parse("1.2.3.4", &address), EDDY_EADDRESS);
 *     }
 *
 *     LOOP_TEST(read_after_the_peer_closed_gives_zero) {   as the root task of a fresh loop
 *         CHECK_EQ(eddy_stream_read(peer, buf, sizeof buf), 0);
 *     }
 *
 * test.c holds main(). `./test_tcp closed` runs the cases whose name contains "closed" (none is a
 * failure), `--list` names them. A program whose source has LOOP_TEST in it is registered three
 * times with ctest, for EDDY_DRIVER=uring, epoll and sim.
 *
 * Each case runs in a child process of its own: a crash, a hang or a failed check ends that case
 * and no other. A check that fails prints both values and ends the process at once, so it may stand
 * in a task, in a thread, anywhere. After the case nothing may be left: no object (debug builds say
 * where it was made), no block of eddy's memory, no descriptor, no child process.
 */
#ifndef EDDY_TESTS_TEST_H
#define EDDY_TESTS_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <eddy/runtime/base/error.h>

struct eddy_loop_opts;

/* --- cases ------------------------------------------------------------------------------------ */

#define TEST(name) TEST_CASE_(name, test_run_plain, 0)
/* The body is a function that returns nothing; suspending calls may be made in it. */
#define LOOP_TEST(name) TEST_CASE_(name, test_run_in_loop, 0)
/* For a case that needs longer than the usual 60 seconds (four times that under a sanitizer). */
#define TEST_TIMEOUT(name, seconds) TEST_CASE_(name, test_run_plain, seconds)
#define LOOP_TEST_TIMEOUT(name, seconds) TEST_CASE_(name, test_run_in_loop, seconds)

/* Ends the case as skipped. A reason is part of it: "needs Linux 6.7 for MADV_GUARD_INSTALL". */
#define SKIP(why) test_skip((why))

/* --- checks: each evaluates its arguments once ------------------------------------------------ */

#define CHECK(condition) \
    ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, "not so: %s", #condition))
/* Integers of any kind, compared as int64_t. */
#define CHECK_EQ(got, wanted) \
    test_check_eq((int64_t)(got), (int64_t)(wanted), #got, #wanted, __FILE__, __LINE__)
#define CHECK_PTR_EQ(got, wanted) \
    test_check_ptr_eq((got), (wanted), #got, #wanted, __FILE__, __LINE__)
/* C strings; NULL equals NULL only. */
#define CHECK_STR(got, wanted) test_check_str((got), (wanted), #got, __FILE__, __LINE__)
#define CHECK_BYTES(got, got_len, wanted, wanted_len) \
    test_check_bytes((got), (got_len), (wanted), (wanted_len), #got, __FILE__, __LINE__)
/* A result that is no error. Gives it back: `n = CHECK_OK(eddy_stream_read(...))`. */
#define CHECK_OK(result) test_check_ok((result), #result, __FILE__, __LINE__)
/* Just this error: `CHECK_ERR(r, -ECANCELED)`. */
#define CHECK_ERR(result, error) \
    test_check_err((result), (error), #result, #error, __FILE__, __LINE__)

/* --- help for cases --------------------------------------------------------------------------- */

/* $EDDY_SEED, or a random number that is printed when a case fails. The loop has it too. */
uint64_t test_seed(void);
/* The next number of a generator that starts from the seed in each case; for one thread. */
uint64_t test_random(void);
/* 0 .. below - 1. */
uint64_t test_random_below(uint64_t below);

/* A folder for this case alone, made at the first call and removed, with all in it, after the
 * case. */
const char *test_tmpdir(void);
/* The address of a Unix socket that no other case uses, in the abstract namespace. */
const char *test_unix_name(void);

/* "uring", "epoll" or "sim": $EDDY_DRIVER, or what a loop that was asked for nothing would take. */
const char *test_driver(void);

/* The options of the loop that a LOOP_TEST runs on, for those that make one of their own: the seed,
 * and rings as small as $EDDY_TEST_RING says, "1x2" for instance. */
struct eddy_loop_opts test_loop_opts(void);

/* True where everything is several times slower: under a sanitizer or Valgrind. */
bool test_is_slow(void);

/*
 * Runs `scenario` over and over, its first allocation failing, then its second, and so on until it
 * got through without reaching the failing one; then all of it again with every allocation from the
 * k-th on failing. Each time it must return >= 0 or -ENOMEM, and >= 0 when nothing failed, and
 * leave as many blocks as there were. Only allocations of the calling thread are counted. Gives the
 * number of runs, so that a test can see that there was anything to fail.
 */
int64_t test_each_allocation_fails(int64_t (*scenario)(void *arg), void *arg);

/* --- what the macros stand on ----------------------------------------------------------------- */

struct test_case {
    const char *name;
    void (*body)(void);
    void (*run)(void (*body)(void));
    int seconds; /* 0: the default */
    struct test_case *next;
};

void test_run_plain(void (*body)(void));
void test_run_in_loop(void (*body)(void)); /* loop.c */
void test_register(struct test_case *test);
_Noreturn void test_skip(const char *why);
/* Where the child of a fork goes on with tasks or loops: ThreadSanitizer knows the fibers and
 * threads of the parent only, and sees races between them there, or dies. Skips the case under
 * it. */
void test_goes_on_in_a_fork(void);
/* Ends the process without unwinding: we may stand on a task's stack, or in some thread. */
__attribute__((format(printf, 3, 4))) _Noreturn void test_fail(const char *file, int line,
                                                               const char *format, ...);
_Noreturn void test_fail_eq(int64_t got, int64_t wanted, const char *got_text,
                            const char *wanted_text, const char *file, int line);
void test_check_str(const char *got, const char *wanted, const char *text, const char *file,
                    int line);
void test_check_bytes(const void *got, size_t got_len, const void *wanted, size_t wanted_len,
                      const char *text, const char *file, int line);

/* Inline, so that a compiler and an analyser see what holds afterwards. */
static inline void test_check_eq(int64_t got, int64_t wanted, const char *got_text,
                                 const char *wanted_text, const char *file, int line) {
    if (got != wanted) {
        test_fail_eq(got, wanted, got_text, wanted_text, file, line);
    }
}

static inline void test_check_ptr_eq(const void *got, const void *wanted, const char *got_text,
                                     const char *wanted_text, const char *file, int line) {
    if (got != wanted) {
        test_fail(file, line, "%s is %p, not %s, %p", got_text, got, wanted_text, wanted);
    }
}

static inline int64_t test_check_ok(int64_t result, const char *text, const char *file, int line) {
    if (result < 0) {
        test_fail(file, line, "%s failed: %s (%lld), %s", text, eddy_error_name(result),
                  (long long)result, eddy_error_text(result));
    }
    return result;
}

static inline void test_check_err(int64_t result, int64_t error, const char *text,
                                  const char *error_text, const char *file, int line) {
    if (result != error) {
        test_fail(file, line, "%s gave %lld %s, not %s (%lld)", text, (long long)result,
                  result < 0 ? eddy_error_name(result) : "", error_text, (long long)error);
    }
}

#define TEST_CASE_(name_, run_, seconds_) \
    static void test_case_##name_(void); \
    static struct test_case test_record_##name_ = {#name_, test_case_##name_, run_, seconds_, \
                                                   NULL}; \
    __attribute__((constructor)) static void test_register_##name_(void) { \
        test_register(&test_record_##name_); \
    } \
    static void test_case_##name_(void)

#endif
