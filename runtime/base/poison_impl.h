/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that somebody keeps for later is nobody's until then: AddressSanitizer, and with
 * EDDYI_VALGRIND Valgrind, are told so, and find out who holds on to what was in it.
 */
#ifndef EDDY_RUNTIME_BASE_POISON_IMPL_H
#define EDDY_RUNTIME_BASE_POISON_IMPL_H

#include <stddef.h>

#include <eddy/runtime/base/sanitizer_impl.h>

#ifdef EDDYI_ASAN
#include <sanitizer/asan_interface.h>
#endif
#ifdef EDDYI_VALGRIND
#include <valgrind/memcheck.h>
#endif

/* Not to be touched until it is unpoisoned. */
static inline void eddyi_poison(void *memory, size_t size) {
#ifdef EDDYI_ASAN
    __asan_poison_memory_region(memory, size);
#endif
#ifdef EDDYI_VALGRIND
    (void)VALGRIND_MAKE_MEM_NOACCESS(memory, size);
#endif
    (void)memory;
    (void)size;
}

/* Whoever gets it finds nothing in it. */
static inline void eddyi_unpoison(void *memory, size_t size) {
#ifdef EDDYI_ASAN
    __asan_unpoison_memory_region(memory, size);
#endif
#ifdef EDDYI_VALGRIND
    (void)VALGRIND_MAKE_MEM_UNDEFINED(memory, size);
#endif
    (void)memory;
    (void)size;
}

#endif
