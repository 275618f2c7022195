/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/fs/stat.h>

#include <dirent.h>
#include <fcntl.h>

#include <eddy/fs/dir_impl.h>
#include <eddy/fs/open_impl.h>
#include <eddy/fs/stat_impl.h>
#include <eddy/runtime/io/stream_impl.h>

static eddy_stat_kind kind_of_mode(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG:
        return EDDY_STAT_FILE;
    case S_IFDIR:
        return EDDY_STAT_DIR;
    case S_IFLNK:
        return EDDY_STAT_LINK;
    case S_IFIFO:
        return EDDY_STAT_PIPE;
    case S_IFSOCK:
        return EDDY_STAT_SOCKET;
    case S_IFCHR:
        return EDDY_STAT_CHAR;
    case S_IFBLK:
        return EDDY_STAT_BLOCK;
    default:
        return EDDY_STAT_UNKNOWN;
    }
}

eddy_stat_kind eddyi_stat_kind_of_entry(unsigned char type) {
    return kind_of_mode(DTTOIF(type));
}

static int64_t ns_of(struct timespec time) {
    return (int64_t)time.tv_sec * EDDY_S + time.tv_nsec;
}

void eddyi_stat_from(const struct stat *from, eddy_stat *ret_stat) {
    *ret_stat = (eddy_stat){
        .kind = kind_of_mode(from->st_mode),
        .mode = from->st_mode & 07777,
        .uid = from->st_uid,
        .gid = from->st_gid,
        .dev = from->st_dev,
        .ino = from->st_ino,
        .links = from->st_nlink,
        .rdev = from->st_rdev,
        .size_bytes = from->st_size,
        .blocks = from->st_blocks,
        .block_bytes = from->st_blksize,
        .atime_ns = ns_of(from->st_atim),
        .mtime_ns = ns_of(from->st_mtim),
        .ctime_ns = ns_of(from->st_ctim),
    };
}

static int64_t run_stat(struct eddyi_fs_job *job) {
    return job->host->statat(job->host->ctx, job->dirfd, job->path, job->flags, &job->stat);
}

/* There is no stat that stays below a folder: what the path leads to is opened, which asks nothing
 * of it, and then looked at. */
static int64_t run_stat_beneath(struct eddyi_fs_job *job) {
    const struct eddyi_host *host = job->host;
    int fd = eddyi_open_for_job(job);
    if (fd < 0) {
        return fd;
    }
    int r = host->statat(host->ctx, fd, "", AT_EMPTY_PATH, &job->stat);
    host->close(host->ctx, fd);
    return r;
}

static int stat_from(eddy_dir *dir, const char *path, unsigned flags, eddy_stat *ret_stat) {
    eddy_task *task;
    int r = eddyi_task_enter(&task);
    if (r < 0) {
        return r;
    }
    if (path == NULL || ret_stat == NULL || (flags & ~(unsigned)EDDY_STAT_NOFOLLOW) != 0) {
        return -EINVAL;
    }
    struct eddyi_fs_job *job;
    r = eddyi_fs_job_new(task, eddyi_dir_fd(dir), path, &job);
    if (r < 0) {
        return r;
    }
    bool nofollow = (flags & EDDY_STAT_NOFOLLOW) != 0;
    if (dir == NULL) {
        job->run = run_stat;
        job->flags = nofollow ? AT_SYMLINK_NOFOLLOW : 0;
    } else {
        job->run = run_stat_beneath;
        job->flags = O_PATH | (nofollow ? O_NOFOLLOW : 0);
        job->resolve = EDDYI_OPEN_BENEATH;
    }
    r = (int)eddyi_fs_job_run(task, &job, "stat");
    if (r == 0) {
        eddyi_stat_from(&job->stat, ret_stat);
    }
    eddyi_fs_job_free(job);
    return r;
}

int eddy_stat_path(const char *path, unsigned flags, eddy_stat *ret_stat) {
    return stat_from(NULL, path, flags, ret_stat);
}

int eddy_stat_at(eddy_dir *dir, const char *path, unsigned flags, eddy_stat *ret_stat) {
    return dir == NULL ? -EINVAL : stat_from(dir, path, flags, ret_stat);
}

int eddy_stat_file(const eddy_stream *file, eddy_stat *ret_stat) {
    if (file->loop != eddyi_loop_here) {
        return EDDY_EWRONGLOOP;
    }
    if (file->closing) {
        return EDDY_ECLOSED;
    }
    int fd = eddy_stream_fd(file);
    if (fd < 0) {
        return fd;
    }
    struct stat st;
    const struct eddyi_host *host = file->loop->host;
    int r = host->fstat(host->ctx, fd, &st);
    if (r == 0) {
        eddyi_stat_from(&st, ret_stat);
    }
    return r;
}
