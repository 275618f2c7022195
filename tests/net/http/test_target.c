/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eddy/net/http/target.h>

#include "test.h"

#define S eddy_slice_of
#define CHECK_SLICE(got, wanted) check_slice((got), (wanted), __LINE__)

static void check_slice(eddy_slice got, const char *wanted, int line) {
    test_check_bytes(got.data, got.len, wanted, strlen(wanted), "slice", __FILE__, line);
}

/* --- taking apart ----------------------------------------------------------------------------- */

TEST(targets_are_taken_apart) {
    static const struct {
        const char *text;
        const char *scheme;
        const char *authority;
        const char *path;
        const char *query; /* NULL: no '?' */
    } cases[] = {
        {"/", "", "", "/", NULL},
        {"/a/b", "", "", "/a/b", NULL},
        {"/a?b=c&d", "", "", "/a", "b=c&d"},
        {"/?", "", "", "/", ""},
        {"/a?b?c", "", "", "/a", "b?c"},
        {"//a/b", "", "", "//a/b", NULL},
        {"/http://a", "", "", "/http://a", NULL},
        {"*", "", "", "*", NULL},
        {"http://a", "http", "a", "/", NULL},
        {"http://a?b", "http", "a", "/", "b"},
        {"http://a.b:80/c/d?e", "http", "a.b:80", "/c/d", "e"},
        {"https://[::1]:8443/", "https", "[::1]:8443", "/", NULL},
        {"a+b-c.1://h/", "a+b-c.1", "h", "/", NULL},
        {"h:80", "", "h:80", "", NULL},
        {"[::1]:80", "", "[::1]:80", "", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eddy_http_target target;
        CHECK_OK(eddy_http_target_split(S(cases[i].text), &target));
        CHECK_SLICE(target.scheme, cases[i].scheme);
        CHECK_SLICE(target.authority, cases[i].authority);
        CHECK_SLICE(target.path, cases[i].path);
        CHECK_EQ(target.has_query, cases[i].query != NULL);
        CHECK_SLICE(target.query, cases[i].query == NULL ? "" : cases[i].query);
    }
}

TEST(what_is_no_target_is_refused) {
    static const char *const cases[] = {
        "",
        "a",
        "h",
        "h:",
        "h:x",
        "h:65536",
        ":80",
        "**",
        "?x",
        "http:/a",
        "http://",
        "http:///a",
        "http://?a",
        "http://u@h",
        "http://u:p@h/",
        "http://h:x/",
        "http://[::1/",
        "http://[]/",
        "http://[g::]/",
        "/a b",
        "/a\tb",
        "/a#b",
        "/\"a\"",
        "/<a>",
        "/\x80",
        "/\x7f",
        "/\r\n",
        "http://h%/",
        "://h/",
        "1a://h/",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eddy_http_target target = {.has_query = true};
        if (eddy_http_target_split(S(cases[i]), &target) != EDDY_EHTTP_REQUEST) {
            fprintf(stderr, "%s was taken\n", cases[i]);
            CHECK(false);
        }
        CHECK(target.has_query);
    }
    eddy_http_target target;
    CHECK_ERR(eddy_http_target_split(eddy_slice_from("/\0", 2), &target), EDDY_EHTTP_REQUEST);
    CHECK_ERR(eddy_http_target_split(eddy_slice_from(NULL, 0), &target), EDDY_EHTTP_REQUEST);
}

TEST(authorities_are_taken_apart) {
    static const struct {
        const char *text;
        const char *host; /* NULL: refused */
        int port;
    } cases[] = {
        {"", "", -1},
        {"h", "h", -1},
        {"h:", "h", -1},
        {"h:0", "h", 0},
        {"h:00080", "h", 80},
        {"h:65535", "h", 65535},
        {"127.0.0.1:80", "127.0.0.1", 80},
        {"[::1]", "[::1]", -1},
        {"[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]", 1},
        {"a%41b", "a%41b", -1},
        {"h:65536", NULL, 0},
        {"h:99999999999999999999", NULL, 0},
        {"h:-1", NULL, 0},
        {"h:+1", NULL, 0},
        {"h: 1", NULL, 0},
        {"h:1 ", NULL, 0},
        {"h:1:2", NULL, 0},
        {":", NULL, 0},
        {":80", NULL, 0},
        {"::1", NULL, 0},
        {"[::1", NULL, 0},
        {"[::1]x", NULL, 0},
        {"[::1]80", NULL, 0},
        {"[]", NULL, 0},
        {"[1]", NULL, 0},
        {"[::1%25eth0]", NULL, 0},
        {"[v1.a:b]", NULL, 0},
        {"[[::1]]", NULL, 0},
        {"h]", NULL, 0},
        {"u@h", NULL, 0},
        {"h/", NULL, 0},
        {"h\\x", NULL, 0},
        {"a%4", NULL, 0},
        {"a%4x", NULL, 0},
        {"a%", NULL, 0},
        {"a b", NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eddy_slice host = S("untouched");
        int port = -2;
        /* In memory that is just so large. */
        size_t len = strlen(cases[i].text);
        char *copy = malloc(len == 0 ? 1 : len);
        memcpy(copy, cases[i].text, len);
        int r = eddy_http_authority_split(eddy_slice_from(copy, len), &host, &port);
        if ((r == 0) != (cases[i].host != NULL)) {
            fprintf(stderr, "%s gave %d\n", cases[i].text, r);
            CHECK(false);
        }
        if (r == 0) {
            CHECK_SLICE(host, cases[i].host);
            CHECK_EQ(port, cases[i].port);
        } else {
            CHECK_ERR(r, EDDY_EHTTP_REQUEST);
            CHECK_EQ(port, -2);
        }
        free(copy);
    }
}

TEST(queries_are_pairs) {
    static const char *const wanted[][2] = {{"a", "1"}, {"b", ""},    {"c", ""},
                                            {"", "d"},  {"e", "f=g"}, {"%26", "%3D"}};
    eddy_slice rest = S("&a=1&b&&c=&=d&e=f=g&%26=%3D&");
    eddy_slice name;
    eddy_slice value;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        CHECK(eddy_http_query_next(&rest, &name, &value));
        CHECK_SLICE(name, wanted[i][0]);
        CHECK_SLICE(value, wanted[i][1]);
    }
    CHECK(!eddy_http_query_next(&rest, &name, &value));
    CHECK(!eddy_http_query_next(&rest, &name, &value));
    rest = S("&&&");
    CHECK(!eddy_http_query_next(&rest, &name, &value));
}

TEST(a_value_is_found_by_its_name) {
    eddy_slice query = S("a=1&b&na%6De=x%20y&a=2&two+words=3&=4&bad%=5&n%00=6");
    eddy_slice value = S("untouched");
    CHECK(!eddy_http_query_find(query, "c", &value));
    CHECK(!eddy_http_query_find(query, "A", &value));
    CHECK(!eddy_http_query_find(query, "nam", &value));
    CHECK(!eddy_http_query_find(query, "names", &value));
    CHECK(!eddy_http_query_find(query, "bad%", &value)); /* reads as nothing */
    CHECK(!eddy_http_query_find(query, "n", &value));
    CHECK(!eddy_http_query_find(S(""), "a", &value));
    CHECK_SLICE(value, "untouched");
    CHECK(eddy_http_query_find(query, "a", &value));
    CHECK_SLICE(value, "1");
    CHECK(eddy_http_query_find(query, "b", &value));
    CHECK_SLICE(value, "");
    CHECK(eddy_http_query_find(query, "name", &value));
    CHECK_SLICE(value, "x%20y");
    CHECK(eddy_http_query_find(query, "two words", &value));
    CHECK_SLICE(value, "3");
    CHECK(eddy_http_query_find(query, "", &value));
    CHECK_SLICE(value, "4");
}

/* --- percent-encoding ------------------------------------------------------------------------- */

TEST(percent_signs_are_decoded) {
    static const struct {
        const char *text;
        bool plus;
        const char *wanted; /* NULL: refused */
    } cases[] = {
        {"", false, ""},         {"abc", false, "abc"},    {"%41%6a%6A", false, "Ajj"},
        {"a+b", false, "a+b"},   {"a+b%2B", true, "a b+"}, {"%C3%a4", false, "\xc3\xa4"},
        {"%2541", false, "%41"}, {"%ff", false, "\xff"},   {"%", false, NULL},
        {"%4", false, NULL},     {"a%", false, NULL},      {"%4g", false, NULL},
        {"%g4", false, NULL},    {"%%41", false, NULL},    {"%u0041", false, NULL},
        {"%-1", false, NULL},    {"%+1", false, NULL},     {"% 1", false, NULL},
        {"%0x", false, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char bytes[16] = "untouched";
        int64_t n = eddy_http_percent_decode(S(cases[i].text), cases[i].plus, bytes, sizeof bytes);
        if (cases[i].wanted == NULL) {
            CHECK_ERR(n, EDDY_ESYNTAX);
            CHECK_STR(bytes, "untouched");
        } else {
            CHECK_BYTES(bytes, CHECK_OK(n), cases[i].wanted, strlen(cases[i].wanted));
        }
    }
    char bytes[4] = {1, 2, 3, 4};
    CHECK_EQ(eddy_http_percent_decode(S("a%00b"), false, bytes, 3), 3);
    CHECK_BYTES(bytes, 3, "a\0b", 3);
    CHECK_ERR(eddy_http_percent_decode(S("abcd"), false, bytes, 3), -EOVERFLOW);
    CHECK_BYTES(bytes, 3, "a\0b", 3);
    char in_place[] = "a%20b%20c";
    CHECK_EQ(eddy_http_percent_decode(S(in_place), false, in_place, sizeof in_place), 5);
    CHECK_BYTES(in_place, 5, "a b c", 5);
}

static int64_t encode_all_bytes(void *arg) {
    eddy_buffer out = {0};
    char bytes[256];
    (void)arg;
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
    }
    int64_t r = eddy_http_percent_encode(&out, eddy_slice_from(bytes, sizeof bytes), "/");
    if (r < 0) {
        CHECK_EQ(out.len, 0);
    } else {
        char back[256];
        CHECK_EQ(out.len, 67 + 189 * 3);
        CHECK_EQ(eddy_http_percent_decode(eddy_buffer_slice(&out), true, back, sizeof back), 256);
        CHECK_BYTES(back, 256, bytes, 256);
    }
    eddy_buffer_done(&out);
    return r;
}

TEST(bytes_are_encoded) {
    eddy_buffer out = {0};
    CHECK_OK(eddy_http_percent_encode(&out, S("a b/\xc3\xa4%?~"), "/"));
    CHECK_BYTES(out.data, out.len, "a%20b/%C3%A4%25%3F~", 19);
    CHECK_OK(eddy_http_percent_encode(&out, eddy_slice_from("/\0", 2), ""));
    CHECK_BYTES(out.data, out.len, "a%20b/%C3%A4%25%3F~%2F%00", 25);
    eddy_buffer_done(&out);
    CHECK_EQ(encode_all_bytes(NULL), 0);
    CHECK(test_each_allocation_fails(encode_all_bytes, NULL) > 1);
}

/* --- paths ------------------------------------------------------------------------------------ */

/* NULL when it is refused. */
static const char *resolve(const char *path, unsigned flags) {
    static char text[256];
    size_t cap = strlen(path) + 1;
    memset(text, '!', sizeof text);
    int64_t n = eddy_http_path_resolve(S(path), flags, text, cap);
    if (n < 0) {
        CHECK_ERR(n, EDDY_EHTTP_REQUEST);
        return NULL;
    }
    CHECK_EQ(n, strlen(text));
    CHECK(text[cap] == '!'); /* no byte beyond what was given */
    return text;
}

TEST(paths_are_led_back_to_their_shortest_form) {
    static const char *const cases[][2] = {
        {"/", "/"},
        {"/a", "/a"},
        {"/a/", "/a/"},
        {"/a/b.html", "/a/b.html"},
        {"/a%20b", "/a b"},
        {"/%61", "/a"},
        {"/%C3%A4", "/\xc3\xa4"},
        {"/a%25", "/a%"},
        {"/%252e%252e/", "/%2e%2e/"}, /* decoded once, not twice */
        {"/%2541", "/%41"},
        {"/a?b", "/a?b"}, /* the caller has split the query off: this is a name */
        {"/a%0ab", "/a\nb"},
        {"/a\\..\\b", "/a\\..\\b"}, /* a name like any other on Linux */
        {"//", "/"},
        {"//a", "/a"},
        {"///a///b///", "/a/b/"},
        {"/.", "/"},
        {"/./", "/"},
        {"/a/.", "/a/"},
        {"/a/./b", "/a/b"},
        {"/./a", "/a"},
        {"/a/..", "/"},
        {"/a/../", "/"},
        {"/a/../b", "/b"},
        {"/a/b/..", "/a/"},
        {"/a/b/../c", "/a/c"},
        {"/a/b/../../c", "/c"},
        {"/a//../b", "/b"},
        {"/a/./../b", "/b"},
        {"/a/%2e/b", "/a/b"},
        {"/a/%2e%2e/b", "/b"},
        {"/a/.%2E/b", "/b"},
        {"/...", "/..."},
        {"/..a", "/..a"},
        {"/a..", "/a.."},
        {"/.a", "/.a"},
        {"/. ", "/. "},
        {"/..%20/", "/.. /"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_STR(resolve(cases[i][0], 0), cases[i][1]);
        CHECK_STR(resolve(cases[i][0], EDDY_HTTP_PATH_ENCODED_SLASH), cases[i][1]);
    }
}

TEST(paths_that_would_leave_the_root_are_refused) {
    static const char *const cases[] = {
        "",
        "a",
        "*",
        "../",
        "/..",
        "/../",
        "/../a",
        "/./..",
        "//..",
        "/a/../..",
        "/a/../../b",
        "/a/b/../../../c",
        "/%2e%2e",
        "/%2E%2E/",
        "/.%2e/a",
        "/%2e./a",
        "/a/%2e%2e/..",
        "/a%",
        "/a%4",
        "/a%zz",
        "/%",
        "/%00",
        "/a%00.html",
        "/a%2fb",
        "/a%2Fb",
        "/..%2f",
        "/%2e%2e%2f",
        "/..%2fetc",
        "%2fa",
        "/a/%2f..",
        "/%u002e",
        "/%c0%ae%2e%2f",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = resolve(cases[i], 0);
        if (got != NULL) {
            fprintf(stderr, "%s gave %s\n", cases[i], got);
        }
        CHECK(got == NULL);
    }
    char text[16];
    CHECK_ERR(eddy_http_path_resolve(eddy_slice_from("/a\0b", 4), 0, text, 16), EDDY_EHTTP_REQUEST);
}

TEST(an_encoded_slash_may_be_a_slash) {
    static const char *const cases[][2] = {
        {"/a%2fb", "/a/b"}, {"/a%2F", "/a/"},       {"/%2f%2fa", "/a"},
        {"/a/..%2f", "/"},  {"/a%2f..%2fb", "/b"},  {"/a%2f%2e%2e%2fb", "/b"},
        {"/..%2f", NULL},   {"/a%2f..%2f..", NULL}, {"/%2f..", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_STR(resolve(cases[i][0], EDDY_HTTP_PATH_ENCODED_SLASH), cases[i][1]);
    }
}

TEST(paths_fit_or_are_too_large) {
    char text[8];
    CHECK_EQ(eddy_http_path_resolve(S("/abc"), 0, text, 5), 4);
    CHECK_ERR(eddy_http_path_resolve(S("/abc"), 0, text, 4), EDDY_EHTTP_TOO_LARGE);
    CHECK_ERR(eddy_http_path_resolve(S("/a/"), 0, text, 3), EDDY_EHTTP_TOO_LARGE);
    CHECK_EQ(eddy_http_path_resolve(S("/%61/"), 0, text, 4), 3);
    CHECK_EQ(eddy_http_path_resolve(S("/"), 0, text, 2), 1);
    CHECK_ERR(eddy_http_path_resolve(S("/"), 0, text, 1), EDDY_EHTTP_TOO_LARGE);
    CHECK_ERR(eddy_http_path_resolve(S("/"), 0, text, 0), EDDY_EHTTP_TOO_LARGE);
}

/* Random paths of awkward pieces: the result never has what leads out of a folder. */
TEST(no_path_leads_out) {
    static const char *const pieces[] = {"/",   ".",  "..",  "%2e", "%2E%2e", "a",
                                         "%2f", "bc", "%00", "%",   "%5c",    "//"};
    for (int round = 0; round < 50000; round++) {
        char path[128] = "/";
        char text[128];
        unsigned flags = test_random_below(2) == 0 ? 0 : EDDY_HTTP_PATH_ENCODED_SLASH;
        size_t len = 1;
        for (uint64_t i = test_random_below(12); i > 0; i--) {
            const char *piece = pieces[test_random_below(sizeof pieces / sizeof pieces[0])];
            len += (size_t)snprintf(path + len, sizeof path - len, "%s", piece);
        }
        int64_t n = eddy_http_path_resolve(S(path), flags, text, sizeof text);
        if (n < 0) {
            continue;
        }
        CHECK_EQ(n, strlen(text));
        CHECK(text[0] == '/');
        CHECK(strstr(text, "//") == NULL);
        CHECK(strstr(text, "/./") == NULL);
        CHECK(strstr(text, "/../") == NULL);
        CHECK(n < 2 || strcmp(text + n - 2, "/.") != 0);
        CHECK(n < 3 || strcmp(text + n - 3, "/..") != 0);
    }
}
