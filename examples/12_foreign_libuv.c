/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eddy inside libuv's loop: an application that has callbacks already, and writes what is new as
 * tasks.
 *
 * Shows:  eddy_loop_fd in a uv_poll_t; libuv's timer and eddy's tasks take turns on one thread.
 * Needs:  Linux 5.10 or later, libuv.
 * Run:    ./12_foreign_libuv
 * Expect: two ticks of libuv's timer, two steps of a task, then "both are done"
 */
#include <stdio.h>
#include <uv.h>

#include <eddy/eddy.h>

struct host {
    uv_loop_t uv;
    uv_timer_t timer;
    uv_poll_t poll;
    eddy_loop *loop;
    int ticks;
    bool task_done;
};

static void finish_if_done(struct host *host) {
    if (host->ticks == 2 && host->task_done) {
        printf("both are done\n");
        uv_close((uv_handle_t *)&host->timer, NULL);
        uv_close((uv_handle_t *)&host->poll, NULL);
    }
}

static int64_t task(void *arg) {
    struct host *host = arg;
    for (int step = 1; step <= 2; step++) {
        int r = eddy_sleep(5 * EDDY_MS);
        if (r < 0) {
            return r;
        }
        printf("a task's step %d\n", step);
    }
    host->task_done = true;
    return 0;
}

static void on_timer(uv_timer_t *timer) {
    struct host *host = timer->data;
    printf("libuv's tick %d\n", ++host->ticks);
    if (host->ticks == 2) {
        uv_timer_stop(timer);
    }
    finish_if_done(host);
}

/* eddy has something to do. */
static void on_ready(uv_poll_t *poll, int status, int events) {
    struct host *host = poll->data;
    (void)status;
    (void)events;
    eddy_loop_poll(host->loop);
    finish_if_done(host);
}

int main(void) {
    struct host host = {0};
    int r = eddy_loop_new(NULL, &host.loop);
    if (r < 0 || (r = eddy_spawn_on(host.loop, task, &host, 0)) < 0) {
        fprintf(stderr, "eddy: %s\n", eddy_error_text(r));
        eddy_loop_free(host.loop);
        return 1;
    }
    uv_loop_init(&host.uv);
    uv_timer_init(&host.uv, &host.timer);
    uv_poll_init(&host.uv, &host.poll, eddy_loop_fd(host.loop));
    host.timer.data = &host;
    host.poll.data = &host;
    uv_timer_start(&host.timer, on_timer, 7, 7);
    uv_poll_start(&host.poll, UV_READABLE, on_ready);
    r = uv_run(&host.uv, UV_RUN_DEFAULT);
    uv_loop_close(&host.uv);
    eddy_loop_free(host.loop);
    return r;
}
