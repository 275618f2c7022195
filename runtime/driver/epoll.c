/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The epoll driver. Where an operation waits:
 *
 *     submit --+--> due: something says it would work; tried at the next wait, before it sleeps
 *              |      |  ^
 *              |      v  | (POLL, and what the bits of its handle allow)
 *              +--> handle->ops only: until epoll reports its descriptor
 *              |
 *              +--> later: a Unix connect to a full backlog, which nothing reports; by the clock
 *              |
 *              +--> ended: it has its result already, an error of the registration for one
 *
 * `due`, `later` and `ended` link op->in_driver. An operation is completed from wait or cancel
 * only.
 */
#include <eddy/runtime/driver/epoll_impl.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The first and the longest time between two attempts of a Unix connect to a full backlog. */
#define LATER_FIRST_NS EDDY_MS
#define LATER_SHIFT_MAX 4

/* In op->tries: the operation is in `ended`. */
#define TRIES_ENDED UINT16_MAX

/* ---- trying ---------------------------------------------------------------------------------- */

/* The bit of handle->ready that the operation needs; 0 when it has to look for itself. */
static uint32_t needs(const struct eddyi_op *op) {
    switch ((enum eddyi_op_kind)op->kind) {
    case EDDYI_OP_READ:
    case EDDYI_OP_RECV:
    case EDDYI_OP_ACCEPT:
        return EDDYI_EPOLL_CAN_READ;
    case EDDYI_OP_WRITE:
    case EDDYI_OP_SEND:
    case EDDYI_OP_SENDV:
    case EDDYI_OP_CONNECT:
        return EDDYI_EPOLL_CAN_WRITE;
    case EDDYI_OP_POLL:
        break;
    }
    return 0;
}

static void finish(struct eddyi_epoll *state, struct eddyi_op *op, int64_t result) {
    if (op->kind == EDDYI_OP_CONNECT) {
        eddyi_epoll_clear_nonblock(op->handle);
    }
    if (state->cursor == &op->in_handle) {
        state->cursor = op->in_handle.next;
    }
    eddyi_list_remove(&op->in_driver);
    state->completed = true;
    eddyi_op_complete(op, result);
}

/* For submit, which must not complete: the next wait does. */
static void end_with(struct eddyi_epoll *state, struct eddyi_op *op, int64_t result) {
    op->tries = TRIES_ENDED;
    op->driver_word = (uint64_t)result;
    eddyi_list_push_back(&state->ended, &op->in_driver);
}

/*
 * Connect once more: as long as the connection is being made that says so, and at the end it gives
 * the very result that a connect that waits would have given. -EAGAIN: not yet.
 */
static int64_t try_connect(eddy_loop *loop, struct eddyi_op *op) {
    struct eddyi_epoll *state = eddyi_epoll_of(loop);
    int r;
    do {
        r = connect(op->handle->fd, op->addr, (socklen_t)op->len) < 0 ? -errno : 0;
    } while (r == -EINTR);
    if (r == -EAGAIN && op->addr->sa_family == AF_UNIX) {
        int64_t wait_ns = LATER_FIRST_NS << (op->tries < LATER_SHIFT_MAX ? op->tries++ : op->tries);
        op->driver_word = (uint64_t)(eddyi_loop_clock(loop) + wait_ns);
        eddyi_list_push_back(&state->later, &op->in_driver);
        return -EAGAIN;
    }
    if (r != -EINPROGRESS && r != -EALREADY) {
        return r == -EAGAIN ? -EADDRNOTAVAIL : r; /* -EAGAIN is the inner sign for "not yet" */
    }
    op->handle->ready &= ~(uint32_t)EDDYI_EPOLL_CAN_WRITE;
    if (!op->handle->attached) {
        r = eddyi_epoll_attach(state, op->handle);
        return r < 0 ? r : -EAGAIN;
    }
    return -EAGAIN;
}

/* Tries an operation that nothing speaks against, and completes it unless it has to wait on. */
static void try_op(eddy_loop *loop, struct eddyi_op *op) {
    struct eddyi_epoll *state = eddyi_epoll_of(loop);
    uint32_t bit = needs(op);
    if (bit != 0 && (op->handle->ready & bit) == 0) {
        return;
    }
    int64_t r = op->kind == EDDYI_OP_CONNECT
                    ? try_connect(loop, op)
                    : eddyi_epoll_try(op->handle, eddyi_epoll_call_fd(state, op->handle), op);
    if (r != -EAGAIN) {
        finish(state, op, r);
    }
}

static void dispatch(eddy_loop *loop, const struct epoll_event *event) {
    struct eddyi_epoll *state = eddyi_epoll_of(loop);
    if (event->data.u64 == EDDYI_EPOLL_WAKE_DATA) {
        return; /* edge-triggered: it need not be read */
    }
    if (event->data.u64 == EDDYI_EPOLL_TIMER_DATA) {
        state->timer_ns = EDDY_NEVER;
        return;
    }
    const struct eddyi_epoll_slot *slot = &state->slots[(uint32_t)event->data.u64];
    if (slot->handle == NULL || slot->generation != (uint32_t)(event->data.u64 >> 32)) {
        return;
    }
    struct eddyi_handle *handle = slot->handle;
    uint32_t events = event->events;
    if ((events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        handle->ready |= EDDYI_EPOLL_CAN_READ;
    }
    if ((events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        handle->ready |= EDDYI_EPOLL_KEEP_READING;
    }
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
        handle->ready |= EDDYI_EPOLL_CAN_WRITE;
    }
    /* Completing one operation may cancel, and so complete, another: `finish` moves the cursor. */
    const struct eddyi_list *end = &handle->ops;
    state->cursor = handle->ops.next;
    while (state->cursor != end) {
        struct eddyi_op *op = EDDYI_LIST_ENTRY(state->cursor, struct eddyi_op, in_handle);
        state->cursor = state->cursor->next;
        if (!eddyi_list_linked(&op->in_driver)) {
            try_op(loop, op);
        }
    }
    state->cursor = NULL;
}

/* ---- operations ------------------------------------------------------------------------------ */

/* Whether another operation of the same direction waits, which comes first. Places in a file are
 * independent of each other. */
static bool has_to_queue(const struct eddyi_op *op) {
    const struct eddyi_handle *handle = op->handle;
    if (op->kind == EDDYI_OP_POLL || handle->kind == EDDYI_HANDLE_FILE) {
        return false;
    }
    EDDYI_LIST_EACH(node, &handle->ops) {
        if (needs(EDDYI_LIST_ENTRY(node, struct eddyi_op, in_handle)) == needs(op)) {
            return true;
        }
    }
    return false;
}

static int64_t attempt(eddy_loop *loop, struct eddyi_op *op) {
    struct eddyi_handle *handle = op->handle;
    uint32_t bit = needs(op);
    if (op->kind == EDDYI_OP_CONNECT || has_to_queue(op) ||
        (handle->attached && bit != 0 && (handle->ready & bit) == 0)) {
        return -EAGAIN;
    }
    return eddyi_epoll_try(handle, eddyi_epoll_call_fd(eddyi_epoll_of(loop), handle), op);
}

static void submit(eddy_loop *loop, struct eddyi_op *op) {
    struct eddyi_epoll *state = eddyi_epoll_of(loop);
    struct eddyi_handle *handle = op->handle;
    int r = 0;
    if (op->kind == EDDYI_OP_CONNECT) {
        /* Registered when it turns out to take time, which on this machine and on Unix sockets it
         * does not. The socket is blocking again when the operation ends. */
        r = eddyi_epoll_set_nonblock(handle);
        handle->ready |= EDDYI_EPOLL_CAN_WRITE;
    } else if (handle->kind != EDDYI_HANDLE_FILE && !handle->attached) {
        r = eddyi_epoll_attach(state, handle);
        if (r == -EPERM) {
            /* Epoll has nothing to say about regular files and some devices: always ready. */
            handle->kind = EDDYI_HANDLE_FILE;
        } else if (r == 0) {
            return; /* the next wait reports what is ready already */
        } else {
            end_with(state, op, r);
            return;
        }
        r = 0;
    }
    if (r < 0) {
        end_with(state, op, r);
    } else if (handle->kind == EDDYI_HANDLE_FILE) {
        if (op->kind == EDDYI_OP_READ || op->kind == EDDYI_OP_WRITE) {
            eddyi_op_offload(loop, op);
            return;
        }
        handle->ready |= EDDYI_EPOLL_CAN_READ | EDDYI_EPOLL_CAN_WRITE;
        eddyi_list_push_back(&state->due, &op->in_driver);
    } else if (op->kind == EDDYI_OP_POLL || (handle->ready & needs(op)) != 0) {
        eddyi_list_push_back(&state->due, &op->in_driver);
    }
}

static void cancel(eddy_loop *loop, struct eddyi_op *op) {
    struct eddyi_epoll *state = eddyi_epoll_of(loop);
    if (op->tries != TRIES_ENDED) { /* else the next wait delivers its own result */
        finish(state, op, -ECANCELED);
    }
}

/* ---- waiting --------------------------------------------------------------------------------- */

int64_t eddyi_epoll_look_at_later(eddy_loop *loop) {
    struct eddyi_epoll *state = eddyi_epoll_of(loop);
    int64_t next_ns = EDDY_NEVER;
    if (eddyi_list_empty(&state->later)) {
        return next_ns;
    }
    int64_t now_ns = eddyi_loop_clock(loop);
    EDDYI_LIST_EACH(node, &state->later) {
        struct eddyi_op *op = EDDYI_LIST_ENTRY(node, struct eddyi_op, in_driver);
        int64_t time_ns = (int64_t)op->driver_word;
        if (time_ns <= now_ns) {
            eddyi_list_remove(node);
            eddyi_list_push_back(&state->due, node);
        } else if (time_ns < next_ns) {
            next_ns = time_ns;
        }
    }
    return next_ns;
}

/* Completes what has ended and tries what is due; not what becomes due meanwhile. */
static void run_queues(eddy_loop *loop) {
    struct eddyi_epoll *state = eddyi_epoll_of(loop);
    struct eddyi_list *node;
    if (eddyi_list_empty(&state->ended) && eddyi_list_empty(&state->due)) {
        return;
    }
    struct eddyi_list ended = EDDYI_LIST_INIT(ended);
    struct eddyi_list due = EDDYI_LIST_INIT(due);
    eddyi_list_splice_back(&ended, &state->ended);
    eddyi_list_splice_back(&due, &state->due);
    while ((node = eddyi_list_pop_front(&ended)) != NULL) {
        struct eddyi_op *op = EDDYI_LIST_ENTRY(node, struct eddyi_op, in_driver);
        finish(state, op, (int64_t)op->driver_word);
    }
    while ((node = eddyi_list_pop_front(&due)) != NULL) {
        try_op(loop, EDDYI_LIST_ENTRY(node, struct eddyi_op, in_driver));
    }
}

static int wait_milliseconds(struct eddyi_epoll *state, int64_t timeout_ns) {
    int timeout_ms = -1;
    if (timeout_ns != EDDY_NEVER) {
        int64_t up_ms = timeout_ns / EDDY_MS + (timeout_ns % EDDY_MS != 0 ? 1 : 0);
        timeout_ms = up_ms > INT32_MAX ? INT32_MAX : (int)up_ms;
    }
    return epoll_wait(state->epoll_fd, state->events, EDDYI_EPOLL_EVENTS_MAX, timeout_ms);
}

/* Nothing else can go wrong, but that its descriptor is not ours any more: to go on would be to
 * turn for ever. */
static int interrupted(void) {
    EDDY_ASSERT_SAY(errno == EINTR, "epoll_wait refuses: was the loop's descriptor closed?");
    return 0;
}

/* Waits for up to timeout_ns; how many events came. */
static int wait_events(struct eddyi_epoll *state, int64_t timeout_ns) {
    if (!state->no_pwait2 && timeout_ns > 0 && timeout_ns != EDDY_NEVER) {
        struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / EDDY_S),
                                   .tv_nsec = (long)(timeout_ns % EDDY_S)};
        int n =
            epoll_pwait2(state->epoll_fd, state->events, EDDYI_EPOLL_EVENTS_MAX, &timeout, NULL);
        if (n >= 0) {
            return n;
        }
        if (errno != ENOSYS && errno != EPERM) {
            return interrupted();
        }
        /* KERNEL(5.11): not there, or a seccomp filter does not know it. */
        state->no_pwait2 = true;
    }
    int n = wait_milliseconds(state, timeout_ns);
    return n < 0 ? interrupted() : n;
}

static void wait(eddy_loop *loop, int64_t deadline_ns) {
    struct eddyi_epoll *state = eddyi_epoll_of(loop);
    state->completed = false;
    int64_t later_ns = eddyi_epoll_look_at_later(loop);
    run_queues(loop);
    int64_t timeout_ns = 0;
    if (!state->completed && deadline_ns > loop->now_ns && eddyi_list_empty(&state->ended) &&
        eddyi_list_empty(&state->due)) {
        if (later_ns == EDDY_NEVER) {
            later_ns =
                eddyi_epoll_look_at_later(loop); /* run_queues may have put something there */
        }
        timeout_ns = later_ns < deadline_ns ? later_ns : deadline_ns;
        if (timeout_ns != EDDY_NEVER) {
            timeout_ns -= eddyi_loop_clock(loop);
            timeout_ns = timeout_ns < 0 ? 0 : timeout_ns;
        }
    }
    int count = wait_events(state, timeout_ns);
    for (int i = 0; i < count; i++) {
        dispatch(loop, &state->events[i]);
    }
}

static void wake(eddy_loop *loop) {
    static const uint64_t one = 1;
    ssize_t n;
    do {
        n = write(eddyi_epoll_of(loop)->wake_fd, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
}

const struct eddyi_driver eddyi_driver_epoll = {
    .name = "epoll",
    .open = eddyi_epoll_open,
    .close = eddyi_epoll_close,
    .attempt = attempt,
    .submit = submit,
    .cancel = cancel,
    .wait = wait,
    .wake = wake,
    .forget = eddyi_epoll_forget,
    .pollable = eddyi_epoll_pollable,
    .arm = eddyi_epoll_arm,
};
