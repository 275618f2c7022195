/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rule 12: every suspending call is charged to the turn's budget, also when it succeeds inline.
 * With nothing left of the budget each one gives the loop a turn. The table has every public call
 * whose label says that it suspends: the headers are read, and one that is missing here is a
 * failure.
 */
#include <eddy/eddy.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eddy/runtime/loop/loop_impl.h>

#include "test.h"

/* ---- the calls, each where it has nothing to wait for ---------------------------------------- */

static struct {
    eddy_stream *near; /* of a pair in memory, with bytes to read and room to write */
    eddy_stream *far;
    eddy_stream *peer; /* of a TCP connection */
    eddy_listener *listener;
    char address[EDDY_ADDRESS_TEXT_MAX];
    eddy_stream *file;
    char path[300];
    eddy_dir *dir;
    eddy_stream *lines;
    eddy_reader *reader;
    eddy_writer *writer;
    eddy_future *done;
    eddy_as_completed *iterator;
    eddy_channel *channel;
    eddy_slice slice;
    char buf[16];
} fix;

static int64_t returns_zero(void *arg) {
    (void)arg;
    return 0;
}

static void call_stream_read(void) {
    CHECK_EQ(eddy_stream_read(fix.near, fix.buf, 1), 1);
}

static void call_stream_read_exact(void) {
    CHECK_OK(eddy_stream_read_exact(fix.near, fix.buf, 1));
}

static void call_stream_write(void) {
    CHECK_OK(eddy_stream_write(fix.near, "x", 1));
}

static void call_stream_write_some(void) {
    CHECK_EQ(eddy_stream_write_some(fix.near, "x", 1), 1);
}

static void call_stream_write_slices(void) {
    eddy_slice slice = {.data = "x", .len = 1};
    CHECK_OK(eddy_stream_write_slices(fix.near, &slice, 1));
}

static void call_stream_shutdown(void) {
    CHECK_OK(eddy_stream_shutdown(fix.peer));
}

static void call_stream_copy(void) {
    CHECK_OK(eddy_stream_copy(fix.near, fix.far, 1));
}

static void call_reader_read(void) {
    CHECK_EQ(eddy_reader_read(fix.reader, fix.buf, 1), 1);
}

static void call_reader_peek(void) {
    CHECK_OK(eddy_reader_peek(fix.reader, 1, &fix.slice));
}

static void call_reader_exactly(void) {
    CHECK_OK(eddy_reader_exactly(fix.reader, fix.buf, 1));
}

static void call_reader_until(void) {
    CHECK_OK(eddy_reader_until(fix.reader, (eddy_slice){.data = "\n", .len = 1}, 16, &fix.slice));
}

static void call_reader_line(void) {
    CHECK_OK(eddy_reader_line(fix.reader, 16, &fix.slice));
}

static void call_writer_write(void) {
    CHECK_OK(eddy_writer_write(fix.writer, "x", 1));
}

static void call_writer_printf(void) {
    CHECK_OK(eddy_writer_printf(fix.writer, "%d", 1));
}

static void call_writer_flush(void) {
    CHECK_OK(eddy_writer_flush(fix.writer));
}

static void call_listener_accept(void) {
    eddy_stream *peer;
    CHECK_OK(eddy_listener_accept(fix.listener, &peer));
    CHECK_OK(eddy_stream_close(peer));
}

static void call_tcp_connect(void) {
    eddy_stream *peer;
    CHECK_OK(eddy_tcp_connect(fix.address, NULL, &peer));
    CHECK_OK(eddy_stream_close(peer));
}

static void call_tcp_connect_to(void) {
    eddy_stream *peer;
    eddy_address address = eddy_listener_address(fix.listener);
    CHECK_OK(eddy_tcp_connect_to(&address, NULL, &peer));
    CHECK_OK(eddy_stream_close(peer));
}

static void call_file_open(void) {
    eddy_stream *file;
    CHECK_OK(eddy_file_open(fix.path, EDDY_FILE_READ, 0, &file));
    CHECK_OK(eddy_stream_close(file));
}

static void call_file_open_at(void) {
    eddy_stream *file;
    CHECK_OK(eddy_file_open_at(fix.dir, "file", EDDY_FILE_READ, 0, &file));
    CHECK_OK(eddy_stream_close(file));
}

static void call_file_open_stat(void) {
    eddy_stream *file;
    eddy_stat stat;
    CHECK_OK(eddy_file_open_stat(fix.dir, "file", EDDY_FILE_READ, 0, &file, &stat));
    CHECK_OK(eddy_stream_close(file));
}

static void call_file_pread(void) {
    CHECK_EQ(eddy_file_pread(fix.file, fix.buf, 1, 0), 1);
}

static void call_file_pwrite(void) {
    CHECK_OK(eddy_file_pwrite(fix.file, "x", 1, 0));
}

static void call_file_sync(void) {
    CHECK_OK(eddy_file_sync(fix.file, true));
}

static void call_dir_open(void) {
    eddy_dir *dir;
    CHECK_OK(eddy_dir_open("/", &dir));
    CHECK_OK(eddy_dir_close(dir));
}

static void call_dir_open_at(void) {
    eddy_dir *dir;
    CHECK_OK(eddy_dir_open_at(fix.dir, ".", &dir));
    CHECK_OK(eddy_dir_close(dir));
}

static void call_dir_next(void) {
    eddy_dir_entry entry;
    CHECK_OK(eddy_dir_next(fix.dir, &entry));
}

static void call_stat_path(void) {
    eddy_stat st;
    CHECK_OK(eddy_stat_path("/", 0, &st));
}

static void call_stat_at(void) {
    eddy_stat st;
    CHECK_OK(eddy_stat_at(fix.dir, ".", 0, &st));
}

static void call_await(void) {
    CHECK_OK(eddy_await(fix.done));
}

static void call_future_wait(void) {
    CHECK_OK(eddy_future_wait(fix.done, EDDY_NEVER));
}

static void call_await_all(void) {
    CHECK_OK(eddy_await_all(&fix.done, 1));
}

static void call_await_any(void) {
    CHECK_OK(eddy_await_any(&fix.done, 1, NULL));
}

static void call_await_race(void) {
    CHECK_OK(eddy_await_race(&fix.done, 1, NULL));
}

static void call_futures_wait(void) {
    bool done;
    CHECK_OK(eddy_await_until(&fix.done, 1, EDDY_UNTIL_ALL_COMPLETED, EDDY_NEVER, &done));
}

static void call_as_completed_next(void) {
    (void)eddy_as_completed_next(fix.iterator);
}

static void call_as_completed_wait(void) {
    (void)eddy_as_completed_wait(fix.iterator, EDDY_NEVER);
}

static eddy_mutex mutex;
static eddy_condition condition;
static eddy_event event;
static eddy_semaphore semaphore = EDDY_SEMAPHORE_INIT(100);
static eddy_barrier barrier = EDDY_BARRIER_INIT(1);

static void call_mutex_lock(void) {
    CHECK_OK(eddy_mutex_lock(&mutex));
    CHECK_OK(eddy_mutex_unlock(&mutex));
}

static void call_event_wait(void) {
    eddy_event_set(&event);
    CHECK_OK(eddy_event_wait(&event));
}

static void call_semaphore_wait(void) {
    CHECK_OK(eddy_semaphore_wait(&semaphore));
}

static void call_barrier_wait(void) {
    CHECK_OK(eddy_barrier_wait(&barrier));
}

static void call_channel_send(void) {
    CHECK_OK(eddy_channel_send(fix.channel, "x"));
}

static void call_channel_recv(void) {
    CHECK_OK(eddy_channel_recv(fix.channel, fix.buf));
}

static void call_channel_select(void) {
    size_t index;
    eddy_channel_case one = {.channel = fix.channel, .send = "x"};
    CHECK_OK(eddy_channel_select(&one, 1, &index));
}

/* More than once: the first may come while the waiter gives the loop its turn. */
static int64_t signals(void *arg) {
    int r = 0;
    for (int i = 0; i < 20 && r == 0; i++) {
        eddy_condition_signal(arg);
        r = eddy_yield();
    }
    return 0;
}

static void call_condition_wait(void) {
    CHECK_OK(eddy_mutex_try_lock(&mutex));
    CHECK_OK(eddy_spawn(signals, &condition, 0));
    CHECK_OK(eddy_condition_wait(&condition, &mutex));
    CHECK_OK(eddy_mutex_unlock(&mutex));
}

static void call_scope_leave(void) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_scope_leave(&scope, 0));
}

static void call_yield(void) {
    CHECK_OK(eddy_yield());
}

static void call_sleep(void) {
    CHECK_OK(eddy_sleep(0));
}

static void call_sleep_until(void) {
    CHECK_OK(eddy_sleep_until(0));
}

static void call_sleep_until_wall(void) {
    CHECK_OK(eddy_sleep_until_wall(0));
}

static void call_interval_wait(void) {
    eddy_interval every;
    CHECK_OK(eddy_interval_init(&every, 1, EDDY_INTERVAL_BURST));
    CHECK_OK(eddy_interval_wait(&every));
}

static const struct row {
    const char *name;
    void (*call)(void);
    const char *why; /* without `call`: who charges for it */
} table[] = {
    {"eddy_stream_read", call_stream_read, NULL},
    {"eddy_stream_read_exact", call_stream_read_exact, NULL},
    {"eddy_stream_write", call_stream_write, NULL},
    {"eddy_stream_write_some", call_stream_write_some, NULL},
    {"eddy_stream_write_slices", call_stream_write_slices, NULL},
    {"eddy_stream_shutdown", call_stream_shutdown, NULL},
    {"eddy_stream_copy", call_stream_copy, NULL},
    {"eddy_reader_read", call_reader_read, NULL},
    {"eddy_reader_peek", call_reader_peek, NULL},
    {"eddy_reader_exactly", call_reader_exactly, NULL},
    {"eddy_reader_until", call_reader_until, NULL},
    {"eddy_reader_line", call_reader_line, NULL},
    {"eddy_reader_all", NULL, "each of its reads is a stream's"},
    {"eddy_writer_write", call_writer_write, NULL},
    {"eddy_writer_printf", call_writer_printf, NULL},
    {"eddy_writer_vprintf", NULL, "eddy_writer_printf is made of it"},
    {"eddy_writer_flush", call_writer_flush, NULL},
    {"eddy_tcp_connect", call_tcp_connect, NULL},
    {"eddy_tcp_connect_to", call_tcp_connect_to, NULL},
    {"eddy_listener_accept", call_listener_accept, NULL},
    {"eddy_serve", NULL, "returns when its connections have ended"},
    {"eddy_http_serve", NULL, "is eddy_serve"},
    {"eddy_http_connection", NULL, "returns when its connection has ended"},
    {"eddy_http_request_read", NULL, "reads its stream"},
    {"eddy_http_request_body", NULL, "is eddy_http_request_read, over and over"},
    {"eddy_http_respond", NULL, "writes its stream"},
    {"eddy_http_response_body", NULL, "writes its stream"},
    {"eddy_http_response_write", NULL, "writes its stream"},
    {"eddy_http_response_copy", NULL, "writes its stream"},
    {"eddy_file_open", call_file_open, NULL},
    {"eddy_file_open_at", call_file_open_at, NULL},
    {"eddy_file_open_stat", call_file_open_stat, NULL},
    {"eddy_file_pread", call_file_pread, NULL},
    {"eddy_file_pwrite", call_file_pwrite, NULL},
    {"eddy_file_sync", call_file_sync, NULL},
    {"eddy_dir_open", call_dir_open, NULL},
    {"eddy_dir_open_at", call_dir_open_at, NULL},
    {"eddy_dir_next", call_dir_next, NULL},
    {"eddy_stat_path", call_stat_path, NULL},
    {"eddy_stat_at", call_stat_at, NULL},
    {"eddy_await", call_await, NULL},
    {"eddy_future_wait", call_future_wait, NULL},
    {"eddy_await_all", call_await_all, NULL},
    {"eddy_await_any", call_await_any, NULL},
    {"eddy_await_race", call_await_race, NULL},
    {"eddy_await_until", call_futures_wait, NULL},
    {"eddy_as_completed_next", call_as_completed_next, NULL},
    {"eddy_as_completed_wait", call_as_completed_wait, NULL},
    {"eddy_future_release", NULL, "waits for the end of what was started, if anything"},
    {"eddy_promise_free", NULL, "waits for a function that runs, if anything"},
    {"eddy_mutex_lock", call_mutex_lock, NULL},
    {"eddy_condition_wait", call_condition_wait, NULL},
    {"eddy_event_wait", call_event_wait, NULL},
    {"eddy_semaphore_wait", call_semaphore_wait, NULL},
    {"eddy_barrier_wait", call_barrier_wait, NULL},
    {"eddy_channel_send", call_channel_send, NULL},
    {"eddy_channel_recv", call_channel_recv, NULL},
    {"eddy_channel_select", call_channel_select, NULL},
    {"eddy_scope_leave", call_scope_leave, NULL},
    {"eddy_spawn_from", NULL, "waits for a place in its scope, if at all: only starts something"},
    {"eddy_yield", call_yield, NULL},
    {"eddy_sleep", call_sleep, NULL},
    {"eddy_sleep_until", call_sleep_until, NULL},
    {"eddy_sleep_until_wall", call_sleep_until_wall, NULL},
    {"eddy_interval_wait", call_interval_wait, NULL},
};

enum { ROWS = sizeof table / sizeof table[0] };

/* ---- each is charged ------------------------------------------------------------------------- */

static void set_up(void) {
    char text[512];
    CHECK_OK(eddy_memory_pair(4096, &fix.near, &fix.far));
    CHECK_OK(eddy_stream_write(fix.far, "0123456789", 10));
    for (int i = 0; i < 20; i++) {
        snprintf(text + 4 * i, sizeof text - 4 * (size_t)i, "ab\n\n");
    }
    CHECK_OK(eddy_memory_stream_new(text, 80, &fix.lines));
    CHECK_OK(eddy_reader_new(fix.lines, NULL, &fix.reader));
    CHECK_OK(eddy_reader_peek(fix.reader, 80, &fix.slice));
    CHECK_OK(eddy_writer_new(fix.near, NULL, &fix.writer));
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &fix.listener));
    eddy_address address = eddy_listener_address(fix.listener);
    CHECK_OK(eddy_address_format(&address, fix.address, sizeof fix.address));
    CHECK_OK(eddy_tcp_connect(fix.address, NULL, &fix.peer));
    snprintf(fix.path, sizeof fix.path, "%s/file", test_tmpdir());
    unsigned flags = EDDY_FILE_READ | EDDY_FILE_WRITE | EDDY_FILE_CREATE;
    CHECK_OK(eddy_file_open(fix.path, flags, 0, &fix.file));
    CHECK_OK(eddy_stream_write(fix.file, "contents", 8));
    CHECK_OK(eddy_dir_open(test_tmpdir(), &fix.dir));
    fix.done = eddy_task_start(returns_zero, NULL, 0);
    CHECK_OK(eddy_await(fix.done));
    eddy_future *both[] = {fix.done, fix.done};
    CHECK_OK(eddy_as_completed_new(both, 2, &fix.iterator));
    CHECK_OK(eddy_channel_new(1, 16, &fix.channel));
}

static void tear_down(void) {
    CHECK_OK(eddy_writer_flush(fix.writer));
    CHECK_EQ(eddy_writer_free(fix.writer), 0);
    eddy_reader_free(fix.reader);
    CHECK_OK(eddy_stream_close(fix.lines));
    CHECK_OK(eddy_stream_close(fix.near));
    CHECK_OK(eddy_stream_close(fix.far));
    CHECK_OK(eddy_stream_close(fix.peer));
    CHECK_OK(eddy_listener_close(fix.listener));
    CHECK_OK(eddy_stream_close(fix.file));
    CHECK_OK(eddy_dir_close(fix.dir));
    eddy_as_completed_free(fix.iterator);
    eddy_channel_free(fix.channel);
}

LOOP_TEST(rule_12_every_suspending_call_is_charged) {
    eddy_loop *loop = eddy_loop_current();
    set_up();
    for (size_t i = 0; i < ROWS; i++) {
        if (table[i].call == NULL) {
            continue;
        }
        uint64_t turns = loop->turns;
        eddyi_loop_exhaust(loop);
        table[i].call();
        if (loop->turns == turns) {
            test_fail(__FILE__, __LINE__, "%s is not charged", table[i].name);
        }
    }
    tear_down();
}

/* ---- and none is forgotten ------------------------------------------------------------------- */

static bool in_table(const char *name) {
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the label of this comment says so: in its own words, or in those of another call of the
 * table. */
static bool says_it_suspends(const char *comment, const char *end) {
    const char *label = strstr(comment, "* Cancel:");
    char other[64];
    if (label == NULL || label > end) {
        return false;
    }
    label += strlen("* Cancel:") + strspn(label + strlen("* Cancel:"), " ");
    if (sscanf(label, "as %63[a-z_]", other) == 1) {
        return in_table(other);
    }
    return strncmp(label, "suspends", strlen("suspends")) == 0;
}

/* Of each function with a comment before it. */
static int check_header(const char *text) {
    int found = 0;
    for (const char *comment = text; (comment = strstr(comment, "/**\n")) != NULL; comment++) {
        const char *end = strstr(comment, "*/");
        const char *bracket = end == NULL ? NULL : strchr(end, '(');
        if (bracket == NULL || strncmp(end, "*/\nEDDY_API ", 12) != 0 ||
            !says_it_suspends(comment, end)) {
            continue;
        }
        const char *first = bracket;
        while (first[-1] == '_' || (first[-1] >= 'a' && first[-1] <= 'z')) {
            first--;
        }
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)(bracket - first), first);
        if (strncmp(word, "eddy_", 5) == 0 && strstr(word, "_start") == NULL &&
            strncmp(word, "eddy_future_a", 13) != 0 && strcmp(word, "eddy_future_race") != 0) {
            if (!in_table(word)) {
                test_fail(__FILE__, __LINE__, "%s suspends and is not in the table", word);
            }
            found++;
        }
    }
    return found;
}

static int check_folder(const char *path) {
    static char text[256 * 1024];
    int found = 0;
    DIR *dir = opendir(path);
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char inner[1024];
        size_t len = strlen(entry->d_name);
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
            found += check_folder(inner);
        } else if (len > 2 && strcmp(entry->d_name + len - 2, ".h") == 0) {
            FILE *file = fopen(inner, "r");
            CHECK(file != NULL);
            text[fread(text, 1, sizeof text - 1, file)] = '\0';
            fclose(file);
            found += check_header(text);
        }
    }
    closedir(dir);
    return found;
}

TEST(rule_12_no_suspending_call_is_missing_in_the_table) {
    static const char *const rooms[] = {"runtime", "futures", "net", "fs"};
    const char *source = getenv("EDDY_SOURCE");
    char path[512];
    int found = 0;
    if (source == NULL) {
        SKIP("EDDY_SOURCE is not set, as ctest does");
    }
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", source, rooms[i]);
        found += check_folder(path);
    }
    CHECK(found > 50); /* the headers were there and were understood */
}
