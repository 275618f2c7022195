/* SPDX-License-Identifier: Apache-2.0 */
/* The first instructions of every fiber on x86_64; the switch is in switch_impl.h. */
#include <eddy/runtime/task/switch_impl.h>

#if defined(__x86_64__) && !defined(EDDYI_FIBER_UCONTEXT)

    .text
    .p2align 4
    .hidden eddyi_fiber_start
    .globl eddyi_fiber_start
    .type eddyi_fiber_start, @function
    .cfi_startproc
    /* There is no caller: unwinders stop here instead of guessing. */
    .cfi_undefined %rip
    /* They look up the address before the one to resume at, which must be covered too for a fiber
     * that has not begun yet. */
    nop
eddyi_fiber_start:
#if defined(__CET__) && (__CET__ & 1)
    endbr64
#endif
    movq (%rsp), %rdi
    callq *%rbx
    ud2 /* entry has returned, which it must not */
    .cfi_endproc
    .size eddyi_fiber_start, . - eddyi_fiber_start

#endif
