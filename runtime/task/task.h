/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A task: a function that runs on a stack of its own. Calls that wait suspend the task and never
 * the thread; other tasks of the loop run meanwhile. A task stays on the loop where it was born, so
 * two tasks of one loop never run at the same moment.
 *
 *     static int64_t hello(void *name) {
 *         eddy_sleep(100 * EDDY_MS);
 *         return printf("hello %s\n", (const char *)name);
 *     }
 *
 *     eddy_spawn(hello, "scope", 0);                       the current scope joins it
 *     eddy_future *f = eddy_task_start(hello, "future", 0);
 *     int64_t n = eddy_await(f);                           (futures/future.h)
 *
 * A task's stack is 256 KiB, of which only what is touched takes memory; eddy_loop_opts gives
 * another size (stack_size_bytes). Large arrays belong elsewhere: on the heap, or in the caller.
 * Below a stack lies a guard, and eddy_main names the task that runs into it. A frame larger than
 * the guard, of an array of 300 KiB, steps over it unless it is compiled with
 * -fstack-clash-protection, which pkg-config and the CMake package pass on: then it is named too,
 * and otherwise it ends the program when it next suspends, if not before, after it has written to
 * another task's stack.
 *
 * A task is a scope of its own (runtime/task/scope.h). What it spawned outside of every scope that
 * it entered is cancelled and joined when it returns; and when one of those tasks fails, the task
 * is cancelled and its result is that failure, whatever it returns.
 *
 * Rules that hold for every suspending call of the library: outside of a task it returns
 * EDDY_ENOTASK; in a cancelled scope it returns -ECANCELED or -ETIME before it does anything; each
 * one is charged to the turn's budget, so that no task that never really waits starves the others:
 * a turn goes on for 200 us or 1,024 such calls and items, then the loop looks at its timers and
 * the kernel again. A producer that never waits lets others run by eddy_yield.
 * After a fork the loop is the parent's: in the child each one gives EDDY_EFORKED to the task that
 * forked, closing included, and scopes are left without waiting for their tasks. What ran the loop
 * (eddy_loop_call and others) returns EDDY_EFORKED there when the task returns; eddy_loop_free and
 * eddy_loop_group_free go on as in any forked child. On a further loop of a group (runtime/loop/
 * group.h) the task returns to a thread of the library's, which ends; it is the child's only one,
 * so the child exits with status 0, by exit(3). This is told by fork(3); a child of _Fork or of a
 * bare clone calls nothing of the library's but exec or _exit.
 */
#ifndef EDDY_RUNTIME_TASK_TASK_H
#define EDDY_RUNTIME_TASK_TASK_H

#include <eddy/runtime/loop/loop.h>

EDDY_BEGIN_DECLS

typedef struct eddy_future eddy_future;
typedef int64_t (*eddy_task_fn)(void *arg);

/* The largest argument that eddy_spawn copies. */
#define EDDY_SPAWN_COPY_MAX 4096

/**
 * Start a task in the current scope, which joins it; there is no handle.
 *
 * Shape:   size 0 passes `arg` itself; size 1..EDDY_SPAWN_COPY_MAX copies that many bytes at `arg`
 *          to the new stack, aligned for any type, and passes the copy. The task is only queued: it
 *          runs when the present one suspends. Outside of a task, on a loop's thread, it belongs to
 *          the loop.
 * Owns:    with size 0 borrows `arg` until the task ends; else copies it.
 * Errors:  -ENOMEM no stack; -EINVAL; EDDY_ENOTASK no loop runs on this thread; -ECANCELED or
 *          -ETIME the scope has ended; EDDY_EFORKED the loop is a parent process's (nothing was
 *          started).
 * Threads: loop thread.
 * Cancel:  suspends only while the scope's limit of running tasks is reached.
 */
#define eddy_spawn(fn, arg, size) eddy_spawn_from(EDDY_SITE, NULL, (fn), (arg), (size))

/**
 * As eddy_spawn, on another loop. The scope joins it all the same, and its cancel and deadline
 * reach it.
 *
 * Shape:   loop NULL is the current one. From a thread without a task the task belongs to `loop`.
 * Owns:    as eddy_spawn; with size 0 what `arg` points to is used on the other thread.
 * Errors:  as eddy_spawn. A lack of memory over there is the task's failure (-ENOMEM).
 * Threads: any thread.
 * Cancel:  as eddy_spawn.
 */
#define eddy_spawn_on(loop, fn, arg, size) eddy_spawn_from(EDDY_SITE, (loop), (fn), (arg), (size))

/**
 * What eddy_spawn and eddy_spawn_on are made of: `site` is where the reports say it was spawned.
 *
 * Shape:   as eddy_spawn_on; site is "file:line" or NULL.
 * Owns:    borrows site for as long as the task lives.
 * Errors:  as eddy_spawn.
 * Threads: any thread.
 * Cancel:  as eddy_spawn.
 */
EDDY_API int eddy_spawn_from(const char *site, eddy_loop *loop, eddy_task_fn fn, void *arg,
                             size_t size);

/**
 * Start a task whose end can be awaited, and whose failure is the awaiter's.
 *
 * Shape:   as eddy_spawn; never NULL: a future that has failed carries the error. The scope's limit
 *          does not count these.
 * Owns:    `arg` as eddy_spawn. A future that has ended when this returns was never started: fn
 *          does not run and what `arg` owns is still the caller's. (On its own loop a task only
 *          begins when the present one suspends, so there it tells for certain.)
 *          The future belongs to the current scope, which cancels it and waits when it is left, or
 *          is given back early by eddy_future_release.
 * Errors:  in the future: as eddy_spawn.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
#define eddy_task_start(fn, arg, size) eddy_task_start_from(EDDY_SITE, NULL, (fn), (arg), (size))

/**
 * As eddy_task_start, on another loop.
 *
 * Shape:   loop NULL is the current one. Without a task around, nobody but the caller owns the
 *          future. The task begins when the loop's thread runs the loop, and at the latest, with a
 *          cancel, while it is freed: eddy_future_release waits for that.
 * Owns:    as eddy_task_start, but the future does not tell whether fn ran: it may have ended
 *          already, and may still fail to start later. What `arg` owns had better say itself
 *          whether fn has taken it over.
 * Errors:  in the future: as eddy_spawn.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
#define eddy_task_start_on(loop, fn, arg, size) \
    eddy_task_start_from(EDDY_SITE, (loop), (fn), (arg), (size))

/**
 * What eddy_task_start and eddy_task_start_on are made of.
 *
 * Shape:   as eddy_task_start_on.
 * Owns:    as eddy_task_start; borrows site.
 * Errors:  in the future: as eddy_spawn.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API eddy_future *eddy_task_start_from(const char *site, eddy_loop *loop, eddy_task_fn fn,
                                           void *arg, size_t size);

/**
 * Run `fn(arg)` as a task of the loop and return its result: the door from main into eddy.
 *
 * Shape:   runs the loop on this thread until that task has ended. Other tasks of the loop stay.
 * Owns:    borrows arg until it returns.
 * Errors:  what fn returned; -ENOMEM; -EINVAL; -EDEADLK a loop runs on this thread already;
 *          EDDY_EWRONGLOOP; EDDY_EFORKED; -ECANCELED eddy_loop_stop ended the loop first (the task
 *          is cancelled).
 * Threads: loop thread.
 * Cancel:  does not suspend; blocks.
 */
EDDY_API int64_t eddy_loop_call(eddy_loop *loop, eddy_task_fn fn, void *arg);

/**
 * Let the other ready tasks of the loop run first.
 *
 * Shape:   0 when it is this task's turn again.
 * Owns:    nothing.
 * Errors:  -ECANCELED, -ETIME, EDDY_ENOTASK.
 * Threads: fiber.
 * Cancel:  suspends; a cancel that came meanwhile is reported.
 */
EDDY_API int eddy_yield(void);

/**
 * Suspend for at least `duration_ns`.
 *
 * Shape:   nanoseconds of the loop's clock; 0 or less is eddy_yield; EDDY_NEVER sleeps until a
 *          cancel.
 * Owns:    nothing.
 * Errors:  -ECANCELED, -ETIME, EDDY_ENOTASK.
 * Threads: fiber.
 * Cancel:  suspends; returns early.
 */
EDDY_API int eddy_sleep(int64_t duration_ns);

/**
 * Suspend until the loop's clock has reached `deadline_ns`.
 *
 * Shape:   as eddy_sleep; a deadline in the past is eddy_yield.
 * Owns:    nothing.
 * Errors:  -ECANCELED, -ETIME, EDDY_ENOTASK.
 * Threads: fiber.
 * Cancel:  suspends; returns early.
 */
EDDY_API int eddy_sleep_until(int64_t deadline_ns);

/**
 * A future that ends when the time has come, with 0.
 *
 * Shape:   as eddy_sleep; never NULL.
 * Owns:    the future belongs to the current scope.
 * Errors:  in the future: -ENOMEM; -ECANCELED, -ETIME; EDDY_ENOTASK no loop runs on this thread.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API eddy_future *eddy_sleep_start(int64_t duration_ns);

/**
 * Whether the running task should end: for loops that compute and never wait.
 *
 * Shape:   0, -ECANCELED or -ETIME. Charged to the budget: lets others run when it is used up.
 * Owns:    nothing.
 * Errors:  also EDDY_ENOTASK.
 * Threads: fiber.
 * Cancel:  may suspend, for the budget only.
 */
EDDY_API int eddy_checkpoint(void);

/**
 * Give the running task a name, for reports and dumps.
 *
 * Shape:   up to 31 bytes are kept. Outside of a task nothing happens.
 * Owns:    copies.
 * Errors:  none.
 * Threads: fiber.
 * Cancel:  does not suspend.
 */
EDDY_API void eddy_task_name_set(const char *name);

/**
 * The running task's name.
 *
 * Shape:   "" without a name; NULL outside of a task.
 * Owns:    borrowed from the task.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API const char *eddy_task_name(void);

/**
 * A number that no other task of the process has had.
 *
 * Shape:   from 1 up; 0 outside of a task.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API uint64_t eddy_task_id(void);

EDDY_END_DECLS

#endif
