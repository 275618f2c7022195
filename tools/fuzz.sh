#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs each fuzzer from its corpus on. Usage: tools/fuzz.sh SECONDS_EACH [NAME ...]
# What is found new stays in build/fuzz/corpus/; a crash is written to build/fuzz/.
set -eu
cd "$(dirname "$0")/.."
seconds=$1
shift
tools/build.sh fuzz >/dev/null
for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    name=${name#fuzz_}
    if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then
        continue
    fi
    mkdir -p "build/fuzz/corpus/$name"
    echo "--- fuzz $name, $seconds seconds"
    log=build/fuzz/$name.log
    if ! "build/fuzz/tests/fuzz_$name" -max_total_time="$seconds" -timeout=10 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$name-" "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name" \
        >"$log" 2>&1 </dev/null; then
        tail -60 "$log"
        exit 1
    fi
    grep -E 'number_of_executed_units|new_units_added|peak_rss' "$log"
done
