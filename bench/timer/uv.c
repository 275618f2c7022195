/* SPDX-License-Identifier: Apache-2.0 */
/* A million timers on libuv, whose clock has milliseconds: created and cancelled, created and
 * fired. */
#include <stdlib.h>
#include <uv.h>

#include "timers.h"

static uint32_t fired;

static void count(uv_timer_t *timer) {
    (void)timer;
    fired++;
}

static void measure(uv_loop_t *loop, uv_timer_t *timers, bool tells) {
    int64_t begin_ns = now_ns();
    for (uint32_t i = 0; i < TIMERS; i++) {
        uv_timer_init(loop, &timers[i]);
        uv_timer_start(&timers[i], count, 1000000 + (uint64_t)duration_ns(i) / 1000000, 0);
    }
    for (uint32_t i = 0; i < TIMERS; i++) {
        uv_timer_stop(&timers[i]);
    }
    print(tells, "cancel_ns", begin_ns);

    uv_update_time(loop);
    begin_ns = now_ns();
    for (uint32_t i = 0; i < TIMERS; i++) {
        uv_timer_start(&timers[i], count, (uint64_t)duration_ns(i) / 1000000, 0);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    print(tells, "fire_ns", begin_ns);
    for (uint32_t i = 0; i < TIMERS; i++) {
        uv_close((uv_handle_t *)&timers[i], NULL);
    }
    uv_run(loop, UV_RUN_DEFAULT);
}

int main(void) {
    uv_loop_t *loop = uv_default_loop();
    uv_timer_t *timers = calloc(TIMERS, sizeof *timers);
    if (timers == NULL) {
        return 1;
    }
    measure(loop, timers, false);
    measure(loop, timers, true);
    free(timers);
    return fired == 2 * TIMERS ? 0 : 1;
}
