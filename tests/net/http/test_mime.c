/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/http/mime.h>

#include "test.h"

#define S eddy_slice_of

TEST(names_have_types) {
    static const char *const cases[][2] = {
        {"index.html", "text/html"},      {"/a/b.c/INDEX.HTML", "text/html"},
        {"a.tar.gz", "application/gzip"}, {"a.js", "text/javascript"},
        {"a.mjs", "text/javascript"},     {"a.css", "text/css"},
        {"a.json", "application/json"},   {"a.png", "image/png"},
        {"a.svg", "image/svg+xml"},       {"a.wasm", "application/wasm"},
        {"a.woff2", "font/woff2"},        {"a.webmanifest", "application/manifest+json"},
        {".a.txt", "text/plain"},         {"a b.c d.txt", "text/plain"},
        {"..txt", "text/plain"},          {"a.3g2", "audio/3gpp2"}, /* the first of the table */
        {"a.zst", "application/zstd"},                              /* and the last */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_STR(eddy_http_mime_of(S(cases[i][0])), cases[i][1]);
    }
}

TEST(names_without_a_known_extension_have_none) {
    static const char *const cases[] = {
        "",         "html",    "a.",    ".html",   "/.html",         "/a.html/",
        "a.html/b", "a.htmlx", "a.ht",  "a.html ", "a.webmanifestx", "a.0",
        "a.zzz",    "a.\xff",  "a.\xe4"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_STR(eddy_http_mime_of(S(cases[i])), "");
    }
    CHECK_STR(eddy_http_mime_of(eddy_slice_from(NULL, 0)), "");
    CHECK_STR(eddy_http_mime_of(eddy_slice_from("a.html\0", 7)), "");
    CHECK_STR(eddy_http_mime_of(eddy_slice_from("a.\0", 3)), "");
}

TEST(text_is_text) {
    CHECK(eddy_http_mime_is_text(S("text/html")));
    CHECK(eddy_http_mime_is_text(S("TEXT/plain")));
    CHECK(!eddy_http_mime_is_text(S("application/json")));
    CHECK(!eddy_http_mime_is_text(S("text")));
    CHECK(!eddy_http_mime_is_text(S("")));
}
