/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/io/descriptor_impl.h>

#include <eddy/runtime/base/memory_impl.h>

/* A turn in which more tasks than this are ready batches its operations: they reach the kernel
 * together, in the one system call that the turn makes anyway. With fewer, an inline attempt saves
 * the whole turn. */
#define INLINE_READY_MAX 0

static bool batched(const eddy_task *task) {
    return task->loop->ready_count > INLINE_READY_MAX;
}

static bool is_socket(eddy_stream *stream) {
    return eddyi_descriptor_of(stream)->handle.kind == EDDYI_HANDLE_SOCKET;
}

static void prepare(eddy_stream *stream, struct eddyi_op *op, enum eddyi_op_kind kind, int flags,
                    size_t len) {
    op->kind = (uint8_t)kind;
    op->state = EDDYI_OP_NEW;
    op->flags = flags;
    op->handle = &eddyi_descriptor_of(stream)->handle;
    op->len = len;
    op->offset = -1;
}

static void descriptor_read_op(eddy_stream *stream, struct eddyi_op *op, void *dst, size_t cap) {
    prepare(stream, op, is_socket(stream) ? EDDYI_OP_RECV : EDDYI_OP_READ, 0, cap);
    op->buf = dst;
}

static void descriptor_write_op(eddy_stream *stream, struct eddyi_op *op, const void *src,
                                size_t len) {
    if (is_socket(stream)) {
        prepare(stream, op, EDDYI_OP_SEND, MSG_NOSIGNAL, len);
    } else {
        prepare(stream, op, EDDYI_OP_WRITE, 0, len);
    }
    op->data = src;
}

static int64_t descriptor_read(eddy_stream *stream, void *dst, size_t cap) {
    eddy_task *task = eddyi_task_here;
    struct eddyi_op op;
    descriptor_read_op(stream, &op, dst, cap);
    return eddyi_task_op(task, &op, "read", batched(task));
}

static int64_t descriptor_write_some(eddy_stream *stream, const void *src, size_t len) {
    eddy_task *task = eddyi_task_here;
    struct eddyi_op op;
    descriptor_write_op(stream, &op, src, len);
    return eddyi_task_op(task, &op, "write", batched(task));
}

static int64_t socket_writev_some(eddy_stream *stream, const struct iovec *iov, int count) {
    eddy_task *task = eddyi_task_here;
    struct eddyi_op op;
    prepare(stream, &op, EDDYI_OP_SENDV, MSG_NOSIGNAL, (size_t)count);
    op.iov = iov;
    return eddyi_task_op(task, &op, "write", batched(task));
}

static int64_t descriptor_read_try(eddy_stream *stream, void *dst, size_t cap) {
    struct eddyi_op op;
    descriptor_read_op(stream, &op, dst, cap);
    return eddyi_op_attempt(stream->loop, &op);
}

static int64_t descriptor_write_try(eddy_stream *stream, const void *src, size_t len) {
    struct eddyi_op op;
    descriptor_write_op(stream, &op, src, len);
    return eddyi_op_attempt(stream->loop, &op);
}

static int socket_shutdown(eddy_stream *stream) {
    const struct eddyi_host *host = stream->loop->host;
    return host->shutdown(host->ctx, eddyi_descriptor_of(stream)->handle.fd, SHUT_WR);
}

static bool is_write(const struct eddyi_op *op) {
    return op->kind == EDDYI_OP_SEND || op->kind == EDDYI_OP_SENDV || op->kind == EDDYI_OP_WRITE;
}

static void descriptor_interrupt(eddy_stream *stream, bool reads, bool writes) {
    EDDYI_LIST_EACH(node, &eddyi_descriptor_of(stream)->handle.ops) {
        struct eddyi_op *op = EDDYI_LIST_ENTRY(node, struct eddyi_op, in_handle);
        if (is_write(op) ? writes : reads) {
            eddyi_op_cancel(stream->loop, op);
        }
    }
}

struct last_close {
    const struct eddyi_host *host;
    int fd;
    bool begun;
};

static int64_t close_last(void *arg) {
    struct last_close *last = arg;
    last->begun = true;
    return last->host->close(last->host->ctx, last->fd);
}

static void linger_no_more(eddy_loop *loop, int fd) {
    const struct linger none = {0};
    loop->host->setsockopt(loop->host->ctx, fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

/* The last close of a socket that lingers blocks until the peer has acknowledged all, O_NONBLOCK or
 * not, so it happens on a thread of offload, and the driver lets go of another descriptor of the
 * same socket before. A cancel that comes first, or no thread or descriptor for it: then nothing is
 * waited for, and the kernel goes on sending what it has. */
static int close_lingering(struct eddyi_descriptor *descriptor) {
    eddy_loop *loop = descriptor->base.loop;
    eddy_task *task = eddyi_task_here;
    struct last_close last = {.host = loop->host, .fd = -1};
    if (task != NULL && eddyi_task_cancelled(task) == 0) {
        last.fd = loop->host->dup(loop->host->ctx, descriptor->handle.fd);
    }
    if (last.fd < 0) {
        linger_no_more(loop, descriptor->handle.fd);
        return eddyi_handle_close(loop, &descriptor->handle);
    }
    eddyi_handle_close(loop, &descriptor->handle);
    int r = (int)eddyi_task_offload(task, close_last, &last, "close");
    if (!last.begun) {
        linger_no_more(loop, last.fd);
        r = loop->host->close(loop->host->ctx, last.fd);
    }
    return r;
}

static int descriptor_close(eddy_stream *stream) {
    struct eddyi_descriptor *descriptor = eddyi_descriptor_of(stream);
    /* The simulation's close never blocks. */
    bool lingers = descriptor->lingers && stream->loop->host == &eddyi_host_real;
    int r = lingers ? close_lingering(descriptor)
                    : eddyi_handle_close(stream->loop, &descriptor->handle);
    eddyi_free(descriptor);
    return r;
}

static int descriptor_fd(const eddy_stream *stream) {
    return eddyi_descriptor_of((eddy_stream *)(uintptr_t)stream)->handle.fd;
}

#define DESCRIPTOR_VERBS \
    .read = descriptor_read, .write_some = descriptor_write_some, .read_try = descriptor_read_try, \
    .write_try = descriptor_write_try, .read_op = descriptor_read_op, \
    .write_op = descriptor_write_op, .interrupt = descriptor_interrupt, .close = descriptor_close, \
    .fd = descriptor_fd

const struct eddyi_stream_class eddyi_tcp_class = {
    .kind = "tcp",
    .writev_some = socket_writev_some,
    .shutdown = socket_shutdown,
    DESCRIPTOR_VERBS,
};

const struct eddyi_stream_class eddyi_unix_class = {
    .kind = "unix",
    .writev_some = socket_writev_some,
    .shutdown = socket_shutdown,
    DESCRIPTOR_VERBS,
};

const struct eddyi_stream_class eddyi_pipe_class = {
    .kind = "pipe",
    DESCRIPTOR_VERBS,
};

int eddyi_descriptor_new(eddy_loop *loop, int fd, const struct eddyi_stream_class *class,
                         eddy_stream **ret_stream) {
    struct eddyi_descriptor *descriptor = eddyi_zalloc(sizeof *descriptor);
    if (descriptor == NULL) {
        loop->host->close(loop->host->ctx, fd);
        return -ENOMEM;
    }
    eddyi_stream_init(&descriptor->base, class, loop);
    eddyi_handle_init(&descriptor->handle, fd,
                      class == &eddyi_pipe_class ? EDDYI_HANDLE_POLLABLE : EDDYI_HANDLE_SOCKET);
    *ret_stream = &descriptor->base;
    return 0;
}
