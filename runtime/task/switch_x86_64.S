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
    /* As a call, but for the CPU's stack of return addresses: entry never returns, and what is on
     * top there is for the fiber that switches to this one. */
    movq (%rsp), %rdi
    leaq 1f(%rip), %rax
    pushq %rax
    jmpq *%rbx
1:  ud2 /* entry has returned, which it must not */
    .cfi_endproc
    .size eddyi_fiber_start, . - eddyi_fiber_start

/*
 * rdi: from, rsi: to. What a suspended fiber has on its stack is what the tables say at `resumed`.
 *
 * Between two fibers that are both suspended here there is no jump through memory at all. The
 * return is predicted by what was called last, which is `from`'s place. eddyi_fiber_pass leaves
 * that prediction alone where it is wrong, and jumps: such jumps are predicted by what went before.
 */
    .p2align 4
    .hidden eddyi_fiber_leave
    .globl eddyi_fiber_leave
    .type eddyi_fiber_leave, @function
    .hidden eddyi_fiber_pass
    .globl eddyi_fiber_pass
    .type eddyi_fiber_pass, @function
    .cfi_startproc
eddyi_fiber_pass:
    movq (%rsp), %rcx
    jmp 1f
    .p2align 4
eddyi_fiber_leave:
    xorl %ecx, %ecx
1:  pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0
    leaq resumed(%rip), %rax
    movq %rsp, 0(%rdi)
    movq %rax, 8(%rdi)
    cmpq 8(%rsi), %rax
    jne elsewhere
    movq 0(%rsi), %rsp
2:  popq %r15
    .cfi_remember_state
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbp
    movl 32(%rsi), %eax
    cmpq (%rsp), %rcx
    jne 4f
3:  ret
4:  testq %rcx, %rcx
    jz 3b
    popq %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register %rip, %rcx
    jmpq *%rcx
    .cfi_restore_state
elsewhere:
    movq 24(%rsi), %rbx
    movq 16(%rsi), %rbp
    movq 0(%rsi), %rsp
    jmpq *8(%rsi)
resumed:
#if defined(__CET__) && (__CET__ & 1)
    endbr64
#endif
    xorl %ecx, %ecx
    jmp 2b
    .cfi_endproc
    .size eddyi_fiber_leave, . - eddyi_fiber_leave

#endif
