/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <eddy/runtime/base/assert_impl.h>
#include <eddy/runtime/base/beneath_impl.h>
#include <eddy/runtime/base/cpu_impl.h>
#include <eddy/runtime/base/host_impl.h>
#include <eddy/runtime/base/try_impl.h>

/*
 * Reserved, not used: only pages that are touched cost memory. The C library takes thread-locals
 * from it, and users' jobs run on it, too, which may expect more than our own code needs.
 */
#define THREAD_STACK_BYTES ((size_t)1024 * 1024)

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* Linux 5.12 */
#endif

#define THREAD_NAME_MAX 15 /* the kernel's limit */

/* --- clock and chance ------------------------------------------------------------------------- */

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    int r = clock_gettime(clock, &now);
    EDDY_ASSERT(r == 0); /* both clocks are always there */
    return (int64_t)now.tv_sec * EDDY_S + now.tv_nsec;
}

static int64_t real_mono_ns(void *ctx) {
    (void)ctx;
    return clock_ns(CLOCK_MONOTONIC);
}

static int64_t real_wall_ns(void *ctx) {
    (void)ctx;
    return clock_ns(CLOCK_REALTIME);
}

static int real_random(void *ctx, void *ret_bytes, size_t len) {
    (void)ctx;
    char *bytes = ret_bytes;
    while (len > 0) {
        /* Up to 256 bytes come at once; more may be cut short by a signal. */
        int64_t n = EDDYI_AGAIN_ON_EINTR(getrandom(bytes, len, 0));
        if (n < 0) {
            return (int)n;
        }
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

/* --- sockets ---------------------------------------------------------------------------------- */

static int real_socket(void *ctx, int domain, int type, int protocol) {
    (void)ctx;
    return (int)EDDYI_AGAIN_ON_EINTR(socket(domain, type | SOCK_CLOEXEC, protocol));
}

static int real_socketpair(void *ctx, int domain, int type, int protocol, int ret_fds[2]) {
    (void)ctx;
    int fds[2]; /* the kernel writes the two numbers before it knows that it can connect them */
    int r = (int)EDDYI_AGAIN_ON_EINTR(socketpair(domain, type | SOCK_CLOEXEC, protocol, fds));
    if (r >= 0) {
        memcpy(ret_fds, fds, sizeof fds);
    }
    return r;
}

static int real_bind(void *ctx, int fd, const struct sockaddr *address, socklen_t len) {
    (void)ctx;
    return (int)EDDYI_AGAIN_ON_EINTR(
        bind(fd, address, len)); /* a path may wait for a folder's lock */
}

static int real_listen(void *ctx, int fd, int backlog) {
    (void)ctx;
    return (int)EDDYI_AGAIN_ON_EINTR(listen(fd, backlog));
}

static int real_setsockopt(void *ctx, int fd, int level, int name, const void *value,
                           socklen_t len) {
    (void)ctx;
    return (int)EDDYI_AGAIN_ON_EINTR(setsockopt(fd, level, name, value, len));
}

static int real_getsockopt(void *ctx, int fd, int level, int name, void *ret_value,
                           socklen_t *len) {
    (void)ctx;
    return (int)EDDYI_AGAIN_ON_EINTR(getsockopt(fd, level, name, ret_value, len));
}

static int real_getsockname(void *ctx, int fd, struct sockaddr *ret_address, socklen_t *len) {
    (void)ctx;
    return (int)EDDYI_AGAIN_ON_EINTR(getsockname(fd, ret_address, len));
}

static int real_getpeername(void *ctx, int fd, struct sockaddr *ret_address, socklen_t *len) {
    (void)ctx;
    return (int)EDDYI_AGAIN_ON_EINTR(getpeername(fd, ret_address, len));
}

static int real_shutdown(void *ctx, int fd, int how) {
    (void)ctx;
    return (int)EDDYI_AGAIN_ON_EINTR(shutdown(fd, how));
}

/* --- descriptors and files -------------------------------------------------------------------- */

static int real_close(void *ctx, int fd) {
    (void)ctx;
    /*
     * Never again on EINTR: Linux has given the number back by then, and another thread may have
     * got it since. The interruption is of the wait for late work, of which nothing can be said.
     */
    if (close(fd) < 0 && errno != EINTR) {
        return -errno;
    }
    return 0;
}

static int real_dup(void *ctx, int fd) {
    (void)ctx;
    return (int)EDDYI_AGAIN_ON_EINTR(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

static int real_set_cloexec(void *ctx, int fd) {
    (void)ctx;
    return (int)EDDYI_AGAIN_ON_EINTR(fcntl(fd, F_SETFD, FD_CLOEXEC));
}

static int real_open(void *ctx, int dirfd, const char *path, int flags, mode_t mode) {
    (void)ctx;
    return (int)EDDYI_AGAIN_ON_EINTR(openat(dirfd, path, flags | O_CLOEXEC, mode));
}

static int real_open_resolve(void *ctx, int dirfd, const char *path, int flags, mode_t mode,
                             uint64_t resolve) {
    (void)ctx;
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .mode = mode,
        .resolve = resolve,
    };
    int fd = (int)EDDYI_AGAIN_ON_EINTR(syscall(SYS_openat2, dirfd, path, &how, sizeof how));
    /* KERNEL(5.6): not there. Or a seccomp filter does not know it and says so, or -EPERM, which
     * the file itself may have meant: then the walk says it, too. */
    if (fd == -ENOSYS || fd == -EPERM) {
        if ((resolve & RESOLVE_CACHED) != 0) {
            return -EAGAIN;
        }
        if ((resolve & RESOLVE_BENEATH) != 0) {
            return eddyi_open_beneath(dirfd, path, flags, mode);
        }
    }
    return fd;
}

static struct timespec time_of(struct statx_timestamp from) {
    return (struct timespec){.tv_sec = from.tv_sec, .tv_nsec = from.tv_nsec};
}

/* Not fstat(2), which asks a server over the network or in user space, and waits for its answer. */
static int real_fstat(void *ctx, int fd, struct stat *ret_stat) {
    (void)ctx;
    struct statx known;
    int r = (int)EDDYI_AGAIN_ON_EINTR(
        statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &known));
    if (r == -EPERM || r == -ENOSYS) {
        return (int)EDDYI_AGAIN_ON_EINTR(fstat(fd, ret_stat)); /* a seccomp filter that is older */
    }
    if (r < 0) {
        return r;
    }
    *ret_stat = (struct stat){
        .st_dev = makedev(known.stx_dev_major, known.stx_dev_minor),
        .st_ino = known.stx_ino,
        .st_mode = known.stx_mode,
        .st_nlink = known.stx_nlink,
        .st_uid = known.stx_uid,
        .st_gid = known.stx_gid,
        .st_rdev = makedev(known.stx_rdev_major, known.stx_rdev_minor),
        .st_size = (off_t)known.stx_size,
        .st_blksize = (blksize_t)known.stx_blksize,
        .st_blocks = (blkcnt_t)known.stx_blocks,
        .st_atim = time_of(known.stx_atime),
        .st_mtim = time_of(known.stx_mtime),
        .st_ctim = time_of(known.stx_ctime),
    };
    return 0;
}

static int real_chmod_socket(void *ctx, const char *path, mode_t mode) {
    (void)ctx;
    return (int)EDDYI_AGAIN_ON_EINTR(chmod(path, mode));
}

static int real_unlink_socket(void *ctx, const char *path) {
    struct stat file;
    (void)ctx;
    if (lstat(path, &file) < 0) {
        return -errno;
    }
    if (!S_ISSOCK(file.st_mode)) {
        return -ENOTSOCK;
    }
    return unlink(path) < 0 ? -errno : 0;
}

static int real_statat(void *ctx, int dirfd, const char *path, int flags, struct stat *ret_stat) {
    (void)ctx;
    return (int)EDDYI_AGAIN_ON_EINTR(fstatat(dirfd, path, ret_stat, flags));
}

static int64_t real_pread(void *ctx, int fd, void *dst, size_t len, int64_t offset) {
    (void)ctx;
    return offset == -1 ? EDDYI_AGAIN_ON_EINTR(read(fd, dst, len))
                        : EDDYI_AGAIN_ON_EINTR(pread(fd, dst, len, offset));
}

static int64_t real_pread_cached(void *ctx, int fd, void *dst, size_t len, int64_t offset) {
    (void)ctx;
    struct iovec iov = {.iov_base = dst, .iov_len = len};
    int64_t n = EDDYI_AGAIN_ON_EINTR(preadv2(fd, &iov, 1, offset, RWF_NOWAIT));
    /* A file system that cannot promise not to wait counts as one that would have to. */
    return n == -EOPNOTSUPP ? -EAGAIN : n;
}

static int64_t real_getdents(void *ctx, int fd, void *dst, size_t len) {
    (void)ctx;
    return EDDYI_AGAIN_ON_EINTR(getdents64(fd, dst, len));
}

static int64_t real_seek(void *ctx, int fd, int64_t offset, int whence) {
    (void)ctx;
    off_t at = lseek(fd, offset, whence);
    return at < 0 ? -errno : at;
}

static int real_sync(void *ctx, int fd, bool data_only) {
    (void)ctx;
    return (int)EDDYI_AGAIN_ON_EINTR(data_only ? fdatasync(fd) : fsync(fd));
}

static int64_t real_pwrite(void *ctx, int fd, const void *src, size_t len, int64_t offset) {
    (void)ctx;
    return offset == -1 ? EDDYI_AGAIN_ON_EINTR(write(fd, src, len))
                        : EDDYI_AGAIN_ON_EINTR(pwrite(fd, src, len, offset));
}

/* --- threads and processors ------------------------------------------------------------------- */

/*
 * All but those that the thread itself causes by a fault. To block these does not stop them: the
 * kernel then ends the process without asking the handler that would report a stack overflow.
 */
static void fill_blocked_signals(sigset_t *ret_set) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigfillset(ret_set);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        sigdelset(ret_set, faults[i]);
    }
}

/* Gives 0 or a positive errno, as the calls of pthread do. */
static int create_thread(void *(*fn)(void *arg), void *arg, pthread_t *ret_thread) {
    pthread_attr_t attributes;
    int r = pthread_attr_init(&attributes);
    if (r != 0) {
        return r;
    }
    r = pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    if (r == 0) {
        r = pthread_create(ret_thread, &attributes, fn, arg);
    }
    pthread_attr_destroy(&attributes);
    return r;
}

static int real_thread_start(void *ctx, const char *name, void *(*fn)(void *arg), void *arg,
                             pthread_t *ret_thread) {
    (void)ctx;
    char short_name[THREAD_NAME_MAX + 1];
    snprintf(short_name, sizeof short_name, "%.*s", THREAD_NAME_MAX, name);

    /* A thread starts with its maker's mask: not even in its first moment does it take a signal. */
    sigset_t blocked;
    sigset_t old;
    fill_blocked_signals(&blocked);
    pthread_t thread;
    int r = pthread_sigmask(SIG_SETMASK, &blocked, &old);
    if (r != 0) {
        return -r;
    }
    r = create_thread(fn, arg, &thread);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r != 0) {
        return -r;
    }
    /* Fails when the thread has ended already. A name is for people; no reason to fail. */
    (void)pthread_setname_np(thread, short_name);
    *ret_thread = thread;
    return 0;
}

static int real_thread_join(void *ctx, pthread_t thread) {
    (void)ctx;
    return -pthread_join(thread, NULL);
}

static int real_cpu_count(void *ctx) {
    (void)ctx;
    return eddyi_cpu_count("");
}

const struct eddyi_host eddyi_host_real = {
    .mono_ns = real_mono_ns,
    .wall_ns = real_wall_ns,
    .random = real_random,
    .socket = real_socket,
    .socketpair = real_socketpair,
    .bind = real_bind,
    .listen = real_listen,
    .setsockopt = real_setsockopt,
    .getsockopt = real_getsockopt,
    .getsockname = real_getsockname,
    .getpeername = real_getpeername,
    .shutdown = real_shutdown,
    .close = real_close,
    .dup = real_dup,
    .set_cloexec = real_set_cloexec,
    .open = real_open,
    .open_resolve = real_open_resolve,
    .fstat = real_fstat,
    .statat = real_statat,
    .chmod_socket = real_chmod_socket,
    .unlink_socket = real_unlink_socket,
    .pread = real_pread,
    .pread_cached = real_pread_cached,
    .getdents = real_getdents,
    .seek = real_seek,
    .sync = real_sync,
    .pwrite = real_pwrite,
    .thread_start = real_thread_start,
    .thread_join = real_thread_join,
    .cpu_count = real_cpu_count,
};
