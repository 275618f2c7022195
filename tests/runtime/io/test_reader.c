/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/io/reader.h>

#include <stdlib.h>

#include <eddy/runtime/io/memory.h>

#include "runtime/io/io.h"

/* A reader over bytes that arrive `chunk` at a time. */
static struct odd *odd_reader(const char *data, size_t len, size_t chunk, size_t size,
                              eddy_reader **ret_reader) {
    struct odd *odd = odd_new(&odd_class, data, len);
    odd->read_chunk = chunk;
    CHECK_OK(
        eddy_reader_new(&odd->base, &(eddy_reader_opts){.buffer_size_bytes = size}, ret_reader));
    return odd;
}

static void done(eddy_reader *reader, struct odd *odd) {
    CHECK(eddy_reader_free(reader) == NULL);
    CHECK_OK(eddy_stream_close(&odd->base));
}

#define CHECK_SLICE(slice, text) CHECK_BYTES((slice).data, (slice).len, text, strlen(text))

/* ---- lines ----------------------------------------------------------------------------------- */

LOOP_TEST(lines_come_without_their_ends_whatever_the_chunks) {
    static const char text[] = "one\r\ntwo\n\n\r\nwith \r inside\r\r\nlast\n";
    for (size_t chunk = 0; chunk <= sizeof text; chunk++) {
        for (size_t size = 1; size <= 40; size += 13) {
            eddy_reader *reader;
            eddy_slice line;
            struct odd *odd = odd_reader(text, sizeof text - 1, chunk, size, &reader);
            CHECK_EQ(eddy_reader_line(reader, 100, &line), 1);
            CHECK_SLICE(line, "one");
            CHECK_EQ(eddy_reader_line(reader, 3, &line), 1);
            CHECK_SLICE(line, "two");
            CHECK_EQ(eddy_reader_line(reader, 0, &line), 1);
            CHECK_SLICE(line, "");
            CHECK_EQ(eddy_reader_line(reader, 0, &line), 1);
            CHECK_SLICE(line, "");
            CHECK_EQ(eddy_reader_line(reader, 100, &line), 1);
            CHECK_SLICE(line, "with \r inside\r");
            CHECK_EQ(eddy_reader_line(reader, 100, &line), 1);
            CHECK_SLICE(line, "last");
            CHECK_EQ(eddy_reader_line(reader, 100, &line), 0);
            CHECK_EQ(eddy_reader_line(reader, 100, &line), 0);
            CHECK_EQ(eddy_reader_count(reader), sizeof text - 1);
            done(reader, odd);
        }
    }
}

LOOP_TEST(a_line_over_its_limit_stays_where_it_is) {
    for (size_t chunk = 0; chunk <= 8; chunk++) {
        eddy_reader *reader;
        eddy_slice line = {"kept", 4};
        struct odd *odd = odd_reader("12345\r\nrest", 11, chunk, 4, &reader);
        CHECK_ERR(eddy_reader_line(reader, 0, &line), EDDY_ELIMIT);
        CHECK_ERR(eddy_reader_line(reader, 3, &line), EDDY_ELIMIT);
        CHECK_ERR(eddy_reader_line(reader, 4, &line), EDDY_ELIMIT);
        CHECK_SLICE(line, "kept"); /* outputs only on success */
        CHECK_EQ(eddy_reader_count(reader), 0);
        CHECK_EQ(eddy_reader_line(reader, 5, &line), 1);
        CHECK_SLICE(line, "12345");
        CHECK_ERR(eddy_reader_line(reader, 100, &line), EDDY_EEND);
        CHECK_EQ(eddy_reader_peek(reader, 1, &line), 4);
        CHECK_SLICE(line, "rest");
        done(reader, odd);
    }
}

/* A peer that sends one byte too many and then waits gets its answer, not our patience. */
LOOP_TEST(a_line_is_refused_with_the_first_byte_over_the_limit) {
    eddy_stream *a;
    eddy_stream *b;
    eddy_reader *reader;
    eddy_slice line;
    CHECK_OK(eddy_memory_pair(64, &a, &b));
    CHECK_OK(eddy_reader_new(b, NULL, &reader));
    CHECK_OK(eddy_stream_write(a, "12345", 5));
    CHECK_ERR(eddy_reader_line(reader, 4, &line), EDDY_ELIMIT);
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_ERR(eddy_reader_line(reader, 5, &line), -ETIME); /* still possible */
    eddy_scope_leave(&scope, 0);
    CHECK_OK(eddy_stream_write(a, "\r", 1));
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_MS}));
    CHECK_ERR(eddy_reader_line(reader, 5, &line), -ETIME); /* still possible */
    eddy_scope_leave(&scope, 0);
    CHECK_OK(eddy_stream_write(a, "\r", 1));
    CHECK_ERR(eddy_reader_line(reader, 5, &line), EDDY_ELIMIT);
    eddy_reader_free(reader);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

/* ---- delimiters ------------------------------------------------------------------------------ */

LOOP_TEST(until_finds_a_delimiter_across_chunks) {
    static const char text[] = "aXbXXbody--XX--bound--boundary!";
    for (size_t chunk = 0; chunk <= sizeof text; chunk++) {
        for (size_t size = 1; size <= 40; size += 13) {
            eddy_reader *reader;
            eddy_slice slice;
            struct odd *odd = odd_reader(text, sizeof text - 1, chunk, size, &reader);
            CHECK_EQ(eddy_reader_until(reader, eddy_slice_of("XX"), 100, &slice), 1);
            CHECK_SLICE(slice, "aXbXX");
            CHECK_EQ(eddy_reader_until(reader, eddy_slice_of("--boundary"), 100, &slice), 1);
            CHECK_SLICE(slice, "body--XX--bound--boundary");
            CHECK_ERR(eddy_reader_until(reader, eddy_slice_of("??"), 100, &slice), EDDY_EEND);
            CHECK_EQ(eddy_reader_until(reader, eddy_slice_of("!"), 1, &slice), 1);
            CHECK_SLICE(slice, "!");
            CHECK_EQ(eddy_reader_until(reader, eddy_slice_of("!"), 1, &slice), 0);
            done(reader, odd);
        }
    }
}

LOOP_TEST(until_counts_the_delimiter_to_the_limit) {
    eddy_reader *reader;
    eddy_slice slice = {"kept", 4};
    struct odd *odd = odd_reader("12345;;rest", 11, 3, 4, &reader);
    CHECK_ERR(eddy_reader_until(reader, eddy_slice_of(""), 10, &slice), -EINVAL);
    CHECK_ERR(eddy_reader_until(reader, eddy_slice_of(";;"), 1, &slice), -EINVAL);
    CHECK_ERR(eddy_reader_until(reader, eddy_slice_of(";;"), 2, &slice), EDDY_ELIMIT);
    CHECK_ERR(eddy_reader_until(reader, eddy_slice_of(";;"), 6, &slice), EDDY_ELIMIT);
    CHECK_SLICE(slice, "kept");
    CHECK_EQ(eddy_reader_until(reader, eddy_slice_of(";;"), 7, &slice), 1);
    CHECK_SLICE(slice, "12345;;");
    done(reader, odd);
}

/* ---- peek and consume ------------------------------------------------------------------------ */

LOOP_TEST(peek_shows_at_least_what_was_asked_for_and_consumes_nothing) {
    eddy_reader *reader;
    eddy_slice slice;
    struct odd *odd = odd_reader("abcdefgh", 8, 3, 0, &reader);
    CHECK_EQ(eddy_reader_buffered(reader), 0);
    CHECK_ERR(eddy_reader_peek(reader, 0, &slice), -EINVAL);
    CHECK_EQ(eddy_reader_peek(reader, 1, &slice), 3);
    CHECK_SLICE(slice, "abc");
    CHECK_EQ(eddy_reader_peek(reader, 4, &slice), 6); /* more than I have now */
    CHECK_SLICE(slice, "abcdef");
    CHECK_EQ(eddy_reader_buffered(reader), 6);
    CHECK_EQ(eddy_reader_count(reader), 0);
    eddy_reader_consume(reader, 2);
    CHECK_EQ(eddy_reader_peek(reader, 2, &slice), 4);
    CHECK_SLICE(slice, "cdef");
    CHECK_EQ(eddy_reader_peek(reader, 6, &slice), 6);
    CHECK_SLICE(slice, "cdefgh");
    CHECK_ERR(eddy_reader_peek(reader, 7, &slice), EDDY_EEND);
    CHECK_EQ(eddy_reader_buffered(reader), 6);
    eddy_reader_consume(reader, 100);
    CHECK_EQ(eddy_reader_count(reader), 8);
    CHECK_EQ(eddy_reader_peek(reader, 7, &slice), 0);
    done(reader, odd);
}

LOOP_TEST(peeking_for_one_byte_more_costs_a_constant_for_each) {
    enum { LEN = 2 * 1024 * 1024 };
    char *bytes = malloc(LEN);
    fill_pattern(bytes, LEN, 0);
    eddy_reader *reader;
    eddy_slice slice;
    struct odd *odd = odd_reader(bytes, LEN, 16, 0, &reader);
    size_t have = 0;
    int64_t n;
    while ((n = eddy_reader_peek(reader, have + 1, &slice)) > 0) {
        have = (size_t)n; /* quadratic work would take minutes here */
    }
    CHECK_ERR(n, EDDY_EEND);
    CHECK_EQ(have, LEN);
    check_pattern(slice.data, slice.len, 0);
    /* Nor does taking it in small pieces, with a large rest behind them. */
    for (size_t at = 0; at < LEN; at += 16) {
        CHECK_EQ(eddy_reader_peek(reader, LEN - at, &slice), LEN - at);
        check_pattern(slice.data, 1, at);
        eddy_reader_consume(reader, 16);
    }
    done(reader, odd);
    free(bytes);
}

/* Much is buffered, a little is taken and a little comes: not all of it may be moved each time. */
LOOP_TEST(a_window_that_slides_costs_a_constant_for_each_byte) {
    enum { LEN = 1024 * 1024, WINDOW = 100 * 1000 };
    char *bytes = malloc(LEN);
    fill_pattern(bytes, LEN, 0);
    eddy_reader *reader;
    eddy_slice slice;
    struct odd *odd = odd_reader(bytes, LEN, 8, 0, &reader);
    size_t at = 0;
    while (eddy_reader_peek(reader, WINDOW, &slice) >= WINDOW) {
        check_pattern(slice.data, 8, at);
        check_pattern(slice.data + WINDOW - 8, 8, at + WINDOW - 8);
        eddy_reader_consume(reader, 8);
        at += 8;
    }
    CHECK(at >= LEN - WINDOW - 8);
    done(reader, odd);
    free(bytes);
}

/* ---- to the caller's memory ------------------------------------------------------------------ */

LOOP_TEST(read_gives_what_is_buffered_first_and_alone) {
    eddy_reader *reader;
    eddy_slice slice;
    char buf[2000];
    char text[3000];
    fill_pattern(text, sizeof text, 0);
    struct odd *odd = odd_reader(text, sizeof text, 700, 0, &reader);
    CHECK_ERR(eddy_reader_read(reader, buf, 0), -EINVAL);
    CHECK_EQ(eddy_reader_peek(reader, 1, &slice), 512);
    eddy_reader_consume(reader, 500);
    CHECK_EQ(eddy_reader_read(reader, buf, sizeof buf), 12);
    check_pattern(buf, 12, 500);
    CHECK_EQ(eddy_reader_read(reader, buf, sizeof buf), 700); /* straight from the stream */
    check_pattern(buf, 700, 512);
    CHECK_EQ(eddy_reader_buffered(reader), 0);
    CHECK_EQ(eddy_reader_read(reader, buf, 10), 10); /* little: through the buffer */
    CHECK(eddy_reader_buffered(reader) > 0);
    CHECK_EQ(eddy_reader_count(reader), 1222);
    done(reader, odd);
}

LOOP_TEST(exactly_takes_what_it_was_asked_for) {
    char text[5000];
    char buf[5000];
    fill_pattern(text, sizeof text, 0);
    for (size_t chunk = 1; chunk < 3000; chunk = chunk * 3 + 1) {
        eddy_reader *reader;
        eddy_slice slice;
        struct odd *odd = odd_reader(text, sizeof text, chunk, 100, &reader);
        CHECK_EQ(eddy_reader_exactly(reader, buf, 0), 0);
        CHECK_EQ(eddy_reader_exactly(reader, buf, 3), 3);
        check_pattern(buf, 3, 0);
        CHECK_OK(eddy_reader_peek(reader, 50, &slice));
        CHECK_EQ(eddy_reader_exactly(reader, buf, 2997), 2997);
        check_pattern(buf, 2997, 3);
        CHECK_EQ(eddy_reader_count(reader), 3000);
        CHECK_ERR(eddy_reader_exactly(reader, buf, 2001), EDDY_EEND);
        check_pattern(buf, 2000, 3000);
        CHECK_EQ(eddy_reader_count(reader), 5000);
        CHECK_EQ(eddy_reader_exactly(reader, buf, 1), 0); /* a clean end */
        done(reader, odd);
    }
}

LOOP_TEST(all_appends_everything_up_to_the_limit) {
    enum { LEN = 100 * 1000 };
    char *text = malloc(LEN);
    fill_pattern(text, LEN, 0);
    for (size_t chunk = 1; chunk < LEN; chunk = chunk * 7 + 2) {
        eddy_reader *reader;
        eddy_slice slice;
        EDDY_AUTO(eddy_buffer) out = {0};
        struct odd *odd = odd_reader(text, LEN, chunk, 0, &reader);
        CHECK_OK(eddy_reader_peek(reader, 10, &slice));
        CHECK_ERR(eddy_reader_all(reader, 0, &out), EDDY_ELIMIT);
        CHECK_EQ(out.len, 0);
        CHECK_ERR(eddy_reader_all(reader, 1000, &out), EDDY_ELIMIT);
        CHECK_EQ(out.len, 1000);
        CHECK_EQ(eddy_reader_count(reader), 1000);
        CHECK_EQ(eddy_reader_all(reader, LEN - 1000, &out), LEN - 1000); /* just the limit */
        CHECK_EQ(out.len, LEN);
        check_pattern(out.data, LEN, 0);
        CHECK_EQ(eddy_reader_all(reader, SIZE_MAX, &out), 0);
        done(reader, odd);
    }
    free(text);
}

/* ---- errors ---------------------------------------------------------------------------------- */

LOOP_TEST(an_error_loses_nothing_that_came_before) {
    static const char text[] = "0123456789\nabcdef\n";
    for (size_t at = 0; at < sizeof text - 1; at++) {
        eddy_reader *reader;
        eddy_slice slice;
        char buf[32];
        EDDY_AUTO(eddy_buffer) out = {0};
        for (int call = 0; call < 5; call++) {
            struct odd *odd = odd_reader(text, sizeof text - 1, 4, 8, &reader);
            odd->read_error = -ECONNRESET;
            odd->read_error_at = at;
            int64_t r = 0;
            out.len = 0;
            switch (call) {
            case 0:
                r = eddy_reader_line(reader, 100, &slice);
                r = r == 1 ? eddy_reader_line(reader, 100, &slice) : r;
                break;
            case 1:
                r = eddy_reader_until(reader, eddy_slice_of("f\n"), 100, &slice);
                break;
            case 2:
                r = eddy_reader_peek(reader, 18, &slice);
                break;
            case 3:
                r = eddy_reader_exactly(reader, buf, 18);
                CHECK_EQ(eddy_reader_count(reader), at);
                CHECK_BYTES(buf, at, text, at);
                break;
            default:
                r = eddy_reader_all(reader, 100, &out);
                CHECK_BYTES(out.data, out.len, text, at);
                break;
            }
            CHECK_ERR(r, -ECONNRESET);
            if (call < 3) {
                size_t taken = (size_t)eddy_reader_count(reader);
                CHECK_EQ(eddy_reader_peek(reader, 18 - taken, &slice), 18 - taken);
                CHECK_BYTES(slice.data, slice.len, text + taken, 18 - taken);
            }
            done(reader, odd);
        }
    }
}

struct waiting {
    eddy_reader *reader;
    bool began;
    int64_t result;
    eddy_slice slice;
};

static int64_t wait_for_line(void *arg) {
    struct waiting *waiting = arg;
    waiting->began = true;
    waiting->result = eddy_reader_line(waiting->reader, 100, &waiting->slice);
    return 0;
}

LOOP_TEST(a_cancelled_line_is_still_there) {
    eddy_stream *a;
    eddy_stream *b;
    eddy_reader *reader;
    eddy_slice line;
    socket_pair(&a, &b);
    CHECK_OK(eddy_reader_new(b, NULL, &reader));
    CHECK_OK(eddy_stream_write(a, "begin", 5));
    for (int i = 0; i < 3; i++) {
        struct waiting waiting = {.reader = reader};
        eddy_scope scope;
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        CHECK_OK(eddy_spawn(wait_for_line, &waiting, 0));
        while (eddy_reader_buffered(reader) < 5) {
            CHECK_OK(eddy_yield());
        }
        CHECK_OK(eddy_scope_cancel(&scope));
        CHECK_ERR(eddy_reader_line(reader, 100, &line), -ECANCELED);
        eddy_scope_leave(&scope, 0);
        CHECK_ERR(waiting.result, -ECANCELED);
    }
    CHECK_OK(eddy_stream_write(a, " end\n", 5));
    CHECK_EQ(eddy_reader_line(reader, 100, &line), 1);
    CHECK_SLICE(line, "begin end");
    eddy_reader_free(reader);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

struct busy_line {
    eddy_reader *reader;
    int lines;
    int64_t result;
};

static int64_t read_lines(void *arg) {
    struct busy_line *busy = arg;
    eddy_slice line;
    do {
        eddyi_loop_exhaust(eddyi_loop_here); /* each call yields before it takes a line */
        busy->result = eddy_reader_line(busy->reader, 10, &line);
        busy->lines += busy->result == 1;
    } while (busy->result == 1);
    return 0;
}

LOOP_TEST(a_close_waits_for_a_task_that_reads_from_the_buffer) {
    eddy_stream *a;
    eddy_stream *b;
    eddy_slice slice;
    struct busy_line busy = {0};
    CHECK_OK(eddy_memory_pair(600, &a, &b));
    CHECK_OK(eddy_reader_new(b, NULL, &busy.reader));
    char text[500];
    memset(text, '\n', sizeof text);
    CHECK_OK(eddy_stream_write(a, text, sizeof text));
    CHECK_EQ(eddy_reader_peek(busy.reader, sizeof text, &slice), sizeof text);
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(read_lines, &busy, 0));
    while (busy.lines < 5) {
        CHECK_OK(eddy_yield());
    }
    CHECK_OK(eddy_stream_close(b));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_ERR(busy.result, EDDY_ECLOSED);
    CHECK(busy.lines < 500);
    eddy_reader_free(busy.reader);
    CHECK_OK(eddy_stream_close(a));
}

LOOP_TEST(a_second_task_is_busy) {
    eddy_stream *a;
    eddy_stream *b;
    eddy_slice slice;
    char buf[4];
    eddy_buffer out = {0};
    socket_pair(&a, &b);
    struct waiting waiting = {0};
    CHECK_OK(eddy_reader_new(b, NULL, &waiting.reader));
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(wait_for_line, &waiting, 0));
    wait_until(&waiting.began);
    CHECK_ERR(eddy_reader_line(waiting.reader, 1, &slice), -EBUSY);
    CHECK_ERR(eddy_reader_peek(waiting.reader, 1, &slice), -EBUSY);
    CHECK_ERR(eddy_reader_until(waiting.reader, eddy_slice_of("x"), 1, &slice), -EBUSY);
    CHECK_ERR(eddy_reader_read(waiting.reader, buf, 1), -EBUSY);
    CHECK_ERR(eddy_reader_exactly(waiting.reader, buf, 1), -EBUSY);
    CHECK_ERR(eddy_reader_all(waiting.reader, 1, &out), -EBUSY);
    CHECK_ERR(eddy_stream_read(b, buf, 1), -EBUSY);
    CHECK_OK(eddy_stream_close(b)); /* ends the wait */
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_ERR(waiting.result, EDDY_ECLOSED);
    eddy_reader_free(waiting.reader); /* after its stream */
    CHECK_OK(eddy_stream_close(a));
}

LOOP_TEST(options_out_of_range_are_refused) {
    eddy_reader *reader;
    struct odd *odd = odd_new(&odd_class, "", 0);
    CHECK_ERR(eddy_reader_new(NULL, NULL, &reader), -EINVAL);
    CHECK_ERR(eddy_reader_new(&odd->base, &(eddy_reader_opts){.size = 4096}, &reader), -EINVAL);
    CHECK_ERR(
        eddy_reader_new(&odd->base, &(eddy_reader_opts){.buffer_size_bytes = SIZE_MAX}, &reader),
        -EINVAL);
    CHECK_OK(eddy_stream_close(&odd->base));
    CHECK(eddy_reader_free(NULL) == NULL);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

LOOP_TEST(a_reader_that_waits_holds_no_block) {
    enum { READERS = 20, LEN = 5000 };
    eddy_stream *a[READERS];
    eddy_stream *b[READERS];
    struct waiting waiting[READERS] = {{0}};
    char text[LEN];
    eddy_scope scope;
    memset(text, 'x', sizeof text);
    text[LEN - 1] = '\n';
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    for (int i = 0; i < READERS; i++) {
        eddy_slice line;
        socket_pair(&a[i], &b[i]);
        CHECK_OK(eddy_reader_new(b[i], NULL, &waiting[i].reader));
        CHECK_OK(eddy_stream_write(a[i], text, LEN)); /* more than fits the reader itself */
        CHECK_EQ(eddy_reader_line(waiting[i].reader, LEN, &line), 1);
        CHECK_EQ(line.len, LEN - 1);
        CHECK_OK(eddy_spawn(wait_for_line, &waiting[i], 0));
        wait_until(&waiting[i].began);
        CHECK(eddyi_loop_here->pool.count == 1); /* the same one has served them all */
    }
    for (int i = 0; i < READERS; i++) {
        CHECK_OK(eddy_stream_write(a[i], "hello\n", 6));
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    for (int i = 0; i < READERS; i++) {
        CHECK_SLICE(waiting[i].slice, "hello");
        eddy_reader_free(waiting[i].reader);
        CHECK_OK(eddy_stream_close(a[i]));
        CHECK_OK(eddy_stream_close(b[i]));
    }
    CHECK_EQ(eddyi_loop_here->pool.count, 1);
}

LOOP_TEST(a_small_request_costs_one_read_and_no_block) {
    eddy_reader *reader;
    eddy_slice line;
    struct odd *odd = odd_reader("GET / HTTP/1.1\nGET / HTTP/1.1\n", 30, 15, 0, &reader);
    int64_t blocks = eddy_memory_blocks();
    CHECK_EQ(eddy_reader_line(reader, 8192, &line), 1);
    CHECK_EQ(odd->reads, 1);
    CHECK_EQ(eddy_reader_line(reader, 8192, &line), 1);
    CHECK_EQ(odd->reads, 2);
    CHECK_EQ(eddy_memory_blocks(), blocks);
    done(reader, odd);
}

/* Once much comes, each read takes a whole buffer; without it waiting in one. */
LOOP_TEST(a_stream_that_brings_much_is_read_in_whole_buffers) {
    enum { LEN = 1024 * 1024 };
    char *text = malloc(LEN);
    memset(text, '\n', LEN);
    eddy_reader *reader;
    eddy_slice line;
    struct odd *odd = odd_reader(text, LEN, 0, 0, &reader);
    for (size_t i = 0; i < LEN; i++) {
        CHECK_EQ(eddy_reader_line(reader, 10, &line), 1);
    }
    CHECK_EQ(eddy_reader_line(reader, 10, &line), 0);
    CHECK((size_t)odd->reads < LEN / EDDYI_POOL_BLOCK_BYTES + 10);
    done(reader, odd);
    odd = odd_reader(text, LEN, 0, 0, &reader);
    odd->try_again = true; /* nothing is ever there without waiting */
    for (size_t i = 0; i < 2000; i++) {
        CHECK_EQ(eddy_reader_line(reader, 10, &line), 1);
        CHECK(eddy_reader_buffered(reader) < 512);
    }
    done(reader, odd);
    free(text);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Reads three long lines over a stream of class `arg` and goes on after -ENOMEM: the bytes must be
 * whole whatever failed. */
static int64_t read_long_lines(void *arg) {
    char text[3 * 3000];
    for (size_t i = 0; i < 3; i++) {
        memset(text + i * 3000, 'a' + (int)i, 3000);
        text[i * 3000 + 2999] = '\n';
    }
    struct odd *odd = odd_new(arg, text, sizeof text);
    if (odd == NULL) {
        return -ENOMEM;
    }
    odd->read_chunk = 700;
    eddy_reader *reader;
    int64_t r = eddy_reader_new(&odd->base, NULL, &reader);
    if (r < 0) {
        eddy_stream_close(&odd->base);
        return r;
    }
    for (size_t i = 0; i < 3; i++) {
        eddy_slice line;
        int64_t n = eddy_reader_line(reader, 4000, &line);
        if (n == -ENOMEM) {
            n = eddy_reader_line(reader, 4000, &line); /* it was the one that fails, or all do */
        }
        if (n == -ENOMEM) {
            CHECK_OK(eddy_reader_peek(reader, 1, &line));
            CHECK_BYTES(line.data, line.len, text + i * 3000, line.len);
            CHECK_EQ(eddy_reader_count(reader), i * 3000);
            r = n;
            break;
        }
        CHECK_EQ(n, 1);
        CHECK_BYTES(line.data, line.len, text + i * 3000, 2999);
    }
    eddy_reader_free(reader);
    eddy_stream_close(&odd->base);
    eddyi_pool_done(eddyi_loop_here); /* or the next run finds its block there */
    return r;
}

LOOP_TEST(every_allocation_may_fail_and_no_byte_is_lost) {
    const struct eddyi_stream_class *classes[] = {&odd_class, &plain_odd_class};
    for (size_t i = 0; i < 2; i++) {
        CHECK(test_each_allocation_fails(read_long_lines, (void *)(uintptr_t)classes[i]) >= 6);
    }
}

/* ---- model ----------------------------------------------------------------------------------- */

/* Random calls against the plain bytes. */
LOOP_TEST(any_order_of_calls_gives_the_bytes_in_order) {
    enum { LEN = 60 * 1000 };
    char *text = malloc(LEN);
    char *buf = malloc(LEN);
    int rounds = test_is_slow() ? 20 : 100;
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < LEN; i++) {
            text[i] = "abcdefgh\r\n"[test_random_below(10)];
        }
        eddy_reader *reader;
        struct odd *odd = odd_reader(text, LEN, 1 + test_random_below(3000),
                                     1 + test_random_below(2000), &reader);
        odd->try_again = test_random_below(2) == 0;
        size_t at = 0;
        while (at < LEN) {
            eddy_slice slice;
            size_t len = 1 + test_random_below(1500);
            size_t left = LEN - at;
            int64_t n;
            if (test_random_below(3) == 0) {
                odd->read_chunk = 1 + test_random_below(3000);
            }
            switch (test_random_below(6)) {
            case 0:
                n = eddy_reader_read(reader, buf, len);
                CHECK(n >= 1 && (size_t)n <= len);
                CHECK_BYTES(buf, (size_t)n, text + at, (size_t)n);
                at += (size_t)n;
                break;
            case 1:
                n = eddy_reader_exactly(reader, buf, len);
                CHECK_EQ(n, len <= left ? (int64_t)len : EDDY_EEND);
                len = len < left ? len : left;
                CHECK_BYTES(buf, len, text + at, len);
                at += len;
                break;
            case 2: {
                n = eddy_reader_line(reader, len, &slice);
                const char *end = memchr(text + at, '\n', left);
                size_t raw = end == NULL ? left : (size_t)(end - text) - at;
                size_t line = raw > 0 && end != NULL && end[-1] == '\r' ? raw - 1 : raw;
                if (end == NULL) {
                    CHECK(n == EDDY_EEND || (n == EDDY_ELIMIT && raw > len));
                } else if (line > len) {
                    CHECK_ERR(n, EDDY_ELIMIT);
                } else {
                    CHECK_EQ(n, 1);
                    CHECK_BYTES(slice.data, slice.len, text + at, line);
                    at += raw + 1;
                }
                break;
            }
            case 3: {
                eddy_slice delimiter = eddy_slice_from("a\nb", 1 + test_random_below(3));
                len = len < delimiter.len ? delimiter.len : len;
                n = eddy_reader_until(reader, delimiter, len, &slice);
                const char *found = memmem(text + at, left, delimiter.data, delimiter.len);
                size_t with = found == NULL ? left : (size_t)(found - text) - at + delimiter.len;
                if (found != NULL && with <= len) {
                    CHECK_EQ(n, 1);
                    CHECK_BYTES(slice.data, slice.len, text + at, with);
                    at += with;
                } else {
                    CHECK_ERR(n, left < len ? EDDY_EEND : EDDY_ELIMIT);
                }
                break;
            }
            case 4:
                n = eddy_reader_peek(reader, len, &slice);
                if (len > left) {
                    CHECK_ERR(n, EDDY_EEND);
                } else {
                    CHECK_EQ(n, slice.len);
                    CHECK((size_t)n >= len);
                    CHECK_BYTES(slice.data, slice.len, text + at, slice.len);
                }
                break;
            default:
                n = (int64_t)eddy_reader_buffered(reader);
                n = (int64_t)test_random_below((uint64_t)n + 1);
                eddy_reader_consume(reader, (size_t)n);
                at += (size_t)n;
                break;
            }
            CHECK_EQ(eddy_reader_count(reader), at);
            CHECK_EQ(odd->at - eddy_reader_buffered(reader), at);
        }
        done(reader, odd);
    }
    free(text);
    free(buf);
}

/* ---- fairness -------------------------------------------------------------------------------- */

static int64_t set_flag(void *arg) {
    *(bool *)arg = true;
    return 0;
}

LOOP_TEST(calls_that_are_served_from_the_buffer_are_charged_all_the_same) {
    enum { LEN = 32 * EDDYI_LOOP_TURN_CALLS }; /* the simulation may let this task go first often */
    static char text[LEN];
    memset(text, '\n', sizeof text);
    eddy_reader *reader;
    eddy_slice line;
    struct odd *odd = odd_reader(text, LEN, 0, LEN, &reader);
    CHECK_OK(eddy_reader_peek(reader, LEN, &line));
    bool ran = false;
    int calls = 0;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(set_flag, &ran, 0));
    while (!ran && eddy_reader_line(reader, 0, &line) == 1) {
        calls++;
    }
    CHECK(ran);
    CHECK(strcmp(test_driver(), "sim") == 0 || calls <= EDDYI_LOOP_TURN_CALLS + 1);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    done(reader, odd);
}
