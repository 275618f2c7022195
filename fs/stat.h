/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of a file: its kind, size, times and the rest.
 *
 *     eddy_stat st;
 *     int r = eddy_stat_path("/etc/passwd", 0, &st);
 *     if (r == 0 && st.kind == EDDY_STAT_FILE) {
 *         printf("%lld bytes\n", (long long)st.size_bytes);
 *     }
 */
#ifndef EDDY_FS_STAT_H
#define EDDY_FS_STAT_H

#include <eddy/fs/dir.h>
#include <eddy/runtime/io/stream.h>

EDDY_BEGIN_DECLS

typedef enum eddy_stat_kind {
    EDDY_STAT_UNKNOWN = 0, /* in listings of file systems that do not say */
    EDDY_STAT_FILE,
    EDDY_STAT_DIR,
    EDDY_STAT_LINK,
    EDDY_STAT_PIPE,
    EDDY_STAT_SOCKET,
    EDDY_STAT_CHAR,
    EDDY_STAT_BLOCK,
} eddy_stat_kind;

typedef struct eddy_stat {
    eddy_stat_kind kind;
    uint32_t mode; /* permissions: 07777 */
    uint32_t uid;
    uint32_t gid;
    uint64_t dev;
    uint64_t ino;
    uint64_t links;
    uint64_t rdev; /* CHAR, BLOCK */
    int64_t size_bytes;
    int64_t blocks;      /* of 512 bytes */
    int64_t block_bytes; /* what is best read at once */
    int64_t atime_ns;    /* since 1970, UTC */
    int64_t mtime_ns;
    int64_t ctime_ns;
} eddy_stat;

enum eddy_stat_flags {
    EDDY_STAT_NOFOLLOW = 1, /* of a symbolic link itself */
};

/**
 * What is known of the file at `path`: stat(2) and lstat(2).
 *
 * Shape:   path is bytes up to a NUL; relative to the present folder.
 * Owns:    copies path.
 * Errors:  -ENOENT, -ENOTDIR, -EACCES, -ELOOP, -ENAMETOOLONG ... as stat(2); -EINVAL; -ENOMEM;
 *          EDDY_ENOTASK.
 * Threads: fiber.
 * Cancel:  suspends; a stat that hangs (a dead network mount) is abandoned.
 */
EDDY_API int eddy_stat_path(const char *path, unsigned flags, eddy_stat *ret_stat);

/**
 * As eddy_stat_path, below a folder and never outside of it, whatever links and ".." say.
 *
 * Shape:   path is relative to `dir`, which may belong to another loop. "." is dir itself.
 * Owns:    copies path; borrows dir until it returns.
 * Errors:  -EXDEV the path leads outside of dir; as eddy_stat_path; -EMFILE.
 * Threads: fiber.
 * Cancel:  as eddy_stat_path.
 */
EDDY_API int eddy_stat_at(eddy_dir *dir, const char *path, unsigned flags, eddy_stat *ret_stat);

/**
 * What is known of an open file.
 *
 * Shape:   file is a stream with a descriptor of the kernel's. No server is asked, so that it
 *          cannot hang: on a network mount it is what this machine has learnt when it opened the
 *          file, or since. eddy_stat_path asks.
 * Owns:    nothing.
 * Errors:  -ENOTSUP the stream has no descriptor; EDDY_EWRONGLOOP; EDDY_ECLOSED.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_stat_file(const eddy_stream *file, eddy_stat *ret_stat);

EDDY_END_DECLS

#endif
