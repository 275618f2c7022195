/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool. A thread is in one of three places, and knows no others:
 *
 *     coming ----> taking jobs ----> asleep ----> ended, after a few idle seconds or with the pool
 *       ^                              |
 *       +------------ woken -----------+
 *
 * Coming are those that will look at the queue by themselves: started, woken, on the way back from
 * a job. A job that finds fewer of them than there are jobs wakes a sleeper, or starts a thread
 * when none sleeps; so each sleep ends in one wake-up at most, and a burst of jobs does not wake
 * one thread many times.
 *
 * A thread that has nothing to do sleeps at once. To look out for the next job for up to 50
 * microseconds was tried (a stat a job, two processors, Linux 6.18, medians of 11 runs): serial
 * jobs came no faster, 10 microseconds each, and of four and sixteen at once only 58,000 and
 * 132,000 a second were done instead of 156,000 and 264,000, at twice the processor time. The one
 * that looks out keeps the processor that the loop needs.
 */
#include <eddy/runtime/loop/offload_impl.h>

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <eddy/runtime/base/memory_impl.h>

/* A thread that has been idle for so long ends. */
#define IDLE_NS (3 * EDDY_S)

/* So many threads may be lost in calls that hang before the pool starts no more in their place. */
#define LOST_MAX 256

/* A thread that sleeps; on its stack. */
struct sleeper {
    struct eddyi_list link; /* in pool.sleepers */
    _Atomic uint32_t woken; /* a futex */
};

/*
 * One for the process, because what it saves is the disk's and the processors', not a loop's. Under
 * `lock` but for the atomics.
 */
static struct {
    /* the process for which the rest is true; its negative: being set up */
    _Atomic pid_t owner;
    pthread_mutex_t lock;
    pthread_cond_t ended;       /* only lost threads are left */
    struct eddyi_list queue;    /* jobs, oldest first */
    struct eddyi_list sleepers; /* latest first: its cache is warm, and the others can end */
    unsigned queued;            /* jobs in `queue` */
    bool ending;                /* threads end when they find no job */
    _Atomic unsigned coming;    /* counted up by threads that have yet to take the lock, too */
    unsigned threads;           /* started and not ended */
    unsigned lost;              /* of them, those inside a job that was abandoned */
    unsigned threads_max;       /* that are not lost */
    unsigned loops;             /* that have used the pool and have not been freed */
    bool has_last;
    pthread_t last; /* the thread that ended last, to be joined by the next that does */
} pool;

/* ---- the way back ---------------------------------------------------------------------------- */

static void deliver(struct eddyi_ready *ready) {
    struct eddyi_offload_job *job = EDDYI_CONTAINER(ready, struct eddyi_offload_job, ready);
    job->loop->live--;
    job->done(job);
}

static void finish(struct eddyi_offload_job *job, int64_t result) {
    job->result = result;
    job->ready.run = deliver;
    eddyi_loop_ready_from_any(job->loop, &job->ready);
}

void eddyi_offload_finish(struct eddyi_offload_job *job) {
    job->loop->live++;
    atomic_store_explicit(&job->state, EDDYI_OFFLOAD_DONE, memory_order_relaxed);
    finish(job, job->result);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void futex_wait(_Atomic uint32_t *word, int64_t timeout_ns) {
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / EDDY_S),
                               .tv_nsec = (long)(timeout_ns % EDDY_S)};
    /* Whatever it returns, the caller looks at the word itself. */
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, &timeout, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word) {
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static int call_thread(const struct eddyi_host *host, struct sleeper **ret_sleeper);

/* Takes the latest sleeper out and marks it; the caller makes the call, after unlocking. */
static struct sleeper *wake_sleeper(void) {
    struct eddyi_list *node = eddyi_list_pop_front(&pool.sleepers);
    if (node == NULL) {
        return NULL;
    }
    struct sleeper *sleeper = EDDYI_LIST_ENTRY(node, struct sleeper, link);
    pool.coming++;
    atomic_store_explicit(&sleeper->woken, 1, memory_order_relaxed);
    return sleeper;
}

/* The job has been run. True: its loop waits for it. False: it was abandoned, and is LEFT. */
static bool end_job(struct eddyi_offload_job *job, int64_t result) {
    struct sleeper *sleeper = NULL;
    int state = EDDYI_OFFLOAD_RUNNING;
    if (EDDYI_LIKELY(atomic_compare_exchange_strong(&job->state, &state, EDDYI_OFFLOAD_DONE))) {
        return true;
    }
    pthread_mutex_lock(&pool.lock);
    bool abandoned =
        atomic_load_explicit(&job->state, memory_order_relaxed) == EDDYI_OFFLOAD_ABANDONED;
    void (*left)(struct eddyi_offload_job * job) = job->left;
    job->result = result;
    atomic_store_explicit(&job->state, abandoned ? EDDYI_OFFLOAD_LEFT : EDDYI_OFFLOAD_DONE,
                          memory_order_release);
    if (abandoned) {
        /* It comes when `left` has returned, and to close what came late may hang, too: what was
         * submitted meanwhile is for somebody else. */
        pool.coming--;
        (void)call_thread(&eddyi_host_real, &sleeper);
    }
    pthread_mutex_unlock(&pool.lock);
    if (sleeper != NULL) {
        futex_wake(&sleeper->woken);
    }
    if (abandoned) {
        left(job);
        pool.coming++;
    }
    return !abandoned;
}

/* Under the lock: more threads than there should be, as one that was lost has come back. */
static bool too_many(void) {
    return pool.threads - pool.lost > pool.threads_max;
}

/* Under the lock, given up meanwhile: runs jobs until the queue is empty. */
static void run_jobs(void) {
    struct eddyi_list *node;
    while ((node = eddyi_list_pop_front(&pool.queue)) != NULL) {
        struct eddyi_offload_job *job = EDDYI_LIST_ENTRY(node, struct eddyi_offload_job, in_queue);
        pool.queued--;
        atomic_store_explicit(&job->state, EDDYI_OFFLOAD_RUNNING, memory_order_relaxed);
        pthread_mutex_unlock(&pool.lock);
        int64_t result = job->run(job);
        /* Counted before the loop knows: else its next job would find nobody coming, and start a
         * thread, while this one is on its way back. */
        pool.coming++;
        bool wanted = end_job(job, result);
        if (wanted) {
            finish(job, result); /* from here on it is the loop's */
        }
        pthread_mutex_lock(&pool.lock);
        pool.coming--;
        pool.lost -= wanted ? 0 : 1;
        if (too_many()) {
            return;
        }
    }
}

/* Under the lock, given up meanwhile: false when nobody has come in a long time. */
static bool sleep_until_woken(void) {
    struct sleeper sleeper = {.woken = 0};
    eddyi_list_init(&sleeper.link);
    eddyi_list_push_front(&pool.sleepers, &sleeper.link);
    pthread_mutex_unlock(&pool.lock);
    futex_wait(&sleeper.woken, IDLE_NS);
    pthread_mutex_lock(&pool.lock);
    if (atomic_load_explicit(&sleeper.woken, memory_order_relaxed) != 0) {
        pool.coming--;
        return true;
    }
    eddyi_list_remove(&sleeper.link);
    return false;
}

static void *work(void *arg) {
    (void)arg;
    pthread_mutex_lock(&pool.lock);
    pool.coming--;
    for (;;) {
        run_jobs();
        if (pool.ending || pool.loops == 0 || too_many() ||
            (!sleep_until_woken() && pool.queued == 0)) {
            break;
        }
    }
    /* A job that was submitted while this one was coming has woken nobody. When no thread sleeps,
     * all the others will look at the queue by themselves. */
    struct sleeper *heir = pool.queued > pool.coming ? wake_sleeper() : NULL;
    /* Nobody waits for an idle thread, so each one that ends joins the one before it; one that was
     * lost and comes back when the last loop has gone is not joined by anybody. */
    bool joins = pool.has_last;
    pthread_t before = pool.last;
    if (pool.loops > 0 || pool.ending) {
        pool.last = pthread_self();
        pool.has_last = true;
    } else {
        pool.has_last = false;
        pthread_detach(pthread_self());
    }
    pool.threads--;
    if (pool.threads == pool.lost) {
        pthread_cond_broadcast(&pool.ended);
    }
    pthread_mutex_unlock(&pool.lock);
    if (heir != NULL) {
        futex_wake(&heir->woken);
    }
    if (joins) {
        eddyi_host_real.thread_join(eddyi_host_real.ctx, before);
    }
    return NULL;
}

/* Under the lock. */
static int start_thread(const struct eddyi_host *host) {
    pthread_t thread;
    if (eddyi_memory_refused()) {
        return -ENOMEM;
    }
    int r = host->thread_start(host->ctx, "eddy-offload", work, NULL, &thread);
    if (r < 0) {
        return r;
    }
    pool.threads++;
    pool.coming++;
    return 0;
}

/* ---- the pool -------------------------------------------------------------------------------- */

/* Makes the pool this process's. In a forked child what is there is a copy of the parent's, whose
 * threads do not exist and whose lock anybody may have held. */
static void claim(pid_t pid) {
    pid_t owner = atomic_load_explicit(&pool.owner, memory_order_acquire);
    while (owner != pid) {
        if (owner == -pid) {
            sched_yield();
            owner = atomic_load_explicit(&pool.owner, memory_order_acquire);
        } else if (atomic_compare_exchange_strong(&pool.owner, &owner, -pid)) {
            pthread_mutex_init(&pool.lock, NULL);
            pthread_cond_init(&pool.ended, NULL);
            eddyi_list_init(&pool.queue);
            eddyi_list_init(&pool.sleepers);
            pool.queued = 0;
            pool.ending = false;
            atomic_store(&pool.coming, 0);
            pool.threads = 0;
            pool.lost = 0;
            pool.threads_max = 0;
            pool.loops = 0;
            pool.has_last = false;
            atomic_store_explicit(&pool.owner, pid, memory_order_release);
            return;
        }
    }
}

/* Under the lock. */
static void count_loop(eddy_loop *loop) {
    if (loop->uses_offload) {
        return;
    }
    loop->uses_offload = true;
    if (pool.loops++ == 0) {
        int cpus = loop->host->cpu_count(loop->host->ctx);
        pool.threads_max =
            cpus > EDDYI_OFFLOAD_THREADS_MIN ? (unsigned)cpus : EDDYI_OFFLOAD_THREADS_MIN;
    }
}

/* Under the lock: sees to it that somebody comes for the newest job. */
static int call_thread(const struct eddyi_host *host, struct sleeper **ret_sleeper) {
    *ret_sleeper = NULL;
    if (pool.queued <= pool.coming) {
        return 0;
    }
    *ret_sleeper = wake_sleeper();
    unsigned spared = pool.lost < LOST_MAX ? pool.lost : LOST_MAX;
    if (*ret_sleeper != NULL || pool.threads - spared >= pool.threads_max) {
        return 0;
    }
    int r = start_thread(host);
    return pool.threads > pool.lost ? 0 : r; /* the threads that are there do it, later */
}

/* sim: the driver's moment has come. */
static void run_simulated(void *arg) {
    struct eddyi_offload_job *job = arg;
    int64_t result = -ECANCELED;
    if (atomic_load_explicit(&job->state, memory_order_relaxed) == EDDYI_OFFLOAD_QUEUED) {
        atomic_store_explicit(&job->state, EDDYI_OFFLOAD_RUNNING, memory_order_relaxed);
        result = job->run(job);
        atomic_store_explicit(&job->state, EDDYI_OFFLOAD_DONE, memory_order_relaxed);
    }
    finish(job, result);
}

int eddyi_offload_submit(eddy_loop *loop, struct eddyi_offload_job *job) {
    job->loop = loop;
    job->result = 0;
    eddyi_list_init(&job->in_queue);
    atomic_init(&job->state, EDDYI_OFFLOAD_QUEUED);
    if (loop->driver->job != NULL) {
        loop->live++;
        loop->driver->job(loop, run_simulated, job);
        return 0;
    }
    claim(loop->pid);
    pthread_mutex_lock(&pool.lock);
    count_loop(loop);
    eddyi_list_push_back(&pool.queue, &job->in_queue);
    pool.queued++;
    struct sleeper *sleeper;
    int r = call_thread(loop->host, &sleeper);
    if (r < 0) {
        eddyi_list_remove(&job->in_queue);
        pool.queued--;
    } else {
        loop->live++;
    }
    pthread_mutex_unlock(&pool.lock);
    if (sleeper != NULL) {
        /* It may have timed out and gone by now; then nobody waits at this address. */
        futex_wake(&sleeper->woken);
    }
    return r;
}

bool eddyi_offload_cancel(struct eddyi_offload_job *job) {
    bool simulated = job->loop->driver->job != NULL;
    if (!simulated) {
        pthread_mutex_lock(&pool.lock);
    }
    bool queued = atomic_load_explicit(&job->state, memory_order_relaxed) == EDDYI_OFFLOAD_QUEUED;
    if (queued) {
        atomic_store_explicit(&job->state, EDDYI_OFFLOAD_DONE, memory_order_relaxed);
    }
    if (simulated) {
        return queued; /* the driver comes back for it */
    }
    if (queued) {
        eddyi_list_remove(&job->in_queue);
        pool.queued--;
    }
    pthread_mutex_unlock(&pool.lock);
    if (queued) {
        finish(job, -ECANCELED);
    }
    return queued;
}

bool eddyi_offload_abandon(struct eddyi_offload_job *job) {
    eddy_loop *loop = job->loop;
    if (loop->driver->job != NULL) {
        return false; /* the simulation runs it on this thread: it has not begun, or has ended */
    }
    struct sleeper *sleeper = NULL;
    int state = EDDYI_OFFLOAD_RUNNING;
    pthread_mutex_lock(&pool.lock);
    bool begun = atomic_compare_exchange_strong(&job->state, &state, EDDYI_OFFLOAD_ABANDONED);
    if (begun) {
        pool.lost++;
        loop->live--;
        /* The thread may have been the only one that would come for what is queued. When no other
         * can be started now, the next job to be submitted tries it again. */
        (void)call_thread(loop->host, &sleeper);
    }
    pthread_mutex_unlock(&pool.lock);
    if (sleeper != NULL) {
        futex_wake(&sleeper->woken);
    }
    return begun;
}

bool eddyi_offload_reclaim(struct eddyi_offload_job *job) {
    pthread_mutex_lock(&pool.lock);
    bool running =
        atomic_load_explicit(&job->state, memory_order_relaxed) == EDDYI_OFFLOAD_ABANDONED;
    if (running) {
        atomic_store_explicit(&job->state, EDDYI_OFFLOAD_RUNNING, memory_order_relaxed);
        pool.lost--;
        job->loop->live++;
    }
    pthread_mutex_unlock(&pool.lock);
    return running;
}

void eddyi_offload_loop_done(eddy_loop *loop) {
    if (!loop->uses_offload) {
        return;
    }
    loop->uses_offload = false;
    pthread_mutex_lock(&pool.lock);
    if (--pool.loops > 0) {
        pthread_mutex_unlock(&pool.lock);
        return;
    }
    pool.ending = true;
    struct sleeper *sleeper;
    while ((sleeper = wake_sleeper()) != NULL) {
        futex_wake(&sleeper->woken);
    }
    /* Another loop may come meanwhile and use the pool; then it is its to end. */
    while (pool.threads > pool.lost && pool.loops == 0) {
        pthread_cond_wait(&pool.ended, &pool.lock);
    }
    pool.ending = false;
    bool joins = pool.loops == 0 && pool.has_last;
    pthread_t last = pool.last;
    pool.has_last = pool.has_last && !joins;
    pthread_mutex_unlock(&pool.lock);
    if (joins) {
        loop->host->thread_join(loop->host->ctx, last);
    }
}
