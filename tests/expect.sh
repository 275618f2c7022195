#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs a program and compares what it prints with a file. Usage: tests/expect.sh PROGRAM FILE
# The file's first line is the command, `$ name argument ...` or `$ EDDY_DRIVER=sim name ...`, which
# makes times exact; the rest is the output, in which `...` stands for any text. Standard input is
# empty and the exit status must be 0.
set -eu
program=$1
file=$2

IFS= read -r command <"$file"
case $command in
    '$ '*) ;;
    *) echo "$file: the first line is not the command: \$ name argument ..." >&2; exit 1 ;;
esac
read -r -a words <<<"${command#'$ '}"
while [[ ${words[0]} == *=* ]]; do
    export "${words[0]}"
    words=("${words[@]:1}")
done
wanted=$(tail -n +2 "$file")
got=$("$program" "${words[@]:1}" </dev/null) || {
    status=$?
    echo "$got"
    echo "$program ended with status $status" >&2
    exit 1
}

# A pattern for [[ == ]]: all but letters, digits and white space is quoted, then ... becomes *.
pattern=$(sed -e 's/[^[:alnum:][:space:]]/\\&/g' -e 's/\\\.\\\.\\\./*/g' <<<"$wanted")
# shellcheck disable=SC2053
if [[ $got == $pattern ]]; then
    exit 0
fi
diff -u --label wanted --label got <(echo "$wanted") <(echo "$got") || true
exit 1
