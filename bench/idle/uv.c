/* SPDX-License-Identifier: Apache-2.0 */
/* A server of lines on libuv: one buffer for all, what is left of a line stays with its connection.
 * Prints its port. */
#include <stdlib.h>
#include <string.h>

#include "../uv.h"

struct connection {
    uv_tcp_t handle; /* first, so that a handle is its connection */
    char *part;      /* of a line whose end has not come; NULL: none */
    size_t len;
};

static char bytes[64 * 1024];

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf) {
    struct connection *connection = (struct connection *)handle;
    (void)suggested;
    if (connection->len > 0) {
        memcpy(bytes, connection->part, connection->len);
    }
    *ret_buf = uv_buf_init(bytes + connection->len, sizeof bytes / 2);
}

static void free_connection(uv_handle_t *handle) {
    free(((struct connection *)handle)->part);
    free(handle);
}

static void keep(struct connection *connection, const char *rest, size_t len) {
    free(connection->part);
    connection->part = len == 0 ? NULL : memcpy(malloc(len), rest, len);
    connection->len = len;
}

static void echo_lines(uv_stream_t *peer, ssize_t n, const uv_buf_t *buf) {
    struct connection *connection = (struct connection *)peer;
    (void)buf;
    if (n < 0 || connection->len + (size_t)n > sizeof bytes / 2) {
        uv_close((uv_handle_t *)peer, free_connection);
        return;
    }
    size_t len = connection->len + (size_t)n;
    char *end = memrchr(bytes, '\n', len);
    size_t whole = end == NULL ? 0 : (size_t)(end + 1 - bytes);
    uv_buf_t out = uv_buf_init(bytes, (unsigned)whole);
    if (whole > 0) {
        uv_try_write(peer, &out, 1);
    }
    keep(connection, bytes + whole, len - whole);
}

static void welcome(uv_stream_t *listener, int status) {
    struct connection *connection = status < 0 ? NULL : calloc(1, sizeof *connection);
    if (connection == NULL) {
        return;
    }
    accept_and_read(listener, &connection->handle, give_buffer, echo_lines, free_connection);
}

int main(void) {
    return serve_by_uv(welcome);
}
