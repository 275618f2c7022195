/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blocking call that may be abandoned: an open or a stat on a dead network mount never returns,
 * and a cancel must not wait for it. So the job owns a copy of all that it needs; when its task is
 * cancelled while it runs, the task goes, and what the job brings later is disposed of where it
 * ends.
 *
 *     WAITED FOR --done--> the task has the result, and frees the job
 *         \--cancel while running--> ABANDONED --> on the offload thread: disposed of, and freed
 */
#ifndef EDDY_FS_JOB_IMPL_H
#define EDDY_FS_JOB_IMPL_H

#include <sys/stat.h>

#include <eddy/runtime/loop/offload_impl.h>
#include <eddy/runtime/task/task_impl.h>

/* What a task waits for, and may leave behind. */
struct eddyi_fs_call {
    struct eddyi_offload_job offload; /* `run` and `left` are the owner's */
    eddy_task *task;
    bool done;
};

/* Submits the call and waits for it: its result. Or the code of a cancel; with *ret_abandoned the
 * call still runs then, and is the offload thread's: its `left` comes from there. */
int64_t eddyi_fs_call_run(struct eddyi_fs_call *call, eddy_task *task, const char *what,
                          bool *ret_abandoned);
/* Waits once more for a call that was abandoned. When it has ended in the meantime that is its
 * result. The owner sees to it that `left` does not free it. */
int64_t eddyi_fs_call_resume(struct eddyi_fs_call *call, eddy_task *task, const char *what,
                             bool *ret_abandoned);

/* A call by path. */
struct eddyi_fs_job {
    struct eddyi_fs_call call;
    const struct eddyi_host *host;
    int64_t (*run)(struct eddyi_fs_job *job); /* on an offload thread */
    /* of a result that nobody takes, on the same thread; NULL: nothing */
    void (*dispose)(struct eddyi_fs_job *job);
    int dirfd; /* a duplicate, or AT_FDCWD */
    int flags;
    mode_t mode;
    uint64_t resolve;
    struct stat stat; /* a result */
    char path[];      /* a copy */
};

/* A job with a copy of the path and a duplicate of the folder's descriptor: 0, -ENOMEM, -EMFILE. */
int eddyi_fs_job_new(eddy_task *task, int dirfd, const char *path, struct eddyi_fs_job **ret_job);
/* Runs it: its result, or the cancel's code, after which the job is not the caller's any more
 * (*ret_job is NULL then). */
int64_t eddyi_fs_job_run(eddy_task *task, struct eddyi_fs_job **job, const char *what);
/* NULL is fine. Any thread. */
void eddyi_fs_job_free(struct eddyi_fs_job *job);

#endif
