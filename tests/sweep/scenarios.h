/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sweeps run over and over: a few lines for each room, which use most of what it has. A
 * scenario runs in a task, gives >= 0 when all went well and else the first error, and leaves
 * nothing behind in either case: no task, no memory, no descriptor.
 */
#ifndef EDDY_TESTS_SWEEP_SCENARIOS_H
#define EDDY_TESTS_SWEEP_SCENARIOS_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <eddy/fs/dir.h>
#include <eddy/fs/file.h>
#include <eddy/fs/stat.h>
#include <eddy/futures/combine.h>
#include <eddy/futures/future.h>
#include <eddy/futures/promise.h>
#include <eddy/net/http/exchange.h>
#include <eddy/net/http/server.h>
#include <eddy/net/tcp.h>
#include <eddy/runtime/io/copy.h>
#include <eddy/runtime/io/memory.h>
#include <eddy/runtime/io/reader.h>
#include <eddy/runtime/io/writer.h>
#include <eddy/runtime/sync/barrier.h>
#include <eddy/runtime/sync/channel.h>
#include <eddy/runtime/sync/condition.h>
#include <eddy/runtime/sync/event.h>
#include <eddy/runtime/sync/mutex.h>
#include <eddy/runtime/sync/semaphore.h>
#include <eddy/runtime/task/scope.h>
#include <eddy/runtime/task/task.h>

#include "test.h"

#define NAP_NS (50 * EDDY_US)

/* ---- runtime/task ---------------------------------------------------------------------------- */

static int64_t nap(void *arg) {
    (void)arg;
    return eddy_sleep(NAP_NS);
}

static int64_t tasks(void) {
    eddy_scope outer;
    eddy_scope inner;
    int64_t r = eddy_scope_enter(&outer, &(eddy_scope_opts){.timeout_ns = EDDY_S * 60});
    if (r < 0) {
        return r;
    }
    r = eddy_spawn(nap, NULL, 0);
    r = r < 0 ? r : eddy_scope_enter(&inner, &(eddy_scope_opts){.limit = 1});
    if (r == 0) {
        for (int i = 0; i < 3 && r >= 0; i++) {
            r = eddy_spawn(nap, &i, sizeof i);
        }
        r = eddy_scope_leave(&inner, r);
    }
    r = r < 0 ? r : eddy_yield();
    r = eddy_scope_leave(&outer, r);
    /* What has to be tidied up whatever comes. */
    int64_t tidied = eddy_scope_enter(&inner, &(eddy_scope_opts){.shield = true});
    CHECK(tidied == 0 || tidied == -ENOMEM);
    if (tidied == 0) {
        CHECK_EQ(eddy_sleep(NAP_NS), 0);
        tidied = eddy_scope_leave(&inner, 0);
    }
    return r < 0 ? r : tidied;
}

/* ---- runtime/sync ---------------------------------------------------------------------------- */

struct meeting {
    eddy_channel *channel;
    eddy_mutex mutex;
    eddy_condition changed;
    eddy_event over;
    eddy_semaphore seats;
    eddy_barrier both;
    int turn;
};

static int64_t guest(void *arg) {
    struct meeting *meeting = arg;
    int64_t r = eddy_semaphore_wait(&meeting->seats);
    for (int i = 0; i < 5 && r == 0; i++) {
        r = eddy_channel_send(meeting->channel, &i);
    }
    eddy_channel_close(meeting->channel);
    r = r < 0 ? r : eddy_barrier_wait(&meeting->both);
    r = r < 0 ? r : eddy_mutex_lock(&meeting->mutex);
    if (r >= 0) {
        meeting->turn = 1;
        eddy_condition_signal(&meeting->changed);
        r = eddy_mutex_unlock(&meeting->mutex);
    }
    return r < 0 ? r : eddy_event_wait(&meeting->over);
}

static int64_t host(struct meeting *meeting) {
    int item;
    int64_t r = eddy_semaphore_post(&meeting->seats);
    for (int i = 0; r == 0; i++) {
        r = eddy_channel_recv(meeting->channel, &item);
        CHECK(r < 0 || item == i);
    }
    r = r == EDDY_ECLOSED ? eddy_barrier_wait(&meeting->both) : r;
    r = r < 0 ? r : eddy_mutex_lock(&meeting->mutex);
    if (r >= 0) {
        while (r >= 0 && meeting->turn == 0) {
            r = eddy_condition_wait(&meeting->changed, &meeting->mutex);
        }
        CHECK_EQ(eddy_mutex_unlock(&meeting->mutex), 0); /* held again, whatever wait says */
    }
    eddy_event_set(&meeting->over);
    return r;
}

static int64_t syncs(void) {
    struct meeting meeting = {.both = EDDY_BARRIER_INIT(2), .seats = EDDY_SEMAPHORE_INIT(0)};
    eddy_scope scope;
    int64_t r = eddy_channel_new(sizeof(int), 2, &meeting.channel);
    r = r < 0 ? r : eddy_scope_enter(&scope, NULL);
    if (r == 0) {
        r = eddy_spawn(guest, &meeting, 0);
        r = r < 0 ? r : host(&meeting);
        r = eddy_scope_leave(&scope, r);
    }
    eddy_channel_free(meeting.channel);
    return r;
}

/* ---- futures --------------------------------------------------------------------------------- */

static int64_t keep_promise(void *arg) {
    eddy_promise *promise = arg;
    int64_t r = eddy_sleep(NAP_NS);
    eddy_promise_resolve(promise, r < 0 ? r : 7);
    eddy_promise_free(promise);
    return 0;
}

static int64_t plus_one(int64_t result, void *arg) {
    (void)arg;
    return result < 0 ? result : result + 1;
}

static int64_t promised(void) {
    eddy_promise *promise;
    eddy_future *future;
    int64_t r = eddy_promise_new(&promise, &future);
    if (r < 0) {
        return r;
    }
    r = eddy_spawn(keep_promise, promise, 0);
    if (r < 0) {
        eddy_promise_free(promise);
    }
    eddy_future *then = eddy_future_then(future, plus_one, NULL);
    r = r < 0 ? r : eddy_await(then);
    CHECK(r < 0 || r == 8);
    eddy_future_release(then);
    eddy_future_release(future);
    return r;
}

static int64_t each_of(void) {
    eddy_future *fs[] = {eddy_task_start(nap, NULL, 0), eddy_task_start(nap, NULL, 0)};
    eddy_as_completed *each;
    int64_t r = eddy_as_completed_new(fs, 2, &each);
    int64_t result = 0;
    if (r == 0) {
        while ((r = eddy_as_completed_next(each)) >= 0) {
            result = result < 0 ? result : eddy_future_result(fs[r]);
        }
        eddy_as_completed_free(each);
        r = r == -ENOENT ? result : r;
    }
    eddy_future_release(fs[0]);
    eddy_future_release(fs[1]);
    return r;
}

static int64_t futures(void) {
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, NULL);
    if (r < 0) {
        return r;
    }
    eddy_future *fs[] = {eddy_task_start(nap, NULL, 0), eddy_task_start(nap, NULL, 0)};
    r = eddy_await_all(fs, 2);
    if (r >= 0) {
        eddy_future *pair[] = {eddy_task_start(nap, NULL, 0), eddy_task_start(nap, NULL, 0)};
        r = eddy_await(eddy_future_all(pair, 2));
    }
    r = r < 0 ? r : promised();
    r = r < 0 ? r : each_of();
    return eddy_scope_leave(&scope, r);
}

/* ---- runtime/io ------------------------------------------------------------------------------ */

#define LINES 60

static int64_t write_lines(void *arg) {
    eddy_stream *stream = arg;
    eddy_writer *writer;
    int64_t r = eddy_writer_new(stream, &(eddy_writer_opts){.buffer_size_bytes = 200}, &writer);
    if (r == 0) {
        for (int i = 0; i < LINES && r >= 0; i++) {
            r = eddy_writer_printf(writer, "line %d\n", i);
        }
        r = r < 0 ? r : eddy_writer_flush(writer);
        eddy_writer_free(writer);
    }
    return r < 0 ? r : eddy_stream_shutdown(stream);
}

static int64_t read_lines(eddy_stream *stream) {
    eddy_reader *reader;
    eddy_slice line;
    int64_t r = eddy_reader_new(stream, &(eddy_reader_opts){.buffer_size_bytes = 100}, &reader);
    if (r < 0) {
        return r;
    }
    int count = 0;
    while ((r = eddy_reader_line(reader, 50, &line)) == 1) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "line %d", count++);
        CHECK_BYTES(line.data, line.len, wanted, strlen(wanted));
    }
    CHECK(r < 0 || count == LINES);
    eddy_reader_free(reader);
    return r;
}

struct copying {
    eddy_stream *from;
    eddy_stream *to;
};

static int64_t copy_on(void *arg) {
    struct copying *copying = arg;
    int64_t r = eddy_stream_copy(copying->to, copying->from, EDDY_COPY_ALL);
    return r < 0 ? r : eddy_stream_shutdown(copying->to);
}

/* Lines are written to one pair, copied to another, and read there. */
static int64_t streams(void) {
    eddy_stream *a[2];
    eddy_stream *b[2];
    eddy_scope scope;
    int64_t r = eddy_memory_pair(70, &a[0], &a[1]);
    if (r < 0) {
        return r;
    }
    r = eddy_memory_pair(30, &b[0], &b[1]);
    if (r == 0) {
        r = eddy_scope_enter(&scope, NULL);
        if (r == 0) {
            struct copying copying = {.from = a[1], .to = b[0]};
            r = eddy_spawn(write_lines, a[0], 0);
            r = r < 0 ? r : eddy_spawn(copy_on, &copying, 0);
            r = r < 0 ? r : read_lines(b[1]);
            r = eddy_scope_leave(&scope, r);
        }
        eddy_stream_close(b[0]);
        eddy_stream_close(b[1]);
    }
    eddy_stream_close(a[0]);
    eddy_stream_close(a[1]);
    return r;
}

/* ---- net, net/http --------------------------------------------------------------------------- */

typedef int64_t (*serve_fn)(eddy_stream *peer);
typedef int64_t (*call_fn)(eddy_stream *server);

struct serving {
    eddy_listener *listener;
    serve_fn serve;
};

static int64_t serve_one(void *arg) {
    struct serving *serving = arg;
    eddy_stream *peer;
    int64_t r = eddy_listener_accept(serving->listener, &peer);
    if (r == 0) {
        r = serving->serve(peer);
        eddy_stream_close(peer);
    }
    return r;
}

/* A server with one client. */
static int64_t connection(const char *at, serve_fn serve, call_fn call) {
    char name[EDDY_ADDRESS_TEXT_MAX];
    struct serving serving = {.serve = serve};
    eddy_scope scope;
    eddy_stream *server;
    int64_t r = eddy_tcp_listen(at, NULL, &serving.listener);
    if (r < 0) {
        return r;
    }
    eddy_address address = eddy_listener_address(serving.listener);
    CHECK_OK(eddy_address_format(&address, name, sizeof name));
    r = eddy_scope_enter(&scope, NULL);
    if (r == 0) {
        r = eddy_spawn(serve_one, &serving, 0);
        r = r < 0 ? r : eddy_tcp_connect(name, NULL, &server);
        if (r == 0) {
            r = call(server);
            eddy_stream_close(server);
        }
        r = eddy_scope_leave(&scope, r);
    }
    eddy_listener_close(serving.listener);
    return r;
}

static int64_t echo(eddy_stream *peer) {
    int64_t r = eddy_stream_copy(peer, peer, EDDY_COPY_ALL);
    return r < 0 ? r : eddy_stream_shutdown(peer);
}

static int64_t call_echo(eddy_stream *server) {
    char sent[3000];
    char got[sizeof sent];
    memset(sent, 's', sizeof sent);
    int64_t r = eddy_stream_write(server, sent, sizeof sent);
    r = r < 0 ? r : eddy_stream_shutdown(server);
    r = r < 0 ? r : eddy_stream_read_exact(server, got, sizeof got);
    CHECK(r < 0 || memcmp(sent, got, sizeof got) == 0);
    return r < 0 ? r : eddy_stream_read(server, got, 1);
}

static int64_t sockets(void) {
    return connection("127.0.0.1:0", echo, call_echo);
}

static int64_t unix_sockets(void) {
    char name[64];
    snprintf(name, sizeof name, "unix:@eddy-sweep-%d", (int)getpid());
    return connection(name, echo, call_echo);
}

static int64_t answer(eddy_http_exchange *x, void *arg) {
    (void)arg;
    int64_t r = eddy_http_response_begin(x, 200);
    r = r < 0 ? r : eddy_http_response_stream(x, EDDY_HTTP_LENGTH_UNKNOWN);
    r = r < 0 ? r : eddy_http_response_write(x, "first", 5);
    return r < 0 ? r : eddy_http_response_write(x, "last", 4);
}

static int64_t serve_http(eddy_stream *peer) {
    return eddy_http_connection(peer, answer, NULL, NULL);
}

static int64_t call_http(eddy_stream *server) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
                                  "GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    char text[1000];
    size_t len = 0;
    int64_t n = eddy_stream_write(server, request, sizeof request - 1);
    while (n >= 0 && (n = eddy_stream_read(server, text + len, sizeof text - 1 - len)) > 0) {
        len += (size_t)n;
    }
    text[len] = '\0';
    if (n == 0 && strstr(text, "HTTP/1.1 500 ") == text) {
        return -ENOMEM; /* what else can a handler fail with */
    }
    CHECK(n < 0 || len == 0 || strstr(text, "HTTP/1.1 200 OK\r\n") == text);
    return n;
}

static int64_t http(void) {
    return connection("127.0.0.1:0", serve_http, call_http);
}

/* ---- fs -------------------------------------------------------------------------------------- */

static int64_t use_file(eddy_stream *file) {
    char got[5];
    eddy_stat stat = {0};
    int64_t r = eddy_stream_write(file, "hello", 5);
    r = r < 0 ? r : eddy_file_pwrite(file, "j", 1, 0);
    r = r < 0 ? r : eddy_file_sync(file, true);
    r = r < 0 ? r : eddy_file_pread(file, got, sizeof got, 0);
    CHECK(r < 0 || memcmp(got, "jello", 5) == 0);
    return r < 0 ? r : eddy_stat_file(file, &stat);
}

static int64_t files(void) {
    char path[300];
    eddy_stream *file;
    eddy_dir *dir;
    eddy_stat stat = {0};
    eddy_dir_entry entry;
    snprintf(path, sizeof path, "%s/file", test_tmpdir());
    unsigned flags = EDDY_FILE_READ | EDDY_FILE_WRITE | EDDY_FILE_CREATE | EDDY_FILE_TRUNCATE;
    int64_t r = eddy_file_open(path, flags, 0, &file);
    if (r == 0) {
        r = use_file(file);
        eddy_stream_close(file);
    }
    r = r < 0 ? r : eddy_stat_path(path, 0, &stat);
    r = r < 0 ? r : eddy_dir_open(test_tmpdir(), &dir);
    if (r == 0) {
        while ((r = eddy_dir_next(dir, &entry)) > 0) {
        }
        eddy_dir_close(dir);
    }
    return r;
}

/* All of the above. */
static const struct {
    const char *name;
    int64_t (*run)(void);
} rooms[] = {
    {"tasks", tasks},     {"syncs", syncs},     {"futures", futures},
    {"streams", streams}, {"sockets", sockets}, {"unix sockets", unix_sockets},
    {"http", http},       {"files", files},
};

enum { ROOMS = sizeof rooms / sizeof rooms[0] };

#endif
