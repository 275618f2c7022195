/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/socket_impl.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

int eddyi_socket_open(eddy_loop *loop, const eddy_address *address) {
    return loop->host->socket(loop->host->ctx, eddy_address_family(address), SOCK_STREAM, 0);
}

int eddyi_socket_set(eddy_loop *loop, int fd, int level, int name, int value) {
    return loop->host->setsockopt(loop->host->ctx, fd, level, name, &value, sizeof value);
}

const struct eddyi_stream_class *eddyi_socket_class(int family) {
    return family == AF_UNIX ? &eddyi_unix_class : &eddyi_tcp_class;
}

/* The kernel counts these in whole seconds; a shorter wish means the shortest there is. */
static int seconds(int64_t ns) {
    int64_t s = (ns + EDDY_S - 1) / EDDY_S;
    return s > INT32_MAX ? INT32_MAX : (int)s;
}

static int set_keepalive(eddy_loop *loop, int fd, const eddy_tcp_opts *opts) {
    int r = eddyi_socket_set(loop, fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (r == 0) {
        r = eddyi_socket_set(loop, fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds(opts->keepalive_ns));
    }
    if (r == 0 && opts->keepalive_interval_ns > 0) {
        r = eddyi_socket_set(loop, fd, IPPROTO_TCP, TCP_KEEPINTVL,
                             seconds(opts->keepalive_interval_ns));
    }
    if (r == 0 && opts->keepalive_count > 0) {
        r = eddyi_socket_set(loop, fd, IPPROTO_TCP, TCP_KEEPCNT, (int)opts->keepalive_count);
    }
    return r;
}

static int set_tcp(eddy_loop *loop, int fd, const eddy_tcp_opts *opts) {
    int r = opts->nagle ? 0 : eddyi_socket_set(loop, fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (r == 0 && opts->keepalive_ns > 0) {
        r = set_keepalive(loop, fd, opts);
    }
    if (r == 0 && opts->user_timeout_ns > 0) {
        int64_t ms = (opts->user_timeout_ns + EDDY_MS - 1) / EDDY_MS;
        r = eddyi_socket_set(loop, fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
                             ms > INT32_MAX ? INT32_MAX : (int)ms);
    }
    return r;
}

int eddyi_socket_options(eddy_loop *loop, int fd, int family, const eddy_tcp_opts *opts) {
    static const eddy_tcp_opts defaults = {0};
    opts = opts == NULL ? &defaults : opts;
    if (opts->size > sizeof *opts || opts->keepalive_ns < 0 || opts->keepalive_interval_ns < 0 ||
        opts->user_timeout_ns < 0 || opts->linger_ns < 0 || opts->recv_buffer_bytes > INT32_MAX ||
        opts->send_buffer_bytes > INT32_MAX || opts->keepalive_count > INT32_MAX) {
        return -EINVAL;
    }
    int r = family == AF_UNIX ? 0 : set_tcp(loop, fd, opts);
    if (r == 0 && opts->recv_buffer_bytes > 0) {
        r = eddyi_socket_set(loop, fd, SOL_SOCKET, SO_RCVBUF, (int)opts->recv_buffer_bytes);
    }
    if (r == 0 && opts->send_buffer_bytes > 0) {
        r = eddyi_socket_set(loop, fd, SOL_SOCKET, SO_SNDBUF, (int)opts->send_buffer_bytes);
    }
    if (r == 0 && opts->linger) {
        struct linger linger = {.l_onoff = 1, .l_linger = seconds(opts->linger_ns)};
        r = loop->host->setsockopt(loop->host->ctx, fd, SOL_SOCKET, SO_LINGER, &linger,
                                   sizeof linger);
    }
    return r;
}
