/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forgotten objects. A debug build of the library (the CMake option EDDY_TRACK, which a Debug build
 * has unless told otherwise) remembers of each object that its user has to close, free or release
 * where it was made, and says so when the end has come and it is still there:
 *
 *     what lives on a loop                  when the loop is freed
 *     what belongs to the process           at the end of eddy_main
 *     all of it                             when eddy_track_each is called
 *
 * The first two reach `on_forgotten` of eddy_loop_opts; eddy_main prints a line to standard error
 * when that is not set:
 *
 *     server: forgotten: tcp stream, made at handle+0x2e (server) by task "peer 17"
 *
 * What was reported is not freed: it is there for a leak checker to see. What a scope ends by
 * itself, such as a future that a task has started, cannot be forgotten. A forked child is told
 * nothing of its parent's objects. In other builds nothing is remembered, and no object is a byte
 * larger.
 */
#ifndef EDDY_RUNTIME_BASE_TRACK_H
#define EDDY_RUNTIME_BASE_TRACK_H

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

/*
 * Told of one object. `kind`: "tcp stream", "listener", "promise". `place`: whence it was made,
 * "function+0x12 (program)", "program+0x1234" for addr2line where no name is known, or "file:line".
 * `task`: the name of the task that made it; of one without a name "file:line" of its spawn; NULL:
 * no task did. The strings are borrowed until it returns.
 */
typedef void (*eddy_track_fn)(const char *kind, const char *place, const char *task, void *ctx);

/**
 * Say what objects there are in the process that somebody has yet to close, free or release, in the
 * order in which they were made.
 *
 * Shape:   returns how many. `fn` NULL only counts. Objects that are made meanwhile are told too.
 *          For the end of a program with a main of its own, and of tests.
 * Owns:    borrows nothing beyond the call.
 * Errors:  -ENOTSUP the library remembers nothing in this build.
 * Threads: any thread; objects that others close meanwhile may be told or not.
 * Cancel:  does not suspend.
 */
EDDY_API int64_t eddy_track_each(eddy_track_fn fn, void *ctx);

EDDY_END_DECLS

#endif
