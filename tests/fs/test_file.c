/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/fs/file.h>

#include "fs/fs.h"
#include "runtime/io/io.h"

#include <eddy/futures/future.h>
#include <eddy/runtime/io/copy.h>

#define BOTH (EDDY_FILE_READ | EDDY_FILE_WRITE)

/* ---- opening --------------------------------------------------------------------------------- */

LOOP_TEST(flags_that_make_no_sense_are_refused) {
    static const unsigned bad[] = {
        0,
        EDDY_FILE_CREATE,
        EDDY_FILE_READ | EDDY_FILE_TRUNCATE,
        EDDY_FILE_READ | EDDY_FILE_APPEND,
        EDDY_FILE_WRITE | EDDY_FILE_EXCLUSIVE,
        EDDY_FILE_READ | 1U << 30,
    };
    eddy_stream *file = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_ERR(eddy_file_open(in_tmp("file"), bad[i], 0, &file), -EINVAL);
    }
    CHECK_ERR(eddy_file_open(in_tmp("file"), BOTH, 010000, &file), -EINVAL);
    CHECK_ERR(eddy_file_open(NULL, BOTH, 0, &file), -EINVAL);
    CHECK_ERR(eddy_file_open_at(NULL, "file", BOTH, 0, &file), -EINVAL);
    CHECK_PTR_EQ(file, NULL);
}

LOOP_TEST(errors_of_open_are_the_kernels) {
    eddy_stream *file = NULL;
    put_text("file", "");
    CHECK_EQ(symlink("file", in_tmp("link")), 0);
    CHECK_ERR(eddy_file_open(in_tmp("none"), EDDY_FILE_READ, 0, &file), -ENOENT);
    CHECK_ERR(eddy_file_open("", EDDY_FILE_READ, 0, &file), -ENOENT);
    CHECK_ERR(eddy_file_open(in_tmp("file/x"), EDDY_FILE_READ, 0, &file), -ENOTDIR);
    CHECK_ERR(eddy_file_open(test_tmpdir(), EDDY_FILE_READ, 0, &file), -EISDIR);
    CHECK_ERR(eddy_file_open(test_tmpdir(), BOTH, 0, &file), -EISDIR);
    CHECK_ERR(eddy_file_open(in_tmp("link"), EDDY_FILE_READ | EDDY_FILE_NOFOLLOW, 0, &file),
              -ELOOP);
    unsigned new_only = EDDY_FILE_WRITE | EDDY_FILE_CREATE | EDDY_FILE_EXCLUSIVE;
    CHECK_ERR(eddy_file_open(in_tmp("file"), new_only, 0, &file), -EEXIST);
    struct rlimit before = no_more_descriptors();
    CHECK_ERR(eddy_file_open(in_tmp("file"), EDDY_FILE_READ, 0, &file), -EMFILE);
    CHECK_ERR(eddy_file_open(in_tmp("new"), EDDY_FILE_WRITE | EDDY_FILE_CREATE, 0, &file), -EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_PTR_EQ(file, NULL);
}

LOOP_TEST(an_open_tells_what_it_opened) {
    eddy_dir *dir;
    eddy_stream *file = NULL;
    eddy_stat st = {.size_bytes = 77};
    eddy_stat later;
    put_text("file", "twelve bytes");
    CHECK_EQ(mkfifo(in_tmp("pipe"), 0644), 0);
    CHECK_OK(eddy_dir_open(test_tmpdir(), &dir));
    CHECK_ERR(eddy_file_open_stat(dir, "none", EDDY_FILE_READ, 0, &file, &st), -ENOENT);
    CHECK_ERR(eddy_file_open_stat(dir, "../x", EDDY_FILE_READ, 0, &file, &st), -EXDEV);
    CHECK_ERR(eddy_file_open_stat(dir, ".", EDDY_FILE_READ, 0, &file, &st), -EISDIR);
    CHECK_ERR(eddy_file_open_stat(dir, "file", EDDY_FILE_READ, 0, &file, NULL), -EINVAL);
    CHECK_ERR(eddy_file_open_stat(dir, "file", EDDY_FILE_READ, 0, NULL, &st), -EINVAL);
    CHECK_EQ(st.size_bytes, 77);
    CHECK(file == NULL);
    CHECK_OK(eddy_file_open_stat(dir, "file", EDDY_FILE_READ, 0, &file, &st));
    CHECK_OK(eddy_stat_file(file, &later));
    CHECK_BYTES(&st, sizeof st, &later, sizeof later);
    CHECK_EQ(st.size_bytes, 12);
    CHECK_OK(eddy_stream_close(file));
    CHECK_OK(eddy_file_open_stat(NULL, in_tmp("pipe"), EDDY_FILE_READ, 0, &file, &st));
    CHECK_EQ(st.kind, EDDY_STAT_PIPE);
    CHECK_OK(eddy_stream_close(file));
    CHECK_OK(eddy_dir_close(dir));
}

LOOP_TEST(a_new_file_has_the_mode_less_the_umask) {
    eddy_stream *file;
    struct stat st;
    umask(027);
    CHECK_OK(eddy_file_open(in_tmp("a"), EDDY_FILE_WRITE | EDDY_FILE_CREATE, 0, &file));
    CHECK_OK(eddy_stream_close(file));
    CHECK_OK(eddy_file_open(in_tmp("b"), EDDY_FILE_WRITE | EDDY_FILE_CREATE, 0777, &file));
    CHECK_OK(eddy_stream_close(file));
    CHECK_EQ(stat(in_tmp("a"), &st), 0);
    CHECK_EQ(st.st_mode & 07777, 0640);
    CHECK_EQ(stat(in_tmp("b"), &st), 0);
    CHECK_EQ(st.st_mode & 07777, 0750);
}

LOOP_TEST(truncate_empties_and_create_alone_does_not) {
    eddy_stream *file;
    put_text("file", "old");
    open_now("file", EDDY_FILE_WRITE | EDDY_FILE_CREATE, &file);
    CHECK_OK(eddy_stream_close(file));
    check_content("file", "old");
    open_now("file", EDDY_FILE_WRITE | EDDY_FILE_TRUNCATE, &file);
    CHECK_OK(eddy_stream_close(file));
    check_content("file", "");
}

LOOP_TEST(a_pipe_hangs_no_open_and_has_no_position) {
    eddy_stream *reader;
    eddy_stream *writer = NULL;
    char buf[8];
    CHECK_EQ(mkfifo(in_tmp("pipe"), 0600), 0);
    CHECK_ERR(eddy_file_open(in_tmp("pipe"), EDDY_FILE_WRITE, 0, &writer), -ENXIO);
    open_now("pipe", EDDY_FILE_READ, &reader);
    open_now("pipe", EDDY_FILE_WRITE, &writer);
    CHECK_STR(eddy_stream_kind(reader), "pipe");
    CHECK_ERR(eddy_file_seek(reader, 0, SEEK_SET), -ESPIPE);
    CHECK_ERR(eddy_file_tell(reader), -ESPIPE);
    CHECK_ERR(eddy_file_pread(reader, buf, 1, 0), -ESPIPE);
    CHECK_OK(eddy_stream_write(writer, "hello", 5));
    CHECK_EQ(eddy_stream_read(reader, buf, sizeof buf), 5);
    CHECK_BYTES(buf, 5, "hello", 5);
    CHECK_OK(eddy_stream_close(writer));
    CHECK_EQ(eddy_stream_read(reader, buf, sizeof buf), 0);
    CHECK_OK(eddy_stream_close(reader));
}

/* ---- reading and writing --------------------------------------------------------------------- */

LOOP_TEST(reads_and_writes_share_one_position) {
    eddy_stream *file;
    char buf[16];
    open_now("file", BOTH | EDDY_FILE_CREATE, &file);
    CHECK_STR(eddy_stream_kind(file), "file");
    CHECK_OK(eddy_stream_write(file, "0123456789", 10));
    CHECK_EQ(eddy_file_tell(file), 10);
    CHECK_EQ(eddy_stream_read(file, buf, sizeof buf), 0);
    CHECK_EQ(eddy_file_seek(file, 4, SEEK_SET), 4);
    CHECK_EQ(eddy_stream_read(file, buf, 3), 3);
    CHECK_BYTES(buf, 3, "456", 3);
    CHECK_OK(eddy_stream_write(file, "xy", 2));
    CHECK_EQ(eddy_stream_read_try(file, buf, sizeof buf), 1);
    CHECK_EQ(eddy_file_tell(file), 10);
    CHECK_EQ(eddy_stream_count_written(file), 12);
    CHECK_EQ(eddy_file_seek(file, -3, SEEK_CUR), 7);
    CHECK_EQ(eddy_file_seek(file, -2, SEEK_END), 8);
    CHECK_EQ(eddy_file_seek(file, 5, SEEK_END), 15);
    CHECK_ERR(eddy_file_seek(file, -1, SEEK_SET), -EINVAL);
    CHECK_ERR(eddy_file_seek(file, -16, SEEK_CUR), -EINVAL);
    CHECK_ERR(eddy_file_seek(file, INT64_MAX, SEEK_CUR), -EINVAL);
    CHECK_ERR(eddy_file_seek(file, 0, SEEK_DATA), -EINVAL);
    CHECK_EQ(eddy_file_tell(file), 15);
    CHECK_OK(eddy_file_sync(file, false));
    CHECK_OK(eddy_file_sync(file, true));
    CHECK_OK(eddy_stream_close(file));
    check_content("file", "0123456xy9");
}

LOOP_TEST(pread_and_pwrite_leave_the_position) {
    eddy_stream *file;
    char buf[16];
    open_now("file", BOTH | EDDY_FILE_CREATE, &file);
    CHECK_OK(eddy_file_pwrite(file, "end", 3, 5));
    CHECK_OK(eddy_file_pwrite(file, "begin", 5, 0));
    CHECK_OK(eddy_file_pwrite(file, "", 0, 0));
    CHECK_EQ(eddy_file_tell(file), 0);
    CHECK_EQ(eddy_file_pread(file, buf, sizeof buf, 3), 5);
    CHECK_BYTES(buf, 5, "inend", 5);
    CHECK_EQ(eddy_file_pread(file, buf, sizeof buf, 8), 0);
    CHECK_EQ(eddy_file_pread(file, buf, sizeof buf, 1000), 0);
    CHECK_EQ(eddy_file_tell(file), 0);
    CHECK_EQ(eddy_stream_count_read(file), 5);
    CHECK_EQ(eddy_stream_count_written(file), 8);
    CHECK_ERR(eddy_file_pread(file, buf, 0, 0), -EINVAL);
    CHECK_ERR(eddy_file_pread(file, buf, 1, -1), -EINVAL);
    CHECK_ERR(eddy_file_pwrite(file, buf, 1, -1), -EINVAL);
    CHECK_ERR(eddy_file_pwrite(file, buf, 2, INT64_MAX - 1), -EFBIG);
    CHECK_OK(eddy_stream_close(file));
}

LOOP_TEST(what_was_not_opened_for_it_gives_ebadf) {
    eddy_stream *file;
    char byte = 0;
    put_text("file", "x");
    open_now("file", EDDY_FILE_READ, &file);
    CHECK_ERR(eddy_stream_write(file, "y", 1), -EBADF);
    CHECK_ERR(eddy_file_pwrite(file, "y", 1, 0), -EBADF);
    CHECK_OK(eddy_stream_close(file));
    open_now("file", EDDY_FILE_WRITE, &file);
    CHECK_ERR(eddy_stream_read(file, &byte, 1), -EBADF);
    CHECK_ERR(eddy_file_pread(file, &byte, 1, 0), -EBADF);
    CHECK_OK(eddy_stream_close(file));
}

LOOP_TEST(appended_bytes_go_to_the_end_whoever_moved_it) {
    eddy_stream *one;
    eddy_stream *two;
    put_text("log", "a");
    open_now("log", BOTH | EDDY_FILE_APPEND, &one);
    open_now("log", EDDY_FILE_WRITE | EDDY_FILE_APPEND, &two);
    CHECK_OK(eddy_stream_write(one, "b", 1));
    CHECK_EQ(eddy_file_tell(one), 2);
    CHECK_OK(eddy_stream_write(two, "cc", 2));
    CHECK_EQ(eddy_file_tell(two), 4);
    CHECK_EQ(eddy_file_seek(one, 0, SEEK_SET), 0);
    CHECK_OK(eddy_stream_write(one, "d", 1));
    CHECK_EQ(eddy_file_tell(one), 5);
    CHECK_OK(eddy_stream_close(one));
    CHECK_OK(eddy_stream_close(two));
    check_content("log", "abccd");
}

LOOP_TEST(a_file_that_grows_and_shrinks_is_read_as_it_is) {
    eddy_stream *file;
    char buf[16];
    put_text("file", "12345");
    open_now("file", EDDY_FILE_READ, &file);
    CHECK_EQ(eddy_stream_read(file, buf, 16), 5);
    CHECK_EQ(eddy_stream_read(file, buf, 16), 0);
    put_text("file", "1234567");
    CHECK_EQ(eddy_stream_read(file, buf, 16), 2);
    CHECK_EQ(truncate(in_tmp("file"), 3), 0);
    CHECK_EQ(eddy_stream_read(file, buf, 16), 0);
    CHECK_EQ(eddy_file_seek(file, 1, SEEK_SET), 1);
    CHECK_EQ(eddy_stream_read(file, buf, 16), 2);
    CHECK_EQ(eddy_file_seek(file, 0, SEEK_SET), 0);
    CHECK_ERR(eddy_stream_read_exact(file, buf, 4), EDDY_EEND);
    CHECK_OK(eddy_stream_close(file));
}

enum { BIG = 3 * 1024 * 1024 + 17, PART = 64 * 1024 };

struct part {
    eddy_stream *file;
    int64_t offset;
};

static int64_t read_part(void *arg) {
    struct part *part = arg;
    char *bytes = malloc(PART);
    CHECK(bytes != NULL);
    int64_t n = CHECK_OK(eddy_file_pread(part->file, bytes, PART, part->offset));
    check_pattern(bytes, (size_t)n, (size_t)part->offset);
    free(bytes);
    return n > 0 ? 0 : -EIO;
}

LOOP_TEST(many_tasks_read_one_file_at_once_from_the_disk_or_from_memory) {
    eddy_stream *file;
    char *bytes = malloc(BIG);
    CHECK(bytes != NULL);
    fill_pattern(bytes, BIG, 0);
    open_now("big", BOTH | EDDY_FILE_CREATE, &file);
    CHECK_OK(eddy_stream_write(file, bytes, BIG));
    CHECK_OK(eddy_file_sync(file, false));
    for (int round = 0; round < 2; round++) {
        if (round == 0) {
            posix_fadvise(eddy_stream_fd(file), 0, 0, POSIX_FADV_DONTNEED);
        }
        eddy_scope scope;
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        for (int64_t at = 0; at < BIG; at += PART) {
            struct part part = {file, at};
            CHECK_OK(eddy_spawn(read_part, &part, sizeof part));
        }
        CHECK_OK(eddy_scope_leave(&scope, 0));
    }
    memset(bytes, 0, BIG);
    CHECK_EQ(eddy_file_seek(file, 0, SEEK_SET), 0);
    CHECK_OK(eddy_stream_read_exact(file, bytes, BIG));
    check_pattern(bytes, BIG, 0);
    free(bytes);
    CHECK_OK(eddy_stream_close(file));
}

/* ---- to a socket ----------------------------------------------------------------------------- */

struct sender {
    eddy_stream *file;
    eddy_stream *socket;
    int64_t len;
};

static int64_t send_file(void *arg) {
    struct sender *sender = arg;
    int r = eddy_stream_copy(sender->socket, sender->file, sender->len);
    CHECK_OK(eddy_stream_shutdown(sender->socket));
    return r;
}

LOOP_TEST(a_part_of_a_file_goes_to_a_socket_and_the_position_follows) {
    enum { LEN = 700 * 1000, FROM = 1000, TAKEN = 600 * 1000 };
    struct sender sender = {.len = TAKEN};
    eddy_stream *peer;
    char *bytes = malloc(LEN);
    CHECK(bytes != NULL);
    fill_pattern(bytes, LEN, 0);
    put("file", bytes, LEN);
    open_now("file", EDDY_FILE_READ, &sender.file);
    CHECK_EQ(eddy_file_seek(sender.file, FROM, SEEK_SET), FROM);
    socket_pair(&sender.socket, &peer);
    eddy_future *sent = eddy_task_start(send_file, &sender, 0);
    memset(bytes, 0, LEN);
    CHECK_OK(eddy_stream_read_exact(peer, bytes, TAKEN));
    CHECK_EQ(eddy_stream_read(peer, bytes + TAKEN, 1), 0);
    CHECK_OK(eddy_await(sent));
    check_pattern(bytes, TAKEN, FROM);
    CHECK_EQ(eddy_file_tell(sender.file), FROM + TAKEN);
    free(bytes);
    CHECK_OK(eddy_stream_close(peer));
    CHECK_OK(eddy_stream_close(sender.socket));
    CHECK_OK(eddy_stream_close(sender.file));
}

LOOP_TEST(a_file_that_shrank_ends_a_copy_early) {
    struct sender sender = {.len = 100};
    eddy_stream *peer;
    put_text("file", "short");
    open_now("file", EDDY_FILE_READ, &sender.file);
    socket_pair(&sender.socket, &peer);
    CHECK_ERR(eddy_await(eddy_task_start(send_file, &sender, 0)), EDDY_EEND);
    CHECK_EQ(eddy_stream_count_written(sender.socket), 5);
    CHECK_OK(eddy_stream_close(peer));
    CHECK_OK(eddy_stream_close(sender.socket));
    CHECK_OK(eddy_stream_close(sender.file));
}

/* ---- closing and cancelling ------------------------------------------------------------------ */

static int begun;

static int64_t sync_or_read(void *arg) {
    struct part *part = arg;
    begun++;
    char byte;
    int64_t r = part->offset < 0 ? eddy_file_sync(part->file, false)
                                 : eddy_file_pread(part->file, &byte, 1, part->offset);
    CHECK(r == 0 || r == 1 || r == EDDY_ECLOSED);
    return 0;
}

LOOP_TEST(a_close_waits_for_syncs_and_reads_of_other_tasks) {
    for (int round = 0; round < 20; round++) {
        eddy_stream *file;
        open_now("file", BOTH | EDDY_FILE_CREATE, &file);
        CHECK_OK(eddy_stream_write(file, "x", 1));
        eddy_scope scope;
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        for (int i = 0; i < 8; i++) {
            struct part part = {file, i % 2 == 0 ? -1 : 0};
            CHECK_OK(eddy_spawn(sync_or_read, &part, sizeof part));
        }
        while (begun < 8) {
            CHECK_OK(eddy_yield());
        }
        begun = 0;
        CHECK_OK(eddy_stream_close(file));
        CHECK_OK(eddy_scope_leave(&scope, 0));
    }
}

LOOP_TEST(a_cancelled_task_reads_and_writes_nothing) {
    eddy_stream *file;
    eddy_scope scope;
    char byte = 'k';
    open_now("file", BOTH | EDDY_FILE_CREATE, &file);
    CHECK_OK(eddy_stream_write(file, "x", 1));
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_ERR(eddy_file_pread(file, &byte, 1, 0), -ECANCELED);
    CHECK_ERR(eddy_file_pwrite(file, "y", 1, 0), -ECANCELED);
    CHECK_ERR(eddy_stream_read(file, &byte, 1), -ECANCELED);
    CHECK_ERR(eddy_stream_write(file, "y", 1), -ECANCELED);
    CHECK_ERR(eddy_file_sync(file, false), -ECANCELED);
    CHECK_OK(eddy_stream_close(file)); /* never refused */
    eddy_scope_leave(&scope, 0);
    CHECK_EQ(byte, 'k');
    check_content("file", "x");
}

static int64_t write_once(void *arg) {
    eddy_stream *file;
    int r = eddy_file_open(arg, BOTH | EDDY_FILE_CREATE, 0, &file);
    if (r < 0) {
        return r;
    }
    r = eddy_stream_write(file, "x", 1);
    if (r == 0) {
        r = eddy_file_sync(file, true);
    }
    CHECK_OK(eddy_stream_close(file));
    return r;
}

LOOP_TEST(every_allocation_may_fail) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", in_tmp("file"));
    CHECK(test_each_allocation_fails(write_once, path) > 4);
}

TEST(a_thread_without_a_task_is_refused) {
    eddy_stream *file = NULL;
    CHECK_ERR(eddy_file_open("/", EDDY_FILE_READ, 0, &file), EDDY_ENOTASK);
}
