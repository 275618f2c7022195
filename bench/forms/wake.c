/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wake-up and its answer, between two threads that sleep on a CPU each.
 *
 *     forms_wake eventfd      they sleep in rings that poll an eventfd each
 *     forms_wake msg_ring     each writes into the other's ring, and sleeps, in one system call
 *     forms_wake futex        they sleep on a word of memory each
 */
#include <linux/futex.h>
#include <pthread.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../cpu.h"
#include "../ring.h"
#include "../wake/pin.h"

#define TRIPS 10000

struct side {
    int ring_fd;
    int event_fd;
    _Atomic uint32_t woken;
};

struct form {
    const char *name;
    void (*start)(struct side *side);
    void (*wake)(struct side *other);
    void (*await)(struct side *side);
};

static struct side sides[2];
static pthread_barrier_t both_started;
static const struct form *form;

static void start_own_ring(struct side *side) {
    start_ring();
    side->ring_fd = ring.ring_fd;
}

static void await_completion(unsigned kind) {
    struct io_uring_cqe *cqe = NULL;
    do {
        io_uring_submit_and_wait(&ring, 1);
    } while (io_uring_peek_cqe(&ring, &cqe) != 0);
    if (cqe->user_data >> 32 != kind || cqe->res < 0) {
        die("wake", cqe->res < 0 ? -cqe->res : EPROTO);
    }
    io_uring_cqe_seen(&ring, cqe);
}

/* ---- eventfd --------------------------------------------------------------------------------- */

enum { EVENT = 1, MESSAGE };

static void event_start(struct side *side) {
    start_own_ring(side);
    side->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_poll_multishot(sqe, side->event_fd, POLLIN);
    mark(sqe, EVENT, side->event_fd);
    io_uring_submit(&ring);
}

static void event_wake(struct side *other) {
    uint64_t one = 1;
    if (write(other->event_fd, &one, sizeof one) != sizeof one) {
        die("write", errno);
    }
}

static void event_await(struct side *side) {
    uint64_t count;
    await_completion(EVENT);
    if (read(side->event_fd, &count, sizeof count) != sizeof count) {
        die("read", errno);
    }
}

/* ---- messages between rings ------------------------------------------------------------------ */

static void message_wake(struct side *other) {
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_msg_ring(sqe, other->ring_fd, 0, (uint64_t)MESSAGE << 32, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

static void message_await(struct side *side) {
    (void)side;
    await_completion(MESSAGE);
}

/* ---- futex ----------------------------------------------------------------------------------- */

static void futex_start(struct side *side) {
    (void)side;
}

static void futex_wake(struct side *other) {
    atomic_store(&other->woken, 1);
    syscall(SYS_futex, &other->woken, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void futex_await(struct side *side) {
    while (atomic_exchange(&side->woken, 0) == 0) {
        syscall(SYS_futex, &side->woken, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
}

/* ---- the exchange ---------------------------------------------------------------------------- */

static const struct form forms[] = {
    {"eventfd", event_start, event_wake, event_await},
    {"msg_ring", start_own_ring, message_wake, message_await},
    {"futex", futex_start, futex_wake, futex_await},
};

static void start(int index) {
    pin_to(index);
    form->start(&sides[index]);
    pthread_barrier_wait(&both_started);
}

static void *answer(void *arg) {
    start(1);
    for (int i = 0; i < TRIPS; i++) {
        form->await(&sides[1]);
        form->wake(&sides[0]);
    }
    if (ring.ring_fd > 0) {
        io_uring_submit(&ring);
    }
    return arg;
}

static void exchange(void) {
    pthread_t thread;
    pthread_barrier_init(&both_started, NULL, 2);
    if (pthread_create(&thread, NULL, answer, NULL) != 0) {
        die("pthread_create", EAGAIN);
    }
    start(0);
    int64_t begin_ns = now_ns();
    int64_t cpu_before_ns = own_cpu_ns();
    for (int i = 0; i < TRIPS; i++) {
        form->wake(&sides[1]);
        form->await(&sides[0]);
    }
    printf("asleep_us %.3f\n", (double)(now_ns() - begin_ns) / 1e3 / TRIPS);
    printf("cpu_us %.3f\n", (double)(own_cpu_ns() - cpu_before_ns) / 1e3 / TRIPS);
    pthread_join(thread, NULL);
}

int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (argc == 2 && strcmp(argv[1], forms[i].name) == 0) {
            form = &forms[i];
        }
    }
    if (form == NULL) {
        fprintf(stderr, "usage: %s eventfd|msg_ring|futex\n", argv[0]);
        return 2;
    }
    exchange();
    return 0;
}
