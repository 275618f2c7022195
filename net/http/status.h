/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status codes of HTTP: their reason phrases, and the record that says what is wrong with a message
 * and which status answers it.
 */
#ifndef EDDY_NET_HTTP_STATUS_H
#define EDDY_NET_HTTP_STATUS_H

#include <eddy/runtime/base/slice.h>

EDDY_BEGIN_DECLS

/* What the parsers of this folder say about input that they refuse. Written only with an error. */
typedef struct eddy_http_fault {
    int status;       /* what a server answers: 400, 414, 417, 431, 501 or 505 */
    size_t offset;    /* of the byte that could not be, from the start of what was parsed */
    const char *text; /* static, English, no full stop: "space before the colon" */
} eddy_http_fault;

/**
 * The reason phrase of a status code: "Not Found" for 404.
 *
 * Shape:   RFC 9110's phrases and those of the IANA registry; "" for a code that neither knows.
 * Owns:    the text is static.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API const char *eddy_http_status_text(int status);

/**
 * Whether a response with this status has no body, whatever its fields say: 1xx, 204 and 304.
 *
 * Shape:   one more such response is the one to HEAD, which no status tells.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API bool eddy_http_status_is_bodiless(int status);

EDDY_END_DECLS

#endif
