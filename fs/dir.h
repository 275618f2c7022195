/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder: an open handle, from which names are looked up without a race, and a list of entries.
 *
 *     eddy_dir *dir;
 *     int r = eddy_dir_open("/srv/www", &dir);
 *     eddy_dir_entry entry;
 *     while (r >= 0 && (r = eddy_dir_next(dir, &entry)) > 0) {
 *         puts(entry.name);
 *     }
 *     eddy_dir_close(dir);
 */
#ifndef EDDY_FS_DIR_H
#define EDDY_FS_DIR_H

#include <eddy/runtime/task/task.h>

EDDY_BEGIN_DECLS

typedef struct eddy_dir eddy_dir;

typedef struct eddy_dir_entry {
    const char *name; /* bytes up to a NUL; "." and ".." never come */
    uint64_t ino;
    int kind; /* eddy_stat_kind (fs/stat.h) of the entry itself; EDDY_STAT_UNKNOWN: ask */
} eddy_dir_entry;

/**
 * Open a folder.
 *
 * Shape:   path is bytes up to a NUL, relative to the present folder. Symbolic links are followed.
 * Owns:    copies path; *ret_dir is closed with eddy_dir_close.
 * Errors:  -ENOENT, -ENOTDIR, -EACCES, -ELOOP, -EMFILE ... as open(2); -ENOMEM; EDDY_ENOTASK.
 * Threads: fiber.
 * Cancel:  suspends; an open that hangs is abandoned.
 */
EDDY_API int eddy_dir_open(const char *path, eddy_dir **ret_dir);

/**
 * Open a folder below another one, and never outside of it, whatever links and ".." say.
 *
 * Shape:   path is relative to `dir`, which may belong to another loop; *ret_dir belongs to
 *          this one.
 * Owns:    copies path; borrows dir until it returns.
 * Errors:  -EXDEV the path leads outside of dir; as eddy_dir_open.
 * Threads: fiber.
 * Cancel:  as eddy_dir_open.
 */
EDDY_API int eddy_dir_open_at(eddy_dir *dir, const char *path, eddy_dir **ret_dir);

/**
 * The next entry.
 *
 * Shape:   1 with an entry, 0 after the last. The order is the file system's.
 * Owns:    entry.name is valid until the next call on the folder.
 * Errors:  -EIO ... as getdents64(2); -EBUSY another task lists it; -ENOMEM; EDDY_EWRONGLOOP;
 *          EDDY_ENOTASK.
 * Threads: fiber, on the folder's loop.
 * Cancel:  suspends; a listing that hangs is abandoned. No entry is lost: the next call waits for
 *          it again.
 */
EDDY_API int eddy_dir_next(eddy_dir *dir, eddy_dir_entry *ret_entry);

/**
 * Begin the list anew.
 *
 * Shape:   the next eddy_dir_next gives the first entry.
 * Owns:    nothing.
 * Errors:  EDDY_EWRONGLOOP; -EBUSY another task lists it, or a listing that was abandoned still
 *          hangs.
 * Threads: loop thread, the folder's.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_dir_rewind(eddy_dir *dir);

/**
 * Close a folder.
 *
 * Shape:   NULL is fine. No task may be inside one of its calls. Under a listing that was abandoned
 *          and still hangs the descriptor is closed when that ends.
 * Owns:    consumes the folder.
 * Errors:  EDDY_EWRONGLOOP (it is then not closed).
 * Threads: loop thread, the folder's.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_dir_close(eddy_dir *dir);

static inline void eddy_dir_freep(eddy_dir **dir) {
    if (*dir != NULL) {
        eddy_dir_close(*dir);
    }
}

EDDY_END_DECLS

#endif
