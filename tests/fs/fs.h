/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of files share: names and contents in the case's own folder. */
#ifndef EDDY_TESTS_FS_FS_H
#define EDDY_TESTS_FS_FS_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <eddy/fs/dir.h>
#include <eddy/fs/file.h>
#include <eddy/fs/open_impl.h>
#include <eddy/fs/stat.h>
#include <eddy/runtime/task/scope.h>

#include "test.h"

/* "<the case's folder>/name", in one of a few rooms that are used in turn. */
static inline const char *in_tmp(const char *name) {
    static char rooms[8][PATH_MAX];
    static unsigned next;
    char *room = rooms[next++ % 8];
    snprintf(room, PATH_MAX, "%s/%s", test_tmpdir(), name);
    return room;
}

static inline void put(const char *name, const char *data, size_t len) {
    int fd = open(in_tmp(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, data, len), len);
    close(fd);
}

static inline void put_text(const char *name, const char *text) {
    put(name, text, strlen(text));
}

static inline void check_content(const char *name, const char *text) {
    char got[256];
    int fd = open(in_tmp(name), O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    ssize_t n = read(fd, got, sizeof got);
    close(fd);
    CHECK_BYTES(got, (size_t)n, text, strlen(text));
}

static inline void open_now(const char *name, unsigned flags, eddy_stream **ret_file) {
    CHECK_OK(eddy_file_open(in_tmp(name), flags, 0, ret_file));
}

/* Every descriptor but those that are open is refused from here on; gives what was before. */
static inline struct rlimit no_more_descriptors(void) {
    struct rlimit before;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    int fd = dup(0); /* the lowest that is free: all below it are in use */
    CHECK(fd >= 0);
    close(fd);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)fd, before.rlim_max}), 0);
    return before;
}

static inline bool simulated(void) {
    return strcmp(test_driver(), "sim") == 0;
}

/* An open that hangs on an offload thread, as on a dead mount: a pipe that nobody writes to.
 * O_CREAT keeps it from being tried at once. */
static inline int open_hanging(const char *fifo) {
    struct eddyi_open hanging = {.dirfd = -1, .path = fifo, .flags = O_RDONLY | O_CREAT};
    return eddyi_open(eddyi_task_here, &hanging);
}

#endif
