/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entity tags (RFC 9110 8.8.3): "abc", or weak W/"abc". How a request's conditions on them are
 * judged is in net/http/condition.h.
 */
#ifndef EDDY_NET_HTTP_ETAG_H
#define EDDY_NET_HTTP_ETAG_H

#include <eddy/runtime/base/slice.h>

EDDY_BEGIN_DECLS

#define EDDY_HTTP_ETAG_MAX 40 /* what eddy_http_etag_format writes at most, its NUL included */

/**
 * Read the entity tag at the front of some text.
 *
 * Shape:   returns its length with W/ and the quotes, so *ret_weak aside nothing is taken apart.
 *          Between the quotes stand visible ASCII but the quote, and bytes from 0x80 on. "w/" is
 *          not W/.
 * Owns:    nothing.
 * Errors:  EDDY_ESYNTAX the text does not begin with one.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int64_t eddy_http_etag_parse(eddy_slice text, bool *ret_weak);

/**
 * Whether two entity tags name the same bytes: equal and neither of them weak.
 *
 * Shape:   both as they are sent; what is no entity tag equals nothing.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API bool eddy_http_etag_same(eddy_slice a, eddy_slice b);

/**
 * Whether two entity tags name things that will do for each other: equal but for W/.
 *
 * Shape:   as eddy_http_etag_same.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API bool eddy_http_etag_alike(eddy_slice a, eddy_slice b);

/**
 * Whether a list of entity tags, the value of If-Match or If-None-Match, has this one in it.
 *
 * Shape:   strong compares with eddy_http_etag_same, else eddy_http_etag_alike. "*" is for the
 *          caller. 1 it has, 0 it has not.
 * Owns:    nothing.
 * Errors:  EDDY_ESYNTAX some element is no entity tag, or nothing parts two of them.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_http_etag_listed(eddy_slice list, eddy_slice etag, bool strong);

/**
 * The entity tag of a file, from what changes when the file does.
 *
 * Shape:   "5f3c1a2b3c4d5e6f-1a2b", quotes included, with a NUL; returns the length without it.
 *          Strong: a file that is rewritten within one tick of the file system's clock and keeps
 *          its size goes unseen.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_http_etag_format(int64_t modified_ns, int64_t size,
                                   char ret_etag[EDDY_HTTP_ETAG_MAX]);

EDDY_END_DECLS

#endif
