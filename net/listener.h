/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listener: accepts connections. Made by eddy_tcp_listen, or taken over from systemd. Most
 * servers give it to eddy_serve (net/serve.h) and never call these.
 *
 *     eddy_stream *peer;
 *     while ((r = eddy_listener_accept(listener, &peer)) == 0) {
 *         ...
 *     }
 *     eddy_listener_close(listener);
 */
#ifndef EDDY_NET_LISTENER_H
#define EDDY_NET_LISTENER_H

#include <eddy/net/address.h>
#include <eddy/runtime/io/stream.h>

EDDY_BEGIN_DECLS

typedef struct eddy_listener eddy_listener;
struct eddy_tcp_opts;

typedef struct eddy_listen_opts {
    size_t size;      /* sizeof(eddy_listen_opts), or 0 (runtime/base/api.h) */
    uint32_t backlog; /* connections that may wait for accept; 0: 4096. The system may cut it */
    bool v6_only;     /* an IPv6 listener takes no IPv4 connections */
    bool no_reuse;    /* without SO_REUSEADDR: -EADDRINUSE while old connections linger */
    bool reuse_port;  /* SO_REUSEPORT: other programs of this user may share the port */
    bool replace;     /* "unix:/path": remove a socket file that lies there, alive or not, first */
    unsigned mode;    /* "unix:/path": the socket file's permissions; 0: as the umask says */
    const struct eddy_tcp_opts *connection; /* for each accepted one; NULL: defaults. Copied */
} eddy_listen_opts;

/**
 * Wait for the next connection.
 *
 * Shape:   connections that ended before they were accepted are passed over.
 * Owns:    *ret_stream is the caller's, closed with eddy_stream_close.
 * Errors:  -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM: nothing is lost, the connection waits on;
 *          EDDY_ECLOSED the listener was closed; -EBUSY another task accepts; the network's own
 *          (-ENETDOWN, -EPERM ...) when it says nothing else for long; EDDY_EWRONGLOOP;
 *          EDDY_ENOTASK.
 * Threads: fiber, on the listener's loop.
 * Cancel:  suspends; no connection is lost: what was accepted comes from the next call.
 */
EDDY_API int eddy_listener_accept(eddy_listener *listener, eddy_stream **ret_stream);

/**
 * Accept without waiting.
 *
 * Shape:   as eddy_listener_accept.
 * Owns:    as eddy_listener_accept.
 * Errors:  -EAGAIN nobody waits; as eddy_listener_accept.
 * Threads: loop thread, the listener's.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_listener_accept_try(eddy_listener *listener, eddy_stream **ret_stream);

/**
 * Stop listening and free the listener. The port is free when it returns; what was accepted lives
 * on.
 *
 * Shape:   NULL is fine. A pending accept gets EDDY_ECLOSED. The socket file that it made is
 *          removed, unless another one lies in its place.
 * Owns:    consumes the listener, always.
 * Errors:  EDDY_EWRONGLOOP, EDDY_ENOTASK (it is then not closed).
 * Threads: fiber, on the listener's loop.
 * Cancel:  may suspend; never refused.
 */
EDDY_API int eddy_listener_close(eddy_listener *listener);

/**
 * Where it listens, with the port that was found for port 0.
 *
 * Shape:   a value.
 * Owns:    copies.
 * Errors:  none.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API eddy_address eddy_listener_address(const eddy_listener *listener);

/**
 * Take over a socket that listens already.
 *
 * Shape:   fd is a listening stream socket: IPv4, IPv6 or Unix. TCP_NODELAY is set on it, for what
 *          it accepts. A socket file stays when it is closed: it is somebody else's.
 * Owns:    consumes fd, on success only.
 * Errors:  -ENOTSOCK, -EBADF; -EINVAL it does not listen, or is no stream; -EAFNOSUPPORT; -ENOMEM;
 *          EDDY_ENOTASK no loop runs here.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_listener_from_fd(int fd, eddy_listener **ret_listener);

/**
 * Take over the `index`-th socket that systemd passed (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS).
 *
 * Shape:   index from 0, each one once.
 * Owns:    the descriptor is the listener's, and gets close-on-exec.
 * Errors:  -ENOENT none was passed to this process, or fewer; as eddy_listener_from_fd.
 * Threads: loop thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_listener_inherited(unsigned index, eddy_listener **ret_listener);

static inline void eddy_listener_freep(eddy_listener **listener) {
    if (*listener != NULL) {
        eddy_listener_close(*listener);
    }
}

EDDY_END_DECLS

#endif
