/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an object embeds to be missed when it is forgotten (track.h). The public function that hands
 * it out adds it, with EDDYI_PLACE taken in its own body, and whatever ends it removes it. Without
 * EDDYI_TRACK all of this is nothing, a member without a size included.
 */
#ifndef EDDY_RUNTIME_BASE_TRACK_IMPL_H
#define EDDY_RUNTIME_BASE_TRACK_IMPL_H

#include <eddy/runtime/base/list_impl.h>
#include <eddy/runtime/base/track.h>

#ifdef EDDYI_TRACK

#include <sys/types.h>

/* All zeros: not remembered. The fields are track.c's. */
struct eddyi_track {
    struct eddyi_list link; /* in the process's list, in the order of making */
    uint64_t number;        /* in that order; from 1 */
    const char *kind;       /* NULL only in track.c */
    const char *noun;       /* what it is a kind of, or NULL */
    const void *loop;       /* on which it lives; NULL: the process */
    const void *place;      /* the return address of the call that made it */
    const char *site;       /* "file:line" where that is known, else NULL */
    pid_t pid;              /* whose list it is in; 0: none. Another one's is not ours to touch */
    const char *spawned;    /* "file:line" of the task that made it, or NULL */
    char task[32];          /* whose name, cut; "" for none */
};

/* The place that called the public function in whose body this stands. */
#define EDDYI_PLACE __builtin_return_address(0)

void eddyi_track_add(struct eddyi_track *track, const char *kind, const char *noun,
                     const void *loop, const void *place, const char *site);
/* Of one that was never added: nothing. */
void eddyi_track_remove(struct eddyi_track *track);
/* The number of the youngest object. */
uint64_t eddyi_track_last(void);
/* Tells `fn`, unless it is NULL, of what lives on `loop` and was made after number `since`, each
 * once. `loop` is about to be gone, unless it is NULL, the process. */
void eddyi_track_report(const void *loop, uint64_t since, eddy_track_fn fn, void *ctx);

/* "function+0x12 (program)" for the call that returns to `place`. */
void eddyi_track_describe(const void *place, char *ret_text, size_t size);

#else

struct eddyi_track {};

#define EDDYI_PLACE NULL

#define eddyi_track_add(track, kind, noun, loop, place, site) ((void)(track), (void)(place))
#define eddyi_track_remove(track) ((void)(track))
#define eddyi_track_last() ((uint64_t)0)
#define eddyi_track_report(loop, since, fn, ctx) ((void)(since))

#endif

#endif
