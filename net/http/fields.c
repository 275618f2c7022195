/* SPDX-License-Identifier: Apache-2.0 */
/* What a complete head holds. */
#include <eddy/net/http/head_impl.h>

#include <string.h>

eddy_http_field eddy_http_head_field(const eddy_http_head *head, uint32_t index) {
    eddy_http_field field = {{NULL, 0}, {NULL, 0}};
    if (index < head->field_count) {
        const eddy_http_span *span = &head->spans[index];
        field.name = eddyi_http_head_slice(head, span->name_at, span->name_len);
        field.value = eddyi_http_head_slice(head, span->value_at, span->value_len);
    }
    return field;
}

/* Most names come just as they are spelled in the standards. */
static bool is_name(const char *name, eddy_slice wanted) {
    return memcmp(name, wanted.data, wanted.len) == 0 ||
           eddy_slice_equal_ignore_case(eddy_slice_from(name, wanted.len), wanted);
}

bool eddy_http_head_next(const eddy_http_head *head, const char *name, uint32_t *index,
                         eddy_slice *ret_value) {
    eddy_slice wanted = eddy_slice_of(name);
    if (wanted.len == 0 || (head->name_bits & eddyi_http_name_bit(name, wanted.len)) == 0) {
        return false;
    }
    for (uint32_t i = *index; i < head->field_count; i++) {
        const eddy_http_span *span = &head->spans[i];
        if (span->name_len == wanted.len && is_name(head->data + span->name_at, wanted)) {
            *index = i + 1;
            *ret_value = eddyi_http_head_slice(head, span->value_at, span->value_len);
            return true;
        }
    }
    return false;
}

bool eddy_http_head_find(const eddy_http_head *head, const char *name, eddy_slice *ret_value) {
    uint32_t index = 0;
    return eddy_http_head_next(head, name, &index, ret_value);
}

bool eddy_http_head_lists(const eddy_http_head *head, const char *name, const char *token) {
    uint32_t index = 0;
    eddy_slice value;
    while (eddy_http_head_next(head, name, &index, &value)) {
        if (eddy_http_list_has(value, eddy_slice_of(token))) {
            return true;
        }
    }
    return false;
}
