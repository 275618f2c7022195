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
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/loop/loop_impl.h>

/* Reports taken in one wait; what is left over is reported by the next. */
#define EVENTS_MAX 256

#define SLOTS_FIRST 64

/* The first and the longest time between two attempts of a Unix connect to a full backlog. */
#define LATER_FIRST_NS EDDY_MS
#define LATER_SHIFT_MAX 4

/* In op->tries: the operation is in `ended`. */
#define TRIES_ENDED UINT16_MAX

/* All that a descriptor can report. The edges of what nobody waits for cost little, epoll_ctl
 * before each wait a quarter of the throughput. */
#define ALL_EVENTS (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET)

/* What epoll gives back for the driver's own descriptors. */
#define WAKE_DATA UINT64_MAX
#define TIMER_DATA (UINT64_MAX - 1)

/*
 * A registration. Epoll gives back its index and generation, never a pointer: it goes on reporting
 * a file that somebody else keeps open after its descriptor has been closed behind the driver's
 * back.
 */
struct slot {
    struct eddyi_handle *handle; /* NULL: free, and `fd` is the index of the next free one */
    uint32_t generation : 31;    /* counts the uses */
    uint32_t own : 1;            /* `fd` is the driver's: a duplicate */
    int fd;                      /* what is registered */
};

struct epoll_state {
    int epoll_fd;
    int wake_fd;      /* eventfd */
    int timer_fd;     /* for a foreign main loop; -1 until asked for */
    bool no_pwait2;   /* epoll_pwait2 is not there */
    bool completed;   /* this wait has completed something, and need not sleep */
    int64_t timer_ns; /* the deadline that timer_fd is set to, or EDDY_NEVER */
    struct slot *slots;
    uint32_t slot_count; /* below INT_MAX, so that an index fits `fd` */
    int slot_free;       /* index of the first free one, or -1 */
    struct eddyi_list due;
    struct eddyi_list later;
    struct eddyi_list ended;   /* result in op->driver_word */
    struct eddyi_list *cursor; /* the next node of a walk over handle->ops, or NULL */
    struct epoll_event events[EVENTS_MAX];
};

static struct epoll_state *state_of(eddy_loop *loop) {
    return loop->driver_state;
}

/* ---- slots ----------------------------------------------------------------------------------- */

static int grow_slots(struct epoll_state *state) {
    uint32_t count = state->slot_count == 0 ? SLOTS_FIRST : state->slot_count * 2;
    if (count > INT32_MAX) {
        return -ENOMEM;
    }
    struct slot *slots = eddyi_resize(state->slots, count * sizeof *slots);
    if (slots == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = state->slot_count; i < count; i++) {
        slots[i] = (struct slot){.fd = i + 1 < count ? (int)i + 1 : -1};
    }
    state->slot_free = (int)state->slot_count;
    state->slots = slots;
    state->slot_count = count;
    return 0;
}

static struct slot *slot_of(struct epoll_state *state, const struct eddyi_handle *handle) {
    return &state->slots[(uintptr_t)handle->driver_data];
}

/* The descriptor to make calls on. */
static int call_fd(struct epoll_state *state, const struct eddyi_handle *handle) {
    return handle->attached ? slot_of(state, handle)->fd : handle->fd;
}

/* Registers `fd`, or a duplicate when the loop watches it already for another handle. Gives the
 * descriptor that was registered. */
static int add_descriptor(struct epoll_state *state, int fd, struct epoll_event *event) {
    if (epoll_ctl(state->epoll_fd, EPOLL_CTL_ADD, fd, event) == 0) {
        return fd;
    }
    if (errno != EEXIST) {
        return -errno; /* EPERM: always ready; ENOSPC: max_user_watches; ENOMEM; EBADF */
    }
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) {
        return -errno;
    }
    if (epoll_ctl(state->epoll_fd, EPOLL_CTL_ADD, copy, event) < 0) {
        int r = -errno;
        close(copy);
        return r;
    }
    return copy;
}

/* Registers the handle. What is ready at this moment is reported by the next wait. */
static int attach(struct epoll_state *state, struct eddyi_handle *handle) {
    if (state->slot_free < 0) {
        int r = grow_slots(state);
        if (r < 0) {
            return r;
        }
    }
    uint32_t index = (uint32_t)state->slot_free;
    struct slot *slot = &state->slots[index];
    struct epoll_event event = {.events = ALL_EVENTS,
                                .data.u64 = (uint64_t)slot->generation << 32 | index};
    int fd = add_descriptor(state, handle->fd, &event);
    if (fd < 0) {
        return fd;
    }
    state->slot_free = slot->fd;
    slot->fd = fd;
    slot->own = fd != handle->fd;
    slot->handle = handle;
    handle->driver_data = (void *)(uintptr_t)index;
    handle->attached = true;
    return 0;
}

static void forget(eddy_loop *loop, struct eddyi_handle *handle) {
    struct epoll_state *state = state_of(loop);
    /* A forked child shares the registrations, and the file's O_NONBLOCK: they are the parent's. */
    bool forked = loop->pid != getpid();
    if (!forked) {
        eddyi_epoll_clear_nonblock(handle);
    }
    if (handle->attached) {
        struct slot *slot = slot_of(state, handle);
        if (!forked) {
            /* Not left to close: as long as any process has the file open it would be reported. */
            (void)epoll_ctl(state->epoll_fd, EPOLL_CTL_DEL, slot->fd, NULL);
        }
        if (slot->own) {
            close(slot->fd);
        }
        slot->handle = NULL;
        slot->generation++;
        slot->fd = state->slot_free;
        state->slot_free = (int)(uintptr_t)handle->driver_data;
        handle->driver_data = NULL;
        handle->attached = false;
    }
    handle->ready = 0;
}

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

static void finish(struct epoll_state *state, struct eddyi_op *op, int64_t result) {
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
static void end_with(struct epoll_state *state, struct eddyi_op *op, int64_t result) {
    op->tries = TRIES_ENDED;
    op->driver_word = (uint64_t)result;
    eddyi_list_push_back(&state->ended, &op->in_driver);
}

/*
 * Connect once more: as long as the connection is being made that says so, and at the end it gives
 * the very result that a connect that waits would have given. -EAGAIN: not yet.
 */
static int64_t try_connect(eddy_loop *loop, struct eddyi_op *op) {
    struct epoll_state *state = state_of(loop);
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
        r = attach(state, op->handle);
        return r < 0 ? r : -EAGAIN;
    }
    return -EAGAIN;
}

/* Tries an operation that nothing speaks against, and completes it unless it has to wait on. */
static void try_op(eddy_loop *loop, struct eddyi_op *op) {
    struct epoll_state *state = state_of(loop);
    uint32_t bit = needs(op);
    if (bit != 0 && (op->handle->ready & bit) == 0) {
        return;
    }
    int64_t r = op->kind == EDDYI_OP_CONNECT
                    ? try_connect(loop, op)
                    : eddyi_epoll_try(op->handle, call_fd(state, op->handle), op);
    if (r != -EAGAIN) {
        finish(state, op, r);
    }
}

static void dispatch(eddy_loop *loop, const struct epoll_event *event) {
    struct epoll_state *state = state_of(loop);
    if (event->data.u64 == WAKE_DATA) {
        return; /* edge-triggered: it need not be read */
    }
    if (event->data.u64 == TIMER_DATA) {
        state->timer_ns = EDDY_NEVER;
        return;
    }
    const struct slot *slot = &state->slots[(uint32_t)event->data.u64];
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
    return eddyi_epoll_try(handle, call_fd(state_of(loop), handle), op);
}

static void submit(eddy_loop *loop, struct eddyi_op *op) {
    struct epoll_state *state = state_of(loop);
    struct eddyi_handle *handle = op->handle;
    int r = 0;
    if (op->kind == EDDYI_OP_CONNECT) {
        /* Registered when it turns out to take time, which on this machine and on Unix sockets it
         * does not. The socket is blocking again when the operation ends. */
        r = eddyi_epoll_set_nonblock(handle);
        handle->ready |= EDDYI_EPOLL_CAN_WRITE;
    } else if (handle->kind != EDDYI_HANDLE_FILE && !handle->attached) {
        r = attach(state, handle);
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
    struct epoll_state *state = state_of(loop);
    if (op->tries != TRIES_ENDED) { /* else the next wait delivers its own result */
        finish(state, op, -ECANCELED);
    }
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Moves what has to be tried again by now to `due`; the next time for that, or EDDY_NEVER. */
static int64_t look_at_later(eddy_loop *loop) {
    struct epoll_state *state = state_of(loop);
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
    struct epoll_state *state = state_of(loop);
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

static int wait_milliseconds(struct epoll_state *state, int64_t timeout_ns) {
    int timeout_ms = -1;
    if (timeout_ns != EDDY_NEVER) {
        int64_t up_ms = timeout_ns / EDDY_MS + (timeout_ns % EDDY_MS != 0 ? 1 : 0);
        timeout_ms = up_ms > INT32_MAX ? INT32_MAX : (int)up_ms;
    }
    return epoll_wait(state->epoll_fd, state->events, EVENTS_MAX, timeout_ms);
}

/* Nothing else can go wrong, but that its descriptor is not ours any more: to go on would be to
 * turn for ever. */
static int interrupted(void) {
    EDDY_ASSERT_SAY(errno == EINTR, "epoll_wait refuses: was the loop's descriptor closed?");
    return 0;
}

/* Waits for up to timeout_ns; how many events came. */
static int wait_events(struct epoll_state *state, int64_t timeout_ns) {
    if (!state->no_pwait2 && timeout_ns > 0 && timeout_ns != EDDY_NEVER) {
        struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / EDDY_S),
                                   .tv_nsec = (long)(timeout_ns % EDDY_S)};
        int n = epoll_pwait2(state->epoll_fd, state->events, EVENTS_MAX, &timeout, NULL);
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
    struct epoll_state *state = state_of(loop);
    state->completed = false;
    int64_t later_ns = look_at_later(loop);
    run_queues(loop);
    int64_t timeout_ns = 0;
    if (!state->completed && deadline_ns > loop->now_ns && eddyi_list_empty(&state->ended) &&
        eddyi_list_empty(&state->due)) {
        if (later_ns == EDDY_NEVER) {
            later_ns = look_at_later(loop); /* run_queues may have put something there */
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
        n = write(state_of(loop)->wake_fd, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
}

/* ---- a foreign main loop --------------------------------------------------------------------- */

static int pollable(eddy_loop *loop) {
    struct epoll_state *state = state_of(loop);
    if (state->timer_fd >= 0) {
        return state->epoll_fd;
    }
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = TIMER_DATA};
    if (epoll_ctl(state->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    state->timer_fd = fd;
    state->timer_ns = EDDY_NEVER;
    return state->epoll_fd;
}

static void arm(eddy_loop *loop, int64_t deadline_ns) {
    struct epoll_state *state = state_of(loop);
    if (state->timer_fd < 0) {
        return;
    }
    int64_t later_ns = look_at_later(loop);
    if (!eddyi_list_empty(&state->due) || !eddyi_list_empty(&state->ended)) {
        deadline_ns = 0;
    } else if (later_ns < deadline_ns) {
        deadline_ns = later_ns;
    }
    if (deadline_ns == state->timer_ns) {
        return;
    }
    struct itimerspec setting = {0};
    if (deadline_ns != EDDY_NEVER) {
        /* Zero would disarm it; a nanosecond after the start of time is over, too. */
        int64_t at_ns = deadline_ns < 1 ? 1 : deadline_ns;
        setting.it_value.tv_sec = (time_t)(at_ns / EDDY_S);
        setting.it_value.tv_nsec = (long)(at_ns % EDDY_S);
    }
    int r = timerfd_settime(state->timer_fd, TFD_TIMER_ABSTIME, &setting, NULL);
    EDDY_ASSERT(r == 0);
    state->timer_ns = deadline_ns;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void close_descriptors(struct epoll_state *state) {
    int fds[] = {state->timer_fd, state->wake_fd, state->epoll_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
}

static int open_descriptors(struct epoll_state *state, char *reason, size_t size) {
    const char *what = "epoll_create1";
    state->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (state->epoll_fd >= 0) {
        what = "eventfd";
        state->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    if (state->wake_fd >= 0) {
        /* Edge-triggered, each write is reported once, and nobody has to read it. */
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = WAKE_DATA};
        what = "epoll_ctl";
        if (epoll_ctl(state->epoll_fd, EPOLL_CTL_ADD, state->wake_fd, &event) == 0) {
            return 0;
        }
    }
    int r = -errno;
    snprintf(reason, size, "%s: %s", what, eddy_error_text(r));
    return r;
}

static int open_driver(eddy_loop *loop, const struct eddyi_driver_opts *opts, char *reason,
                       size_t size) {
    (void)opts;
    struct epoll_state *state = eddyi_zalloc(sizeof *state);
    if (state == NULL) {
        snprintf(reason, size, "no memory");
        return -ENOMEM;
    }
    state->epoll_fd = -1;
    state->wake_fd = -1;
    state->timer_fd = -1;
    state->slot_free = -1;
    eddyi_list_init(&state->due);
    eddyi_list_init(&state->later);
    eddyi_list_init(&state->ended);
    int r = open_descriptors(state, reason, size);
    if (r < 0) {
        close_descriptors(state);
        eddyi_free(state);
        return r;
    }
    loop->driver_state = state;
    return 0;
}

static void close_driver(eddy_loop *loop) {
    struct epoll_state *state = state_of(loop);
    /* In a forked child handles were not forgotten; their own memory may be gone already. */
    for (uint32_t i = 0; i < state->slot_count; i++) {
        if (state->slots[i].handle != NULL && state->slots[i].own) {
            close(state->slots[i].fd);
        }
    }
    close_descriptors(state);
    eddyi_free(state->slots);
    eddyi_free(state);
    loop->driver_state = NULL;
}

const struct eddyi_driver eddyi_driver_epoll = {
    .name = "epoll",
    .open = open_driver,
    .close = close_driver,
    .attempt = attempt,
    .submit = submit,
    .cancel = cancel,
    .wait = wait,
    .wake = wake,
    .forget = forget,
    .pollable = pollable,
    .arm = arm,
};
