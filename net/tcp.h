/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP, and Unix stream sockets, which differ in nothing but the address.
 *
 *     eddy_stream *server;
 *     int r = eddy_tcp_connect("127.0.0.1:7000", NULL, &server);
 *     if (r == 0) {
 *         r = eddy_stream_write(server, "hello\n", 6);
 *         eddy_stream_close(server);
 *     }
 *
 * What comes back is an eddy_stream (runtime/io/stream.h): read, write, eddy_stream_shutdown for
 * the half-close. A deadline is a scope around the call.
 */
#ifndef EDDY_NET_TCP_H
#define EDDY_NET_TCP_H

#include <eddy/futures/future.h>
#include <eddy/net/address.h>
#include <eddy/net/listener.h>
#include <eddy/runtime/io/stream.h>

EDDY_BEGIN_DECLS

/* For connections: given to connect, or set by a listener on each one that it accepts. */
typedef struct eddy_tcp_opts {
    size_t size;          /* sizeof(eddy_tcp_opts), or 0 (runtime/base/api.h) */
    bool nagle;           /* collect small writes (TCP_NODELAY is set without it) */
    bool quick_ack;       /* TCP_QUICKACK, which the kernel takes back when it likes */
    int64_t keepalive_ns; /* probe a silent peer after so long, in whole seconds; 0: never */
    int64_t keepalive_interval_ns; /* between probes, in whole seconds; 0: the system's */
    uint32_t keepalive_count;      /* unanswered probes until -ETIMEDOUT; 0: the system's */
    uint32_t recv_buffer_bytes;    /* SO_RCVBUF; 0: the system's */
    uint32_t send_buffer_bytes;    /* SO_SNDBUF; 0: the system's */
    int64_t user_timeout_ns;       /* TCP_USER_TIMEOUT for unacknowledged data; 0: the system's */
    bool linger;                   /* SO_LINGER with linger_ns: close waits until all is sent */
    int64_t linger_ns;             /* whole seconds; 0 with `linger`: close resets the connection */
    const char *bind;              /* connect: the local address, port 0 for any; NULL: any */
} eddy_tcp_opts;

/**
 * Connect.
 *
 * Shape:   address as eddy_address_parse reads it, "unix:" included.
 * Owns:    borrows address and opts until it returns; *ret_stream is closed with eddy_stream_close.
 * Errors:  EDDY_EADDRESS (eddy_error_detail says where); -ECONNREFUSED, -ENETUNREACH,
 *          -EHOSTUNREACH, -ETIMEDOUT the network's own; -EADDRNOTAVAIL; -ENOENT no such socket
 *          file; -EMFILE, -ENFILE, -ENOMEM; -EINVAL an option is out of range; EDDY_ENOTASK.
 * Threads: fiber.
 * Cancel:  suspends; after -ECANCELED or -ETIME nothing is left of the attempt.
 */
EDDY_API int eddy_tcp_connect(const char *address, const eddy_tcp_opts *opts,
                              eddy_stream **ret_stream);

/**
 * Connect to an address that has been parsed.
 *
 * Shape:   as eddy_tcp_connect.
 * Owns:    as eddy_tcp_connect.
 * Errors:  as eddy_tcp_connect; -EAFNOSUPPORT.
 * Threads: fiber.
 * Cancel:  as eddy_tcp_connect.
 */
EDDY_API int eddy_tcp_connect_to(const eddy_address *address, const eddy_tcp_opts *opts,
                                 eddy_stream **ret_stream);

/**
 * Start to connect and go on; the future ends with what eddy_tcp_connect would return, and carries
 * the stream.
 *
 *     eddy_future *one = eddy_tcp_connect_start("127.0.0.1:7000", NULL);
 *     eddy_future *two = eddy_tcp_connect_start("127.0.0.1:7001", NULL);
 *     int64_t r = eddy_await(one);
 *     if (r == 0) {
 *         eddy_future_take_payload(one, &stream, NULL);         (a void *)
 *     }
 *
 * Shape:   never NULL.
 * Owns:    copies address and opts. The future belongs to the current scope. A stream that was
 *          taken is closed with eddy_stream_close, one that was not is closed with the future.
 * Errors:  in the future: as eddy_tcp_connect.
 * Threads: loop thread, inside a task or not.
 * Cancel:  does not suspend; cancelling the future ends the attempt.
 */
EDDY_API eddy_future *eddy_tcp_connect_start(const char *address, const eddy_tcp_opts *opts);

/**
 * Listen.
 *
 * Shape:   address as eddy_address_parse reads it; port 0 takes a free one, eddy_listener_address
 *          tells which. "[::]:80" and ":80" take IPv4 connections too unless opts says otherwise;
 *          in a kernel without IPv6 they are "0.0.0.0:80".
 * Owns:    borrows address and opts until it returns; *ret_listener is closed by
 *          eddy_listener_close or consumed by eddy_serve.
 * Errors:  EDDY_EADDRESS; -EADDRINUSE, of a socket file too; -EADDRNOTAVAIL; -EACCES; -ENOENT no
 *          such folder; -EMFILE, -ENFILE, -ENOMEM; -EINVAL an option is out of range; EDDY_ENOTASK
 *          no loop runs on this thread.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_tcp_listen(const char *address, const eddy_listen_opts *opts,
                             eddy_listener **ret_listener);

/**
 * Set a connection's options anew.
 *
 * Shape:   opts as for connect; `bind` is not looked at. NULL: the defaults. Sizes and the times
 *          between probes that are 0 stay as they were.
 * Owns:    borrows opts until it returns.
 * Errors:  -ENOTSOCK the stream is no socket; -EINVAL; EDDY_EWRONGLOOP; EDDY_ECLOSED.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_tcp_opts_set(eddy_stream *stream, const eddy_tcp_opts *opts);

/**
 * The address of the other end.
 *
 * Shape:   of an IPv4 peer on a dual-stack listener: the IPv4-mapped IPv6 address.
 * Owns:    copies.
 * Errors:  -ENOTSOCK; -ENOTCONN the peer has reset the connection; EDDY_ECLOSED; EDDY_EWRONGLOOP.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_tcp_peer(const eddy_stream *stream, eddy_address *ret_address);

/**
 * The address of this end.
 *
 * Shape:   as the kernel has it.
 * Owns:    copies.
 * Errors:  -ENOTSOCK; EDDY_ECLOSED; EDDY_EWRONGLOOP.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_tcp_local(const eddy_stream *stream, eddy_address *ret_address);

EDDY_END_DECLS

#endif
