/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/http/bytes_impl.h>
#include <eddy/net/http/header.h>

bool eddy_http_is_token(eddy_slice text) {
    return text.len > 0 && eddyi_http_all(text, EDDYI_HTTP_TOKEN);
}

bool eddy_http_is_value(eddy_slice text) {
    if (text.len == 0) {
        return true;
    }
    const char *end = text.data + text.len;
    return eddyi_http_skip_value(text.data, end) == end;
}

/* How many bytes of the list stand before the comma that ends its first element. */
static size_t element_len(eddy_slice list) {
    bool quoted = false;
    for (size_t i = 0; i < list.len; i++) {
        char byte = list.data[i];
        if (byte == '"') {
            quoted = !quoted;
        } else if (byte == '\\' && quoted) {
            i++; /* a quoted pair: what follows is no quote */
        } else if (byte == ',' && !quoted) {
            return i;
        }
    }
    return list.len;
}

bool eddy_http_list_next(eddy_slice *rest, eddy_slice *ret_element) {
    while (rest->len > 0) {
        size_t len = element_len(*rest);
        eddy_slice element = eddy_slice_trim(eddy_slice_sub(*rest, 0, len));
        *rest = eddy_slice_sub(*rest, len + 1, rest->len);
        if (element.len > 0) {
            *ret_element = element;
            return true;
        }
    }
    return false;
}

bool eddy_http_list_has(eddy_slice list, eddy_slice token) {
    eddy_slice element;
    while (eddy_http_list_next(&list, &element)) {
        if (eddy_slice_equal_ignore_case(element, token)) {
            return true;
        }
    }
    return false;
}
