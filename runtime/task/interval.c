/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/task/interval.h>

#include <eddy/runtime/base/time_impl.h>
#include <eddy/runtime/task/task_impl.h>

/* How long a sleep by the wall clock trusts that nobody sets it. */
#define WALL_CHECK_NS EDDY_S

int eddy_interval_init(eddy_interval *interval, int64_t period_ns, eddy_interval_missed missed) {
    eddy_loop *loop = eddyi_loop_here;
    if (interval == NULL || period_ns < 1 || (unsigned)missed > EDDY_INTERVAL_DELAY) {
        return -EINVAL;
    }
    if (loop == NULL) {
        return EDDY_ENOTASK;
    }
    *interval = (eddy_interval){
        .period_ns = period_ns,
        .next_ns = eddyi_time_after(eddyi_loop_clock(loop), period_ns),
        .missed = missed,
    };
    return 0;
}

int64_t eddy_interval_wait(eddy_interval *interval) {
    if (interval == NULL || interval->period_ns < 1) {
        return -EINVAL;
    }
    int r = eddy_sleep_until(interval->next_ns);
    if (r < 0) {
        return r;
    }
    int64_t now_ns = eddyi_loop_clock(eddyi_loop_here);
    int64_t late_ns;
    if (__builtin_sub_overflow(now_ns, interval->next_ns, &late_ns)) {
        late_ns = INT64_MAX;
    }
    int64_t late = late_ns / interval->period_ns; /* whole periods: ticks that were missed */
    switch (interval->missed) {
    case EDDY_INTERVAL_SKIP:
        /* The first one after now that is in step. */
        interval->next_ns =
            eddyi_time_after(now_ns, interval->period_ns - late_ns % interval->period_ns);
        return late < INT64_MAX ? late + 1 : late;
    case EDDY_INTERVAL_DELAY:
        interval->next_ns =
            eddyi_time_after(late > 0 ? now_ns : interval->next_ns, interval->period_ns);
        return 1;
    default:
        interval->next_ns = eddyi_time_after(interval->next_ns, interval->period_ns);
        return 1;
    }
}

int eddy_sleep_until_wall(int64_t unix_ns) {
    eddy_task *task = eddyi_task_here;
    if (task == NULL) {
        return EDDY_ENOTASK;
    }
    const struct eddyi_host *host = task->loop->host;
    int64_t now_ns;
    int r = 0;
    bool slept = false;
    while (r == 0 && (now_ns = host->wall_ns(host->ctx)) < unix_ns) {
        int64_t left_ns = unix_ns - now_ns;
        r = eddy_sleep(left_ns < WALL_CHECK_NS ? left_ns : WALL_CHECK_NS);
        slept = true;
    }
    return slept ? r : eddyi_task_yield(task);
}
