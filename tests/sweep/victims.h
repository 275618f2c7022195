/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each thing that a task can wait for: what a victim does until something ends it, who is on the
 * other side, and how to see afterwards that nothing was lost. Each byte, connection, item, task
 * and result is then either with the victim or still there for who asks next.
 */
#ifndef EDDY_TESTS_SWEEP_VICTIMS_H
#define EDDY_TESTS_SWEEP_VICTIMS_H

#include <eddy/eddy.h>

#include <stdio.h>

#include "runtime/io/io.h"
#include "sweep/moments.h"

#define NAP_NS (50 * EDDY_US)
#define LONG_NS (3600 * EDDY_S)

enum { COUNT = 4, PIECES = 12 };

enum how {
    BY_CANCEL,
    BY_CANCELS, /* and again and again while it tidies up, from inside and outside */
    BY_DEADLINE,
    BY_CLOSE,  /* of what it waits at, by another task */
    BY_RESET,  /* of the connection, by the peer */
    BY_MEMORY, /* of which there is none */
};

/* One run. The victim runs in `scope`; everybody else is outside of it. */
static struct {
    enum how how;
    eddy_scope *outer;
    eddy_scope *scope;
    eddy_scope *tidying; /* the victim's shield, while it is in there */
    bool over;           /* BY_CLOSE, BY_RESET: has begun, so nobody may begin a call any more */
    bool spared;         /* the executioner is not needed */
    int64_t nth;         /* BY_MEMORY: the allocation that is refused; 0 when that is over */
    bool refused;        /* ... and whether one was */
    eddy_event kill;

    char name[EDDY_ADDRESS_TEXT_MAX];
    eddy_listener *listener;
    eddy_stream *streams[COUNT]; /* the victim's */
    eddy_stream *peers[COUNT];   /* others' */
    eddy_future *futures[COUNT];
    eddy_channel *channel;
    size_t count; /* what the victim has got or done, said by its calls' results */
    size_t others;
    int64_t others_result;
    char got[32 * 1024];
} run;

static bool struck_as(enum how how) {
    return run.how == how && moments.struck > 0;
}

/* BY_MEMORY: there is some again. */
static void end_outage(void) {
    int64_t asked = eddy_memory_fail_at(0, false);
    run.refused = run.refused || (run.nth > 0 && asked >= run.nth);
    run.nth = 0;
}

/* For those who are not the victim: when there was no memory there is again, and they ask a second
 * time. */
static bool was_refused(int64_t r) {
    if (r == -ENOMEM && run.how == BY_MEMORY) {
        end_outage();
        return run.refused;
    }
    return false;
}

/* ---- help for the cases ---------------------------------------------------------------------- */

static void listen_here(void) {
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &run.listener));
    eddy_address address = eddy_listener_address(run.listener);
    CHECK_OK(eddy_address_format(&address, run.name, sizeof run.name));
}

static void close_listener(void) {
    eddy_listener *listener = run.listener;
    run.listener = NULL;
    CHECK_OK(eddy_listener_close(listener));
}

static void close_stream(eddy_stream **stream) {
    eddy_stream *closed = *stream;
    *stream = NULL;
    CHECK_OK(eddy_stream_close(closed));
}

/* streams[0] and peers[0], connected. */
static void connect_pair(void) {
    listen_here();
    const eddy_tcp_opts small = {.send_buffer_bytes = 4096, .recv_buffer_bytes = 4096};
    eddy_future *connected = eddy_tcp_connect_start(run.name, &small);
    CHECK_OK(eddy_listener_accept(run.listener, &run.peers[0]));
    void *stream;
    CHECK_OK(eddy_await(connected));
    CHECK_OK(eddy_future_take_payload(connected, &stream, NULL));
    eddy_future_release(connected);
    run.streams[0] = stream;
    close_listener();
}

static void close_pair(void) {
    if (run.streams[0] != NULL) {
        close_stream(&run.streams[0]);
    }
    if (run.peers[0] != NULL) {
        close_stream(&run.peers[0]);
    }
}

static void reset_peer(void) {
    CHECK_OK(eddy_tcp_opts_set(run.peers[0], &(eddy_tcp_opts){.linger = true}));
    close_stream(&run.peers[0]);
}

static bool is_hang_up(int64_t r) {
    return r == -ECONNRESET || r == -EPIPE || r == -ENOTCONN || r == EDDY_ECLOSED;
}

/* Whether the first bytes of `got` are those that were written. */
static void check_got(size_t len) {
    check_pattern(run.got, len, 0);
}

/* ---- accept ---------------------------------------------------------------------------------- */

/* Connects and sends its number. */
static int64_t call_in(void *arg) {
    size_t i = (size_t)(uintptr_t)arg;
    char number = (char)i;
    int64_t r;
    do {
        r = eddy_tcp_connect(run.name, NULL, &run.peers[i]);
    } while (was_refused(r));
    while (r == 0 && was_refused(r = eddy_stream_write(run.peers[i], &number, 1))) {
        r = 0;
    }
    CHECK(run.over || CHECK_OK(r) == 0);
    return 0;
}

static void accept_set_up(void) {
    listen_here();
    for (size_t i = 0; i < COUNT; i++) {
        run.futures[i] = eddy_task_start(call_in, (void *)i, 0);
    }
}

static int64_t accept_victim(void) {
    int64_t r = 0;
    while (run.count < COUNT && !run.over) {
        if ((r = eddy_listener_accept(run.listener, &run.streams[run.count])) < 0) {
            return r;
        }
        run.count++;
    }
    return 0;
}

static void accept_kill(void) {
    close_listener();
}

static void accept_settle(void) {
    bool seen[COUNT] = {false};
    if (!struck_as(BY_CLOSE)) {
        run.over = false;
        CHECK_OK(accept_victim()); /* the connections that are left */
        CHECK_EQ(run.count, COUNT);
        close_listener();
    }
    for (size_t i = 0; i < run.count; i++) {
        unsigned char number;
        CHECK_EQ(eddy_stream_read(run.streams[i], &number, 1), 1);
        CHECK(number < COUNT && !seen[number]);
        seen[number] = true;
        close_stream(&run.streams[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        char byte;
        CHECK_OK(eddy_await(run.futures[i]));
        eddy_future_release(run.futures[i]);
        if (run.peers[i] != NULL) {
            int64_t r = eddy_stream_read(run.peers[i], &byte, 1);
            CHECK(r == 0 || is_hang_up(r)); /* nobody has forgotten it */
            close_stream(&run.peers[i]);
        }
    }
}

/* ---- connect --------------------------------------------------------------------------------- */

/* Accepts until the last one's number has come, and those of all that connected. */
static int64_t gather(void *arg) {
    (void)arg;
    bool last = false;
    while (!last || run.others < run.count) {
        eddy_stream *peer;
        char number;
        int64_t r;
        do {
            r = eddy_listener_accept(run.listener, &peer);
        } while (was_refused(r));
        CHECK_OK(r);
        r = eddy_stream_read(peer, &number, 1);
        CHECK(r >= 0 || is_hang_up(r));
        last = last || (r == 1 && number == COUNT);
        run.others += r == 1 && number < COUNT;
        CHECK_OK(eddy_stream_close(peer));
    }
    return 0;
}

static void connect_set_up(void) {
    listen_here();
    run.futures[0] = eddy_task_start(gather, NULL, 0);
}

static int64_t connect_victim(void) {
    int64_t r = 0;
    while (run.count < COUNT) {
        if ((r = eddy_tcp_connect(run.name, NULL, &run.streams[run.count])) < 0) {
            return r;
        }
        run.count++;
    }
    return 0;
}

static void connect_settle(void) {
    for (size_t i = 0; i < run.count; i++) {
        char number = (char)i;
        CHECK_OK(eddy_stream_write(run.streams[i], &number, 1));
    }
    eddy_stream *last;
    CHECK_OK(eddy_tcp_connect(run.name, NULL, &last));
    CHECK_OK(eddy_stream_write(last, &(char){COUNT}, 1));
    CHECK_OK(eddy_await(run.futures[0]));
    eddy_future_release(run.futures[0]);
    CHECK_EQ(run.others, run.count);
    for (size_t i = 0; i < run.count; i++) {
        close_stream(&run.streams[i]);
    }
    CHECK_OK(eddy_stream_close(last));
    close_listener();
}

/* ---- read and write -------------------------------------------------------------------------- */

/* Pieces of many sizes, a message and bulk, with rests in between. */
static size_t piece(size_t i) {
    return 1 + i * 977 % 1500;
}

static size_t pieces_len(void) {
    size_t len = 0;
    for (size_t i = 0; i < PIECES; i++) {
        len += piece(i);
    }
    return len;
}

/* Those of them that are left. */
static int64_t write_pieces(eddy_stream *stream, size_t *written) {
    char bytes[1500];
    for (size_t i = 0; *written < pieces_len() && !run.over; i++) {
        size_t left = pieces_len() - *written;
        size_t len = piece(i) < left ? piece(i) : left;
        fill_pattern(bytes, len, *written);
        int64_t r = eddy_stream_write(stream, bytes, len);
        if (r < 0) {
            return r;
        }
        *written += len;
        if (i % 3 == 0 && (r = eddy_sleep(NAP_NS)) < 0) {
            return r;
        }
    }
    return 0;
}

/* Until the end, or an error. */
static int64_t read_pieces(eddy_stream *stream, size_t *got) {
    for (size_t i = 0; !run.over; i++) {
        int64_t r = eddy_stream_read(stream, run.got + *got, 1 + i * 331 % 1700);
        if (r <= 0) {
            return r;
        }
        *got += (size_t)r;
    }
    return 0;
}

static int64_t write_to_victim(void *arg) {
    (void)arg;
    while (was_refused(run.others_result = write_pieces(run.peers[0], &run.others))) {
        run.others = eddy_stream_count_written(run.peers[0]);
    }
    if (run.others_result == 0 && !run.over) {
        CHECK_OK(eddy_stream_shutdown(run.peers[0]));
    }
    return 0;
}

static void read_set_up(void) {
    connect_pair();
    run.futures[0] = eddy_task_start(write_to_victim, NULL, 0);
}

static int64_t read_victim(void) {
    return read_pieces(run.streams[0], &run.count);
}

static void read_kill(void) {
    if (run.how == BY_CLOSE) {
        close_stream(&run.streams[0]);
    } else {
        reset_peer();
    }
}

static void read_settle(void) {
    bool broken = struck_as(BY_CLOSE) || struck_as(BY_RESET);
    if (!broken) {
        run.over = false;
        CHECK_OK(read_pieces(run.streams[0], &run.count));
        CHECK_EQ(run.count, pieces_len());
    }
    CHECK_OK(eddy_await(run.futures[0]));
    eddy_future_release(run.futures[0]);
    CHECK(run.others_result == 0 || (broken && is_hang_up(run.others_result)));
    check_got(run.count);
    close_pair();
}

static int64_t read_from_victim(void *arg) {
    (void)arg;
    do {
        run.others_result = read_pieces(run.peers[0], &run.others);
    } while (was_refused(run.others_result));
    return 0;
}

static void write_set_up(void) {
    connect_pair();
    run.futures[0] = eddy_task_start(read_from_victim, NULL, 0);
}

static int64_t write_victim(void) {
    return write_pieces(run.streams[0], &run.count);
}

static void write_settle(void) {
    bool reset = struck_as(BY_RESET);
    uint64_t written = run.count;
    if (run.streams[0] != NULL) {
        written = eddy_stream_count_written(run.streams[0]);
        CHECK(written >= run.count);
        CHECK(reset || eddy_stream_shutdown(run.streams[0]) == 0);
    }
    if (!reset) {
        run.over = false;
    }
    CHECK_OK(eddy_await(run.futures[0]));
    eddy_future_release(run.futures[0]);
    if (!reset) {
        /* The reader may have looked at `over` and stopped before the end. */
        CHECK_OK(run.others_result);
        CHECK_OK(read_pieces(run.peers[0], &run.others));
        CHECK(struck_as(BY_CLOSE) ? run.others >= written : run.others == written);
    }
    check_got(run.others);
    close_pair();
}

/* ---- files ----------------------------------------------------------------------------------- */

static void file_set_up(void) {
    char path[300];
    snprintf(path, sizeof path, "%s/file", test_tmpdir());
    unsigned flags = EDDY_FILE_READ | EDDY_FILE_WRITE | EDDY_FILE_CREATE | EDDY_FILE_TRUNCATE;
    CHECK_OK(eddy_file_open(path, flags, 0, &run.streams[0]));
}

static int64_t file_victim(void) {
    char bytes[1500];
    int64_t r = 0;
    for (size_t i = 0; i < COUNT && r >= 0; i++) {
        fill_pattern(bytes, sizeof bytes, run.count);
        r = eddy_file_pwrite(run.streams[0], bytes, sizeof bytes, (int64_t)run.count);
        if (r == 0) {
            run.count += sizeof bytes;
            r = eddy_file_sync(run.streams[0], true);
        }
        if (r == 0) {
            memset(bytes, 0, sizeof bytes);
            r = eddy_file_pread(run.streams[0], bytes, 700, (int64_t)(run.count - 700));
            CHECK(r < 0 || r == 700);
            check_pattern(bytes, r < 0 ? 0 : 700, run.count - 700);
        }
    }
    return r < 0 ? r : 0;
}

static void file_settle(void) {
    int64_t len = eddy_file_pread(run.streams[0], run.got, sizeof run.got, 0);
    CHECK(len == (int64_t)run.count || (moments.struck > 0 && len == (int64_t)run.count + 1500));
    check_got((size_t)len);
    close_stream(&run.streams[0]);
}

/* ---- sleep ----------------------------------------------------------------------------------- */

static void nothing(void) {
}

static int64_t sleep_victim(void) {
    eddy_loop *loop = eddy_loop_current();
    for (int i = 0; i < COUNT; i++) {
        int64_t until_ns = eddy_loop_now(loop) + NAP_NS;
        int64_t r = eddy_sleep(NAP_NS);
        CHECK(r < 0 || eddy_loop_now(loop) >= until_ns);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* ---- channels -------------------------------------------------------------------------------- */

static void channel_new(size_t capacity) {
    CHECK_OK(eddy_channel_new(sizeof(size_t), capacity, &run.channel));
}

static int64_t send_items(size_t *sent) {
    while (*sent < PIECES) {
        int64_t r = eddy_channel_send(run.channel, sent);
        if (r < 0) {
            return r;
        }
        (*sent)++;
        if (*sent % 5 == 0 && (r = eddy_sleep(NAP_NS)) < 0) {
            return r;
        }
    }
    return 0;
}

static int64_t receive_items(size_t *got) {
    for (;;) {
        size_t item = SIZE_MAX;
        size_t index;
        /* By turns alone, and as one of several. */
        const eddy_channel_case cases[] = {{.channel = NULL},
                                           {.channel = run.channel, .recv = &item}};
        int64_t r = *got % 2 == 0 ? eddy_channel_recv(run.channel, &item)
                                  : eddy_channel_select(cases, 2, &index);
        if (r < 0) {
            return r;
        }
        CHECK_EQ(item, *got);
        (*got)++;
        if (*got % 4 == 0 && (r = eddy_sleep(NAP_NS)) < 0) {
            return r;
        }
    }
}

static int64_t send_to_victim(void *arg) {
    (void)arg;
    run.others_result = send_items(&run.others);
    eddy_channel_close(run.channel);
    return 0;
}

static int64_t receive_from_victim(void *arg) {
    (void)arg;
    run.others_result = receive_items(&run.others);
    return 0;
}

static void receive_set_up(void) {
    channel_new(0);
    run.futures[0] = eddy_task_start(send_to_victim, NULL, 0);
}

static void receive_buffered_set_up(void) {
    channel_new(2);
    run.futures[0] = eddy_task_start(send_to_victim, NULL, 0);
}

static int64_t receive_victim(void) {
    int64_t r = receive_items(&run.count);
    return r == EDDY_ECLOSED ? 0 : r;
}

static void channel_kill(void) {
    eddy_channel_close(run.channel);
}

static void receive_settle(void) {
    CHECK_ERR(receive_items(&run.count), EDDY_ECLOSED);
    CHECK_OK(eddy_await(run.futures[0]));
    eddy_future_release(run.futures[0]);
    CHECK(run.others_result == 0 || (struck_as(BY_CLOSE) && run.others_result == EDDY_ECLOSED));
    CHECK_EQ(run.count, run.others);
    eddy_channel_free(run.channel);
}

static void send_set_up(void) {
    channel_new(0);
    run.futures[0] = eddy_task_start(receive_from_victim, NULL, 0);
}

static void send_buffered_set_up(void) {
    channel_new(2);
    run.futures[0] = eddy_task_start(receive_from_victim, NULL, 0);
}

static int64_t send_victim(void) {
    return send_items(&run.count);
}

static void send_settle(void) {
    eddy_channel_close(run.channel);
    CHECK_OK(eddy_await(run.futures[0]));
    eddy_future_release(run.futures[0]);
    CHECK_EQ(run.others_result, EDDY_ECLOSED);
    CHECK_EQ(run.count, run.others);
    eddy_channel_free(run.channel);
}

/* ---- spawn and join -------------------------------------------------------------------------- */

static struct {
    size_t begun;
    size_t ended;
} children;

static int64_t child(void *arg) {
    (void)arg;
    children.begun++;
    int64_t r = eddy_sleep(NAP_NS);
    children.ended++;
    return r;
}

static void spawn_set_up(void) {
    children.begun = 0;
    children.ended = 0;
}

/* The limit makes the spawning itself wait. */
static int64_t spawn_victim(void) {
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, &(eddy_scope_opts){.limit = 2});
    if (r < 0) {
        return r;
    }
    for (int i = 0; i < 2 * COUNT && r == 0; i++) {
        r = eddy_spawn(child, NULL, 0);
        run.count += r == 0;
    }
    r = eddy_scope_leave(&scope, r);
    CHECK_EQ(children.begun, run.count);
    CHECK_EQ(children.ended, run.count);
    return r;
}

static int64_t number_later(void *arg) {
    int64_t r = eddy_sleep(NAP_NS * (int64_t)(uintptr_t)arg);
    return r < 0 ? r : (int64_t)(uintptr_t)arg;
}

static void join_set_up(void) {
    for (size_t i = 0; i < COUNT; i++) {
        run.futures[i] = eddy_task_start(number_later, (void *)(i + 1), 0);
    }
}

static int64_t join_victim(void) {
    for (size_t i = 0; i < COUNT; i++) {
        int64_t r = i == 2 ? eddy_await_all(run.futures, COUNT) : eddy_await(run.futures[i]);
        CHECK(r < 0 || i == 2 || r == (int64_t)i + 1);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* They belong to somebody else: whose await was ended has ended nothing. */
static void join_settle(void) {
    for (size_t i = 0; i < COUNT; i++) {
        CHECK_EQ(eddy_await(run.futures[i]), (int64_t)i + 1);
        eddy_future_release(run.futures[i]);
    }
}

/* ---- all of them ----------------------------------------------------------------------------- */

struct scenario {
    void (*set_up)(void);
    int64_t (*victim)(void);
    void (*settle)(void);
    void (*kill)(void); /* what BY_CLOSE and BY_RESET do; NULL: there is nothing to close */
    bool resets;        /* there is a peer */
};

/* EACH(name, set_up, victim, settle, kill, resets) for each. */
#define SWEEP_VICTIMS(EACH) \
    EACH(accept, accept_set_up, accept_victim, accept_settle, accept_kill, false) \
    EACH(connect, connect_set_up, connect_victim, connect_settle, NULL, false) \
    EACH(read, read_set_up, read_victim, read_settle, read_kill, true) \
    EACH(write, write_set_up, write_victim, write_settle, read_kill, true) \
    EACH(file, file_set_up, file_victim, file_settle, NULL, false) \
    EACH(sleep, nothing, sleep_victim, nothing, NULL, false) \
    EACH(receive, receive_set_up, receive_victim, receive_settle, channel_kill, false) \
    EACH(receive_with_room, receive_buffered_set_up, receive_victim, receive_settle, channel_kill, \
         false) \
    EACH(send, send_set_up, send_victim, send_settle, channel_kill, false) \
    EACH(send_with_room, send_buffered_set_up, send_victim, send_settle, channel_kill, false) \
    EACH(spawn, spawn_set_up, spawn_victim, nothing, NULL, false) \
    EACH(join, join_set_up, join_victim, join_settle, NULL, false)

#endif
