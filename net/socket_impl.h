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
    eddy_tcp_opts connection;  /* for each accepted one */
    bool accepting;            /* a task is inside accept */
    bool closing;
    eddy_task *closer;         /* parked in close until nobody is inside */
    char *unlink_path;         /* our socket file, or NULL */
};

/* A stream socket of the address's family. */
int eddyi_socket_open(eddy_loop *loop, const eddy_address *address);
int eddyi_socket_set(eddy_loop *loop, int fd, int level, int name, int value);
/* Sets what opts asks for on a connection's socket; `family` decides about TCP's own. */
int eddyi_socket_options(eddy_loop *loop, int fd, int family, const eddy_tcp_opts *opts);
/* The class that a stream over such a socket has. */
const struct eddyi_stream_class *eddyi_socket_class(int family);
/* A second listener on the same port, for another loop: made on any thread, used on that one's. */
int eddyi_listener_again(eddy_loop *loop, const eddy_listener *first, eddy_listener **ret_listener);
/* Ends a listener that was never used, on any thread. */
void eddyi_listener_discard(eddy_listener *listener);

#endif
