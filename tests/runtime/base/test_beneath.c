/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/base/beneath_impl.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test.h"

/* ---- help ------------------------------------------------------------------------------------ */

static int kernels_own(int root, const char *path, int flags, mode_t mode) {
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .mode = (flags & O_CREAT) != 0 ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
        SKIP("the kernel has no openat2 to compare with");
    }
    return fd < 0 ? -errno : fd;
}

static int open_root(void) {
    int root = open(test_tmpdir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(root >= 0);
    return root;
}

static void make_file(int root, const char *name) {
    int fd = openat(root, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    close(fd);
}

/* Opens the path both ways: the same error, or the same file. */
static void compare(int root, const char *path, int flags) {
    int wanted = kernels_own(root, path, flags, 0600);
    int got = eddyi_open_beneath(root, path, flags, 0600);
    if (wanted < 0 || got < 0) {
        if (wanted != got) {
            fprintf(stderr, "path \"%s\", flags %#o\n", path, (unsigned)flags);
        }
        CHECK_EQ(got, wanted);
        return;
    }
    struct stat a;
    struct stat b;
    CHECK_EQ(fstat(wanted, &a), 0);
    CHECK_EQ(fstat(got, &b), 0);
    CHECK_EQ(a.st_ino, b.st_ino);
    CHECK_EQ(a.st_dev, b.st_dev);
    CHECK_EQ(fcntl(got, F_GETFD), FD_CLOEXEC);
    /* That no link is to be followed stays with the file, and means nothing there. */
    CHECK_EQ(fcntl(wanted, F_GETFL) | O_NOFOLLOW, fcntl(got, F_GETFL) | O_NOFOLLOW);
    close(wanted);
    close(got);
}

/* ---- claims ---------------------------------------------------------------------------------- */

static void make_tree(int root) {
    CHECK_EQ(mkdirat(root, "in", 0755), 0);
    CHECK_EQ(mkdirat(root, "in/a", 0755), 0);
    CHECK_EQ(mkdirat(root, "in/a/b", 0755), 0);
    make_file(root, "secret");
    make_file(root, "in/file");
    make_file(root, "in/a/b/deep");
    CHECK_EQ(symlinkat("../secret", root, "in/up"), 0);
    CHECK_EQ(symlinkat("/etc/passwd", root, "in/absolute"), 0);
    CHECK_EQ(symlinkat("b/deep", root, "in/a/down"), 0);
    CHECK_EQ(symlinkat("../a/./b//", root, "in/a/around"), 0);
    CHECK_EQ(symlinkat("a/down", root, "in/two"), 0);
    CHECK_EQ(symlinkat("self", root, "in/self"), 0);
    CHECK_EQ(symlinkat("new", root, "in/dangling"), 0);
    CHECK_EQ(symlinkat("../../in/file", root, "in/a/out_and_in"), 0);
    CHECK_EQ(symlinkat(".", root, "in/here"), 0);
}

TEST(a_path_leads_where_the_kernel_has_it_lead) {
    static const char *const paths[] = {
        "file",
        "./file",
        "a/../file",
        "a/b/../../file",
        "a//b///deep",
        "a/b/deep/",
        "a/b/",
        "a/b/.",
        "a/b/..",
        "..",
        "../secret",
        "../in/file",
        "a/../../in/file",
        "up",
        "absolute",
        "/",
        "/file",
        "",
        ".",
        "./",
        "none",
        "none/file",
        "none/../file",
        "file/",
        "file/.",
        "file/..",
        "file/x",
        "two",
        "two/",
        "a/around",
        "a/around/deep",
        "a/around/../../file",
        "self",
        "self/x",
        "dangling",
        "dangling/",
        "a/out_and_in",
        "here/here/here/file",
        "here/..",
        "here/",
        "a/down/",
    };
    static const int flags[] = {
        O_RDONLY,
        O_WRONLY,
        O_RDONLY | O_DIRECTORY,
        O_RDONLY | O_NOFOLLOW,
        O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
        O_RDWR | O_APPEND,
        O_PATH,
        O_PATH | O_NOFOLLOW,
        O_PATH | O_DIRECTORY,
    };
    int top = open_root();
    make_tree(top);
    int root = openat(top, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(root >= 0);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        for (size_t k = 0; k < sizeof flags / sizeof flags[0]; k++) {
            compare(root, paths[i], flags[k]);
        }
    }
    close(root);
    close(top);
}

TEST(a_file_is_made_where_the_path_leads) {
    int root = open_root();
    CHECK_EQ(mkdirat(root, "a", 0755), 0);
    CHECK_EQ(symlinkat("../new", root, "a/link"), 0);
    CHECK_EQ(symlinkat("../../new", root, "a/out"), 0);
    int fd = (int)CHECK_OK(eddyi_open_beneath(root, "a/link", O_WRONLY | O_CREAT, 0640));
    close(fd);
    struct stat st;
    CHECK_EQ(fstatat(root, "new", &st, AT_SYMLINK_NOFOLLOW), 0);
    CHECK_EQ(st.st_mode & 07777, 0640);
    int exclusive = O_WRONLY | O_CREAT | O_EXCL;
    CHECK_ERR(eddyi_open_beneath(root, "new", exclusive, 0600), -EEXIST);
    CHECK_ERR(eddyi_open_beneath(root, "a/link", exclusive, 0600), -EEXIST);
    CHECK_ERR(eddyi_open_beneath(root, "a/out", O_WRONLY | O_CREAT, 0600), -EXDEV);
    CHECK_ERR(eddyi_open_beneath(root, "a/b/", O_WRONLY | O_CREAT, 0600), -ENOENT);
    CHECK_ERR(eddyi_open_beneath(root, "a/", O_WRONLY | O_CREAT, 0600), -EISDIR);
    close(root);
}

TEST(long_names_and_long_chains_are_the_kernels) {
    int root = open_root();
    char path[PATH_MAX + 2];
    memset(path, 'x', NAME_MAX);
    path[NAME_MAX] = '\0';
    make_file(root, path);
    compare(root, path, O_RDONLY);
    memset(path, 'x', NAME_MAX + 1);
    path[NAME_MAX + 1] = '\0';
    compare(root, path, O_RDONLY);
    for (size_t i = 0; i < sizeof path - 1; i++) {
        path[i] = i % 2 == 0 ? '.' : '/';
    }
    for (size_t len = PATH_MAX - 2; len <= PATH_MAX + 1; len++) {
        path[len] = '\0';
        compare(root, path, O_RDONLY);
        path[len] = len % 2 == 0 ? '.' : '/';
    }
    /* Link n leads to link n + 1: forty are followed. */
    make_file(root, "end");
    for (int i = 0; i < 50; i++) {
        char name[16];
        char next[16];
        snprintf(name, sizeof name, "l%d", i);
        snprintf(next, sizeof next, "l%d", i + 1);
        CHECK_EQ(symlinkat(i == 49 ? "end" : next, root, name), 0);
    }
    for (int i = 0; i < 50; i++) {
        snprintf(path, sizeof path, "l%d", i);
        compare(root, path, O_RDONLY);
    }
    close(root);
}

TEST(a_walk_needs_two_descriptors_and_leaves_none) {
    int root = open_root();
    struct rlimit before;
    make_tree(root);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(root);
    CHECK(next >= 0);
    close(next);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)next + 2, before.rlim_max}), 0);
    int fd = (int)CHECK_OK(eddyi_open_beneath(root, "in/a/around/../../two", O_RDONLY, 0));
    CHECK_ERR(eddyi_open_beneath(root, "in/a/b/deep", O_RDONLY, 0), -EMFILE);
    close(fd);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(root);
}

/* ---- a model --------------------------------------------------------------------------------- */

/* Random trees of three names, in which links lead anywhere, and random paths through them. */
static void random_path(char *path, bool absolute) {
    static const char *const names[] = {"a", "b", "c", ".", "..", "a", "b"};
    size_t len = 0;
    path[0] = '\0';
    if (absolute && test_random_below(20) == 0) {
        path[len++] = '/';
        path[len] = '\0';
    }
    for (uint64_t k = 1 + test_random_below(5); k > 0; k--) {
        const char *name = names[test_random_below(sizeof names / sizeof names[0])];
        const char *slash = k > 1 || test_random_below(8) == 0 ? "/" : "";
        len += (size_t)snprintf(path + len, 64 - len, "%s%s", name, slash);
    }
}

static void add_randomly(int root) {
    char path[64];
    char text[64];
    for (int i = 0; i < 40; i++) {
        random_path(path, false);
        switch (test_random_below(4)) {
        case 0:
            random_path(text, true);
            (void)!symlinkat(text, root, path);
            break;
        case 1: {
            int fd = openat(root, path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
            if (fd >= 0) {
                close(fd);
            }
            break;
        }
        default:
            (void)!mkdirat(root, path, 0755);
            break;
        }
    }
}

TEST(random_paths_lead_where_the_kernel_has_them_lead) {
    static const int flags[] = {O_RDONLY, O_RDONLY | O_DIRECTORY, O_RDONLY | O_NOFOLLOW};
    int rounds = test_is_slow() ? 20 : 200;
    int top = open_root();
    for (int i = 0; i < rounds; i++) {
        char path[64];
        snprintf(path, sizeof path, "%d", i);
        CHECK_EQ(mkdirat(top, path, 0755), 0);
        int outer = openat(top, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK_EQ(mkdirat(outer, "a", 0755), 0);
        int root = openat(outer, "a", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(root >= 0);
        add_randomly(root);
        for (int k = 0; k < 200; k++) {
            random_path(path, true);
            compare(root, path, flags[test_random_below(3)]);
        }
        close(root);
        close(outer);
    }
    close(top);
}

/* ---- somebody who moves things --------------------------------------------------------------- */

struct mover {
    int root;
    _Atomic bool ended;
};

/* Swaps a folder for a link that leads out, and moves the folder below it out and back. */
static void *move_things(void *arg) {
    struct mover *mover = arg;
    while (!atomic_load(&mover->ended)) {
        syscall(SYS_renameat2, mover->root, "in/a", mover->root, "in/evil", 2 /* EXCHANGE */);
        syscall(SYS_renameat2, mover->root, "in/x/y", mover->root, "y", 0);
        syscall(SYS_renameat2, mover->root, "y", mover->root, "in/x/y", 0);
    }
    return NULL;
}

TEST(whoever_moves_things_meanwhile_leads_nobody_out) {
    static const char *const paths[] = {"in/a/secret", "in/x/y/../../secret",
                                        "in/x/y/../../a/secret", "in/evil/secret",
                                        "in/x/y/z/../../../secret"};
    int top = open_root();
    struct stat secret;
    int reached = 0;
    CHECK_EQ(mkdirat(top, "in", 0755), 0);
    CHECK_EQ(mkdirat(top, "in/a", 0755), 0);
    CHECK_EQ(mkdirat(top, "in/x", 0755), 0);
    CHECK_EQ(mkdirat(top, "in/x/y", 0755), 0);
    CHECK_EQ(mkdirat(top, "in/x/y/z", 0755), 0);
    CHECK_EQ(symlinkat("..", top, "in/evil"), 0);
    make_file(top, "secret");
    make_file(top, "in/a/secret");
    CHECK_EQ(fstatat(top, "secret", &secret, 0), 0);
    int root = openat(top, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(root >= 0);
    struct mover mover = {.root = top};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, move_things, &mover), 0);
    int rounds = test_is_slow() ? 2000 : 20000;
    for (int i = 0; i < rounds; i++) {
        struct stat st;
        const char *path = paths[i % (int)(sizeof paths / sizeof paths[0])] + strlen("in/");
        int fd = eddyi_open_beneath(root, path, O_RDONLY, 0);
        if (fd >= 0) {
            CHECK_EQ(fstat(fd, &st), 0);
            CHECK(st.st_ino != secret.st_ino);
            close(fd);
            reached++;
        } else {
            CHECK(fd == -ENOENT || fd == -EXDEV || fd == -EAGAIN || fd == -ENOTDIR);
        }
    }
    atomic_store(&mover.ended, true);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(reached > 0);
    close(root);
    close(top);
}
