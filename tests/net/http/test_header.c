/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <eddy/net/http/header.h>

#include "test.h"

#define S eddy_slice_of

TEST(tokens_are_made_of_their_characters) {
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (int i = 0; i < 256; i++) {
        char byte = (char)i;
        bool wanted = (i >= '0' && i <= '9') || (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z') ||
                      (i != 0 && strchr(others, i) != NULL);
        CHECK_EQ(eddy_http_is_token(eddy_slice_from(&byte, 1)), wanted);
    }
    CHECK(eddy_http_is_token(S("Content-Length")));
    CHECK(!eddy_http_is_token(S("")));
    CHECK(!eddy_http_is_token(eddy_slice_from(NULL, 0)));
    CHECK(!eddy_http_is_token(S("a b")));
}

/* Each byte at each place of eight and more: values are read in words where they can be. */
TEST(values_hold_no_controls_but_the_tab) {
    for (size_t len = 1; len <= 20; len++) {
        for (size_t at = 0; at < len; at++) {
            for (int i = 0; i < 256; i++) {
                char text[20];
                memset(text, at % 2 == 0 ? 'a' : '\xe4', sizeof text);
                text[at] = (char)i;
                bool wanted = i == '\t' || (i >= 0x20 && i != 0x7f);
                CHECK_EQ(eddy_http_is_value(eddy_slice_from(text, len)), wanted);
            }
        }
    }
    CHECK(eddy_http_is_value(S("")));
    CHECK(eddy_http_is_value(eddy_slice_from(NULL, 0)));
    CHECK(eddy_http_is_value(S("\t\ta\tb 0123456789\t\t")));
    CHECK(!eddy_http_is_value(S("\t\ta\tb 0123456789\t\t\n")));
    CHECK(!eddy_http_is_value(S("\x80\x1f")));
    CHECK(!eddy_http_is_value(S("a\r\nb")));
}

TEST(lists_give_their_elements) {
    static const char *const wanted[] = {"a", "b c", "\"d, \\\" , e\"; f", "g=\"h,i\"", "j"};
    eddy_slice rest = S(" ,a,\tb c ,,\"d, \\\" , e\"; f, g=\"h,i\",j,");
    eddy_slice element;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        CHECK(eddy_http_list_next(&rest, &element));
        CHECK_BYTES(element.data, element.len, wanted[i], strlen(wanted[i]));
    }
    CHECK(!eddy_http_list_next(&rest, &element));
    CHECK(!eddy_http_list_next(&rest, &element));
}

TEST(lists_of_nothing_have_no_elements) {
    static const char *const cases[] = {"", " ", ",", " , \t,,"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eddy_slice rest = S(cases[i]);
        eddy_slice element;
        CHECK(!eddy_http_list_next(&rest, &element));
    }
    eddy_slice rest = eddy_slice_from(NULL, 0);
    eddy_slice element;
    CHECK(!eddy_http_list_next(&rest, &element));
}

TEST(a_quoted_string_without_end_lasts_to_the_end) {
    static const char *const cases[] = {"\"a, b", "\"a, b\\", "\"a, b\\\""};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eddy_slice rest = S(cases[i]);
        eddy_slice element;
        CHECK(eddy_http_list_next(&rest, &element));
        CHECK_EQ(element.len, strlen(cases[i]));
        CHECK(!eddy_http_list_next(&rest, &element));
    }
}

TEST(lists_have_tokens_in_both_cases) {
    CHECK(eddy_http_list_has(S("TE, Close"), S("close")));
    CHECK(eddy_http_list_has(S("close"), S("CLOSE")));
    CHECK(!eddy_http_list_has(S("closed"), S("close")));
    CHECK(!eddy_http_list_has(S("close;q=1"), S("close")));
    CHECK(!eddy_http_list_has(S("\"close\""), S("close")));
    CHECK(!eddy_http_list_has(S("\"a, close, b\""), S("close")));
    CHECK(!eddy_http_list_has(S(""), S("close")));
    CHECK(!eddy_http_list_has(S("a,,b"), S("")));
}
