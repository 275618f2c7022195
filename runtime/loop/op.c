/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/loop/op_impl.h>

#include <unistd.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/loop/loop_impl.h>
#include <eddy/runtime/loop/offload_impl.h>

void eddyi_handle_init(struct eddyi_handle *handle, int fd, enum eddyi_handle_kind kind) {
    *handle = (struct eddyi_handle){.fd = fd, .kind = (uint8_t)kind};
    eddyi_list_init(&handle->ops);
}

int eddyi_handle_close(eddy_loop *loop, struct eddyi_handle *handle) {
    if (handle->fd < 0) {
        return 0;
    }
    EDDY_ASSERT_SAY(eddyi_list_empty(&handle->ops), "a descriptor is closed under an operation");
    loop->driver->forget(loop, handle);
    int fd = handle->fd;
    handle->fd = -1;
    return loop->host->close(loop->host->ctx, fd);
}

void eddyi_handle_cancel(eddy_loop *loop, struct eddyi_handle *handle) {
    /* A cancel may complete its op at once, and completing one may not free another: the list only
     * loses the node at hand. */
    EDDYI_LIST_EACH(node, &handle->ops) {
        eddyi_op_cancel(loop, EDDYI_LIST_ENTRY(node, struct eddyi_op, in_handle));
    }
}

int64_t eddyi_op_attempt(eddy_loop *loop, struct eddyi_op *op) {
    return loop->driver->attempt(loop, op);
}

void eddyi_op_submit(eddy_loop *loop, struct eddyi_op *op) {
    EDDY_ASSERT(op->state == EDDYI_OP_NEW || op->state == EDDYI_OP_DONE);
    op->state = EDDYI_OP_SUBMITTED;
    op->loop = loop;
    if (EDDYI_UNLIKELY(loop->forked)) {
        eddyi_list_init(&op->in_handle);
        return; /* the driver is the parent's, and nothing completes here any more */
    }
    op->tries = 0;
    op->driver_word = 0;
    eddyi_list_init(&op->in_driver);
    eddyi_list_init(&op->in_handle);
    eddyi_list_push_back(&op->handle->ops, &op->in_handle);
    /* Buffered writes of one file are serialised in the ring's own workers, two to four times
     * slower than on threads of ours. */
    if (op->kind == EDDYI_OP_WRITE && op->handle->kind == EDDYI_HANDLE_FILE) {
        eddyi_op_offload(loop, op);
    } else {
        loop->driver->submit(loop, op);
    }
}

void eddyi_op_complete(struct eddyi_op *op, int64_t result) {
    EDDY_ASSERT(op->state == EDDYI_OP_SUBMITTED || op->state == EDDYI_OP_CANCELLING);
    eddyi_list_remove(&op->in_handle);
    op->result = result;
    op->state = EDDYI_OP_DONE;
    op->done(op);
}

/* ---- operations on offload ------------------------------------------------------------------- */

/* Marks an op that is on offload, where the driver's own word is not needed. */
#define OFFLOADED UINT64_C(0x0ff10ad)

_Static_assert(sizeof(struct eddyi_offload_job) <= sizeof(((struct eddyi_op *)0)->offload.job),
               "an op has room for its offload job");
_Static_assert(_Alignof(struct eddyi_offload_job) <= _Alignof(void *), "and is aligned for it");

static struct eddyi_offload_job *job_of(struct eddyi_op *op) {
    return (struct eddyi_offload_job *)(void *)op->offload.job;
}

static struct eddyi_op *op_of(struct eddyi_offload_job *job) {
    return EDDYI_CONTAINER(job, struct eddyi_op, offload);
}

static int64_t run_on_offload(struct eddyi_offload_job *job) {
    struct eddyi_op *op = op_of(job);
    const struct eddyi_host *host = job->loop->host;
    if (op->kind == EDDYI_OP_WRITE) {
        return host->pwrite(host->ctx, op->handle->fd, op->data, op->len, op->offset);
    }
    return host->pread(host->ctx, op->handle->fd, op->buf, op->len, op->offset);
}

static void offload_done(struct eddyi_offload_job *job) {
    struct eddyi_op *op = op_of(job);
    eddyi_op_complete(op, job->result);
}

void eddyi_op_offload(eddy_loop *loop, struct eddyi_op *op) {
    struct eddyi_offload_job *job = job_of(op);
    *job = (struct eddyi_offload_job){.run = run_on_offload, .done = offload_done};
    op->driver_word = OFFLOADED;
    if (eddyi_offload_submit(loop, job) < 0) {
        /* Not one thread can be had: a slow answer is better than none, and files do end. */
        job->loop = loop;
        job->result = run_on_offload(job);
        eddyi_offload_finish(job);
    }
}

void eddyi_op_cancel(eddy_loop *loop, struct eddyi_op *op) {
    if (op->state != EDDYI_OP_SUBMITTED || EDDYI_UNLIKELY(loop->forked)) {
        return;
    }
    op->state = EDDYI_OP_CANCELLING;
    if (op->handle->kind == EDDYI_HANDLE_FILE && op->driver_word == OFFLOADED) {
        eddyi_offload_cancel(job_of(op));
    } else {
        loop->driver->cancel(loop, op);
    }
}
