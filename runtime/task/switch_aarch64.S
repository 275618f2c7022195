/* SPDX-License-Identifier: Apache-2.0 */
/* The first instructions of every fiber on aarch64; the switch is in switch_impl.h. */
#include <eddy/runtime/task/switch_impl.h>

#if defined(__aarch64__) && !defined(EDDYI_FIBER_UCONTEXT)

    .text
    .p2align 4
    .hidden eddyi_fiber_start
    .globl eddyi_fiber_start
    .type eddyi_fiber_start, %function
    .cfi_startproc
    /* There is no caller: unwinders stop here instead of guessing. */
    .cfi_undefined x30
    /* They look up the address before the one to resume at, which must be covered too for a fiber
     * that has not begun yet. */
    nop
eddyi_fiber_start:
#ifdef __ARM_FEATURE_BTI_DEFAULT
    hint #36 /* bti j */
#endif
    /* As a call, but for the CPU's stack of return addresses: entry never returns, and what is on
     * top there is for the fiber that switches to this one. By x16, from which it may be entered
     * where landing pads are asked for. */
    ldr x0, [sp]
    adr x30, 1f
    mov x16, x19
    br x16
1:  brk #0xeddf /* entry has returned, which it must not */
    .cfi_endproc
    .size eddyi_fiber_start, . - eddyi_fiber_start

#endif
