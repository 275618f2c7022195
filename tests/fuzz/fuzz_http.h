/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzzers of net/http share. */
#ifndef EDDY_TESTS_FUZZ_FUZZ_HTTP_H
#define EDDY_TESTS_FUZZ_FUZZ_HTTP_H

#include <stdlib.h>
#include <string.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/slice.h>

/* On in every build, and a crash that the fuzzer keeps the input of. */
#define REQUIRE(condition) \
    do { \
        if (!(condition)) { \
            __builtin_trap(); \
        } \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first bytes of an input choose how the rest is used. */
static inline uint8_t fuzz_byte(const uint8_t **data, size_t *size) {
    if (*size == 0) {
        return 0;
    }
    --*size;
    return *(*data)++;
}

/* A copy that is exactly so large, so that a sanitizer sees a read past its end; free(). */
static inline char *fuzz_copy(eddy_slice bytes) {
    char *copy = malloc(bytes.len == 0 ? 1 : bytes.len);
    REQUIRE(copy != NULL);
    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    return copy;
}

#endif
