/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eddy/net/http/head.h>

#include "test.h"

/* A literal with its NULs. */
#define BYTES(literal) eddy_slice_from((literal), sizeof(literal) - 1)

static int64_t parse_request(const char *text, eddy_http_head *head) {
    eddy_http_head_init(head, EDDY_HTTP_REQUEST, NULL);
    return eddy_http_head_parse(head, eddy_slice_of(text), NULL);
}

static int64_t parse_response(const char *text, eddy_http_head *head) {
    eddy_http_head_init(head, EDDY_HTTP_RESPONSE, NULL);
    return eddy_http_head_parse(head, eddy_slice_of(text), NULL);
}

#define CHECK_SLICE(got, wanted) check_slice((got), (wanted), __LINE__)

static void check_slice(eddy_slice got, const char *wanted, int line) {
    test_check_bytes(got.data, got.len, wanted, strlen(wanted), "slice", __FILE__, line);
}

/* --- what is read ----------------------------------------------------------------------------- */

TEST(request_is_taken_apart) {
    static const char text[] = "GET /a/b?c=d HTTP/1.1\r\n"
                               "Host: example.org:8080\r\n"
                               "Accept:*/*\r\n"
                               "X-Empty:\r\n"
                               "X-Blank: \t \r\n"
                               "x-inner: \t a \t b \t\r\n"
                               "X-High: \xc3\xa4\r\n"
                               "\r\nthe body";
    eddy_http_head head;
    CHECK_EQ(parse_request(text, &head), sizeof text - 1 - strlen("the body"));
    CHECK_EQ(head.len, sizeof text - 1 - strlen("the body"));
    CHECK_EQ(head.method, EDDY_HTTP_GET);
    CHECK_EQ(head.version, 11);
    CHECK_EQ(head.form, EDDY_HTTP_ORIGIN);
    CHECK_SLICE(head.method_name, "GET");
    CHECK_SLICE(head.target, "/a/b?c=d");
    CHECK_SLICE(head.host, "example.org:8080");
    CHECK_EQ(head.field_count, 6);
    static const char *const fields[][2] = {
        {"Host", "example.org:8080"}, {"Accept", "*/*"},      {"X-Empty", ""}, {"X-Blank", ""},
        {"x-inner", "a \t b"},        {"X-High", "\xc3\xa4"},
    };
    for (uint32_t i = 0; i < head.field_count; i++) {
        eddy_http_field field = eddy_http_head_field(&head, i);
        CHECK_SLICE(field.name, fields[i][0]);
        CHECK_SLICE(field.value, fields[i][1]);
        CHECK(field.name.data >= text && field.name.data < text + sizeof text);
    }
    CHECK_EQ(eddy_http_head_field(&head, 6).name.len, 0);
    CHECK_EQ(eddy_http_head_field(&head, UINT32_MAX).value.len, 0);
}

TEST(response_is_taken_apart) {
    eddy_http_head head;
    CHECK_EQ(parse_response("HTTP/1.0 404 Not  Found \xe4\t!\r\nA: b\r\n\r\n", &head), 37);
    CHECK_EQ(head.status, 404);
    CHECK_EQ(head.version, 10);
    CHECK_SLICE(head.reason, "Not  Found \xe4\t!");
    CHECK_EQ(head.field_count, 1);
}

TEST(response_may_have_no_fields_and_no_reason) {
    eddy_http_head head;
    CHECK_EQ(parse_response("HTTP/1.1 200 \r\n\r\n", &head), 17);
    CHECK_EQ(head.status, 200);
    CHECK_EQ(head.reason.len, 0);
    /* The forgotten space. */
    CHECK_EQ(parse_response("HTTP/1.1 999\r\n\r\n", &head), 16);
    CHECK_EQ(head.status, 999);
    CHECK_EQ(head.reason.len, 0);
}

TEST(trailers_are_fields_alone) {
    eddy_http_head head;
    eddy_slice value;
    eddy_http_head_init(&head, EDDY_HTTP_TRAILERS, NULL);
    CHECK_EQ(eddy_http_head_parse(&head, BYTES("Digest: x\r\n\r\nGET"), NULL), 13);
    CHECK(eddy_http_head_find(&head, "digest", &value));
    CHECK_SLICE(value, "x");
    eddy_http_head_init(&head, EDDY_HTTP_TRAILERS, NULL);
    CHECK_EQ(eddy_http_head_parse(&head, BYTES("\r\n"), NULL), 2);
    CHECK_EQ(head.field_count, 0);
    eddy_http_head_init(&head, EDDY_HTTP_TRAILERS, NULL);
    CHECK_ERR(eddy_http_head_parse(&head, BYTES("a b\r\n\r\n"), NULL), EDDY_EHTTP_BODY);
}

TEST(methods_are_known_by_their_exact_name) {
    static const char *const names[] = {"",       "GET",     "HEAD",    "POST",  "PUT",
                                        "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    for (int i = EDDY_HTTP_GET; i <= EDDY_HTTP_PATCH; i++) {
        CHECK_STR(eddy_http_method_text((enum eddy_http_method)i), names[i]);
        CHECK_EQ(eddy_http_method_of(eddy_slice_of(names[i])), i);
    }
    CHECK_STR(eddy_http_method_text(EDDY_HTTP_OTHER), "");
    CHECK_STR(eddy_http_method_text((enum eddy_http_method)1000), "");
    CHECK_EQ(eddy_http_method_of(eddy_slice_of("get")), EDDY_HTTP_OTHER);
    CHECK_EQ(eddy_http_method_of(eddy_slice_of("")), EDDY_HTTP_OTHER);
    CHECK_EQ(eddy_http_method_of(eddy_slice_of("GETX")), EDDY_HTTP_OTHER);
    eddy_http_head head;
    CHECK_OK(parse_request("M-SEARCH /x HTTP/1.0\r\n\r\n", &head));
    CHECK_EQ(head.method, EDDY_HTTP_OTHER);
    CHECK_SLICE(head.method_name, "M-SEARCH");
}

TEST(one_empty_line_before_a_request_is_skipped) {
    eddy_http_head head;
    CHECK_EQ(parse_request("\r\nGET / HTTP/1.0\r\n\r\n", &head), 20);
    CHECK_SLICE(head.method_name, "GET");
    CHECK_ERR(parse_request("\r\n\r\nGET / HTTP/1.0\r\n\r\n", &head), EDDY_EHTTP_REQUEST);
    CHECK_ERR(parse_request("\nGET / HTTP/1.0\r\n\r\n", &head), EDDY_EHTTP_REQUEST);
    CHECK_ERR(parse_response("\r\nHTTP/1.0 200 OK\r\n\r\n", &head), EDDY_EHTTP_RESPONSE);
}

TEST(fields_are_found_in_both_cases_and_in_their_order) {
    static const char text[] = "GET / HTTP/1.1\r\nhOST: h\r\nA: 1\r\nBB: 2\r\na: 3\r\n"
                               "Connection: TE, Close\r\nconnection: x\r\n\r\n";
    eddy_http_head head;
    eddy_slice value;
    uint32_t index = 0;
    CHECK_OK(parse_request(text, &head));
    CHECK(eddy_http_head_find(&head, "Host", &value));
    CHECK_SLICE(value, "h");
    CHECK(eddy_http_head_find(&head, "bb", &value));
    CHECK_SLICE(value, "2");
    value = eddy_slice_of("untouched");
    CHECK(!eddy_http_head_find(&head, "B", &value));
    CHECK(!eddy_http_head_find(&head, "", &value));
    CHECK(!eddy_http_head_find(&head, "BB:", &value));
    CHECK_SLICE(value, "untouched");
    CHECK(eddy_http_head_next(&head, "A", &index, &value));
    CHECK_SLICE(value, "1");
    CHECK_EQ(index, 2);
    CHECK(eddy_http_head_next(&head, "A", &index, &value));
    CHECK_SLICE(value, "3");
    CHECK(!eddy_http_head_next(&head, "A", &index, &value));
    CHECK_EQ(index, 4);
    CHECK(eddy_http_head_lists(&head, "Connection", "close"));
    CHECK(eddy_http_head_lists(&head, "Connection", "X"));
    CHECK(!eddy_http_head_lists(&head, "Connection", "keep-alive"));
    CHECK(!eddy_http_head_lists(&head, "Upgrade", "close"));
}

/* Against a search that knows nothing of bits: random names, so that bits collide. */
TEST(find_agrees_with_a_plain_search) {
    for (int round = 0; round < 300; round++) {
        char text[2048] = "";
        char names[40][4];
        size_t len = 0;
        eddy_http_head head;
        uint64_t count = test_random_below(20);
        for (int i = 0; i < 40; i++) {
            uint64_t name_len = 1 + test_random_below(3);
            memset(names[i], 0, sizeof names[i]);
            for (uint64_t k = 0; k < name_len; k++) {
                names[i][k] = "abAB-x"[test_random_below(6)];
            }
        }
        for (uint64_t i = 0; i < count; i++) {
            len += (size_t)snprintf(text + len, sizeof text - len, "%s: %d\r\n", names[i], (int)i);
        }
        snprintf(text + len, sizeof text - len, "\r\n");
        eddy_http_head_init(&head, EDDY_HTTP_TRAILERS, NULL);
        CHECK_OK(eddy_http_head_parse(&head, eddy_slice_of(text), NULL));
        for (int i = 0; i < 40; i++) {
            eddy_slice value;
            uint64_t wanted = 0;
            while (wanted < count && strcasecmp(names[wanted], names[i]) != 0) {
                wanted++;
            }
            CHECK_EQ(eddy_http_head_find(&head, names[i], &value), wanted < count);
            if (wanted < count) {
                CHECK_EQ(strtol(value.data, NULL, 10), wanted);
            }
        }
    }
}

TEST(a_head_follows_its_bytes) {
    char text[] = "PUT /x HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n";
    char other[sizeof text];
    eddy_http_head head;
    eddy_slice value;
    CHECK_OK(parse_request(text, &head));
    memcpy(other, text, sizeof text);
    memset(text, '!', sizeof text);
    eddy_http_head_move(&head, other);
    CHECK_SLICE(head.method_name, "PUT");
    CHECK_SLICE(head.target, "/x");
    CHECK_SLICE(head.host, "h");
    CHECK(eddy_http_head_find(&head, "a", &value));
    CHECK_SLICE(value, "b");
    char answer[] = "HTTP/1.1 200 Fine\r\n\r\n";
    CHECK_OK(parse_response("HTTP/1.1 200 Fine\r\n\r\n", &head));
    eddy_http_head_move(&head, answer);
    CHECK_PTR_EQ(head.reason.data, answer + 13);
}

TEST(a_finished_head_gives_its_answer_again) {
    static const char text[] = "GET / HTTP/1.0\r\n\r\n";
    eddy_http_head head;
    eddy_http_fault fault = {0};
    CHECK_EQ(parse_request(text, &head), 18);
    CHECK_EQ(eddy_http_head_parse(&head, BYTES("GET / HTTP/1.0\r\n\r\nmore"), &fault), 18);
    CHECK_EQ(fault.status, 0);
    CHECK_ERR(eddy_http_head_parse(&head, BYTES("GET /"), &fault), -EINVAL);
    CHECK_ERR(parse_request("GET /\x7f", &head), EDDY_EHTTP_REQUEST);
    CHECK_ERR(eddy_http_head_parse(&head, BYTES("GET /\x7f more"), &fault), EDDY_EHTTP_REQUEST);
    CHECK_EQ(fault.offset, 5);
    CHECK_EQ(fault.status, 400);
}

/* --- what is refused -------------------------------------------------------------------------- */

#define HOST "Host: h\r\n"
#define LINE "GET / HTTP/1.1\r\n" HOST

struct refused {
    eddy_slice text;
    int error;
    int status;
    int64_t offset;
};

#define REFUSED(text, error, status, offset) \
    { {(text), sizeof(text) - 1}, (error), (status), (offset) }
#define BAD(text, offset) REFUSED(text, EDDY_EHTTP_REQUEST, 400, offset)

static void check_refused(const struct refused *cases, size_t count, enum eddy_http_kind kind) {
    for (size_t i = 0; i < count; i++) {
        eddy_http_head head;
        eddy_http_fault fault = {0};
        eddy_http_head_init(&head, kind, NULL);
        int64_t r = eddy_http_head_parse(&head, cases[i].text, &fault);
        if (r != cases[i].error || fault.status != cases[i].status ||
            (int64_t)fault.offset != cases[i].offset || fault.text == NULL) {
            fprintf(stderr, "case %zu gave %lld, status %d, offset %zu (%s): %.*s\n", i,
                    (long long)r, fault.status, fault.offset, fault.text == NULL ? "" : fault.text,
                    (int)cases[i].text.len, cases[i].text.data);
            CHECK(false);
        }
    }
}

#define CHECK_REFUSED(cases, kind) check_refused((cases), sizeof(cases) / sizeof(cases)[0], (kind))

TEST(malformed_first_lines_are_refused) {
    static const struct refused cases[] = {
        BAD(" GET / HTTP/1.1\r\n" HOST "\r\n", 0),
        BAD("\tGET / HTTP/1.1\r\n" HOST "\r\n", 0),
        BAD("G\tET / HTTP/1.1\r\n" HOST "\r\n", 1),
        BAD("GET\t/ HTTP/1.1\r\n" HOST "\r\n", 3),
        BAD("GET  / HTTP/1.1\r\n" HOST "\r\n", 4),
        BAD("GET /  HTTP/1.1\r\n" HOST "\r\n", 6),
        BAD("GET / HTTP/1.1 \r\n" HOST "\r\n", 14),
        BAD("GET / HTTP/1.1\n" HOST "\r\n", 14),
        BAD("GET / HTTP/1.1\r" HOST "\r\n", 14),
        BAD("GET / HTTP/1.1\r\r\n" HOST "\r\n", 14),
        BAD("GET / HTTP/1.1\x0b\n" HOST "\r\n", 14),
        BAD("\n\nGET / HTTP/1.1\r\n" HOST "\r\n", 0),
        BAD("GET / HTTP/1.11\r\n" HOST "\r\n", 14),
        BAD("GET / HTTP/01.1\r\n" HOST "\r\n", 12),
        BAD("GET / http/1.1\r\n" HOST "\r\n", 6),
        BAD("GET / HTTP/1,1\r\n" HOST "\r\n", 12),
        BAD("GET / HTTP/-1.1\r\n" HOST "\r\n", 11),
        BAD("GET / HTTP 1.1\r\n" HOST "\r\n", 10),
        BAD("GET / ICAP/1.0\r\n" HOST "\r\n", 6),
        BAD("GET /\r\n", 5),
        BAD("GET\r\n", 3),
        BAD("GET /a b HTTP/1.1\r\n" HOST "\r\n", 7),
        BAD("GET /\0 HTTP/1.1\r\n" HOST "\r\n", 5),
        BAD("GET /\x80 HTTP/1.1\r\n" HOST "\r\n", 5),
        BAD("GET /\x7f HTTP/1.1\r\n" HOST "\r\n", 5),
        BAD("GET /#f HTTP/1.1\r\n" HOST "\r\n", 5),
        BAD("GET /\"> HTTP/1.1\r\n" HOST "\r\n", 5),
        BAD("GET /<b> HTTP/1.1\r\n" HOST "\r\n", 5),
        BAD("G@T / HTTP/1.1\r\n" HOST "\r\n", 1),
        BAD("(GET) / HTTP/1.1\r\n" HOST "\r\n", 0),
        BAD("\0GET / HTTP/1.1\r\n" HOST "\r\n", 0),
        BAD("\r\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0),
        BAD("\x16\x03\x01", 0), /* the first bytes of TLS */
        REFUSED("GET / HTTP/2.0\r\n" HOST "\r\n", EDDY_EHTTP_VERSION, 505, 11),
        REFUSED("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", EDDY_EHTTP_REQUEST, 400, 4),
        REFUSED("GET / HTTP/1.2\r\n" HOST "\r\n", EDDY_EHTTP_VERSION, 505, 11),
        REFUSED("GET / HTTP/0.9\r\n" HOST "\r\n", EDDY_EHTTP_VERSION, 505, 11),
        REFUSED("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n" HOST "\r\n", EDDY_EHTTP_REQUEST,
                501, 32),
    };
    CHECK_REFUSED(cases, EDDY_HTTP_REQUEST);
}

TEST(malformed_fields_are_refused) {
    static const struct refused cases[] = {
        BAD(LINE "A : b\r\n\r\n", 26), /* white space before the colon */
        BAD(LINE "A\t: b\r\n\r\n", 26),
        BAD(LINE " A: b\r\n\r\n", 25), /* white space at the start of a line */
        BAD("GET / HTTP/1.1\r\n " HOST "\r\n", 16),
        BAD(LINE "A: b\r\n c\r\n\r\n", 31), /* obs-fold */
        BAD(LINE "A: b\r\n\tc\r\n\r\n", 31),
        BAD(LINE "A: b\r\n \r\n\r\n", 31),
        BAD(LINE "A: b\n\r\n", 29), /* bare LF */
        BAD(LINE "A: b\r\n\n", 31),
        BAD(LINE "\n", 25),
        BAD(LINE "A: b\rc\r\n\r\n", 29), /* bare CR */
        BAD(LINE "A: b\r\r\n\r\n", 29),
        BAD(LINE "A: b\r\n\rX\n", 31),
        BAD(LINE "A: b\0c\r\n\r\n", 29), /* NUL */
        BAD(LINE "A\0: b\r\n\r\n", 26),
        BAD(LINE "\0\r\n\r\n", 25),
        BAD(LINE "A: b\x01\r\n\r\n", 29),
        BAD(LINE "A: b\x0b\r\n\r\n", 29), /* vertical tab, which others take for white space */
        BAD(LINE "A: b\x7f\r\n\r\n", 29),
        BAD(LINE "A: b\x01\n\r\n", 29), /* where a CR would stand */
        BAD(LINE "A: b\0\n\r\n", 29),
        BAD(LINE "A: b\n\n\r\n", 29),
        BAD(LINE "\n\n", 25),
        BAD(LINE ": b\r\n\r\n", 25),
        BAD(LINE "A\r\n\r\n", 26),
        BAD(LINE "A b: c\r\n\r\n", 26),
        BAD(LINE "\x84: c\r\n\r\n", 25),
        BAD(LINE "A\xc3\xa4: c\r\n\r\n", 26),
        BAD(LINE "A(): c\r\n\r\n", 26),
        BAD(LINE "\"A\": c\r\n\r\n", 25),
    };
    CHECK_REFUSED(cases, EDDY_HTTP_REQUEST);
    eddy_http_head head;
    CHECK_ERR(parse_request(LINE "A: b\r\n\r", &head), -EAGAIN);
}

TEST(a_request_of_1_1_has_one_host) {
    static const struct refused cases[] = {
        BAD("GET / HTTP/1.1\r\n\r\n", 18),
        BAD("GET / HTTP/1.1\r\nHosts: h\r\n\r\n", 28),
        BAD("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 31),
        BAD("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 31),
        BAD("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 31),
        BAD("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 22),
        BAD("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 22),
        BAD("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 22),
        BAD("GET / HTTP/1.1\r\nHost: h?\r\n\r\n", 22),
        BAD("GET / HTTP/1.1\r\nHost: h:x\r\n\r\n", 22),
        BAD("GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", 22),
        BAD("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 22),
        BAD("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 22),
        BAD("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 22),
        BAD("GET / HTTP/1.1\r\nHost: h%zz\r\n\r\n", 22),
        BAD("GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", 22),
        BAD("GET http://a/ HTTP/1.1\r\n\r\n", 26),
        BAD("GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n", 30),
    };
    static const char *const fine[] = {"",           "h",         "h:",          "h:80",
                                       "h:0",        "h:65535",   "127.0.0.1:1", "[::1]",
                                       "[::1]:8080", "a.b-c_d~e", "h%C3%A4.x",   "xn--h.example."};
    CHECK_REFUSED(cases, EDDY_HTTP_REQUEST);
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        char text[100];
        eddy_http_head head;
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", fine[i]);
        CHECK_OK(parse_request(text, &head));
        CHECK_SLICE(head.host, fine[i]);
    }
    eddy_http_head head;
    CHECK_OK(parse_request("GET / HTTP/1.0\r\n\r\n", &head));
    CHECK_EQ(head.host.len, 0);
}

TEST(a_target_has_a_form_of_its_method) {
    static const struct {
        const char *line;
        int form; /* or -1: refused */
        const char *host;
    } cases[] = {
        {"GET /", EDDY_HTTP_ORIGIN, "h"},
        {"GET //x", EDDY_HTTP_ORIGIN, "h"},
        {"GET /a|{}^`\\[]", EDDY_HTTP_ORIGIN, "h"},
        {"OPTIONS /", EDDY_HTTP_ORIGIN, "h"},
        {"OPTIONS *", EDDY_HTTP_ASTERISK, "h"},
        {"GET http://a.b:80/x?y", EDDY_HTTP_ABSOLUTE, "a.b:80"},
        {"GET https://a.b", EDDY_HTTP_ABSOLUTE, "a.b"},
        {"GET HTTP://A", EDDY_HTTP_ABSOLUTE, "A"},
        {"OPTIONS http://a.b", EDDY_HTTP_ABSOLUTE, "a.b"},
        {"CONNECT a.b:443", EDDY_HTTP_AUTHORITY, "a.b:443"},
        {"CONNECT [::1]:443", EDDY_HTTP_AUTHORITY, "[::1]:443"},
        {"GET *", -1, NULL},
        {"GET x", -1, NULL},
        {"GET ?x", -1, NULL},
        {"GET a.b:443", -1, NULL},
        {"GET http:/x", -1, NULL},
        {"GET http://", -1, NULL},
        {"GET http:///x", -1, NULL},
        {"GET http://u:p@a/", -1, NULL},
        {"GET http://a:port/", -1, NULL},
        {"GET 1ttp://a/", -1, NULL},
        {"GET ://a/", -1, NULL},
        {"OPTIONS **", -1, NULL},
        {"OPTIONS a:1", -1, NULL},
        {"CONNECT /", -1, NULL},
        {"CONNECT *", -1, NULL},
        {"CONNECT a.b", -1, NULL},
        {"CONNECT a.b:", -1, NULL},
        {"CONNECT :443", -1, NULL},
        {"CONNECT http://a.b:443", -1, NULL},
        {"CONNECT u@a.b:443", -1, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[100];
        eddy_http_head head;
        snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: h\r\n\r\n", cases[i].line);
        int64_t r = parse_request(text, &head);
        if (r != (cases[i].form < 0 ? EDDY_EHTTP_REQUEST : (int64_t)strlen(text))) {
            fprintf(stderr, "%s gave %lld\n", cases[i].line, (long long)r);
            CHECK(false);
        }
        if (r >= 0) {
            CHECK_EQ(head.form, cases[i].form);
            CHECK_SLICE(head.host, cases[i].host);
            CHECK_SLICE(head.target, strchr(cases[i].line, ' ') + 1);
        }
    }
}

TEST(malformed_responses_are_refused) {
#define BAD_ANSWER(text, offset) REFUSED(text, EDDY_EHTTP_RESPONSE, 400, offset)
    static const struct refused cases[] = {
        BAD_ANSWER("HTTP/1.1  200 OK\r\n\r\n", 9),
        BAD_ANSWER("HTTP/1.1 20 OK\r\n\r\n", 11),
        BAD_ANSWER("HTTP/1.1 2000 OK\r\n\r\n", 12),
        BAD_ANSWER("HTTP/1.1 099 OK\r\n\r\n", 9),
        BAD_ANSWER("HTTP/1.1 +20 OK\r\n\r\n", 9),
        BAD_ANSWER("HTTP/1.1 200\tOK\r\n\r\n", 12),
        BAD_ANSWER("HTTP/1.1\r\n\r\n", 8),
        BAD_ANSWER("HTTP/1.1 200 O\nK\r\n\r\n", 14),
        BAD_ANSWER("HTTP/1.1 200 O\rK\r\n\r\n", 14),
        BAD_ANSWER("HTTP/1.1 200 O\0K\r\n\r\n", 14),
        BAD_ANSWER("HTTP/1.1 200 OK\0\n\r\n", 15),
        BAD_ANSWER("HTTP/1.1 200\n\n\r\n", 12),
        BAD_ANSWER("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", 18),
        BAD_ANSWER("ICY 200 OK\r\n\r\n", 0),
        BAD_ANSWER("http/1.1 200 OK\r\n\r\n", 0),
        REFUSED("HTTP/2.0 200 OK\r\n\r\n", EDDY_EHTTP_VERSION, 505, 5),
        REFUSED("HTTP/1.2 200 OK\r\n\r\n", EDDY_EHTTP_VERSION, 505, 5),
    };
    CHECK_REFUSED(cases, EDDY_HTTP_RESPONSE);
}

/* --- limits ----------------------------------------------------------------------------------- */

static int64_t parse_within(eddy_slice text, uint32_t head_bytes, uint32_t target_bytes,
                            uint32_t fields, eddy_http_fault *fault) {
    eddy_http_head head;
    const eddy_http_limits limits = {
        .head_bytes = head_bytes, .target_bytes = target_bytes, .fields = fields};
    eddy_http_head_init(&head, EDDY_HTTP_REQUEST, &limits);
    return eddy_http_head_parse(&head, text, fault);
}

TEST(limits_are_met_and_not_passed) {
    static const char text[] = "GET /12345 HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n";
    uint32_t len = sizeof text - 1;
    eddy_slice input = BYTES(text);
    eddy_http_fault fault;
    CHECK_EQ(parse_within(input, len, 6, 2, &fault), len);
    CHECK_ERR(parse_within(input, len - 1, 6, 2, &fault), EDDY_EHTTP_TOO_LARGE);
    CHECK_EQ(fault.status, 431);
    CHECK_EQ(fault.offset, len - 1);
    CHECK_ERR(parse_within(input, len, 5, 2, &fault), EDDY_EHTTP_TOO_LARGE);
    CHECK_EQ(fault.status, 414);
    CHECK_EQ(fault.offset, 9);
    CHECK_ERR(parse_within(input, len, 6, 1, &fault), EDDY_EHTTP_TOO_LARGE);
    CHECK_EQ(fault.status, 431);
    CHECK_EQ(fault.offset, 30);
    /* The head ends within the target. */
    CHECK_ERR(parse_within(input, 8, 100, 2, &fault), EDDY_EHTTP_TOO_LARGE);
    CHECK_EQ(fault.status, 414);
    /* An error before the limit counts before it. */
    CHECK_ERR(parse_within(BYTES("GET /\n123456789"), 10, 5, 2, &fault), EDDY_EHTTP_REQUEST);
    /* Nothing says so early that more than the limit has come. */
    CHECK_ERR(parse_within(eddy_slice_sub(input, 0, len - 2), len - 1, 6, 2, &fault), -EAGAIN);
}

TEST(usual_limits) {
    char *text = malloc(64 * 1024);
    eddy_http_fault fault;
    eddy_http_head head;
    memset(text, 'a', 64 * 1024);
    memcpy(text, "GET /", 5);
    CHECK_ERR(parse_within(eddy_slice_from(text, 4 + 8192), 0, 0, 0, &fault), -EAGAIN);
    CHECK_ERR(parse_within(eddy_slice_from(text, 4 + 8193), 0, 0, 0, &fault), EDDY_EHTTP_TOO_LARGE);
    CHECK_EQ(fault.status, 414);
    memcpy(text, "GET / HTTP/1.1\r\nA: ", 19);
    CHECK_ERR(parse_within(eddy_slice_from(text, 32767), 0, 0, 0, &fault), -EAGAIN);
    CHECK_ERR(parse_within(eddy_slice_from(text, 32768), 0, 0, 0, &fault), EDDY_EHTTP_TOO_LARGE);
    CHECK_EQ(fault.status, 431);
    size_t len = (size_t)snprintf(text, 64 * 1024, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 1; i < EDDY_HTTP_FIELDS_MAX; i++) {
        len += (size_t)snprintf(text + len, 64 * 1024 - len, "A%d: b\r\n", i);
    }
    memcpy(text + len, "\r\n", 2);
    CHECK_EQ(parse_within(eddy_slice_from(text, len + 2), 0, 0, 0, &fault), len + 2);
    memcpy(text + len, "x: y\r\n\r\n", 8);
    CHECK_ERR(parse_within(eddy_slice_from(text, len + 8), 0, 0, 0, &fault), EDDY_EHTTP_TOO_LARGE);
    /* More fields than a head has room for cannot be asked for. */
    CHECK_ERR(parse_within(eddy_slice_from(text, len + 8), 0, 0, 5000, &fault),
              EDDY_EHTTP_TOO_LARGE);
    const eddy_http_limits limits = {.head_bytes = UINT32_MAX};
    eddy_http_head_init(&head, EDDY_HTTP_REQUEST, &limits);
    CHECK_EQ(head.head_max, 1 << 30);
    free(text);
}

/* --- pieces ----------------------------------------------------------------------------------- */

static void check_same_head(const eddy_http_head *a, const eddy_http_head *b) {
    CHECK_EQ(a->len, b->len);
    CHECK_EQ(a->version, b->version);
    CHECK_EQ(a->method, b->method);
    CHECK_EQ(a->form, b->form);
    CHECK_EQ(a->status, b->status);
    CHECK(eddy_slice_equal(a->method_name, b->method_name));
    CHECK(eddy_slice_equal(a->target, b->target));
    CHECK(eddy_slice_equal(a->host, b->host));
    CHECK(eddy_slice_equal(a->reason, b->reason));
    CHECK_EQ(a->field_count, b->field_count);
    for (uint32_t i = 0; i < a->field_count; i++) {
        eddy_http_field field = eddy_http_head_field(a, i);
        eddy_http_field other = eddy_http_head_field(b, i);
        CHECK(eddy_slice_equal(field.name, other.name));
        CHECK(eddy_slice_equal(field.value, other.value));
    }
}

/* Gives a head `len` bytes of `text`, in memory that is exactly so large and goes afterwards unless
 * it is returned. */
static int64_t parse_copy(eddy_http_head *head, eddy_slice text, size_t len, char **ret_copy,
                          eddy_http_fault *fault) {
    char *copy = malloc(len == 0 ? 1 : len);
    memcpy(copy, text.data, len);
    int64_t r = eddy_http_head_parse(head, eddy_slice_from(copy, len), fault);
    if (r >= 0 && ret_copy != NULL) {
        *ret_copy = copy;
    } else {
        memset(copy, 0, len);
        free(copy);
    }
    return r;
}

static void check_pieces(enum eddy_http_kind kind, eddy_slice text, size_t first, size_t step) {
    eddy_http_head whole;
    eddy_http_head head;
    eddy_http_fault whole_fault = {0};
    eddy_http_fault fault = {0};
    char *copy = NULL;
    int64_t r = -EAGAIN;
    eddy_http_head_init(&whole, kind, NULL);
    eddy_http_head_init(&head, kind, NULL);
    int64_t wanted = eddy_http_head_parse(&whole, text, &whole_fault);
    for (size_t len = first; r == -EAGAIN; len = len + step < text.len ? len + step : text.len) {
        r = parse_copy(&head, text, len, &copy, &fault);
        if (len == text.len) {
            break;
        }
    }
    if (r != wanted) {
        fprintf(stderr, "from %zu by %zu: %lld (%s)\n", first, step, (long long)r, text.data);
    }
    CHECK_EQ(r, wanted);
    CHECK_EQ(fault.status, whole_fault.status);
    CHECK_EQ(fault.offset, whole_fault.offset);
    CHECK_STR(fault.text, whole_fault.text);
    if (r >= 0) {
        check_same_head(&head, &whole);
        free(copy);
    }
}

TEST(pieces_give_what_the_whole_gives) {
    static const struct {
        enum eddy_http_kind kind;
        eddy_slice text;
    } cases[] = {
#define PIECES(kind, text) \
    { \
        kind, { \
            (text), sizeof(text) - 1 \
        } \
    }
        PIECES(EDDY_HTTP_REQUEST,
               "\r\nOPTIONS http://a.b:8/c?d HTTP/1.1\r\nHost: x\r\nAccept: "
               "text/html, */*;q=0.8\r\nCookie:\t a=b; \tc \t\r\nE:\r\n\r\nmore"),
        PIECES(EDDY_HTTP_REQUEST, "CONNECT a:1 HTTP/1.0\r\n\r\n"),
        PIECES(EDDY_HTTP_REQUEST, "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"),
        PIECES(EDDY_HTTP_REQUEST, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"),
        PIECES(EDDY_HTTP_REQUEST, "GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n"),
        PIECES(EDDY_HTTP_REQUEST, "GET / HTTP/1.1\r\nHost: a\r\nX: y\nz\r\n\r\n"),
        PIECES(EDDY_HTTP_REQUEST, "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"),
        PIECES(EDDY_HTTP_REQUEST, "GET / HTTP/1.3\r\nHost: a\r\n\r\n"),
        PIECES(EDDY_HTTP_REQUEST, "GET / HTTP/1.x\r\nHost: a\r\n\r\n"),
        PIECES(EDDY_HTTP_REQUEST, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        PIECES(EDDY_HTTP_REQUEST, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHI\x01"),
        PIECES(EDDY_HTTP_REQUEST, "\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        PIECES(EDDY_HTTP_REQUEST, "\r\rGET"),
        PIECES(EDDY_HTTP_REQUEST, "GET / HTTP/1.1\r\nHost: a\r\n\rX"),
        PIECES(EDDY_HTTP_REQUEST, "GET / HTTP/1.1\r\nHost: a\r\nnot complete: "),
        PIECES(EDDY_HTTP_RESPONSE, "HTTP/1.1 206 Partial Content\r\nA: b\r\nC: d\r\n\r\nbody"),
        PIECES(EDDY_HTTP_RESPONSE, "HTTP/1.0 404\r\n\r\n"),
        PIECES(EDDY_HTTP_RESPONSE, "HTTP/1.1 0404 X\r\n\r\n"),
        PIECES(EDDY_HTTP_RESPONSE, "HTTP/1.1 404X\r\n\r\n"),
        PIECES(EDDY_HTTP_TRAILERS, "A: b\r\nC: d\r\n\r\nHTTP/1.1"),
        PIECES(EDDY_HTTP_TRAILERS, "A: b\r\n\nHTTP/1.1"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t first = 0; first <= cases[i].text.len; first++) {
            check_pieces(cases[i].kind, cases[i].text, first, cases[i].text.len);
            check_pieces(cases[i].kind, cases[i].text, first, 1);
        }
        check_pieces(cases[i].kind, cases[i].text, 0, 7);
    }
}

TEST(limits_do_not_depend_on_pieces) {
    static const char text[] = "GET /12345 HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n";
    for (uint32_t head_bytes = 1; head_bytes <= sizeof text; head_bytes++) {
        for (uint32_t target_bytes = 1; target_bytes < 8; target_bytes++) {
            const eddy_http_limits limits = {
                .head_bytes = head_bytes, .target_bytes = target_bytes, .fields = head_bytes % 3};
            eddy_http_fault whole_fault = {0};
            eddy_http_fault fault = {0};
            int64_t whole =
                parse_within(BYTES(text), head_bytes, target_bytes, limits.fields, &whole_fault);
            eddy_http_head head;
            int64_t r = -EAGAIN;
            eddy_http_head_init(&head, EDDY_HTTP_REQUEST, &limits);
            for (size_t len = 0; r == -EAGAIN && len < sizeof text; len++) {
                r = eddy_http_head_parse(&head, eddy_slice_from(text, len), &fault);
            }
            CHECK_EQ(r, whole);
            CHECK_EQ(fault.status, whole_fault.status);
            CHECK_EQ(fault.offset, whole_fault.offset);
        }
    }
}

/* A parser that began again with each byte would look at 8 * 10^9 bytes here, and time out. */
TEST(a_head_that_comes_byte_by_byte_costs_no_more) {
    size_t len = 128 * 1024;
    char *text = malloc(len);
    const eddy_http_limits limits = {.head_bytes = 256 * 1024, .target_bytes = 256 * 1024};
    for (int line = 0; line < 2; line++) {
        eddy_http_head head;
        memset(text, 'a', len);
        if (line == 0) {
            memcpy(text, "GET /", 5);
        } else {
            memcpy(text, "GET / HTTP/1.1\r\nA: ", 19);
        }
        eddy_http_head_init(&head, EDDY_HTTP_REQUEST, &limits);
        for (size_t i = 0; i <= len; i++) {
            CHECK_ERR(eddy_http_head_parse(&head, eddy_slice_from(text, i), NULL), -EAGAIN);
            CHECK_EQ(head.at, i);
        }
    }
    free(text);
}
