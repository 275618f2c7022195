/* SPDX-License-Identifier: Apache-2.0 */
/* What LOOP_TEST stands on; apart from test.c, so that a program without it links without a loop */
#include "test.h"

#include <eddy/runtime/loop/loop.h>
#include <eddy/runtime/task/task.h>

static int64_t root_task(void *arg) {
    void (**body)(void) = arg;
    (*body)();
    return 0;
}

void test_run_in_loop(void (*body)(void)) {
    eddy_loop *loop;
    int r = eddy_loop_new(&(eddy_loop_opts){.seed = test_seed()}, &loop);
    if (r == EDDY_EDRIVER) {
        test_skip(eddy_error_detail());
    }
    CHECK_OK(r);
    CHECK_OK(eddy_loop_call(loop, root_task, &body));
    eddy_loop_free(loop);
}
