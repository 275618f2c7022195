/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/driver/uring_impl.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <eddy/runtime/base/cpu_impl.h>
#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/memory_impl.h>

/* A turn rarely submits more, and what it does goes in several calls; 292 rings of this size fit
 * into the usual 8 MiB of RLIMIT_MEMLOCK, in which they count since Linux 6.14. */
#define SQ_ENTRIES 256
/* An overflow costs no completion but ends every multishot, so room is cheaper. */
#define CQ_ENTRIES 4096
/* Below this the rings are not halved any more when there is no memory for them. */
#define SQ_ENTRIES_FLOOR 16
#define CQ_ENTRIES_FLOOR 64

/* Entries that ops leave free: one for a cancel, one for the waker. */
#define RESERVE 2

/* Each loop's thread has its own workers in the kernel: for files, and for the little else that
 * cannot be polled. The default for the second is RLIMIT_NPROC. */
#define WORKERS_UNBOUNDED 32

static _Thread_local struct {
    int error;
    unsigned times;
} setup_fault;

void eddyi_uring_fail_setup(int error, unsigned times) {
    setup_fault.error = error;
    setup_fault.times = times;
}

/* ---- why not --------------------------------------------------------------------------------- */

static void say(char *reason, size_t size, const char *call, int error) {
    const char *hint = "";
    switch (error) {
    case -EPERM:
        hint = " (seccomp or kernel.io_uring_disabled)";
        break;
    case -ENOSYS:
        hint = " (the kernel is built without it, or seccomp)";
        break;
    case -ENOMEM:
        hint = " (rings count in RLIMIT_MEMLOCK)";
        break;
    default:
        break;
    }
    snprintf(reason, size, "%s: %s%s", call, eddy_error_text(error), hint);
}

/* ---- the ring -------------------------------------------------------------------------------- */

/* Stands for the kernel's order between one ring's end and the begin of the next one at the same
 * address, on another thread: liburing maps by system calls that ThreadSanitizer does not see. */
static char *const ring_maps = (char *)(uintptr_t)&eddyi_driver_uring;

static int set_up(struct io_uring *ring, unsigned entries, struct io_uring_params *params) {
    if (setup_fault.times > 0) {
        setup_fault.times--;
        return setup_fault.error;
    }
#ifdef __ANDROID__
    /* Its seccomp filter does not refuse the call, it kills the process. */
    return -ENOSYS;
#else
    int r = io_uring_queue_init_params(entries, ring, params);
    EDDYI_URING_ACQUIRE(ring_maps);
    return r;
#endif
}

/*
 * What to ask for, best first; a kernel that does not know a flag refuses the whole ring. Rings are
 * made disabled, because they bind to the thread that enables them, which need not be this one.
 */
static const unsigned ladder[] = {
    /* KERNEL(6.1): completions are only made inside our own io_uring_enter. */
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN |
        IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
    /* KERNEL(5.19): no interrupt when something has completed. */
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
    /* KERNEL(5.11) */
    0,
};

static int make_ring(struct eddyi_uring *u, const struct eddyi_driver_opts *opts,
                     struct io_uring_params *ret_params) {
    unsigned sq_entries = opts->sq_entries == 0 ? SQ_ENTRIES : opts->sq_entries;
    unsigned cq_entries = opts->cq_entries == 0 ? CQ_ENTRIES : opts->cq_entries;
    size_t rung = 0;
    for (;;) {
        if (cq_entries < sq_entries) {
            cq_entries = sq_entries;
        }
        *ret_params = (struct io_uring_params){
            .flags =
                ladder[rung] | IORING_SETUP_R_DISABLED | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE,
            .cq_entries = cq_entries,
        };
        int r = set_up(&u->ring, sq_entries, ret_params);
        if (r == -EINVAL && rung + 1 < sizeof ladder / sizeof ladder[0]) {
            rung++;
        } else if (r == -ENOMEM &&
                   (sq_entries > SQ_ENTRIES_FLOOR || cq_entries > CQ_ENTRIES_FLOOR)) {
            sq_entries = sq_entries > SQ_ENTRIES_FLOOR ? sq_entries / 2 : sq_entries;
            cq_entries = cq_entries > CQ_ENTRIES_FLOOR ? cq_entries / 2 : cq_entries;
        } else {
            return r;
        }
    }
}

/* What every kernel with EXT_ARG should have; a sandbox may offer less. */
static int check_features(struct eddyi_uring *u, unsigned features, char *reason, size_t size) {
    static const uint8_t needed[] = {
        IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL, IORING_OP_READ,
        IORING_OP_WRITE,    IORING_OP_RECV,         IORING_OP_SEND,
        IORING_OP_SENDMSG,  IORING_OP_ACCEPT,       IORING_OP_CONNECT,
    };
    enum { OPS = 64 };
    union {
        struct io_uring_probe probe;
        char room[sizeof(struct io_uring_probe) + OPS * sizeof(struct io_uring_probe_op)];
    } answer;
    if ((features & IORING_FEAT_EXT_ARG) == 0 || (features & IORING_FEAT_NODROP) == 0) {
        snprintf(reason, size, "io_uring is older than Linux 5.11 here");
        return -ENOSYS;
    }
    memset(&answer, 0, sizeof answer);
    int r = io_uring_register_probe(&u->ring, &answer.probe, OPS);
    if (r < 0) {
        say(reason, size, "io_uring_register", r);
        return r;
    }
    for (size_t i = 0; i < sizeof needed; i++) {
        if (!io_uring_opcode_supported(&answer.probe, needed[i])) {
            snprintf(reason, size, "io_uring lacks operation %u here", (unsigned)needed[i]);
            return -ENOSYS;
        }
    }
    return 0;
}

/* ---- open and close -------------------------------------------------------------------------- */

static void init(struct eddyi_uring *u, eddy_loop *loop) {
    u->loop = loop;
    u->ring.ring_fd = -1;
    u->wake_fd = -1;
    u->epoll_fd = -1;
    u->event_fd = -1;
    u->timer_fd = -1;
    u->slot_free = EDDYI_URING_NO_SLOT;
    eddyi_list_init(&u->parked);
    eddyi_list_init(&u->in_kernel);
    eddyi_list_init(&u->cancels);
    eddyi_list_init(&u->finished);
    eddyi_list_init(&u->shots);
    eddyi_list_init(&u->dirty);
}

/* A seccomp filter may let a ring be made, and refuse its use: without this that would show in the
 * first turn, when it is too late to take another driver. A ring that is disabled says -EBADFD. */
static int check_enter(struct eddyi_uring *u, char *reason, size_t size) {
    int r = io_uring_enter2((unsigned)u->ring.ring_fd, 0, 0, 0, NULL, _NSIG / 8);
    if (r >= 0 || r == -EBADFD) {
        return 0;
    }
    say(reason, size, "io_uring_enter", r);
    return r;
}

/* A filter may know the calls of io_uring_register one by one. Without an argument this one would
 * bind the ring to this thread; with one it says that there must be none. */
static int check_enable(struct eddyi_uring *u, char *reason, size_t size) {
    int r = io_uring_register((unsigned)u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, &u->ring, 1);
    if (r == -EINVAL) {
        return 0;
    }
    say(reason, size, "io_uring_register", r);
    return r < 0 ? r : -EINVAL;
}

static int open_ring(struct eddyi_uring *u, const struct eddyi_driver_opts *opts, char *reason,
                     size_t size) {
    struct io_uring_params params;
    int r = eddyi_memory_refused() ? -ENOMEM : make_ring(u, opts, &params);
    if (r < 0) {
        u->ring.ring_fd = -1;
        say(reason, size, "io_uring_setup", r);
        return r;
    }
    u->dontfork = io_uring_ring_dontfork(&u->ring) == 0;
    u->defers = (params.flags & IORING_SETUP_DEFER_TASKRUN) != 0;
    u->wait_flags = IORING_ENTER_GETEVENTS;
    if ((params.features & EDDYI_URING_FEAT_NO_IOWAIT) != 0) {
        u->wait_flags |= EDDYI_URING_ENTER_NO_IOWAIT;
    }
    u->reserve = u->ring.sq.ring_entries >= 4 * RESERVE ? RESERVE : 0;
    const char *asked = u->loop->opts.driver;
    if (!u->defers && asked != NULL && strcmp(asked, "auto") == 0) {
        snprintf(reason, size, "io_uring is older than Linux 6.1 here; epoll does better");
        return -ENOSYS;
    }
    r = check_enter(u, reason, size);
    r = r < 0 ? r : check_enable(u, reason, size);
    return r < 0 ? r : check_features(u, params.features, reason, size);
}

static void give_back(struct eddyi_uring *u, bool forked) {
    eddyi_uring_pollable_close(u);
    if (u->wake_fd >= 0) {
        close(u->wake_fd);
    }
    if (u->ring.ring_fd >= 0) {
        if (forked && u->dontfork) {
            /* The ring is not mapped here, and at its address there may be something else. */
            close(u->ring.ring_fd);
        } else {
            if (!forked && u->ring.enter_ring_fd != u->ring.ring_fd) {
                /* Or the thread would keep the ring until its own end. */
                io_uring_unregister_ring_fd(&u->ring);
            }
            EDDYI_URING_RELEASE(ring_maps);
            io_uring_queue_exit(&u->ring);
        }
    }
    eddyi_uring_pool_close(u, forked);
    eddyi_free(u->slots);
    eddyi_free(u);
}

int eddyi_uring_open(eddy_loop *loop, const struct eddyi_driver_opts *opts, char *reason,
                     size_t size) {
    struct eddyi_uring *u = eddyi_zalloc(sizeof *u);
    if (u == NULL) {
        say(reason, size, "io_uring", -ENOMEM);
        return -ENOMEM;
    }
    init(u, loop);
    int r = open_ring(u, opts, reason, size);
    if (r == 0) {
        u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (u->wake_fd < 0) {
            r = -errno;
            say(reason, size, "eventfd", r);
        }
    }
    if (r < 0) {
        give_back(u, false);
        return r;
    }
    loop->driver_state = u;
    return 0;
}

void eddyi_uring_close(eddy_loop *loop) {
    struct eddyi_uring *u = loop->driver_state;
    bool forked = loop->pid != getpid();
    if (!forked) {
        EDDY_ASSERT_SAY(eddyi_list_empty(&u->parked) && eddyi_list_empty(&u->in_kernel) &&
                            eddyi_list_empty(&u->cancels) && eddyi_list_empty(&u->finished),
                        "a loop is closed under an operation");
    }
    loop->driver_state = NULL;
    give_back(u, forked);
}

void eddyi_uring_enable(struct eddyi_uring *u) {
    /* liburing 2.3 declares io_uring_enable_rings and does not export it. */
    int r = io_uring_register((unsigned)u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    EDDY_ASSERT_SAY(r == 0, "a ring that was set up can be enabled");
    u->enabled = true;
    /* Saves the look-up of the descriptor in each call; it works without. */
    if (io_uring_register_ring_fd(&u->ring) == 1) {
        u->enter_flags |= IORING_ENTER_REGISTERED_RING;
    }
    int cpus = eddyi_cpu_affinity();
    unsigned workers[2] = {cpus < 2 ? 2 : (unsigned)cpus, WORKERS_UNBOUNDED};
    (void)io_uring_register_iowq_max_workers(&u->ring, workers);
}
