/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads. Pieces give what the whole gives; what is taken has just the lines that it seems to have,
 * and says the same when it is written out and read again.
 */
#include <eddy/net/http/framing.h>
#include <eddy/net/http/target.h>
#include <eddy/net/http/write.h>

#include "fuzz_http.h"

static void require_same(const eddy_http_head *a, const eddy_http_head *b) {
    REQUIRE(a->version == b->version && a->method == b->method && a->form == b->form);
    REQUIRE(a->status == b->status && a->field_count == b->field_count);
    REQUIRE(eddy_slice_equal(a->method_name, b->method_name));
    REQUIRE(eddy_slice_equal(a->target, b->target));
    REQUIRE(eddy_slice_equal(a->host, b->host));
    REQUIRE(eddy_slice_equal(a->reason, b->reason));
    for (uint32_t i = 0; i < a->field_count; i++) {
        eddy_http_field x = eddy_http_head_field(a, i);
        eddy_http_field y = eddy_http_head_field(b, i);
        REQUIRE(eddy_slice_equal(x.name, y.name) && eddy_slice_equal(x.value, y.value));
    }
}

/* Gives the head to `head` in pieces, each time at another address. */
static int64_t parse_in_pieces(eddy_http_head *head, eddy_slice text, size_t first, size_t step,
                               char **ret_copy, eddy_http_fault *fault) {
    size_t len = first < text.len ? first : text.len;
    for (;;) {
        char *copy = fuzz_copy(eddy_slice_sub(text, 0, len));
        int64_t r = eddy_http_head_parse(head, eddy_slice_from(copy, len), fault);
        if (r != -EAGAIN || len == text.len) {
            *ret_copy = copy;
            return r;
        }
        memset(copy, 0, len);
        free(copy);
        len = step < text.len - len ? len + step : text.len;
    }
}

/* CR and LF stand in the head as pairs only, and there are as many of them as lines. */
static void require_lines(const eddy_http_head *head) {
    uint32_t lines = 0;
    REQUIRE(memchr(head->data, '\0', head->len) == NULL);
    for (uint32_t i = 0; i < head->len; i++) {
        REQUIRE((head->data[i] == '\r') == (i + 1 < head->len && head->data[i + 1] == '\n'));
        lines += head->data[i] == '\n';
    }
    bool has_line = head->kind != EDDY_HTTP_TRAILERS;
    bool has_lead = head->data[0] == '\r' && has_line;
    REQUIRE(lines == head->field_count + 1 + has_line + has_lead);
}

static void require_fields(const eddy_http_head *head) {
    for (uint32_t i = 0; i < head->field_count; i++) {
        eddy_http_field field = eddy_http_head_field(head, i);
        char name[64];
        eddy_slice value;
        REQUIRE(eddy_http_is_token(field.name) && eddy_http_is_value(field.value));
        REQUIRE(eddy_slice_equal(eddy_slice_trim(field.value), field.value));
        if (field.name.len < sizeof name) {
            uint32_t index = i;
            memcpy(name, field.name.data, field.name.len);
            name[field.name.len] = '\0';
            REQUIRE(eddy_http_head_find(head, name, &value));
            REQUIRE(eddy_http_head_next(head, name, &index, &value) && index == i + 1);
            REQUIRE(value.data == field.value.data);
        }
    }
}

static void require_request(const eddy_http_head *head) {
    eddy_http_framing framing = {0};
    eddy_http_fault fault = {0};
    eddy_http_target target;
    eddy_slice host;
    eddy_slice value;
    int port;
    REQUIRE(eddy_http_target_split(head->target, &target) == 0);
    REQUIRE(eddy_http_authority_split(head->host, &host, &port) == 0);
    REQUIRE(head->version == 10 || eddy_http_head_find(head, "host", &value));
    int r = eddy_http_framing_of_request(head, &framing, &fault);
    bool has_coding = eddy_http_head_find(head, "transfer-encoding", &value);
    bool has_length = eddy_http_head_find(head, "content-length", &value);
    if (r < 0) {
        REQUIRE(fault.status >= 400 && fault.offset < head->len && fault.text != NULL);
        return;
    }
    REQUIRE(!(has_coding && has_length));
    REQUIRE(framing.body == (has_coding   ? EDDY_HTTP_BODY_CHUNKED
                             : has_length ? EDDY_HTTP_BODY_SIZED
                                          : EDDY_HTTP_BODY_NONE));
    REQUIRE(framing.length >= 0);
    if (has_length) {
        for (size_t i = 0; i < value.len; i++) {
            REQUIRE(value.data[i] >= '0' && value.data[i] <= '9');
        }
    }
}

static void require_response(const eddy_http_head *head, uint8_t method) {
    eddy_http_framing framing = {0};
    if (eddy_http_framing_of_response(head, (enum eddy_http_method)(method % 10), &framing, NULL) ==
        0) {
        REQUIRE(framing.length >= 0);
        REQUIRE(!framing.keep_alive || framing.body != EDDY_HTTP_BODY_UNTIL_CLOSE);
    }
}

static void require_written_and_read(const eddy_http_head *head) {
    eddy_buffer out = {0};
    eddy_http_head back;
    const eddy_http_limits limits = {.head_bytes = UINT32_MAX, .target_bytes = UINT32_MAX};
    if (head->version == 11 || head->kind == EDDY_HTTP_RESPONSE) {
        if (head->kind == EDDY_HTTP_REQUEST) {
            REQUIRE(eddy_http_write_request(&out, head->method_name, head->target) == 0);
        } else if (head->kind == EDDY_HTTP_RESPONSE) {
            REQUIRE(eddy_http_write_status(&out, head->status) == 0);
        }
        for (uint32_t i = 0; i < head->field_count; i++) {
            eddy_http_field field = eddy_http_head_field(head, i);
            char *name = malloc(field.name.len + 1);
            REQUIRE(name != NULL);
            memcpy(name, field.name.data, field.name.len);
            name[field.name.len] = '\0';
            REQUIRE(eddy_http_write_field(&out, name, field.value) == 0);
            free(name);
        }
        REQUIRE(eddy_http_write_end(&out) == 0);
        eddy_http_head_init(&back, head->kind, &limits);
        REQUIRE(eddy_http_head_parse(&back, eddy_buffer_slice(&out), NULL) == (int64_t)out.len);
        back.version = head->version; /* a response is always written as 1.1 */
        back.reason = head->reason;   /* and with its own phrase */
        require_same(head, &back);
    }
    eddy_buffer_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum eddy_http_kind kind = (enum eddy_http_kind)(fuzz_byte(&data, &size) % 3);
    uint8_t small = fuzz_byte(&data, &size);
    size_t first = fuzz_byte(&data, &size);
    size_t step = fuzz_byte(&data, &size) % 16 + 1;
    const eddy_http_limits limits = {
        .head_bytes = small, .target_bytes = small / 4, .fields = small / 16};
    eddy_slice text = eddy_slice_from(data, size);
    eddy_http_head whole;
    eddy_http_head head;
    eddy_http_fault whole_fault = {0};
    eddy_http_fault fault = {0};
    char *pieces;
    char *copy = fuzz_copy(text);
    eddy_http_head_init(&whole, kind, &limits);
    eddy_http_head_init(&head, kind, &limits);
    int64_t wanted = eddy_http_head_parse(&whole, eddy_slice_from(copy, size), &whole_fault);
    int64_t r = parse_in_pieces(&head, text, first, step, &pieces, &fault);
    REQUIRE(r == wanted);
    REQUIRE(fault.status == whole_fault.status && fault.offset == whole_fault.offset);
    REQUIRE(fault.text == whole_fault.text);
    REQUIRE((fault.text != NULL) == (r < 0 && r != -EAGAIN));
    if (r >= 0) {
        REQUIRE(r > 0 && (size_t)r <= size && (uint32_t)r == whole.len);
        require_same(&head, &whole);
        require_lines(&whole);
        require_fields(&whole);
        if (kind == EDDY_HTTP_REQUEST) {
            require_request(&whole);
        } else if (kind == EDDY_HTTP_RESPONSE) {
            require_response(&whole, (uint8_t)step);
        }
        require_written_and_read(&whole);
    }
    free(pieces);
    free(copy);
    return 0;
}
