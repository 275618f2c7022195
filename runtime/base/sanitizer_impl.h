/* SPDX-License-Identifier: Apache-2.0 */
/* Which sanitizers this is compiled with: gcc says it by a macro, clang by a feature. */
#ifndef EDDY_RUNTIME_BASE_SANITIZER_IMPL_H
#define EDDY_RUNTIME_BASE_SANITIZER_IMPL_H

#if defined(__SANITIZE_ADDRESS__)
#define EDDYI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EDDYI_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define EDDYI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EDDYI_TSAN 1
#endif
#endif

#endif
