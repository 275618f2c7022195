/* SPDX-License-Identifier: Apache-2.0 */
/* For cases that must end the process: lets a child do it and tells how it ended. */
#ifndef EDDY_TESTS_RUNTIME_BASE_DEATH_H
#define EDDY_TESTS_RUNTIME_BASE_DEATH_H

#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

struct death {
    int signal; /* that ended it; 0: it went on living */
    size_t len;
    char text[4096]; /* what it wrote to standard error, with a NUL */
};

static inline struct death death_of(void (*fn)(void)) {
    struct death death = {0};
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        fn();
        _exit(0);
    }
    close(ends[1]);
    ssize_t n;
    while ((n = read(ends[0], death.text + death.len, sizeof death.text - 1 - death.len)) > 0) {
        death.len += (size_t)n;
    }
    /* More than fits is not kept, but the child must get rid of it. */
    char rest[256];
    while (n >= 0 && read(ends[0], rest, sizeof rest) > 0) {
    }
    close(ends[0]);
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    death.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return death;
}

#endif
