/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What openat2(2) does with RESOLVE_BENEATH, for kernels without it (5.6) and for seccomp filters
 * that are older: the path is walked name by name, and no name of it is left to the kernel to
 * follow.
 */
#ifndef EDDY_RUNTIME_BASE_BENEATH_IMPL_H
#define EDDY_RUNTIME_BASE_BENEATH_IMPL_H

#include <sys/types.h>

/* Opens `path`, which nothing leads outside of the folder `root`: the descriptor, close-on-exec.
 * -EXDEV it would; -EAGAIN others rename folders on its way; else as openat(2). May wait. */
int eddyi_open_beneath(int root, const char *path, int flags, mode_t mode);

#endif
