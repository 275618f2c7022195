/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks with a result: start them, go on, await them.
 *
 * Shows:  eddy_task_start, eddy_await, eddy_await_all, an error as an ordinary value.
 * Needs:  Linux 5.10 or later.
 * Run:    ./03_await
 * Expect: 3 * 3 = 9, the sum of five squares, and what a failure looks like
 */
#include <errno.h>
#include <stdio.h>

#include <eddy/eddy.h>

static int64_t square(void *arg) {
    int64_t x = *(int64_t *)arg;
    int r = eddy_sleep(EDDY_MS); /* some work that waits */
    return r < 0 ? r : x < 0 ? -EDOM : x * x;
}

static int64_t app(void *arg) {
    (void)arg;
    int64_t three = 3;
    eddy_future *one = eddy_task_start(square, &three, sizeof three);
    printf("3 * 3 = %lld\n", (long long)eddy_await(one));

    eddy_future *all[5];
    for (int64_t x = 0; x < 5; x++) {
        all[x] = eddy_task_start(square, &x, sizeof x);
    }
    int64_t r = eddy_await_all(all, 5);
    int64_t sum = 0;
    for (int i = 0; i < 5 && r >= 0; i++) {
        sum += eddy_await(all[i]); /* has ended: does not wait again */
    }
    printf("the sum of five squares is %lld\n", (long long)sum);

    int64_t negative = -1;
    int64_t error = eddy_await(eddy_task_start(square, &negative, sizeof negative));
    printf("%s: %s\n", eddy_error_name(error), eddy_error_text(error));
    return r;
}

int main(void) {
    return eddy_main(app, NULL, NULL);
}
