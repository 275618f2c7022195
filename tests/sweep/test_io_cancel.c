/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conversation that is ended at every moment: by a cancel, a release or a
 * close of either end. Whatever it is, every byte is accounted for: what one side counts as
 * written, the other side has consumed, has buffered, or can still read, in order.
 */
#include <eddy/runtime/io/reader.h>
#include <eddy/runtime/io/writer.h>

#include <stdio.h>
#include <stdlib.h>

#include <eddy/futures/future.h>
#include <eddy/runtime/io/copy.h>
#include <eddy/runtime/io/memory.h>

#include "runtime/io/io.h"

enum how {
    BY_CANCEL,
    BY_CLOSING_THE_WRITER,
    BY_CLOSING_THE_READER,
    BY_RELEASE,
};

enum { LINES = 400, LINE_LEN = 40 };

struct talk {
    eddy_stream *a; /* the producer writes here */
    eddy_stream *b; /* and the consumer reads here */
    eddy_writer *writer;
    eddy_reader *reader;
    eddy_buffer got; /* what the consumer has consumed */
    bool producing;  /* the task has begun */
    bool consuming;
    int64_t produced; /* results; 1 while the task runs */
    int64_t consumed;
};

/* Line after line through a small buffer, and now and then a large piece. */
static int64_t produce(void *arg) {
    struct talk *talk = arg;
    int r = 0;
    talk->producing = true;
    for (int i = 0; i < LINES && r == 0; i++) {
        r = eddy_writer_printf(talk->writer, "%0*d\n", LINE_LEN - 1, i);
    }
    talk->produced = r < 0 ? r : eddy_writer_flush(talk->writer);
    return 0;
}

static int64_t consume(void *arg) {
    struct talk *talk = arg;
    int64_t r = 1;
    talk->consuming = true;
    for (int i = 0; i < LINES && r > 0; i++) {
        eddy_slice slice = {0};
        char bytes[LINE_LEN];
        switch (i % 3) {
        case 0:
            r = eddy_reader_until(talk->reader, eddy_slice_of("\n"), 100, &slice);
            break;
        case 1: {
            uint64_t before = eddy_reader_count(talk->reader);
            r = eddy_reader_exactly(talk->reader, bytes, LINE_LEN);
            /* Also after an error: what came is in `bytes`, and counted. */
            slice = eddy_slice_from(bytes, (size_t)(eddy_reader_count(talk->reader) - before));
            break;
        }
        default:
            r = eddy_reader_peek(talk->reader, LINE_LEN, &slice);
            slice.len = r > 0 ? LINE_LEN : 0;
            break;
        }
        CHECK_OK(eddy_buffer_append_slice(&talk->got, slice));
        if (r > 0 && i % 3 == 2) {
            eddy_reader_consume(talk->reader, LINE_LEN);
        }
    }
    talk->consumed = r > 0 ? 0 : r == 0 ? EDDY_EEND : r;
    return 0;
}

static void check_lines(const eddy_buffer *got) {
    for (size_t i = 0; i < got->len; i += LINE_LEN) {
        char wanted[LINE_LEN + 1];
        size_t len = got->len - i < LINE_LEN ? got->len - i : LINE_LEN;
        snprintf(wanted, sizeof wanted, "%0*d\n", LINE_LEN - 1, (int)(i / LINE_LEN));
        CHECK_BYTES(got->data + i, len, wanted, len);
    }
}

/* All that the reader's side can still get. */
static void drain(struct talk *talk) {
    int64_t r = eddy_reader_all(talk->reader, SIZE_MAX, &talk->got);
    CHECK(r >= 0 || r == -ECONNRESET);
}

static void finish(struct talk *talk, bool a_closed, bool b_closed) {
    uint64_t taken = eddy_writer_count(talk->writer);
    size_t buffered = eddy_writer_buffered(talk->writer);
    if (!a_closed) {
        CHECK_EQ(eddy_stream_count_written(talk->a), taken - buffered);
        CHECK_OK(eddy_stream_close(talk->a));
    }
    if (!b_closed) {
        drain(talk);
        CHECK_EQ(talk->got.len, taken - buffered);
        CHECK_OK(eddy_stream_close(talk->b));
    }
    check_lines(&talk->got);
    CHECK_EQ(eddy_reader_count(talk->reader), talk->got.len);
    eddy_writer_free(talk->writer);
    eddy_reader_free(talk->reader);
    eddy_buffer_done(&talk->got);
}

/* Ends the conversation after so many turns; false when it had come to its own end before. */
static bool end_after(int steps, enum how how, bool sockets) {
    struct talk talk = {.produced = 1, .consumed = 1};
    if (sockets) {
        socket_pair(&talk.a, &talk.b);
    } else {
        CHECK_OK(eddy_memory_pair(700, &talk.a, &talk.b));
    }
    CHECK_OK(eddy_writer_new(talk.a, &(eddy_writer_opts){.buffer_size_bytes = 300}, &talk.writer));
    CHECK_OK(eddy_reader_new(talk.b, &(eddy_reader_opts){.buffer_size_bytes = 200}, &talk.reader));
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    eddy_future *producing = eddy_task_start(produce, &talk, 0);
    eddy_future *consuming = eddy_task_start(consume, &talk, 0);
    /* A task that has not begun would use a stream that is closed already: its own mistake. */
    bool closes = how == BY_CLOSING_THE_WRITER || how == BY_CLOSING_THE_READER;
    while (closes && (!talk.producing || !talk.consuming)) {
        CHECK_OK(eddy_yield());
    }
    for (int i = 0; i < steps; i++) {
        CHECK_OK(eddy_yield());
    }
    bool early = talk.produced == 1 || talk.consumed == 1;
    bool a_closed = early && how == BY_CLOSING_THE_WRITER;
    bool b_closed = early && how == BY_CLOSING_THE_READER;
    int64_t wanted = EDDY_ECLOSED;
    switch (early ? (int)how : -1) {
    case BY_CANCEL:
        wanted = -ECANCELED;
        CHECK_OK(eddy_scope_cancel(&scope));
        break;
    case BY_CLOSING_THE_WRITER:
        CHECK_OK(eddy_stream_close(talk.a));
        break;
    case BY_CLOSING_THE_READER:
        CHECK_OK(eddy_stream_close(talk.b));
        break;
    case BY_RELEASE:
        wanted = -ECANCELED;
        eddy_future_release(producing);
        eddy_future_release(consuming);
        break;
    default:
        CHECK_EQ(talk.produced, 0);
        CHECK_EQ(talk.consumed, 0);
        break;
    }
    if (a_closed || b_closed) { /* both come to an end by that alone */
        CHECK_OK(eddy_await(producing));
        CHECK_OK(eddy_await(consuming));
    }
    eddy_scope_leave(&scope, 0);
    CHECK(talk.produced == 0 || talk.produced == wanted ||
          (b_closed && (talk.produced == -EPIPE || talk.produced == -ECONNRESET)));
    CHECK(talk.consumed == 0 || talk.consumed == (a_closed ? EDDY_EEND : wanted));
    finish(&talk, a_closed, b_closed);
    return early;
}

/* Each moment at first, then ever larger strides: in the simulation's time a conversation may take
 * thousands of turns. */
static void sweep(enum how how, bool sockets) {
    int steps = 0;
    while (end_after(steps, how, sockets)) {
        steps += 1 + steps / (test_is_slow() ? 4 : 16);
    }
    CHECK(steps > 3);
}

LOOP_TEST(a_pair_that_is_cancelled_at_any_moment_accounts_for_every_byte) {
    sweep(BY_CANCEL, false);
}

LOOP_TEST(sockets_that_are_cancelled_at_any_moment_account_for_every_byte) {
    sweep(BY_CANCEL, true);
}

LOOP_TEST(a_future_that_is_released_at_any_moment_accounts_for_every_byte) {
    sweep(BY_RELEASE, false);
    sweep(BY_RELEASE, true);
}

LOOP_TEST(a_writer_that_is_closed_at_any_moment_accounts_for_every_byte) {
    sweep(BY_CLOSING_THE_WRITER, false);
    sweep(BY_CLOSING_THE_WRITER, true);
}

LOOP_TEST(a_reader_that_is_closed_at_any_moment_ends_the_conversation) {
    sweep(BY_CLOSING_THE_READER, false);
    sweep(BY_CLOSING_THE_READER, true);
}
