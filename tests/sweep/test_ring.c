/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rooms' scenarios, and a crowd of connections, on a ring that is short of everything: queues
 * of a few entries, so that the submission queue is full and the completion queue overflows all the
 * time, which ends multishots; no buffers left to receive into; and calls that fail, at each wait
 * in turn. Only what the kernel itself has lost may show.
 */
#include "sweep/scenarios.h"

#include "runtime/driver/uring_harness.h"
#include "sweep/crowd.h"
#include "sweep/moments.h"

/* Queues of entries; the kernel makes them powers of two. */
static const unsigned sizes[][2] = {{1, 2}, {2, 2}, {1, 8}, {2, 4}, {3, 5}, {4, 8}};

enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void on_ring(unsigned sq_entries, unsigned cq_entries, int64_t (*fn)(void *arg), void *arg) {
    eddy_loop *loop = ring_loop(sq_entries, cq_entries);
    CHECK_OK(eddy_loop_call(loop, fn, arg));
    eddy_loop_free(loop);
}

static void nothing_left(void) {
    inventory_check_driver(eddy_loop_current());
}

/* ---- small rings ----------------------------------------------------------------------------- */

static int64_t all_rooms(void *arg) {
    (void)arg;
    for (int i = 0; i < 3 * ROOMS; i++) {
        CHECK_OK(rooms[i % ROOMS].run());
        nothing_left();
    }
    return 0;
}

/* So many at once that each has to wait for an entry. */
static int64_t room_task(void *arg) {
    return rooms[*(int *)arg].run();
}

static int64_t all_rooms_at_once(void *arg) {
    eddy_scope scope;
    (void)arg;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < 8 * ROOMS; i++) {
        int room = i % ROOMS;
        /* Of one name and one file there is one. */
        if (i < ROOMS || (rooms[room].run != files && rooms[room].run != unix_sockets)) {
            CHECK_OK(eddy_spawn(room_task, &room, sizeof room));
        }
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    nothing_left();
    return 0;
}

TEST_TIMEOUT(rooms_do_with_the_smallest_rings, 120) {
    for (size_t i = 0; i < SIZES; i++) {
        on_ring(sizes[i][0], sizes[i][1], all_rooms, NULL);
        on_ring(sizes[i][0], sizes[i][1], all_rooms_at_once, NULL);
    }
}

/* ---- a crowd --------------------------------------------------------------------------------- */

static int64_t run_crowd(void *arg) {
    crowd_run(*(int *)arg);
    nothing_left();
    return 0;
}

TEST_TIMEOUT(hundreds_of_connections_do_with_the_smallest_rings, 120) {
    int count = test_is_slow() ? 60 : 250;
    for (size_t i = 0; i < SIZES; i++) {
        on_ring(sizes[i][0], sizes[i][1], run_crowd, &count);
    }
}

/* ---- no buffers ------------------------------------------------------------------------------ */

enum { READERS = 48, MESSAGES = 48, MESSAGE_LEN = 100 };

_Static_assert(READERS *MESSAGES > 2 * EDDYI_URING_BUFFERS, "more than there are buffers for");

static struct {
    int begun; /* readers that have a multishot, and do not look at what it brings any more */
    eddy_event go;
} sluggish;

static void read_message(eddy_stream *peer, int number) {
    char got[MESSAGE_LEN];
    char wanted[MESSAGE_LEN];
    CHECK_OK(eddy_stream_read_exact(peer, got, sizeof got));
    memset(wanted, number, sizeof wanted);
    CHECK_BYTES(got, sizeof got, wanted, sizeof wanted);
}

static int64_t read_late(void *arg) {
    eddy_stream *peer = arg;
    char byte;
    read_message(peer, 0); /* a receive of its own, and then the multishot */
    read_message(peer, 1);
    sluggish.begun++;
    CHECK_OK(eddy_event_wait(&sluggish.go));
    for (int i = 2; i < MESSAGES; i++) {
        read_message(peer, i);
    }
    CHECK_EQ(eddy_stream_read(peer, &byte, 1), 0);
    return eddy_stream_close(peer);
}

static int64_t write_messages(eddy_stream *stream, int from, int to) {
    char message[MESSAGE_LEN];
    for (int i = from; i < to; i++) {
        memset(message, i, sizeof message);
        CHECK_OK(eddy_stream_write(stream, message, sizeof message));
        CHECK_OK(eddy_yield()); /* so that each fills a buffer of its own */
    }
    return 0;
}

static int64_t write_fast(void *arg) {
    write_messages(arg, 2, MESSAGES);
    return eddy_stream_close(arg);
}

static int64_t run_sluggish(void *arg) {
    eddy_listener *listener;
    eddy_scope scope;
    eddy_scope writers;
    eddy_stream *streams[READERS];
    char name[EDDY_ADDRESS_TEXT_MAX];
    const struct eddyi_uring *u = eddy_loop_current()->driver_state;
    const bool *all = arg;
    memset(&sluggish, 0, sizeof sluggish);
    moments_begin(); /* or many messages go out before the kernel is asked for the first */
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &listener));
    eddy_address address = eddy_listener_address(listener);
    CHECK_OK(eddy_address_format(&address, name, sizeof name));
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < READERS; i++) {
        eddy_stream *peer;
        CHECK_OK(eddy_tcp_connect(name, NULL, &streams[i]));
        CHECK_OK(eddy_listener_accept(listener, &peer));
        CHECK_OK(eddy_spawn(read_late, peer, 0));
        CHECK_OK(write_messages(streams[i], 0, 1));
        CHECK_OK(eddy_sleep(EDDY_MS / 10)); /* the second comes when the reader waits for it */
        CHECK_OK(write_messages(streams[i], 1, 2));
        while (sluggish.begun <= i) {
            CHECK_OK(eddy_sleep(EDDY_US));
        }
    }
    CHECK_OK(eddy_scope_enter(&writers, NULL));
    for (int i = 0; i < READERS; i++) {
        CHECK_OK(eddy_spawn(write_fast, streams[i], 0));
    }
    CHECK_OK(eddy_scope_leave(&writers, 0));
    unsigned held = u->pool == NULL ? 0 : u->pool->held;
    CHECK(held == EDDYI_URING_BUFFERS || !*all || !u->defers);
    eddy_event_set(&sluggish.go);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_OK(eddy_listener_close(listener));
    nothing_left();
    return 0;
}

TEST_TIMEOUT(readers_that_hold_all_buffers_lose_no_byte, 120) {
    bool all = true;
    on_ring(0, 0, run_sluggish, &all);
    all = false; /* an overflow may end each multishot before */
    for (size_t i = 0; i < SIZES; i++) {
        on_ring(sizes[i][0], sizes[i][1], run_sluggish, &all);
    }
}

/* ---- calls that fail ------------------------------------------------------------------------- */

static struct {
    int error;
    unsigned times;
    unsigned lose;
} fault;

static void fail_enter(int64_t nth) {
    struct eddyi_uring *u = eddy_loop_current()->driver_state;
    (void)nth;
    u->fail_enter = fault.error;
    u->fail_enter_times = fault.times;
    u->lose = fault.lose;
}

static void end_fault(void) {
    struct eddyi_uring *u = eddy_loop_current()->driver_state;
    u->fail_enter_times = 0;
    u->lose = 0;
}

/* The scenario's result, with the fault at that wait; false when there were fewer. */
static bool fail_at(int64_t (*scenario)(void), int64_t moment, int64_t *ret_result) {
    moments_arm(moment, true, 0, fail_enter);
    *ret_result = scenario();
    bool struck = moments_disarm();
    end_fault();
    return struck;
}

static int64_t sweep_errors(void *arg) {
    static const int errors[] = {-EINTR, -EBUSY, -EAGAIN, -ENOMEM, -EBADR};
    int64_t r;
    (void)arg;
    moments_begin();
    for (int room = 0; room < ROOMS; room++) {
        CHECK_OK(rooms[room].run());
        struct inventory before = inventory_take();
        for (size_t i = 0; i < 3 * sizeof errors / sizeof errors[0]; i++) {
            fault.error = errors[i / 3];
            fault.times = 1 + 2 * (unsigned)(i % 3); /* 1, 3, 5 */
            int64_t moment = 1;
            while (fail_at(rooms[room].run, moment, &r)) {
                if (r < 0) {
                    test_fail(__FILE__, __LINE__, "%s, %s %u times at wait %lld: %s",
                              rooms[room].name, eddy_error_name(fault.error), fault.times,
                              (long long)moment, eddy_error_name(r));
                }
                moment = moments_next(moment);
            }
            CHECK_OK(r);
            inventory_check(&before);
        }
    }
    return 0;
}

TEST_TIMEOUT(a_call_that_fails_at_any_wait_shows_nowhere, 120) {
    fault.lose = 0;
    on_ring(0, 0, sweep_errors, NULL);
    on_ring(1, 2, sweep_errors, NULL);
}

/* Who has lost something says so, or its peer does. */
static int64_t sweep_losses(void *arg) {
    int64_t r;
    (void)arg;
    moments_begin();
    fault.error = -EBADR;
    fault.times = 1;
    for (int room = 0; room < ROOMS; room++) {
        CHECK_OK(rooms[room].run());
        struct inventory before = inventory_take();
        for (fault.lose = 1; fault.lose <= 3; fault.lose++) {
            int64_t moment = 1;
            while (fail_at(rooms[room].run, moment, &r)) {
                bool told = r == -EIO || r == -ECONNRESET || r == -EPIPE || r == -ENOTCONN ||
                            r == EDDY_EEND;
                if (r < 0 && !told) {
                    test_fail(__FILE__, __LINE__, "%s, %u completions lost at wait %lld: %s",
                              rooms[room].name, fault.lose, (long long)moment, eddy_error_name(r));
                }
                /* A connection that was accepted may be among them: its descriptor is nobody's. */
                uint64_t descriptors = inventory_take().descriptors;
                CHECK(descriptors <= before.descriptors + fault.lose);
                before.descriptors = descriptors;
                inventory_check(&before);
                CHECK_OK(rooms[room].run());
                moment = moments_next(moment);
            }
            CHECK_OK(r);
        }
    }
    return 0;
}

TEST_TIMEOUT(completions_that_are_lost_at_any_wait_hang_nobody, 120) {
    on_ring(0, 0, sweep_losses, NULL);
    on_ring(1, 2, sweep_losses, NULL);
}
