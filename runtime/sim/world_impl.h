/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world: all that a seed decides. It has a clock that only moves when somebody moves it, a queue
 * of what is going to happen, dice, a log. Hosts (socket_impl.h) live in it, loops run on hosts.
 *
 *     nothing is ready -> the clock jumps to the first event -> its `fire` -> something is ready
 *
 * One thread uses a world; only the clock may be read from others.
 */
#ifndef EDDY_RUNTIME_SIM_WORLD_IMPL_H
#define EDDY_RUNTIME_SIM_WORLD_IMPL_H

#include <stdatomic.h>

#include <eddy/runtime/base/heap_impl.h>
#include <eddy/runtime/sim/log_impl.h>
#include <eddy/runtime/sim/plan_impl.h>

/* Not 0, so that a deadline of 0 is past. */
#define EDDYI_SIM_MONO_START_NS EDDY_S
/* 2026-01-01 00:00:00 UTC: all worlds begin then. */
#define EDDYI_SIM_WALL_START_NS (INT64_C(1767225600) * EDDY_S)
/* What a turn of the loop takes when it did not sleep: a program that spins until some time sees it
 * come, as it would on a real clock. */
#define EDDYI_SIM_TURN_NS EDDY_US

/* Something that happens at a virtual time. Zeroed, then set; the same one may be set again. */
struct eddyi_sim_event {
    struct eddyi_heap_node node; /* key: the time */
    void (*fire)(struct eddyi_sim_event *event);
    bool armed;
};

struct eddyi_sim_world {
    _Atomic int64_t now_ns;
    struct eddyi_heap events;
    uint64_t seed;
    bool calm;
    bool ended; /* nothing happens any more: only memory is given back */
    struct eddyi_sim_plan plan;
    struct eddyi_sim_random network; /* latencies, short counts, completions, cancels */
    struct eddyi_sim_random order;   /* the ready queue */
    struct eddyi_sim_random jobs;    /* when blocking jobs run */
    struct eddyi_sim_random secrets; /* what the host's random gives */
    struct eddyi_sim_log log;
    uint64_t placed;  /* ready items since the last line in the log */
    uint64_t last_id; /* sockets and ops are numbered in the order of their making */
    uint64_t fired;   /* events, for statistics */
    uint64_t completions;
    uint64_t jumps; /* of the clock */
};

void eddyi_sim_world_init(struct eddyi_sim_world *world, uint64_t seed, bool calm);
void eddyi_sim_world_done(struct eddyi_sim_world *world);
/* Replaces the plan by the calm one, or by the seed's own. */
void eddyi_sim_world_set_calm(struct eddyi_sim_world *world, bool calm);
/* Begins the text of the log; what is in force is its first lines. */
void eddyi_sim_world_log_enable(struct eddyi_sim_world *world);

static inline int64_t eddyi_sim_world_now(const struct eddyi_sim_world *world) {
    return atomic_load_explicit(&world->now_ns, memory_order_relaxed);
}

/* Moves the clock on to `at_ns`; an earlier time changes nothing. */
void eddyi_sim_world_advance(struct eddyi_sim_world *world, int64_t at_ns);
/* Fires what is due by now, and what that makes due. */
void eddyi_sim_world_run_due(struct eddyi_sim_world *world);
/* When the first event is, or EDDY_NEVER. */
static inline int64_t eddyi_sim_world_next(const struct eddyi_sim_world *world) {
    struct eddyi_heap_node *first = eddyi_heap_min(&world->events);
    return first == NULL ? EDDY_NEVER : first->key;
}

/* Sets an event, or moves one that is set. */
void eddyi_sim_event_set(struct eddyi_sim_world *world, struct eddyi_sim_event *event,
                         int64_t at_ns);
void eddyi_sim_event_unset(struct eddyi_sim_world *world, struct eddyi_sim_event *event);

/* How long a packet travels. */
int64_t eddyi_sim_world_latency(struct eddyi_sim_world *world);
/* How long after its cause a completion comes; mostly 0. */
int64_t eddyi_sim_world_lateness(struct eddyi_sim_world *world);
/* How many of the `count` that could be moved are moved: 1..count. */
size_t eddyi_sim_world_some(struct eddyi_sim_world *world, uint32_t chance, size_t count);
/* Where in a ready queue of `count` the next item goes: 0..count. */
uint64_t eddyi_sim_world_place(struct eddyi_sim_world *world, uint64_t count);

static inline bool eddyi_sim_world_chance(struct eddyi_sim_world *world, uint32_t chance) {
    return eddyi_sim_random_chance(&world->network, chance);
}

void eddyi_sim_note(struct eddyi_sim_world *world, enum eddyi_sim_what what, int64_t a, int64_t b,
                    int64_t c);

#endif
