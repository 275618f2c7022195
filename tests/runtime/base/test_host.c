/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <eddy/runtime/base/host_impl.h>

#include "test.h"

static const struct eddyi_host *const host = &eddyi_host_real;
#define HOST(function, ...) (host->function(host->ctx, ##__VA_ARGS__))

/* --- calls that a signal interrupts ----------------------------------------------------------- */

/* These stand in for the C library's: a signal at the right moment cannot be had on demand. */
static int interruptions; /* so many calls are yet to be interrupted */
static int error_of_close;
static int error_of_random;

static bool interrupt(void) {
    if (interruptions == 0) {
        return false;
    }
    interruptions--;
    errno = EINTR;
    return true;
}

int close(int fd) {
    int r = (int)syscall(SYS_close, fd);
    if (error_of_close != 0) {
        errno = error_of_close; /* reported, and yet the descriptor is gone */
        return -1;
    }
    return r;
}

ssize_t getrandom(void *dst, size_t len, unsigned flags) {
    if (error_of_random != 0) {
        errno = error_of_random;
        return -1;
    }
    return interrupt() ? -1 : (ssize_t)syscall(SYS_getrandom, dst, len > 100 ? 100 : len, flags);
}

ssize_t pread(int fd, void *dst, size_t len, off_t offset) {
    return interrupt() ? -1 : (ssize_t)syscall(SYS_pread64, fd, dst, len, offset);
}

ssize_t pwrite(int fd, const void *src, size_t len, off_t offset) {
    return interrupt() ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, src, len, offset);
}

int openat(int dirfd, const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = va_arg(args, mode_t);
    va_end(args);
    return interrupt() ? -1 : (int)syscall(SYS_openat, dirfd, path, flags, mode);
}

/* --- clock and chance ------------------------------------------------------------------------- */

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

TEST(mono_is_the_monotonic_clock_and_never_goes_back) {
    int64_t last = clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < 10000; i++) {
        int64_t now = HOST(mono_ns);
        CHECK(now >= last);
        last = now;
    }
    CHECK(last <= clock_ns(CLOCK_MONOTONIC));
}

TEST(wall_counts_from_1970) {
    /* The clock may be set while we look; not a hundred times in a row. */
    for (int tries = 0;; tries++) {
        int64_t before = clock_ns(CLOCK_REALTIME);
        int64_t now = HOST(wall_ns);
        if (before <= now && now <= clock_ns(CLOCK_REALTIME)) {
            break;
        }
        CHECK(tries < 100);
    }
}

TEST(random_fills_every_byte_and_differs) {
    unsigned char bytes[2][1000];
    unsigned char seen[1000] = {0};
    for (int i = 0; i < 20; i++) {
        memset(bytes[0], 0, sizeof bytes[0]);
        CHECK_OK(HOST(random, bytes[0], sizeof bytes[0]));
        CHECK(i == 0 || memcmp(bytes[0], bytes[1], sizeof bytes[0]) != 0);
        for (size_t at = 0; at < sizeof seen; at++) {
            seen[at] |= bytes[0][at];
        }
        memcpy(bytes[1], bytes[0], sizeof bytes[0]);
    }
    for (size_t at = 0; at < sizeof seen; at++) {
        CHECK(seen[at] != 0); /* 0 in all twenty: once in 10^45 */
    }
}

TEST(random_stays_within_its_length) {
    char bytes[12] = {0};
    CHECK_OK(HOST(random, bytes + 2, 0));
    CHECK_OK(HOST(random, bytes + 2, 8));
    CHECK_EQ(bytes[0] | bytes[1] | bytes[10] | bytes[11], 0);
}

TEST(random_goes_on_after_a_signal_and_gives_other_errors) {
    char bytes[1000];
    interruptions = 3;
    CHECK_OK(HOST(random, bytes, sizeof bytes));
    CHECK_EQ(interruptions, 0);
    error_of_random = ENOSYS;
    CHECK_ERR(HOST(random, bytes, sizeof bytes), -ENOSYS);
}

/* --- sockets ---------------------------------------------------------------------------------- */

static void check_blocking_and_cloexec(int fd) {
    CHECK_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
}

TEST(sockets_block_and_are_not_inherited) {
    int fd = (int)CHECK_OK(HOST(socket, AF_INET, SOCK_STREAM, 0));
    check_blocking_and_cloexec(fd);
    CHECK_OK(HOST(close, fd));
    int fds[2];
    CHECK_OK(HOST(socketpair, AF_UNIX, SOCK_STREAM, 0, fds));
    check_blocking_and_cloexec(fds[0]);
    check_blocking_and_cloexec(fds[1]);
    CHECK_EQ(write(fds[0], "abc", 3), 3);
    CHECK_OK(HOST(shutdown, fds[0], SHUT_WR));
    char text[10];
    CHECK_EQ(read(fds[1], text, sizeof text), 3);
    CHECK_EQ(read(fds[1], text, sizeof text), 0); /* end of file: it was shut down */
    CHECK_OK(HOST(close, fds[0]));
    CHECK_OK(HOST(close, fds[1]));
}

TEST(a_listening_socket_knows_its_address_and_accepts) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof address;
    int listener = (int)CHECK_OK(HOST(socket, AF_INET, SOCK_STREAM, 0));
    CHECK_OK(HOST(bind, listener, (struct sockaddr *)&address, len));
    CHECK_OK(HOST(listen, listener, 5));
    CHECK_OK(HOST(getsockname, listener, (struct sockaddr *)&address, &len));
    CHECK_EQ(len, sizeof address);
    CHECK(address.sin_port != 0);

    int fd = (int)CHECK_OK(HOST(socket, AF_INET, SOCK_STREAM, 0));
    struct sockaddr_in peer = {.sin_port = 7};
    CHECK_ERR(HOST(getpeername, fd, (struct sockaddr *)&peer, &len), -ENOTCONN);
    CHECK_EQ(peer.sin_port, 7);
    CHECK_EQ(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_OK(HOST(getpeername, fd, (struct sockaddr *)&peer, &len));
    CHECK_EQ(peer.sin_port, address.sin_port);
    CHECK_OK(HOST(close, fd));
    CHECK_OK(HOST(close, listener));
}

TEST(an_option_that_was_set_can_be_read) {
    int fd = (int)CHECK_OK(HOST(socket, AF_INET, SOCK_STREAM, 0));
    int value = 1;
    socklen_t len = sizeof value;
    CHECK_OK(HOST(setsockopt, fd, SOL_SOCKET, SO_KEEPALIVE, &value, len));
    value = 0;
    CHECK_OK(HOST(getsockopt, fd, SOL_SOCKET, SO_KEEPALIVE, &value, &len));
    CHECK_EQ(value, 1);
    CHECK_EQ(len, sizeof value);
    CHECK_OK(HOST(close, fd));
}

TEST(errors_of_sockets_are_negative_and_leave_outputs_alone) {
    int fds[2] = {-7, -7};
    int value = -7;
    socklen_t len = sizeof value;
    struct sockaddr_in address = {.sin_family = AF_INET};
    CHECK_ERR(HOST(socket, -1, SOCK_STREAM, 0), -EAFNOSUPPORT);
    CHECK_ERR(HOST(socketpair, AF_INET, SOCK_STREAM, 0, fds), -EOPNOTSUPP);
    CHECK(fds[0] == -7 && fds[1] == -7);
    CHECK_ERR(HOST(bind, -1, (struct sockaddr *)&address, sizeof address), -EBADF);
    CHECK_ERR(HOST(listen, -1, 5), -EBADF);
    CHECK_ERR(HOST(setsockopt, -1, SOL_SOCKET, SO_KEEPALIVE, &value, len), -EBADF);
    CHECK_ERR(HOST(getsockopt, -1, SOL_SOCKET, SO_KEEPALIVE, &value, &len), -EBADF);
    CHECK_EQ(value, -7);
    CHECK_ERR(HOST(getsockname, -1, (struct sockaddr *)&address, &len), -EBADF);
    CHECK_ERR(HOST(shutdown, -1, SHUT_RDWR), -EBADF);
}

/* --- descriptors and files -------------------------------------------------------------------- */

/* A file in the case's folder, opened to read and write. */
static int open_new(void) {
    int dir = (int)CHECK_OK(HOST(open, AT_FDCWD, test_tmpdir(), O_RDONLY | O_DIRECTORY, 0));
    int fd = (int)CHECK_OK(HOST(open, dir, "file", O_RDWR | O_CREAT | O_EXCL, 0640));
    CHECK_OK(HOST(close, dir));
    return fd;
}

TEST(close_that_a_signal_interrupts_has_closed) {
    int fd = open_new();
    error_of_close = EINTR;
    CHECK_OK(HOST(close, fd));
    error_of_close = 0;
    CHECK_EQ(fcntl(fd, F_GETFD), -1);
}

TEST(close_gives_the_error_of_a_late_write_once) {
    int fd = open_new();
    error_of_close = EIO;
    CHECK_ERR(HOST(close, fd), -EIO);
    error_of_close = 0;
    CHECK_ERR(HOST(close, fd), -EBADF); /* it is gone all the same */
}

TEST(open_is_not_inherited_and_takes_folder_flags_and_mode) {
    mode_t old = umask(0);
    int fd = open_new();
    umask(old);
    CHECK_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    struct stat info;
    CHECK_OK(HOST(fstat, fd, &info));
    CHECK_EQ(info.st_mode, S_IFREG | 0640);
    CHECK_OK(HOST(close, fd));
    CHECK_ERR(HOST(open, AT_FDCWD, test_tmpdir(), O_RDWR, 0), -EISDIR);
    CHECK_ERR(HOST(open, -1, "file", O_RDONLY, 0), -EBADF);
}

TEST(a_second_descriptor_is_of_the_same_file_and_not_inherited) {
    struct stat a;
    struct stat b;
    int fd = open_new();
    int second = (int)CHECK_OK(HOST(dup, fd));
    CHECK(second != fd);
    CHECK_EQ(fcntl(second, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_OK(HOST(fstat, fd, &a));
    CHECK_OK(HOST(close, fd));
    CHECK_OK(HOST(fstat, second, &b));
    CHECK_EQ(a.st_ino, b.st_ino);
    CHECK_OK(HOST(close, second));
    CHECK_ERR(HOST(dup, second), -EBADF);
}

TEST(a_descriptor_of_somebody_else_is_kept_from_programs) {
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    CHECK_OK(HOST(set_cloexec, fds[0]));
    CHECK_EQ(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_EQ(fcntl(fds[1], F_GETFD) & FD_CLOEXEC, 0);
    CHECK_OK(HOST(close, fds[0]));
    CHECK_OK(HOST(close, fds[1]));
    CHECK_ERR(HOST(set_cloexec, fds[0]), -EBADF);
}

TEST(a_name_of_a_socket_gets_its_permissions) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct stat info;
    int fd = (int)CHECK_OK(HOST(socket, AF_UNIX, SOCK_STREAM, 0));
    snprintf(un.sun_path, sizeof un.sun_path, "%s/socket", test_tmpdir());
    CHECK_OK(HOST(bind, fd, (struct sockaddr *)&un, sizeof un));
    CHECK_OK(HOST(chmod_socket, un.sun_path, 0612));
    CHECK_OK(HOST(statat, AT_FDCWD, un.sun_path, 0, &info));
    CHECK_EQ(info.st_mode & 07777, 0612);
    CHECK_OK(HOST(unlink_socket, un.sun_path));
    CHECK_ERR(HOST(chmod_socket, un.sun_path, 0612), -ENOENT);
    CHECK_OK(HOST(close, fd));
}

TEST(pread_and_pwrite_go_where_they_are_told) {
    int fd = open_new();
    char text[10] = {0};
    CHECK_EQ(HOST(pwrite, fd, "cdef", 4, 2), 4);
    CHECK_EQ(HOST(pwrite, fd, "ab", 2, 0), 2);
    CHECK_EQ(HOST(pread, fd, text, sizeof text, 1), 5);
    CHECK_STR(text, "bcdef");
    CHECK_EQ(HOST(pread, fd, text, sizeof text, 6), 0);
    CHECK_ERR(HOST(pread, -1, text, sizeof text, 0), -EBADF);
    CHECK_ERR(HOST(pwrite, -1, text, sizeof text, 0), -EBADF);
    CHECK_OK(HOST(close, fd));
}

TEST(stat_of_a_path_can_stop_at_a_link) {
    int fd = open_new();
    int dir = (int)CHECK_OK(HOST(open, AT_FDCWD, test_tmpdir(), O_RDONLY | O_DIRECTORY, 0));
    CHECK_EQ(HOST(pwrite, fd, "abc", 3, 0), 3);
    CHECK_EQ(symlinkat("file", dir, "link"), 0);
    struct stat info;
    CHECK_OK(HOST(statat, dir, "link", 0, &info));
    CHECK(S_ISREG(info.st_mode));
    CHECK_EQ(info.st_size, 3);
    CHECK_OK(HOST(statat, dir, "link", AT_SYMLINK_NOFOLLOW, &info));
    CHECK(S_ISLNK(info.st_mode));
    CHECK_ERR(HOST(statat, dir, "none", 0, &info), -ENOENT);
    CHECK_ERR(HOST(fstat, -1, &info), -EBADF);
    CHECK(S_ISLNK(info.st_mode));
    CHECK_OK(HOST(close, dir));
    CHECK_OK(HOST(close, fd));
}

TEST(open_read_and_write_go_on_after_a_signal) {
    char text[3];
    interruptions = 4; /* of open_new, which opens twice */
    int fd = open_new();
    CHECK_EQ(interruptions, 0);
    interruptions = 3;
    CHECK_EQ(HOST(pwrite, fd, "abc", 3, 0), 3);
    CHECK_EQ(interruptions, 0);
    interruptions = 3;
    CHECK_EQ(HOST(pread, fd, text, 3, 0), 3);
    CHECK_EQ(interruptions, 0);
    CHECK_OK(HOST(close, fd));
}

/* --- threads ---------------------------------------------------------------------------------- */

struct facts {
    sem_t go;
    char name[16];
    sigset_t mask;
    size_t stack_size;
    bool ended;
};

static void *gather(void *arg) {
    struct facts *facts = arg;
    pthread_attr_t attributes;
    while (sem_wait(&facts->go) < 0) {
    }
    prctl(PR_GET_NAME, facts->name);
    pthread_sigmask(SIG_SETMASK, NULL, &facts->mask);
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstacksize(&attributes, &facts->stack_size);
    pthread_attr_destroy(&attributes);
    facts->ended = true;
    return NULL;
}

static void run_thread(struct facts *facts, const char *name) {
    pthread_t thread;
    sem_init(&facts->go, 0, 0);
    CHECK_OK(HOST(thread_start, name, gather, facts, &thread));
    sem_post(&facts->go); /* not before it has its name */
    CHECK_OK(HOST(thread_join, thread));
    sem_destroy(&facts->go);
    CHECK(facts->ended);
}

TEST(a_thread_has_a_name_a_stack_and_no_signals) {
    struct facts facts = {0};
    run_thread(&facts, "eddy-worker");
    CHECK_STR(facts.name, "eddy-worker");
    CHECK(facts.stack_size >= 256 * 1024);
    static const int blocked[] = {SIGINT,  SIGTERM, SIGHUP,  SIGCHLD,
                                  SIGALRM, SIGUSR1, SIGPIPE, SIGIO};
    for (size_t i = 0; i < sizeof blocked / sizeof blocked[0]; i++) {
        CHECK_EQ(sigismember(&facts.mask, blocked[i]), 1);
    }
    static const int open_[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof open_ / sizeof open_[0]; i++) {
        CHECK_EQ(sigismember(&facts.mask, open_[i]), 0);
    }
}

TEST(a_long_name_of_a_thread_is_cut) {
    struct facts facts = {0};
    run_thread(&facts, "0123456789abcdefghi");
    CHECK_STR(facts.name, "0123456789abcde");
}

TEST(the_starter_keeps_its_own_signals) {
    struct facts facts = {0};
    sigset_t mask;
    sigset_t after;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    run_thread(&facts, "x");
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < 32; number++) {
        CHECK_EQ(sigismember(&after, number), number == SIGUSR2);
    }
}

TEST(a_thread_that_cannot_be_started_is_an_error) {
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_NPROC, &limit), 0);
    /* The limit does not count for root. Dumpable, so that /proc/self stays readable for us. */
    if (geteuid() == 0) {
        CHECK_EQ(setresuid(65534, 65534, 65534), 0);
        CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0);
    }
    CHECK_EQ(setrlimit(RLIMIT_NPROC, &(struct rlimit){0, limit.rlim_max}), 0);
    pthread_t thread = pthread_self();
    sigset_t before;
    sigset_t after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    CHECK_ERR(HOST(thread_start, "x", gather, NULL, &thread), -EAGAIN);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    CHECK(pthread_equal(thread, pthread_self()));
    for (int number = 1; number < 32; number++) {
        CHECK_EQ(sigismember(&after, number), sigismember(&before, number));
    }
    CHECK_EQ(setrlimit(RLIMIT_NPROC, &limit), 0);
}
