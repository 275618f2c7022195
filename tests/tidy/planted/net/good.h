/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing is wrong with this file: malloc() in a comment, "exit()" in a string are not calls. */
#include <eddy/runtime/base/base.h>

/**
 * Does nothing.
 *
 * Shape:   none.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_good(void (*free)(void *old), int (*open)(int x));

static inline void eddy_good_freep(int *good) {
    hook->free(good);
}
