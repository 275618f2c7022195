/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listener has one multishot accept, armed by the first ACCEPT and then left armed: what it
 * accepts goes to the ACCEPT that has waited longest, or into a queue, where the next one finds it.
 * So a cancelled ACCEPT loses no connection. When nobody takes from the queue the multishot is
 * cancelled, and further connections wait in the kernel's backlog, as they should.
 */
#include <eddy/runtime/driver/uring_impl.h>

#include <errno.h>
#include <unistd.h>

#include <eddy/runtime/base/memory_impl.h>

/* With so many in the queue and nobody waiting, accepting stops. One that is full of sleep is no
 * better served from here than from the kernel's backlog. */
#define QUEUED_HIGH 64

struct listener {
    struct eddyi_uring_shot shot;
    struct eddyi_list waiters; /* ACCEPT ops, by in_driver, oldest first */
    bool alone;                /* the kernel knows no multishot accept: ops ask for themselves */
    int error;                 /* what ended the multishot while nobody waited, for an attempt */
    unsigned head;
    unsigned count;
    unsigned room;
    int fds[]; /* a ring of `room` */
};

static struct listener *listener_of(struct eddyi_uring_shot *shot) {
    return EDDYI_CONTAINER(shot, struct listener, shot);
}

/* NULL without memory. */
static struct listener *find(struct eddyi_uring *u, struct eddyi_handle *handle) {
    if (handle->driver_data != NULL) {
        return handle->driver_data;
    }
    /*
     * Beyond the mark the queue takes what one look at a full completion queue can bring, and the
     * one that did not fit. More cannot come: the cancel goes in before the kernel accepts again.
     */
    unsigned room = QUEUED_HIGH + u->ring.cq.ring_entries + 1;
    struct listener *listener = eddyi_alloc(sizeof *listener + room * sizeof listener->fds[0]);
    if (listener == NULL) {
        return NULL;
    }
    *listener = (struct listener){.room = room};
    if (eddyi_uring_shot_open(u, &listener->shot, EDDYI_URING_TAG_ACCEPT, handle) < 0) {
        eddyi_free(listener);
        return NULL;
    }
    eddyi_list_init(&listener->waiters);
    handle->driver_data = listener;
    handle->attached = true;
    return listener;
}

static struct eddyi_op *first_waiter(struct listener *listener) {
    struct eddyi_list *node = eddyi_list_pop_front(&listener->waiters);
    return node == NULL ? NULL : EDDYI_LIST_ENTRY(node, struct eddyi_op, in_driver);
}

static int take(struct listener *listener) {
    int fd = listener->fds[listener->head];
    listener->head = (listener->head + 1) % listener->room;
    listener->count--;
    return fd;
}

static void put(struct eddyi_uring *u, struct listener *listener, int fd) {
    if (EDDYI_UNLIKELY(listener->count == listener->room)) {
        /* KERNEL(6.1): before DEFER_TASKRUN it may go on accepting meanwhile. As if the backlog had
         * been full. */
        close(fd);
        return;
    }
    listener->fds[(listener->head + listener->count) % listener->room] = fd;
    listener->count++;
    if (listener->count >= QUEUED_HIGH) {
        eddyi_uring_shot_cancel(u, &listener->shot);
    }
}

bool eddyi_uring_accept(struct eddyi_uring *u, struct eddyi_op *op) {
    struct listener *listener = find(u, op->handle);
    if (listener == NULL || listener->alone) {
        return false;
    }
    if (listener->count > 0) {
        eddyi_uring_finish_later(u, op, take(listener));
        return true;
    }
    op->driver_word |= EDDYI_URING_WAITING;
    eddyi_list_push_back(&listener->waiters, &op->in_driver);
    eddyi_uring_shot_arm(u, &listener->shot); /* or, when it is ending, by its last completion */
    return true;
}

/* There is no accept that cannot block: another thread or process that shares the listener could
 * take the connection that a poll has seen. So the multishot is asked, and waits for nothing. */
int64_t eddyi_uring_accept_attempt(struct eddyi_uring *u, struct eddyi_op *op) {
    struct listener *listener = find(u, op->handle);
    if (listener == NULL || listener->alone || !eddyi_list_empty(&listener->waiters)) {
        return -EAGAIN;
    }
    if (listener->count == 0) {
        listener->error = 0;
        eddyi_uring_shot_arm(u, &listener->shot);
        if (io_uring_sq_ready(&u->ring) > 0 || io_uring_cq_ready(&u->ring) > 0 ||
            eddyi_uring_pending(u)) {
            eddyi_uring_look(u);
        }
    }
    if (listener->count > 0) {
        return take(listener);
    }
    return listener->error < 0 ? listener->error : -EAGAIN;
}

void eddyi_uring_accept_event(struct eddyi_uring *u, struct eddyi_uring_shot *shot, int res) {
    struct listener *listener = listener_of(shot);
    bool ended = res == -ECANCELED || res == -EINTR || res == -EAGAIN;
    if (res == -EINVAL || res == -EOPNOTSUPP) {
        /* KERNEL(5.19): no multishot; or not a listener. One for each op says which. */
        struct eddyi_op *op;
        listener->alone = true;
        while ((op = first_waiter(listener)) != NULL) {
            op->driver_word = 0;
            eddyi_uring_issue(u, op);
        }
        return;
    }
    if (!ended) {
        struct eddyi_op *op = first_waiter(listener);
        if (op != NULL) {
            eddyi_uring_complete(op, res);
        } else if (res >= 0) {
            put(u, listener, res);
        } else {
            /* Such as -EMFILE. It is not tried again before somebody asks. */
            listener->error = res;
        }
    }
    if (!shot->armed && !u->lost && !eddyi_list_empty(&listener->waiters)) {
        eddyi_uring_shot_arm(u, shot);
    }
}

void eddyi_uring_accept_forget(struct eddyi_uring *u, struct eddyi_handle *handle) {
    struct listener *listener = handle->driver_data;
    EDDY_ASSERT(eddyi_list_empty(&listener->waiters));
    eddyi_uring_shot_close(u, &listener->shot);
    while (listener->count > 0) {
        close(take(listener));
    }
    eddyi_free(listener);
    handle->driver_data = NULL;
    handle->attached = false;
}
