/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host table of a simulated host. Clock, chance and stream sockets are the world's; files,
 * threads and descriptors that the kernel knows are passed on to the real host. What is simulated
 * is for the loop's thread alone, but for the clocks.
 */
#include <linux/openat2.h>
#include <string.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/sim/sim_impl.h>

/* What is not simulated is the kernel's. It knows no simulated descriptor, and says so. */
#define REAL(function, ...) eddyi_host_real.function(eddyi_host_real.ctx, __VA_ARGS__)

static struct eddyi_sim_socket *find(void *ctx, int fd) {
    return eddyi_sim_socket_of(ctx, fd);
}

/* ---- clock and chance ------------------------------------------------------------------------ */

static int64_t sim_mono_ns(void *ctx) {
    const struct eddyi_sim_host *host = ctx;
    return eddyi_sim_world_now(host->world);
}

static int64_t sim_wall_ns(void *ctx) {
    const struct eddyi_sim_host *host = ctx;
    return EDDYI_SIM_WALL_START_NS + (eddyi_sim_world_now(host->world) - EDDYI_SIM_MONO_START_NS);
}

static int sim_random(void *ctx, void *ret_bytes, size_t len) {
    struct eddyi_sim_host *host = ctx;
    char *at = ret_bytes;
    while (len > 0) {
        uint64_t word = eddyi_sim_random_next(&host->world->secrets);
        size_t part = len < sizeof word ? len : sizeof word;
        memcpy(at, &word, part);
        at += part;
        len -= part;
    }
    return 0;
}

/* ---- sockets --------------------------------------------------------------------------------- */

/* Gives the protocol of a stream of the domain, or the error. Datagrams are not simulated yet. */
static int check_kind(int domain, int type, int protocol) {
    int plain = type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (plain < 0 || plain > SOCK_PACKET) {
        return -EINVAL;
    }
    if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX) {
        return -EAFNOSUPPORT;
    }
    int own = domain == AF_UNIX ? PF_UNIX : IPPROTO_TCP;
    if (plain != SOCK_STREAM || (protocol != 0 && protocol != own)) {
        return -EPROTONOSUPPORT;
    }
    return domain == AF_UNIX ? 0 : IPPROTO_TCP;
}

static int sim_socket(void *ctx, int domain, int type, int protocol) {
    struct eddyi_sim_host *host = ctx;
    int own_protocol = check_kind(domain, type, protocol);
    if (own_protocol < 0) {
        return own_protocol;
    }
    struct eddyi_sim_socket *socket = eddyi_sim_socket_new(host, domain, own_protocol);
    if (socket == NULL) {
        return -ENOMEM;
    }
    int fd = eddyi_sim_socket_open(socket);
    if (fd < 0) {
        eddyi_sim_socket_free(socket);
    }
    return fd;
}

static int sim_socketpair(void *ctx, int domain, int type, int protocol, int ret_fds[2]) {
    int r = check_kind(domain, type, protocol);
    if (r < 0) {
        return r;
    }
    return domain == AF_UNIX ? eddyi_sim_socketpair(ctx, ret_fds) : -EOPNOTSUPP;
}

static int sim_bind(void *ctx, int fd, const struct sockaddr *address, socklen_t len) {
    struct eddyi_sim_socket *socket = find(ctx, fd);
    return socket == NULL ? REAL(bind, fd, address, len) : eddyi_sim_bind(socket, address, len);
}

static int sim_listen(void *ctx, int fd, int backlog) {
    struct eddyi_sim_socket *socket = find(ctx, fd);
    return socket == NULL ? REAL(listen, fd, backlog) : eddyi_sim_listen(socket, backlog);
}

static int sim_setsockopt(void *ctx, int fd, int level, int name, const void *value,
                          socklen_t len) {
    struct eddyi_sim_socket *socket = find(ctx, fd);
    return socket == NULL ? REAL(setsockopt, fd, level, name, value, len)
                          : eddyi_sim_option_set(socket, level, name, value, len);
}

static int sim_getsockopt(void *ctx, int fd, int level, int name, void *ret_value, socklen_t *len) {
    struct eddyi_sim_socket *socket = find(ctx, fd);
    return socket == NULL ? REAL(getsockopt, fd, level, name, ret_value, len)
                          : eddyi_sim_option_get(socket, level, name, ret_value, len);
}

static int sim_getsockname(void *ctx, int fd, struct sockaddr *ret_address, socklen_t *len) {
    struct eddyi_sim_socket *socket = find(ctx, fd);
    if (socket == NULL) {
        return REAL(getsockname, fd, ret_address, len);
    }
    eddyi_sim_address_write(&socket->local, socket->domain, ret_address, len);
    return 0;
}

static int sim_getpeername(void *ctx, int fd, struct sockaddr *ret_address, socklen_t *len) {
    struct eddyi_sim_socket *socket = find(ctx, fd);
    if (socket == NULL) {
        return REAL(getpeername, fd, ret_address, len);
    }
    if (socket->state != EDDYI_SIM_CONNECTED) {
        return -ENOTCONN;
    }
    eddyi_sim_address_write(&socket->remote, socket->domain, ret_address, len);
    return 0;
}

static int sim_shutdown(void *ctx, int fd, int how) {
    struct eddyi_sim_socket *socket = find(ctx, fd);
    return socket == NULL ? REAL(shutdown, fd, how) : eddyi_sim_shutdown(socket, how);
}

/* All that runs here is one user's. */
static int sim_chmod_socket(void *ctx, const char *path, mode_t mode) {
    (void)ctx;
    (void)path;
    (void)mode;
    return 0;
}

/* Of the names here; a file of the kernel's is none of the simulation's sockets. */
static int sim_unlink_socket(void *ctx, const char *path) {
    return eddyi_sim_unlink_name(ctx, path);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static int sim_close(void *ctx, int fd) {
    struct eddyi_sim_socket *socket = find(ctx, fd);
    if (socket == NULL) {
        return REAL(close, fd);
    }
    eddyi_sim_socket_close(socket);
    return 0;
}

static int sim_dup(void *ctx, int fd) {
    /* A simulated socket has one number, which is all that one loop needs. */
    return find(ctx, fd) == NULL ? REAL(dup, fd) : -EOPNOTSUPP;
}

static int sim_set_cloexec(void *ctx, int fd) {
    return find(ctx, fd) == NULL ? REAL(set_cloexec, fd) : 0; /* the kernel does not know it */
}

static int sim_fstat(void *ctx, int fd, struct stat *ret_stat) {
    if (find(ctx, fd) == NULL) {
        return REAL(fstat, fd, ret_stat);
    }
    *ret_stat = (struct stat){.st_mode = S_IFSOCK | S_IRWXU | S_IRWXG | S_IRWXO, .st_nlink = 1};
    return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* What the kernel has in memory by chance must not decide what happens here: reads are at once,
 * names are looked up by a job, each always. */
static int64_t sim_pread_cached(void *ctx, int fd, void *dst, size_t len, int64_t offset) {
    return find(ctx, fd) == NULL ? REAL(pread, fd, dst, len, offset) : -ESPIPE;
}

static int sim_open_resolve(void *ctx, int dirfd, const char *path, int flags, mode_t mode,
                            uint64_t resolve) {
    (void)ctx;
    return (resolve & RESOLVE_CACHED) != 0 ? -EAGAIN
                                           : REAL(open_resolve, dirfd, path, flags, mode, resolve);
}

/* ---- processors ------------------------------------------------------------------------------ */

static int sim_cpu_count(void *ctx) {
    (void)ctx;
    /* The same on every machine, or a seed would not be enough to replay a run. */
    return 1;
}

void eddyi_sim_host_table(struct eddyi_sim_host *host) {
    /* The kernel's functions take no notice of their ctx. */
    host->table = eddyi_host_real;
    host->table.ctx = host;
    host->table.mono_ns = sim_mono_ns;
    host->table.wall_ns = sim_wall_ns;
    host->table.random = sim_random;
    host->table.socket = sim_socket;
    host->table.socketpair = sim_socketpair;
    host->table.bind = sim_bind;
    host->table.listen = sim_listen;
    host->table.setsockopt = sim_setsockopt;
    host->table.getsockopt = sim_getsockopt;
    host->table.getsockname = sim_getsockname;
    host->table.getpeername = sim_getpeername;
    host->table.shutdown = sim_shutdown;
    host->table.chmod_socket = sim_chmod_socket;
    host->table.unlink_socket = sim_unlink_socket;
    host->table.close = sim_close;
    host->table.dup = sim_dup;
    host->table.set_cloexec = sim_set_cloexec;
    host->table.fstat = sim_fstat;
    host->table.pread_cached = sim_pread_cached;
    host->table.open_resolve = sim_open_resolve;
    host->table.cpu_count = sim_cpu_count;
}
