/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A future: a handle on what will end, once, in one int64_t and perhaps one owned payload. A task,
 * a started operation, a job in a pool, a process and a promise all give the same kind.
 *
 *     PENDING --its work ends, for whatever reason--> DONE      (never back)
 *
 *     eddy_future *page = eddy_task_start(fetch, url, 0);
 *     ... something else meanwhile ...
 *     int64_t r = eddy_await(page);                     the result, or what went wrong
 *     if (r >= 0) {
 *         r = eddy_future_take(page, &body);            its bytes, when it has any
 *     }
 *
 * Whose it is. What a task starts belongs to the innermost scope: when the scope is left, what is
 * still pending is cancelled and waited for, and the handle is gone. eddy_future_release gives one
 * back earlier. What is started outside of every task and every loop, and the future of a promise
 * (futures/promise.h), belongs to the caller, who releases it. Looking at a result consumes
 * nothing.
 *
 * A call that returns a future never returns NULL: one that could not be started carries the error.
 * A failure that nobody has looked at when its handle goes, and that is no cancel, is told to the
 * loop's on_unobserved. A payload that nobody has taken is disposed of.
 *
 * All of this may be done from any task on any loop and from plain threads. A loop is freed after
 * the futures of what runs on it have been released.
 */
#ifndef EDDY_FUTURES_FUTURE_H
#define EDDY_FUTURES_FUTURE_H

#include <eddy/runtime/base/buffer.h>

EDDY_BEGIN_DECLS

typedef struct eddy_future eddy_future;

/* ---- waiting --------------------------------------------------------------------------------- */

/**
 * Wait until the future has ended, and return its result.
 *
 * Shape:   a task suspends, a plain thread blocks. At once when the future has ended.
 * Owns:    nothing; the handle stays whose it was. No allocation.
 * Errors:  what the future ended with. -EDEADLK a task waits for itself, a loop's thread waits
 *          outside of every task, or a thread for a loop that it must poll itself; EDDY_EFORKED
 *          what would end it runs in the parent process; -EINVAL f is NULL.
 * Threads: any thread.
 * Cancel:  suspends. -ECANCELED or -ETIME when the waiting task is cancelled, also when the future
 *          has ended already; the future itself goes on (eddy_future_done tells the two apart).
 */
EDDY_API int64_t eddy_await(eddy_future *f);

/**
 * As eddy_await, but for `timeout_ns` at most: for plain threads, which have no scope.
 *
 * Shape:   EDDY_NEVER waits as eddy_await does; EDDY_ZERO, 0 and less only look. A task's time is
 *          its loop's (virtual on sim), a thread's is the system's monotonic clock.
 * Owns:    nothing; no allocation.
 * Errors:  as eddy_await; -EINPROGRESS the time is up and the future is still pending. (-ETIME
 *          would look like a scope's deadline, -ETIMEDOUT like the network's: either may be its
 *          result.)
 * Threads: any thread. With a timeout of zero also where a longer one gives -EDEADLK.
 * Cancel:  suspends; as eddy_await.
 */
EDDY_API int64_t eddy_future_wait(eddy_future *f, int64_t timeout_ns);

/* ---- looking --------------------------------------------------------------------------------- */

/**
 * Whether the future has ended.
 *
 * Shape:   once true, true for ever. NULL gives false.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API bool eddy_future_done(const eddy_future *f);

/**
 * The result of a future that has ended.
 *
 * Shape:   what eddy_await would return, without the look at the caller's own cancel.
 * Owns:    nothing. Counts as having looked.
 * Errors:  what the future ended with; -EINPROGRESS it is pending; -EINVAL f is NULL.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int64_t eddy_future_result(eddy_future *f);

/**
 * Whether the future ended because it was cancelled.
 *
 * Shape:   false while it is pending, and when it ended otherwise although a cancel was asked.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API bool eddy_future_cancelled(const eddy_future *f);

/**
 * Ask the work to end early. The future still ends once, with its own result: -ECANCELED when the
 * cancel won.
 *
 * Shape:   0 also when it was asked before. A job that still waits in a queue does not begin. A
 *          task always does, because its argument may be its own to close or free, and sees the
 *          cancel in its first suspending call.
 * Owns:    nothing; the future is still to be waited for or released.
 * Errors:  -EALREADY it has ended; -ENOTSUP this kind cannot be cancelled; -EINVAL f is NULL.
 * Threads: any thread.
 * Cancel:  does not suspend: see eddy_await for the end.
 */
EDDY_API int eddy_future_cancel(eddy_future *f);

/* ---- the payload ----------------------------------------------------------------------------- */

/**
 * The payload of a future that has ended, left where it is.
 *
 * Shape:   NULL while it is pending, when it has none, and once it was taken. ret_len may be NULL;
 *          it is set to 0 with NULL (*always*). A failed future may have one too: partial output.
 * Owns:    borrows from the future until it is released or the payload is taken.
 * Errors:  none.
 * Threads: any thread; not while another one takes it.
 * Cancel:  does not suspend.
 */
EDDY_API void *eddy_future_payload(eddy_future *f, size_t *ret_len);

/**
 * Move the bytes that the future carries into a buffer.
 *
 * Shape:   returns the future's result, which is >= 0. *ret_buffer is overwritten, and empty when
 *          the future carries nothing. Memory of eddy's own is moved, other memory is copied.
 * Owns:    the bytes are the caller's: eddy_buffer_done.
 * Errors:  the future's own, when it failed: nothing is taken then. -EINPROGRESS it is pending;
 *          EDDY_ERELEASED they have been taken; -ENOMEM no room for the copy, they stay; -EINVAL.
 * Threads: any thread; of two who try, one gets it.
 * Cancel:  does not suspend.
 */
EDDY_API int64_t eddy_future_take(eddy_future *f, eddy_buffer *ret_buffer);

/**
 * Move the payload itself out of the future: an object, such as the stream of a started connect.
 *
 * Shape:   returns the future's result, which is >= 0. *ret_payload is NULL when it carries
 *          nothing. ret_len may be NULL.
 * Owns:    the payload is the caller's, who gives it back as the call that made the future says.
 * Errors:  as eddy_future_take, without -ENOMEM.
 * Threads: any thread; of two who try, one gets it.
 * Cancel:  does not suspend.
 */
EDDY_API int64_t eddy_future_take_payload(eddy_future *f, void **ret_payload, size_t *ret_len);

/* ---- the end of a handle --------------------------------------------------------------------- */

/**
 * Give the handle back: what is pending is cancelled and waited for, so that all memory lent to it
 * is free when this returns.
 *
 * Shape:   NULL is fine. Where nothing can wait (in a callback or a post on a loop's thread; a
 *          task's own future; in a forked child) it only asks for the cancel and lets go, or leaves
 *          the handle to its scope: then memory lent to it stays lent until its work has ended.
 *          Work on another loop ends when its thread runs that loop, and release waits for that,
 *          also when a started task has not begun: it will, because what its argument owns is its
 *          own to give back. Where no thread runs the loop any more it waits for ever;
 *          eddy_future_wait with a timeout does not.
 * Owns:    the handle is gone; a payload that was not taken is disposed of.
 * Errors:  none; returns NULL. An unobserved failure goes to on_unobserved.
 * Threads: any thread.
 * Cancel:  suspends while the work ends, and is never refused.
 */
EDDY_API eddy_future *eddy_future_release(eddy_future *f);

static inline void eddy_future_freep(eddy_future **f) {
    if (*f != NULL) {
        eddy_future_release(*f);
    }
}

/* ---- callbacks ------------------------------------------------------------------------------- */

/**
 * Have `fn(f, arg)` called once the future has ended, whatever its result.
 *
 * Shape:   registered on a loop's thread, fn runs on that loop, from its ready queue and never
 *          inside of this call; it must not suspend, but may spawn what does. Registered elsewhere,
 *          it runs on the thread that ends the future (where that runs a loop, from its ready
 *          queue), or in this call when the future has ended. Callbacks of one loop, and those of
 *          none, run in the order of their adding. A loop runs on until its callbacks have run;
 *          eddy_loop_free cancels the futures that they wait for, so that they do.
 * Owns:    borrows arg until fn has returned. f is valid in fn even when its handle is gone.
 * Errors:  -ENOMEM; -EINVAL. fn is not called then.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_future_callback(eddy_future *f, void (*fn)(eddy_future *f, void *arg), void *arg);

/**
 * A future that ends with what `fn(result, arg)` makes of the result of `f`.
 *
 * Shape:   fn is given every result, a failure too (`if (result < 0) return result;`), and is
 *          called once, where eddy_future_callback would call it: also after a cancel. Never NULL.
 * Owns:    borrows arg until fn has returned. `f` stays whose it was and keeps its payload; its
 *          failure counts as looked at. The new future belongs to the current scope, or to the
 *          caller.
 * Errors:  in the future: what fn returned; -ENOMEM, -EINVAL: fn is not called then.
 * Threads: any thread.
 * Cancel:  does not suspend. A cancel of the new future is passed on to `f`.
 */
EDDY_API eddy_future *eddy_future_then(eddy_future *f, int64_t (*fn)(int64_t result, void *arg),
                                       void *arg);

EDDY_END_DECLS

#endif
