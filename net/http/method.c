/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/http/head.h>

static const char *const methods[] = {
    [EDDY_HTTP_OTHER] = "",          [EDDY_HTTP_GET] = "GET",         [EDDY_HTTP_HEAD] = "HEAD",
    [EDDY_HTTP_POST] = "POST",       [EDDY_HTTP_PUT] = "PUT",         [EDDY_HTTP_DELETE] = "DELETE",
    [EDDY_HTTP_CONNECT] = "CONNECT", [EDDY_HTTP_OPTIONS] = "OPTIONS", [EDDY_HTTP_TRACE] = "TRACE",
    [EDDY_HTTP_PATCH] = "PATCH",
};

#define METHOD_COUNT (sizeof methods / sizeof methods[0])

enum eddy_http_method eddy_http_method_of(eddy_slice name) {
    for (size_t i = EDDY_HTTP_GET; i < METHOD_COUNT; i++) {
        if (eddy_slice_equal(name, eddy_slice_of(methods[i]))) {
            return (enum eddy_http_method)i;
        }
    }
    return EDDY_HTTP_OTHER;
}

const char *eddy_http_method_text(enum eddy_http_method method) {
    return (size_t)method < METHOD_COUNT ? methods[method] : "";
}
