#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that a make target needs, and does nothing when all are there.
# Usage: tools/install-packages.sh run|test|bench|check|arm64 ...      (several may be named)
set -eu

run="gcc g++ cmake ninja-build pkg-config liburing-dev"
test="$run libcmocka-dev valgrind curl wrk python3 strace libuv1-dev nginx-light"
bench="$run libuv1-dev wrk nginx-light python3 golang-go cargo librust-tokio-dev"
# libclang-rt-dev: the sanitizers and libFuzzer; llvm: names in their reports.
check="$test clang clang-tidy clang-format libclang-rt-dev llvm"
arm64="$test gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"

wanted=""
for group in "$@"; do
    case $group in
        run | test | bench | check | arm64) wanted="$wanted ${!group}" ;;
        *) echo "$0: no such group: $group" >&2; exit 2 ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    echo "Not a Debian system: please see that there is what these packages bring:$wanted" >&2
    exit 0
fi

missing=""
for package in $wanted; do
    state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    if [ "$state" != "install ok installed" ]; then
        missing="$missing $package"
    fi
done
if [ -z "$missing" ]; then
    exit 0
fi

sudo=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Please install as root, then try again:$missing" >&2
        exit 1
    fi
    sudo="sudo"
fi
echo "Installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq </dev/null
# env, because sudo does not hand variables on; nginx must not start a service of its own here.
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends $missing </dev/null
