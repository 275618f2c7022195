/* SPDX-License-Identifier: Apache-2.0 */
EDDY_API int eddy_bare(void);

/**
 * Says too little.
 *
 * Shape:   none.
 * Owns:    nothing.
 * Threads: Pure.
 */
EDDY_API int eddy_little(void);

/**
 * Stands too far away.
 *
 * Shape:   none.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */

EDDY_API int eddy_far(void);

static inline int eddy_inline(void) {
    return errno;
}

EDDY_API extern int eddy_variable;
