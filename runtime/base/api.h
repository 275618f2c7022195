/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every public header needs and nothing else: visibility, C linkage, the units of time, and
 * the attribute that frees a variable at the end of its block.
 */
#ifndef EDDY_RUNTIME_BASE_API_H
#define EDDY_RUNTIME_BASE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define EDDY_BEGIN_DECLS extern "C" {
#define EDDY_END_DECLS }
#else
#define EDDY_BEGIN_DECLS
#define EDDY_END_DECLS
#endif

#if defined(__GNUC__)
#define EDDY_API __attribute__((visibility("default")))
#define EDDY_PRINTF(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))
#else
#define EDDY_API
#define EDDY_PRINTF(format_index, first_index)
#endif

/* "file:line", for the reports that say where a task was spawned or a scope entered. */
#define EDDY_SITE_TEXT_(line) #line
#define EDDY_SITE_LINE_(line) EDDY_SITE_TEXT_(line)
#define EDDY_SITE __FILE__ ":" EDDY_SITE_LINE_(__LINE__)

/* Time is int64_t nanoseconds everywhere: `.timeout_ns = 2 * EDDY_S`. */
#define EDDY_NS ((int64_t)1)
#define EDDY_US (1000 * EDDY_NS)
#define EDDY_MS (1000 * EDDY_US)
#define EDDY_S (1000 * EDDY_MS)

/* A deadline that never comes. Greater than every real one: deadlines can be compared plainly. */
#define EDDY_NEVER INT64_MAX

/*
 * Options. NULL, or a struct of zeros with what is to differ set:
 *
 *     eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = 2 * EDDY_S});
 *
 * Such a struct begins with `size`, and later versions add members at its end. Left 0, it has the
 * members of the first released version, whichever library reads it. Who sets a member that came
 * later also sets `size` to sizeof the struct; a library that is older than the program then says
 * -EINVAL to members that it does not know, unless they are 0.
 */

/* Options take 0 for "the default". Where zero itself is a sensible wish, this says it. */
#define EDDY_ZERO ((int64_t)-1)

/*
 * `EDDY_AUTO(eddy_buffer) *buf = NULL;` frees `buf` on every way out of its block. Each type that
 * can be used so has a `<type>_freep` beside its `free`, `close` or `release`.
 */
#if defined(__GNUC__)
#define EDDY_AUTO(type) __attribute__((cleanup(type##_freep))) type
#endif

/* `return EDDY_TAKE(buf);` moves the pointer out of an EDDY_AUTO variable: it is not freed then. */
#if defined(__GNUC__) && !defined(__cplusplus)
#define EDDY_TAKE(pointer) \
    __extension__({ \
        __typeof__(pointer) *take_from_ = &(pointer); \
        __typeof__(pointer) taken_ = *take_from_; \
        *take_from_ = NULL; \
        taken_; \
    })
#endif

#endif
