/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A callback of a future. All those of one loop (and all those of no loop) hang on the first of
 * them, the leader, so that they run in the order of their adding whatever order the ready queue
 * has:
 *
 *     cell->callbacks:  leader of loop A -> leader of loop B -> leader of no loop
 *                         |- follower         |- follower
 *                         `- follower
 */
#ifndef EDDY_FUTURES_CALLBACK_IMPL_H
#define EDDY_FUTURES_CALLBACK_IMPL_H

#include <eddy/runtime/loop/cell_impl.h>

struct eddyi_callback {
    void (*call)(struct eddyi_callback *callback); /* set by the caller; may free the callback */
    eddy_future *cell;                             /* with a reference, until after the call */
    eddy_loop *loop;                               /* where it runs; NULL: where the cell ends */
    struct eddyi_list link;      /* leader: in cell->callbacks; follower: in leader->followers */
    struct eddyi_list in_loop;   /* leader of a loop: in its `callbacks`, the loop's thread only */
    struct eddyi_list followers; /* loop's thread; without a loop under the cell's lock */
    struct eddyi_waiter waiter;  /* leader */
    struct eddyi_ready ready;    /* leader */
};

/* Has callback->call made once, after the cell has ended: on this thread's loop from its ready
 * queue; without one on the thread that ends the cell, or in here when it has ended. */
void eddyi_callback_add(eddy_future *cell, struct eddyi_callback *callback);

#endif
