/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/fs/open_impl.h>

#include <fcntl.h>

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* Linux 5.12 */
#endif

/* Somebody who renames folders all the time must not keep a thread for ever. */
#define TRIES_MAX 64

static uint64_t resolve_flags(const struct eddyi_open *open) {
    return open->beneath ? EDDYI_OPEN_BENEATH : 0;
}

/* Without a trip to the disk, where every name on the path is known. KERNEL(5.12): older ones say
 * -EINVAL, and then it goes the long way. */
static int open_cached(eddy_task *task, const struct eddyi_open *open) {
    const struct eddyi_host *host = task->loop->host;
    if ((open->flags & (O_CREAT | O_TRUNC | O_TMPFILE)) != 0) {
        return -EAGAIN;
    }
    int dirfd = open->dirfd < 0 ? AT_FDCWD : open->dirfd;
    int fd = host->open_resolve(host->ctx, dirfd, open->path, open->flags, 0,
                                resolve_flags(open) | RESOLVE_CACHED);
    return fd == -EINVAL ? -EAGAIN : fd;
}

int eddyi_open_for_job(struct eddyi_fs_job *job) {
    if (job->resolve == 0) {
        return job->host->open(job->host->ctx, job->dirfd, job->path, job->flags, job->mode);
    }
    /* While others rename folders, the kernel may be unable to tell where a ".." leads: -EAGAIN. */
    int fd = -EAGAIN;
    for (int i = 0; i < TRIES_MAX && fd == -EAGAIN; i++) {
        fd = job->host->open_resolve(job->host->ctx, job->dirfd, job->path, job->flags, job->mode,
                                     job->resolve);
    }
    return fd;
}

static int64_t run_open(struct eddyi_fs_job *job) {
    return eddyi_open_for_job(job);
}

static void close_late(struct eddyi_fs_job *job) {
    job->host->close(job->host->ctx, (int)job->call.offload.result);
}

int eddyi_open(eddy_task *task, const struct eddyi_open *open) {
    int fd = open_cached(task, open);
    if (fd != -EAGAIN) {
        return fd;
    }
    struct eddyi_fs_job *job;
    int r = eddyi_fs_job_new(task, open->dirfd, open->path, &job);
    if (r < 0) {
        return r;
    }
    job->run = run_open;
    job->dispose = close_late;
    job->flags = open->flags;
    job->mode = open->mode;
    job->resolve = resolve_flags(open);
    fd = (int)eddyi_fs_job_run(task, &job, "open");
    eddyi_fs_job_free(job);
    return fd;
}
