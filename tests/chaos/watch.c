/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog: ends what makes no progress any more, and says what everybody waits for. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <eddy/runtime/loop/loop_impl.h>
#include <eddy/runtime/task/task_impl.h>

#include "chaos.h"

/* Longer than thousands of tasks need for a turn of each on a machine that is busy. */
#define PATIENCE_S 60
#define SLOW_FACTOR 4
#define KINDS_MAX 256
#define SHOWN 5 /* numbers of each kind */

/* ---- who waits for what ---------------------------------------------------------------------- */

struct kind {
    const char *state;
    const char *what;
    const char *site;
    char name[32];
    unsigned code; /* what its scope's calls return, negated */
    unsigned count;
    uint64_t ids[SHOWN];
};

static const char *state_of(const eddy_task *task) {
    static const char *const names[] = {"ready", "running", "waits", "ended"};
    return task->state < sizeof names / sizeof names[0] ? names[task->state] : "?";
}

static void count_task(struct kind *kinds, size_t *count, const eddy_task *task) {
    const struct eddyi_wait *wait = task->wait;
    struct kind kind = {
        .state = state_of(task),
        .what = task->state == EDDYI_TASK_PARKED && wait != NULL ? wait->what : "",
        .site = task->site == NULL ? "?" : task->site,
        .code = (unsigned)-task->scope->effective,
    };
    memcpy(kind.name, task->name, sizeof kind.name);
    size_t i = 0;
    while (i < *count && !(kinds[i].state == kind.state && kinds[i].what == kind.what &&
                           kinds[i].site == kind.site && kinds[i].code == kind.code &&
                           strncmp(kinds[i].name, kind.name, sizeof kind.name) == 0)) {
        i++;
    }
    if (i == KINDS_MAX) {
        return;
    }
    if (i == *count) {
        kinds[(*count)++] = kind;
    }
    if (kinds[i].count < SHOWN) {
        kinds[i].ids[kinds[i].count] = task->id;
    }
    kinds[i].count++;
}

static void dump_loop(unsigned index, const eddy_loop *loop) {
    struct kind kinds[KINDS_MAX];
    size_t count = 0;
    size_t total = 0;
    fprintf(stderr, "loop %u: %" PRIu64 " turns, %" PRIu64 " ready, %s\n", index, loop->turns,
            loop->ready_count, atomic_load(&loop->sleeping) != 0 ? "asleep" : "runs");
    if (loop->tasks == NULL) {
        return;
    }
    EDDYI_LIST_EACH(node, &loop->tasks->all) {
        count_task(kinds, &count, EDDYI_LIST_ENTRY(node, eddy_task, in_loop));
        total++;
    }
    fprintf(stderr, "  %zu tasks\n", total);
    for (size_t i = 0; i < count; i++) {
        const struct kind *kind = &kinds[i];
        fprintf(stderr, "  %6u %s %s: \"%s\" spawned at %s%s, task", kind->count, kind->state,
                kind->what, kind->name, kind->site,
                kind->code == ECANCELED ? ", cancelled"
                : kind->code != 0       ? ", out of time"
                                        : "");
        for (unsigned j = 0; j < kind->count && j < SHOWN; j++) {
            fprintf(stderr, " %" PRIu64, kind->ids[j]);
        }
        fprintf(stderr, "%s\n", kind->count > SHOWN ? " ..." : "");
    }
}

/* Other loops run on meanwhile: what this reads of them may be a moment old, or wrong. */
__attribute__((no_sanitize("address", "thread"))) void dump_tasks(void) {
    static _Atomic bool dumped;
    if (chaos.group == NULL || atomic_exchange(&dumped, true)) {
        return;
    }
    for (unsigned i = 0; i < chaos.loops; i++) {
        dump_loop(i, eddy_loop_group_loop(chaos.group, i));
    }
}

/* ---- the watchdog ---------------------------------------------------------------------------- */

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
} watchdog = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t progress(void) {
    return atomic_load(&chaos.actions) + atomic_load(&chaos.begun) + atomic_load(&chaos.ended);
}

static int64_t now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void *watch(void *arg) {
    uint64_t last = progress();
    int64_t since_s = now_s();
    int64_t patience_s = PATIENCE_S * (chaos.slow ? SLOW_FACTOR : 1);
    (void)arg;
    pthread_mutex_lock(&watchdog.lock);
    while (!watchdog.stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        pthread_cond_timedwait(&watchdog.changed, &watchdog.lock, &until);
        uint64_t present = progress();
        if (present != last) {
            last = present;
            since_s = now_s();
        } else if (now_s() - since_s > patience_s) {
            chaos_fail(__FILE__, __LINE__, "no progress for %lld seconds", (long long)patience_s);
        }
    }
    pthread_mutex_unlock(&watchdog.lock);
    return NULL;
}

void watchdog_start(void) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&watchdog.changed, &attr);
    pthread_condattr_destroy(&attr);
    REQUIRE_EQ(pthread_create(&watchdog.thread, NULL, watch, NULL), 0);
}

void watchdog_stop(void) {
    pthread_mutex_lock(&watchdog.lock);
    watchdog.stopping = true;
    pthread_cond_signal(&watchdog.changed);
    pthread_mutex_unlock(&watchdog.lock);
    pthread_join(watchdog.thread, NULL);
    pthread_cond_destroy(&watchdog.changed);
}
