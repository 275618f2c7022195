/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lane: the bytes that go one way through a connection, in the order in which they were written.
 *
 *       read        arrived      launched      written
 *     ----+-----------+------------+--------------+---->
 *         |  receive  |  on the    |   in the     |
 *         |  buffer   |  way       |   sender's   |
 *         |<- receive_limit ------>|   buffer     |
 *                     |<------- send_limit ------>|
 *
 * The end and a reset travel behind the bytes. What is on the way is a short queue of segments with
 * their arrival times, of which the lane's event carries the first. A direct lane (AF_UNIX) has no
 * way: what is written has arrived.
 */
#ifndef EDDY_RUNTIME_SIM_LANE_IMPL_H
#define EDDY_RUNTIME_SIM_LANE_IMPL_H

#include <sys/uio.h>

#include <eddy/runtime/sim/world_impl.h>

enum eddyi_sim_segment_kind {
    EDDYI_SIM_SEGMENT_DATA,
    EDDYI_SIM_SEGMENT_END,
    EDDYI_SIM_SEGMENT_RESET,
};

struct eddyi_sim_segment {
    int64_t at_ns;
    uint64_t until; /* DATA: what has arrived with it */
    enum eddyi_sim_segment_kind kind;
};

/* More data than so many segments joins the last one; an end and a reset have their own places. */
#define EDDYI_SIM_SEGMENT_DATA_MAX 14
#define EDDYI_SIM_SEGMENT_MAX (EDDYI_SIM_SEGMENT_DATA_MAX + 2)

struct eddyi_sim_lane {
    struct eddyi_sim_event event; /* set while a segment is on the way; its owner sets `fire` */
    char *ring;                   /* of `size` bytes, a power of two, or NULL */
    size_t size;
    uint64_t read, arrived, launched, written; /* bytes since the beginning */
    uint64_t swallowed;                        /* of a sender that does not know of the reset yet */
    size_t send_limit;
    size_t receive_limit;
    struct eddyi_sim_segment segments[EDDYI_SIM_SEGMENT_MAX];
    unsigned first; /* the next to arrive */
    unsigned count;
    int64_t last_at_ns; /* nothing arrives before what was launched before it */
    bool direct;
    bool end_written;
    bool end_launched;
    bool end_arrived;
    bool reset; /* a reset was launched: nothing follows it */
};

void eddyi_sim_lane_init(struct eddyi_sim_lane *lane, bool direct, size_t send_limit,
                         size_t receive_limit);
void eddyi_sim_lane_done(struct eddyi_sim_world *world, struct eddyi_sim_lane *lane);

/* What can be read now. */
static inline size_t eddyi_sim_lane_unread(const struct eddyi_sim_lane *lane) {
    return (size_t)(lane->arrived - lane->read);
}
/* What was written and has not arrived. */
static inline size_t eddyi_sim_lane_unacknowledged(const struct eddyi_sim_lane *lane) {
    return (size_t)(lane->written - lane->arrived);
}
/* What can be written now. */
size_t eddyi_sim_lane_room(const struct eddyi_sim_lane *lane);

/* Takes up to `most` bytes from the `count` pieces; 1 or more, or -ENOMEM. There must be room. */
int64_t eddyi_sim_lane_write(struct eddyi_sim_lane *lane, const struct iovec *pieces, size_t count,
                             size_t most);
/* Gives up to `most` unread bytes, and keeps them when it is only to peek. */
void eddyi_sim_lane_read(struct eddyi_sim_lane *lane, void *dst, size_t most, bool peek);
/* Nothing is written after this. */
void eddyi_sim_lane_end(struct eddyi_sim_lane *lane);
/* Sends on its way what the receiver has room for. Call after write, read and end. */
void eddyi_sim_lane_launch(struct eddyi_sim_world *world, struct eddyi_sim_lane *lane);
/* Forgets what is not yet on its way and sends a reset behind what is. */
void eddyi_sim_lane_reset(struct eddyi_sim_world *world, struct eddyi_sim_lane *lane);
/* For the event: takes the first segment, which has arrived, and sets the event for the next. */
struct eddyi_sim_segment eddyi_sim_lane_arrive(struct eddyi_sim_world *world,
                                               struct eddyi_sim_lane *lane);
/* Drops all that is not yet in the receive buffer: nobody is left to whom it could matter. */
void eddyi_sim_lane_cut(struct eddyi_sim_world *world, struct eddyi_sim_lane *lane);

#endif
