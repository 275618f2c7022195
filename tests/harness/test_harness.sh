#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The harness's own test: cases named good_ pass, those named bad_ fail, each with the right words.
# What runs in a loop does so on EDDY_DRIVER.
set -u
# A folder of its own: what other tests leave, or have at this moment, is no concern of this one.
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
program=$EDDY_BUILD/tests/harness_cases
export EDDY_SEED=7
failures=0

# expect STATUS FILTER TEXT ...: runs the cases that FILTER selects.
expect() {
    local status=$1 filter=$2 output text
    shift 2
    output=$("$program" "$filter" 2>&1 </dev/null)
    local got=$?
    for text in "$@"; do
        if [[ $output != *"$text"* ]]; then
            echo "$filter does not say \"$text\" but:" && echo "$output"
            failures=$((failures + 1))
        fi
    done
    if [ $got -ne "$status" ]; then
        echo "$filter ends with $got, not $status:" && echo "$output"
        failures=$((failures + 1))
    fi
}

for name in $("$program" --list | grep ^good_); do
    expect 0 "$name" "[       OK ] $name"
done
for name in $("$program" --list | grep ^bad_); do
    expect 1 "$name" "[  FAILED  ] $name" EDDY_SEED=7
done
expect 1 bad_sweep_leaks "with allocation 2 failing: 1 blocks were leaked"
expect 1 bad_sweep_gives_another_error "with allocation 1 failing: EIO (-5)"
expect 1 bad_check "cases.c:" "not so: 2 < 1"
expect 1 bad_check_eq "-ECONNRESET is -104" ECONNRESET "not 4, 4"
expect 1 bad_check_ptr_eq "is 0x10, not NULL"
expect 1 bad_check_str '"left", not' '"right"'
expect 1 bad_check_bytes "differs at byte 2" "61 62 63  |abc|" "61 62 64  |abd|"
expect 1 bad_check_ok "-EPIPE failed: EPIPE (-32)"
expect 1 bad_check_err "0 gave 0 , not -EPIPE (-32)"
expect 1 bad_block_is_left "left 1 blocks of memory"
expect 1 bad_object_is_left "left a channel, made at"
expect 1 bad_descriptor_is_left "left descriptor" /dev/null
expect 1 bad_descriptor_is_closed "closed a foreign descriptor 0"
expect 1 bad_child_is_left "left a child process, running"
expect 1 bad_hang "timed out after"
expect 77 skipped "nothing to see here"
expect 1 no_such_case "no case has"
if compgen -G "${TMPDIR:-/tmp}/eddy-test-*" >/dev/null; then
    for folder in "${TMPDIR:-/tmp}"/eddy-test-*; do
        # Those of other tests that run at this moment have a living owner.
        if ! kill -0 "${folder##*-}" 2>/dev/null; then
            echo "$folder was left" && failures=$((failures + 1))
        fi
    done
fi
exit $((failures > 0))
