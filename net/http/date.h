/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP's dates (RFC 9110 5.6.7). They are in GMT and have no fraction, so here they are seconds
 * since 1970-01-01 00:00:00 UTC. Nothing asks for a clock, a locale or a time zone.
 */
#ifndef EDDY_NET_HTTP_DATE_H
#define EDDY_NET_HTTP_DATE_H

#include <eddy/runtime/base/slice.h>

EDDY_BEGIN_DECLS

#define EDDY_HTTP_DATE_LEN 29       /* "Sun, 06 Nov 1994 08:49:37 GMT" */
#define EDDY_HTTP_NO_DATE INT64_MIN /* where a date is optional: there is none */

/**
 * Write a date in the one form that is to be sent: "Sun, 06 Nov 1994 08:49:37 GMT".
 *
 * Shape:   years 0 to 9999. Writes EDDY_HTTP_DATE_LEN bytes and a NUL.
 * Owns:    nothing.
 * Errors:  -ERANGE another year.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_http_date_format(int64_t unix_s, char ret_text[EDDY_HTTP_DATE_LEN + 1]);

/**
 * Read a date in any of the three forms that may be received:
 *     Sun, 06 Nov 1994 08:49:37 GMT     Sunday, 06-Nov-94 08:49:37 GMT     Sun Nov  6 08:49:37 1994
 *
 * Shape:   exactly one of these, case-sensitive, nothing around it. The day of the week must be
 *          one, but need not be the right one. Second 60 is the first of the next minute. Two
 *          digits of a year mean the one that is at most 50 years after now_s, in seconds since
 *          1970.
 * Owns:    nothing.
 * Errors:  EDDY_ESYNTAX no such form; -ERANGE no such day or time. RFC 9110 has either ignored.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_http_date_parse(eddy_slice text, int64_t now_s, int64_t *ret_unix_s);

EDDY_END_DECLS

#endif
