/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EDDY_RUNTIME_BASE_MEMORY_IMPL_H
#define EDDY_RUNTIME_BASE_MEMORY_IMPL_H

#include <eddy/runtime/base/memory.h>

/* NULL when there is no memory; size 0 gives a block of one byte, so NULL always means failure. */
void *eddyi_alloc(size_t size) __attribute__((malloc, warn_unused_result));
void *eddyi_zalloc(size_t size) __attribute__((malloc, warn_unused_result));
/* NULL (and `old` kept) when there is no memory; old may be NULL. */
void *eddyi_resize(void *old, size_t size) __attribute__((warn_unused_result));
/* old may be NULL. */
void eddyi_free(void *old);
/* A copy of len bytes with a NUL behind them. */
char *eddyi_strndup(const char *text, size_t len) __attribute__((malloc, warn_unused_result));
/* Asked before memory that does not come from the hook is mapped (stacks, rings), so that tests
 * can let it fail too: true means "pretend there is none". */
bool eddyi_memory_refused(void);

/* Memory that is handed out in pieces: not a block itself, and never refused by a test. Whoever
 * hands out the pieces asks eddyi_memory_refused and counts each of them. */
void *eddyi_alloc_uncounted(size_t size) __attribute__((malloc, warn_unused_result));
void eddyi_free_uncounted(void *old);
void eddyi_memory_made(void);
void eddyi_memory_freed(void);

/* Where a loop counts its blocks. NULL when too many are claimed, which is fine. */
struct eddyi_meter *eddyi_meter_claim(void);
void eddyi_meter_release(struct eddyi_meter *meter);
/* That of the loop that runs on this thread; NULL: count where all threads do. */
extern _Thread_local struct eddyi_meter *eddyi_meter_here;

#endif
