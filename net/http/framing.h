/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fields of a complete head mean for the connection: where the body ends (RFC 9112 6),
 * whether another message may follow (RFC 9112 9), and what the sender waits for. Whoever serves or
 * calls asks this right after eddy_http_head_parse, before a byte behind the head is believed.
 *
 * Where the RFC allows a recipient to repair, this refuses, because two repairs of one message are
 * what request smuggling is made of: Content-Length beside Transfer-Encoding; Content-Length
 * repeated in a request, or differing in a response (equal ones count as one there); anything but
 * digits in it; any transfer coding but one "chunked"; transfer codings in HTTP/1.0.
 */
#ifndef EDDY_NET_HTTP_FRAMING_H
#define EDDY_NET_HTTP_FRAMING_H

#include <eddy/net/http/head.h>

EDDY_BEGIN_DECLS

enum eddy_http_body {
    EDDY_HTTP_BODY_NONE,        /* nothing follows; the next byte is the next message's */
    EDDY_HTTP_BODY_SIZED,       /* `length` bytes, which may be 0 */
    EDDY_HTTP_BODY_CHUNKED,     /* net/http/chunked.h says where it ends */
    EDDY_HTTP_BODY_UNTIL_CLOSE, /* response: all until the connection's end */
    EDDY_HTTP_BODY_TUNNEL,      /* response: no HTTP any more, after 101 or a CONNECT that worked */
};

typedef struct eddy_http_framing {
    enum eddy_http_body body;
    int64_t length;       /* SIZED: of the body; else 0 */
    bool keep_alive;      /* another message may follow on this connection */
    bool expect_continue; /* request: the body comes after "100 Continue" only, or after a while */
    bool upgrade;         /* request: it offers to change to one of the protocols in Upgrade */
} eddy_http_framing;

/**
 * Judge the head of a request.
 *
 * Shape:   head is complete and a request's.
 * Owns:    nothing.
 * Errors:  EDDY_EHTTP_REQUEST the framing is ambiguous or malformed, or Expect holds what cannot be
 *          met (status 417); EDDY_EHTTP_ENCODING a transfer coding that is not chunked (501). After
 *          either the connection has to be closed: nobody knows where the next request begins.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_http_framing_of_request(const eddy_http_head *head,
                                          eddy_http_framing *ret_framing, eddy_http_fault *reterr);

/**
 * Judge the head of a response.
 *
 * Shape:   head is complete and a response's; `method` is that of the request which it answers. The
 *          answer to HEAD and those with status 1xx, 204 and 304 have no body, whatever is
 *          announced, and what is announced has to be well-formed all the same.
 * Owns:    nothing.
 * Errors:  EDDY_EHTTP_RESPONSE ambiguous or malformed; EDDY_EHTTP_ENCODING a transfer coding that
 *          is not chunked.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_http_framing_of_response(const eddy_http_head *head, enum eddy_http_method method,
                                           eddy_http_framing *ret_framing, eddy_http_fault *reterr);

EDDY_END_DECLS

#endif
