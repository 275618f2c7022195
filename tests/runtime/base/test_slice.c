/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <eddy/runtime/base/slice.h>

#include "test.h"

#define CHECK_SLICE(slice, text) test_slice_is((slice), (text), sizeof(text) - 1)

static void test_slice_is(eddy_slice slice, const char *text, size_t len) {
    CHECK_BYTES(slice.data, slice.len, text, len);
}

TEST(of_takes_a_c_string_without_its_nul) {
    CHECK_SLICE(eddy_slice_of("abc"), "abc");
    CHECK_SLICE(eddy_slice_of(""), "");
    CHECK_EQ(eddy_slice_of(NULL).len, 0);
    CHECK_PTR_EQ(eddy_slice_of(NULL).data, NULL);
}

TEST(from_takes_any_bytes) {
    CHECK_SLICE(eddy_slice_from("a\0b", 3), "a\0b");
    CHECK_EQ(eddy_slice_from(NULL, 0).len, 0);
}

TEST(equal_compares_length_and_bytes) {
    eddy_slice nothing = {NULL, 0};
    CHECK(eddy_slice_equal(eddy_slice_from("a\0b", 3), eddy_slice_from("a\0b", 3)));
    CHECK(!eddy_slice_equal(eddy_slice_from("a\0b", 3), eddy_slice_from("a\0c", 3)));
    CHECK(!eddy_slice_equal(eddy_slice_of("a"), eddy_slice_of("ab")));
    CHECK(!eddy_slice_equal(eddy_slice_of("a"), eddy_slice_of("A")));
    CHECK(eddy_slice_equal(nothing, eddy_slice_of("")));
    CHECK(eddy_slice_equal(nothing, nothing));
    CHECK(!eddy_slice_equal(nothing, eddy_slice_of("a")));
}

TEST(ignore_case_folds_ascii_letters_and_nothing_else) {
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            char x = (char)a;
            char y = (char)b;
            int low_a = a >= 'A' && a <= 'Z' ? a + 32 : a;
            int low_b = b >= 'A' && b <= 'Z' ? b + 32 : b;
            CHECK_EQ(eddy_slice_equal_ignore_case(eddy_slice_from(&x, 1), eddy_slice_from(&y, 1)),
                     low_a == low_b);
        }
    }
    eddy_slice nothing = {NULL, 0};
    CHECK(eddy_slice_equal_ignore_case(eddy_slice_of("Content-LENGTH"),
                                       eddy_slice_of("content-length")));
    CHECK(!eddy_slice_equal_ignore_case(eddy_slice_of("content"), eddy_slice_of("contents")));
    CHECK(!eddy_slice_equal_ignore_case(eddy_slice_of("Xbc"), eddy_slice_of("abc")));
    CHECK(!eddy_slice_equal_ignore_case(eddy_slice_of("abX"), eddy_slice_of("abc")));
    CHECK(eddy_slice_equal_ignore_case(nothing, eddy_slice_of("")));
}

TEST(sub_cuts_both_ends_to_the_slice) {
    eddy_slice slice = eddy_slice_of("abcdef");
    CHECK_SLICE(eddy_slice_sub(slice, 0, 6), "abcdef");
    CHECK_SLICE(eddy_slice_sub(slice, 2, 4), "cd");
    CHECK_SLICE(eddy_slice_sub(slice, 2, SIZE_MAX), "cdef");
    CHECK_SLICE(eddy_slice_sub(slice, 4, 2), "");
    CHECK_SLICE(eddy_slice_sub(slice, 3, 3), "");
    CHECK_SLICE(eddy_slice_sub(slice, 6, 7), "");
    CHECK_SLICE(eddy_slice_sub(slice, SIZE_MAX, SIZE_MAX), "");
    CHECK_PTR_EQ(eddy_slice_sub(slice, 2, 4).data, slice.data + 2);
    CHECK_PTR_EQ(eddy_slice_sub(slice, 9, 9).data, slice.data + 6);
    eddy_slice nothing = {NULL, 0};
    CHECK_PTR_EQ(eddy_slice_sub(nothing, 0, 5).data, NULL);
    CHECK_EQ(eddy_slice_sub(nothing, 0, 5).len, 0);
}

TEST(find_gives_the_first_place_or_minus_one) {
    CHECK_EQ(eddy_slice_find(eddy_slice_of("abcabc"), 'a'), 0);
    CHECK_EQ(eddy_slice_find(eddy_slice_of("abcabc"), 'c'), 2);
    CHECK_EQ(eddy_slice_find(eddy_slice_of("abc"), 'd'), -1);
    CHECK_EQ(eddy_slice_find(eddy_slice_from("abc", 2), 'c'), -1);
    CHECK_EQ(eddy_slice_find(eddy_slice_from("a\0b", 3), '\0'), 1);
    CHECK_EQ(eddy_slice_find(eddy_slice_of("a\xff"), '\xff'), 1);
    CHECK_EQ(eddy_slice_find((eddy_slice){NULL, 0}, 'a'), -1);
}

TEST(trim_takes_spaces_and_tabs_off_the_ends_only) {
    CHECK_SLICE(eddy_slice_trim(eddy_slice_of(" \t a b\t \t")), "a b");
    CHECK_SLICE(eddy_slice_trim(eddy_slice_of("a")), "a");
    CHECK_SLICE(eddy_slice_trim(eddy_slice_of(" \t ")), "");
    CHECK_SLICE(eddy_slice_trim(eddy_slice_of("\r\na\v\f")), "\r\na\v\f");
    CHECK_SLICE(eddy_slice_trim(eddy_slice_of("")), "");
    CHECK_EQ(eddy_slice_trim((eddy_slice){NULL, 0}).len, 0);
}
