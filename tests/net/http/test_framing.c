/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <eddy/net/http/framing.h>

#include "test.h"

static int frame_request(const char *fields, int version, eddy_http_framing *framing,
                         eddy_http_fault *fault) {
    static char text[2048];
    eddy_http_head head;
    snprintf(text, sizeof text, "POST / HTTP/1.%d\r\nHost: h\r\n%s\r\n", version - 10, fields);
    eddy_http_head_init(&head, EDDY_HTTP_REQUEST, NULL);
    int64_t r = eddy_http_head_parse(&head, eddy_slice_of(text), fault);
    return r < 0 ? (int)r : eddy_http_framing_of_request(&head, framing, fault);
}

static int frame_response(const char *line_and_fields, enum eddy_http_method method,
                          eddy_http_framing *framing) {
    static char text[2048];
    eddy_http_head head;
    snprintf(text, sizeof text, "%s\r\n", line_and_fields);
    eddy_http_head_init(&head, EDDY_HTTP_RESPONSE, NULL);
    CHECK_OK(eddy_http_head_parse(&head, eddy_slice_of(text), NULL));
    return eddy_http_framing_of_response(&head, method, framing, NULL);
}

/*
 * What has made two servers in a row see different messages. Each is refused, by the head's parser
 * or by its framing, and never read in either way.
 */
TEST(smuggling_is_refused) {
    static const struct {
        const char *fields;
        int status;
    } cases[] = {
        /* CL.TE and TE.CL */
        {"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", 400},
        {"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", 400},
        {"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400},
        {"transfer-encoding: chunked\r\ncontent-length: 6\r\n", 400},
        /* TE.TE: one of two would not know it for chunked */
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", 400},
        {"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", 501},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400},
        {"Transfer-Encoding: chunked, chunked\r\n", 400},
        {"Transfer-Encoding: chunked, identity\r\n", 400},
        {"Transfer-Encoding: identity, chunked\r\n", 501},
        {"Transfer-Encoding: gzip, chunked\r\n", 501},
        {"Transfer-Encoding: chunked, gzip\r\n", 400},
        {"Transfer-Encoding: gzip\r\n", 501},
        {"Transfer-Encoding: identity\r\n", 501},
        {"Transfer-Encoding: xchunked\r\n", 501},
        {"Transfer-Encoding: chunkedx\r\n", 501},
        {"Transfer-Encoding: chunked;q=1\r\n", 501},
        {"Transfer-Encoding: \"chunked\"\r\n", 501},
        {"Transfer-Encoding: 'chunked'\r\n", 501},
        {"Transfer-Encoding: chunked chunked\r\n", 501},
        {"Transfer-Encoding: chu\tnked\r\n", 501},
        {"Transfer-Encoding: chunked\x80\r\n", 501},
        {"Transfer-Encoding:\r\n", 400},
        {"Transfer-Encoding: ,\r\n", 400},
        {"Transfer-Encoding : chunked\r\n", 400},
        {"Transfer-Encoding\t: chunked\r\n", 400},
        {" Transfer-Encoding: chunked\r\n", 400},
        {"Transfer-Encoding\r\n: chunked\r\n", 400},
        {"Transfer-Encoding:\r\n chunked\r\n", 400},
        {"X: y\r\n Transfer-Encoding: chunked\r\n", 400},
        {"X: y\rTransfer-Encoding: chunked\r\n", 400},
        {"X: y\nTransfer-Encoding: chunked\r\n", 400},
        {"Transfer-Encoding: \x0b"
         "chunked\r\n",
         400},
        {"Transfer-Encoding: chunked\x0c\r\n", 400},
        {"Transfer-Encoding: chunked\n", 400},
        {"Transfer_Encoding: chunked\r\nTransfer-Encoding: x\r\n", 501},
        /* lengths that one reads so and one otherwise */
        {"Content-Length: 5\r\nContent-Length: 6\r\n", 400},
        {"Content-Length: 5\r\nContent-Length: 5\r\n", 400},
        {"Content-Length: 5\r\ncontent-length: 0\r\n", 400},
        {"Content-Length: 5, 5\r\n", 400},
        {"Content-Length: 5, 6\r\n", 400},
        {"Content-Length: 5,\r\n", 400},
        {"Content-Length: ,5\r\n", 400},
        {"Content-Length:\r\n", 400},
        {"Content-Length: +5\r\n", 400},
        {"Content-Length: -5\r\n", 400},
        {"Content-Length: -0\r\n", 400},
        {"Content-Length: 0x5\r\n", 400},
        {"Content-Length: 5 5\r\n", 400},
        {"Content-Length: 5\t6\r\n", 400},
        {"Content-Length: 5.0\r\n", 400},
        {"Content-Length: 5e1\r\n", 400},
        {"Content-Length: 5;x\r\n", 400},
        {"Content-Length: \"5\"\r\n", 400},
        {"Content-Length: 1_0\r\n", 400},
        {"Content-Length: \xd9\xa5\r\n", 400}, /* an Arabic digit */
        {"Content-Length: 9223372036854775807\r\n", 400},
        {"Content-Length: 9223372036854775808\r\n", 400},
        {"Content-Length: 18446744073709551616\r\n", 400},
        {"Content-Length: 18446744073709551621\r\n", 400},
        {"Content-Length: 99999999999999999999999999999999999999999999999999\r\n", 400},
        {"Content-Length : 5\r\n", 400},
        {"Content-Length\r\n 5\r\n", 400},
        {"Content-Length: 5\n", 400},
        {"Content-Length: 5\rX: y\r\n", 400},
        {"Content-Length: 5\r\n\n", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eddy_http_framing framing;
        eddy_http_fault fault = {0};
        int r = frame_request(cases[i].fields, 11, &framing, &fault);
        int wanted = cases[i].status == 501 ? EDDY_EHTTP_ENCODING : EDDY_EHTTP_REQUEST;
        if (r != wanted || fault.status != cases[i].status || fault.text == NULL) {
            fprintf(stderr, "gave %d, status %d: %s\n", r, fault.status, cases[i].fields);
            CHECK(false);
        }
    }
}

TEST(a_nul_hides_nothing) {
    static const char text[] =
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\0x\r\n\r\n";
    eddy_http_head head;
    eddy_http_fault fault;
    eddy_http_head_init(&head, EDDY_HTTP_REQUEST, NULL);
    CHECK_ERR(eddy_http_head_parse(&head, eddy_slice_from(text, sizeof text - 1), &fault),
              EDDY_EHTTP_REQUEST);
    CHECK_EQ(fault.offset, 52);
}

TEST(requests_say_how_long_they_are) {
    static const struct {
        const char *fields;
        enum eddy_http_body body;
        int64_t length;
    } cases[] = {
        {"", EDDY_HTTP_BODY_NONE, 0},
        {"Content-Length: 0\r\n", EDDY_HTTP_BODY_SIZED, 0},
        {"Content-Length: 5\r\n", EDDY_HTTP_BODY_SIZED, 5},
        {"content-length:5\r\n", EDDY_HTTP_BODY_SIZED, 5},
        {"Content-Length: \t5 \r\n", EDDY_HTTP_BODY_SIZED, 5},
        {"Content-Length: 0005\r\n", EDDY_HTTP_BODY_SIZED, 5},
        {"Content-Length: 9223372036854775806\r\n", EDDY_HTTP_BODY_SIZED, INT64_MAX - 1},
        {"Transfer-Encoding: chunked\r\n", EDDY_HTTP_BODY_CHUNKED, 0},
        {"TRANSFER-ENCODING: Chunked\r\n", EDDY_HTTP_BODY_CHUNKED, 0},
        {"Transfer-Encoding: , chunked ,\r\n", EDDY_HTTP_BODY_CHUNKED, 0},
        /* Other names than the two mean nothing. */
        {"Content_Length: 5\r\n", EDDY_HTTP_BODY_NONE, 0},
        {"Content-Lengthx: 5\r\nX-Transfer-Encoding: chunked\r\n", EDDY_HTTP_BODY_NONE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eddy_http_framing framing;
        CHECK_OK(frame_request(cases[i].fields, 11, &framing, NULL));
        CHECK_EQ(framing.body, cases[i].body);
        CHECK_EQ(framing.length, cases[i].length);
        CHECK(framing.keep_alive);
        CHECK(!framing.expect_continue);
        CHECK(!framing.upgrade);
    }
}

TEST(http_1_0_knows_no_transfer_codings) {
    eddy_http_framing framing;
    eddy_http_fault fault;
    CHECK_ERR(frame_request("Transfer-Encoding: chunked\r\n", 10, &framing, &fault),
              EDDY_EHTTP_REQUEST);
    CHECK_EQ(fault.status, 400);
    CHECK_EQ(fault.offset, 45);
    CHECK_ERR(frame_response("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n", EDDY_HTTP_GET,
                             &framing),
              EDDY_EHTTP_RESPONSE);
}

TEST(connections_stay_or_go) {
    static const struct {
        int version;
        const char *fields;
        bool keep_alive;
    } cases[] = {
        {11, "", true},
        {11, "Connection: close\r\n", false},
        {11, "Connection: Close\r\n", false},
        {11, "Connection: TE ,close\r\n", false},
        {11, "Connection: TE\r\nConnection: close\r\n", false},
        {11, "Connection: keep-alive\r\n", true},
        {11, "Connection: closed\r\n", true},
        {11, "Connection: keep-alive, close\r\n", false},
        {10, "", false},
        {10, "Connection: keep-alive\r\n", true},
        {10, "Connection: Keep-Alive, TE\r\n", true},
        {10, "Connection: keep-alive, close\r\n", false},
        {10, "Connection: TE\r\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eddy_http_framing framing;
        CHECK_OK(frame_request(cases[i].fields, cases[i].version, &framing, NULL));
        CHECK_EQ(framing.keep_alive, cases[i].keep_alive);
    }
}

TEST(expectations_are_met_or_refused) {
    eddy_http_framing framing;
    eddy_http_fault fault;
    CHECK_OK(frame_request("Expect: 100-Continue\r\nContent-Length: 5\r\n", 11, &framing, NULL));
    CHECK(framing.expect_continue);
    CHECK_OK(frame_request("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", 11, &framing,
                           NULL));
    CHECK(framing.expect_continue);
    /* Nothing to wait for. */
    CHECK_OK(frame_request("Expect: 100-continue\r\n", 11, &framing, NULL));
    CHECK(!framing.expect_continue);
    CHECK_OK(frame_request("Expect: 100-continue\r\nContent-Length: 0\r\n", 11, &framing, NULL));
    CHECK(!framing.expect_continue);
    CHECK_OK(frame_request("Expect: 100-continue\r\nContent-Length: 5\r\n", 10, &framing, NULL));
    CHECK(!framing.expect_continue);
    CHECK_ERR(frame_request("Expect: 200-ok\r\n", 11, &framing, &fault), EDDY_EHTTP_REQUEST);
    CHECK_EQ(fault.status, 417);
    CHECK_ERR(frame_request("Expect: 100-continue\r\nExpect: x\r\n", 11, &framing, &fault),
              EDDY_EHTTP_REQUEST);
    CHECK_EQ(fault.status, 417);
}

TEST(upgrades_are_offered_by_two_fields) {
    eddy_http_framing framing;
    CHECK_OK(frame_request("Upgrade: websocket\r\nConnection: Upgrade\r\n", 11, &framing, NULL));
    CHECK(framing.upgrade);
    CHECK(framing.keep_alive);
    CHECK_OK(frame_request("Upgrade: websocket\r\n", 11, &framing, NULL));
    CHECK(!framing.upgrade);
    CHECK_OK(frame_request("Connection: upgrade\r\n", 11, &framing, NULL));
    CHECK(!framing.upgrade);
    CHECK_OK(frame_request("Upgrade: websocket\r\nConnection: Upgrade\r\n", 10, &framing, NULL));
    CHECK(!framing.upgrade);
}

TEST(responses_say_how_long_they_are) {
    static const struct {
        const char *text;
        enum eddy_http_method method;
        enum eddy_http_body body;
        int64_t length;
        bool keep_alive;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", EDDY_HTTP_GET, EDDY_HTTP_BODY_SIZED, 5, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\ncontent-length: 05\r\n", EDDY_HTTP_GET,
         EDDY_HTTP_BODY_SIZED, 5, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", EDDY_HTTP_GET, EDDY_HTTP_BODY_CHUNKED,
         0, true},
        {"HTTP/1.1 200 OK\r\n", EDDY_HTTP_GET, EDDY_HTTP_BODY_UNTIL_CLOSE, 0, false},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", EDDY_HTTP_GET, EDDY_HTTP_BODY_UNTIL_CLOSE,
         0, false},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n", EDDY_HTTP_GET,
         EDDY_HTTP_BODY_SIZED, 1, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", EDDY_HTTP_HEAD, EDDY_HTTP_BODY_NONE, 0, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", EDDY_HTTP_HEAD, EDDY_HTTP_BODY_NONE,
         0, true},
        {"HTTP/1.1 200 OK\r\n", EDDY_HTTP_HEAD, EDDY_HTTP_BODY_NONE, 0, true},
        {"HTTP/1.1 204 No Content\r\n", EDDY_HTTP_GET, EDDY_HTTP_BODY_NONE, 0, true},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n", EDDY_HTTP_GET, EDDY_HTTP_BODY_NONE, 0,
         true},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n", EDDY_HTTP_GET, EDDY_HTTP_BODY_NONE,
         0, true},
        {"HTTP/1.1 100 Continue\r\n", EDDY_HTTP_POST, EDDY_HTTP_BODY_NONE, 0, true},
        {"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n", EDDY_HTTP_GET,
         EDDY_HTTP_BODY_NONE, 0, true},
        {"HTTP/1.1 101 Switching Protocols\r\n", EDDY_HTTP_GET, EDDY_HTTP_BODY_TUNNEL, 0, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", EDDY_HTTP_CONNECT, EDDY_HTTP_BODY_TUNNEL, 0,
         false},
        {"HTTP/1.1 407 No\r\nContent-Length: 5\r\n", EDDY_HTTP_CONNECT, EDDY_HTTP_BODY_SIZED, 5,
         true},
        {"HTTP/1.1 206 Part\r\nContent-Length: 5\r\nConnection: close\r\n", EDDY_HTTP_GET,
         EDDY_HTTP_BODY_SIZED, 5, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eddy_http_framing framing;
        CHECK_OK(frame_response(cases[i].text, cases[i].method, &framing));
        if (framing.body != cases[i].body || framing.length != cases[i].length ||
            framing.keep_alive != cases[i].keep_alive) {
            fprintf(stderr, "body %d, length %lld, keep_alive %d: %s\n", framing.body,
                    (long long)framing.length, framing.keep_alive, cases[i].text);
            CHECK(false);
        }
    }
}

TEST(ambiguous_responses_are_refused) {
    static const struct {
        const char *fields;
        int error;
    } cases[] = {
        {"Content-Length: 5\r\nContent-Length: 6\r\n", EDDY_EHTTP_RESPONSE},
        {"Content-Length: 5, 6\r\n", EDDY_EHTTP_RESPONSE},
        {"Content-Length: 5,\r\n", EDDY_EHTTP_RESPONSE},
        {"Content-Length: -5\r\n", EDDY_EHTTP_RESPONSE},
        {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", EDDY_EHTTP_RESPONSE},
        {"Transfer-Encoding: gzip\r\n", EDDY_EHTTP_ENCODING},
        {"Transfer-Encoding: gzip, chunked\r\n", EDDY_EHTTP_ENCODING},
        {"Transfer-Encoding: chunked, gzip\r\n", EDDY_EHTTP_RESPONSE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200];
        eddy_http_framing framing;
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n%s", cases[i].fields);
        CHECK_ERR(frame_response(text, EDDY_HTTP_GET, &framing), cases[i].error);
        /* Also where there would be no body: the next response is read behind this one. */
        CHECK_ERR(frame_response(text, EDDY_HTTP_HEAD, &framing), cases[i].error);
    }
}
