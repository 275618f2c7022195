/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/loop/loop.h>
#include <eddy/runtime/base/base_impl.h>
