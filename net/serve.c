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
#include <eddy/runtime/loop/group.h>

#define DRAIN_TIMEOUT_DEFAULT_NS (10 * EDDY_S)

/* How long accepting pauses at most when descriptors or memory have run out: somebody else in the
 * process may free some, and nobody tells. A connection of ours that ends is noticed at once. */
#define PAUSE_NS (50 * EDDY_MS)

struct server {
    eddy_serve_fn handler;
    void *arg;
    eddy_serve_opts opts;
    eddy_serve_stats own_stats;
    eddy_serve_stats *stats;
    eddy_future drain;          /* DONE: drain. Its references are counted down to one, ours */
    struct eddyi_stopper stopper;
    _Atomic uint32_t active;    /* over all loops, for max_connections */
    _Atomic int64_t window_ns;  /* accept rate: when the present second began */
    _Atomic uint32_t in_window; /* accepts in it */
};

struct lane {
    struct server *server;
    eddy_loop *loop;
    eddy_task *task;
    eddy_listener *listener;
    eddy_scope connections;     /* all tasks of the lane */
    eddy_scope accepting;       /* what a drain cancels first */
    bool is_accepting;          /* inside `accepting` */
    bool draining;
    bool parked;                /* the lane waits for a connection to end */
    uint64_t active;            /* of this lane */
    struct eddyi_list open;     /* struct connection */
};

struct connection {
    struct lane *lane;
    eddy_stream *stream;
    eddy_task *task;
    struct eddyi_list link;     /* in lane->open */
    bool idle;
};

static void count(uint64_t *counter, uint64_t by) {
    __atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

/* ---- a connection ---------------------------------------------------------------------------- */

static void report(struct server *server, eddy_stream *stream, int64_t error) {
    count(&server->stats->failed, 1);
    if (server->opts.on_error != NULL) {
        eddy_address peer = {0};
        eddy_tcp_peer(stream, &peer);
        server->opts.on_error(error, &peer, server->arg);
    }
}

static void wake_lane(struct lane *lane) {
    if (lane->parked) {
        eddyi_task_wake(lane->task);
    }
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
        r = server->handler(stream, server->arg);
    }
    int cancelled = eddyi_task_cancelled(connection->task);
    if (r < 0 && r != cancelled) {
        report(server, stream, r);
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

static int wait_for_room(struct lane *lane) {
    struct server *server = lane->server;
    int r = 0;
    while (r == 0 && server->opts.max_connections > 0 &&
           atomic_load(&server->active) >= server->opts.max_connections) {
        r = pause_for(lane, PAUSE_NS); /* another loop's connection may be the one that ends */
    }
    int64_t wait_ns;
    while (r == 0 && (wait_ns = rate_wait(server, eddyi_loop_clock(lane->loop))) > 0) {
        r = pause_for(lane, wait_ns);
    }
    return r;
}

static bool out_of_something(int64_t r) {
    return r == -EMFILE || r == -ENFILE || r == -ENOBUFS || r == -ENOMEM;
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
        if (out_of_something(r)) {
            r = pause_for(lane, PAUSE_NS);
        }
    }
    lane->is_accepting = false;
    eddy_scope_leave(&lane->accepting, 0);
    return lane->draining ? 0 : r;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* The connections that wait for a request that will not come. */
static void cancel_idle(struct lane *lane) {
    EDDYI_LIST_EACH(node, &lane->open) {
        struct connection *connection = EDDYI_LIST_ENTRY(node, struct connection, link);
        if (connection->idle) {
            eddyi_scope_raise(&connection->task->root, -ECANCELED);
        }
    }
}

/* A task of the lane that waits for the drain. */
static int64_t watch_for_drain(void *arg) {
    struct lane *lane = *(struct lane **)arg;
    if (eddyi_task_await(eddyi_task_here, &lane->server->drain) == 0) {
        lane->draining = true;
        if (lane->is_accepting) {
            eddy_scope_cancel(&lane->accepting);
        }
        cancel_idle(lane);
    }
    return 0;
}

/* What has shaken hands before the port closes is served. */
static void accept_the_last(struct lane *lane) {
    eddy_stream *stream;
    while (eddy_listener_accept_try(lane->listener, &stream) == 0) {
        start_connection(lane, stream);
    }
}

static void wait_for_the_last(struct lane *lane) {
    int64_t timeout_ns = lane->server->opts.drain_timeout_ns;
    eddy_scope scope;
    if (timeout_ns == 0) {
        timeout_ns = DRAIN_TIMEOUT_DEFAULT_NS;
    }
    if (eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = timeout_ns}) < 0) {
        return;
    }
    int r = 0;
    lane->parked = true;
    while (lane->active > 0 && r == 0) {
        r = eddyi_task_pause(lane->task, EDDY_NEVER, "drain");
    }
    lane->parked = false;
    eddy_scope_leave(&scope, 0);
}

static int64_t run_lane(struct lane *lane) {
    lane->loop = eddyi_loop_here;
    lane->task = eddyi_task_here;
    eddyi_list_init(&lane->open);
    int64_t r = eddy_scope_enter(&lane->connections,
                                 &(eddy_scope_opts){.policy = EDDY_SCOPE_COLLECT});
    if (r < 0) {
        eddy_listener_close(lane->listener);
        return r;
    }
    r = eddy_spawn(watch_for_drain, &lane, sizeof lane);
    if (r == 0) {
        r = accept_all(lane);
    }
    if (r == 0) {
        accept_the_last(lane);
    }
    eddy_listener_close(lane->listener);
    if (r == 0) {
        wait_for_the_last(lane);
    }
    eddy_scope_cancel(&lane->connections);
    return eddy_scope_leave(&lane->connections, r);
}

/* What a lane on another loop is started with. */
struct lane_start {
    struct server *server;
    eddy_listener *listener; /* made here, used there */
};

static int64_t run_other_lane(void *arg) {
    struct lane_start *start = arg;
    struct lane lane = {.server = start->server, .listener = start->listener};
    return run_lane(&lane);
}

static int start_other_lane(struct server *server, eddy_listener *first, eddy_loop *loop) {
    struct lane_start start = {.server = server};
    int r = eddyi_listener_again(loop, first, &start.listener);
    if (r < 0) {
        return r;
    }
    r = eddy_spawn_on(loop, run_other_lane, &start, sizeof start);
    if (r < 0) {
        eddyi_listener_discard(start.listener);
    }
    return r;
}

/* ---- the server ------------------------------------------------------------------------------ */

static void free_nothing(eddy_future *cell) {
    (void)cell; /* it lies in the server */
}

static const struct eddyi_cell_class drain_class = {"drain", NULL, free_nothing};

static void begin_drain(struct eddyi_stopper *stopper) {
    struct server *server = EDDYI_CONTAINER(stopper, struct server, stopper);
    eddyi_cell_complete(&server->drain, 0, NULL, 0, NULL);
}

static int start_other_lanes(struct server *server, eddy_listener *first) {
    eddy_loop_group *group = first->loop->group;
    unsigned count = group == NULL || server->opts.one_loop ? 0 : eddy_loop_group_count(group);
    int r = 0;
    for (unsigned i = 0; i < count && r == 0; i++) {
        eddy_loop *loop = eddy_loop_group_loop(group, i);
        if (loop != first->loop) {
            r = start_other_lane(server, first, loop);
        }
    }
    return r;
}

static int64_t run_server(struct server *server, eddy_listener *listener) {
    struct lane lane = {.server = server, .listener = listener};
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, NULL);
    if (r < 0) {
        eddy_listener_close(listener);
        return r;
    }
    r = start_other_lanes(server, listener);
    if (r == 0) {
        r = run_lane(&lane);
    } else {
        eddy_listener_close(listener);
    }
    return eddy_scope_leave(&scope, r);
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
    if (handler == NULL || (opts != NULL && opts->size > sizeof *opts)) {
        eddy_listener_close(listener);
        return -EINVAL;
    }
    if (opts != NULL) {
        memcpy(&server.opts, opts, opts->size == 0 ? sizeof *opts : opts->size);
    }
    server.stats = server.opts.stats != NULL ? server.opts.stats : &server.own_stats;
    eddyi_cell_init(&server.drain, &drain_class, NULL, 1);
    server.stopper.stop = begin_drain;
    eddyi_stopper_add(listener->loop, &server.stopper);
    int64_t r = run_server(&server, listener);
    eddyi_stopper_remove(&server.stopper);
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
