/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <eddy/net/http/range.h>

#include "test.h"

#define S eddy_slice_of
#define CAP 8

/* The result, and the ranges as "from+len ". */
static int64_t read_ranges(const char *value, int64_t size, char text[256]) {
    eddy_http_range ranges[CAP];
    int64_t count = eddy_http_range_parse(S(value), size, ranges, CAP);
    size_t len = 0;
    text[0] = '\0';
    for (int64_t i = 0; i < count; i++) {
        len += (size_t)snprintf(text + len, 256 - len, "%lld+%lld ", (long long)ranges[i].from,
                                (long long)ranges[i].len);
    }
    return count;
}

TEST(ranges_are_read) {
    static const struct {
        const char *value;
        int64_t size;
        int64_t result;
        const char *ranges;
    } cases[] = {
        {"bytes=0-499", 10000, 1, "0+500 "},
        {"bytes=500-999", 10000, 1, "500+500 "},
        {"bytes=-500", 10000, 1, "9500+500 "},
        {"bytes=9500-", 10000, 1, "9500+500 "},
        {"bytes=0-0,-1", 10000, 2, "0+1 9999+1 "},
        {"bytes= 0-999, 4500-5499, -1000", 10000, 3, "0+1000 4500+1000 9000+1000 "},
        {"BYTES=0-", 10, 1, "0+10 "},
        {"bytes=0-0", 1, 1, "0+1 "},
        {"bytes=0-99999", 10, 1, "0+10 "},
        {"bytes=-99999", 10, 1, "0+10 "},
        {"bytes=,, 1-2 ,\t,3-3,", 10, 1, "1+3 "}, /* adjoining ranges are one */
        {"bytes=0-9223372036854775807", 10, 1, "0+10 "},
        {"bytes=0-99999999999999999999", 10, 1, "0+10 "},
        {"bytes=-99999999999999999999", 10, 1, "0+10 "},
        {"bytes=0-", INT64_MAX, 1, "0+9223372036854775807 "},
        {"bytes=9223372036854775806-", INT64_MAX, 1, "9223372036854775806+1 "},
        {"bytes=-1,0-0", INT64_MAX, 2, "9223372036854775806+1 0+1 "},
        /* Merging */
        {"bytes=0-4,3-9", 100, 1, "0+10 "},
        {"bytes=5-9,0-4", 100, 1, "0+10 "},
        {"bytes=0-4,6-9", 100, 2, "0+5 6+4 "},
        {"bytes=50-59,10-19,0-99", 100, 1, "0+100 "},
        {"bytes=50-59,10-19,30-39,15-34", 100, 2, "50+10 10+30 "},
        {"bytes=0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0", 100, 1, "0+1 "},
        /* Some beyond the end */
        {"bytes=0-4,100-,200-300", 100, 1, "0+5 "},
        {"bytes=100-,0-4,-0", 100, 1, "0+5 "},
        /* All beyond the end */
        {"bytes=100-", 100, -ERANGE, ""},
        {"bytes=100-200,300-", 100, -ERANGE, ""},
        {"bytes=-0", 100, -ERANGE, ""},
        {"bytes=0-", 0, -ERANGE, ""},
        {"bytes=0-0", 0, -ERANGE, ""},
        {"bytes=-0", 0, -ERANGE, ""},
        {"bytes=9223372036854775807-", INT64_MAX, -ERANGE, ""},
        {"bytes=99999999999999999999-", INT64_MAX, -ERANGE, ""},
        /* The end of nothing */
        {"bytes=-5", 0, 0, ""},
        {"bytes=0-,-5", 0, 0, ""},
        /* Malformed, or not bytes: as if it were not there */
        {"", 100, 0, ""},
        {"bytes", 100, 0, ""},
        {"bytes=", 100, 0, ""},
        {"bytes=,", 100, 0, ""},
        {"bytes=-", 100, 0, ""},
        {"bytes=5", 100, 0, ""},
        {"bytes=5-4", 100, 0, ""},
        {"bytes=a-b", 100, 0, ""},
        {"bytes=0-5x", 100, 0, ""},
        {"bytes=0--5", 100, 0, ""},
        {"bytes=--5", 100, 0, ""},
        {"bytes=+0-5", 100, 0, ""},
        {"bytes=0x0-0x5", 100, 0, ""},
        {"bytes=0 -5", 100, 0, ""},
        {"bytes=0- 5", 100, 0, ""},
        {"bytes=0-5 6-7", 100, 0, ""},
        {"bytes=0-5;6-7", 100, 0, ""},
        {"bytes =0-5", 100, 0, ""},
        {"bytes 0-5", 100, 0, ""},
        {"items=0-5", 100, 0, ""},
        {"=0-5", 100, 0, ""},
        {"bytes=0-5,x", 100, 0, ""},
        {"bytes=200-,x", 100, 0, ""},
        /* More than there is room for */
        {"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14", 100, 8,
         "0+1 2+1 4+1 6+1 8+1 10+1 12+1 14+1 "},
        {"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16", 100, 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        int64_t result = read_ranges(cases[i].value, cases[i].size, text);
        if (result != cases[i].result || strcmp(text, cases[i].ranges) != 0) {
            fprintf(stderr, "%s of %lld gave %lld: %s\n", cases[i].value, (long long)cases[i].size,
                    (long long)result, text);
            CHECK(false);
        }
    }
}

TEST(a_size_below_zero_and_no_room_are_mistakes) {
    eddy_http_range range;
    CHECK_ERR(eddy_http_range_parse(S("bytes=0-"), -1, &range, 1), -EINVAL);
    CHECK_ERR(eddy_http_range_parse(S("bytes=0-"), 5, &range, 0), -EINVAL);
}

TEST(more_ranges_than_anyone_needs_are_ignored) {
    char value[8 + EDDY_HTTP_RANGE_SPECS_MAX * 4 + 8] = "bytes=";
    char text[256];
    size_t len = strlen(value);
    for (int i = 0; i < EDDY_HTTP_RANGE_SPECS_MAX; i++) {
        memcpy(value + len, "0-0,", 5);
        len += 4;
    }
    CHECK_EQ(read_ranges(value, 100, text), 1);
    memcpy(value + len, "0-0", 4);
    CHECK_EQ(read_ranges(value, 100, text), 0);
}

/* Against a map of bytes: what is covered is covered, in parts that do not touch. */
TEST(merging_agrees_with_a_map) {
    for (int round = 0; round < 5000; round++) {
        char value[256] = "bytes=";
        bool wanted[64] = {false};
        bool got[66] = {false};
        eddy_http_range ranges[16];
        size_t len = strlen(value);
        int64_t size = 1 + (int64_t)test_random_below(60);
        int64_t specs = 1 + (int64_t)test_random_below(8);
        for (int64_t i = 0; i < specs; i++) {
            int64_t first = (int64_t)test_random_below(64);
            int64_t last = first + (int64_t)test_random_below(10);
            len += (size_t)snprintf(value + len, sizeof value - len, "%lld-%lld,", (long long)first,
                                    (long long)last);
            for (int64_t k = first; k <= last && k < size; k++) {
                wanted[k] = true;
            }
        }
        int64_t count = eddy_http_range_parse(S(value), size, ranges, 16);
        CHECK(count > 0 || count == -ERANGE);
        for (int64_t i = 0; i < count; i++) {
            CHECK(ranges[i].from >= 0 && ranges[i].len > 0 &&
                  ranges[i].from + ranges[i].len <= size);
            CHECK(ranges[i].from == 0 || !got[ranges[i].from - 1]);
            CHECK(!got[ranges[i].from + ranges[i].len]);
            for (int64_t k = 0; k < ranges[i].len; k++) {
                CHECK(!got[ranges[i].from + k]);
                got[ranges[i].from + k] = true;
            }
        }
        CHECK_BYTES(got, sizeof wanted, wanted, sizeof wanted);
    }
}

TEST(content_ranges_are_written_and_read) {
    static const struct {
        const char *text;
        eddy_http_range range;
        int64_t size;
    } cases[] = {
        {"bytes 0-99/1234", {0, 100}, 1234},
        {"bytes 1233-1233/1234", {1233, 1}, 1234},
        {"bytes */1234", {0, 0}, 1234},
        {"bytes */0", {0, 0}, 0},
        {"bytes 0-9223372036854775805/9223372036854775806", {0, INT64_MAX - 1}, INT64_MAX - 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[EDDY_HTTP_CONTENT_RANGE_MAX];
        eddy_http_range range;
        int64_t size;
        int len = eddy_http_content_range_format(cases[i].range.len == 0 ? NULL : &cases[i].range,
                                                 cases[i].size, text);
        CHECK_STR(text, cases[i].text);
        CHECK_EQ(len, strlen(text));
        CHECK_OK(eddy_http_content_range_parse(S(cases[i].text), &range, &size));
        CHECK_EQ(range.from, cases[i].range.from);
        CHECK_EQ(range.len, cases[i].range.len);
        CHECK_EQ(size, cases[i].size);
    }
    char longest[EDDY_HTTP_CONTENT_RANGE_MAX];
    CHECK_EQ(
        eddy_http_content_range_format(&(eddy_http_range){INT64_MAX - 1, 1}, INT64_MAX, longest),
        EDDY_HTTP_CONTENT_RANGE_MAX - 1);
    eddy_http_range range;
    int64_t size;
    CHECK_OK(eddy_http_content_range_parse(S("Bytes 5-9/*"), &range, &size));
    CHECK_EQ(range.from, 5);
    CHECK_EQ(range.len, 5);
    CHECK_EQ(size, -1);
}

TEST(content_ranges_that_are_none_are_refused) {
    static const char *const texts[] = {
        "",
        "bytes",
        "bytes 0-4",
        "bytes 0-4/",
        "bytes */*",
        "bytes 4-0/10",
        "bytes 0-10/10",
        "bytes -4/10",
        "bytes 0-/10",
        "bytes 0-4/-1",
        "bytes=0-4/10",
        "bytes  0-4/10",
        "bytes 0-4/10 ",
        "items 0-4/10",
        "bytes/0-4 10",
        "bytes 0-9223372036854775807/*",
        "bytes 0-4/9223372036854775808",
        "bytes 99999999999999999999-99999999999999999999/*",
    };
    static const eddy_http_range ranges[] = {{0, 0}, {-1, 1}, {0, 11}, {10, 1}, {INT64_MAX, 1}};
    char text[EDDY_HTTP_CONTENT_RANGE_MAX];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        eddy_http_range range;
        int64_t size;
        CHECK_ERR(eddy_http_content_range_parse(S(texts[i]), &range, &size), EDDY_ESYNTAX);
    }
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        CHECK_ERR(eddy_http_content_range_format(&ranges[i], 10, text), -EINVAL);
    }
    CHECK_ERR(eddy_http_content_range_format(NULL, -1, text), -EINVAL);
}

static int64_t write_parts(void *arg) {
    eddy_buffer *out = arg;
    eddy_buffer_done(out);
    int r = eddy_http_range_part(out, S("B"), S("text/plain;charset=utf-8"),
                                 &(eddy_http_range){0, 5}, 9);
    CHECK(r == 0 || out->len == 0);
    size_t len = out->len;
    if (r == 0) {
        r = eddy_http_range_part(out, S("B"), S(""), &(eddy_http_range){8, 1}, 9);
        CHECK(r == 0 || out->len == len);
    }
    len = out->len;
    if (r == 0) {
        r = eddy_http_range_end(out, S("B"));
        CHECK(r == 0 || out->len == len);
    }
    return r;
}

static int64_t write_parts_and_forget(void *arg) {
    eddy_buffer out = {0};
    (void)arg;
    int64_t r = write_parts(&out);
    eddy_buffer_done(&out);
    return r;
}

TEST(parts_are_written) {
    eddy_buffer out = {0};
    static const char wanted[] =
        "\r\n--B\r\nContent-Type: text/plain;charset=utf-8\r\nContent-Range: bytes 0-4/9"
        "\r\n\r\n\r\n--B\r\nContent-Range: bytes 8-8/9\r\n\r\n\r\n--B--\r\n";
    CHECK_OK(write_parts(&out));
    CHECK_BYTES(out.data, out.len, wanted, sizeof wanted - 1);
    eddy_buffer_done(&out);
    CHECK(test_each_allocation_fails(write_parts_and_forget, NULL) > 1);
}

TEST(parts_hold_what_they_may) {
    static const eddy_http_range range = {0, 5};
    char boundary[72];
    eddy_buffer out = {0};
    memset(boundary, 'b', sizeof boundary);
    CHECK_ERR(eddy_http_range_part(&out, S(""), S("a/b"), &range, 9), -EINVAL);
    CHECK_ERR(eddy_http_range_part(&out, S("a b"), S("a/b"), &range, 9), -EINVAL);
    CHECK_ERR(eddy_http_range_part(&out, S("a\r\n"), S("a/b"), &range, 9), -EINVAL);
    CHECK_ERR(eddy_http_range_part(&out, S("B"), S("a/b\r\nX: y"), &range, 9), -EINVAL);
    CHECK_ERR(eddy_http_range_part(&out, S("B"), S("a/b"), &range, 4), -EINVAL);
    CHECK_ERR(eddy_http_range_part(&out, S("B"), S("a/b"), NULL, 4), -EINVAL);
    CHECK_ERR(eddy_http_range_end(&out, S("a b")), -EINVAL);
    CHECK_ERR(eddy_http_range_end(&out, eddy_slice_from(boundary, 71)), -EINVAL);
    CHECK_EQ(out.len, 0);
    CHECK_OK(eddy_http_range_end(&out, eddy_slice_from(boundary, 70)));
    CHECK_EQ(out.len, 78);
    eddy_buffer_done(&out);
}
