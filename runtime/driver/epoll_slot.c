/* SPDX-License-Identifier: Apache-2.0 */
/* Which descriptors the epoll driver watches, and for whom. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/driver/epoll_impl.h>

#define SLOTS_FIRST 64

/* All that a descriptor can report. The edges of what nobody waits for cost little, epoll_ctl
 * before each wait a quarter of the throughput. */
#define ALL_EVENTS (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET)

/* ---- slots ----------------------------------------------------------------------------------- */

static int grow_slots(struct eddyi_epoll *state) {
    uint32_t count = state->slot_count == 0 ? SLOTS_FIRST : state->slot_count * 2;
    if (count > INT32_MAX) {
        return -ENOMEM;
    }
    struct eddyi_epoll_slot *slots = eddyi_resize(state->slots, count * sizeof *slots);
    if (slots == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = state->slot_count; i < count; i++) {
        slots[i] = (struct eddyi_epoll_slot){.fd = i + 1 < count ? (int)i + 1 : -1};
    }
    state->slot_free = (int)state->slot_count;
    state->slots = slots;
    state->slot_count = count;
    return 0;
}

/* Registers `fd`, or a duplicate when the loop watches it already for another handle. Gives the
 * descriptor that was registered. */
static int add_descriptor(struct eddyi_epoll *state, int fd, struct epoll_event *event) {
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

int eddyi_epoll_attach(struct eddyi_epoll *state, struct eddyi_handle *handle) {
    if (state->slot_free < 0) {
        int r = grow_slots(state);
        if (r < 0) {
            return r;
        }
    }
    uint32_t index = (uint32_t)state->slot_free;
    struct eddyi_epoll_slot *slot = &state->slots[index];
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

void eddyi_epoll_forget(eddy_loop *loop, struct eddyi_handle *handle) {
    struct eddyi_epoll *state = eddyi_epoll_of(loop);
    if (!handle->attached && (handle->ready & EDDYI_EPOLL_MADE_NONBLOCK) == 0) {
        handle->ready = 0; /* a file: the kernel was told nothing of it */
        return;
    }
    /* A forked child shares the registrations, and the file's O_NONBLOCK: they are the parent's. */
    bool forked = loop->pid != getpid();
    if (!forked) {
        eddyi_epoll_clear_nonblock(handle);
    }
    if (handle->attached) {
        struct eddyi_epoll_slot *slot = eddyi_epoll_slot_of(state, handle);
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
