/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/io/stream.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <eddy/futures/future.h>
#include <eddy/runtime/io/memory.h>

#include "runtime/io/io.h"

/* ---- some and all ---------------------------------------------------------------------------- */

LOOP_TEST(what_was_written_is_read) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[16];
    socket_pair(&a, &b);
    CHECK_EQ(eddy_stream_write(a, "hello", 5), 0);
    size_t at = 0;
    while (at < 5) { /* short reads are normal */
        at += (size_t)CHECK_OK(eddy_stream_read(b, buf + at, sizeof buf - at));
    }
    CHECK_BYTES(buf, at, "hello", 5);
    CHECK_EQ(eddy_stream_count_written(a), 5);
    CHECK_EQ(eddy_stream_count_read(b), 5);
    CHECK_EQ(eddy_stream_count_read(a), 0);
    CHECK_STR(eddy_stream_kind(a), "unix");
    CHECK_OK(eddy_stream_fd(a));
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

LOOP_TEST(the_end_is_zero_each_time) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    socket_pair(&a, &b);
    CHECK_OK(eddy_stream_write(a, "x", 1));
    CHECK_OK(eddy_stream_close(a));
    CHECK_EQ(eddy_stream_read(b, buf, sizeof buf), 1);
    CHECK_EQ(eddy_stream_read(b, buf, sizeof buf), 0);
    CHECK_EQ(eddy_stream_read(b, buf, sizeof buf), 0);
    CHECK_EQ(eddy_stream_read_try(b, buf, sizeof buf), 0);
    CHECK_ERR(eddy_stream_read_exact(b, buf, 1), EDDY_EEND);
    CHECK_OK(eddy_stream_close(b));
}

LOOP_TEST(read_exact_tells_by_the_count_how_far_it_came) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[8] = "........";
    socket_pair(&a, &b);
    CHECK_OK(eddy_stream_write(a, "abcde", 5));
    CHECK_OK(eddy_stream_read_exact(b, buf, 0));
    CHECK_OK(eddy_stream_read_exact(b, buf, 3));
    CHECK_BYTES(buf, 3, "abc", 3);
    CHECK_OK(eddy_stream_shutdown(a));
    CHECK_ERR(eddy_stream_read_exact(b, buf, 4), EDDY_EEND);
    CHECK_EQ(eddy_stream_count_read(b), 5);
    CHECK_BYTES(buf, 3, "dec", 3);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

struct transfer {
    eddy_stream *stream;
    size_t len;
    size_t chunk;
    uint64_t turns; /* of the writer, counted by it */
};

static int64_t drain(void *arg) {
    struct transfer *transfer = arg;
    char *buf = malloc(transfer->chunk);
    size_t at = 0;
    int64_t n;
    while ((n = eddy_stream_read(transfer->stream, buf, transfer->chunk)) > 0) {
        check_pattern(buf, (size_t)n, at);
        at += (size_t)n;
    }
    free(buf);
    CHECK_EQ(at, transfer->len);
    return n;
}

LOOP_TEST(a_large_write_goes_on_until_all_is_out) {
    enum { LEN = 3 * 1024 * 1024 };
    eddy_stream *a;
    eddy_stream *b;
    socket_pair(&a, &b);
    char *bytes = malloc(LEN);
    fill_pattern(bytes, LEN, 0);
    struct transfer transfer = {.stream = b, .len = LEN, .chunk = 100 * 1000};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(drain, &transfer, 0));
    CHECK_EQ(eddy_stream_write(a, bytes, LEN), 0);
    CHECK_EQ(eddy_stream_count_written(a), LEN);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_OK(eddy_stream_close(b));
    free(bytes);
}

LOOP_TEST(write_some_takes_at_least_one_byte_and_write_takes_none_too) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    socket_pair(&a, &b);
    CHECK_ERR(eddy_stream_write_some(a, "x", 0), -EINVAL);
    CHECK_ERR(eddy_stream_read(a, buf, 0), -EINVAL);
    CHECK_EQ(eddy_stream_write(a, NULL, 0), 0);
    CHECK_EQ(eddy_stream_write_some(a, "x", 1), 1);
    CHECK_EQ(eddy_stream_read(b, buf, sizeof buf), 1);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

/* ---- slices ---------------------------------------------------------------------------------- */

LOOP_TEST(slices_go_out_one_behind_the_other) {
    enum { EACH = 50 * 1000, COUNT = 64 };
    eddy_stream *a;
    eddy_stream *b;
    socket_pair(&a, &b);
    char *bytes = malloc(EACH * COUNT);
    fill_pattern(bytes, EACH * COUNT, 0);
    eddy_slice slices[COUNT + 1];
    size_t len = 0;
    for (size_t i = 0; i < COUNT; i++) { /* all lengths up to EACH, empty ones too */
        size_t part = i * 7919 % 5 == 0 ? 0 : i * 7919 % EACH;
        slices[i] = eddy_slice_from(part == 0 ? NULL : bytes + len, part);
        len += part;
    }
    struct transfer transfer = {.stream = b, .len = len, .chunk = 65536};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(drain, &transfer, 0));
    CHECK_ERR(eddy_stream_write_slices(a, slices, COUNT + 1), -EINVAL);
    CHECK_EQ(eddy_stream_write_slices(a, slices, 0), 0);
    CHECK_EQ(eddy_stream_write_slices(a, slices, 1), 0); /* an empty one */
    CHECK_EQ(eddy_stream_write_slices(a, slices, COUNT), 0);
    CHECK_EQ(eddy_stream_count_written(a), len);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_OK(eddy_stream_close(b));
    free(bytes);
}

LOOP_TEST(slices_survive_every_short_count) {
    const eddy_slice slices[] = {{"ab", 2}, {NULL, 0}, {"c", 1}, {"defgh", 5}, {"", 0}, {"ij", 2}};
    for (size_t chunk = 1; chunk <= 11; chunk++) {
        const struct eddyi_stream_class *classes[] = {&odd_class, &plain_odd_class};
        for (size_t i = 0; i < 2; i++) {
            struct odd *odd = odd_new(classes[i], "", 0);
            odd->write_chunk = chunk;
            CHECK_OK(eddy_stream_write_slices(&odd->base, slices, 6));
            CHECK_BYTES(odd->written.data, odd->written.len, "abcdefghij", 10);
            CHECK_EQ(eddy_stream_count_written(&odd->base), 10);
            CHECK_OK(eddy_stream_close(&odd->base));
        }
    }
}

LOOP_TEST(what_went_out_before_an_error_is_counted) {
    for (size_t at = 0; at <= 9; at++) {
        const eddy_slice slices[] = {{"abc", 3}, {"defghij", 7}};
        for (int gathered = 0; gathered < 2; gathered++) {
            struct odd *odd = odd_new(&odd_class, "", 0);
            odd->write_error = -EIO;
            odd->write_error_at = at;
            odd->write_chunk = 2;
            CHECK_ERR(gathered ? eddy_stream_write_slices(&odd->base, slices, 2)
                               : eddy_stream_write(&odd->base, "abcdefghij", 10),
                      -EIO);
            CHECK_EQ(eddy_stream_count_written(&odd->base), at);
            CHECK_BYTES(odd->written.data, odd->written.len, "abcdefghij", at);
            CHECK_OK(eddy_stream_close(&odd->base));
        }
    }
}

/* ---- without waiting ------------------------------------------------------------------------- */

LOOP_TEST(try_never_waits) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[4096];
    socket_pair(&a, &b);
    CHECK_ERR(eddy_stream_read_try(b, buf, sizeof buf), -EAGAIN);
    CHECK_ERR(eddy_stream_read_try(b, buf, 0), -EINVAL);
    CHECK_ERR(eddy_stream_write_try(b, buf, 0), -EINVAL);
    fill_pattern(buf, sizeof buf, 0);
    size_t written = 0;
    int64_t n;
    while ((n = eddy_stream_write_try(a, buf, sizeof buf)) > 0) {
        written += (size_t)n;
    }
    CHECK_ERR(n, -EAGAIN);
    CHECK_EQ(eddy_stream_count_written(a), written);
    CHECK_OK(eddy_stream_shutdown(a));
    size_t got = 0;
    while ((n = eddy_stream_read(b, buf, sizeof buf)) > 0) {
        got += (size_t)n;
    }
    CHECK_EQ(got, written);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

/* ---- one reader, one writer ------------------------------------------------------------------ */

struct parked {
    eddy_stream *stream;
    bool began;
    int64_t result;
    size_t len; /* read_exact or write of so many; 0: read */
    bool writes;
    char buf[64];
};

static int64_t park(void *arg) {
    struct parked *parked = arg;
    parked->began = true;
    if (parked->writes) {
        char *bytes = calloc(1, parked->len);
        parked->result = eddy_stream_write(parked->stream, bytes, parked->len);
        free(bytes);
    } else if (parked->len > 0) {
        parked->result = eddy_stream_read_exact(parked->stream, parked->buf, parked->len);
    } else {
        parked->result = eddy_stream_read(parked->stream, parked->buf, sizeof parked->buf);
    }
    return 0;
}

enum { MORE_THAN_FITS = 16 * 1024 * 1024 };

LOOP_TEST(a_second_reader_or_writer_is_busy_and_the_two_directions_are_not) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[8];
    socket_pair(&a, &b);
    struct parked reader = {.stream = a};
    struct parked writer = {.stream = a, .writes = true, .len = MORE_THAN_FITS};
    eddy_slice slice = eddy_slice_of("x");
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(park, &reader, 0));
    wait_until(&reader.began);
    CHECK_ERR(eddy_stream_read(a, buf, sizeof buf), -EBUSY);
    CHECK_ERR(eddy_stream_read_exact(a, buf, sizeof buf), -EBUSY);
    CHECK_ERR(eddy_stream_read_try(a, buf, sizeof buf), -EBUSY);
    CHECK_ERR(eddy_await(eddy_stream_read_start(a, buf, sizeof buf)), -EBUSY);
    CHECK_EQ(eddy_stream_write(a, "x", 1), 0);
    CHECK_OK(eddy_spawn(park, &writer, 0));
    wait_until(&writer.began);
    CHECK_ERR(eddy_stream_write(a, "x", 1), -EBUSY);
    CHECK_ERR(eddy_stream_write_some(a, "x", 1), -EBUSY);
    CHECK_ERR(eddy_stream_write_try(a, "x", 1), -EBUSY);
    CHECK_ERR(eddy_stream_write_slices(a, &slice, 1), -EBUSY);
    CHECK_ERR(eddy_await(eddy_stream_write_start(a, "x", 1)), -EBUSY);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_ERR(reader.result, EDDY_ECLOSED);
    CHECK_ERR(writer.result, EDDY_ECLOSED);
    CHECK_OK(eddy_stream_close(b));
}

/* ---- the peer is gone ------------------------------------------------------------------------ */

LOOP_TEST(writing_to_a_peer_that_is_gone_gives_an_error_and_no_signal) {
    eddy_stream *a;
    eddy_stream *b;
    socket_pair(&a, &b);
    CHECK_OK(eddy_stream_close(b));
    const eddy_slice slices[] = {{"x", 1}, {"y", 1}};
    CHECK_ERR(eddy_stream_write(a, "x", 1), -EPIPE);
    CHECK_ERR(eddy_stream_write_slices(a, slices, 2), -EPIPE);
    CHECK_ERR(eddy_stream_write_try(a, "x", 1), -EPIPE);
    CHECK_ERR(eddy_await(eddy_stream_write_start(a, "x", 1)), -EPIPE);
    CHECK_EQ(eddy_stream_count_written(a), 0);
    CHECK_OK(eddy_stream_close(a));
}

LOOP_TEST(shutdown_ends_one_direction) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    socket_pair(&a, &b);
    CHECK_OK(eddy_stream_write(a, "x", 1));
    CHECK_OK(eddy_stream_shutdown(a));
    CHECK_OK(eddy_stream_shutdown(a));
    CHECK_ERR(eddy_stream_write(a, "y", 1), -EPIPE);
    CHECK_EQ(eddy_stream_read(b, buf, sizeof buf), 1);
    CHECK_EQ(eddy_stream_read(b, buf, sizeof buf), 0);
    CHECK_OK(eddy_stream_write(b, "z", 1));
    CHECK_EQ(eddy_stream_read(a, buf, sizeof buf), 1);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

/* ---- closing --------------------------------------------------------------------------------- */

LOOP_TEST(close_ends_what_is_pending_and_waits_for_it) {
    eddy_stream *a;
    eddy_stream *b;
    socket_pair(&a, &b);
    struct parked reader = {.stream = a, .len = 32};
    struct parked writer = {.stream = a, .writes = true, .len = MORE_THAN_FITS};
    eddy_scope scope;
    CHECK_OK(eddy_stream_write(b, "four", 4));
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(park, &reader, 0));
    CHECK_OK(eddy_spawn(park, &writer, 0));
    wait_until(&writer.began);
    int fd = eddy_stream_fd(a);
    CHECK_OK(eddy_stream_close(a));
    CHECK_ERR(reader.result, EDDY_ECLOSED); /* they have ended: no wait in between */
    CHECK_ERR(writer.result, EDDY_ECLOSED);
    if (strcmp(test_driver(), "sim") != 0) {
        CHECK(fcntl(fd, F_GETFD) < 0); /* the descriptor is gone */
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_OK(eddy_stream_close(b));
    CHECK_OK(eddy_stream_close(NULL));
}

struct close_call {
    eddy_stream *stream;
    bool began;
    int result;
};

static int64_t close_it(void *arg) {
    struct close_call *call = arg;
    call->began = true;
    call->result = eddy_stream_close(call->stream);
    return 0;
}

LOOP_TEST(close_is_not_refused_by_a_cancel) {
    eddy_stream *a;
    eddy_stream *b;
    socket_pair(&a, &b);
    struct parked reader = {.stream = a};
    eddy_scope outer;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&outer, NULL));
    CHECK_OK(eddy_spawn(park, &reader, 0));
    wait_until(&reader.began);
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_ERR(eddy_stream_read(b, reader.buf, 1), -ECANCELED);
    CHECK_OK(eddy_stream_close(a)); /* has to wait for the reader */
    CHECK_OK(eddy_stream_close(b));
    eddy_scope_leave(&scope, 0);
    CHECK_OK(eddy_scope_leave(&outer, 0));
    CHECK_ERR(reader.result, EDDY_ECLOSED);
}

static int64_t call_number(int number, eddy_stream *stream) {
    char buf[4];
    eddy_slice slice = eddy_slice_of("x");
    switch (number) {
    case 0:
        return eddy_stream_read(stream, buf, sizeof buf);
    case 1:
        return eddy_stream_read_exact(stream, buf, sizeof buf);
    case 2:
        return eddy_stream_write(stream, "x", 1);
    case 3:
        return eddy_stream_write_some(stream, "x", 1);
    default:
        return eddy_stream_write_slices(stream, &slice, 1);
    }
}

/* A call may be let yield by its checkpoint. Whoever closes the stream then waits for it. */
LOOP_TEST(close_waits_for_a_caller_that_yielded_in_its_checkpoint) {
    /* In a seeded order the closing task may come later, when the call has got further. */
    bool in_order = strcmp(test_driver(), "sim") != 0;
    for (int number = 0; number < 5; number++) {
        eddy_stream *a;
        eddy_stream *b;
        socket_pair(&a, &b);
        struct close_call closer = {.stream = a, .result = 1};
        eddy_scope scope;
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        CHECK_OK(eddy_spawn(close_it, &closer, 0));
        int64_t r;
        do {
            eddyi_loop_exhaust(eddyi_loop_here);
            r = call_number(number, a);
        } while (!closer.began);
        CHECK(r == EDDY_ECLOSED || (!in_order && r >= 0));
        CHECK_OK(eddy_scope_leave(&scope, 0));
        CHECK_OK(closer.result);
        CHECK_OK(eddy_stream_close(b));
    }
}

LOOP_TEST(while_a_close_waits_every_other_call_finds_the_stream_closed) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    CHECK_OK(eddy_memory_pair(8, &a, &b));
    struct parked reader = {.stream = a};
    struct close_call closer = {.stream = a, .result = 1};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(park, &reader, 0));
    wait_until(&reader.began);
    /* Runs up to its wait in the middle of the next call, and ends it. */
    CHECK_OK(eddy_spawn(close_it, &closer, 0));
    int64_t r;
    do {
        eddyi_loop_exhaust(eddyi_loop_here);
        r = eddy_stream_write(a, "", 0);
    } while (!closer.began);
    CHECK_ERR(r, EDDY_ECLOSED);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_ERR(reader.result, EDDY_ECLOSED);
    CHECK_OK(closer.result);
    CHECK_EQ(eddy_stream_read(b, buf, sizeof buf), 0);
    CHECK_OK(eddy_stream_close(b));
}

/* ---- cancel and deadline --------------------------------------------------------------------- */

LOOP_TEST(a_deadline_ends_a_read_and_the_stream_stays_usable) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    socket_pair(&a, &b);
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = 5 * EDDY_MS}));
    CHECK_ERR(eddy_stream_read(a, buf, sizeof buf), -ETIME);
    CHECK_ERR(eddy_stream_read(a, buf, sizeof buf), -ETIME);
    CHECK_ERR(eddy_await(eddy_stream_read_start(a, buf, sizeof buf)), -ETIME);
    CHECK(eddy_scope_expired(&scope));
    eddy_scope_leave(&scope, 0);
    CHECK_OK(eddy_stream_write(b, "x", 1));
    CHECK_EQ(eddy_stream_read(a, buf, sizeof buf), 1);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

LOOP_TEST(a_cancel_is_looked_at_before_anything_moves) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    socket_pair(&a, &b);
    CHECK_OK(eddy_stream_write(b, "x", 1));
    eddy_scope scope;
    eddy_slice slice = eddy_slice_of("x");
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_ERR(eddy_stream_read(a, buf, sizeof buf), -ECANCELED);
    CHECK_ERR(eddy_stream_read_exact(a, buf, 1), -ECANCELED);
    CHECK_ERR(eddy_stream_write(a, "x", 1), -ECANCELED);
    CHECK_ERR(eddy_stream_write_some(a, "x", 1), -ECANCELED);
    CHECK_ERR(eddy_stream_write_slices(a, &slice, 1), -ECANCELED);
    CHECK_EQ(eddy_stream_read_try(a, buf, sizeof buf), 1); /* looks at no scope */
    CHECK_OK(eddy_stream_shutdown(a));                     /* is not refused */
    eddy_scope_leave(&scope, 0);
    CHECK_EQ(eddy_stream_count_written(a), 0);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

/* The cancel and the byte meet: the byte is delivered, or it is still there. Both happen on real
 * drivers, so each outcome is checked for what it must mean. */
LOOP_TEST(no_byte_is_lost_to_a_cancel_that_comes_with_it) {
    for (int round = 0; round < 50; round++) {
        eddy_stream *a;
        eddy_stream *b;
        char buf[4];
        socket_pair(&a, &b);
        struct parked reader = {.stream = a};
        eddy_scope scope;
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        CHECK_OK(eddy_spawn(park, &reader, 0));
        wait_until(&reader.began);
        for (int i = 0; i < round % 4; i++) {
            CHECK_OK(eddy_yield());
        }
        if (round % 2 == 0) {
            CHECK_EQ(eddy_stream_write_try(b, "x", 1), 1);
            CHECK_OK(eddy_scope_cancel(&scope));
        } else {
            CHECK_OK(eddy_scope_cancel(&scope));
            CHECK_EQ(eddy_stream_write_try(b, "x", 1), 1);
        }
        eddy_scope_leave(&scope, 0);
        CHECK(reader.result == 1 || reader.result == -ECANCELED);
        CHECK_EQ(eddy_stream_count_read(a), reader.result == 1 ? 1 : 0);
        if (reader.result != 1) {
            CHECK_EQ(eddy_stream_read(a, buf, sizeof buf), 1);
        }
        CHECK_OK(eddy_stream_close(a));
        CHECK_OK(eddy_stream_close(b));
    }
}

LOOP_TEST(a_cancelled_read_exact_and_write_leave_a_count_that_is_true) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[65536];
    socket_pair(&a, &b);
    struct parked reader = {.stream = a, .len = 32};
    struct parked writer = {.stream = a, .writes = true, .len = MORE_THAN_FITS};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(park, &reader, 0));
    CHECK_OK(eddy_spawn(park, &writer, 0));
    CHECK_OK(eddy_stream_write(b, "four", 4));
    while (eddy_stream_count_read(a) < 4 || eddy_stream_count_written(a) == 0) {
        CHECK_OK(eddy_yield());
    }
    CHECK_OK(eddy_scope_cancel(&scope));
    eddy_scope_leave(&scope, 0);
    CHECK_ERR(reader.result, -ECANCELED);
    CHECK_ERR(writer.result, -ECANCELED);
    CHECK_BYTES(reader.buf, 4, "four", 4);
    CHECK_EQ(eddy_stream_count_read(a), 4);
    CHECK_OK(eddy_stream_shutdown(a));
    int64_t n;
    while ((n = eddy_stream_read(b, buf, sizeof buf)) > 0) {
    }
    CHECK_OK(n);
    CHECK_EQ(eddy_stream_count_read(b), eddy_stream_count_written(a));
    CHECK(eddy_stream_count_written(a) > 0);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

/* ---- idle timeouts --------------------------------------------------------------------------- */

static int64_t now_ns(void) {
    return eddyi_loop_clock(eddyi_loop_here);
}

LOOP_TEST(an_idle_read_times_out_and_the_stream_stays_usable) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    socket_pair(&a, &b);
    CHECK_OK(eddy_stream_idle_set(a, 20 * EDDY_MS, 0));
    for (int i = 0; i < 3; i++) {
        int64_t before_ns = now_ns();
        CHECK_ERR(eddy_stream_read(a, buf, sizeof buf), -ETIMEDOUT);
        CHECK(now_ns() - before_ns >= 20 * EDDY_MS);
    }
    CHECK_ERR(eddy_await(eddy_stream_read_start(a, buf, sizeof buf)), -ETIMEDOUT);
    CHECK_ERR(eddy_stream_read_exact(a, buf, sizeof buf), -ETIMEDOUT);
    CHECK_OK(eddy_stream_write(b, "x", 1));
    CHECK_EQ(eddy_stream_read(a, buf, sizeof buf), 1);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

LOOP_TEST(an_idle_write_times_out_with_its_count) {
    eddy_stream *a;
    eddy_stream *b;
    socket_pair(&a, &b);
    CHECK_OK(eddy_stream_idle_set(a, 0, 20 * EDDY_MS));
    char *bytes = calloc(1, MORE_THAN_FITS);
    CHECK_ERR(eddy_stream_write(a, bytes, MORE_THAN_FITS), -ETIMEDOUT);
    uint64_t written = eddy_stream_count_written(a);
    CHECK(written > 0);
    CHECK_ERR(eddy_await(eddy_stream_write_start(a, bytes, MORE_THAN_FITS)), -ETIMEDOUT);
    eddy_slice slices[] = {{bytes, 100}, {bytes, 100}};
    CHECK_ERR(eddy_stream_write_slices(a, slices, 2), -ETIMEDOUT);
    CHECK_EQ(eddy_stream_count_written(a), written);
    free(bytes);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

struct trickle {
    eddy_stream *stream;
    int64_t gap_ns; /* the longest time without a byte */
};

static int64_t trickle(void *arg) {
    struct trickle *trickle = arg;
    for (int i = 0; i < 8; i++) {
        int64_t start_ns = now_ns();
        CHECK_OK(eddy_sleep(20 * EDDY_MS));
        CHECK_OK(eddy_stream_write(trickle->stream, "x", 1));
        int64_t gap_ns = now_ns() - start_ns;
        trickle->gap_ns = gap_ns > trickle->gap_ns ? gap_ns : trickle->gap_ns;
    }
    return 0;
}

/* What reading eight bytes gave, which takes longer than the limit. */
static int64_t read_a_trickle(int64_t limit_ns, int64_t *ret_gap_ns) {
    struct trickle source = {0};
    eddy_stream *a;
    char buf[8];
    socket_pair(&a, &source.stream);
    CHECK_OK(eddy_stream_idle_set(a, limit_ns, 0));
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(trickle, &source, 0));
    int64_t r = eddy_stream_read_exact(a, buf, sizeof buf);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    if (r >= 0) {
        CHECK_ERR(eddy_stream_read(a, buf, sizeof buf), -ETIMEDOUT);
    }
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(source.stream));
    *ret_gap_ns = source.gap_ns;
    return r;
}

/* A busy machine may keep the bytes back for longer than the limit; then it counts, rightly. */
LOOP_TEST(bytes_that_move_put_the_idle_timeout_off) {
    int tries = 0;
    int64_t gap_ns;
    while (read_a_trickle(100 * EDDY_MS, &gap_ns) < 0) {
        CHECK(gap_ns > 50 * EDDY_MS);
        CHECK(++tries < 20);
    }
}

/* One timer serves both directions: it must not sleep through the shorter limit. */
LOOP_TEST(a_short_limit_counts_also_when_a_long_one_was_there_first) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    socket_pair(&a, &b);
    CHECK_OK(eddy_stream_idle_set(a, 20 * EDDY_MS, 3600 * EDDY_S));
    struct parked writer = {.stream = a, .writes = true, .len = MORE_THAN_FITS};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(park, &writer, 0));
    wait_until(&writer.began);
    CHECK_ERR(eddy_stream_read(a, buf, sizeof buf), -ETIMEDOUT);
    CHECK_OK(eddy_scope_cancel(&scope));
    eddy_scope_leave(&scope, 0);
    CHECK_ERR(writer.result, -ECANCELED);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

/* The turn's clock stands still while a task computes; the idle time does not count from there. */
LOOP_TEST(an_idle_timeout_counts_from_the_call_also_after_a_long_computation) {
    if (strcmp(test_driver(), "sim") == 0) {
        SKIP("nothing computes for long in virtual time");
    }
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    socket_pair(&a, &b);
    CHECK_OK(eddy_stream_idle_set(a, 50 * EDDY_MS, 0));
    CHECK_OK(eddy_stream_write(b, "x", 1));
    CHECK_EQ(eddy_stream_read(a, buf, sizeof buf), 1); /* arms the timer */
    int64_t start_ns = now_ns();
    while (now_ns() - start_ns < 80 * EDDY_MS) {
    }
    start_ns = now_ns();
    CHECK_ERR(eddy_stream_read(a, buf, sizeof buf), -ETIMEDOUT);
    CHECK(now_ns() - start_ns >= 50 * EDDY_MS);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

LOOP_TEST(cancel_and_deadline_outrank_the_idle_timeout) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    socket_pair(&a, &b);
    CHECK_OK(eddy_stream_idle_set(a, EDDY_S, EDDY_S));
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = 5 * EDDY_MS}));
    CHECK_ERR(eddy_stream_read(a, buf, sizeof buf), -ETIME);
    eddy_scope_leave(&scope, 0);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
    /* In one moment: the idle timer has asked for the end, and a cancel comes before it. */
    CHECK_OK(eddy_memory_pair(8, &a, &b));
    CHECK_OK(eddy_stream_idle_set(a, EDDY_S, EDDY_S));
    struct parked reader = {.stream = a};
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(park, &reader, 0));
    wait_until(&reader.began);
    a->idle.fire(&a->idle); /* too early: nothing happens */
    CHECK_EQ(reader.result, 0);
    a->read_since_ns = 0;
    a->idle.fire(&a->idle);
    CHECK_OK(eddy_scope_cancel(&scope));
    eddy_scope_leave(&scope, 0);
    CHECK_ERR(reader.result, -ECANCELED);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

LOOP_TEST(idle_limits_are_checked_and_can_be_taken_away) {
    eddy_stream *a;
    eddy_stream *b;
    eddy_stream *memory;
    char buf[4];
    socket_pair(&a, &b);
    CHECK_OK(eddy_memory_stream_new(NULL, 0, &memory));
    CHECK_ERR(eddy_stream_idle_set(a, -1, 0), -EINVAL);
    CHECK_ERR(eddy_stream_idle_set(a, 0, -1), -EINVAL);
    CHECK_ERR(eddy_stream_idle_set(memory, EDDY_S, 0), -ENOTSUP);
    CHECK_OK(eddy_stream_idle_set(a, EDDY_NEVER, EDDY_NEVER));
    CHECK_OK(eddy_stream_idle_set(a, INT64_MAX - 1, INT64_MAX - 1));
    CHECK_OK(eddy_stream_write(b, "x", 1));
    CHECK_EQ(eddy_stream_read(a, buf, sizeof buf), 1);
    CHECK_OK(eddy_stream_idle_set(a, 10 * EDDY_MS, 0));
    CHECK_OK(eddy_stream_idle_set(a, 0, 0));
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = 30 * EDDY_MS}));
    CHECK_ERR(eddy_stream_read(a, buf, sizeof buf), -ETIME); /* not -ETIMEDOUT */
    eddy_scope_leave(&scope, 0);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
    CHECK_OK(eddy_stream_close(memory));
}

LOOP_TEST(a_limit_reaches_a_call_that_waits_already) {
    eddy_stream *a;
    eddy_stream *b;
    socket_pair(&a, &b);
    struct parked reader = {.stream = a};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(park, &reader, 0));
    wait_until(&reader.began);
    int64_t start_ns = now_ns();
    CHECK_OK(eddy_stream_idle_set(a, 10 * EDDY_MS, 0));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_ERR(reader.result, -ETIMEDOUT);
    CHECK(now_ns() - start_ns >= 10 * EDDY_MS);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

/* ---- started --------------------------------------------------------------------------------- */

/* Both kinds of start: an operation in the future for sockets, a task for a pair. */
static void each_kind(void (*body)(eddy_stream *a, eddy_stream *b)) {
    for (int i = 0; i < 2; i++) {
        eddy_stream *a;
        eddy_stream *b;
        if (i == 0) {
            socket_pair(&a, &b);
        } else {
            CHECK_OK(eddy_memory_pair(4096, &a, &b));
        }
        body(a, b);
    }
}

static void started_read(eddy_stream *a, eddy_stream *b) {
    char buf[4];
    eddy_future *f = eddy_stream_read_start(a, buf, sizeof buf);
    CHECK(!eddy_future_done(f));
    CHECK_ERR(eddy_stream_read_try(a, buf, sizeof buf), -EBUSY); /* from the start on */
    CHECK_OK(eddy_stream_write(b, "x", 1));
    CHECK_EQ(eddy_await(f), 1);
    CHECK_EQ(buf[0], 'x');
    CHECK_EQ(eddy_stream_count_read(a), 1);
    f = eddy_stream_read_start(a, buf, sizeof buf);
    CHECK_OK(eddy_stream_close(b));
    CHECK_EQ(eddy_await(f), 0);
    CHECK_ERR(eddy_await(eddy_stream_read_start(a, buf, 0)), -EINVAL);
    CHECK_OK(eddy_stream_close(a));
}

LOOP_TEST(a_started_read_ends_with_its_count) {
    each_kind(started_read);
}

static void started_write(eddy_stream *a, eddy_stream *b) {
    enum { LEN = 2 * 1024 * 1024 };
    char *bytes = malloc(LEN);
    char *got = malloc(LEN);
    fill_pattern(bytes, LEN, 0);
    eddy_future *f = eddy_stream_write_start(a, bytes, LEN);
    CHECK_OK(eddy_stream_read_exact(b, got, LEN));
    CHECK_EQ(eddy_await(f), 0);
    check_pattern(got, LEN, 0);
    CHECK_EQ(eddy_stream_count_written(a), LEN);
    CHECK_EQ(eddy_await(eddy_stream_write_start(a, NULL, 0)), 0);
    free(bytes);
    free(got);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

LOOP_TEST(a_started_write_goes_on_until_all_is_out) {
    each_kind(started_write);
}

static void started_and_cancelled(eddy_stream *a, eddy_stream *b) {
    char buf[4];
    char *bytes = calloc(1, MORE_THAN_FITS);
    eddy_future *reading = eddy_stream_read_start(a, buf, sizeof buf);
    eddy_future *writing = eddy_stream_write_start(a, bytes, MORE_THAN_FITS);
    let_others_run();
    CHECK_OK(eddy_future_cancel(reading));
    CHECK_OK(eddy_future_cancel(writing));
    CHECK_ERR(eddy_await(reading), -ECANCELED);
    CHECK_ERR(eddy_await(writing), -ECANCELED);
    CHECK(eddy_future_cancelled(reading));
    uint64_t written = eddy_stream_count_written(a);
    CHECK_OK(eddy_stream_shutdown(a));
    int64_t n;
    while ((n = eddy_stream_read(b, bytes, 100000)) > 0) {
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(eddy_stream_count_read(b), written);
    free(bytes);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

LOOP_TEST(a_started_operation_can_be_cancelled) {
    each_kind(started_and_cancelled);
}

/* A write goes on in steps; the cancel comes in all of them and between. */
LOOP_TEST(a_started_write_is_cancelled_at_any_step) {
    char *bytes = calloc(1, MORE_THAN_FITS);
    for (int steps = 0; steps < 40; steps++) {
        eddy_stream *a;
        eddy_stream *b;
        char buf[20000];
        socket_pair(&a, &b);
        eddy_future *f = eddy_stream_write_start(a, bytes, MORE_THAN_FITS);
        for (int i = 0; i < steps; i++) {
            CHECK_OK(eddy_yield());
            eddy_stream_read_try(b, buf, sizeof buf);
        }
        CHECK_OK(eddy_future_cancel(f));
        CHECK_ERR(eddy_await(f), -ECANCELED);
        CHECK_OK(eddy_stream_close(a));
        CHECK_OK(eddy_stream_close(b));
    }
    free(bytes);
}

static int64_t start_on_a_pair(void *arg) {
    (void)arg;
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    int64_t r = eddy_memory_pair(8, &a, &b);
    if (r < 0) {
        return r;
    }
    eddy_future *reading = eddy_stream_read_start(a, buf, sizeof buf);
    eddy_future *writing = eddy_stream_write_start(a, "x", 1);
    if (eddy_future_done(reading)) {
        r = eddy_future_result(reading);
        CHECK_ERR(eddy_stream_read_try(a, buf, sizeof buf), -EAGAIN); /* nobody is inside */
    }
    if (eddy_future_done(writing)) {
        r = eddy_future_result(writing);
        CHECK_EQ(eddy_stream_write_try(a, "x", 1), 1);
    }
    eddy_future_release(reading);
    eddy_future_release(writing);
    eddy_stream_close(a);
    eddy_stream_close(b);
    return r;
}

LOOP_TEST(a_start_without_memory_leaves_the_stream_as_it_was) {
    CHECK(test_each_allocation_fails(start_on_a_pair, NULL) >= 6);
}

static void started_and_closed(eddy_stream *a, eddy_stream *b) {
    char buf[4];
    char *bytes = calloc(1, MORE_THAN_FITS);
    eddy_future *reading = eddy_stream_read_start(a, buf, sizeof buf);
    eddy_future *writing = eddy_stream_write_start(a, bytes, MORE_THAN_FITS);
    CHECK_OK(eddy_stream_close(a)); /* before it could begin, where it is a task */
    free(bytes);                    /* closing is complete: nobody looks there any more */
    CHECK_ERR(eddy_await(reading), EDDY_ECLOSED);
    CHECK_ERR(eddy_await(writing), EDDY_ECLOSED);
    CHECK_OK(eddy_stream_close(b));
}

LOOP_TEST(close_ends_what_was_started) {
    each_kind(started_and_closed);
}

static void started_and_left(eddy_stream *a, eddy_stream *b) {
    char buf[4] = "";
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    eddy_stream_read_start(a, buf, sizeof buf);
    CHECK_OK(eddy_scope_leave(&scope, 0)); /* cancels and waits */
    CHECK_OK(eddy_stream_write(b, "x", 1));
    CHECK_EQ(buf[0], 0);
    eddy_future *f = eddy_stream_read_start(b, buf, sizeof buf);
    eddy_future_release(f); /* so does this */
    CHECK_EQ(eddy_stream_read(a, buf, sizeof buf), 1);
    CHECK_OK(eddy_stream_write(a, "y", 1));
    CHECK_EQ(eddy_stream_read(b, buf, sizeof buf), 1);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

LOOP_TEST(leaving_a_scope_ends_what_was_started_in_it) {
    each_kind(started_and_left);
}

/* ---- pipes ----------------------------------------------------------------------------------- */

LOOP_TEST(a_pipe_is_a_stream_with_one_direction) {
    int fds[2];
    eddy_stream *out;
    eddy_stream *in;
    char buf[8];
    CHECK_EQ(pipe(fds), 0);
    CHECK_OK(eddyi_descriptor_new(eddyi_loop_here, fds[0], &eddyi_pipe_class, &in));
    CHECK_OK(eddyi_descriptor_new(eddyi_loop_here, fds[1], &eddyi_pipe_class, &out));
    CHECK_STR(eddy_stream_kind(in), "pipe");
    CHECK_ERR(eddy_stream_read_try(in, buf, sizeof buf), -EAGAIN);
    struct parked reader = {.stream = in, .len = 6};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(park, &reader, 0));
    wait_until(&reader.began);
    CHECK_OK(eddy_stream_write(out, "abc", 3));
    const eddy_slice slices[] = {{"d", 1}, {"ef", 2}};
    CHECK_OK(eddy_stream_write_slices(out, slices, 2));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_OK(reader.result);
    CHECK_BYTES(reader.buf, 6, "abcdef", 6);
    CHECK_ERR(eddy_stream_shutdown(out), -ENOTSUP);
    struct parked writer = {.stream = out, .writes = true, .len = MORE_THAN_FITS};
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(park, &writer, 0));
    while (eddy_stream_count_written(out) <= 6) {
        CHECK_OK(eddy_yield());
    }
    CHECK_OK(eddy_scope_cancel(&scope));
    eddy_scope_leave(&scope, 0);
    CHECK_ERR(writer.result, -ECANCELED);
    uint64_t written = eddy_stream_count_written(out) - 6;
    CHECK_OK(eddy_stream_close(out));
    uint64_t got = 0;
    int64_t n;
    char large[4096];
    while ((n = eddy_stream_read(in, large, sizeof large)) > 0) {
        got += (uint64_t)n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(got, written);
    CHECK_OK(eddy_stream_close(in));
}

/* ---- where it may be used -------------------------------------------------------------------- */

static void *use_from_a_thread(void *arg) {
    char buf[4];
    CHECK_ERR(eddy_stream_read(arg, buf, sizeof buf), EDDY_ENOTASK);
    CHECK_ERR(eddy_stream_read_exact(arg, buf, sizeof buf), EDDY_ENOTASK);
    CHECK_ERR(eddy_stream_write(arg, "x", 1), EDDY_ENOTASK);
    CHECK_ERR(eddy_stream_read_try(arg, buf, sizeof buf), EDDY_ENOTASK);
    CHECK_ERR(eddy_stream_shutdown(arg), EDDY_ENOTASK);
    CHECK_ERR(eddy_stream_close(arg), EDDY_ENOTASK);
    return NULL;
}

static int64_t use_on_another_loop(void *arg) {
    char buf[4];
    CHECK_ERR(eddy_stream_read(arg, buf, sizeof buf), EDDY_EWRONGLOOP);
    CHECK_ERR(eddy_stream_write(arg, "x", 1), EDDY_EWRONGLOOP);
    CHECK_ERR(eddy_stream_write_try(arg, "x", 1), EDDY_EWRONGLOOP);
    CHECK_ERR(eddy_await(eddy_stream_read_start(arg, buf, sizeof buf)), EDDY_EWRONGLOOP);
    CHECK_ERR(eddy_stream_idle_set(arg, 0, 0), EDDY_EWRONGLOOP);
    CHECK_ERR(eddy_stream_shutdown(arg), EDDY_EWRONGLOOP);
    CHECK_ERR(eddy_stream_close(arg), EDDY_EWRONGLOOP);
    return 0;
}

static void *run_another_loop(void *arg) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    CHECK_OK(eddy_loop_call(loop, use_on_another_loop, arg));
    eddy_loop_free(loop);
    return NULL;
}

LOOP_TEST(a_stream_is_used_by_tasks_of_its_loop) {
    eddy_stream *a;
    eddy_stream *b;
    socket_pair(&a, &b);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, use_from_a_thread, a), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(pthread_create(&thread, NULL, run_another_loop, a), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

/* ---- fairness, memory ------------------------------------------------------------------------ */

static int64_t set_flag(void *arg) {
    *(bool *)arg = true;
    return 0;
}

LOOP_TEST(calls_that_never_wait_are_charged_all_the_same) {
    eddy_stream *memory;
    char byte;
    CHECK_OK(eddy_memory_stream_new(NULL, 0, &memory));
    CHECK_OK(eddy_stream_write(memory, "x", 1));
    for (int call = 0; call < 3; call++) {
        bool ran = false;
        int calls = 0;
        eddy_scope scope;
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        CHECK_OK(eddy_spawn(set_flag, &ran, 0));
        /* In a seeded order it may take several turns until the other one is drawn. */
        int turns = strcmp(test_driver(), "sim") == 0 ? 1000 : 1;
        while (!ran && calls <= turns * EDDYI_LOOP_TURN_CALLS + 1) {
            CHECK_OK(call == 0   ? eddy_stream_read(memory, &byte, 1)
                     : call == 1 ? eddy_stream_read_exact(memory, &byte, 0)
                                 : eddy_stream_write(memory, "", 0));
            calls++;
        }
        CHECK(ran);
        CHECK_OK(eddy_scope_leave(&scope, 0));
    }
    CHECK_OK(eddy_stream_close(memory));
}

/* One call that moves much in small steps is charged for each of them, and sees a cancel
 * between. */
LOOP_TEST(each_step_of_a_long_call_is_charged) {
    enum { LEN = 3 * EDDYI_LOOP_TURN_CALLS };
    static char bytes[LEN];
    bool in_order = strcmp(test_driver(), "sim") != 0;
    eddy_slice slices[] = {{bytes, LEN / 2}, {bytes, LEN / 2}};
    for (int call = 0; call < 3; call++) {
        struct odd *odd = odd_new(&odd_class, bytes, LEN);
        odd->read_chunk = 1;
        odd->write_chunk = 1;
        bool ran = false;
        eddy_scope scope;
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        CHECK_OK(eddy_spawn(set_flag, &ran, 0));
        CHECK_OK(call == 0   ? eddy_stream_read_exact(&odd->base, bytes, LEN)
                 : call == 1 ? eddy_stream_write(&odd->base, bytes, LEN)
                             : eddy_stream_write_slices(&odd->base, slices, 2));
        CHECK(ran || !in_order);
        CHECK_OK(eddy_scope_leave(&scope, 0));
        CHECK_OK(eddy_stream_close(&odd->base));
    }
}

static int64_t take_nothing(eddy_stream *stream, const void *src, size_t len) {
    (void)stream;
    (void)src;
    (void)len;
    return 0;
}

LOOP_TEST(a_kind_that_takes_nothing_is_an_error_and_no_endless_loop) {
    struct eddyi_stream_class class = odd_class;
    class.write_some = take_nothing;
    struct odd *odd = odd_new(&class, "", 0);
    CHECK_ERR(eddy_stream_write(&odd->base, "x", 1), -EIO);
    CHECK_ERR(eddy_stream_write_some(&odd->base, "x", 1), -EIO);
    CHECK_ERR(eddy_await(eddy_stream_write_start(&odd->base, "x", 1)), -EIO);
    CHECK_OK(eddy_stream_close(&odd->base));
}

static int64_t use_everything(void *arg) {
    (void)arg;
    eddy_loop *loop = eddyi_loop_here;
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    int fds[2];
    int64_t r = loop->host->socketpair(loop->host->ctx, AF_UNIX, SOCK_STREAM, 0, fds);
    if (r < 0) {
        return r;
    }
    r = eddyi_descriptor_new(loop, fds[0], &eddyi_unix_class, &a);
    if (r < 0) { /* took fds[0] over */
        loop->host->close(loop->host->ctx, fds[1]);
        return r;
    }
    r = eddyi_descriptor_new(loop, fds[1], &eddyi_unix_class, &b);
    if (r == 0) {
        eddy_future *f = eddy_stream_read_start(a, buf, sizeof buf);
        r = eddy_stream_write(b, "x", 1);
        if (r == 0) {
            r = eddy_await(f);
            CHECK(r == -ENOMEM || r == 1);
        }
        eddy_future_release(f);
        eddy_stream_close(b);
    }
    eddy_stream_close(a);
    return r;
}

LOOP_TEST(every_allocation_may_fail) {
    CHECK_OK(use_everything(NULL)); /* what the driver allocates once and keeps */
    CHECK(test_each_allocation_fails(use_everything, NULL) > 6);
}
