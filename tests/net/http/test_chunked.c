/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eddy/net/http/chunked.h>
#include <eddy/runtime/base/buffer.h>

#include "test.h"

#define BYTES(literal) eddy_slice_from((literal), sizeof(literal) - 1)

struct decoded {
    int64_t result; /* bytes used up, or the error */
    bool done;
    eddy_http_fault fault;
    eddy_buffer data;
};

/* Decodes `text`, in pieces of `first` and then `step` bytes, each in memory just so large. */
static struct decoded decode(eddy_slice text, const eddy_http_chunked_opts *opts, size_t first,
                             size_t step) {
    struct decoded result = {0};
    eddy_http_chunked chunked;
    size_t at = 0;
    size_t piece = first;
    eddy_http_chunked_init(&chunked, opts);
    while (at < text.len && !chunked.done) {
        size_t len = piece < text.len - at ? piece : text.len - at;
        char *copy = malloc(len == 0 ? 1 : len);
        memcpy(copy, text.data + at, len);
        eddy_slice in = eddy_slice_from(copy, len);
        while (in.len > 0 && !chunked.done) {
            eddy_slice data;
            int64_t n = eddy_http_chunked_next(&chunked, in, &data, &result.fault);
            if (n < 0) {
                eddy_slice again = eddy_slice_of("again");
                CHECK_ERR(eddy_http_chunked_next(&chunked, again, &data, NULL), n);
                free(copy);
                result.result = n;
                return result;
            }
            CHECK(n > 0);
            CHECK(data.len == 0 || data.data + data.len == in.data + n);
            CHECK_OK(eddy_buffer_append_slice(&result.data, data));
            in = eddy_slice_sub(in, (size_t)n, in.len);
        }
        at += len - in.len;
        piece = step;
        free(copy);
    }
    CHECK_EQ(chunked.consumed, at);
    result.result = (int64_t)at;
    result.done = chunked.done;
    return result;
}

static void check_decoded(eddy_slice text, const eddy_http_chunked_opts *opts, const char *wanted,
                          size_t used) {
    struct decoded result = decode(text, opts, text.len, text.len);
    CHECK_EQ(result.result, used);
    CHECK(result.done);
    CHECK_BYTES(result.data.data, result.data.len, wanted, strlen(wanted));
    eddy_buffer_done(&result.data);
}

TEST(bodies_are_decoded) {
    check_decoded(BYTES("5\r\nhello\r\n1;a\r\n \r\n5\r\nworld\r\n0\r\n\r\nGET"), NULL,
                  "hello world", 33);
    check_decoded(BYTES("0\r\n\r\n"), NULL, "", 5);
    check_decoded(BYTES("000\r\n\r\n"), NULL, "", 7);
    check_decoded(BYTES("00a\r\n0123456789\r\n0\r\n\r\n"), NULL, "0123456789", 22);
    check_decoded(BYTES("A\r\n\r\n\r\n0\r\n\r\n0\r\n0\r\n\r\n"), NULL, "\r\n\r\n0\r\n\r\n0", 20);
}

TEST(extensions_are_ignored) {
    check_decoded(BYTES("1;a\r\nx\r\n0\r\n\r\n"), NULL, "x", 13);
    check_decoded(BYTES("1;a=b;c=\"d;\\\"e\"\r\nx\r\n0\r\n\r\n"), NULL, "x", 25);
    check_decoded(BYTES("1 ;  a\t = bc ;d\r\nx\r\n0\r\n\r\n"), NULL, "x", 25);
    check_decoded(BYTES("1;a=\"\"\r\nx\r\n0;b=\"\\\\\"\r\n\r\n"), NULL, "x", 23);
}

TEST(trailers_are_skipped_or_left) {
    static const char text[] = "1\r\nx\r\n0\r\nDigest: b\r\nC:\r\n\r\nGET";
    const eddy_http_chunked_opts keep = {.keep_trailers = true};
    check_decoded(BYTES(text), NULL, "x", sizeof text - 1 - 3);
    check_decoded(BYTES(text), &keep, "x", 9);
    check_decoded(BYTES("0;x=y\r\n\r\n"), &keep, "", 7);
}

TEST(malformed_codings_are_refused) {
    static const struct {
        eddy_slice text;
        int64_t offset;
    } cases[] = {
#define BAD(text, offset) {{(text), sizeof(text) - 1}, (offset)}
        BAD("\r\n", 0),
        BAD("\n", 0),
        BAD(" 5\r\nhello\r\n", 0),
        BAD("+5\r\nhello\r\n", 0),
        BAD("-5\r\nhello\r\n", 0),
        BAD("0x5\r\nhello\r\n", 1),
        BAD("g\r\n", 0),
        BAD("5g\r\n", 1),
        BAD("5\0\r\n", 1),
        BAD("5\nhello\r\n", 1), /* a bare LF: the end of the line for some */
        BAD("5\rhello\r\n", 2),
        BAD("5\n\nhello\r\n", 1),
        BAD("5\0\nhello\r\n", 1),
        BAD("5;a\0\nhello\r\n", 3),
        BAD("0\r\nX: y\0\n\r\n", 7),
        BAD("0\r\nX: y\r\n\n\n", 9),
        BAD("5 \r\nhello\r\n", 2), /* white space without an extension */
        BAD("5\t\r\nhello\r\n", 2),
        BAD("5 5\r\nhello\r\n", 2),
        BAD("5;\r\nhello\r\n", 2), /* an extension without a name */
        BAD("5;;a\r\nhello\r\n", 2),
        BAD("5;=a\r\nhello\r\n", 2),
        BAD("5;a=\r\nhello\r\n", 4),
        BAD("5;a=b c\r\nhello\r\n", 6),
        BAD("5;a b\r\nhello\r\n", 4),
        BAD("5;a \r\nhello\r\n", 4),
        BAD("5;a\nhello\r\n", 3), /* TERM.EXT */
        BAD("5;a\rX\nhello\r\n", 4),
        BAD("5;a=\"b\nc\"\r\nhello\r\n", 6),
        BAD("5;a=\"b\r\nc\"\r\nhello\r\n", 6),
        BAD("5;a=\"b\\\r\n\"\r\nhello\r\n", 7),
        BAD("5;a=\"b\"c\r\nhello\r\n", 7),
        BAD("5;a=\"\0\"\r\nhello\r\n", 5),
        BAD("5;a=b@\r\nhello\r\n", 5),
        BAD("5\r\nhelloX\r\n", 8), /* data that is longer than said */
        BAD("5\r\nhello\n0\r\n\r\n", 8),
        BAD("5\r\nhello\rX", 9),
        BAD("5\r\nhello0\r\n\r\n", 8),
        BAD("5\r\nhello\r\n\r\n", 10), /* no last chunk */
        BAD("0\r\n\n", 3),
        BAD("0\n\r\n", 1),
        BAD("0\r\n\rX", 4),
        BAD("0\r\n X: y\r\n\r\n", 3),
        BAD("0\r\nX : y\r\n\r\n", 4),
        BAD("0\r\nX: y\n\r\n", 7),
        BAD("0\r\nX: y\rz\r\n\r\n", 8),
        BAD("0\r\nX: y\r\n z\r\n\r\n", 9),
        BAD("0\r\nX: \0\r\n\r\n", 6),
        BAD("0\r\n: y\r\n\r\n", 3),
        BAD("0\r\nX\r\n\r\n", 4),
        BAD("8000000000000000\r\n", 15), /* more than INT64_MAX */
        BAD("ffffffffffffffff\r\n", 15),
        BAD("10000000000000000\r\n", 16), /* 2^64: some see 0 */
        BAD("00000000000000005\r\n", 16),
        BAD("fffffffffffffffff\r\n", 15),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct decoded result = decode(cases[i].text, NULL, cases[i].text.len, 1);
        if (result.result != EDDY_EHTTP_BODY || (int64_t)result.fault.offset != cases[i].offset ||
            result.fault.status != 400 || result.fault.text == NULL) {
            fprintf(stderr, "case %zu gave %lld, offset %zu (%s): %s\n", i,
                    (long long)result.result, result.fault.offset, result.fault.text,
                    cases[i].text.data);
            CHECK(false);
        }
        eddy_buffer_done(&result.data);
    }
}

TEST(the_largest_size_is_int64_max) {
    eddy_http_chunked chunked;
    eddy_slice data;
    eddy_http_chunked_init(&chunked, NULL);
    CHECK_EQ(eddy_http_chunked_next(&chunked, BYTES("7fffffffffffffff\r\nab"), &data, NULL), 20);
    CHECK_EQ(data.len, 2);
    CHECK_EQ(chunked.left, INT64_MAX - 2);
}

TEST(pieces_give_what_the_whole_gives) {
    static const eddy_slice cases[] = {
#define PIECES(text) {(text), sizeof(text) - 1}
        PIECES("5\r\nhello\r\n6;a=b ; c = \"d;\\\"e\" ;f\t\r\n world\r\n0\r\nA: b\r\n\r\nGET"),
        PIECES("5\r\nhello\r\n6;a=b ; c = \"d;\\\"e\" ;f\r\n world\r\n0 ;x\r\nA: b\r\n\r\nGET"),
        PIECES("1\r\nx\r\n0\r\n\r\n"),
        PIECES("10\r\n0123456789abcdef\r\n5\nhello\r\n"),
        PIECES("3\r\nabc\r\n8000000000000000\r\n"),
        PIECES("3\r\nabc\r\n0\r\nA: b\r\n c\r\n"),
        PIECES("3\r\nabc"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct decoded whole = decode(cases[i], NULL, cases[i].len, 1);
        for (size_t first = 0; first < cases[i].len; first++) {
            for (size_t step = 1; step <= cases[i].len; step = step * 3 + 1) {
                struct decoded result = decode(cases[i], NULL, first, step);
                CHECK_EQ(result.result, whole.result);
                CHECK_EQ(result.done, whole.done);
                CHECK_EQ(result.fault.offset, whole.fault.offset);
                CHECK_EQ(result.fault.status, whole.fault.status);
                CHECK(eddy_slice_equal(eddy_buffer_slice(&result.data),
                                       eddy_buffer_slice(&whole.data)));
                eddy_buffer_done(&result.data);
            }
        }
        eddy_buffer_done(&whole.data);
    }
}

static void check_limit(eddy_slice text, const eddy_http_chunked_opts *opts, int64_t offset) {
    struct decoded result = decode(text, opts, text.len, 1);
    CHECK_ERR(result.result, EDDY_EHTTP_TOO_LARGE);
    CHECK_EQ(result.fault.status, 413);
    CHECK_EQ(result.fault.offset, offset);
    eddy_buffer_done(&result.data);
}

TEST(extensions_and_trailers_are_bounded) {
    static const char text[] = "1;abc\r\nx\r\n0;d=e\r\nA: b\r\nC: d\r\n\r\n";
    const eddy_http_chunked_opts fits = {.extension_bytes = 8, .trailer_bytes = 12};
    const eddy_http_chunked_opts short_extension = {.extension_bytes = 7, .trailer_bytes = 12};
    const eddy_http_chunked_opts short_trailer = {.extension_bytes = 8, .trailer_bytes = 11};
    const eddy_http_chunked_opts no_extension = {.extension_bytes = EDDY_HTTP_NONE};
    const eddy_http_chunked_opts no_trailer = {.trailer_bytes = EDDY_HTTP_NONE};
    check_decoded(BYTES(text), &fits, "x", sizeof text - 1);
    check_limit(BYTES(text), &short_extension, 14);
    check_limit(BYTES(text), &short_trailer, 28);
    check_limit(BYTES(text), &no_extension, 1);
    check_limit(BYTES(text), &no_trailer, 17);
    check_decoded(BYTES("1\r\nx\r\n0\r\n\r\n"), &no_extension, "x", 11);
    check_decoded(BYTES("1\r\nx\r\n0\r\n\r\n"), &no_trailer, "x", 11);
}

/* Many chunks with a little extension each are as much of an attack as one large one. */
TEST(the_bound_on_extensions_is_one_for_the_body) {
    eddy_buffer text = {0};
    for (int i = 0; i < 5000; i++) {
        CHECK_OK(eddy_buffer_append(&text, "1;abcd\r\nx\r\n", 11));
    }
    struct decoded result = decode(eddy_buffer_slice(&text), NULL, text.len, 1);
    CHECK_ERR(result.result, EDDY_EHTTP_TOO_LARGE);
    eddy_buffer_done(&result.data);
    eddy_buffer_done(&text);
}

TEST(data_may_be_read_past_the_decoder) {
    eddy_http_chunked chunked;
    eddy_slice data;
    eddy_http_chunked_init(&chunked, NULL);
    CHECK_ERR(eddy_http_chunked_skip(&chunked, 1), -EINVAL);
    CHECK_OK(eddy_http_chunked_skip(&chunked, 0));
    CHECK_EQ(eddy_http_chunked_next(&chunked, BYTES("5"), &data, NULL), 1);
    CHECK_ERR(eddy_http_chunked_skip(&chunked, 1), -EINVAL); /* the size is not all there */
    CHECK_EQ(eddy_http_chunked_next(&chunked, BYTES("\r\nh"), &data, NULL), 3);
    CHECK_EQ(chunked.left, 4);
    CHECK_ERR(eddy_http_chunked_skip(&chunked, 5), -EINVAL);
    CHECK_OK(eddy_http_chunked_skip(&chunked, 1));
    CHECK_OK(eddy_http_chunked_skip(&chunked, 3));
    CHECK_EQ(chunked.consumed, 8);
    CHECK_EQ(eddy_http_chunked_next(&chunked, BYTES("\r\n0\r\n\r\nX"), &data, NULL), 7);
    CHECK(chunked.done);
    CHECK_EQ(data.len, 0);
    CHECK_EQ(eddy_http_chunked_next(&chunked, BYTES("X"), &data, NULL), 0);
    CHECK_EQ(chunked.consumed, 15);
}

TEST(lines_are_written_and_read_back) {
    static const uint64_t sizes[] = {1, 9, 10, 15, 16, 255, 4096, UINT32_MAX, INT64_MAX};
    char line[EDDY_HTTP_CHUNK_LINE_MAX];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char wanted[32];
        eddy_http_chunked chunked;
        eddy_slice data;
        int len = eddy_http_chunk_line(sizes[i], line);
        snprintf(wanted, sizeof wanted, "%llx\r\n", (unsigned long long)sizes[i]);
        CHECK_BYTES(line, len, wanted, strlen(wanted));
        eddy_http_chunked_init(&chunked, NULL);
        CHECK_EQ(eddy_http_chunked_next(&chunked, eddy_slice_from(line, (size_t)len), &data, NULL),
                 len);
        CHECK_EQ(chunked.left, sizes[i]);
    }
    CHECK_ERR(eddy_http_chunk_line(0, line), -EINVAL);
    CHECK_ERR(eddy_http_chunk_line((uint64_t)INT64_MAX + 1, line), -EINVAL);
    check_decoded(BYTES("1\r\nx" EDDY_HTTP_CHUNK_TAIL EDDY_HTTP_CHUNK_END), NULL, "x", 11);
}
