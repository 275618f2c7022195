/* SPDX-License-Identifier: Apache-2.0 */
/* What the bare servers share: a listening socket whose port is printed, and an end with a word. */
#ifndef EDDY_BENCH_LISTEN_H
#define EDDY_BENCH_LISTEN_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static inline _Noreturn void die(const char *what, int error) {
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(1);
}

/* `flags` are socket's: SOCK_NONBLOCK or 0. */
static inline int listen_somewhere(int flags) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (bind(listener, (struct sockaddr *)&address, len) < 0 || listen(listener, 4096) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) < 0) {
        die("listen", errno);
    }
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

#endif
