/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/listener.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <eddy/futures/future.h>
#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/loop/group.h>

#include "net/net.h"

/* ---- listening ------------------------------------------------------------------------------- */

LOOP_TEST(port_zero_finds_a_free_one_and_says_which) {
    eddy_listener *a = listen_on("127.0.0.1:0", NULL);
    eddy_listener *b = listen_on("127.0.0.1:0", NULL);
    eddy_address at_a = eddy_listener_address(a);
    eddy_address at_b = eddy_listener_address(b);
    CHECK(eddy_address_port(&at_a) != 0);
    CHECK(eddy_address_port(&at_a) != eddy_address_port(&at_b));
    CHECK_OK(eddy_listener_close(a));
    CHECK_OK(eddy_listener_close(b));
}

LOOP_TEST(port_that_is_taken_gives_eaddrinuse) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    struct text text = text_of(eddy_listener_address(listener));
    eddy_listener *second = NULL;
    CHECK_ERR(eddy_tcp_listen(text.bytes, NULL, &second), -EADDRINUSE);
    CHECK_ERR(eddy_tcp_listen(text.bytes, &(eddy_listen_opts){.reuse_port = true}, &second),
              -EADDRINUSE);
    CHECK_PTR_EQ(second, NULL);
    CHECK_OK(eddy_listener_close(listener));
}

LOOP_TEST(port_can_be_shared_by_those_who_both_ask_for_it) {
    const eddy_listen_opts shared = {.reuse_port = true};
    eddy_listener *a = listen_on("127.0.0.1:0", &shared);
    struct text text = text_of(eddy_listener_address(a));
    eddy_listener *b = listen_on(text.bytes, &shared);
    eddy_listener *c = NULL;
    CHECK_ERR(eddy_tcp_listen(text.bytes, NULL, &c), -EADDRINUSE);
    CHECK_OK(eddy_listener_close(a));
    eddy_stream *client = connect_to(b, NULL);
    eddy_stream *server = accept_from(b);
    check_talk(client, server);
    CHECK_OK(eddy_stream_close(client));
    CHECK_OK(eddy_stream_close(server));
    CHECK_OK(eddy_listener_close(b));
}

LOOP_TEST(port_is_free_when_close_returns) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    struct text text = text_of(eddy_listener_address(listener));
    for (int i = 0; i < 50; i++) {
        /* With a connection, accepted or not, and without. */
        eddy_stream *client = i % 3 == 0 ? NULL : connect_to(listener, NULL);
        eddy_stream *server = i % 3 == 1 ? accept_from(listener) : NULL;
        CHECK_OK(eddy_listener_close(listener));
        listener = listen_on(text.bytes, NULL);
        CHECK_OK(eddy_stream_close(client));
        CHECK_OK(eddy_stream_close(server));
    }
    CHECK_OK(eddy_listener_close(listener));
}

LOOP_TEST(ipv6_listener_takes_ipv4_unless_told_otherwise) {
    for (int only = 0; only <= 1; only++) {
        eddy_listener *listener = listen_on(":0", &(eddy_listen_opts){.v6_only = only});
        eddy_address address = eddy_listener_address(listener);
        char text[64];
        snprintf(text, sizeof text, "127.0.0.1:%u", eddy_address_port(&address));
        eddy_stream *client;
        CHECK_EQ(eddy_tcp_connect(text, NULL, &client), only ? -ECONNREFUSED : 0);
        if (!only) {
            eddy_stream *server = accept_from(listener);
            CHECK_OK(eddy_tcp_peer(server, &address));
            CHECK(strncmp(text_of(address).bytes, "[::ffff:127.0.0.1]:", 19) == 0);
            CHECK_OK(eddy_stream_close(client));
            CHECK_OK(eddy_stream_close(server));
        }
        CHECK_OK(eddy_listener_close(listener));
    }
}

static const struct eddyi_host *full_host;

static int socket_without_ipv6(void *ctx, int domain, int type, int protocol) {
    return domain == AF_INET6 ? -EAFNOSUPPORT : full_host->socket(ctx, domain, type, protocol);
}

LOOP_TEST(without_ipv6_any_means_any_ipv4) {
    eddy_loop *loop = eddy_loop_current();
    full_host = loop->host;
    struct eddyi_host host = *full_host;
    eddy_listener *listener;
    host.socket = socket_without_ipv6;
    loop->host = &host;
    CHECK_OK(eddy_tcp_listen(":0", NULL, &listener));
    eddy_address address = eddy_listener_address(listener);
    CHECK_EQ(eddy_address_family(&address), AF_INET);
    CHECK_OK(eddy_listener_close(listener));
    CHECK_ERR(eddy_tcp_listen("[::1]:0", NULL, &listener), -EAFNOSUPPORT);
    CHECK_ERR(eddy_tcp_listen(":0", &(eddy_listen_opts){.v6_only = true}, &listener),
              -EAFNOSUPPORT);
    loop->host = full_host;
}

LOOP_TEST(listen_with_bad_arguments_is_refused) {
    eddy_listener *listener;
    CHECK_ERR(eddy_tcp_listen("127.0.0.1", NULL, &listener), EDDY_EADDRESS);
    CHECK_ERR(eddy_tcp_listen("127.0.0.1:0", NULL, NULL), -EINVAL);
    CHECK_ERR(eddy_tcp_listen("192.0.2.1:0", NULL, &listener), -EADDRNOTAVAIL);
    const eddy_tcp_opts bad_connection = {.keepalive_ns = -1};
    const eddy_tcp_opts refused_connection = {.keepalive_ns = 100000 * EDDY_S};
    const eddy_listen_opts bad[] = {
        {.size = sizeof(eddy_listen_opts) - 8},
        {.backlog = UINT32_MAX},
        {.mode = 010000},
        {.connection = &bad_connection},
        {.connection = &refused_connection}, /* the kernel's no, before anybody connects */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_ERR(eddy_tcp_listen("127.0.0.1:0", &bad[i], &listener), -EINVAL);
    }
}

TEST(listen_outside_of_a_loop_gives_enotask) {
    eddy_listener *listener;
    CHECK_ERR(eddy_tcp_listen("127.0.0.1:0", NULL, &listener), EDDY_ENOTASK);
    CHECK_ERR(eddy_listener_from_fd(0, &listener), EDDY_ENOTASK);
}

/* ---- socket files ---------------------------------------------------------------------------- */

static struct text socket_path(void) {
    struct text text;
    snprintf(text.bytes, sizeof text.bytes, "unix:%s/sock", test_tmpdir());
    return text;
}

static const char *file_of(const struct text *text) {
    return text->bytes + strlen("unix:");
}

LOOP_TEST(socket_file_goes_with_its_listener) {
    struct text text = socket_path();
    for (int i = 0; i < 3; i++) {
        eddy_listener *listener = listen_on(text.bytes, NULL);
        eddy_listener *second;
        CHECK_ERR(eddy_tcp_listen(text.bytes, NULL, &second), -EADDRINUSE);
        eddy_stream *client = connect_to(listener, NULL);
        eddy_stream *server = accept_from(listener);
        CHECK_OK(eddy_listener_close(listener));
        CHECK_EQ(access(file_of(&text), F_OK), -1);
        check_talk(client, server); /* what was accepted lives on */
        CHECK_OK(eddy_stream_close(client));
        CHECK_OK(eddy_stream_close(server));
    }
    CHECK_ERR(eddy_tcp_connect(text.bytes, NULL, &(eddy_stream *){NULL}), -ENOENT);
}

/* On the simulation socket names are no files. */
static bool has_socket_files(void) {
    return !simulated();
}

LOOP_TEST(socket_file_has_the_mode_that_was_asked_for) {
    struct text text = socket_path();
    eddy_listener *listener = listen_on(text.bytes, &(eddy_listen_opts){.mode = 0612});
    struct stat file;
    if (has_socket_files()) {
        CHECK_EQ(stat(file_of(&text), &file), 0);
        CHECK_EQ(file.st_mode & 07777, 0612);
    }
    CHECK_OK(eddy_listener_close(listener));
}

static void leave_socket_file(const char *path) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    CHECK_EQ(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    close(fd);
}

LOOP_TEST(socket_file_of_the_dead_is_replaced_when_asked_and_no_other_file) {
    struct text text = socket_path();
    eddy_listener *listener;
    const eddy_listen_opts replace = {.replace = true};
    if (has_socket_files()) {
        leave_socket_file(file_of(&text));
        CHECK_ERR(eddy_tcp_listen(text.bytes, NULL, &listener), -EADDRINUSE);
    }
    listener = listen_on(text.bytes, &replace);
    CHECK_OK(eddy_stream_close(connect_to(listener, NULL)));
    CHECK_OK(eddy_listener_close(listener));
    if (has_socket_files()) {
        int fd = open(file_of(&text), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        CHECK_OK(fd);
        close(fd);
        CHECK_ERR(eddy_tcp_listen(text.bytes, &replace, &listener), -EADDRINUSE);
        CHECK_EQ(access(file_of(&text), F_OK), 0);
    }
}

LOOP_TEST(socket_file_of_somebody_else_stays) {
    struct text text = socket_path();
    eddy_listener *listener = listen_on(text.bytes, NULL);
    if (has_socket_files()) {
        CHECK_EQ(unlink(file_of(&text)), 0);
        leave_socket_file(file_of(&text));
    }
    CHECK_OK(eddy_listener_close(listener));
    CHECK_EQ(access(file_of(&text), F_OK), has_socket_files() ? 0 : -1);
}

LOOP_TEST(socket_file_in_no_folder_gives_enoent) {
    eddy_listener *listener;
    if (has_socket_files()) {
        CHECK_ERR(eddy_tcp_listen("unix:/no/such/folder/sock", NULL, &listener), -ENOENT);
    }
    CHECK_ERR(eddy_tcp_connect("unix:/no/such/folder/sock", NULL, &(eddy_stream *){NULL}), -ENOENT);
}

/* ---- accepting ------------------------------------------------------------------------------- */

struct acceptor {
    eddy_listener *listener;
    eddy_task *task;
    int64_t result;
    bool poor; /* nothing is left of the turn's budget: the checkpoint lets others run */
};

static int64_t accept_once(void *arg) {
    struct acceptor *acceptor = arg;
    eddy_stream *stream;
    acceptor->task = eddyi_task_here;
    if (acceptor->poor) {
        eddyi_loop_exhaust(eddy_loop_current());
    }
    acceptor->result = eddy_listener_accept(acceptor->listener, &stream);
    if (acceptor->result == 0) {
        eddy_stream_close(stream);
    }
    return acceptor->result;
}

LOOP_TEST(close_ends_a_pending_accept) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    struct acceptor acceptor = {.listener = listener};
    eddy_future *future = eddy_task_start(accept_once, &acceptor, 0);
    wait_until_parked(&acceptor.task);
    CHECK_OK(eddy_listener_close(listener));
    CHECK_ERR(eddy_await(future), EDDY_ECLOSED);
}

/* The accept's own checkpoint lets the closer run first: the listener must not be looked at
 * then. */
LOOP_TEST(close_at_the_checkpoint_of_an_accept_is_noticed) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    struct acceptor acceptor = {.listener = listener, .poor = true};
    eddy_future *future = eddy_task_start(accept_once, &acceptor, 0);
    while (acceptor.task == NULL) {
        CHECK_OK(eddy_yield());
    }
    CHECK(simulated() || !task_is_parked(acceptor.task));
    CHECK_OK(eddy_listener_close(listener));
    CHECK_ERR(eddy_await(future), EDDY_ECLOSED);
}

LOOP_TEST(second_accept_at_the_same_time_gives_ebusy) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    struct acceptor acceptor = {.listener = listener};
    eddy_future *future = eddy_task_start(accept_once, &acceptor, 0);
    eddy_stream *stream;
    wait_until_parked(&acceptor.task);
    CHECK_ERR(eddy_listener_accept(listener, &stream), -EBUSY);
    CHECK_ERR(eddy_listener_accept_try(listener, &stream), -EBUSY);
    CHECK_OK(eddy_stream_close(connect_to(listener, NULL)));
    CHECK_EQ(eddy_await(future), 0);
    CHECK_OK(eddy_listener_close(listener));
}

LOOP_TEST(cancelled_accept_loses_no_connection) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    for (int i = 0; i < 30; i++) {
        struct acceptor acceptor = {.listener = listener};
        eddy_future *future = eddy_task_start(accept_once, &acceptor, 0);
        wait_until_parked(&acceptor.task);
        eddy_stream *client = connect_to(listener, NULL);
        for (int k = 0; k < i % 5; k++) {
            CHECK_OK(eddy_yield());
        }
        eddy_future_cancel(future);
        int64_t r = eddy_await(future);
        CHECK(r == 0 || r == -ECANCELED);
        if (r == -ECANCELED) {
            eddy_stream *server = accept_from(listener);
            check_talk(client, server);
            CHECK_OK(eddy_stream_close(server));
        }
        CHECK_OK(eddy_stream_close(client));
    }
    CHECK_OK(eddy_listener_close(listener));
}

LOOP_TEST(accept_in_an_ended_scope_takes_nothing) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    eddy_stream *client = connect_to(listener, NULL);
    eddy_stream *server;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_ZERO}));
    CHECK_ERR(eddy_listener_accept(listener, &server), -ETIME);
    eddy_scope_leave(&scope, 0);
    server = accept_from(listener);
    check_talk(client, server);
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = 10 * EDDY_MS}));
    CHECK_ERR(eddy_listener_accept(listener, &server), -ETIME);
    eddy_scope_leave(&scope, 0);
    CHECK_OK(eddy_stream_close(client));
    CHECK_OK(eddy_stream_close(server));
    CHECK_OK(eddy_listener_close(listener));
}

LOOP_TEST(accept_try_takes_what_waits_and_does_not_wait_itself) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    eddy_stream *server;
    CHECK_ERR(eddy_listener_accept_try(listener, &server), -EAGAIN);
    eddy_stream *clients[10];
    for (int i = 0; i < 10; i++) {
        clients[i] = connect_to(listener, NULL);
    }
    for (int i = 0; i < 10; i++) {
        /* In the simulation the last word of a handshake may be under way. */
        int r;
        while ((r = eddy_listener_accept_try(listener, &server)) == -EAGAIN) {
            CHECK_OK(eddy_sleep(EDDY_MS));
        }
        CHECK_OK(r);
        CHECK_OK(eddy_stream_close(server));
    }
    CHECK_ERR(eddy_listener_accept_try(listener, &server), -EAGAIN);
    for (int i = 0; i < 10; i++) {
        CHECK_OK(eddy_stream_close(clients[i]));
    }
    CHECK_OK(eddy_listener_close(listener));
}

/* A connection that was reset while it waited is passed over or read as reset, and nothing else. */
LOOP_TEST(connection_that_has_gone_does_not_disturb_accept) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    for (int i = 0; i < 5; i++) {
        CHECK_OK(eddy_stream_close(connect_to(listener, &(eddy_tcp_opts){.linger = true})));
    }
    eddy_stream *client = connect_to(listener, NULL);
    CHECK_OK(eddy_stream_write(client, "x", 1));
    char byte = 0;
    while (byte == 0) {
        eddy_stream *server = accept_from(listener);
        int64_t n = eddy_stream_read(server, &byte, 1);
        CHECK(n == 1 || n == -ECONNRESET);
        CHECK_OK(eddy_stream_close(server));
    }
    CHECK_EQ(byte, 'x');
    CHECK_OK(eddy_stream_close(client));
    CHECK_OK(eddy_listener_close(listener));
}

LOOP_TEST(storm_of_connections_and_closes_leaves_nothing) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    for (int i = 0; i < 500; i++) {
        eddy_stream *client = connect_to(listener, NULL);
        eddy_stream *server = accept_from(listener);
        CHECK_OK(eddy_stream_close(i % 2 == 0 ? client : server));
        CHECK_OK(eddy_stream_close(i % 2 == 0 ? server : client));
    }
    CHECK_OK(eddy_listener_close(listener));
}

/* ---- faults ---------------------------------------------------------------------------------- */

/* A driver whose accepts fail as often as it is told to. */
static const struct eddyi_driver *real_driver;
static int64_t accept_error;
static int accept_failures;

static int64_t failing_attempt(eddy_loop *loop, struct eddyi_op *op) {
    if (op->kind == EDDYI_OP_ACCEPT && accept_failures > 0) {
        accept_failures--;
        return accept_error;
    }
    return real_driver->attempt(loop, op);
}

LOOP_TEST(errors_of_one_connection_are_passed_over_and_others_told) {
    eddy_loop *loop = eddy_loop_current();
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    eddy_stream *client = connect_to(listener, NULL);
    real_driver = loop->driver;
    struct eddyi_driver driver = *real_driver;
    driver.attempt = failing_attempt;
    loop->driver = &driver;
    eddy_stream *server;
    static const int told[] = {-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, -EBADF};
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        for (int try = 0; try <= 1; try++) {
            accept_error = told[i];
            accept_failures = 1;
            CHECK_ERR(try ? eddy_listener_accept_try(listener, &server)
                          : eddy_listener_accept(listener, &server),
                      told[i]);
        }
    }
    static const int passed[] = {-ECONNABORTED, -EPROTO, -ENETDOWN,     -ENOPROTOOPT,
                                 -EHOSTDOWN,    -ENONET, -EHOSTUNREACH, -EOPNOTSUPP,
                                 -ENETUNREACH,  -EPERM};
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
        /* For ever: it is told at last, and nobody turns in a circle. */
        for (int try = 0; try <= 1; try++) {
            accept_error = passed[i];
            accept_failures = INT32_MAX;
            CHECK_ERR(try ? eddy_listener_accept_try(listener, &server)
                          : eddy_listener_accept(listener, &server),
                      passed[i]);
        }
    }
    accept_failures = 100;
    server = accept_from(listener);
    CHECK_EQ(accept_failures, 0);
    loop->driver = real_driver;
    check_talk(client, server);
    CHECK_OK(eddy_stream_close(client));
    CHECK_OK(eddy_stream_close(server));
    CHECK_OK(eddy_listener_close(listener));
}

LOOP_TEST(without_memory_the_connection_waits) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    eddy_stream *client = connect_to(listener, NULL);
    eddy_stream *server;
    eddy_memory_fail_at(1, true);
    int r = eddy_listener_accept(listener, &server);
    int r_try = eddy_listener_accept_try(listener, &server);
    eddy_memory_fail_at(0, false);
    CHECK_ERR(r, -ENOMEM);
    CHECK_ERR(r_try, -ENOMEM);
    server = accept_from(listener);
    check_talk(client, server);
    CHECK_OK(eddy_stream_close(client));
    CHECK_OK(eddy_stream_close(server));
    CHECK_OK(eddy_listener_close(listener));
}

/* As in a program that has closed its standard input. */
LOOP_TEST(a_connection_that_waits_for_memory_may_have_number_zero) {
    int standard_input = dup(0);
    CHECK(standard_input >= 0 || open("/dev/null", O_RDONLY) == 0);
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    eddy_stream *clients[2] = {connect_to(listener, NULL), connect_to(listener, NULL)};
    close(0);
    for (int try = 0; try <= 1; try++) {
        eddy_stream *server;
        eddy_memory_fail_at(1, true);
        int r = eddy_listener_accept(listener, &server);
        eddy_memory_fail_at(0, false);
        CHECK_ERR(r, -ENOMEM);
        CHECK(simulated() || fcntl(0, F_GETFD) >= 0);
        CHECK_OK(try ? eddy_listener_accept_try(listener, &server)
                     : eddy_listener_accept(listener, &server));
        check_talk(clients[try], server);
        CHECK_OK(eddy_stream_close(server));
        CHECK(fcntl(0, F_GETFD) < 0);
    }
    if (standard_input >= 0) {
        CHECK_EQ(dup2(standard_input, 0), 0);
        close(standard_input);
    }
    CHECK_OK(eddy_stream_close(clients[0]));
    CHECK_OK(eddy_stream_close(clients[1]));
    CHECK_OK(eddy_listener_close(listener));
}

static int64_t listen_once(void *arg) {
    eddy_listener *listener;
    int64_t r = eddy_tcp_listen(arg, NULL, &listener);
    if (r == 0) {
        r = eddy_listener_close(listener);
    }
    return r;
}

LOOP_TEST(listen_survives_every_allocation_that_fails) {
    struct text text = socket_path();
    char tcp[] = "127.0.0.1:0";
    CHECK_OK(listen_once(tcp)); /* what the simulation keeps from then on */
    CHECK(test_each_allocation_fails(listen_once, tcp) >= 4);
    CHECK(test_each_allocation_fails(listen_once, text.bytes) >= 4);
    CHECK_EQ(access(file_of(&text), F_OK), -1);
}

/* ---- taken over ------------------------------------------------------------------------------ */

LOOP_TEST(listening_descriptor_can_be_taken_over) {
    const struct eddyi_host *host = eddy_loop_current()->host;
    struct sockaddr_in in = {.sin_family = AF_INET};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = (int)CHECK_OK(host->socket(host->ctx, AF_INET, SOCK_STREAM, 0));
    eddy_listener *listener = NULL;
    CHECK_ERR(eddy_listener_from_fd(fd, &listener), -EINVAL); /* not listening */
    CHECK_OK(host->bind(host->ctx, fd, (struct sockaddr *)&in, sizeof in));
    CHECK_OK(host->listen(host->ctx, fd, 10));
    CHECK_ERR(eddy_listener_from_fd(fd, NULL), -EINVAL);
    CHECK_OK(eddy_listener_from_fd(fd, &listener));
    eddy_stream *client = connect_to(listener, NULL);
    eddy_stream *server = accept_from(listener);
    check_talk(client, server);
    CHECK_EQ(option_of(server, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_OK(eddy_stream_close(client));
    CHECK_OK(eddy_stream_close(server));
    CHECK_OK(eddy_listener_close(listener));
}

LOOP_TEST(what_does_not_listen_is_not_taken_over) {
    eddy_listener *listener;
    int pipe_fds[2];
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    CHECK_ERR(eddy_listener_from_fd(pipe_fds[0], &listener), -ENOTSOCK);
    CHECK_ERR(eddy_listener_from_fd(1023, &listener), -EBADF);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static int64_t take_over(void *arg) {
    eddy_listener *listener;
    (void)arg;
    CHECK_ERR(eddy_listener_inherited(2, &listener), -ENOENT);
    CHECK_ERR(eddy_listener_inherited(UINT32_MAX, &listener), -ENOENT);
    CHECK_OK(eddy_listener_inherited(1, &listener));
    CHECK_EQ(fcntl(4, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    eddy_stream *client = connect_to(listener, NULL);
    eddy_stream *server = accept_from(listener);
    check_talk(client, server);
    CHECK_OK(eddy_stream_close(client));
    CHECK_OK(eddy_stream_close(server));
    CHECK_OK(eddy_listener_close(listener));
    CHECK_ERR(eddy_listener_inherited(1, &listener), -EBADF);
    setenv("LISTEN_PID", "1", 1);
    CHECK_ERR(eddy_listener_inherited(0, &listener), -ENOENT);
    unsetenv("LISTEN_PID");
    CHECK_ERR(eddy_listener_inherited(0, &listener), -ENOENT);
    return 0;
}

/* As systemd does it: descriptors from 3 on, whatever lay there before. */
TEST(inherited_listener_is_the_one_that_systemd_passed) {
    int kept[2] = {fcntl(3, F_DUPFD_CLOEXEC, 10), fcntl(4, F_DUPFD_CLOEXEC, 10)};
    for (int fd = 3; fd <= 4; fd++) {
        struct sockaddr_in in = {.sin_family = AF_INET};
        int made = socket(AF_INET, SOCK_STREAM, 0);
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        CHECK_EQ(bind(made, (struct sockaddr *)&in, sizeof in), 0);
        CHECK_EQ(listen(made, 1), 0);
        if (made != fd) {
            CHECK_EQ(dup2(made, fd), fd);
            close(made);
        }
    }
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "2", 1);
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.driver = "epoll"}, &loop));
    CHECK_OK(eddy_loop_call(loop, take_over, NULL));
    eddy_loop_free(loop);
    for (int fd = 3; fd <= 4; fd++) {
        close(fd);
        if (kept[fd - 3] >= 0) {
            CHECK_EQ(dup2(kept[fd - 3], fd), fd);
            close(kept[fd - 3]);
        }
    }
}

/* ---- on several loops ------------------------------------------------------------------------ */

static int64_t listen_in_group(void *arg) {
    eddy_loop_group *group = arg;
    eddy_listener *first = listen_on("127.0.0.1:0", NULL);
    struct text text = text_of(eddy_listener_address(first));
    eddy_listener *again;
    /* The group's other loops share the port, a second program does not. */
    CHECK_OK(eddyi_listener_again(eddy_loop_group_loop(group, 1), first, &again));
    eddy_listener *other;
    CHECK_ERR(eddy_tcp_listen(text.bytes, NULL, &other), -EADDRINUSE);
    eddyi_listener_discard(again);
    CHECK_OK(eddy_listener_close(first));
    first = listen_on(test_unix_name(), NULL);
    CHECK_OK(eddyi_listener_again(eddy_loop_group_loop(group, 1), first, &again));
    eddyi_listener_discard(again);
    CHECK_OK(eddy_listener_close(first));
    return 0;
}

static int64_t close_elsewhere(void *arg) {
    eddy_stream *stream;
    CHECK_ERR(eddy_listener_accept(arg, &stream), EDDY_EWRONGLOOP);
    CHECK_ERR(eddy_listener_accept_try(arg, &stream), EDDY_EWRONGLOOP);
    CHECK_ERR(eddy_listener_close(arg), EDDY_EWRONGLOOP);
    return 0;
}

static int64_t use_elsewhere(void *arg) {
    eddy_loop_group *group = arg;
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    eddy_future *future =
        eddy_task_start_on(eddy_loop_group_loop(group, 1), close_elsewhere, listener, 0);
    CHECK_EQ(eddy_await(future), 0);
    return eddy_listener_close(listener);
}

TEST(group_shares_a_port_among_its_loops_only) {
    eddy_loop *loop;
    eddy_loop_group *group;
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.driver = "epoll"}, &loop));
    CHECK_OK(eddy_loop_group_new(loop, 2, &group));
    CHECK_OK(eddy_loop_call(loop, listen_in_group, group));
    CHECK_OK(eddy_loop_call(loop, use_elsewhere, group));
    eddy_loop_group_free(group);
    eddy_loop_free(loop);
}
