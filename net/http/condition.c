/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/http/condition.h>
#include <eddy/net/http/etag.h>

/* Whether any field of this name is there, and whether one matches what there is. */
static bool find_tags(const eddy_http_head *request, const char *name,
                      const eddy_http_validators *validators, bool strong, bool *ret_match) {
    uint32_t index = 0;
    eddy_slice value;
    bool is_there = false;
    bool match = false;
    while (eddy_http_head_next(request, name, &index, &value)) {
        is_there = true;
        if (eddy_slice_equal(value, eddy_slice_of("*"))) {
            match |= !validators->absent;
        } else {
            match |= !validators->absent && validators->etag.len > 0 &&
                     eddy_http_etag_listed(value, validators->etag, strong) == 1;
        }
    }
    *ret_match = match;
    return is_there;
}

/* The date in the only field of this name; false when there is none that counts. */
static bool find_date(const eddy_http_head *request, const char *name, int64_t now_s,
                      int64_t *ret_date) {
    uint32_t index = 0;
    eddy_slice value;
    eddy_slice other;
    return eddy_http_head_next(request, name, &index, &value) &&
           !eddy_http_head_next(request, name, &index, &other) &&
           eddy_http_date_parse(value, now_s, ret_date) == 0;
}

int eddy_http_condition_check(const eddy_http_head *request, const eddy_http_validators *validators,
                              int64_t now_s) {
    bool is_get = request->method == EDDY_HTTP_GET || request->method == EDDY_HTTP_HEAD;
    bool has_date = !validators->absent && validators->modified_s != EDDY_HTTP_NO_DATE;
    bool match;
    int64_t date;
    switch (request->method) {
    case EDDY_HTTP_CONNECT:
    case EDDY_HTTP_OPTIONS:
    case EDDY_HTTP_TRACE:
        return 200;
    default:
        break;
    }
    if (find_tags(request, "If-Match", validators, true, &match)) {
        if (!match) {
            return 412;
        }
    } else if (has_date && find_date(request, "If-Unmodified-Since", now_s, &date) &&
               validators->modified_s > date) {
        return 412;
    }
    if (find_tags(request, "If-None-Match", validators, false, &match)) {
        if (match) {
            return is_get ? 304 : 412;
        }
    } else if (is_get && has_date && find_date(request, "If-Modified-Since", now_s, &date) &&
               validators->modified_s <= date) {
        return 304;
    }
    return 200;
}

/* If-Range, when it is there, has to name just what is there now. */
static bool is_same(const eddy_http_head *request, const eddy_http_validators *validators,
                    int64_t now_s) {
    uint32_t index = 0;
    eddy_slice value;
    eddy_slice other;
    int64_t date;
    if (!eddy_http_head_next(request, "If-Range", &index, &value)) {
        return true;
    }
    if (eddy_http_head_next(request, "If-Range", &index, &other)) {
        return false;
    }
    if (validators->etag.len > 0 && eddy_http_etag_same(value, validators->etag)) {
        return true;
    }
    return validators->modified_s != EDDY_HTTP_NO_DATE &&
           find_date(request, "If-Range", now_s, &date) && validators->modified_s == date;
}

int64_t eddy_http_condition_ranges(const eddy_http_head *request,
                                   const eddy_http_validators *validators, int64_t now_s,
                                   int64_t size, eddy_http_range *ret_ranges, size_t cap) {
    uint32_t index = 0;
    eddy_slice value;
    eddy_slice other;
    if (request->method != EDDY_HTTP_GET || validators->absent ||
        !eddy_http_head_next(request, "Range", &index, &value) ||
        eddy_http_head_next(request, "Range", &index, &other) ||
        !is_same(request, validators, now_s)) {
        return 0;
    }
    return eddy_http_range_parse(value, size, ret_ranges, cap);
}
