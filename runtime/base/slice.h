/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slice: some bytes that somebody else owns. It is a value and is passed as one; bytes may be
 * anything, a NUL included, and there is no NUL behind them.
 */
#ifndef EDDY_RUNTIME_BASE_SLICE_H
#define EDDY_RUNTIME_BASE_SLICE_H

#include <string.h>

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

typedef struct eddy_slice {
    const char *data; /* NULL only when len is 0 */
    size_t len;
} eddy_slice;

/**
 * The slice of a C string, without its NUL.
 *
 * Shape:   text may be NULL, which gives an empty slice. O(strlen).
 * Owns:    borrows the text for as long as the slice is used.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
static inline eddy_slice eddy_slice_of(const char *text) {
    eddy_slice slice = {text, text == NULL ? 0 : strlen(text)};
    return slice;
}

/**
 * The slice of `len` bytes at `data`.
 *
 * Shape:   data may be NULL when len is 0.
 * Owns:    borrows the bytes for as long as the slice is used.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
static inline eddy_slice eddy_slice_from(const void *data, size_t len) {
    eddy_slice slice = {(const char *)data, len};
    return slice;
}

/**
 * Whether two slices hold the same bytes.
 *
 * Shape:   not in constant time: never for secrets.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
static inline bool eddy_slice_equal(eddy_slice a, eddy_slice b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/**
 * Whether two slices hold the same bytes when ASCII letters count as the same in both cases.
 *
 * Shape:   only A-Z and a-z are folded, whatever the locale.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API bool eddy_slice_equal_ignore_case(eddy_slice a, eddy_slice b);

/**
 * The part of a slice from `from` up to, not with, `to`; both are cut to the slice's length.
 *
 * Shape:   from > to gives an empty slice.
 * Owns:    borrows what `slice` borrows.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API eddy_slice eddy_slice_sub(eddy_slice slice, size_t from, size_t to);

/**
 * Where the byte `byte` first stands.
 *
 * Shape:   its index, or -1.
 * Owns:    nothing.
 * Errors:  none; -1 is "not there".
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int64_t eddy_slice_find(eddy_slice slice, char byte);

/**
 * The slice without spaces and tabs at its ends.
 *
 * Shape:   only ' ' and '\t', as HTTP's optional white space.
 * Owns:    borrows what `slice` borrows.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API eddy_slice eddy_slice_trim(eddy_slice slice);

EDDY_END_DECLS

#endif
