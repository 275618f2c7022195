/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sim/sim.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/opts_impl.h>
#include <eddy/runtime/sim/sim_impl.h>

/* NULL when the loop runs on the real world. */
static struct eddyi_sim *sim_of(eddy_loop *loop) {
    return loop == NULL || loop->driver != &eddyi_driver_sim ? NULL : eddyi_sim_of(loop);
}

int eddy_sim_log_enable(eddy_loop *loop) {
    struct eddyi_sim *sim = sim_of(loop);
    if (sim == NULL) {
        return -ENOTSUP;
    }
    eddyi_sim_world_log_enable(&sim->world);
    return 0;
}

int eddy_sim_log(eddy_loop *loop, eddy_slice *ret_log) {
    struct eddyi_sim *sim = sim_of(loop);
    if (sim == NULL) {
        return -ENOTSUP;
    }
    if (sim->world.log.truncated) {
        return -ENOMEM;
    }
    *ret_log = eddy_buffer_slice(&sim->world.log.text);
    return 0;
}

int eddy_sim_calm(eddy_loop *loop, bool calm) {
    struct eddyi_sim *sim = sim_of(loop);
    if (sim == NULL) {
        return -ENOTSUP;
    }
    if (sim->world.calm != calm) {
        eddyi_sim_world_set_calm(&sim->world, calm);
    }
    return 0;
}

int eddy_sim_stats_get(eddy_loop *loop, eddy_sim_stats *ret_stats) {
    struct eddyi_sim *sim = sim_of(loop);
    if (sim == NULL) {
        return -ENOTSUP;
    }
    const struct eddyi_sim_world *world = &sim->world;
    eddy_sim_stats stats = {
        .seed = world->seed,
        .hash = world->log.hash,
        .elapsed_ns = eddyi_sim_world_now(world) - EDDYI_SIM_MONO_START_NS,
        .events = world->fired,
        .completions = world->completions,
        .jumps = world->jumps,
        .jobs = sim->jobs_run,
        .open = sim->host.open_count,
    };
    return EDDYI_OPTS_WRITE(ret_stats, &stats, open);
}
