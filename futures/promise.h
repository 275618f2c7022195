/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A promise: the other end of a future, for whoever produces its result. It is how a thread, a C
 * library's callback or a signal handler's helper hands one value to a task.
 *
 *     static void *worker(void *promise) {              a thread of your own
 *         eddy_promise_resolve(promise, compute());
 *         eddy_promise_free(promise);
 *         return NULL;
 *     }
 *
 *     eddy_promise *promise;
 *     eddy_future *answer;
 *     int r = eddy_promise_new(&promise, &answer);
 *     ... pthread_create(&thread, NULL, worker, promise) ...
 *     int64_t n = eddy_await(answer);
 *     eddy_future_release(answer);
 *
 * Two handles, two owners: the promise is the producer's and ends with eddy_promise_free, the
 * future is the caller's and ends with eddy_future_release. No scope owns it, because it is made to
 * cross threads.
 *
 *                 resolve, or free (EDDY_EBROKEN)
 *     PENDING ------------------------------------------> DONE
 *         \---- the consumer cancels (-ECANCELED) ------/
 *
 * A cancel ends the future at once, so nobody who waits for it hangs on a producer that does not
 * look. A producer that uses the consumer's memory, or wants to stop its work in order, says what
 * is to be done on a cancel (eddy_promise_on_cancel); the future then ends only when the producer
 * says.
 */
#ifndef EDDY_FUTURES_PROMISE_H
#define EDDY_FUTURES_PROMISE_H

#include <eddy/futures/future.h>

EDDY_BEGIN_DECLS

typedef struct eddy_promise eddy_promise;

/**
 * Make a promise and its future.
 *
 * Shape:   one allocation for both.
 * Owns:    *ret_promise is ended with eddy_promise_free, *ret_future with eddy_future_release, in
 *          either order and on any threads.
 * Errors:  -ENOMEM; -EINVAL one of the two is NULL.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_promise_new(eddy_promise **ret_promise, eddy_future **ret_future);

/**
 * End the future with `result`: >= 0 for success, an error otherwise.
 *
 * Shape:   the first of several wins. Waiters wake; callbacks that belong to no loop may run in
 *          here.
 * Owns:    nothing; the promise is still to be freed.
 * Errors:  -EALREADY the future had ended: resolved before, or cancelled; -EINVAL promise is NULL.
 * Threads: any thread, several at once.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_promise_resolve(eddy_promise *promise, int64_t result);

/**
 * As eddy_promise_resolve, with a payload.
 *
 * Shape:   `payload` is `len` bytes, or an object of which len says nothing (0). dispose NULL:
 *          nobody has to free it.
 * Owns:    consumes the payload always: on an error dispose(payload) has been called.
 * Errors:  as eddy_promise_resolve.
 * Threads: any thread; dispose runs on whichever lets go last.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_promise_resolve_payload(eddy_promise *promise, int64_t result, void *payload,
                                          size_t len, void (*dispose)(void *payload));

/**
 * As eddy_promise_resolve, with the bytes of a buffer: eddy_future_take gives them to the consumer
 * without a copy.
 *
 * Shape:   buffer may be empty.
 * Owns:    consumes the bytes always; the buffer is empty afterwards.
 * Errors:  as eddy_promise_resolve.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_promise_resolve_buffer(eddy_promise *promise, int64_t result,
                                         eddy_buffer *buffer);

/**
 * Whether the consumer has cancelled: its result is not wanted any more.
 *
 * Shape:   releasing a pending future cancels it too.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API bool eddy_promise_cancelled(const eddy_promise *promise);

/**
 * Have `fn(arg)` called when the consumer cancels, and let the future wait for the producer's word.
 *
 * Shape:   fn is called at most once, on the thread that cancels (where that runs a loop, soon,
 *          from its ready queue). It should be short: set a flag, close a descriptor, post to a
 *          loop; it may resolve the promise itself. Set it before the producer starts, so that no
 *          cancel comes first.
 * Owns:    borrows arg until eddy_promise_free has returned.
 * Errors:  -EALREADY the future has ended or was cancelled; -EBUSY one is set; -EINVAL. fn is not
 *          called then.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_promise_on_cancel(eddy_promise *promise, void (*fn)(void *arg), void *arg);

/**
 * Give the promise back. A future that is still pending ends with EDDY_EBROKEN, or with the
 * cancel's code when a cancel was asked.
 *
 * Shape:   NULL is fine. When it has returned, the function of eddy_promise_on_cancel neither runs
 *          nor will (from inside that function: it does not wait for itself).
 * Owns:    frees the promise.
 * Errors:  none; returns NULL.
 * Threads: any thread.
 * Cancel:  suspends (a task) or blocks while that function runs on another thread; never refused.
 */
EDDY_API eddy_promise *eddy_promise_free(eddy_promise *promise);

static inline void eddy_promise_freep(eddy_promise **promise) {
    if (*promise != NULL) {
        eddy_promise_free(*promise);
    }
}

EDDY_END_DECLS

#endif
