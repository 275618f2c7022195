/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver table. Its wait is the whole scheduler of a world:
 *
 *     what is due now -> something ended? back to the loop
 *       -> real descriptors, if there are any -> something ended? back to the loop
 *       -> the clock jumps to the next event or to the deadline, whichever is first
 *       -> neither is there: sleep for real, until another thread or a descriptor wakes us
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/sim/sim_impl.h>

/* A world that is never quiet still looks at real descriptors every so many turns: a signal ends a
 * program under load too. */
#define TURNS_UNLOOKED_MAX 64

/* A blocking job that waits for its moment. */
struct job {
    struct eddyi_sim_event event;
    struct eddyi_list in_sim;
    struct eddyi_sim *sim;
    void (*run)(void *arg);
    void *arg;
};

/* Loops with a log that the process has made: each writes a file of its own. */
static _Atomic unsigned log_count;

/* ---- open and close -------------------------------------------------------------------------- */

/* The log of the second loop goes to `path`.2, and so on. An unwritable path is found now. */
static int open_log(struct eddyi_sim *sim, const char *path, char *reason, size_t size) {
    unsigned number = atomic_fetch_add_explicit(&log_count, 1, memory_order_relaxed) + 1;
    int r = number == 1 ? eddy_buffer_printf(&sim->log_path, "%s", path)
                        : eddy_buffer_printf(&sim->log_path, "%s.%u", path, number);
    const char *text = r < 0 ? NULL : eddy_buffer_text(&sim->log_path);
    if (text == NULL) {
        snprintf(reason, size, "no memory for the log's name");
        return -ENOMEM;
    }
    r = eddyi_sim_log_write(&sim->world.log, text);
    if (r < 0) {
        snprintf(reason, size, "EDDY_SIM_LOG: %s", eddy_error_text(r));
        return r;
    }
    eddyi_sim_world_log_enable(&sim->world);
    return 0;
}

static bool is_set(const char *name) {
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' && strcmp(value, "0") != 0;
}

static void free_sim(struct eddyi_sim *sim) {
    struct eddyi_list *node;
    eddyi_sim_host_done(&sim->host);
    while ((node = eddyi_list_pop_front(&sim->jobs)) != NULL) {
        eddyi_free(EDDYI_LIST_ENTRY(node, struct job, in_sim));
    }
    eddyi_sim_world_done(&sim->world);
    eddy_buffer_done(&sim->log_path);
    if (sim->wake_fd >= 0) {
        close(sim->wake_fd);
    }
    eddyi_free(sim->polls);
    eddyi_free(sim);
}

static int open_parts(struct eddyi_sim *sim, char *reason, size_t size) {
    if (!eddyi_sim_real_reserve(sim)) {
        snprintf(reason, size, "no memory for poll");
        return -ENOMEM;
    }
    sim->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (sim->wake_fd < 0) {
        int r = -errno;
        snprintf(reason, size, "eventfd: %s", eddy_error_text(r));
        return r;
    }
    const char *path = getenv("EDDY_SIM_LOG");
    return path == NULL || path[0] == '\0' ? 0 : open_log(sim, path, reason, size);
}

static int sim_open(eddy_loop *loop, const struct eddyi_driver_opts *opts, char *reason,
                    size_t size) {
    struct eddyi_sim *sim = eddyi_zalloc(sizeof *sim);
    if (sim == NULL) {
        snprintf(reason, size, "no memory for a world");
        return -ENOMEM;
    }
    eddyi_list_init(&sim->jobs);
    eddyi_list_init(&sim->real_ops);
    sim->wake_fd = -1;
    eddyi_sim_world_init(&sim->world, opts->seed, is_set("EDDY_SIM_CALM"));
    eddyi_sim_host_init(&sim->host, &sim->world);
    eddyi_sim_host_table(&sim->host);
    int r = open_parts(sim, reason, size);
    if (r < 0) {
        free_sim(sim);
        return r;
    }
    loop->driver_state = sim;
    loop->stepwise = true;
    loop->host = &sim->host.table;
    return 0;
}

static void sim_close(eddy_loop *loop) {
    struct eddyi_sim *sim = eddyi_sim_of(loop);
    bool forked = loop->pid != getpid();
    if (!forked) {
        EDDY_ASSERT_SAY(sim->pending == 0, "a simulation ends under an operation");
        eddyi_sim_host_note_leaks(&sim->host);
        const char *path = sim->log_path.len == 0 ? NULL : eddy_buffer_text(&sim->log_path);
        if (path != NULL) {
            /* That it can be written was seen when the loop was made; nobody is left to be told. */
            (void)eddyi_sim_log_write(&sim->world.log, path);
        }
    }
    free_sim(sim);
    loop->driver_state = NULL;
}

/* ---- operations ------------------------------------------------------------------------------ */

static int64_t sim_attempt(eddy_loop *loop, struct eddyi_op *op) {
    return eddyi_sim_op_attempt(eddyi_sim_of(loop), op);
}

static void sim_submit(eddy_loop *loop, struct eddyi_op *op) {
    bool on_file = op->handle->kind == EDDYI_HANDLE_FILE &&
                   (op->kind == EDDYI_OP_READ || op->kind == EDDYI_OP_WRITE);
    if (on_file && !eddyi_sim_fd_is_virtual(op->handle->fd)) {
        eddyi_op_offload(loop, op); /* comes back through sim_job */
    } else {
        eddyi_sim_op_submit(eddyi_sim_of(loop), op);
    }
}

static void sim_cancel(eddy_loop *loop, struct eddyi_op *op) {
    eddyi_sim_op_cancel(eddyi_sim_of(loop), op);
}

static void sim_forget(eddy_loop *loop, struct eddyi_handle *handle) {
    (void)loop;
    handle->attached = false;
}

/* ---- jobs and order -------------------------------------------------------------------------- */

static void note_job(struct eddyi_sim *sim) {
    sim->jobs_run++;
    eddyi_sim_note(&sim->world, EDDYI_SIM_NOTE_JOB, (int64_t)sim->jobs_run, 0, 0);
}

static void job_fires(struct eddyi_sim_event *event) {
    struct job *job = EDDYI_CONTAINER(event, struct job, event);
    void (*run)(void *) = job->run;
    void *arg = job->arg;
    note_job(job->sim);
    eddyi_list_remove(&job->in_sim);
    eddyi_free(job);
    run(arg);
}

static void sim_job(eddy_loop *loop, void (*run)(void *job), void *arg) {
    struct eddyi_sim *sim = eddyi_sim_of(loop);
    struct eddyi_sim_world *world = &sim->world;
    struct job *job = eddyi_alloc(sizeof *job);
    if (job == NULL) {
        /* At once is a moment too, and a job cannot be refused. */
        note_job(sim);
        run(arg);
        return;
    }
    *job = (struct job){.event.fire = job_fires, .sim = sim, .run = run, .arg = arg};
    eddyi_list_init(&job->in_sim);
    eddyi_list_push_back(&sim->jobs, &job->in_sim);
    int64_t late_ns = 0;
    if (world->plan.job_ns > 0) {
        late_ns = 1 + (int64_t)eddyi_sim_random_below(&world->jobs, (uint64_t)world->plan.job_ns);
    }
    eddyi_sim_event_set(world, &job->event, eddyi_sim_world_now(world) + late_ns);
}

static uint64_t sim_shuffle(eddy_loop *loop, uint64_t count) {
    return eddyi_sim_world_place(&eddyi_sim_of(loop)->world, count);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void sim_wake(eddy_loop *loop) {
    struct eddyi_sim *sim = eddyi_sim_of(loop);
    static const uint64_t one = 1;
    atomic_store(&sim->woken, 1);
    /* Only a counter at its limit could refuse, and that polls readable too. */
    while (write(sim->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

/* A wake that was written and not yet counted comes later, from poll(2) or from the next call. */
static bool take_wake(struct eddyi_sim *sim) {
    if (atomic_load_explicit(&sim->woken, memory_order_relaxed) == 0 ||
        atomic_exchange(&sim->woken, 0) == 0) {
        return false;
    }
    eddyi_sim_real_drain(sim);
    return true;
}

static uint64_t progress(const struct eddyi_sim *sim) {
    return sim->world.completions + sim->jobs_run;
}

static void look_at_real(struct eddyi_sim *sim, int timeout_ms) {
    if (sim->real_count > 0 || timeout_ms != 0) {
        eddyi_sim_real_poll(sim, timeout_ms);
    }
}

static void sim_wait(eddy_loop *loop, int64_t deadline_ns) {
    struct eddyi_sim *sim = eddyi_sim_of(loop);
    struct eddyi_sim_world *world = &sim->world;
    uint64_t before = progress(sim);
    int64_t now_ns = eddyi_sim_world_now(world);
    bool only_look = deadline_ns <= now_ns;
    if (only_look) {
        eddyi_sim_world_advance(world, now_ns + EDDYI_SIM_TURN_NS);
    }
    bool woken = take_wake(sim);
    eddyi_sim_world_run_due(world);
    if (only_look || woken || progress(sim) != before) {
        if (loop->ready_head == NULL || ++sim->turns_unlooked >= TURNS_UNLOOKED_MAX) {
            look_at_real(sim, 0);
        }
        return;
    }
    look_at_real(sim, 0);
    if (progress(sim) != before) {
        return;
    }
    int64_t next_ns = eddyi_sim_world_next(world);
    if (next_ns == EDDY_NEVER && deadline_ns == EDDY_NEVER) {
        look_at_real(sim, -1);
        return;
    }
    world->jumps++;
    eddyi_sim_world_advance(world, next_ns < deadline_ns ? next_ns : deadline_ns);
    eddyi_sim_world_run_due(world);
}

const struct eddyi_driver eddyi_driver_sim = {
    .name = "sim",
    .open = sim_open,
    .close = sim_close,
    .attempt = sim_attempt,
    .submit = sim_submit,
    .cancel = sim_cancel,
    .wait = sim_wait,
    .wake = sim_wake,
    .forget = sim_forget,
    .shuffle = sim_shuffle,
    .job = sim_job,
};
