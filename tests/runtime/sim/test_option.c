/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/sim: socket options are stored and read back as Linux does it. */
#include "net.h"

#define NAMED(level, name) #name, level, name

static const struct option {
    const char *text;
    int level, name;
    int initial;         /* of a TCP socket over IPv6 */
    int set[5], then[5]; /* what is set, and what is then read, or the error of setting it */
} options[] = {
    {NAMED(SOL_SOCKET, SO_REUSEADDR), 0, {0, 1, 2, -1, 5}, {0, 1, 1, 1, 1}},
    {NAMED(SOL_SOCKET, SO_REUSEPORT), 0, {0, 1, 2, -1, 5}, {0, 1, 1, 1, 1}},
    {NAMED(SOL_SOCKET, SO_KEEPALIVE), 0, {0, 1, 2, -1, 5}, {0, 1, 1, 1, 1}},
    {NAMED(SOL_SOCKET, SO_BROADCAST), 0, {0, 1, 2, -1, 5}, {0, 1, 1, 1, 1}},
    {NAMED(SOL_SOCKET, SO_OOBINLINE), 0, {0, 1, 2, -1, 5}, {0, 1, 1, 1, 1}},
    {NAMED(SOL_SOCKET, SO_DONTROUTE), 0, {0, 1, 2, -1, 5}, {0, 1, 1, 1, 1}},
    {NAMED(SOL_SOCKET, SO_PRIORITY), 0, {0, 1, 2, 6, 5}, {0, 1, 2, 6, 5}},
    {NAMED(SOL_SOCKET, SO_SNDBUF),
     16384,
     {0, 2304, 2305, 32767, 70000},
     {4608, 4608, 4610, 65534, 140000}},
    {NAMED(SOL_SOCKET, SO_RCVBUF),
     131072,
     {0, 1152, 1153, 32767, 70000},
     {2304, 2304, 2306, 65534, 140000}},
    {NAMED(SOL_SOCKET, SO_TYPE),
     SOCK_STREAM,
     {0, 1, 2, 3, 4},
     {-ENOPROTOOPT, -ENOPROTOOPT, -ENOPROTOOPT, -ENOPROTOOPT, -ENOPROTOOPT}},
    {NAMED(SOL_SOCKET, SO_DOMAIN),
     AF_INET6,
     {0, 1, 2, 3, 4},
     {-ENOPROTOOPT, -ENOPROTOOPT, -ENOPROTOOPT, -ENOPROTOOPT, -ENOPROTOOPT}},
    {NAMED(SOL_SOCKET, SO_PROTOCOL),
     IPPROTO_TCP,
     {0, 1, 2, 3, 4},
     {-ENOPROTOOPT, -ENOPROTOOPT, -ENOPROTOOPT, -ENOPROTOOPT, -ENOPROTOOPT}},
    {NAMED(SOL_SOCKET, SO_ACCEPTCONN),
     0,
     {0, 1, 2, 3, 4},
     {-ENOPROTOOPT, -ENOPROTOOPT, -ENOPROTOOPT, -ENOPROTOOPT, -ENOPROTOOPT}},
    {NAMED(SOL_SOCKET, SO_ERROR),
     0,
     {0, 1, 2, 3, 4},
     {-ENOPROTOOPT, -ENOPROTOOPT, -ENOPROTOOPT, -ENOPROTOOPT, -ENOPROTOOPT}},
    {NAMED(IPPROTO_TCP, TCP_NODELAY), 0, {0, 1, 2, -1, 5}, {0, 1, 1, 1, 1}},
    {NAMED(IPPROTO_TCP, TCP_CORK), 0, {0, 1, 2, -1, 5}, {0, 1, 1, 1, 1}},
    {NAMED(IPPROTO_TCP, TCP_QUICKACK), 1, {0, 1, 2, -1, 5}, {0, 1, 1, 1, 1}},
    {NAMED(IPPROTO_TCP, TCP_KEEPIDLE),
     7200,
     {0, 1, 32767, 32768, -1},
     {-EINVAL, 1, 32767, -EINVAL, -EINVAL}},
    {NAMED(IPPROTO_TCP, TCP_KEEPINTVL),
     75,
     {0, 1, 32767, 32768, -1},
     {-EINVAL, 1, 32767, -EINVAL, -EINVAL}},
    {NAMED(IPPROTO_TCP, TCP_KEEPCNT), 9, {0, 1, 127, 128, -1}, {-EINVAL, 1, 127, -EINVAL, -EINVAL}},
    {NAMED(IPPROTO_TCP, TCP_SYNCNT), 6, {0, 1, 127, 128, -1}, {-EINVAL, 1, 127, -EINVAL, -EINVAL}},
    {NAMED(IPPROTO_TCP, TCP_USER_TIMEOUT), 0, {0, 1, 70000, 5, -1}, {0, 1, 70000, 5, -EINVAL}},
    {NAMED(IPPROTO_TCP, TCP_DEFER_ACCEPT), 0, {-1, 2, 5, 100, 300}, {0, 3, 7, 127, 367}},
    {NAMED(IPPROTO_TCP, TCP_FASTOPEN), 0, {0, 1, 300, 70000, -1}, {0, 1, 300, 4096, -EINVAL}},
    {NAMED(IPPROTO_TCP, TCP_NOTSENT_LOWAT), 0, {0, 1, 300, 70000, 5}, {0, 1, 300, 70000, 5}},
    {NAMED(IPPROTO_IP, IP_TOS), 0, {0, 5, 100, 300, -1}, {0, 4, 100, 44, 252}},
    {NAMED(IPPROTO_IP, IP_TTL), 64, {0, 1, 255, 256, -1}, {-EINVAL, 1, 255, -EINVAL, 64}},
    {NAMED(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT), 0, {0, 1, 2, -1, 5}, {0, 1, 1, 1, 1}},
    {NAMED(IPPROTO_IPV6, IPV6_V6ONLY), 0, {0, 1, 2, -1, 5}, {0, 1, 1, 1, 1}},
    {NAMED(IPPROTO_IPV6, IPV6_TCLASS), 0, {0, 5, 100, 256, -1}, {0, 4, 100, -EINVAL, 0}},
    {NAMED(IPPROTO_IPV6, IPV6_UNICAST_HOPS), 64, {0, 1, 255, 256, -1}, {0, 1, 255, -EINVAL, 64}},
};

static void each_option(struct net *net) {
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const struct option *option = &options[i];
        for (int k = 0; k < 5; k++) {
            int fd = net_socket(net, AF_INET6);
            int initial = net_get(net, fd, option->level, option->name);
            int r = net_set(net, fd, option->level, option->name, option->set[k]);
            int then = r < 0 ? r : net_get(net, fd, option->level, option->name);
            net_close(net, fd);
            if (initial != option->initial || then != option->then[k]) {
                fprintf(stderr, "%s set to %d: ", option->text, option->set[k]);
            }
            CHECK_EQ(initial, option->initial);
            CHECK_EQ(then, option->then[k]);
        }
    }
}

TEST(each_option_is_checked_and_read_back_as_linux_does_it) {
    on_both(each_option);
}

static void odd_calls(struct net *net) {
    int fd = net_socket(net, AF_INET);
    int value = 1;
    socklen_t len = 2;
    char name[16] = "?";
    CHECK_EQ(HOST(net, setsockopt, fd, SOL_SOCKET, SO_KEEPALIVE, &value, 2), -EINVAL);
    CHECK_EQ(HOST(net, setsockopt, fd, SOL_SOCKET, SO_KEEPALIVE, &value, 8), 0);
    CHECK_EQ(HOST(net, setsockopt, fd, IPPROTO_TCP, TCP_NODELAY, NULL, 4), -EFAULT);
    CHECK_EQ(HOST(net, setsockopt, fd, IPPROTO_IP, IP_TOS, &value, 1), 0);
    CHECK_EQ(HOST(net, getsockopt, fd, IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
    CHECK_EQ(len, 2);
    len = 9;
    CHECK_EQ(HOST(net, getsockopt, fd, IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
    CHECK_EQ(len, 4);
    len = (socklen_t)-1;
    CHECK_EQ(HOST(net, getsockopt, fd, IPPROTO_TCP, TCP_NODELAY, &value, &len), -EINVAL);
    CHECK_EQ(net_set(net, fd, IPPROTO_TCP, 9999, 1), -ENOPROTOOPT);
    CHECK_EQ(net_get(net, fd, SOL_SOCKET, 9999), -ENOPROTOOPT);
    CHECK_EQ(net_set(net, fd, 9999, 1, 1), -ENOPROTOOPT);
    CHECK_EQ(net_get(net, fd, 9999, 1), -EOPNOTSUPP);
    CHECK_EQ(net_set(net, fd, IPPROTO_IPV6, IPV6_V6ONLY, 1), -ENOPROTOOPT);
    CHECK_EQ(net_set(net, -1, IPPROTO_TCP, TCP_NODELAY, 1), -EBADF);
    CHECK_EQ(net_set(net, STDIN_FILENO, IPPROTO_TCP, TCP_NODELAY, 1), -ENOTSOCK);
    len = sizeof name;
    CHECK_EQ(HOST(net, getsockopt, fd, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
    CHECK(len == sizeof name && name[0] != '?');
    CHECK_EQ(HOST(net, setsockopt, fd, IPPROTO_TCP, TCP_CONGESTION, "no such", 7), -ENOENT);
    net_close(net, fd);
    fd = net_socket(net, AF_UNIX);
    CHECK_EQ(net_get(net, fd, SOL_SOCKET, SO_SNDBUF), 212992);
    CHECK_EQ(net_set(net, fd, IPPROTO_TCP, TCP_NODELAY, 1), -EOPNOTSUPP);
    CHECK_EQ(net_get(net, fd, IPPROTO_TCP, TCP_NODELAY), -EOPNOTSUPP);
    net_close(net, fd);
}

TEST(odd_lengths_levels_and_names_get_the_kernels_answers) {
    /* Standard input must not be a socket, whatever ctest makes of it. */
    CHECK(freopen("/dev/null", "r", stdin) != NULL);
    on_both(odd_calls);
}

static void lingering(struct net *net) {
    int fd = net_socket(net, AF_INET);
    struct linger linger = {.l_onoff = 5, .l_linger = 7};
    socklen_t len = sizeof linger;
    CHECK_EQ(HOST(net, setsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, 4), -EINVAL);
    CHECK_EQ(HOST(net, setsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, len), 0);
    CHECK_EQ(HOST(net, getsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
    CHECK_EQ(linger.l_onoff, 1);
    CHECK_EQ(linger.l_linger, 7);
    linger = (struct linger){.l_onoff = 0, .l_linger = 9};
    CHECK_EQ(HOST(net, setsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, len), 0);
    CHECK_EQ(HOST(net, getsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
    CHECK_EQ(linger.l_onoff, 0);
    CHECK_EQ(linger.l_linger, 7);
    net_close(net, fd);
}

TEST(so_linger_keeps_its_seconds_while_it_is_off) {
    on_both(lingering);
}

static void inherited(struct net *net) {
    struct sockaddr_in address;
    int listener = net_listener(net, 4, &address);
    CHECK_EQ(net_set(net, listener, IPPROTO_TCP, TCP_NODELAY, 1), 0);
    CHECK_EQ(net_set(net, listener, SOL_SOCKET, SO_KEEPALIVE, 1), 0);
    CHECK_EQ(net_set(net, listener, IPPROTO_TCP, TCP_KEEPIDLE, 33), 0);
    int client = net_socket(net, AF_INET);
    CHECK_OK(net_connect(net, client, &address, sizeof address));
    int server = (int)CHECK_OK(net_accept(net, listener));
    CHECK_EQ(net_get(net, server, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_EQ(net_get(net, server, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_EQ(net_get(net, server, IPPROTO_TCP, TCP_KEEPIDLE), 33);
    CHECK_EQ(net_get(net, client, IPPROTO_TCP, TCP_NODELAY), 0);
    net_close(net, client);
    net_close(net, server);
    net_close(net, listener);
}

TEST(who_is_accepted_has_the_listeners_options) {
    on_both(inherited);
}

TEST(buffers_do_not_grow_beyond_what_stock_limits_allow) {
    eddy_loop *loop = calm_loop();
    struct net net = {loop->host, loop};
    int fd = net_socket(&net, AF_INET);
    CHECK_EQ(net_set(&net, fd, SOL_SOCKET, SO_RCVBUF, 1 << 30), 0);
    CHECK_EQ(net_get(&net, fd, SOL_SOCKET, SO_RCVBUF), 425984);
    CHECK_EQ(net_set(&net, fd, SOL_SOCKET, SO_SNDBUF, -1), 0);
    CHECK_EQ(net_get(&net, fd, SOL_SOCKET, SO_SNDBUF), 425984);
    CHECK_EQ(net_set(&net, fd, SOL_SOCKET, SO_PRIORITY, -1), -EPERM);
    net_close(&net, fd);
    eddy_loop_free(loop);
}
