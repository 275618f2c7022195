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

    .macro save register
    pushq \register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \register, 0
    .endm

    .macro restore register
    popq \register
    .cfi_adjust_cfa_offset -8
    .cfi_restore \register
    .endm

    /* rdi: from, rsi: to. What a suspended fiber has on its stack is what the tables say at
     * `resumed`. Between two fibers that are both suspended there is no jump through memory. */
    .macro suspend
    save %rbp
    save %rbx
    save %r12
    save %r13
    save %r14
    save %r15
    leaq resumed(%rip), %rax
    movq %rsp, 0(%rdi)
    movq %rax, 8(%rdi)
    cmpq 8(%rsi), %rax
    jne elsewhere
    movq 0(%rsi), %rsp
    .endm

    .macro resume
    restore %r15
    restore %r14
    restore %r13
    restore %r12
    restore %rbx
    restore %rbp
    movl 32(%rsi), %eax
    .endm

    /* The return is predicted by what was called last, which is `from`'s place. */
    .p2align 4
    .hidden eddyi_fiber_leave
    .globl eddyi_fiber_leave
    .type eddyi_fiber_leave, @function
    .cfi_startproc
eddyi_fiber_leave:
    suspend
    .cfi_remember_state
resumed:
#if defined(__CET__) && (__CET__ & 1)
    endbr64
#endif
    resume
    ret
    .cfi_restore_state
elsewhere:
    movq 24(%rsi), %rbx
    movq 16(%rsi), %rbp
    movq 0(%rsi), %rsp
    jmpq *8(%rsi)
    .cfi_endproc
    .size eddyi_fiber_leave, . - eddyi_fiber_leave

    /* Leaves that prediction alone where it is wrong, and jumps. A jump is predicted by how the few
     * branches before it went, and those of a yield go the same way wherever it was called. So
     * three bits of a hash of the place become branches that go nowhere: those are predicted by
     * much more that went before, and well. */
    .p2align 4
    .hidden eddyi_fiber_pass
    .globl eddyi_fiber_pass
    .type eddyi_fiber_pass, @function
    .cfi_startproc
eddyi_fiber_pass:
    movq (%rsp), %rcx
    suspend
    resume
    cmpq (%rsp), %rcx
    je 1f
    .cfi_remember_state
    popq %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register %rip, %rcx
    imull $0x9e3779b1, %ecx, %edx
    .rept 3
    addl %edx, %edx
    jc 2f
2:
    .endr
    notrack jmpq *%rcx /* where a call returns to there is no landing pad */
    .cfi_restore_state
1:  ret
    .cfi_endproc
    .size eddyi_fiber_pass, . - eddyi_fiber_pass

#endif
