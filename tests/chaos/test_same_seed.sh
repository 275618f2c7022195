#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Chaos in a simulation: two processes whose memory lies elsewhere and had other bytes in it do the
# same under one seed, to the last event of the world's log, and something else under another.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
pad=$(head -c 100000 /dev/zero | tr '\0' x)
seed=${EDDY_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
export EDDY_DRIVER=sim
echo "seed $seed"

run() { # name, seed, actions
    EDDY_SIM_LOG=$tmp/log_$1 "$EDDY_BUILD/tests/chaos" --seconds 3600 --tasks 150 --actions "$3" \
        --seed "$2" >"$tmp/output_$1" || {
        cat "$tmp/output_$1"
        exit 1
    }
}

run a "$seed" 8000
PAD=$pad MALLOC_MMAP_THRESHOLD_=4096 MALLOC_PERTURB_=85 run b "$seed" 8000
run c "$((seed + 1))" 2000
cmp "$tmp/log_a" "$tmp/log_b"
cmp "$tmp/output_a" "$tmp/output_b"
grep -q '^world: hash' "$tmp/output_a"
if [ "$(grep '^world' "$tmp/output_a")" = "$(grep '^world' "$tmp/output_c")" ]; then
    echo "another seed, and the same world"
    exit 1
fi
cat "$tmp/output_a"
