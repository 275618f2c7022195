/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several futures at once: all of them, the first that succeeds, the first that ends, or each as it
 * ends. Futures of different kinds and loops mix.
 *
 *     eddy_future *both[] = {eddy_task_start(fetch, "a", 0), eddy_task_start(fetch, "b", 0)};
 *     int64_t r = eddy_await_all(both, 2);             the first failure cancels the other
 *
 *     eddy_as_completed *each;
 *     if ((r = eddy_as_completed_new(jobs, count, &each)) == 0) {
 *         int64_t i;
 *         while ((i = eddy_as_completed_next(each)) >= 0) {
 *             printf("job %d gave %d\n", (int)i, (int)eddy_future_result(jobs[i]));
 *         }
 *         eddy_as_completed_free(each);
 *     }
 *
 *                  ends when                     cancels the rest   of nothing
 *     all          all ended well, or one failed  on a failure       0
 *     any          one ended well, or all failed  on a success       -EINVAL
 *     race         one ended                      always             -EINVAL
 *     until        as asked, or the time is up    never              0
 *
 * Where the rest is cancelled it is also waited for, so all futures have ended when the call
 * returns. None of these consumes a handle; the same future may stand in the array twice.
 */
#ifndef EDDY_FUTURES_COMBINE_H
#define EDDY_FUTURES_COMBINE_H

#include <eddy/futures/future.h>

EDDY_BEGIN_DECLS

/* ---- waiting for several --------------------------------------------------------------------- */

/**
 * Wait until all futures have ended well, or one has failed: that one cancels the others.
 *
 * Shape:   0, or the first failure (in time; a cancelled future counts as one), once all have
 *          ended. Each result is read with eddy_future_result. count 0 gives 0.
 * Owns:    borrows fs until return. Allocates for more than 16.
 * Errors:  the first failure; -ENOMEM nothing was done; -EDEADLK, EDDY_EFORKED as eddy_await;
 *          -EINVAL a NULL among them.
 * Threads: any thread.
 * Cancel:  suspends. When the waiting task is cancelled while none has failed: -ECANCELED or -ETIME
 *          at once, and the futures go on. The wait for the cancelled ones is never refused.
 */
EDDY_API int64_t eddy_await_all(eddy_future *const *fs, size_t count);

/**
 * Wait until one future has ended well: that one cancels the others.
 *
 * Shape:   its result, >= 0, and its place in *ret_index (which may be NULL), once all have ended;
 *          when all failed, the first failure.
 * Owns:    as eddy_await_all.
 * Errors:  the first failure, when all failed; -EINVAL also when count is 0; else as
 *          eddy_await_all.
 * Threads: any thread.
 * Cancel:  as eddy_await_all, while none has succeeded.
 */
EDDY_API int64_t eddy_await_any(eddy_future *const *fs, size_t count, size_t *ret_index);

/**
 * Wait until one future has ended, well or not: that one cancels the others.
 *
 * Shape:   its result, and its place in *ret_index (which may be NULL; written for a failure too),
 *          once all have ended.
 * Owns:    as eddy_await_all.
 * Errors:  that future's; -EINVAL also when count is 0; else as eddy_await_all.
 * Threads: any thread.
 * Cancel:  as eddy_await_all, while none has ended.
 */
EDDY_API int64_t eddy_await_race(eddy_future *const *fs, size_t count, size_t *ret_index);

typedef enum eddy_until {
    EDDY_UNTIL_ALL_COMPLETED = 0, /* until all have ended */
    EDDY_UNTIL_FIRST_COMPLETED,   /* until one has */
    EDDY_UNTIL_FIRST_FAILED, /* until one has failed (a cancelled one did not), or all have ended */
} eddy_until;

/**
 * Wait until so many futures have ended, and say which.
 *
 * Shape:   how many of fs have ended, each place counted; less than asked for when `timeout_ns`
 *          came first (EDDY_NEVER: no limit; EDDY_ZERO, 0 and less: only look). ret_done[i], when
 *          ret_done is not NULL, says whether fs[i] has. count 0 gives 0 at once.
 * Owns:    as eddy_await_all. Nothing is cancelled, and no result counts as looked at.
 * Errors:  -ENOMEM; -EDEADLK, EDDY_EFORKED as eddy_await; -EINVAL.
 * Threads: any thread.
 * Cancel:  suspends. -ECANCELED or -ETIME when the waiting task is cancelled first.
 */
EDDY_API int64_t eddy_await_until(eddy_future *const *fs, size_t count, eddy_until what,
                                  int64_t timeout_ns, bool *ret_done);

/* ---- several as one future ------------------------------------------------------------------- */

/**
 * A future that ends as eddy_await_all does.
 *
 * Shape:   never NULL. 0, or the first failure, once all have ended.
 * Owns:    copies the array and keeps the futures alive; their handles stay whose they were, and
 *          their failures count as looked at. The new one belongs to the current scope, or to the
 *          caller.
 * Errors:  in the future: the first failure; -ENOMEM, -EINVAL: nothing was done to the others.
 * Threads: any thread.
 * Cancel:  does not suspend. A cancel of the new future cancels all, and it ends when all have.
 */
EDDY_API eddy_future *eddy_future_all(eddy_future *const *fs, size_t count);

/**
 * A future that ends as eddy_await_any does: with the first success, or the first failure.
 *
 * Shape:   as eddy_future_all; the result is that of the one that won.
 * Owns:    as eddy_future_all.
 * Errors:  in the future, as eddy_await_any.
 * Threads: any thread.
 * Cancel:  as eddy_future_all.
 */
EDDY_API eddy_future *eddy_future_any(eddy_future *const *fs, size_t count);

/**
 * A future that ends as eddy_await_race does: with the first result of any kind.
 *
 * Shape:   as eddy_future_all; the result is that of the one that was first.
 * Owns:    as eddy_future_all.
 * Errors:  in the future, as eddy_await_race.
 * Threads: any thread.
 * Cancel:  as eddy_future_all.
 */
EDDY_API eddy_future *eddy_future_race(eddy_future *const *fs, size_t count);

/**
 * A future that ends as `f` does, and keeps a cancel away from it.
 *
 * Shape:   never NULL. The payload stays with `f`.
 * Owns:    keeps `f` alive; its handle stays whose it was, and its failure counts as looked at. The
 *          new one belongs to the current scope, or to the caller.
 * Errors:  in the future: what `f` ended with; -ENOMEM, -EINVAL.
 * Threads: any thread.
 * Cancel:  does not suspend. A cancel of the new future ends that one at once, and `f` goes on.
 */
EDDY_API eddy_future *eddy_future_shield(eddy_future *f);

/* ---- each as it ends ------------------------------------------------------------------------- */

/* Goes over futures in the order in which they end. */
typedef struct eddy_as_completed eddy_as_completed;

/**
 * Begin to go over some futures in the order in which they end.
 *
 * Shape:   a future that stands in fs twice comes once, as its first place. O(count).
 * Owns:    copies the array and keeps the futures alive until each has been given; their handles
 *          stay whose they were. *ret_iterator is freed with eddy_as_completed_free.
 * Errors:  -ENOMEM; -EINVAL a NULL among them.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_as_completed_new(eddy_future *const *fs, size_t count,
                                   eddy_as_completed **ret_iterator);

/**
 * Wait for the next future to end, and say which it is.
 *
 * Shape:   its place in fs. Those that had ended before come first, in their order. O(1).
 * Owns:    nothing.
 * Errors:  -ENOENT all have been given; -EDEADLK as eddy_await; -EINVAL iterator is NULL.
 * Threads: any thread, one at a time.
 * Cancel:  suspends. -ECANCELED or -ETIME when the waiting task is cancelled; the iterator stays as
 *          it was.
 */
EDDY_API int64_t eddy_as_completed_next(eddy_as_completed *iterator);

/**
 * As eddy_as_completed_next, but for `timeout_ns` at most.
 *
 * Shape:   as eddy_future_wait: EDDY_NEVER has no limit; EDDY_ZERO, 0 and less only look.
 * Owns:    nothing.
 * Errors:  as eddy_as_completed_next; -EINPROGRESS the time is up and no further one has ended.
 * Threads: any thread, one at a time.
 * Cancel:  as eddy_as_completed_next.
 */
EDDY_API int64_t eddy_as_completed_wait(eddy_as_completed *iterator, int64_t timeout_ns);

/**
 * End the iteration. The futures that were not given go on.
 *
 * Shape:   NULL is fine.
 * Owns:    frees the iterator.
 * Errors:  none; returns NULL.
 * Threads: any thread, one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API eddy_as_completed *eddy_as_completed_free(eddy_as_completed *iterator);

static inline void eddy_as_completed_freep(eddy_as_completed **iterator) {
    if (*iterator != NULL) {
        eddy_as_completed_free(*iterator);
    }
}

EDDY_END_DECLS

#endif
