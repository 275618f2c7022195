/* SPDX-License-Identifier: Apache-2.0 */
/* The limit of what a switch can cost: two stacks and a jump, without anything around them. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../cpu.h"

#define ROUNDS 50000000

struct side {
    void *stack;
    void *resume;
};

static struct side sides[2];

/* Leaves by a jump to where the other side stopped; all other registers are the compiler's. */
#if defined __x86_64__
static inline void swap(struct side *from, struct side *to) {
    register struct side *a __asm__("rdi") = from;
    register struct side *b __asm__("rsi") = to;
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rbp\n\t"
                     "pushq %%rbx\n\t"
                     "movq %%rsp, (%%rdi)\n\t"
                     "movq %%rax, 8(%%rdi)\n\t"
                     "movq (%%rsi), %%rsp\n\t"
                     "jmpq *8(%%rsi)\n"
                     "1:\n\t"
                     "popq %%rbx\n\t"
                     "popq %%rbp"
                     : "+r"(a), "+r"(b)
                     :
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                       "memory", "cc");
}

static void enter(struct side *from, void *stack, void (*fn)(void)) {
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rbp\n\t"
                     "pushq %%rbx\n\t"
                     "movq %%rsp, (%%rdi)\n\t"
                     "movq %%rax, 8(%%rdi)\n\t"
                     "movq %%rsi, %%rsp\n\t"
                     "callq *%%rdx\n"
                     "1:\n\t"
                     "popq %%rbx\n\t"
                     "popq %%rbp"
                     : "+D"(from), "+S"(stack), "+d"(fn)
                     :
                     : "rax", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory",
                       "cc");
}

static void other(void) {
    for (;;) {
        swap(&sides[1], &sides[0]);
    }
}
#endif

int main(void) {
#if defined __x86_64__
    const size_t size = 64 * 1024;
    char *stack = aligned_alloc(64, size);
    if (stack == NULL) {
        return 1;
    }
    enter(&sides[0], stack + size - 64, other);
    int64_t begin_ns = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        swap(&sides[0], &sides[1]);
    }
    printf("switch_ns %.3f\n", (double)(now_ns() - begin_ns) / (2.0 * ROUNDS));
    free(stack);
#endif
    return 0;
}
