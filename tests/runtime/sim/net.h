/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One script, two networks: the kernel's and a world's. A net is a host table and the operations of
 * a driver, as plain calls that wait for their end in whatever way the net has:
 *
 *     static void script(struct net *net) {
 *         int fds[2];
 *         net_pair(net, fds);
 *         net_close(net, fds[0]);
 *         CHECK_EQ(net_recv(net, fds[1], buf, sizeof buf), 0);
 *     }
 *     TEST(the_end_is_zero) { on_both(script); }
 *
 * on_both runs it once on the kernel's sockets and on many seeds of the simulation: what it checks
 * holds for both, or one of them is wrong. With EDDY_TEST_VERBOSE set each seed is named first.
 */
#ifndef EDDY_TESTS_RUNTIME_SIM_NET_H
#define EDDY_TESTS_RUNTIME_SIM_NET_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/sim/sim.h>
#include <eddy/runtime/sim/sim_impl.h>

#include "test.h"

#define SEEDS 40

struct net {
    const struct eddyi_host *host;
    eddy_loop *loop; /* NULL: the kernel */
};

/* ---- loops that are turned by hand ----------------------------------------------------------- */

static inline eddy_loop *sim_loop(uint64_t seed) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.driver = "sim", .seed = seed}, &loop));
    return loop;
}

static inline eddy_loop *calm_loop(void) {
    eddy_loop *loop = sim_loop(1);
    CHECK_OK(eddy_sim_calm(loop, true));
    return loop;
}

/* op->waiter counts the ends. */
static inline void count_end(struct eddyi_op *op) {
    int *ends = op->waiter;
    (*ends)++;
}

static inline struct eddyi_op make_op(enum eddyi_op_kind kind, struct eddyi_handle *handle,
                                      int *ends) {
    return (struct eddyi_op){
        .kind = (uint8_t)kind, .handle = handle, .offset = -1, .done = count_end, .waiter = ends};
}

/* Turns the loop until so many operations have ended. */
static inline void wait_ends(eddy_loop *loop, const int *ends, int wanted) {
    while (*ends < wanted) {
        loop->driver->wait(loop, EDDY_NEVER);
    }
    CHECK_EQ(*ends, wanted);
}

static inline int64_t now_of(eddy_loop *loop) {
    return eddy_loop_now(loop);
}

/* Lets everything that is under way arrive; the clock moves, so nothing may wait for it. */
static inline void settle(eddy_loop *loop) {
    int64_t until_ns = now_of(loop) + 5 * EDDY_S;
    while (now_of(loop) < until_ns) {
        loop->driver->wait(loop, until_ns);
    }
}

/* ---- the calls of a host --------------------------------------------------------------------- */

#define HOST(net, function, ...) ((net)->host->function((net)->host->ctx, __VA_ARGS__))

static inline int net_socket(struct net *net, int domain) {
    return (int)CHECK_OK(HOST(net, socket, domain, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static inline void net_close(struct net *net, int fd) {
    CHECK_EQ(HOST(net, close, fd), 0);
}

static inline int net_set(struct net *net, int fd, int level, int name, int value) {
    return HOST(net, setsockopt, fd, level, name, &value, sizeof value);
}

/* The number, or the error: none that is tested is negative itself. */
static inline int net_get(struct net *net, int fd, int level, int name) {
    int value = -1;
    socklen_t len = sizeof value;
    int r = HOST(net, getsockopt, fd, level, name, &value, &len);
    return r < 0 ? r : value;
}

static inline void net_reset_on_close(struct net *net, int fd) {
    struct linger linger = {.l_onoff = 1};
    CHECK_OK(HOST(net, setsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
}

/* ---- operations ------------------------------------------------------------------------------ */

static inline int64_t net_end(struct net *net, int fd, struct eddyi_op op) {
    struct eddyi_handle handle;
    int ends = 0;
    eddyi_handle_init(&handle, fd, EDDYI_HANDLE_SOCKET);
    op.handle = &handle;
    op.offset = -1;
    op.done = count_end;
    op.waiter = &ends;
    eddyi_op_submit(net->loop, &op);
    wait_ends(net->loop, &ends, 1);
    return op.result;
}

/* On the kernel's side sockets are blocking, so each call waits by itself. */
static inline int64_t real_result(int64_t result) {
    return result < 0 ? -(int64_t)errno : result;
}

static inline int64_t net_recv_flags(struct net *net, int fd, void *buf, size_t len, int flags) {
    if (net->loop == NULL) {
        return real_result(recv(fd, buf, len, flags));
    }
    return net_end(
        net, fd, (struct eddyi_op){.kind = EDDYI_OP_RECV, .buf = buf, .len = len, .flags = flags});
}

static inline int64_t net_recv(struct net *net, int fd, void *buf, size_t len) {
    return net_recv_flags(net, fd, buf, len, 0);
}

static inline int64_t net_send(struct net *net, int fd, const void *data, size_t len) {
    if (net->loop == NULL) {
        return real_result(send(fd, data, len, MSG_NOSIGNAL));
    }
    return net_end(
        net, fd,
        (struct eddyi_op){.kind = EDDYI_OP_SEND, .data = data, .len = len, .flags = MSG_NOSIGNAL});
}

static inline int64_t net_accept(struct net *net, int fd) {
    if (net->loop == NULL) {
        return real_result(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
    }
    return net_end(net, fd, (struct eddyi_op){.kind = EDDYI_OP_ACCEPT});
}

static inline int64_t net_connect(struct net *net, int fd, const void *address, socklen_t len) {
    if (net->loop == NULL) {
        return real_result(connect(fd, address, len));
    }
    return net_end(net, fd,
                   (struct eddyi_op){.kind = EDDYI_OP_CONNECT, .addr = address, .len = len});
}

/* Waits until one of the events is true; gives those that are. */
static inline int64_t net_poll(struct net *net, int fd, int events) {
    if (net->loop == NULL) {
        struct pollfd poller = {.fd = fd, .events = (short)events};
        int64_t r = real_result(poll(&poller, 1, -1));
        return r < 0 ? r : poller.revents;
    }
    return net_end(net, fd, (struct eddyi_op){.kind = EDDYI_OP_POLL, .flags = events});
}

#define ALL_EVENTS (POLLIN | POLLOUT | POLLRDHUP)

/* Which of all events are true once everything has arrived. */
static inline int net_events(struct net *net, int fd) {
    if (net->loop == NULL) {
        struct pollfd poller = {.fd = fd, .events = ALL_EVENTS};
        CHECK_OK(poll(&poller, 1, 0));
        return poller.revents;
    }
    settle(net->loop);
    struct eddyi_handle handle;
    eddyi_handle_init(&handle, fd, EDDYI_HANDLE_SOCKET);
    struct eddyi_op op = {.kind = EDDYI_OP_POLL, .flags = ALL_EVENTS, .handle = &handle};
    int64_t r = eddyi_op_attempt(net->loop, &op);
    return r == -EAGAIN ? 0 : (int)CHECK_OK(r);
}

/* ---- many of them ---------------------------------------------------------------------------- */

/* All of it, however it is cut. */
static inline void net_send_all(struct net *net, int fd, const void *data, size_t len) {
    for (size_t done = 0; done < len;) {
        done += (size_t)CHECK_OK(net_send(net, fd, (const char *)data + done, len - done));
    }
}

static inline void net_recv_exactly(struct net *net, int fd, void *buf, size_t len) {
    for (size_t done = 0; done < len;) {
        int64_t n = CHECK_OK(net_recv(net, fd, (char *)buf + done, len - done));
        CHECK(n > 0);
        done += (size_t)n;
    }
}

static inline struct sockaddr_in loopback_v4(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static inline struct sockaddr_in6 address_v6(const char *text, uint16_t port) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    CHECK_EQ(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
    return address;
}

/* A listener on a port that was free, and its address. */
static inline int net_listener(struct net *net, int backlog, struct sockaddr_in *ret_address) {
    int fd = net_socket(net, AF_INET);
    struct sockaddr_in address = loopback_v4(0);
    socklen_t len = sizeof address;
    CHECK_OK(HOST(net, bind, fd, (struct sockaddr *)&address, len));
    CHECK_OK(HOST(net, listen, fd, backlog));
    CHECK_OK(HOST(net, getsockname, fd, (struct sockaddr *)ret_address, &len));
    CHECK_EQ(len, sizeof address);
    CHECK(ret_address->sin_port != 0);
    return fd;
}

/* Both ends of a TCP connection: the one that connected, the one that was accepted. */
static inline void net_pair(struct net *net, int ret_fds[2]) {
    struct sockaddr_in address;
    int listener = net_listener(net, 8, &address);
    ret_fds[0] = net_socket(net, AF_INET);
    CHECK_OK(net_connect(net, ret_fds[0], &address, sizeof address));
    ret_fds[1] = (int)CHECK_OK(net_accept(net, listener));
    net_close(net, listener);
}

static inline void net_unix_pair(struct net *net, int ret_fds[2]) {
    CHECK_OK(HOST(net, socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_fds));
}

static inline void on_seed(void (*script)(struct net *net), uint64_t seed, bool calm) {
    eddy_loop *loop = sim_loop(seed);
    CHECK_OK(eddy_sim_calm(loop, calm));
    struct net net = {loop->host, loop};
    script(&net);
    eddy_sim_stats stats = {.size = sizeof stats};
    CHECK_OK(eddy_sim_stats_get(loop, &stats));
    CHECK_EQ(stats.open, 0);
    eddy_loop_free(loop);
}

static inline void on_sim(void (*script)(struct net *net)) {
    on_seed(script, 1, true);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        if (getenv("EDDY_TEST_VERBOSE") != NULL) {
            fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
        }
        on_seed(script, seed, false);
    }
}

static inline void on_both(void (*script)(struct net *net)) {
    struct net kernel = {&eddyi_host_real, NULL};
    script(&kernel);
    on_sim(script);
}

#endif
