# SPDX-License-Identifier: Apache-2.0
# A front for CMake's presets. On a bare Debian 12 each target installs the packages that it needs
# (as root, or with sudo) and then does all by itself.
PREFIX ?= /usr/local
HOST ?= 127.0.0.1
PORT ?= 8080
ROOT ?= .
SECONDS ?= 600

.PHONY: help run test bench figures install format check soak nightly clean

help:
	@echo "make run              serve the folder ROOT=. at http://HOST:PORT, http://127.0.0.1:8080"
	@echo "make test             build with all assertions and run the tests"
	@echo "make bench BENCH=x    one benchmark with its peers, written to build/bench/x.json"
	@echo "make figures          all benchmarks, and their tables in the READMEs: most of an hour"
	@echo "make install PREFIX=  library, headers, pkg-config file and CMake package"
	@echo "make format           clang-format over all sources"
	@echo "make check            formatting, clang-tidy and the rules of the house"
	@echo "make soak SECONDS=    httpd under load and bad clients, on each driver for so long: 600"
	@echo "make nightly          what takes too long for each change"
	@echo "make clean            remove build/"

run:
	@tools/install-packages.sh run
	@tools/build.sh release
	@exec build/release/examples/httpd --host $(HOST) --port $(PORT) --root $(ROOT)

test:
	@tools/install-packages.sh test
	@tools/build.sh dev
	@ctest --preset dev -j $$(nproc)

bench:
	@test -n "$(BENCH)" || { echo "which one? make bench BENCH=name" >&2; exit 2; }
	@tools/install-packages.sh bench
	@tools/build.sh release --target all peers
	@bench/run $(BENCH)

figures:
	@tools/install-packages.sh bench
	@tools/build.sh release --target all peers
	@for figures in bench/*/figures.py; do bench/run $$(basename $$(dirname $$figures)) || exit 1; done
	@bench/publish

install:
	@tools/install-packages.sh run
	@tools/build.sh release
	@cmake --install build/release --prefix $(PREFIX)
	@if [ "$$(id -u)" -eq 0 ] && [ -z "$(DESTDIR)" ]; then ldconfig; fi

format:
	@tools/install-packages.sh check
	@tools/sources.sh | xargs clang-format -i

check:
	@tools/install-packages.sh check
	@tools/check.sh

soak:
	@tools/install-packages.sh test
	@tools/soak.sh $(SECONDS)

nightly:
	@tools/install-packages.sh check
	@tools/nightly.sh

clean:
	rm -rf build
