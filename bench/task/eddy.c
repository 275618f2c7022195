/* SPDX-License-Identifier: Apache-2.0 */
/* What tasks cost: a yield between two, a start with its await, a round trip by channels. */
#include <stdio.h>

#include <eddy/eddy.h>

#include "../cpu.h"

#define YIELDS 5000000
#define STARTS 2000000
#define TRIPS 2000000

static int64_t yield_often(void *arg) {
    for (int i = 0; i < YIELDS; i++) {
        eddy_yield();
    }
    return (int64_t)(intptr_t)arg;
}

static void measure_switch(void) {
    eddy_future *other = eddy_task_start(yield_often, NULL, 0);
    int64_t begin_ns = now_ns();
    yield_often(NULL);
    eddy_await(other);
    printf("switch_ns %.3f\n", (double)(now_ns() - begin_ns) / (2.0 * YIELDS));
    eddy_future_release(other);
}

static int64_t nothing(void *arg) {
    return (int64_t)(intptr_t)arg;
}

static void measure_start(void) {
    int64_t begin_ns = now_ns();
    for (int i = 0; i < STARTS; i++) {
        eddy_future *future = eddy_task_start(nothing, NULL, 0);
        eddy_await(future);
        eddy_future_release(future);
    }
    printf("spawn_ns %.3f\n", (double)(now_ns() - begin_ns) / STARTS);
}

struct pair {
    eddy_channel *ping;
    eddy_channel *pong;
};

static int64_t answer(void *arg) {
    struct pair *pair = arg;
    int64_t value;
    while (eddy_channel_recv(pair->ping, &value) == 0) {
        eddy_channel_send(pair->pong, &value);
    }
    return 0;
}

static void measure_channel(void) {
    struct pair pair;
    if (eddy_channel_new(sizeof(int64_t), 0, &pair.ping) < 0 ||
        eddy_channel_new(sizeof(int64_t), 0, &pair.pong) < 0) {
        return;
    }
    eddy_future *other = eddy_task_start(answer, &pair, 0);
    int64_t begin_ns = now_ns();
    for (int64_t i = 0; i < TRIPS; i++) {
        eddy_channel_send(pair.ping, &i);
        eddy_channel_recv(pair.pong, &i);
    }
    printf("channel_ns %.3f\n", (double)(now_ns() - begin_ns) / TRIPS);
    eddy_channel_close(pair.ping);
    eddy_await(other);
    eddy_future_release(other);
    eddy_channel_free(pair.ping);
    eddy_channel_free(pair.pong);
}

static int64_t app(void *arg) {
    (void)arg;
    measure_switch();
    measure_start();
    measure_channel();
    return 0;
}

int main(void) {
    return eddy_main(app, NULL, NULL);
}
