/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/loop/loop_impl.h>

#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <eddy/runtime/base/cpu_impl.h>
#include <eddy/runtime/base/detail_impl.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/base/opts_impl.h>
#include <eddy/runtime/loop/offload_impl.h>

#ifdef EDDYI_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#endif

_Thread_local eddy_loop *eddyi_loop_here;

/* What eddy_loop_post queues. */
struct post {
    struct eddyi_ready ready;
    void (*fn)(void *arg);
    void *arg;
};

/* ---- making one ------------------------------------------------------------------------------ */

static int open_driver(eddy_loop *loop, const struct eddyi_driver *driver, char *reason,
                       size_t size) {
    struct eddyi_driver_opts opts = {
        .seed = loop->opts.seed,
        .sq_entries = loop->opts.sq_entries,
        .cq_entries = loop->opts.cq_entries,
    };
    loop->host = &eddyi_host_real;
    loop->driver = driver;
    int r = driver->open(loop, &opts, reason, size);
    if (r < 0) {
        loop->driver = NULL;
    }
    return r;
}

static uint64_t seed_from_environment(void) {
    const char *text = getenv("EDDY_SEED");
    uint64_t seed = text == NULL ? 0 : strtoull(text, NULL, 0);
    return seed == 0 ? 1 : seed;
}

/* Valgrind holds its one lock while a thread waits for a ring, so that no other thread runs, and
 * does not see what the kernel writes into a buffer meanwhile. To ask costs some instructions. */
static bool is_under_valgrind(void) {
#ifdef EDDYI_HAVE_VALGRIND
    return RUNNING_ON_VALGRIND != 0;
#else
    return false;
#endif
}

/* "auto" tries the ring and falls back; a driver that was named starts or the loop does not. */
static int choose_driver(eddy_loop *loop) {
    const char *name = loop->opts.driver;
    if (name == NULL || name[0] == '\0') {
        name = getenv("EDDY_DRIVER");
    }
    if (name == NULL || name[0] == '\0') {
        name = "auto";
    }
    if (loop->opts.seed == 0) {
        loop->opts.seed = seed_from_environment();
    }
    loop->opts.driver = name;
    char reason[sizeof loop->driver_reason] = "";
    if (strcmp(name, "auto") == 0) {
        if (is_under_valgrind()) {
            memcpy(reason, "under Valgrind", sizeof "under Valgrind");
        } else if (open_driver(loop, &eddyi_driver_uring, reason, sizeof reason) == 0) {
            return 0;
        }
        memcpy(loop->driver_reason, reason, sizeof reason);
        return open_driver(loop, &eddyi_driver_epoll, reason, sizeof reason);
    }
    static const struct eddyi_driver *const drivers[] = {
        &eddyi_driver_uring,
        &eddyi_driver_epoll,
        &eddyi_driver_sim,
    };
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
        if (strcmp(name, drivers[i]->name) == 0) {
            int r = open_driver(loop, drivers[i], reason, sizeof reason);
            if (r == 0 || r == -ENOMEM || r == -EMFILE || r == -ENFILE) {
                return r;
            }
            return (int)eddyi_detail_set(EDDY_EDRIVER, "driver %s: %s", name, reason);
        }
    }
    return (int)eddyi_detail_set(EDDY_EDRIVER, "no driver is called \"%s\"", name);
}

/* More is a mistake, such as a negative number. */
#define STACK_SIZE_MAX ((size_t)1024 * 1024 * 1024)
/* The kernel's own limits. They hold on each driver: options are good everywhere or nowhere. */
#define SQ_ENTRIES_MAX 32768
#define CQ_ENTRIES_MAX 65536
/* About as long as it takes to wake a thread. */
#define SPIN_NS_DEFAULT (50 * EDDY_US)
#define SPIN_NS_MAX (10 * EDDY_MS)

/* In the child of a fork, on its one thread. What else the child has of loops finds out by asking
 * for its process id. This loop runs here: the suspending calls of its task would find the kernel's
 * half of the driver shared or gone, and no system call stands in their way. So the queue is closed
 * for good, no turn begins any more, and the budget is made endless, which sends them all to the
 * look at their scope's code. */
static void child_of_a_fork(void) {
    eddy_loop *loop = eddyi_loop_here;
    if (loop == NULL || loop->pid == getpid()) {
        return;
    }
    loop->forked = true;
    loop->stepwise = true; /* with no batch: eddyi_loop_take gives nothing */
    loop->batch = 0;
    loop->budget = INT_MAX;
    eddyi_shelf_forked(loop->shelf);
    if (loop->tasks_forked != NULL) {
        loop->tasks_forked(loop);
    }
}

static pthread_once_t process_once = PTHREAD_ONCE_INIT;
static int watch_result;
/* Where there is but one processor, who will end a wait cannot run as long as its thread is awake.
 * Counted are the machine's and the cgroup's: a server that is bound to one of many by its affinity
 * waits for others that run elsewhere, or yields to who runs here. */
static bool one_processor;

static void ask_of_process(void) {
    watch_result = -pthread_atfork(NULL, NULL, child_of_a_fork);
    one_processor = eddyi_cpu_there("") == 1;
}

/* The simulation's time goes on in a wait only, and under Valgrind nobody else runs meanwhile. */
static bool never_awake(const eddy_loop *loop) {
    return one_processor || loop->driver == &eddyi_driver_sim || is_under_valgrind();
}

static int choose_spin(eddy_loop *loop) {
    const char *text = getenv("EDDY_SPIN_NS");
    int64_t spin_ns = loop->opts.spin_ns == EDDY_ZERO ? 0 : loop->opts.spin_ns;
    if (loop->opts.spin_ns == 0) {
        char *end = NULL;
        spin_ns = text == NULL ? SPIN_NS_DEFAULT : strtoll(text, &end, 10);
        if (text != NULL && (end == text || *end != '\0' || spin_ns < 0 || spin_ns > SPIN_NS_MAX)) {
            return (int)eddyi_detail_set(
                -EINVAL, "EDDY_SPIN_NS=\"%s\" is no number of nanoseconds up to %" PRId64, text,
                (int64_t)SPIN_NS_MAX);
        }
    }
    loop->spin = (struct eddyi_loop_spin){
        .ns = never_awake(loop) ? 0 : spin_ns,
        .skip = 1,
        .yields = eddyi_cpu_affinity() == 1,
    };
    return 0;
}

int eddy_loop_new(const eddy_loop_opts *opts, eddy_loop **ret_loop) {
    eddy_loop_opts copy;
    if (ret_loop == NULL || EDDYI_OPTS_READ(&copy, opts, spin_ns) < 0 ||
        copy.stack_size_bytes > STACK_SIZE_MAX || copy.sq_entries > SQ_ENTRIES_MAX ||
        copy.cq_entries > CQ_ENTRIES_MAX || copy.spin_ns < EDDY_ZERO ||
        copy.spin_ns > SPIN_NS_MAX) {
        return -EINVAL;
    }
    pthread_once(&process_once, ask_of_process);
    eddy_loop *loop = watch_result < 0 ? NULL : eddyi_zalloc(sizeof *loop);
    if (loop == NULL) {
        return -ENOMEM;
    }
    loop->opts = copy;
    if (loop->opts.name == NULL) {
        loop->opts.name = "loop";
    }
    loop->pid = getpid();
    eddyi_list_init(&loop->stoppers);
    eddyi_list_init(&loop->callbacks);
    int r = choose_driver(loop);
    if (r == 0 && (r = choose_spin(loop)) < 0) {
        loop->driver->close(loop);
    }
    if (r < 0) {
        eddyi_free(loop);
        return r;
    }
    loop->meter = eddyi_meter_claim();
    loop->now_ns = eddyi_loop_clock(loop);
    loop->slice = 1;
    eddyi_track_add(&loop->track, "loop", NULL, NULL, EDDYI_PLACE, NULL);
    *ret_loop = loop;
    return 0;
}

/* ---- whose it is ----------------------------------------------------------------------------- */

int eddyi_loop_check(eddy_loop *loop) {
    if (EDDYI_UNLIKELY(loop->pid != getpid())) {
        return EDDY_EFORKED;
    }
    if (EDDYI_UNLIKELY(!loop->bound)) {
        loop->thread = pthread_self();
        loop->bound = true;
    }
    return pthread_equal(loop->thread, pthread_self()) ? 0 : EDDY_EWRONGLOOP;
}

static int enter(eddy_loop *loop) {
    if (eddyi_loop_here != NULL) {
        return -EDEADLK;
    }
    int r = eddyi_loop_check(loop);
    if (r < 0) {
        return r;
    }
    loop->running = true;
    eddyi_loop_here = loop;
    eddyi_meter_here = loop->meter;
    loop->now_ns = eddyi_loop_clock(loop);
    return 0;
}

static void leave(eddy_loop *loop) {
    loop->running = false;
    eddyi_loop_here = NULL;
    eddyi_meter_here = NULL;
}

eddy_loop *eddy_loop_current(void) {
    return eddyi_loop_here;
}

int64_t eddy_loop_now(eddy_loop *loop) {
    return eddyi_loop_clock(loop);
}

const char *eddy_loop_driver(const eddy_loop *loop) {
    return loop->driver->name;
}

const char *eddy_loop_driver_reason(const eddy_loop *loop) {
    return loop->driver_reason;
}

/* ---- posting --------------------------------------------------------------------------------- */

static void run_post(struct eddyi_ready *ready) {
    struct post *post = EDDYI_CONTAINER(ready, struct post, ready);
    void (*fn)(void *) = post->fn;
    void *arg = post->arg;
    eddyi_free(post);
    fn(arg);
}

int eddy_loop_post(eddy_loop *loop, void (*fn)(void *arg), void *arg) {
    if (loop == NULL || fn == NULL) {
        return -EINVAL;
    }
    if (loop->pid != getpid()) {
        return EDDY_EFORKED;
    }
    struct post *post = eddyi_alloc(sizeof *post);
    if (post == NULL) {
        return -ENOMEM;
    }
    *post = (struct post){.ready.run = run_post, .fn = fn, .arg = arg};
    eddyi_loop_ready_from_any(loop, &post->ready);
    return 0;
}

/* ---- running --------------------------------------------------------------------------------- */

static const bool never_done = false;

int eddyi_loop_run_until(eddy_loop *loop, const bool *done) {
    int r = enter(loop);
    if (r < 0) {
        return r;
    }
    eddyi_loop_take_remote(loop);
    while (!loop->stopping && !*done && (loop->live > 0 || loop->ready_head != NULL) &&
           !loop->forked) {
        eddyi_loop_turn(loop, EDDY_NEVER, done);
    }
    r = loop->forked ? EDDY_EFORKED : loop->stopping ? 1 : 0;
    loop->stopping = false;
    leave(loop);
    return r;
}

int eddy_loop_run(eddy_loop *loop) {
    return eddyi_loop_run_until(loop, &never_done);
}

int eddy_loop_poll(eddy_loop *loop) {
    int r = enter(loop);
    if (r < 0) {
        return r;
    }
    eddyi_loop_turn(loop, 0, &never_done);
    if (loop->forked) {
        leave(loop);
        return EDDY_EFORKED;
    }
    if (loop->ready_head == NULL) {
        eddyi_loop_trim(loop);
    }
    if (loop->driver->arm != NULL) {
        /* What another thread queues after this look finds the loop asleep and wakes it. */
        atomic_store(&loop->sleeping, 1);
        eddyi_loop_take_remote(loop);
        int64_t deadline_ns = loop->ready_head != NULL ? 0 : eddyi_timers_next(loop);
        loop->driver->arm(loop, deadline_ns);
    }
    r = loop->ready_head != NULL || eddyi_timers_next(loop) <= loop->now_ns ? 1 : 0;
    leave(loop);
    return r;
}

int eddy_loop_fd(eddy_loop *loop) {
    int r = eddyi_loop_check(loop);
    if (r < 0) {
        return r;
    }
    if (loop->driver->pollable == NULL) {
        return -ENOTSUP;
    }
    int fd = loop->driver->pollable(loop);
    if (fd >= 0) {
        atomic_store(&loop->sleeping, 1);
        eddyi_loop_take_remote(loop);
        loop->driver->arm(loop, loop->ready_head != NULL ? 0 : eddyi_timers_next(loop));
    }
    return fd;
}

static void stop_here(struct eddyi_ready *ready) {
    eddy_loop *loop = EDDYI_CONTAINER(ready, eddy_loop, stop);
    /* Before the stop takes effect: one that finds it still queued is part of it. */
    atomic_store(&loop->stop_queued, false);
    loop->stopping = true;
}

void eddy_loop_stop(eddy_loop *loop) {
    if (eddyi_loop_here == loop) {
        loop->stopping = true;
    } else if (loop->pid == getpid() && !atomic_exchange(&loop->stop_queued, true)) {
        /* In the queue, and no flag that the loop looks at: after what this thread has posted. */
        loop->stop.run = stop_here;
        eddyi_loop_ready_from_any(loop, &loop->stop);
    }
}

struct unobserved {
    eddy_loop *loop;
    int64_t error;
    const char *site;
    const char *name;
};

static void tell_unobserved(void *arg) {
    struct unobserved *failure = arg;
    const eddy_loop_opts *opts = &failure->loop->opts;
    opts->on_unobserved(failure->error, failure->site, failure->name, opts->ctx);
}

void eddyi_loop_unobserved(eddy_loop *loop, int64_t error, const char *site, const char *name) {
    struct unobserved failure = {loop, error, site, name};
    if (loop->opts.on_unobserved == NULL) {
        return;
    }
    if (loop->tasks_aside != NULL) {
        loop->tasks_aside(tell_unobserved, &failure);
    } else {
        tell_unobserved(&failure);
    }
}

void eddyi_stopper_add(eddy_loop *loop, struct eddyi_stopper *stopper) {
    eddyi_list_init(&stopper->link);
    eddyi_list_push_back(&loop->stoppers, &stopper->link);
    if (loop->on_serving != NULL) {
        loop->on_serving(loop);
    }
}

void eddyi_stopper_remove(struct eddyi_stopper *stopper) {
    eddyi_list_remove(&stopper->link);
}

int eddy_loop_drain(eddy_loop *loop) {
    int r = eddyi_loop_check(loop);
    EDDYI_LIST_EACH(node, &loop->stoppers) {
        if (r < 0) {
            break;
        }
        struct eddyi_stopper *stopper = EDDYI_LIST_ENTRY(node, struct eddyi_stopper, link);
        stopper->stop(stopper);
        r++;
    }
    return r;
}

void eddyi_loop_end(eddy_loop *loop) {
    if (!loop->ending) {
        loop->ending = true;
        loop->grace_ns = eddyi_loop_clock(loop) + EDDYI_LOOP_GRACE_NS;
    }
    if (loop->tasks_drain != NULL) {
        loop->tasks_drain(loop);
    }
    if (loop->callbacks_drain != NULL) {
        loop->callbacks_drain(loop);
    }
}

eddy_loop *eddy_loop_free(eddy_loop *loop) {
    if (loop == NULL) {
        return NULL;
    }
    bool forked = loop->pid != getpid();
    if (!forked) {
        EDDY_ASSERT_SAY(eddyi_loop_here == NULL, "a loop is freed from outside of every loop");
        int r = enter(loop);
        EDDY_ASSERT_SAY(r == 0, "a loop is freed on the thread that ran it");
        eddyi_loop_end(loop);
        eddyi_loop_take_remote(loop);
        while ((loop->live > 0 || loop->ready_head != NULL) && !loop->forked) {
            loop->stopping = false; /* it is ending anyhow, and sleeps where it waits */
            eddyi_loop_turn(loop, EDDY_NEVER, &never_done);
        }
        leave(loop);
        forked = loop->forked; /* in a task's cleanup, and this is the child */
    }
    if (!forked) {
        eddyi_offload_loop_done(loop);
        while (atomic_load_explicit(&loop->wakers, memory_order_acquire) != 0) {
            sched_yield();
        }
    }
    if (loop->tasks_done != NULL) {
        loop->tasks_done(loop);
    }
    eddyi_track_remove(&loop->track);
    if (forked) {
        eddyi_shelf_forked(loop->shelf);
    } else {
        eddyi_track_report(loop, 0, loop->opts.on_forgotten, loop->opts.ctx);
    }
    eddyi_pool_done(loop);
    loop->driver->close(loop);
    eddyi_shelf_done(loop->shelf);
    eddyi_meter_release(loop->meter);
    eddyi_free(loop);
    return NULL;
}
