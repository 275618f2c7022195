/* SPDX-License-Identifier: Apache-2.0 */
/* Short connections on libuv: read a request, answer, close. Prints its port. */
#include <stdlib.h>
#include <string.h>

#include "../http/response.h"
#include "../uv.h"

struct connection {
    uv_tcp_t handle; /* first, so that a handle is its connection */
    size_t len;
    char bytes[4096];
};

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf) {
    struct connection *connection = (struct connection *)handle;
    (void)suggested;
    *ret_buf = uv_buf_init(connection->bytes + connection->len,
                           (unsigned)(sizeof connection->bytes - connection->len));
}

static void free_connection(uv_handle_t *handle) {
    free(handle);
}

static void respond(uv_stream_t *peer, ssize_t n, const uv_buf_t *buf) {
    struct connection *connection = (struct connection *)peer;
    (void)buf;
    if (n > 0) {
        connection->len += (size_t)n;
        if (memmem(connection->bytes, connection->len, "\r\n\r\n", 4) == NULL) {
            return;
        }
        static char response[] = CLOSING_RESPONSE;
        uv_buf_t out = uv_buf_init(response, sizeof response - 1);
        uv_try_write(peer, &out, 1);
    }
    uv_close((uv_handle_t *)peer, free_connection);
}

static void welcome(uv_stream_t *listener, int status) {
    struct connection *connection = status < 0 ? NULL : malloc(sizeof *connection);
    if (connection == NULL) {
        return;
    }
    connection->len = 0;
    accept_and_read(listener, &connection->handle, give_buffer, respond, free_connection);
}

int main(void) {
    return serve_by_uv(welcome);
}
