/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/http/bytes_impl.h>
#include <eddy/net/http/header.h>
#include <eddy/net/http/range.h>
#include <eddy/runtime/base/error.h>

#define BOUNDARY_LARGEST 70 /* RFC 2046 5.1.1 */

/* The ranges so far. No two of them touch, so a new one is compared with each of them once. */
struct ranges {
    eddy_http_range *items;
    size_t count;
    size_t cap;
};

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* False when there is no room. */
static bool add(struct ranges *ranges, eddy_http_range range) {
    int64_t from = range.from;
    int64_t to = range.from + range.len;
    size_t place = ranges->count; /* of the first that it touches, which takes in all others */
    size_t kept = 0;
    for (size_t i = 0; i < ranges->count; i++) {
        eddy_http_range old = ranges->items[i];
        if (range.from <= old.from + old.len && old.from <= range.from + range.len) {
            from = smaller(from, old.from);
            to = larger(to, old.from + old.len);
            if (place < ranges->count) {
                continue;
            }
            place = i;
        }
        ranges->items[kept++] = old;
    }
    if (place == ranges->count) {
        if (ranges->count == ranges->cap) {
            return false;
        }
        place = kept++;
    }
    ranges->items[place] = (eddy_http_range){from, to - from};
    ranges->count = kept;
    return true;
}

enum spec { SPEC_RANGE, SPEC_BEYOND, SPEC_EMPTY, SPEC_BAD };

/* "0-499", "500-" or "-500" */
static enum spec read_spec(eddy_slice spec, int64_t size, eddy_http_range *ret_range) {
    int64_t dash = eddy_slice_find(spec, '-');
    int64_t first;
    int64_t last = INT64_MAX;
    if (dash < 0) {
        return SPEC_BAD;
    }
    eddy_slice before = eddy_slice_sub(spec, 0, (size_t)dash);
    eddy_slice behind = eddy_slice_sub(spec, (size_t)dash + 1, spec.len);
    if (before.len == 0) {
        if (!eddyi_http_number(behind, &last)) {
            return SPEC_BAD;
        }
        if (last == 0) {
            return SPEC_BEYOND;
        }
        if (size == 0) {
            return SPEC_EMPTY;
        }
        int64_t len = smaller(last, size);
        *ret_range = (eddy_http_range){size - len, len};
        return SPEC_RANGE;
    }
    if (!eddyi_http_number(before, &first) ||
        (behind.len > 0 && !eddyi_http_number(behind, &last)) || last < first) {
        return SPEC_BAD;
    }
    if (first >= size) {
        return SPEC_BEYOND;
    }
    last = smaller(last, size - 1);
    *ret_range = (eddy_http_range){first, last - first + 1};
    return SPEC_RANGE;
}

int64_t eddy_http_range_parse(eddy_slice value, int64_t size, eddy_http_range *ret_ranges,
                              size_t cap) {
    struct ranges ranges = {ret_ranges, 0, cap};
    int count = 0;
    bool has_empty = false;
    if (size < 0 || cap == 0) {
        return -EINVAL;
    }
    int64_t equals = eddy_slice_find(value, '=');
    if (equals < 0 || !eddy_slice_equal_ignore_case(eddy_slice_sub(value, 0, (size_t)equals),
                                                    eddy_slice_of("bytes"))) {
        return 0;
    }
    eddy_slice rest = eddy_slice_sub(value, (size_t)equals + 1, value.len);
    eddy_slice spec;
    while (eddy_http_list_next(&rest, &spec)) {
        eddy_http_range range;
        if (++count > EDDY_HTTP_RANGE_SPECS_MAX) {
            return 0;
        }
        switch (read_spec(spec, size, &range)) {
        case SPEC_RANGE:
            if (!add(&ranges, range)) {
                return 0;
            }
            break;
        case SPEC_BEYOND:
            break;
        case SPEC_EMPTY:
            has_empty = true;
            break;
        case SPEC_BAD:
            return 0;
        }
    }
    if (ranges.count == 0 && count > 0 && !has_empty) {
        return -ERANGE;
    }
    return (int64_t)ranges.count;
}

/* --- Content-Range ---------------------------------------------------------------------------- */

static bool is_within(const eddy_http_range *range, int64_t size) {
    return range->from >= 0 && range->len > 0 && range->from <= size &&
           range->len <= size - range->from;
}

static char *put_number(char *to, int64_t number) {
    char digits[20];
    int count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0) {
        *to++ = digits[--count];
    }
    return to;
}

int eddy_http_content_range_format(const eddy_http_range *range, int64_t size,
                                   char ret_text[EDDY_HTTP_CONTENT_RANGE_MAX]) {
    if (size < 0 || (range != NULL && !is_within(range, size))) {
        return -EINVAL;
    }
    char *to = ret_text;
    memcpy(to, "bytes ", 6);
    to += 6;
    if (range == NULL) {
        *to++ = '*';
    } else {
        to = put_number(to, range->from);
        *to++ = '-';
        to = put_number(to, range->from + range->len - 1);
    }
    *to++ = '/';
    to = put_number(to, size);
    *to = '\0';
    return (int)(to - ret_text);
}

int eddy_http_content_range_parse(eddy_slice value, eddy_http_range *ret_range, int64_t *ret_size) {
    int64_t first = 0;
    int64_t last = -1;
    int64_t size = -1;
    int64_t space = eddy_slice_find(value, ' ');
    int64_t slash = eddy_slice_find(value, '/');
    if (space < 0 || slash < space ||
        !eddy_slice_equal_ignore_case(eddy_slice_sub(value, 0, (size_t)space),
                                      eddy_slice_of("bytes"))) {
        return EDDY_ESYNTAX;
    }
    eddy_slice star = eddy_slice_of("*");
    eddy_slice part = eddy_slice_sub(value, (size_t)space + 1, (size_t)slash);
    eddy_slice whole = eddy_slice_sub(value, (size_t)slash + 1, value.len);
    bool has_part = !eddy_slice_equal(part, star);
    bool has_size = !eddy_slice_equal(whole, star);
    if (has_part) {
        int64_t dash = eddy_slice_find(part, '-');
        if (dash < 0 || !eddyi_http_number(eddy_slice_sub(part, 0, (size_t)dash), &first) ||
            !eddyi_http_number(eddy_slice_sub(part, (size_t)dash + 1, part.len), &last)) {
            return EDDY_ESYNTAX;
        }
    }
    if ((has_size && !eddyi_http_number(whole, &size)) || (!has_part && !has_size)) {
        return EDDY_ESYNTAX;
    }
    /* Numbers that do not fit are INT64_MAX here, which no offset and no size is. */
    if (last == INT64_MAX || size == INT64_MAX || (has_part && last < first) ||
        (has_part && has_size && last >= size)) {
        return EDDY_ESYNTAX;
    }
    *ret_range = (eddy_http_range){first, last - first + 1};
    *ret_size = size;
    return 0;
}

/* --- multipart/byteranges --------------------------------------------------------------------- */

static bool is_boundary(eddy_slice text) {
    return text.len <= BOUNDARY_LARGEST && eddy_http_is_token(text);
}

int eddy_http_range_part(eddy_buffer *out, eddy_slice boundary, eddy_slice type,
                         const eddy_http_range *range, int64_t size) {
    char text[EDDY_HTTP_CONTENT_RANGE_MAX];
    int len = eddy_http_content_range_format(range, size, text);
    if (range == NULL || len < 0 || !is_boundary(boundary) || !eddy_http_is_value(type)) {
        return -EINVAL;
    }
    const eddy_slice pieces[] = {
        eddy_slice_of("\r\n--"),
        boundary,
        eddy_slice_of(type.len == 0 ? "" : "\r\nContent-Type: "),
        type,
        eddy_slice_of("\r\nContent-Range: "),
        eddy_slice_from(text, (size_t)len),
        eddy_slice_of("\r\n\r\n"),
    };
    size_t start = out->len;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        int r = eddy_buffer_append_slice(out, pieces[i]);
        if (r < 0) {
            out->len = start;
            return r;
        }
    }
    return 0;
}

int eddy_http_range_end(eddy_buffer *out, eddy_slice boundary) {
    char text[BOUNDARY_LARGEST + 8] = "\r\n--";
    if (!is_boundary(boundary)) {
        return -EINVAL;
    }
    memcpy(text + 4, boundary.data, boundary.len);
    memcpy(text + 4 + boundary.len, "--\r\n", 4);
    return eddy_buffer_append(out, text, boundary.len + 8);
}
