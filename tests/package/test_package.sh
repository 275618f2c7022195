#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is built into a prefix of its own, and builds a user's project in C and in C++
# against it: with pkg-config, shared and static, and with find_package. Only the prefix is named,
# so a file that is missing there, or a path into the build tree, shows.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
strict="-Wall -Wextra -Wpedantic -Werror"

cmake --install "$EDDY_BUILD" --prefix "$prefix" >"$work/install.log"
if grep -rl -e "$EDDY_BUILD" "$prefix/lib" --include='*.pc' --include='*.cmake'; then
    echo "the files above name the build tree" >&2
    exit 1
fi
if find "$prefix/include" -name '*_impl.h' | grep .; then
    echo "the private headers above were installed" >&2
    exit 1
fi

libdir=$(dirname "$(find "$prefix" -name 'libeddy.a')")
export PKG_CONFIG_PATH=$libdir/pkgconfig
config() { pkg-config "$@" eddy; }

echo "--- pkg-config, version $(config --modversion)"
# shellcheck disable=SC2046,SC2086
{
    gcc -std=c11 $strict "$here/user.c" $(config --cflags --libs) -o "$work/c"
    g++ -std=c++17 $strict "$here/user.cpp" $(config --cflags --libs) -o "$work/cpp"
    gcc -std=c11 $strict $(config --cflags) "$here/user.c" "$libdir/libeddy.a" \
        $(config --static --libs-only-l | sed 's/-leddy//') -pthread -o "$work/c_static"
}
version=$(LD_LIBRARY_PATH=$libdir "$work/c")
if [ "$version" != "$(config --modversion)" ]; then
    echo "the library says that it is $version" >&2
    exit 1
fi
LD_LIBRARY_PATH=$libdir "$work/cpp"
"$work/c_static"

echo "--- find_package"
cmake -S "$here" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" >"$work/cmake.log"
cmake --build "$work/build" >"$work/build.log" || { cat "$work/build.log"; exit 1; }
ctest --test-dir "$work/build" --output-on-failure
