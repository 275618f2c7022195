/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP client with a deadline: sends each line of standard input and prints the answer.
 *
 * Shows:  eddy_tcp_connect, a reader with a line limit, one deadline around several calls.
 * Needs:  Linux 5.10 or later, and 07_echo_server running.
 * Run:    echo hello | ./08_echo_client 127.0.0.1:7000
 * Expect: hello
 */
#include <stdio.h>
#include <string.h>

#include <eddy/eddy.h>

/* One line there and back, within two seconds. */
static int64_t exchange(eddy_stream *server, eddy_reader *reader, const char *line) {
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = 2 * EDDY_S});
    if (r < 0) {
        return r;
    }
    r = eddy_stream_write(server, line, strlen(line));
    eddy_slice answer = {0};
    if (r == 0) {
        r = eddy_reader_line(reader, 64 * 1024, &answer);
    }
    r = eddy_scope_leave(&scope, r);
    if (r > 0) {
        printf("%.*s\n", (int)answer.len, answer.data);
    }
    return r;
}

static int64_t app(void *arg) {
    EDDY_AUTO(eddy_stream) *server = NULL;
    int64_t r = eddy_tcp_connect(arg, NULL, &server);
    if (r < 0) {
        return r;
    }
    EDDY_AUTO(eddy_reader) *reader = NULL;
    r = eddy_reader_new(server, NULL, &reader);
    char line[4096];
    while (r >= 0 && fgets(line, sizeof line, stdin) != NULL) {
        r = exchange(server, reader, line);
    }
    return r < 0 ? r : 0;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s HOST:PORT\n", argv[0]);
        return 2;
    }
    return eddy_main(app, argv[1], NULL);
}
