/* SPDX-License-Identifier: Apache-2.0 */
/* Opening by path, shared by files and folders: at once where no disk has to be asked, else on the
 * offload threads and to be abandoned on a cancel. */
#ifndef EDDY_FS_OPEN_IMPL_H
#define EDDY_FS_OPEN_IMPL_H

#include <linux/openat2.h>

#include <eddy/fs/job_impl.h>

/* For `resolve`: nothing outside of the folder may be reached. */
#define EDDYI_OPEN_BENEATH (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)

struct eddyi_open {
    int dirfd; /* -1: the present folder */
    const char *path;
    int flags; /* O_* */
    mode_t mode;
    bool beneath; /* nothing outside of dirfd may be reached */
};

/* On an offload thread: opens the path of the job, with its flags and as its `resolve` has it. */
int eddyi_open_for_job(struct eddyi_fs_job *job);

/* The descriptor, or an error. The caller did the checkpoint. */
int eddyi_open(eddy_task *task, const struct eddyi_open *open);

#endif
