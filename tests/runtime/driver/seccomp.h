/* SPDX-License-Identifier: Apache-2.0 */
/* Makes this process's kernel an older one: a system call, or a flag of one, is refused. */
#ifndef EDDY_TESTS_RUNTIME_DRIVER_SECCOMP_H
#define EDDY_TESTS_RUNTIME_DRIVER_SECCOMP_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "test.h"

/* Of several filters that refuse a call, the one that came last says with which error. */
static inline void set_filter(struct sock_filter *program, size_t len) {
    struct sock_fprog filter = {.len = (unsigned short)len, .filter = program};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0) {
        SKIP("no seccomp filters here");
    }
}

/* From now on system call `number` gives `error` (positive) when its argument `argument` passes
 * `test`, a jump that goes on to the next statement then and over it otherwise. */
static inline void refuse_call_when(unsigned number, unsigned argument, struct sock_filter test,
                                    int error) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
        /* The low half of the argument; both machines are little-endian. */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 (unsigned)offsetof(struct seccomp_data, args) + 8 * argument),
        test,
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    set_filter(program, sizeof program / sizeof program[0]);
}

/* When any of `bits` is set in it, or always when bits is 0. */
static inline void refuse_call(unsigned number, unsigned argument, unsigned bits, int error) {
    struct sock_filter test = BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, bits == 0 ? 0 : 1);
    refuse_call_when(number, argument, test, error);
}

/* When it has just this value. */
static inline void refuse_call_with(unsigned number, unsigned argument, unsigned value, int error) {
    struct sock_filter test = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    refuse_call_when(number, argument, test, error);
}

#endif
