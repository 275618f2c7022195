/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/sim: operations. Whatever the seed delays, cuts or cancels, no byte is lost and no
 * operation ends twice or never. */
#include "net.h"

/* Bytes each way; a sanitizer takes its time for each of them. */
#define TOTAL ((uint64_t)(test_is_slow() ? 8 * 1024 : 96 * 1024))

static unsigned char pattern(uint64_t place) {
    return (unsigned char)(place * 31 + (place >> 8));
}

/* ---- a stream under two operations and a cancel ---------------------------------------------- */

/* One direction: bytes of the pattern are sent and received, one operation at a time each. */
struct flow {
    struct net *net;
    struct eddyi_handle *from, *to;
    struct eddyi_op send, recv;
    int send_ends, recv_ends;
    bool sending, receiving;
    unsigned char out[4096], in[4096];
    uint64_t sent, received;
    bool peek;
};

static void flow_init(struct flow *flow, struct net *net, struct eddyi_handle *from,
                      struct eddyi_handle *to) {
    *flow = (struct flow){.net = net, .from = from, .to = to};
}

static void check_received(struct flow *flow, int64_t n) {
    CHECK(n > 0);
    for (int64_t i = 0; i < n; i++) {
        CHECK_EQ(flow->in[i], pattern(flow->received + (uint64_t)i));
    }
    flow->received += (uint64_t)n;
}

/* Prepares the next send; sometimes in several pieces. */
static struct eddyi_op next_send(struct flow *flow, struct iovec pieces[3]) {
    size_t len = 1 + test_random_below(sizeof flow->out);
    if (len > TOTAL - flow->sent) {
        len = (size_t)(TOTAL - flow->sent);
    }
    for (size_t i = 0; i < len; i++) {
        flow->out[i] = pattern(flow->sent + i);
    }
    bool gather = test_random_below(3) == 0;
    struct eddyi_op op =
        make_op(gather ? EDDYI_OP_SENDV : EDDYI_OP_SEND, flow->from, &flow->send_ends);
    op.flags = MSG_NOSIGNAL;
    op.data = flow->out;
    op.len = len;
    if (gather) {
        size_t cut = test_random_below(len + 1);
        pieces[0] = (struct iovec){flow->out, cut};
        pieces[1] = (struct iovec){NULL, 0};
        pieces[2] = (struct iovec){flow->out + cut, len - cut};
        op.iov = pieces;
        op.len = 3;
    }
    return op;
}

static void step_send(struct flow *flow, struct iovec pieces[3]) {
    eddy_loop *loop = flow->net->loop;
    if (flow->sending) {
        if (flow->send_ends == 0) {
            if (test_random_below(4) == 0) {
                eddyi_op_cancel(loop, &flow->send);
            }
            return;
        }
        CHECK_EQ(flow->send_ends, 1);
        flow->sending = false;
        CHECK(flow->send.result > 0 || flow->send.result == -ECANCELED);
        flow->sent += flow->send.result > 0 ? (uint64_t)flow->send.result : 0;
    }
    if (flow->sent == TOTAL) {
        return;
    }
    flow->send_ends = 0;
    flow->send = next_send(flow, pieces);
    if (test_random_below(2) == 0) {
        int64_t n = eddyi_op_attempt(loop, &flow->send);
        if (n != -EAGAIN) {
            flow->sent += (uint64_t)CHECK_OK(n);
            return;
        }
    }
    flow->sending = true;
    eddyi_op_submit(loop, &flow->send);
}

static void step_recv(struct flow *flow) {
    eddy_loop *loop = flow->net->loop;
    if (flow->receiving) {
        if (flow->recv_ends == 0) {
            if (test_random_below(4) == 0) {
                eddyi_op_cancel(loop, &flow->recv);
            }
            return;
        }
        CHECK_EQ(flow->recv_ends, 1);
        flow->receiving = false;
        if (flow->recv.result != -ECANCELED) {
            check_received(flow, flow->recv.result);
        }
    }
    if (flow->received == TOTAL) {
        return;
    }
    flow->recv_ends = 0;
    flow->recv = make_op(EDDYI_OP_RECV, flow->to, &flow->recv_ends);
    flow->recv.buf = flow->in;
    flow->recv.len = 1 + test_random_below(sizeof flow->in);
    if (test_random_below(2) == 0) {
        int64_t n = eddyi_op_attempt(loop, &flow->recv);
        if (n != -EAGAIN) {
            check_received(flow, n);
            return;
        }
    }
    flow->receiving = true;
    eddyi_op_submit(loop, &flow->recv);
}

static void flow_both_ways(struct net *net, int fds[2]) {
    static struct flow flows[2];
    struct iovec pieces[2][3];
    struct eddyi_handle ends[2];
    eddyi_handle_init(&ends[0], fds[0], EDDYI_HANDLE_SOCKET);
    eddyi_handle_init(&ends[1], fds[1], EDDYI_HANDLE_SOCKET);
    flow_init(&flows[0], net, &ends[0], &ends[1]);
    flow_init(&flows[1], net, &ends[1], &ends[0]);
    while (flows[0].received < TOTAL || flows[1].received < TOTAL || flows[0].sending ||
           flows[1].sending) {
        for (int i = 0; i < 2; i++) {
            step_send(&flows[i], pieces[i]);
            step_recv(&flows[i]);
        }
        net->loop->driver->wait(net->loop, now_of(net->loop) + 100 * EDDY_US);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(flows[i].sent, TOTAL);
        CHECK(!flows[i].receiving);
        eddyi_handle_close(net->loop, &ends[i]);
    }
}

static void tcp_flows(struct net *net) {
    int fds[2];
    net_pair(net, fds);
    flow_both_ways(net, fds);
}

TEST(no_cancel_loses_a_byte_of_tcp) {
    on_sim(tcp_flows);
}

static void narrow_flows(struct net *net) {
    int fds[2];
    net_pair(net, fds);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(net_set(net, fds[i], SOL_SOCKET, SO_SNDBUF, 1));
        CHECK_OK(net_set(net, fds[i], SOL_SOCKET, SO_RCVBUF, 1));
    }
    flow_both_ways(net, fds);
}

TEST(no_cancel_loses_a_byte_through_the_smallest_buffers) {
    on_sim(narrow_flows);
}

static void unix_flows(struct net *net) {
    int fds[2];
    net_unix_pair(net, fds);
    flow_both_ways(net, fds);
}

TEST(no_cancel_loses_a_byte_of_a_unix_socket) {
    on_sim(unix_flows);
}

/* ---- cancel ---------------------------------------------------------------------------------- */

enum { CANCELLED, WON, BOTH };

/* Cancels one of each kind at a moment chosen by the seed; gives what happened to it. */
static int cancel_receive(struct net *net) {
    int fds[2];
    char buf[16];
    struct eddyi_handle handle;
    int ends = 0;
    net_pair(net, fds);
    eddyi_handle_init(&handle, fds[0], EDDYI_HANDLE_SOCKET);
    struct eddyi_op op = make_op(EDDYI_OP_RECV, &handle, &ends);
    op.buf = buf;
    op.len = 1;
    eddyi_op_submit(net->loop, &op);
    CHECK_EQ(ends, 0);
    CHECK_EQ(net_send(net, fds[1], "x", 1), 1);
    if (ends == 0) {
        eddyi_op_cancel(net->loop, &op);
        eddyi_op_cancel(net->loop, &op);
    }
    wait_ends(net->loop, &ends, 1);
    if (op.result == -ECANCELED) {
        CHECK_EQ(net_recv(net, fds[0], buf, 1), 1);
    } else {
        CHECK_EQ(op.result, 1);
    }
    CHECK_EQ(buf[0], 'x');
    eddyi_op_cancel(net->loop, &op);
    CHECK_EQ(ends, 1);
    int happened = op.result == 1 ? WON : CANCELLED;
    eddyi_handle_close(net->loop, &handle);
    net_close(net, fds[1]);
    return happened;
}

static int cancel_accept(struct net *net) {
    struct sockaddr_in address;
    struct eddyi_handle handle;
    int ends = 0;
    eddyi_handle_init(&handle, net_listener(net, 4, &address), EDDYI_HANDLE_SOCKET);
    struct eddyi_op op = make_op(EDDYI_OP_ACCEPT, &handle, &ends);
    eddyi_op_submit(net->loop, &op);
    int client = net_socket(net, AF_INET);
    CHECK_OK(net_connect(net, client, &address, sizeof address));
    if (ends == 0) {
        eddyi_op_cancel(net->loop, &op);
    }
    wait_ends(net->loop, &ends, 1);
    int happened = op.result == -ECANCELED ? CANCELLED : WON;
    int accepted =
        happened == WON ? (int)CHECK_OK(op.result) : (int)CHECK_OK(net_accept(net, handle.fd));
    CHECK_EQ(net_send(net, accepted, "x", 1), 1);
    char byte;
    CHECK_EQ(net_recv(net, client, &byte, 1), 1);
    net_close(net, accepted);
    net_close(net, client);
    eddyi_handle_close(net->loop, &handle);
    return happened;
}

/* Over many seeds both must be seen: a cancel that came in time, and one that came too late. */
static void see_both(int (*scenario)(struct net *net)) {
    int seen[BOTH] = {0};
    for (uint64_t seed = 1; seed <= 200; seed++) {
        eddy_loop *loop = sim_loop(seed);
        struct net net = {loop->host, loop};
        seen[scenario(&net)]++;
        eddy_loop_free(loop);
    }
    CHECK(seen[CANCELLED] > 0);
    CHECK(seen[WON] > 0);
}

TEST(a_receive_that_is_cancelled_ends_once_and_keeps_its_byte) {
    see_both(cancel_receive);
}

TEST(an_accept_that_is_cancelled_ends_once_and_keeps_its_connection) {
    see_both(cancel_accept);
}

static void cancel_idle(struct net *net) {
    int fds[2];
    char buf[4];
    struct eddyi_handle handle;
    struct eddyi_op ops[3];
    int ends = 0;
    net_pair(net, fds);
    eddyi_handle_init(&handle, fds[0], EDDYI_HANDLE_SOCKET);
    for (int i = 0; i < 3; i++) {
        ops[i] = make_op(i == 0 ? EDDYI_OP_POLL : EDDYI_OP_RECV, &handle, &ends);
        ops[i].flags = i == 0 ? POLLIN : 0;
        if (i > 0) {
            ops[i].buf = buf;
            ops[i].len = sizeof buf;
        }
        eddyi_op_submit(net->loop, &ops[i]);
    }
    eddyi_handle_cancel(net->loop, &handle);
    wait_ends(net->loop, &ends, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(ops[i].result, -ECANCELED);
    }
    CHECK(eddyi_list_empty(&handle.ops));
    eddyi_handle_close(net->loop, &handle);
    net_close(net, fds[1]);
}

TEST(operations_with_nothing_to_do_are_cancelled) {
    on_sim(cancel_idle);
}

/* ---- attempts -------------------------------------------------------------------------------- */

static void promised(struct net *net) {
    int fds[2];
    char buf[4];
    struct eddyi_handle handle;
    int ends = 0;
    net_pair(net, fds);
    eddyi_handle_init(&handle, fds[0], EDDYI_HANDLE_SOCKET);
    struct eddyi_op op = make_op(EDDYI_OP_RECV, &handle, &ends);
    op.buf = buf;
    op.len = sizeof buf;
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(eddyi_op_attempt(net->loop, &op), -EAGAIN);
        CHECK_EQ(net_send(net, fds[1], "x", 1), 1);
        CHECK_EQ(net_poll(net, fds[0], POLLIN | POLLRDNORM), POLLIN | POLLRDNORM);
        CHECK_EQ(eddyi_op_attempt(net->loop, &op), 1);
    }
    net_close(net, fds[1]);
    CHECK_EQ(net_recv(net, fds[0], buf, sizeof buf), 0);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(eddyi_op_attempt(net->loop, &op), 0);
    }
    eddyi_handle_close(net->loop, &handle);
}

TEST(what_poll_has_promised_an_attempt_finds) {
    on_sim(promised);
}

static void first_send(struct net *net) {
    int fds[2];
    struct eddyi_handle handle;
    for (int i = 0; i < 10; i++) {
        net_pair(net, fds);
        eddyi_handle_init(&handle, fds[0], EDDYI_HANDLE_SOCKET);
        struct eddyi_op op = {.kind = EDDYI_OP_SEND, .handle = &handle, .data = "x", .len = 1};
        CHECK_EQ(eddyi_op_attempt(net->loop, &op), 1);
        eddyi_handle_close(net->loop, &handle);
        net_close(net, fds[1]);
    }
}

TEST(into_an_empty_buffer_an_attempt_sends) {
    on_sim(first_send);
}

static void unknown_flags(struct net *net) {
    int fds[2];
    char buf[4];
    net_pair(net, fds);
    CHECK_ERR(net_recv_flags(net, fds[0], buf, 4, MSG_TRUNC), -EOPNOTSUPP);
    CHECK_ERR(net_recv_flags(net, fds[0], buf, 4, MSG_WAITALL), -EOPNOTSUPP);
    struct eddyi_op op = {.kind = EDDYI_OP_WRITE, .data = "x", .len = 1};
    CHECK_EQ(net_end(net, fds[0], op), 1);
    op = (struct eddyi_op){.kind = EDDYI_OP_READ, .buf = buf, .len = 4};
    CHECK_EQ(net_end(net, fds[1], op), 1);
    struct eddyi_handle handle;
    eddyi_handle_init(&handle, fds[1], EDDYI_HANDLE_SOCKET);
    op = (struct eddyi_op){.kind = EDDYI_OP_READ, .buf = buf, .len = 4, .handle = &handle};
    CHECK_EQ(eddyi_op_attempt(net->loop, &op), -ESPIPE); /* at offset 0, which no socket has */
    net_close(net, fds[0]);
    net_close(net, fds[1]);
}

TEST(what_is_not_simulated_is_refused) {
    on_sim(unknown_flags);
}

/* Counts how often a send, and how often a receive, moved less than it could. */
static void count_short(uint64_t seed, bool calm, int ret_counts[2]) {
    eddy_loop *loop = sim_loop(seed);
    CHECK_OK(eddy_sim_calm(loop, calm));
    struct net net = {loop->host, loop};
    static char bulk[8000];
    int fds[2];
    net_pair(&net, fds);
    for (int i = 0; i < 10; i++) {
        int64_t n = CHECK_OK(net_send(&net, fds[0], bulk, sizeof bulk));
        ret_counts[0] += n < (int64_t)sizeof bulk;
        settle(loop);
        int64_t got = CHECK_OK(net_recv(&net, fds[1], bulk, sizeof bulk));
        ret_counts[1] += got < n;
        net_recv_exactly(&net, fds[1], bulk, (size_t)(n - got));
    }
    net_close(&net, fds[0]);
    net_close(&net, fds[1]);
    eddy_loop_free(loop);
}

TEST(counts_are_short_in_many_worlds_and_never_in_a_calm_one) {
    int counts[2] = {0};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        count_short(seed, true, counts);
    }
    CHECK_EQ(counts[0] + counts[1], 0);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        count_short(seed, false, counts);
    }
    CHECK(counts[0] > 20);
    CHECK(counts[1] > 20);
}

/* Receives that wait for what is sent as one, and get less of it than was sent. */
static int count_parts(eddy_loop *loop) {
    struct net net = {loop->host, loop};
    int fds[2];
    int parts = 0;
    eddyi_sim_of(loop)->world.plan.short_count = 0; /* then it is the network that cuts */
    net_pair(&net, fds);
    for (int i = 0; i < 30; i++) {
        struct eddyi_handle handle;
        static const char sent[1000];
        char got[sizeof sent];
        int ends = 0;
        eddyi_handle_init(&handle, fds[1], EDDYI_HANDLE_SOCKET);
        struct eddyi_op op = make_op(EDDYI_OP_RECV, &handle, &ends);
        op.buf = got;
        op.len = sizeof got;
        eddyi_op_submit(loop, &op);
        CHECK_EQ(net_send(&net, fds[0], sent, sizeof sent), sizeof sent);
        wait_ends(loop, &ends, 1);
        CHECK(op.result > 0);
        parts += op.result < (int64_t)sizeof got;
        net_recv_exactly(&net, fds[1], got, sizeof got - (size_t)op.result);
    }
    net_close(&net, fds[0]);
    net_close(&net, fds[1]);
    eddy_loop_free(loop);
    return parts;
}

TEST(what_is_sent_together_travels_in_parts_in_some_worlds) {
    int worlds = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        worlds += count_parts(sim_loop(seed)) > 0;
    }
    CHECK(worlds > 5 && worlds < 20);
    CHECK_EQ(count_parts(calm_loop()), 0);
}

/* An attempt may find nothing where there is something, in some worlds; not in a calm one. */
TEST(attempts_come_too_early_in_some_worlds) {
    int denied = 0;
    for (uint64_t seed = 0; seed <= 20; seed++) {
        eddy_loop *loop = seed == 0 ? calm_loop() : sim_loop(seed);
        struct net net = {loop->host, loop};
        struct eddyi_handle handle;
        char byte;
        int fds[2];
        net_pair(&net, fds);
        eddyi_handle_init(&handle, fds[1], EDDYI_HANDLE_SOCKET);
        struct eddyi_op op = {.kind = EDDYI_OP_RECV, .handle = &handle, .buf = &byte, .len = 1};
        for (int i = 0; i < 30; i++) {
            CHECK_EQ(net_send(&net, fds[0], "x", 1), 1);
            settle(loop);
            denied += eddyi_op_attempt(loop, &op) == -EAGAIN;
        }
        CHECK(seed != 0 || denied == 0);
        net_close(&net, fds[0]);
        eddyi_handle_close(loop, &handle);
        eddy_loop_free(loop);
    }
    CHECK(denied > 20);
}

/* ---- back-pressure --------------------------------------------------------------------------- */

/* Sends until nothing more goes in; gives how much that was. */
static size_t fill(struct net *net, int fd) {
    static char bulk[1 << 16];
    struct eddyi_handle handle;
    size_t total = 0;
    eddyi_handle_init(&handle, fd, EDDYI_HANDLE_SOCKET);
    struct eddyi_op op = {
        .kind = EDDYI_OP_SEND, .handle = &handle, .data = bulk, .len = sizeof bulk};
    for (int quiet = 0; quiet < 40;) {
        int64_t n = eddyi_op_attempt(net->loop, &op);
        if (n == -EAGAIN) {
            quiet++;
            settle(net->loop);
        } else {
            total += (size_t)CHECK_OK(n);
            quiet = 0;
        }
    }
    return total;
}

static void back_pressure(struct net *net) {
    int fds[2];
    char byte;
    for (int kind = 0; kind < 2; kind++) {
        if (kind == 0) {
            net_pair(net, fds);
        } else {
            net_unix_pair(net, fds);
        }
        CHECK_OK(net_set(net, fds[0], SOL_SOCKET, SO_SNDBUF, 20000));
        CHECK_OK(net_set(net, fds[1], SOL_SOCKET, SO_RCVBUF, 30000));
        CHECK_EQ(fill(net, fds[0]), kind == 0 ? 50000 : 20000);
        CHECK_EQ(net_events(net, fds[0]), 0);
        CHECK_EQ(net_recv(net, fds[1], &byte, 1), 1);
        CHECK_EQ(fill(net, fds[0]), 1);
        CHECK_EQ(net_events(net, fds[0]), 0);
        for (int i = 0; i < 20000; i++) {
            CHECK_EQ(net_recv(net, fds[1], &byte, 1), 1);
        }
        CHECK_EQ(net_events(net, fds[0]), POLLOUT);
        net_close(net, fds[1]);
        net_close(net, fds[0]);
    }
}

TEST(a_writer_feels_that_nobody_reads) {
    on_seed(back_pressure, 1, true);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        on_seed(back_pressure, seed, false);
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

static int64_t one_op(eddy_loop *loop, int fd, struct eddyi_op op) {
    struct eddyi_handle handle;
    int ends = 0;
    eddyi_handle_init(&handle, fd, EDDYI_HANDLE_SOCKET);
    op.handle = &handle;
    op.done = count_end;
    op.waiter = &ends;
    eddyi_op_submit(loop, &op);
    wait_ends(loop, &ends, 1);
    return op.result;
}

/* With all memory gone a connect would wait for its listener for ever, so it gives up early. */
static int64_t connect_and_talk(eddy_loop *loop, int fds[3]) {
    struct net net = {loop->host, loop};
    struct sockaddr_in address = loopback_v4(0);
    socklen_t len = sizeof address;
    int64_t r = fds[0] = HOST(&net, socket, AF_INET, SOCK_STREAM, 0);
    if (r < 0) {
        return r;
    }
    CHECK_OK(HOST(&net, bind, fds[0], (struct sockaddr *)&address, len));
    CHECK_OK(HOST(&net, listen, fds[0], 4));
    CHECK_OK(HOST(&net, getsockname, fds[0], (struct sockaddr *)&address, &len));
    r = fds[1] = HOST(&net, socket, AF_INET, SOCK_STREAM, 0);
    if (r < 0) {
        return r;
    }
    r = one_op(loop, fds[1],
               (struct eddyi_op){
                   .kind = EDDYI_OP_CONNECT, .addr = (struct sockaddr *)&address, .len = len});
    if (r == -ETIMEDOUT) {
        return -ENOMEM;
    }
    CHECK_OK(r);
    r = fds[2] = (int)one_op(loop, fds[0], (struct eddyi_op){.kind = EDDYI_OP_ACCEPT});
    if (r < 0) {
        return r;
    }
    r = one_op(loop, fds[1], (struct eddyi_op){.kind = EDDYI_OP_SEND, .data = "abc", .len = 3});
    if (r < 0) {
        return r;
    }
    char buf[4];
    CHECK_EQ(one_op(loop, fds[2], (struct eddyi_op){.kind = EDDYI_OP_RECV, .buf = buf, .len = 4}),
             3);
    return 0;
}

static int64_t talk(void *arg) {
    (void)arg;
    eddy_loop *loop;
    int fds[3] = {-1, -1, -1};
    int64_t r = eddy_loop_new(&(eddy_loop_opts){.driver = "sim", .seed = 7}, &loop);
    if (r < 0) {
        return r;
    }
    CHECK_OK(eddy_sim_calm(loop, true));
    CHECK_OK(eddy_sim_log_enable(loop));
    r = connect_and_talk(loop, fds);
    for (int i = 0; i < 3; i++) {
        if (fds[i] >= 0) {
            CHECK_OK(loop->host->close(loop->host->ctx, fds[i]));
        }
    }
    eddy_loop_free(loop);
    return r;
}

TEST(without_memory_every_call_says_so_and_nothing_is_leaked) {
    CHECK(test_each_allocation_fails(talk, NULL) > 20);
}

static int64_t talk_unix(void *arg) {
    (void)arg;
    eddy_loop *loop;
    int fds[2];
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/x"};
    int64_t r = eddy_loop_new(&(eddy_loop_opts){.driver = "sim", .seed = 7}, &loop);
    if (r < 0) {
        return r;
    }
    struct net net = {loop->host, loop};
    r = HOST(&net, socketpair, AF_UNIX, SOCK_STREAM, 0, fds);
    if (r >= 0) {
        net_close(&net, fds[0]);
        net_close(&net, fds[1]);
        r = fds[0] = HOST(&net, socket, AF_UNIX, SOCK_STREAM, 0);
    }
    if (r >= 0) {
        r = HOST(&net, bind, fds[0], (struct sockaddr *)&address, sizeof address);
        if (r == 0) {
            CHECK_OK(HOST(&net, listen, fds[0], 1));
            r = fds[1] = HOST(&net, socket, AF_UNIX, SOCK_STREAM, 0);
        }
        if (r > 0) {
            r = one_op(loop, fds[1],
                       (struct eddyi_op){.kind = EDDYI_OP_CONNECT,
                                         .addr = (struct sockaddr *)&address,
                                         .len = sizeof address});
            net_close(&net, fds[1]);
        }
        net_close(&net, fds[0]);
    }
    eddy_loop_free(loop);
    return r;
}

TEST(without_memory_unix_sockets_say_so_too) {
    CHECK(test_each_allocation_fails(talk_unix, NULL) > 10);
}
