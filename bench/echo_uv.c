/* SPDX-License-Identifier: Apache-2.0 */
/* Echo on libuv, as its guide has it. Prints its port. */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct answer {
    uv_write_t request;
    char *bytes;
};

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf) {
    (void)handle;
    ret_buf->base = malloc(suggested);
    ret_buf->len = ret_buf->base == NULL ? 0 : suggested;
}

static void free_handle(uv_handle_t *handle) {
    free(handle);
}

static void written(uv_write_t *request, int status) {
    struct answer *answer = (struct answer *)request;
    (void)status;
    free(answer->bytes);
    free(answer);
}

static void echo(uv_stream_t *peer, ssize_t n, const uv_buf_t *buf) {
    struct answer *answer = n > 0 ? malloc(sizeof *answer) : NULL;
    if (answer == NULL) {
        free(buf->base);
        if (n < 0) {
            uv_close((uv_handle_t *)peer, free_handle);
        }
        return;
    }
    answer->bytes = buf->base;
    uv_buf_t out = uv_buf_init(buf->base, (unsigned)n);
    uv_write(&answer->request, peer, &out, 1, written);
}

static void welcome(uv_stream_t *listener, int status) {
    uv_tcp_t *peer = status < 0 ? NULL : malloc(sizeof *peer);
    if (peer == NULL) {
        return;
    }
    uv_tcp_init(listener->loop, peer);
    if (uv_accept(listener, (uv_stream_t *)peer) == 0) {
        uv_tcp_nodelay(peer, 1);
        uv_read_start((uv_stream_t *)peer, give_buffer, echo);
    } else {
        uv_close((uv_handle_t *)peer, free_handle);
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
