/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/http/bytes_impl.h>
#include <eddy/net/http/etag.h>
#include <eddy/runtime/base/error.h>

int64_t eddy_http_etag_parse(eddy_slice text, bool *ret_weak) {
    bool weak = text.len >= 2 && text.data[0] == 'W' && text.data[1] == '/';
    size_t start = weak ? 2 : 0;
    if (text.len <= start || text.data[start] != '"') {
        return EDDY_ESYNTAX;
    }
    for (size_t i = start + 1; i < text.len; i++) {
        if (text.data[i] == '"') {
            *ret_weak = weak;
            return (int64_t)i + 1;
        }
        if (!eddyi_http_is(text.data[i], EDDYI_HTTP_ETAG)) {
            break;
        }
    }
    return EDDY_ESYNTAX;
}

static bool is_etag(eddy_slice text, bool *ret_weak) {
    return text.len > 0 && eddy_http_etag_parse(text, ret_weak) == (int64_t)text.len;
}

bool eddy_http_etag_same(eddy_slice a, eddy_slice b) {
    bool weak;
    return eddy_slice_equal(a, b) && is_etag(a, &weak) && !weak;
}

bool eddy_http_etag_alike(eddy_slice a, eddy_slice b) {
    bool weak_a;
    bool weak_b;
    if (!is_etag(a, &weak_a) || !is_etag(b, &weak_b)) {
        return false;
    }
    return eddy_slice_equal(eddy_slice_sub(a, weak_a ? 2 : 0, a.len),
                            eddy_slice_sub(b, weak_b ? 2 : 0, b.len));
}

int eddy_http_etag_listed(eddy_slice list, eddy_slice etag, bool strong) {
    bool found = false;
    bool parted = true; /* a comma, or the list's start, is behind us */
    for (list = eddy_slice_trim(list); list.len > 0; list = eddy_slice_trim(list)) {
        bool weak;
        if (list.data[0] == ',') {
            parted = true;
            list = eddy_slice_sub(list, 1, list.len);
            continue;
        }
        int64_t len = eddy_http_etag_parse(list, &weak);
        if (len < 0 || !parted) {
            return EDDY_ESYNTAX;
        }
        eddy_slice element = eddy_slice_sub(list, 0, (size_t)len);
        found |= strong ? eddy_http_etag_same(element, etag) : eddy_http_etag_alike(element, etag);
        parted = false;
        list = eddy_slice_sub(list, (size_t)len, list.len);
    }
    return found;
}

static char *put_hex(char *dst, uint64_t number) {
    int digits = number == 0 ? 1 : (67 - __builtin_clzll(number)) / 4;
    for (int i = digits; i > 0; i--) {
        dst[i - 1] = "0123456789abcdef"[number & 15];
        number >>= 4;
    }
    return dst + digits;
}

/* By hand and not by printf, as it is made for each file that is served. */
int eddy_http_etag_format(int64_t modified_ns, int64_t size, char ret_etag[EDDY_HTTP_ETAG_MAX]) {
    char *end = ret_etag;
    *end++ = '"';
    end = put_hex(end, (uint64_t)modified_ns);
    *end++ = '-';
    end = put_hex(end, (uint64_t)size);
    *end++ = '"';
    *end = '\0';
    return (int)(end - ret_etag);
}
