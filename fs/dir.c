/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/fs/dir.h>

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include <eddy/fs/dir_impl.h>
#include <eddy/fs/open_impl.h>
#include <eddy/fs/stat_impl.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/task/task_impl.h>

/* Entries that one trip to the offload threads brings: some 800 of usual length. */
#define ENTRIES_BYTES (32 * 1024)

struct eddy_dir {
    eddy_loop *loop;
    int fd;
    bool listing;  /* a task is inside next */
    char *entries; /* ENTRIES_BYTES, made when first listed */
    size_t len;    /* bytes of it that are valid */
    size_t at;     /* the next entry */
};

int eddyi_dir_fd(const eddy_dir *dir) {
    return dir == NULL ? -1 : dir->fd;
}

static int open_dir(eddy_dir *base, const char *path, eddy_dir **ret_dir) {
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
    *ret_dir = dir;
    return 0;
}

int eddy_dir_open(const char *path, eddy_dir **ret_dir) {
    return open_dir(NULL, path, ret_dir);
}

int eddy_dir_open_at(eddy_dir *dir, const char *path, eddy_dir **ret_dir) {
    return dir == NULL ? -EINVAL : open_dir(dir, path, ret_dir);
}

static int64_t read_entries(void *arg) {
    eddy_dir *dir = arg;
    const struct eddyi_host *host = dir->loop->host;
    return host->getdents(host->ctx, dir->fd, dir->entries, ENTRIES_BYTES);
}

/* One more batch: 1, 0 at the end, or an error. */
static int refill(eddy_dir *dir, eddy_task *task) {
    if (dir->entries == NULL) {
        dir->entries = eddyi_alloc(ENTRIES_BYTES);
        if (dir->entries == NULL) {
            return -ENOMEM;
        }
    }
    dir->listing = true;
    int64_t n = eddyi_task_offload(task, read_entries, dir, "list");
    dir->listing = false;
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
    if (dir->listing) {
        return -EBUSY;
    }
    for (;;) {
        if (dir->at == dir->len) {
            r = refill(dir, task);
            if (r <= 0) {
                return r;
            }
        }
        const struct dirent64 *entry = (const void *)(dir->entries + dir->at);
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
    if (dir->listing) {
        return -EBUSY;
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
    EDDY_ASSERT_SAY(!dir->listing, "a folder is closed while a task lists it");
    const struct eddyi_host *host = dir->loop->host;
    int r = host->close(host->ctx, dir->fd);
    eddyi_free(dir->entries);
    eddyi_free(dir);
    return r;
}
