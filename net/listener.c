/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/listener.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <eddy/net/socket_impl.h>
#include <eddy/runtime/base/memory_impl.h>

#define BACKLOG_DEFAULT 4096

/* The first descriptor that systemd passes: sd_listen_fds(3). */
#define LISTEN_FDS_START 3

/* ---- making one ------------------------------------------------------------------------------ */

static int read_name(eddy_loop *loop, int fd, eddy_address *ret_address) {
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    int r = loop->host->getsockname(loop->host->ctx, fd, (struct sockaddr *)&name, &len);
    return r < 0 ? r : eddy_address_from((struct sockaddr *)&name, len, ret_address);
}

/* Around a descriptor that listens; it stays the caller's on failure. */
static int wrap(eddy_loop *loop, int fd, const eddy_tcp_opts *connection,
                eddy_listener **ret_listener) {
    eddy_listener *listener = eddyi_zalloc(sizeof *listener);
    if (listener == NULL) {
        return -ENOMEM;
    }
    listener->loop = loop;
    eddyi_handle_init(&listener->handle, fd, EDDYI_HANDLE_SOCKET);
    listener->handle.listening = true;
    int r = read_name(loop, fd, &listener->address);
    if (r < 0) {
        eddyi_free(listener);
        return r;
    }
    if (connection != NULL) {
        listener->connection = *connection;
        listener->connection.bind = NULL;
    }
    *ret_listener = listener;
    return 0;
}

static int prepare(eddy_loop *loop, int fd, const eddy_address *address,
                   const eddy_listen_opts *opts) {
    int family = eddy_address_family(address);
    int r = 0;
    if (family != AF_UNIX && !opts->no_reuse) {
        r = eddyi_socket_set(loop, fd, SOL_SOCKET, SO_REUSEADDR, 1);
    }
    if (r == 0 && family != AF_UNIX && opts->reuse_port) {
        r = eddyi_socket_set(loop, fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (r == 0 && family == AF_INET6) {
        r = eddyi_socket_set(loop, fd, IPPROTO_IPV6, IPV6_V6ONLY, opts->v6_only);
    }
    if (r == 0) {
        r = loop->host->bind(loop->host->ctx, fd, eddy_address_sockaddr(address), address->len);
    }
    if (r == 0) {
        int backlog = opts->backlog == 0 ? BACKLOG_DEFAULT : (int)opts->backlog;
        r = loop->host->listen(loop->host->ctx, fd, backlog);
    }
    return r;
}

/* The path of a socket file that bind has made, or NULL for other addresses. */
static const char *path_of(const eddy_address *address) {
    const struct sockaddr_un *un = (const void *)address->storage;
    return eddy_address_family(address) == AF_UNIX && un->sun_path[0] != '\0' ? un->sun_path : NULL;
}

static int keep_path(eddy_listener *listener, const char *path, unsigned mode) {
    if (mode != 0 && chmod(path, (mode_t)mode) < 0) {
        return -errno;
    }
    listener->unlink_path = eddyi_strndup(path, strlen(path));
    return listener->unlink_path == NULL ? -ENOMEM : 0;
}

static int listen_at(eddy_loop *loop, const eddy_address *address, const eddy_listen_opts *opts,
                     eddy_listener **ret_listener) {
    int fd = eddyi_socket_open(loop, address);
    if (fd < 0) {
        return fd;
    }
    eddy_listener *listener = NULL;
    int r = prepare(loop, fd, address, opts);
    bool bound = r == 0;
    if (r == 0) {
        r = wrap(loop, fd, opts->connection, &listener);
    }
    const char *path = loop->host == &eddyi_host_real ? path_of(address) : NULL;
    if (r == 0 && path != NULL) {
        r = keep_path(listener, path, opts->mode);
    }
    if (r < 0) {
        eddyi_free(listener);
        loop->host->close(loop->host->ctx, fd);
        if (bound && path != NULL) {
            unlink(path);
        }
        return r;
    }
    *ret_listener = listener;
    return 0;
}

int eddy_tcp_listen(const char *text, const eddy_listen_opts *opts, eddy_listener **ret_listener) {
    eddy_loop *loop = eddyi_loop_here;
    if (loop == NULL) {
        return EDDY_ENOTASK;
    }
    eddy_listen_opts copy = {0};
    if (ret_listener == NULL || (opts != NULL && opts->size > sizeof copy)) {
        return -EINVAL;
    }
    if (opts != NULL) {
        memcpy(&copy, opts, opts->size == 0 ? sizeof copy : opts->size);
    }
    if (copy.backlog > INT32_MAX) {
        return -EINVAL;
    }
    /* So that eddy_serve can give each loop of the group a listener of its own. */
    copy.reuse_port |= loop->group != NULL;
    eddy_address address;
    int r = eddy_address_parse(text, &address);
    return r < 0 ? r : listen_at(loop, &address, &copy, ret_listener);
}

int eddyi_listener_again(eddy_loop *loop, const eddy_listener *first, eddy_listener **ret_listener) {
    if (eddy_address_family(&first->address) != AF_UNIX) {
        int reuse = 0;
        socklen_t len = sizeof reuse;
        const struct eddyi_host *host = loop->host;
        int r = host->getsockopt(host->ctx, first->handle.fd, SOL_SOCKET, SO_REUSEPORT, &reuse, &len);
        if (r == 0 && reuse != 0) {
            int v6_only = 0;
            len = sizeof v6_only;
            if (eddy_address_family(&first->address) == AF_INET6) {
                host->getsockopt(host->ctx, first->handle.fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only,
                                 &len);
            }
            eddy_listen_opts opts = {
                .reuse_port = true,
                .v6_only = v6_only != 0,
                .connection = &first->connection,
            };
            return listen_at(loop, &first->address, &opts, ret_listener);
        }
    }
    /* A Unix socket or one that was inherited: the loops share its queue. */
    int fd = fcntl(first->handle.fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int r = wrap(loop, fd, &first->connection, ret_listener);
    if (r < 0) {
        loop->host->close(loop->host->ctx, fd);
    }
    return r;
}

void eddyi_listener_discard(eddy_listener *listener) {
    listener->loop->host->close(listener->loop->host->ctx, listener->handle.fd);
    eddyi_free(listener->unlink_path);
    eddyi_free(listener);
}

int eddy_listener_from_fd(int fd, eddy_listener **ret_listener) {
    eddy_loop *loop = eddyi_loop_here;
    if (loop == NULL) {
        return EDDY_ENOTASK;
    }
    int listening = 0;
    socklen_t len = sizeof listening;
    int r = loop->host->getsockopt(loop->host->ctx, fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len);
    if (r < 0) {
        return r;
    }
    return listening ? wrap(loop, fd, NULL, ret_listener) : -EINVAL;
}

int eddy_listener_inherited(unsigned index, eddy_listener **ret_listener) {
    const char *pid = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    if (pid == NULL || count == NULL || strtoul(pid, NULL, 10) != (unsigned long)getpid() ||
        index >= strtoul(count, NULL, 10)) {
        return -ENOENT;
    }
    int fd = LISTEN_FDS_START + (int)index;
    int r = fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
    return r < 0 ? r : eddy_listener_from_fd(fd, ret_listener);
}

/* ---- accepting ------------------------------------------------------------------------------- */

/* A connection that was gone before it was accepted, and what the network had to say about it:
 * accept(2) says to treat them like "none yet". */
static bool passed_over(int64_t r) {
    switch (r) {
    case -ECONNABORTED:
    case -EPROTO:
    case -ENETDOWN:
    case -ENOPROTOOPT:
    case -EHOSTDOWN:
    case -ENONET:
    case -EHOSTUNREACH:
    case -EOPNOTSUPP:
    case -ENETUNREACH:
    case -EPERM: /* a firewall's no */
        return true;
    default:
        return false;
    }
}

static int welcome(eddy_listener *listener, int fd, eddy_stream **ret_stream) {
    int family = eddy_address_family(&listener->address);
    /* An option that a connection refuses because its peer has gone is no reason to fail: the
     * first read tells. */
    eddyi_socket_options(listener->loop, fd, family, &listener->connection);
    return eddyi_descriptor_new(listener->loop, fd, eddyi_socket_class(family), ret_stream);
}

static struct eddyi_op accept_op(eddy_listener *listener) {
    return (struct eddyi_op){.kind = EDDYI_OP_ACCEPT, .handle = &listener->handle};
}

int eddy_listener_accept(eddy_listener *listener, eddy_stream **ret_stream) {
    eddy_task *task;
    int r = listener->loop != eddyi_loop_here ? EDDY_EWRONGLOOP : eddyi_task_enter(&task);
    if (r < 0) {
        return eddyi_task_here == NULL ? EDDY_ENOTASK : r;
    }
    if (listener->closing || listener->accepting) {
        return listener->closing ? EDDY_ECLOSED : -EBUSY;
    }
    listener->accepting = true;
    int64_t fd;
    do {
        struct eddyi_op op = accept_op(listener);
        fd = eddyi_task_op(task, &op, "accept", false);
    } while (passed_over(fd) && !listener->closing && (fd = eddyi_task_checkpoint(task)) == 0);
    listener->accepting = false;
    if (listener->closing && listener->closer != NULL) {
        eddyi_task_wake(listener->closer);
    }
    if (fd < 0) {
        return listener->closing ? EDDY_ECLOSED : (int)fd;
    }
    return welcome(listener, (int)fd, ret_stream);
}

int eddy_listener_accept_try(eddy_listener *listener, eddy_stream **ret_stream) {
    if (listener->loop != eddyi_loop_here) {
        return EDDY_EWRONGLOOP;
    }
    if (listener->closing || listener->accepting) {
        return listener->closing ? EDDY_ECLOSED : -EBUSY;
    }
    struct eddyi_op op = accept_op(listener);
    int64_t fd;
    do {
        fd = eddyi_op_attempt(listener->loop, &op);
    } while (passed_over(fd));
    return fd < 0 ? (int)fd : welcome(listener, (int)fd, ret_stream);
}

int eddy_listener_close(eddy_listener *listener) {
    eddy_task *task = eddyi_task_here;
    if (listener == NULL) {
        return 0;
    }
    if (task == NULL) {
        return EDDY_ENOTASK;
    }
    if (listener->loop != task->loop) {
        return EDDY_EWRONGLOOP;
    }
    listener->closing = true;
    if (listener->accepting) {
        listener->closer = task;
        eddyi_handle_cancel(listener->loop, &listener->handle);
        while (listener->accepting) {
            struct eddyi_wait wait = {.what = "close"};
            eddyi_task_park(task, &wait);
        }
    }
    int r = eddyi_handle_close(listener->loop, &listener->handle);
    if (listener->unlink_path != NULL) {
        unlink(listener->unlink_path);
        eddyi_free(listener->unlink_path);
    }
    eddyi_free(listener);
    return r;
}

eddy_address eddy_listener_address(const eddy_listener *listener) {
    return listener->address;
}
