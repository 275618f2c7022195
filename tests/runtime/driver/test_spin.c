/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stays true for ever must not keep a loop turning: an error that nobody takes, a hang-up, a
 * connection for which there is no descriptor, a poll for what the kernel cannot be asked for
 * alone. Each case puts the loop into such a state, lets a time pass and counts its turns, and on
 * the ring the system calls. Then what was waited for comes, and must not have been slept through.
 * Run on the driver that $EDDY_DRIVER names, as the LOOP_TESTs are.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/net_tstamp.h>
#include <linux/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <eddy/runtime/driver/uring_impl.h>

#include "runtime/driver/ops.h"

/* ---- help ------------------------------------------------------------------------------------ */

static eddy_loop *real_loop(void) {
    eddy_loop *loop = trial_loop();
    trial_real_only(&loop);
    return loop;
}

static uint64_t enters_of(eddy_loop *loop) {
    const struct eddyi_uring *u = loop->driver_state;
    return strcmp(eddy_loop_driver(loop), "uring") == 0 ? u->enters : 0;
}

/* Few turns: those of the timers that this takes, and what is left over from before. */
static void check_still(eddy_loop *loop) {
    run_for(loop, 5 * EDDY_MS);
    uint64_t turns = loop->turns;
    uint64_t enters = enters_of(loop);
    run_for(loop, 50 * EDDY_MS);
    CHECK(loop->turns - turns <= 6);
    CHECK(enters_of(loop) - enters <= 12);
}

static struct trial *submitted(eddy_loop *loop, struct trial *trial) {
    trial->op.done = trial_done;
    eddyi_op_submit(loop, &trial->op);
    return trial;
}

static int64_t ended(eddy_loop *loop, struct trial *trial) {
    run_until(loop, &trial->ended);
    return trial->op.result;
}

static struct sockaddr_in listen_on(int *ret_fd) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(*ret_fd, (struct sockaddr *)&address, len), 0);
    CHECK_EQ(listen(*ret_fd, 16), 0);
    CHECK_EQ(getsockname(*ret_fd, (struct sockaddr *)&address, &len), 0);
    return address;
}

static int connect_to(const struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_EQ(connect(fd, (const struct sockaddr *)address, sizeof *address), 0);
    return fd;
}

static int tcp_pair(struct eddyi_handle *ret_handle) {
    int listener;
    struct sockaddr_in address = listen_on(&listener);
    int peer = connect_to(&address);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fd >= 0);
    close(listener);
    eddyi_handle_init(ret_handle, fd, EDDYI_HANDLE_SOCKET);
    return peer;
}

static char bulk[1 << 18];

/* Whether the kernel can still move something to the peer, which makes room: what is on its way, or
 * fits into what is left of the peer's window. Less than a segment goes there only when a timer of
 * the kernel's asks after the window, a quarter of a second later or more. */
static bool drains(int fd) {
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    CHECK_EQ(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    return info.tcpi_snd_wnd > 0;
}

/* Until the socket takes nothing more, for as long as the peer reads nothing. */
static void fill(int fd) {
    struct pollfd poller = {.fd = fd, .events = POLLOUT};
    bool moves;
    do {
        while (send(fd, bulk, sizeof bulk, MSG_DONTWAIT) > 0) {
        }
        while (send(fd, bulk, 1, MSG_DONTWAIT) > 0) {
        }
        moves = drains(fd);
        /* Of the socket nothing to wait for: an error that is queued is always there. */
        CHECK_EQ(poll(NULL, 0, moves ? 10 : 0), 0);
        CHECK(poll(&poller, 1, 0) >= 0);
    } while (moves || (poller.revents & POLLOUT) != 0);
}

/* A time stamp that nobody takes from the socket's error queue: POLLERR, and no call says why. */
static void queue_error(int fd) {
    int flags =
        SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY;
    struct pollfd poller = {.fd = fd};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags), 0);
    CHECK_EQ(send(fd, "x", 1, 0), 1);
    CHECK_EQ(poll(&poller, 1, 5000), 1);
    CHECK_EQ(poller.revents, POLLERR);
}

/* Submits each of the two, of which the second may be NULL, and lets it wait at a full socket. The
 * kernel may find room after all, in what it accounts to the peer's side anew; then one has ended,
 * and the next finds less. */
static void wait_for_room(eddy_loop *loop, struct eddyi_handle *handle, struct trial *send,
                          struct trial *poll_out) {
    bool again = true;
    send->ended = true;
    for (int i = 0; i < 20 && again; i++) {
        fill(handle->fd);
        if (send->ended) {
            CHECK(i == 0 || send->op.result == 4);
            *send = trial_send(handle, "last", 4);
            submitted(loop, send);
        }
        if (poll_out != NULL && (i == 0 || poll_out->ended)) {
            *poll_out = trial_poll(handle, POLLOUT);
            submitted(loop, poll_out);
        }
        check_still(loop);
        again = send->ended || (poll_out != NULL && poll_out->ended);
    }
    CHECK(!again);
}

static void finish_with(eddy_loop *loop, struct eddyi_handle *handle, int peer) {
    if (peer >= 0) {
        close(peer);
    }
    CHECK_OK(eddyi_handle_close(loop, handle));
    eddy_loop_free(loop);
}

/* ---- sockets --------------------------------------------------------------------------------- */

TEST(a_send_waits_under_an_error_that_nobody_takes) {
    struct eddyi_handle handle;
    eddy_loop *loop = real_loop();
    int peer = tcp_pair(&handle);
    queue_error(handle.fd);
    struct trial send;
    wait_for_room(loop, &handle, &send, NULL);
    while (!send.ended) {
        CHECK(recv(peer, bulk, sizeof bulk, MSG_DONTWAIT) != 0);
        loop->driver->wait(loop, 0);
    }
    CHECK_EQ(send.op.result, 4);
    /* A real error, and a cancel, reach one that waits like that. */
    wait_for_room(loop, &handle, &send, NULL);
    eddyi_op_cancel(loop, &send.op);
    CHECK_ERR(ended(loop, &send), -ECANCELED);
    wait_for_room(loop, &handle, &send, NULL);
    struct linger linger = {.l_onoff = 1};
    CHECK_EQ(setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(peer);
    int64_t r = ended(loop, &send);
    CHECK(r == -ECONNRESET || r == -EPIPE);
    finish_with(loop, &handle, -1);
}

TEST(a_receive_waits_under_an_error_that_nobody_takes) {
    struct eddyi_handle handle;
    char buf[16];
    eddy_loop *loop = real_loop();
    int peer = tcp_pair(&handle);
    queue_error(handle.fd);
    for (int i = 0; i < 4; i++) { /* by a request of its own, and by the multishot */
        struct trial receive = trial_recv(&handle, buf, sizeof buf);
        submitted(loop, &receive);
        check_still(loop);
        CHECK(!receive.ended);
        CHECK_EQ(send(peer, "abc", 3, 0), 3);
        CHECK_EQ(ended(loop, &receive), 3);
    }
    finish_with(loop, &handle, peer);
}

TEST(a_send_and_a_poll_wait_under_the_peers_end) {
    struct eddyi_handle handle;
    eddy_loop *loop = real_loop();
    int peer = tcp_pair(&handle);
    CHECK_EQ(shutdown(peer, SHUT_WR), 0);
    struct trial poll_out;
    struct trial send;
    wait_for_room(loop, &handle, &send, &poll_out);
    while (!send.ended || !poll_out.ended) {
        CHECK(recv(peer, bulk, sizeof bulk, MSG_DONTWAIT) != 0);
        loop->driver->wait(loop, 0);
    }
    finish_with(loop, &handle, peer);
}

TEST(a_poll_for_urgent_bytes_waits_where_there_are_others) {
    struct eddyi_handle handle;
    eddy_loop *loop = real_loop();
    int peer = tcp_pair(&handle);
    CHECK_EQ(send(peer, "abc", 3, 0), 3);
    struct trial urgent = trial_poll(&handle, POLLPRI);
    submitted(loop, &urgent);
    check_still(loop);
    CHECK(!urgent.ended);
    CHECK_EQ(send(peer, "!", 1, MSG_OOB), 1);
    CHECK_EQ(ended(loop, &urgent), POLLPRI);
    finish_with(loop, &handle, peer);
}

/* ---- listeners ------------------------------------------------------------------------------- */

TEST(an_accept_without_descriptors_ends_and_leaves_no_turning) {
    struct eddyi_handle handle;
    struct rlimit usual;
    int fd;
    eddy_loop *loop = real_loop();
    struct sockaddr_in address = listen_on(&fd);
    eddyi_handle_init(&handle, fd, EDDYI_HANDLE_SOCKET);
    handle.listening = true;
    int clients[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = connect_to(&address);
    }
    int next = dup(0);
    close(next);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)next, usual.rlim_max}), 0);
    struct trial accept = trial_of(EDDYI_OP_ACCEPT, &handle);
    submitted(loop, &accept);
    CHECK_ERR(ended(loop, &accept), -EMFILE);
    check_still(loop); /* with three connections waiting */
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
    for (int i = 0; i < 3; i++) {
        accept = trial_of(EDDYI_OP_ACCEPT, &handle);
        submitted(loop, &accept);
        close((int)CHECK_OK(ended(loop, &accept)));
        close(clients[i]);
    }
    finish_with(loop, &handle, -1);
}

TEST(an_accept_waits_at_a_listener_that_somebody_made_nonblocking) {
    struct eddyi_handle handle;
    int fd;
    eddy_loop *loop = real_loop();
    struct sockaddr_in address = listen_on(&fd);
    CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    eddyi_handle_init(&handle, fd, EDDYI_HANDLE_SOCKET);
    handle.listening = true;
    struct trial accept = trial_of(EDDYI_OP_ACCEPT, &handle);
    submitted(loop, &accept);
    check_still(loop);
    CHECK(!accept.ended);
    int client = connect_to(&address);
    close((int)CHECK_OK(ended(loop, &accept)));
    close(client);
    finish_with(loop, &handle, -1);
}

/* ---- pipes and terminals --------------------------------------------------------------------- */

TEST(a_hung_up_pipe_ends_a_read_and_a_poll_and_leaves_no_turning) {
    struct eddyi_handle handle;
    char buf[8];
    int fds[2];
    eddy_loop *loop = real_loop();
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    eddyi_handle_init(&handle, fds[0], EDDYI_HANDLE_POLLABLE);
    struct trial read = trial_read(&handle, buf, sizeof buf, -1);
    struct trial poll_in = trial_poll(&handle, POLLIN);
    submitted(loop, &read);
    submitted(loop, &poll_in);
    check_still(loop);
    close(fds[1]);
    CHECK_EQ(ended(loop, &read), 0);
    CHECK_EQ(ended(loop, &poll_in) & POLLHUP, POLLHUP);
    check_still(loop);
    finish_with(loop, &handle, -1);
}

TEST(a_terminal_that_hangs_up_ends_what_waits_and_leaves_no_turning) {
    struct eddyi_handle handle;
    char buf[8];
    eddy_loop *loop = real_loop();
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(master >= 0);
    CHECK_EQ(grantpt(master), 0);
    CHECK_EQ(unlockpt(master), 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(slave >= 0);
    eddyi_handle_init(&handle, slave, EDDYI_HANDLE_POLLABLE);
    struct trial read = trial_read(&handle, buf, sizeof buf, -1);
    struct trial poll_in = trial_poll(&handle, POLLIN);
    submitted(loop, &read);
    submitted(loop, &poll_in);
    check_still(loop);
    CHECK(!read.ended && !poll_in.ended);
    close(master);
    int64_t n = ended(loop, &read);
    CHECK(n == 0 || n == -EIO);
    CHECK_EQ(ended(loop, &poll_in) & POLLHUP, POLLHUP);
    check_still(loop);
    /* Whoever asks again is told again, once each time. */
    for (int i = 0; i < 3; i++) {
        poll_in = trial_poll(&handle, POLLIN);
        submitted(loop, &poll_in);
        CHECK_EQ(ended(loop, &poll_in) & POLLHUP, POLLHUP);
    }
    check_still(loop);
    finish_with(loop, &handle, -1);
}

/* ---- signals --------------------------------------------------------------------------------- */

static void ignore_it(int number) {
    (void)number;
}

TEST(signals_that_interrupt_the_sleep_do_not_stay) {
    struct eddyi_handle handle;
    char buf[8];
    eddy_loop *loop = real_loop();
    int peer = tcp_pair(&handle);
    struct sigaction action = {.sa_handler = ignore_it};
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    struct trial receive = trial_recv(&handle, buf, sizeof buf);
    submitted(loop, &receive);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(raise(SIGUSR1), 0);
        loop->driver->wait(loop, 0);
    }
    check_still(loop);
    CHECK(!receive.ended);
    CHECK_EQ(send(peer, "abc", 3, 0), 3);
    CHECK_EQ(ended(loop, &receive), 3);
    finish_with(loop, &handle, peer);
}
