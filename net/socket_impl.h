/* SPDX-License-Identifier: Apache-2.0 */
/* What connect and listen share: making a socket through the host, and its options. */
#ifndef EDDY_NET_SOCKET_IMPL_H
#define EDDY_NET_SOCKET_IMPL_H

#include <eddy/net/tcp.h>
#include <eddy/runtime/io/descriptor_impl.h>

struct eddy_listener {
    eddy_loop *loop;
    struct eddyi_handle handle;
    eddy_address address;
    eddy_listen_opts opts;    /* as given, `connection` apart; for a second one on the same port */
    eddy_tcp_opts connection; /* for each accepted one, `bind` apart */
    bool adopted;             /* made by somebody else: a second one shares its queue */
    bool accepting;           /* a task is inside accept, from before its checkpoint on */
    bool closing;
    eddy_task *closer;    /* parked in close until nobody is inside */
    eddy_stream *spare;   /* for the next connection: memory before it is accepted, or NULL */
    bool keeps;           /* `kept` is accepted, and there was no memory for it */
    int kept;             /* its descriptor: the next accept's */
    char *path;           /* our socket file, or NULL */
    uint64_t path_device; /* which file it was: somebody else's is left alone */
    uint64_t path_inode;
    struct eddyi_track track;
};

/* A stream socket of that family. */
int eddyi_socket_open(eddy_loop *loop, int family);
int eddyi_socket_set(eddy_loop *loop, int fd, int level, int name, int value);
/* The caller's options, NULL for none, in this version's size: 0 or -EINVAL. `bind` is copied as
 * the pointer that it is. */
int eddyi_socket_opts_read(const eddy_tcp_opts *opts, eddy_tcp_opts *ret_opts);
/* Sets on a new socket, or on a listener for those that it will accept, what opts asks for;
 * `family` decides about TCP's own. */
int eddyi_socket_options(eddy_loop *loop, int fd, int family, const eddy_tcp_opts *opts);
/* Likewise on a socket that may have had others: what opts does not ask for is turned off, apart
 * from sizes and times, which stay. */
int eddyi_socket_options_anew(eddy_loop *loop, int fd, int family, const eddy_tcp_opts *opts);
/* Those that an accepted connection does not inherit from its listener. */
int eddyi_socket_options_accepted(eddy_loop *loop, int fd, int family, const eddy_tcp_opts *opts);
/* The class that a stream over such a socket has. */
const struct eddyi_stream_class *eddyi_socket_class(int family);
/* A second listener on the same port, for another loop: made on any thread, used on that one's. */
int eddyi_listener_again(eddy_loop *loop, const eddy_listener *first, eddy_listener **ret_listener);
/* Ends a listener that was never used, on any thread. */
void eddyi_listener_discard(eddy_listener *listener);
/* Whether accept's error is about the one connection, which is gone. */
bool eddyi_listener_passed_over(int64_t error);

#endif
