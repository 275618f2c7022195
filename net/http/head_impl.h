/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser of heads (head.c) and the search in them (fields.c) share. */
#ifndef EDDY_NET_HTTP_HEAD_IMPL_H
#define EDDY_NET_HTTP_HEAD_IMPL_H

#include <eddy/net/http/head.h>

/*
 * One of 64 bits for a name, by its length and its ends: a search for a name whose bit no field has
 * set need not look at the fields. `| 0x20` makes letters small and leaves equal bytes equal.
 */
static inline uint64_t eddyi_http_name_bit(const char *name, size_t len) {
    unsigned first = (unsigned char)name[0] | 0x20;
    unsigned last = (unsigned char)name[len - 1] | 0x20;
    return (uint64_t)1 << ((len * 11 + first * 5 + last) & 63);
}

static inline eddy_slice eddyi_http_head_slice(const eddy_http_head *head, uint32_t at,
                                               uint32_t len) {
    return eddy_slice_from(head->data + at, len);
}

#endif
