/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors. A call that can fail returns int or int64_t: 0 or a count when it worked, a negative
 * number when it did not. -1 to -4095 is the kernel's errno as it is (-ECONNRESET); from -5000 down
 * the number is eddy's own, from the one table below. `errno` itself is never set nor read.
 *
 *     int64_t n = eddy_stream_read(peer, buf, sizeof buf);
 *     if (n < 0) {
 *         fprintf(stderr, "read: %s\n", eddy_error_text(n));
 *     }
 */
#ifndef EDDY_RUNTIME_BASE_ERROR_H
#define EDDY_RUNTIME_BASE_ERROR_H

#include <errno.h>

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

/* name, number, text. Numbers are part of the interface: a new one ends its hundred. */
#define EDDY_ERROR_TABLE(X) \
    /* 5000: the runtime */ \
    X(EDDY_ENOTASK, -5000, "this call suspends and must be made from a task") \
    X(EDDY_ECLOSED, -5001, "closed by another task") \
    X(EDDY_EFORKED, -5002, "this loop belongs to the process that forked") \
    X(EDDY_EBROKEN, -5003, "the promise was dropped without a result") \
    X(EDDY_EEND, -5004, "the stream ended before what was asked for") \
    X(EDDY_ELIMIT, -5005, "a limit that was set for this was reached") \
    X(EDDY_EWRONGLOOP, -5006, "this object is used on the loop where it was made") \
    X(EDDY_EDRIVER, -5007, "no such driver, or it cannot start here") \
    X(EDDY_ERELEASED, -5008, "the payload has been taken or the handle released") \
    /* 5100: text that people and peers send */ \
    X(EDDY_ESYNTAX, -5100, "syntax error") \
    X(EDDY_EADDRESS, -5101, "not an address") \
    /* 5200: HTTP */ \
    X(EDDY_EHTTP_REQUEST, -5200, "malformed HTTP request") \
    X(EDDY_EHTTP_TOO_LARGE, -5201, "HTTP message head or body over the limit") \
    X(EDDY_EHTTP_VERSION, -5202, "HTTP version not supported") \
    X(EDDY_EHTTP_ENCODING, -5203, "transfer coding not supported") \
    X(EDDY_EHTTP_BODY, -5204, "HTTP body ended early or is not framed as announced") \
    X(EDDY_EHTTP_RESPONSE, -5205, "malformed HTTP response")

#define EDDY_ERROR_ENUM_(name, number, text) name = (number),
enum eddy_error { EDDY_ERROR_TABLE(EDDY_ERROR_ENUM_) EDDY_ERROR_OURS_FIRST = -5000 };
#undef EDDY_ERROR_ENUM_

/**
 * The name of an error, such as "ECONNRESET" or "EDDY_ECLOSED".
 *
 * Shape:   error is a negative result; a result that is no error gives "OK", an unknown one
 *          "EUNKNOWN".
 * Owns:    the text is static.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API const char *eddy_error_name(int64_t error);

/**
 * A sentence fragment in English for an error, such as "connection reset by peer".
 *
 * Shape:   as eddy_error_name; lower case, no full stop, independent of the locale.
 * Owns:    the text is static.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API const char *eddy_error_text(int64_t error);

/**
 * The sentence behind the last error of the running task (or of a thread without one) for which the
 * number says too little: a TLS alert, a name that does not resolve, why a driver did not start.
 *
 * Shape:   "" when there was none. It is about the last call that set one, not about the last call.
 * Owns:    the record's: copied by whoever keeps it, stale after the next call that sets one.
 * Errors:  none.
 * Threads: any thread; each task and each thread has its own.
 * Cancel:  does not suspend.
 */
EDDY_API const char *eddy_error_detail(void);

EDDY_END_DECLS

#endif
