/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sim/world_impl.h>

/* A longer ready queue is only shuffled near its head, where the loop walks to: half of what comes
 * goes there, and the rest to the end, so that nothing in between waits for ever. */
#define PLACES_MAX 256

/* What each generator's state is made of besides the seed. */
enum { FOR_PLAN = 1, FOR_NETWORK, FOR_ORDER, FOR_JOBS, FOR_SECRETS };

static struct eddyi_sim_random generator(uint64_t seed, uint64_t purpose) {
    return (struct eddyi_sim_random){eddyi_sim_random_mix(seed + eddyi_sim_random_mix(purpose))};
}

void eddyi_sim_world_init(struct eddyi_sim_world *world, uint64_t seed, bool calm) {
    *world = (struct eddyi_sim_world){
        .now_ns = EDDYI_SIM_MONO_START_NS,
        .seed = seed,
        .network = generator(seed, FOR_NETWORK),
        .order = generator(seed, FOR_ORDER),
        .jobs = generator(seed, FOR_JOBS),
        .secrets = generator(seed, FOR_SECRETS),
    };
    eddyi_sim_world_set_calm(world, calm);
}

void eddyi_sim_world_done(struct eddyi_sim_world *world) {
    eddyi_sim_log_done(&world->log);
}

static void note_plan(struct eddyi_sim_world *world) {
    struct eddyi_sim_log *log = &world->log;
    const struct eddyi_sim_plan *plan = &world->plan;
    int64_t now_ns = eddyi_sim_world_now(world);
    eddyi_sim_log_add(log, now_ns, EDDYI_SIM_NOTE_WORLD, (int64_t)world->seed, world->calm, 0);
    eddyi_sim_log_add(log, now_ns, EDDYI_SIM_NOTE_PLAN_ORDER, plan->order, plan->again, plan->late);
    eddyi_sim_log_add(log, now_ns, EDDYI_SIM_NOTE_PLAN_DATA, plan->short_count, plan->split,
                      plan->cancel_late);
    eddyi_sim_log_add(log, now_ns, EDDYI_SIM_NOTE_PLAN_TIME, plan->latency_ns, plan->late_ns,
                      plan->job_ns);
    eddyi_sim_log_add(log, now_ns, EDDYI_SIM_NOTE_PLAN_BUFFER, plan->send_bytes,
                      plan->receive_bytes, 0);
}

void eddyi_sim_world_set_calm(struct eddyi_sim_world *world, bool calm) {
    world->calm = calm;
    if (calm) {
        eddyi_sim_plan_calm(&world->plan);
    } else {
        struct eddyi_sim_random random = generator(world->seed, FOR_PLAN);
        eddyi_sim_plan_draw(&world->plan, &random);
    }
    note_plan(world);
}

void eddyi_sim_world_log_enable(struct eddyi_sim_world *world) {
    if (!world->log.enabled) {
        /* The hash is that of the same run without text. */
        uint64_t hash = world->log.hash;
        world->log.enabled = true;
        note_plan(world);
        world->log.hash = hash;
    }
}

/* ---- clock and events ------------------------------------------------------------------------ */

void eddyi_sim_world_advance(struct eddyi_sim_world *world, int64_t at_ns) {
    if (at_ns > eddyi_sim_world_now(world)) {
        atomic_store_explicit(&world->now_ns, at_ns, memory_order_relaxed);
    }
}

void eddyi_sim_event_set(struct eddyi_sim_world *world, struct eddyi_sim_event *event,
                         int64_t at_ns) {
    EDDY_ASSERT(event->fire != NULL);
    eddyi_sim_event_unset(world, event);
    eddyi_heap_insert(&world->events, &event->node, at_ns);
    event->armed = true;
}

void eddyi_sim_event_unset(struct eddyi_sim_world *world, struct eddyi_sim_event *event) {
    if (event->armed && !world->ended) {
        eddyi_heap_remove(&world->events, &event->node);
    }
    event->armed = false;
}

void eddyi_sim_world_run_due(struct eddyi_sim_world *world) {
    struct eddyi_heap_node *first;
    while ((first = eddyi_heap_min(&world->events)) != NULL &&
           first->key <= eddyi_sim_world_now(world)) {
        struct eddyi_sim_event *event = EDDYI_CONTAINER(first, struct eddyi_sim_event, node);
        eddyi_heap_pop(&world->events);
        event->armed = false;
        world->fired++;
        event->fire(event);
    }
}

/* ---- dice ------------------------------------------------------------------------------------ */

int64_t eddyi_sim_world_latency(struct eddyi_sim_world *world) {
    const struct eddyi_sim_plan *plan = &world->plan;
    if (plan->latency_span_ns == 0) {
        return plan->latency_ns;
    }
    uint64_t span = (uint64_t)plan->latency_span_ns;
    int64_t latency = plan->latency_ns + (int64_t)eddyi_sim_random_below(&world->network, span);
    if (eddyi_sim_world_chance(world, EDDYI_SIM_LATENCY_TAIL_CHANCE)) {
        latency *= EDDYI_SIM_LATENCY_TAIL;
    }
    return latency;
}

int64_t eddyi_sim_world_lateness(struct eddyi_sim_world *world) {
    if (!eddyi_sim_world_chance(world, world->plan.late)) {
        return 0;
    }
    return (int64_t)eddyi_sim_random_below(&world->network, (uint64_t)world->plan.late_ns) + 1;
}

size_t eddyi_sim_world_some(struct eddyi_sim_world *world, uint32_t chance, size_t count) {
    if (count <= 1 || !eddyi_sim_world_chance(world, chance)) {
        return count;
    }
    /* A single byte now and then on purpose: parsers break there. */
    if (eddyi_sim_world_chance(world, EDDYI_SIM_ALWAYS / 16)) {
        return 1;
    }
    return 1 + (size_t)eddyi_sim_random_below(&world->network, count);
}

uint64_t eddyi_sim_world_place(struct eddyi_sim_world *world, uint64_t count) {
    uint64_t place = count;
    if (count > 0 && eddyi_sim_random_chance(&world->order, world->plan.order)) {
        if (count <= PLACES_MAX) {
            place = eddyi_sim_random_below(&world->order, count + 1);
        } else if (eddyi_sim_random_chance(&world->order, EDDYI_SIM_ALWAYS / 2)) {
            place = eddyi_sim_random_below(&world->order, PLACES_MAX);
        }
    }
    eddyi_sim_log_fold(&world->log, place);
    world->placed++;
    return place;
}

/* ---- log ------------------------------------------------------------------------------------- */

void eddyi_sim_note(struct eddyi_sim_world *world, enum eddyi_sim_what what, int64_t a, int64_t b,
                    int64_t c) {
    int64_t now_ns = eddyi_sim_world_now(world);
    if (world->placed > 0) {
        int64_t placed = (int64_t)world->placed;
        world->placed = 0;
        eddyi_sim_log_add(&world->log, now_ns, EDDYI_SIM_NOTE_ORDER, placed, 0, 0);
    }
    eddyi_sim_log_add(&world->log, now_ns, what, a, b, c);
}
