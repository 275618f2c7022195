/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/http/bytes_impl.h>
#include <eddy/net/http/target.h>
#include <eddy/runtime/base/error.h>

#define PORT_LARGEST 65535

/* --- taking apart ----------------------------------------------------------------------------- */

/* Whether a percent sign and two hexadecimal digits stand at `at`. */
static bool is_encoded(eddy_slice text, size_t at) {
    return text.len - at >= 3 && text.data[at] == '%' &&
           eddyi_http_is(text.data[at + 1], EDDYI_HTTP_HEX) &&
           eddyi_http_is(text.data[at + 2], EDDYI_HTTP_HEX);
}

/* "[::1]" at the front of `text`: its length, or 0. What the address is, is for who connects. */
static size_t literal_len(eddy_slice text) {
    bool has_colon = false;
    for (size_t i = 1; i < text.len; i++) {
        char byte = text.data[i];
        if (byte == ']') {
            return has_colon ? i + 1 : 0;
        }
        if (byte != ':' && byte != '.' && !eddyi_http_is(byte, EDDYI_HTTP_HEX)) {
            return 0;
        }
        has_colon |= byte == ':';
    }
    return 0;
}

/* The length of the name or IPv4 address at the front of `text`. */
static size_t name_len(eddy_slice text) {
    size_t i = 0;
    while (i < text.len) {
        if (eddyi_http_is(text.data[i], EDDYI_HTTP_HOST)) {
            i++;
        } else if (is_encoded(text, i)) {
            i += 3;
        } else {
            break;
        }
    }
    return i;
}

int eddy_http_authority_split(eddy_slice text, eddy_slice *ret_host, int *ret_port) {
    bool is_literal = text.len > 0 && text.data[0] == '[';
    size_t len = is_literal ? literal_len(text) : name_len(text);
    eddy_slice rest = eddy_slice_sub(text, len, text.len);
    int64_t port = -1;
    if (is_literal && len == 0) {
        return EDDY_EHTTP_REQUEST;
    }
    if (rest.len > 0) {
        eddy_slice digits = eddy_slice_sub(rest, 1, rest.len);
        if (rest.data[0] != ':' || len == 0) {
            return EDDY_EHTTP_REQUEST;
        }
        if (digits.len > 0 && (!eddyi_http_number(digits, &port) || port > PORT_LARGEST)) {
            return EDDY_EHTTP_REQUEST;
        }
    }
    *ret_host = eddy_slice_sub(text, 0, len);
    *ret_port = (int)port;
    return 0;
}

/* The length of "http" in "http://...", or 0. */
static size_t scheme_len(eddy_slice text) {
    size_t i = 0;
    while (i < text.len && text.data[i] != ':') {
        char byte = text.data[i];
        char letter = (char)(byte | 0x20);
        bool is_letter = letter >= 'a' && letter <= 'z';
        bool is_other =
            eddyi_http_is(byte, EDDYI_HTTP_DIGIT) || byte == '+' || byte == '-' || byte == '.';
        if (!is_letter && (i == 0 || !is_other)) {
            return 0;
        }
        i++;
    }
    eddy_slice behind = eddy_slice_sub(text, i, i + 3);
    return eddy_slice_equal(behind, eddy_slice_of("://")) ? i : 0;
}

static void split_path(eddy_slice text, eddy_http_target *target) {
    int64_t mark = eddy_slice_find(text, '?');
    target->path = text;
    if (mark >= 0) {
        target->path = eddy_slice_sub(text, 0, (size_t)mark);
        target->query = eddy_slice_sub(text, (size_t)mark + 1, text.len);
        target->has_query = true;
    }
}

int eddy_http_target_split(eddy_slice text, eddy_http_target *ret_target) {
    eddy_http_target target = {0};
    eddy_slice host;
    int port;
    if (text.len == 0 || !eddyi_http_all(text, EDDYI_HTTP_TARGET)) {
        return EDDY_EHTTP_REQUEST;
    }
    size_t scheme = scheme_len(text);
    if (text.data[0] == '/') {
        split_path(text, &target);
    } else if (text.len == 1 && text.data[0] == '*') {
        target.path = text;
    } else if (scheme > 0) {
        size_t start = scheme + 3;
        size_t end = start;
        while (end < text.len && text.data[end] != '/' && text.data[end] != '?') {
            end++;
        }
        target.scheme = eddy_slice_sub(text, 0, scheme);
        target.authority = eddy_slice_sub(text, start, end);
        split_path(eddy_slice_sub(text, end, text.len), &target);
        if (target.path.len == 0) {
            target.path = eddy_slice_of("/");
        }
        if (target.authority.len == 0 ||
            eddy_http_authority_split(target.authority, &host, &port) < 0) {
            return EDDY_EHTTP_REQUEST;
        }
    } else {
        target.authority = text;
        if (eddy_http_authority_split(text, &host, &port) < 0 || port < 0) {
            return EDDY_EHTTP_REQUEST;
        }
    }
    *ret_target = target;
    return 0;
}

bool eddy_http_query_next(eddy_slice *rest, eddy_slice *ret_name, eddy_slice *ret_value) {
    while (rest->len > 0) {
        int64_t found = eddy_slice_find(*rest, '&');
        size_t len = found < 0 ? rest->len : (size_t)found;
        eddy_slice pair = eddy_slice_sub(*rest, 0, len);
        *rest = eddy_slice_sub(*rest, len + 1, rest->len);
        if (pair.len > 0) {
            found = eddy_slice_find(pair, '=');
            len = found < 0 ? pair.len : (size_t)found;
            *ret_name = eddy_slice_sub(pair, 0, len);
            *ret_value = eddy_slice_sub(pair, len + 1, pair.len);
            return true;
        }
    }
    return false;
}

/* --- percent-encoding ------------------------------------------------------------------------- */

static char decoded(eddy_slice text, size_t at) {
    return (char)(eddyi_http_hex(text.data[at + 1]) << 4 | eddyi_http_hex(text.data[at + 2]));
}

int64_t eddy_http_percent_decode(eddy_slice text, bool plus, char *ret_bytes, size_t cap) {
    size_t len = 0;
    /* Judged whole before a byte is written, because outputs are written on success only. */
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '%') {
            if (!is_encoded(text, i)) {
                return EDDY_ESYNTAX;
            }
            i += 2;
        }
        len++;
    }
    if (len > cap) {
        return -EOVERFLOW;
    }
    size_t to = 0;
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.data[i];
        if (byte == '%') {
            byte = decoded(text, i);
            i += 2;
        } else if (byte == '+' && plus) {
            byte = ' ';
        }
        ret_bytes[to++] = byte;
    }
    return (int64_t)len;
}

int eddy_http_percent_encode(eddy_buffer *out, eddy_slice bytes, const char *keep) {
    static const char hex[] = "0123456789ABCDEF";
    if (bytes.len > SIZE_MAX / 3) {
        return -EOVERFLOW;
    }
    int r = eddy_buffer_reserve(out, bytes.len * 3);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < bytes.len; i++) {
        char byte = bytes.data[i];
        /* strchr finds a NUL in every text, at its end. */
        if (eddyi_http_is(byte, EDDYI_HTTP_PLAIN) || (byte != '\0' && strchr(keep, byte) != NULL)) {
            out->data[out->len++] = byte;
        } else {
            out->data[out->len++] = '%';
            out->data[out->len++] = hex[(uint8_t)byte >> 4];
            out->data[out->len++] = hex[(uint8_t)byte & 15];
        }
    }
    return 0;
}

/* --- paths ------------------------------------------------------------------------------------ */

/*
 * The result grows like a stack of segments: "/a/b/" and then what is being read. `segment` is
 * where that begins, right behind a slash.
 */
struct path {
    char *text;
    size_t cap;
    size_t len;
    size_t segment;
};

/* A segment has ended: at a slash or, with `last`, at the end. */
static int end_segment(struct path *path, bool last) {
    const char *text = path->text + path->segment;
    size_t len = path->len - path->segment;
    if (len == 2 && text[0] == '.' && text[1] == '.') {
        if (path->segment == 1) {
            return EDDY_EHTTP_REQUEST;
        }
        path->segment--; /* its slash, and then back to behind the one before */
        while (path->text[path->segment - 1] != '/') {
            path->segment--;
        }
        path->len = path->segment;
    } else if (len == 0 || (len == 1 && text[0] == '.')) {
        path->len = path->segment;
    } else if (!last) {
        if (path->len == path->cap) {
            return EDDY_EHTTP_TOO_LARGE;
        }
        path->text[path->len++] = '/';
        path->segment = path->len;
    }
    return 0;
}

int64_t eddy_http_path_resolve(eddy_slice path, unsigned flags, char *ret_path, size_t cap) {
    if (path.len == 0 || path.data[0] != '/') {
        return EDDY_EHTTP_REQUEST;
    }
    if (cap < 2) {
        return EDDY_EHTTP_TOO_LARGE;
    }
    struct path result = {ret_path, cap - 1, 1, 1}; /* one byte is for the NUL */
    ret_path[0] = '/';
    for (size_t i = 1; i < path.len; i++) {
        char byte = path.data[i];
        bool is_slash = byte == '/';
        if (byte == '%') {
            if (!is_encoded(path, i)) {
                return EDDY_EHTTP_REQUEST;
            }
            byte = decoded(path, i);
            is_slash = byte == '/';
            if (is_slash && (flags & EDDY_HTTP_PATH_ENCODED_SLASH) == 0) {
                return EDDY_EHTTP_REQUEST;
            }
            i += 2;
        }
        if (byte == '\0') {
            return EDDY_EHTTP_REQUEST;
        }
        if (is_slash) {
            int r = end_segment(&result, false);
            if (r < 0) {
                return r;
            }
        } else if (result.len == result.cap) {
            return EDDY_EHTTP_TOO_LARGE;
        } else {
            ret_path[result.len++] = byte;
        }
    }
    int r = end_segment(&result, true);
    if (r < 0) {
        return r;
    }
    ret_path[result.len] = '\0';
    return (int64_t)result.len;
}

/* --- a value by its name ---------------------------------------------------------------------- */

/* Whether `encoded` reads `name` when it is decoded as a form's. */
static bool reads(eddy_slice encoded, const char *name) {
    size_t len = 0;
    for (size_t i = 0; i < encoded.len; i++) {
        char byte = encoded.data[i];
        if (byte == '%') {
            if (!is_encoded(encoded, i)) {
                return false;
            }
            byte = decoded(encoded, i);
            i += 2;
        } else if (byte == '+') {
            byte = ' ';
        }
        if (name[len] == '\0' || name[len++] != byte) {
            return false;
        }
    }
    return name[len] == '\0';
}

bool eddy_http_query_find(eddy_slice query, const char *name, eddy_slice *ret_value) {
    eddy_slice found;
    eddy_slice value;
    while (eddy_http_query_next(&query, &found, &value)) {
        if (reads(found, name)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}
