/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load for the echo servers: connections that each send a message, wait for all of it to come
 * back, and send the next.
 *
 *     echo_load PORT CONNECTIONS BYTES SECONDS
 *
 * Prints messages a second, and the median and the 99th percentile of the round trip in
 * microseconds.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/tcp.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX (1 << 22)

struct peer {
    int fd;
    size_t missing; /* bytes of the present message that have not come back */
    int64_t sent_ns;
};

static char message[64 * 1024];
static uint32_t samples[SAMPLES_MAX]; /* round trips in units of 100 ns */
static size_t sample_count;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void send_message(struct peer *peer, size_t bytes) {
    peer->missing = bytes;
    peer->sent_ns = now_ns();
    if (send(peer->fd, message, bytes, MSG_NOSIGNAL) != (ssize_t)bytes) {
        die("send");
    }
}

static void connect_peer(struct peer *peer, const struct sockaddr_in *address, int epoll) {
    int one = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(peer->fd, (const struct sockaddr *)address, sizeof *address) < 0) {
        die("connect");
    }
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, peer->fd, &event) < 0) {
        die("epoll_ctl");
    }
}

/* Takes what has come; when the message is whole, notes its time and sends the next. */
static void receive(struct peer *peer, size_t bytes) {
    static char got[64 * 1024];
    ssize_t n = recv(peer->fd, got, sizeof got, MSG_DONTWAIT);
    if (n <= 0) {
        die("recv");
    }
    peer->missing -= (size_t)n;
    if (peer->missing == 0) {
        if (sample_count < SAMPLES_MAX) {
            samples[sample_count++] = (uint32_t)((now_ns() - peer->sent_ns) / 100);
        }
        send_message(peer, bytes);
    }
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: %s PORT CONNECTIONS BYTES SECONDS\n", argv[0]);
        return 2;
    }
    size_t count = strtoul(argv[2], NULL, 10);
    size_t bytes = strtoul(argv[3], NULL, 10);
    double seconds = strtod(argv[4], NULL);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct peer *peers = calloc(count, sizeof *peers);
    if (peers == NULL) {
        die("calloc");
    }
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < count; i++) {
        connect_peer(&peers[i], &address, epoll);
    }
    int64_t begin_ns = now_ns();
    int64_t end_ns = begin_ns + (int64_t)(seconds * 1e9);
    for (size_t i = 0; i < count; i++) {
        send_message(&peers[i], bytes);
    }
    while (now_ns() < end_ns) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll, events, 256, 100);
        for (int i = 0; i < ready; i++) {
            receive(events[i].data.ptr, bytes);
        }
    }
    double taken = (double)(now_ns() - begin_ns) / 1e9;
    qsort(samples, sample_count, sizeof samples[0], compare);
    size_t half = sample_count / 2;
    size_t tail = sample_count * 99 / 100;
    printf("%.0f %.1f %.1f\n", (double)sample_count / taken, samples[half] / 10.0,
           samples[tail] / 10.0);
    free(peers);
    return 0;
}
