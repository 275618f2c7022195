/* SPDX-License-Identifier: Apache-2.0 */
/* A user's program in C: two tasks in a loop of its own, in virtual time. */
#include <stdio.h>
#include <string.h>

#include <eddy/eddy.h>

static int64_t nap(void *arg) {
    int *naps = arg;
    int r = eddy_sleep(10 * EDDY_S);
    (*naps)++;
    return r;
}

static int64_t app(void *arg) {
    eddy_scope scope;
    eddy_scope_enter(&scope, NULL);
    int64_t r = 0;
    for (int i = 0; i < 2 && r == 0; i++) {
        r = eddy_spawn(nap, arg, 0);
    }
    return eddy_scope_leave(&scope, r);
}

int main(void) {
    eddy_loop *loop;
    eddy_loop_opts opts = {.driver = "sim"};
    int naps = 0;
    int r = eddy_loop_new(&opts, &loop);
    if (r < 0) {
        fprintf(stderr, "no loop: %s\n", eddy_error_text(r));
        return 1;
    }
    int64_t result = eddy_loop_call(loop, app, &naps);
    eddy_loop_free(loop);
    if (result != 0 || naps != 2 || eddy_memory_blocks() != 0) {
        fprintf(stderr, "%s after %d naps\n", eddy_error_name(result), naps);
        return 1;
    }
    puts(eddy_version());
    return strcmp(eddy_error_name(EDDY_ECLOSED), "EDDY_ECLOSED") != 0 ||
           strcmp(eddy_version(), EDDY_VERSION) != 0;
}
