/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files. An open one is an eddy_stream of kind "file" with a position, and has these verbs besides.
 *
 *     eddy_stream *file;
 *     int r = eddy_file_open("notes.txt", EDDY_FILE_READ, 0, &file);
 *     if (r == 0) {
 *         char buf[4096];
 *         int64_t n = eddy_stream_read(file, buf, sizeof buf);
 *         eddy_stream_close(file);
 *     }
 *
 * What is in memory is read at once; what the disk has to be asked for suspends the task. Writes
 * and everything that changes names run on the runtime's blocking threads.
 */
#ifndef EDDY_FS_FILE_H
#define EDDY_FS_FILE_H

#include <eddy/fs/dir.h>
#include <eddy/fs/stat.h>
#include <eddy/runtime/base/buffer.h>
#include <eddy/runtime/io/stream.h>

EDDY_BEGIN_DECLS

enum eddy_file_flags {
    EDDY_FILE_READ = 1,
    EDDY_FILE_WRITE = 2,
    EDDY_FILE_CREATE = 4,    /* make it when it is not there */
    EDDY_FILE_EXCLUSIVE = 8, /* with CREATE: -EEXIST when it is there */
    EDDY_FILE_TRUNCATE = 16, /* with WRITE: empty it */
    EDDY_FILE_APPEND = 32,   /* with WRITE: each write goes to the end */
    EDDY_FILE_NOFOLLOW = 64, /* -ELOOP when the last name is a symbolic link */
};

/**
 * Open a file.
 *
 * Shape:   flags have READ, WRITE or both; mode is the permissions of a new file, less the umask
 *          (0: 0666). A pipe or device is opened without waiting for its other end (to write to a
 *          pipe that nobody reads is -ENXIO), and has no position. The position of a file is one
 *          for reading and writing: two tasks that do so at once use pread and pwrite.
 * Owns:    copies path; *ret_file is closed with eddy_stream_close.
 * Errors:  -ENOENT, -EACCES, -EISDIR, -EEXIST, -ELOOP, -EMFILE ... as open(2); -EINVAL flags that
 *          make no sense together; -ENOMEM; EDDY_ENOTASK.
 * Threads: fiber.
 * Cancel:  suspends; an open that hangs is abandoned, and what it opens late is closed.
 */
EDDY_API int eddy_file_open(const char *path, unsigned flags, unsigned mode,
                            eddy_stream **ret_file);

/**
 * As eddy_file_open, below a folder and never outside of it, whatever links and ".." say.
 *
 * Shape:   path is relative to `dir`, which may belong to another loop; *ret_file belongs to
 *          this one.
 * Owns:    copies path; borrows dir until it returns.
 * Errors:  -EXDEV the path leads outside of dir; as eddy_file_open.
 * Threads: fiber.
 * Cancel:  as eddy_file_open.
 */
EDDY_API int eddy_file_open_at(eddy_dir *dir, const char *path, unsigned flags, unsigned mode,
                               eddy_stream **ret_file);

/**
 * Open a file and tell what it is: as eddy_file_open and eddy_stat_file, for one system call less.
 *
 * Shape:   dir NULL: as eddy_file_open; else as eddy_file_open_at.
 * Owns:    copies path; borrows dir until it returns; *ret_file is closed with eddy_stream_close.
 * Errors:  as eddy_file_open and eddy_file_open_at.
 * Threads: fiber.
 * Cancel:  as eddy_file_open.
 */
EDDY_API int eddy_file_open_stat(eddy_dir *dir, const char *path, unsigned flags, unsigned mode,
                                 eddy_stream **ret_file, eddy_stat *ret_stat);

/**
 * Read up to `cap` bytes at `offset`; the position stays.
 *
 * Shape:   1..cap, or 0 at and beyond the end. Several tasks may do so at once.
 * Owns:    borrows dst until it returns.
 * Errors:  -EIO; -EBADF not open for reading; -EINVAL; -ESPIPE no position; -ENOTSUP no file;
 *          EDDY_ECLOSED; EDDY_EWRONGLOOP; EDDY_ENOTASK.
 * Threads: fiber, on the file's loop.
 * Cancel:  suspends.
 */
EDDY_API int64_t eddy_file_pread(eddy_stream *file, void *dst, size_t cap, int64_t offset);

/**
 * Write all of `len` bytes at `offset`; the position stays.
 *
 * Shape:   0 when all are in the file. A gap beyond its end reads as zeros. In a file opened with
 *          EDDY_FILE_APPEND the bytes go to the end all the same, as pwrite(2) has it.
 * Owns:    borrows src until it returns.
 * Errors:  -ENOSPC, -EDQUOT, -EFBIG, -EIO; otherwise as eddy_file_pread.
 * Threads: fiber, on the file's loop.
 * Cancel:  suspends.
 */
EDDY_API int eddy_file_pwrite(eddy_stream *file, const void *src, size_t len, int64_t offset);

/**
 * Move the position.
 *
 * Shape:   returns the new position: `offset` bytes from the start (SEEK_SET), the present position
 *          (SEEK_CUR) or the end (SEEK_END), which is what this machine knows of it: no server is
 *          asked. It may lie behind the end: a read there is at the end of the file, a write leaves
 *          a gap that reads as zeros.
 * Owns:    nothing.
 * Errors:  -EINVAL before the start, or another `whence`; -EBUSY a task reads or writes there;
 *          -ESPIPE no position; -ENOTSUP no file; EDDY_ECLOSED; EDDY_EWRONGLOOP.
 * Threads: loop thread, the file's.
 * Cancel:  does not suspend.
 */
EDDY_API int64_t eddy_file_seek(eddy_stream *file, int64_t offset, int whence);

/**
 * Where the next read or write begins.
 *
 * Shape:   bytes from the start.
 * Owns:    nothing.
 * Errors:  -ESPIPE no position; -ENOTSUP no file; EDDY_EWRONGLOOP.
 * Threads: loop thread, the file's.
 * Cancel:  does not suspend.
 */
EDDY_API int64_t eddy_file_tell(const eddy_stream *file);

/**
 * Wait until what was written is on the disk: fsync(2), or fdatasync(2) with data_only.
 *
 * Shape:   0 when it is.
 * Owns:    nothing.
 * Errors:  -EIO, -ENOSPC: what was written may be lost, and trying again does not mend it.
 * Threads: fiber, on the file's loop.
 * Cancel:  suspends; a sync that has begun is waited for, for an error is told once only, and would
 *          be lost with it.
 */
EDDY_API int eddy_file_sync(eddy_stream *file, bool data_only);

EDDY_END_DECLS

#endif
