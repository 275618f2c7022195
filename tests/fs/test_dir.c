/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/fs/dir.h>

#include <semaphore.h>
#include <stdatomic.h>

#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/loop/loop_impl.h>

#include "fs/fs.h"
#include "runtime/driver/seccomp.h"

enum { MANY = 10000 };

LOOP_TEST_TIMEOUT(ten_thousand_entries_come_once_each, 120) { /* a disk may be busy */
    static bool seen[MANY];
    eddy_dir *dir;
    eddy_dir_entry entry;
    int at = open(test_tmpdir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(at >= 0);
    for (int i = 0; i < MANY; i++) {
        char name[32];
        snprintf(name, sizeof name, "entry-%d", i);
        int fd = openat(at, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        CHECK(fd >= 0);
        close(fd);
    }
    close(at);
    CHECK_OK(eddy_dir_open(test_tmpdir(), &dir));
    for (int round = 0; round < 2; round++) {
        int count = 0;
        while (CHECK_OK(eddy_dir_next(dir, &entry)) > 0) {
            int i = -1;
            CHECK_EQ(sscanf(entry.name, "entry-%d", &i), 1);
            CHECK(i >= 0 && i < MANY && seen[i] == (round == 1));
            CHECK(entry.kind == EDDY_STAT_FILE || entry.kind == EDDY_STAT_UNKNOWN);
            seen[i] = round == 0;
            count++;
        }
        CHECK_EQ(count, MANY);
        CHECK_EQ(eddy_dir_next(dir, &entry), 0);
        CHECK_OK(eddy_dir_rewind(dir));
    }
    CHECK_OK(eddy_dir_close(dir));
}

LOOP_TEST(an_empty_folder_has_no_entry) {
    eddy_dir *dir;
    eddy_dir_entry entry = {.name = "kept"};
    CHECK_OK(eddy_dir_open(test_tmpdir(), &dir));
    CHECK_EQ(eddy_dir_next(dir, &entry), 0);
    CHECK_STR(entry.name, "kept");
    CHECK_OK(eddy_dir_close(dir));
    CHECK_OK(eddy_dir_close(NULL));
}

LOOP_TEST(what_is_no_folder_is_refused) {
    eddy_dir *dir = NULL;
    put_text("file", "");
    CHECK_ERR(eddy_dir_open(in_tmp("none"), &dir), -ENOENT);
    CHECK_ERR(eddy_dir_open(in_tmp("file"), &dir), -ENOTDIR);
    CHECK_EQ(mkfifo(in_tmp("pipe"), 0600), 0);
    CHECK_ERR(eddy_dir_open(in_tmp("pipe"), &dir), -ENOTDIR);
    CHECK_ERR(eddy_dir_open(NULL, &dir), -EINVAL);
    CHECK_ERR(eddy_dir_open_at(NULL, ".", &dir), -EINVAL);
    struct rlimit before = no_more_descriptors();
    CHECK_ERR(eddy_dir_open("/", &dir), -EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_PTR_EQ(dir, NULL);
}

static void check_confinement(void) {
    eddy_dir *root;
    eddy_dir *dir = NULL;
    eddy_stream *file = NULL;
    CHECK_EQ(mkdir(in_tmp("root"), 0755), 0);
    CHECK_EQ(mkdir(in_tmp("root/sub"), 0755), 0);
    put_text("secret", "x");
    put_text("root/open", "y");
    CHECK_EQ(symlink("../secret", in_tmp("root/up")), 0);
    CHECK_EQ(symlink("/etc/passwd", in_tmp("root/absolute")), 0);
    CHECK_EQ(symlink("../..", in_tmp("root/sub/out")), 0);
    CHECK_EQ(symlink("../open", in_tmp("root/sub/within")), 0);
    CHECK_OK(eddy_dir_open(in_tmp("root"), &root));
    static const char *const escapes[] = {
        "../secret", "up", "absolute", "/etc/passwd", "sub/../../secret", "sub/out/secret",
    };
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        for (unsigned flags = 0; flags <= EDDY_FILE_CREATE; flags += EDDY_FILE_CREATE) {
            CHECK_ERR(eddy_file_open_at(root, escapes[i], EDDY_FILE_READ | flags, 0, &file),
                      -EXDEV);
        }
    }
    CHECK_ERR(eddy_dir_open_at(root, "..", &dir), -EXDEV);
    CHECK_ERR(eddy_dir_open_at(root, "sub/out", &dir), -EXDEV);
    CHECK_PTR_EQ(dir, NULL);
    CHECK_OK(eddy_file_open_at(root, "sub/within", EDDY_FILE_READ, 0, &file));
    CHECK_OK(eddy_stream_close(file));
    CHECK_OK(eddy_dir_open_at(root, "sub/..", &dir));
    CHECK_OK(eddy_dir_close(dir));
    CHECK_OK(eddy_dir_close(root));
}

LOOP_TEST(nothing_outside_of_a_folder_is_reached_from_it) {
    check_confinement();
}

/* As in a container whose runtime is older than openat2, and on a kernel that is. */
LOOP_TEST(nothing_outside_is_reached_where_openat2_is_not_permitted) {
    refuse_call(SYS_openat2, 0, 0, EPERM);
    check_confinement();
}

LOOP_TEST(nothing_outside_is_reached_where_openat2_is_not_there) {
    refuse_call(SYS_openat2, 0, 0, ENOSYS);
    check_confinement();
}

/* ---- a listing that hangs, as on a dead mount ------------------------------------------------ */

static sem_t gate;
static _Atomic bool hangs;
static _Atomic int entered;

static int64_t getdents_behind_a_gate(void *ctx, int fd, void *dst, size_t len) {
    int64_t n = eddyi_host_real.getdents(ctx, fd, dst, len);
    atomic_fetch_add(&entered, 1);
    while (atomic_load(&hangs) && sem_wait(&gate) < 0) {
    }
    return n;
}

/* The loop's host, with a gate; for the rest of the process, which is the case's own. */
static void make_listings_hang(void) {
    static struct eddyi_host host;
    if (simulated()) {
        SKIP("the simulation runs jobs on the loop's own thread, where none may hang");
    }
    host = *eddyi_loop_here->host;
    host.getdents = getdents_behind_a_gate;
    eddyi_loop_here->host = &host;
    sem_init(&gate, 0, 0);
    atomic_store(&hangs, true);
}

static void next_times_out(eddy_dir *dir) {
    eddy_scope scope;
    eddy_dir_entry entry = {.name = "kept"};
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = 20 * EDDY_MS}));
    CHECK_ERR(eddy_dir_next(dir, &entry), -ETIME);
    CHECK_ERR(eddy_scope_leave(&scope, -ETIME), -ETIME);
    CHECK_STR(entry.name, "kept");
}

static int count_entries(eddy_dir *dir) {
    eddy_dir_entry entry;
    int count = 0;
    while (CHECK_OK(eddy_dir_next(dir, &entry)) > 0) {
        count++;
    }
    return count;
}

LOOP_TEST(a_listing_that_hangs_is_abandoned_and_loses_no_entry) {
    eddy_dir *dir;
    put_text("one", "");
    put_text("two", "");
    make_listings_hang();
    CHECK_OK(eddy_dir_open(test_tmpdir(), &dir));
    next_times_out(dir);
    next_times_out(dir); /* still the same */
    CHECK_EQ(entered, 1);
    CHECK_ERR(eddy_dir_rewind(dir), -EBUSY);
    atomic_store(&hangs, false);
    sem_post(&gate);
    CHECK_EQ(count_entries(dir), 2); /* waited for again */
    CHECK_OK(eddy_dir_rewind(dir));
    CHECK_EQ(count_entries(dir), 2);
    CHECK_OK(eddy_dir_close(dir));
}

/* It ends while nobody looks. */
static void abandon_and_end(eddy_dir *dir) {
    next_times_out(dir);
    atomic_store(&hangs, false);
    sem_post(&gate);
    while (eddy_dir_rewind(dir) == -EBUSY) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
}

LOOP_TEST(what_an_abandoned_listing_brought_is_forgotten_by_a_rewind) {
    eddy_dir *dir;
    put_text("one", "");
    make_listings_hang();
    CHECK_OK(eddy_dir_open(test_tmpdir(), &dir));
    abandon_and_end(dir);
    CHECK_EQ(count_entries(dir), 1);
    CHECK_OK(eddy_dir_close(dir));
}

LOOP_TEST(an_abandoned_listing_that_has_ended_is_used_as_it_is) {
    eddy_dir *dir;
    put_text("one", "");
    make_listings_hang();
    CHECK_OK(eddy_dir_open(test_tmpdir(), &dir));
    next_times_out(dir);
    sem_post(&gate);
    /* So it has most likely ended; if not, it is waited for. */
    eddy_stat st;
    for (int i = 0; i < 20; i++) {
        CHECK_OK(eddy_stat_path("/", 0, &st));
        CHECK_OK(eddy_sleep(EDDY_MS / 4));
    }
    atomic_store(&hangs, false);
    CHECK_EQ(count_entries(dir), 1);
    CHECK_OK(eddy_dir_close(dir));
}

LOOP_TEST(a_folder_is_closed_under_a_listing_that_hangs) {
    eddy_dir *dir;
    int64_t blocks = eddy_memory_blocks();
    make_listings_hang();
    CHECK_OK(eddy_dir_open(test_tmpdir(), &dir));
    next_times_out(dir);
    CHECK_OK(eddy_dir_close(dir));
    CHECK(eddy_memory_blocks() > blocks);
    atomic_store(&hangs, false);
    sem_post(&gate);
    while (eddy_memory_blocks() > blocks) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
}

static int64_t list_once(void *arg) {
    eddy_dir *dir;
    eddy_dir_entry entry;
    int r = eddy_dir_open(arg, &dir);
    if (r < 0) {
        return r;
    }
    r = eddy_dir_next(dir, &entry);
    CHECK_OK(eddy_dir_close(dir));
    return r;
}

LOOP_TEST(every_allocation_may_fail) {
    CHECK(test_each_allocation_fails(list_once, (void *)(uintptr_t)test_tmpdir()) > 4);
}

static int64_t use_foreign(void *arg) {
    eddy_dir *dir = arg;
    eddy_dir_entry entry;
    eddy_stream *file;
    CHECK_ERR(eddy_dir_next(dir, &entry), EDDY_EWRONGLOOP);
    CHECK_ERR(eddy_dir_rewind(dir), EDDY_EWRONGLOOP);
    CHECK_ERR(eddy_dir_close(dir), EDDY_EWRONGLOOP);
    /* Names are looked up from it on any loop. */
    CHECK_OK(eddy_file_open_at(dir, "file", EDDY_FILE_READ, 0, &file));
    return eddy_stream_close(file);
}

static int64_t open_it(void *arg) {
    return eddy_dir_open(test_tmpdir(), arg);
}

static int64_t close_it(void *arg) {
    return eddy_dir_close(arg);
}

static eddy_loop *new_loop(void) {
    eddy_loop *loop;
    int r = eddy_loop_new(NULL, &loop);
    if (r == EDDY_EDRIVER) {
        SKIP("the driver cannot start here");
    }
    CHECK_OK(r);
    return loop;
}

TEST(a_folder_of_another_loop_is_only_looked_up_from) {
    eddy_dir *dir;
    eddy_loop *one = new_loop();
    eddy_loop *two = new_loop();
    put_text("file", "");
    CHECK_OK(eddy_loop_call(one, open_it, &dir));
    CHECK_OK(eddy_loop_call(two, use_foreign, dir));
    CHECK_OK(eddy_loop_call(one, close_it, dir));
    eddy_loop_free(two);
    eddy_loop_free(one);
}
