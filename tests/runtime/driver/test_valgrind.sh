#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Under Valgrind a loop that was asked for nothing takes epoll and says why, and a program with
# several threads, which would hang on a ring, gets through.
set -eu
unset EDDY_DRIVER
export EDDY_TEST_SLOW=1 EDDY_TEST_VALGRIND=1
if ! command -v valgrind >/dev/null || [ ! -e /usr/include/valgrind/valgrind.h ]; then
    echo "needs valgrind"
    exit 77
fi
# Sanitizers have no place under it, and Valgrind 3.19 does not read clang 14's debugging tables.
special='EDDY_SANITIZE:[A-Z]*=.|CMAKE_C_COMPILER:[A-Z]*=.*clang'
if grep -qE "$special" "$EDDY_BUILD/CMakeCache.txt"; then
    echo "for a plain build by gcc"
    exit 77
fi
run() { timeout 120 valgrind -q --error-exitcode=9 "$EDDY_BUILD/tests/$1" "$2"; }
run test_runtime_driver_fallback under_valgrind_auto_is_epoll
run test_runtime_loop_group scope_joins_what_it_spreads_over_the_group
