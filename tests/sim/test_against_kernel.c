/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random scripts of socket calls, played on the kernel and in a world in lockstep: each step is
 * done there, then here, then all that is under way arrives on both sides, and the results are the
 * same or one of the two is wrong. A step never waits: what would have to is -EAGAIN.
 *
 *     world:  settle  step  settle        (virtual time; short counts, odd order, late cancels)
 *     kernel:         step  ping ping ... (what is behind the pings' packets has arrived)
 *
 * A count that the world moved is what the kernel is then asked for: short counts differ, bytes do
 * not. Left out is what is not determined (full buffers), and the oddest of what is: a socket that
 * connects to itself, or is bound to the port that a connect had found for another; one that was
 * shut down and listens; a Unix socket that is shut down without a connection.
 *
 * EDDY_SEEDS=from..to plays others; a script that differs is printed up to there.
 */
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>

#include "runtime/sim/net.h"

enum { SLOTS = 9, STEPS = 60, SENT_MAX = 160, TEXT_SIZE = 16384 };

/* So short that nothing is sent again meanwhile, and long enough for three slow journeys. */
#define SETTLE_NS (10 * EDDY_MS)

/* The kernel sends a lost request again after a second; a run that took so long says nothing. */
#define RUN_MAX_NS (EDDY_S / 2)

enum { WORLD, KERNEL, SIDES };

struct slot {
    bool open;
    int fds[SIDES];
    int domain;
    bool named; /* `addresses` are set */
    struct sockaddr_storage addresses[SIDES];
    socklen_t lens[SIDES];
    bool joined; /* accepted, or has connected */
    bool found;  /* its name is what connect found for it */
    bool shut;
    uint64_t sent;
};

struct play {
    struct net nets[SIDES];
    int pings[2]; /* a pair of the kernel's, see `arrive` */
    struct slot slots[SLOTS];
    struct eddyi_sim_random dice;
    int names; /* of Unix sockets, so far */
    uint64_t seed;
    bool differs;
    char *text; /* the steps so far */
    size_t text_len;
};

static uint64_t roll(struct play *play, uint64_t below) {
    return eddyi_sim_random_below(&play->dice, below);
}

/* ---- both sides come to rest ----------------------------------------------------------------- */

static void settle_world(struct play *play) {
    eddy_loop *loop = play->nets[WORLD].loop;
    int64_t until_ns = now_of(loop) + SETTLE_NS;
    while (now_of(loop) < until_ns) {
        loop->driver->wait(loop, until_ns);
    }
}

/* We stay on one CPU, and its loopback has one queue: with a ping all has arrived that was sent
 * before it. What that was answered with, and the answer to this, takes another ping each. */
static void arrive(struct play *play) {
    for (int i = 0; i < 4; i++) {
        char byte = 'p';
        CHECK_EQ(send(play->pings[0], &byte, 1, MSG_NOSIGNAL), 1);
        CHECK_EQ(recv(play->pings[1], &byte, 1, 0), 1);
    }
}

/* ---- a call on a side, without waiting ------------------------------------------------------- */

static int64_t world_op(struct play *play, int fd, struct eddyi_op op) {
    struct net *net = &play->nets[WORLD];
    struct eddyi_handle handle;
    int ends = 0;
    eddyi_handle_init(&handle, fd, EDDYI_HANDLE_SOCKET);
    op.handle = &handle;
    op.offset = -1;
    op.done = count_end;
    op.waiter = &ends;
    eddyi_op_submit(net->loop, &op);
    settle_world(play);
    if (ends == 0) {
        eddyi_op_cancel(net->loop, &op);
        wait_ends(net->loop, &ends, 1);
    }
    return op.result == -ECANCELED ? -EAGAIN : op.result;
}

static int64_t play_connect(struct play *play, int side, int fd, const struct slot *to) {
    const struct sockaddr *address = (const struct sockaddr *)&to->addresses[side];
    socklen_t len = to->lens[side];
    if (side == WORLD) {
        return world_op(play, fd,
                        (struct eddyi_op){.kind = EDDYI_OP_CONNECT, .addr = address, .len = len});
    }
    int64_t r = real_result(connect(fd, address, len));
    if (r == -EINPROGRESS || r == -EALREADY) {
        arrive(play);
        r = real_result(connect(fd, address, len)); /* how it ended, as a waiting one says it */
    }
    return r == -EALREADY || r == -EINPROGRESS ? -EAGAIN : r;
}

static int64_t play_accept(struct play *play, int side, int fd) {
    return side == WORLD ? world_op(play, fd, (struct eddyi_op){.kind = EDDYI_OP_ACCEPT})
                         : real_result(accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

static int64_t play_send(struct play *play, int side, int fd, const void *data, size_t len) {
    return side == WORLD
               ? world_op(
                     play, fd,
                     (struct eddyi_op){
                         .kind = EDDYI_OP_SEND, .data = data, .len = len, .flags = MSG_NOSIGNAL})
               : real_result(send(fd, data, len, MSG_NOSIGNAL));
}

static int64_t play_recv(struct play *play, int side, int fd, void *buf, size_t len, int flags) {
    return side == WORLD
               ? world_op(play, fd,
                          (struct eddyi_op){
                              .kind = EDDYI_OP_RECV, .buf = buf, .len = len, .flags = flags})
               : real_result(recv(fd, buf, len, flags));
}

static int64_t play_poll(struct play *play, int side, int fd) {
    if (side == WORLD) {
        int64_t r =
            world_op(play, fd, (struct eddyi_op){.kind = EDDYI_OP_POLL, .flags = ALL_EVENTS});
        return r == -EAGAIN ? 0 : r;
    }
    struct pollfd poller = {.fd = fd, .events = ALL_EVENTS};
    CHECK_OK(poll(&poller, 1, 0));
    return poller.revents;
}

/* ---- comparing ------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void say(struct play *play, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(play->text + play->text_len, TEXT_SIZE - play->text_len, format, args);
    va_end(args);
    play->text_len += (size_t)n;
    CHECK(play->text_len < TEXT_SIZE);
}

static void compare(struct play *play, const int64_t results[SIDES]) {
    say(play, " = %lld", (long long)results[KERNEL]);
    if (results[KERNEL] < 0) {
        say(play, " (%s)", eddy_error_name(results[KERNEL]));
    }
    if (results[WORLD] != results[KERNEL]) {
        say(play, ", but %lld (%s) in the world", (long long)results[WORLD],
            results[WORLD] < 0 ? eddy_error_name(results[WORLD]) : "");
        play->differs = true;
    }
    say(play, "\n");
}

/* ---- steps ----------------------------------------------------------------------------------- */

static int free_slot(struct play *play) {
    for (int i = 0; i < SLOTS; i++) {
        if (!play->slots[i].open) {
            return i;
        }
    }
    return -1;
}

/* Otherwise the kernel keeps a small piece back while an earlier one is not acknowledged. */
static void set_prompt(struct play *play, const struct slot *slot) {
    for (int side = 0; side < SIDES && slot->domain != AF_UNIX; side++) {
        CHECK_OK(net_set(&play->nets[side], slot->fds[side], IPPROTO_TCP, TCP_NODELAY, 1));
    }
}

/* Its own address, on both sides: where others connect to or want to be bound to. */
static void learn_name(struct play *play, struct slot *slot) {
    int64_t results[SIDES];
    for (int side = 0; side < SIDES; side++) {
        slot->lens[side] = sizeof slot->addresses[side];
        results[side] = HOST(&play->nets[side], getsockname, slot->fds[side],
                             (struct sockaddr *)&slot->addresses[side], &slot->lens[side]);
    }
    CHECK_EQ(results[WORLD], 0);
    CHECK_EQ(results[KERNEL], 0);
    bool named[SIDES];
    for (int side = 0; side < SIDES; side++) {
        const struct sockaddr_storage *address = &slot->addresses[side];
        CHECK_EQ(address->ss_family, slot->domain);
        named[side] = slot->domain == AF_UNIX
                          ? slot->lens[side] > sizeof(sa_family_t)
                          : ((const struct sockaddr_in *)(const void *)address)->sin_port != 0;
    }
    /* Where a connect has failed the kernel still shows a port, but the socket has none. */
    if (named[WORLD] && !named[KERNEL]) {
        say(play, "  has no name, but one in the world\n");
        play->differs = true;
    }
    slot->named = named[WORLD] && named[KERNEL];
}

static void step_socket(struct play *play, int domain) {
    int index = free_slot(play);
    if (index < 0) {
        return;
    }
    struct slot *slot = &play->slots[index];
    *slot = (struct slot){.open = true, .domain = domain};
    slot->fds[WORLD] = net_socket(&play->nets[WORLD], domain);
    slot->fds[KERNEL] =
        (int)CHECK_OK(real_result(socket(domain, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
    set_prompt(play, slot);
    say(play, "%d = socket(%s)\n", index,
        domain == AF_UNIX   ? "unix"
        : domain == AF_INET ? "v4"
                            : "v6");
}

static void fresh_name(struct play *play, struct sockaddr_storage *ret_address, socklen_t *ret_len,
                       int domain) {
    memset(ret_address, 0, sizeof *ret_address);
    if (domain == AF_INET) {
        struct sockaddr_in v4 = loopback_v4(0);
        memcpy(ret_address, &v4, *ret_len = sizeof v4);
    } else if (domain == AF_INET6) {
        struct sockaddr_in6 v6 = address_v6("::1", 0);
        memcpy(ret_address, &v6, *ret_len = sizeof v6);
    } else {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        bool path = roll(play, 2) == 0;
        int n = snprintf(un.sun_path + !path, sizeof un.sun_path - 1, "%s/%llu.%d", test_tmpdir(),
                         (unsigned long long)play->seed, ++play->names);
        *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n + 1);
        memcpy(ret_address, &un, sizeof un);
    }
}

/* To a name of its own, or to another's. */
static void step_bind(struct play *play, int index, int like) {
    struct slot *slot = &play->slots[index];
    struct sockaddr_storage addresses[SIDES];
    socklen_t lens[SIDES];
    const struct slot *other = like < 0 ? NULL : &play->slots[like];
    if (other != NULL && other->named && !other->found && other->domain == slot->domain) {
        memcpy(addresses, other->addresses, sizeof addresses);
        memcpy(lens, other->lens, sizeof lens);
        say(play, "bind(%d, as %d)", index, like);
    } else {
        fresh_name(play, &addresses[WORLD], &lens[WORLD], slot->domain);
        addresses[KERNEL] = addresses[WORLD];
        lens[KERNEL] = lens[WORLD];
        say(play, "bind(%d)", index);
    }
    int64_t results[SIDES];
    for (int side = 0; side < SIDES; side++) {
        results[side] = HOST(&play->nets[side], bind, slot->fds[side],
                             (struct sockaddr *)&addresses[side], lens[side]);
    }
    compare(play, results);
    learn_name(play, slot);
}

static void step_listen(struct play *play, int index, int backlog) {
    struct slot *slot = &play->slots[index];
    if (slot->shut) {
        return;
    }
    int64_t results[SIDES];
    for (int side = 0; side < SIDES; side++) {
        results[side] = HOST(&play->nets[side], listen, slot->fds[side], backlog);
    }
    say(play, "listen(%d, %d)", index, backlog);
    compare(play, results);
    learn_name(play, slot);
}

static void step_connect(struct play *play, int index, int to) {
    struct slot *slot = &play->slots[index];
    const struct slot *target = &play->slots[to];
    if (index == to || !target->named || target->domain != slot->domain ||
        memcmp(slot->addresses, target->addresses, sizeof slot->addresses) == 0) {
        return;
    }
    slot->found |= !slot->named;
    int64_t results[SIDES];
    for (int side = 0; side < SIDES; side++) {
        results[side] = play_connect(play, side, slot->fds[side], target);
    }
    say(play, "connect(%d, %d)", index, to);
    compare(play, results);
    slot->joined |= results[KERNEL] == 0;
    learn_name(play, slot);
}

static void step_accept(struct play *play, int index) {
    int made = free_slot(play);
    if (made < 0) {
        return;
    }
    struct slot *slot = &play->slots[index];
    struct slot *child = &play->slots[made];
    *child = (struct slot){.domain = slot->domain, .joined = true};
    int64_t results[SIDES];
    for (int side = 0; side < SIDES; side++) {
        results[side] = play_accept(play, side, slot->fds[side]);
        child->fds[side] = (int)results[side];
        results[side] = results[side] >= 0 ? made : results[side];
    }
    say(play, "accept(%d)", index);
    compare(play, results);
    if (results[KERNEL] >= 0 && !play->differs) {
        child->open = true;
        set_prompt(play, child);
        learn_name(play, child);
    }
}

/* Bytes that tell their place in the stream. */
static void step_send(struct play *play, int index, size_t len) {
    struct slot *slot = &play->slots[index];
    char data[SENT_MAX];
    for (size_t i = 0; i < len; i++) {
        data[i] = (char)(slot->sent + i + (uint64_t)index * 50);
    }
    int64_t results[SIDES];
    results[WORLD] = play_send(play, WORLD, slot->fds[WORLD], data, len);
    len = results[WORLD] > 0 ? (size_t)results[WORLD] : len;
    results[KERNEL] = play_send(play, KERNEL, slot->fds[KERNEL], data, len);
    slot->sent += results[WORLD] > 0 ? len : 0;
    say(play, "send(%d, %zu)", index, len);
    compare(play, results);
}

static void step_recv(struct play *play, int index, size_t len, int flags) {
    struct slot *slot = &play->slots[index];
    char bytes[SIDES][SENT_MAX];
    int64_t results[SIDES];
    results[WORLD] = play_recv(play, WORLD, slot->fds[WORLD], bytes[WORLD], len, flags);
    len = results[WORLD] > 0 ? (size_t)results[WORLD] : len;
    results[KERNEL] = play_recv(play, KERNEL, slot->fds[KERNEL], bytes[KERNEL], len, flags);
    say(play, "recv(%d, %zu%s)", index, len, flags != 0 ? ", peek" : "");
    compare(play, results);
    if (results[KERNEL] > 0 && results[KERNEL] == results[WORLD] &&
        memcmp(bytes[WORLD], bytes[KERNEL], (size_t)results[KERNEL]) != 0) {
        say(play, "  other bytes in the world\n");
        play->differs = true;
    }
}

static void step_shutdown(struct play *play, int index, int how) {
    struct slot *slot = &play->slots[index];
    if (slot->domain == AF_UNIX && !slot->joined) {
        return;
    }
    slot->shut = true;
    int64_t results[SIDES];
    for (int side = 0; side < SIDES; side++) {
        results[side] = HOST(&play->nets[side], shutdown, slot->fds[side], how);
    }
    say(play, "shutdown(%d, %s)", index,
        how == SHUT_RD   ? "read"
        : how == SHUT_WR ? "write"
                         : "both");
    compare(play, results);
    learn_name(play, slot);
}

static void step_poll(struct play *play, int index) {
    struct slot *slot = &play->slots[index];
    int64_t results[SIDES];
    for (int side = 0; side < SIDES; side++) {
        results[side] = play_poll(play, side, slot->fds[side]);
    }
    say(play, "poll(%d)", index);
    compare(play, results);
}

static void step_option(struct play *play, int index, int name) {
    struct slot *slot = &play->slots[index];
    int64_t results[SIDES];
    for (int side = 0; side < SIDES; side++) {
        results[side] = net_get(&play->nets[side], slot->fds[side], SOL_SOCKET, name);
    }
    say(play, "getsockopt(%d, %s)", index, name == SO_ERROR ? "error" : "acceptconn");
    compare(play, results);
}

static void step_reuse(struct play *play, int index) {
    struct slot *slot = &play->slots[index];
    int64_t results[SIDES];
    for (int side = 0; side < SIDES; side++) {
        results[side] = net_set(&play->nets[side], slot->fds[side], SOL_SOCKET, SO_REUSEADDR, 1);
    }
    say(play, "setsockopt(%d, reuseaddr)", index);
    compare(play, results);
}

static void step_peer(struct play *play, int index) {
    struct slot *slot = &play->slots[index];
    int64_t results[SIDES];
    for (int side = 0; side < SIDES; side++) {
        struct sockaddr_storage address;
        socklen_t len = sizeof address;
        results[side] = HOST(&play->nets[side], getpeername, slot->fds[side],
                             (struct sockaddr *)&address, &len);
        /* A number of our own for one without a name and for one with. */
        results[side] = results[side] < 0 || slot->domain != AF_UNIX
                            ? results[side]
                            : 1 + (len > sizeof(sa_family_t));
    }
    say(play, "getpeername(%d)", index);
    compare(play, results);
}

static void step_close(struct play *play, int index, bool reset) {
    struct slot *slot = &play->slots[index];
    for (int side = 0; side < SIDES; side++) {
        if (reset) {
            net_reset_on_close(&play->nets[side], slot->fds[side]);
        }
        net_close(&play->nets[side], slot->fds[side]);
    }
    slot->open = false;
    slot->named = false;
    say(play, "close(%d%s)\n", index, reset ? ", linger 0" : "");
}

/* ---- scripts --------------------------------------------------------------------------------- */

static int some_slot(struct play *play) {
    int count = 0;
    int found = -1;
    for (int i = 0; i < SLOTS; i++) {
        if (play->slots[i].open && roll(play, (uint64_t)++count) == 0) {
            found = i;
        }
    }
    return found;
}

static void random_step(struct play *play, int domain) {
    int index = some_slot(play);
    uint64_t what = index < 0 ? 0 : roll(play, 100);
    if (what < 7) {
        step_socket(play, domain);
    } else if (what < 12) {
        step_bind(play, index, roll(play, 2) == 0 ? -1 : some_slot(play));
    } else if (what < 17) {
        step_listen(play, index, (int)roll(play, 3));
    } else if (what < 28) {
        step_connect(play, index, some_slot(play));
    } else if (what < 39) {
        step_accept(play, index);
    } else if (what < 55) {
        step_send(play, index, roll(play, SENT_MAX + 1));
    } else if (what < 71) {
        step_recv(play, index, 1 + roll(play, SENT_MAX), roll(play, 6) == 0 ? MSG_PEEK : 0);
    } else if (what < 77) {
        static const int hows[] = {SHUT_RD, SHUT_WR, SHUT_WR, SHUT_RDWR};
        step_shutdown(play, index, hows[roll(play, 4)]);
    } else if (what < 87) {
        step_poll(play, index);
    } else if (what < 90) {
        step_option(play, index, roll(play, 3) == 0 ? SO_ACCEPTCONN : SO_ERROR);
    } else if (what < 92) {
        step_reuse(play, index);
    } else if (what < 94) {
        step_peer(play, index);
    } else {
        step_close(play, index, roll(play, 4) == 0);
    }
}

/* Most scripts begin with something to play with: a listener, and one who is connected. */
static void begin(struct play *play, int domain) {
    step_socket(play, domain);
    step_bind(play, 0, -1);
    step_listen(play, 0, (int)roll(play, 4));
    for (uint64_t i = roll(play, 3); i > 0 && !play->differs; i--) {
        int client = free_slot(play);
        step_socket(play, domain);
        step_connect(play, client, 0);
        step_accept(play, 0);
    }
}

static void play_script(struct play *play) {
    static const int domains[] = {AF_INET, AF_INET, AF_INET6, AF_UNIX};
    int domain = domains[roll(play, 4)];
    if (roll(play, 5) != 0) {
        begin(play, domain);
    }
    for (int i = 0; i < STEPS && !play->differs; i++) {
        random_step(play, domain);
        settle_world(play);
        arrive(play);
    }
    for (int i = 0; i < SLOTS; i++) {
        if (play->slots[i].open) {
            step_close(play, i, false);
        }
    }
}

/* True when there was no difference. */
static bool play_seed(uint64_t seed, int64_t *ret_took_ns, char *text) {
    eddy_loop *loop = sim_loop(seed);
    struct eddyi_sim_world *world = &eddyi_sim_of(loop)->world;
    /* As rough as the seed has it, but never slow. */
    world->plan.latency_ns = 5 * EDDY_US;
    world->plan.latency_span_ns = 20 * EDDY_US;
    world->plan.late_ns = 20 * EDDY_US;
    struct play play = {.nets = {{loop->host, loop}, {&eddyi_host_real, NULL}},
                        .dice = {eddyi_sim_random_mix(seed)},
                        .seed = seed,
                        .text = text};
    net_pair(&play.nets[KERNEL], play.pings);
    CHECK_OK(net_set(&play.nets[KERNEL], play.pings[0], IPPROTO_TCP, TCP_NODELAY, 1));
    int64_t began_ns = eddyi_host_real.mono_ns(NULL);
    play_script(&play);
    *ret_took_ns = eddyi_host_real.mono_ns(NULL) - began_ns;
    net_close(&play.nets[KERNEL], play.pings[0]);
    net_close(&play.nets[KERNEL], play.pings[1]);
    eddy_loop_free(loop);
    return !play.differs;
}

TEST_TIMEOUT(random_scripts_have_the_same_results_on_the_kernel_and_in_a_world, 120) {
    unsigned long long from = 1;
    unsigned long long to = test_is_slow() ? 60 : 400;
    const char *range = getenv("EDDY_SEEDS");
    CHECK(range == NULL || sscanf(range, "%llu..%llu", &from, &to) == 2);
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET((size_t)sched_getcpu(), &here);
    CHECK_EQ(sched_setaffinity(0, sizeof here, &here), 0);
    char *text = malloc(TEXT_SIZE);
    for (unsigned long long seed = from; seed <= to; seed++) {
        int64_t took_ns;
        int tries = 0;
        bool same;
        do {
            same = play_seed(seed, &took_ns, text);
        } while (!same && took_ns > RUN_MAX_NS && ++tries < 20);
        if (!same) {
            fprintf(stderr, "seed %llu:\n%s", seed, text);
        }
        CHECK(same);
    }
    free(text);
}
