/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access log, in the common log format. Responses on all loops append to one buffer; a task of
 * the first loop writes what has gathered, so nobody who answers requests waits for a disk.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "httpd.h"

struct access_log {
    pthread_mutex_t lock; /* guards `gathered`; held for an append or a swap only */
    eddy_buffer gathered;
    eddy_event has_more;
    bool ending;
    eddy_stream *file; /* NULL: standard output */
    eddy_future *writer;
};

static int64_t write_out(struct access_log *log, eddy_buffer *lines) {
    if (log->file != NULL) {
        return eddy_stream_write(log->file, lines->data, lines->len);
    }
    bool all = fwrite(lines->data, 1, lines->len, stdout) == lines->len && fflush(stdout) == 0;
    return all ? 0 : -EIO;
}

/* Swaps the buffers, so that appending goes on while it writes. */
static int64_t write_gathered(struct access_log *log, eddy_buffer *lines) {
    pthread_mutex_lock(&log->lock);
    eddy_buffer full = log->gathered;
    log->gathered = *lines;
    pthread_mutex_unlock(&log->lock);
    *lines = full;
    int64_t r = lines->len == 0 ? 0 : write_out(log, lines);
    lines->len = 0;
    return r;
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
        eddy_event_clear(&log->has_more);
        ending = __atomic_load_n(&log->ending, __ATOMIC_ACQUIRE);
        r = r < 0 ? r : write_gathered(log, &lines);
    }
    return eddy_scope_leave(&shield, r);
}

int access_log_open(const char *name, struct access_log **ret_log) {
    struct access_log *log = calloc(1, sizeof *log);
    if (log == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&log->lock, NULL);
    int r = 0;
    if (strcmp(name, "-") != 0) {
        r = eddy_file_open(name, EDDY_FILE_WRITE | EDDY_FILE_CREATE | EDDY_FILE_APPEND, 0644,
                           &log->file);
    }
    if (r < 0) {
        free(log);
        return r;
    }
    log->writer = eddy_task_start(run_writer, log, 0);
    *ret_log = log;
    return 0;
}

/* A value of the request in quotes: what could end them, or the line, is escaped. */
static void append_quoted(eddy_buffer *line, eddy_slice value) {
    eddy_buffer_append(line, "\"", 1);
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c < ' ' || c == '"' || c == '\\' || c > '~') {
            eddy_buffer_printf(line, "\\x%02x", c);
        } else {
            eddy_buffer_append(line, &value.data[i], 1);
        }
    }
    eddy_buffer_append(line, "\"", 1);
}

static void append_time(eddy_buffer *line) {
    char text[64];
    time_t now = time(NULL);
    struct tm parts;
    localtime_r(&now, &parts);
    strftime(text, sizeof text, "[%d/%b/%Y:%H:%M:%S %z] ", &parts);
    eddy_buffer_append(line, text, strlen(text));
}

static void append_request(eddy_buffer *line, const eddy_http_head *head) {
    char request[512];
    if (head->len == 0) {
        eddy_buffer_append(line, "\"-\"", 3); /* refused before it could be read */
        return;
    }
    int n = snprintf(request, sizeof request, "%.*s %.*s HTTP/1.%d", (int)head->method_name.len,
                     head->method_name.data, (int)head->target.len, head->target.data,
                     head->version - 10);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof request ? (size_t)n : sizeof request - 1;
    append_quoted(line, eddy_slice_from(request, len));
}

void access_log_response(eddy_http_exchange *x, struct access_log *log) {
    char peer[EDDY_ADDRESS_TEXT_MAX] = "-";
    eddy_address address;
    if (log == NULL) {
        return;
    }
    if (eddy_tcp_peer(eddy_http_request_peer(x), &address) == 0) {
        eddy_address_format(&address, peer, sizeof peer);
        char *port = strrchr(peer, ':');
        if (port != NULL) {
            *port = '\0';
        }
    }
    pthread_mutex_lock(&log->lock);
    size_t before = log->gathered.len;
    int r = eddy_buffer_printf(&log->gathered, "%s - - ", peer);
    append_time(&log->gathered);
    append_request(&log->gathered, eddy_http_request_head(x));
    r = r < 0 ? r
              : eddy_buffer_printf(&log->gathered, " %d %lld\n", eddy_http_response_status(x),
                                   (long long)eddy_http_response_count(x));
    if (r < 0) {
        log->gathered.len = before; /* no memory: no half lines */
    }
    pthread_mutex_unlock(&log->lock);
    eddy_event_set(&log->has_more);
}

void access_log_close(struct access_log *log) {
    if (log == NULL) {
        return;
    }
    __atomic_store_n(&log->ending, true, __ATOMIC_RELEASE);
    eddy_event_set(&log->has_more);
    /* Not even a cancelled program loses lines; a disk that hangs it does not wait for. */
    eddy_scope shield;
    eddy_scope_enter(&shield, &(eddy_scope_opts){.shield = true, .timeout_ns = 5 * EDDY_S});
    int64_t r = eddy_scope_leave(&shield, eddy_await(log->writer));
    if (r < 0) {
        fprintf(stderr, "httpd: access log: %s\n", eddy_error_text(r));
    }
    eddy_stream_close(log->file);
    eddy_buffer_done(&log->gathered);
    pthread_mutex_destroy(&log->lock);
    free(log);
}
