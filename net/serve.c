/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One server, one lane on each loop. A lane is a task that accepts; the connections' tasks stand in
 * its scope. What they share over threads are counters, and the cell whose end begins the drain.
 *
 *     eddy_serve (scope)
 *      |- lane on loop 0 (scope `connections`) -- watcher, connection, connection ...
 *      `- lane on loop 1 (scope `connections`) -- watcher, connection ...
 */
#include <eddy/net/serve.h>

#include <stdatomic.h>
#include <string.h>

#include <eddy/net/socket_impl.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/base/opts_impl.h>
#include <eddy/runtime/loop/group.h>

#define DRAIN_TIMEOUT_DEFAULT_NS (10 * EDDY_S)

/* How long accepting pauses at most when descriptors or memory have run out: somebody else in the
 * process may free some, and nobody tells. A connection of the same lane that ends is noticed at
 * once. */
#define PAUSE_NS (50 * EDDY_MS)

/* How many a lane still accepts once a drain has begun: about as many as can have waited then. More
 * have come since, and may come for ever. */
#define LAST_MAX 4096

/* How long a drain waits for a connection that it does not see at once. An attempt may say "nobody"
 * although somebody is there: what it asks the kernel has not come back yet. */
#define LAST_WAIT_NS (10 * EDDY_MS)

struct lane {
    struct server *server;
    eddy_loop *loop;
    eddy_task *task;
    eddy_listener *made;     /* its listener, until the lane's task takes it over */
    eddy_listener *listener; /* the same from then on, until it is closed */
    eddy_scope connections;  /* all tasks of the lane */
    eddy_scope accepting;    /* what a drain cancels first */
    bool is_accepting;       /* inside `accepting` */
    bool draining;
    bool parked;            /* the lane waits for a connection to end */
    uint64_t active;        /* of this lane */
    struct eddyi_list open; /* struct connection */
};

struct server {
    eddy_serve_fn handler;
    void *arg;
    eddy_serve_opts opts;
    eddy_serve_stats own_stats;
    eddy_serve_stats *stats;
    eddy_future drain; /* DONE: drain. Its references are counted down to one, ours */
    struct eddyi_stopper stopper;
    _Atomic uint32_t active;    /* over all loops, for max_connections */
    _Atomic int64_t window_ns;  /* accept rate: when the present second began */
    _Atomic uint32_t in_window; /* accepts in it */
    unsigned lane_count;
    struct lane *lanes; /* [0] is the calling loop's; each is used on its own loop only */
};

struct connection {
    struct lane *lane;
    eddy_stream *stream;
    eddy_task *task;
    eddy_address peer;      /* with keep_peer; else empty */
    struct eddyi_list link; /* in lane->open */
    bool idle;
};

static void count(uint64_t *counter, uint64_t by) {
    __atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

/* ---- a connection ---------------------------------------------------------------------------- */

static void report(struct server *server, struct connection *connection, int64_t error) {
    count(&server->stats->failed, 1);
    if (server->opts.on_error != NULL) {
        if (!server->opts.keep_peer) {
            eddy_tcp_peer(connection->stream, &connection->peer);
        }
        server->opts.on_error(error, &connection->peer, server->opts.ctx);
    }
}

static void wake_lane(struct lane *lane) {
    if (lane->parked) {
        eddyi_task_wake(lane->task);
    }
}

/* What the handler has spawned uses the stream: it ends before the stream is closed. */
static int64_t handle(struct server *server, eddy_stream *stream) {
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, NULL);
    if (r < 0) {
        return r;
    }
    r = server->handler(stream, server->arg);
    eddy_scope_cancel(&scope);
    return eddy_scope_leave(&scope, r);
}

static int64_t serve_connection(void *arg) {
    struct connection *connection = arg;
    struct lane *lane = connection->lane;
    struct server *server = lane->server;
    eddy_stream *stream = connection->stream;
    connection->task = eddyi_task_here;
    eddyi_list_init(&connection->link);
    eddyi_list_push_back(&lane->open, &connection->link);
    stream->owner = connection;
    int64_t r = eddy_stream_idle_set(stream, server->opts.read_idle_ns, server->opts.write_idle_ns);
    if (r == 0) {
        r = handle(server, stream);
    }
    int cancelled = eddyi_task_cancelled(connection->task);
    bool sent_off = lane->draining && (r == EDDY_ECLOSED || (r == -ECANCELED && connection->idle));
    if (r < 0 && r != cancelled && !sent_off) {
        report(server, connection, r);
    }
    stream->owner = NULL;
    eddyi_list_remove(&connection->link);
    eddy_stream_close(stream);
    lane->active--;
    atomic_fetch_sub_explicit(&server->active, 1, memory_order_relaxed);
    count(&server->stats->active, UINT64_MAX);
    wake_lane(lane);
    return 0;
}

/* Starts the connection's task among the lane's connections, whatever scope is the innermost. */
static int start_connection(struct lane *lane, eddy_stream *stream) {
    struct connection connection = {.lane = lane, .stream = stream};
    if (lane->server->opts.keep_peer) {
        eddy_tcp_peer(stream, &connection.peer); /* stays empty when it has gone already */
    }
    struct eddyi_scope *scope = eddyi_scope_of(&lane->connections);
    eddy_task *task;
    int r = eddyi_task_new(lane->loop, scope, EDDY_SITE, serve_connection, &connection,
                           sizeof connection, &task);
    if (r < 0) {
        count(&lane->server->stats->refused, 1);
        eddy_stream_close(stream);
        return r;
    }
    scope->running++;
    lane->active++;
    atomic_fetch_add_explicit(&lane->server->active, 1, memory_order_relaxed);
    count(&lane->server->stats->accepted, 1);
    count(&lane->server->stats->active, 1);
    return 0;
}

/* ---- accepting ------------------------------------------------------------------------------- */

/* Waits until a connection of the lane has ended, `ns` have passed, or a drain or cancel. */
static int pause_for(struct lane *lane, int64_t ns) {
    count(&lane->server->stats->paused, 1);
    lane->parked = true;
    int r = eddyi_task_pause(lane->task, ns, "pause accepting");
    lane->parked = false;
    return r;
}

/* How long to wait for the accept rate's next second: 0 to go on now. */
static int64_t rate_wait(struct server *server, int64_t now_ns) {
    uint32_t limit = server->opts.max_accepts_per_s;
    if (limit == 0) {
        return 0;
    }
    int64_t window_ns = atomic_load(&server->window_ns);
    if (now_ns - window_ns >= EDDY_S &&
        atomic_compare_exchange_strong(&server->window_ns, &window_ns, now_ns)) {
        atomic_store(&server->in_window, 0);
        window_ns = now_ns;
    }
    if (atomic_fetch_add(&server->in_window, 1) < limit) {
        return 0;
    }
    atomic_fetch_sub(&server->in_window, 1);
    int64_t wait_ns = window_ns + EDDY_S - now_ns;
    return wait_ns > 0 ? wait_ns : EDDY_MS;
}

static bool is_full(const struct server *server) {
    return server->opts.max_connections > 0 &&
           atomic_load(&server->active) >= server->opts.max_connections;
}

static int wait_for_room(struct lane *lane) {
    struct server *server = lane->server;
    int r = 0;
    while (r == 0 && is_full(server)) {
        r = pause_for(lane, PAUSE_NS); /* another loop's connection may be the one that ends */
    }
    int64_t wait_ns;
    while (r == 0 && (wait_ns = rate_wait(server, eddyi_loop_clock(lane->loop))) > 0) {
        r = pause_for(lane, wait_ns);
    }
    return r;
}

/* What may be different soon, and ends no server. */
static bool passes(int64_t r) {
    return r == -EMFILE || r == -ENFILE || r == -ENOBUFS || r == -ENOMEM ||
           eddyi_listener_passed_over(r);
}

/* Until the scope `accepting` ends (0: a drain) or something is wrong with the listener. */
static int accept_all(struct lane *lane) {
    int r = eddy_scope_enter(&lane->accepting, NULL);
    if (r < 0) {
        return r;
    }
    lane->is_accepting = true;
    if (lane->draining) {
        eddy_scope_cancel(&lane->accepting);
    }
    while (r == 0) {
        eddy_stream *stream;
        r = wait_for_room(lane);
        if (r == 0) {
            r = eddy_listener_accept(lane->listener, &stream);
        }
        if (r == 0) {
            r = start_connection(lane, stream);
        }
        if (passes(r)) {
            r = pause_for(lane, PAUSE_NS);
        }
    }
    lane->is_accepting = false;
    eddy_scope_leave(&lane->accepting, 0);
    return lane->draining ? eddyi_task_cancelled(lane->task) : r;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* The connections that wait for a request that will not come. One that is just about to read is
 * found the next time. */
static bool end_idle_reads(struct lane *lane) {
    bool any = false;
    EDDYI_LIST_EACH(node, &lane->open) {
        struct connection *connection = EDDYI_LIST_ENTRY(node, struct connection, link);
        eddy_stream *stream = connection->stream;
        if (connection->idle && stream->class->interrupt != NULL) {
            stream->class->interrupt(stream, true, false);
            any = true;
        }
    }
    return any;
}

/* A task of the lane that waits for the drain. */
static int64_t watch_for_drain(void *arg) {
    struct lane *lane = *(struct lane **)arg;
    if (eddyi_task_await(eddyi_task_here, &lane->server->drain) == 0) {
        lane->draining = true;
        if (lane->is_accepting) {
            eddy_scope_cancel(&lane->accepting);
        }
    }
    return 0;
}

/* Waits for a connection to end, or `ns`, and looks after the idle ones: a cancel's code or 0. */
static int wait_for_an_end(struct lane *lane, int64_t ns) {
    bool idle = end_idle_reads(lane);
    lane->parked = true;
    int r = eddyi_task_pause(lane->task, idle ? PAUSE_NS : ns, "drain");
    lane->parked = false;
    return r;
}

/* 0, -EAGAIN when nobody waits, or as accept. */
static int accept_soon(struct lane *lane, eddy_stream **ret_stream) {
    eddy_scope scope;
    int r = eddy_listener_accept_try(lane->listener, ret_stream);
    if (r != -EAGAIN) {
        return r;
    }
    r = eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = LAST_WAIT_NS});
    if (r < 0) {
        return r;
    }
    r = eddy_listener_accept(lane->listener, ret_stream);
    eddy_scope_leave(&scope, 0);
    return r == -ETIME && eddy_scope_expired(&scope) ? -EAGAIN : r;
}

/* What has shaken hands before the port closes is served, within the limits. */
static void accept_the_last(struct lane *lane) {
    int r = 0;
    for (int i = 0; r == 0 && i < LAST_MAX; i++) {
        eddy_stream *stream;
        while (r == 0 && is_full(lane->server)) {
            r = wait_for_an_end(lane, PAUSE_NS);
        }
        if (r == 0) {
            r = accept_soon(lane, &stream);
        }
        if (r == 0) {
            r = start_connection(lane, stream);
        }
        if (passes(r)) {
            r = wait_for_an_end(lane, PAUSE_NS);
        }
    }
}

/* The rest of the lane's life once a drain has begun: 0, or the code of a cancel from outside. */
static int drain(struct lane *lane) {
    int64_t timeout_ns = lane->server->opts.drain_timeout_ns;
    eddy_scope scope;
    int r = eddy_scope_enter(
        &scope,
        &(eddy_scope_opts){.timeout_ns = timeout_ns == 0 ? DRAIN_TIMEOUT_DEFAULT_NS : timeout_ns});
    if (r < 0) {
        return r;
    }
    accept_the_last(lane);
    eddy_listener_close(lane->listener);
    while (lane->active > 0 && r == 0) {
        r = wait_for_an_end(lane, EDDY_NEVER);
    }
    eddy_scope_leave(&scope, 0);
    return eddyi_task_cancelled(lane->task);
}

static int64_t run_lane(struct lane *lane, eddy_listener *listener) {
    lane->loop = eddyi_loop_here;
    lane->task = eddyi_task_here;
    lane->listener = listener;
    eddyi_list_init(&lane->open);
    int64_t r =
        eddy_scope_enter(&lane->connections, &(eddy_scope_opts){.policy = EDDY_SCOPE_COLLECT});
    if (r < 0) {
        eddy_listener_close(listener);
        return r;
    }
    r = eddy_spawn(watch_for_drain, &lane, sizeof lane);
    if (r == 0) {
        r = accept_all(lane);
    }
    if (r == 0) {
        r = drain(lane);
    } else {
        eddy_listener_close(listener);
    }
    eddy_scope_cancel(&lane->connections);
    return eddy_scope_leave(&lane->connections, r);
}

static int64_t run_other_lane(void *arg) {
    struct lane *lane = *(struct lane **)arg;
    eddy_task_name_set("serve");
    return run_lane(lane, EDDY_TAKE(lane->made));
}

/* ---- the server ------------------------------------------------------------------------------ */

static void free_nothing(eddy_future *cell) {
    (void)cell; /* it lies in the server */
}

static const struct eddyi_cell_class drain_class = {.kind = "drain", .free = free_nothing};

static void begin_drain(struct eddyi_stopper *stopper) {
    struct server *server = EDDYI_CONTAINER(stopper, struct server, stopper);
    eddyi_cell_complete(&server->drain, 0, NULL, 0, NULL);
}

/* All lanes have their listeners before the first accepts. */
static int make_lanes(struct server *server, eddy_listener *first) {
    eddy_loop_group *group = server->opts.one_loop ? NULL : first->loop->group;
    unsigned loops = group == NULL ? 1 : eddy_loop_group_count(group);
    server->lanes = eddyi_zalloc(loops * sizeof *server->lanes);
    if (server->lanes == NULL) {
        return -ENOMEM;
    }
    server->lane_count = 1;
    server->lanes[0].server = server;
    for (unsigned i = 0; i < loops; i++) {
        eddy_loop *loop = group == NULL ? first->loop : eddy_loop_group_loop(group, i);
        if (loop == first->loop) {
            continue;
        }
        struct lane *lane = &server->lanes[server->lane_count++];
        lane->server = server;
        lane->loop = loop;
        int r = eddyi_listener_again(loop, first, &lane->made);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* Those whose tasks never began have a listener still. */
static void free_lanes(struct server *server) {
    for (unsigned i = 1; i < server->lane_count; i++) {
        if (server->lanes[i].made != NULL) {
            eddyi_listener_discard(server->lanes[i].made);
        }
    }
    eddyi_free(server->lanes);
}

static int64_t run_lanes(struct server *server, eddy_listener *listener) {
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, NULL);
    if (r < 0) {
        eddy_listener_close(listener);
        return r;
    }
    for (unsigned i = 1; i < server->lane_count && r == 0; i++) {
        struct lane *lane = &server->lanes[i];
        r = eddy_spawn_on(lane->loop, run_other_lane, &lane, sizeof lane);
    }
    if (r == 0) {
        r = run_lane(&server->lanes[0], listener);
    } else {
        eddy_listener_close(listener);
    }
    return eddy_scope_leave(&scope, r);
}

static int read_opts(const eddy_serve_opts *opts, eddy_serve_opts *ret_opts) {
    return EDDYI_OPTS_READ(ret_opts, opts, stats) < 0 ||
                   (ret_opts->stats != NULL && EDDYI_OPTS_SIZE(ret_opts->stats, paused) == 0) ||
                   ret_opts->read_idle_ns < 0 || ret_opts->write_idle_ns < 0 ||
                   ret_opts->drain_timeout_ns < EDDY_ZERO
               ? -EINVAL
               : 0;
}

int64_t eddy_serve(eddy_listener *listener, eddy_serve_fn handler, void *arg,
                   const eddy_serve_opts *opts) {
    if (listener == NULL) {
        return -EINVAL;
    }
    if (eddyi_task_here == NULL || listener->loop != eddyi_loop_here) {
        return eddyi_task_here == NULL ? EDDY_ENOTASK : EDDY_EWRONGLOOP;
    }
    struct server server = {.handler = handler, .arg = arg};
    int64_t r = handler == NULL ? -EINVAL : read_opts(opts, &server.opts);
    r = r < 0 ? r : make_lanes(&server, listener);
    if (r < 0) {
        eddy_listener_close(listener);
        free_lanes(&server);
        return r;
    }
    server.stats = server.opts.stats != NULL ? server.opts.stats : &server.own_stats;
    eddyi_cell_init(&server.drain, &drain_class, NULL, 1);
    server.stopper.stop = begin_drain;
    eddyi_stopper_add(listener->loop, &server.stopper);
    r = run_lanes(&server, listener);
    eddyi_stopper_remove(&server.stopper);
    free_lanes(&server);
    return r;
}

/* ---- what a handler may say ------------------------------------------------------------------ */

int eddy_serve_idle(eddy_stream *peer, bool idle) {
    struct connection *connection = peer->owner;
    if (connection == NULL) {
        return 0;
    }
    connection->idle = idle;
    return idle && connection->lane->draining ? EDDY_ECLOSED : 0;
}

bool eddy_serve_draining(const eddy_stream *peer) {
    const struct connection *connection = peer->owner;
    return connection != NULL && connection->lane->draining;
}
