/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header fields: what their names and values may hold, and the lists that many values are.
 *
 *     eddy_slice rest = eddy_slice_of("gzip;q=0.5, br, \"a,b\""), element;
 *     while (eddy_http_list_next(&rest, &element)) {
 *         ...                                      gzip;q=0.5   then   br   then   "a,b"
 *     }
 *
 * A parsed head and its fields are in net/http/head.h, writing them in net/http/write.h.
 */
#ifndef EDDY_NET_HTTP_HEADER_H
#define EDDY_NET_HTTP_HEADER_H

#include <eddy/runtime/base/slice.h>

EDDY_BEGIN_DECLS

/* One field line of a message. */
typedef struct eddy_http_field {
    eddy_slice name;  /* as it was sent; compare with eddy_slice_equal_ignore_case */
    eddy_slice value; /* without white space around it; may be empty */
} eddy_http_field;

/**
 * Whether the bytes are a token: what methods, field names and many values are made of.
 *
 * Shape:   RFC 9110 5.6.2: letters, digits and !#$%&'*+-.^_`|~, at least one.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API bool eddy_http_is_token(eddy_slice text);

/**
 * Whether the bytes may stand in a field's value: no control byte but the tab, so no CR, LF or NUL.
 *
 * Shape:   bytes from 0x80 on are allowed and mean nothing. An empty value is one.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API bool eddy_http_is_value(eddy_slice text);

/**
 * Take the next element off a comma-separated list.
 *
 * Shape:   empty elements are skipped and white space around elements is cut off. A comma inside a
 *          quoted string parts nothing; a quoted string that does not end lasts to the end of the
 *          list. *rest is what remains; false when nothing was left.
 * Owns:    *ret_element borrows what *rest borrows.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API bool eddy_http_list_next(eddy_slice *rest, eddy_slice *ret_element);

/**
 * Whether `token` is one of the elements of a comma-separated list.
 *
 * Shape:   letters in both cases are the same: "close" is in "TE, Close". An element with
 *          parameters ("gzip;q=1") is not the token alone.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API bool eddy_http_list_has(eddy_slice list, eddy_slice token);

EDDY_END_DECLS

#endif
