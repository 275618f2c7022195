/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/http/bytes_impl.h>
#include <eddy/net/http/framing.h>
#include <eddy/runtime/base/error.h>

static int refuse_as(const eddy_http_head *head, eddy_slice where, int error, int status,
                     const char *text, eddy_http_fault *reterr) {
    if (reterr != NULL) {
        *reterr = (eddy_http_fault){status, (size_t)(where.data - head->data), text};
    }
    return error;
}

static int refuse(const eddy_http_head *head, eddy_slice where, const char *text,
                  eddy_http_fault *reterr) {
    int error = head->kind == EDDY_HTTP_REQUEST ? EDDY_EHTTP_REQUEST : EDDY_EHTTP_RESPONSE;
    return refuse_as(head, where, error, 400, text, reterr);
}

/* 1 and the length when Content-Length is there, 0 when it is not. */
static int read_length(const eddy_http_head *head, int64_t *ret_length, eddy_http_fault *reterr) {
    uint32_t index = 0;
    int count = 0;
    eddy_slice value;
    while (eddy_http_head_next(head, "Content-Length", &index, &value)) {
        /* Parted by hand: to a list "," is empty, here it is wrong. */
        for (eddy_slice rest = value;;) {
            int64_t comma = eddy_slice_find(rest, ',');
            size_t len = comma < 0 ? rest.len : (size_t)comma;
            int64_t length;
            if (!eddyi_http_number(eddy_slice_trim(eddy_slice_sub(rest, 0, len)), &length)) {
                return refuse(head, value, "Content-Length holds no number", reterr);
            }
            if (length == INT64_MAX) {
                return refuse(head, value, "Content-Length is too large", reterr);
            }
            if (count > 0 && (head->kind == EDDY_HTTP_REQUEST || length != *ret_length)) {
                return refuse(head, value, "Content-Length is there twice", reterr);
            }
            *ret_length = length;
            count = 1;
            if (comma < 0) {
                break;
            }
            rest = eddy_slice_sub(rest, len + 1, rest.len);
        }
    }
    return count;
}

/* 1 when the body is chunked, 0 when there is no Transfer-Encoding. */
static int read_coding(const eddy_http_head *head, eddy_http_fault *reterr) {
    uint32_t index = 0;
    int count = 0;
    int chunked = 0;
    bool last_is_chunked = false;
    eddy_slice value;
    eddy_slice where = {NULL, 0};
    while (eddy_http_head_next(head, "Transfer-Encoding", &index, &value)) {
        eddy_slice coding;
        where = value;
        if (value.len == 0) {
            return refuse(head, value, "Transfer-Encoding is empty", reterr);
        }
        while (eddy_http_list_next(&value, &coding)) {
            last_is_chunked = eddy_slice_equal_ignore_case(coding, eddy_slice_of("chunked"));
            chunked += last_is_chunked;
            count++;
        }
    }
    if (where.data == NULL) {
        return 0;
    }
    if (head->version == 10) {
        return refuse(head, where, "Transfer-Encoding in HTTP/1.0", reterr);
    }
    if (count == 0 || chunked > 1 || (chunked == 1 && !last_is_chunked)) {
        return refuse(head, where, "chunked is not the last transfer coding, once", reterr);
    }
    if (chunked == 0 || count > 1) {
        return refuse_as(head, where, EDDY_EHTTP_ENCODING, 501,
                         "a transfer coding that is not chunked", reterr);
    }
    return 1;
}

/* What the fields announce: NONE when they announce nothing. */
static int read_body(const eddy_http_head *head, eddy_http_framing *framing,
                     eddy_http_fault *reterr) {
    int64_t length = 0;
    int coded = read_coding(head, reterr);
    if (coded < 0) {
        return coded;
    }
    int sized = read_length(head, &length, reterr);
    if (sized < 0) {
        return sized;
    }
    if (coded > 0 && sized > 0) {
        eddy_slice where;
        eddy_http_head_find(head, "Content-Length", &where);
        return refuse(head, where, "Content-Length beside Transfer-Encoding", reterr);
    }
    framing->body = coded > 0   ? EDDY_HTTP_BODY_CHUNKED
                    : sized > 0 ? EDDY_HTTP_BODY_SIZED
                                : EDDY_HTTP_BODY_NONE;
    framing->length = length;
    return 0;
}

/* What Connection lists, of what matters here. */
struct connection {
    bool close;
    bool keep_alive;
    bool upgrade;
};

static struct connection read_connection(const eddy_http_head *head) {
    struct connection connection = {false, false, false};
    uint32_t index = 0;
    eddy_slice value;
    eddy_slice option;
    while (eddy_http_head_next(head, "Connection", &index, &value)) {
        while (eddy_http_list_next(&value, &option)) {
            connection.close |= eddy_slice_equal_ignore_case(option, eddy_slice_of("close"));
            connection.keep_alive |=
                eddy_slice_equal_ignore_case(option, eddy_slice_of("keep-alive"));
            connection.upgrade |= eddy_slice_equal_ignore_case(option, eddy_slice_of("upgrade"));
        }
    }
    return connection;
}

static bool keeps_alive(const eddy_http_head *head, struct connection connection) {
    return !connection.close && (head->version == 11 || connection.keep_alive);
}

static int read_expect(const eddy_http_head *head, eddy_http_framing *framing,
                       eddy_http_fault *reterr) {
    uint32_t index = 0;
    eddy_slice value;
    if (head->version == 10) {
        return 0; /* RFC 9110 10.1.1: not to be obeyed there */
    }
    while (eddy_http_head_next(head, "Expect", &index, &value)) {
        eddy_slice rest = value;
        eddy_slice element;
        while (eddy_http_list_next(&rest, &element)) {
            if (!eddy_slice_equal_ignore_case(element, eddy_slice_of("100-continue"))) {
                return refuse_as(head, value, EDDY_EHTTP_REQUEST, 417,
                                 "an expectation that is not 100-continue", reterr);
            }
            framing->expect_continue =
                framing->body != EDDY_HTTP_BODY_NONE &&
                !(framing->body == EDDY_HTTP_BODY_SIZED && framing->length == 0);
        }
    }
    return 0;
}

int eddy_http_framing_of_request(const eddy_http_head *head, eddy_http_framing *ret_framing,
                                 eddy_http_fault *reterr) {
    eddy_http_framing framing = {0};
    eddy_slice value;
    int r = read_body(head, &framing, reterr);
    if (r < 0) {
        return r;
    }
    r = read_expect(head, &framing, reterr);
    if (r < 0) {
        return r;
    }
    struct connection connection = read_connection(head);
    framing.keep_alive = keeps_alive(head, connection);
    framing.upgrade =
        head->version == 11 && connection.upgrade && eddy_http_head_find(head, "Upgrade", &value);
    *ret_framing = framing;
    return 0;
}

int eddy_http_framing_of_response(const eddy_http_head *head, enum eddy_http_method method,
                                  eddy_http_framing *ret_framing, eddy_http_fault *reterr) {
    eddy_http_framing framing = {0};
    int r = read_body(head, &framing, reterr);
    if (r < 0) {
        return r;
    }
    framing.keep_alive = keeps_alive(head, read_connection(head));
    bool is_tunnel =
        head->status == 101 || (method == EDDY_HTTP_CONNECT && head->status / 100 == 2);
    if (is_tunnel) {
        framing.body = EDDY_HTTP_BODY_TUNNEL;
        framing.keep_alive = false;
    } else if (method == EDDY_HTTP_HEAD || eddy_http_status_is_bodiless(head->status)) {
        framing.body = EDDY_HTTP_BODY_NONE;
    } else if (framing.body == EDDY_HTTP_BODY_NONE) {
        framing.body = EDDY_HTTP_BODY_UNTIL_CLOSE;
        framing.keep_alive = false;
    }
    if (framing.body != EDDY_HTTP_BODY_SIZED) {
        framing.length = 0;
    }
    *ret_framing = framing;
    return 0;
}
