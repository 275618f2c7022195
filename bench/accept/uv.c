/* SPDX-License-Identifier: Apache-2.0 */
/* Short connections on libuv: read a request, answer, close. Prints its port. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "../http/response.h"

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
    uv_stream_t *peer = (uv_stream_t *)&connection->handle;
    connection->len = 0;
    uv_tcp_init(listener->loop, &connection->handle);
    if (uv_accept(listener, peer) == 0) {
        uv_tcp_nodelay(&connection->handle, 1);
        uv_read_start(peer, give_buffer, respond);
    } else {
        uv_close((uv_handle_t *)peer, free_connection);
    }
}

int main(void) {
    uv_tcp_t listener;
    struct sockaddr_in address;
    int len = sizeof address;
    uv_tcp_init(uv_default_loop(), &listener);
    uv_ip4_addr("127.0.0.1", 0, &address);
    if (uv_tcp_bind(&listener, (struct sockaddr *)&address, 0) < 0 ||
        uv_listen((uv_stream_t *)&listener, 4096, welcome) < 0 ||
        uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &len) < 0) {
        return 1;
    }
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
