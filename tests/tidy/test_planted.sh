#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tidy's own test: planted/ has at least one fault for each check, and one file without any. All
# findings together must be those of planted.expect (`UPDATE=1 tests/tidy/test_planted.sh` with
# EDDY_BUILD set writes it anew; then read the difference).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tidy=$EDDY_BUILD/tests/tidy
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

gcc -fPIC -fvisibility=hidden -c "$here/planted/symbols.c" -o "$work/planted.o"
gcc -shared "$work/planted.o" -o "$work/libplanted.so"
ar rc "$work/libplanted.a" "$work/planted.o"

run() {
    echo "--- $1"
    if "$tidy" "$here/planted" "$@"; then
        echo "$1 found nothing, although there is something planted for it" >&2
        exit 1
    fi
}
{
    run layers
    run labels
    run calls
    run text
    run symbols "$work/libplanted.so"
    run globals "$work/libplanted.a"
} >"$work/found"

if [ -n "${UPDATE:-}" ]; then
    cp "$work/found" "$here/planted.expect"
fi
diff -u "$here/planted.expect" "$work/found"
