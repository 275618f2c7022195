/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access log, in the common or the combined log format. Responses on all loops append to one
 * buffer; a task of the first loop writes what has gathered, so nobody who answers requests waits
 * for a disk.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "httpd.h"

/* How long lines gather before they are written together: a person who follows the log sees no
 * delay, and a write costs the same for one line and for a thousand. */
#define GATHER_NS (100 * EDDY_MS)

/* Lines wait in memory while a disk or a pipe takes its time, but no more than so many bytes of
 * them; what does not fit is counted, and said. */
#define GATHERED_MAX_BYTES (16 * 1024 * 1024)

/* A line is not longer: of what a client sends it has at most VALUE_MAX bytes three times, each of
 * them perhaps as \xNN. */
#define VALUE_MAX 512
#define LINE_MAX_BYTES 8192

/* How long the end of the program waits for whatever takes the log: a disk, or a pipe's reader. */
#define CLOSE_WAIT_S 2

struct access_log {
    pthread_mutex_t lock; /* guards what stands before `has_more`; held for a line or a swap only */
    eddy_buffer gathered;
    uint64_t lost; /* lines, since the writer looked last */
    time_t time_s; /* the second that `time_text` says */
    char time_text[64];
    eddy_event has_more;
    eddy_event ending;
    bool combined;
    bool failing;      /* the last write failed, which has been said */
    eddy_stream *file; /* NULL: standard output is something that cannot be opened by its name */
    eddy_future *writer;
};

static int64_t write_out(struct access_log *log, eddy_buffer *lines) {
    if (log->file != NULL) {
        return eddy_stream_write(log->file, lines->data, lines->len);
    }
    bool all = fwrite(lines->data, 1, lines->len, stdout) == lines->len && fflush(stdout) == 0;
    return all ? 0 : -EIO;
}

/* A full disk costs lines, and no more: it may have room again. */
static void note_trouble(struct access_log *log, int64_t r, uint64_t lost) {
    if (r < 0 && !log->failing) {
        fprintf(stderr, "httpd: access log: %s; lines are lost\n", eddy_error_text(r));
    }
    if (lost > 0) {
        fprintf(stderr, "httpd: access log: %llu lines were lost, it cannot be written as fast\n",
                (unsigned long long)lost);
    }
    log->failing = r < 0;
}

/* Swaps the buffers, so that appending goes on while it writes. */
static void write_gathered(struct access_log *log, eddy_buffer *lines) {
    pthread_mutex_lock(&log->lock);
    eddy_buffer full = log->gathered;
    log->gathered = *lines;
    uint64_t lost = log->lost;
    log->lost = 0;
    pthread_mutex_unlock(&log->lock);
    *lines = full;
    note_trouble(log, lines->len == 0 ? 0 : write_out(log, lines), lost);
    lines->len = 0;
}

/* Lets lines gather, but for the last ones. */
static void gather(struct access_log *log) {
    eddy_scope moment;
    if (eddy_scope_enter(&moment, &(eddy_scope_opts){.timeout_ns = GATHER_NS}) == 0) {
        eddy_scope_leave(&moment, eddy_event_wait(&log->ending));
    }
}

static int64_t run_writer(void *arg) {
    struct access_log *log = arg;
    EDDY_AUTO(eddy_buffer) lines = {0};
    bool ending = false;
    int64_t r = 0;
    eddy_scope shield; /* what was logged is written, also when the program is being cancelled */
    eddy_scope_enter(&shield, &(eddy_scope_opts){.shield = true});
    while (r == 0 && !ending) {
        r = eddy_event_wait(&log->has_more);
        gather(log);
        eddy_event_clear(&log->has_more);
        ending = eddy_event_is_set(&log->ending);
        write_gathered(log, &lines);
    }
    return eddy_scope_leave(&shield, r);
}

static int open_file(struct access_log *log, const char *name) {
    bool standard = strcmp(name, "-") == 0;
    int flags = EDDY_FILE_WRITE | EDDY_FILE_APPEND | (standard ? 0 : EDDY_FILE_CREATE);
    int r = eddy_file_open(standard ? "/dev/stdout" : name, flags, 0644, &log->file);
    /* A socket cannot be opened by the name that it has there, nor another user's terminal. */
    return standard ? 0 : r;
}

int access_log_open(const char *name, bool combined, struct access_log **ret_log) {
    struct access_log *log = calloc(1, sizeof *log);
    if (log == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&log->lock, NULL);
    log->combined = combined;
    int r = open_file(log, name);
    if (r < 0) {
        free(log);
        return r;
    }
    log->writer = eddy_task_start(run_writer, log, 0);
    *ret_log = log;
    return 0;
}

static void append_text(eddy_buffer *line, const char *text) {
    eddy_buffer_append(line, text, strlen(text));
}

static void append_number(eddy_buffer *line, int64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    eddy_buffer_append(line, digits + at, sizeof digits - at);
}

static bool is_plain(char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

/* A value of the request in quotes: what could end them, or the line, is escaped. */
static void append_quoted(eddy_buffer *line, eddy_slice value) {
    eddy_buffer_append(line, "\"", 1);
    for (size_t from = 0; from < value.len;) {
        size_t at = from;
        while (at < value.len && is_plain(value.data[at])) {
            at++;
        }
        eddy_buffer_append(line, value.data + from, at - from);
        if (at < value.len) {
            eddy_buffer_printf(line, "\\x%02x", (unsigned char)value.data[at++]);
        }
        from = at;
    }
    eddy_buffer_append(line, "\"", 1);
}

/* With log->lock held: made once a second. */
static void append_time(struct access_log *log) {
    time_t now = time(NULL);
    if (now != log->time_s) {
        struct tm parts;
        localtime_r(&now, &parts);
        strftime(log->time_text, sizeof log->time_text, "[%d/%b/%Y:%H:%M:%S %z] ", &parts);
        log->time_s = now;
    }
    append_text(&log->gathered, log->time_text);
}

static void append_request(eddy_buffer *line, const eddy_http_head *head) {
    char request[VALUE_MAX];
    size_t len = 0;
    if (head->len == 0) {
        append_text(line, "\"-\""); /* refused before it could be read */
        return;
    }
    const eddy_slice parts[] = {head->method_name, eddy_slice_of(" "), head->target,
                                eddy_slice_of(head->version == 10 ? " HTTP/1.0" : " HTTP/1.1")};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        eddy_slice part = eddy_slice_sub(parts[i], 0, sizeof request - len);
        memcpy(request + len, part.data, part.len);
        len += part.len;
    }
    append_quoted(line, eddy_slice_from(request, len));
}

static void append_field(eddy_buffer *line, const eddy_http_head *head, const char *name) {
    eddy_slice value;
    bool has = head->len > 0 && eddy_http_head_find(head, name, &value);
    eddy_buffer_append(line, " ", 1);
    append_quoted(line, has ? eddy_slice_sub(value, 0, VALUE_MAX) : eddy_slice_of("-"));
}

/* With log->lock held. */
static int append_line(struct access_log *log, eddy_http_exchange *x, const char *peer) {
    eddy_buffer *lines = &log->gathered;
    const eddy_http_head *head = eddy_http_request_head(x);
    int64_t count = eddy_http_response_count(x);
    int r = eddy_buffer_reserve(lines, LINE_MAX_BYTES); /* nothing of it can fail after this */
    if (r < 0) {
        return r;
    }
    append_text(lines, peer);
    append_text(lines, " - - ");
    append_time(log);
    append_request(lines, head);
    append_text(lines, " ");
    append_number(lines, eddy_http_response_status(x));
    append_text(lines, " ");
    if (count > 0) {
        append_number(lines, count);
    } else {
        append_text(lines, "-");
    }
    if (log->combined) {
        append_field(lines, head, "Referer");
        append_field(lines, head, "User-Agent");
    }
    return eddy_buffer_append(lines, "\n", 1);
}

/* The peer's address, of the connection's task: it stays the same from request to request. */
static eddy_local peer_text = EDDY_LOCAL_INIT(EDDY_LOCAL_OWN, free);

/* The peer's address without its port. */
static void find_peer(eddy_http_exchange *x, char peer[EDDY_ADDRESS_TEXT_MAX]) {
    eddy_address address;
    memcpy(peer, "-", sizeof "-");
    if (eddy_tcp_peer(eddy_http_request_peer(x), &address) == 0) {
        eddy_address_format(&address, peer, EDDY_ADDRESS_TEXT_MAX);
        char *port = strrchr(peer, ':');
        if (port != NULL) {
            *port = '\0';
        }
        if (peer[0] == '[') { /* an IPv6 address stands bare in logs */
            size_t len = strlen(peer);
            memmove(peer, peer + 1, len);
            peer[len - 2] = '\0';
        }
    }
}

static const char *peer_of(eddy_http_exchange *x) {
    char *known = eddy_local_get(&peer_text);
    if (known != NULL) {
        return known;
    }
    char found[EDDY_ADDRESS_TEXT_MAX];
    find_peer(x, found);
    known = strdup(found);
    if (known == NULL || eddy_local_set(&peer_text, known) < 0) {
        free(known);
        return "-";
    }
    return known;
}

void access_log_response(eddy_http_exchange *x, struct access_log *log) {
    if (log == NULL) {
        return;
    }
    const char *peer = peer_of(x);
    pthread_mutex_lock(&log->lock);
    size_t before = log->gathered.len;
    if (before > GATHERED_MAX_BYTES || append_line(log, x, peer) < 0) {
        log->gathered.len = before; /* no room: no half lines */
        log->lost++;
    }
    pthread_mutex_unlock(&log->lock);
    eddy_event_set(&log->has_more);
}

void access_log_close(struct access_log *log) {
    if (log == NULL) {
        return;
    }
    eddy_event_set(&log->ending);
    eddy_event_set(&log->has_more);
    /* Not even a cancelled program loses lines; but what hangs it does not wait for. */
    eddy_scope shield;
    eddy_scope_enter(&shield,
                     &(eddy_scope_opts){.shield = true, .timeout_ns = CLOSE_WAIT_S * EDDY_S});
    int64_t r = eddy_scope_leave(&shield, eddy_await(log->writer));
    if (r == -ETIME) {
        fprintf(stderr,
                "httpd: access log: given up after %d seconds, in which nothing took the "
                "last lines\n",
                CLOSE_WAIT_S);
    } else if (r < 0) {
        fprintf(stderr, "httpd: access log: %s\n", eddy_error_text(r));
    }
    eddy_stream_close(log->file);     /* a write that is stuck there ends */
    eddy_future_release(log->writer); /* and the writer, which still looks at all this */
    eddy_buffer_done(&log->gathered);
    pthread_mutex_destroy(&log->lock);
    free(log);
}
