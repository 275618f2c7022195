/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EDDY_ASSERT is on in every build: it guards what would otherwise corrupt memory or lose work, so
 * it must be cheap. EDDY_ASSERT_SLOW is for whole-structure checks and only on in debug builds.
 */
#ifndef EDDY_RUNTIME_BASE_ASSERT_IMPL_H
#define EDDY_RUNTIME_BASE_ASSERT_IMPL_H

#include <eddy/runtime/base/api.h>

#define EDDYI_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define EDDYI_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#define EDDY_ASSERT(condition) \
    (EDDYI_LIKELY(condition) ? (void)0 : eddyi_panic(__FILE__, __LINE__, #condition, NULL))

/* Also says, in one sentence, what the program did wrong. */
#define EDDY_ASSERT_SAY(condition, sentence) \
    (EDDYI_LIKELY(condition) ? (void)0 : eddyi_panic(__FILE__, __LINE__, #condition, (sentence)))

#ifdef NDEBUG
#define EDDY_ASSERT_SLOW(condition) ((void)0)
#else
#define EDDY_ASSERT_SLOW(condition) EDDY_ASSERT(condition)
#endif

/* The struct that holds `member` at address `pointer`, which may point to something constant. */
#define EDDYI_CONTAINER(pointer, type, member) \
    ((type *)((uintptr_t)(pointer)-offsetof(type, member)))

/* Writes file, line, condition, sentence and the running task to standard error; aborts. */
_Noreturn void eddyi_panic(const char *file, int line, const char *condition, const char *sentence);

/* Set by the task room, for panics: the running task's name, or NULL; *ret_site is where it was
 * spawned, or NULL. */
extern const char *(*eddyi_panic_context)(const char **ret_site);

#endif
