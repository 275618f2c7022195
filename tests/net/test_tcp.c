/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/tcp.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <eddy/futures/future.h>
#include <eddy/runtime/io/memory.h>

#include "net/net.h"

/* ---- connecting ------------------------------------------------------------------------------ */

static void check_family(const char *address) {
    eddy_listener *listener = listen_on(address, NULL);
    eddy_stream *client = connect_to(listener, NULL);
    eddy_stream *server = accept_from(listener);
    check_talk(client, server);
    CHECK_STR(eddy_stream_kind(client), strncmp(address, "unix:", 5) == 0 ? "unix" : "tcp");
    eddy_address at = eddy_listener_address(listener);
    eddy_address a;
    eddy_address b;
    CHECK_OK(eddy_tcp_peer(client, &a));
    CHECK(eddy_address_equal(&a, &at));
    CHECK_OK(eddy_tcp_local(server, &b));
    CHECK(eddy_address_equal(&a, &b));
    CHECK_OK(eddy_tcp_local(client, &a));
    CHECK_OK(eddy_tcp_peer(server, &b));
    CHECK(eddy_address_equal(&a, &b));
    CHECK_OK(eddy_stream_close(client));
    char byte;
    CHECK_EQ(eddy_stream_read(server, &byte, 1), 0);
    CHECK_OK(eddy_stream_close(server));
    CHECK_OK(eddy_listener_close(listener));
}

LOOP_TEST(connections_of_each_family_carry_bytes_both_ways) {
    char path[128];
    snprintf(path, sizeof path, "unix:%s/sock", test_tmpdir());
    check_family("127.0.0.1:0");
    check_family("[::1]:0");
    check_family("localhost:0");
    check_family(path);
    check_family(test_unix_name());
}

LOOP_TEST(connect_to_closed_port_gives_econnrefused) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    struct text text = text_of(eddy_listener_address(listener));
    CHECK_OK(eddy_listener_close(listener));
    eddy_stream *stream = NULL;
    CHECK_ERR(eddy_tcp_connect(text.bytes, NULL, &stream), -ECONNREFUSED);
    CHECK_PTR_EQ(stream, NULL);
    CHECK_ERR(eddy_tcp_connect(test_unix_name(), NULL, &stream), -ECONNREFUSED);
    CHECK_ERR(eddy_tcp_connect("unix:/nowhere/at/all", NULL, &stream), -ENOENT);
    CHECK_PTR_EQ(stream, NULL);
}

LOOP_TEST(connect_with_bad_arguments_is_refused) {
    eddy_stream *stream;
    eddy_address none = {0};
    CHECK_ERR(eddy_tcp_connect("127.0.0.1", NULL, &stream), EDDY_EADDRESS);
    CHECK_STR(eddy_error_detail(), "address \"127.0.0.1\": the port is missing at character 10");
    CHECK_ERR(eddy_tcp_connect("127.0.0.1:1", NULL, NULL), -EINVAL);
    CHECK_ERR(eddy_tcp_connect_to(NULL, NULL, &stream), -EINVAL);
    CHECK_ERR(eddy_tcp_connect_to(&none, NULL, &stream), -EINVAL);
    const eddy_tcp_opts bad[] = {
        {.size = sizeof(eddy_tcp_opts) - 8},
        {.keepalive_ns = -1},
        {.keepalive_interval_ns = -1},
        {.user_timeout_ns = -1},
        {.linger_ns = -1},
        {.recv_buffer_bytes = UINT32_MAX},
        {.send_buffer_bytes = UINT32_MAX},
        {.keepalive_count = UINT32_MAX},
        {.keepalive_ns = EDDY_S, .keepalive_count = 1000}, /* the kernel's no */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_ERR(eddy_tcp_connect("127.0.0.1:1", &bad[i], &stream), -EINVAL);
    }
    eddy_tcp_opts bind = {.bind = "nonsense"};
    CHECK_ERR(eddy_tcp_connect("127.0.0.1:1", &bind, &stream), EDDY_EADDRESS);
}

TEST(connect_outside_of_a_task_gives_enotask) {
    eddy_stream *stream;
    CHECK_ERR(eddy_tcp_connect("127.0.0.1:1", NULL, &stream), EDDY_ENOTASK);
    eddy_future *future = eddy_tcp_connect_start("127.0.0.1:1", NULL);
    CHECK_ERR(eddy_future_result(future), EDDY_ENOTASK);
    eddy_future_release(future);
}

LOOP_TEST(connect_in_a_cancelled_scope_does_nothing) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    struct text text = text_of(eddy_listener_address(listener));
    eddy_stream *stream = NULL;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_ERR(eddy_tcp_connect(text.bytes, NULL, &stream), -ECANCELED);
    eddy_future *future = eddy_tcp_connect_start(text.bytes, NULL);
    CHECK_ERR(eddy_future_result(future), -ECANCELED);
    eddy_scope_leave(&scope, 0);
    CHECK_PTR_EQ(stream, NULL);
    CHECK_ERR(eddy_listener_accept_try(listener, &stream), -EAGAIN);
    CHECK_OK(eddy_listener_close(listener));
}

/* A Unix listener whose queue is full makes connect wait: whatever ends it leaves nothing. */
static eddy_listener *full_listener(eddy_stream **ret_in_queue) {
    eddy_listener *listener = listen_on(test_unix_name(), &(eddy_listen_opts){.backlog = 1});
    for (int i = 0; i < 2; i++) { /* a backlog of one holds two */
        ret_in_queue[i] = connect_to(listener, NULL);
    }
    return listener;
}

static void empty(eddy_listener *listener, eddy_stream **in_queue, int waiting) {
    for (int i = 0; i < 2 + waiting; i++) {
        CHECK_OK(eddy_stream_close(accept_from(listener)));
    }
    for (int i = 0; i < 2; i++) {
        CHECK_OK(eddy_stream_close(in_queue[i]));
    }
    eddy_stream *none;
    CHECK_ERR(eddy_listener_accept_try(listener, &none), -EAGAIN);
    CHECK_OK(eddy_listener_close(listener));
}

LOOP_TEST(connect_that_waits_ends_with_its_deadline) {
    eddy_stream *in_queue[2];
    eddy_listener *listener = full_listener(in_queue);
    eddy_stream *stream = NULL;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = 20 * EDDY_MS}));
    CHECK_ERR(eddy_tcp_connect(test_unix_name(), NULL, &stream), -ETIME);
    CHECK(eddy_scope_expired(&scope));
    eddy_scope_leave(&scope, 0);
    CHECK_PTR_EQ(stream, NULL);
    empty(listener, in_queue, 0);
}

static int64_t connect_and_close(void *arg) {
    eddy_stream *stream;
    eddy_task **task = arg;
    *task = eddyi_task_here;
    int64_t r = eddy_tcp_connect(test_unix_name(), NULL, &stream);
    if (r == 0) {
        eddy_stream_close(stream);
    }
    return r;
}

LOOP_TEST(connect_that_waits_ends_with_a_cancel) {
    eddy_stream *in_queue[2];
    eddy_listener *listener = full_listener(in_queue);
    eddy_task *task = NULL;
    eddy_task **to = &task;
    eddy_future *future = eddy_task_start(connect_and_close, to, 0);
    wait_until_parked(&task);
    CHECK_OK(eddy_future_cancel(future));
    CHECK_ERR(eddy_await(future), -ECANCELED);
    empty(listener, in_queue, 0);
}

LOOP_TEST(connect_that_waits_goes_on_when_there_is_room) {
    eddy_stream *in_queue[2];
    eddy_listener *listener = full_listener(in_queue);
    eddy_task *task = NULL;
    eddy_future *future = eddy_task_start(connect_and_close, &task, 0);
    wait_until_parked(&task);
    empty(listener, in_queue, 1);
    CHECK_EQ(eddy_await(future), 0);
}

/* ---- a connect that was started -------------------------------------------------------------- */

LOOP_TEST(started_connect_carries_the_stream) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    struct text text = text_of(eddy_listener_address(listener));
    eddy_tcp_opts *opts = calloc(1, sizeof *opts);
    opts->keepalive_ns = 7 * EDDY_S;
    char *address = strdup(text.bytes);
    eddy_future *future = eddy_tcp_connect_start(address, opts);
    memset(opts, 0x5a, sizeof *opts); /* both were copied */
    memset(address, 0x5a, strlen(address));
    free(opts);
    free(address);
    eddy_stream *server = accept_from(listener);
    CHECK_EQ(eddy_await(future), 0);
    void *payload;
    CHECK_EQ(eddy_future_take_payload(future, &payload, NULL), 0);
    eddy_stream *client = payload;
    check_talk(client, server);
    CHECK_EQ(option_of(client, IPPROTO_TCP, TCP_KEEPIDLE), 7);
    eddy_future_release(future);
    CHECK_OK(eddy_stream_close(client));
    CHECK_OK(eddy_stream_close(server));
    CHECK_OK(eddy_listener_close(listener));
}

LOOP_TEST(started_connect_that_nobody_took_is_closed_with_its_future) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    struct text text = text_of(eddy_listener_address(listener));
    char byte;
    eddy_future *future = eddy_tcp_connect_start(text.bytes, NULL);
    eddy_stream *server = accept_from(listener);
    CHECK_EQ(eddy_await(future), 0);
    eddy_future_release(future);
    CHECK_EQ(eddy_stream_read(server, &byte, 1), 0);
    CHECK_OK(eddy_stream_close(server));
    /* And with the scope that it belongs to. */
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    future = eddy_tcp_connect_start(text.bytes, NULL);
    server = accept_from(listener);
    CHECK_EQ(eddy_await(future), 0);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(eddy_stream_read(server, &byte, 1), 0);
    CHECK_OK(eddy_stream_close(server));
    CHECK_OK(eddy_listener_close(listener));
}

LOOP_TEST(started_connect_fails_in_its_future) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    struct text text = text_of(eddy_listener_address(listener));
    CHECK_OK(eddy_listener_close(listener));
    CHECK_ERR(eddy_await(eddy_tcp_connect_start(text.bytes, NULL)), -ECONNREFUSED);
    CHECK_ERR(eddy_await(eddy_tcp_connect_start("nonsense", NULL)), EDDY_EADDRESS);
    CHECK_ERR(eddy_await(eddy_tcp_connect_start("unix:/no/such", NULL)), -ENOENT);
    eddy_tcp_opts bad = {.linger_ns = -1};
    CHECK_ERR(eddy_await(eddy_tcp_connect_start(text.bytes, &bad)), -EINVAL);
}

LOOP_TEST(started_connect_can_be_cancelled) {
    eddy_stream *in_queue[2];
    eddy_listener *listener = full_listener(in_queue);
    eddy_future *future = eddy_tcp_connect_start(test_unix_name(), NULL);
    CHECK_OK(eddy_yield());
    CHECK_OK(eddy_future_cancel(future));
    CHECK_ERR(eddy_await(future), -ECANCELED);
    CHECK(eddy_future_cancelled(future));
    future = eddy_tcp_connect_start(test_unix_name(), NULL);
    CHECK_OK(eddy_yield());
    eddy_future_release(future); /* cancels and waits */
    empty(listener, in_queue, 0);
}

static int64_t release(void *future) {
    eddy_future_release(future);
    return 0;
}

LOOP_TEST(started_connect_may_be_let_go_by_another_thread) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    struct text text = text_of(eddy_listener_address(listener));
    char byte;
    eddy_future *future = eddy_tcp_connect_start(text.bytes, NULL);
    eddy_stream *server = accept_from(listener);
    CHECK_EQ(eddy_await(future), 0);
    CHECK_EQ(eddyi_task_offload(eddyi_task_here, release, future, "test"), 0);
    CHECK_EQ(eddy_stream_read(server, &byte, 1), 0);
    CHECK_OK(eddy_stream_close(server));
    CHECK_OK(eddy_listener_close(listener));
}

static struct {
    struct text address;
    eddy_future *future;
} posted;

static void start_posted(void *arg) {
    (void)arg;
    posted.future = eddy_tcp_connect_start(posted.address.bytes, NULL);
}

/* It belongs to the loop, which is freed after the case; a descriptor that was left is found. */
LOOP_TEST(started_connect_outside_of_a_task_ends_with_the_loop) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    posted.address = text_of(eddy_listener_address(listener));
    CHECK_OK(eddy_loop_post(eddy_loop_current(), start_posted, NULL));
    eddy_stream *server = accept_from(listener);
    CHECK_EQ(eddy_await(posted.future), 0);
    CHECK_OK(eddy_stream_close(server));
    CHECK_OK(eddy_listener_close(listener));
}

/* ---- options --------------------------------------------------------------------------------- */

/* What each option is, on a connection. */
static void check_options(eddy_stream *stream, bool asked) {
    CHECK_EQ(option_of(stream, IPPROTO_TCP, TCP_NODELAY), asked ? 0 : 1);
    CHECK_EQ(option_of(stream, SOL_SOCKET, SO_KEEPALIVE), asked ? 1 : 0);
    if (asked) {
        CHECK_EQ(option_of(stream, IPPROTO_TCP, TCP_KEEPIDLE), 20);
        CHECK_EQ(option_of(stream, IPPROTO_TCP, TCP_KEEPINTVL), 1); /* a wish of 1 ms */
        CHECK_EQ(option_of(stream, IPPROTO_TCP, TCP_KEEPCNT), 4);
        CHECK_EQ(option_of(stream, IPPROTO_TCP, TCP_USER_TIMEOUT), 1501);
        /* The kernel keeps double. */
        CHECK_EQ(option_of(stream, SOL_SOCKET, SO_RCVBUF), 2 * 20000);
        CHECK_EQ(option_of(stream, SOL_SOCKET, SO_SNDBUF), 2 * 30000);
    }
    struct linger linger;
    socklen_t len = sizeof linger;
    const struct eddyi_host *host = stream->loop->host;
    CHECK_OK(
        host->getsockopt(host->ctx, eddy_stream_fd(stream), SOL_SOCKET, SO_LINGER, &linger, &len));
    CHECK_EQ(linger.l_onoff != 0, asked);
    CHECK(!asked || linger.l_linger == 3);
}

static const eddy_tcp_opts all_options = {
    .nagle = true,
    .quick_ack = true,
    .keepalive_ns = 19 * EDDY_S + 1,
    .keepalive_interval_ns = EDDY_MS,
    .keepalive_count = 4,
    .recv_buffer_bytes = 20000,
    .send_buffer_bytes = 30000,
    .user_timeout_ns = 1500 * EDDY_MS + 1,
    .linger = true,
    .linger_ns = 3 * EDDY_S,
};

LOOP_TEST(options_reach_the_connections_of_both_sides) {
    for (int asked = 0; asked <= 1; asked++) {
        const eddy_tcp_opts *opts = asked ? &all_options : NULL;
        eddy_listener *listener = listen_on("127.0.0.1:0", &(eddy_listen_opts){.connection = opts});
        eddy_stream *client = connect_to(listener, opts);
        eddy_stream *server = accept_from(listener);
        check_options(client, asked);
        check_options(server, asked);
        check_talk(client, server);
        /* And anew, there and back. */
        CHECK_OK(eddy_tcp_opts_set(client, asked ? NULL : &all_options));
        check_options(client, !asked);
        CHECK_OK(eddy_stream_close(client));
        CHECK_OK(eddy_stream_close(server));
        CHECK_OK(eddy_listener_close(listener));
    }
}

LOOP_TEST(options_of_unix_sockets_reach_both_sides) {
    const eddy_tcp_opts opts = {.send_buffer_bytes = 30000};
    eddy_listener *listener = listen_on(test_unix_name(), &(eddy_listen_opts){.connection = &opts});
    eddy_stream *client = connect_to(listener, &opts);
    eddy_stream *server = accept_from(listener);
    CHECK_EQ(option_of(client, SOL_SOCKET, SO_SNDBUF), 2 * 30000);
    CHECK_EQ(option_of(server, SOL_SOCKET, SO_SNDBUF), 2 * 30000);
    CHECK_OK(eddy_tcp_opts_set(client, NULL));
    CHECK_OK(eddy_stream_close(client));
    CHECK_OK(eddy_stream_close(server));
    CHECK_OK(eddy_listener_close(listener));
}

LOOP_TEST(times_that_are_too_long_are_the_longest) {
    const eddy_tcp_opts opts = {.user_timeout_ns = EDDY_NEVER, .linger_ns = EDDY_NEVER};
    eddy_stream *client;
    eddy_stream *server;
    tcp_pair(&client, &server);
    CHECK_OK(eddy_tcp_opts_set(client, &opts));
    CHECK_EQ(option_of(client, IPPROTO_TCP, TCP_USER_TIMEOUT), INT32_MAX);
    CHECK_OK(eddy_stream_close(client));
    CHECK_OK(eddy_stream_close(server));
}

LOOP_TEST(local_address_can_be_chosen) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    eddy_stream *client = connect_to(listener, &(eddy_tcp_opts){.bind = "127.0.0.2:0"});
    eddy_stream *server = accept_from(listener);
    eddy_address local;
    eddy_address peer;
    CHECK_OK(eddy_tcp_local(client, &local));
    CHECK_OK(eddy_tcp_peer(server, &peer));
    CHECK(eddy_address_equal(&local, &peer));
    CHECK(strncmp(text_of(local).bytes, "127.0.0.2:", 10) == 0);
    CHECK(eddy_address_port(&local) != 0);
    eddy_stream *other = NULL;
    struct text text = text_of(eddy_listener_address(listener));
    CHECK_ERR(eddy_tcp_connect(text.bytes, &(eddy_tcp_opts){.bind = "192.0.2.1:0"}, &other),
              -EADDRNOTAVAIL);
    CHECK_PTR_EQ(other, NULL);
    CHECK_OK(eddy_stream_close(client));
    CHECK_OK(eddy_stream_close(server));
    CHECK_OK(eddy_listener_close(listener));
}

/* ---- ends ------------------------------------------------------------------------------------ */

LOOP_TEST(half_close_lets_the_answer_through) {
    eddy_stream *client;
    eddy_stream *server;
    char buf[8];
    tcp_pair(&client, &server);
    CHECK_OK(eddy_stream_write(client, "bye", 3));
    CHECK_OK(eddy_stream_shutdown(client));
    CHECK_OK(eddy_stream_shutdown(client));
    CHECK_ERR(eddy_stream_write(client, "x", 1), -EPIPE);
    CHECK_OK(eddy_stream_read_exact(server, buf, 3));
    CHECK_EQ(eddy_stream_read(server, buf, sizeof buf), 0);
    CHECK_OK(eddy_stream_write(server, "answer", 6));
    CHECK_OK(eddy_stream_read_exact(client, buf, 6));
    CHECK_BYTES(buf, 6, "answer", 6);
    CHECK_OK(eddy_stream_close(server));
    CHECK_EQ(eddy_stream_read(client, buf, sizeof buf), 0);
    CHECK_OK(eddy_stream_close(client));
}

LOOP_TEST(linger_of_zero_resets) {
    eddy_stream *client;
    eddy_stream *server;
    char byte;
    eddy_address peer;
    tcp_pair(&client, &server);
    CHECK_OK(eddy_tcp_opts_set(client, &(eddy_tcp_opts){.linger = true}));
    CHECK_OK(eddy_stream_close(client));
    CHECK_ERR(eddy_stream_read(server, &byte, 1), -ECONNRESET);
    CHECK_ERR(eddy_tcp_peer(server, &peer), -ENOTCONN);
    CHECK_ERR(eddy_stream_write(server, "x", 1), -EPIPE);
    CHECK_OK(eddy_stream_close(server));
}

struct ticker {
    int ticks;
    bool stop;
};

static int64_t tick(void *arg) {
    struct ticker *ticker = arg;
    while (!ticker->stop && eddy_sleep(10 * EDDY_MS) == 0) {
        ticker->ticks++;
    }
    return 0;
}

/* The peer does not read, so its close waits out the whole second; others run meanwhile. */
LOOP_TEST(close_that_lingers_suspends_only_its_task) {
    eddy_stream *client;
    eddy_stream *server;
    struct ticker ticker = {0};
    char byte = 0;
    tcp_pair(&client, &server);
    CHECK_OK(eddy_tcp_opts_set(client, &(eddy_tcp_opts){.linger = true, .linger_ns = EDDY_S}));
    while (eddy_stream_write_try(client, (char[4096]){0}, 4096) > 0 ||
           eddy_sleep(20 * EDDY_MS) < 0 || eddy_stream_write_try(client, &byte, 1) > 0) {
    }
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(tick, &ticker, 0));
    int64_t start_ns = eddy_loop_now(eddy_loop_current());
    eddy_stream_close(client);
    int64_t took_ns = eddy_loop_now(eddy_loop_current()) - start_ns;
    ticker.stop = true;
    CHECK_OK(eddy_scope_leave(&scope, 0));
    if (!simulated()) { /* whose close has no need to wait */
        CHECK(took_ns >= 900 * EDDY_MS);
        CHECK(ticker.ticks > 0); /* some hundred, where nothing else needs the CPU */
    }
    CHECK_OK(eddy_stream_close(server));
}

LOOP_TEST(close_that_lingers_waits_for_nothing_under_a_cancel) {
    eddy_stream *client;
    eddy_stream *server;
    tcp_pair(&client, &server);
    CHECK_OK(eddy_tcp_opts_set(client, &(eddy_tcp_opts){.linger = true, .linger_ns = 20 * EDDY_S}));
    while (eddy_stream_write_try(client, (char[4096]){0}, 4096) > 0) {
    }
    int64_t start_ns = eddy_loop_now(eddy_loop_current());
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_OK(eddy_stream_close(client));
    eddy_scope_leave(&scope, 0);
    CHECK(eddy_loop_now(eddy_loop_current()) - start_ns < 10 * EDDY_S);
    CHECK_OK(eddy_stream_close(server));
}

/* ---- misuse ---------------------------------------------------------------------------------- */

static void *ask_elsewhere(void *arg) {
    eddy_stream *stream = arg;
    eddy_address address;
    CHECK_ERR(eddy_tcp_peer(stream, &address), EDDY_ENOTASK);
    CHECK_ERR(eddy_tcp_local(stream, &address), EDDY_ENOTASK);
    CHECK_ERR(eddy_tcp_opts_set(stream, NULL), EDDY_ENOTASK);
    return NULL;
}

LOOP_TEST(connection_is_asked_on_its_loop_only) {
    eddy_stream *client;
    eddy_stream *server;
    tcp_pair(&client, &server);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, ask_elsewhere, client), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_ERR(eddy_tcp_opts_set(client, &(eddy_tcp_opts){.linger_ns = -1}), -EINVAL);
    CHECK_OK(eddy_stream_close(client));
    CHECK_OK(eddy_stream_close(server));
}

LOOP_TEST(stream_that_is_no_socket_has_no_addresses) {
    eddy_stream *a;
    eddy_stream *b;
    eddy_address address;
    CHECK_OK(eddy_memory_pair(1024, &a, &b));
    CHECK_ERR(eddy_tcp_peer(a, &address), -ENOTSOCK);
    CHECK_ERR(eddy_tcp_local(a, &address), -ENOTSOCK);
    CHECK_ERR(eddy_tcp_opts_set(a, NULL), -ENOTSOCK);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

/* ---- faults ---------------------------------------------------------------------------------- */

static int64_t connect_once(void *arg) {
    struct text *text = arg;
    eddy_stream *stream;
    int64_t r = eddy_tcp_connect(text->bytes, NULL, &stream);
    if (r == 0) {
        r = eddy_stream_close(stream);
    }
    return r;
}

static int64_t start_once(void *arg) {
    struct text *text = arg;
    eddy_future *future = eddy_tcp_connect_start(text->bytes, NULL);
    int64_t r = eddy_await(future);
    eddy_future_release(future);
    /* A stream that nobody took is closed by what this has queued. */
    CHECK_OK(eddy_yield());
    return r;
}

static int64_t sweep(void *arg) {
    CHECK_OK(connect_once(arg)); /* what the loop keeps from its first use on */
    CHECK_OK(start_once(arg));
    CHECK(test_each_allocation_fails(connect_once, arg) > 2);
    CHECK(test_each_allocation_fails(start_once, arg) > 3);
    return 0;
}

/* Against a listener of the kernel's, because the simulated one needs memory as well. */
TEST(connect_survives_every_allocation_that_fails) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.driver = "epoll"}, &loop));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof in;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    CHECK_EQ(listen(fd, 1000), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    eddy_address address;
    CHECK_OK(eddy_address_from((struct sockaddr *)&in, sizeof in, &address));
    struct text text = text_of(address);
    CHECK_OK(eddy_loop_call(loop, sweep, &text));
    eddy_loop_free(loop);
    close(fd);
}

static int no_socket(void *ctx, int domain, int type, int protocol) {
    (void)ctx;
    (void)domain;
    (void)type;
    (void)protocol;
    return -EMFILE;
}

LOOP_TEST(connect_and_listen_without_a_descriptor_give_emfile) {
    eddy_loop *loop = eddy_loop_current();
    const struct eddyi_host *host = loop->host;
    struct eddyi_host poor = *host;
    eddy_stream *stream;
    eddy_listener *listener;
    poor.socket = no_socket;
    loop->host = &poor;
    CHECK_ERR(eddy_tcp_connect("127.0.0.1:1", NULL, &stream), -EMFILE);
    CHECK_ERR(eddy_await(eddy_tcp_connect_start("127.0.0.1:1", NULL)), -EMFILE);
    CHECK_ERR(eddy_tcp_listen("127.0.0.1:0", NULL, &listener), -EMFILE);
    loop->host = host;
}

/* ---- many ------------------------------------------------------------------------------------ */

#define MANY 1000

static int64_t talk_once(void *arg) {
    struct text *text = arg;
    char buf[4];
    eddy_stream *stream;
    CHECK_OK(eddy_tcp_connect(text->bytes, NULL, &stream));
    CHECK_OK(eddy_stream_write(stream, "abcd", 4));
    CHECK_OK(eddy_stream_read_exact(stream, buf, 4));
    CHECK_BYTES(buf, 4, "abcd", 4);
    return eddy_stream_close(stream);
}

static int64_t echo_once(void *arg) {
    eddy_stream *stream = *(eddy_stream **)arg;
    char buf[4];
    CHECK_OK(eddy_stream_read_exact(stream, buf, 4));
    CHECK_OK(eddy_stream_write(stream, buf, 4));
    CHECK_EQ(eddy_stream_read(stream, buf, 4), 0);
    return eddy_stream_close(stream);
}

LOOP_TEST_TIMEOUT(a_thousand_connections_at_once, 120) {
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    struct text text = text_of(eddy_listener_address(listener));
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < MANY; i++) {
        CHECK_OK(eddy_spawn(talk_once, &text, 0));
    }
    for (int i = 0; i < MANY; i++) {
        eddy_stream *server = accept_from(listener);
        CHECK_OK(eddy_spawn(echo_once, &server, sizeof server));
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_OK(eddy_listener_close(listener));
}
