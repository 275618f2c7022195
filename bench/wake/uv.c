/* SPDX-License-Identifier: Apache-2.0 */
/* Two loops of libuv on a CPU each that wake one another by uv_async_send. */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "../cpu.h"
#include "pin.h"

#define TRIPS 20000

struct side {
    uv_loop_t loop;
    uv_async_t async;
    struct side *other;
    int trips;
};

static struct side sides[2];

static void woken(uv_async_t *async) {
    struct side *side = async->data;
    if (++side->trips < TRIPS || side == &sides[1]) {
        uv_async_send(&side->other->async);
    }
    if (side->trips == TRIPS) {
        uv_stop(&side->loop);
    }
}

static void answer(void *arg) {
    pin_to(1);
    uv_run(arg, UV_RUN_DEFAULT);
}

int main(void) {
    uv_thread_t thread;
    for (int i = 0; i < 2; i++) {
        uv_loop_init(&sides[i].loop);
        uv_async_init(&sides[i].loop, &sides[i].async, woken);
        sides[i].async.data = &sides[i];
        sides[i].other = &sides[1 - i];
    }
    uv_thread_create(&thread, answer, &sides[1].loop);
    pin_to(0);
    int64_t begin_ns = now_ns();
    uv_async_send(&sides[1].async);
    uv_run(&sides[0].loop, UV_RUN_DEFAULT);
    printf("asleep_us %.3f\n", (double)(now_ns() - begin_ns) / 1e3 / TRIPS);
    uv_thread_join(&thread);
    return 0;
}
