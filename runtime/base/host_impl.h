/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host table: every synchronous thing that the runtime asks of an operating system. (What it
 * asks asynchronously is the driver's.) A loop has one, and all its code goes through it, so that a
 * simulation can stand in its place:
 *
 *     int fd = host->socket(host->ctx, AF_INET6, SOCK_STREAM, 0);
 *
 * Each function takes the table's `ctx` first and gives >= 0 or -errno; outputs are written on
 * success only. Those of eddyi_host_real may be called on any thread, never give -EINTR, and pass
 * no descriptor on to programs that are executed.
 */
#ifndef EDDY_RUNTIME_BASE_HOST_IMPL_H
#define EDDY_RUNTIME_BASE_HOST_IMPL_H

#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <eddy/runtime/base/api.h>

struct eddyi_host {
    void *ctx; /* the first argument of all others; the table borrows it */

    /* --- clock and chance --- */

    /* Nanoseconds since some start; never goes back. */
    int64_t (*mono_ns)(void *ctx);
    /* Nanoseconds since 1970 in UTC; jumps when somebody sets the clock. */
    int64_t (*wall_ns)(void *ctx);
    /* Fills all of `ret_bytes` with random bytes that are good enough for keys; 0. */
    int (*random)(void *ctx, void *ret_bytes, size_t len);

    /* --- sockets: as the system calls of these names --- */

    /* A new socket. Blocking, as the ring wants it; who polls instead passes MSG_DONTWAIT. */
    int (*socket)(void *ctx, int domain, int type, int protocol);
    /* Two sockets that are connected to each other. */
    int (*socketpair)(void *ctx, int domain, int type, int protocol, int ret_fds[2]);
    /* Gives a socket its own address. */
    int (*bind)(void *ctx, int fd, const struct sockaddr *address, socklen_t len);
    /* Lets a socket accept; `backlog` is how many connections may wait for that. */
    int (*listen)(void *ctx, int fd, int backlog);
    /* Sets one option. */
    int (*setsockopt)(void *ctx, int fd, int level, int name, const void *value, socklen_t len);
    /* Reads one option; `len` is the room at `ret_value` before and the length after. */
    int (*getsockopt)(void *ctx, int fd, int level, int name, void *ret_value, socklen_t *len);
    /* The socket's own address; `len` is the room before and the whole address's length after. */
    int (*getsockname)(void *ctx, int fd, struct sockaddr *ret_address, socklen_t *len);
    /* The peer's address; `len` as in getsockname. */
    int (*getpeername)(void *ctx, int fd, struct sockaddr *ret_address, socklen_t *len);
    /* Ends one direction or both: SHUT_RD, SHUT_WR, SHUT_RDWR. */
    int (*shutdown)(void *ctx, int fd, int how);
    /* Sets the permissions of the name that bind has made for a Unix socket. */
    int (*chmod_socket)(void *ctx, const char *path, mode_t mode);
    /* Removes the name that bind has made for a Unix socket; -ENOTSOCK for another kind of file. */
    int (*unlink_socket)(void *ctx, const char *path);

    /* --- descriptors and files --- */

    /* The descriptor is gone afterwards, also when an error (of a late write) is given. */
    int (*close)(void *ctx, int fd);
    /* A second descriptor of what `fd` is one of: each is closed for itself. */
    int (*dup)(void *ctx, int fd);
    /* Keeps a descriptor that somebody else has made from programs that are executed. */
    int (*set_cloexec)(void *ctx, int fd);
    /* Opens `path` as seen from the folder `dirfd`, or AT_FDCWD; gives the descriptor. */
    int (*open)(void *ctx, int dirfd, const char *path, int flags, mode_t mode);
    /* As open, with the RESOLVE_* flags of openat2(2): RESOLVE_BENEATH, RESOLVE_CACHED ... Where
     * that call is refused, RESOLVE_BENEATH is kept by walking. */
    int (*open_resolve)(void *ctx, int dirfd, const char *path, int flags, mode_t mode,
                        uint64_t resolve);
    /* What this machine knows of an open file: no server is asked, so that it does not wait. */
    int (*fstat)(void *ctx, int fd, struct stat *ret_stat);
    /* What is known of the file `path`; flags are those of fstatat: AT_SYMLINK_NOFOLLOW ... */
    int (*statat)(void *ctx, int dirfd, const char *path, int flags, struct stat *ret_stat);
    /* Reads up to `len` bytes at `offset`, -1 for the file's own position, which then moves; gives
     * the count, 0 at the end of the file. */
    int64_t (*pread)(void *ctx, int fd, void *dst, size_t len, int64_t offset);
    /* As pread, of what is in memory already: -EAGAIN when the disk would have to be asked. */
    int64_t (*pread_cached)(void *ctx, int fd, void *dst, size_t len, int64_t offset);
    /* Fills `dst` with entries of a folder, as getdents64(2); gives the bytes used, 0 at its
     * end. */
    int64_t (*getdents)(void *ctx, int fd, void *dst, size_t len);
    /* Moves where the next getdents begins: lseek(2). */
    int64_t (*seek)(void *ctx, int fd, int64_t offset, int whence);
    /* Brings what was written to the disk; `data_only` leaves out times and the like. */
    int (*sync)(void *ctx, int fd, bool data_only);
    /* Writes up to `len` bytes at `offset`, -1 as in pread; gives the count. */
    int64_t (*pwrite)(void *ctx, int fd, const void *src, size_t len, int64_t offset);

    /* --- threads and processors --- */

    /* Starts a thread that takes no signals, to be joined once. `name` is cut to 15 bytes. */
    int (*thread_start)(void *ctx, const char *name, void *(*fn)(void *arg), void *arg,
                        pthread_t *ret_thread);
    /* Waits until the thread has ended. */
    int (*thread_join)(void *ctx, pthread_t thread);
    /* How many threads can run at once here: at least 1, affinity and cgroups considered. */
    int (*cpu_count)(void *ctx);
};

/* The kernel. Needs no ctx. */
extern const struct eddyi_host eddyi_host_real;

#endif
