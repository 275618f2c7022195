#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Lists our C and C++ sources, one a line.
set -eu
cd "$(dirname "$0")/.."
find runtime futures net fs proc tests bench examples -name planted -prune -o \
    \( -name '*.[ch]' -o -name '*.cpp' \) -print 2>/dev/null | sort
