/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/base/base.h>
#include <eddy/eddy.h>
