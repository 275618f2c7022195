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

static void prepare(struct eddyi_op *op, struct eddyi_descriptor *descriptor,
                    enum eddyi_op_kind socket_kind, enum eddyi_op_kind other_kind, size_t len) {
    bool socket = descriptor->handle.kind == EDDYI_HANDLE_SOCKET;
    op->kind = (uint8_t)(socket ? socket_kind : other_kind);
    op->state = EDDYI_OP_NEW;
    op->flags = socket && socket_kind != EDDYI_OP_RECV ? MSG_NOSIGNAL : 0;
    op->handle = &descriptor->handle;
    op->len = len;
    op->offset = -1;
}

static int64_t descriptor_read(eddy_stream *stream, void *dst, size_t cap) {
    eddy_task *task = eddyi_task_here;
    struct eddyi_op op;
    prepare(&op, eddyi_descriptor_of(stream), EDDYI_OP_RECV, EDDYI_OP_READ, cap);
    op.buf = dst;
    return eddyi_task_op(task, &op, "read", batched(task));
}

static int64_t descriptor_write_some(eddy_stream *stream, const void *src, size_t len) {
    eddy_task *task = eddyi_task_here;
    struct eddyi_op op;
    prepare(&op, eddyi_descriptor_of(stream), EDDYI_OP_SEND, EDDYI_OP_WRITE, len);
    op.data = src;
    return eddyi_task_op(task, &op, "write", batched(task));
}

static int64_t socket_writev_some(eddy_stream *stream, const struct iovec *iov, int count) {
    eddy_task *task = eddyi_task_here;
    struct eddyi_op op;
    prepare(&op, eddyi_descriptor_of(stream), EDDYI_OP_SENDV, EDDYI_OP_SENDV, (size_t)count);
    op.iov = iov;
    return eddyi_task_op(task, &op, "write", batched(task));
}

static int64_t descriptor_read_try(eddy_stream *stream, void *dst, size_t cap) {
    struct eddyi_op op;
    prepare(&op, eddyi_descriptor_of(stream), EDDYI_OP_RECV, EDDYI_OP_READ, cap);
    op.buf = dst;
    return eddyi_op_attempt(stream->loop, &op);
}

static int64_t descriptor_write_try(eddy_stream *stream, const void *src, size_t len) {
    struct eddyi_op op;
    prepare(&op, eddyi_descriptor_of(stream), EDDYI_OP_SEND, EDDYI_OP_WRITE, len);
    op.data = src;
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

static int descriptor_close(eddy_stream *stream) {
    struct eddyi_descriptor *descriptor = eddyi_descriptor_of(stream);
    int r = eddyi_handle_close(stream->loop, &descriptor->handle);
    eddyi_free(descriptor);
    return r;
}

static int descriptor_fd(const eddy_stream *stream) {
    return EDDYI_CONTAINER(stream, const struct eddyi_descriptor, base)->handle.fd;
}

#define DESCRIPTOR_VERBS \
    .read = descriptor_read, .write_some = descriptor_write_some, \
    .read_try = descriptor_read_try, .write_try = descriptor_write_try, \
    .interrupt = descriptor_interrupt, .close = descriptor_close, .fd = descriptor_fd

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
