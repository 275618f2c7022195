/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The version of these headers, and of the library that the program runs with.
 *
 *     #if EDDY_VERSION_NUMBER >= 10200                 1.2.0 or later
 *
 *     printf("built with eddy %s, runs with %s\n", EDDY_VERSION, eddy_version());
 *
 * Until 1.0.0 each minor version may break what was there, and says so in CHANGELOG.md.
 */
#ifndef EDDY_RUNTIME_BASE_VERSION_H
#define EDDY_RUNTIME_BASE_VERSION_H

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

/* The build reads these, in this order. */
#define EDDY_VERSION_MAJOR 0
#define EDDY_VERSION_MINOR 1
#define EDDY_VERSION_PATCH 0

/* 1.2.3 is 10203. */
#define EDDY_VERSION_NUMBER \
    (EDDY_VERSION_MAJOR * 10000 + EDDY_VERSION_MINOR * 100 + EDDY_VERSION_PATCH)

#define EDDY_VERSION_TEXT_(major, minor, patch) #major "." #minor "." #patch
#define EDDY_VERSION_JOIN_(major, minor, patch) EDDY_VERSION_TEXT_(major, minor, patch)
/* "0.1.0" */
#define EDDY_VERSION EDDY_VERSION_JOIN_(EDDY_VERSION_MAJOR, EDDY_VERSION_MINOR, EDDY_VERSION_PATCH)

/**
 * The version of the library: what EDDY_VERSION was when it was built.
 *
 * Shape:   "major.minor.patch", never NULL.
 * Owns:    static.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API const char *eddy_version(void);

EDDY_END_DECLS

#endif
