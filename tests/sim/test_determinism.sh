#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A seed decides everything: two processes whose memory lies elsewhere (a larger environment, other
# addresses from malloc, other bytes in fresh memory) write the same log of the same seed. Whoever
# keys a table by a pointer, or reads what nobody has written, is found here.
set -u
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
pad=$(head -c 100000 /dev/zero | tr '\0' x)
export EDDY_DRIVER=sim
status=0

run() { # log, program, case
    EDDY_SIM_LOG=$1 "$2" "$3" >"$tmp/output" 2>&1 || {
        cat "$tmp/output"
        return 1
    }
}

for test in net_tcp net_serve net_http_server runtime_io_copy; do
    program=$EDDY_BUILD/tests/test_$test
    compared=0
    export EDDY_SEED=100
    for case in $("$program" --list); do
        case $case in
        *thread* | *loops*) continue ;; # who is first there is not the seed's to say
        esac
        rm -f "$tmp"/log*
        EDDY_SEED=$((EDDY_SEED + 1))
        run "$tmp/log_a" "$program" "$case" &&
            PAD=$pad MALLOC_MMAP_THRESHOLD_=4096 MALLOC_PERTURB_=85 \
                run "$tmp/log_b" "$program" "$case" || status=1
        [ -s "$tmp/log_a" ] || continue # it has no loop
        compared=$((compared + 1))
        cmp "$tmp/log_a" "$tmp/log_b" || {
            echo "$test: $case with seed $EDDY_SEED differs"
            status=1
        }
    done
    [ $compared -ge 5 ] || {
        echo "$test: only $compared logs"
        status=1
    }
done
exit $status
