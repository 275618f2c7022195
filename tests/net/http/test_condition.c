/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <eddy/net/http/condition.h>

#include "test.h"

#define S eddy_slice_of

/* 784111777 is Sun, 06 Nov 1994 08:49:37 GMT; the others are a second before and after. */
#define MODIFIED 784111777
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define EQUAL "Sun, 06 Nov 1994 08:49:37 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"
#define NOW 1700000000

static void parse(const char *method, const char *fields, eddy_http_head *head) {
    static char text[1024];
    snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: h\r\n%s\r\n", method, fields);
    eddy_http_head_init(head, EDDY_HTTP_REQUEST, NULL);
    CHECK_OK(eddy_http_head_parse(head, S(text), NULL));
}

static int check(const char *method, const char *fields, const eddy_http_validators *validators) {
    eddy_http_head head;
    parse(method, fields, &head);
    return eddy_http_condition_check(&head, validators, NOW);
}

TEST(conditions_lead_to_a_status) {
    const eddy_http_validators now = {.etag = S("\"x\""), .modified_s = MODIFIED};
    static const struct {
        const char *fields;
        int get;
        int put;
    } cases[] = {
        {"", 200, 200},
        {"If-Match: \"x\"\r\n", 200, 200},
        {"If-Match: \"a\", \"x\"\r\n", 200, 200},
        {"If-Match: \"a\"\r\nif-match: \"x\"\r\n", 200, 200},
        {"If-Match: *\r\n", 200, 200},
        {"If-Match: \"a\"\r\n", 412, 412},
        {"If-Match: W/\"x\"\r\n", 412, 412}, /* strong */
        {"If-Match: x\r\n", 412, 412},
        {"If-Match:\r\n", 412, 412},
        {"If-None-Match: \"x\"\r\n", 304, 412},
        {"If-None-Match: W/\"x\"\r\n", 304, 412}, /* weak */
        {"If-None-Match: \"a\", \"x\"\r\n", 304, 412},
        {"If-None-Match: *\r\n", 304, 412},
        {"If-None-Match: \"a\"\r\n", 200, 200},
        {"If-None-Match: x\r\n", 200, 200},
        {"If-Modified-Since: " BEFORE "\r\n", 200, 200},
        {"If-Modified-Since: " EQUAL "\r\n", 304, 200},
        {"If-Modified-Since: " AFTER "\r\n", 304, 200},
        {"If-Modified-Since: yesterday\r\n", 200, 200},
        {"If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n", 304, 200},
        {"If-Modified-Since: " EQUAL "\r\nIf-Modified-Since: " EQUAL "\r\n", 200, 200},
        {"If-Unmodified-Since: " BEFORE "\r\n", 412, 412},
        {"If-Unmodified-Since: " EQUAL "\r\n", 200, 200},
        {"If-Unmodified-Since: " AFTER "\r\n", 200, 200},
        {"If-Unmodified-Since: yesterday\r\n", 200, 200},
        /* Tags count before dates... */
        {"If-Match: \"x\"\r\nIf-Unmodified-Since: " BEFORE "\r\n", 200, 200},
        {"If-None-Match: \"a\"\r\nIf-Modified-Since: " EQUAL "\r\n", 200, 200},
        {"If-None-Match: \"x\"\r\nIf-Modified-Since: " BEFORE "\r\n", 304, 412},
        /* ... and what must hold before what must not. */
        {"If-Match: \"a\"\r\nIf-None-Match: \"x\"\r\n", 412, 412},
        {"If-Match: \"x\"\r\nIf-None-Match: \"x\"\r\n", 304, 412},
        {"If-Match: \"x\"\r\nIf-Modified-Since: " EQUAL "\r\n", 304, 200},
        {"If-Unmodified-Since: " BEFORE "\r\nIf-None-Match: \"x\"\r\n", 412, 412},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int get = check("GET", cases[i].fields, &now);
        int put = check("PUT", cases[i].fields, &now);
        if (get != cases[i].get || put != cases[i].put) {
            fprintf(stderr, "GET %d, PUT %d: %s\n", get, put, cases[i].fields);
        }
        CHECK_EQ(get, cases[i].get);
        CHECK_EQ(put, cases[i].put);
        CHECK_EQ(check("HEAD", cases[i].fields, &now), cases[i].get);
        CHECK_EQ(check("OPTIONS", cases[i].fields, &now), 200);
        CHECK_EQ(check("TRACE", cases[i].fields, &now), 200);
    }
}

TEST(without_validators_only_presence_counts) {
    const eddy_http_validators bare = {.modified_s = EDDY_HTTP_NO_DATE};
    CHECK_EQ(check("GET", "If-Match: *\r\n", &bare), 200);
    CHECK_EQ(check("GET", "If-Match: \"x\"\r\n", &bare), 412);
    CHECK_EQ(check("GET", "If-None-Match: *\r\n", &bare), 304);
    CHECK_EQ(check("GET", "If-None-Match: \"x\"\r\n", &bare), 200);
    CHECK_EQ(check("GET", "If-Modified-Since: " AFTER "\r\n", &bare), 200);
    CHECK_EQ(check("GET", "If-Unmodified-Since: " BEFORE "\r\n", &bare), 200);
}

TEST(what_is_absent_matches_nothing) {
    const eddy_http_validators none = {.absent = true};
    CHECK_EQ(check("PUT", "If-Match: *\r\n", &none), 412);
    CHECK_EQ(check("PUT", "If-Match: \"x\"\r\n", &none), 412);
    CHECK_EQ(check("PUT", "If-None-Match: *\r\n", &none), 200);
    CHECK_EQ(check("PUT", "If-Unmodified-Since: " BEFORE "\r\n", &none), 200);
    CHECK_EQ(check("GET", "If-Modified-Since: " AFTER "\r\n", &none), 200);
}

static int64_t ranges_of(const char *method, const char *fields,
                         const eddy_http_validators *validators) {
    eddy_http_head head;
    eddy_http_range ranges[4];
    parse(method, fields, &head);
    return eddy_http_condition_ranges(&head, validators, NOW, 100, ranges, 4);
}

TEST(ranges_count_only_where_they_may) {
    const eddy_http_validators now = {.etag = S("\"x\""), .modified_s = MODIFIED};
    const eddy_http_validators weak = {.etag = S("W/\"x\""), .modified_s = EDDY_HTTP_NO_DATE};
    const eddy_http_validators none = {.absent = true};
    CHECK_EQ(ranges_of("GET", "", &now), 0);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4\r\n", &now), 1);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4,9-9\r\n", &now), 2);
    CHECK_ERR(ranges_of("GET", "Range: bytes=100-\r\n", &now), -ERANGE);
    CHECK_EQ(ranges_of("HEAD", "Range: bytes=0-4\r\n", &now), 0);
    CHECK_EQ(ranges_of("POST", "Range: bytes=0-4\r\n", &now), 0);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4\r\nRange: bytes=5-6\r\n", &now), 0);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4\r\n", &none), 0);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4\r\nIf-Range: \"x\"\r\n", &now), 1);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4\r\nIf-Range: \"a\"\r\n", &now), 0);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4\r\nIf-Range: W/\"x\"\r\n", &now), 0);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4\r\nIf-Range: \"x\", \"a\"\r\n", &now), 0);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4\r\nIf-Range: W/\"x\"\r\n", &weak), 0);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4\r\nIf-Range: " EQUAL "\r\n", &now), 1);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4\r\nIf-Range: " AFTER "\r\n", &now), 0);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4\r\nIf-Range: " BEFORE "\r\n", &now), 0);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4\r\nIf-Range: " EQUAL "\r\n", &weak), 0);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4\r\nIf-Range:\r\n", &now), 0);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4\r\nIf-Range: yesterday\r\n", &now), 0);
    CHECK_EQ(ranges_of("GET", "Range: bytes=0-4\r\nIf-Range: \"x\"\r\nIf-Range: \"a\"\r\n", &now),
             0);
    /* A condition on nothing. */
    CHECK_EQ(ranges_of("GET", "If-Range: \"x\"\r\n", &now), 0);
}
