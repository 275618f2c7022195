/* SPDX-License-Identifier: Apache-2.0 */
/* How driver tests start operations by hand, without tasks, and see how they end. */
#ifndef EDDY_TESTS_RUNTIME_DRIVER_OPS_H
#define EDDY_TESTS_RUNTIME_DRIVER_OPS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <eddy/runtime/loop/loop_impl.h>
#include <eddy/runtime/loop/op_impl.h>

#include "test.h"

/* An operation under test. */
struct trial {
    struct eddyi_op op;
    bool ended;
    int order; /* the how many-th of all it was to end */
};

static int trials_ended;
static bool trial_inside; /* attempt or submit is running, which must not complete anything */

static inline void trial_done(struct eddyi_op *op) {
    struct trial *trial = EDDYI_CONTAINER(op, struct trial, op);
    CHECK(!trial_inside);
    CHECK(!trial->ended);
    CHECK_EQ(op->state, EDDYI_OP_DONE);
    trial->ended = true;
    trial->order = ++trials_ended;
}

static inline eddy_loop *trial_loop(void) {
    eddy_loop *loop;
    int r = eddy_loop_new(NULL, &loop);
    if (r == EDDY_EDRIVER) {
        SKIP("the driver cannot start here");
    }
    CHECK_OK(r);
    return loop;
}

static inline bool trial_simulated(eddy_loop *loop) {
    return strcmp(eddy_loop_driver(loop), "sim") == 0;
}

/* Ends the case on sim, where what it is about does not exist. */
static inline void trial_real_only(eddy_loop **loop) {
    if (trial_simulated(*loop)) {
        eddy_loop_free(*loop);
        SKIP("the simulation has sockets only, and no other process or thread to meet");
    }
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Runs the loop until *done. */
static inline void run_until(eddy_loop *loop, const bool *done) {
    loop->live++;
    CHECK_EQ(eddyi_loop_run_until(loop, done), 0);
    CHECK(*done);
    loop->live--;
}

struct nap {
    struct eddyi_timer timer;
    bool over;
};

static inline void end_nap(struct eddyi_timer *timer) {
    EDDYI_CONTAINER(timer, struct nap, timer)->over = true;
}

/* Runs the loop for so long, of its own time. */
static inline void run_for(eddy_loop *loop, int64_t time_ns) {
    struct nap nap = {.timer.fire = end_nap};
    eddyi_timer_arm(loop, &nap.timer, eddy_loop_now(loop) + time_ns);
    run_until(loop, &nap.over);
}

/* ---- operations ------------------------------------------------------------------------------ */

static inline struct trial trial_of(enum eddyi_op_kind kind, struct eddyi_handle *handle) {
    return (struct trial){.op = {.kind = (uint8_t)kind, .handle = handle, .offset = -1}};
}

static inline struct trial trial_recv(struct eddyi_handle *handle, void *buf, size_t len) {
    struct trial trial = trial_of(EDDYI_OP_RECV, handle);
    trial.op.buf = buf;
    trial.op.len = len;
    return trial;
}

static inline struct trial trial_send(struct eddyi_handle *handle, const void *data, size_t len) {
    struct trial trial = trial_of(EDDYI_OP_SEND, handle);
    trial.op.data = data;
    trial.op.len = len;
    return trial;
}

static inline struct trial trial_read(struct eddyi_handle *handle, void *buf, size_t len,
                                      int64_t offset) {
    struct trial trial = trial_recv(handle, buf, len);
    trial.op.kind = EDDYI_OP_READ;
    trial.op.offset = offset;
    return trial;
}

static inline struct trial trial_write(struct eddyi_handle *handle, const void *data, size_t len,
                                       int64_t offset) {
    struct trial trial = trial_send(handle, data, len);
    trial.op.kind = EDDYI_OP_WRITE;
    trial.op.offset = offset;
    return trial;
}

static inline struct trial trial_poll(struct eddyi_handle *handle, int events) {
    struct trial trial = trial_of(EDDYI_OP_POLL, handle);
    trial.op.flags = events;
    return trial;
}

static inline struct trial trial_connect(struct eddyi_handle *handle, const void *address,
                                         size_t len) {
    struct trial trial = trial_of(EDDYI_OP_CONNECT, handle);
    trial.op.addr = address;
    trial.op.len = len;
    return trial;
}

static inline int64_t try_now(eddy_loop *loop, struct trial *trial) {
    trial->op.done = trial_done;
    trial_inside = true;
    int64_t r = eddyi_op_attempt(loop, &trial->op);
    trial_inside = false;
    return r;
}

static inline void start(eddy_loop *loop, struct trial *trial) {
    trial->op.done = trial_done;
    trial->ended = false;
    trial_inside = true;
    eddyi_op_submit(loop, &trial->op);
    trial_inside = false;
}

static inline int64_t finish(eddy_loop *loop, struct trial *trial) {
    if (!trial->ended) {
        run_until(loop, &trial->ended);
    }
    CHECK_EQ(trial->op.state, EDDYI_OP_DONE);
    return trial->op.result;
}

static inline int64_t run(eddy_loop *loop, struct trial trial) {
    start(loop, &trial);
    return finish(loop, &trial);
}

/* ---- sockets --------------------------------------------------------------------------------- */

static inline void open_socket(eddy_loop *loop, struct eddyi_handle *handle) {
    int fd = loop->host->socket(loop->host->ctx, AF_INET, SOCK_STREAM, 0);
    eddyi_handle_init(handle, (int)CHECK_OK(fd), EDDYI_HANDLE_SOCKET);
}

/* Listens on a free port of the loopback address. */
static inline void open_listener(eddy_loop *loop, struct eddyi_handle *handle, int backlog,
                                 struct sockaddr_in *ret_address) {
    const struct eddyi_host *host = loop->host;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    open_socket(loop, handle);
    handle->listening = true;
    CHECK_OK(host->bind(host->ctx, handle->fd, (const struct sockaddr *)&address, len));
    CHECK_OK(host->listen(host->ctx, handle->fd, backlog));
    CHECK_OK(host->getsockname(host->ctx, handle->fd, (struct sockaddr *)&address, &len));
    *ret_address = address;
}

static inline void close_handle(eddy_loop *loop, struct eddyi_handle *handle) {
    CHECK_OK(eddyi_handle_close(loop, handle));
}

/* Two ends of a TCP connection, made by operations. */
static inline void open_pair(eddy_loop *loop, struct eddyi_handle *a, struct eddyi_handle *b) {
    struct eddyi_handle listener;
    struct sockaddr_in address;
    open_listener(loop, &listener, 1, &address);
    open_socket(loop, a);
    struct trial accept = trial_of(EDDYI_OP_ACCEPT, &listener);
    struct trial connect = trial_connect(a, &address, sizeof address);
    start(loop, &accept);
    start(loop, &connect);
    CHECK_EQ(finish(loop, &connect), 0);
    eddyi_handle_init(b, (int)CHECK_OK(finish(loop, &accept)), EDDYI_HANDLE_SOCKET);
    close_handle(loop, &listener);
}

/* Sends all of it. */
static inline void send_all(eddy_loop *loop, struct eddyi_handle *handle, const void *data,
                            size_t len) {
    for (size_t done = 0; done < len;) {
        done +=
            (size_t)CHECK_OK(run(loop, trial_send(handle, (const char *)data + done, len - done)));
    }
}

/* Receives what `wanted` says and no more; `first` is a receive that has been started, or NULL. The
 * simulation, as any network, may give it in pieces. */
static inline void take(eddy_loop *loop, struct eddyi_handle *handle, struct trial *first,
                        const char *wanted) {
    char got[64];
    size_t len = strlen(wanted);
    size_t done = 0;
    if (first != NULL) {
        done = (size_t)CHECK_OK(finish(loop, first));
        CHECK(done >= 1 && done <= len);
        memcpy(got, first->op.buf, done);
    }
    while (done < len) {
        int64_t n = CHECK_OK(run(loop, trial_recv(handle, got + done, len - done)));
        CHECK(n >= 1);
        done += (size_t)n;
    }
    CHECK_BYTES(got, len, wanted, len);
}

#endif
