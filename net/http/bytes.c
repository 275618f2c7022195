/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/http/bytes_impl.h>

#define BETWEEN(c, from, to) ((c) >= (from) && (c) <= (to))
#define IS_ALPHA(c) (BETWEEN(c, 'a', 'z') || BETWEEN(c, 'A', 'Z'))
#define IS_DIGIT(c) BETWEEN(c, '0', '9')
#define IS_HEX(c) (IS_DIGIT(c) || BETWEEN(c, 'a', 'f') || BETWEEN(c, 'A', 'F'))
#define IS_VISIBLE(c) BETWEEN(c, 0x21, 0x7e)
#define IS_PLAIN(c) \
    (IS_ALPHA(c) || IS_DIGIT(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~')
#define IS_TOKEN(c) \
    (IS_PLAIN(c) || (c) == '!' || BETWEEN(c, '#', '\'') || (c) == '*' || (c) == '+' || \
     (c) == '^' || (c) == '`' || (c) == '|')
#define IS_VALUE(c) ((c) == '\t' || ((c) >= 0x20 && (c) != 0x7f))
#define IS_TARGET(c) (IS_VISIBLE(c) && (c) != '"' && (c) != '#' && (c) != '<' && (c) != '>')
#define IS_HOST(c) \
    (IS_PLAIN(c) || (c) == '!' || (c) == '$' || BETWEEN(c, '&', ',') || (c) == ';' || (c) == '=')
#define IS_ETAG(c) ((IS_VISIBLE(c) && (c) != '"') || (c) >= 0x80)

#define BYTE(c) \
    ((IS_TOKEN(c) ? EDDYI_HTTP_TOKEN : 0) | (IS_VALUE(c) ? EDDYI_HTTP_VALUE : 0) | \
     (IS_TARGET(c) ? EDDYI_HTTP_TARGET : 0) | (IS_HOST(c) ? EDDYI_HTTP_HOST : 0) | \
     (IS_ETAG(c) ? EDDYI_HTTP_ETAG : 0) | (IS_HEX(c) ? EDDYI_HTTP_HEX : 0) | \
     (IS_DIGIT(c) ? EDDYI_HTTP_DIGIT : 0) | (IS_PLAIN(c) ? EDDYI_HTTP_PLAIN : 0))
#define BYTES4(c) BYTE(c), BYTE((c) + 1), BYTE((c) + 2), BYTE((c) + 3)
#define BYTES16(c) BYTES4(c), BYTES4((c) + 4), BYTES4((c) + 8), BYTES4((c) + 12)
#define BYTES64(c) BYTES16(c), BYTES16((c) + 16), BYTES16((c) + 32), BYTES16((c) + 48)

const uint8_t eddyi_http_bytes[256] = {BYTES64(0), BYTES64(64), BYTES64(128), BYTES64(192)};

/* In each byte's highest bit: whether it is a control byte. Exact for the lowest such byte; those
 * above it may be marked wrongly, because a subtraction borrows from them. */
static uint64_t find_controls(uint64_t eight) {
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t del = eight ^ (ones * 0x7f);
    uint64_t below_space = (eight - ones * 0x20) & ~eight;
    uint64_t is_del = (del - ones) & ~del;
    return (below_space | is_del) & (ones * 0x80);
}

const char *eddyi_http_skip_value(const char *p, const char *end) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (end - p >= 8) {
        uint64_t eight;
        memcpy(&eight, p, sizeof eight);
        uint64_t found = find_controls(eight);
        if (found == 0) {
            p += 8;
            continue;
        }
        p += __builtin_ctzll(found) / 8;
        if (*p != '\t') {
            return p;
        }
        p++;
    }
#endif
    return eddyi_http_skip(p, end, EDDYI_HTTP_VALUE);
}

bool eddyi_http_number(eddy_slice digits, int64_t *ret_number) {
    int64_t number = 0;
    if (digits.len == 0 || !eddyi_http_all(digits, EDDYI_HTTP_DIGIT)) {
        return false;
    }
    for (size_t i = 0; i < digits.len; i++) {
        int digit = digits.data[i] - '0';
        if (number > (INT64_MAX - digit) / 10) {
            number = INT64_MAX;
            break;
        }
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}
