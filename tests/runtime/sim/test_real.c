/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/sim: what reaches into a world from outside: other threads, pipes, files, forks. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "net.h"

/* ---- threads --------------------------------------------------------------------------------- */

#define POSTS 2000
#define POSTERS 2

struct tally {
    eddy_loop *loop;
    int calls; /* on the loop's thread */
    bool done;
};

static void count_call(void *arg) {
    struct tally *tally = arg;
    tally->calls++;
    tally->done = tally->calls == POSTS * POSTERS;
}

static void *post_many(void *arg) {
    struct tally *tally = arg;
    for (int i = 0; i < POSTS; i++) {
        CHECK_OK(eddy_loop_post(tally->loop, count_call, tally));
        if (i % 3 == 0) {
            sched_yield(); /* now and then the loop has time to fall asleep */
        }
    }
    return NULL;
}

TEST(posts_from_threads_wake_a_world_with_nothing_to_do) {
    struct tally tally = {.loop = sim_loop(3)};
    pthread_t threads[POSTERS];
    int64_t start_ns = now_of(tally.loop);
    tally.loop->live++;
    for (int i = 0; i < POSTERS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, post_many, &tally), 0);
    }
    CHECK_EQ(eddyi_loop_run_until(tally.loop, &tally.done), 0);
    CHECK_EQ(tally.calls, POSTS * POSTERS);
    /* Nothing jumped: there was nowhere to. */
    CHECK(now_of(tally.loop) - start_ns < EDDY_S);
    tally.loop->live--;
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], NULL);
    }
    eddy_loop_free(tally.loop);
}

TEST(a_wake_before_the_wait_ends_it_at_once) {
    eddy_loop *loop = sim_loop(3);
    int64_t start_ns = now_of(loop);
    loop->driver->wake(loop);
    loop->driver->wake(loop);
    loop->driver->wait(loop, EDDY_NEVER);
    loop->driver->wake(loop);
    loop->driver->wait(loop, start_ns + EDDY_S);
    CHECK_EQ(now_of(loop), start_ns);
    loop->driver->wait(loop, start_ns + EDDY_S);
    CHECK_EQ(now_of(loop), start_ns + EDDY_S);
    eddy_loop_free(loop);
}

/* The other thread's write may come after its wake was already taken notice of. */
TEST(a_wake_that_comes_late_is_forgotten_after_one_turn) {
    eddy_loop *loop = sim_loop(3);
    struct pollfd poller = {.fd = eddyi_sim_of(loop)->wake_fd, .events = POLLIN};
    uint64_t one = 1;
    CHECK_EQ(write(poller.fd, &one, sizeof one), sizeof one);
    loop->driver->wait(loop, EDDY_NEVER);
    CHECK_EQ(poll(&poller, 1, 0), 0);
    eddy_loop_free(loop);
}

/* ---- pipes and the like ---------------------------------------------------------------------- */

static struct eddyi_op read_op(struct eddyi_handle *handle, void *buf, size_t len, int *ends) {
    struct eddyi_op op = make_op(EDDYI_OP_READ, handle, ends);
    op.buf = buf;
    op.len = len;
    return op;
}

TEST(a_real_pipe_is_read_and_polled) {
    eddy_loop *loop = sim_loop(5);
    struct eddyi_handle handle;
    int fds[2];
    int ends = 0;
    char buf[8];
    CHECK_OK(pipe2(fds, O_CLOEXEC));
    eddyi_handle_init(&handle, fds[0], EDDYI_HANDLE_POLLABLE);
    struct eddyi_op read = read_op(&handle, buf, sizeof buf, &ends);
    struct eddyi_op poll = make_op(EDDYI_OP_POLL, &handle, &ends);
    poll.flags = POLLIN;
    CHECK_EQ(eddyi_op_attempt(loop, &read), -EAGAIN);
    CHECK_EQ(eddyi_op_attempt(loop, &poll), -EAGAIN);
    eddyi_op_submit(loop, &poll);
    for (int i = 0; i < 100; i++) {
        loop->driver->wait(loop, now_of(loop) + EDDY_MS);
    }
    CHECK_EQ(ends, 0);
    CHECK_EQ(write(fds[1], "abc", 3), 3);
    wait_ends(loop, &ends, 1);
    CHECK_EQ(poll.result, POLLIN);
    CHECK_EQ(eddyi_op_attempt(loop, &read), 3);
    eddyi_op_submit(loop, &read);
    eddyi_op_cancel(loop, &read);
    wait_ends(loop, &ends, 2);
    CHECK_ERR(read.result, -ECANCELED);
    eddyi_op_submit(loop, &read);
    close(fds[1]);
    wait_ends(loop, &ends, 3);
    CHECK_EQ(read.result, 0);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

TEST(a_real_pipe_that_nobody_reads_breaks_without_a_signal) {
    eddy_loop *loop = sim_loop(5);
    struct eddyi_handle handle;
    int fds[2];
    int ends = 0;
    CHECK_OK(pipe2(fds, O_CLOEXEC));
    eddyi_handle_init(&handle, fds[1], EDDYI_HANDLE_POLLABLE);
    static char bulk[1 << 20];
    struct eddyi_op op = make_op(EDDYI_OP_WRITE, &handle, &ends);
    op.data = bulk;
    op.len = sizeof bulk;
    int64_t n;
    while ((n = eddyi_op_attempt(loop, &op)) > 0) {
    }
    CHECK_EQ(n, -EAGAIN);
    eddyi_op_submit(loop, &op);
    loop->driver->wait(loop, now_of(loop) + EDDY_MS);
    CHECK_EQ(ends, 0);
    close(fds[0]);
    wait_ends(loop, &ends, 1);
    CHECK_ERR(op.result, -EPIPE);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

/* A world full of events still looks outside, so that a signal would be seen. */
TEST(a_busy_world_sees_real_descriptors_too) {
    eddy_loop *loop = sim_loop(5);
    struct eddyi_handle handle;
    int ends = 0;
    uint64_t count;
    eddyi_handle_init(&handle, eventfd(7, EFD_CLOEXEC), EDDYI_HANDLE_POLLABLE);
    struct eddyi_op op = read_op(&handle, &count, sizeof count, &ends);
    eddyi_op_submit(loop, &op);
    struct eddyi_ready busy = {0};
    loop->ready_head = &busy; /* as if there were always something to run */
    for (int i = 0; ends == 0 && i < 1000; i++) {
        loop->driver->wait(loop, 0);
    }
    loop->ready_head = NULL;
    CHECK_EQ(ends, 1);
    CHECK_EQ(op.result, sizeof count);
    CHECK_EQ(count, 7);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

/* Nothing is ready, and the loop may not sleep: it is polled from a foreign one. */
TEST(a_loop_that_is_polled_sees_real_descriptors_at_once) {
    eddy_loop *loop = sim_loop(5);
    struct eddyi_handle handle;
    int ends = 0;
    uint64_t count;
    eddyi_handle_init(&handle, eventfd(7, EFD_CLOEXEC), EDDYI_HANDLE_POLLABLE);
    struct eddyi_op op = read_op(&handle, &count, sizeof count, &ends);
    eddyi_op_submit(loop, &op);
    CHECK_OK(eddy_loop_poll(loop));
    CHECK_EQ(ends, 1);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

TEST(many_real_descriptors_at_once) {
    eddy_loop *loop = sim_loop(5);
    struct eddyi_handle handles[50];
    struct eddyi_op ops[50];
    uint64_t counts[50];
    int ends = 0;
    for (int i = 0; i < 50; i++) {
        eddyi_handle_init(&handles[i], eventfd(0, EFD_CLOEXEC), EDDYI_HANDLE_POLLABLE);
        ops[i] = read_op(&handles[i], &counts[i], sizeof counts[i], &ends);
        eddyi_op_submit(loop, &ops[i]);
    }
    for (int i = 0; i < 50; i++) {
        uint64_t one = 1;
        int which = i * 7 % 50;
        CHECK_EQ(write(handles[which].fd, &one, sizeof one), sizeof one);
        wait_ends(loop, &ends, i + 1);
        CHECK_EQ(ops[which].state, EDDYI_OP_DONE);
    }
    CHECK_EQ(eddyi_sim_of(loop)->real_count, 0); /* or the kernel is asked about nobody */
    for (int i = 0; i < 50; i++) {
        CHECK_OK(eddyi_handle_close(loop, &handles[i]));
    }
    eddy_loop_free(loop);
}

TEST(wrong_descriptors_get_the_kernels_error) {
    eddy_loop *loop = sim_loop(5);
    struct net net = {loop->host, loop};
    char buf[4];
    struct sockaddr_in address = loopback_v4(1);
    int closed = dup(0);
    close(closed);
    int wrong[] = {-1, closed, EDDYI_SIM_FD_FIRST + 5};
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(net_recv(&net, wrong[i], buf, 4), -EBADF);
        CHECK_ERR(net_send(&net, wrong[i], "x", 1), -EBADF);
        CHECK_ERR(net_accept(&net, wrong[i]), -EBADF);
        CHECK_ERR(net_poll(&net, wrong[i], POLLIN), -EBADF);
        CHECK_ERR(net_connect(&net, wrong[i], &address, sizeof address), -EBADF);
    }
    int fd = eventfd(1, EFD_CLOEXEC);
    CHECK_ERR(net_recv(&net, fd, buf, 4), -ENOTSOCK);
    CHECK_ERR(net_connect(&net, fd, &address, sizeof address), -ENOTSOCK);
    net_close(&net, fd);
    eddy_loop_free(loop);
}

/* A real socket that was inherited still works as one. */
TEST(a_real_socket_sends_and_receives) {
    eddy_loop *loop = sim_loop(5);
    struct net net = {loop->host, loop};
    struct net kernel = {&eddyi_host_real, NULL};
    struct sockaddr_in address;
    char buf[8];
    int listener = net_listener(&kernel, 4, &address);
    int client = net_socket(&kernel, AF_INET);
    CHECK_OK(net_connect(&kernel, client, &address, sizeof address));
    int server = (int)CHECK_OK(net_accept(&net, listener));
    CHECK_EQ(net_send(&net, server, "hello", 5), 5);
    CHECK_EQ(net_recv(&net, client, buf, sizeof buf), 5);
    struct iovec pieces[2] = {{buf, 2}, {buf + 2, 3}};
    CHECK_EQ(
        net_end(&net, client, (struct eddyi_op){.kind = EDDYI_OP_SENDV, .iov = pieces, .len = 2}),
        5);
    CHECK_EQ(net_recv(&net, server, buf, sizeof buf), 5);
    CHECK_ERR(net_connect(&net, client, &address, sizeof address), -EOPNOTSUPP);
    net_close(&net, client);
    CHECK_EQ(net_recv(&net, server, buf, sizeof buf), 0);
    net_close(&net, server);
    net_close(&net, listener);
    eddy_loop_free(loop);
}

/* ---- files ----------------------------------------------------------------------------------- */

TEST(a_file_is_read_and_written_as_a_job) {
    eddy_loop *loop = sim_loop(9);
    const struct eddyi_host *host = loop->host;
    struct eddyi_handle handle;
    char path[256];
    char buf[16];
    bool done[2] = {false, false};
    snprintf(path, sizeof path, "%s/file", test_tmpdir());
    int fd = (int)CHECK_OK(host->open(host->ctx, AT_FDCWD, path, O_RDWR | O_CREAT, 0600));
    eddyi_handle_init(&handle, fd, EDDYI_HANDLE_FILE);
    loop->live++;
    for (int i = 0; i < 2; i++) {
        int ends = 0;
        struct eddyi_op op = make_op(i == 0 ? EDDYI_OP_WRITE : EDDYI_OP_READ, &handle, &ends);
        if (i == 0) {
            op.data = "in the file";
            op.len = 11;
        } else {
            op.buf = buf;
            op.len = sizeof buf;
        }
        op.offset = 0;
        eddyi_op_submit(loop, &op);
        CHECK_EQ(ends, 0);
        while (ends == 0) {
            CHECK_OK(eddy_loop_poll(loop));
        }
        CHECK_EQ(op.result, 11);
        done[i] = true;
    }
    loop->live--;
    CHECK(done[0] && done[1]);
    CHECK_BYTES(buf, 11, "in the file", 11);
    eddy_sim_stats stats = {.size = sizeof stats};
    CHECK_OK(eddy_sim_stats_get(loop, &stats));
    CHECK_EQ(stats.jobs, 2);
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

/* ---- forks ----------------------------------------------------------------------------------- */

TEST(a_forked_child_gives_the_world_back_under_pending_operations) {
    eddy_loop *loop = sim_loop(5);
    struct net net = {loop->host, loop};
    struct sockaddr_in address;
    struct eddyi_handle handle;
    int ends = 0;
    eddyi_handle_init(&handle, net_listener(&net, 4, &address), EDDYI_HANDLE_SOCKET);
    struct eddyi_op op = make_op(EDDYI_OP_ACCEPT, &handle, &ends);
    eddyi_op_submit(loop, &op);
    int client = net_socket(&net, AF_INET);
    struct eddyi_handle client_handle;
    eddyi_handle_init(&client_handle, client, EDDYI_HANDLE_SOCKET);
    int client_ends = 0;
    struct eddyi_op connect = make_op(EDDYI_OP_CONNECT, &client_handle, &client_ends);
    connect.addr = (struct sockaddr *)&address;
    connect.len = sizeof address;
    eddyi_op_submit(loop, &connect);
    loop->driver->wait(loop, now_of(loop) + EDDY_US);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        eddy_loop_free(loop);
        _exit(eddy_memory_blocks() == 0 ? 0 : 1);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    wait_ends(loop, &ends, 1);
    wait_ends(loop, &client_ends, 1);
    CHECK_EQ(connect.result, 0);
    net_close(&net, (int)CHECK_OK(op.result));
    CHECK_OK(eddyi_handle_close(loop, &client_handle));
    CHECK_OK(eddyi_handle_close(loop, &handle));
    eddy_loop_free(loop);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

TEST(a_simulated_socket_has_one_number_and_a_real_descriptor_may_have_two) {
    eddy_loop *loop = sim_loop(5);
    const struct eddyi_host *host = loop->host;
    struct net net = {host, loop};
    int socket = net_socket(&net, AF_INET);
    CHECK_ERR(host->dup(host->ctx, socket), -EOPNOTSUPP);
    CHECK_OK(host->set_cloexec(host->ctx, socket));
    net_close(&net, socket);
    int file = open("/dev/null", O_RDONLY);
    int second = (int)CHECK_OK(host->dup(host->ctx, file));
    CHECK_EQ(fcntl(second, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_OK(host->set_cloexec(host->ctx, file));
    CHECK_EQ(fcntl(file, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_OK(host->close(host->ctx, second));
    CHECK_OK(host->close(host->ctx, file));
    eddy_loop_free(loop);
}
