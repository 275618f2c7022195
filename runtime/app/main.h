/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eddy_main: everything around a program whose main is a task.
 *
 *     int main(void) {
 *         return eddy_main(app, NULL, &(eddy_opts){.loops = EDDY_LOOPS_PER_CPU});
 *     }
 *
 * It makes the loops, runs `app` as a task on the first of them, and sees to the end:
 *
 *     the first SIGINT or SIGTERM     servers drain (net/serve.h); without any, app is cancelled
 *     the second                      app is cancelled, and everything with it
 *     the third                       the signal does what it does to any program
 *
 * On the simulation there are no signals: eddy_loop_drain asks servers for the same.
 *
 * This is the only call of the library that touches what belongs to the whole process, and only
 * while it runs: it blocks SIGINT and SIGTERM on its thread and those that start from there (one
 * that is ignored stays ignored), reports a task's stack overflow with its name (SIGSEGV and SIGBUS
 * handlers), and prints one line to standard error when app has failed, one for each failure that
 * nobody has looked at (futures/future.h), unless the loop's on_unobserved is set, and in debug
 * builds one for each object that was forgotten (runtime/base/track.h), unless its on_forgotten is.
 * Forgotten objects of the process are told at the very end, on the calling thread, and only those
 * that were made since the call.
 */
#ifndef EDDY_RUNTIME_APP_MAIN_H
#define EDDY_RUNTIME_APP_MAIN_H

#include <eddy/runtime/loop/loop.h>
#include <eddy/runtime/task/task.h>

EDDY_BEGIN_DECLS

/* As many loops as CPUs may be used: affinity and the cgroup's cpu.max decide. */
#define EDDY_LOOPS_PER_CPU UINT32_MAX

typedef struct eddy_opts {
    size_t size;                /* sizeof(eddy_opts), or 0 (runtime/base/api.h) */
    uint32_t loops;             /* 0: 1; EDDY_LOOPS_PER_CPU */
    const eddy_loop_opts *loop; /* for each of them; NULL: defaults */
    bool keep_signals;          /* SIGINT and SIGTERM are none of its business */
    bool notify; /* tell systemd: READY=1 when the first server starts, STOPPING=1 when a
                          * signal comes. Who has no server calls eddy_notify */
} eddy_opts;

/**
 * Run `app(arg)` as the program's main task.
 *
 * Shape:   returns the exit status: app's result cut to 0..255; 1 when app failed (a line on
 *          standard error says with what); 128 + signal when a signal's cancel ended it; 70 when no
 *          loop could be made (a line says why).
 * Owns:    borrows arg and opts until it returns.
 * Errors:  none but the exit status.
 * Threads: the process's first thread, or another one where no loop runs.
 * Cancel:  does not suspend; blocks until app and all that it started have ended.
 */
EDDY_API int eddy_main(eddy_task_fn app, void *arg, const eddy_opts *opts);

EDDY_END_DECLS

#endif
