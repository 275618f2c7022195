/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one door through which eddy's own code gets memory. A program that has an allocator sets it
 * before anything else; when it says no, the call that needed the memory returns -ENOMEM.
 */
#ifndef EDDY_RUNTIME_BASE_MEMORY_H
#define EDDY_RUNTIME_BASE_MEMORY_H

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

/* An allocator. All three are called from any thread at once. A size of 0 never arrives. */
typedef struct eddy_memory {
    void *(*alloc)(size_t size, void *ctx);             /* NULL when there is no memory */
    void *(*resize)(void *old, size_t size, void *ctx); /* as realloc; old is never NULL */
    void (*free)(void *old, void *ctx);                 /* old is never NULL */
    void *ctx;
} eddy_memory;

/**
 * Set the allocator for the whole process.
 *
 * Shape:   NULL sets the C library's malloc again, which is the default.
 * Owns:    copies `memory`; its ctx is borrowed for the life of the process.
 * Errors:  -EINVAL one of the three functions is NULL; -EBUSY memory of the present one is in use.
 * Threads: one at a time, before the first loop is made.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_memory_set(const eddy_memory *memory);

/**
 * How many blocks eddy's own code holds now, over all threads.
 *
 * Shape:   0 when every loop, stream, buffer and future has been freed. Counted in every build.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int64_t eddy_memory_blocks(void);

/**
 * Let allocations fail, to see a program survive it.
 *
 * Shape:   the next `nth` allocation on the calling thread (1 is the next) fails, and when `all` is
 *          set each one after it too; nth 0 lets all succeed again. The count is the thread's own.
 * Owns:    nothing.
 * Errors:  none; returns how many allocations the thread made since the last call.
 * Threads: any thread; each has its own counter.
 * Cancel:  does not suspend.
 */
EDDY_API int64_t eddy_memory_fail_at(int64_t nth, bool all);

EDDY_END_DECLS

#endif
