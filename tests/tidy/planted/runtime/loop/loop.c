/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"
#include <eddy/attic/old.h>
#include <eddy/net/good.h>

static void f(void) {
    char *p = malloc(3);
    p = strcpy (p, "x");
    free(p);
    printf("no");
    exit(errno);
    if (fork() == 0) {
        close(3);
        fcntl(3, 0);
        write(3, "x", 1);
    }
    sleep(1);
}
