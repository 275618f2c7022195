/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulation: a loop with the driver "sim" runs in a world that its seed decides, completely and
 * each time anew. Its clock stands still while something is ready and jumps when nothing is, so a
 * day of sleeping takes milliseconds; its network is in memory and as slow, late and piecemeal as
 * the seed says; ready tasks run in an order that nobody should have relied on; secrets are no
 * secrets. A program needs no change:
 *
 *     EDDY_DRIVER=sim EDDY_SEED=42 EDDY_SIM_LOG=/tmp/run.log ./server-test
 *
 * What happened is in the log, one line an event, the virtual time in front:
 *
 *     1000483000 connected socket=2 peer=4 #9a3c51d0
 *
 * and two runs of one seed give the same bytes. Each loop is a world of its own: several loops of a
 * process do not see each other's sockets. Files, pipes and threads are real. While other threads
 * work the clock does not wait for them: with a timer set it jumps there at once. Stream sockets
 * (TCP, Unix) are simulated; a datagram socket gives -EPROTONOSUPPORT. The names of Unix sockets
 * are the world's own and no files.
 *
 * Environment: EDDY_SEED; EDDY_SIM_LOG=file writes the log there when the loop is freed (a second
 * loop's to file.2, and so on); EDDY_SIM_CALM=1 as eddy_sim_calm.
 */
#ifndef EDDY_RUNTIME_SIM_SIM_H
#define EDDY_RUNTIME_SIM_SIM_H

#include <eddy/runtime/base/slice.h>
#include <eddy/runtime/loop/loop.h>

EDDY_BEGIN_DECLS

/* What a world has been through. */
typedef struct eddy_sim_stats {
    size_t size; /* in: sizeof(eddy_sim_stats), or 0 (runtime/base/api.h) */
    uint64_t seed;
    uint64_t hash;        /* of all events and of the order of ready tasks: equal in equal runs */
    int64_t elapsed_ns;   /* virtual */
    uint64_t events;      /* arrivals, expiries and the like */
    uint64_t completions; /* operations that have ended */
    uint64_t jumps;       /* of the clock */
    uint64_t jobs;        /* blocking jobs that ran */
    uint64_t open;        /* simulated descriptors, now */
} eddy_sim_stats;

/**
 * Keep the text of the event log from here on.
 *
 * Shape:   the log then begins with the seed and the world's plan. Twice is once.
 * Owns:    the text grows with the run, from eddy's memory.
 * Errors:  -ENOTSUP the loop's driver is not sim.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_sim_log_enable(eddy_loop *loop);

/**
 * The text of the event log so far.
 *
 * Shape:   lines of ASCII, each with its '\n'. Empty before eddy_sim_log_enable.
 * Owns:    borrowed from the loop, until anything else happens on it.
 * Errors:  -ENOTSUP the loop's driver is not sim; -ENOMEM there was no memory for a line, so the
 *          log is not whole.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_sim_log(eddy_loop *loop, eddy_slice *ret_log);

/**
 * Make the world calm: no short counts, all in order, one small latency; or as its seed has it.
 *
 * Shape:   buffers of connections that exist keep their sizes. The choice is in the log.
 * Owns:    nothing.
 * Errors:  -ENOTSUP the loop's driver is not sim.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_sim_calm(eddy_loop *loop, bool calm);

/**
 * Figures about the world.
 *
 * Shape:   fills ret_stats up to ret_stats->size, which is set before (0: the first version's).
 * Owns:    nothing.
 * Errors:  -ENOTSUP the loop's driver is not sim; -EINVAL the size is not one of any version.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_sim_stats_get(eddy_loop *loop, eddy_sim_stats *ret_stats);

EDDY_END_DECLS

#endif
