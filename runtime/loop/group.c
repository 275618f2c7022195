/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a group ends. A task on one loop may wait for one on another, and what ends there sends word
 * here, so no loop may be gone before all are through:
 *
 *     first: `end` to all --> each member: cancels its tasks, runs until none is left
 *                               |  the last one to get there
 *     first: runs meanwhile <---+--> `leave` to all: each frees its loop, its thread is joined
 */
#include <eddy/runtime/loop/group.h>

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/loop/loop_impl.h>

struct member {
    eddy_loop_group *group;
    eddy_loop *loop; /* set before `started` is told */
    pthread_t thread;
    bool ending;              /* the group is being freed; the loop's thread only */
    bool leaving;             /* every loop of the group is through; the loop's thread only */
    int started;              /* under the group's lock: 0, 1 runs, or an error */
    struct eddyi_ready end;   /* the message that sets `ending` */
    struct eddyi_ready leave; /* the message that sets `leaving` */
};

struct eddy_loop_group {
    eddy_loop *first;
    unsigned count;        /* members, the first included */
    _Atomic unsigned busy; /* members other than the first that are not through */
    pthread_mutex_t lock;  /* guards `started` of all */
    pthread_cond_t told;
    struct eddyi_track track;
    struct member members[]; /* [0] is the first and has no thread */
};

/* ---- a member's thread ----------------------------------------------------------------------- */

static void tell(struct member *member, int started) {
    pthread_mutex_lock(&member->group->lock);
    member->started = started;
    pthread_cond_signal(&member->group->told);
    pthread_mutex_unlock(&member->group->lock);
}

static void end_here(struct eddyi_ready *ready) {
    struct member *member = EDDYI_CONTAINER(ready, struct member, end);
    eddy_loop *loop = member->loop;
    member->ending = true;
    eddyi_loop_end(loop);
    loop->live--; /* what kept a loop without tasks running */
}

static void leave_here(struct eddyi_ready *ready) {
    EDDYI_CONTAINER(ready, struct member, leave)->leaving = true;
}

/* Its tasks have ended: the last member to say so tells all, the first loop too. */
static void report_through(eddy_loop_group *group) {
    if (atomic_fetch_sub(&group->busy, 1) != 1) {
        return;
    }
    for (unsigned i = 0; i < group->count; i++) {
        eddyi_loop_ready_from_any(group->members[i].loop, &group->members[i].leave);
    }
}

/* Runs the loop until *done, whatever a task may say that stops it. EDDY_EFORKED: something on it
 * has forked, and this is the child. */
static int serve_until(eddy_loop *loop, const bool *done) {
    loop->live++;
    while (!*done) {
        int r = eddyi_loop_run_until(loop, done);
        if (r == EDDY_EFORKED) {
            return r;
        }
        EDDY_ASSERT(r >= 0);
    }
    loop->live--;
    return 0;
}

/*
 * A member's thread: the loop is made here, so that its ring is bound here. In the child of a task
 * that forked it is the only thread. It returns as any thread's function would, and leaves the loop
 * to the group, which frees it there when the program asks for that.
 */
static void *run_member(void *arg) {
    struct member *member = arg;
    eddy_loop_group *group = member->group;
    eddy_loop *loop;
    int r = eddy_loop_new(&group->first->opts, &loop);
    if (r < 0) {
        tell(member, r);
        return NULL;
    }
    eddyi_track_remove(&loop->track); /* the group is what a user can forget */
    loop->group = group;
    loop->index = (unsigned)(member - group->members);
    loop->live++;
    bool begun = group->first->thread_begin != NULL && group->first->thread_begin() == 0;
    member->loop = loop;
    tell(member, 1);
    do {
        /* A task may stop the loop: a member runs on until its group ends, and nothing is left. */
        r = eddy_loop_run(loop);
        EDDY_ASSERT(r >= 0 || r == EDDY_EFORKED);
    } while (r > 0 || (r == 0 && !member->ending));
    if (r == 0) {
        report_through(group);
        /* Others may still ask something of this loop, or send it what ended there. */
        r = serve_until(loop, &member->leaving);
    }
    if (r == 0) {
        eddy_loop_free(loop);
    }
    if (begun) {
        group->first->thread_end();
    }
    return NULL;
}

/* ---- start ----------------------------------------------------------------------------------- */

static int wait_until_told(eddy_loop_group *group, struct member *member) {
    pthread_mutex_lock(&group->lock);
    while (member->started == 0) {
        pthread_cond_wait(&group->told, &group->lock);
    }
    int started = member->started;
    pthread_mutex_unlock(&group->lock);
    return started < 0 ? started : 0;
}

static void init_member(eddy_loop_group *group, unsigned index) {
    struct member *member = &group->members[index];
    member->group = group;
    member->end.run = end_here;
    member->leave.run = leave_here;
}

static int start_member(eddy_loop_group *group, unsigned index) {
    struct member *member = &group->members[index];
    const struct eddyi_host *host = group->first->host;
    init_member(group, index);
    if (eddyi_memory_refused()) {
        return -ENOMEM; /* its stack */
    }
    int r = host->thread_start(host->ctx, "eddy-loop", run_member, member, &member->thread);
    if (r < 0) {
        return r;
    }
    r = wait_until_told(group, member);
    if (r < 0) {
        host->thread_join(host->ctx, member->thread);
    }
    return r;
}

int eddy_loop_group_new(eddy_loop *first, unsigned count, eddy_loop_group **ret_group) {
    if (first == NULL || ret_group == NULL) {
        return -EINVAL;
    }
    if (eddyi_loop_here != NULL) {
        return -EDEADLK;
    }
    int r = eddyi_loop_check(first);
    if (r < 0 || first->group != NULL) {
        return r < 0 ? r : -EBUSY;
    }
    if (count == 0) {
        count = (unsigned)first->host->cpu_count(first->host->ctx);
    }
    if (strcmp(first->driver->name, "sim") == 0) {
        count = 1; /* one thread, one order of events */
    }
    eddy_loop_group *group = eddyi_zalloc(sizeof *group + count * sizeof group->members[0]);
    if (group == NULL) {
        return -ENOMEM;
    }
    group->first = first;
    group->members[0].loop = first;
    init_member(group, 0);
    pthread_mutex_init(&group->lock, NULL);
    pthread_cond_init(&group->told, NULL);
    first->group = group;
    for (group->count = 1; group->count < count; group->count++) {
        r = start_member(group, group->count);
        if (r < 0) {
            eddy_loop_group_free(group);
            return r;
        }
    }
    eddyi_track_add(&group->track, "loop group", NULL, NULL, EDDYI_PLACE, NULL);
    *ret_group = group;
    return 0;
}

/* ---- end ------------------------------------------------------------------------------------- */

/* EDDY_EFORKED: a task of the first loop forked meanwhile, and this is the child. */
static int end_members(eddy_loop_group *group) {
    const struct eddyi_host *host = group->first->host;
    EDDY_ASSERT_SAY(eddyi_loop_here == NULL, "a group is freed from outside of every loop");
    EDDY_ASSERT_SAY(eddyi_loop_check(group->first) == 0,
                    "a group is freed on the thread of its first loop");
    atomic_store(&group->busy, group->count - 1);
    for (unsigned i = 1; i < group->count; i++) {
        eddyi_loop_ready_from_any(group->members[i].loop, &group->members[i].end);
    }
    int r = serve_until(group->first, &group->members[0].leaving);
    for (unsigned i = 1; r == 0 && i < group->count; i++) {
        host->thread_join(host->ctx, group->members[i].thread);
    }
    return r;
}

eddy_loop_group *eddy_loop_group_free(eddy_loop_group *group) {
    if (group == NULL) {
        return NULL;
    }
    bool forked = group->first->pid != getpid();
    if (!forked && group->count > 1) {
        forked = end_members(group) == EDDY_EFORKED;
    }
    if (forked) {
        /* In a forked child the threads are not there, and the locks may be held by them. One that
         * was leaving may have freed its loop in part. */
        for (unsigned i = 1; i < group->count; i++) {
            if (!group->members[i].leaving) {
                eddy_loop_free(group->members[i].loop);
            }
        }
    } else {
        pthread_cond_destroy(&group->told);
        pthread_mutex_destroy(&group->lock);
    }
    group->first->group = NULL;
    eddyi_track_remove(&group->track);
    eddyi_free(group);
    return NULL;
}

/* ---- questions ------------------------------------------------------------------------------- */

unsigned eddy_loop_group_count(const eddy_loop_group *group) {
    return group->count;
}

eddy_loop *eddy_loop_group_loop(const eddy_loop_group *group, unsigned index) {
    return index < group->count ? group->members[index].loop : NULL;
}

eddy_loop_group *eddy_loop_group_current(void) {
    return eddyi_loop_here == NULL ? NULL : eddyi_loop_here->group;
}
