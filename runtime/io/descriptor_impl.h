/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream over a descriptor that can be waited for: a socket, a pipe, a terminal. TCP and Unix
 * sockets, pipes and standard streams are this with another name.
 */
#ifndef EDDY_RUNTIME_IO_DESCRIPTOR_IMPL_H
#define EDDY_RUNTIME_IO_DESCRIPTOR_IMPL_H

#include <eddy/runtime/io/stream_impl.h>
#include <eddy/runtime/loop/op_impl.h>

struct eddyi_descriptor {
    eddy_stream base;
    struct eddyi_handle handle;
    bool lingers; /* SO_LINGER with a time: its last close may block */
};

/* The classes: `kind` of handle is SOCKET for the first two, POLLABLE for the third. */
extern const struct eddyi_stream_class eddyi_tcp_class;
extern const struct eddyi_stream_class eddyi_unix_class;
extern const struct eddyi_stream_class eddyi_pipe_class;

/* Takes over `fd` (also on failure: it is closed): 0 or -ENOMEM. */
int eddyi_descriptor_new(eddy_loop *loop, int fd, const struct eddyi_stream_class *class,
                         eddy_stream **ret_stream);

static inline struct eddyi_descriptor *eddyi_descriptor_of(eddy_stream *stream) {
    return EDDYI_CONTAINER(stream, struct eddyi_descriptor, base);
}

#endif
