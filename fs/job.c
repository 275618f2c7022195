/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/fs/job_impl.h>

#include <fcntl.h>
#include <string.h>

#include <eddy/runtime/base/memory_impl.h>

/* ---- a call ---------------------------------------------------------------------------------- */

struct call_wait {
    struct eddyi_wait wait;
    struct eddyi_fs_call *call;
    bool abandoned;
};

/* A job that waits in the queue ends at once; one that runs is left behind. One that has ended, its
 * result is on the way. */
static void interrupt(struct eddyi_wait *wait) {
    struct call_wait *own = EDDYI_CONTAINER(wait, struct call_wait, wait);
    struct eddyi_offload_job *job = &own->call->offload;
    if (!own->abandoned && !eddyi_offload_cancel(job) && eddyi_offload_abandon(job)) {
        own->abandoned = true;
        eddyi_task_wake(wait->task);
    }
}

static void done(struct eddyi_offload_job *job) {
    struct eddyi_fs_call *call = EDDYI_CONTAINER(job, struct eddyi_fs_call, offload);
    call->done = true;
    eddyi_task_wake(call->task);
}

static int64_t wait_for(struct eddyi_fs_call *call, const char *what, bool *ret_abandoned) {
    eddy_task *task = call->task;
    struct call_wait wait = {.wait = {.interrupt = interrupt, .what = what}, .call = call};
    while (!wait.abandoned && !call->done) {
        eddyi_task_park(task, &wait.wait);
    }
    int code = eddyi_task_cancelled(task);
    *ret_abandoned = wait.abandoned;
    if (wait.abandoned) {
        return code;
    }
    return call->offload.result == -ECANCELED && code != 0 ? code : call->offload.result;
}

int64_t eddyi_fs_call_run(struct eddyi_fs_call *call, eddy_task *task, const char *what,
                          bool *ret_abandoned) {
    *ret_abandoned = false;
    call->task = task;
    call->done = false;
    call->offload.done = done;
    int r = eddyi_offload_submit(task->loop, &call->offload);
    return r < 0 ? r : wait_for(call, what, ret_abandoned);
}

int64_t eddyi_fs_call_resume(struct eddyi_fs_call *call, eddy_task *task, const char *what,
                             bool *ret_abandoned) {
    call->task = task;
    if (!eddyi_offload_reclaim(&call->offload)) {
        *ret_abandoned = false;
        return call->offload.result;
    }
    return wait_for(call, what, ret_abandoned);
}

/* ---- a job by path --------------------------------------------------------------------------- */

int eddyi_fs_job_new(eddy_task *task, int dirfd, const char *path, struct eddyi_fs_job **ret_job) {
    size_t len = strlen(path);
    struct eddyi_fs_job *job = eddyi_zalloc(sizeof *job + len + 1);
    if (job == NULL) {
        return -ENOMEM;
    }
    job->host = task->loop->host;
    job->dirfd = AT_FDCWD;
    memcpy(job->path, path, len + 1);
    if (dirfd >= 0) {
        /* The caller may close its folder while an abandoned job still runs. */
        job->dirfd = job->host->dup(job->host->ctx, dirfd);
        if (job->dirfd < 0) {
            int r = job->dirfd;
            eddyi_free(job);
            return r;
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

static struct eddyi_fs_job *job_of(struct eddyi_offload_job *offload) {
    return EDDYI_CONTAINER(offload, struct eddyi_fs_job, call.offload);
}

static int64_t run(struct eddyi_offload_job *offload) {
    struct eddyi_fs_job *job = job_of(offload);
    return job->run(job);
}

static void left(struct eddyi_offload_job *offload) {
    struct eddyi_fs_job *job = job_of(offload);
    if (job->dispose != NULL && offload->result >= 0) {
        job->dispose(job);
    }
    eddyi_fs_job_free(job);
}

int64_t eddyi_fs_job_run(eddy_task *task, struct eddyi_fs_job **ret_job, const char *what) {
    struct eddyi_fs_job *job = *ret_job;
    bool abandoned;
    job->call.offload.run = run;
    job->call.offload.left = left;
    int64_t r = eddyi_fs_call_run(&job->call, task, what, &abandoned);
    if (abandoned) {
        *ret_job = NULL;
    }
    return r;
}
