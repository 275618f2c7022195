/* SPDX-License-Identifier: Apache-2.0 */
/* Echo on libuv: a buffer of its own for each connection, written at once. Prints its port. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

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
    uv_stream_t *peer = (uv_stream_t *)&connection->handle;
    uv_tcp_init(listener->loop, &connection->handle);
    if (uv_accept(listener, peer) == 0) {
        uv_tcp_nodelay(&connection->handle, 1);
        uv_read_start(peer, give_buffer, echo);
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
