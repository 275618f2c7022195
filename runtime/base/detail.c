/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/base/detail_impl.h>

#include <stdarg.h>
#include <stdio.h>

struct eddyi_detail *(*eddyi_detail_of_task)(bool make);

static _Thread_local struct eddyi_detail of_thread;

static struct eddyi_detail *record(bool make) {
    struct eddyi_detail *detail = eddyi_detail_of_task == NULL ? NULL : eddyi_detail_of_task(make);
    return detail == NULL ? &of_thread : detail;
}

int64_t eddyi_detail_set(int64_t error, const char *format, ...) {
    struct eddyi_detail *detail = record(true);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(detail->text, sizeof detail->text, format, args);
    va_end(args);
    if (n < 0) {
        detail->text[0] = '\0';
    }
    detail->error = error;
    return error;
}

const char *eddy_error_detail(void) {
    return record(false)->text;
}
