/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "uring_harness.h"

/* ---- set-up ---------------------------------------------------------------------------------- */

static eddy_loop *auto_loop(void) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.driver = "auto"}, &loop));
    return loop;
}

static void falls_back(int error, const char *reason) {
    eddyi_uring_fail_setup(error, 1000);
    eddy_loop *loop = auto_loop();
    CHECK_STR(eddy_loop_driver(loop), "epoll");
    CHECK_STR(eddy_loop_driver_reason(loop), reason);
    eddy_loop_free(loop);
    eddyi_uring_fail_setup(0, 0);
}

TEST(any_error_of_set_up_ends_in_epoll_with_the_reason_kept) {
    falls_back(-EPERM, "io_uring_setup: operation not permitted (seccomp or "
                       "kernel.io_uring_disabled)");
    falls_back(-ENOSYS, "io_uring_setup: function not implemented (the kernel is built without it, "
                        "or seccomp)");
    falls_back(-ENOMEM, "io_uring_setup: cannot allocate memory (rings count in RLIMIT_MEMLOCK)");
    falls_back(-EMFILE, "io_uring_setup: too many open files");
    falls_back(-EINVAL, "io_uring_setup: invalid argument");
    falls_back(-EOPNOTSUPP, "io_uring_setup: operation not supported");
}

TEST(a_ring_asked_for_by_name_fails_loudly) {
    eddy_loop *loop = NULL;
    eddyi_uring_fail_setup(-EPERM, 1000);
    CHECK_ERR(eddy_loop_new(&(eddy_loop_opts){.driver = "uring"}, &loop), EDDY_EDRIVER);
    eddyi_uring_fail_setup(-ENOMEM, 1000);
    CHECK_ERR(eddy_loop_new(&(eddy_loop_opts){.driver = "uring"}, &loop), -ENOMEM);
    eddyi_uring_fail_setup(-EMFILE, 1000);
    CHECK_ERR(eddy_loop_new(&(eddy_loop_opts){.driver = "uring"}, &loop), -EMFILE);
    eddyi_uring_fail_setup(0, 0);
    CHECK(loop == NULL);
}

TEST(a_kernel_that_knows_fewer_flags_gets_fewer) {
    for (unsigned refused = 1; refused <= 2; refused++) {
        eddyi_uring_fail_setup(-EINVAL, refused);
        eddy_loop *loop = ring_loop(0, 0);
        CHECK(!uring_of(loop)->defers);
        echo_once(loop);
        eddy_loop_free(loop);
    }
}

TEST(a_kernel_before_6_1_is_refused_under_auto) {
    eddy_loop_free(ring_loop(0, 0)); /* or skip */
    eddyi_uring_fail_setup(-EINVAL, 1);
    eddy_loop *loop = auto_loop();
    CHECK_STR(eddy_loop_driver(loop), "epoll");
    CHECK_STR(eddy_loop_driver_reason(loop),
              "io_uring is older than Linux 6.1 here; epoll does better");
    eddy_loop_free(loop);
}

TEST(without_memory_for_the_ring_a_smaller_one_is_tried) {
    eddyi_uring_fail_setup(-ENOMEM, 3);
    eddy_loop *loop = ring_loop(0, 0);
    CHECK_EQ(uring_of(loop)->ring.sq.ring_entries, 32);
    CHECK_EQ(uring_of(loop)->ring.cq.ring_entries, 512);
    echo_once(loop);
    eddy_loop_free(loop);
}

static int64_t make_and_use(void *arg) {
    (void)arg;
    eddy_loop *loop;
    int r = eddy_loop_new(&(eddy_loop_opts){.driver = "uring"}, &loop);
    if (r < 0) {
        return r;
    }
    echo_once(loop);
    eddy_loop_free(loop);
    return 0;
}

TEST(every_allocation_of_a_ring_may_fail) {
    eddy_loop_free(ring_loop(0, 0)); /* or skip */
    CHECK(test_each_allocation_fails(make_and_use, NULL) > 2);
}

static void *first_use(void *loop) {
    echo_once(loop);
    return NULL;
}

TEST(a_ring_made_on_one_thread_may_first_run_on_another) {
    pthread_t thread;
    eddy_loop *loop = ring_loop(0, 0);
    CHECK_EQ(pthread_create(&thread, NULL, first_use, loop), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    /* Not used any more, so it may be closed here. */
    eddy_loop_free(loop);
}

/* ---- operations ------------------------------------------------------------------------------ */

TEST(bytes_go_there_and_back) {
    eddy_loop *loop = ring_loop(0, 0);
    echo_once(loop);
    eddy_loop_free(loop);
}

TEST(hundred_ops_at_once_get_through_the_smallest_ring) {
    enum { PAIRS = 100 };
    static const unsigned sizes[][2] = {{1, 1}, {1, 2}, {2, 4}, {4, 4}, {8, 8}};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        eddy_loop *loop = ring_loop(sizes[k][0], sizes[k][1]);
        static struct eddyi_handle handles[PAIRS];
        static struct eddyi_op recvs[PAIRS];
        static struct eddyi_op sends[PAIRS];
        static char bufs[PAIRS][8];
        int peers[PAIRS];
        int received = 0;
        int sent = 0;
        for (int i = 0; i < PAIRS; i++) {
            peers[i] = tcp_pair(&handles[i]);
            recvs[i] = recv_op(&handles[i], bufs[i], sizeof bufs[i], &received);
            eddyi_op_submit(loop, &recvs[i]);
        }
        CHECK(!eddyi_list_empty(&uring_of(loop)->parked));
        for (int i = 0; i < PAIRS; i++) {
            CHECK_EQ(write(peers[i], "ping", 4), 4);
            sends[i] = send_op(&handles[i], "pong", 4, &sent);
            eddyi_op_submit(loop, &sends[i]);
        }
        wait_ends(loop, &received, PAIRS);
        wait_ends(loop, &sent, PAIRS);
        for (int i = 0; i < PAIRS; i++) {
            CHECK_EQ(recvs[i].result, 4);
            CHECK_BYTES(bufs[i], 4, "ping", 4);
            CHECK_EQ(sends[i].result, 4);
            CHECK_EQ(read(peers[i], bufs[i], 8), 4);
            close(peers[i]);
            CHECK_OK(eddyi_handle_close(loop, &handles[i]));
        }
        eddy_loop_free(loop);
    }
}

TEST(more_completions_than_the_queue_holds_all_arrive) {
    enum { PAIRS = 64 };
    eddy_loop *loop = ring_loop(64, 64);
    struct eddyi_uring *u = uring_of(loop);
    static struct eddyi_handle handles[PAIRS];
    static struct eddyi_op polls[PAIRS * 8];
    int peers[PAIRS];
    int ends = 0;
    for (int i = 0; i < PAIRS; i++) {
        peers[i] = tcp_pair(&handles[i]);
    }
    for (int i = 0; i < PAIRS * 8; i++) {
        polls[i] = poll_op(&handles[i % PAIRS], POLLIN, &ends);
        eddyi_op_submit(loop, &polls[i]);
        settle_down(loop);
    }
    CHECK_EQ(ends, 0);
    for (int i = 0; i < PAIRS; i++) {
        CHECK_EQ(write(peers[i], "x", 1), 1);
    }
    wait_ends(loop, &ends, PAIRS * 8);
    CHECK(*u->ring.cq.koverflow == 0);
    for (int i = 0; i < PAIRS; i++) {
        CHECK_EQ(polls[i].result, POLLIN);
        close(peers[i]);
        CHECK_OK(eddyi_handle_close(loop, &handles[i]));
    }
    eddy_loop_free(loop);
}

TEST(bytes_are_not_urgent) {
    eddy_loop *loop = ring_loop(0, 0);
    struct eddyi_handle handle;
    int ends = 0;
    int peer = tcp_pair(&handle);
    struct eddyi_op both = poll_op(&handle, POLLIN | POLLPRI, &ends);
    struct eddyi_op urgent = poll_op(&handle, POLLPRI, &ends);
    eddyi_op_submit(loop, &both);
    eddyi_op_submit(loop, &urgent);
    settle_down(loop);
    CHECK_EQ(write(peer, "a", 1), 1);
    wait_ends(loop, &ends, 1);
    CHECK_EQ(both.result, POLLIN);
    settle_down(loop);
    CHECK_EQ(ends, 1);
    CHECK_EQ(send(peer, "b", 1, MSG_OOB), 1);
    wait_ends(loop, &ends, 2);
    CHECK_EQ(urgent.result, POLLPRI);
    close(peer);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

static int count_threads(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/task");
    CHECK(folder != NULL);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return count;
}

TEST(a_poll_does_not_report_what_was_not_asked_for) {
    eddy_loop *loop = ring_loop(0, 0);
    struct eddyi_handle handle;
    int ends = 0;
    int peer = tcp_pair(&handle);
    static char bulk[1 << 20];
    /* Full in one direction, ended in the other: the kernel's poll would report the end. */
    int threads = count_threads();
    fill_socket(handle.fd);
    CHECK_OK(shutdown(peer, SHUT_WR));
    struct eddyi_op op = poll_op(&handle, POLLOUT, &ends);
    struct eddyi_op sender = send_op(&handle, "last", 4, &ends);
    eddyi_op_submit(loop, &op);
    eddyi_op_submit(loop, &sender);
    settle_down(loop);
    CHECK_EQ(ends, 0);
    CHECK_EQ(loop->driver->attempt(loop, &sender), -EAGAIN);
    uint64_t enters = uring_of(loop)->enters;
    settle_down(loop);
    CHECK_EQ(uring_of(loop)->enters, enters); /* nothing goes round in circles */
    CHECK_EQ(count_threads(), threads);       /* nor blocks a thread of the kernel's */
    while (ends < 2) {
        CHECK(recv(peer, bulk, sizeof bulk, MSG_DONTWAIT) != 0);
        loop->driver->wait(loop, 0);
    }
    CHECK_EQ(op.result, POLLOUT);
    CHECK_EQ(sender.result, 4);
    /* One that is cancelled in that state ends too. */
    fill_socket(handle.fd);
    eddyi_op_submit(loop, &op);
    eddyi_op_submit(loop, &sender);
    settle_down(loop);
    CHECK_EQ(ends, 2);
    eddyi_handle_cancel(loop, &handle);
    wait_ends(loop, &ends, 4);
    CHECK_EQ(op.result, -ECANCELED);
    CHECK_EQ(sender.result, -ECANCELED);
    close(peer);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

TEST(a_pipe_is_read_and_written_when_it_is_ready) {
    eddy_loop *loop = ring_loop(0, 0);
    struct eddyi_handle in;
    struct eddyi_handle out;
    char buf[8];
    int fds[2];
    int ends = 0;
    CHECK_OK(pipe2(fds, O_CLOEXEC));
    eddyi_handle_init(&in, fds[0], EDDYI_HANDLE_POLLABLE);
    eddyi_handle_init(&out, fds[1], EDDYI_HANDLE_POLLABLE);
    struct eddyi_op reader = make_op(EDDYI_OP_READ, &in, &ends);
    reader.buf = buf;
    reader.len = sizeof buf;
    reader.offset = -1;
    eddyi_op_submit(loop, &reader);
    settle_down(loop);
    CHECK_EQ(ends, 0);
    struct eddyi_op writer = make_op(EDDYI_OP_WRITE, &out, &ends);
    writer.data = "abc";
    writer.len = 3;
    writer.offset = -1;
    eddyi_op_submit(loop, &writer);
    wait_ends(loop, &ends, 2);
    CHECK_EQ(writer.result, 3);
    CHECK_EQ(reader.result, 3);
    CHECK_OK(eddyi_handle_close(loop, &out));
    CHECK_EQ(do_op(loop, reader), 0);
    CHECK_OK(eddyi_handle_close(loop, &in));
    eddy_loop_free(loop);
}

TEST(a_file_is_read_at_an_offset_and_at_its_position) {
    eddy_loop *loop = ring_loop(0, 0);
    struct eddyi_handle handle;
    char path[256];
    static char buf[600 * 1024];
    snprintf(path, sizeof path, "%s/file", test_tmpdir());
    int fd = (int)CHECK_OK(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    memset(buf, 'x', sizeof buf);
    CHECK_EQ(write(fd, buf, sizeof buf), sizeof buf);
    CHECK_EQ(pwrite(fd, "hello", 5, 10), 5);
    CHECK_EQ(lseek(fd, 10, SEEK_SET), 10);
    eddyi_handle_init(&handle, fd, EDDYI_HANDLE_FILE);
    struct eddyi_op op = make_op(EDDYI_OP_READ, &handle, NULL);
    op.buf = buf;
    op.len = 7;
    op.offset = 8;
    CHECK_EQ(do_op(loop, op), 7);
    CHECK_BYTES(buf, 7, "xxhello", 7);
    op.offset = -1;
    CHECK_EQ(do_op(loop, op), 7);
    CHECK_BYTES(buf, 7, "helloxx", 7);
    op.offset = sizeof buf - 3;
    CHECK_EQ(do_op(loop, op), 3);
    op.offset = sizeof buf;
    CHECK_EQ(do_op(loop, op), 0);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

TEST(a_socket_that_somebody_made_nonblocking_waits_all_the_same) {
    eddy_loop *loop = ring_loop(0, 0);
    struct eddyi_handle handle;
    char buf[8];
    int ends = 0;
    int peer = tcp_pair(&handle);
    CHECK_OK(fcntl(handle.fd, F_SETFL, O_NONBLOCK));
    struct eddyi_op op = recv_op(&handle, buf, sizeof buf, &ends);
    eddyi_op_submit(loop, &op);
    settle_down(loop);
    CHECK_EQ(ends, 0);
    CHECK_EQ(write(peer, "abc", 3), 3);
    wait_ends(loop, &ends, 1);
    CHECK_EQ(op.result, 3);
    close(peer);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

TEST(connect_gives_what_the_peer_says) {
    eddy_loop *loop = ring_loop(0, 0);
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        struct sockaddr_in address;
        struct eddyi_handle handle;
        int type = SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0);
        int listener = listener_on(&address, 0);
        struct eddyi_op op = make_op(EDDYI_OP_CONNECT, &handle, NULL);
        op.addr = (struct sockaddr *)&address;
        op.len = sizeof address;
        eddyi_handle_init(&handle, (int)CHECK_OK(socket(AF_INET, type, 0)), EDDYI_HANDLE_SOCKET);
        CHECK_EQ(do_op(loop, op), 0);
        CHECK_EQ(do_op(loop, op), -EISCONN);
        CHECK_OK(eddyi_handle_close(loop, &handle));
        close(listener);
        eddyi_handle_init(&handle, (int)CHECK_OK(socket(AF_INET, type, 0)), EDDYI_HANDLE_SOCKET);
        CHECK_EQ(do_op(loop, op), -ECONNREFUSED);
        CHECK_OK(eddyi_handle_close(loop, &handle));
    }
    eddy_loop_free(loop);
}

/* ---- cancel ---------------------------------------------------------------------------------- */

TEST(a_cancel_reaches_an_op_wherever_it_is) {
    eddy_loop *loop = ring_loop(2, 4);
    struct eddyi_handle handle;
    char buf[8];
    int peer = tcp_pair(&handle);
    enum { OPS = 20 };
    struct eddyi_op ops[OPS];
    int ends = 0;
    for (int i = 0; i < OPS; i++) {
        ops[i] = poll_op(&handle, POLLIN, &ends);
        eddyi_op_submit(loop, &ops[i]);
    }
    /* Parked: ended from inside the call. */
    CHECK((ops[OPS - 1].driver_word & EDDYI_URING_PARKED) != 0);
    eddyi_op_cancel(loop, &ops[OPS - 1]);
    CHECK_EQ(ends, 1);
    CHECK_EQ(ops[OPS - 1].result, -ECANCELED);
    /* In the queue, with the others waiting in front of the cancel. */
    eddyi_op_cancel(loop, &ops[0]);
    eddyi_op_cancel(loop, &ops[0]);
    settle_down(loop);
    CHECK_EQ(ends, 2);
    CHECK_EQ(ops[0].result, -ECANCELED);
    /* In the kernel, all at once, through a queue that holds two. */
    eddyi_handle_cancel(loop, &handle);
    wait_ends(loop, &ends, OPS);
    for (int i = 0; i < OPS; i++) {
        CHECK_EQ(ops[i].result, -ECANCELED);
    }
    /* After it has ended in the kernel, before it was reaped: its own result stands. */
    CHECK_EQ(write(peer, "abc", 3), 3);
    ends = 0;
    ops[0] = poll_op(&handle, POLLIN, &ends);
    eddyi_op_submit(loop, &ops[0]);
    eddyi_uring_flush(uring_of(loop));
    CHECK_EQ(ends, 0);
    eddyi_op_cancel(loop, &ops[0]);
    wait_ends(loop, &ends, 1);
    CHECK_EQ(ops[0].result, POLLIN);
    eddyi_op_cancel(loop, &ops[0]); /* harmless */
    CHECK_EQ(do_op(loop, recv_op(&handle, buf, sizeof buf, NULL)), 3);
    close(peer);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

/* Makes the cancel that is the newest entry of the queue miss what it is for. */
static void misdirect_cancel(struct eddyi_uring *u) {
    struct io_uring_sqe *sqe = &u->ring.sq.sqes[(u->ring.sq.sqe_tail - 1) & u->ring.sq.ring_mask];
    CHECK_EQ(sqe->opcode, IORING_OP_ASYNC_CANCEL);
    sqe->addr ^= 8;
}

TEST(a_cancel_that_finds_nothing_is_sent_again) {
    eddy_loop *loop = ring_loop(0, 0);
    struct eddyi_handle handle;
    struct sockaddr_in address;
    char buf[8];
    int ends = 0;
    int peer = tcp_pair(&handle);
    struct eddyi_op op = recv_op(&handle, buf, sizeof buf, &ends);
    eddyi_op_submit(loop, &op);
    settle_down(loop);
    eddyi_op_cancel(loop, &op);
    misdirect_cancel(uring_of(loop));
    wait_ends(loop, &ends, 1);
    CHECK_EQ(op.result, -ECANCELED);
    close(peer);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    /* And that of a listener's multishot. */
    eddyi_handle_init(&handle, listener_on(&address, 0), EDDYI_HANDLE_SOCKET);
    handle.listening = true;
    op = make_op(EDDYI_OP_ACCEPT, &handle, &ends);
    eddyi_op_submit(loop, &op);
    settle_down(loop);
    eddyi_op_cancel(loop, &op);
    eddyi_uring_shot_cancel(uring_of(loop), handle.driver_data);
    misdirect_cancel(uring_of(loop));
    CHECK_OK(eddyi_handle_close(loop, &handle));
    close(listener_on(&address, address.sin_port));
    eddy_loop_free(loop);
}

TEST(an_attempt_does_not_overtake_who_waits) {
    eddy_loop *loop = ring_loop(0, 0);
    struct eddyi_handle handle;
    char first[8];
    char second[8];
    int ends = 0;
    int peer = tcp_pair(&handle);
    struct eddyi_op op = recv_op(&handle, first, sizeof first, &ends);
    struct eddyi_op late = recv_op(&handle, second, sizeof second, NULL);
    eddyi_op_submit(loop, &op);
    settle_down(loop);
    CHECK_EQ(write(peer, "abc", 3), 3);
    CHECK_EQ(loop->driver->attempt(loop, &late), -EAGAIN);
    wait_ends(loop, &ends, 1);
    CHECK_EQ(op.result, 3);
    close(peer);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

TEST(cancelled_sends_and_connects_end) {
    eddy_loop *loop = ring_loop(0, 0);
    struct eddyi_handle handle;
    int ends = 0;
    int peer = tcp_pair(&handle);
    struct eddyi_op op = send_op(&handle, "abc", 3, &ends);
    fill_socket(handle.fd);
    eddyi_op_submit(loop, &op);
    settle_down(loop);
    CHECK_EQ(ends, 0);
    eddyi_op_cancel(loop, &op);
    wait_ends(loop, &ends, 1);
    CHECK_EQ(op.result, -ECANCELED);
    close(peer);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    /* A Unix listener with a full backlog makes who connects wait. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/u", test_tmpdir());
    CHECK_OK(bind(listener, (struct sockaddr *)&address, sizeof address));
    CHECK_OK(listen(listener, 0));
    int first = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_OK(connect(first, (struct sockaddr *)&address, sizeof address));
    eddyi_handle_init(&handle, (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
                      EDDYI_HANDLE_SOCKET);
    op = make_op(EDDYI_OP_CONNECT, &handle, &ends);
    op.addr = (struct sockaddr *)&address;
    op.len = sizeof address;
    ends = 0;
    eddyi_op_submit(loop, &op);
    settle_down(loop);
    CHECK_EQ(ends, 0);
    eddyi_op_cancel(loop, &op);
    wait_ends(loop, &ends, 1);
    CHECK_EQ(op.result, -ECANCELED);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    close(first);
    close(listener);
    eddy_loop_free(loop);
}

/* ---- closing --------------------------------------------------------------------------------- */

TEST(a_peer_sees_the_end_as_soon_as_close_returns) {
    eddy_loop *loop = ring_loop(0, 0);
    struct eddyi_handle handle;
    char buf[8];
    int ends = 0;
    int peer = tcp_pair(&handle);
    struct eddyi_op op = recv_op(&handle, buf, sizeof buf, &ends);
    eddyi_op_submit(loop, &op);
    settle_down(loop);
    eddyi_handle_cancel(loop, &handle);
    wait_ends(loop, &ends, 1);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    CHECK_EQ(recv(peer, buf, sizeof buf, MSG_DONTWAIT), 0);
    close(peer);
    eddy_loop_free(loop);
}

/* Whether a mapping of this process's memory belongs to a ring. */
static bool ring_is_mapped(void) {
    char line[512];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        found = found || strstr(line, "[io_uring]") != NULL;
    }
    fclose(maps);
    return found;
}

TEST(a_forked_child_closes_its_copy_and_the_parent_goes_on) {
    eddy_loop *loop = ring_loop(0, 0);
    struct sockaddr_in address;
    struct eddyi_handle handle;
    struct eddyi_handle listener;
    char buf[8];
    int ends = 0;
    int status;
    int peer = tcp_pair(&handle);
    struct eddyi_op op = recv_op(&handle, buf, sizeof buf, &ends);
    eddyi_handle_init(&listener, listener_on(&address, 0), EDDYI_HANDLE_SOCKET);
    listener.listening = true;
    struct eddyi_op acceptor = make_op(EDDYI_OP_ACCEPT, &listener, &ends);
    eddyi_op_submit(loop, &op);
    eddyi_op_submit(loop, &acceptor);
    settle_down(loop);
    CHECK(ring_is_mapped());
    pid_t child = (pid_t)CHECK_OK(fork());
    if (child == 0) {
        bool mapped = ring_is_mapped();
        eddy_loop_free(loop);
        _exit(mapped ? 1 : 0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(write(peer, "abc", 3), 3);
    int client = connect_to(&address);
    wait_ends(loop, &ends, 2);
    CHECK_EQ(op.result, 3);
    close((int)CHECK_OK(acceptor.result));
    close(client);
    close(peer);
    CHECK_OK(eddyi_handle_close(loop, &listener));
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}
