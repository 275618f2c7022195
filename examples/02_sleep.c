/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three tasks sleep at the same time, on one thread: sleep sort.
 *
 * Shows:  eddy_spawn, eddy_sleep, and that a task's children are joined by a scope.
 * Needs:  Linux 5.10 or later.
 * Run:    ./02_sleep
 * Expect: 10, 20, 30 and "done", after 30 milliseconds, not 60
 */
#include <stdio.h>

#include <eddy/eddy.h>

static int64_t sleeper(void *arg) {
    int ms = *(int *)arg;
    int r = eddy_sleep(ms * EDDY_MS);
    if (r < 0) {
        return r;
    }
    printf("%d\n", ms);
    return 0;
}

static int64_t app(void *arg) {
    (void)arg;
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, NULL);
    if (r < 0) {
        return r;
    }
    int times[] = {30, 10, 20};
    for (size_t i = 0; i < sizeof times / sizeof times[0] && r == 0; i++) {
        r = eddy_spawn(sleeper, &times[i], sizeof times[i]); /* the task gets a copy */
    }
    r = eddy_scope_leave(&scope, r); /* waits for all three */
    printf("done\n");
    return r;
}

int main(void) {
    return eddy_main(app, NULL, NULL);
}
