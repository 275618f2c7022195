/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop: one thread's reactor. It runs tasks (runtime/task/task.h) until they wait, then asks its
 * driver, once per turn, for what has completed. Most programs never name one: eddy_main makes
 * them. A program with a main of its own does
 *
 *     eddy_loop *loop;
 *     int r = eddy_loop_new(NULL, &loop);
 *     if (r == 0) {
 *         int64_t result = eddy_loop_call(loop, app, NULL);     (runtime/task/task.h)
 *         eddy_loop_free(loop);
 *     }
 *
 * and one with a foreign main loop watches eddy_loop_fd and calls eddy_loop_poll when it is
 * readable. How long that loop goes on is the program's affair: unlike eddy_loop_run it does not
 * end with the last task, so a task that is waited for says itself that it has ended, in a variable
 * or by eddy_future_callback.
 *
 * Drivers: `uring` (io_uring, Linux 6.1 and later), `epoll`, `sim` (virtual time and network under
 * a seed). "auto" is uring, and epoll where uring cannot start for whatever reason, or would not
 * serve: under Valgrind, which lets no thread run while another waits for a ring. Both give the
 * same results. The environment's EDDY_DRIVER decides where the options do not.
 */
#ifndef EDDY_RUNTIME_LOOP_LOOP_H
#define EDDY_RUNTIME_LOOP_LOOP_H

#include <eddy/runtime/base/track.h>

EDDY_BEGIN_DECLS

typedef struct eddy_loop eddy_loop;

typedef struct eddy_loop_opts {
    size_t size; /* sizeof(eddy_loop_opts), or 0 (runtime/base/api.h) */
    /* "auto", "uring", "epoll", "sim"; NULL: $EDDY_DRIVER, else auto. Borrowed */
    const char *driver;
    uint64_t seed; /* sim: what decides everything; 0: $EDDY_SEED, else 1 */
    /* of each task: reserved, and only committed by touch. 0: 256 KiB; at least 16 KiB, and no more
     * than 1 GiB */
    size_t stack_size_bytes;
    uint32_t sq_entries; /* uring: submission queue; 0: 256, at most 32768 */
    uint32_t cq_entries; /* uring: completion queue; 0: 4096, at most 65536 */
    const char *name;    /* for reports; NULL: "loop". Borrowed for the loop's life */
    /* Called on the loop's thread for a failed future or task that nobody looked at. NULL: nothing
     * is said; by eddy_main, a line on standard error. `site` is "file:line" of its start, `name`
     * the task's, either may be NULL. It is called outside of every task: it may spawn one, which
     * is the loop's own, and cannot suspend. */
    void (*on_unobserved)(int64_t error, const char *site, const char *name, void *ctx);
    /* Called while the loop is freed, on its thread, for each stream, listener or other object that
     * lives on it and was never closed or freed: what it is, whence it was made, and by which task
     * (track.h). Such an object is lost, and not freed. Never called where the library was built
     * without EDDY_TRACK, as it is for release. NULL: nothing is said. */
    eddy_track_fn on_forgotten;
    void *ctx; /* for both */
    /* How long the loop stays awake and looks for what it waits for before it sleeps: waking costs
     * fifty microseconds. Only while its last waits were short, which is up to four times this,
     * because the waking of both sides is in them; an idle loop sleeps. Where affinity leaves one
     * processor it lets others run between its looks. Never where the machine or the cgroup gives
     * no more than one, on sim, under Valgrind, or in eddy_loop_poll. 0: the environment's
     * EDDY_SPIN_NS, or else 50 us; EDDY_ZERO, and 0 there: it sleeps at once; at most 10 ms */
    int64_t spin_ns;
} eddy_loop_opts;

/**
 * Make a loop. It binds to the thread that first runs or polls it.
 *
 * Shape:   opts NULL means defaults. With driver "auto" a ring that cannot be set up gives epoll.
 * Owns:    copies opts, borrows its strings; *ret_loop is freed with eddy_loop_free.
 * Errors:  -ENOMEM; EDDY_EDRIVER the named driver is unknown or cannot start (eddy_error_detail
 *          says why); -EINVAL an option is out of range; -EMFILE, -ENFILE no descriptor left.
 * Threads: any thread; with SINGLE_ISSUER rings the first run, poll or call must be on the same
 *          one.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_loop_new(const eddy_loop_opts *opts, eddy_loop **ret_loop);

/**
 * End a loop: cancel and join the tasks that are left, close the driver, give everything back.
 *
 * Shape:   NULL is fine. Tasks that are left see -ECANCELED and run to their end in here; a
 *          shielded scope goes on to its deadline, or for five seconds when it has none. Futures
 *          whose callbacks (eddy_future_callback) have yet to come are cancelled. A blocking call
 *          that was abandoned is not waited for: when it ends at last, what it held is given back.
 *          Streams and others that were never closed are lost; debug builds report them to
 *          on_forgotten.
 * Owns:    frees the loop.
 * Errors:  none; returns NULL.
 * Threads: the loop's thread, not from one of its tasks, and no other one after it has ended
 *          either: a thread frees the loop that it ran before it returns. (Who wants a loop that
 *          another thread ends takes a group: runtime/loop/group.h.) In a forked child: any, only
 *          memory and descriptors are given back.
 * Cancel:  does not suspend; blocks until the last task has ended, and with it the kernel's use of
 *          its buffers: a read from a file on a dead mount is waited for.
 */
EDDY_API eddy_loop *eddy_loop_free(eddy_loop *loop);

/**
 * Run the loop until no task is left, or eddy_loop_stop.
 *
 * Shape:   0 when no task is left, 1 when it was stopped. Blocks the thread.
 * Owns:    nothing.
 * Errors:  -EDEADLK called from inside this or another loop on the same thread; EDDY_EWRONGLOOP the
 *          loop is bound to another thread; EDDY_EFORKED in a forked child.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_loop_run(eddy_loop *loop);

/**
 * Do one turn without sleeping: for a foreign main loop that saw eddy_loop_fd readable.
 *
 * Shape:   1 when more is ready and it should be called again soon (the descriptor stays readable),
 *          0 when all is quiet. What tasks submitted has reached the kernel when it returns.
 * Owns:    nothing.
 * Errors:  as eddy_loop_run.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_loop_poll(eddy_loop *loop);

/**
 * A descriptor that polls readable when eddy_loop_poll has something to do, a due timer included.
 *
 * Shape:   level-triggered; watch it for POLLIN. The same number each time.
 * Owns:    the loop's; never close or read it. From the first call on the loop keeps it ready.
 * Errors:  -ENOTSUP on the sim driver, whose time is its own; -EMFILE, -ENFILE; EDDY_EFORKED.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_loop_fd(eddy_loop *loop);

/**
 * Make eddy_loop_run return after its present turn, tasks or not. A later run goes on.
 *
 * Shape:   stopping a loop that does not run makes its next run return after one turn. What the
 *          calling thread has posted before is called first. In a forked child nothing happens.
 * Owns:    nothing; allocates nothing.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API void eddy_loop_stop(eddy_loop *loop);

/**
 * Ask the servers (net/serve.h) that were started on this loop to end gracefully.
 *
 * Shape:   returns how many there are; 0 means that nothing here knows how to drain. Repeating it
 *          changes nothing.
 * Owns:    nothing.
 * Errors:  EDDY_EWRONGLOOP, EDDY_EFORKED.
 * Threads: loop thread, in a task or not; from others post a function that does it.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_loop_drain(eddy_loop *loop);

/**
 * Have `fn(arg)` called on the loop's thread, soon and once.
 *
 * Shape:   calls from one thread run in their order. `fn` must not suspend: it can spawn what does.
 *          What is posted to a loop that is freed before it runs again is called while it is freed.
 * Owns:    borrows arg until fn has run.
 * Errors:  -ENOMEM; EDDY_EFORKED.
 * Threads: any thread. The caller sees to it that the loop is not freed meanwhile.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_loop_post(eddy_loop *loop, void (*fn)(void *arg), void *arg);

/**
 * The loop that runs on the calling thread now.
 *
 * Shape:   NULL outside of run, poll and call.
 * Owns:    borrowed.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API eddy_loop *eddy_loop_current(void);

/**
 * The loop's clock: monotonic nanoseconds, virtual on sim.
 *
 * Shape:   read now; it never goes back.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int64_t eddy_loop_now(eddy_loop *loop);

/**
 * The name of the driver that runs the loop: "uring", "epoll" or "sim".
 *
 * Shape:   never NULL.
 * Owns:    static.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API const char *eddy_loop_driver(const eddy_loop *loop);

/**
 * Why "auto" did not take uring: "io_uring_setup: operation not permitted", "under Valgrind".
 *
 * Shape:   "" when the first choice started.
 * Owns:    the loop's.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API const char *eddy_loop_driver_reason(const eddy_loop *loop);

static inline void eddy_loop_freep(eddy_loop **loop) {
    if (*loop != NULL) {
        eddy_loop_free(*loop);
    }
}

EDDY_END_DECLS

#endif
