/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/http/bytes_impl.h>
#include <eddy/net/http/date.h>
#include <eddy/net/http/header.h>
#include <eddy/net/http/status.h>
#include <eddy/net/http/write.h>
#include <eddy/runtime/base/error.h>

/* All of the pieces, or nothing: room is made first, for all of them. */
static int append(eddy_buffer *out, const eddy_slice *pieces, size_t count) {
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len > (size_t)PTRDIFF_MAX - len) {
            return -EOVERFLOW;
        }
        len += pieces[i].len;
    }
    int r = eddy_buffer_reserve(out, len);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len > 0) {
            memcpy(out->data + out->len, pieces[i].data, pieces[i].len);
            out->len += pieces[i].len;
        }
    }
    return 0;
}

#define APPEND(out, ...) \
    append((out), (const eddy_slice[]){__VA_ARGS__}, \
           sizeof((const eddy_slice[]){__VA_ARGS__}) / sizeof(eddy_slice))

int eddy_http_write_status(eddy_buffer *out, int status) {
    char line[] = "HTTP/1.1 000 ";
    if (status < 100 || status > 999) {
        return -EINVAL;
    }
    line[9] = (char)('0' + status / 100);
    line[10] = (char)('0' + status / 10 % 10);
    line[11] = (char)('0' + status % 10);
    return APPEND(out, eddy_slice_from(line, sizeof line - 1),
                  eddy_slice_of(eddy_http_status_text(status)), eddy_slice_of("\r\n"));
}

int eddy_http_write_request(eddy_buffer *out, eddy_slice method, eddy_slice target) {
    if (!eddy_http_is_token(method) || target.len == 0 ||
        !eddyi_http_all(target, EDDYI_HTTP_TARGET)) {
        return -EINVAL;
    }
    return APPEND(out, method, eddy_slice_of(" "), target, eddy_slice_of(" HTTP/1.1\r\n"));
}

/* The value is known to be one. */
static int write_known(eddy_buffer *out, const char *name, eddy_slice value) {
    eddy_slice name_slice = eddy_slice_of(name);
    if (!eddy_http_is_token(name_slice)) {
        return -EINVAL;
    }
    /* Not by APPEND: the short pieces would be calls of memcpy of their own, in each field. */
    const size_t around = strlen(": \r\n");
    if (value.len > (size_t)PTRDIFF_MAX - name_slice.len - around) {
        return -EOVERFLOW;
    }
    int r = eddy_buffer_reserve(out, name_slice.len + value.len + around);
    if (r < 0) {
        return r;
    }
    char *at = out->data + out->len;
    memcpy(at, name_slice.data, name_slice.len);
    at += name_slice.len;
    *at++ = ':';
    *at++ = ' ';
    if (value.len > 0) {
        memcpy(at, value.data, value.len);
        at += value.len;
    }
    *at++ = '\r';
    *at++ = '\n';
    out->len = (size_t)(at - out->data);
    return 0;
}

int eddy_http_write_field(eddy_buffer *out, const char *name, eddy_slice value) {
    return eddy_http_is_value(value) ? write_known(out, name, value) : -EINVAL;
}

int eddy_http_write_number(eddy_buffer *out, const char *name, int64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    if (value < 0) {
        return -EINVAL;
    }
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return write_known(out, name, eddy_slice_from(digits + at, sizeof digits - at));
}

int eddy_http_write_date(eddy_buffer *out, const char *name, int64_t unix_s) {
    char text[EDDY_HTTP_DATE_LEN + 1];
    int r = eddy_http_date_format(unix_s, text);
    return r < 0 ? r : write_known(out, name, eddy_slice_from(text, EDDY_HTTP_DATE_LEN));
}

int eddy_http_write_end(eddy_buffer *out) {
    return eddy_buffer_append(out, "\r\n", 2);
}
