/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/base/slice.h>

/* Not tolower: that follows the locale, and its argument must not be a negative char. */
static unsigned char fold(char byte) {
    unsigned char c = (unsigned char)byte;
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

bool eddy_slice_equal_ignore_case(eddy_slice a, eddy_slice b) {
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (fold(a.data[i]) != fold(b.data[i])) {
            return false;
        }
    }
    return true;
}

eddy_slice eddy_slice_sub(eddy_slice slice, size_t from, size_t to) {
    if (to > slice.len) {
        to = slice.len;
    }
    if (from > to) {
        from = to;
    }
    /* Nothing is added to a NULL pointer, not even 0: that is undefined in C. */
    return (eddy_slice){slice.data == NULL ? NULL : slice.data + from, to - from};
}

int64_t eddy_slice_find(eddy_slice slice, char byte) {
    if (slice.len == 0) {
        return -1;
    }
    const char *at = memchr(slice.data, byte, slice.len);
    return at == NULL ? -1 : (int64_t)(at - slice.data);
}

static bool is_blank(char byte) {
    return byte == ' ' || byte == '\t';
}

eddy_slice eddy_slice_trim(eddy_slice slice) {
    size_t from = 0;
    size_t to = slice.len;
    while (from < to && is_blank(slice.data[from])) {
        from++;
    }
    while (to > from && is_blank(slice.data[to - 1])) {
        to--;
    }
    return eddy_slice_sub(slice, from, to);
}
