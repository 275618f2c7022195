#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the test programs of the dev build under Valgrind, those with LOOP_TEST on each driver that
# is named. Usage: tools/valgrind.sh [-d "auto sim"] [PATTERN ...]: programs whose path has one.
#
# "auto" is epoll here. Not on uring: Valgrind 3.19 does not see what the kernel writes into a
# buffer after the call that submitted it, and while one thread waits for the ring it lets no other
# run. Not runtime/driver: there tests lower limits that Valgrind sets itself.
set -eu
cd "$(dirname "$0")/.."
drivers="auto sim"
if [ "${1:-}" = "-d" ]; then
    drivers=$2
    shift 2
fi
export EDDY_TEST_SLOW=1
count=0
for source in $(find tests -name 'test_*.c' -not -path '*/planted/*' | sort); do
    matches=$([ $# -eq 0 ] && echo yes || true)
    for pattern in "$@"; do
        [[ $source == *"$pattern"* ]] && matches=yes
    done
    if [ -z "$matches" ] || [[ $source == tests/runtime/driver/* ]]; then
        continue
    fi
    name=${source#tests/}
    name=${name%.c}
    program=build/dev/tests/test_$(sed -e 's|test_\([^/]*\)$|\1|' -e 's|/|_|g' <<<"$name")
    each=none
    grep -q LOOP_TEST "$source" && each=$drivers
    for driver in $each; do
        count=$((count + 1))
        log=build/dev/valgrind.log
        if [ "$driver" != none ]; then
            export EDDY_DRIVER=$driver
        fi
        if ! valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
            "$program" >"$log" 2>&1 </dev/null; then
            cat "$log"
            echo "$program fails under Valgrind (driver: $driver)"
            exit 1
        fi
        unset EDDY_DRIVER
    done
done
echo "$count runs under Valgrind passed"
