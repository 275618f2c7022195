/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load for the echo servers: connections that each send a message, wait for all of it to come
 * back, and send the next.
 *
 *     echo_load PORT PID CONNECTIONS BYTES SECONDS [RATE]
 *
 * After a quarter of a second of warming up it counts for SECONDS, and prints messages a second,
 * the CPU that process PID used for each, and percentiles of the round trip. With a RATE so many
 * messages a second are due, evenly, and go out as soon as a connection is idle.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../cpu.h"
#include "../samples.h"

#define WARM_UP_NS 250000000

struct peer {
    struct peer *next_idle;
    int fd;
    size_t missing; /* bytes of the present message that have not come back */
    int64_t sent_ns;
};

static char message[64 * 1024];
static uint64_t messages; /* that came back while counting */
static bool counting;

static int64_t interval_ns; /* between messages that are due; 0: each is when one has come back */
static int64_t due_ns;
static struct peer *idle;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void send_message(struct peer *peer, size_t bytes, int64_t present_ns) {
    peer->missing = bytes;
    peer->sent_ns = present_ns;
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

static void rest_until_due(struct peer *peer) {
    peer->next_idle = idle;
    idle = peer;
}

static void send_due(size_t bytes) {
    int64_t present_ns = now_ns();
    while (idle != NULL && due_ns <= present_ns) {
        struct peer *peer = idle;
        idle = peer->next_idle;
        send_message(peer, bytes, present_ns);
        due_ns += interval_ns;
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
        int64_t present_ns = now_ns();
        if (counting) {
            messages++;
            sample(present_ns - peer->sent_ns);
        }
        if (interval_ns == 0) {
            send_message(peer, bytes, present_ns);
        } else {
            rest_until_due(peer);
        }
    }
}

static void exchange_until(int64_t end_ns, int epoll, size_t bytes) {
    while (now_ns() < end_ns) {
        struct epoll_event events[256];
        if (interval_ns > 0) {
            send_due(bytes);
        }
        int ready = epoll_wait(epoll, events, 256, interval_ns > 0 ? 0 : 100);
        for (int i = 0; i < ready; i++) {
            receive(events[i].data.ptr, bytes);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 6 && argc != 7) {
        fprintf(stderr, "usage: %s PORT PID CONNECTIONS BYTES SECONDS [RATE]\n", argv[0]);
        return 2;
    }
    if (argc == 7) {
        interval_ns = 1000000000 / strtol(argv[6], NULL, 10);
        due_ns = now_ns();
    }
    size_t count = strtoul(argv[3], NULL, 10);
    size_t bytes = strtoul(argv[4], NULL, 10);
    double seconds = strtod(argv[5], NULL);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct peer *peers = calloc(count, sizeof *peers);
    if (peers == NULL || bytes > sizeof message) {
        die("too much");
    }
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < count; i++) {
        connect_peer(&peers[i], &address, epoll);
    }
    for (size_t i = 0; i < count; i++) {
        if (interval_ns == 0) {
            send_message(&peers[i], bytes, now_ns());
        } else {
            rest_until_due(&peers[i]);
        }
    }
    exchange_until(now_ns() + WARM_UP_NS, epoll, bytes);
    counting = true;
    int64_t cpu_before_ns = cpu_ns_of(argv[2]);
    int64_t begin_ns = now_ns();
    exchange_until(begin_ns + (int64_t)(seconds * 1e9), epoll, bytes);
    int64_t taken_ns = now_ns() - begin_ns;
    int64_t cpu_ns = cpu_ns_of(argv[2]) - cpu_before_ns;
    printf("per_s %.0f\n", (double)messages * 1e9 / (double)taken_ns);
    printf("cpu_us %.3f\n", (double)cpu_ns / 1e3 / (double)messages);
    print_percentiles();
    free(peers);
    return 0;
}
