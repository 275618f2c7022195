/* SPDX-License-Identifier: Apache-2.0 */
/* The runner: see test.h. The parent process only forks, waits and reports through cmocka. */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/base/sanitizer_impl.h>
#include <eddy/runtime/base/track.h>

#define CASE_SECONDS 60
#define SLOW_FACTOR 4
/* The exit status of a skipped case, and of a program all of whose cases were skipped; ctest
 * knows it. */
#define EXIT_SKIPPED 77

#ifdef EDDYI_TSAN
/* A case may fork while it has threads, and its child start some: ThreadSanitizer lets it only when
 * asked, because it cannot promise to see every race there. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);

const char *__tsan_default_options(void) {
    return "die_after_fork=0";
}
#endif

static struct test_case *cases;
static struct test_case **cases_end = &cases;
static int skipped;
static uint64_t seed;
static bool seed_known;

void test_goes_on_in_a_fork(void) {
#ifdef EDDYI_TSAN
    test_skip("ThreadSanitizer does not follow a fork's child");
#endif
}

void test_register(struct test_case *test) {
    *cases_end = test;
    cases_end = &test->next;
}

/* --- checks ----------------------------------------------------------------------------------- */

void test_fail(const char *file, int line, const char *format, ...) {
    va_list args;
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    fflush(NULL);
    _exit(1);
}

void test_skip(const char *why) {
    fprintf(stderr, "skipped: %s\n", why);
    fflush(NULL);
    _exit(EXIT_SKIPPED);
}

/* Small negative numbers are nearly always errors, and their names say more. */
static const char *name_of(int64_t number) {
    return number < 0 && number > -6000 ? eddy_error_name(number) : "";
}

void test_fail_eq(int64_t got, int64_t wanted, const char *got_text, const char *wanted_text,
                  const char *file, int line) {
    test_fail(file, line, "%s is %lld (%#llx) %s, not %s, %lld (%#llx) %s", got_text,
              (long long)got, (unsigned long long)got, name_of(got), wanted_text, (long long)wanted,
              (unsigned long long)wanted, name_of(wanted));
}

void test_check_str(const char *got, const char *wanted, const char *text, const char *file,
                    int line) {
    if (got == NULL || wanted == NULL) {
        if (got != wanted) {
            test_fail(file, line, "%s is %s, not %s", text, got == NULL ? "NULL" : got,
                      wanted == NULL ? "NULL" : wanted);
        }
    } else if (strcmp(got, wanted) != 0) {
        test_fail(file, line, "%s is\n    \"%s\", not\n    \"%s\"", text, got, wanted);
    }
}

static void print_bytes(const char *what, const unsigned char *bytes, size_t from, size_t len) {
    size_t to = len - from > 32 ? from + 32 : len;
    fprintf(stderr, "    %s", what);
    for (size_t i = from; i < to; i++) {
        fprintf(stderr, " %02x", bytes[i]);
    }
    fprintf(stderr, "%s  |", to < len ? " ..." : "");
    for (size_t i = from; i < to; i++) {
        fputc(bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '.', stderr);
    }
    fputs("|\n", stderr);
}

void test_check_bytes(const void *got, size_t got_len, const void *wanted, size_t wanted_len,
                      const char *text, const char *file, int line) {
    const unsigned char *a = got;
    const unsigned char *b = wanted;
    size_t common = got_len < wanted_len ? got_len : wanted_len;
    size_t same = 0;
    while (same < common && a[same] == b[same]) {
        same++;
    }
    if (same < common || got_len != wanted_len) {
        size_t from = same < 8 ? 0 : same - 8;
        fprintf(stderr, "from byte %zu on:\n", from);
        print_bytes("got   ", a, from, got_len);
        print_bytes("wanted", b, from, wanted_len);
        test_fail(file, line, "%s has %zu bytes and differs at byte %zu from the %zu wanted", text,
                  got_len, same, wanted_len);
    }
}

/* --- help for cases --------------------------------------------------------------------------- */

uint64_t test_seed(void) {
    if (!seed_known) {
        const char *text = getenv("EDDY_SEED");
        if (text != NULL) {
            seed = strtoull(text, NULL, 0);
        } else if (getrandom(&seed, sizeof seed, 0) != sizeof seed) {
            seed = (uint64_t)time(NULL);
        }
        seed_known = true;
    }
    return seed;
}

/* splitmix64 */
uint64_t test_random(void) {
    static uint64_t state;
    static bool started;
    if (!started) {
        state = test_seed();
        started = true;
    }
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

uint64_t test_random_below(uint64_t below) {
    return (uint64_t)(((unsigned __int128)test_random() * below) >> 64);
}

/* By the process id of the case, so that the parent can remove it even after a crash. */
static void name_tmpdir(char path[PATH_MAX], pid_t pid) {
    const char *base = getenv("TMPDIR");
    snprintf(path, PATH_MAX, "%s/eddy-test-%d", base == NULL ? "/tmp" : base, (int)pid);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *position) {
    (void)info;
    (void)type;
    (void)position;
    return remove(path);
}

const char *test_tmpdir(void) {
    static char path[PATH_MAX];
    if (path[0] == '\0') {
        name_tmpdir(path, getpid());
        /* One that is there is left from a process that had our number and was killed. */
        nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        if (mkdir(path, 0700) < 0) {
            test_fail(__FILE__, __LINE__, "cannot make %s: %s", path, strerror(errno));
        }
    }
    return path;
}

const char *test_unix_name(void) {
    static char name[64];
    snprintf(name, sizeof name, "unix:@eddy-test-%d", (int)getpid());
    return name;
}

const char *test_driver(void) {
    const char *driver = getenv("EDDY_DRIVER");
    return driver == NULL || driver[0] == '\0' ? "auto" : driver;
}

bool test_is_slow(void) {
#if defined(EDDYI_ASAN) || defined(EDDYI_TSAN)
    return true;
#else
    return getenv("EDDY_TEST_SLOW") != NULL;
#endif
}

int64_t test_each_allocation_fails(int64_t (*scenario)(void *arg), void *arg) {
    int64_t runs = 0;
    for (int all = 0; all <= 1; all++) {
        bool reached = true;
        for (int64_t k = 1; reached; k++) {
            int64_t before = eddy_memory_blocks();
            eddy_memory_fail_at(k, all);
            int64_t result = scenario(arg);
            reached = eddy_memory_fail_at(0, false) >= k;
            runs++;
            if (result < 0 && (!reached || result != -ENOMEM)) {
                test_fail(__FILE__, __LINE__, "with allocation %lld%s failing%s: %s (%lld)",
                          (long long)k, all ? " and all after it" : "",
                          reached ? "" : " (it was not reached)", eddy_error_name(result),
                          (long long)result);
            }
            if (eddy_memory_blocks() != before) {
                test_fail(__FILE__, __LINE__,
                          "with allocation %lld%s failing: %lld blocks were leaked", (long long)k,
                          all ? " and all after it" : "",
                          (long long)(eddy_memory_blocks() - before));
            }
        }
    }
    return runs;
}

void test_run_plain(void (*body)(void)) {
    body();
}

/* --- one case, in the child ------------------------------------------------------------------- */

/* Which of the first 1,024 descriptors are open. */
static void list_descriptors(bool open[1024]) {
    memset(open, 0, 1024 * sizeof open[0]);
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        test_fail(__FILE__, __LINE__, "cannot read /proc/self/fd: %s", strerror(errno));
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd < 1024 && fd != dirfd(dir)) {
            open[fd] = true;
        }
    }
    closedir(dir);
}

static void say_left(const char *kind, const char *place, const char *task, void *ctx) {
    const struct test_case *test = ctx;
    fprintf(stderr, "%s left a %s, made at %s by %s\n", test->name, kind, place,
            task == NULL ? "no task" : task);
}

static void check_nothing_left(const struct test_case *test, int64_t blocks,
                               const bool before[1024]) {
    bool after[1024];
    bool leaked = false;
    if (eddy_track_each(say_left, (void *)(uintptr_t)test) > 0) {
        leaked = true;
    }
    if (eddy_memory_blocks() != blocks) {
        fprintf(stderr, "%s left %lld blocks of memory\n", test->name,
                (long long)(eddy_memory_blocks() - blocks));
        leaked = true;
    }
    list_descriptors(after);
    for (int fd = 0; fd < 1024; fd++) {
        if (after[fd] != before[fd]) {
            char link[64];
            char target[256];
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            ssize_t len = readlink(link, target, sizeof target);
            fprintf(stderr, "%s %s descriptor %d: %.*s\n", test->name,
                    after[fd] ? "left" : "closed a foreign", fd, len < 0 ? 0 : (int)len, target);
            leaked = true;
        }
    }
    int status;
    pid_t child = waitpid(-1, &status, WNOHANG);
    if (child >= 0) {
        fprintf(stderr, "%s left a child process, %s\n", test->name,
                child > 0 ? "a zombie" : "running");
        leaked = true;
    }
    if (leaked) {
        fflush(NULL);
        _exit(1);
    }
}

static _Noreturn void run_child(struct test_case *test) {
    bool descriptors[1024];
    int64_t blocks = eddy_memory_blocks();
    list_descriptors(descriptors);
    test->run(test->body);
    check_nothing_left(test, blocks, descriptors);
    /* exit, not _exit: LeakSanitizer looks at the very end. */
    exit(0);
}

/* --- the parent ------------------------------------------------------------------------------- */

static sigset_t signals_at_start;
static struct sigaction crash_actions_at_start[NSIG];
static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
#define CRASH_SIGNAL_COUNT (sizeof crash_signals / sizeof crash_signals[0])

/* Waits for the end of `pid`; false when it took too long. SIGCHLD is blocked here. */
static bool wait_for(pid_t pid, int seconds, int *ret_status) {
    struct timespec start;
    sigset_t child_signal;
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;;) {
        struct timespec now;
        if (waitpid(pid, ret_status, WNOHANG) == pid) {
            return true;
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        time_t left = seconds - (now.tv_sec - start.tv_sec);
        if (left <= 0) {
            return false;
        }
        sigtimedwait(&child_signal, NULL, &(struct timespec){.tv_sec = left});
    }
}

static void run_case(void **state) {
    struct test_case *test = *state;
    char tmpdir[PATH_MAX];
    char problem[128] = "";
    int status = 0;
    int seconds =
        (test->seconds == 0 ? CASE_SECONDS : test->seconds) * (test_is_slow() ? SLOW_FACTOR : 1);
    test_seed(); /* chosen here, so that the parent can print it */
    fflush(NULL);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        fail_msg("fork: %s", strerror(errno));
    }
    if (pid == 0) {
        /* In a group of its own, so that what it starts can be ended with it; and it ends with
         * us. */
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
        for (size_t i = 0; i < CRASH_SIGNAL_COUNT; i++) {
            sigaction(crash_signals[i], &crash_actions_at_start[crash_signals[i]], NULL);
        }
        sigprocmask(SIG_SETMASK, &signals_at_start, NULL);
        run_child(test);
    }
    setpgid(pid, pid);
    bool ended = wait_for(pid, seconds, &status);
    kill(-pid, SIGKILL);
    if (!ended) {
        waitpid(pid, &status, 0);
        snprintf(problem, sizeof problem, "timed out after %d seconds", seconds);
    } else if (WIFSIGNALED(status)) {
        snprintf(problem, sizeof problem, "ended by signal %d, %s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != EXIT_SKIPPED) {
        snprintf(problem, sizeof problem, "failed with exit status %d", WEXITSTATUS(status));
    }
    name_tmpdir(tmpdir, pid);
    nftw(tmpdir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (problem[0] != '\0') {
        fail_msg("%s: %s (EDDY_DRIVER=%s EDDY_SEED=%llu)", test->name, problem, test_driver(),
                 (unsigned long long)test_seed());
    }
    if (WEXITSTATUS(status) == EXIT_SKIPPED) {
        skipped++;
        skip();
    }
}

int main(int argc, char **argv) {
    const char *filter = argc > 1 ? argv[1] : "";
    struct CMUnitTest *tests;
    size_t count = 0;
    for (struct test_case *test = cases; test != NULL; test = test->next) {
        count++;
    }
    tests = calloc(count + 1, sizeof *tests);
    if (tests == NULL) {
        return 1;
    }
    count = 0;
    for (struct test_case *test = cases; test != NULL; test = test->next) {
        if (strcmp(filter, "--list") == 0) {
            printf("%s\n", test->name);
        } else if (strstr(test->name, filter) != NULL) {
            tests[count++] = (struct CMUnitTest){test->name, run_case, NULL, NULL, test};
        }
    }
    if (count == 0) {
        free(tests);
        if (strcmp(filter, "--list") == 0) {
            return 0;
        }
        fprintf(stderr, "%s: no case has \"%s\" in its name\n", argv[0], filter);
        return 1;
    }
    /* Taken before cmocka puts its own handlers there, which would hide a sanitizer's. */
    for (size_t i = 0; i < CRASH_SIGNAL_COUNT; i++) {
        sigaction(crash_signals[i], NULL, &crash_actions_at_start[crash_signals[i]]);
    }
    sigset_t child_signal;
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_signal, &signals_at_start);
    setvbuf(stdout, NULL, _IOLBF, 0); /* keeps cmocka's lines in order with those of the checks */
    int failed = _cmocka_run_group_tests(program_invocation_short_name, tests, count, NULL, NULL);
    free(tests);
    if (failed == 0 && skipped == (int)count) {
        return EXIT_SKIPPED;
    }
    return failed == 0 ? 0 : 1;
}
