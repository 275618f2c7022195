/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EDDY_FS_DIR_IMPL_H
#define EDDY_FS_DIR_IMPL_H

#include <eddy/fs/dir.h>

/* The folder's descriptor; -1 for NULL: the present folder. */
int eddyi_dir_fd(const eddy_dir *dir);

#endif
