/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain thread gives a task its result.
 *
 * Shows:  eddy_promise: the way from any thread, library or callback into a task.
 * Needs:  Linux 5.10 or later.
 * Run:    ./06_promise
 * Expect: the thread's answer is 42
 */
#include <pthread.h>
#include <stdio.h>

#include <eddy/eddy.h>

static void *thinker(void *arg) {
    eddy_promise *promise = arg;
    eddy_promise_resolve(promise, 42);
    eddy_promise_free(promise);
    return NULL;
}

static int64_t app(void *arg) {
    (void)arg;
    eddy_promise *promise;
    EDDY_AUTO(eddy_future) *answer = NULL;
    int r = eddy_promise_new(&promise, &answer);
    if (r < 0) {
        return r;
    }
    pthread_t thread;
    r = -pthread_create(&thread, NULL, thinker, promise);
    if (r < 0) {
        eddy_promise_free(promise);
        return r;
    }
    int64_t n = eddy_await(answer); /* other tasks of this loop would run meanwhile */
    pthread_join(thread, NULL);
    printf("the thread's answer is %lld\n", (long long)n);
    return n < 0 ? n : 0;
}

int main(void) {
    return eddy_main(app, NULL, NULL);
}
