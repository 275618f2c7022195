/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/fs/job_impl.h>

#include <fcntl.h>
#include <string.h>

#include <eddy/runtime/base/memory_impl.h>

int eddyi_fs_job_new(eddy_task *task, int dirfd, const char *path, struct eddyi_fs_job **ret_job) {
    size_t len = strlen(path);
    struct eddyi_fs_job *job = eddyi_zalloc(sizeof *job + len + 1);
    if (job == NULL) {
        return -ENOMEM;
    }
    job->host = task->loop->host;
    job->task = task;
    job->dirfd = AT_FDCWD;
    memcpy(job->path, path, len + 1);
    if (dirfd >= 0) {
        /* The caller may close its folder while an abandoned job still runs. */
        job->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
        if (job->dirfd < 0) {
            eddyi_free(job);
            return -errno;
        }
    }
    *ret_job = job;
    return 0;
}

void eddyi_fs_job_free(struct eddyi_fs_job *job) {
    if (job == NULL) {
        return;
    }
    if (job->dirfd >= 0) {
        job->host->close(job->host->ctx, job->dirfd);
    }
    eddyi_free(job);
}

static int64_t run(struct eddyi_offload_job *offload) {
    struct eddyi_fs_job *job = EDDYI_CONTAINER(offload, struct eddyi_fs_job, offload);
    return job->run(job);
}

static void done(struct eddyi_offload_job *offload) {
    struct eddyi_fs_job *job = EDDYI_CONTAINER(offload, struct eddyi_fs_job, offload);
    job->done = true;
    if (!job->abandoned) {
        eddyi_task_wake(job->task);
        return;
    }
    if (job->dispose != NULL && offload->result >= 0) {
        job->dispose(job);
    }
    eddyi_fs_job_free(job);
}

struct job_wait {
    struct eddyi_wait wait;
    struct eddyi_fs_job *job;
    bool given_up; /* the job has begun and may never end */
};

/* A job that waits in the queue ends at once; one that runs is left behind. */
static void interrupt(struct eddyi_wait *wait) {
    struct job_wait *own = EDDYI_CONTAINER(wait, struct job_wait, wait);
    if (!eddyi_offload_cancel(&own->job->offload)) {
        own->given_up = true;
        eddyi_task_wake(wait->task);
    }
}

int64_t eddyi_fs_job_run(struct eddyi_fs_job **ret_job, const char *what) {
    struct eddyi_fs_job *job = *ret_job;
    eddy_task *task = job->task;
    struct job_wait wait = {.wait = {.interrupt = interrupt, .what = what}, .job = job};
    job->offload.run = run;
    job->offload.done = done;
    int r = eddyi_offload_submit(task->loop, &job->offload);
    if (r < 0) {
        return r;
    }
    while (!job->done && !wait.given_up) {
        eddyi_task_park(task, &wait.wait);
    }
    int code = eddyi_task_cancelled(task);
    if (!job->done) {
        job->abandoned = true;
        *ret_job = NULL;
        return code;
    }
    return job->offload.result == -ECANCELED && code != 0 ? code : job->offload.result;
}
