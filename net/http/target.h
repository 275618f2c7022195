/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The target of a request: taking it apart, percent-encoding, and the one function that makes a
 * path safe to look up below a folder.
 *
 *     eddy_http_target target;
 *     char path[4096];
 *     int r = eddy_http_target_split(head.target, &target);
 *     int64_t n = r < 0 ? r : eddy_http_path_resolve(target.path, 0, path, sizeof path);
 *     ...                                          path + 1 is relative, and stays below the folder
 */
#ifndef EDDY_NET_HTTP_TARGET_H
#define EDDY_NET_HTTP_TARGET_H

#include <eddy/runtime/base/buffer.h>

EDDY_BEGIN_DECLS

/* The parts of a target, still encoded. Those that are not there are empty. */
typedef struct eddy_http_target {
    eddy_slice scheme;    /* absolute form: "http" */
    eddy_slice authority; /* absolute and authority form: "host" or "host:port" */
    eddy_slice path;      /* origin and absolute form: begins with '/'; asterisk form: "*" */
    eddy_slice query;     /* behind the '?' */
    bool has_query;       /* there is a '?', perhaps with nothing behind it */
} eddy_http_target;

/**
 * Take the target of a request apart.
 *
 * Shape:   "/path?query", "scheme://authority/path?query", "*" or "host:port". The path of an
 *          absolute form that has none is "/".
 * Owns:    *ret_target borrows from text.
 * Errors:  EDDY_EHTTP_REQUEST none of these forms, user information before the host, or a byte that
 *          no target may hold: white space, controls, bytes from 0x80 on, and any of "<># . What
 *          browsers send though RFC 3986 does not have it (\^`{|} and lone brackets) is let
 *          through.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_http_target_split(eddy_slice text, eddy_http_target *ret_target);

/**
 * Take "host" or "host:port" apart, as in Host and in targets.
 *
 * Shape:   *ret_host is a name, an IPv4 address, or an IPv6 address with its brackets; of names
 *          only the characters are judged. *ret_port is 0..65535, or -1 where there is none or
 *          nothing behind the colon. An empty text is an empty host.
 * Owns:    *ret_host borrows from text.
 * Errors:  EDDY_EHTTP_REQUEST malformed, or a port that is none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_http_authority_split(eddy_slice text, eddy_slice *ret_host, int *ret_port);

enum eddy_http_path_flags {
    EDDY_HTTP_PATH_ENCODED_SLASH = 1, /* %2F is a slash like any other, instead of refused */
};

/**
 * Decode a path and lead it back to its shortest form: what a static file server opens.
 *
 * Shape:   path is encoded and begins with '/'. The result begins with '/', has no empty, "." or
 *          ".." segment and no NUL, and ends with '/' if it names a folder by that or by a dot
 *          segment. That holds after decoding: %2e%2e is "..", and what has once been decoded is
 *          not decoded again. It may hold any other byte: control bytes, and text that is not
 *          UTF-8. Writes a NUL behind it; returns the length without. cap path.len + 1 always
 *          suffices.
 * Owns:    nothing.
 * Errors:  EDDY_EHTTP_REQUEST no leading '/', a '%' without two hexadecimal digits, %00, %2F unless
 *          flags allow it, or a ".." that would leave the root (RFC 3986 would drop it: nobody
 *          sends it in good faith); EDDY_EHTTP_TOO_LARGE cap is too small.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int64_t eddy_http_path_resolve(eddy_slice path, unsigned flags, char *ret_path,
                                        size_t cap);

/**
 * Take the next "name=value" off a query or a form.
 *
 * Shape:   both still encoded; without '=' the value is empty. Empty pairs are skipped. *rest is
 *          what remains; false when nothing was left.
 * Owns:    both borrow what *rest borrows.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API bool eddy_http_query_next(eddy_slice *rest, eddy_slice *ret_name, eddy_slice *ret_value);

/**
 * Find a value by its name in a query or a form.
 *
 * Shape:   the first pair with that name, which is compared as it reads when decoded ('+' is a
 *          space). The value is still encoded: eddy_http_percent_decode(value, true, ...). False,
 *          with *ret_value untouched, when there is none.
 * Owns:    *ret_value borrows from query.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API bool eddy_http_query_find(eddy_slice query, const char *name, eddy_slice *ret_value);

/**
 * Decode %XX.
 *
 * Shape:   plus also turns '+' into a space, as in forms. Writes at most text.len bytes and no NUL;
 *          returns how many. The result may hold any byte, NUL too. ret_bytes may be text's own
 *          memory.
 * Owns:    nothing.
 * Errors:  EDDY_ESYNTAX a '%' without two hexadecimal digits; -EOVERFLOW cap is too small.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int64_t eddy_http_percent_decode(eddy_slice text, bool plus, char *ret_bytes, size_t cap);

/**
 * Append bytes with all but letters, digits, "-._~" and those in `keep` as %XX.
 *
 * Shape:   keep is "/" for a path, "" for a part of a query.
 * Owns:    copies.
 * Errors:  -ENOMEM, -EOVERFLOW: nothing is appended.
 * Threads: one at a time.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_http_percent_encode(eddy_buffer *out, eddy_slice bytes, const char *keep);

EDDY_END_DECLS

#endif
