/* SPDX-License-Identifier: Apache-2.0 */
/* Targets, paths and percent-encoding. No path leads out, and each leads to itself again. */
#include <eddy/net/http/mime.h>
#include <eddy/net/http/target.h>

#include "fuzz_http.h"

static bool is_inside(eddy_slice whole, eddy_slice part) {
    return part.len == 0 ||
           (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

static void require_split(eddy_slice text) {
    eddy_http_target target;
    eddy_slice host;
    int port;
    if (eddy_http_target_split(text, &target) == 0) {
        REQUIRE(is_inside(text, target.scheme) && is_inside(text, target.authority));
        REQUIRE(is_inside(text, target.query));
        REQUIRE(is_inside(text, target.path) || eddy_slice_equal(target.path, eddy_slice_of("/")));
        REQUIRE(target.path.len > 0 || target.authority.len > 0);
        REQUIRE(target.query.len == 0 || target.has_query);
        REQUIRE(target.authority.len == 0 ||
                eddy_http_authority_split(target.authority, &host, &port) == 0);
    }
    if (eddy_http_authority_split(text, &host, &port) == 0) {
        REQUIRE(is_inside(text, host) && port >= -1 && port <= 65535);
        REQUIRE(host.len == 0 || host.data == text.data);
    }
}

static void require_query(eddy_slice text) {
    eddy_slice rest = text;
    eddy_slice name;
    eddy_slice value;
    size_t total = 0;
    while (eddy_http_query_next(&rest, &name, &value)) {
        REQUIRE(is_inside(text, name) && is_inside(text, value) && is_inside(text, rest));
        total += name.len + value.len;
    }
    REQUIRE(total <= text.len);
}

static void require_inside(const char *path, size_t len) {
    REQUIRE(len > 0 && path[0] == '/' && strlen(path) == len);
    REQUIRE(strstr(path, "//") == NULL && strstr(path, "/./") == NULL);
    REQUIRE(strstr(path, "/../") == NULL);
    REQUIRE(len < 2 || strcmp(path + len - 2, "/.") != 0);
    REQUIRE(len < 3 || strcmp(path + len - 3, "/..") != 0);
}

static void require_path(eddy_slice text, unsigned flags) {
    size_t cap = text.len + 1 < 2 ? 2 : text.len + 1;
    char *path = malloc(cap);
    char *again = malloc(cap);
    REQUIRE(path != NULL && again != NULL);
    int64_t n = eddy_http_path_resolve(text, flags, path, cap);
    REQUIRE(n == EDDY_EHTTP_REQUEST || n > 0);
    if (n > 0) {
        eddy_buffer encoded = {0};
        require_inside(path, (size_t)n);
        REQUIRE(eddy_http_percent_encode(&encoded, eddy_slice_from(path, (size_t)n), "/") == 0);
        REQUIRE(eddy_http_path_resolve(eddy_buffer_slice(&encoded), 0, again, cap) == n);
        REQUIRE(strcmp(path, again) == 0);
        eddy_buffer_done(&encoded);
        REQUIRE(eddy_http_path_resolve(text, flags, again, (size_t)n + 1) == n ||
                eddy_http_path_resolve(text, flags, again, (size_t)n + 1) == EDDY_EHTTP_TOO_LARGE);
        eddy_http_mime_of(eddy_slice_from(path, (size_t)n));
    }
    free(again);
    free(path);
}

static void require_decoded(eddy_slice text, bool plus) {
    char *bytes = malloc(text.len + 1);
    REQUIRE(bytes != NULL);
    int64_t n = eddy_http_percent_decode(text, plus, bytes, text.len);
    REQUIRE(n == EDDY_ESYNTAX || (n >= 0 && n <= (int64_t)text.len));
    if (n >= 0) {
        eddy_buffer encoded = {0};
        char *in_place = fuzz_copy(text);
        eddy_slice decoded = eddy_slice_from(bytes, (size_t)n);
        REQUIRE(eddy_http_percent_decode(eddy_slice_from(in_place, text.len), plus, in_place,
                                         text.len) == n);
        REQUIRE(eddy_slice_equal(eddy_slice_from(in_place, (size_t)n), decoded));
        REQUIRE(n == 0 ||
                eddy_http_percent_decode(text, plus, in_place, (size_t)n - 1) == -EOVERFLOW);
        free(in_place);
        REQUIRE(eddy_http_percent_encode(&encoded, decoded, "") == 0);
        char *back = malloc(encoded.len + 1);
        REQUIRE(back != NULL);
        REQUIRE(eddy_http_percent_decode(eddy_buffer_slice(&encoded), true, back, encoded.len) ==
                n);
        REQUIRE(eddy_slice_equal(eddy_slice_from(back, (size_t)n), decoded));
        free(back);
        eddy_buffer_done(&encoded);
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = fuzz_copy(eddy_slice_from(data, size));
    eddy_slice text = eddy_slice_from(copy, size);
    require_split(text);
    require_query(text);
    require_path(text, 0);
    require_path(text, EDDY_HTTP_PATH_ENCODED_SLASH);
    require_decoded(text, false);
    require_decoded(text, true);
    free(copy);
    return 0;
}
