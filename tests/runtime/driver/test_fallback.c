/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the ring cannot be had, for any of the reasons that real machines have: "auto" gives epoll,
 * which says why, gives the same results and sleeps as quietly. Each case has a process of its own,
 * for a filter that is set stays.
 */
#include <eddy/eddy.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <eddy/runtime/driver/uring_uapi_impl.h>
#include <eddy/runtime/loop/loop_impl.h>

#include "runtime/driver/seccomp.h"
#include "test.h"

/* ---- a program, and what it comes to --------------------------------------------------------- */

struct account {
    char text[2048];
    size_t len;
};

static void note(struct account *account, const char *what, int64_t result) {
    account->len +=
        (size_t)snprintf(account->text + account->len, sizeof account->text - account->len,
                         "%s=%lld ", what, (long long)result);
    CHECK(account->len < sizeof account->text);
}

static int64_t fails(void *arg) {
    (void)arg;
    return -EIO;
}

static int64_t accepts_for_ever(void *arg) {
    eddy_stream *peer;
    return eddy_listener_accept(arg, &peer);
}

static void use_streams(struct account *account) {
    eddy_listener *listener;
    eddy_stream *near;
    eddy_stream *far;
    eddy_scope scope;
    char text[EDDY_ADDRESS_TEXT_MAX];
    static char bulk[64 * 1024];
    note(account, "refused", eddy_tcp_connect("127.0.0.1:1", NULL, &near));
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &listener));
    eddy_address address = eddy_listener_address(listener);
    CHECK_OK(eddy_address_format(&address, text, sizeof text));
    note(account, "connect", eddy_tcp_connect(text, NULL, &near));
    note(account, "accept", eddy_listener_accept(listener, &far));
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    note(account, "nothing there", eddy_stream_read(near, bulk, sizeof bulk));
    note(account, "deadline", eddy_scope_leave(&scope, -ETIME));
    note(account, "try", eddy_stream_read_try(near, bulk, sizeof bulk));
    memset(bulk, 'x', sizeof bulk);
    eddy_future *written = eddy_stream_write_start(far, bulk, sizeof bulk);
    note(account, "read all", eddy_stream_read_exact(near, bulk, sizeof bulk));
    note(account, "write all", eddy_await(written));
    note(account, "shutdown", eddy_stream_shutdown(far));
    note(account, "end", eddy_stream_read(near, bulk, sizeof bulk));
    note(account, "after the end", eddy_stream_write(far, "x", 1));
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(accepts_for_ever, listener, 0));
    CHECK_OK(eddy_spawn(fails, NULL, 0));
    note(account, "first failure", eddy_scope_leave(&scope, 0));
    note(account, "close", eddy_stream_close(near));
    note(account, "close", eddy_stream_close(far));
    note(account, "close", eddy_listener_close(listener));
}

static void use_files(struct account *account) {
    char path[300];
    char buf[16];
    eddy_stream *file;
    eddy_dir *dir;
    eddy_dir_entry entry;
    eddy_stat st;
    snprintf(path, sizeof path, "%s/file", test_tmpdir());
    unsigned flags = EDDY_FILE_READ | EDDY_FILE_WRITE | EDDY_FILE_CREATE | EDDY_FILE_TRUNCATE;
    note(account, "open", eddy_file_open(path, flags, 0, &file));
    note(account, "write", eddy_stream_write(file, "contents", 8));
    note(account, "pread", eddy_file_pread(file, buf, sizeof buf, 3));
    note(account, "end", eddy_file_pread(file, buf, sizeof buf, 8));
    note(account, "sync", eddy_file_sync(file, true));
    note(account, "close", eddy_stream_close(file));
    note(account, "stat", eddy_stat_path(path, 0, &st));
    note(account, "size", st.size_bytes);
    note(account, "dir", eddy_dir_open(test_tmpdir(), &dir));
    note(account, "next", eddy_dir_next(dir, &entry));
    note(account, "next", eddy_dir_next(dir, &entry));
    note(account, "close", eddy_dir_close(dir));
}

static int64_t program(void *arg) {
    use_streams(arg);
    use_files(arg);
    return 0;
}

static void run_program(eddy_loop *loop, struct account *ret_account) {
    *ret_account = (struct account){.len = 0};
    CHECK_OK(eddy_loop_call(loop, program, ret_account));
}

/* ---- sleeping -------------------------------------------------------------------------------- */

static int64_t cpu_ns(void) {
    struct rusage usage;
    CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * EDDY_S +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * EDDY_US;
}

struct quiet {
    uint64_t turns;
    int64_t cpu_ns;
};

static int64_t sleeps(void *arg) {
    (void)arg;
    return eddy_sleep(EDDY_NEVER);
}

/* What passes in half a second. */
static struct quiet half_a_second(void) {
    struct quiet quiet = {.turns = eddy_loop_current()->turns, .cpu_ns = cpu_ns()};
    CHECK_OK(eddy_sleep(500 * EDDY_MS));
    quiet.turns = eddy_loop_current()->turns - quiet.turns;
    quiet.cpu_ns = cpu_ns() - quiet.cpu_ns;
    return quiet;
}

static bool is_quiet(const struct quiet *quiet) {
    return quiet->turns <= 4 && quiet->cpu_ns <= (test_is_slow() ? 100 : 10) * EDDY_MS;
}

/* One task sleeps, one waits for a connection, one for nothing: a loop that has something to wait
 * for, and nothing to do. What it did before may have left something that ends late, above all on a
 * machine that is busy: the kernel's part of a close, a thread of the pool that goes to sleep. That
 * ends, and what turns for ever does not, so it is asked again. */
static int64_t idles(void *arg) {
    struct quiet *quiet = arg;
    eddy_listener *listener;
    eddy_scope scope;
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &listener));
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(accepts_for_ever, listener, 0));
    CHECK_OK(eddy_spawn(sleeps, NULL, 0));
    CHECK_OK(eddy_sleep(5 * EDDY_MS));
    *quiet = half_a_second();
    for (int i = 0; i < 10 && !is_quiet(quiet); i++) {
        *quiet = half_a_second();
    }
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    return eddy_listener_close(listener);
}

static void check_quiet(eddy_loop *loop) {
    struct quiet quiet;
    CHECK_OK(eddy_loop_call(loop, idles, &quiet));
    if (!is_quiet(&quiet)) {
        test_fail(__FILE__, __LINE__, "%llu turns and %lld ns of CPU time in each half second",
                  (unsigned long long)quiet.turns, (long long)quiet.cpu_ns);
    }
}

/* ---- the cases ------------------------------------------------------------------------------- */

static eddy_loop *new_loop(const char *driver) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.driver = driver}, &loop));
    return loop;
}

/* What the program comes to where nothing is in its way: on the ring, if there is one. */
static struct account reference(void) {
    struct account account;
    eddy_loop *loop = new_loop("auto");
    run_program(loop, &account);
    eddy_loop_free(loop);
    return account;
}

static void check_epoll(const char *why, int explicitly, const struct account *wanted) {
    struct account got;
    eddy_loop *loop = new_loop("auto");
    CHECK_STR(eddy_loop_driver(loop), "epoll");
    if (strstr(eddy_loop_driver_reason(loop), why) == NULL) {
        test_fail(__FILE__, __LINE__, "the reason is \"%s\"", eddy_loop_driver_reason(loop));
    }
    run_program(loop, &got);
    CHECK_STR(got.text, wanted->text);
    check_quiet(loop);
    eddy_loop_free(loop);
    /* Who insists on the ring is told why there is none. */
    eddy_loop *none = NULL;
    CHECK_ERR(eddy_loop_new(&(eddy_loop_opts){.driver = "uring"}, &none), explicitly);
    CHECK(explicitly != EDDY_EDRIVER || strstr(eddy_error_detail(), why) != NULL);
    CHECK_PTR_EQ(none, NULL);
}

static void check_refused(unsigned call, int error, const char *why) {
    struct account wanted = reference();
    refuse_call(call, 0, 0, error);
    check_epoll(why, EDDY_EDRIVER, &wanted);
}

TEST(setup_is_not_permitted) {
    check_refused(SYS_io_uring_setup, EPERM, "io_uring_setup: ");
}

TEST(setup_is_not_there) {
    check_refused(SYS_io_uring_setup, ENOSYS, "io_uring_setup: ");
}

TEST(enter_is_not_permitted) {
    check_refused(SYS_io_uring_enter, EPERM, "io_uring_");
}

TEST(enter_is_not_there) {
    check_refused(SYS_io_uring_enter, ENOSYS, "io_uring_");
}

TEST(register_is_not_permitted) {
    check_refused(SYS_io_uring_register, EPERM, "io_uring_");
}

TEST(register_is_not_there) {
    check_refused(SYS_io_uring_register, ENOSYS, "io_uring_");
}

/* ---- each errno at each step ----------------------------------------------------------------- */

static const int errnos[] = {ENOSYS, EPERM, EACCES, ENOMEM, EMFILE,     ENFILE, EFAULT,
                             EAGAIN, EBUSY, EINTR,  EIO,    EOPNOTSUPP, ENXIO,  EINVAL};

enum { ERRNOS = sizeof errnos / sizeof errnos[0] };

/* Each time the same results on epoll; and where the ring was asked for by name, an error. */
static void check_each_errno(unsigned call, unsigned argument, unsigned value, size_t count) {
    struct account wanted = reference();
    eddy_loop *loop;
    for (size_t i = 0; i < count; i++) {
        struct account got;
        if (argument == 0) {
            refuse_call(call, 0, 0, errnos[i]);
        } else {
            refuse_call_with(call, argument, value, errnos[i]);
        }
        loop = new_loop("auto");
        CHECK_STR(eddy_loop_driver(loop), "epoll");
        CHECK(eddy_loop_driver_reason(loop)[0] != '\0');
        run_program(loop, &got);
        CHECK_STR(got.text, wanted.text);
        eddy_loop_free(loop);
        eddy_loop *none = NULL;
        int r = eddy_loop_new(&(eddy_loop_opts){.driver = "uring"}, &none);
        bool plain = errnos[i] == ENOMEM || errnos[i] == EMFILE || errnos[i] == ENFILE;
        CHECK_EQ(r, plain ? -errnos[i] : EDDY_EDRIVER);
        CHECK(plain || eddy_error_detail()[0] != '\0');
        CHECK_PTR_EQ(none, NULL);
    }
}

TEST(each_errno_of_setup) {
    check_each_errno(SYS_io_uring_setup, 0, 0, ERRNOS);
}

TEST(each_errno_of_enter) {
    check_each_errno(SYS_io_uring_enter, 0, 0, ERRNOS);
}

TEST(each_errno_of_register) {
    check_each_errno(SYS_io_uring_register, 0, 0, ERRNOS);
}

TEST(each_errno_of_mapping_the_ring) {
    /* No other mapping of ours has such flags. */
    check_each_errno(SYS_mmap, 3, MAP_SHARED | MAP_POPULATE, ERRNOS);
}

TEST(each_errno_of_the_probe) {
    check_each_errno(SYS_io_uring_register, 1, IORING_REGISTER_PROBE, ERRNOS);
}

TEST(each_errno_of_enabling_the_ring) {
    /* But for the last, EINVAL, which is what the call says to who only asks whether it works. */
    check_each_errno(SYS_io_uring_register, 1, IORING_REGISTER_ENABLE_RINGS, ERRNOS - 1);
}

/* What only makes things faster is done without. */
TEST(refusals_that_do_not_matter) {
    static const unsigned calls[] = {
        IORING_REGISTER_RING_FDS,
        IORING_REGISTER_IOWQ_MAX_WORKERS,
        IORING_REGISTER_PBUF_RING,
    };
    struct account wanted = reference();
    eddy_loop *loop = new_loop("auto");
    char driver[16];
    snprintf(driver, sizeof driver, "%s", eddy_loop_driver(loop));
    eddy_loop_free(loop);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        for (size_t k = 0; k < ERRNOS; k += 3) {
            struct account got;
            refuse_call_with(SYS_io_uring_register, 1, calls[i], errnos[k]);
            loop = new_loop("auto");
            CHECK_STR(eddy_loop_driver(loop), driver);
            run_program(loop, &got);
            CHECK_STR(got.text, wanted.text);
            eddy_loop_free(loop);
        }
    }
}

/* Both drivers need it: neither starts, and says so. */
TEST(without_an_eventfd_no_driver_starts) {
    static const char *const drivers[] = {"auto", "epoll", "uring"};
    for (size_t k = 0; k < ERRNOS; k++) {
        refuse_call(SYS_eventfd2, 0, 0, errnos[k]);
        for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
            eddy_loop *loop = NULL;
            int r = eddy_loop_new(&(eddy_loop_opts){.driver = drivers[i]}, &loop);
            CHECK(r == -errnos[k] || r == EDDY_EDRIVER);
            CHECK_PTR_EQ(loop, NULL);
        }
    }
}

TEST(without_its_own_descriptor_epoll_does_not_start_and_the_ring_does) {
    static const int refusals[] = {EMFILE, ENFILE, ENOMEM, ENOSYS};
    eddy_loop *loop = new_loop("auto");
    bool ring = strcmp(eddy_loop_driver(loop), "uring") == 0;
    eddy_loop_free(loop);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        int wanted = refusals[i] == ENOSYS ? EDDY_EDRIVER : -refusals[i];
        refuse_call(SYS_epoll_create1, 0, 0, refusals[i]);
        loop = NULL;
        CHECK_ERR(eddy_loop_new(&(eddy_loop_opts){.driver = "epoll"}, &loop), wanted);
        CHECK_PTR_EQ(loop, NULL);
        if (ring) {
            eddy_loop_free(new_loop("auto"));
        }
    }
}

static int64_t spawn_without_stacks(void *arg) {
    static const int refusals[] = {ENOMEM, EAGAIN, EPERM, ENFILE};
    int64_t least = 0;
    (void)arg;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        eddy_scope scope;
        int64_t count = 0;
        int64_t r = 0;
        /* The flags of a stack, and of nothing else. */
        refuse_call_with(SYS_mmap, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
                         refusals[i]);
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        for (; r == 0 && count < 100000; count++) {
            r = eddy_spawn(sleeps, NULL, 0);
        }
        CHECK_ERR(r, -ENOMEM);
        CHECK(count >= least); /* those that were given back are there again */
        least = count;
        CHECK_OK(eddy_yield());
        CHECK_OK(eddy_scope_cancel(&scope));
        CHECK_OK(eddy_scope_leave(&scope, 0));
    }
    return 0;
}

TEST(without_mappings_for_stacks_a_spawn_says_so_and_the_others_go_on) {
    eddy_loop *loop = new_loop("auto");
    CHECK_OK(eddy_loop_call(loop, spawn_without_stacks, NULL));
    eddy_loop_free(loop);
}

/* ---- limits ---------------------------------------------------------------------------------- */

TEST(no_memory_may_be_locked) {
    struct account wanted = reference();
    if (geteuid() == 0) {
        CHECK_EQ(chown(test_tmpdir(), 65534, 65534), 0);
        char path[300];
        snprintf(path, sizeof path, "%s/file", test_tmpdir());
        CHECK_EQ(unlink(path), 0);
        CHECK_EQ(setresgid(65534, 65534, 65534), 0);
        CHECK_EQ(setresuid(65534, 65534, 65534), 0); /* and with it CAP_IPC_LOCK */
    }
    CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){0, 0}), 0);
    eddy_loop *loop = new_loop("auto");
    bool counted = strcmp(eddy_loop_driver(loop), "epoll") == 0;
    eddy_loop_free(loop);
    if (!counted) {
        SKIP("from Linux 5.12 to 6.13 rings do not count as locked memory");
    }
    check_epoll("io_uring_setup: ", -ENOMEM, &wanted);
}

static int64_t yields(void *arg) {
    (void)arg;
    return eddy_yield();
}

/* Either driver needs two. With fewer it says so, and gives back what it has got. */
TEST(too_few_descriptors_are_a_clear_error_on_either_driver) {
    static const char *const drivers[] = {"auto", "epoll", "uring"};
    struct rlimit limit;
    int next = dup(0);
    CHECK(next >= 0);
    close(next);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    for (unsigned more = 0; more < 3; more++) {
        limit.rlim_cur = (rlim_t)next + more;
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
            eddy_loop *loop = NULL;
            int r = eddy_loop_new(&(eddy_loop_opts){.driver = drivers[i]}, &loop);
            if (r == EDDY_EDRIVER && i == 2) {
                continue; /* no ring here, whatever the descriptors */
            }
            CHECK_EQ(r, more < 2 ? -EMFILE : 0);
            if (r == 0) {
                CHECK_OK(eddy_loop_call(loop, yields, NULL));
                eddy_loop_free(loop);
            }
            CHECK(r == 0 || loop == NULL);
        }
    }
}

TEST(a_ring_is_as_quiet) {
    eddy_loop *loop = new_loop("auto");
    check_quiet(loop);
    eddy_loop_free(loop);
}

/* ---- tools ----------------------------------------------------------------------------------- */

/* Run by test_valgrind.sh too, which sets the variable. */
TEST(under_valgrind_auto_is_epoll_and_only_there_the_reason) {
    bool under = getenv("EDDY_TEST_VALGRIND") != NULL;
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.driver = "auto"}, &loop));
    CHECK_EQ(strcmp(eddy_loop_driver_reason(loop), "under Valgrind") == 0, under);
    CHECK(!under || strcmp(eddy_loop_driver(loop), "epoll") == 0);
    eddy_loop_free(loop);
}
