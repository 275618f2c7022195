/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offload: the runtime's own threads for what blocks (metadata, directories, fsync, buffered
 * writes). One pool for the process, made when the first job comes and ended with the last loop
 * that used it. Users' jobs never run here, so they cannot starve the disk.
 *
 *     QUEUED --a thread takes it--> RUNNING --> DONE: job->done on the loop's thread
 *        \--eddyi_offload_cancel--> DONE with -ECANCELED, never run
 */
#ifndef EDDY_RUNTIME_LOOP_OFFLOAD_IMPL_H
#define EDDY_RUNTIME_LOOP_OFFLOAD_IMPL_H

#include <eddy/runtime/loop/loop_impl.h>

struct eddyi_offload_job {
    int64_t (*run)(struct eddyi_offload_job *job); /* on a pool thread; its return is `result` */
    void (*done)(struct eddyi_offload_job *job);   /* on the loop's thread, once */
    int64_t result;
    eddy_loop *loop;
    struct eddyi_list in_queue; /* under the pool's lock */
    struct eddyi_ready ready;   /* the way back */
    _Atomic int state;          /* QUEUED, RUNNING, DONE */
};

/* Queue a job; `run` and `done` are set, the rest is written here. Keeps the loop alive
 * (loop->live) until done. -EAGAIN when not even one thread can be started. */
int eddyi_offload_submit(eddy_loop *loop, struct eddyi_offload_job *job);
/* True when the job had not begun: its done comes with -ECANCELED. False: it runs to its end. */
bool eddyi_offload_cancel(struct eddyi_offload_job *job);
/* For a job that its submitter ran itself: `done` comes from the loop's next turn. */
void eddyi_offload_finish(struct eddyi_offload_job *job);
/* The loop is being freed; the last one to have used the pool ends its threads. */
void eddyi_offload_loop_done(eddy_loop *loop);

#endif
