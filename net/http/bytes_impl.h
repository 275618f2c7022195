/* SPDX-License-Identifier: Apache-2.0 */
/* What each byte may be part of: one table for all parsers of this folder. */
#ifndef EDDY_NET_HTTP_BYTES_IMPL_H
#define EDDY_NET_HTTP_BYTES_IMPL_H

#include <string.h>

#include <eddy/runtime/base/slice.h>

enum {
    EDDYI_HTTP_TOKEN = 1,   /* tchar, RFC 9110 5.6.2 */
    EDDYI_HTTP_VALUE = 2,   /* of field values: tab, space, visible ASCII, 0x80 and up */
    EDDYI_HTTP_TARGET = 4,  /* of request targets, see eddy_http_target_split */
    EDDYI_HTTP_HOST = 8,    /* of names of hosts, but for the percent sign */
    EDDYI_HTTP_ETAG = 16,   /* between the quotes of an entity tag */
    EDDYI_HTTP_HEX = 32,    /* 0-9 A-F a-f */
    EDDYI_HTTP_DIGIT = 64,  /* 0-9 */
    EDDYI_HTTP_PLAIN = 128, /* unreserved, RFC 3986 2.3: never percent-encoded */
};

extern const uint8_t eddyi_http_bytes[256];

static inline bool eddyi_http_is(char byte, unsigned what) {
    return (eddyi_http_bytes[(uint8_t)byte] & what) != 0;
}

/* The first byte from `p` on that is not `what`, or `end`. */
static inline const char *eddyi_http_skip(const char *p, const char *end, unsigned what) {
    while (p < end && eddyi_http_is(*p, what)) {
        p++;
    }
    return p;
}

static inline bool eddyi_http_all(eddy_slice text, unsigned what) {
    for (size_t i = 0; i < text.len; i++) {
        if (!eddyi_http_is(text.data[i], what)) {
            return false;
        }
    }
    return true;
}

static inline bool eddyi_http_is_blank(char byte) {
    return byte == ' ' || byte == '\t';
}

/* The value of a hexadecimal digit, which `byte` is. */
static inline unsigned eddyi_http_hex(char byte) {
    return byte <= '9' ? (unsigned)(byte - '0') : (unsigned)((byte | 0x20) - 'a' + 10);
}

/* As eddyi_http_skip(EDDYI_HTTP_VALUE), eight bytes at a time: values are most of a head. */
const char *eddyi_http_skip_value(const char *p, const char *end);

/* Digits, all of them and at least one, as a number; more than fits gives INT64_MAX. False for
 * anything else: a sign, white space, an empty text. */
bool eddyi_http_number(eddy_slice digits, int64_t *ret_number);

#endif
