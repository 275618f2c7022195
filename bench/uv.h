/* SPDX-License-Identifier: Apache-2.0 */
/* What the servers on libuv share: they listen, print the port, and read from whoever comes. */
#ifndef EDDY_BENCH_UV_H
#define EDDY_BENCH_UV_H

#include <stdio.h>
#include <uv.h>

/* Accepts into `handle` and reads; `closed` gives its memory back. */
static inline void accept_and_read(uv_stream_t *listener, uv_tcp_t *handle, uv_alloc_cb give_buffer,
                                   uv_read_cb read, uv_close_cb closed) {
    uv_stream_t *peer = (uv_stream_t *)handle;
    uv_tcp_init(listener->loop, handle);
    if (uv_accept(listener, peer) == 0) {
        uv_tcp_nodelay(handle, 1);
        uv_read_start(peer, give_buffer, read);
    } else {
        uv_close((uv_handle_t *)peer, closed);
    }
}

static inline int serve_by_uv(uv_connection_cb welcome) {
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

#endif
