/* SPDX-License-Identifier: Apache-2.0 */
/* Range, Content-Range, entity tags and the conditions that join them. */
#include <eddy/net/http/condition.h>
#include <eddy/net/http/etag.h>

#include "fuzz_http.h"

#define CAP 16
#define NOW 1700000000

static void require_ranges(eddy_slice value, int64_t size, size_t cap) {
    eddy_http_range ranges[CAP];
    int64_t count = eddy_http_range_parse(value, size, ranges, cap);
    REQUIRE(count == -ERANGE || (count >= 0 && count <= (int64_t)cap));
    for (int64_t i = 0; i < count; i++) {
        char text[EDDY_HTTP_CONTENT_RANGE_MAX];
        eddy_http_range back;
        int64_t back_size;
        REQUIRE(ranges[i].from >= 0 && ranges[i].len > 0 && ranges[i].from < size);
        REQUIRE(ranges[i].len <= size - ranges[i].from);
        for (int64_t k = 0; k < i; k++) {
            REQUIRE(ranges[k].from + ranges[k].len < ranges[i].from ||
                    ranges[i].from + ranges[i].len < ranges[k].from);
        }
        int len = eddy_http_content_range_format(&ranges[i], size, text);
        REQUIRE(len > 0 && len < EDDY_HTTP_CONTENT_RANGE_MAX && text[len] == '\0');
        if (size < INT64_MAX) {
            REQUIRE(eddy_http_content_range_parse(eddy_slice_of(text), &back, &back_size) == 0);
            REQUIRE(back.from == ranges[i].from && back.len == ranges[i].len && back_size == size);
        }
    }
}

static void require_content_range(eddy_slice value) {
    eddy_http_range range;
    int64_t size;
    if (eddy_http_content_range_parse(value, &range, &size) == 0) {
        REQUIRE(range.from >= 0 && range.len >= 0 && size >= -1);
        REQUIRE(size < 0 || range.from + range.len <= size);
        REQUIRE(size >= 0 || range.len > 0);
    }
}

static void require_tags(eddy_slice value) {
    bool weak;
    eddy_slice x = eddy_slice_of("\"x\"");
    int64_t len = eddy_http_etag_parse(value, &weak);
    if (len >= 0) {
        eddy_slice tag = eddy_slice_sub(value, 0, (size_t)len);
        REQUIRE(len >= 2 && (size_t)len <= value.len);
        REQUIRE(eddy_http_etag_alike(tag, tag));
        REQUIRE(eddy_http_etag_same(tag, tag) == !weak);
        REQUIRE(eddy_http_etag_listed(tag, tag, false) == 1);
        REQUIRE(eddy_http_etag_listed(tag, tag, true) == !weak);
    }
    int strong_match = eddy_http_etag_listed(value, x, true);
    int weak_match = eddy_http_etag_listed(value, x, false);
    REQUIRE((strong_match < 0) == (weak_match < 0));
    REQUIRE(strong_match <= weak_match);
}

/* `value` is that of each condition in turn. */
static void require_conditions(eddy_slice value, int64_t size) {
    static const char *const names[] = {"If-Match",          "If-None-Match",
                                        "If-Modified-Since", "If-Unmodified-Since",
                                        "If-Range",          "Range"};
    const eddy_http_validators now = {.etag = eddy_slice_of("\"x\""), .modified_s = 784111777};
    if (value.len > 4096 || memchr(value.data, '\0', value.len) != NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[8192] = "GET / HTTP/1.0\r\nRange: bytes=0-0\r\n";
        eddy_http_range ranges[CAP];
        eddy_http_head head;
        size_t len = strlen(text);
        size_t name_len = strlen(names[i]);
        memcpy(text + len, names[i], name_len);
        len += name_len;
        memcpy(text + len, ": ", 2);
        len += 2;
        memcpy(text + len, value.data, value.len);
        len += value.len;
        memcpy(text + len, "\r\n\r\n", 4);
        len += 4;
        eddy_http_head_init(&head, EDDY_HTTP_REQUEST, NULL);
        if (eddy_http_head_parse(&head, eddy_slice_from(text, len), NULL) < 0) {
            continue;
        }
        int status = eddy_http_condition_check(&head, &now, NOW);
        REQUIRE(status == 200 || status == 304 || status == 412);
        int64_t count = eddy_http_condition_ranges(&head, &now, NOW, size, ranges, CAP);
        REQUIRE(count == -ERANGE || (count >= 0 && count <= CAP));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const int64_t sizes[] = {0, 1, 10, 64, 1000, 1 << 30, INT64_MAX - 1, INT64_MAX};
    uint8_t choice = fuzz_byte(&data, &size);
    char *copy = fuzz_copy(eddy_slice_from(data, size));
    eddy_slice value = eddy_slice_from(copy, size);
    require_ranges(value, sizes[choice % 8], choice / 8 % CAP + 1);
    require_content_range(value);
    require_tags(value);
    require_conditions(value, sizes[choice % 8]);
    free(copy);
    return 0;
}
