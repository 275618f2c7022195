/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of connections share: listeners, pairs of streams, and a host that fails. */
#ifndef EDDY_TESTS_NET_NET_H
#define EDDY_TESTS_NET_NET_H

#include <string.h>

#include <eddy/net/socket_impl.h>
#include <eddy/net/tcp.h>
#include <eddy/runtime/task/scope.h>
#include <eddy/runtime/task/task_impl.h>

#include "test.h"

struct text {
    char bytes[EDDY_ADDRESS_TEXT_MAX];
};

static inline struct text text_of(eddy_address address) {
    struct text text;
    CHECK_OK(eddy_address_format(&address, text.bytes, sizeof text.bytes));
    return text;
}

static inline eddy_listener *listen_on(const char *address, const eddy_listen_opts *opts) {
    eddy_listener *listener;
    CHECK_OK(eddy_tcp_listen(address, opts, &listener));
    return listener;
}

static inline eddy_stream *connect_to(const eddy_listener *listener, const eddy_tcp_opts *opts) {
    eddy_stream *stream;
    CHECK_OK(eddy_tcp_connect(text_of(eddy_listener_address(listener)).bytes, opts, &stream));
    return stream;
}

static inline eddy_stream *accept_from(eddy_listener *listener) {
    eddy_stream *stream;
    CHECK_OK(eddy_listener_accept(listener, &stream));
    return stream;
}

/* Two ends of a connection over the loopback. */
static inline void tcp_pair(eddy_stream **ret_client, eddy_stream **ret_server) {
    eddy_listener *listener = listen_on("127.0.0.1:0", NULL);
    *ret_client = connect_to(listener, NULL);
    *ret_server = accept_from(listener);
    CHECK_OK(eddy_listener_close(listener));
}

/* An option of the socket below a stream, on whichever host. */
static inline int option_of(eddy_stream *stream, int level, int name) {
    int value = -1;
    socklen_t len = sizeof value;
    const struct eddyi_host *host = stream->loop->host;
    CHECK_OK(host->getsockopt(host->ctx, eddy_stream_fd(stream), level, name, &value, &len));
    return value;
}

static inline bool simulated(void) {
    return strcmp(eddy_loop_driver(eddy_loop_current()), "sim") == 0;
}

static inline bool task_is_parked(const eddy_task *task) {
    return task != NULL && task->state == EDDYI_TASK_PARKED;
}

/* Waits until the task that noted itself in *task waits for something. */
static inline void wait_until_parked(eddy_task *const *task) {
    while (!task_is_parked(*task)) {
        CHECK_OK(eddy_yield());
    }
}

/* Bytes there and bytes back. */
static inline void check_talk(eddy_stream *a, eddy_stream *b) {
    char buf[8];
    CHECK_OK(eddy_stream_write(a, "ping", 4));
    CHECK_OK(eddy_stream_read_exact(b, buf, 4));
    CHECK_BYTES(buf, 4, "ping", 4);
    CHECK_OK(eddy_stream_write(b, "pong", 4));
    CHECK_OK(eddy_stream_read_exact(a, buf, 4));
    CHECK_BYTES(buf, 4, "pong", 4);
}

#endif
