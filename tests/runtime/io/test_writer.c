/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/io/writer.h>

#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

#include <eddy/runtime/io/memory.h>

#include "runtime/io/io.h"

static struct odd *odd_writer(const struct eddyi_stream_class *class, size_t size,
                              eddy_writer **ret_writer) {
    struct odd *odd = odd_new(class, "", 0);
    CHECK_OK(
        eddy_writer_new(&odd->base, &(eddy_writer_opts){.buffer_size_bytes = size}, ret_writer));
    return odd;
}

static void end_writer(eddy_writer *writer, size_t lost) {
    CHECK_EQ(eddy_writer_buffered(writer), lost);
    CHECK_PTR_EQ(eddy_writer_free(writer), NULL);
}

#define CHECK_WRITTEN(odd, text) \
    CHECK_BYTES((odd)->written.data, (odd)->written.len, text, strlen(text))

/* ---- buffering ------------------------------------------------------------------------------- */

LOOP_TEST(small_writes_become_one) {
    eddy_writer *writer;
    struct odd *odd = odd_writer(&odd_class, 0, &writer);
    CHECK_OK(eddy_writer_write(writer, "ab", 2));
    CHECK_OK(eddy_writer_write(writer, NULL, 0));
    CHECK_OK(eddy_writer_write_slice(writer, eddy_slice_of("cd")));
    CHECK_OK(eddy_writer_printf(writer, "%d-%s", 42, "ef"));
    CHECK_EQ(odd->writes, 0);
    CHECK_EQ(eddy_writer_buffered(writer), 9);
    CHECK_EQ(eddy_writer_count(writer), 9);
    CHECK_OK(eddy_writer_flush(writer));
    CHECK_EQ(odd->writes, 1);
    CHECK_WRITTEN(odd, "abcd42-ef");
    CHECK_EQ(eddy_writer_buffered(writer), 0);
    CHECK_OK(eddy_writer_flush(writer)); /* nothing to do */
    CHECK_EQ(odd->writes, 1);
    end_writer(writer, 0);
    CHECK_OK(eddy_stream_close(&odd->base));
}

LOOP_TEST(what_was_not_flushed_is_known_until_the_writer_is_freed) {
    eddy_writer *writer;
    struct odd *odd = odd_writer(&odd_class, 0, &writer);
    CHECK_OK(eddy_writer_write(writer, "lost", 4));
    end_writer(writer, 4);
    CHECK_EQ(odd->written.len, 0);
    CHECK_OK(eddy_stream_close(&odd->base));
    CHECK_PTR_EQ(eddy_writer_free(NULL), NULL);
}

LOOP_TEST(a_large_write_goes_out_with_what_is_buffered_in_one_call) {
    enum { LEN = 100 * 1000 };
    char *bytes = malloc(LEN);
    fill_pattern(bytes, LEN, 0);
    eddy_writer *writer;
    struct odd *odd = odd_writer(&odd_class, 0, &writer);
    int64_t blocks = eddy_memory_blocks();
    CHECK_OK(eddy_writer_write(writer, bytes, 300));
    CHECK_EQ(odd->writes, 0);
    CHECK_OK(eddy_writer_write(writer, bytes + 300, LEN - 300));
    CHECK_EQ(odd->writes, 1);
    CHECK_EQ(odd->written.len, LEN);
    check_pattern(odd->written.data, LEN, 0);
    CHECK_EQ(eddy_writer_buffered(writer), 0);
    CHECK(eddy_memory_blocks() <= blocks + 2); /* the pool's, and the test's own */
    end_writer(writer, 0);
    CHECK_OK(eddy_stream_close(&odd->base));
    free(bytes);
}

LOOP_TEST(without_gathering_little_is_copied_to_the_next_buffer) {
    eddy_writer *writer;
    struct odd *odd = odd_writer(&plain_odd_class, 8, &writer);
    CHECK_OK(eddy_writer_write(writer, "123456", 6));
    CHECK_OK(eddy_writer_write(writer, "789", 3));
    CHECK_EQ(odd->writes, 1);
    CHECK_WRITTEN(odd, "123456");
    CHECK_EQ(eddy_writer_buffered(writer), 3);
    CHECK_OK(eddy_writer_write(writer, "abcdefgh", 8)); /* as much as the buffer: not copied */
    CHECK_WRITTEN(odd, "123456789abcdefgh");
    CHECK_EQ(eddy_writer_buffered(writer), 0);
    end_writer(writer, 0);
    CHECK_OK(eddy_stream_close(&odd->base));
}

/* ---- text ------------------------------------------------------------------------------------ */

LOOP_TEST(text_of_any_length_is_printed) {
    const struct eddyi_stream_class *classes[] = {&odd_class, &plain_odd_class};
    for (size_t i = 0; i < 2; i++) {
        for (int before = 0; before <= 16; before++) {
            for (int len = 0; len <= 40; len++) {
                eddy_writer *writer;
                struct odd *odd = odd_writer(classes[i], 16, &writer);
                char wanted[80];
                CHECK_OK(eddy_writer_write(writer, "0123456789abcdef", (size_t)before));
                CHECK_OK(eddy_writer_printf(writer, "%*s", len, ""));
                CHECK_OK(eddy_writer_printf(writer, "%s", ""));
                CHECK_EQ(eddy_writer_count(writer), before + len);
                CHECK_OK(eddy_writer_flush(writer));
                snprintf(wanted, sizeof wanted, "%.*s%*s", before, "0123456789abcdef", len, "");
                CHECK_WRITTEN(odd, wanted);
                end_writer(writer, 0);
                CHECK_OK(eddy_stream_close(&odd->base));
            }
        }
    }
}

LOOP_TEST(a_broken_format_takes_nothing) {
    eddy_writer *writer;
    struct odd *odd = odd_writer(&odd_class, 0, &writer);
    int64_t blocks = eddy_memory_blocks();
    wint_t no_character = 0x7fffffff;
    CHECK_ERR(eddy_writer_printf(writer, "%lc", no_character), -EINVAL);
    CHECK_EQ(eddy_writer_count(writer), 0);
    CHECK_OK(eddy_writer_printf(writer, "%s", ""));
    CHECK(eddy_memory_blocks() <= blocks + 1);
    CHECK_EQ(eddyi_loop_here->pool.count, 1); /* and holds no block */
    end_writer(writer, 0);
    CHECK_OK(eddy_stream_close(&odd->base));
}

/* ---- errors ---------------------------------------------------------------------------------- */

LOOP_TEST(after_an_error_the_next_flush_goes_on_behind_what_went_out) {
    const struct eddyi_stream_class *classes[] = {&odd_class, &plain_odd_class};
    static const char text[] = "0123456789abcdefghij";
    for (size_t i = 0; i < 2; i++) {
        for (size_t at = 0; at < 20; at++) {
            for (size_t chunk = 0; chunk < 4; chunk++) {
                eddy_writer *writer;
                struct odd *odd = odd_writer(classes[i], 64, &writer);
                odd->write_chunk = chunk;
                odd->write_error = -EIO;
                odd->write_error_at = at;
                CHECK_OK(eddy_writer_write(writer, text, 10));
                CHECK_OK(eddy_writer_write(writer, text + 10, 10));
                CHECK_ERR(eddy_writer_flush(writer), -EIO);
                CHECK_EQ(eddy_writer_buffered(writer), 20 - at);
                CHECK_OK(eddy_writer_flush(writer));
                CHECK_WRITTEN(odd, text);
                end_writer(writer, 0);
                CHECK_OK(eddy_stream_close(&odd->base));
            }
        }
    }
}

/* The count tells how much of a failed write was taken; the caller goes on just there. */
LOOP_TEST(after_an_error_in_a_large_write_the_count_is_true) {
    const struct eddyi_stream_class *classes[] = {&odd_class, &plain_odd_class};
    static const char text[] = "0123456789abcdefghij";
    for (size_t i = 0; i < 2; i++) {
        for (size_t at = 0; at < 20; at++) {
            eddy_writer *writer;
            struct odd *odd = odd_writer(classes[i], 8, &writer);
            odd->write_error = -EIO;
            odd->write_error_at = at;
            CHECK_OK(eddy_writer_write(writer, text, 5));
            CHECK_ERR(eddy_writer_write(writer, text + 5, 15), -EIO);
            size_t taken = (size_t)eddy_writer_count(writer);
            CHECK_EQ(taken - eddy_writer_buffered(writer), at);
            CHECK(taken >= 5);
            CHECK_OK(eddy_writer_write(writer, text + taken, 20 - taken));
            CHECK_OK(eddy_writer_flush(writer));
            CHECK_WRITTEN(odd, text);
            end_writer(writer, 0);
            CHECK_OK(eddy_stream_close(&odd->base));
        }
    }
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct producer {
    eddy_writer *writer;
    size_t lines;
    bool began;
    int64_t result;
};

static int64_t produce(void *arg) {
    struct producer *producer = arg;
    producer->began = true;
    int r = 0;
    for (size_t i = 0; i < producer->lines && r == 0; i++) {
        r = eddy_writer_printf(producer->writer, "line %06zu\n", i);
    }
    producer->result = r == 0 ? eddy_writer_flush(producer->writer) : r;
    return 0;
}

LOOP_TEST(a_full_buffer_waits_for_the_reader) {
    eddy_stream *a;
    eddy_stream *b;
    char line[13];
    CHECK_OK(eddy_memory_pair(100, &a, &b));
    struct producer producer = {.lines = 10000};
    CHECK_OK(eddy_writer_new(a, NULL, &producer.writer));
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(produce, &producer, 0));
    wait_until(&producer.began);
    /* What the pair holds, what the buffer holds, and the text that did not fit. */
    CHECK(eddy_writer_count(producer.writer) <= 100 + EDDYI_POOL_BLOCK_BYTES + 12);
    for (size_t i = 0; i < producer.lines; i++) {
        char wanted[40];
        CHECK_OK(eddy_stream_read_exact(b, line, 12));
        snprintf(wanted, sizeof wanted, "line %06zu\n", i);
        CHECK_BYTES(line, 12, wanted, 12);
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_OK(producer.result);
    end_writer(producer.writer, 0);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

LOOP_TEST(a_cancelled_flush_can_be_repeated) {
    eddy_stream *a;
    eddy_stream *b;
    char got[1200];
    CHECK_OK(eddy_memory_pair(100, &a, &b));
    struct producer producer = {.lines = 100};
    CHECK_OK(eddy_writer_new(a, NULL, &producer.writer));
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(produce, &producer, 0));
    wait_until(&producer.began);
    CHECK_ERR(eddy_writer_write(producer.writer, "x", 1), -EBUSY);
    CHECK_ERR(eddy_writer_printf(producer.writer, "x"), -EBUSY);
    CHECK_ERR(eddy_writer_flush(producer.writer), -EBUSY);
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_ERR(eddy_writer_write(producer.writer, "x", 1), -ECANCELED);
    CHECK_ERR(eddy_writer_flush(producer.writer), -ECANCELED);
    eddy_scope_leave(&scope, 0);
    CHECK_ERR(producer.result, -ECANCELED);
    CHECK_EQ(eddy_writer_count(producer.writer), 1200);
    CHECK_EQ(eddy_writer_buffered(producer.writer), 1100);
    /* Nothing is doubled and nothing is missing. */
    producer.lines = 0;
    producer.began = false;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(produce, &producer, 0));
    CHECK_OK(eddy_stream_read_exact(b, got, sizeof got));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_OK(producer.result);
    for (size_t i = 0; i < 100; i++) {
        char wanted[40];
        snprintf(wanted, sizeof wanted, "line %06zu\n", i);
        CHECK_BYTES(got + i * 12, 12, wanted, 12);
    }
    end_writer(producer.writer, 0);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
}

LOOP_TEST(a_stream_that_is_closed_under_a_flush_ends_it) {
    eddy_stream *a;
    eddy_stream *b;
    socket_pair(&a, &b);
    struct producer producer = {.lines = 1000 * 1000};
    CHECK_OK(eddy_writer_new(a, NULL, &producer.writer));
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(produce, &producer, 0));
    wait_until(&producer.began);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_ERR(producer.result, EDDY_ECLOSED);
    CHECK(eddy_writer_buffered(producer.writer) > 0); /* after its stream */
    eddy_writer_free(producer.writer);
    CHECK_OK(eddy_stream_close(b));
}

/* ---- options, memory, fairness --------------------------------------------------------------- */

LOOP_TEST(options_out_of_range_are_refused) {
    eddy_writer *writer;
    struct odd *odd = odd_new(&odd_class, "", 0);
    CHECK_ERR(eddy_writer_new(NULL, NULL, &writer), -EINVAL);
    CHECK_ERR(eddy_writer_new(&odd->base, &(eddy_writer_opts){.size = 4096}, &writer), -EINVAL);
    CHECK_ERR(
        eddy_writer_new(&odd->base, &(eddy_writer_opts){.buffer_size_bytes = SIZE_MAX}, &writer),
        -EINVAL);
    CHECK_OK(eddy_stream_close(&odd->base));
}

static int64_t write_and_print(void *arg) {
    (void)arg;
    struct odd *odd = odd_new(&odd_class, "", 0);
    eddy_writer *writer;
    if (odd == NULL) {
        return -ENOMEM;
    }
    int64_t r = eddy_writer_new(&odd->base, &(eddy_writer_opts){.buffer_size_bytes = 32}, &writer);
    if (r == 0) {
        uint64_t count = 0;
        r = eddy_writer_write(writer, "abc", 3);
        count += r == 0 ? 3 : 0;
        if (r == 0) {
            r = eddy_writer_printf(writer, "%100s", ""); /* in memory of its own */
            count += r == 0 ? 100 : 0;
        }
        CHECK(r < 0 || eddy_writer_count(writer) == count);
        r = r < 0 ? r : eddy_writer_flush(writer);
        eddy_writer_free(writer);
    }
    eddy_stream_close(&odd->base);
    return r;
}

LOOP_TEST(every_allocation_may_fail) {
    CHECK(test_each_allocation_fails(write_and_print, NULL) >= 8);
}

LOOP_TEST(a_writer_with_nothing_buffered_holds_no_block) {
    enum { WRITERS = 10 };
    struct odd *odd[WRITERS];
    eddy_writer *writer[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        odd[i] = odd_writer(&odd_class, 0, &writer[i]);
        CHECK_OK(eddy_writer_write(writer[i], "x", 1));
        CHECK_OK(eddy_writer_flush(writer[i]));
        CHECK_EQ(eddyi_loop_here->pool.count, 1); /* the same one has served them all */
    }
    for (int i = 0; i < WRITERS; i++) {
        end_writer(writer[i], 0);
        CHECK_OK(eddy_stream_close(&odd[i]->base));
    }
}

static int64_t set_flag(void *arg) {
    *(bool *)arg = true;
    return 0;
}

LOOP_TEST(calls_that_only_buffer_are_charged_all_the_same) {
    eddy_writer *writer;
    struct odd *odd = odd_writer(&odd_class, 1000 * 1000, &writer);
    bool ran = false;
    int calls = 0;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(set_flag, &ran, 0));
    while (!ran) {
        CHECK_OK(eddy_writer_write(writer, "x", 1));
        calls++;
    }
    CHECK(strcmp(test_driver(), "sim") == 0 || calls <= EDDYI_LOOP_TURN_CALLS + 1);
    CHECK_OK(eddy_scope_leave(&scope, 0));
    eddy_writer_free(writer);
    CHECK_OK(eddy_stream_close(&odd->base));
}
