/* SPDX-License-Identifier: Apache-2.0 */
/* Opening by path, shared by files and folders: at once where no disk has to be asked, else on the
 * offload threads and to be abandoned on a cancel. */
#ifndef EDDY_FS_OPEN_IMPL_H
#define EDDY_FS_OPEN_IMPL_H

#include <sys/types.h>

#include <eddy/runtime/task/task_impl.h>

struct eddyi_open {
    int dirfd; /* -1: the present folder */
    const char *path;
    int flags; /* O_* */
    mode_t mode;
    bool beneath; /* nothing outside of dirfd may be reached */
};

/* The descriptor, or an error. The caller did the checkpoint. */
int eddyi_open(eddy_task *task, const struct eddyi_open *open);

#endif
