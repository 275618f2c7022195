/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipeline of tasks: one makes numbers, two square them, one adds them up.
 *
 * Shows:  bounded channels (a full one makes the sender wait), closing, select over two channels.
 * Needs:  Linux 5.10 or later.
 * Run:    ./05_channels
 * Expect: the sum of the squares of 1 to 100 is 338350
 */
#include <stdio.h>

#include <eddy/eddy.h>

struct pipeline {
    eddy_channel *numbers;
    eddy_channel *squares[2]; /* one for each worker */
};

struct worker {
    struct pipeline *pipeline;
    int index;
};

static int64_t produce(void *arg) {
    struct pipeline *pipeline = arg;
    int r = 0;
    for (int64_t n = 1; n <= 100 && r == 0; n++) {
        r = eddy_channel_send(pipeline->numbers, &n);
    }
    eddy_channel_close(pipeline->numbers); /* receivers drain it and then see the end */
    return r;
}

static int64_t square(void *arg) {
    struct worker *worker = arg;
    eddy_channel *out = worker->pipeline->squares[worker->index];
    int64_t n;
    int r;
    while ((r = eddy_channel_recv(worker->pipeline->numbers, &n)) == 0) {
        n *= n;
        if ((r = eddy_channel_send(out, &n)) < 0) {
            break;
        }
    }
    eddy_channel_close(out);
    return r == EDDY_ECLOSED ? 0 : r;
}

static int64_t add_up(struct pipeline *pipeline) {
    int64_t sum = 0;
    int64_t n;
    eddy_channel_case cases[] = {
        {.channel = pipeline->squares[0], .recv = &n},
        {.channel = pipeline->squares[1], .recv = &n},
    };
    size_t open = 2;
    while (open > 0) {
        size_t index;
        int r = eddy_channel_select(cases, 2, &index);
        if (r == EDDY_ECLOSED) {
            cases[index].channel = NULL; /* a case without a channel never comes true */
            open--;
        } else if (r < 0) {
            return r;
        } else {
            sum += n;
        }
    }
    return sum;
}

static int64_t app(void *arg) {
    (void)arg;
    struct pipeline pipeline = {0};
    int64_t r = eddy_channel_new(sizeof(int64_t), 4, &pipeline.numbers);
    for (int i = 0; i < 2 && r == 0; i++) {
        r = eddy_channel_new(sizeof(int64_t), 1, &pipeline.squares[i]);
    }
    eddy_scope scope;
    if (r == 0 && (r = eddy_scope_enter(&scope, NULL)) == 0) {
        r = eddy_spawn(produce, &pipeline, 0);
        for (int i = 0; i < 2 && r == 0; i++) {
            struct worker worker = {&pipeline, i};
            r = eddy_spawn(square, &worker, sizeof worker);
        }
        r = eddy_scope_leave(&scope, r < 0 ? r : add_up(&pipeline));
    }
    if (r >= 0) {
        printf("the sum of the squares of 1 to 100 is %lld\n", (long long)r);
    }
    eddy_channel_free(pipeline.numbers);
    eddy_channel_free(pipeline.squares[0]);
    eddy_channel_free(pipeline.squares[1]);
    return r < 0 ? r : 0;
}

int main(void) {
    return eddy_main(app, NULL, NULL);
}
