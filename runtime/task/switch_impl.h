/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The context switch itself, one for each CPU. Everybody else uses fiber_impl.h.
 *
 * It is written in the caller's place, not as a function, so that a switch neither pushes to nor
 * pops from the CPU's stack of return addresses: what the CPU predicts for the returns that follow
 * stays right wherever the two fibers were suspended at the same depth. Measured on an AMD EPYC
 * (Zen 3), each fiber two calls deep where it is suspended: 4 ns from fiber to fiber like this, 20
 * ns as a function that ends in an indirect jump; through a loop and back 22 ns, 29 ns, and 35 ns
 * as a function that ends in `ret`.
 *
 * What suspends a task as its last act has nothing alive to save in place. On x86_64 it leaves by a
 * function that it jumps to (eddyi_fiber_leave): one call and one return per switch, and a direct
 * way from one fiber suspended there to another. eddyi_fiber_pass, for yields, returns by a jump
 * where the fibers were called from different places, which the stack of return addresses would
 * get wrong, and tells the CPU by branches where that will go: without them it mispredicts each one
 * when the places differ. A yield between two tasks takes 7.8 ns from one place and 8.1 ns from two
 * (15.5 ns without those branches, 20 ns by `ret`).
 *
 * Only what the compiler cannot be told to save is saved by hand: the stack pointer, the address to
 * resume at, the frame pointer, and the register that some compilers keep for themselves in
 * functions with variable frames. The rest is declared clobbered, so the compiler saves what is
 * alive, and its own unwind tables say where. A fiber that is suspended can therefore be unwound
 * from outside from four words of its record: pc, sp, frame, base.
 *
 * Rounding modes and exception masks (mxcsr and the x87 control word, FPCR) are not switched: they
 * belong to the thread. Saving and comparing them costs 5 ns, more than all the rest together. Who
 * changes them in a task sets them back before the next suspending call.
 *
 * A fiber resumes by an indirect jump, for which there is a landing pad where the compiler asks for
 * them (-fcf-protection, -mbranch-protection). Shadow stacks are not switched, and switch_x86_64.S
 * does not carry their mark, so that programs with eddy in them are not run with one.
 */
#ifndef EDDY_RUNTIME_TASK_SWITCH_IMPL_H
#define EDDY_RUNTIME_TASK_SWITCH_IMPL_H

/* EDDYI_FIBER_UCONTEXT can be defined by hand to try the portable switch where there is a better
 * one. */
#if !defined(EDDYI_FIBER_UCONTEXT) && \
    !(defined(__LP64__) && (defined(__x86_64__) || defined(__aarch64__)))
#define EDDYI_FIBER_UCONTEXT 1
#endif

/* There are eddyi_fiber_leave and eddyi_fiber_pass in assembly. */
#if !defined(EDDYI_FIBER_UCONTEXT) && defined(__x86_64__)
#define EDDYI_FIBER_FUNCTIONS 1
#endif

#ifndef __ASSEMBLER__

#include <eddy/runtime/base/assert_impl.h>

/* The first five words are known to the assembly by their offsets. While a fiber runs the first
 * four are stale. */
struct eddyi_fiber {
    void *sp;        /* the stack pointer; with ucontext, the ucontext_t to resume */
    void *pc;        /* where to resume */
    void *frame;     /* the frame pointer: rbp, x29 */
    void *base;      /* rbx, x19 */
    int code;        /* what eddyi_fiber_leave and _pass return here; for whoever resumes to set */
    char *stack_low; /* the lowest byte of its stack; NULL for a thread's own, except under ASan */
    size_t stack_size; /* from stack_low up to the record that lies on top */
    void *asan_fake;   /* AddressSanitizer: its fake frames while it is suspended */
    void *tsan;        /* ThreadSanitizer: its own name for the fiber */
    unsigned valgrind_id;
    bool of_thread; /* a thread's own stack, which the tools know without us */
};

/* The assembly below knows these offsets. */
_Static_assert(offsetof(struct eddyi_fiber, sp) == 0, "offset of sp");
_Static_assert(offsetof(struct eddyi_fiber, pc) == sizeof(void *), "offset of pc");
_Static_assert(offsetof(struct eddyi_fiber, frame) == 2 * sizeof(void *), "offset of frame");
_Static_assert(offsetof(struct eddyi_fiber, base) == 3 * sizeof(void *), "offset of base");
_Static_assert(offsetof(struct eddyi_fiber, code) == 4 * sizeof(void *), "offset of code");

#ifdef EDDYI_FIBER_UCONTEXT

/* fiber_ucontext.c */
void eddyi_fiber_jump(struct eddyi_fiber *from, struct eddyi_fiber *to);
void eddyi_fiber_prepare(struct eddyi_fiber *fiber, char *top, void (*entry)(void *arg), void *arg);

#else

/* Where a new fiber begins, in switch_*.S: calls `base` with the word on top of the stack. It is
 * the end of the stack for debuggers and unwinders. Never called from C. */
extern const char eddyi_fiber_start[] __attribute__((visibility("hidden")));

/* Makes the fiber begin with entry(arg) when it is first switched to; its stack ends at `top`. */
static inline void eddyi_fiber_prepare(struct eddyi_fiber *fiber, char *top,
                                       void (*entry)(void *arg), void *arg) {
    void **words = (void **)((uintptr_t)top & ~(uintptr_t)15) - 2; /* both ABIs want 16 */
    words[0] = arg;
    words[1] = NULL;
    fiber->sp = words;
    fiber->pc = (void *)(uintptr_t)eddyi_fiber_start;
    fiber->frame = NULL;
    fiber->base = (void *)(uintptr_t)entry;
}

#if defined(__x86_64__)

#if defined(__CET__) && (__CET__ & 1)
#define EDDYI_FIBER_LAND_ "endbr64\n\t"
#else
#define EDDYI_FIBER_LAND_ ""
#endif
#ifdef __AVX512F__
#define EDDYI_FIBER_WIDE_ \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", \
        "k6", "k7"
#else
#define EDDYI_FIBER_WIDE_
#endif

/* Suspends `from`, which is running, and resumes `to`; returns when something resumes `from`. */
static inline __attribute__((always_inline)) void eddyi_fiber_jump(struct eddyi_fiber *from,
                                                                   struct eddyi_fiber *to) {
    /* Nothing is pushed: the red zone may be in use, and the unwind tables stay right. rbp cannot
     * be in the list of clobbers, and rbx not everywhere. rsp is loaded last, for those who
     * interrupt. */
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rsp, 0(%0)\n\t"
                     "movq %%rax, 8(%0)\n\t"
                     "movq %%rbp, 16(%0)\n\t"
                     "movq %%rbx, 24(%0)\n\t"
                     "movq 24(%1), %%rbx\n\t"
                     "movq 16(%1), %%rbp\n\t"
                     "movq 0(%1), %%rsp\n\t"
                     "jmpq *8(%1)\n"
                     "1:\n\t" EDDYI_FIBER_LAND_
                     : "+D"(from), "+S"(to)
                     :
                     : "memory", "cc", "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",
                       "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st",
                       "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)",
                       "st(7)" EDDYI_FIBER_WIDE_);
}

#else /* __aarch64__ */

#ifdef __ARM_FEATURE_BTI_DEFAULT
#define EDDYI_FIBER_LAND_ "hint #36\n\t" /* bti j */
#else
#define EDDYI_FIBER_LAND_ ""
#endif
#ifdef __ARM_FEATURE_SVE
#define EDDYI_FIBER_WIDE_ \
    , "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13", \
        "p14", "p15"
#else
#define EDDYI_FIBER_WIDE_
#endif

/* Suspends `from`, which is running, and resumes `to`; returns when something resumes `from`. */
static inline __attribute__((always_inline)) void eddyi_fiber_jump(struct eddyi_fiber *from_fiber,
                                                                   struct eddyi_fiber *to_fiber) {
    register struct eddyi_fiber *from __asm__("x0") = from_fiber;
    register struct eddyi_fiber *to __asm__("x1") = to_fiber;
    /* As on x86_64; x29 and x19 are the two that cannot be in the list everywhere. */
    __asm__ volatile("adr x9, 1f\n\t"
                     "mov x10, sp\n\t"
                     "stp x10, x9, [%0]\n\t"
                     "stp x29, x19, [%0, #16]\n\t"
                     "ldp x29, x19, [%1, #16]\n\t"
                     "ldp x10, x9, [%1]\n\t"
                     "mov sp, x10\n\t"
                     "br x9\n"
                     "1:\n\t" EDDYI_FIBER_LAND_
                     : "+r"(from), "+r"(to)
                     :
                     : "memory", "cc", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",
                       "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x20", "x21", "x22", "x23",
                       "x24", "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4", "v5",
                       "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16",
                       "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27",
                       "v28", "v29", "v30", "v31" EDDYI_FIBER_WIDE_);
}

#endif
#endif /* EDDYI_FIBER_UCONTEXT */

#else /* __ASSEMBLER__ */

/* Both switch_*.S are assembled everywhere, and an empty one without these notes would take the
 * properties that they promise from the whole library. */
/* clang-format off */
    .section .note.GNU-stack, "", %progbits

#if defined(__CET__) && (__CET__ & 1)
#define EDDYI_FIBER_PROPERTY_ 0xc0000002 /* GNU_PROPERTY_X86_FEATURE_1_AND */
#define EDDYI_FIBER_FEATURES_ 1          /* branch tracking; not 2, which is shadow stacks */
#elif defined(__ARM_FEATURE_BTI_DEFAULT)
#define EDDYI_FIBER_PROPERTY_ 0xc0000000 /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
#define EDDYI_FIBER_FEATURES_ 3          /* landing pads, and signed returns: it has none */
#endif
#ifdef EDDYI_FIBER_PROPERTY_
    .section .note.gnu.property, "a", %note
    .p2align 3
    .long 4, 16, 5 /* lengths of the name and of what follows it, NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .long EDDYI_FIBER_PROPERTY_, 4, EDDYI_FIBER_FEATURES_, 0
#endif
/* clang-format on */

#endif /* __ASSEMBLER__ */
#endif
