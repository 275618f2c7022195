#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Configures a preset, quietly, and builds it.
# Usage: tools/build.sh PRESET [argument of cmake --build ...]
set -eu
cd "$(dirname "$0")/.."
preset=$1
shift
mkdir -p "build/$preset"
log=build/$preset/configure.log
if ! cmake --preset "$preset" >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
cmake --build --preset "$preset" "$@"
