/* SPDX-License-Identifier: Apache-2.0 */
/* What is particular to epoll; what all drivers have in common is in test_driver.c. */
#include <eddy/runtime/driver/epoll_impl.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <eddy/runtime/base/memory_impl.h>

#include "ops.h"
#include "seccomp.h"

static eddy_loop *epoll_loop(void) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.driver = "epoll"}, &loop));
    return loop;
}

static void unix_pair(struct eddyi_handle *a, struct eddyi_handle *b, int type) {
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
    eddyi_handle_init(a, fds[0], EDDYI_HANDLE_SOCKET);
    eddyi_handle_init(b, fds[1], EDDYI_HANDLE_SOCKET);
}

static bool can_read(const struct eddyi_handle *handle) {
    return (handle->ready & EDDYI_EPOLL_CAN_READ) != 0;
}

/* ---- what is known without asking ------------------------------------------------------------ */

TEST(receives_are_served_in_the_order_in_which_they_came) {
    eddy_loop *loop = epoll_loop();
    struct eddyi_handle a;
    struct eddyi_handle b;
    char bytes[4] = {0};
    char late_byte;
    struct trial recv[4];
    open_pair(loop, &a, &b);
    struct trial first = trial_recv(&a, bytes, 1);
    start(loop, &first);
    CHECK_EQ(write(b.fd, "!", 1), 1);
    CHECK_EQ(finish(loop, &first), 1);
    CHECK(can_read(&a)); /* so that the others are tried without being asked for */
    for (int i = 0; i < 4; i++) {
        recv[i] = trial_recv(&a, &bytes[i], 1);
        start(loop, &recv[i]);
    }
    CHECK_EQ(write(b.fd, "abcd", 4), 4);
    struct trial late = trial_recv(&a, &late_byte, 1);
    CHECK_ERR(try_now(loop, &late), -EAGAIN); /* it would overtake */
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(finish(loop, &recv[i]), 1);
    }
    CHECK_BYTES(bytes, 4, "abcd", 4);
    close_handle(loop, &a);
    close_handle(loop, &b);
    eddy_loop_free(loop);
}

TEST(short_receive_from_tcp_is_not_followed_by_another_call) {
    eddy_loop *loop = epoll_loop();
    struct eddyi_handle a;
    struct eddyi_handle b;
    char buf[16];
    open_pair(loop, &a, &b);
    struct trial recv = trial_recv(&a, buf, sizeof buf);
    start(loop, &recv);
    send_all(loop, &b, "hello", 5);
    CHECK_EQ(finish(loop, &recv), 5);
    CHECK(!can_read(&a));
    recv = trial_recv(&a, buf, 5);
    start(loop, &recv);
    send_all(loop, &b, "hello", 5);
    CHECK_EQ(finish(loop, &recv), 5);
    CHECK(can_read(&a)); /* there may be more */
    CHECK_ERR(try_now(loop, &recv), -EAGAIN);
    CHECK(!can_read(&a));
    close_handle(loop, &a);
    close_handle(loop, &b);
    eddy_loop_free(loop);
}

TEST(end_that_comes_with_the_last_bytes_is_seen) {
    eddy_loop *loop = epoll_loop();
    struct eddyi_handle a;
    struct eddyi_handle b;
    char buf[16];
    for (int wait_first = 0; wait_first < 2; wait_first++) {
        open_pair(loop, &a, &b);
        struct trial recv = trial_recv(&a, buf, sizeof buf);
        if (wait_first) {
            start(loop, &recv);
            run_for(loop, EDDY_MS);
        }
        CHECK_EQ(write(b.fd, "last", 4), 4);
        close_handle(loop, &b);
        if (!wait_first) {
            start(loop, &recv);
        }
        CHECK_EQ(finish(loop, &recv), 4);
        CHECK_EQ(run(loop, trial_recv(&a, buf, sizeof buf)), 0);
        close_handle(loop, &a);
    }
    eddy_loop_free(loop);
}

/* A receive stops before the urgent byte, though more lies behind it and no edge comes for that. */
TEST(bytes_behind_an_urgent_one_are_received) {
    eddy_loop *loop = epoll_loop();
    struct eddyi_handle a;
    struct eddyi_handle b;
    char buf[16];
    open_pair(loop, &a, &b);
    struct trial poll = trial_poll(&a, POLLIN);
    start(loop, &poll);
    CHECK_EQ(send(b.fd, "ab", 2, 0), 2);
    CHECK_EQ(send(b.fd, "!", 1, MSG_OOB), 1);
    CHECK_EQ(send(b.fd, "cd", 2, 0), 2);
    CHECK_EQ(finish(loop, &poll), POLLIN);
    run_for(loop, EDDY_MS);
    CHECK_EQ(run(loop, trial_recv(&a, buf, sizeof buf)), 2);
    CHECK_EQ(run(loop, trial_recv(&a, buf, sizeof buf)), 2);
    CHECK_BYTES(buf, 2, "cd", 2);
    close_handle(loop, &a);
    close_handle(loop, &b);
    eddy_loop_free(loop);
}

TEST(messages_and_attached_descriptors_are_no_sign_of_emptiness) {
    eddy_loop *loop = epoll_loop();
    struct eddyi_handle a;
    struct eddyi_handle b;
    char buf[16] = "ab";
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    for (size_t i = 0; i < 3; i++) {
        unix_pair(&a, &b, types[i]);
        struct trial poll = trial_poll(&a, POLLIN);
        start(loop, &poll);
        char control[CMSG_SPACE(sizeof(int))] = {0};
        struct iovec part = {.iov_base = buf, .iov_len = 2};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control,
                                 .msg_controllen = sizeof control};
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &b.fd, sizeof b.fd);
        CHECK_EQ(sendmsg(b.fd, &message, 0), 2);
        CHECK_EQ(send(b.fd, "cde", 3, 0), 3);
        CHECK_EQ(finish(loop, &poll), POLLIN);
        run_for(loop, EDDY_MS);
        CHECK_EQ(run(loop, trial_recv(&a, buf, sizeof buf)), 2);
        CHECK_EQ(run(loop, trial_recv(&a, buf, sizeof buf)), 3);
        close_handle(loop, &a);
        close_handle(loop, &b);
    }
    eddy_loop_free(loop);
}

TEST(cached_part_of_a_file_is_read_inline_and_whole) {
    eddy_loop *loop = epoll_loop();
    struct eddyi_handle file;
    char path[512];
    static char buf[512 * 1024];
    snprintf(path, sizeof path, "%s/file", test_tmpdir());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    memset(buf, 'x', sizeof buf);
    CHECK_EQ(write(fd, buf, sizeof buf), sizeof buf);
    eddyi_handle_init(&file, fd, EDDYI_HANDLE_FILE);
    struct trial read = trial_read(&file, buf, 100000, 500000);
    int64_t n = try_now(loop, &read);
    if (n == -EAGAIN) {
        SKIP("this file system has no reads that do not wait");
    }
    CHECK_EQ(n, sizeof buf - 500000);
    read = trial_read(&file, buf, 10, sizeof buf);
    CHECK_EQ(try_now(loop, &read), 0);
    read = trial_read(&file, buf, 10, -1);
    CHECK_ERR(try_now(loop, &read), -EAGAIN);
    read = trial_read(&file, buf, sizeof buf, 0);
    CHECK_ERR(try_now(loop, &read), -EAGAIN); /* too much to copy on the loop's thread */
    CHECK_EQ(run(loop, read), sizeof buf);
    close_handle(loop, &file);
    eddy_loop_free(loop);
}

/* ---- registrations --------------------------------------------------------------------------- */

TEST(more_reports_at_once_than_one_wait_takes) {
    eddy_loop *loop = epoll_loop();
    enum { COUNT = 400 };
    static struct eddyi_handle handles[COUNT][2];
    static struct trial recv[COUNT];
    static char bytes[COUNT];
    for (int i = 0; i < COUNT; i++) {
        unix_pair(&handles[i][0], &handles[i][1], SOCK_STREAM);
        recv[i] = trial_recv(&handles[i][0], &bytes[i], 1);
        start(loop, &recv[i]);
    }
    run_for(loop, EDDY_MS);
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(write(handles[i][1].fd, "x", 1), 1);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(finish(loop, &recv[i]), 1);
    }
    for (int i = 0; i < COUNT; i++) {
        close_handle(loop, &handles[i][0]);
        close_handle(loop, &handles[i][1]);
    }
    eddy_loop_free(loop);
}

/*
 * A descriptor that its owner closes without a word stays registered as long as the file is open
 * somewhere. What epoll goes on to report must not reach who has the place since.
 */
TEST(reports_of_a_forgotten_registration_reach_nobody) {
    eddy_loop *loop = epoll_loop();
    struct eddyi_handle foreign;
    struct eddyi_handle next;
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    eddyi_handle_init(&foreign, fds[0], EDDYI_HANDLE_POLLABLE);
    struct trial poll = trial_poll(&foreign, POLLIN);
    start(loop, &poll);
    run_for(loop, EDDY_MS);
    int copy = dup(fds[0]);
    close(fds[0]);
    eddyi_op_cancel(loop, &poll.op);
    CHECK_ERR(finish(loop, &poll), -ECANCELED);
    loop->driver->forget(loop, &foreign);

    int others[2];
    CHECK_EQ(pipe2(others, O_CLOEXEC), 0);
    eddyi_handle_init(&next, others[0], EDDYI_HANDLE_POLLABLE);
    poll = trial_poll(&next, POLLIN);
    start(loop, &poll);
    CHECK(next.driver_data == foreign.driver_data); /* the same place */
    run_for(loop, EDDY_MS);
    next.ready = 0;
    CHECK_EQ(write(fds[1], "x", 1), 1);
    run_for(loop, EDDY_MS);
    CHECK_EQ(next.ready, 0);
    CHECK(!poll.ended);
    CHECK_EQ(write(others[1], "x", 1), 1);
    CHECK_EQ(finish(loop, &poll), POLLIN);
    close_handle(loop, &next);
    close(others[1]);
    close(copy);
    close(fds[1]);
    eddy_loop_free(loop);
}

/* Whoever else has the file open may go on using it: that is no reason to wake. */
TEST(file_that_is_open_elsewhere_is_not_watched_after_forget) {
    eddy_loop *loop = epoll_loop();
    struct eddyi_handle a;
    struct eddyi_handle b;
    char byte;
    unix_pair(&a, &b, SOCK_STREAM);
    struct trial recv = trial_recv(&a, &byte, 1);
    start(loop, &recv);
    run_for(loop, EDDY_MS);
    eddyi_op_cancel(loop, &recv.op);
    CHECK_ERR(finish(loop, &recv), -ECANCELED);
    int copy = dup(a.fd);
    close_handle(loop, &a);
    int fd = (int)CHECK_OK(eddy_loop_fd(loop));
    CHECK_OK(eddy_loop_poll(loop));
    CHECK_EQ(write(b.fd, "x", 1), 1);
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&poller, 1, 0), 0);
    close_handle(loop, &b);
    close(copy);
    eddy_loop_free(loop);
}

struct answering {
    struct trial recv;
    struct trial send;
    eddy_loop *loop;
};

static void answer(struct eddyi_op *op) {
    struct answering *answering = EDDYI_CONTAINER(op, struct answering, recv.op);
    trial_done(op);
    start(answering->loop, &answering->send);
}

/* What the end of another operation submits is tried by the next turn: the foreign loop has to
 * come. */
TEST(foreign_loop_is_told_of_what_can_be_tried_at_once) {
    eddy_loop *loop = epoll_loop();
    struct eddyi_handle a;
    struct eddyi_handle b;
    char byte;
    unix_pair(&a, &b, SOCK_STREAM);
    struct answering answering = {.send = trial_send(&a, "x", 1), .loop = loop};
    start(loop, &answering.send);
    CHECK_EQ(finish(loop, &answering.send), 1); /* registered, and known to be writable */
    CHECK((a.ready & EDDYI_EPOLL_CAN_WRITE) != 0);
    struct pollfd poller = {.fd = (int)CHECK_OK(eddy_loop_fd(loop)), .events = POLLIN};
    answering.send = trial_send(&a, "y", 1);
    answering.recv = trial_recv(&a, &byte, 1);
    start(loop, &answering.recv);
    answering.recv.op.done = answer;
    CHECK_EQ(write(b.fd, "z", 1), 1);
    loop->live++;
    while (!answering.send.ended) {
        CHECK_OK(eddy_loop_poll(loop));
        CHECK(answering.send.ended || poll(&poller, 1, 10000) == 1);
    }
    loop->live--;
    CHECK_EQ(answering.send.op.result, 1);
    close_handle(loop, &a);
    close_handle(loop, &b);
    eddy_loop_free(loop);
}

TEST(forked_child_does_not_touch_the_parents_registrations) {
    eddy_loop *loop = epoll_loop();
    struct eddyi_handle a;
    struct eddyi_handle b;
    struct eddyi_handle listener;
    struct sockaddr_in address;
    char buf[8];
    open_pair(loop, &a, &b);
    open_listener(loop, &listener, 1, &address);
    struct trial accept = trial_of(EDDYI_OP_ACCEPT, &listener);
    struct trial recv = trial_recv(&a, buf, sizeof buf);
    CHECK_ERR(try_now(loop, &accept), -EAGAIN);
    start(loop, &accept);
    start(loop, &recv);
    run_for(loop, EDDY_MS);
    pid_t pid = fork();
    if (pid == 0) {
        eddyi_list_init(&a.ops);
        eddyi_list_init(&listener.ops);
        close_handle(loop, &a);
        close_handle(loop, &listener);
        eddy_loop_free(loop);
        _exit(7);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK_EQ(write(b.fd, "hello", 5), 5);
    CHECK_EQ(finish(loop, &recv), 5);
    CHECK_EQ(fcntl(listener.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    eddyi_op_cancel(loop, &accept.op);
    CHECK_ERR(finish(loop, &accept), -ECANCELED);
    loop->driver->forget(loop, &listener);
    CHECK_EQ(fcntl(listener.fd, F_GETFL) & O_NONBLOCK, 0); /* as it was found */
    close_handle(loop, &listener);
    close_handle(loop, &a);
    close_handle(loop, &b);
    eddy_loop_free(loop);
}

TEST(socket_that_was_non_blocking_stays_so) {
    eddy_loop *loop = epoll_loop();
    struct eddyi_handle listener;
    struct eddyi_handle client;
    struct sockaddr_in address;
    open_listener(loop, &listener, 1, &address);
    open_socket(loop, &client);
    CHECK_EQ(fcntl(client.fd, F_SETFL, O_NONBLOCK), 0);
    CHECK_EQ(run(loop, trial_connect(&client, &address, sizeof address)), 0);
    CHECK_EQ(fcntl(client.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    close_handle(loop, &client);
    close_handle(loop, &listener);
    eddy_loop_free(loop);
}

/* ---- Unix connects --------------------------------------------------------------------------- */

static socklen_t unix_address(struct sockaddr_un *ret_address) {
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    /* Abstract: the first byte is 0. */
    int len = snprintf(ret_address->sun_path + 1, sizeof ret_address->sun_path - 1,
                       "eddy-test-%d-%llx", (int)getpid(), (unsigned long long)test_random());
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

TEST(unix_connect_waits_for_room_in_the_backlog) {
    eddy_loop *loop = epoll_loop();
    struct sockaddr_un address;
    socklen_t len = unix_address(&address);
    struct eddyi_handle listener;
    enum { COUNT = 4 };
    struct eddyi_handle clients[COUNT];
    struct trial connects[COUNT];
    eddyi_handle_init(&listener, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                      EDDYI_HANDLE_SOCKET);
    CHECK_EQ(bind(listener.fd, (struct sockaddr *)&address, len), 0);
    CHECK_EQ(listen(listener.fd, 0), 0);
    for (int i = 0; i < COUNT; i++) {
        eddyi_handle_init(&clients[i], socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                          EDDYI_HANDLE_SOCKET);
        connects[i] = trial_connect(&clients[i], &address, len);
        start(loop, &connects[i]);
    }
    uint64_t turns = loop->turns;
    run_for(loop, 50 * EDDY_MS);
    CHECK(loop->turns - turns < 40); /* it asks again now and then, and sleeps in between */
    CHECK(connects[0].ended);
    CHECK_EQ(connects[0].op.result, 0);
    CHECK(!connects[COUNT - 1].ended);
    eddyi_op_cancel(loop, &connects[COUNT - 1].op);
    CHECK_ERR(finish(loop, &connects[COUNT - 1]), -ECANCELED);
    CHECK_EQ(fcntl(clients[COUNT - 1].fd, F_GETFL) & O_NONBLOCK, 0);
    for (int i = 0; i < COUNT - 1; i++) {
        close((int)CHECK_OK(run(loop, trial_of(EDDYI_OP_ACCEPT, &listener))));
        CHECK_EQ(finish(loop, &connects[i]), 0);
    }
    for (int i = 0; i < COUNT; i++) {
        close_handle(loop, &clients[i]);
    }
    close_handle(loop, &listener);
    eddy_loop_free(loop);
}

TEST(unix_connect_to_nobody_fails_at_once) {
    eddy_loop *loop = epoll_loop();
    struct sockaddr_un address;
    socklen_t len = unix_address(&address);
    struct eddyi_handle client;
    eddyi_handle_init(&client, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), EDDYI_HANDLE_SOCKET);
    CHECK_ERR(run(loop, trial_connect(&client, &address, len)), -ECONNREFUSED);
    close_handle(loop, &client);
    eddy_loop_free(loop);
}

/* ---- older kernels --------------------------------------------------------------------------- */

TEST(without_epoll_pwait2_deadlines_are_kept) {
    refuse_call(SYS_epoll_pwait2, 0, 0, ENOSYS);
    eddy_loop *loop = epoll_loop();
    int64_t least = INT64_MAX; /* a busy machine may stop us at any time, but not each time */
    for (int i = 0; i < 20; i++) {
        int64_t before = eddy_loop_now(loop);
        run_for(loop, 900 * EDDY_US);
        int64_t took = eddy_loop_now(loop) - before;
        CHECK(took >= 900 * EDDY_US);
        least = took < least ? took : least;
    }
    CHECK(least < 500 * EDDY_MS);
    CHECK(loop->turns < 80); /* rounded up: not awake until the deadline has come */
    eddy_loop_free(loop);
}

#define FLAG_NOWAIT 0x8
#define FLAG_NOSIGNAL 0x100

static void move_through_pipe(const int fds[2]) {
    eddy_loop *loop = epoll_loop();
    struct eddyi_handle reader;
    struct eddyi_handle writer;
    static char data[300000];
    static char got[sizeof data];
    eddyi_handle_init(&reader, fds[0], EDDYI_HANDLE_POLLABLE);
    eddyi_handle_init(&writer, fds[1], EDDYI_HANDLE_POLLABLE);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (char)test_random();
    }
    struct trial read = trial_read(&reader, got, sizeof got, -1);
    CHECK_ERR(try_now(loop, &read), -EAGAIN);
    size_t written = 0;
    size_t taken = 0;
    struct trial write = {.ended = true};
    while (taken < sizeof data) {
        if (write.ended && written < sizeof data) {
            written += (size_t)CHECK_OK(write.op.result);
            write = trial_write(&writer, data + written, sizeof data - written, -1);
            if (written < sizeof data) {
                start(loop, &write);
                run_for(loop, EDDY_MS / 10);
                continue;
            }
        }
        read = trial_read(&reader, got + taken, sizeof got - taken, -1);
        taken += (size_t)CHECK_OK(run(loop, read));
    }
    CHECK_BYTES(got, sizeof got, data, sizeof data);
    CHECK((reader.ready & EDDYI_EPOLL_NO_NOWAIT) != 0);
    CHECK((writer.ready & EDDYI_EPOLL_NO_NOWAIT) != 0);
    /* Full, and then nobody reads it any more. */
    write = (struct trial){.ended = true};
    do {
        write = trial_write(&writer, data, sizeof data, -1);
        start(loop, &write);
        run_for(loop, EDDY_MS);
    } while (write.ended);
    close_handle(loop, &reader);
    CHECK_ERR(finish(loop, &write), -EPIPE);
    close_handle(loop, &writer);
    eddy_loop_free(loop);
}

TEST(pipes_work_without_rwf_nowait) {
    refuse_call(SYS_preadv2, 5, FLAG_NOWAIT, EOPNOTSUPP);
    refuse_call(SYS_pwritev2, 5, FLAG_NOWAIT, EOPNOTSUPP);
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    move_through_pipe(fds);
}

TEST(named_pipes_work) {
    char path[512];
    snprintf(path, sizeof path, "%s/pipe", test_tmpdir());
    CHECK_EQ(mkfifo(path, 0600), 0);
    int fds[2];
    fds[0] = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    fds[1] = open(path, O_WRONLY | O_CLOEXEC);
    CHECK_EQ(fcntl(fds[0], F_SETFL, 0), 0);
    move_through_pipe(fds);
}

static volatile sig_atomic_t signals;

static void count_signal(int number) {
    (void)number;
    signals++;
}

TEST(broken_pipe_raises_no_signal_without_rwf_nosignal) {
    refuse_call(SYS_pwritev2, 5, FLAG_NOSIGNAL, EOPNOTSUPP);
    signal(SIGPIPE, count_signal);
    eddy_loop *loop = epoll_loop();
    struct eddyi_handle writer;
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    eddyi_handle_init(&writer, fds[1], EDDYI_HANDLE_POLLABLE);
    CHECK_EQ(run(loop, trial_write(&writer, "x", 1, -1)), 1);
    close(fds[0]);
    CHECK_ERR(run(loop, trial_write(&writer, "x", 1, -1)), -EPIPE);
    CHECK_ERR(run(loop, trial_write(&writer, "x", 1, -1)), -EPIPE);
    CHECK((writer.ready & EDDYI_EPOLL_NO_NOSIGNAL) != 0);
    CHECK_EQ(signals, 0);
    /* One that the program itself has pending stays. */
    sigset_t set;
    sigset_t pending;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_kill(pthread_self(), SIGPIPE);
    CHECK_ERR(run(loop, trial_write(&writer, "x", 1, -1)), -EPIPE);
    sigpending(&pending);
    CHECK_EQ(sigismember(&pending, SIGPIPE), 1);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    CHECK_EQ(signals, 1);
    close_handle(loop, &writer);
    eddy_loop_free(loop);
}

/* ---- faults ---------------------------------------------------------------------------------- */

TEST(registration_that_is_refused_ends_the_operation) {
    eddy_loop *loop = epoll_loop();
    struct eddyi_handle a;
    struct eddyi_handle b;
    char buf[8];
    unix_pair(&a, &b, SOCK_STREAM);
    refuse_call(SYS_epoll_ctl, 0, 0, ENOSPC); /* as /proc/sys/fs/epoll/max_user_watches */
    struct trial recv = trial_recv(&a, buf, sizeof buf);
    start(loop, &recv);
    eddyi_op_cancel(loop, &recv.op); /* it has its result already */
    CHECK_ERR(finish(loop, &recv), -ENOSPC);
    CHECK(!a.attached);
    close_handle(loop, &a);
    close_handle(loop, &b);
    eddy_loop_free(loop);
}

/* Registers more handles than there are places at first. */
static int64_t register_many(void *arg) {
    (void)arg;
    enum { COUNT = 80 };
    static struct eddyi_handle handles[COUNT][2];
    static struct trial polls[COUNT];
    eddy_loop *loop;
    int64_t result = eddy_loop_new(&(eddy_loop_opts){.driver = "epoll"}, &loop);
    if (result < 0) {
        return result;
    }
    for (int i = 0; i < COUNT; i++) {
        unix_pair(&handles[i][0], &handles[i][1], SOCK_STREAM);
        polls[i] = trial_poll(&handles[i][0], POLLOUT);
        start(loop, &polls[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        int64_t r = finish(loop, &polls[i]);
        if (r < 0) {
            result = r;
        } else {
            CHECK_EQ(r, POLLOUT);
        }
        close_handle(loop, &handles[i][0]);
        close_handle(loop, &handles[i][1]);
    }
    eddy_loop_free(loop);
    return result;
}

TEST(each_allocation_may_fail) {
    CHECK(test_each_allocation_fails(register_many, NULL) > 6);
}

TEST(loop_cannot_be_made_without_descriptors) {
    struct rlimit old;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    int lowest = fcntl(0, F_DUPFD, 0);
    close(lowest);
    int failed = 0;
    for (rlim_t limit = (rlim_t)lowest;; limit++) {
        struct rlimit low = {.rlim_cur = limit, .rlim_max = old.rlim_max};
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
        eddy_loop *loop;
        int r = eddy_loop_new(&(eddy_loop_opts){.driver = "epoll"}, &loop);
        if (r == 0) {
            eddy_loop_free(loop);
            break;
        }
        CHECK_ERR(r, -EMFILE);
        failed++;
    }
    CHECK_EQ(failed, 2);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
}

TEST(second_registration_of_a_file_needs_a_descriptor_and_says_so) {
    eddy_loop *loop = epoll_loop();
    struct eddyi_handle first;
    struct eddyi_handle second;
    struct rlimit old;
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    eddyi_handle_init(&first, fds[0], EDDYI_HANDLE_POLLABLE);
    eddyi_handle_init(&second, fds[0], EDDYI_HANDLE_POLLABLE);
    struct trial polls[2] = {trial_poll(&first, POLLIN), trial_poll(&second, POLLIN)};
    start(loop, &polls[0]);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    struct rlimit low = {.rlim_cur = (rlim_t)fds[1] + 1, .rlim_max = old.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    CHECK_ERR(run(loop, polls[1]), -EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    start(loop, &polls[1]);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(finish(loop, &polls[0]), POLLIN);
    CHECK_EQ(finish(loop, &polls[1]), POLLIN);
    close(fds[1]);
    loop->driver->forget(loop, &second);
    close_handle(loop, &first);
    eddy_loop_free(loop);
}
