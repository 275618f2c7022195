/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/io/memory.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/io/io.h"

/* ---- a file in memory ------------------------------------------------------------------------ */

LOOP_TEST(a_memory_stream_reads_its_bytes_from_the_start) {
    eddy_stream *memory;
    char buf[8];
    CHECK_OK(eddy_memory_stream_new("hello", 5, &memory));
    CHECK_STR(eddy_stream_kind(memory), "memory");
    CHECK_EQ(eddy_stream_read(memory, buf, 2), 2);
    CHECK_EQ(eddy_stream_read(memory, buf + 2, 6), 3);
    CHECK_BYTES(buf, 5, "hello", 5);
    CHECK_EQ(eddy_stream_read(memory, buf, 8), 0);
    CHECK_EQ(eddy_stream_read_try(memory, buf, 8), 0);
    CHECK_EQ(eddy_memory_tell(memory), 5);
    CHECK_ERR(eddy_stream_fd(memory), -ENOTSUP);
    CHECK_ERR(eddy_stream_shutdown(memory), -ENOTSUP);
    CHECK_OK(eddy_stream_close(memory));
}

LOOP_TEST(reads_and_writes_share_one_position) {
    eddy_stream *memory;
    eddy_slice all;
    char buf[8];
    CHECK_OK(eddy_memory_stream_new("abcdef", 6, &memory));
    CHECK_EQ(eddy_stream_read(memory, buf, 2), 2);
    CHECK_OK(eddy_stream_write(memory, "XY", 2));
    CHECK_EQ(eddy_stream_read(memory, buf, 8), 2);
    CHECK_BYTES(buf, 2, "ef", 2);
    CHECK_EQ(eddy_stream_write_some(memory, "ghi", 3), 3);
    CHECK_EQ(eddy_stream_write_try(memory, "j", 1), 1);
    CHECK_OK(eddy_memory_contents(memory, &all));
    CHECK_BYTES(all.data, all.len, "abXYefghij", 10);
    CHECK_EQ(eddy_stream_count_written(memory), 6);
    CHECK_EQ(eddy_stream_count_read(memory), 4);
    CHECK_OK(eddy_stream_close(memory));
}

LOOP_TEST(seek_goes_anywhere_from_the_start_on) {
    eddy_stream *memory;
    eddy_slice all;
    char buf[4];
    CHECK_OK(eddy_memory_stream_new("abc", 3, &memory));
    CHECK_EQ(eddy_memory_seek(memory, 1, SEEK_SET), 1);
    CHECK_EQ(eddy_memory_seek(memory, 1, SEEK_CUR), 2);
    CHECK_EQ(eddy_memory_seek(memory, -1, SEEK_END), 2);
    CHECK_EQ(eddy_stream_read(memory, buf, 4), 1);
    CHECK_EQ(buf[0], 'c');
    CHECK_ERR(eddy_memory_seek(memory, -1, SEEK_SET), -EINVAL);
    CHECK_ERR(eddy_memory_seek(memory, -4, SEEK_END), -EINVAL);
    CHECK_ERR(eddy_memory_seek(memory, INT64_MAX, SEEK_CUR), -EINVAL);
    CHECK_ERR(eddy_memory_seek(memory, 0, 99), -EINVAL);
    CHECK_EQ(eddy_memory_tell(memory), 3);
    /* Behind the end: nothing to read, and a write fills the gap. */
    CHECK_EQ(eddy_memory_seek(memory, 2, SEEK_END), 5);
    CHECK_EQ(eddy_stream_read(memory, buf, 4), 0);
    CHECK_OK(eddy_memory_contents(memory, &all));
    CHECK_EQ(all.len, 3);
    CHECK_OK(eddy_stream_write(memory, "f", 1));
    CHECK_OK(eddy_memory_contents(memory, &all));
    CHECK_BYTES(all.data, all.len, "abc\0\0f", 6);
    CHECK_EQ(eddy_memory_seek(memory, INT64_MAX, SEEK_SET), INT64_MAX);
    CHECK_ERR(eddy_stream_write(memory, "x", 1), -ENOMEM);
    CHECK_OK(eddy_memory_contents(memory, &all));
    CHECK_EQ(all.len, 6);
    CHECK_OK(eddy_stream_close(memory));
}

LOOP_TEST(truncate_cuts_and_fills) {
    eddy_stream *memory;
    eddy_slice all;
    CHECK_OK(eddy_memory_stream_new("abcdef", 6, &memory));
    CHECK_EQ(eddy_memory_seek(memory, 0, SEEK_END), 6);
    CHECK_OK(eddy_memory_truncate(memory, 2));
    CHECK_EQ(eddy_memory_tell(memory), 6); /* stays */
    CHECK_OK(eddy_memory_truncate(memory, 4));
    CHECK_OK(eddy_memory_contents(memory, &all));
    CHECK_BYTES(all.data, all.len, "ab\0\0", 4); /* what was cut does not come back */
    CHECK_ERR(eddy_memory_truncate(memory, SIZE_MAX), -ENOMEM);
    CHECK_OK(eddy_memory_truncate(memory, 0));
    CHECK_OK(eddy_memory_contents(memory, &all));
    CHECK_EQ(all.len, 0);
    CHECK_OK(eddy_stream_close(memory));
}

LOOP_TEST(only_memory_can_be_looked_into) {
    eddy_stream *a;
    eddy_stream *b;
    eddy_slice all;
    CHECK_OK(eddy_memory_pair(8, &a, &b));
    CHECK_ERR(eddy_memory_seek(a, 0, SEEK_SET), -ESPIPE);
    CHECK_ERR(eddy_memory_tell(a), -ESPIPE);
    CHECK_ERR(eddy_memory_truncate(a, 0), -ESPIPE);
    CHECK_ERR(eddy_memory_contents(a, &all), -ESPIPE);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
    eddy_stream *memory;
    CHECK_ERR(eddy_memory_stream_new(NULL, 1, &memory), -EINVAL);
    CHECK_OK(eddy_memory_stream_new(NULL, 0, &memory));
    CHECK_ERR(eddy_memory_reset(memory), -ENOTSUP);
    CHECK_OK(eddy_stream_close(memory));
}

/* Random calls against an array. */
LOOP_TEST(a_memory_stream_is_an_array_with_a_position) {
    enum { MAX = 3000 };
    static char model[MAX + 200];
    for (int round = 0; round < 20; round++) {
        eddy_stream *memory;
        eddy_slice all;
        char buf[200];
        size_t len = 0;
        size_t at = 0;
        memset(model, 0, sizeof model);
        CHECK_OK(eddy_memory_stream_new(NULL, 0, &memory));
        for (int i = 0; i < 500; i++) {
            size_t n = 1 + test_random_below(sizeof buf);
            switch (test_random_below(4)) {
            case 0:
                at = test_random_below(MAX);
                CHECK_EQ(eddy_memory_seek(memory, (int64_t)at, SEEK_SET), at);
                break;
            case 1:
                n = at >= len ? 0 : n < len - at ? n : len - at;
                CHECK_EQ(eddy_stream_read(memory, buf, n == 0 ? 1 : n), n);
                CHECK_BYTES(buf, n, model + at, n);
                at += n;
                break;
            case 2:
                at = at > MAX ? MAX : at;
                CHECK_EQ(eddy_memory_seek(memory, (int64_t)at, SEEK_SET), at);
                fill_pattern(buf, n, test_random());
                CHECK_OK(eddy_stream_write(memory, buf, n));
                memcpy(model + at, buf, n);
                at += n;
                len = at > len ? at : len;
                break;
            default:
                n = test_random_below(MAX);
                CHECK_OK(eddy_memory_truncate(memory, n));
                memset(model + n, 0, sizeof model - n);
                len = n;
                break;
            }
            CHECK_EQ(eddy_memory_tell(memory), at);
        }
        CHECK_OK(eddy_memory_contents(memory, &all));
        CHECK_BYTES(all.data, all.len, model, len);
        CHECK_OK(eddy_stream_close(memory));
    }
}

/* ---- pairs ----------------------------------------------------------------------------------- */

struct transfer {
    eddy_stream *stream;
    size_t len;
    bool began;
    int64_t result;
};

static int64_t send_pattern(void *arg) {
    struct transfer *transfer = arg;
    char buf[700];
    size_t at = 0;
    int r = 0;
    while (at < transfer->len && r == 0) {
        size_t len = transfer->len - at < sizeof buf ? transfer->len - at : sizeof buf;
        fill_pattern(buf, len, at);
        r = eddy_stream_write(transfer->stream, buf, len);
        at += len;
    }
    transfer->result = r;
    return r < 0 ? r : eddy_stream_shutdown(transfer->stream);
}

static int64_t receive_pattern(void *arg) {
    struct transfer *transfer = arg;
    char buf[900];
    size_t at = 0;
    int64_t n;
    while ((n = eddy_stream_read(transfer->stream, buf, 1 + at % sizeof buf)) > 0) {
        check_pattern(buf, (size_t)n, at);
        at += (size_t)n;
    }
    transfer->result = n;
    CHECK_EQ(at, transfer->len);
    return n;
}

LOOP_TEST(a_pair_carries_both_directions_at_once_through_any_capacity) {
    for (size_t capacity = 1; capacity < 5000; capacity = capacity * 5 + 2) {
        eddy_stream *a;
        eddy_stream *b;
        CHECK_OK(eddy_memory_pair(capacity, &a, &b));
        CHECK_STR(eddy_stream_kind(a), "pair");
        struct transfer out = {.stream = a, .len = 20000};
        struct transfer in = {.stream = a, .len = 30000};
        struct transfer back = {.stream = b, .len = 30000};
        struct transfer there = {.stream = b, .len = 20000};
        eddy_scope scope;
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        CHECK_OK(eddy_spawn(send_pattern, &out, 0));
        CHECK_OK(eddy_spawn(receive_pattern, &in, 0));
        CHECK_OK(eddy_spawn(send_pattern, &back, 0));
        CHECK_OK(eddy_spawn(receive_pattern, &there, 0));
        CHECK_OK(eddy_scope_leave(&scope, 0));
        CHECK_OK(eddy_stream_close(b));
        CHECK_OK(eddy_stream_close(a));
    }
}

LOOP_TEST(a_full_pair_takes_no_more) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[16];
    CHECK_OK(eddy_memory_pair(10, &a, &b));
    CHECK_ERR(eddy_stream_read_try(b, buf, 4), -EAGAIN);
    CHECK_EQ(eddy_stream_write_try(a, "0123456789abcdef", 16), 10);
    CHECK_ERR(eddy_stream_write_try(a, "x", 1), -EAGAIN);
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_ERR(eddy_stream_write(a, "x", 1), -ETIME);
    eddy_scope_leave(&scope, 0);
    CHECK_EQ(eddy_stream_read(b, buf, 4), 4);
    CHECK_EQ(eddy_stream_write_try(a, "abcdef", 6), 4);
    CHECK_EQ(eddy_stream_read(b, buf, 16), 10);
    CHECK_BYTES(buf, 10, "456789abcd", 10);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

LOOP_TEST(half_a_pair_can_be_shut_down) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    CHECK_OK(eddy_memory_pair(10, &a, &b));
    CHECK_OK(eddy_stream_write(a, "x", 1));
    CHECK_OK(eddy_stream_shutdown(a));
    CHECK_OK(eddy_stream_shutdown(a));
    CHECK_ERR(eddy_stream_write(a, "y", 1), -EPIPE);
    CHECK_EQ(eddy_stream_read(b, buf, 4), 1);
    CHECK_EQ(eddy_stream_read(b, buf, 4), 0);
    CHECK_EQ(eddy_stream_read(b, buf, 4), 0);
    CHECK_OK(eddy_stream_write(b, "z", 1));
    CHECK_EQ(eddy_stream_read(a, buf, 4), 1);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

static int64_t read_one(void *arg) {
    struct transfer *transfer = arg;
    char byte;
    transfer->began = true;
    transfer->result = eddy_stream_read(transfer->stream, &byte, 1);
    return 0;
}

static int64_t write_two(void *arg) {
    struct transfer *transfer = arg;
    transfer->began = true;
    transfer->result = eddy_stream_write(transfer->stream, "xy", 2);
    return 0;
}

/* Whoever waits at either end, in either direction, while `end` happens to one of them. */
static void while_all_wait(void (*end)(eddy_stream **a, eddy_stream **b), int64_t own_read,
                           int64_t own_write, int64_t peer_read, int64_t peer_write) {
    eddy_stream *a;
    eddy_stream *b;
    CHECK_OK(eddy_memory_pair(1, &a, &b));
    struct transfer waits[4] = {{.stream = a}, {.stream = a}, {.stream = b}, {.stream = b}};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    /* A writer waits only while nobody reads: one direction at a time. */
    for (int readers = 0; readers < 2; readers++) {
        struct transfer *own = &waits[readers ? 0 : 1];
        struct transfer *peer = &waits[readers ? 2 : 3];
        CHECK_OK(eddy_spawn(readers ? read_one : write_two, own, 0));
        CHECK_OK(eddy_spawn(readers ? read_one : write_two, peer, 0));
        wait_until(&own->began);
        wait_until(&peer->began);
        end(&a, &b);
        CHECK_OK(eddy_scope_leave(&scope, 0));
        CHECK_ERR(own->result, readers ? own_read : own_write);
        CHECK_ERR(peer->result, readers ? peer_read : peer_write);
        CHECK_OK(eddy_stream_close(a));
        CHECK_OK(eddy_stream_close(b));
        if (!readers) {
            CHECK_OK(eddy_memory_pair(1, &a, &b));
            for (size_t i = 0; i < 4; i++) {
                waits[i].stream = i < 2 ? a : b;
            }
            CHECK_OK(eddy_scope_enter(&scope, NULL));
        }
    }
}

static void close_a(eddy_stream **a, eddy_stream **b) {
    (void)b;
    CHECK_OK(eddy_stream_close(*a));
    *a = NULL;
}

static void reset_a(eddy_stream **a, eddy_stream **b) {
    (void)b;
    CHECK_OK(eddy_memory_reset(*a));
}

static void shut_both_down(eddy_stream **a, eddy_stream **b) {
    CHECK_OK(eddy_stream_shutdown(*a));
    CHECK_OK(eddy_stream_shutdown(*b));
}

LOOP_TEST(the_end_of_a_pair_reaches_whoever_waits) {
    while_all_wait(close_a, EDDY_ECLOSED, EDDY_ECLOSED, 0, -EPIPE);
    while_all_wait(reset_a, -ECONNRESET, -ECONNRESET, -ECONNRESET, -ECONNRESET);
    while_all_wait(shut_both_down, 0, -EPIPE, 0, -EPIPE);
}

LOOP_TEST(after_a_reset_what_had_arrived_is_read_first) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    CHECK_OK(eddy_memory_pair(10, &a, &b));
    CHECK_OK(eddy_stream_write(a, "xyz", 3));
    CHECK_OK(eddy_memory_reset(b));
    CHECK_EQ(eddy_stream_read(b, buf, 4), 3);
    CHECK_ERR(eddy_stream_read(b, buf, 4), -ECONNRESET);
    CHECK_ERR(eddy_stream_read_try(b, buf, 4), -ECONNRESET);
    CHECK_ERR(eddy_stream_write(b, "x", 1), -ECONNRESET);
    CHECK_ERR(eddy_stream_write(a, "x", 1), -ECONNRESET);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

LOOP_TEST(the_peer_of_a_closed_end_reads_what_is_left) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    CHECK_OK(eddy_memory_pair(10, &a, &b));
    CHECK_OK(eddy_stream_write(a, "xyz", 3));
    CHECK_OK(eddy_stream_close(a));
    CHECK_EQ(eddy_stream_read(b, buf, 4), 3);
    CHECK_EQ(eddy_stream_read(b, buf, 4), 0);
    CHECK_ERR(eddy_stream_write(b, "x", 1), -EPIPE);
    CHECK_OK(eddy_stream_close(b));
}

LOOP_TEST(a_pair_has_idle_timeouts_too) {
    eddy_stream *a;
    eddy_stream *b;
    char buf[4];
    CHECK_OK(eddy_memory_pair(1, &a, &b));
    CHECK_OK(eddy_stream_idle_set(a, 5 * EDDY_MS, 5 * EDDY_MS));
    CHECK_ERR(eddy_stream_read(a, buf, 4), -ETIMEDOUT);
    CHECK_ERR(eddy_stream_write(a, "xy", 2), -ETIMEDOUT);
    CHECK_EQ(eddy_stream_count_written(a), 1);
    CHECK_EQ(eddy_stream_read(b, buf, 4), 1); /* and is usable afterwards */
    CHECK_OK(eddy_stream_write(b, "z", 1));
    CHECK_EQ(eddy_stream_read(a, buf, 4), 1);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

/* A byte and a cancel at the same moment: the byte is delivered, the next call tells the cancel. */
LOOP_TEST(a_byte_that_comes_with_a_cancel_is_delivered) {
    eddy_stream *a;
    eddy_stream *b;
    CHECK_OK(eddy_memory_pair(1, &a, &b));
    struct transfer reader = {.stream = b};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(read_one, &reader, 0));
    wait_until(&reader.began);
    CHECK_EQ(eddy_stream_write_try(a, "x", 1), 1);
    CHECK_OK(eddy_scope_cancel(&scope));
    eddy_scope_leave(&scope, 0);
    CHECK_EQ(reader.result, 1);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

static void *on_a_thread(void *arg) {
    (void)arg;
    eddy_stream *a;
    eddy_stream *b;
    CHECK_ERR(eddy_memory_pair(1, &a, &b), EDDY_ENOTASK);
    CHECK_ERR(eddy_memory_stream_new("x", 1, &a), EDDY_ENOTASK);
    return NULL;
}

LOOP_TEST(a_stream_in_memory_needs_a_loop) {
    eddy_stream *a;
    eddy_stream *b;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, on_a_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_ERR(eddy_memory_pair(0, &a, &b), -EINVAL);
    CHECK_ERR(eddy_memory_pair(SIZE_MAX, &a, &b), -EINVAL);
}

static int64_t make_and_use(void *arg) {
    (void)arg;
    eddy_stream *memory;
    eddy_stream *a;
    eddy_stream *b;
    int64_t r = eddy_memory_stream_new("abc", 3, &memory);
    if (r < 0) {
        return r;
    }
    char bytes[1000] = "";
    eddy_slice all;
    r = eddy_stream_write(memory, bytes, sizeof bytes);
    CHECK_OK(eddy_memory_contents(memory, &all));
    CHECK_EQ(all.len, r < 0 ? 3 : 1000);
    if (r == 0) {
        CHECK_EQ(eddy_memory_seek(memory, 5000, SEEK_SET), 5000);
        r = eddy_stream_write(memory, bytes, sizeof bytes);
        CHECK_OK(eddy_memory_contents(memory, &all));
        CHECK_EQ(all.len, r < 0 ? 1000 : 6000);
    }
    if (r == 0) {
        r = eddy_memory_truncate(memory, 100 * 1000);
    }
    if (r == 0 && (r = eddy_memory_pair(100, &a, &b)) == 0) {
        eddy_stream_close(a);
        eddy_stream_close(b);
    }
    eddy_stream_close(memory);
    return r;
}

LOOP_TEST(every_allocation_may_fail) {
    CHECK(test_each_allocation_fails(make_and_use, NULL) >= 12);
}
