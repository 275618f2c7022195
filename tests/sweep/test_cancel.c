/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each thing that a task can wait for, ended at each moment: by a cancel, by a deadline, by a close
 * from another task, by the peer's reset, and by a cancel that is followed by others while the task
 * tidies up. Whatever it is, nothing is lost: each byte, connection, item, task and result is
 * either with whom was ended or still there for who asks next. And nothing is left: no block, no
 * descriptor, no task, no operation. The next run finds everything as the first did.
 */
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
    BY_CLOSE, /* of what it waits at, by another task */
    BY_RESET, /* of the connection, by the peer */
};

/* One run. The victim runs in `scope`; everybody else is outside of it. */
static struct {
    enum how how;
    eddy_scope *outer;
    eddy_scope *scope;
    eddy_scope *tidying; /* the victim's shield, while it is in there */
    bool over;           /* BY_CLOSE, BY_RESET: has begun, so nobody may begin a call any more */
    bool spared;         /* the executioner is not needed */
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
    int64_t r = eddy_tcp_connect(run.name, NULL, &run.peers[i]);
    r = r < 0 ? r : eddy_stream_write(run.peers[i], &number, 1);
    CHECK(r == 0 || run.over);
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
        CHECK_OK(eddy_listener_accept(run.listener, &peer));
        int64_t r = eddy_stream_read(peer, &number, 1);
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

static int64_t write_pieces(eddy_stream *stream, size_t *written) {
    char bytes[1500];
    for (size_t i = 0; i < PIECES && !run.over; i++) {
        fill_pattern(bytes, piece(i), *written);
        int64_t r = eddy_stream_write(stream, bytes, piece(i));
        if (r < 0) {
            return r;
        }
        *written += piece(i);
        if (i % 3 == 0 && (r = eddy_sleep(NAP_NS)) < 0) {
            return r;
        }
    }
    return 0;
}

static size_t pieces_len(void) {
    size_t len = 0;
    for (size_t i = 0; i < PIECES; i++) {
        len += piece(i);
    }
    return len;
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
    run.others_result = write_pieces(run.peers[0], &run.others);
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
    run.others_result = read_pieces(run.peers[0], &run.others);
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

/* ---- the sweep ------------------------------------------------------------------------------- */

struct scenario {
    void (*set_up)(void);
    int64_t (*victim)(void);
    void (*settle)(void);
    void (*kill)(void); /* what BY_CLOSE and BY_RESET do; NULL: there is nothing to close */
    bool resets;        /* there is a peer */
};

static void strike(int64_t nth) {
    switch (run.how) {
    case BY_CANCEL:
        CHECK_OK(eddy_scope_cancel(run.scope));
        break;
    case BY_CANCELS:
        CHECK_OK(eddy_scope_cancel(nth % 2 == 0 ? run.scope : run.outer));
        if (nth > 2 && run.tidying != NULL) {
            CHECK_OK(eddy_scope_cancel(run.tidying));
        }
        break;
    case BY_DEADLINE:
        moments.skipped_ns += LONG_NS;
        break;
    case BY_CLOSE:
    case BY_RESET:
        eddy_event_set(&run.kill);
        break;
    }
}

static int64_t executioner(void *arg) {
    const struct scenario *scenario = arg;
    CHECK_OK(eddy_event_wait(&run.kill));
    if (!run.spared) {
        run.over = true;
        scenario->kill();
    }
    return 0;
}

/* What a careful program does when it is ended: something that waits, behind a shield. */
static void tidy_up(void) {
    eddy_scope shield;
    CHECK_OK(eddy_scope_enter(&shield, &(eddy_scope_opts){.shield = true}));
    run.tidying = &shield;
    int64_t r = eddy_sleep(NAP_NS);
    r = r < 0 ? r : eddy_sleep(NAP_NS);
    CHECK(r == 0 || (run.how == BY_CANCELS && r == -ECANCELED));
    run.tidying = NULL;
    eddy_scope_leave(&shield, 0);
}

static int64_t victim(void *arg) {
    const struct scenario *scenario = arg;
    int64_t r = scenario->victim();
    if (r < 0) {
        tidy_up();
    }
    return r;
}

static void check_result(int64_t r, bool struck) {
    bool told = r == 0;
    if (struck) {
        switch (run.how) {
        case BY_CANCEL:
        case BY_CANCELS:
            told = told || r == -ECANCELED;
            break;
        case BY_DEADLINE:
            told = told || r == -ETIME;
            break;
        case BY_CLOSE:
            told = told || r == EDDY_ECLOSED;
            break;
        case BY_RESET:
            told = told || r == -ECONNRESET || r == -EPIPE;
            break;
        }
    }
    if (!told) {
        test_fail(__FILE__, __LINE__, "ended by way %d: %s", run.how, eddy_error_name(r));
    }
}

/* False when the victim had ended before its end came. */
static bool run_once(const struct scenario *scenario, enum how how, int64_t moment, bool before) {
    eddy_scope others;
    eddy_scope outer;
    eddy_scope scope;
    bool kills = how == BY_CLOSE || how == BY_RESET;
    memset(&run, 0, sizeof run);
    run.how = how;
    run.outer = &outer;
    run.scope = &scope;
    CHECK_OK(eddy_scope_enter(&others, NULL));
    scenario->set_up();
    CHECK(!kills || eddy_spawn(executioner, (void *)(uintptr_t)scenario, 0) == 0);
    CHECK_OK(eddy_scope_enter(&outer, NULL));
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = LONG_NS / 2}));
    moments_arm(moment, before, how == BY_CANCELS ? 6 : 0, strike);
    int64_t r = victim((void *)(uintptr_t)scenario);
    bool struck = moments_disarm();
    r = eddy_scope_leave(&scope, r);
    eddy_scope_leave(&outer, 0);
    check_result(r, struck);
    if (kills && !struck) {
        run.spared = true;
        eddy_event_set(&run.kill);
    }
    while (kills && struck && !run.over) {
        CHECK_OK(eddy_yield()); /* the victim was faster */
    }
    scenario->settle();
    CHECK_OK(eddy_scope_leave(&others, 0));
    return struck;
}

static void sweep(const struct scenario *scenario) {
    moments_begin();
    run_once(scenario, BY_CANCEL, 0, false); /* what is made once is there now */
    struct inventory before = inventory_take();
    for (int how = BY_CANCEL; how <= BY_RESET; how++) {
        if ((how == BY_CLOSE && scenario->kill == NULL) || (how == BY_RESET && !scenario->resets)) {
            continue;
        }
        for (int side = 0; side <= 1; side++) {
            int64_t moment = 1;
            while (run_once(scenario, how, moment, side != 0)) {
                inventory_check(&before);
                CHECK(!run_once(scenario, how, 0, false)); /* as if nothing had been */
                moment = moments_next(moment);
            }
            CHECK(moment > 2);
        }
    }
    inventory_check(&before);
}

#define SWEEP(what, set_up_, victim_, settle_, kill_, resets_) \
    LOOP_TEST_TIMEOUT(what##_is_ended_at_each_moment, 120) { \
        static const struct scenario scenario = {set_up_, victim_, settle_, kill_, resets_}; \
        sweep(&scenario); \
    }

SWEEP(accept, accept_set_up, accept_victim, accept_settle, accept_kill, false)
SWEEP(connect, connect_set_up, connect_victim, connect_settle, NULL, false)
SWEEP(read, read_set_up, read_victim, read_settle, read_kill, true)
SWEEP(write, write_set_up, write_victim, write_settle, read_kill, true)
SWEEP(file, file_set_up, file_victim, file_settle, NULL, false)
SWEEP(sleep, nothing, sleep_victim, nothing, NULL, false)
SWEEP(receive, receive_set_up, receive_victim, receive_settle, channel_kill, false)
SWEEP(receive_with_room, receive_buffered_set_up, receive_victim, receive_settle, channel_kill,
      false)
SWEEP(send, send_set_up, send_victim, send_settle, channel_kill, false)
SWEEP(send_with_room, send_buffered_set_up, send_victim, send_settle, channel_kill, false)
SWEEP(spawn, spawn_set_up, spawn_victim, nothing, NULL, false)
SWEEP(join, join_set_up, join_victim, join_settle, NULL, false)
