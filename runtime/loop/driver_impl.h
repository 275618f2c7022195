/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver: the only code that asks the kernel for anything asynchronous. With the host table
 * (runtime/base/host_impl.h) it is the whole contract with an operating system; `sim` is a driver
 * and a host that have none.
 *
 * Every function but `wake` is called on the loop's thread, `wait` never from inside another one.
 */
#ifndef EDDY_RUNTIME_LOOP_DRIVER_IMPL_H
#define EDDY_RUNTIME_LOOP_DRIVER_IMPL_H

#include <eddy/runtime/base/host_impl.h>
#include <eddy/runtime/loop/op_impl.h>

struct eddyi_driver_opts {
    uint64_t seed;       /* sim */
    uint32_t sq_entries; /* uring; 0: 256 */
    uint32_t cq_entries; /* uring; 0: 4096 */
};

struct eddyi_driver {
    const char *name;

    /* Sets loop->driver_state; may set loop->host. On failure writes a sentence that says why into
     * `reason` (size bytes) and returns the error. The ring binds to the calling thread. */
    int (*open)(eddy_loop *loop, const struct eddyi_driver_opts *opts, char *reason, size_t size);

    /* No op is left; handles have been forgotten. In a forked child it only unmaps and closes. */
    void (*close)(eddy_loop *loop);

    /* Inline, without waiting: a result, or -EAGAIN (submit it). -EINTR never comes out. */
    int64_t (*attempt)(eddy_loop *loop, struct eddyi_op *op);

    /* Never blocks and never fails: a full queue parks the op. Completion comes from a later
     * wait. */
    void (*submit)(eddy_loop *loop, struct eddyi_op *op);

    /* Asks; the op still ends once, with its own result (-ECANCELED when the cancel won). May
     * complete it from inside this call. */
    void (*cancel)(eddy_loop *loop, struct eddyi_op *op);

    /* Flush what was submitted, sleep until something completes, a wake or the deadline (monotonic
     * ns; EDDY_NEVER; a past one means: only look), complete what has ended. Returns early
     * freely. */
    void (*wait)(eddy_loop *loop, int64_t deadline_ns);

    /* Any thread: a sleeping or next wait returns at once. Safe while the loop is open. */
    void (*wake)(eddy_loop *loop);

    /* Before the handle's descriptor is closed: drop registrations, armed multishots, queued
     * data. */
    void (*forget)(eddy_loop *loop, struct eddyi_handle *handle);

    /* A descriptor that polls readable when the loop has something to do, for a foreign main loop
     * (never the ring's own); -ENOTSUP where there is none. Made on first use, closed by close.
     * `arm` tells it the next deadline before control goes back to the foreign loop, and
     * flushes. */
    int (*pollable)(eddy_loop *loop);
    void (*arm)(eddy_loop *loop, int64_t deadline_ns);

    /* sim: where in a ready queue of `count` the next item is put (0..count), or NULL for the
     * end. */
    uint64_t (*shuffle)(eddy_loop *loop, uint64_t count);

    /* sim: runs a blocking job at a seeded moment on the loop's thread; NULL: use offload's
     * threads. */
    void (*job)(eddy_loop *loop, void (*run)(void *job), void *job);
};

extern const struct eddyi_driver eddyi_driver_uring;
extern const struct eddyi_driver eddyi_driver_epoll;
extern const struct eddyi_driver eddyi_driver_sim;

#endif
