/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: what one end writes the other reads, byte for byte, however often either is cut short.
 * The byte at a place says which place it is, and the stream's own counts say how far it has come.
 * Whoever is cut short reads the rest behind a shield: nobody else ends that stream, so it comes.
 * Then files, whose calls go to other threads.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <eddy/fs/file.h>
#include <eddy/fs/stat.h>
#include <eddy/net/tcp.h>
#include <eddy/runtime/io/memory.h>
#include <eddy/runtime/sync/semaphore.h>

#include "chaos.h"

#define CHUNK 2048
#define LOOPS_MAX 64
/* How many connections there are at once, each of which is two descriptors. */
#define CONNECTIONS 64

static unsigned char byte_at(uint64_t key, uint64_t place) {
    return (unsigned char)((place * 0x9e3779b97f4a7c15u + key) >> 29);
}

static void fill(unsigned char *bytes, size_t len, uint64_t key, uint64_t place) {
    for (size_t i = 0; i < len; i++) {
        bytes[i] = byte_at(key, place + i);
    }
}

static void check_bytes(const unsigned char *bytes, size_t len, uint64_t key, uint64_t place) {
    for (size_t i = 0; i < len; i++) {
        REQUIRE_EQ(bytes[i], byte_at(key, place + i));
    }
}

/* ---- one direction --------------------------------------------------------------------------- */

struct flow {
    eddy_stream *from;
    eddy_stream *to;
    uint64_t key;
    uint64_t total;
    bool may_break; /* it was reset before */
};

static bool broke(const struct flow *flow, int64_t r) {
    return flow->may_break && (r == -EPIPE || r == -ECONNRESET);
}

/* Writes one chunk: 0, a cut or a break; the counter moves by what the result says. */
static int64_t write_chunk(struct me *me, struct flow *flow) {
    unsigned char bytes[CHUNK];
    uint64_t place = eddy_stream_count_written(flow->from);
    uint64_t left = flow->total - place;
    size_t len = 1 + dice_below(me, CHUNK);
    len = len < left ? len : (size_t)left;
    fill(bytes, len, flow->key, place);
    int64_t r;
    uint64_t kind = dice_below(me, 4);
    if (kind == 0) {
        r = eddy_stream_write_some(flow->from, bytes, len);
        REQUIRE(r <= (int64_t)len && r != 0);
        REQUIRE_EQ(eddy_stream_count_written(flow->from), place + (uint64_t)(r > 0 ? r : 0));
    } else if (kind == 1) {
        r = eddy_stream_write_try(flow->from, bytes, len);
        REQUIRE_EQ(eddy_stream_count_written(flow->from), place + (uint64_t)(r > 0 ? r : 0));
        if (r == -EAGAIN || r > 0) {
            return rest(me);
        }
    } else {
        if (kind == 2) {
            r = eddy_stream_write(flow->from, bytes, len);
        } else {
            eddy_future *f = eddy_stream_write_start(flow->from, bytes, len);
            r = eddy_await(f);
            bool done = eddy_future_done(f);
            eddy_future_release(f); /* the bytes are ours again */
            r = done || is_cut(r) ? r : -EINVAL;
        }
        uint64_t written = eddy_stream_count_written(flow->from) - place;
        REQUIRE(r == 0 ? written == len : written <= len);
    }
    REQUIRE(r >= 0 || is_cut(r) || broke(flow, r));
    r = r > 0 ? 0 : r;
    return checked(me, r);
}

static int64_t write_flow(struct me *me, void *arg) {
    struct flow *flow = arg;
    int64_t r = 0;
    eddy_task_name_set("stream, the writer");
    while (r == 0 && eddy_stream_count_written(flow->from) < flow->total) {
        r = write_chunk(me, flow);
    }
    int s = eddy_stream_shutdown(flow->from); /* never refused */
    REQUIRE(s == 0 || (flow->may_break && s == -ENOTCONN));
    return is_cut(r) ? r : 0;
}

/* Reads on: 1 there was more, 0 the end, a cut or a break. */
static int64_t read_chunk(struct me *me, struct flow *flow) {
    unsigned char bytes[CHUNK];
    uint64_t place = eddy_stream_count_read(flow->to);
    size_t cap = 1 + dice_below(me, CHUNK);
    int64_t r;
    if (one_in(me, 4)) {
        eddy_future *f = eddy_stream_read_start(flow->to, bytes, cap);
        r = eddy_await(f);
        bool done = eddy_future_done(f);
        eddy_future_release(f);
        if (!done || (is_cut(r) && eddy_stream_count_read(flow->to) > place)) {
            /* It ended after all, with more than the await said. */
            size_t len = (size_t)(eddy_stream_count_read(flow->to) - place);
            check_bytes(bytes, len, flow->key, place);
            return checked(me, r);
        }
    } else if (one_in(me, 4)) {
        r = eddy_stream_read_try(flow->to, bytes, cap);
        if (r == -EAGAIN) {
            r = rest(me);
            return r == 0 ? 1 : r;
        }
    } else {
        r = eddy_stream_read(flow->to, bytes, cap);
    }
    REQUIRE(r >= 0 || is_cut(r) || broke(flow, r));
    REQUIRE_EQ(eddy_stream_count_read(flow->to), place + (uint64_t)(r > 0 ? r : 0));
    if (r < 0) {
        return checked(me, r);
    }
    check_bytes(bytes, (size_t)r, flow->key, place);
    return r > 0;
}

static int64_t read_flow(struct me *me, struct flow *flow) {
    int64_t r;
    while ((r = read_chunk(me, flow)) > 0) {
    }
    return r;
}

/* Writes and reads at once, then reads what is left, if its own frame was cut short: all that was
 * written has come. Gives what the frame was left with. */
static void run_flow(struct me *me, struct flow *flow) {
    struct frame frame;
    struct frame shield;
    frame_enter(me, &frame, &(eddy_scope_opts){0});
    int64_t r = spawn_in(me, &frame, false, write_flow, flow);
    bool begun = r == 0;
    if (r == 0) {
        r = read_flow(me, flow);
    }
    bool broken = broke(flow, r);
    frame_leave(me, &frame, broken ? 0 : r);
    if (is_cut(r) && begun) {
        frame_enter(me, &shield, &(eddy_scope_opts){.shield = true});
        r = read_flow(me, flow);
        broken = broke(flow, r);
        REQUIRE(r == 0 || broken);
        frame_leave(me, &shield, broken ? 0 : r);
    }
    if (r == 0 && begun) {
        REQUIRE_EQ(eddy_stream_count_read(flow->to), eddy_stream_count_written(flow->from));
    }
}

static uint64_t draw_total(struct me *me) {
    return dice_below(me, (uint64_t)1 << dice_below(me, 17));
}

int64_t act_pair(struct me *me) {
    struct flow flow = {.key = dice_next(&me->dice), .total = draw_total(me)};
    REQUIRE_EQ(eddy_memory_pair(1 + dice_below(me, 5000), &flow.from, &flow.to), 0);
    flow.may_break = one_in(me, 8);
    if (flow.may_break) {
        REQUIRE_EQ(eddy_memory_reset(flow.from), 0);
    }
    run_flow(me, &flow);
    REQUIRE_EQ(eddy_stream_close(flow.from), 0);
    REQUIRE_EQ(eddy_stream_close(flow.to), 0);
    return checked(me, eddy_checkpoint());
}

/* ---- sockets: an echo server on each loop ---------------------------------------------------- */

static eddy_semaphore connections = EDDY_SEMAPHORE_INIT(CONNECTIONS);

static struct server {
    struct frame root;
    eddy_future *f;
    eddy_address address;
    _Atomic bool ready;
    _Atomic bool closed;
} servers[LOOPS_MAX];

/* Sends back what comes, until the peer has no more or is gone. */
static int64_t echo(struct me *me, void *arg) {
    eddy_stream *peer = arg;
    char bytes[CHUNK];
    int64_t r;
    (void)me;
    eddy_task_name_set("echo");
    while ((r = eddy_stream_read(peer, bytes, sizeof bytes)) > 0) {
        r = eddy_stream_write(peer, bytes, (size_t)r);
        if (r < 0) {
            break;
        }
    }
    if (r == 0) {
        REQUIRE_EQ(eddy_stream_count_read(peer), eddy_stream_count_written(peer));
    }
    REQUIRE(r == 0 || is_cut(r) || r == -EPIPE || r == -ECONNRESET);
    eddy_stream_close(peer);
    return 0;
}

static int64_t serve(struct me *me, void *arg) {
    struct server *server = arg;
    struct frame frame;
    eddy_listener *listener;
    char name[64];
    bool local = one_in(me, 2);
    snprintf(name, sizeof name, "unix:@eddy-chaos-%d-%d", (int)getpid(), (int)(server - servers));
    REQUIRE_EQ(eddy_tcp_listen(local ? name : "127.0.0.1:0", NULL, &listener), 0);
    server->address = eddy_listener_address(listener);
    atomic_store(&server->ready, true);
    eddy_task_name_set("server");
    frame_enter(me, &frame, &(eddy_scope_opts){.policy = EDDY_SCOPE_COLLECT});
    eddy_stream *peer;
    int64_t r;
    while ((r = eddy_listener_accept(listener, &peer)) == 0) {
        r = spawn_in(me, &frame, false, echo, peer);
        if (r < 0) {
            eddy_stream_close(peer);
            break;
        }
    }
    REQUIRE(is_cut(checked(me, r)));
    frame_leave(me, &frame, 0);
    REQUIRE_EQ(eddy_listener_close(listener), 0);
    return r;
}

void servers_start(struct me *me) {
    REQUIRE(chaos.loops <= LOOPS_MAX);
    for (unsigned i = 0; i < chaos.loops; i++) {
        struct server *server = &servers[i];
        server->f =
            start_on(me, &server->root, eddy_loop_group_loop(chaos.group, i), serve, server);
    }
    for (unsigned i = 0; i < chaos.loops; i++) {
        while (!atomic_load(&servers[i].ready)) {
            REQUIRE_EQ(eddy_sleep(EDDY_MS), 0);
        }
    }
}

void servers_stop(void) {
    for (unsigned i = 0; i < chaos.loops; i++) {
        atomic_store(&servers[i].root.asked, true);
        eddy_future_cancel(servers[i].f);
        REQUIRE_EQ(eddy_await(servers[i].f), 0);
        eddy_future_release(servers[i].f);
    }
}

static int64_t use_connection(struct me *me, eddy_stream *peer) {
    struct flow flow = {.from = peer, .to = peer};
    flow.key = dice_next(&me->dice);
    flow.total = draw_total(me);
    uint64_t kind = dice_below(me, 8);
    if (kind == 0) { /* gone at once, or in the middle of it */
        int64_t r = 0;
        while (r == 0 && eddy_stream_count_written(peer) < flow.total / 2) {
            r = write_chunk(me, &flow);
        }
        REQUIRE(r == 0 || is_cut(r));
    } else {
        run_flow(me, &flow);
    }
    REQUIRE_EQ(eddy_stream_close(peer), 0);
    return checked(me, eddy_checkpoint());
}

int64_t act_socket(struct me *me) {
    int64_t r = eddy_semaphore_wait(&connections);
    if (r < 0) {
        return checked(me, r);
    }
    const struct server *server = &servers[dice_below(me, chaos.loops)];
    eddy_stream *peer;
    /* Closing one with bytes unread resets it: no port is left waiting for stragglers. */
    r = eddy_tcp_connect_to(&server->address, NULL, &peer);
    REQUIRE(r == 0 || is_cut(r));
    r = r == 0 ? use_connection(me, peer) : checked(me, r);
    eddy_semaphore_post(&connections);
    return r;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Of the kernel's, so that nobody has to make it: the program itself. */
#define FILE_PATH "/proc/self/exe"

int64_t act_file(struct me *me) {
    static const unsigned char magic[4] = {0x7f, 'E', 'L', 'F'};
    eddy_stat stat;
    int64_t r = eddy_stat_path(FILE_PATH, 0, &stat);
    REQUIRE(is_cut(r) || (r == 0 && stat.size_bytes > (int64_t)sizeof magic));
    if (r < 0 || one_in(me, 2)) {
        return checked(me, r);
    }
    eddy_stream *file;
    r = eddy_file_open(FILE_PATH, EDDY_FILE_READ, 0, &file);
    REQUIRE(r == 0 || is_cut(r));
    if (r < 0) {
        return checked(me, r);
    }
    unsigned char bytes[sizeof magic];
    r = one_in(me, 2) ? eddy_stream_read_exact(file, bytes, sizeof bytes)
                      : eddy_file_pread(file, bytes, sizeof bytes, 0);
    REQUIRE(is_cut(r) || memcmp(bytes, magic, sizeof magic) == 0);
    REQUIRE_EQ(eddy_stream_close(file), 0);
    return is_cut(r) ? checked(me, r) : 0;
}
