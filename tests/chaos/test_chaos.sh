#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A short piece of chaos on $EDDY_DRIVER. The long one: tools/nightly.sh, or
#     build/dev/tests/chaos --seconds 60 --tasks 10000
# As long as this it runs under each sanitizer; the seed is a new one each time, and printed.
set -eu
exec "$EDDY_BUILD/tests/chaos" --seconds 2 --tasks 2000 ${EDDY_SEED:+--seed "$EDDY_SEED"}
