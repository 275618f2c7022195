/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blocking call that may be abandoned: an open or a stat on a dead network mount never returns,
 * and a cancel must not wait for it. So the job owns a copy of all that it needs; when its task is
 * cancelled while it runs, the task goes, and what the job brings later is disposed of.
 *
 *     WAITED FOR --done--> the task has the result, and frees the job
 *         \--cancel while running--> ABANDONED --done--> disposed of, and freed
 */
#ifndef EDDY_FS_JOB_IMPL_H
#define EDDY_FS_JOB_IMPL_H

#include <sys/stat.h>

#include <eddy/runtime/loop/offload_impl.h>
#include <eddy/runtime/task/task_impl.h>

struct eddyi_fs_job {
    struct eddyi_offload_job offload;
    const struct eddyi_host *host;
    int64_t (*run)(struct eddyi_fs_job *job);  /* on an offload thread */
    void (*dispose)(struct eddyi_fs_job *job); /* of a result that nobody takes; NULL: nothing */
    eddy_task *task;
    bool done;
    bool abandoned;
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
int64_t eddyi_fs_job_run(struct eddyi_fs_job **job, const char *what);
/* NULL is fine. */
void eddyi_fs_job_free(struct eddyi_fs_job *job);

#endif
