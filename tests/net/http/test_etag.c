/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <eddy/net/http/etag.h>

#include "test.h"

#define S eddy_slice_of

TEST(tags_are_read_from_the_front) {
    bool weak = true;
    CHECK_EQ(eddy_http_etag_parse(S("\"abc\", \"d\""), &weak), 5);
    CHECK(!weak);
    CHECK_EQ(eddy_http_etag_parse(S("W/\"abc\""), &weak), 7);
    CHECK(weak);
    CHECK_EQ(eddy_http_etag_parse(S("\"\""), &weak), 2);
    CHECK_EQ(eddy_http_etag_parse(S("\"!#'\\,\xff\""), &weak), 8);
}

TEST(what_is_no_tag_is_refused) {
    static const char *const cases[] = {"",        "abc",       "\"",        "\"abc",  "W/",
                                        "W/abc",   "w/\"abc\"", "W\"abc\"",  "'abc'",  "*",
                                        "\"a b\"", "\"a\tb\"",  "\"a\x7f\"", " \"a\"", "W/ \"a\""};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool weak;
        CHECK_ERR(eddy_http_etag_parse(S(cases[i]), &weak), EDDY_ESYNTAX);
        CHECK(!eddy_http_etag_same(S(cases[i]), S(cases[i])));
        CHECK(!eddy_http_etag_alike(S(cases[i]), S(cases[i])));
    }
    bool weak;
    CHECK_ERR(eddy_http_etag_parse(eddy_slice_from("\"a\0\"", 4), &weak), EDDY_ESYNTAX);
    CHECK(!eddy_http_etag_same(S("\"a\" "), S("\"a\" ")));
}

/* The table of RFC 9110 8.8.3.2. */
TEST(tags_compare_strongly_and_weakly) {
    static const struct {
        const char *a;
        const char *b;
        bool same;
        bool alike;
    } cases[] = {
        {"W/\"1\"", "W/\"1\"", false, true}, {"W/\"1\"", "W/\"2\"", false, false},
        {"W/\"1\"", "\"1\"", false, true},   {"\"1\"", "\"1\"", true, true},
        {"\"1\"", "\"2\"", false, false},    {"\"a\"", "\"A\"", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_EQ(eddy_http_etag_same(S(cases[i].a), S(cases[i].b)), cases[i].same);
        CHECK_EQ(eddy_http_etag_same(S(cases[i].b), S(cases[i].a)), cases[i].same);
        CHECK_EQ(eddy_http_etag_alike(S(cases[i].a), S(cases[i].b)), cases[i].alike);
        CHECK_EQ(eddy_http_etag_alike(S(cases[i].b), S(cases[i].a)), cases[i].alike);
    }
}

TEST(tags_are_found_in_lists) {
    static const struct {
        const char *list;
        int strong;
        int weak;
    } cases[] = {
        {"\"x\"", 1, 1},
        {"W/\"x\"", 0, 1},
        {"\"a\", \"x\"", 1, 1},
        {"\"a\",\"x\"", 1, 1},
        {" , \"a\" ,, W/\"x\" ,\t", 0, 1},
        {"\"a\"", 0, 0},
        {"", 0, 0},
        {"\"a,\"", 0, 0},
        {"\",\", \"x\"", 1, 1}, /* a comma in a tag parts nothing */
        {"*", EDDY_ESYNTAX, EDDY_ESYNTAX},
        {"\"x\" \"a\"", EDDY_ESYNTAX, EDDY_ESYNTAX},
        {"\"x\", a", EDDY_ESYNTAX, EDDY_ESYNTAX},
        {"\"x\", *", EDDY_ESYNTAX, EDDY_ESYNTAX},
        {"\"x\", \"a", EDDY_ESYNTAX, EDDY_ESYNTAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_EQ(eddy_http_etag_listed(S(cases[i].list), S("\"x\""), true), cases[i].strong);
        CHECK_EQ(eddy_http_etag_listed(S(cases[i].list), S("\"x\""), false), cases[i].weak);
    }
}

TEST(tags_of_files_are_tags) {
    static const int64_t values[] = {0, 1, -1, 1700000000123456789, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char etag[EDDY_HTTP_ETAG_MAX];
        bool weak = true;
        int len = eddy_http_etag_format(values[i], values[i], etag);
        CHECK_EQ(len, strlen(etag));
        CHECK_EQ(eddy_http_etag_parse(S(etag), &weak), len);
        CHECK(!weak);
    }
    char etag[EDDY_HTTP_ETAG_MAX];
    eddy_http_etag_format(0x1234, 0xab, etag);
    CHECK_STR(etag, "\"1234-ab\"");
}
