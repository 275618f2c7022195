/* SPDX-License-Identifier: Apache-2.0 */
/* A million timers on eddy: created and cancelled, created and fired. */
#include <eddy/eddy.h>

#include "timers.h"

static eddy_future *timers[TIMERS];

static void measure(bool tells) {
    int64_t begin_ns = now_ns();
    for (uint32_t i = 0; i < TIMERS; i++) {
        timers[i] = eddy_sleep_start(EDDY_S * 1000 + duration_ns(i));
    }
    for (uint32_t i = 0; i < TIMERS; i++) {
        eddy_future_release(timers[i]);
    }
    print(tells, "cancel_ns", begin_ns);

    begin_ns = now_ns();
    for (uint32_t i = 0; i < TIMERS; i++) {
        timers[i] = eddy_sleep_start(duration_ns(i));
    }
    for (uint32_t i = 0; i < TIMERS; i++) {
        eddy_await(timers[i]);
        eddy_future_release(timers[i]);
    }
    print(tells, "fire_ns", begin_ns);
}

static int64_t app(void *arg) {
    (void)arg;
    measure(false);
    measure(true);
    return 0;
}

int main(void) {
    return eddy_main(app, NULL, NULL);
}
