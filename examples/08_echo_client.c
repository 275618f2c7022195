/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP client with a deadline: sends each line of standard input and prints the answer.
 *
 * Shows:  eddy_tcp_connect, readers with a line limit, one deadline around several calls, standard
 *         input that blocks no loop.
 * Needs:  Linux 5.10 or later, and 07_echo_server running.
 * Run:    echo hello | ./08_echo_client 127.0.0.1:7000
 * Expect: hello
 */
#include <stdio.h>

#include <eddy/eddy.h>

#define LINE_MAX_BYTES (64 * 1024)

/* One line there and back, within two seconds. */
static int64_t exchange(eddy_stream *server, eddy_reader *answers, eddy_slice line) {
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = 2 * EDDY_S});
    if (r < 0) {
        return r;
    }
    eddy_slice whole[] = {line, eddy_slice_of("\n")};
    eddy_slice answer = {0};
    r = eddy_stream_write_slices(server, whole, 2);
    if (r == 0) {
        r = eddy_reader_line(answers, LINE_MAX_BYTES, &answer);
    }
    r = eddy_scope_leave(&scope, r);
    if (r > 0) {
        printf("%.*s\n", (int)answer.len, answer.data);
        fflush(stdout);
    }
    return r == 0 ? EDDY_EEND : r; /* the server has closed */
}

static int64_t talk(eddy_stream *server) {
    EDDY_AUTO(eddy_stream) *input = NULL;
    EDDY_AUTO(eddy_reader) *lines = NULL;
    EDDY_AUTO(eddy_reader) *answers = NULL;
    /* Not fgets: it would stop every task of the loop until somebody types. */
    int64_t r = eddy_file_open("/dev/stdin", EDDY_FILE_READ, 0, &input);
    r = r < 0 ? r : eddy_reader_new(input, NULL, &lines);
    r = r < 0 ? r : eddy_reader_new(server, NULL, &answers);
    eddy_slice line;
    while (r >= 0 && (r = eddy_reader_line(lines, LINE_MAX_BYTES, &line)) > 0) {
        r = exchange(server, answers, line);
    }
    return r;
}

static int64_t app(void *arg) {
    EDDY_AUTO(eddy_stream) *server = NULL;
    int64_t r = eddy_tcp_connect(arg, NULL, &server);
    if (r < 0) {
        fprintf(stderr, "cannot connect to %s\n", (const char *)arg);
        return r; /* and eddy_main says why */
    }
    return talk(server);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s HOST:PORT\n", argv[0]);
        return 2;
    }
    return eddy_main(app, argv[1], NULL);
}
