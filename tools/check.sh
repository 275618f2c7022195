#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Formatting, clang-tidy and the rules of the house. Usage: tools/check.sh [format|lint|tidy ...]
set -eu
cd "$(dirname "$0")/.."

check_format() {
    tools/sources.sh | xargs clang-format --dry-run --Werror
}

# Those files only that are compiled in the dev build; it says how.
check_lint() {
    tools/build.sh dev >/dev/null
    python3 - <<'END' | xargs -0 -P "$(nproc)" -n 1 clang-tidy -p build/dev --quiet 2>/dev/null
import json
files = {entry["file"] for entry in json.load(open("build/dev/compile_commands.json"))}
print("\0".join(sorted(f for f in files if f.endswith(".c"))), end="")
END
}

check_tidy() {
    tools/build.sh dev >/dev/null
    ctest --preset dev -L tidy
}

for check in "${@:-format lint tidy}"; do
    for name in $check; do
        echo "--- $name"
        "check_$name"
    done
done
