/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/loop/timer_impl.h>

#include <eddy/runtime/loop/loop_impl.h>

/* How many timers of the next slot are looked at for the least. In a fuller one the loop wakes up
 * when the slot begins and spreads it: once more than needed, for so many timers. */
#define LOOKED_AT_MAX 32

static struct eddyi_timer *timer_of(struct eddyi_list *node) {
    return EDDYI_LIST_ENTRY(node, struct eddyi_timer, link);
}

/* ---- slots ----------------------------------------------------------------------------------- */

static void place(struct eddyi_timers *timers, struct eddyi_timer *timer) {
    uint64_t deadline_ns = (uint64_t)timer->deadline_ns;
    uint64_t differing = deadline_ns ^ (uint64_t)timers->floor_ns;
    unsigned level = (63 - (unsigned)__builtin_clzll(differing | 1)) / EDDYI_TIMER_DIGIT_BITS;
    unsigned slot = deadline_ns >> level * EDDYI_TIMER_DIGIT_BITS & (EDDYI_TIMER_SLOTS - 1);
    struct eddyi_list *queue = &timers->slots[level][slot];
    if ((timers->used[level] & (uint64_t)1 << slot) == 0) {
        timers->used[level] |= (uint64_t)1 << slot;
        timers->levels |= (uint64_t)1 << level;
        eddyi_list_init(queue);
    }
    eddyi_list_init(&timer->link);
    eddyi_list_push_back(queue, &timer->link);
}

static void vacate(struct eddyi_timers *timers, const struct eddyi_list *queue) {
    size_t index = (size_t)(queue - timers->slots[0]);
    size_t level = index / EDDYI_TIMER_SLOTS;
    timers->used[level] &= ~((uint64_t)1 << index % EDDYI_TIMER_SLOTS);
    if (timers->used[level] == 0) {
        timers->levels &= ~((uint64_t)1 << level);
    }
}

static void take_out(struct eddyi_timers *timers, struct eddyi_timer *timer) {
    struct eddyi_list *next = timer->link.next;
    eddyi_list_remove(&timer->link);
    timer->link.next = NULL;
    if (next->next == next) {
        vacate(timers, next); /* alone is only the slot itself */
    }
}

/* Where the next timer is: the slot, when it begins, and its level. */
struct place {
    struct eddyi_list *queue;
    int64_t begin_ns;
    unsigned level;
};

static struct place first_place(struct eddyi_timers *timers) {
    unsigned level = (unsigned)__builtin_ctzll(timers->levels);
    unsigned slot = (unsigned)__builtin_ctzll(timers->used[level]);
    unsigned shift = level * EDDYI_TIMER_DIGIT_BITS;
    /* The floor's digits above the level. On the highest there are none: the shift gives 0. */
    uint64_t above = (uint64_t)timers->floor_ns & ~(((uint64_t)EDDYI_TIMER_SLOTS << shift) - 1);
    return (struct place){
        .queue = &timers->slots[level][slot],
        .begin_ns = (int64_t)(above | (uint64_t)slot << shift),
        .level = level,
    };
}

/* The floor has come to where the slot begins: all go to lower levels. */
static void spread(struct eddyi_timers *timers, struct eddyi_list *queue) {
    vacate(timers, queue);
    for (struct eddyi_list *node = queue->next, *next; node != queue; node = next) {
        next = node->next;
        place(timers, timer_of(node));
    }
}

/* ---- what the loop asks ---------------------------------------------------------------------- */

void eddyi_timer_arm(eddy_loop *loop, struct eddyi_timer *timer, int64_t deadline_ns) {
    struct eddyi_timers *timers = &loop->timers;
    if (eddyi_timer_is_armed(timer)) {
        eddyi_timer_disarm(loop, timer);
    }
    if (deadline_ns == EDDY_NEVER) {
        return;
    }
    timer->deadline_ns = deadline_ns > timers->floor_ns ? deadline_ns : timers->floor_ns;
    if (timer->deadline_ns < timers->next_ns) {
        timers->next_ns = timer->deadline_ns;
    }
    place(timers, timer);
}

void eddyi_timer_disarm(eddy_loop *loop, struct eddyi_timer *timer) {
    if (eddyi_timer_is_armed(timer)) {
        take_out(&loop->timers, timer);
        if (timer->deadline_ns == loop->timers.next_ns) {
            loop->timers.next_ns = 0;
        }
    }
}

static int64_t find_next(struct eddyi_timers *timers) {
    if (timers->levels == 0) {
        return EDDY_NEVER;
    }
    struct place first = first_place(timers);
    int64_t next_ns = EDDY_NEVER;
    int looked_at = 0;
    EDDYI_LIST_EACH(node, first.queue) {
        if (looked_at++ == LOOKED_AT_MAX) {
            return first.begin_ns;
        }
        int64_t deadline_ns = timer_of(node)->deadline_ns;
        next_ns = deadline_ns < next_ns ? deadline_ns : next_ns;
    }
    return next_ns;
}

int64_t eddyi_timers_next(eddy_loop *loop) {
    struct eddyi_timers *timers = &loop->timers;
    if (timers->next_ns == 0) {
        timers->next_ns = find_next(timers);
    }
    return timers->next_ns;
}

/* The next one, taken out, if it is due. */
static struct eddyi_timer *take_due(struct eddyi_timers *timers, int64_t now_ns) {
    while (timers->levels != 0) {
        struct place first = first_place(timers);
        if (first.begin_ns > now_ns) {
            return NULL;
        }
        struct eddyi_timer *timer = timer_of(first.queue->next);
        if (first.level == 0 || timer->link.next == first.queue) {
            if (timer->deadline_ns > now_ns) {
                return NULL;
            }
            timers->floor_ns = timer->deadline_ns;
            take_out(timers, timer);
            return timer;
        }
        timers->floor_ns = first.begin_ns;
        spread(timers, first.queue);
    }
    return NULL;
}

void eddyi_timers_fire(eddy_loop *loop) {
    struct eddyi_timers *timers = &loop->timers;
    if (eddyi_timers_next(loop) > loop->now_ns) {
        return;
    }
    struct eddyi_timer *timer;
    while ((timer = take_due(timers, loop->now_ns)) != NULL) {
        timer->fire(timer);
    }
    timers->next_ns = 0;
}
