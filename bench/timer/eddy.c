/* SPDX-License-Identifier: Apache-2.0 */
/* A million timers on eddy: created and cancelled, created and fired. */
#include <stdio.h>
#include <stdlib.h>

#include <eddy/eddy.h>

#include "../cpu.h"
#include "timers.h"

static eddy_future *timers[TIMERS];

static int64_t app(void *arg) {
    (void)arg;
    int64_t begin_ns = now_ns();
    for (uint32_t i = 0; i < TIMERS; i++) {
        timers[i] = eddy_sleep_start(EDDY_S * 1000 + duration_ns(i));
    }
    for (uint32_t i = 0; i < TIMERS; i++) {
        eddy_future_release(timers[i]);
    }
    printf("cancel_ns %.3f\n", (double)(now_ns() - begin_ns) / TIMERS);

    begin_ns = now_ns();
    for (uint32_t i = 0; i < TIMERS; i++) {
        timers[i] = eddy_sleep_start(duration_ns(i));
    }
    for (uint32_t i = 0; i < TIMERS; i++) {
        eddy_await(timers[i]);
        eddy_future_release(timers[i]);
    }
    printf("fire_ns %.3f\n", (double)(now_ns() - begin_ns) / TIMERS);
    return 0;
}

int main(void) {
    return eddy_main(app, NULL, NULL);
}
