/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/tcp.h>

#include <eddy/net/socket_impl.h>

/* ---- connect --------------------------------------------------------------------------------- */

static int bind_local(eddy_loop *loop, int fd, const char *text) {
    eddy_address local;
    int r = eddy_address_parse(text, &local);
    return r < 0 ? r
                 : loop->host->bind(loop->host->ctx, fd, eddy_address_sockaddr(&local), local.len);
}

/* Everything between socket and stream; the descriptor stays the caller's on failure. */
static int connect_socket(eddy_task *task, struct eddyi_handle *handle, const eddy_address *address,
                          const eddy_tcp_opts *opts) {
    eddy_loop *loop = task->loop;
    int r = eddyi_socket_options(loop, handle->fd, eddy_address_family(address), opts);
    if (r == 0 && opts != NULL && opts->bind != NULL) {
        r = bind_local(loop, handle->fd, opts->bind);
    }
    if (r < 0) {
        return r;
    }
    struct eddyi_op op = {
        .kind = EDDYI_OP_CONNECT,
        .handle = handle,
        .addr = eddy_address_sockaddr(address),
        .len = address->len,
    };
    return (int)eddyi_task_op(task, &op, "connect", true);
}

int eddy_tcp_connect_to(const eddy_address *address, const eddy_tcp_opts *opts,
                        eddy_stream **ret_stream) {
    if (address == NULL || ret_stream == NULL || address->len == 0) {
        return -EINVAL;
    }
    eddy_task *task;
    int r = eddyi_task_enter(&task);
    if (r < 0) {
        return r;
    }
    eddy_loop *loop = task->loop;
    int family = eddy_address_family(address);
    int fd = eddyi_socket_open(loop, address);
    if (fd < 0) {
        return fd;
    }
    eddy_stream *stream;
    r = eddyi_descriptor_new(loop, fd, eddyi_socket_class(family), &stream);
    if (r < 0) {
        return r;
    }
    r = connect_socket(task, &eddyi_descriptor_of(stream)->handle, address, opts);
    if (r < 0) {
        eddy_stream_close(stream);
        return r;
    }
    *ret_stream = stream;
    return 0;
}

int eddy_tcp_connect(const char *text, const eddy_tcp_opts *opts, eddy_stream **ret_stream) {
    eddy_address address;
    int r = eddy_address_parse(text, &address);
    return r < 0 ? r : eddy_tcp_connect_to(&address, opts, ret_stream);
}

/* ---- what a connection is -------------------------------------------------------------------- */

static int socket_of(const eddy_stream *stream, struct eddyi_descriptor **ret_descriptor) {
    if (stream->class != &eddyi_tcp_class && stream->class != &eddyi_unix_class) {
        return -ENOTSOCK;
    }
    if (stream->loop != eddyi_loop_here) {
        return EDDY_EWRONGLOOP;
    }
    *ret_descriptor =
        EDDYI_CONTAINER((eddy_stream *)(uintptr_t)stream, struct eddyi_descriptor, base);
    return stream->closing ? EDDY_ECLOSED : 0;
}

int eddy_tcp_opts_set(eddy_stream *stream, const eddy_tcp_opts *opts) {
    struct eddyi_descriptor *descriptor;
    int r = socket_of(stream, &descriptor);
    if (r < 0) {
        return r;
    }
    int family = stream->class == &eddyi_unix_class ? AF_UNIX : AF_INET6;
    return eddyi_socket_options(stream->loop, descriptor->handle.fd, family, opts);
}

static int name_of(const eddy_stream *stream, bool peer, eddy_address *ret_address) {
    struct eddyi_descriptor *descriptor;
    int r = socket_of(stream, &descriptor);
    if (r < 0) {
        return r;
    }
    const struct eddyi_host *host = stream->loop->host;
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    r = (peer ? host->getpeername : host->getsockname)(host->ctx, descriptor->handle.fd,
                                                        (struct sockaddr *)&name, &len);
    return r < 0 ? r : eddy_address_from((struct sockaddr *)&name, len, ret_address);
}

int eddy_tcp_peer(const eddy_stream *stream, eddy_address *ret_address) {
    return name_of(stream, true, ret_address);
}

int eddy_tcp_local(const eddy_stream *stream, eddy_address *ret_address) {
    return name_of(stream, false, ret_address);
}
