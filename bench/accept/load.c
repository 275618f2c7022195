/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load for short connections: each connects, asks, reads until the server closes, and begins
 * anew.
 *
 *     accept_load PORT PID CONNECTIONS SECONDS
 *
 * Prints connections a second, the CPU that process PID used for each, and percentiles of how long
 * one took. The clients' addresses go round in 127/8, so that ports do not run out.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../cpu.h"
#include "../samples.h"

#define WARM_UP_NS 250000000
#define REQUEST "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

struct peer {
    int fd;
    bool asked;
    int64_t begun_ns;
};

static struct sockaddr_in server;
static int epoll;
static uint64_t finished; /* while counting */
static bool counting;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void begin(struct peer *peer) {
    static uint32_t source;
    int one = 1;
    struct sockaddr_in from = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + source++ % 60000),
    };
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = peer};
    peer->asked = false;
    peer->begun_ns = now_ns();
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(peer->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(peer->fd, (struct sockaddr *)&from, sizeof from) < 0) {
        die("bind");
    }
    if (connect(peer->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS) {
        die("connect");
    }
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, peer->fd, &event) < 0) {
        die("epoll_ctl");
    }
}

static void go_on(struct peer *peer) {
    if (!peer->asked) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
        if (send(peer->fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL) < 0 ||
            epoll_ctl(epoll, EPOLL_CTL_MOD, peer->fd, &event) < 0) {
            die("send");
        }
        peer->asked = true;
        return;
    }
    char got[4096];
    ssize_t n;
    while ((n = recv(peer->fd, got, sizeof got, 0)) > 0) {
    }
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n < 0) {
        die("recv");
    }
    close(peer->fd);
    if (counting) {
        finished++;
        sample(now_ns() - peer->begun_ns);
    }
    begin(peer);
}

static void go_on_until(int64_t end_ns) {
    while (now_ns() < end_ns) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll, events, 256, 100);
        for (int i = 0; i < ready; i++) {
            go_on(events[i].data.ptr);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: %s PORT PID CONNECTIONS SECONDS\n", argv[0]);
        return 2;
    }
    size_t count = strtoul(argv[3], NULL, 10);
    double seconds = strtod(argv[4], NULL);
    server = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct peer *peers = calloc(count, sizeof *peers);
    if (peers == NULL) {
        die("calloc");
    }
    for (size_t i = 0; i < count; i++) {
        begin(&peers[i]);
    }
    go_on_until(now_ns() + WARM_UP_NS);
    counting = true;
    int64_t cpu_before_ns = cpu_ns_of(argv[2]);
    int64_t begin_ns = now_ns();
    go_on_until(begin_ns + (int64_t)(seconds * 1e9));
    int64_t taken_ns = now_ns() - begin_ns;
    int64_t cpu_ns = cpu_ns_of(argv[2]) - cpu_before_ns;
    printf("per_s %.0f\n", (double)finished * 1e9 / (double)taken_ns);
    printf("cpu_us %.3f\n", (double)cpu_ns / 1e3 / (double)finished);
    print_percentiles();
    free(peers);
    return 0;
}
