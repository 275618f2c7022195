/* SPDX-License-Identifier: Apache-2.0 */
/* System calls as a driver makes them: errors as results, no signal in between, none raised, and no
 * waiting. For the host, the drivers and the simulation only. */
#ifndef EDDY_RUNTIME_BASE_TRY_IMPL_H
#define EDDY_RUNTIME_BASE_TRY_IMPL_H

#include <errno.h>

#include <eddy/runtime/base/api.h>

/* The result of a call, made again as long as a signal interrupts it. */
#define EDDYI_AGAIN_ON_EINTR(call) \
    __extension__({ \
        int64_t result_; \
        do { \
            result_ = (call); \
        } while (result_ < 0 && errno == EINTR); \
        result_ < 0 ? -(int64_t)errno : result_; \
    })

/* What poll(2) says now: the events, -EAGAIN for none, -EBADF. */
int64_t eddyi_try_poll(int fd, int events);

/*
 * pwritev2 at the file's own position, without SIGPIPE, which a pipe that nobody reads raises on
 * the writing thread: it is blocked for the moment of the call and, when this call was the one that
 * raised it, taken out of the queue. May wait, as the descriptor has it.
 */
int64_t eddyi_try_write(int fd, const void *data, size_t len, int flags);

#endif
