/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/listener.h>

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <eddy/net/socket_impl.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/base/opts_impl.h>
#include <eddy/runtime/loop/group.h>

#define BACKLOG_DEFAULT 4096

/* The first descriptor that systemd passes: sd_listen_fds(3). */
#define LISTEN_FDS_START 3

/* So many connections in a row that were gone, or so many refusals by a firewall: then the network
 * says it of all, and to ask again at once would be a circle. */
#define PASSED_OVER_MAX 1000

/* ---- making one ------------------------------------------------------------------------------ */

static int read_name(eddy_loop *loop, int fd, eddy_address *ret_address) {
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    int r = loop->host->getsockname(loop->host->ctx, fd, (struct sockaddr *)&name, &len);
    return r < 0 ? r : eddy_address_from((struct sockaddr *)&name, len, ret_address);
}

static void free_listener(eddy_listener *listener) {
    eddyi_track_remove(&listener->track);
    if (listener->spare != NULL) {
        eddyi_free(eddyi_descriptor_of(listener->spare));
    }
    eddyi_free(listener->path);
    eddyi_free(listener);
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
        free_listener(listener);
        return r;
    }
    listener->connection = *connection;
    listener->connection.bind = NULL;
    *ret_listener = listener;
    return 0;
}

static void give(eddy_listener *listener, const void *place) {
    eddyi_track_add(&listener->track, "listener", NULL, listener->loop, place, NULL);
}

/* The path of a socket that bind has named, or NULL for other addresses. */
static const char *path_of(const eddy_address *address) {
    const struct sockaddr_un *un = (const void *)address->storage;
    bool named = eddy_address_family(address) == AF_UNIX && un->sun_path[0] != '\0';
    return named ? un->sun_path : NULL;
}

static int unlink_socket(eddy_loop *loop, const char *path) {
    return loop->host->unlink_socket(loop->host->ctx, path);
}

/* In the simulation they are names and nothing else. */
static bool paths_are_files(const eddy_loop *loop) {
    return strcmp(eddy_loop_driver(loop), "sim") != 0;
}

static int look_at(eddy_loop *loop, const char *path, struct stat *ret_stat) {
    return loop->host->statat(loop->host->ctx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, ret_stat);
}

static int bind_to(eddy_loop *loop, int fd, const eddy_address *address,
                   const eddy_listen_opts *opts) {
    int family = eddy_address_family(address);
    const char *path = path_of(address);
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
    if (r == 0 && path != NULL && opts->replace) {
        unlink_socket(loop, path); /* or bind says what lies there */
    }
    if (r == 0) {
        r = loop->host->bind(loop->host->ctx, fd, eddy_address_sockaddr(address), address->len);
    }
    return r;
}

/* From a bound socket to one that listens. Nobody can connect to a socket file before its
 * permissions are right. */
static int start_listening(eddy_loop *loop, int fd, const eddy_address *address,
                           const eddy_listen_opts *opts) {
    int family = eddy_address_family(address);
    const char *path = path_of(address);
    bool shared = loop->group != NULL && eddy_loop_group_count(loop->group) > 1;
    int r = 0;
    if (path != NULL && opts->mode != 0) {
        r = loop->host->chmod_socket(loop->host->ctx, path, (mode_t)opts->mode);
    }
    if (r == 0 && family != AF_UNIX && shared && !opts->reuse_port) {
        /* So that eddy_serve can give each loop a listener of its own. Only now: a socket that was
         * bound without shares its port with nobody who binds without, so a second program still
         * gets -EADDRINUSE. */
        r = eddyi_socket_set(loop, fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (r == 0 && family != AF_UNIX) {
        /* Connections inherit these: no system call for each of them, and a receive buffer has to
         * be known before the handshake. */
        r = eddyi_socket_options(loop, fd, family, opts->connection);
    }
    if (r == 0) {
        int backlog = opts->backlog == 0 ? BACKLOG_DEFAULT : (int)opts->backlog;
        r = loop->host->listen(loop->host->ctx, fd, backlog);
    }
    return r;
}

static int keep_path(eddy_listener *listener, const char *path) {
    struct stat file = {0};
    int r = paths_are_files(listener->loop) ? look_at(listener->loop, path, &file) : 0;
    if (r < 0) {
        return r;
    }
    listener->path_device = file.st_dev;
    listener->path_inode = file.st_ino;
    listener->path = eddyi_strndup(path, strlen(path));
    return listener->path == NULL ? -ENOMEM : 0;
}

/* `opts` is whole, its `connection` not NULL. */
static int listen_at(eddy_loop *loop, const eddy_address *address, const eddy_listen_opts *opts,
                     eddy_listener **ret_listener) {
    int fd = eddyi_socket_open(loop, eddy_address_family(address));
    if (fd < 0) {
        return fd;
    }
    eddy_listener *listener = NULL;
    const char *path = path_of(address);
    int r = bind_to(loop, fd, address, opts);
    bool bound = r == 0;
    r = r < 0 ? r : start_listening(loop, fd, address, opts);
    r = r < 0 ? r : wrap(loop, fd, opts->connection, &listener);
    if (r == 0 && path != NULL) {
        r = keep_path(listener, path);
    }
    if (r < 0) {
        if (listener != NULL) {
            free_listener(listener);
        }
        loop->host->close(loop->host->ctx, fd);
        if (bound && path != NULL) {
            unlink_socket(loop, path);
        }
        return r;
    }
    listener->opts = *opts;
    listener->opts.connection = NULL;
    *ret_listener = listener;
    return 0;
}

static bool is_any6(const eddy_address *address) {
    const struct sockaddr_in6 *in6 = (const void *)address->storage;
    return eddy_address_family(address) == AF_INET6 &&
           memcmp(&in6->sin6_addr, &in6addr_any, sizeof in6addr_any) == 0;
}

int eddy_tcp_listen(const char *text, const eddy_listen_opts *opts, eddy_listener **ret_listener) {
    eddy_loop *loop = eddyi_loop_here;
    if (loop == NULL) {
        return EDDY_ENOTASK;
    }
    eddy_listen_opts copy;
    if (ret_listener == NULL || EDDYI_OPTS_READ(&copy, opts, connection) < 0 ||
        copy.backlog > INT32_MAX || (copy.mode & ~07777U) != 0) {
        return -EINVAL;
    }
    eddy_tcp_opts connection;
    eddy_address address;
    int r = eddyi_socket_opts_read(copy.connection, &connection);
    r = r < 0 ? r : eddy_address_parse(text, &address);
    if (r < 0) {
        return r;
    }
    copy.connection = &connection;
    r = listen_at(loop, &address, &copy, ret_listener);
    if (r == -EAFNOSUPPORT && is_any6(&address) && !copy.v6_only) {
        /* A kernel without IPv6: "any" is what it has. */
        struct sockaddr_in any = {.sin_family = AF_INET};
        any.sin_port = htons((uint16_t)eddy_address_port(&address));
        eddy_address_from((struct sockaddr *)&any, sizeof any, &address);
        r = listen_at(loop, &address, &copy, ret_listener);
    }
    if (r == 0) {
        give(*ret_listener, EDDYI_PLACE);
    }
    return r;
}

/* ---- one more, or one that was there --------------------------------------------------------- */

static bool shares_port(const eddy_listener *first) {
    int reuse = 0;
    socklen_t len = sizeof reuse;
    const struct eddyi_host *host = first->loop->host;
    int r = host->getsockopt(host->ctx, first->handle.fd, SOL_SOCKET, SO_REUSEPORT, &reuse, &len);
    return r == 0 && reuse != 0;
}

int eddyi_listener_again(eddy_loop *loop, const eddy_listener *first,
                         eddy_listener **ret_listener) {
    if (eddy_address_family(&first->address) != AF_UNIX && !first->adopted && shares_port(first)) {
        eddy_listen_opts opts = first->opts;
        opts.connection = &first->connection;
        opts.reuse_port = true;
        return listen_at(loop, &first->address, &opts, ret_listener);
    }
    /* A Unix socket or one that was adopted: the loops share its queue. */
    int fd = loop->host->dup(loop->host->ctx, first->handle.fd);
    if (fd < 0) {
        return fd;
    }
    int r = wrap(loop, fd, &first->connection, ret_listener);
    if (r < 0) {
        loop->host->close(loop->host->ctx, fd);
    }
    return r;
}

void eddyi_listener_discard(eddy_listener *listener) {
    /* Of a loop on which nobody has accepted. */
    listener->loop->host->close(listener->loop->host->ctx, listener->handle.fd);
    free_listener(listener);
}

static int number_of(eddy_loop *loop, int fd, int name, int *ret_number) {
    socklen_t len = sizeof *ret_number;
    return loop->host->getsockopt(loop->host->ctx, fd, SOL_SOCKET, name, ret_number, &len);
}

static int adopt(int fd, const void *place, eddy_listener **ret_listener) {
    static const eddy_tcp_opts defaults = {0};
    eddy_loop *loop = eddyi_loop_here;
    if (loop == NULL) {
        return EDDY_ENOTASK;
    }
    if (ret_listener == NULL) {
        return -EINVAL;
    }
    int listening;
    int type;
    int r = number_of(loop, fd, SO_ACCEPTCONN, &listening);
    r = r < 0 ? r : number_of(loop, fd, SO_TYPE, &type);
    if (r < 0 || !listening || type != SOCK_STREAM) {
        return r < 0 ? r : -EINVAL;
    }
    eddy_listener *listener;
    r = wrap(loop, fd, &defaults, &listener);
    if (r < 0) {
        return r;
    }
    int family = eddy_address_family(&listener->address);
    r = family == AF_UNIX ? 0 : eddyi_socket_options(loop, fd, family, &defaults);
    if (r < 0) {
        free_listener(listener);
        return r;
    }
    listener->adopted = true;
    give(listener, place);
    *ret_listener = listener;
    return 0;
}

int eddy_listener_from_fd(int fd, eddy_listener **ret_listener) {
    return adopt(fd, EDDYI_PLACE, ret_listener);
}

int eddy_listener_inherited(unsigned index, eddy_listener **ret_listener) {
    const char *pid = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    if (pid == NULL || count == NULL || strtoul(pid, NULL, 10) != (unsigned long)getpid() ||
        index >= strtoul(count, NULL, 10) || index > INT_MAX - LISTEN_FDS_START) {
        return -ENOENT;
    }
    eddy_loop *loop = eddyi_loop_here;
    int fd = LISTEN_FDS_START + (int)index;
    int r = loop == NULL ? EDDY_ENOTASK : loop->host->set_cloexec(loop->host->ctx, fd);
    return r < 0 ? r : adopt(fd, EDDYI_PLACE, ret_listener);
}

/* ---- accepting ------------------------------------------------------------------------------- */

/* A connection that was gone before it was accepted, and what the network had to say about it:
 * accept(2) says to treat them like "none yet". */
bool eddyi_listener_passed_over(int64_t error) {
    switch (error) {
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

/* The memory for the next connection, before it is accepted. */
static int reserve(eddy_listener *listener) {
    if (listener->spare != NULL) {
        return 0;
    }
    int family = eddy_address_family(&listener->address);
    return eddyi_descriptor_new(listener->loop, -1, eddyi_socket_class(family), &listener->spare);
}

static int welcome(eddy_listener *listener, int fd, const void *place, eddy_stream **ret_stream) {
    const eddy_tcp_opts *opts = &listener->connection;
    struct eddyi_descriptor *descriptor = eddyi_descriptor_of(listener->spare);
    int family = eddy_address_family(&listener->address);
    descriptor->handle.fd = fd;
    descriptor->lingers = opts->linger && opts->linger_ns > 0;
    /* An option that a connection refuses because its peer has gone is no reason to fail: the
     * first read tells. */
    eddyi_socket_options_accepted(listener->loop, fd, family, opts);
    *ret_stream = eddyi_stream_give(listener->spare, place);
    listener->spare = NULL;
    return 0;
}

static struct eddyi_op accept_op(eddy_listener *listener) {
    return (struct eddyi_op){.kind = EDDYI_OP_ACCEPT, .handle = &listener->handle};
}

/* Whether there is memory for a connection is only of interest when there is a connection: without
 * it that one is kept for the next call, and while nobody comes nothing has failed. */
static int64_t keep_without_memory(eddy_listener *listener, int64_t fd) {
    if (fd < 0) {
        return fd;
    }
    int r = reserve(listener);
    if (r < 0) {
        listener->keeps = true;
        listener->kept = (int)fd;
        return r;
    }
    return fd;
}

static int64_t take_kept(eddy_listener *listener) {
    int r = reserve(listener);
    if (r < 0) {
        return r;
    }
    listener->keeps = false;
    return listener->kept;
}

/* With `accepting` set: a close waits for us. */
static int64_t accept_one(eddy_listener *listener, eddy_task *task) {
    int64_t r = 0;
    (void)reserve(listener); /* while there is some */
    for (int i = 0; r == 0 && !listener->closing; i++) {
        struct eddyi_op op = accept_op(listener);
        r = eddyi_task_op(task, &op, "accept", false);
        if (!eddyi_listener_passed_over(r) || i == PASSED_OVER_MAX) {
            return r;
        }
        r = eddyi_task_checkpoint(task);
    }
    return r < 0 ? r : EDDY_ECLOSED;
}

int eddy_listener_accept(eddy_listener *listener, eddy_stream **ret_stream) {
    eddy_task *task;
    if (listener->loop != eddyi_loop_here || eddyi_task_here == NULL) {
        return eddyi_task_here == NULL ? EDDY_ENOTASK : EDDY_EWRONGLOOP;
    }
    if (listener->closing || listener->accepting) {
        /* Not inside: after the checkpoint the listener may be gone. */
        int refusal = listener->closing ? EDDY_ECLOSED : -EBUSY;
        int r = eddyi_task_enter(&task);
        return r < 0 ? r : refusal;
    }
    listener->accepting = true;
    int64_t fd = eddyi_task_enter(&task);
    if (fd == 0) {
        fd = listener->keeps ? take_kept(listener) : accept_one(listener, task);
        fd = keep_without_memory(listener, fd);
    }
    listener->accepting = false;
    if (listener->closer != NULL) {
        eddyi_task_wake(listener->closer);
    }
    if (fd >= 0) {
        return welcome(listener, (int)fd, EDDYI_PLACE, ret_stream);
    }
    return listener->closing && fd != eddyi_task_cancelled(task) ? EDDY_ECLOSED : (int)fd;
}

int eddy_listener_accept_try(eddy_listener *listener, eddy_stream **ret_stream) {
    if (listener->loop != eddyi_loop_here) {
        return eddyi_loop_here == NULL ? EDDY_ENOTASK : EDDY_EWRONGLOOP;
    }
    if (listener->loop->forked) {
        return EDDY_EFORKED;
    }
    if (listener->closing || listener->accepting) {
        return listener->closing ? EDDY_ECLOSED : -EBUSY;
    }
    bool keeps = listener->keeps;
    int64_t fd = keeps ? take_kept(listener) : 0; /* which may be number 0 */
    (void)reserve(listener);
    for (int i = 0; !keeps; i++) {
        struct eddyi_op op = accept_op(listener);
        fd = eddyi_op_attempt(listener->loop, &op);
        if (!eddyi_listener_passed_over(fd) || i == PASSED_OVER_MAX) {
            break;
        }
    }
    fd = keep_without_memory(listener, fd);
    return fd < 0 ? (int)fd : welcome(listener, (int)fd, EDDYI_PLACE, ret_stream);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void remove_path(eddy_listener *listener) {
    struct stat file = {0};
    bool is_there =
        !paths_are_files(listener->loop) || look_at(listener->loop, listener->path, &file) == 0;
    if (is_there && file.st_dev == listener->path_device && file.st_ino == listener->path_inode) {
        unlink_socket(listener->loop, listener->path);
    }
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
    if (listener->loop->forked) {
        return EDDY_EFORKED;
    }
    EDDY_ASSERT_SAY(!listener->closing, "a listener is closed twice");
    listener->closing = true;
    if (listener->accepting) {
        listener->closer = task;
        eddyi_handle_cancel(listener->loop, &listener->handle);
        while (listener->accepting) {
            struct eddyi_wait wait = {.what = "close"};
            eddyi_task_park(task, &wait);
        }
    }
    if (listener->path != NULL) {
        remove_path(listener);
    }
    if (listener->keeps) {
        listener->loop->host->close(listener->loop->host->ctx, listener->kept);
    }
    int r = eddyi_handle_close(listener->loop, &listener->handle);
    free_listener(listener);
    return r;
}

eddy_address eddy_listener_address(const eddy_listener *listener) {
    return listener->address;
}
