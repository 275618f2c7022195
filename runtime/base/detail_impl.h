/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last-error record: the sentence behind a number, such as which address could not be resolved.
 * One per task; a thread without a task has one of its own.
 */
#ifndef EDDY_RUNTIME_BASE_DETAIL_IMPL_H
#define EDDY_RUNTIME_BASE_DETAIL_IMPL_H

#include <eddy/runtime/base/error.h>

#define EDDYI_DETAIL_MAX 256

struct eddyi_detail {
    int64_t error;
    char text[EDDYI_DETAIL_MAX]; /* cut when it is longer */
};

/* Set by the task room: the running task's record, made when `make` is set; NULL outside of a task
 * or without memory. */
extern struct eddyi_detail *(*eddyi_detail_of_task)(bool make);

/* Records a sentence for `error` and returns `error`, so that it can stand in a return. */
int64_t eddyi_detail_set(int64_t error, const char *format, ...) EDDY_PRINTF(2, 3);

#endif
