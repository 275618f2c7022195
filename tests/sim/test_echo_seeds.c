/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An echo server with a hundred clients in one simulated process, under a thousand seeds, each of
 * them twice: every byte comes back, nothing is left, and the two event logs are the same bytes.
 *
 * EDDY_SEEDS=from..to runs others; a failing seed is named.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eddy/net/serve.h>
#include <eddy/net/tcp.h>
#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/sim/sim.h>
#include <eddy/runtime/task/scope.h>
#include <eddy/runtime/task/task.h>

#include "test.h"

#define CLIENTS 100
#define MESSAGES 3

struct world {
    uint64_t seed;
    char address[EDDY_ADDRESS_TEXT_MAX];
    int done; /* clients that got all their bytes back */
};

static int64_t echo(eddy_stream *peer, void *arg) {
    char buf[512];
    int64_t n;
    (void)arg;
    while ((n = eddy_stream_read(peer, buf, sizeof buf)) > 0) {
        if ((n = eddy_stream_write(peer, buf, (size_t)n)) < 0) {
            break;
        }
    }
    return n;
}

struct client {
    struct world *world;
    unsigned number;
};

static int64_t run_client(void *arg) {
    struct client *client = arg;
    eddy_stream *server;
    int64_t r = eddy_tcp_connect(client->world->address, NULL, &server);
    if (r < 0) {
        return r;
    }
    for (unsigned i = 0; i < MESSAGES && r == 0; i++) {
        char sent[700];
        char got[sizeof sent];
        size_t len = 1 + (client->number * 37 + i * 251) % sizeof sent;
        memset(sent, (int)(client->number + i), len);
        r = eddy_stream_write(server, sent, len);
        r = r < 0 ? r : eddy_stream_read_exact(server, got, len);
        if (r == 0 && memcmp(sent, got, len) != 0) {
            r = -EBADMSG;
        }
    }
    if (r == 0) {
        r = eddy_stream_shutdown(server);
        char end;
        r = r < 0 ? r : eddy_stream_read(server, &end, 1);
    }
    client->world->done += r == 0;
    eddy_stream_close(server);
    return r;
}

static int64_t run_clients(void *arg) {
    struct world *world = arg;
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, NULL);
    for (unsigned i = 0; i < CLIENTS && r == 0; i++) {
        struct client client = {world, i};
        r = eddy_spawn(run_client, &client, sizeof client);
    }
    r = eddy_scope_leave(&scope, r);
    eddy_loop_drain(eddy_loop_current());
    return r;
}

static int64_t run_world(void *arg) {
    struct world *world = arg;
    eddy_listener *listener;
    int64_t r = eddy_tcp_listen("[::1]:0", NULL, &listener);
    if (r < 0) {
        return r;
    }
    eddy_address address = eddy_listener_address(listener);
    eddy_address_format(&address, world->address, sizeof world->address);
    eddy_scope scope;
    r = eddy_scope_enter(&scope, NULL);
    r = r < 0 ? r : eddy_spawn(run_clients, world, 0);
    r = r < 0 ? r : eddy_serve(listener, echo, NULL, NULL);
    return eddy_scope_leave(&scope, r);
}

/* One run: its log, which the caller frees. */
static char *run(uint64_t seed, size_t *ret_len) {
    struct world world = {.seed = seed};
    eddy_loop *loop;
    eddy_slice log;
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.driver = "sim", .seed = seed}, &loop));
    CHECK_OK(eddy_sim_log_enable(loop));
    int64_t r = eddy_loop_call(loop, run_world, &world);
    if (r < 0 || world.done != CLIENTS) {
        fprintf(stderr, "seed %llu: %s, %d of %d clients done\n", (unsigned long long)seed,
                eddy_error_name(r), world.done, CLIENTS);
    }
    CHECK_EQ(r, 0);
    CHECK_EQ(world.done, CLIENTS);
    CHECK_OK(eddy_sim_log(loop, &log));
    char *copy = malloc(log.len);
    CHECK(copy != NULL && log.len > 0);
    memcpy(copy, log.data, log.len);
    *ret_len = log.len;
    eddy_loop_free(loop);
    CHECK_EQ(eddy_memory_blocks(), 0);
    return copy;
}

static void run_twice(uint64_t seed) {
    size_t first_len;
    size_t second_len;
    char *first = run(seed, &first_len);
    char *second = run(seed, &second_len);
    if (first_len != second_len || memcmp(first, second, first_len) != 0) {
        fprintf(stderr, "seed %llu: two runs differ\n", (unsigned long long)seed);
    }
    CHECK_BYTES(first, first_len, second, second_len);
    free(first);
    free(second);
}

TEST_TIMEOUT(a_thousand_seeds_twice_each_give_the_same_log, 300) {
    unsigned long long from = 1;
    unsigned long long to = test_is_slow() ? 50 : 1000;
    const char *range = getenv("EDDY_SEEDS");
    CHECK(range == NULL || sscanf(range, "%llu..%llu", &from, &to) == 2);
    for (unsigned long long seed = from; seed <= to; seed++) {
        run_twice(seed);
    }
}

TEST(two_seeds_give_two_different_logs) {
    size_t first_len;
    size_t second_len;
    char *first = run(1, &first_len);
    char *second = run(2, &second_len);
    CHECK(first_len != second_len || memcmp(first, second, first_len) != 0);
    free(first);
    free(second);
}
