/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/base/track_impl.h>

#include <errno.h>

#ifdef EDDYI_TRACK

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <eddy/runtime/base/sanitizer_impl.h>

#define TEXT_MAX 320 /* of a place: a long name of a function, and one of a file */

/*
 * One list for the process, in the order of making. Its lock is the id of the process that holds
 * it: a child that was forked while another thread was in here finds an id that is not its own, and
 * begins anew with an empty list. What it has inherited carries the parent's id and is left alone.
 */
static _Atomic pid_t holder;
static pid_t owner; /* whose list it is */
static struct eddyi_list objects = EDDYI_LIST_INIT(objects);
static uint64_t count; /* objects ever made */

/* A lock that all objects of all threads share would put an order between threads that have none,
 * and ThreadSanitizer would miss the races that this hides. */
#ifdef EDDYI_TSAN
void AnnotateIgnoreSyncBegin(const char *file, int line);
void AnnotateIgnoreSyncEnd(const char *file, int line);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);

static void look_away(void) {
    AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
}

static void look_again(void) {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
}
#else
static void look_away(void) {
}

static void look_again(void) {
}
#endif

static pid_t lock(void) {
    pid_t self = getpid();
    pid_t found = 0;
    look_away();
    /* A holder of another process will not let go of this process's copy. */
    while (!atomic_compare_exchange_strong_explicit(&holder, &found, self, memory_order_acquire,
                                                    memory_order_relaxed)) {
        if (found == self) {
            sched_yield();
            found = 0;
        }
    }
    if (owner != self) {
        owner = self;
        eddyi_list_init(&objects);
    }
    return self;
}

static void unlock(void) {
    atomic_store_explicit(&holder, 0, memory_order_release);
    look_again();
}

void eddyi_track_add(struct eddyi_track *track, const char *kind, const char *noun,
                     const void *loop, const void *place, const char *site) {
    const char *spawned = NULL;
    const char *task = eddyi_panic_context == NULL ? NULL : eddyi_panic_context(&spawned);
    *track = (struct eddyi_track){
        .kind = kind,
        .noun = noun,
        .loop = loop,
        .place = place,
        .site = site,
        .spawned = spawned,
    };
    snprintf(track->task, sizeof track->task, "%s", task == NULL ? "" : task);
    eddyi_list_init(&track->link);
    track->pid = lock();
    track->number = ++count;
    eddyi_list_push_back(&objects, &track->link);
    unlock();
}

void eddyi_track_remove(struct eddyi_track *track) {
    if (track->pid == 0) {
        return;
    }
    if (track->pid == lock()) {
        eddyi_list_remove(&track->link);
    }
    unlock();
    track->pid = 0;
}

uint64_t eddyi_track_last(void) {
    lock();
    uint64_t last = count;
    unlock();
    return last;
}

/* ---- telling --------------------------------------------------------------------------------- */

struct told {
    const char *site;
    const void *place;
    const char *spawned;
    char kind[64];
    char task[sizeof((struct eddyi_track *)0)->task];
};

/* Of a copy, without the lock: whoever is told may make objects and close them. */
static void tell(const struct told *told, eddy_track_fn fn, void *ctx) {
    char text[TEXT_MAX];
    if (told->site != NULL) {
        snprintf(text, sizeof text, "%s", told->site);
    } else {
        eddyi_track_describe(told->place, text, sizeof text);
    }
    fn(told->kind, text, told->task[0] == '\0' ? told->spawned : told->task, ctx);
}

static void copy(const struct eddyi_track *track, struct told *ret_told) {
    ret_told->site = track->site;
    ret_told->place = track->place;
    ret_told->spawned = track->spawned;
    snprintf(ret_told->kind, sizeof ret_told->kind, "%s%s%s", track->kind,
             track->noun == NULL ? "" : " ", track->noun == NULL ? "" : track->noun);
    memcpy(ret_told->task, track->task, sizeof ret_told->task);
}

/* A walk's place in the list: a node without a kind, behind the object that was told last. */
struct walk {
    struct eddyi_track cursor;
    bool (*wanted)(struct eddyi_track *track, const struct walk *walk);
    const void *loop; /* for `wanted`, as the next */
    uint64_t since;
};

/* Where the walk goes on, or NULL: it began in another process, before a fork. */
static struct eddyi_list *resume(struct walk *walk, pid_t self) {
    struct eddyi_list *from = objects.next;
    if (walk->cursor.pid == 0) {
        walk->cursor.pid = self;
        eddyi_list_init(&walk->cursor.link);
    } else if (walk->cursor.pid == self) {
        from = walk->cursor.link.next;
        eddyi_list_remove(&walk->cursor.link);
    } else {
        from = NULL;
    }
    return from;
}

static bool next(struct walk *walk, struct told *ret_told) {
    bool found = false;
    struct eddyi_list *node = resume(walk, lock());
    for (; node != NULL && node != &objects && !found; node = node->next) {
        struct eddyi_track *track = EDDYI_LIST_ENTRY(node, struct eddyi_track, link);
        if (track->kind != NULL && walk->wanted(track, walk)) {
            copy(track, ret_told);
            eddyi_list_push_front(node, &walk->cursor.link);
            found = true;
        }
    }
    unlock();
    return found;
}

static bool any(struct eddyi_track *track, const struct walk *walk) {
    (void)track;
    (void)walk;
    return true;
}

/* Its loop's address may be another loop's tomorrow, so the object is nobody's from now on. */
static bool forgotten(struct eddyi_track *track, const struct walk *walk) {
    bool wanted = track->loop == walk->loop && track->number > walk->since;
    track->loop = wanted ? &objects : track->loop;
    return wanted;
}

void eddyi_track_report(const void *loop, uint64_t since, eddy_track_fn fn, void *ctx) {
    struct walk walk = {.wanted = forgotten, .loop = loop, .since = since};
    struct told told;
    while (next(&walk, &told)) {
        if (fn != NULL) {
            tell(&told, fn, ctx);
        }
    }
}

int64_t eddy_track_each(eddy_track_fn fn, void *ctx) {
    struct walk walk = {.wanted = any};
    struct told told;
    int64_t found = 0;
    while (next(&walk, &told)) {
        found++;
        if (fn != NULL) {
            tell(&told, fn, ctx);
        }
    }
    return found;
}

#else

int64_t eddy_track_each(eddy_track_fn fn, void *ctx) {
    (void)fn;
    (void)ctx;
    return -ENOTSUP;
}

#endif
