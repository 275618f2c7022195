/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that have said one line and heard it back, and then are idle.
 *
 *     idle_load PORT CONNECTIONS
 *
 * Prints a line when all of them are, and holds them until its standard input ends.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE "hello, how is life?\n"

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void converse(const struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) < 0) {
        die("connect");
    }
    char answer[sizeof LINE];
    if (send(fd, LINE, strlen(LINE), MSG_NOSIGNAL) < 0 ||
        recv(fd, answer, strlen(LINE), MSG_WAITALL) != (ssize_t)strlen(LINE)) {
        die("line");
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s PORT CONNECTIONS\n", argv[0]);
        return 2;
    }
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    size_t count = strtoul(argv[2], NULL, 10);
    for (size_t i = 0; i < count; i++) {
        converse(&address);
    }
    puts("idle");
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    return 0;
}
