/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sim/lane_impl.h>

#include <string.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/memory_impl.h>

/* The first ring. Most connections carry a few lines at a time, and there may be many of them. */
#define RING_SIZE_MIN 1024

void eddyi_sim_lane_init(struct eddyi_sim_lane *lane, bool direct, size_t send_limit,
                         size_t receive_limit) {
    *lane = (struct eddyi_sim_lane){
        .direct = direct,
        .send_limit = send_limit,
        .receive_limit = receive_limit,
    };
}

void eddyi_sim_lane_done(struct eddyi_sim_world *world, struct eddyi_sim_lane *lane) {
    eddyi_sim_event_unset(world, &lane->event);
    eddyi_free(lane->ring);
    lane->ring = NULL;
    lane->size = 0;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

size_t eddyi_sim_lane_room(const struct eddyi_sim_lane *lane) {
    /* A TCP sender keeps its bytes until they are acknowledged, a Unix one until they are read. */
    uint64_t used = lane->written - (lane->direct ? lane->read : lane->arrived) + lane->swallowed;
    return used < lane->send_limit ? (size_t)(lane->send_limit - used) : 0;
}

/* Both copy `len` bytes that lie from position `at` on in the ring, which may be in two pieces. */
static void copy_in(struct eddyi_sim_lane *lane, uint64_t at, const char *src, size_t len) {
    size_t start = (size_t)at & (lane->size - 1);
    size_t head = len < lane->size - start ? len : lane->size - start;
    memcpy(lane->ring + start, src, head);
    memcpy(lane->ring, src + head, len - head);
}

static void copy_out(const struct eddyi_sim_lane *lane, uint64_t at, char *dst, size_t len) {
    size_t start = (size_t)at & (lane->size - 1);
    size_t head = len < lane->size - start ? len : lane->size - start;
    memcpy(dst, lane->ring + start, head);
    memcpy(dst + head, lane->ring, len - head);
}

/* Makes the ring hold `len` more bytes; false when there is no memory. */
static bool grow(struct eddyi_sim_lane *lane, size_t len) {
    size_t used = (size_t)(lane->written - lane->read);
    size_t size = lane->size == 0 ? RING_SIZE_MIN : lane->size;
    while (size < used + len) {
        size *= 2;
    }
    if (size == lane->size) {
        return true;
    }
    char *ring = eddyi_alloc(size);
    if (ring == NULL) {
        return false;
    }
    struct eddyi_sim_lane larger = {.ring = ring, .size = size};
    for (uint64_t at = lane->read; at < lane->written;) {
        size_t start = (size_t)at & (lane->size - 1);
        size_t part = lane->size - start;
        part = part < lane->written - at ? part : (size_t)(lane->written - at);
        copy_in(&larger, at, lane->ring + start, part);
        at += part;
    }
    eddyi_free(lane->ring);
    lane->ring = ring;
    lane->size = size;
    return true;
}

int64_t eddyi_sim_lane_write(struct eddyi_sim_lane *lane, const struct iovec *pieces, size_t count,
                             size_t most) {
    EDDY_ASSERT(most > 0 && most <= eddyi_sim_lane_room(lane));
    EDDY_ASSERT(!lane->end_written);
    if (lane->reset) {
        /* The sender does not know yet that nobody is left: the network swallows it. It fills the
         * sender's buffer all the same, or one who writes without a pause would never find out,
         * because no time passes. */
        lane->swallowed += most;
        return (int64_t)most;
    }
    if (!grow(lane, most)) {
        most = lane->size - (size_t)(lane->written - lane->read);
        if (most == 0) {
            return -ENOMEM;
        }
    }
    size_t moved = 0;
    for (size_t i = 0; i < count && moved < most; i++) {
        size_t part = pieces[i].iov_len < most - moved ? pieces[i].iov_len : most - moved;
        if (part > 0) {
            copy_in(lane, lane->written, pieces[i].iov_base, part);
            lane->written += part;
            moved += part;
        }
    }
    return (int64_t)moved;
}

void eddyi_sim_lane_read(struct eddyi_sim_lane *lane, void *dst, size_t most, bool peek) {
    EDDY_ASSERT(most <= eddyi_sim_lane_unread(lane));
    if (most == 0) {
        return;
    }
    copy_out(lane, lane->read, dst, most);
    if (!peek) {
        lane->read += most;
    }
}

void eddyi_sim_lane_end(struct eddyi_sim_lane *lane) {
    lane->end_written = true;
}

/* ---- the way --------------------------------------------------------------------------------- */

static struct eddyi_sim_segment *segment_at(struct eddyi_sim_lane *lane, unsigned index) {
    return &lane->segments[(lane->first + index) % EDDYI_SIM_SEGMENT_MAX];
}

static void send_off(struct eddyi_sim_world *world, struct eddyi_sim_lane *lane,
                     enum eddyi_sim_segment_kind kind, uint64_t until) {
    int64_t at_ns = eddyi_sim_world_now(world) + eddyi_sim_world_latency(world);
    if (at_ns < lane->last_at_ns) {
        at_ns = lane->last_at_ns;
    }
    lane->last_at_ns = at_ns;
    if (kind == EDDYI_SIM_SEGMENT_DATA && lane->count >= EDDYI_SIM_SEGMENT_DATA_MAX) {
        /* Nothing follows an end or a reset, so the last one is data. */
        struct eddyi_sim_segment *last = segment_at(lane, lane->count - 1);
        last->until = until;
        last->at_ns = at_ns;
    } else {
        EDDY_ASSERT(lane->count < EDDYI_SIM_SEGMENT_MAX);
        *segment_at(lane, lane->count) = (struct eddyi_sim_segment){at_ns, until, kind};
        lane->count++;
    }
    if (!lane->event.armed) {
        eddyi_sim_event_set(world, &lane->event, at_ns);
    }
}

void eddyi_sim_lane_launch(struct eddyi_sim_world *world, struct eddyi_sim_lane *lane) {
    if (lane->direct) {
        lane->launched = lane->written;
        lane->arrived = lane->written;
        lane->end_arrived = lane->end_launched = lane->end_written;
        return;
    }
    if (lane->reset) {
        return;
    }
    while (lane->launched < lane->written && lane->launched - lane->read < lane->receive_limit) {
        uint64_t window = lane->receive_limit - (lane->launched - lane->read);
        uint64_t ready = lane->written - lane->launched;
        size_t part = (size_t)(ready < window ? ready : window);
        lane->launched += eddyi_sim_world_some(world, world->plan.split, part);
        send_off(world, lane, EDDYI_SIM_SEGMENT_DATA, lane->launched);
    }
    if (lane->end_written && !lane->end_launched && lane->launched == lane->written) {
        lane->end_launched = true;
        send_off(world, lane, EDDYI_SIM_SEGMENT_END, lane->launched);
    }
}

void eddyi_sim_lane_reset(struct eddyi_sim_world *world, struct eddyi_sim_lane *lane) {
    if (lane->reset || lane->direct) {
        return;
    }
    lane->written = lane->launched;
    lane->reset = true;
    send_off(world, lane, EDDYI_SIM_SEGMENT_RESET, lane->launched);
}

struct eddyi_sim_segment eddyi_sim_lane_arrive(struct eddyi_sim_world *world,
                                               struct eddyi_sim_lane *lane) {
    EDDY_ASSERT(lane->count > 0);
    struct eddyi_sim_segment segment = *segment_at(lane, 0);
    lane->first = (lane->first + 1) % EDDYI_SIM_SEGMENT_MAX;
    lane->count--;
    if (segment.kind == EDDYI_SIM_SEGMENT_DATA) {
        lane->arrived = segment.until;
    } else if (segment.kind == EDDYI_SIM_SEGMENT_END) {
        lane->end_arrived = true;
    }
    if (lane->count > 0) {
        eddyi_sim_event_set(world, &lane->event, segment_at(lane, 0)->at_ns);
    }
    return segment;
}

void eddyi_sim_lane_cut(struct eddyi_sim_world *world, struct eddyi_sim_lane *lane) {
    eddyi_sim_event_unset(world, &lane->event);
    lane->count = 0;
    lane->launched = lane->written = lane->arrived;
    lane->reset = true;
}
