/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include <eddy/runtime/base/spin_impl.h>

#include "test.h"

#define THREADS 4
#define ROUNDS 50000

static struct eddyi_spin spin;
static int64_t count; /* plain: only the lock keeps it right */

static void *add(void *arg) {
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        eddyi_spin_lock(&spin);
        count++;
        eddyi_spin_unlock(&spin);
    }
    return NULL;
}

TEST(a_zeroed_lock_is_free_and_lets_one_in_at_a_time) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, add, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    CHECK_EQ(count, (int64_t)THREADS * ROUNDS);
}
