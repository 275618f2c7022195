/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include <eddy/net/http/header.h>
#include <eddy/net/http/status.h>

#include "test.h"

TEST(codes_have_phrases) {
    CHECK_STR(eddy_http_status_text(100), "Continue");
    CHECK_STR(eddy_http_status_text(200), "OK");
    CHECK_STR(eddy_http_status_text(206), "Partial Content");
    CHECK_STR(eddy_http_status_text(304), "Not Modified");
    CHECK_STR(eddy_http_status_text(404), "Not Found");
    CHECK_STR(eddy_http_status_text(413), "Content Too Large");
    CHECK_STR(eddy_http_status_text(431), "Request Header Fields Too Large");
    CHECK_STR(eddy_http_status_text(511), "Network Authentication Required");
}

TEST(unknown_codes_have_none) {
    static const int codes[] = {INT32_MIN, -1,  0,   99,  199, 299, 306,
                                430,       499, 509, 512, 599, 999, INT32_MAX};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        CHECK_STR(eddy_http_status_text(codes[i]), "");
    }
}

TEST(phrases_can_be_sent) {
    for (int status = 0; status < 1000; status++) {
        CHECK(eddy_http_is_value(eddy_slice_of(eddy_http_status_text(status))));
    }
}

TEST(some_responses_never_have_a_body) {
    for (int status = 0; status < 1000; status++) {
        bool wanted = status / 100 == 1 || status == 204 || status == 304;
        CHECK_EQ(eddy_http_status_is_bodiless(status), wanted);
    }
}
