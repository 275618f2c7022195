/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/loop/shelf_impl.h>

#include <stdatomic.h>

#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/base/poison_impl.h>
#include <eddy/runtime/base/spin_impl.h>
#include <eddy/runtime/loop/loop_impl.h>

/* Two cells of eight bytes short of 8 KiB, for allocators that put a header before a block. */
#define SLAB_BYTES ((size_t)8 * 1024 - 16)
#define SIZE_STEP ((size_t)32)
#define SIZES (EDDYI_SHELF_PLACE_MAX / SIZE_STEP)

/* What a free place holds. */
struct place {
    struct place *next;
    struct eddyi_slab *slab; /* of one that was given back elsewhere */
};

struct eddyi_slab {
    struct eddyi_list link; /* in the shelf: open, while it has a free place, or free */
    struct eddyi_shelf *shelf;
    struct place *free;
    char *rest; /* what was never a place: not touched before it is needed */
    size_t place_size;
    unsigned places;
    unsigned used;
};

struct eddyi_shelf {
    struct eddyi_list open[SIZES]; /* slabs; [0] up to SIZE_STEP bytes and so on */
    struct eddyi_list free;        /* without a place in use, of no size; the latest first */
    size_t free_count;
    int64_t trimmed_ns;
    _Atomic bool has_returned; /* a hint */
    struct eddyi_spin lock;    /* guards the rest, and once the loop is gone all slabs */
    struct place *returned;    /* given back elsewhere */
    bool orphaned;             /* the loop is gone */
    size_t refs;               /* slabs, and the loop */
};

/* How often free slabs are given back, and how many before a loop falls asleep: a microsecond each,
 * so that it is not late by more than a fraction of a millisecond. */
#define TRIM_INTERVAL_NS EDDY_S
#define TRIM_SLABS_MAX 256

#define PLACES_BEGIN ((sizeof(struct eddyi_slab) + 15) / 16 * 16)

/* ---- slabs ----------------------------------------------------------------------------------- */

/* With one that is free, or new. */
static struct eddyi_slab *slab_open(struct eddyi_shelf *shelf, size_t index) {
    struct eddyi_list *node = eddyi_list_pop_front(&shelf->free);
    struct eddyi_slab *slab = node == NULL ? eddyi_alloc_uncounted(SLAB_BYTES)
                                           : EDDYI_LIST_ENTRY(node, struct eddyi_slab, link);
    if (slab == NULL) {
        return NULL;
    }
    if (node == NULL) {
        shelf->refs++;
    } else {
        shelf->free_count--;
    }
    size_t place_size = (index + 1) * SIZE_STEP;
    *slab = (struct eddyi_slab){
        .shelf = shelf,
        .rest = (char *)slab + PLACES_BEGIN,
        .place_size = place_size,
        .places = (unsigned)((SLAB_BYTES - PLACES_BEGIN) / place_size),
    };
    eddyi_poison(slab->rest, SLAB_BYTES - PLACES_BEGIN);
    eddyi_list_init(&slab->link);
    eddyi_list_push_front(&shelf->open[index], &slab->link);
    return slab;
}

static void slab_free(struct eddyi_slab *slab) {
    eddyi_unpoison((char *)slab + PLACES_BEGIN, SLAB_BYTES - PLACES_BEGIN);
    eddyi_free_uncounted(slab);
}

static struct eddyi_shelf *shelf_new(void) {
    struct eddyi_shelf *shelf = eddyi_alloc_uncounted(sizeof *shelf);
    if (shelf != NULL) {
        *shelf = (struct eddyi_shelf){.refs = 1};
        for (size_t i = 0; i < SIZES; i++) {
            eddyi_list_init(&shelf->open[i]);
        }
        eddyi_list_init(&shelf->free);
    }
    return shelf;
}

/* ---- on the loop's thread -------------------------------------------------------------------- */

static void *take(struct eddyi_slab *slab) {
    struct place *place = slab->free;
    if (place != NULL) {
        slab->free = place->next;
    } else {
        place = (void *)slab->rest;
        slab->rest += slab->place_size;
    }
    if (++slab->used == slab->places) {
        eddyi_list_remove(&slab->link);
    }
    return place;
}

static void put(struct eddyi_shelf *shelf, struct eddyi_slab *slab, struct place *place) {
    place->next = slab->free;
    slab->free = place;
    struct eddyi_list *open = &shelf->open[slab->place_size / SIZE_STEP - 1];
    if (slab->used-- == slab->places) {
        eddyi_list_push_front(open, &slab->link);
    }
    /* One of each size stays what it is: the next place of this size may come at once. */
    if (slab->used == 0 && (open->next != &slab->link || open->prev != &slab->link)) {
        eddyi_list_remove(&slab->link);
        eddyi_list_push_front(&shelf->free, &slab->link);
        shelf->free_count++;
    }
}

static void take_returned(struct eddyi_shelf *shelf) {
    eddyi_spin_lock(&shelf->lock);
    struct place *place = shelf->returned;
    shelf->returned = NULL;
    atomic_store_explicit(&shelf->has_returned, false, memory_order_relaxed);
    eddyi_spin_unlock(&shelf->lock);
    while (place != NULL) {
        struct place *next = place->next;
        put(shelf, place->slab, place);
        place = next;
    }
}

/* Of those that are free, the one that was used the longest ago. */
static void free_one(struct eddyi_shelf *shelf) {
    struct eddyi_list *node = shelf->free.prev;
    eddyi_list_remove(node);
    slab_free(EDDYI_LIST_ENTRY(node, struct eddyi_slab, link));
    shelf->free_count--;
    shelf->refs--;
}

/* A slab with a place for it, or NULL. */
static struct eddyi_slab *find(struct eddyi_shelf *shelf, size_t index) {
    struct eddyi_list *open = &shelf->open[index];
    if (EDDYI_UNLIKELY(eddyi_list_empty(open))) {
        if (atomic_load_explicit(&shelf->has_returned, memory_order_relaxed)) {
            take_returned(shelf);
        }
        if (eddyi_list_empty(open)) {
            return slab_open(shelf, index);
        }
    }
    return EDDYI_LIST_ENTRY(open->next, struct eddyi_slab, link);
}

void *eddyi_shelf_get(size_t size, struct eddyi_slab **ret_slab) {
    eddy_loop *loop = eddyi_loop_here;
    if (EDDYI_UNLIKELY(loop == NULL || size > EDDYI_SHELF_PLACE_MAX)) {
        *ret_slab = NULL;
        return eddyi_alloc(size);
    }
    if (eddyi_memory_refused() || (loop->shelf == NULL && (loop->shelf = shelf_new()) == NULL)) {
        return NULL;
    }
    size_t index = (size - 1) / SIZE_STEP;
    struct eddyi_slab *slab = find(loop->shelf, index);
    if (slab == NULL) {
        return NULL;
    }
    void *memory = take(slab);
    eddyi_memory_made();
    eddyi_unpoison(memory, size);
    *ret_slab = slab;
    return memory;
}

void eddyi_shelf_trim(eddy_loop *loop) {
    struct eddyi_shelf *shelf = loop->shelf;
    if (shelf == NULL) {
        return;
    }
    if (atomic_load_explicit(&shelf->has_returned, memory_order_relaxed)) {
        take_returned(shelf);
    }
    if (shelf->free_count <= EDDYI_SHELF_KEPT) {
        return;
    }
    int64_t now_ns = eddyi_loop_clock(loop); /* without timers the loop does not keep its own */
    if (now_ns - shelf->trimmed_ns < TRIM_INTERVAL_NS) {
        return;
    }
    /* A little at a time: what is left goes when the loop falls asleep the next time. */
    for (int i = 0; i < TRIM_SLABS_MAX && shelf->free_count > EDDYI_SHELF_KEPT; i++) {
        free_one(shelf);
    }
    if (shelf->free_count <= EDDYI_SHELF_KEPT) {
        shelf->trimmed_ns = now_ns;
    }
}

/* ---- elsewhere ------------------------------------------------------------------------------- */

/* Of a shelf without a loop: each slab goes with its last place, and the shelf with its last slab.
 * Without a slab it is the loop that lets go. */
static void unref_orphan(struct eddyi_shelf *shelf, struct eddyi_slab *slab) {
    eddyi_spin_lock(&shelf->lock);
    bool over = slab == NULL || --slab->used == 0;
    bool last = over && --shelf->refs == 0;
    eddyi_spin_unlock(&shelf->lock);
    if (over && slab != NULL) {
        slab_free(slab);
    }
    if (last) {
        eddyi_free_uncounted(shelf);
    }
}

/* False when there is no loop any more to put it aside for. */
static bool put_aside(struct eddyi_shelf *shelf, struct eddyi_slab *slab, struct place *place) {
    eddyi_spin_lock(&shelf->lock);
    bool orphaned = shelf->orphaned;
    if (!orphaned) {
        place->slab = slab;
        place->next = shelf->returned;
        shelf->returned = place;
        atomic_store_explicit(&shelf->has_returned, true, memory_order_relaxed);
    }
    eddyi_spin_unlock(&shelf->lock);
    return !orphaned;
}

void eddyi_shelf_put(struct eddyi_slab *slab, void *memory) {
    if (EDDYI_UNLIKELY(slab == NULL)) {
        eddyi_free(memory);
        return;
    }
    struct eddyi_shelf *shelf = slab->shelf;
    struct place *place = memory;
    eddyi_memory_freed();
    eddyi_poison(place, slab->place_size);
    eddyi_unpoison(place, sizeof *place);
    if (EDDYI_LIKELY(eddyi_loop_here != NULL && eddyi_loop_here->shelf == shelf)) {
        put(shelf, slab, place);
    } else if (!put_aside(shelf, slab, place)) {
        unref_orphan(shelf, slab);
    }
}

void eddyi_shelf_done(struct eddyi_shelf *shelf) {
    if (shelf == NULL) {
        return;
    }
    take_returned(shelf);
    for (size_t i = 0; i < SIZES; i++) {
        EDDYI_LIST_EACH(node, &shelf->open[i]) {
            if (EDDYI_LIST_ENTRY(node, struct eddyi_slab, link)->used == 0) {
                eddyi_list_remove(node);
                eddyi_list_push_front(&shelf->free, node);
                shelf->free_count++;
            }
        }
    }
    while (shelf->free_count > 0) {
        free_one(shelf);
    }
    eddyi_spin_lock(&shelf->lock);
    struct place *late = shelf->returned;
    shelf->orphaned = true;
    eddyi_spin_unlock(&shelf->lock);
    while (late != NULL) {
        struct place *next = late->next;
        unref_orphan(shelf, late->slab);
        late = next;
    }
    unref_orphan(shelf, NULL);
}

void eddyi_shelf_forked(struct eddyi_shelf *shelf) {
    if (shelf != NULL) {
        shelf->lock = (struct eddyi_spin){0};
    }
}
