/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futures in the order in which they end. Each has an entry that its end puts into a queue:
 *
 *     entries:  [0] [1] [2] [3] ...        WAITING: linked in its future's waiters
 *     finished:  2 -> 0                    QUEUED:  linked here, in the order of time
 *                                          GIVEN:   next has returned it; no reference left
 */
#include <eddy/futures/combine.h>

#include <eddy/futures/wait_impl.h>
#include <eddy/runtime/base/memory_impl.h>

struct entry {
    struct eddyi_waiter waiter;
    struct eddyi_list in_finished;
    eddy_as_completed *iterator;
    eddy_future *f; /* with a reference; NULL once given, and for a second place of a future */
};

struct eddy_as_completed {
    size_t count;
    size_t left;            /* entries that have not been given */
    size_t first_left;      /* all before it have been */
    struct eddyi_spin lock; /* guards what follows */
    struct eddyi_list finished;
    struct eddyi_parker *parker; /* who waits in next, or NULL */
    struct eddyi_track track;
    struct entry entries[];
};

/* ---- a set of addresses ---------------------------------------------------------------------- */

/* Finds the second places of a future without a look at every pair. Open addressing; at most half
 * full. */
struct seen {
    size_t mask;
    const eddy_future *slots[];
};

static struct seen *seen_new(size_t count) {
    size_t size = 2;
    while (size < 2 * count) {
        size *= 2;
    }
    struct seen *seen = eddyi_zalloc(sizeof *seen + size * sizeof seen->slots[0]);
    if (seen != NULL) {
        seen->mask = size - 1;
    }
    return seen;
}

/* Whether `f` is new. */
static bool seen_add(struct seen *seen, const eddy_future *f) {
    uint64_t hash = (uint64_t)(uintptr_t)f * UINT64_C(0x9e3779b97f4a7c15);
    size_t slot = (size_t)(hash >> 32) & seen->mask;
    while (seen->slots[slot] != NULL && seen->slots[slot] != f) {
        slot = (slot + 1) & seen->mask;
    }
    bool is_new = seen->slots[slot] == NULL;
    seen->slots[slot] = f;
    return is_new;
}

/* ---- the iterator ---------------------------------------------------------------------------- */

static void finish(struct entry *entry) {
    eddy_as_completed *iterator = entry->iterator;
    eddyi_spin_lock(&iterator->lock);
    eddyi_list_push_back(&iterator->finished, &entry->in_finished);
    if (iterator->parker != NULL) {
        eddyi_parker_wake(iterator->parker);
    }
    eddyi_spin_unlock(&iterator->lock);
}

static void wake_entry(struct eddyi_waiter *waiter, eddy_future *cell) {
    (void)cell;
    finish(EDDYI_CONTAINER(waiter, struct entry, waiter));
}

int eddy_as_completed_new(eddy_future *const *fs, size_t count, eddy_as_completed **ret_iterator) {
    if (ret_iterator == NULL || (count > 0 && fs == NULL)) {
        return -EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        if (fs[i] == NULL) {
            return -EINVAL;
        }
    }
    if (count > SIZE_MAX / 4 / sizeof(struct entry)) {
        return -ENOMEM;
    }
    struct seen *seen = seen_new(count);
    eddy_as_completed *iterator = eddyi_alloc(sizeof *iterator + count * sizeof(struct entry));
    if (seen == NULL || iterator == NULL) {
        eddyi_free(seen);
        eddyi_free(iterator);
        return -ENOMEM;
    }
    iterator->count = count;
    iterator->left = 0;
    iterator->first_left = 0;
    iterator->lock = (struct eddyi_spin){0};
    iterator->parker = NULL;
    eddyi_list_init(&iterator->finished);
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = &iterator->entries[i];
        *entry = (struct entry){.waiter.wake = wake_entry, .iterator = iterator};
        eddyi_list_init(&entry->in_finished);
        if (seen_add(seen, fs[i])) {
            entry->f = fs[i];
            iterator->left++;
        }
    }
    eddyi_free(seen);
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = &iterator->entries[i];
        if (entry->f != NULL) {
            eddyi_cell_ref(entry->f);
            if (!eddyi_cell_wait(entry->f, &entry->waiter)) {
                finish(entry);
            }
        }
    }
    eddyi_track_add(&iterator->track, "as_completed", NULL, NULL, EDDYI_PLACE, NULL);
    *ret_iterator = iterator;
    return 0;
}

/* The next finished entry, or NULL; then the parker, unless NULL too, is woken for the next one. */
static struct entry *take_finished(eddy_as_completed *iterator, struct eddyi_parker *parker) {
    eddyi_spin_lock(&iterator->lock);
    struct eddyi_list *node = eddyi_list_pop_front(&iterator->finished);
    iterator->parker = node == NULL ? parker : NULL;
    eddyi_spin_unlock(&iterator->lock);
    return node == NULL ? NULL : EDDYI_LIST_ENTRY(node, struct entry, in_finished);
}

/* Whether anything is left that this caller can wait for. Nearly always the first one is. */
static int check_wait(eddy_as_completed *iterator) {
    while (iterator->entries[iterator->first_left].f == NULL) {
        iterator->first_left++;
    }
    int r = -EDEADLK;
    for (size_t i = iterator->first_left; i < iterator->count && r < 0; i++) {
        if (iterator->entries[i].f != NULL) {
            r = eddyi_wait_check(iterator->entries[i].f);
        }
    }
    return r;
}

static int64_t give(eddy_as_completed *iterator, struct entry *entry) {
    eddy_future *f = entry->f;
    entry->f = NULL;
    iterator->left--;
    eddyi_cell_unref(f);
    return entry - iterator->entries;
}

/* Waits for the next one: NULL with *ret_error set when none came. */
static struct entry *wait_finished(eddy_as_completed *iterator, struct eddyi_parker *parker,
                                   int *ret_error) {
    struct entry *entry;
    int r = 0;
    while ((entry = take_finished(iterator, parker)) == NULL && r == 0) {
        r = check_wait(iterator);
        if (r == 0) {
            r = eddyi_parker_park(parker);
        }
    }
    if (entry == NULL) {
        /* Takes the parker back, and what ended together with the time or the cancel: that wins. */
        entry = take_finished(iterator, NULL);
    }
    *ret_error = r;
    return entry;
}

int64_t eddy_as_completed_wait(eddy_as_completed *iterator, int64_t timeout_ns) {
    if (iterator == NULL) {
        return -EINVAL;
    }
    struct eddyi_parker parker;
    struct entry *entry = NULL;
    int r = eddyi_parker_begin(&parker, timeout_ns <= 0 ? EDDY_NEVER : timeout_ns);
    if (r == 0 && iterator->left == 0) {
        r = -ENOENT;
    } else if (r == 0 && timeout_ns <= 0) {
        entry = take_finished(iterator, NULL);
        r = -EINPROGRESS;
    } else if (r == 0) {
        entry = wait_finished(iterator, &parker, &r);
    }
    eddyi_parker_end(&parker);
    return entry == NULL ? r : give(iterator, entry);
}

int64_t eddy_as_completed_next(eddy_as_completed *iterator) {
    return eddy_as_completed_wait(iterator, EDDY_NEVER);
}

eddy_as_completed *eddy_as_completed_free(eddy_as_completed *iterator) {
    if (iterator == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < iterator->count; i++) {
        struct entry *entry = &iterator->entries[i];
        if (entry->f == NULL) {
            continue;
        }
        eddyi_cell_unwait(entry->f, &entry->waiter);
        eddyi_cell_unref(entry->f);
    }
    eddyi_track_remove(&iterator->track);
    eddyi_free(iterator);
    return NULL;
}
