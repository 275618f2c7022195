/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timers of a loop: wheels within wheels, exact to the nanosecond. A deadline is a number of
 * eleven digits in base 64. The floor is a moment that is over and not later than any deadline. A
 * timer stands on the level of the highest digit in which its deadline differs from the floor, in
 * the slot of that digit. With four levels instead of eleven, and digits in decimal:
 *
 *     floor 12:40:07:30       level 3 | .. 13 [14] 15 ..     14:08:55:01, 14:61:02:17
 *                             level 2 | .. [41] 42 ..        12:41:00:00
 *                             level 1 | .. 08 [09] ..        12:40:09:62
 *                             level 0 | .. [31] ..           12:40:07:31, 12:40:07:31
 *
 * So the next one is in the first slot of the lowest level that has any. When the time has come to
 * where that slot begins, the floor moves there and its timers go down to lower levels, each only
 * as far as it needs to be told from others. On level 0 a slot is a nanosecond, and in the order of
 * arming, for a slot is a queue and equal deadlines are in the same slot at all times.
 *
 * Arming and disarming link and unlink in a list. Most timers are cancelled long before their time
 * and never see a lower level; a heap would have sorted them. Nothing is allocated.
 */
#ifndef EDDY_RUNTIME_LOOP_TIMER_IMPL_H
#define EDDY_RUNTIME_LOOP_TIMER_IMPL_H

#include <eddy/runtime/base/list_impl.h>

typedef struct eddy_loop eddy_loop;

#define EDDYI_TIMER_DIGIT_BITS 6
#define EDDYI_TIMER_SLOTS (1 << EDDYI_TIMER_DIGIT_BITS)
#define EDDYI_TIMER_LEVELS 11 /* 66 bits, of which a deadline has 63 */

/* Zeroed, it is not armed. */
struct eddyi_timer {
    int64_t deadline_ns;    /* while it is armed */
    struct eddyi_list link; /* in its slot; `next` is NULL while it is not armed */
    /* on the loop's thread; wakes, never runs a user's code */
    void (*fire)(struct eddyi_timer *timer);
};

/* Zeroed, there are none. */
struct eddyi_timers {
    int64_t floor_ns;
    int64_t next_ns;                   /* what eddyi_timers_next gives; 0: not known */
    uint64_t levels;                   /* a bit for each level with timers */
    uint64_t used[EDDYI_TIMER_LEVELS]; /* a bit for each slot with timers; without it... */
    struct eddyi_list slots[EDDYI_TIMER_LEVELS][EDDYI_TIMER_SLOTS]; /* ...the slot is garbage */
};

static inline void eddyi_timer_init(struct eddyi_timer *timer,
                                    void (*fire)(struct eddyi_timer *timer)) {
    timer->link.next = NULL;
    timer->fire = fire;
}

static inline bool eddyi_timer_is_armed(const struct eddyi_timer *timer) {
    return timer->link.next != NULL;
}

/* All of them on the loop's thread. */

/* deadline_ns is monotonic; EDDY_NEVER arms nothing. Re-arming moves it. Cannot fail. A deadline
 * that is over and before that of a timer that has fired counts as that one's. */
void eddyi_timer_arm(eddy_loop *loop, struct eddyi_timer *timer, int64_t deadline_ns);
void eddyi_timer_disarm(eddy_loop *loop, struct eddyi_timer *timer);

/* When the loop has to look at its timers again: the next deadline, or EDDY_NEVER. Where very many
 * timers are due at about the same time it may be a moment before their first. */
int64_t eddyi_timers_next(eddy_loop *loop);
/* Fires what is due at loop->now_ns, by deadline, equal ones in the order of arming. */
void eddyi_timers_fire(eddy_loop *loop);

#endif
