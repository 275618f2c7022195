/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/io/memory.h>

#include <stdio.h>

#include <eddy/runtime/base/buffer.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/io/stream_impl.h>

struct memory {
    eddy_stream base;
    eddy_buffer bytes;
    size_t at; /* the position; may lie behind the end */
};

static struct memory *memory_of(eddy_stream *stream) {
    return EDDYI_CONTAINER(stream, struct memory, base);
}

static int64_t memory_read(eddy_stream *stream, void *dst, size_t cap) {
    struct memory *memory = memory_of(stream);
    if (memory->at >= memory->bytes.len) {
        return 0;
    }
    size_t left = memory->bytes.len - memory->at;
    size_t len = left < cap ? left : cap;
    memcpy(dst, memory->bytes.data + memory->at, len);
    memory->at += len;
    return (int64_t)len;
}

/* Makes the stream `len` bytes long at least; what is new is zero. */
static int extend(struct memory *memory, size_t len) {
    eddy_buffer *bytes = &memory->bytes;
    if (len <= bytes->len) {
        return 0;
    }
    int r = eddy_buffer_reserve(bytes, len - bytes->len);
    if (r == 0) {
        memset(bytes->data + bytes->len, 0, len - bytes->len);
        bytes->len = len;
    }
    return r == -EOVERFLOW ? -ENOMEM : r;
}

static int64_t memory_write(eddy_stream *stream, const void *src, size_t len) {
    struct memory *memory = memory_of(stream);
    size_t end;
    if (__builtin_add_overflow(memory->at, len, &end)) {
        return -ENOMEM;
    }
    /* All the memory first, so that a write which fails leaves no zeros in the gap before it. */
    size_t grown = end > memory->bytes.len ? end - memory->bytes.len : 0;
    int r = eddy_buffer_reserve(&memory->bytes, grown);
    if (r == 0 && memory->at > memory->bytes.len) {
        r = extend(memory, memory->at);
    }
    if (r < 0) {
        return r == -EOVERFLOW ? -ENOMEM : r;
    }
    memcpy(memory->bytes.data + memory->at, src, len);
    memory->at = end;
    memory->bytes.len = end > memory->bytes.len ? end : memory->bytes.len;
    return (int64_t)len;
}

static int memory_close(eddy_stream *stream) {
    struct memory *memory = memory_of(stream);
    eddy_buffer_done(&memory->bytes);
    eddyi_free(memory);
    return 0;
}

static const struct eddyi_stream_class memory_class = {
    .kind = "memory",
    .read = memory_read,
    .write_some = memory_write,
    .read_try = memory_read,
    .write_try = memory_write,
    .close = memory_close,
};

int eddy_memory_stream_new(const void *data, size_t len, eddy_stream **ret_stream) {
    if (eddyi_loop_here == NULL) {
        return EDDY_ENOTASK;
    }
    if (data == NULL && len > 0) {
        return -EINVAL;
    }
    struct memory *memory = eddyi_zalloc(sizeof *memory);
    if (memory == NULL) {
        return -ENOMEM;
    }
    int r = eddy_buffer_append(&memory->bytes, data, len);
    if (r < 0) {
        eddyi_free(memory);
        return r == -EOVERFLOW ? -ENOMEM : r;
    }
    eddyi_stream_init(&memory->base, &memory_class, eddyi_loop_here);
    *ret_stream = eddyi_stream_give(&memory->base, EDDYI_PLACE);
    return 0;
}

/* ---- what only this kind has ----------------------------------------------------------------- */

static int check(eddy_stream *stream, struct memory **ret_memory) {
    if (stream->class != &memory_class) {
        return -ESPIPE;
    }
    *ret_memory = memory_of(stream);
    return eddyi_stream_check(stream);
}

int64_t eddy_memory_seek(eddy_stream *stream, int64_t offset, int whence) {
    struct memory *memory;
    int r = check(stream, &memory);
    if (r < 0) {
        return r;
    }
    int64_t at = eddyi_stream_seek((int64_t)memory->at, (int64_t)memory->bytes.len, offset, whence);
    if (at >= 0) {
        memory->at = (size_t)at;
    }
    return at;
}

int64_t eddy_memory_tell(eddy_stream *stream) {
    struct memory *memory;
    int r = check(stream, &memory);
    return r < 0 ? r : (int64_t)memory->at;
}

int eddy_memory_truncate(eddy_stream *stream, size_t len) {
    struct memory *memory;
    int r = check(stream, &memory);
    if (r == 0) {
        r = extend(memory, len);
    }
    if (r == 0) {
        memory->bytes.len = len;
    }
    return r;
}

int eddy_memory_contents(eddy_stream *stream, eddy_slice *ret_slice) {
    struct memory *memory;
    int r = check(stream, &memory);
    if (r == 0) {
        *ret_slice = eddy_buffer_slice(&memory->bytes);
    }
    return r;
}
