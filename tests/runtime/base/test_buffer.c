/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <eddy/runtime/base/buffer.h>
#include <eddy/runtime/base/memory.h>

#include "test.h"

#define CHECK_BUFFER(buffer, text) \
    CHECK_BYTES((buffer).data, (buffer).len, (text), sizeof(text) - 1)

TEST(a_zeroed_buffer_is_empty_and_holds_no_memory) {
    eddy_buffer buffer = {0};
    CHECK_EQ(eddy_buffer_slice(&buffer).len, 0);
    CHECK_OK(eddy_buffer_append(&buffer, NULL, 0));
    CHECK_OK(eddy_buffer_reserve(&buffer, 0));
    eddy_buffer_consume(&buffer, 5);
    CHECK_PTR_EQ(buffer.data, NULL);
    CHECK_EQ(eddy_memory_blocks(), 0);
    eddy_buffer_done(&buffer);
    eddy_buffer_done(NULL);
}

TEST(append_puts_bytes_behind_those_there) {
    eddy_buffer buffer = {0};
    CHECK_OK(eddy_buffer_append(&buffer, "a\0b", 3));
    CHECK_OK(eddy_buffer_append_slice(&buffer, eddy_slice_of("cd")));
    CHECK_OK(eddy_buffer_append_slice(&buffer, (eddy_slice){NULL, 0}));
    CHECK_BUFFER(buffer, "a\0bcd");
    CHECK(eddy_slice_equal(eddy_buffer_slice(&buffer), eddy_slice_from("a\0bcd", 5)));
    eddy_buffer_done(&buffer);
}

TEST(done_leaves_a_buffer_that_can_be_used_again) {
    eddy_buffer buffer = {0};
    CHECK_OK(eddy_buffer_append(&buffer, "abc", 3));
    eddy_buffer_done(&buffer);
    CHECK_EQ(eddy_memory_blocks(), 0);
    CHECK_EQ(buffer.cap, 0);
    CHECK_OK(eddy_buffer_append(&buffer, "de", 2));
    CHECK_BUFFER(buffer, "de");
    eddy_buffer_done(&buffer);
}

TEST(reserve_makes_room_and_changes_no_byte) {
    eddy_buffer buffer = {0};
    CHECK_OK(eddy_buffer_append(&buffer, "abc", 3));
    CHECK_OK(eddy_buffer_reserve(&buffer, 1000));
    CHECK(buffer.cap - buffer.len >= 1000);
    CHECK_BUFFER(buffer, "abc");
    char *data = buffer.data;
    CHECK_OK(eddy_buffer_reserve(&buffer, 1000)); /* there already */
    CHECK_PTR_EQ(buffer.data, data);
    eddy_buffer_done(&buffer);
}

TEST(growing_byte_by_byte_moves_the_bytes_seldom) {
    eddy_buffer buffer = {0};
    int moves = 0;
    for (int i = 0; i < 100000; i++) {
        size_t cap = buffer.cap;
        CHECK_OK(eddy_buffer_append(&buffer, "x", 1));
        CHECK(buffer.cap == cap || buffer.cap >= 2 * cap);
        moves += buffer.cap != cap;
    }
    CHECK(moves < 20);
    eddy_buffer_done(&buffer);
}

TEST(sizes_that_do_not_fit_are_eoverflow) {
    eddy_buffer buffer = {0};
    CHECK_OK(eddy_buffer_append(&buffer, "abc", 3));
    CHECK_ERR(eddy_buffer_reserve(&buffer, SIZE_MAX), -EOVERFLOW);
    CHECK_ERR(eddy_buffer_reserve(&buffer, SIZE_MAX - 2), -EOVERFLOW);
    CHECK_ERR(eddy_buffer_reserve(&buffer, PTRDIFF_MAX - 2), -EOVERFLOW);
    CHECK_ERR(eddy_buffer_append(&buffer, "x", SIZE_MAX), -EOVERFLOW);
    CHECK_BUFFER(buffer, "abc");
    /* The largest that fits is asked of the allocator. (Which is not let try: it might have it.) */
    eddy_memory_fail_at(1, false);
    CHECK_ERR(eddy_buffer_reserve(&buffer, PTRDIFF_MAX - 3), -ENOMEM);
    CHECK_EQ(eddy_memory_fail_at(0, false), 1);
    CHECK_BUFFER(buffer, "abc");
    eddy_buffer_done(&buffer);

    char byte;
    eddy_buffer full = {&byte, PTRDIFF_MAX, PTRDIFF_MAX}; /* nothing touches its bytes */
    CHECK_OK(eddy_buffer_reserve(&full, 0));
    CHECK_ERR(eddy_buffer_reserve(&full, 1), -EOVERFLOW);
    CHECK_ERR(eddy_buffer_printf(&full, "%d", 1), -EOVERFLOW);
    CHECK_PTR_EQ(eddy_buffer_text(&full), NULL);
    full = (eddy_buffer){&byte, PTRDIFF_MAX / 2 + 1, PTRDIFF_MAX / 2 + 1}; /* twice is too large */
    eddy_memory_fail_at(1, false);
    CHECK_ERR(eddy_buffer_reserve(&full, 1), -ENOMEM);
    eddy_memory_fail_at(0, false);
}

/* --- printf ----------------------------------------------------------------------------------- */

TEST(printf_appends_text) {
    eddy_buffer buffer = {0};
    CHECK_OK(eddy_buffer_printf(&buffer, "%d files", 12));
    CHECK_OK(eddy_buffer_printf(&buffer, ", %s%c", "all", '!'));
    CHECK_OK(eddy_buffer_printf(&buffer, "%s", ""));
    CHECK_BUFFER(buffer, "12 files, all!");
    eddy_buffer_done(&buffer);
}

TEST(printf_fits_at_every_length_and_fill) {
    char wanted[600];
    memset(wanted, 'x', sizeof wanted);
    for (int before = 0; before <= 130; before++) {
        for (int len = 0; len <= 200; len += len < 60 || len > 68 ? 20 : 1) {
            eddy_buffer buffer = {0};
            CHECK_OK(eddy_buffer_append(&buffer, wanted, (size_t)before));
            CHECK_OK(eddy_buffer_printf(&buffer, "%.*s", len, wanted));
            CHECK_BYTES(buffer.data, buffer.len, wanted, (size_t)(before + len));
            eddy_buffer_done(&buffer);
        }
    }
}

/* A text longer than an int can say. (By its format: to pad up to INT_MAX would take seconds.) */
static int printf_too_wide(eddy_buffer *buffer) {
    static const char *volatile format = "%99999999999d";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return eddy_buffer_printf(buffer, format, 1);
#pragma GCC diagnostic pop
}

TEST(printf_that_fails_appends_nothing) {
    eddy_buffer buffer = {0};
    CHECK_OK(eddy_buffer_append(&buffer, "abc", 3));
    /* The euro sign has no byte in the C locale. */
    CHECK_ERR(eddy_buffer_printf(&buffer, "text %ls", L"\x20ac"), -EINVAL);
    CHECK_BUFFER(buffer, "abc");
    CHECK_ERR(printf_too_wide(&buffer), -EOVERFLOW);
    CHECK_BUFFER(buffer, "abc");
    eddy_memory_fail_at(1, false);
    CHECK_ERR(eddy_buffer_printf(&buffer, "%200d", 1), -ENOMEM);
    eddy_memory_fail_at(0, false);
    CHECK_BUFFER(buffer, "abc");
    eddy_buffer_done(&buffer);
}

/* --- the rest --------------------------------------------------------------------------------- */

TEST(consume_drops_the_front) {
    eddy_buffer buffer = {0};
    CHECK_OK(eddy_buffer_append(&buffer, "abcdef", 6));
    char *data = buffer.data;
    eddy_buffer_consume(&buffer, 0);
    CHECK_BUFFER(buffer, "abcdef");
    eddy_buffer_consume(&buffer, 2);
    CHECK_BUFFER(buffer, "cdef");
    eddy_buffer_consume(&buffer, SIZE_MAX);
    CHECK_BUFFER(buffer, "");
    CHECK_PTR_EQ(buffer.data, data);
    eddy_buffer_done(&buffer);
}

TEST(text_ends_with_a_nul_that_does_not_count) {
    eddy_buffer buffer = {0};
    CHECK_STR(eddy_buffer_text(&buffer), "");
    CHECK_EQ(buffer.len, 0);
    char byte = 'x';
    while (buffer.len < buffer.cap) { /* full: the NUL needs room of its own */
        CHECK_OK(eddy_buffer_append(&buffer, &byte, 1));
    }
    size_t len = buffer.len;
    CHECK_EQ(strlen(eddy_buffer_text(&buffer)), len);
    CHECK_EQ(buffer.len, len);
    eddy_buffer_done(&buffer);
}

TEST(text_without_memory_is_null) {
    eddy_buffer buffer = {0};
    eddy_memory_fail_at(1, false);
    CHECK_PTR_EQ(eddy_buffer_text(&buffer), NULL);
    eddy_memory_fail_at(0, false);
}

TEST(auto_frees_and_take_keeps) {
    {
        EDDY_AUTO(eddy_buffer) buffer = {0};
        CHECK_OK(eddy_buffer_append(&buffer, "abc", 3));
        CHECK_EQ(eddy_memory_blocks(), 1);
    }
    CHECK_EQ(eddy_memory_blocks(), 0);
    const char *pointer = "abc";
    const char *taken = EDDY_TAKE(pointer);
    CHECK_PTR_EQ(pointer, NULL);
    CHECK_STR(taken, "abc");
}

static int64_t scenario(void *arg) {
    (void)arg;
    EDDY_AUTO(eddy_buffer) buffer = {0};
    int r = eddy_buffer_append(&buffer, "abc", 3);
    if (r < 0) {
        CHECK_EQ(buffer.len, 0);
        return r;
    }
    r = eddy_buffer_printf(&buffer, "%100d", 1);
    if (r < 0) {
        CHECK_BUFFER(buffer, "abc");
        return r;
    }
    r = eddy_buffer_reserve(&buffer, 1000);
    CHECK_EQ(buffer.len, 103);
    return r;
}

TEST(every_allocation_may_fail) {
    CHECK(test_each_allocation_fails(scenario, NULL) >= 2 * 3);
}

/* --- random operations against a plain array -------------------------------------------------- */

#define MODEL_CAP 4096

TEST(random_operations_agree_with_a_plain_array) {
    static char model[MODEL_CAP];
    static char bytes[300];
    size_t len = 0;
    eddy_buffer buffer = {0};
    for (int step = 0; step < 100000; step++) {
        size_t n = test_random_below(sizeof bytes - 1);
        memset(bytes, (int)('a' + test_random_below(26)), sizeof bytes);
        bytes[n] = '\0';
        switch (len + n > MODEL_CAP ? 3 : test_random_below(7)) {
        case 0:
        case 1:
            CHECK_OK(eddy_buffer_append(&buffer, bytes, n));
            memcpy(model + len, bytes, n);
            len += n;
            break;
        case 2:
            CHECK_OK(eddy_buffer_printf(&buffer, "%s", bytes));
            memcpy(model + len, bytes, n);
            len += n;
            break;
        case 3:
            n = test_random_below(600);
            eddy_buffer_consume(&buffer, n);
            n = n < len ? n : len;
            memmove(model, model + n, len - n);
            len -= n;
            break;
        case 4:
            CHECK_OK(eddy_buffer_reserve(&buffer, n));
            CHECK(buffer.cap - buffer.len >= n);
            break;
        case 5:
            CHECK_EQ(eddy_buffer_text(&buffer)[len], '\0');
            break;
        case 6:
            if (test_random_below(100) == 0) {
                eddy_buffer_done(&buffer);
                len = 0;
            }
            break;
        }
        CHECK_EQ(buffer.len, len);
        if (step % 8 == 0) {
            CHECK_BYTES(buffer.data, buffer.len, model, len);
        }
    }
    eddy_buffer_done(&buffer);
}
