#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All tests of the simulation under random seeds: tools/seeds.sh [how many] [preset]. A failure is
# named with the command that plays it again.
set -u
cd "$(dirname "$0")/.." || exit
count=${1:-100}
preset=${2:-dev}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0

replay() { # seed, name of the test
    local program
    program=build/$preset/tests/test_$(echo "${2%@sim}" | tr / _)
    sed -nE "s|^.*ERROR: ([a-z0-9_]+): (.*) \(.*EDDY_SEED=$1\)|\1 \2|p" "$log" | sort -u |
        while read -r case how; do
            if "$program" --list | grep -qx "$case"; then
                echo "$2: $how: EDDY_DRIVER=sim EDDY_SEED=$1 $program $case"
            fi
        done
}

for ((i = 0; i < count; i++)); do
    seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
    if EDDY_SEED=$seed ctest --preset "$preset" -R '@sim$' -j "$(nproc)" --output-on-failure \
        >"$log" 2>&1; then
        continue
    fi
    failed=1
    for name in $(sed -nE 's/^.* [0-9]+ - (.*@sim) \(.*$/\1/p' "$log"); do
        echo "--- $name fails with seed $seed"
        replay "$seed" "$name"
    done
done
for program in echo_seeds against_kernel; do
    first=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
    range=$first..$((first + 10 * count))
    if ! EDDY_SEEDS=$range "build/$preset/tests/test_sim_$program" >"$log" 2>&1; then
        failed=1
        grep -a '^seed' "$log"
        echo "--- sim/$program fails: EDDY_SEEDS=$range build/$preset/tests/test_sim_$program"
    fi
done
for ((i = 0; i < count; i++)); do
    seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
    if ! EDDY_DRIVER=sim "build/$preset/tests/chaos" --seconds 3600 --actions 20000 --tasks 300 \
        --seed "$seed" >"$log" 2>&1; then
        failed=1
        grep -a -e '^FAILED' -e ': not so' -e ', not ' "$log"
    fi
done
[ $failed -eq 0 ] && echo "$count seeds: no failure"
exit $failed
