/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Media types by file name extension: a table of the common ones, so that a server needs no file of
 * the system's and gives the same answer everywhere.
 */
#ifndef EDDY_NET_HTTP_MIME_H
#define EDDY_NET_HTTP_MIME_H

#include <eddy/runtime/base/slice.h>

EDDY_BEGIN_DECLS

/**
 * The media type of a file, by what stands behind the last dot of its name: "text/html".
 *
 * Shape:   path may have folders before the name. Extensions are the same in both cases; a name
 *          that begins with its only dot has none. "" where the extension is unknown or absent:
 *          send "application/octet-stream", or no type at all.
 * Owns:    the text is static.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API const char *eddy_http_mime_of(eddy_slice path);

/**
 * Whether a media type is text, so that a character set may be named with it.
 *
 * Shape:   "text/...", in both cases. JSON and XML say their own, so they are none of these.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API bool eddy_http_mime_is_text(eddy_slice type);

EDDY_END_DECLS

#endif
