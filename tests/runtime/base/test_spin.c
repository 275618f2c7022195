/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include <eddy/runtime/base/spin_impl.h>

#include "test.h"

#define THREADS 4
#define ROUNDS 50000

static struct eddyi_spin spin;
static pthread_barrier_t start;
static int64_t count; /* plain: only the lock keeps it right */

static void *add(void *arg) {
    (void)arg;
    pthread_barrier_wait(&start); /* or the first would be done before the last is there */
    for (int i = 0; i < ROUNDS; i++) {
        eddyi_spin_lock(&spin);
        int64_t seen = count;
        eddyi_spin_pause();
        count = seen + 1;
        eddyi_spin_unlock(&spin);
    }
    return NULL;
}

TEST(a_zeroed_lock_is_free_and_lets_one_in_at_a_time) {
    pthread_t threads[THREADS];
    CHECK_EQ(pthread_barrier_init(&start, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, add, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    pthread_barrier_destroy(&start);
    CHECK_EQ(count, (int64_t)THREADS * ROUNDS);
}
