/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codes of io_uring's interface that are newer than the headers of Debian 12 (Linux 6.1, liburing
 * 2.3). Each is asked for only where the kernel has announced it. Newer headers have some of them
 * as macros too: then they must say the same.
 */
#ifndef EDDY_RUNTIME_DRIVER_URING_UAPI_IMPL_H
#define EDDY_RUNTIME_DRIVER_URING_UAPI_IMPL_H

#include <stddef.h>

#include <liburing.h>

/* KERNEL(6.15): do not count a loop that waits as one that waits for a disk. */
#define EDDYI_URING_FEAT_NO_IOWAIT (1U << 17)
#define EDDYI_URING_ENTER_NO_IOWAIT (1U << 7)

#ifdef IORING_FEAT_NO_IOWAIT
_Static_assert(EDDYI_URING_FEAT_NO_IOWAIT == IORING_FEAT_NO_IOWAIT, "the kernel's own number");
#endif
#ifdef IORING_ENTER_NO_IOWAIT
_Static_assert(EDDYI_URING_ENTER_NO_IOWAIT == IORING_ENTER_NO_IOWAIT, "the kernel's own number");
#endif

/* What this driver relies on in the structures that it shares with the kernel. */
_Static_assert(sizeof(struct io_uring_sqe) == 64, "no SQE128");
_Static_assert(sizeof(struct io_uring_cqe) == 16, "no CQE32");
_Static_assert(sizeof(struct io_uring_buf) == 16, "an entry of a ring of provided buffers");
_Static_assert(offsetof(struct io_uring_buf_ring, tail) == offsetof(struct io_uring_buf, resv),
               "the tail lies over the first entry's unused field");

#endif
