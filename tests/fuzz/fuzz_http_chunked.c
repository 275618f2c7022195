/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunked bodies. Pieces give what the whole gives, a plain reading of what was taken finds the
 * same, and data that was taken out can be put back.
 */
#include <eddy/net/http/chunked.h>
#include <eddy/net/http/head.h>
#include <eddy/runtime/base/buffer.h>

#include "fuzz_http.h"

struct decoded {
    int64_t result; /* bytes used up, or the error */
    bool done;
    uint64_t left;
    eddy_http_fault fault;
    eddy_buffer data;
};

static struct decoded decode(eddy_slice text, const eddy_http_chunked_opts *opts, size_t first,
                             size_t step) {
    struct decoded result = {0};
    eddy_http_chunked chunked;
    size_t at = 0;
    size_t piece = first;
    eddy_http_chunked_init(&chunked, opts);
    while (at < text.len && !chunked.done) {
        size_t len = piece < text.len - at ? piece : text.len - at;
        char *copy = fuzz_copy(eddy_slice_sub(text, at, at + len));
        eddy_slice in = eddy_slice_from(copy, len);
        while (in.len > 0 && !chunked.done) {
            eddy_slice data;
            int64_t n = eddy_http_chunked_next(&chunked, in, &data, &result.fault);
            if (n < 0) {
                REQUIRE(result.fault.text != NULL && result.fault.offset < text.len);
                free(copy);
                result.result = n;
                return result;
            }
            REQUIRE(n > 0 && (size_t)n <= in.len);
            REQUIRE(data.len == 0 || data.data + data.len == in.data + n);
            REQUIRE(eddy_buffer_append_slice(&result.data, data) == 0);
            in = eddy_slice_sub(in, (size_t)n, in.len);
        }
        at += len - in.len;
        piece = step;
        free(copy);
    }
    REQUIRE(chunked.consumed == at);
    result.result = (int64_t)at;
    result.done = chunked.done;
    result.left = chunked.left;
    return result;
}

static void require_same(const struct decoded *a, const struct decoded *b) {
    REQUIRE(a->result == b->result && a->done == b->done && a->left == b->left);
    REQUIRE(a->fault.status == b->fault.status && a->fault.offset == b->fault.offset);
    REQUIRE(a->fault.text == b->fault.text);
    REQUIRE(eddy_slice_equal(eddy_buffer_slice(&a->data), eddy_buffer_slice(&b->data)));
}

/* The line at the front of `rest`, which ends in CRLF and has neither byte in it. */
static eddy_slice take_line(eddy_slice *rest) {
    int64_t len = eddy_slice_find(*rest, '\r');
    REQUIRE(len >= 0 && (size_t)len + 1 < rest->len && rest->data[len + 1] == '\n');
    eddy_slice line = eddy_slice_sub(*rest, 0, (size_t)len);
    REQUIRE(eddy_slice_find(line, '\n') < 0);
    *rest = eddy_slice_sub(*rest, (size_t)len + 2, rest->len);
    return line;
}

/* Reads a body that was taken once more, as plainly as can be. */
static void require_plain_reading(eddy_slice text, const struct decoded *whole) {
    eddy_slice rest = eddy_slice_sub(text, 0, (size_t)whole->result);
    eddy_slice data = eddy_buffer_slice(&whole->data);
    uint64_t size;
    do {
        char digits[32] = "";
        char *end;
        eddy_slice line = take_line(&rest);
        REQUIRE(line.len > 0);
        memcpy(digits, line.data, line.len < 31 ? line.len : 31);
        size = strtoull(digits, &end, 16);
        size_t count = (size_t)(end - digits);
        REQUIRE(count > 0 && count <= 16 && size <= INT64_MAX);
        REQUIRE(digits[0] != ' ' && digits[0] != '+' && digits[0] != '-' && digits[1] != 'x');
        REQUIRE(count == line.len || strchr("; \t", line.data[count]) != NULL);
        if (size > 0) {
            REQUIRE(size <= rest.len && size <= data.len);
            REQUIRE(memcmp(rest.data, data.data, size) == 0);
            rest = eddy_slice_sub(rest, size, rest.len);
            data = eddy_slice_sub(data, size, data.len);
            REQUIRE(take_line(&rest).len == 0);
        }
    } while (size > 0);
    REQUIRE(data.len == 0);
    while (rest.len > 0) {
        eddy_slice line = take_line(&rest);
        REQUIRE((line.len == 0) == (rest.len == 0));
        REQUIRE(line.len == 0 || eddy_slice_find(line, ':') > 0);
    }
}

/* Writes the data as chunks of `step` bytes and reads it again. */
static void require_encoded_and_decoded(eddy_slice data, size_t step) {
    eddy_buffer out = {0};
    for (size_t at = 0; at < data.len; at += step) {
        char line[EDDY_HTTP_CHUNK_LINE_MAX];
        eddy_slice chunk = eddy_slice_sub(data, at, at + step);
        int len = eddy_http_chunk_line(chunk.len, line);
        REQUIRE(len > 0);
        REQUIRE(eddy_buffer_append(&out, line, (size_t)len) == 0);
        REQUIRE(eddy_buffer_append_slice(&out, chunk) == 0);
        REQUIRE(eddy_buffer_append(&out, EDDY_HTTP_CHUNK_TAIL, 2) == 0);
    }
    REQUIRE(eddy_buffer_append(&out, EDDY_HTTP_CHUNK_END, 5) == 0);
    struct decoded back = decode(eddy_buffer_slice(&out), NULL, out.len, out.len);
    REQUIRE(back.done && back.result == (int64_t)out.len);
    REQUIRE(eddy_slice_equal(eddy_buffer_slice(&back.data), data));
    eddy_buffer_done(&back.data);
    eddy_buffer_done(&out);
}

/* Trailers are taken by the decoder just when the parser of heads takes them. */
static void require_same_trailers(eddy_slice text, const struct decoded *whole) {
    const eddy_http_chunked_opts keep = {.keep_trailers = true};
    struct decoded kept = decode(text, &keep, text.len, 1);
    if (kept.done) {
        eddy_slice rest = eddy_slice_sub(text, (size_t)kept.result, text.len);
        eddy_http_head head;
        eddy_http_head_init(&head, EDDY_HTTP_TRAILERS, NULL);
        int64_t r = eddy_http_head_parse(&head, rest, NULL);
        if (whole->done) {
            /* Only the number of fields is bounded there and not here. */
            REQUIRE(r == whole->result - kept.result || r == EDDY_EHTTP_TOO_LARGE);
        } else if (whole->result >= 0) {
            REQUIRE(r == -EAGAIN || r == EDDY_EHTTP_TOO_LARGE);
        } else {
            REQUIRE(r == whole->result || r == EDDY_EHTTP_TOO_LARGE ||
                    whole->result == EDDY_EHTTP_TOO_LARGE);
        }
    }
    eddy_buffer_done(&kept.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t limits = fuzz_byte(&data, &size);
    size_t first = fuzz_byte(&data, &size);
    size_t step = fuzz_byte(&data, &size) % 16 + 1;
    const eddy_http_chunked_opts opts = {.extension_bytes = limits & 15,
                                         .trailer_bytes = limits >> 5,
                                         .keep_trailers = (limits & 16) != 0};
    eddy_slice text = eddy_slice_from(data, size);
    struct decoded whole = decode(text, &opts, size, 1);
    struct decoded pieces = decode(text, &opts, first, step);
    require_same(&whole, &pieces);
    if (whole.done) {
        require_plain_reading(text, &whole);
        require_encoded_and_decoded(eddy_buffer_slice(&whole.data), step);
    }
    if (limits == 0) {
        require_same_trailers(text, &whole);
    }
    eddy_buffer_done(&whole.data);
    eddy_buffer_done(&pieces.data);
    return 0;
}
