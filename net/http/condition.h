/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditional requests (RFC 9110 13): If-Match, If-None-Match, If-Modified-Since,
 * If-Unmodified-Since and If-Range, judged in the order of section 13.2.2 against what the resource
 * is now.
 *
 *     eddy_http_validators now = {.etag = etag, .modified_s = mtime};
 *     int status = eddy_http_condition_check(&head, &now, clock_s);
 *     if (status == 200) {
 *         count = eddy_http_condition_ranges(&head, &now, clock_s, size, ranges, 16);
 *     }
 *
 * Ask only where the answer would be a success without the condition: a 404 stays a 404.
 */
#ifndef EDDY_NET_HTTP_CONDITION_H
#define EDDY_NET_HTTP_CONDITION_H

#include <eddy/net/http/date.h>
#include <eddy/net/http/head.h>
#include <eddy/net/http/range.h>

EDDY_BEGIN_DECLS

/* What there is, as the answer's ETag and Last-Modified say it. */
typedef struct eddy_http_validators {
    eddy_slice etag;    /* with its quotes; empty: none */
    int64_t modified_s; /* seconds since 1970; EDDY_HTTP_NO_DATE: not known */
    bool absent;        /* the resource does not exist, as before a PUT that would make it */
} eddy_http_validators;

/**
 * The status that the conditions of a request lead to.
 *
 * Shape:   200 go on; 304 answer "Not Modified", only for GET and HEAD; 412 answer "Precondition
 *          Failed". now_s is only asked for dates with two digits of a year. A date that is none,
 *          and all conditions on CONNECT, OPTIONS and TRACE, are ignored; a list of tags that is
 *          none matches nothing.
 * Owns:    borrows all until return.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_http_condition_check(const eddy_http_head *request,
                                       const eddy_http_validators *validators, int64_t now_s);

/**
 * The ranges that a request is to be answered with, Range and If-Range taken together.
 *
 * Shape:   as eddy_http_range_parse. 0, so the whole, also for other methods than GET, for a Range
 *          that is repeated, and where If-Range names something else than what is there now: a tag
 *          compares as eddy_http_etag_same, a date must be equal.
 * Owns:    borrows all until return.
 * Errors:  as eddy_http_range_parse.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int64_t eddy_http_condition_ranges(const eddy_http_head *request,
                                            const eddy_http_validators *validators, int64_t now_s,
                                            int64_t size, eddy_http_range *ret_ranges, size_t cap);

EDDY_END_DECLS

#endif
