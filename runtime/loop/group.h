/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group: several loops that work together in one process, a thread each. The caller's loop is the
 * first and runs where the caller runs it; the others run on threads of their own until the group
 * is freed.
 *
 * In the simulation a group has the first loop only, whatever count was asked: a seed cannot decide
 * what several threads do. So ask eddy_loop_group_count how many there are, and spread the work
 * over that many: the same program then runs on one. Two loops that were made apart are two worlds
 * there, in which neither sees the other's sockets.
 *
 * A group is also how a program of plain threads has a loop in the background: `first` need not be
 * run at all. It makes and frees the group; the other loops run on, with tasks or without, take
 * work from every thread, and are ended and joined by eddy_loop_group_free:
 *
 *     eddy_loop_new(NULL, &first);
 *     eddy_loop_group_new(first, 2, &group);
 *     eddy_future *f = eddy_task_start_on(eddy_loop_group_loop(group, 1), work, NULL, 0);
 *     int64_t r = eddy_await(f);                                    blocks this thread
 *     eddy_future_release(f);
 *     eddy_loop_group_free(group);
 *     eddy_loop_free(first);
 *
 * In a program that runs the first loop too:
 *
 *     eddy_loop_group *group;
 *     int r = eddy_loop_group_new(loop, 0, &group);                 one loop for each CPU
 *     ...
 *     eddy_spawn_on(eddy_loop_group_loop(group, 1), work, NULL, 0);
 *     ...
 *     eddy_loop_group_free(group);
 */
#ifndef EDDY_RUNTIME_LOOP_GROUP_H
#define EDDY_RUNTIME_LOOP_GROUP_H

#include <eddy/runtime/loop/loop.h>

EDDY_BEGIN_DECLS

typedef struct eddy_loop_group eddy_loop_group;

/**
 * Start loops beside `first`, made with the same options.
 *
 * Shape:   count with `first` included; 0: one for each CPU that may be used (affinity, the
 *          cgroup's cpu.max). On the sim driver a group has one loop, whatever was asked.
 * Owns:    borrows `first`, which must outlive the group; *ret_group is freed with
 *          eddy_loop_group_free.
 * Errors:  -ENOMEM; -EAGAIN no more threads; -EBUSY first is in a group; -EDEADLK called inside of
 *          a loop; as eddy_loop_new and eddy_loop_run. A failure leaves nothing behind.
 * Threads: loop thread of `first`, outside of its tasks.
 * Cancel:  does not suspend; blocks until every loop has started.
 */
EDDY_API int eddy_loop_group_new(eddy_loop *first, unsigned count, eddy_loop_group **ret_group);

/**
 * End the other loops: cancel the tasks that are left on them, join their threads.
 *
 * Shape:   NULL is fine. No loop is gone before the tasks of all others have ended, and the first
 *          one runs meanwhile, because tasks elsewhere may wait for what ends on it. A task there
 *          that waits in a shield without a deadline of its own holds this up.
 * Owns:    frees the group, and every loop in it but the first.
 * Errors:  none; returns NULL.
 * Threads: loop thread of the first loop, outside of its tasks. In a forked child: any, only memory
 *          and descriptors are given back.
 * Cancel:  does not suspend; blocks until the threads have ended.
 */
EDDY_API eddy_loop_group *eddy_loop_group_free(eddy_loop_group *group);

/**
 * How many loops the group has, the first included.
 *
 * Shape:   at least 1.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API unsigned eddy_loop_group_count(const eddy_loop_group *group);

/**
 * One of the group's loops.
 *
 * Shape:   index 0 is the first; NULL beyond the last.
 * Owns:    borrowed from the group.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API eddy_loop *eddy_loop_group_loop(const eddy_loop_group *group, unsigned index);

/**
 * The group of the loop that runs on the calling thread.
 *
 * Shape:   NULL outside of a loop, and where it is in no group.
 * Owns:    borrowed.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API eddy_loop_group *eddy_loop_group_current(void);

static inline void eddy_loop_group_freep(eddy_loop_group **group) {
    if (*group != NULL) {
        eddy_loop_group_free(*group);
    }
}

EDDY_END_DECLS

#endif
