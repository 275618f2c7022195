/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A crowd: many connections at once to a server that echoes, in one task on one loop. Some clients
 * end theirs with a reset, in the middle of a message; some wait for bytes that never come until a
 * deadline ends that, and then go on. What the others sent comes back byte by byte.
 */
#ifndef EDDY_TESTS_SWEEP_CROWD_H
#define EDDY_TESTS_SWEEP_CROWD_H

#include <eddy/futures/future.h>
#include <eddy/net/serve.h>
#include <eddy/net/tcp.h>
#include <eddy/runtime/io/copy.h>
#include <eddy/runtime/task/scope.h>
#include <eddy/runtime/task/task.h>

#include "test.h"

enum { CROWD_ROUNDS = 4, CROWD_MESSAGE_MAX = 3000 };

static struct {
    char name[EDDY_ADDRESS_TEXT_MAX];
    bool short_of_descriptors; /* who gets none asks again */
    uint64_t done;             /* clients that came to their end */
    eddy_serve_stats stats;
} crowd;

/* Byte by byte different, for each client and round. */
static size_t crowd_message(char *bytes, int client, int round) {
    size_t len = (size_t)(client * 37 + round * 911) % CROWD_MESSAGE_MAX + 1;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)(client + round * 7 + (int)i * 13);
    }
    return len;
}

static int crowd_connect(const eddy_tcp_opts *opts, eddy_stream **ret_server) {
    int r;
    while ((r = eddy_tcp_connect(crowd.name, opts, ret_server)) == -EMFILE &&
           crowd.short_of_descriptors) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
    return r;
}

static void crowd_talk(eddy_stream *server, int client, int rounds) {
    char sent[CROWD_MESSAGE_MAX];
    char got[CROWD_MESSAGE_MAX];
    for (int round = 0; round < rounds; round++) {
        size_t len = crowd_message(sent, client, round);
        CHECK_OK(eddy_stream_write(server, sent, len));
        CHECK_OK(eddy_stream_read_exact(server, got, len));
        CHECK_BYTES(got, len, sent, len);
    }
}

static void crowd_wait_for_nothing(eddy_stream *server) {
    char byte;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_ERR(eddy_stream_read(server, &byte, 1), -ETIME);
    eddy_scope_leave(&scope, 0);
}

static int64_t crowd_client(void *arg) {
    int client = *(int *)arg;
    bool resets = client % 10 == 4;
    const eddy_tcp_opts opts = {.linger = resets};
    eddy_stream *server;
    char byte;
    CHECK_OK(crowd_connect(&opts, &server));
    if (resets) {
        crowd_talk(server, client, 2);
        CHECK_OK(eddy_stream_write(server, "and then", 8));
    } else {
        if (client % 10 == 7) {
            crowd_wait_for_nothing(server);
        }
        crowd_talk(server, client, CROWD_ROUNDS);
        CHECK_OK(eddy_stream_shutdown(server));
        CHECK_EQ(eddy_stream_read(server, &byte, 1), 0);
    }
    CHECK_OK(eddy_stream_close(server));
    crowd.done++;
    return 0;
}

static int64_t crowd_echo(eddy_stream *peer, void *arg) {
    (void)arg;
    return eddy_stream_copy(peer, peer, EDDY_COPY_ALL);
}

static int64_t crowd_serve(void *arg) {
    const eddy_serve_opts opts = {.stats = &crowd.stats, .one_loop = true};
    return eddy_serve(arg, crowd_echo, NULL, &opts);
}

static void crowd_run(int count) {
    eddy_listener *listener;
    eddy_scope serving;
    eddy_scope clients;
    crowd.done = 0;
    crowd.stats = (eddy_serve_stats){.size = sizeof crowd.stats};
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &listener));
    eddy_address address = eddy_listener_address(listener);
    CHECK_OK(eddy_address_format(&address, crowd.name, sizeof crowd.name));
    CHECK_OK(eddy_scope_enter(&serving, NULL));
    CHECK_OK(eddy_spawn(crowd_serve, listener, 0));
    CHECK_OK(eddy_scope_enter(&clients, NULL));
    for (int i = 0; i < count; i++) {
        CHECK_OK(eddy_spawn(crowd_client, &i, sizeof i));
    }
    CHECK_OK(eddy_scope_leave(&clients, 0));
    CHECK_EQ(crowd.done, count);
    CHECK_EQ(eddy_loop_drain(eddy_loop_current()), 1);
    CHECK_OK(eddy_scope_leave(&serving, 0));
    CHECK_EQ(crowd.stats.active, 0);
    CHECK_EQ(crowd.stats.refused, 0);
}

#endif
