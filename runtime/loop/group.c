/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/loop/group.h>

#include <string.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/loop/loop_impl.h>

struct member {
    eddy_loop_group *group;
    eddy_loop *loop;          /* set before `started` is told */
    pthread_t thread;
    bool ending;              /* the group is being freed; the loop's thread only */
    int started;              /* under the group's lock: 0, 1 runs, or an error */
    struct eddyi_ready end;   /* the message that lets its loop end */
};

struct eddy_loop_group {
    eddy_loop *first;
    unsigned count;           /* members, the first included */
    pthread_mutex_t lock;     /* guards `started` of all */
    pthread_cond_t told;
    struct member members[];  /* [0] is the first and has no thread */
};

static void tell(struct member *member, int started) {
    pthread_mutex_lock(&member->group->lock);
    member->started = started;
    pthread_cond_signal(&member->group->told);
    pthread_mutex_unlock(&member->group->lock);
}

static void end_here(struct eddyi_ready *ready) {
    struct member *member = EDDYI_CONTAINER(ready, struct member, end);
    member->ending = true;
    member->loop->live--; /* what kept a loop without tasks running */
    member->loop->stopping = true;
}

/* A member's thread: the loop is made here, so that its ring is bound here. */
static void *run_member(void *arg) {
    struct member *member = arg;
    eddy_loop_group *group = member->group;
    eddy_loop *loop;
    int r = eddy_loop_new(&group->first->opts, &loop);
    if (r < 0) {
        tell(member, r);
        return NULL;
    }
    loop->group = group;
    loop->index = (unsigned)(member - group->members);
    loop->live++;
    member->loop = loop;
    tell(member, 1);
    while (!member->ending && eddy_loop_run(loop) >= 0) {
        /* A task may have stopped the loop: a member runs on until its group ends. */
    }
    eddy_loop_free(loop);
    return NULL;
}

static int wait_until_told(eddy_loop_group *group, struct member *member) {
    pthread_mutex_lock(&group->lock);
    while (member->started == 0) {
        pthread_cond_wait(&group->told, &group->lock);
    }
    int started = member->started;
    pthread_mutex_unlock(&group->lock);
    return started < 0 ? started : 0;
}

static int start_member(eddy_loop_group *group, unsigned index) {
    struct member *member = &group->members[index];
    const struct eddyi_host *host = group->first->host;
    member->group = group;
    member->end.run = end_here;
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
    *ret_group = group;
    return 0;
}

eddy_loop_group *eddy_loop_group_free(eddy_loop_group *group) {
    if (group == NULL) {
        return NULL;
    }
    const struct eddyi_host *host = group->first->host;
    for (unsigned i = 1; i < group->count; i++) {
        eddyi_loop_ready_from_any(group->members[i].loop, &group->members[i].end);
    }
    for (unsigned i = 1; i < group->count; i++) {
        host->thread_join(host->ctx, group->members[i].thread);
    }
    group->first->group = NULL;
    pthread_cond_destroy(&group->told);
    pthread_mutex_destroy(&group->lock);
    eddyi_free(group);
    return NULL;
}

unsigned eddy_loop_group_count(const eddy_loop_group *group) {
    return group->count;
}

eddy_loop *eddy_loop_group_loop(const eddy_loop_group *group, unsigned index) {
    return index < group->count ? group->members[index].loop : NULL;
}

eddy_loop_group *eddy_loop_group_current(void) {
    return eddyi_loop_here == NULL ? NULL : eddyi_loop_here->group;
}
