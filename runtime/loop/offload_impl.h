/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offload: the runtime's own threads for what blocks (metadata, directories, fsync, buffered
 * writes). One pool for the process, made when the first job comes and ended with the last loop
 * that used it. Users' jobs never run here, so they cannot starve the disk.
 *
 *     QUEUED --a thread takes it--> RUNNING -------> DONE: job->done on the loop's thread
 *        |                          |    ^
 *        |                    abandon    reclaim
 *        |                          v    |
 *        |                        ABANDONED ----> LEFT: job->left on the pool's thread
 *        \--eddyi_offload_cancel--> DONE with -ECANCELED, never run
 *
 * Nobody can end a call that hangs in the kernel, an open on a dead mount say. Its job is
 * abandoned: the loop neither waits for it nor is touched by it any more, and may be freed. The
 * thread in it is lost until the call returns, if it ever does, so the pool starts another in its
 * place.
 */
#ifndef EDDY_RUNTIME_LOOP_OFFLOAD_IMPL_H
#define EDDY_RUNTIME_LOOP_OFFLOAD_IMPL_H

#include <eddy/runtime/loop/loop_impl.h>

/* More threads than processors, because they mostly wait. A disk takes more at once than four: of
 * 32 fsync under way, eight threads do 1.8 times as many a second, and statx loses 3 %; sixteen do
 * 2.9 times as many, and statx loses a fifth (bench/forms). */
#define EDDYI_OFFLOAD_THREADS_MIN 8

enum eddyi_offload_state {
    EDDYI_OFFLOAD_QUEUED,
    EDDYI_OFFLOAD_RUNNING,
    EDDYI_OFFLOAD_DONE,
    EDDYI_OFFLOAD_ABANDONED,
    EDDYI_OFFLOAD_LEFT,
};

struct eddyi_offload_job {
    int64_t (*run)(struct eddyi_offload_job *job); /* on a pool thread; its return is `result` */
    void (*done)(struct eddyi_offload_job *job);   /* on the loop's thread, once */
    /* on the pool's thread instead of done, for a job that was abandoned; frees what it owns */
    void (*left)(struct eddyi_offload_job *job);
    int64_t result;
    eddy_loop *loop;
    struct eddyi_list in_queue; /* under the pool's lock */
    struct eddyi_ready ready;   /* the way back */
    _Atomic int state;          /* enum eddyi_offload_state */
};

/* Queue a job; `run` and `done` are set, the rest is written here. Keeps the loop alive
 * (loop->live) until done. -EAGAIN when not even one thread can be started. */
int eddyi_offload_submit(eddy_loop *loop, struct eddyi_offload_job *job);
/* True when the job had not begun: its done comes with -ECANCELED. False: it runs to its end. */
bool eddyi_offload_cancel(struct eddyi_offload_job *job);
/* True: the job had begun, and the loop has no more to do with it; it must own all that it uses,
 * and `left` comes from a thread of the pool when it ends. False: not begun (cancel it), or its
 * `done` is on its way. */
bool eddyi_offload_abandon(struct eddyi_offload_job *job);
/* Takes an abandoned job back, from the same loop: true when its `done` will come after all. False:
 * it has ended, `result` is valid, and `left` has been called or is at this moment. */
bool eddyi_offload_reclaim(struct eddyi_offload_job *job);
/* Whether an abandoned job has ended. */
static inline bool eddyi_offload_has_left(const struct eddyi_offload_job *job) {
    return atomic_load_explicit(&job->state, memory_order_acquire) == EDDYI_OFFLOAD_LEFT;
}

/* For a job that its submitter ran itself: `done` comes from the loop's next turn. */
void eddyi_offload_finish(struct eddyi_offload_job *job);
/* The loop is being freed; the last one to have used the pool ends its threads. */
void eddyi_offload_loop_done(eddy_loop *loop);

#endif
