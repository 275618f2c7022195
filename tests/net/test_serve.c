/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/serve.h>

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <eddy/futures/future.h>
#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/loop/group.h>

#include "net/net.h"

/* ---- a server and its clients ---------------------------------------------------------------- */

struct server {
    eddy_serve_fn handler;
    eddy_serve_opts opts;
    eddy_serve_stats stats;
    eddy_listener *listener;
    struct text address;
    eddy_future *future;
    /* What on_error was told. */
    int64_t error;
    int errors;
    struct text error_peer;
};

static void note_error(int64_t error, const eddy_address *peer, void *ctx) {
    struct server *server = ctx;
    server->error = error;
    server->errors++;
    server->error_peer = text_of(*peer);
}

static int64_t run_server(void *arg) {
    struct server *server = arg;
    return eddy_serve(server->listener, server->handler, server, &server->opts);
}

static void start(struct server *server) {
    server->listener = listen_on("127.0.0.1:0", NULL);
    server->address = text_of(eddy_listener_address(server->listener));
    server->opts.on_error = note_error;
    server->opts.ctx = server;
    server->opts.stats = &server->stats;
    server->future = eddy_task_start(run_server, server, 0);
}

static eddy_stream *connect_client(const struct server *server) {
    eddy_stream *stream;
    CHECK_OK(eddy_tcp_connect(server->address.bytes, NULL, &stream));
    return stream;
}

static void drain_and_wait(struct server *server) {
    CHECK_EQ(eddy_loop_drain(eddy_loop_current()), 1);
    CHECK_EQ(eddy_await(server->future), 0);
    CHECK_EQ(eddy_loop_drain(eddy_loop_current()), 0);
    CHECK_EQ(server->stats.active, 0);
    /* The port is free. */
    eddy_listener *listener = listen_on(server->address.bytes, NULL);
    CHECK_OK(eddy_listener_close(listener));
}

static void wait_until_active(const struct server *server, uint64_t count) {
    while (server->stats.active != count) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
}

/* The server runs, and has a drain to listen to. */
static void wait_until_serving(void) {
    while (eddy_loop_current()->stoppers.next == &eddy_loop_current()->stoppers) {
        CHECK_OK(eddy_yield());
    }
}

static int64_t echo(eddy_stream *peer, void *arg) {
    char buf[64];
    int64_t n;
    (void)arg;
    while ((n = eddy_stream_read(peer, buf, sizeof buf)) > 0) {
        if ((n = eddy_stream_write(peer, buf, (size_t)n)) < 0) {
            break;
        }
    }
    return n;
}

static void check_echo(eddy_stream *client) {
    char buf[4];
    CHECK_OK(eddy_stream_write(client, "abcd", 4));
    CHECK_OK(eddy_stream_read_exact(client, buf, 4));
    CHECK_BYTES(buf, 4, "abcd", 4);
}

/* ---- serving --------------------------------------------------------------------------------- */

LOOP_TEST(each_connection_is_served_and_a_drain_ends_it) {
    struct server server = {.handler = echo};
    eddy_stream *clients[20];
    start(&server);
    for (int i = 0; i < 20; i++) {
        clients[i] = connect_client(&server);
        check_echo(clients[i]);
    }
    CHECK_EQ(server.stats.active, 20);
    for (int i = 0; i < 20; i++) {
        CHECK_OK(eddy_stream_close(clients[i]));
    }
    wait_until_active(&server, 0);
    drain_and_wait(&server);
    CHECK_EQ(server.stats.accepted, 20);
    CHECK_EQ(server.stats.failed, 0);
    CHECK_EQ(server.errors, 0);
}

LOOP_TEST(serve_with_bad_arguments_consumes_the_listener_all_the_same) {
    const eddy_serve_opts bad[] = {
        {.size = sizeof(eddy_serve_opts) - 8},
        {.read_idle_ns = -1},
        {.write_idle_ns = -1},
        {.drain_timeout_ns = EDDY_ZERO - 1},
    };
    CHECK_ERR(eddy_serve(NULL, echo, NULL, NULL), -EINVAL);
    CHECK_ERR(eddy_serve(listen_on("127.0.0.1:0", NULL), NULL, NULL, NULL), -EINVAL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_ERR(eddy_serve(listen_on("127.0.0.1:0", NULL), echo, NULL, &bad[i]), -EINVAL);
    }
}

static int64_t fail(eddy_stream *peer, void *arg) {
    char byte;
    (void)arg;
    CHECK_EQ(eddy_stream_read(peer, &byte, 1), 1);
    return -EBADMSG;
}

LOOP_TEST(failure_of_one_connection_is_told_and_ends_no_other) {
    struct server server = {.handler = fail};
    start(&server);
    eddy_stream *a = connect_client(&server);
    eddy_stream *b = connect_client(&server);
    eddy_address local;
    char byte;
    CHECK_OK(eddy_tcp_local(a, &local));
    CHECK_OK(eddy_stream_write(a, "x", 1));
    CHECK_EQ(eddy_stream_read(a, &byte, 1), 0); /* closed */
    CHECK_EQ(server.errors, 1);
    CHECK_ERR(server.error, -EBADMSG);
    CHECK_STR(server.error_peer.bytes, text_of(local).bytes);
    CHECK_EQ(server.stats.failed, 1);
    CHECK_OK(eddy_stream_write(b, "x", 1));
    CHECK_EQ(eddy_stream_read(b, &byte, 1), 0);
    CHECK_EQ(server.stats.failed, 2);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
    drain_and_wait(&server);
}

/* What a handler has left behind may use the stream until it has ended. */
static bool child_ended;

static int64_t child_reads(void *arg) {
    char byte;
    CHECK_ERR(eddy_stream_read(arg, &byte, 1), -ECANCELED);
    CHECK_ERR(eddy_stream_write(arg, "x", 1), -ECANCELED);
    child_ended = true;
    return -ECANCELED;
}

static int64_t leave_a_child(eddy_stream *peer, void *arg) {
    (void)arg;
    CHECK_OK(eddy_spawn(child_reads, peer, 0));
    CHECK_OK(eddy_yield());
    return 0;
}

static int64_t child_fails(void *arg) {
    (void)arg;
    return -EDOM;
}

static int64_t have_a_child_that_fails(eddy_stream *peer, void *arg) {
    char byte;
    (void)arg;
    CHECK_OK(eddy_spawn(child_fails, NULL, 0));
    return eddy_stream_read(peer, &byte, 1); /* cancelled by the failure */
}

LOOP_TEST(tasks_of_a_handler_end_before_its_stream_is_closed) {
    struct server server = {.handler = leave_a_child};
    char byte;
    start(&server);
    eddy_stream *client = connect_client(&server);
    CHECK_EQ(eddy_stream_read(client, &byte, 1), 0);
    CHECK(child_ended);
    CHECK_EQ(server.errors, 0);
    CHECK_OK(eddy_stream_close(client));
    drain_and_wait(&server);
}

LOOP_TEST(failure_of_a_handlers_task_is_the_connections) {
    struct server server = {.handler = have_a_child_that_fails};
    char byte;
    start(&server);
    eddy_stream *client = connect_client(&server);
    CHECK_EQ(eddy_stream_read(client, &byte, 1), 0);
    CHECK_EQ(server.errors, 1);
    CHECK_ERR(server.error, -EDOM);
    CHECK_OK(eddy_stream_close(client));
    drain_and_wait(&server);
}

LOOP_TEST(connection_that_is_silent_too_long_is_ended) {
    /* Longer than anything takes in the simulation, where waiting costs nothing. */
    struct server server = {
        .handler = echo,
        .opts.read_idle_ns = simulated() ? 60 * EDDY_S : 300 * EDDY_MS,
    };
    char byte;
    start(&server);
    eddy_stream *client = connect_client(&server);
    check_echo(client);
    CHECK_EQ(eddy_stream_read(client, &byte, 1), 0);
    CHECK_ERR(server.error, -ETIMEDOUT);
    CHECK_OK(eddy_stream_close(client));
    drain_and_wait(&server);
}

LOOP_TEST(reset_connections_are_failures_of_their_own) {
    struct server server = {.handler = echo};
    start(&server);
    for (int i = 0; i < 10; i++) {
        eddy_stream *client = connect_client(&server);
        check_echo(client);
        CHECK_OK(eddy_tcp_opts_set(client, &(eddy_tcp_opts){.linger = true}));
        CHECK_OK(eddy_stream_close(client));
    }
    wait_until_active(&server, 0);
    CHECK_EQ(server.stats.failed, 10);
    CHECK_ERR(server.error, -ECONNRESET);
    CHECK_STR(server.error_peer.bytes, "-"); /* the kernel has forgotten whose it was */
    drain_and_wait(&server);
}

LOOP_TEST(reset_connection_has_a_peer_when_it_was_asked_for_at_accept) {
    struct server server = {.handler = echo, .opts.keep_peer = true};
    eddy_address local;
    start(&server);
    eddy_stream *client = connect_client(&server);
    check_echo(client);
    CHECK_OK(eddy_tcp_local(client, &local));
    CHECK_OK(eddy_tcp_opts_set(client, &(eddy_tcp_opts){.linger = true}));
    CHECK_OK(eddy_stream_close(client));
    wait_until_active(&server, 0);
    CHECK_ERR(server.error, -ECONNRESET);
    CHECK_STR(server.error_peer.bytes, text_of(local).bytes);
    drain_and_wait(&server);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static int present;
static int most;

static int64_t count_present(eddy_stream *peer, void *arg) {
    present++;
    most = present > most ? present : most;
    int64_t r = echo(peer, arg);
    present--;
    return r;
}

static int64_t come_and_go(void *arg) {
    eddy_stream *client = connect_client(arg);
    check_echo(client);
    CHECK_OK(eddy_sleep(2 * EDDY_MS));
    return eddy_stream_close(client);
}

LOOP_TEST(no_more_connections_than_the_limit_are_served_at_once) {
    struct server server = {.handler = count_present, .opts.max_connections = 3};
    start(&server);
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < 30; i++) {
        CHECK_OK(eddy_spawn(come_and_go, &server, 0));
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(most, 3);
    CHECK_EQ(server.stats.accepted, 30);
    CHECK(server.stats.paused > 0);
    drain_and_wait(&server);
}

LOOP_TEST(accept_rate_is_kept) {
    struct server server = {.handler = echo, .opts.max_accepts_per_s = 10};
    start(&server);
    int64_t start_ns = eddy_loop_now(eddy_loop_current());
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < 25; i++) {
        CHECK_OK(eddy_spawn(come_and_go, &server, 0));
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    int64_t took_ns = eddy_loop_now(eddy_loop_current()) - start_ns;
    /* Two further seconds have to begin, of which the first was under way. */
    CHECK(took_ns >= EDDY_S && took_ns < 20 * EDDY_S);
    drain_and_wait(&server);
}

/* A driver whose accepts fail for want of something, and that counts them. */
static const struct eddyi_driver *real_driver;
static int64_t accept_error;
static int accept_count;
static bool accepts_fail;

static int64_t failing_attempt(eddy_loop *loop, struct eddyi_op *op) {
    if (op->kind == EDDYI_OP_ACCEPT && accepts_fail) {
        accept_count++;
        return accept_error;
    }
    return real_driver->attempt(loop, op);
}

LOOP_TEST(without_descriptors_or_memory_accepting_pauses_and_goes_on) {
    static const int wants[] = {-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, -EPERM};
    eddy_loop *loop = eddy_loop_current();
    real_driver = loop->driver;
    struct eddyi_driver driver = *real_driver;
    driver.attempt = failing_attempt;
    loop->driver = &driver;
    for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
        struct server server = {.handler = echo};
        accept_error = wants[i];
        accept_count = 0;
        accepts_fail = true;
        int64_t start_ns = eddy_loop_now(loop);
        start(&server);
        eddy_stream *client = connect_client(&server);
        CHECK_OK(eddy_sleep(200 * EDDY_MS));
        int64_t looks = (eddy_loop_now(loop) - start_ns) / (50 * EDDY_MS) + 2;
        /* A firewall's no is asked a thousand times before it is believed. */
        CHECK(accept_count >= 1 && accept_count <= looks * (wants[i] == -EPERM ? 1001 : 1));
        CHECK(server.stats.paused >= 1);
        accepts_fail = false;
        check_echo(client);
        CHECK_OK(eddy_stream_close(client));
        wait_until_active(&server, 0);
        drain_and_wait(&server);
        CHECK_EQ(server.errors, 0);
    }
    loop->driver = real_driver;
}

/* A client that needs no memory of the library's; it neither sends nor reads. */
static int connect_plainly(const struct server *server) {
    struct sockaddr_in name = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_OK(fd);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    name.sin_port = htons((uint16_t)atoi(strrchr(server->address.bytes, ':') + 1));
    CHECK_EQ(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

/* The memory in reserve goes to a first connection, and there is no more. */
static int take_the_last_memory(struct server *server) {
    start(server);
    wait_until_serving();
    CHECK_OK(eddy_sleep(EDDY_MS)); /* accepting has begun, too */
    eddy_memory_fail_at(1, true);
    int client = connect_plainly(server);
    wait_until_active(server, 1);
    return client;
}

LOOP_TEST(drain_without_memory_and_nobody_connected_ends_at_once) {
    struct server server = {.handler = echo};
    if (simulated()) {
        return; /* whose sockets are made of the library's memory */
    }
    close(take_the_last_memory(&server));
    wait_until_active(&server, 0);
    int64_t start_ns = eddy_loop_now(eddy_loop_current());
    CHECK_EQ(eddy_loop_drain(eddy_loop_current()), 1);
    CHECK_EQ(eddy_await(server.future), 0);
    CHECK(eddy_loop_now(eddy_loop_current()) - start_ns < 5 * EDDY_S);
    CHECK_EQ(server.stats.paused, 0);
    eddy_memory_fail_at(0, false);
}

LOOP_TEST(without_memory_a_connection_is_kept_until_there_is_some) {
    struct server server = {.handler = echo};
    if (simulated()) {
        return;
    }
    int clients[3] = {take_the_last_memory(&server), -1, -1};
    clients[1] = connect_plainly(&server);
    clients[2] = connect_plainly(&server);
    while (server.stats.paused < 2) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
    CHECK_EQ(server.stats.active, 1);
    eddy_memory_fail_at(0, false);
    wait_until_active(&server, 3);
    for (int i = 0; i < 3; i++) {
        close(clients[i]);
    }
    drain_and_wait(&server);
    CHECK_EQ(server.stats.accepted, 3);
}

LOOP_TEST(listener_that_is_closed_closes_what_it_kept) {
    struct server server = {.handler = echo, .opts.drain_timeout_ns = 100 * EDDY_MS};
    char byte;
    if (simulated()) {
        return;
    }
    int client = take_the_last_memory(&server);
    int kept = connect_plainly(&server);
    while (server.stats.paused < 1) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
    close(client);
    CHECK_EQ(eddy_loop_drain(eddy_loop_current()), 1);
    CHECK_EQ(eddy_await(server.future), 0);
    eddy_memory_fail_at(0, false);
    CHECK(recv(kept, &byte, 1, 0) <= 0);
    close(kept);
}

LOOP_TEST(listener_that_breaks_ends_the_server_with_its_error) {
    struct server server = {.handler = echo};
    eddy_loop *loop = eddy_loop_current();
    real_driver = loop->driver;
    struct eddyi_driver driver = *real_driver;
    driver.attempt = failing_attempt;
    loop->driver = &driver;
    accept_error = -EBADF;
    accepts_fail = true;
    start(&server);
    CHECK_ERR(eddy_await(server.future), -EBADF);
    loop->driver = real_driver;
}

/* The real thing: the process has no descriptor left. */
LOOP_TEST(server_without_a_descriptor_left_neither_spins_nor_ends) {
    if (simulated()) {
        return; /* whose sockets are no descriptors of the process's */
    }
    struct server server = {.handler = echo};
    struct rlimit old;
    start(&server);
    eddy_stream *client = connect_client(&server);
    check_echo(client);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    eddy_future *second = eddy_tcp_connect_start(server.address.bytes, NULL);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = old.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK_EQ(eddy_await(second), 0);
    struct rusage before;
    struct rusage after;
    getrusage(RUSAGE_SELF, &before);
    CHECK_OK(eddy_sleep(300 * EDDY_MS));
    getrusage(RUSAGE_SELF, &after);
    int64_t used_us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * INT64_C(1000000) +
                      after.ru_utime.tv_usec - before.ru_utime.tv_usec;
    CHECK(used_us < 150000);
    check_echo(client); /* is served meanwhile */
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    void *payload;
    CHECK_OK(eddy_future_take_payload(second, &payload, NULL));
    check_echo(payload);
    CHECK_OK(eddy_stream_close(payload));
    CHECK_OK(eddy_stream_close(client));
    wait_until_active(&server, 0);
    drain_and_wait(&server);
}

/* ---- the graceful end ------------------------------------------------------------------------ */

LOOP_TEST(drain_waits_for_connections_that_are_busy) {
    struct server server = {.handler = echo};
    start(&server);
    eddy_stream *client = connect_client(&server);
    check_echo(client);
    CHECK_EQ(eddy_loop_drain(eddy_loop_current()), 1);
    CHECK_OK(eddy_sleep(100 * EDDY_MS));
    check_echo(client);
    CHECK(!eddy_future_done(server.future));
    eddy_stream *late;
    CHECK_ERR(eddy_tcp_connect(server.address.bytes, NULL, &late), -ECONNREFUSED);
    CHECK_EQ(eddy_loop_drain(eddy_loop_current()), 1); /* again changes nothing */
    CHECK_OK(eddy_stream_close(client));
    CHECK_EQ(eddy_await(server.future), 0);
    CHECK_EQ(server.errors, 0);
}

static int requests;

/* Reads between requests as idle, and says goodbye. */
static int64_t polite(eddy_stream *peer, void *arg) {
    char byte;
    (void)arg;
    for (;;) {
        if (eddy_serve_idle(peer, true) < 0) {
            CHECK(eddy_serve_draining(peer));
            return eddy_stream_write(peer, "late", 4);
        }
        int64_t n = eddy_stream_read(peer, &byte, 1);
        CHECK_OK(eddy_serve_idle(peer, false));
        if (n == -ECANCELED) {
            CHECK(eddy_serve_draining(peer));
            eddy_serve_idle(peer, true);
            CHECK_OK(eddy_stream_write(peer, "bye", 3)); /* the task is not cancelled */
            return n;
        }
        if (n <= 0) {
            return n;
        }
        requests++;
        CHECK_OK(eddy_sleep(50 * EDDY_MS)); /* a request takes its time */
        CHECK_OK(eddy_stream_write(peer, &byte, 1));
    }
}

static void check_rest(eddy_stream *client, const char *wanted) {
    char buf[16];
    CHECK_OK(eddy_stream_read_exact(client, buf, strlen(wanted)));
    CHECK_BYTES(buf, strlen(wanted), wanted, strlen(wanted));
    CHECK_EQ(eddy_stream_read(client, buf, 1), 0);
    CHECK_OK(eddy_stream_close(client));
}

LOOP_TEST(drain_ends_idle_connections_at_once_and_lets_them_say_goodbye) {
    struct server server = {.handler = polite};
    start(&server);
    eddy_stream *idle = connect_client(&server);
    eddy_stream *busy = connect_client(&server);
    wait_until_active(&server, 2);
    CHECK_OK(eddy_stream_write(busy, "x", 1));
    while (requests == 0) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
    int64_t start_ns = eddy_loop_now(eddy_loop_current());
    CHECK_EQ(eddy_loop_drain(eddy_loop_current()), 1);
    check_rest(idle, "bye");
    check_rest(busy, "xlate"); /* its request was answered first */
    CHECK_EQ(eddy_await(server.future), 0);
    CHECK(eddy_loop_now(eddy_loop_current()) - start_ns < 5 * EDDY_S);
    CHECK_EQ(server.errors, 0);
}

/* Passes on whatever it gets. */
static int64_t frank(eddy_stream *peer, void *arg) {
    char byte;
    (void)arg;
    for (;;) {
        int64_t r = eddy_serve_idle(peer, true);
        if (r < 0 || (r = eddy_stream_read(peer, &byte, 1)) <= 0) {
            return r;
        }
        eddy_serve_idle(peer, false);
        requests++;
        CHECK_OK(eddy_sleep(50 * EDDY_MS));
    }
}

LOOP_TEST(drained_connection_that_returns_what_it_was_told_has_not_failed) {
    struct server server = {.handler = frank};
    requests = 0;
    start(&server);
    eddy_stream *idle = connect_client(&server);
    eddy_stream *busy = connect_client(&server);
    wait_until_active(&server, 2);
    CHECK_OK(eddy_stream_write(busy, "x", 1));
    while (requests == 0) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
    CHECK_EQ(eddy_loop_drain(eddy_loop_current()), 1);
    check_rest(idle, "");
    check_rest(busy, "");
    CHECK_EQ(eddy_await(server.future), 0);
    CHECK_EQ(server.errors, 0);
    CHECK_EQ(server.stats.failed, 0);
}

static int64_t says_closed(eddy_stream *peer, void *arg) {
    char byte;
    (void)arg;
    CHECK_EQ(eddy_stream_read(peer, &byte, 1), 1);
    return EDDY_ECLOSED;
}

LOOP_TEST(closed_is_a_failure_as_any_other_while_nothing_drains) {
    struct server server = {.handler = says_closed};
    start(&server);
    eddy_stream *client = connect_client(&server);
    CHECK_OK(eddy_stream_write(client, "x", 1));
    check_rest(client, "");
    wait_until_active(&server, 0);
    CHECK_ERR(server.error, EDDY_ECLOSED);
    CHECK_EQ(server.stats.failed, 1);
    drain_and_wait(&server);
}

static int64_t talk_and_go(void *arg) {
    check_echo(arg);
    return eddy_stream_close(arg);
}

LOOP_TEST(drain_serves_what_has_shaken_hands) {
    struct server server = {.handler = echo, .opts.max_connections = 1};
    start(&server);
    eddy_stream *first = connect_client(&server);
    check_echo(first);
    eddy_stream *waiting[5];
    for (int i = 0; i < 5; i++) {
        waiting[i] = connect_client(&server);
    }
    if (simulated()) { /* where a handshake takes its time at this end too */
        CHECK_OK(eddy_sleep(5 * EDDY_S));
    }
    CHECK_EQ(eddy_loop_drain(eddy_loop_current()), 1);
    CHECK_OK(eddy_stream_close(first));
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < 5; i++) { /* one at a time, as the limit says, in whatever order */
        CHECK_OK(eddy_spawn(talk_and_go, waiting[i], 0));
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(eddy_await(server.future), 0);
    CHECK_EQ(server.stats.accepted, 6);
}

LOOP_TEST(drain_that_takes_too_long_cancels_the_rest) {
    static const int64_t timeouts_ns[] = {50 * EDDY_MS, EDDY_ZERO};
    for (int i = 0; i < 2; i++) {
        struct server server = {.handler = echo, .opts.drain_timeout_ns = timeouts_ns[i]};
        char byte;
        start(&server);
        eddy_stream *client = connect_client(&server);
        check_echo(client);
        CHECK_EQ(eddy_loop_drain(eddy_loop_current()), 1);
        CHECK_EQ(eddy_stream_read(client, &byte, 1), 0);
        CHECK_EQ(eddy_await(server.future), 0);
        CHECK_EQ(server.stats.active, 0);
        CHECK_EQ(server.errors, 0); /* a cancel is no failure */
        CHECK_OK(eddy_stream_close(client));
    }
}

static int64_t drain_in_a_pause_ns(void) {
    struct server server = {.handler = echo, .opts.max_accepts_per_s = 1};
    start(&server);
    eddy_stream *client = connect_client(&server);
    check_echo(client);
    CHECK_OK(eddy_sleep(10 * EDDY_MS));
    CHECK_OK(eddy_stream_close(client));
    int64_t start_ns = eddy_loop_now(eddy_loop_current());
    drain_and_wait(&server);
    return eddy_loop_now(eddy_loop_current()) - start_ns;
}

/* It does not wait for the next second, which a busy machine may let pass now and then. */
LOOP_TEST(drain_works_while_accepting_pauses) {
    int tries = 0;
    while (drain_in_a_pause_ns() >= 500 * EDDY_MS) {
        CHECK(++tries < 10);
    }
}

LOOP_TEST(drain_before_the_first_turn_of_a_server_counts) {
    struct server server = {.handler = echo};
    start(&server);
    wait_until_serving();
    drain_and_wait(&server);
}

LOOP_TEST(streams_of_nobodys_server_are_neither_idle_nor_draining) {
    eddy_stream *a;
    eddy_stream *b;
    tcp_pair(&a, &b);
    CHECK_EQ(eddy_serve_idle(a, true), 0);
    CHECK_EQ(eddy_serve_idle(a, false), 0);
    CHECK(!eddy_serve_draining(a));
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

/* ---- the hard end ---------------------------------------------------------------------------- */

LOOP_TEST(cancel_ends_all_connections_and_joins_them) {
    struct server server = {.handler = echo};
    eddy_stream *clients[5];
    char byte;
    start(&server);
    for (int i = 0; i < 5; i++) {
        clients[i] = connect_client(&server);
        check_echo(clients[i]);
    }
    CHECK_OK(eddy_future_cancel(server.future));
    CHECK_ERR(eddy_await(server.future), -ECANCELED);
    CHECK_EQ(server.stats.active, 0);
    CHECK_EQ(server.errors, 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(eddy_stream_read(clients[i], &byte, 1), 0);
        CHECK_OK(eddy_stream_close(clients[i]));
    }
}

LOOP_TEST(deadline_ends_the_server_with_etime) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = 20 * EDDY_MS}));
    CHECK_ERR(eddy_serve(listen_on("127.0.0.1:0", NULL), echo, NULL, NULL), -ETIME);
    eddy_scope_leave(&scope, 0);
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_ERR(eddy_serve(listen_on("127.0.0.1:0", NULL), echo, NULL, NULL), -ECANCELED);
    eddy_scope_leave(&scope, 0);
}

LOOP_TEST(cancel_during_a_drain_does_not_wait) {
    struct server server = {.handler = echo};
    start(&server);
    eddy_stream *client = connect_client(&server);
    check_echo(client);
    CHECK_EQ(eddy_loop_drain(eddy_loop_current()), 1);
    CHECK_OK(eddy_sleep(20 * EDDY_MS));
    CHECK_OK(eddy_future_cancel(server.future));
    CHECK_ERR(eddy_await(server.future), -ECANCELED);
    CHECK_OK(eddy_stream_close(client));
}

static int64_t talk_until_the_end(void *arg) {
    struct server *server = arg;
    eddy_stream *client;
    char buf[4];
    if (eddy_tcp_connect(server->address.bytes, NULL, &client) < 0) {
        return 0;
    }
    while (eddy_stream_write(client, "abcd", 4) == 0 &&
           eddy_stream_read_exact(client, buf, 4) == 0) {
    }
    eddy_stream_close(client);
    return 0;
}

/* A cancel, or a drain, after each number of turns of a busy server. */
LOOP_TEST(end_at_any_moment_leaves_nothing) {
    for (int turns = 0; turns < (test_is_slow() ? 15 : 60); turns++) {
        for (int graceful = 0; graceful <= 1; graceful++) {
            struct server server = {.handler = echo, .opts.drain_timeout_ns = EDDY_MS};
            start(&server);
            eddy_scope scope;
            CHECK_OK(eddy_scope_enter(&scope, NULL));
            for (int i = 0; i < 3; i++) {
                CHECK_OK(eddy_spawn(talk_until_the_end, &server, 0));
            }
            for (int i = 0; i < turns; i++) {
                CHECK_OK(eddy_yield());
            }
            if (!graceful || eddy_loop_drain(eddy_loop_current()) == 0) {
                CHECK_OK(eddy_future_cancel(server.future));
            }
            int64_t r = eddy_await(server.future);
            CHECK(r == 0 || r == -ECANCELED);
            CHECK_OK(eddy_scope_leave(&scope, 0));
            CHECK_EQ(server.stats.active, 0);
        }
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

static int64_t drain_soon(void *arg) {
    (void)arg;
    int r = 0;
    while (r == 0 && eddy_loop_drain(eddy_loop_current()) == 0) {
        r = eddy_yield();
    }
    return r;
}

static int64_t serve_once(void *arg) {
    eddy_listener *listener;
    (void)arg;
    int64_t r = eddy_tcp_listen("127.0.0.1:0", NULL, &listener);
    if (r < 0) {
        return r;
    }
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    eddy_future *future = eddy_task_start(drain_soon, NULL, 0);
    r = eddy_future_done(future) ? eddy_future_result(future) : 0;
    if (r < 0) {
        eddy_listener_close(listener);
    } else {
        /* Without any memory the lane looks for its last connections until the drain is over. */
        eddy_serve_opts opts = {.drain_timeout_ns = 20 * EDDY_MS};
        r = eddy_serve(listener, echo, NULL, &opts);
    }
    if (r < 0) {
        eddy_scope_cancel(&scope);
    }
    return eddy_scope_leave(&scope, r);
}

LOOP_TEST(serve_survives_every_allocation_that_fails) {
    CHECK_OK(serve_once(NULL)); /* what the loop keeps from then on */
    CHECK(test_each_allocation_fails(serve_once, NULL) > 6);
}

/* Served, refused or waiting: what a connection without memory is, and nothing else. */
LOOP_TEST(connections_without_memory_are_refused_or_wait) {
    enum { CLIENTS = 100 };
    struct server server = {.handler = echo};
    eddy_stream *clients[CLIENTS];
    eddy_loop *loop = eddy_loop_current();
    real_driver = loop->driver;
    struct eddyi_driver driver = *real_driver;
    driver.attempt = failing_attempt;
    loop->driver = &driver;
    accept_error = -EMFILE;
    accepts_fail = true;
    start(&server);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = connect_client(&server);
    }
    accepts_fail = false;
    loop->driver = real_driver;
    eddy_memory_fail_at(1, true);
    CHECK_OK(eddy_sleep(200 * EDDY_MS));
    eddy_memory_fail_at(0, false);
    uint64_t served = 0;
    for (int i = 0; i < CLIENTS; i++) {
        char buf[4];
        int r = eddy_stream_write(clients[i], "abcd", 4);
        r = r < 0 ? r : eddy_stream_read_exact(clients[i], buf, 4);
        CHECK(r == 0 || r == EDDY_EEND || r == -ECONNRESET || r == -EPIPE);
        served += r == 0;
        CHECK_OK(eddy_stream_close(clients[i]));
    }
    wait_until_active(&server, 0);
    CHECK(server.stats.paused > 0);
    CHECK_EQ(server.stats.accepted, served);
    CHECK_EQ(server.stats.accepted + server.stats.refused, CLIENTS);
    drain_and_wait(&server);
}

/* ---- several loops --------------------------------------------------------------------------- */

#define LOOPS 3

static _Atomic unsigned served_by[LOOPS];

static int64_t echo_and_count(eddy_stream *peer, void *arg) {
    atomic_fetch_add(&served_by[eddy_loop_current()->index], 1);
    return echo(peer, arg);
}

static int64_t serve_in_group(void *arg) {
    const char *address = arg;
    enum { CLIENTS = 60 };
    struct server server = {.handler = echo_and_count};
    eddy_stream *clients[CLIENTS];
    server.listener = listen_on(address, NULL);
    server.address = text_of(eddy_listener_address(server.listener));
    server.opts.stats = &server.stats;
    server.future = eddy_task_start(run_server, &server, 0);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = connect_client(&server);
    }
    for (int i = 0; i < CLIENTS; i++) {
        check_echo(clients[i]);
        CHECK_OK(eddy_stream_close(clients[i]));
    }
    while (__atomic_load_n(&server.stats.active, __ATOMIC_RELAXED) > 0) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
    drain_and_wait(&server);
    CHECK_EQ(server.stats.accepted, CLIENTS); /* final now: until then other loops may write it */
    return 0;
}

static int64_t cancel_in_group(void *arg) {
    (void)arg;
    for (int i = 0; i < 20; i++) {
        struct server server = {.handler = echo};
        start(&server);
        eddy_stream *client = connect_client(&server);
        if (i % 2 == 0) {
            check_echo(client);
        }
        CHECK_OK(eddy_future_cancel(server.future));
        CHECK_ERR(eddy_await(server.future), -ECANCELED);
        CHECK_OK(eddy_stream_close(client));
    }
    return 0;
}

/* The other loops are asked to serve, and never get to it. */
static const struct eddyi_host *full_host;
static int sockets_left;

static int some_sockets(void *ctx, int domain, int type, int protocol) {
    return sockets_left-- > 0 ? full_host->socket(ctx, domain, type, protocol) : -EMFILE;
}

/* A running loop's host is for its own thread to change. */
static int64_t take_host(void *arg) {
    eddy_loop_current()->host = *(const struct eddyi_host **)arg;
    return 0;
}

static void give_host(eddy_loop_group *group, const struct eddyi_host *host) {
    for (unsigned i = 0; i < eddy_loop_group_count(group); i++) {
        eddy_loop *loop = eddy_loop_group_loop(group, i);
        CHECK_EQ(eddy_await(eddy_task_start_on(loop, take_host, &host, sizeof host)), 0);
    }
}

static int64_t fail_in_group(void *arg) {
    eddy_loop_group *group = arg;
    unsigned count = eddy_loop_group_count(group);
    struct eddyi_host host;
    full_host = eddy_loop_current()->host;
    host = *full_host;
    host.socket = some_sockets;
    for (unsigned i = 1; i < count; i++) {
        eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
        sockets_left = (int)i - 1;
        give_host(group, &host);
        CHECK_ERR(eddy_serve(listener, echo, NULL, NULL), -EMFILE);
        give_host(group, full_host);
    }
    CHECK_OK(serve_once(NULL));
    return test_each_allocation_fails(serve_once, NULL) > 0 ? 0 : -EINVAL;
}

static int64_t serve_on_one(void *arg) {
    (void)arg;
    struct server server = {.handler = echo_and_count, .opts.one_loop = true};
    start(&server);
    unsigned before = atomic_load(&served_by[0]);
    for (int i = 0; i < 20; i++) {
        eddy_stream *client = connect_client(&server);
        check_echo(client);
        CHECK_OK(eddy_stream_close(client));
    }
    CHECK_EQ(atomic_load(&served_by[0]), before + 20);
    wait_until_active(&server, 0);
    drain_and_wait(&server);
    return 0;
}

static void in_group(eddy_task_fn fn, void *arg) {
    eddy_loop *loop;
    eddy_loop_group *group;
    int r = eddy_loop_new(&(eddy_loop_opts){.seed = test_seed()}, &loop);
    if (r == EDDY_EDRIVER) {
        SKIP(eddy_error_detail());
    }
    CHECK_OK(r);
    CHECK_OK(eddy_loop_group_new(loop, LOOPS, &group));
    CHECK_OK(eddy_loop_call(loop, fn, arg == NULL ? group : arg));
    eddy_loop_group_free(group);
    eddy_loop_free(loop);
}

TEST(each_loop_of_a_group_serves) {
    char address[] = "127.0.0.1:0";
    in_group(serve_in_group, address);
    bool simulation = strcmp(test_driver(), "sim") == 0;
    for (int i = 0; i < (simulation ? 1 : LOOPS); i++) {
        CHECK(atomic_load(&served_by[i]) > 0);
    }
}

TEST(loops_of_a_group_share_a_unix_socket) {
    char address[EDDY_ADDRESS_TEXT_MAX];
    snprintf(address, sizeof address, "%s", test_unix_name());
    in_group(serve_in_group, address);
}

TEST(cancel_reaches_the_connections_of_all_loops) {
    in_group(cancel_in_group, NULL);
}

TEST(server_that_cannot_start_on_all_loops_serves_on_none) {
    in_group(fail_in_group, NULL);
}

TEST(one_loop_is_enough_when_asked) {
    in_group(serve_on_one, NULL);
}

static int64_t serve_elsewhere(void *arg) {
    CHECK_ERR(eddy_serve(arg, echo, NULL, NULL), EDDY_EWRONGLOOP);
    return 0;
}

static int64_t serve_on_a_wrong_loop(void *arg) {
    eddy_loop_group *group = arg;
    if (eddy_loop_group_count(group) > 1) {
        eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
        eddy_future *future =
            eddy_task_start_on(eddy_loop_group_loop(group, 1), serve_elsewhere, listener, 0);
        CHECK_EQ(eddy_await(future), 0);
        CHECK_OK(eddy_listener_close(listener)); /* was not consumed */
    }
    return 0;
}

TEST(listener_is_served_on_its_own_loop) {
    in_group(serve_on_a_wrong_loop, NULL);
}
