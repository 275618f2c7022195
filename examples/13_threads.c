/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of plain threads that has a loop in the background, and gives it work.
 *
 * Shows:  a group whose first loop is never run, eddy_task_start_on from threads, eddy_await on a
 *         plain thread, an end in order.
 * Needs:  Linux 5.10 or later; on the simulation a group has one loop only.
 * Run:    ./13_threads
 * Expect: three answers, 10, 20 and 30, and "done"
 */
#include <pthread.h>
#include <stdio.h>

#include <eddy/eddy.h>

struct asker {
    eddy_loop *background;
    int64_t question;
    int64_t answer;
};

static int64_t work(void *arg) {
    int64_t *question = arg;
    int r = eddy_sleep(EDDY_MS); /* a task, so all that suspends works here */
    return r < 0 ? r : *question * 10;
}

static void *ask(void *arg) {
    struct asker *asker = arg;
    eddy_future *f = eddy_task_start_on(asker->background, work, &asker->question, 0);
    asker->answer = eddy_await(f); /* blocks this thread, and no loop */
    eddy_future_release(f);
    return NULL;
}

static int run(eddy_loop *background) {
    pthread_t threads[3];
    struct asker askers[3];
    int r = 0;
    int started = 0;
    while (started < 3 && r == 0) {
        askers[started] = (struct asker){background, started + 1, 0};
        r = -pthread_create(&threads[started], NULL, ask, &askers[started]);
        started += r == 0;
    }
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        printf("%lld\n", (long long)askers[i].answer);
    }
    return r;
}

int main(void) {
    eddy_loop *first; /* makes the group and frees it; nobody runs it */
    eddy_loop_group *group = NULL;
    int r = eddy_loop_new(NULL, &first);
    if (r < 0) {
        fprintf(stderr, "%s\n", eddy_error_text(r));
        return 1;
    }
    r = eddy_loop_group_new(first, 2, &group);
    r = r < 0 ? r : run(eddy_loop_group_loop(group, 1));
    eddy_loop_group_free(group); /* ends what is left on the loops, and joins their threads */
    eddy_loop_free(first);
    printf("%s\n", r < 0 ? eddy_error_text(r) : "done");
    return r < 0;
}
