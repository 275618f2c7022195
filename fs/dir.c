/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/fs/dir.h>

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include <eddy/fs/dir_impl.h>
#include <eddy/fs/job_impl.h>
#include <eddy/fs/open_impl.h>
#include <eddy/fs/stat_impl.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/task/task_impl.h>

/* Entries that one trip to the offload threads brings: some 800 of usual length. */
#define ENTRIES_BYTES (32 * 1024)

/*
 * A trip, and what it has brought. The folder has one, made when first listed, and shares it with
 * the offload thread while that is in a trip that was abandoned: whoever lets go last closes and
 * frees.
 */
struct listing {
    struct eddyi_fs_call call;
    const struct eddyi_host *host;
    int fd;           /* the folder's, and closed by whoever frees this */
    bool abandoned;   /* the last trip; the loop's thread only */
    _Atomic int refs; /* the folder's, and an abandoned trip's */
    _Alignas(struct dirent64) char entries[ENTRIES_BYTES];
};

struct eddy_dir {
    eddy_loop *loop;
    int fd;
    bool busy;               /* a task is inside next */
    struct listing *listing; /* or NULL */
    size_t len;              /* bytes of its entries that are valid */
    size_t at;               /* the next entry */
    struct eddyi_track track;
};

int eddyi_dir_fd(const eddy_dir *dir) {
    return dir == NULL ? -1 : dir->fd;
}

static int open_dir(eddy_dir *base, const char *path, const void *place, eddy_dir **ret_dir) {
    eddy_task *task;
    int r = eddyi_task_enter(&task);
    if (r < 0) {
        return r;
    }
    if (path == NULL || ret_dir == NULL) {
        return -EINVAL;
    }
    eddy_dir *dir = eddyi_zalloc(sizeof *dir);
    if (dir == NULL) {
        return -ENOMEM;
    }
    struct eddyi_open open = {
        .dirfd = eddyi_dir_fd(base),
        .path = path,
        .flags = O_RDONLY | O_DIRECTORY,
        .beneath = base != NULL,
    };
    dir->loop = task->loop;
    dir->fd = eddyi_open(task, &open);
    if (dir->fd < 0) {
        r = dir->fd;
        eddyi_free(dir);
        return r;
    }
    eddyi_track_add(&dir->track, "folder", NULL, dir->loop, place, NULL);
    *ret_dir = dir;
    return 0;
}

int eddy_dir_open(const char *path, eddy_dir **ret_dir) {
    return open_dir(NULL, path, EDDYI_PLACE, ret_dir);
}

int eddy_dir_open_at(eddy_dir *dir, const char *path, eddy_dir **ret_dir) {
    return dir == NULL ? -EINVAL : open_dir(dir, path, EDDYI_PLACE, ret_dir);
}

/* ---- listing --------------------------------------------------------------------------------- */

static int let_go(struct listing *listing) {
    if (atomic_fetch_sub(&listing->refs, 1) != 1) {
        return 0;
    }
    int r = listing->host->close(listing->host->ctx, listing->fd);
    eddyi_free(listing);
    return r;
}

static int64_t read_entries(struct eddyi_offload_job *job) {
    struct listing *listing = EDDYI_CONTAINER(job, struct listing, call.offload);
    return listing->host->getdents(listing->host->ctx, listing->fd, listing->entries,
                                   ENTRIES_BYTES);
}

static void left(struct eddyi_offload_job *job) {
    let_go(EDDYI_CONTAINER(job, struct listing, call.offload));
}

static int make_listing(eddy_dir *dir) {
    struct listing *listing = eddyi_zalloc(sizeof *listing);
    if (listing == NULL) {
        return -ENOMEM;
    }
    listing->call.offload.run = read_entries;
    listing->call.offload.left = left;
    listing->host = dir->loop->host;
    listing->fd = dir->fd;
    atomic_init(&listing->refs, 1);
    dir->listing = listing;
    return 0;
}

/* One trip, or the rest of the one that was abandoned: what it brings comes first, for to the
 * kernel those entries have been read. */
static int64_t travel(struct listing *listing, eddy_task *task) {
    struct eddyi_fs_call *call = &listing->call;
    bool again = listing->abandoned;
    int64_t n;
    if (again) {
        n = eddyi_fs_call_resume(call, task, "list", &listing->abandoned);
    } else {
        /* The thread's reference, for it may be left alone with the trip at any time from now. */
        atomic_fetch_add(&listing->refs, 1);
        n = eddyi_fs_call_run(call, task, "list", &listing->abandoned);
    }
    if (!listing->abandoned && (!again || call->done)) {
        atomic_fetch_sub(&listing->refs, 1); /* it was not: `left` does not come */
    }
    return n;
}

/* One more batch: 1, 0 at the end, or an error. */
static int refill(eddy_dir *dir, eddy_task *task) {
    int r = dir->listing == NULL ? make_listing(dir) : 0;
    if (r < 0) {
        return r;
    }
    dir->busy = true;
    int64_t n = travel(dir->listing, task);
    dir->busy = false;
    if (n <= 0) {
        return (int)n;
    }
    dir->len = (size_t)n;
    dir->at = 0;
    return 1;
}

static bool is_dots(const char *name) {
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

int eddy_dir_next(eddy_dir *dir, eddy_dir_entry *ret_entry) {
    eddy_task *task;
    if (eddyi_task_here != NULL && dir->loop != eddyi_loop_here) {
        return EDDY_EWRONGLOOP;
    }
    int r = eddyi_task_enter(&task);
    if (r < 0) {
        return r;
    }
    if (dir->busy) {
        return -EBUSY;
    }
    for (;;) {
        if (dir->at == dir->len) {
            r = refill(dir, task);
            if (r <= 0) {
                return r;
            }
        }
        const struct dirent64 *entry = (const void *)(dir->listing->entries + dir->at);
        dir->at += entry->d_reclen;
        if (!is_dots(entry->d_name)) {
            ret_entry->name = entry->d_name;
            ret_entry->ino = entry->d_ino;
            ret_entry->kind = (int)eddyi_stat_kind_of_entry(entry->d_type);
            return 1;
        }
    }
}

int eddy_dir_rewind(eddy_dir *dir) {
    if (dir->loop != eddyi_loop_here) {
        return EDDY_EWRONGLOOP;
    }
    struct listing *listing = dir->listing;
    if (dir->busy) {
        return -EBUSY;
    }
    if (listing != NULL && listing->abandoned) {
        if (!eddyi_offload_has_left(&listing->call.offload)) {
            return -EBUSY; /* the kernel keeps the place while it reads on there */
        }
        listing->abandoned = false; /* and what it has brought is not wanted */
    }
    const struct eddyi_host *host = dir->loop->host;
    dir->at = 0;
    dir->len = 0;
    int64_t r = host->seek(host->ctx, dir->fd, 0, SEEK_SET);
    return r < 0 ? (int)r : 0;
}

int eddy_dir_close(eddy_dir *dir) {
    if (dir == NULL) {
        return 0;
    }
    if (dir->loop != eddyi_loop_here) {
        return EDDY_EWRONGLOOP;
    }
    EDDY_ASSERT_SAY(!dir->busy, "a folder is closed while a task lists it");
    const struct eddyi_host *host = dir->loop->host;
    eddyi_track_remove(&dir->track);
    int r = dir->listing != NULL ? let_go(dir->listing) : host->close(host->ctx, dir->fd);
    eddyi_free(dir);
    return r;
}
