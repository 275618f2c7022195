/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server that has descriptors for a few connections only, and many clients, in a process of their
 * own: each is served in the end, in the meantime nothing spins, and when there are enough again
 * all is as before.
 */
#include <eddy/eddy.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

enum { CLIENTS = 24, MESSAGE_LEN = 2000 };

static eddy_serve_stats stats;

static int64_t echo(eddy_stream *peer, void *arg) {
    (void)arg;
    return eddy_stream_copy(peer, peer, EDDY_COPY_ALL);
}

static int64_t serve(void *arg) {
    return eddy_serve(arg, echo, NULL, &(eddy_serve_opts){.one_loop = true, .stats = &stats});
}

/* In the child, with system calls alone: all connect, and when they are told to go on all send, and
 * then listen to the answers one after another. Its exit status is 0 when all are right. */
static _Noreturn void be_clients(unsigned port, int go) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    char sent[MESSAGE_LEN];
    char got[MESSAGE_LEN];
    int fds[CLIENTS];
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (fds[i] < 0 || connect(fds[i], (struct sockaddr *)&address, sizeof address) < 0) {
            _exit(1);
        }
    }
    if (read(go, got, 1) != 1) {
        _exit(1);
    }
    for (int i = 0; i < CLIENTS; i++) {
        memset(sent, 'a' + i, sizeof sent);
        if (send(fds[i], sent, sizeof sent, 0) != MESSAGE_LEN || shutdown(fds[i], SHUT_WR) < 0) {
            _exit(1);
        }
    }
    for (int i = 0; i < CLIENTS; i++) {
        memset(sent, 'a' + i, sizeof sent);
        if (recv(fds[i], got, sizeof got, MSG_WAITALL) != MESSAGE_LEN ||
            memcmp(sent, got, sizeof got) != 0 || recv(fds[i], got, 1, 0) != 0) {
            _exit(2);
        }
        close(fds[i]);
    }
    _exit(0);
}

static rlim_t first_free_descriptor(void) {
    int fd = dup(0);
    CHECK(fd >= 0);
    close(fd);
    return (rlim_t)fd;
}

static int64_t cpu_ns(void) {
    struct rusage usage;
    CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * EDDY_S +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * EDDY_US;
}

/* With so many descriptors for connections; 0: as many as anybody wants. An accept that is under
 * way keeps the limit that it began with, so the server starts under it. */
static void serve_with(rlim_t room) {
    eddy_listener *listener;
    eddy_scope scope;
    struct rlimit usual;
    int go[2];
    int status;
    stats = (eddy_serve_stats){0};
    int64_t start_ns = eddy_loop_now(eddy_loop_current());
    int64_t start_cpu_ns = cpu_ns();
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
    CHECK_EQ(pipe(go), 0);
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &listener));
    eddy_address address = eddy_listener_address(listener);
    if (room > 0) {
        struct rlimit tight = {.rlim_cur = first_free_descriptor() + room,
                               .rlim_max = usual.rlim_max};
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
    }
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_NOFILE, &usual);
        close(go[1]); /* so that it ends with us */
        be_clients(eddy_address_port(&address), go[0]);
    }
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(serve, listener, 0));
    while (room > 0 && room < CLIENTS && stats.paused == 0) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
    if (room == 1) {
        CHECK_OK(eddy_sleep(300 * EDDY_MS)); /* long enough for turning to show */
    }
    CHECK_EQ(write(go[1], "x", 1), 1);
    while (waitpid(child, &status, WNOHANG) == 0) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
    CHECK_EQ(status, 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
    CHECK_EQ(eddy_loop_drain(eddy_loop_current()), 1);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_EQ(stats.accepted, CLIENTS);
    CHECK_EQ(stats.failed + stats.refused, 0);
    close(go[0]);
    close(go[1]);
    /* Far less than what turning all the time would be. */
    int64_t past_ns = eddy_loop_now(eddy_loop_current()) - start_ns;
    CHECK(stats.paused <= (uint64_t)(past_ns / (50 * EDDY_MS)) + 2 * CLIENTS);
    CHECK(test_is_slow() || cpu_ns() - start_cpu_ns < 100 * EDDY_MS + past_ns / 4);
}

LOOP_TEST_TIMEOUT(few_descriptors_serve_many_one_after_another, 120) {
    if (strcmp(eddy_loop_driver(eddy_loop_current()), "sim") == 0) {
        return; /* whose sockets are no descriptors of the process's */
    }
    serve_with(0);
    for (rlim_t room = 1; room <= CLIENTS + 2; room += 1 + room / 2) {
        serve_with(room);
    }
    serve_with(0);
}
