#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Unpacks Debian's arm64 packages of our dependencies into build/arm64-sysroot. apt keeps its lists
# for that in build/ too, so the system's own architectures stay as they are.
set -eu
cd "$(dirname "$0")/.."
packages="liburing2 liburing-dev libcmocka0 libcmocka-dev"
sysroot=$PWD/build/arm64-sysroot
if [ -e "$sysroot/complete" ]; then
    exit 0
fi
rm -rf "$sysroot"
mkdir -p "$sysroot/apt/lists/partial" "$sysroot/apt/cache/archives/partial"
cd "$sysroot/apt"
options=(-qq -o Dir::State::Lists="$PWD/lists" -o Dir::Cache="$PWD/cache" -o APT::Architecture=arm64
    -o APT::Architectures=arm64 -o APT::Sandbox::User=)
apt-get "${options[@]}" update
# shellcheck disable=SC2086
apt-get "${options[@]}" download $packages
for package in *.deb; do
    dpkg -x "$package" "$sysroot"
done
rm -rf "$sysroot/apt"
touch "$sysroot/complete"
