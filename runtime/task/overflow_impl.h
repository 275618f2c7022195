/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A named report when a task runs into the guard below its stack, or steps over it with a large
 * frame and faults somewhere beyond:
 *
 *     eddy: stack overflow in task "import" (spawned at load.c:42), stack of 255 KiB
 *
 * and, where it ran into the guard of another stack and its own is in order:
 *
 *     eddy: stray access to another task's stack in task "import" (spawned at load.c:42), ...
 *
 * after which the process ends as it would have without. Process-wide, so only eddy_main and those
 * who ask for it install it.
 */
#ifndef EDDY_RUNTIME_TASK_OVERFLOW_IMPL_H
#define EDDY_RUNTIME_TASK_OVERFLOW_IMPL_H

#include <eddy/runtime/base/api.h>

struct eddyi_overflow_facts {
    const char *name;   /* the task's, or NULL or "" */
    const char *site;   /* "file.c:12" of its spawn, or NULL */
    size_t stack_bytes; /* of its stack */
    bool stray;         /* no overflow of its own: an access to the guard of another stack */
};

/*
 * Set by the task room: true, and the facts, when the fault is the overflow of a task's stack by
 * the task that runs on the calling thread. `fault` is the address, `sp` the stack pointer at that
 * moment, NULL where it is not known. Called in a signal handler, on the alternate stack: it only
 * looks.
 */
extern bool (*eddyi_overflow_describe)(const void *fault, const void *sp,
                                       struct eddyi_overflow_facts *ret_facts);

/*
 * Give the calling thread an alternate signal stack, unless it has one, and with the first call
 * take SIGSEGV and SIGBUS. What was installed for them before is called for each such signal that
 * is no overflow, and after the report of one that is. 0, -ENOMEM, or what the kernel said. Each
 * thread that runs tasks calls it once, and eddyi_overflow_uninstall on the same thread.
 */
int eddyi_overflow_install(void);

/*
 * Take the calling thread's alternate stack back, and with the last call give the signals back to
 * whom they belonged, unless somebody else has taken them since, who may well call us.
 */
void eddyi_overflow_uninstall(void);

#endif
