/* SPDX-License-Identifier: Apache-2.0 */
/* The program: options, loops, the keeper of the actors, and what has to be so at the end. */
#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/base/track.h>
#include <eddy/runtime/sim/sim.h>
#include <eddy/runtime/sync/semaphore.h>
#include <eddy/runtime/task/fiber_impl.h>

#include "chaos.h"

#define ACTS_OF_AN_ACTOR 20 /* as a mean */
#define TASKS_MAX_TSAN 3000
/* What a task's turn may take where thousands have theirs. */
#define TURN_NS (100 * EDDY_US)
#define SLOW_FACTOR 4
/* Actors that sit in waits without an end are sought for so long when no time is left. */
#define LAST_ACTS_NS (200 * EDDY_MS)

struct chaos chaos = {
#if defined(EDDYI_ASAN) || defined(EDDYI_TSAN)
    .slow = true,
#endif
};

void chaos_fail(const char *file, int line, const char *format, ...) {
    va_list arguments;
    char text[512];
    const char *name = eddy_task_name();
    const char *driver = getenv("EDDY_DRIVER");
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s:%d: %s (task %" PRIu64 " \"%s\")\n", file, line, text, eddy_task_id(),
            name == NULL ? "" : name);
    dump_tasks();
    fprintf(stderr,
            "FAILED: EDDY_DRIVER=%s chaos --seed %" PRIu64 " --seconds %g --actions %" PRIu64
            " --tasks %u --loops %u\n",
            driver == NULL ? "auto" : driver, chaos.options.seed, chaos.options.seconds,
            chaos.options.actions, chaos.options.tasks, chaos.options.loops);
    fflush(NULL);
    _exit(1);
}

/* ---- the keeper ------------------------------------------------------------------------------ */

/* As many as there may be actors; who ends makes room for the next. */
static eddy_semaphore room;

static int64_t actor(struct me *me, void *arg) {
    (void)arg;
    int64_t r = 0;
    me->depth = 0;
    do {
        if (one_in(me, ACTS_OF_AN_ACTOR)) {
            r = act_stray(me);
        }
        r = r == 0 ? act(me) : r;
    } while (r == 0 && !atomic_load(&chaos.stopping) && !one_in(me, ACTS_OF_AN_ACTOR));
    REQUIRE(r == 0 || atomic_load(&chaos.ending));
    eddy_semaphore_post(&room);
    return r;
}

static bool has_time(int64_t end_ns) {
    uint64_t limit = chaos.options.actions;
    return eddy_loop_now(eddy_loop_current()) < end_ns &&
           (limit == 0 || atomic_load(&chaos.actions) < limit);
}

static int64_t keep_actors(void *arg) {
    struct me me = {.dice = chaos.options.seed};
    struct frame frame;
    int64_t end_ns =
        eddy_loop_now(eddy_loop_current()) + (int64_t)(chaos.options.seconds * (double)EDDY_S);
    (void)arg;
    me.frame = &me.root;
    servers_start(&me);
    frame_enter(&me, &frame, &(eddy_scope_opts){.policy = EDDY_SCOPE_COLLECT});
    while (has_time(end_ns)) {
        struct frame moment;
        frame_enter(&me, &moment, &(eddy_scope_opts){.timeout_ns = 50 * EDDY_MS});
        int64_t r = checked(&me, eddy_semaphore_wait(&room));
        frame_leave(&me, &moment, r);
        if (r == 0) {
            REQUIRE_EQ(spawn_in(&me, &frame, true, actor, NULL), 0);
        }
    }
    atomic_store(&chaos.stopping, true);
    REQUIRE_EQ(eddy_sleep(dice_time(&me, LAST_ACTS_NS)), 0);
    atomic_store(&chaos.ending, true);
    frame_cancel(&frame);
    frame_leave(&me, &frame, 0);
    servers_stop();
    return 0;
}

/* ---- the process ----------------------------------------------------------------------------- */

static unsigned count_entries(const char *folder) {
    unsigned count = 0;
    DIR *dir = opendir(folder);
    REQUIRE(dir != NULL);
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

static void on_unobserved(int64_t error, const char *site, const char *name, void *ctx) {
    (void)error;
    (void)site;
    (void)name;
    (void)ctx;
    atomic_fetch_add(&chaos.unobserved, 1);
}

static void on_forgotten(const char *kind, const char *place, const char *task, void *ctx) {
    (void)ctx;
    chaos_fail(__FILE__, __LINE__, "forgotten: %s, made at %s by %s", kind, place,
               task == NULL ? "no task" : task);
}

static void run(void) {
    eddy_loop *loop;
    eddy_sim_stats stats = {.size = sizeof stats};
    const eddy_loop_opts opts = {
        .seed = chaos.options.seed,
        .on_unobserved = on_unobserved,
        .on_forgotten = on_forgotten,
    };
    REQUIRE_EQ(eddy_loop_new(&opts, &loop), 0);
    chaos.sim = strcmp(eddy_loop_driver(loop), "sim") == 0;
    printf("chaos: seed %" PRIu64 ", %s, %u tasks\n", chaos.options.seed, eddy_loop_driver(loop),
           chaos.options.tasks);
    fflush(stdout);
    REQUIRE_EQ(eddy_loop_group_new(loop, chaos.options.loops, &chaos.group), 0);
    chaos.loops = eddy_loop_group_count(chaos.group);
    /* Either is time for several messages there and back: in a slow world, on a busy loop. */
    chaos.patience_ns =
        chaos.sim ? 20 * EDDY_S
                  : 20 * EDDY_MS + chaos.options.tasks * TURN_NS * (chaos.slow ? SLOW_FACTOR : 1);
    room = (eddy_semaphore)EDDY_SEMAPHORE_INIT(chaos.options.tasks);
    locks_init();
    channels_init();
    producers_start();
    watchdog_start();
    REQUIRE_EQ(eddy_loop_call(loop, keep_actors, NULL), 0);
    REQUIRE_EQ(eddy_loop_run(loop), 0); /* callbacks that are due, and no task any more */
    producers_stop();
    if (chaos.sim) {
        REQUIRE_EQ(eddy_sim_stats_get(loop, &stats), 0);
        printf("world: hash %016" PRIx64 ", %" PRId64 " ns, %" PRIu64 " events, %" PRIu64
               " completions, %" PRIu64 " jobs\n",
               stats.hash, stats.elapsed_ns, stats.events, stats.completions, stats.jobs);
    }
    watchdog_stop();
    eddy_loop_group *group = chaos.group;
    chaos.group = NULL;
    eddy_loop_group_free(group);
    eddy_loop_free(loop);
}

static void check_nothing_left(int64_t blocks, unsigned descriptors, unsigned threads) {
    locks_check();
    channels_check();
    REQUIRE_EQ(atomic_load(&chaos.begun), atomic_load(&chaos.ended));
    REQUIRE_EQ(atomic_load(&chaos.strays), 0);
    REQUIRE_EQ(atomic_load(&chaos.outstanding), 0);
    REQUIRE_EQ(eddy_semaphore_count(&room), chaos.options.tasks);
    int64_t forgotten = eddy_track_each(NULL, NULL);
    REQUIRE(forgotten == 0 || forgotten == -ENOTSUP);
    REQUIRE_EQ(eddy_memory_blocks(), blocks);
    REQUIRE_EQ(count_entries("/proc/self/fd"), descriptors);
    /* A thread that was joined is listed for a moment more. */
    int64_t end_s = time(NULL) + 60;
    while (count_entries("/proc/self/task") != threads && time(NULL) < end_s) {
        sched_yield();
    }
    REQUIRE_EQ(count_entries("/proc/self/task"), threads);
}

static void *do_nothing(void *arg) {
    return arg;
}

/* With the first thread a sanitizer starts one of its own. */
static void start_first_thread(void) {
    pthread_t thread;
    REQUIRE_EQ(pthread_create(&thread, NULL, do_nothing, NULL), 0);
    REQUIRE_EQ(pthread_join(thread, NULL), 0);
}

/* ---- options --------------------------------------------------------------------------------- */

static void usage(void) {
    fprintf(stderr,
            "usage: chaos [--seconds S] [--actions N] [--tasks N] [--seed N] [--loops N]\n");
    exit(2);
}

static void read_options(int argc, char **argv) {
    struct chaos_options *options = &chaos.options;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *options = (struct chaos_options){
        .seconds = 60,
        .tasks = 10000,
        .loops = 2,
        .seed = ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) % 1000000000u,
    };
    for (int i = 1; i < argc; i += 2) {
        char *end = NULL;
        if (i + 1 == argc) {
            usage();
        } else if (strcmp(argv[i], "--seconds") == 0) {
            options->seconds = strtod(argv[i + 1], &end);
        } else if (strcmp(argv[i], "--actions") == 0) {
            options->actions = strtoull(argv[i + 1], &end, 10);
        } else if (strcmp(argv[i], "--tasks") == 0) {
            options->tasks = (unsigned)strtoul(argv[i + 1], &end, 10);
        } else if (strcmp(argv[i], "--seed") == 0) {
            options->seed = strtoull(argv[i + 1], &end, 10);
        } else if (strcmp(argv[i], "--loops") == 0) {
            options->loops = (unsigned)strtoul(argv[i + 1], &end, 10);
        }
        if (end == NULL || *end != '\0') {
            usage();
        }
    }
}

int main(int argc, char **argv) {
    read_options(argc, argv);
#ifdef EDDYI_TSAN
    /* It dies at some 8,000 fibers, and actors have children: they come one after another there. */
    if (chaos.options.tasks > TASKS_MAX_TSAN) {
        chaos.options.tasks = TASKS_MAX_TSAN;
    }
#endif
    start_first_thread();
    int64_t blocks = eddy_memory_blocks();
    unsigned descriptors = count_entries("/proc/self/fd");
    unsigned threads = count_entries("/proc/self/task");
    run();
    check_nothing_left(blocks, descriptors, threads);
    printf("%" PRIu64 " acts, %" PRIu64 " tasks, %" PRIu64 " cut short, %" PRId64 " unobserved\n",
           atomic_load(&chaos.actions), atomic_load(&chaos.begun), atomic_load(&chaos.cuts),
           atomic_load(&chaos.unobserved));
    acts_print();
    return 0;
}
