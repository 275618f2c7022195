/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/socket_impl.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <eddy/runtime/base/opts_impl.h>

int eddyi_socket_open(eddy_loop *loop, int family) {
    return loop->host->socket(loop->host->ctx, family, SOCK_STREAM, 0);
}

int eddyi_socket_set(eddy_loop *loop, int fd, int level, int name, int value) {
    return loop->host->setsockopt(loop->host->ctx, fd, level, name, &value, sizeof value);
}

const struct eddyi_stream_class *eddyi_socket_class(int family) {
    return family == AF_UNIX ? &eddyi_unix_class : &eddyi_tcp_class;
}

int eddyi_socket_opts_read(const eddy_tcp_opts *opts, eddy_tcp_opts *ret_opts) {
    eddy_tcp_opts copy;
    if (EDDYI_OPTS_READ(&copy, opts, bind) < 0 || copy.keepalive_ns < 0 ||
        copy.keepalive_interval_ns < 0 || copy.user_timeout_ns < 0 || copy.linger_ns < 0 ||
        copy.recv_buffer_bytes > INT32_MAX || copy.send_buffer_bytes > INT32_MAX ||
        copy.keepalive_count > INT32_MAX) {
        return -EINVAL;
    }
    *ret_opts = copy;
    return 0;
}

/* The kernel counts in whole units; a wish between two of them means the longer one. */
static int in_units(int64_t ns, int64_t unit_ns) {
    int64_t units = ns / unit_ns + (ns % unit_ns != 0);
    return units > INT32_MAX ? INT32_MAX : (int)units;
}

static int set_keepalive(eddy_loop *loop, int fd, const eddy_tcp_opts *opts) {
    int r = eddyi_socket_set(loop, fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (r == 0) {
        r = eddyi_socket_set(loop, fd, IPPROTO_TCP, TCP_KEEPIDLE,
                             in_units(opts->keepalive_ns, EDDY_S));
    }
    if (r == 0 && opts->keepalive_interval_ns > 0) {
        r = eddyi_socket_set(loop, fd, IPPROTO_TCP, TCP_KEEPINTVL,
                             in_units(opts->keepalive_interval_ns, EDDY_S));
    }
    if (r == 0 && opts->keepalive_count > 0) {
        r = eddyi_socket_set(loop, fd, IPPROTO_TCP, TCP_KEEPCNT, (int)opts->keepalive_count);
    }
    return r;
}

/* With `anew` what is not asked for is turned off, else it is known to be off. */
static int set_tcp(eddy_loop *loop, int fd, const eddy_tcp_opts *opts, bool anew) {
    int r = 0;
    if (!opts->nagle || anew) {
        r = eddyi_socket_set(loop, fd, IPPROTO_TCP, TCP_NODELAY, !opts->nagle);
    }
    if (r == 0 && opts->keepalive_ns > 0) {
        r = set_keepalive(loop, fd, opts);
    } else if (r == 0 && anew) {
        r = eddyi_socket_set(loop, fd, SOL_SOCKET, SO_KEEPALIVE, 0);
    }
    if (r == 0 && (opts->user_timeout_ns > 0 || anew)) {
        r = eddyi_socket_set(loop, fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
                             in_units(opts->user_timeout_ns, EDDY_MS));
    }
    if (r == 0 && opts->quick_ack) {
        r = eddyi_socket_set(loop, fd, IPPROTO_TCP, TCP_QUICKACK, 1);
    }
    return r;
}

static int set_sizes(eddy_loop *loop, int fd, const eddy_tcp_opts *opts) {
    int r = 0;
    if (opts->recv_buffer_bytes > 0) {
        r = eddyi_socket_set(loop, fd, SOL_SOCKET, SO_RCVBUF, (int)opts->recv_buffer_bytes);
    }
    if (r == 0 && opts->send_buffer_bytes > 0) {
        r = eddyi_socket_set(loop, fd, SOL_SOCKET, SO_SNDBUF, (int)opts->send_buffer_bytes);
    }
    return r;
}

static int set_all(eddy_loop *loop, int fd, int family, const eddy_tcp_opts *opts, bool anew) {
    int r = family == AF_UNIX ? 0 : set_tcp(loop, fd, opts, anew);
    if (r == 0) {
        r = set_sizes(loop, fd, opts);
    }
    if (r == 0 && (opts->linger || anew)) {
        struct linger linger = {
            .l_onoff = opts->linger,
            .l_linger = in_units(opts->linger_ns, EDDY_S),
        };
        r = loop->host->setsockopt(loop->host->ctx, fd, SOL_SOCKET, SO_LINGER, &linger,
                                   sizeof linger);
    }
    return r;
}

int eddyi_socket_options(eddy_loop *loop, int fd, int family, const eddy_tcp_opts *opts) {
    return set_all(loop, fd, family, opts, false);
}

int eddyi_socket_options_anew(eddy_loop *loop, int fd, int family, const eddy_tcp_opts *opts) {
    return set_all(loop, fd, family, opts, true);
}

int eddyi_socket_options_accepted(eddy_loop *loop, int fd, int family, const eddy_tcp_opts *opts) {
    if (family == AF_UNIX) {
        return set_all(loop, fd, family, opts, false); /* it inherits nothing */
    }
    /* Delayed acknowledgements are each connection's own state. */
    return opts->quick_ack ? eddyi_socket_set(loop, fd, IPPROTO_TCP, TCP_QUICKACK, 1) : 0;
}
