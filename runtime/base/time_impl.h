/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EDDY_RUNTIME_BASE_TIME_IMPL_H
#define EDDY_RUNTIME_BASE_TIME_IMPL_H

#include <eddy/runtime/base/api.h>

/* The moment `duration_ns` after `from_ns`; EDDY_NEVER when there is none. */
static inline int64_t eddyi_time_after(int64_t from_ns, int64_t duration_ns) {
    int64_t at_ns;
    return __builtin_add_overflow(from_ns, duration_ns, &at_ns) ? EDDY_NEVER : at_ns;
}

#endif
