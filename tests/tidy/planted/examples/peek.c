/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/base/base_impl.h>
#include <eddy/eddy.h>
