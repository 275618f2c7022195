/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/io/copy.h>

#include <stdio.h>
#include <stdlib.h>

#include <eddy/runtime/io/memory.h>

#include "runtime/io/io.h"

enum { LEN = 300 * 1000 };

static struct odd *pattern_source(const struct eddyi_stream_class *class, size_t len,
                                  size_t chunk) {
    static char *bytes;
    if (bytes == NULL) {
        static char room[LEN];
        bytes = room;
        fill_pattern(bytes, LEN, 0);
    }
    struct odd *odd = odd_new(class, bytes, len);
    odd->read_chunk = chunk;
    return odd;
}

static void close_both(struct odd *a, struct odd *b) {
    CHECK_OK(eddy_stream_close(&a->base));
    CHECK_OK(eddy_stream_close(&b->base));
}

/* ---- through a buffer ------------------------------------------------------------------------ */

LOOP_TEST(everything_is_copied_whatever_the_chunks) {
    for (size_t read_chunk = 0; read_chunk < LEN; read_chunk = read_chunk * 9 + 700) {
        for (size_t write_chunk = 0; write_chunk < LEN; write_chunk = write_chunk * 9 + 900) {
            struct odd *src = pattern_source(&odd_class, LEN, read_chunk);
            struct odd *dst = odd_new(&plain_odd_class, "", 0);
            dst->write_chunk = write_chunk;
            CHECK_EQ(eddy_stream_copy(&dst->base, &src->base, EDDY_COPY_ALL), 0);
            CHECK_EQ(dst->written.len, LEN);
            check_pattern(dst->written.data, LEN, 0);
            CHECK_EQ(eddy_stream_count_read(&src->base), LEN);
            CHECK_EQ(eddy_stream_count_written(&dst->base), LEN);
            CHECK_EQ(eddy_stream_copy(&dst->base, &src->base, EDDY_COPY_ALL), 0); /* of nothing */
            close_both(src, dst);
        }
    }
}

LOOP_TEST(a_length_is_kept_to_the_byte) {
    static const int64_t lens[] = {0, 1, 16384, 16385, 65536, 65537, LEN};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        struct odd *src = pattern_source(&odd_class, LEN, 0);
        struct odd *dst = odd_new(&odd_class, "", 0);
        CHECK_EQ(eddy_stream_copy(&dst->base, &src->base, lens[i]), 0);
        CHECK_EQ(dst->written.len, lens[i]);
        CHECK_EQ(src->at, lens[i]); /* no byte more was taken */
        CHECK_EQ(eddy_stream_copy(&dst->base, &src->base, LEN - lens[i]), 0);
        check_pattern(dst->written.data, dst->written.len, 0);
        close_both(src, dst);
    }
}

LOOP_TEST(a_source_that_ends_early_is_an_error) {
    struct odd *src = pattern_source(&odd_class, 1000, 0);
    struct odd *dst = odd_new(&odd_class, "", 0);
    CHECK_ERR(eddy_stream_copy(&dst->base, &src->base, 1001), EDDY_EEND);
    CHECK_EQ(eddy_stream_count_written(&dst->base), 1000);
    CHECK_ERR(eddy_stream_copy(&dst->base, &src->base, -2), -EINVAL);
    close_both(src, dst);
}

LOOP_TEST(errors_of_both_ends_come_out_with_the_counts) {
    struct odd *src = pattern_source(&odd_class, LEN, 0);
    struct odd *dst = odd_new(&odd_class, "", 0);
    src->read_error = -ECONNRESET;
    src->read_error_at = 100 * 1000;
    CHECK_ERR(eddy_stream_copy(&dst->base, &src->base, EDDY_COPY_ALL), -ECONNRESET);
    CHECK_EQ(eddy_stream_count_written(&dst->base), 100 * 1000);
    close_both(src, dst);
    src = pattern_source(&odd_class, LEN, 0);
    dst = odd_new(&odd_class, "", 0);
    dst->write_error = -ENOSPC;
    dst->write_error_at = 70 * 1000;
    CHECK_ERR(eddy_stream_copy(&dst->base, &src->base, EDDY_COPY_ALL), -ENOSPC);
    CHECK_EQ(eddy_stream_count_written(&dst->base), 70 * 1000);
    CHECK_EQ(eddy_stream_count_read(&src->base), 2 * 65536); /* the rest of it is lost */
    close_both(src, dst);
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct copying {
    eddy_stream *dst;
    eddy_stream *src;
    bool began;
    int64_t result;
};

static int64_t copy_all(void *arg) {
    struct copying *copying = arg;
    copying->began = true;
    copying->result = eddy_stream_copy(copying->dst, copying->src, EDDY_COPY_ALL);
    return 0;
}

/* What is sent to `a` comes back from it. */
LOOP_TEST(a_stream_copied_to_itself_is_an_echo) {
    eddy_stream *a;
    eddy_stream *b;
    char *bytes = malloc(LEN);
    char *got = malloc(LEN);
    fill_pattern(bytes, LEN, 0);
    socket_pair(&a, &b);
    struct copying copying = {.dst = b, .src = b};
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(copy_all, &copying, 0));
    size_t at = 0;
    for (size_t sent = 0; sent < LEN; sent += 30 * 1000) {
        CHECK_OK(eddy_stream_write(a, bytes + sent, 30 * 1000));
        CHECK_OK(eddy_stream_read_exact(a, got + at, 30 * 1000));
        at += 30 * 1000;
    }
    CHECK_OK(eddy_stream_shutdown(a));
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_OK(copying.result);
    check_pattern(got, LEN, 0);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
    free(bytes);
    free(got);
}

static void close_ends(void) {
    for (int i = 0; i < 4; i++) {
        eddy_stream *a[2];
        eddy_stream *b[2];
        socket_pair(&a[0], &a[1]);
        socket_pair(&b[0], &b[1]);
        struct copying copying = {.dst = b[0], .src = a[1]};
        char byte;
        eddy_scope scope;
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        CHECK_OK(eddy_spawn(copy_all, &copying, 0));
        wait_until(&copying.began);
        if (i >= 2) { /* it waits for the writer then */
            char bytes[4096] = "";
            int64_t n;
            do {
                n = eddy_stream_write_try(a[0], bytes, sizeof bytes);
                CHECK_OK(eddy_yield());
            } while (n > 0 || eddy_stream_count_written(b[0]) == 0);
        }
        CHECK_ERR(eddy_stream_read(a[1], &byte, 1), -EBUSY);
        CHECK_ERR(eddy_stream_write(b[0], "x", 1), -EBUSY);
        CHECK_OK(eddy_stream_close(i % 2 == 0 ? a[1] : b[0]));
        CHECK_OK(eddy_scope_leave(&scope, 0));
        CHECK_ERR(copying.result, EDDY_ECLOSED);
        CHECK_OK(eddy_stream_close(i % 2 == 0 ? b[0] : a[1]));
        CHECK_OK(eddy_stream_close(a[0]));
        CHECK_OK(eddy_stream_close(b[1]));
    }
}

LOOP_TEST(a_close_of_either_end_ends_the_copy) {
    close_ends();
}

static int64_t close_ends_task(void *arg) {
    (void)arg;
    close_ends();
    return 0;
}

/* What the close interrupts may have written a part, and says so instead of being cancelled. */
TEST(a_close_ends_a_copy_that_has_just_written_a_part) {
    for (uint64_t seed = 1; seed <= 200; seed++) {
        eddy_loop *loop;
        CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.driver = "sim", .seed = seed}, &loop));
        CHECK_OK(eddy_loop_call(loop, close_ends_task, NULL));
        eddy_loop_free(loop);
    }
}

LOOP_TEST(a_cancelled_copy_leaves_counts_that_are_true) {
    eddy_stream *a;
    eddy_stream *b;
    CHECK_OK(eddy_memory_pair(1000, &a, &b));
    struct odd *src = pattern_source(&odd_class, LEN, 0);
    struct copying copying = {.dst = a, .src = &src->base};
    char got[1000];
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(copy_all, &copying, 0));
    wait_until(&copying.began);
    CHECK_OK(eddy_scope_cancel(&scope));
    CHECK_ERR(eddy_stream_copy(a, &src->base, 0), -ECANCELED);
    eddy_scope_leave(&scope, 0);
    CHECK_ERR(copying.result, -ECANCELED);
    CHECK_EQ(eddy_stream_count_written(a), 1000);
    CHECK_EQ(eddy_stream_read(b, got, sizeof got), 1000);
    check_pattern(got, sizeof got, 0);
    CHECK_OK(eddy_stream_close(a));
    CHECK_OK(eddy_stream_close(b));
    CHECK_OK(eddy_stream_close(&src->base));
}

/* ---- memory ---------------------------------------------------------------------------------- */

static int64_t copy_some(void *arg) {
    (void)arg;
    struct odd *src = odd_new(&odd_class, "some text", 9);
    struct odd *dst = src == NULL ? NULL : odd_new(&odd_class, "", 0);
    int64_t r = -ENOMEM;
    if (dst != NULL) {
        r = eddy_stream_copy(&dst->base, &src->base, EDDY_COPY_ALL);
        eddy_stream_close(&dst->base);
    }
    if (src != NULL) {
        eddy_stream_close(&src->base);
    }
    return r;
}

LOOP_TEST(every_allocation_may_fail) {
    CHECK(test_each_allocation_fails(copy_some, NULL) >= 8);
}

LOOP_TEST(a_small_copy_takes_its_buffer_from_the_pool) {
    eddy_stream *src;
    eddy_stream *dst;
    char bytes[1000] = "";
    CHECK_OK(eddy_memory_stream_new(bytes, sizeof bytes, &src));
    CHECK_OK(eddy_memory_stream_new(NULL, 0, &dst));
    for (int i = 0; i < 10; i++) {
        CHECK_OK(eddy_memory_seek(src, 0, SEEK_SET));
        CHECK_OK(eddy_stream_copy(dst, src, sizeof bytes));
        CHECK_EQ(eddyi_loop_here->pool.count, 1);
    }
    CHECK_OK(eddy_stream_close(src));
    CHECK_OK(eddy_stream_close(dst));
}
