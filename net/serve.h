/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serving: one task for each connection, on all loops of the program, with limits and a graceful
 * end.
 *
 *     static int64_t echo(eddy_stream *peer, void *arg) { ... return n; }
 *
 *     eddy_listener *listener;
 *     int64_t r = eddy_tcp_listen("[::]:7000", NULL, &listener);
 *     return r < 0 ? r : eddy_serve(listener, echo, NULL, NULL);
 *
 * The end, when eddy_loop_drain asks for it (eddy_main does on SIGINT and SIGTERM):
 *
 *     accepting --drain--> what has shaken hands is accepted still, then the port is closed;
 *                          the reads of connections that said they are idle end at once
 *               --> the others may finish, for drain_timeout_ns --> what is left is cancelled
 *               --> all have ended: eddy_serve returns 0
 */
#ifndef EDDY_NET_SERVE_H
#define EDDY_NET_SERVE_H

#include <eddy/net/listener.h>

EDDY_BEGIN_DECLS

/* Serves one connection. What it has spawned and left is cancelled and joined when it returns, then
 * the stream is closed, whatever it returns. A failure, its own or of a task that it spawned, goes
 * to on_error and ends nothing but this connection. */
typedef int64_t (*eddy_serve_fn)(eddy_stream *peer, void *arg);

/* Counters of a server, which starts from what they are. While it serves, its loops change them:
 * any thread may read each with __atomic_load_n (__ATOMIC_RELAXED), and two of them need not be of
 * one moment. When eddy_serve has returned they are final, and its caller may just read them. */
typedef struct eddy_serve_stats {
    size_t size;       /* sizeof(eddy_serve_stats), or 0 (runtime/base/api.h) */
    uint64_t accepted; /* connections whose task was started */
    uint64_t active;   /* of them, those that have not ended */
    uint64_t failed;   /* of them, those that ended with an error, a cancel apart */
    uint64_t refused;  /* closed at once, because there was no memory for a task */
    uint64_t paused;   /* times that accepting had to pause: no descriptor, no memory, a limit */
} eddy_serve_stats;

typedef struct eddy_serve_opts {
    size_t size;                /* sizeof(eddy_serve_opts), or 0 (runtime/base/api.h) */
    uint32_t max_connections;   /* at once, over all loops; then accepting pauses. 0: no limit */
    uint32_t max_accepts_per_s; /* over all loops; beyond it accepting pauses. 0: none */
    int64_t read_idle_ns;       /* each connection's eddy_stream_idle_set; 0: none */
    int64_t write_idle_ns;
    int64_t drain_timeout_ns; /* how long a drain waits; 0: 10 s; EDDY_ZERO: not at all */
    bool one_loop;            /* serve on the calling loop only */
    bool keep_peer;           /* ask for each peer's address when it comes: one system call */
    /* Called in the connection's task when it has failed; NULL: nothing is said. The peer's address
     * is empty when the kernel has forgotten it, as after a reset: keep_peer keeps it. */
    void (*on_error)(int64_t error, const eddy_address *peer, void *ctx);
    void *ctx;               /* for on_error */
    eddy_serve_stats *stats; /* borrowed until eddy_serve returns; NULL: not wanted */
} eddy_serve_opts;

/**
 * Serve until a drain, or until the calling scope ends.
 *
 * Shape:   0 after a drain. On a loop of a group each of its loops accepts and serves. The handler
 *          may be called on each of them.
 * Owns:    consumes the listener, always; borrows arg and what opts points to until it returns.
 * Errors:  -ECANCELED, -ETIME the scope ended: all connections were cancelled and joined; -ENOMEM,
 *          and what listening on the other loops gave, before anything was served; -EINVAL an
 *          option is out of range; EDDY_ENOTASK, EDDY_EWRONGLOOP: the listener is not consumed.
 *          Trouble with single connections, and memory or descriptors running out (-EMFILE,
 *          -ENFILE, -ENOBUFS), end nothing: accepting pauses until there is room.
 * Threads: fiber, on the listener's loop.
 * Cancel:  suspends; returns when every connection's task has ended.
 */
EDDY_API int64_t eddy_serve(eddy_listener *listener, eddy_serve_fn handler, void *arg,
                            const eddy_serve_opts *opts);

/**
 * Say that the connection is between two requests (or no longer): a drain does not wait for it.
 *
 * Shape:   while idle, a drain ends the connection's read with -ECANCELED. The task is not
 *          cancelled: it may say goodbye, and should then return. A stream that eddy_serve did not
 *          make takes no notice.
 * Owns:    nothing.
 * Errors:  EDDY_ECLOSED with idle true: a drain has begun, end the connection now. The handler may
 *          return it: in a drain that is a connection's orderly end and no failure.
 * Threads: fiber, on the stream's loop.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_serve_idle(eddy_stream *peer, bool idle);

/**
 * Whether a drain has begun: a protocol that can say so should end the connection after this
 * answer.
 *
 * Shape:   false for a stream that eddy_serve did not make.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: loop thread, the stream's.
 * Cancel:  does not suspend.
 */
EDDY_API bool eddy_serve_draining(const eddy_stream *peer);

EDDY_END_DECLS

#endif
