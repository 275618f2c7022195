/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program on eddy: one task, which is what eddy_main runs.
 *
 * Shows:  eddy_main, a task's result as the exit status.
 * Needs:  Linux 5.10 or later.
 * Run:    ./01_hello
 * Expect: hello from the task "main"
 */
#include <stdio.h>

#include <eddy/eddy.h>

static int64_t app(void *arg) {
    (void)arg;
    printf("hello from the task \"%s\"\n", eddy_task_name());
    return 0;
}

int main(void) {
    return eddy_main(app, NULL, NULL);
}
