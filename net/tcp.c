/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/tcp.h>

#include <netinet/in.h>

#include <eddy/net/socket_impl.h>
#include <eddy/runtime/base/memory_impl.h>

/* ---- what both kinds of connect have in common ----------------------------------------------- */

static int bind_local(eddy_loop *loop, int fd, const char *text) {
    eddy_address local;
    int r = eddy_address_parse(text, &local);
    if (r == 0 && eddy_address_family(&local) != AF_UNIX && eddy_address_port(&local) == 0) {
        /* The port is chosen with the peer's address known, so that it need not be free for all. */
        r = eddyi_socket_set(loop, fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    }
    return r < 0 ? r
                 : loop->host->bind(loop->host->ctx, fd, eddy_address_sockaddr(&local), local.len);
}

/* A stream that is not connected yet. */
static int make_socket(eddy_loop *loop, const eddy_address *address, const eddy_tcp_opts *opts,
                       eddy_stream **ret_stream) {
    int family = eddy_address_family(address);
    eddy_tcp_opts copy;
    int r = eddyi_socket_opts_read(opts, &copy);
    if (r < 0) {
        return r;
    }
    int fd = eddyi_socket_open(loop, family);
    if (fd < 0) {
        return fd;
    }
    r = eddyi_socket_options(loop, fd, family, &copy);
    if (r == 0 && copy.bind != NULL) {
        r = bind_local(loop, fd, copy.bind);
    }
    if (r < 0) {
        loop->host->close(loop->host->ctx, fd);
        return r;
    }
    eddy_stream *stream;
    r = eddyi_descriptor_new(loop, fd, eddyi_socket_class(family), &stream);
    if (r < 0) {
        return r;
    }
    eddyi_descriptor_of(stream)->lingers = copy.linger && copy.linger_ns > 0;
    *ret_stream = stream;
    return 0;
}

static void prepare(struct eddyi_op *op, eddy_stream *stream, const eddy_address *address) {
    *op = (struct eddyi_op){
        .kind = EDDYI_OP_CONNECT,
        .handle = &eddyi_descriptor_of(stream)->handle,
        .addr = eddy_address_sockaddr(address),
        .len = address->len,
    };
}

/* ---- connect --------------------------------------------------------------------------------- */

static int connect_to(const eddy_address *address, const eddy_tcp_opts *opts, const void *place,
                      eddy_stream **ret_stream) {
    if (address == NULL || ret_stream == NULL || address->len == 0) {
        return -EINVAL;
    }
    eddy_task *task;
    eddy_stream *stream;
    int r = eddyi_task_enter(&task);
    r = r < 0 ? r : make_socket(task->loop, address, opts, &stream);
    if (r < 0) {
        return r;
    }
    struct eddyi_op op;
    prepare(&op, stream, address);
    r = (int)eddyi_task_op(task, &op, "connect", true);
    if (r < 0) {
        eddyi_descriptor_of(stream)->lingers = false; /* there is nothing to send */
        eddy_stream_close(stream);
        return r;
    }
    *ret_stream = eddyi_stream_give(stream, place);
    return 0;
}

int eddy_tcp_connect_to(const eddy_address *address, const eddy_tcp_opts *opts,
                        eddy_stream **ret_stream) {
    return connect_to(address, opts, EDDYI_PLACE, ret_stream);
}

int eddy_tcp_connect(const char *text, const eddy_tcp_opts *opts, eddy_stream **ret_stream) {
    eddy_address address;
    int r = eddy_address_parse(text, &address);
    return r < 0 ? r : connect_to(&address, opts, EDDYI_PLACE, ret_stream);
}

/* ---- a connect that was started -------------------------------------------------------------- */

struct connecting {
    eddy_future base; /* the producer's reference goes with the end */
    struct eddyi_op op;
    struct eddyi_ready ready; /* to the end, and then to the disposal of what nobody took */
    eddy_address address;
    eddy_stream *stream;
    int code; /* of a cancel, or 0 */
};

/* Nobody is inside of the stream: it needs no task to be closed. */
static void discard(eddy_stream *stream) {
    eddyi_descriptor_of(stream)->lingers = false;
    eddyi_track_remove(&stream->track);
    stream->class->close(stream);
}

static void end(struct eddyi_ready *ready) {
    struct connecting *connecting = EDDYI_CONTAINER(ready, struct connecting, ready);
    eddy_stream *stream = connecting->stream;
    int64_t r = connecting->op.result;
    if (r < 0) {
        r = r == -ECANCELED && connecting->code != 0 ? connecting->code : r;
        discard(stream);
        stream = NULL;
    }
    connecting->base.home->live--;
    eddyi_cell_complete(&connecting->base, r, stream, 0, NULL);
    eddyi_cell_unref(&connecting->base);
}

static void end_soon(struct eddyi_op *op) {
    /* Not from here: the driver is in the middle of completing. */
    struct connecting *connecting = EDDYI_CONTAINER(op, struct connecting, op);
    connecting->ready.run = end;
    eddyi_loop_ready(connecting->base.home, &connecting->ready);
}

static void cancel_connecting(eddy_future *cell, int code) {
    struct connecting *connecting = EDDYI_CONTAINER(cell, struct connecting, base);
    connecting->code = code;
    eddyi_op_cancel(cell->home, &connecting->op);
}

static void free_with_stream(struct eddyi_ready *ready) {
    struct connecting *connecting = EDDYI_CONTAINER(ready, struct connecting, ready);
    discard(connecting->base.payload);
    eddyi_free(connecting);
}

/* On whichever thread lets go last. A stream that nobody took is closed on its loop's, and from the
 * queue, because this may be inside of anything; or here, when that loop runs no more. */
static void free_connecting(eddy_future *cell) {
    struct connecting *connecting = EDDYI_CONTAINER(cell, struct connecting, base);
    connecting->ready.run = free_with_stream;
    if (cell->payload == NULL) {
        eddyi_free(connecting);
    } else if (cell->home == eddyi_loop_here) {
        eddyi_loop_ready(cell->home, &connecting->ready);
    } else if (eddyi_loop_is_bound_here(cell->home)) {
        free_with_stream(&connecting->ready);
    } else {
        eddyi_loop_ready_from_any(cell->home, &connecting->ready);
    }
}

static const struct eddyi_cell_class connecting_class = {
    .kind = "connect",
    .cancel = cancel_connecting,
    .free = free_connecting,
};

eddy_future *eddy_tcp_connect_start(const char *text, const eddy_tcp_opts *opts) {
    eddy_loop *loop = eddyi_loop_here;
    eddy_address address;
    int r = eddyi_task_here == NULL ? 0 : eddyi_task_cancelled(eddyi_task_here);
    r = r < 0 ? r : loop == NULL ? EDDY_ENOTASK : eddy_address_parse(text, &address);
    if (r < 0) {
        return eddyi_scope_own_failed(eddyi_loop_here, r, EDDYI_PLACE);
    }
    struct connecting *connecting = eddyi_alloc(sizeof *connecting);
    if (connecting == NULL) {
        return eddyi_scope_own_failed(eddyi_loop_here, -ENOMEM, EDDYI_PLACE);
    }
    r = make_socket(loop, &address, opts, &connecting->stream);
    if (r < 0) {
        eddyi_free(connecting);
        return eddyi_scope_own_failed(eddyi_loop_here, r, EDDYI_PLACE);
    }
    eddyi_cell_init(&connecting->base, &connecting_class, loop, 2);
    connecting->code = 0;
    connecting->address = address;
    eddyi_stream_give(connecting->stream, EDDYI_PLACE);
    prepare(&connecting->op, connecting->stream, &connecting->address);
    connecting->op.done = end_soon;
    loop->live++;
    eddyi_scope_own(&connecting->base, EDDYI_PLACE);
    eddyi_op_submit(loop, &connecting->op);
    return &connecting->base;
}

/* ---- what a connection is -------------------------------------------------------------------- */

static int socket_of(const eddy_stream *stream, struct eddyi_descriptor **ret_descriptor) {
    if (stream->class != &eddyi_tcp_class && stream->class != &eddyi_unix_class) {
        return -ENOTSOCK;
    }
    *ret_descriptor = eddyi_descriptor_of((eddy_stream *)(uintptr_t)stream);
    return eddyi_stream_check(stream);
}

int eddy_tcp_opts_set(eddy_stream *stream, const eddy_tcp_opts *opts) {
    struct eddyi_descriptor *descriptor;
    eddy_tcp_opts copy;
    int r = socket_of(stream, &descriptor);
    r = r < 0 ? r : eddyi_socket_opts_read(opts, &copy);
    if (r < 0) {
        return r;
    }
    int family = stream->class == &eddyi_unix_class ? AF_UNIX : AF_INET6;
    r = eddyi_socket_options_anew(stream->loop, descriptor->handle.fd, family, &copy);
    if (r == 0) {
        descriptor->lingers = copy.linger && copy.linger_ns > 0;
    }
    return r;
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
