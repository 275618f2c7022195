/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/sim: time stands still while there is something to do, and jumps when there is not. */
#include <time.h>

#include "net.h"

static int64_t real_ns(void) {
    return eddyi_host_real.mono_ns(eddyi_host_real.ctx);
}

struct alarm {
    struct eddyi_timer timer;
    eddy_loop *loop;
    int64_t fired_ns; /* 0: not yet */
    int64_t again_ns; /* after this */
    int left;
    bool done;
};

static void ring(struct eddyi_timer *timer) {
    struct alarm *alarm = EDDYI_CONTAINER(timer, struct alarm, timer);
    alarm->fired_ns = now_of(alarm->loop);
    if (--alarm->left > 0) {
        eddyi_timer_arm(alarm->loop, timer, alarm->fired_ns + alarm->again_ns);
    } else {
        alarm->done = true;
    }
}

TEST(a_day_passes_in_milliseconds_and_to_the_nanosecond) {
    eddy_loop *loop = sim_loop(1);
    int64_t start_ns = now_of(loop);
    int64_t real_start_ns = real_ns();
    struct alarm alarm = {.timer.fire = ring, .loop = loop, .again_ns = 60 * EDDY_S, .left = 1440};
    eddyi_timer_arm(loop, &alarm.timer, start_ns + alarm.again_ns);
    loop->live++;
    CHECK_EQ(eddyi_loop_run_until(loop, &alarm.done), 0);
    loop->live--;
    CHECK_EQ(alarm.fired_ns - start_ns, 24 * 3600 * EDDY_S);
    /* Generous: what is checked is that nobody slept. */
    CHECK(real_ns() - real_start_ns < 10 * EDDY_S);
    eddy_loop_free(loop);
}

TEST(timers_fire_in_their_order_each_at_its_time) {
    eddy_loop *loop = sim_loop(1);
    int64_t start_ns = now_of(loop);
    struct alarm alarms[20];
    for (int i = 0; i < 20; i++) {
        alarms[i] = (struct alarm){.timer.fire = ring, .loop = loop, .left = 1};
        eddyi_timer_arm(loop, &alarms[i].timer, start_ns + (i * 7 % 20 + 1) * EDDY_MS);
    }
    loop->live++;
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(eddyi_loop_run_until(loop, &alarms[i].done), 0);
    }
    loop->live--;
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(alarms[i].fired_ns, start_ns + (i * 7 % 20 + 1) * EDDY_MS);
    }
    eddy_loop_free(loop);
}

TEST(the_clock_jumps_no_further_than_the_deadline) {
    eddy_loop *loop = sim_loop(1);
    int64_t start_ns = now_of(loop);
    loop->driver->wait(loop, start_ns + 5);
    CHECK_EQ(now_of(loop), start_ns + 5);
    eddy_sim_stats stats = {.size = sizeof stats};
    CHECK_OK(eddy_sim_stats_get(loop, &stats));
    CHECK_EQ(stats.elapsed_ns, 5);
    CHECK_EQ(stats.jumps, 1);
    eddy_loop_free(loop);
}

TEST(the_clock_stops_at_what_arrives_before_the_deadline) {
    eddy_loop *loop = calm_loop();
    struct net net = {loop->host, loop};
    int fds[2];
    struct eddyi_handle handle;
    int ends = 0;
    char byte;
    net_pair(&net, fds);
    eddyi_handle_init(&handle, fds[0], EDDYI_HANDLE_SOCKET);
    struct eddyi_op op = make_op(EDDYI_OP_RECV, &handle, &ends);
    op.buf = &byte;
    op.len = 1;
    eddyi_op_submit(loop, &op);
    CHECK_EQ(net_send(&net, fds[1], "x", 1), 1);
    int64_t sent_ns = now_of(loop);
    while (ends == 0) {
        loop->driver->wait(loop, sent_ns + EDDY_S);
    }
    CHECK(now_of(loop) > sent_ns);
    CHECK(now_of(loop) - sent_ns < EDDY_MS);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    net_close(&net, fds[1]);
    eddy_loop_free(loop);
}

/* Else a task that yields until a time has come would yield for ever. */
TEST(a_turn_that_does_not_sleep_takes_a_moment) {
    eddy_loop *loop = sim_loop(1);
    int64_t until_ns = now_of(loop) + EDDY_MS;
    int turns = 0;
    while (now_of(loop) < until_ns) {
        loop->driver->wait(loop, 0);
        turns++;
    }
    CHECK_EQ(turns, EDDY_MS / EDDYI_SIM_TURN_NS);
    eddy_loop_free(loop);
}

TEST(the_wall_clock_begins_on_the_same_day_and_goes_with_the_other) {
    eddy_loop *loop = sim_loop(1);
    const struct eddyi_host *host = loop->host;
    int64_t wall_ns = host->wall_ns(host->ctx);
    time_t seconds = (time_t)(wall_ns / EDDY_S);
    struct tm date;
    CHECK(gmtime_r(&seconds, &date) != NULL);
    CHECK_EQ(date.tm_year + 1900, 2026);
    CHECK_EQ(date.tm_yday, 0);
    loop->driver->wait(loop, now_of(loop) + 3600 * EDDY_S);
    CHECK_EQ(host->wall_ns(host->ctx) - wall_ns, 3600 * EDDY_S);
    eddy_loop_free(loop);
}

TEST(two_worlds_have_two_clocks) {
    eddy_loop *a = sim_loop(1);
    eddy_loop *b = sim_loop(1);
    int64_t start_ns = now_of(b);
    a->driver->wait(a, now_of(a) + EDDY_S);
    CHECK_EQ(now_of(b), start_ns);
    CHECK_EQ(now_of(a), start_ns + EDDY_S);
    eddy_loop_free(a);
    eddy_loop_free(b);
}

/* ---- how long things take -------------------------------------------------------------------- */

struct spread {
    int64_t least_ns;
    int64_t most_ns;
};

static void widen(struct spread *spread, int64_t ns) {
    spread->least_ns = ns < spread->least_ns ? ns : spread->least_ns;
    spread->most_ns = ns > spread->most_ns ? ns : spread->most_ns;
}

/* From a send to the end of a receive that waits for it. */
static int64_t time_byte(struct net *net, const int fds[2]) {
    struct eddyi_handle handle;
    char byte;
    int ends = 0;
    eddyi_handle_init(&handle, fds[1], EDDYI_HANDLE_SOCKET);
    struct eddyi_op op = make_op(EDDYI_OP_RECV, &handle, &ends);
    op.buf = &byte;
    op.len = 1;
    eddyi_op_submit(net->loop, &op);
    CHECK_EQ(net_send(net, fds[0], "x", 1), 1);
    int64_t began_ns = now_of(net->loop);
    wait_ends(net->loop, &ends, 1);
    CHECK_EQ(op.result, 1);
    return now_of(net->loop) - began_ns;
}

static void set_flag(void *arg) {
    *(bool *)arg = true;
}

static int64_t time_job(eddy_loop *loop) {
    int64_t began_ns = now_of(loop);
    bool done = false;
    loop->driver->job(loop, set_flag, &done);
    while (!done) {
        loop->driver->wait(loop, EDDY_NEVER);
    }
    return now_of(loop) - began_ns;
}

/* Journeys through the network, completions without a journey, jobs. */
static void measure(eddy_loop *loop, struct spread spreads[3]) {
    struct net net = {loop->host, loop};
    int tcp[2];
    int pair[2];
    net_pair(&net, tcp);
    net_unix_pair(&net, pair);
    for (int i = 0; i < 3; i++) {
        spreads[i] = (struct spread){.least_ns = EDDY_NEVER};
    }
    for (int i = 0; i < 40; i++) {
        widen(&spreads[0], time_byte(&net, tcp));
        widen(&spreads[1], time_byte(&net, pair));
        widen(&spreads[2], time_job(loop));
    }
    for (int i = 0; i < 2; i++) {
        net_close(&net, tcp[i]);
        net_close(&net, pair[i]);
    }
    eddy_loop_free(loop);
}

TEST(a_world_takes_various_times_for_everything_and_a_calm_one_always_the_same) {
    struct spread spreads[3];
    measure(calm_loop(), spreads);
    CHECK(spreads[0].least_ns > 0);
    CHECK_EQ(spreads[0].most_ns, spreads[0].least_ns);
    CHECK_EQ(spreads[1].most_ns, 0);
    CHECK_EQ(spreads[2].most_ns, 0);
    int late = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        measure(sim_loop(seed), spreads);
        CHECK(spreads[0].least_ns > 0);
        CHECK(spreads[0].most_ns > 2 * spreads[0].least_ns);
        late += spreads[1].most_ns > 0;
        CHECK(spreads[2].most_ns > spreads[2].least_ns);
    }
    CHECK(late > SEEDS / 4 && late < SEEDS); /* a third of all worlds has no lateness */
}
