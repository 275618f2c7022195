/* SPDX-License-Identifier: Apache-2.0 */
/* Echo on libuv: a buffer of its own for each connection, written at once. Prints its port. */
#include <stdlib.h>
#include <string.h>

#include "../uv.h"

struct connection {
    uv_tcp_t handle; /* first, so that a handle is its connection */
    char bytes[16 * 1024];
};

struct rest {
    uv_write_t request;
    char bytes[];
};

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf) {
    (void)suggested;
    struct connection *connection = (struct connection *)handle;
    *ret_buf = uv_buf_init(connection->bytes, sizeof connection->bytes);
}

static void free_connection(uv_handle_t *handle) {
    free(handle);
}

static void written(uv_write_t *request, int status) {
    (void)status;
    free(request);
}

/* What the socket did not take at once waits in memory of its own. */
static void write_later(uv_stream_t *peer, const char *bytes, size_t len) {
    struct rest *rest = malloc(sizeof *rest + len);
    if (rest == NULL) {
        abort();
    }
    memcpy(rest->bytes, bytes, len);
    uv_buf_t out = uv_buf_init(rest->bytes, (unsigned)len);
    uv_write(&rest->request, peer, &out, 1, written);
}

static void echo(uv_stream_t *peer, ssize_t n, const uv_buf_t *buf) {
    if (n < 0) {
        uv_close((uv_handle_t *)peer, free_connection);
        return;
    }
    uv_buf_t out = uv_buf_init(buf->base, (unsigned)n);
    int written_now = n == 0 ? 0 : uv_try_write(peer, &out, 1);
    size_t done = written_now < 0 ? 0 : (size_t)written_now;
    if (done < (size_t)n) {
        write_later(peer, buf->base + done, (size_t)n - done);
    }
}

static void welcome(uv_stream_t *listener, int status) {
    struct connection *connection = status < 0 ? NULL : malloc(sizeof *connection);
    if (connection == NULL) {
        return;
    }
    accept_and_read(listener, &connection->handle, give_buffer, echo, free_connection);
}

int main(void) {
    return serve_by_uv(welcome);
}
