/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/base/version.h>

const char *eddy_version(void) {
    return EDDY_VERSION;
}
