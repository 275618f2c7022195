#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The release build's httpd under wrk and clients without manners (tests/interop/test_soak.py), on
# uring and on epoll. Usage: tools/soak.sh [SECONDS on each, default 600]
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-600}
tools/build.sh release --target example_httpd
for driver in uring epoll; do
    EDDY_DRIVER=$driver EDDY_BUILD=$PWD/build/release SOAK_SECONDS=$seconds \
        python3 tests/interop/test_soak.py
done
