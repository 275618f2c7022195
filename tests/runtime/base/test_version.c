/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/base/version.h>

#include <stdio.h>

#include "test.h"

TEST(the_library_and_its_headers_are_of_one_version) {
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", EDDY_VERSION_NUMBER / 10000,
             EDDY_VERSION_NUMBER / 100 % 100, EDDY_VERSION_NUMBER % 100);
    CHECK_STR(EDDY_VERSION, text);
    CHECK_STR(eddy_version(), EDDY_VERSION);
}
