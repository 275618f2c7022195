/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program with a server that gets a SIGTERM at its first moment, its second, and so on until it
 * is through before: it ends cleanly, and who was accepted is served to the end. A second SIGTERM
 * right after the first one cuts that short, and still nothing is left. Run on the driver that
 * $EDDY_DRIVER names, as the LOOP_TESTs are.
 */
#include <eddy/eddy.h>

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "sweep/moments.h"

#define NAP_NS (50 * EDDY_US)

enum { CLIENTS = 4, ROUNDS = 3, MESSAGE_LEN = 500 };

/* One run. The clients are the program's own, beside its server. */
static struct {
    int64_t moment;
    bool before;
    bool twice;
    bool struck;
    char name[EDDY_ADDRESS_TEXT_MAX];
    eddy_serve_stats stats;
    size_t got[CLIENTS]; /* bytes that came back */
    int64_t ends[CLIENTS];
} run;

static int64_t echo(eddy_stream *peer, void *arg) {
    (void)arg;
    return eddy_stream_copy(peer, peer, EDDY_COPY_ALL);
}

static int64_t serve(void *listener) {
    return eddy_serve(listener, echo, NULL, &(eddy_serve_opts){.stats = &run.stats});
}

static int64_t talk(eddy_stream *server, size_t *got) {
    char sent[MESSAGE_LEN];
    char answer[MESSAGE_LEN];
    int64_t r = 0;
    for (int i = 0; i < ROUNDS && r >= 0; i++) {
        memset(sent, 'a' + i, sizeof sent);
        r = eddy_stream_write(server, sent, sizeof sent);
        r = r < 0 ? r : eddy_stream_read_exact(server, answer, sizeof answer);
        if (r >= 0) {
            CHECK_BYTES(answer, sizeof answer, sent, sizeof sent);
            *got += sizeof answer;
            r = eddy_sleep(NAP_NS);
        }
    }
    r = r < 0 ? r : eddy_stream_shutdown(server);
    return r < 0 ? r : eddy_stream_read(server, answer, 1);
}

/* Its failure is looked at later. */
static int64_t call(void *arg) {
    int number = *(int *)arg;
    eddy_stream *server;
    int64_t r = eddy_tcp_connect(run.name, NULL, &server);
    if (r == 0) {
        r = talk(server, &run.got[number]);
        eddy_stream_close(server);
    }
    run.ends[number] = r;
    return 0;
}

static int64_t call_all(void) {
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, NULL);
    if (r < 0) {
        return r;
    }
    for (int i = 0; i < CLIENTS && r == 0; i++) {
        r = eddy_spawn(call, &i, sizeof i);
        r = r < 0 ? r : eddy_sleep(NAP_NS);
    }
    return eddy_scope_leave(&scope, r);
}

static void send_signal(int64_t nth) {
    (void)nth;
    CHECK_EQ(kill(getpid(), SIGTERM), 0);
}

static int64_t program(void *arg) {
    eddy_listener *listener;
    eddy_scope scope;
    (void)arg;
    moments_begin();
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &listener));
    eddy_address address = eddy_listener_address(listener);
    CHECK_OK(eddy_address_format(&address, run.name, sizeof run.name));
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    moments_arm(run.moment, run.before, run.twice ? 1 : 0, send_signal);
    CHECK_OK(eddy_spawn(serve, listener, 0));
    int64_t r = call_all();
    if (r == 0) {
        eddy_loop_drain(eddy_loop_current());
    }
    r = eddy_scope_leave(&scope, r);
    run.struck = moments_disarm();
    return r;
}

/* Who was accepted has got all, and who was not has got nothing, but where the second signal cut it
 * short. */
static void check_clients(bool cancelled) {
    bool cut = run.twice && run.struck;
    uint64_t served = 0;
    for (int i = 0; i < CLIENTS; i++) {
        int64_t r = run.ends[i];
        bool refused = r == -ECONNREFUSED || r == -ECONNRESET || r == -EPIPE || r == -ENOTCONN ||
                       r == EDDY_EEND || (r == -ECANCELED && cancelled);
        served += r == 0 && run.got[i] == ROUNDS * MESSAGE_LEN;
        if (r != 0 && !(refused && run.got[i] == 0) && !cut) {
            test_fail(__FILE__, __LINE__, "client %d got %zu bytes, then %s", i, run.got[i],
                      eddy_error_name(r));
        }
    }
    CHECK(served == run.stats.accepted || (cut && served < run.stats.accepted));
    CHECK(run.stats.failed == 0 || cut);
    CHECK_EQ(run.stats.refused, 0);
    CHECK_EQ(run.stats.active, 0);
}

static _Atomic int late;

/* Of one that comes when the program is over. */
static void count_late(int number) {
    (void)number;
    late++;
}

/* False when it was through before the signal came. */
static bool signal_at(int64_t moment, bool before, bool twice, unsigned loops) {
    int64_t blocks = eddy_memory_blocks();
    uint64_t descriptors = inventory_descriptors();
    memset(&run, 0, sizeof run);
    run.moment = moment;
    run.before = before;
    run.twice = twice;
    for (int i = 0; i < CLIENTS; i++) {
        run.ends[i] = -ECANCELED; /* of one that was not begun */
    }
    int status = eddy_main(program, NULL, &(eddy_opts){.loops = loops});
    bool cancelled = status == 128 + SIGTERM;
    CHECK(status == 0 || (cancelled && run.struck));
    /* With a server there it was a drain. One that came before it, or after it, is a cancel. */
    CHECK(!cancelled || twice || run.stats.accepted == 0 || run.stats.accepted == CLIENTS);
    check_clients(cancelled);
    CHECK_EQ(eddy_memory_blocks(), blocks);
    CHECK_EQ(inventory_descriptors(), descriptors);
    return run.struck;
}

static void sweep(bool twice, unsigned loops, int64_t stride) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    bool simulated = strcmp(eddy_loop_driver(loop), "sim") == 0;
    eddy_loop_free(loop);
    if (simulated) {
        SKIP("the simulation has no signals");
    }
    CHECK_EQ(sigaction(SIGTERM, &(struct sigaction){.sa_handler = count_late}, NULL), 0);
    for (int before = 0; before <= 1; before++) {
        CHECK(!signal_at(0, false, false, loops));
        CHECK_EQ(run.stats.accepted, CLIENTS);
        int64_t moment = 1;
        while (signal_at(moment, before != 0, twice, loops)) {
            moment = moments_next(moment) + stride - 1;
        }
        CHECK(moment > 10);
    }
}

TEST_TIMEOUT(a_signal_at_each_moment_loses_nobody_who_was_accepted, 120) {
    sweep(false, 1, 1);
}

TEST_TIMEOUT(a_signal_at_each_moment_ends_the_servers_of_all_loops, 120) {
    sweep(false, 2, 10);
}

TEST_TIMEOUT(a_second_signal_at_each_moment_leaves_nothing, 120) {
    sweep(true, 1, 10);
}
