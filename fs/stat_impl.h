/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EDDY_FS_STAT_IMPL_H
#define EDDY_FS_STAT_IMPL_H

#include <sys/stat.h>

#include <eddy/fs/stat.h>

void eddyi_stat_from(const struct stat *from, eddy_stat *ret_stat);
/* The kind of a DT_* of getdents. */
eddy_stat_kind eddyi_stat_kind_of_entry(unsigned char type);

#endif
