/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `idle_eddy serve`: a server of lines, a task and a reader for each connection. Prints its port.
 * `idle_eddy sleep N`: N tasks that sleep; prints how long starting them took, and their memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cpu.h"
#include "../eddy.h"
#include "memory.h"

static int64_t echo_lines(eddy_stream *peer, void *arg) {
    (void)arg;
    EDDY_AUTO(eddy_reader) *reader = NULL;
    int64_t r = eddy_reader_new(peer, NULL, &reader);
    eddy_slice line;
    while (r >= 0 && (r = eddy_reader_line(reader, 1024, &line)) > 0) {
        char answer[1025];
        memcpy(answer, line.data, line.len);
        answer[line.len] = '\n';
        r = eddy_stream_write(peer, answer, line.len + 1);
    }
    return r;
}

static int64_t serve(void *arg) {
    (void)arg;
    eddy_listener *listener;
    int r = listen_somewhere(&listener);
    return r < 0 ? r : eddy_serve(listener, echo_lines, NULL, NULL);
}

static int64_t sleep_long(void *arg) {
    uint64_t *asleep = arg;
    ++*asleep;
    return eddy_sleep(3600 * EDDY_S);
}

static int64_t start_sleepers(void *arg) {
    uint64_t count = strtoull(arg, NULL, 10);
    uint64_t asleep = 0;
    double before = resident_mib();
    int64_t begin_ns = now_ns();
    for (uint64_t i = 0; i < count; i++) {
        int r = eddy_spawn(sleep_long, &asleep, 0);
        if (r < 0) {
            return r;
        }
    }
    while (asleep < count) {
        eddy_yield();
    }
    printf("start_s %.4f\n", (double)(now_ns() - begin_ns) / 1e9);
    printf("tasks_mib %.2f\n", resident_mib() - before);
    return 0; /* what still sleeps is cancelled and joined */
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "sleep") == 0) {
        return eddy_main(start_sleepers, argv[2], NULL);
    }
    return eddy_main(serve, NULL, NULL);
}
