/* SPDX-License-Identifier: Apache-2.0 */
/* Plain threads that keep promises or break them. In a simulation the loop does it itself, a little
 * later. */
#include "producers.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#define THREADS 2

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct pledge *first;
    struct pledge *last;
    bool stopping;
    pthread_t threads[THREADS];
} producers = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* The second of the two compares what they know. */
static void sign(struct pledge *pledge) {
    if (atomic_fetch_sub(&pledge->parties, 1) != 1) {
        return;
    }
    if (pledge->seen) {
        REQUIRE_EQ(pledge->result == pledge->value, pledge->kept == 0);
        if (pledge->kept != 0) {
            REQUIRE(is_cut(pledge->result) || (pledge->broken && pledge->result == EDDY_EBROKEN));
        }
    }
    REQUIRE(atomic_load(&pledge->told) <= 1);
    free(pledge);
}

void pledge_sign(struct pledge *pledge, bool seen, int64_t result) {
    pledge->seen = seen;
    pledge->result = result;
    sign(pledge);
}

void pledge_dispose(void *payload) {
    free(payload);
    atomic_fetch_sub(&chaos.outstanding, 1);
}

static void told(void *arg) {
    struct pledge *pledge = arg;
    atomic_fetch_add(&pledge->told, 1);
}

static void produce(void *arg) {
    struct pledge *pledge = arg;
    eddy_promise *promise = pledge->promise;
    if (pledge->dawdle && !chaos.sim) {
        sched_yield();
    }
    if (pledge->broken) {
        pledge->kept = EDDY_EBROKEN;
    } else if (pledge->value % 3 == 0) {
        int64_t *payload = malloc(sizeof *payload);
        REQUIRE(payload != NULL);
        *payload = pledge->value;
        atomic_fetch_add(&chaos.outstanding, 1);
        pledge->kept = eddy_promise_resolve_payload(promise, pledge->value, payload,
                                                    sizeof *payload, pledge_dispose);
    } else {
        pledge->kept = eddy_promise_resolve(promise, pledge->value);
    }
    if (pledge->kept == -EALREADY) {
        REQUIRE(eddy_promise_cancelled(promise));
    } else if (!pledge->broken) {
        REQUIRE_EQ(pledge->kept, 0);
        REQUIRE_EQ(eddy_promise_resolve(promise, 1), -EALREADY);
    }
    eddy_promise_free(promise);
    sign(pledge);
}

struct pledge *pledge_new(struct me *me, eddy_future **ret_future) {
    struct pledge *pledge = calloc(1, sizeof *pledge);
    REQUIRE(pledge != NULL);
    pledge->value = PLEDGE_FIRST + (int64_t)dice_below(me, 1000);
    pledge->broken = one_in(me, 6);
    pledge->dawdle = one_in(me, 16);
    atomic_init(&pledge->parties, 2);
    REQUIRE_EQ(eddy_promise_new(&pledge->promise, ret_future), 0);
    if (one_in(me, 3)) {
        REQUIRE_EQ(eddy_promise_on_cancel(pledge->promise, told, pledge), 0);
    }
    if (chaos.sim) {
        REQUIRE_EQ(eddy_loop_post(eddy_loop_current(), produce, pledge), 0);
        return pledge;
    }
    pthread_mutex_lock(&producers.lock);
    *(producers.first == NULL ? &producers.first : &producers.last->next) = pledge;
    producers.last = pledge;
    pthread_cond_signal(&producers.changed);
    pthread_mutex_unlock(&producers.lock);
    return pledge;
}

static void *run_producer(void *arg) {
    (void)arg;
    pthread_mutex_lock(&producers.lock);
    while (!producers.stopping || producers.first != NULL) {
        struct pledge *pledge = producers.first;
        if (pledge == NULL) {
            pthread_cond_wait(&producers.changed, &producers.lock);
            continue;
        }
        producers.first = pledge->next;
        pthread_mutex_unlock(&producers.lock);
        produce(pledge);
        pthread_mutex_lock(&producers.lock);
    }
    pthread_mutex_unlock(&producers.lock);
    return NULL;
}

void producers_start(void) {
    for (unsigned i = 0; i < THREADS && !chaos.sim; i++) {
        REQUIRE_EQ(pthread_create(&producers.threads[i], NULL, run_producer, NULL), 0);
    }
}

void producers_stop(void) {
    pthread_mutex_lock(&producers.lock);
    producers.stopping = true;
    pthread_cond_broadcast(&producers.changed);
    pthread_mutex_unlock(&producers.lock);
    for (unsigned i = 0; i < THREADS && !chaos.sim; i++) {
        REQUIRE_EQ(pthread_join(producers.threads[i], NULL), 0);
    }
}
