/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of streams share: connected sockets, and a stream that misbehaves on purpose. */
#ifndef EDDY_TESTS_RUNTIME_IO_IO_H
#define EDDY_TESTS_RUNTIME_IO_IO_H

#include <string.h>

#include <eddy/runtime/base/buffer.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/io/descriptor_impl.h>
#include <eddy/runtime/task/scope.h>
#include <eddy/runtime/task/task_impl.h>

#include "test.h"

/* Two sockets that are connected to each other, on whichever driver. */
static inline void socket_pair(eddy_stream **ret_a, eddy_stream **ret_b) {
    eddy_loop *loop = eddyi_loop_here;
    int fds[2];
    CHECK_OK(loop->host->socketpair(loop->host->ctx, AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_OK(eddyi_descriptor_new(loop, fds[0], &eddyi_unix_class, ret_a));
    CHECK_OK(eddyi_descriptor_new(loop, fds[1], &eddyi_unix_class, ret_b));
}

/* Bytes that show where they came from. */
static inline void fill_pattern(char *bytes, size_t len, size_t from) {
    for (size_t i = 0; i < len; i++) {
        size_t at = from + i;
        bytes[i] = (char)(at * 31 + at / 251);
    }
}

static inline void check_pattern(const char *bytes, size_t len, size_t from) {
    for (size_t i = 0; i < len; i++) {
        char wanted;
        fill_pattern(&wanted, 1, from + i);
        if (bytes[i] != wanted) {
            test_fail(__FILE__, __LINE__, "byte %zu is %d, not %d", from + i, bytes[i], wanted);
        }
    }
}

/* Lets every other task get as far as it can without the kernel. */
static inline void let_others_run(void) {
    for (int i = 0; i < 10; i++) {
        CHECK_OK(eddy_yield());
    }
}

/* Waits until the task `other` (or whoever uses the stream) is parked inside. */
static inline void wait_until(const bool *flag) {
    while (!*flag) {
        CHECK_OK(eddy_yield());
    }
    let_others_run();
}

/*
 * A stream over bytes of the test: gives and takes at most `chunk` at a time, fails once where it
 * is told to, and keeps what was written.
 */
struct odd {
    eddy_stream base;
    const char *data;
    size_t len;
    size_t at;
    size_t read_chunk;  /* 0: no limit */
    size_t write_chunk; /* 0: no limit */
    int64_t read_error; /* given once, when `at` has reached read_error_at */
    size_t read_error_at;
    int64_t write_error; /* given once, when so much has been written */
    size_t write_error_at;
    bool try_again; /* read_try and write_try give -EAGAIN */
    int reads;      /* calls */
    int writes;
    eddy_buffer written;
};

static inline struct odd *odd_of(eddy_stream *stream) {
    return EDDYI_CONTAINER(stream, struct odd, base);
}

static inline size_t odd_least(size_t a, size_t limit) {
    return limit != 0 && limit < a ? limit : a;
}

static inline int64_t odd_read(eddy_stream *stream, void *dst, size_t cap) {
    struct odd *odd = odd_of(stream);
    odd->reads++;
    if (odd->read_error != 0 && odd->at >= odd->read_error_at) {
        int64_t error = odd->read_error;
        odd->read_error = 0;
        return error;
    }
    size_t len = odd->len - odd->at < cap ? odd->len - odd->at : cap;
    len = odd_least(len, odd->read_chunk);
    if (odd->read_error != 0 && len > odd->read_error_at - odd->at) {
        len = odd->read_error_at - odd->at;
    }
    memcpy(dst, odd->data + odd->at, len);
    odd->at += len;
    return (int64_t)len;
}

static inline int64_t odd_read_try(eddy_stream *stream, void *dst, size_t cap) {
    return odd_of(stream)->try_again ? -EAGAIN : odd_read(stream, dst, cap);
}

static inline int64_t odd_write(eddy_stream *stream, const void *src, size_t len) {
    struct odd *odd = odd_of(stream);
    odd->writes++;
    if (odd->write_error != 0 && odd->written.len >= odd->write_error_at) {
        int64_t error = odd->write_error;
        odd->write_error = 0;
        return error;
    }
    len = odd_least(len, odd->write_chunk);
    if (odd->write_error != 0 && len > odd->write_error_at - odd->written.len) {
        len = odd->write_error_at - odd->written.len;
    }
    int r = eddy_buffer_append(&odd->written, src, len);
    return r < 0 ? r : (int64_t)len;
}

static inline int64_t odd_write_try(eddy_stream *stream, const void *src, size_t len) {
    return odd_of(stream)->try_again ? -EAGAIN : odd_write(stream, src, len);
}

/* All slices in one call, up to write_chunk bytes. */
static inline int64_t odd_writev(eddy_stream *stream, const struct iovec *iov, int count) {
    int64_t total = 0;
    for (int i = 0; i < count; i++) {
        struct odd *odd = odd_of(stream);
        size_t left = odd->write_chunk == 0 ? iov[i].iov_len : odd->write_chunk - (size_t)total;
        bool fails = odd->write_error != 0 && odd->written.len >= odd->write_error_at;
        if (left == 0 || (fails && total > 0)) {
            break; /* the error comes with the next call */
        }
        int64_t n = odd_write(stream, iov[i].iov_base, odd_least(iov[i].iov_len, left));
        odd->writes -= i > 0;
        if (n < 0) {
            return n;
        }
        total += n;
        if ((size_t)n < iov[i].iov_len) {
            break;
        }
    }
    return total;
}

static inline int odd_close(eddy_stream *stream) {
    eddy_buffer_done(&odd_of(stream)->written);
    eddyi_free(odd_of(stream));
    return 0;
}

static const struct eddyi_stream_class odd_class = {
    .kind = "odd",
    .read = odd_read,
    .write_some = odd_write,
    .writev_some = odd_writev,
    .read_try = odd_read_try,
    .write_try = odd_write_try,
    .close = odd_close,
};

/* The same without gathering and without a try. */
static const struct eddyi_stream_class plain_odd_class = {
    .kind = "odd",
    .read = odd_read,
    .write_some = odd_write,
    .close = odd_close,
};

static inline struct odd *odd_new(const struct eddyi_stream_class *class, const char *data,
                                  size_t len) {
    struct odd *odd = eddyi_zalloc(sizeof *odd);
    if (odd != NULL) {
        eddyi_stream_init(&odd->base, class, eddyi_loop_here);
        odd->data = data;
        odd->len = len;
    }
    return odd;
}

#endif
