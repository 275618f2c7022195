#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What takes too long for each change: the whole suite again and again with new seeds on every
# driver, on rings of a few entries, under both sanitizers and Valgrind, and the fuzzers for long.
# MINUTES (default 60) is the time for repetition; the simulation gets SEEDS (default 100) seeds
# of its own before that, chaos CHAOS_SECONDS (default 60) in each build on each driver, httpd
# SOAK_SECONDS (default 600) of load on each driver, each fuzzer FUZZ_SECONDS (default 600).
set -eu
cd "$(dirname "$0")/.."
minutes=${MINUTES:-60}
fuzz_seconds=${FUZZ_SECONDS:-600}

tools/build.sh dev
ctest --preset dev -j "$(nproc)"
tools/seeds.sh "${SEEDS:-100}"
tools/valgrind.sh
for ring in 1x2 2x2 4x8; do
    echo "--- rings of $ring entries"
    EDDY_TEST_RING=$ring ctest --preset dev -j "$(nproc)" -L uring -LE 'tidy|package'
done
for preset in asan tsan; do
    tools/build.sh "$preset"
done
for preset in dev asan tsan; do
    for driver in uring epoll; do
        echo "--- chaos, $preset, $driver"
        EDDY_DRIVER=$driver "build/$preset/tests/chaos" --seconds "${CHAOS_SECONDS:-60}"
    done
done
tools/soak.sh "${SOAK_SECONDS:-600}"
end=$((SECONDS + minutes * 60))
round=0
while [ $SECONDS -lt $end ]; do
    round=$((round + 1))
    for preset in dev asan tsan; do
        echo "--- round $round, $preset"
        ctest --preset "$preset" -j "$(nproc)" -LE 'tidy|package'
    done
done
tools/fuzz.sh "$fuzz_seconds"
