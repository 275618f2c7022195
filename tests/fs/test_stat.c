/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/fs/stat.h>

#include <eddy/runtime/io/memory.h>

#include "fs/fs.h"

LOOP_TEST(what_is_known_of_a_file_is_what_stat_says) {
    eddy_stat st;
    struct stat plain;
    put_text("file", "twelve bytes");
    CHECK_EQ(chmod(in_tmp("file"), 04751), 0);
    CHECK_EQ(stat(in_tmp("file"), &plain), 0);
    CHECK_OK(eddy_stat_path(in_tmp("file"), 0, &st));
    CHECK_EQ(st.kind, EDDY_STAT_FILE);
    CHECK_EQ(st.mode, 04751);
    CHECK_EQ(st.size_bytes, 12);
    CHECK_EQ(st.ino, plain.st_ino);
    CHECK_EQ(st.dev, plain.st_dev);
    CHECK_EQ(st.links, 1);
    CHECK_EQ(st.uid, getuid());
    CHECK_EQ(st.blocks, plain.st_blocks);
    CHECK_EQ(st.mtime_ns, (int64_t)plain.st_mtim.tv_sec * EDDY_S + plain.st_mtim.tv_nsec);
    CHECK_EQ(st.ctime_ns, (int64_t)plain.st_ctim.tv_sec * EDDY_S + plain.st_ctim.tv_nsec);
}

LOOP_TEST(each_kind_has_its_name) {
    static const struct {
        const char *name;
        eddy_stat_kind kind;
    } kinds[] = {{"dir", EDDY_STAT_DIR}, {"pipe", EDDY_STAT_PIPE}, {"link", EDDY_STAT_LINK}};
    eddy_stat st;
    CHECK_EQ(mkdir(in_tmp("dir"), 0755), 0);
    CHECK_EQ(mkfifo(in_tmp("pipe"), 0644), 0);
    CHECK_EQ(symlink("dir", in_tmp("link")), 0);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        CHECK_OK(eddy_stat_path(in_tmp(kinds[i].name), EDDY_STAT_NOFOLLOW, &st));
        CHECK_EQ(st.kind, kinds[i].kind);
    }
    CHECK_OK(eddy_stat_path(in_tmp("link"), 0, &st));
    CHECK_EQ(st.kind, EDDY_STAT_DIR);
    CHECK_OK(eddy_stat_path("/dev/null", 0, &st));
    CHECK_EQ(st.kind, EDDY_STAT_CHAR);
}

LOOP_TEST(errors_are_the_kernels_and_write_nothing) {
    eddy_stat st = {.size_bytes = 77};
    char long_name[300];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    put_text("file", "");
    CHECK_EQ(symlink("loop", in_tmp("loop")), 0);
    CHECK_ERR(eddy_stat_path(in_tmp("none"), 0, &st), -ENOENT);
    CHECK_ERR(eddy_stat_path("", 0, &st), -ENOENT);
    CHECK_ERR(eddy_stat_path(in_tmp("file/x"), 0, &st), -ENOTDIR);
    CHECK_ERR(eddy_stat_path(in_tmp("loop"), 0, &st), -ELOOP);
    CHECK_ERR(eddy_stat_path(long_name, 0, &st), -ENAMETOOLONG);
    CHECK_ERR(eddy_stat_path(NULL, 0, &st), -EINVAL);
    CHECK_ERR(eddy_stat_path("/", 8, &st), -EINVAL);
    CHECK_EQ(st.size_bytes, 77);
}

LOOP_TEST(a_path_is_seen_from_the_folder) {
    eddy_dir *dir;
    eddy_stat st;
    put_text("file", "abc");
    CHECK_OK(eddy_dir_open(test_tmpdir(), &dir));
    CHECK_OK(eddy_stat_at(dir, "file", 0, &st));
    CHECK_EQ(st.size_bytes, 3);
    CHECK_OK(eddy_stat_at(dir, ".", 0, &st));
    CHECK_EQ(st.kind, EDDY_STAT_DIR);
    CHECK_ERR(eddy_stat_at(dir, "none", 0, &st), -ENOENT);
    CHECK_ERR(eddy_stat_at(dir, "", 0, &st), -ENOENT);
    CHECK_ERR(eddy_stat_at(NULL, "file", 0, &st), -EINVAL);
    struct rlimit before = no_more_descriptors();
    CHECK_ERR(eddy_stat_at(dir, "file", 0, &st), -EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_OK(eddy_stat_at(dir, "file", 0, &st));
    CHECK_OK(eddy_dir_close(dir));
}

LOOP_TEST(nothing_is_known_of_what_lies_outside_of_the_folder) {
    static const char *const outside[] = {"..", "../file", "out", "/", "/etc/passwd", "passwd"};
    eddy_dir *dir;
    eddy_stat st = {.size_bytes = 77};
    put_text("file", "abc");
    CHECK_EQ(mkdir(in_tmp("sub"), 0755), 0);
    put_text("sub/file", "four");
    CHECK_EQ(symlink("../file", in_tmp("sub/out")), 0);
    CHECK_EQ(symlink("/etc/passwd", in_tmp("sub/passwd")), 0);
    CHECK_EQ(symlink("./file", in_tmp("sub/in")), 0);
    CHECK_OK(eddy_dir_open(in_tmp("sub"), &dir));
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        CHECK_ERR(eddy_stat_at(dir, outside[i], 0, &st), -EXDEV);
    }
    CHECK_EQ(st.size_bytes, 77);
    CHECK_OK(eddy_stat_at(dir, "in", 0, &st));
    CHECK_EQ(st.kind, EDDY_STAT_FILE);
    CHECK_EQ(st.size_bytes, 4);
    /* A link that leads out is still a link, and lies inside. */
    CHECK_OK(eddy_stat_at(dir, "passwd", EDDY_STAT_NOFOLLOW, &st));
    CHECK_EQ(st.kind, EDDY_STAT_LINK);
    CHECK_ERR(eddy_stat_at(dir, "../file", EDDY_STAT_NOFOLLOW, &st), -EXDEV);
    CHECK_OK(eddy_dir_close(dir));
}

LOOP_TEST(an_open_file_is_known_as_it_is_now) {
    eddy_stream *file;
    eddy_stat st;
    open_now("file", EDDY_FILE_WRITE | EDDY_FILE_CREATE, &file);
    CHECK_OK(eddy_stat_file(file, &st));
    CHECK_EQ(st.size_bytes, 0);
    CHECK_OK(eddy_stream_write(file, "12345", 5));
    CHECK_EQ(unlink(in_tmp("file")), 0);
    CHECK_OK(eddy_stat_file(file, &st));
    CHECK_EQ(st.size_bytes, 5);
    CHECK_EQ(st.links, 0);
    CHECK_OK(eddy_stream_close(file));
}

static int64_t stat_once(void *arg) {
    (void)arg;
    eddy_stat st;
    return eddy_stat_path("/", 0, &st);
}

LOOP_TEST(every_allocation_may_fail) {
    CHECK(test_each_allocation_fails(stat_once, NULL) > 2);
}

TEST(a_thread_without_a_task_is_refused) {
    eddy_stat st;
    CHECK_ERR(eddy_stat_path("/", 0, &st), EDDY_ENOTASK);
}
