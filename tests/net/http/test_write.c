/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <eddy/net/http/head.h>
#include <eddy/net/http/write.h>

#include "test.h"

#define S eddy_slice_of

static int64_t write_response(void *arg) {
    eddy_buffer *out = arg;
    int r = eddy_http_write_status(out, 404);
    r = r < 0 ? r : eddy_http_write_field(out, "Content-Type", S("text/plain"));
    r = r < 0 ? r : eddy_http_write_field(out, "X-Empty", S(""));
    r = r < 0 ? r : eddy_http_write_number(out, "Content-Length", INT64_MAX);
    r = r < 0 ? r : eddy_http_write_number(out, "Age", 0);
    r = r < 0 ? r : eddy_http_write_date(out, "Date", 784111777);
    return r < 0 ? r : eddy_http_write_end(out);
}

TEST(responses_are_written) {
    static const char wanted[] = "HTTP/1.1 404 Not Found\r\n"
                                 "Content-Type: text/plain\r\n"
                                 "X-Empty: \r\n"
                                 "Content-Length: 9223372036854775807\r\n"
                                 "Age: 0\r\n"
                                 "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                 "\r\n";
    eddy_buffer out = {0};
    eddy_http_head head;
    CHECK_OK(write_response(&out));
    CHECK_BYTES(out.data, out.len, wanted, sizeof wanted - 1);
    eddy_http_head_init(&head, EDDY_HTTP_RESPONSE, NULL);
    CHECK_EQ(eddy_http_head_parse(&head, eddy_buffer_slice(&out), NULL), out.len);
    CHECK_EQ(head.field_count, 5);
    eddy_buffer_done(&out);
}

TEST(codes_without_a_phrase_are_written) {
    eddy_buffer out = {0};
    CHECK_OK(eddy_http_write_status(&out, 299));
    CHECK_BYTES(out.data, out.len, "HTTP/1.1 299 \r\n", 15);
    CHECK_ERR(eddy_http_write_status(&out, 99), -EINVAL);
    CHECK_ERR(eddy_http_write_status(&out, 1000), -EINVAL);
    CHECK_ERR(eddy_http_write_status(&out, -200), -EINVAL);
    CHECK_EQ(out.len, 15);
    eddy_buffer_done(&out);
}

TEST(requests_are_written) {
    eddy_buffer out = {0};
    eddy_http_head head;
    CHECK_OK(eddy_http_write_request(&out, S("GET"), S("/a?b")));
    CHECK_OK(eddy_http_write_field(&out, "Host", S("h")));
    CHECK_OK(eddy_http_write_end(&out));
    CHECK_BYTES(out.data, out.len, "GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n", 30);
    eddy_http_head_init(&head, EDDY_HTTP_REQUEST, NULL);
    CHECK_EQ(eddy_http_head_parse(&head, eddy_buffer_slice(&out), NULL), 30);
    eddy_buffer_done(&out);
}

TEST(nothing_is_injected) {
    static const char *const values[] = {"a\r\nX: y", "a\n", "\r", "\x01", "a\x7f", "0123456789\n"};
    static const char *const names[] = {"", "a b", "a:", "a\r\n", "a\n", "\xc3\xa4", "a\t", "a("};
    static const char *const targets[] = {"", "/ HTTP/1.1\r\nX: y", "/a b", "/\n", "/\xe4", "/#"};
    static const char *const methods[] = {"", "GET /x", "G\r\nET", "G:"};
    eddy_buffer out = {0};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        CHECK_ERR(eddy_http_write_field(&out, "A", S(values[i])), -EINVAL);
    }
    CHECK_ERR(eddy_http_write_field(&out, "A", eddy_slice_from("a\0b", 3)), -EINVAL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK_ERR(eddy_http_write_field(&out, names[i], S("a")), -EINVAL);
        CHECK_ERR(eddy_http_write_number(&out, names[i], 1), -EINVAL);
        CHECK_ERR(eddy_http_write_date(&out, names[i], 1), -EINVAL);
    }
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        CHECK_ERR(eddy_http_write_request(&out, S("GET"), S(targets[i])), -EINVAL);
    }
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        CHECK_ERR(eddy_http_write_request(&out, S(methods[i]), S("/")), -EINVAL);
    }
    CHECK_ERR(eddy_http_write_number(&out, "A", -1), -EINVAL);
    CHECK_ERR(eddy_http_write_date(&out, "A", INT64_MAX), -ERANGE);
    CHECK_EQ(out.len, 0);
    eddy_buffer_done(&out);
}

/* A call that has no memory leaves nothing of its line. */
static int64_t write_in_whole_lines(void *arg) {
    eddy_buffer out = {0};
    (void)arg;
    int64_t r = write_response(&out);
    CHECK(out.len == 0 || out.data[out.len - 1] == '\n');
    eddy_buffer_done(&out);
    return r;
}

TEST(each_allocation_may_fail) {
    CHECK(test_each_allocation_fails(write_in_whole_lines, NULL) > 2);
}
