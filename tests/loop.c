/* SPDX-License-Identifier: Apache-2.0 */
/* What LOOP_TEST stands on; apart from test.c, so that a program without it links without a loop */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include <eddy/runtime/loop/loop.h>
#include <eddy/runtime/task/task.h>

static int64_t root_task(void *arg) {
    void (**body)(void) = arg;
    (*body)();
    return 0;
}

eddy_loop_opts test_loop_opts(void) {
    eddy_loop_opts opts = {.seed = test_seed()};
    const char *ring = getenv("EDDY_TEST_RING");
    if (ring != NULL) {
        CHECK_EQ(sscanf(ring, "%ux%u", &opts.sq_entries, &opts.cq_entries), 2);
    }
    return opts;
}

void test_run_in_loop(void (*body)(void)) {
    eddy_loop *loop;
    eddy_loop_opts opts = test_loop_opts();
    int r = eddy_loop_new(&opts, &loop);
    if (r == EDDY_EDRIVER) {
        test_skip(eddy_error_detail());
    }
    CHECK_OK(r);
    CHECK_OK(eddy_loop_call(loop, root_task, &body));
    eddy_loop_free(loop);
}
