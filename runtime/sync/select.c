/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Select: all channels are locked, in the order of their addresses, looked at, and only if nothing
 * can be done is a waiter put into each. So no item can slip through between looking and waiting.
 */
#include <string.h>

#include <eddy/runtime/sync/channel_impl.h>

/* The channels of the cases, each once, in the order in which they are locked. */
struct locks {
    eddy_channel *channels[EDDY_CHANNEL_CASES_MAX];
    size_t count;
};

static void locks_sort(struct locks *locks, const eddy_channel_case *cases, size_t count) {
    locks->count = 0;
    for (size_t i = 0; i < count; i++) {
        eddy_channel *channel = cases[i].channel;
        size_t at = 0;
        while (at < locks->count && (uintptr_t)locks->channels[at] < (uintptr_t)channel) {
            at++;
        }
        if (channel == NULL || (at < locks->count && locks->channels[at] == channel)) {
            continue;
        }
        memmove(&locks->channels[at + 1], &locks->channels[at],
                (locks->count - at) * sizeof locks->channels[0]);
        locks->channels[at] = channel;
        locks->count++;
    }
}

static void lock_all(const struct locks *locks) {
    for (size_t i = 0; i < locks->count; i++) {
        eddyi_spin_lock(&locks->channels[i]->lock);
    }
}

static void unlock_all(const struct locks *locks) {
    for (size_t i = locks->count; i > 0; i--) {
        eddyi_spin_unlock(&locks->channels[i - 1]->lock);
    }
}

static int check(const eddy_channel_case *cases, size_t count, const size_t *ret_index) {
    if (cases == NULL || count == 0 || count > EDDY_CHANNEL_CASES_MAX || ret_index == NULL) {
        return -EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        if (cases[i].channel != NULL && cases[i].send == NULL && cases[i].recv == NULL) {
            return -EINVAL;
        }
    }
    return 0;
}

/* Where this call begins to look. Drawn, because with a place that goes round two tasks that take
 * turns would each always begin at the same one. From a generator of the first case's channel, and
 * not of the first in the order of locking: addresses must not decide anything in a simulation. */
static size_t begin_at(const eddy_channel_case *cases, size_t count) {
    size_t first = 0;
    while (cases[first].channel == NULL) {
        first++;
    }
    uint64_t *draw = &cases[first].channel->draw;
    *draw = *draw * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(((*draw >> 32) * count) >> 32);
}

/* Locked: does the first case that can be done, from that place on and round. */
static int attempt_all(const struct locks *locks, const eddy_channel_case *cases, size_t count,
                       size_t *ret_index) {
    if (locks->count == 0) {
        return -EAGAIN;
    }
    size_t begin = begin_at(cases, count);
    for (size_t i = 0; i < count; i++) {
        size_t index = begin + i < count ? begin + i : begin + i - count;
        const eddy_channel_case *one = &cases[index];
        if (one->channel == NULL) {
            continue;
        }
        int r = eddyi_channel_attempt(one->channel, one->send, one->recv);
        if (r != -EAGAIN) {
            *ret_index = index;
            return r;
        }
    }
    return -EAGAIN;
}

int eddy_channel_try_select(const eddy_channel_case *cases, size_t count, size_t *ret_index) {
    struct locks locks;
    int r = check(cases, count, ret_index);
    if (r < 0) {
        return r;
    }
    locks_sort(&locks, cases, count);
    lock_all(&locks);
    r = attempt_all(&locks, cases, count, ret_index);
    unlock_all(&locks);
    return r;
}

/* Locked, and unlocked afterwards: waits in all channels. */
static int wait_in_all(eddy_task *task, const struct locks *locks, const eddy_channel_case *cases,
                       size_t count, size_t *ret_index) {
    struct eddyi_channel_call call = {
        .wait = {.interrupt = eddyi_wait_wake, .what = "select"},
        .task = task,
    };
    struct eddyi_channel_waiter waiters[EDDY_CHANNEL_CASES_MAX];
    for (size_t i = 0; i < count; i++) {
        waiters[i] = (struct eddyi_channel_waiter){
            .call = &call,
            .index = i,
            .send = cases[i].send,
            .recv = cases[i].recv,
        };
        if (cases[i].channel != NULL) {
            eddyi_sync_push(eddyi_channel_queue(cases[i].channel, cases[i].send), &waiters[i].link);
        }
    }
    unlock_all(locks);
    int r = eddyi_channel_park(&call);
    lock_all(locks);
    for (size_t i = 0; i < count; i++) {
        if (cases[i].channel != NULL) {
            eddyi_sync_remove(eddyi_channel_queue(cases[i].channel, cases[i].send),
                              &waiters[i].link);
        }
    }
    unlock_all(locks);
    if (r == 0 || r == EDDY_ECLOSED) {
        *ret_index = call.index;
    }
    return r;
}

int eddy_channel_select(const eddy_channel_case *cases, size_t count, size_t *ret_index) {
    eddy_task *task;
    struct locks locks;
    int r = check(cases, count, ret_index);
    if (r < 0 || (r = eddyi_task_enter(&task)) < 0) {
        return r;
    }
    locks_sort(&locks, cases, count);
    lock_all(&locks);
    r = attempt_all(&locks, cases, count, ret_index);
    if (r != -EAGAIN) {
        unlock_all(&locks);
        return r;
    }
    return wait_in_all(task, &locks, cases, count, ret_index);
}
