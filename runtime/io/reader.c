/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     data             start            end               cap
 *      |   consumed     |    buffered    |     room        |
 *
 * `data` is the reader's own `first` while there is nothing but a little, and a block of the loop's
 * pool otherwise. A reader that waits with nothing buffered waits in `first`, so it holds no block;
 * nothing can be lost for want of memory, because those bytes stay where they are until a larger
 * place has been found. A request of an ordinary size never needs one.
 */
#include <eddy/runtime/io/reader.h>

#include <string.h>

#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/base/opts_impl.h>
#include <eddy/runtime/io/stream_impl.h>

/* Holds the head of a usual request, and is paid for by each reader, idle ones too. */
#define FIRST_BYTES ((size_t)512)

/* Beyond it pointers into the buffer could not be subtracted. */
#define LARGEST ((size_t)PTRDIFF_MAX)

struct eddy_reader {
    eddy_stream *stream;
    eddy_loop *loop;
    char *data; /* `first`, or cap bytes of the pool */
    size_t cap;
    size_t start;     /* of what is buffered, in data */
    size_t end;       /* behind it */
    size_t size;      /* how large a block is taken from the pool */
    size_t first_cap; /* how much of `first` is used: no more than `size` */
    uint64_t count;   /* bytes consumed */
    bool busy;        /* a task is inside */
    bool charged;     /* it has had its checkpoint and has not read since */
    bool streaming;   /* the last read brought much: more is likely to be there already */
    struct eddyi_track track;
    char first[FIRST_BYTES];
};

int eddy_reader_new(eddy_stream *stream, const eddy_reader_opts *opts, eddy_reader **ret_reader) {
    eddy_reader_opts copy;
    if (stream == NULL || EDDYI_OPTS_READ(&copy, opts, buffer_size_bytes) < 0 ||
        copy.buffer_size_bytes > LARGEST) {
        return -EINVAL;
    }
    eddy_reader *reader = eddyi_alloc(sizeof *reader);
    if (reader == NULL) {
        return -ENOMEM;
    }
    size_t size = copy.buffer_size_bytes == 0 ? EDDYI_POOL_BLOCK_BYTES : copy.buffer_size_bytes;
    reader->stream = stream;
    reader->loop = stream->loop;
    reader->data = reader->first;
    reader->first_cap = size < FIRST_BYTES ? size : FIRST_BYTES;
    reader->cap = reader->first_cap;
    reader->start = 0;
    reader->end = 0;
    reader->size = size;
    reader->count = 0;
    reader->busy = false;
    reader->charged = false;
    reader->streaming = false;
    eddyi_track_add(&reader->track, "reader", NULL, reader->loop, EDDYI_PLACE, NULL);
    *ret_reader = reader;
    return 0;
}

static void give_block_back(eddy_reader *reader) {
    if (reader->data != reader->first) {
        eddyi_pool_put(reader->loop, reader->data, reader->cap);
        reader->data = reader->first;
        reader->cap = reader->first_cap;
    }
}

eddy_reader *eddy_reader_free(eddy_reader *reader) {
    if (reader != NULL) {
        EDDY_ASSERT_SAY(!reader->busy, "a reader is freed while a task waits in it");
        give_block_back(reader);
        eddyi_track_remove(&reader->track);
        eddyi_free(reader);
    }
    return NULL;
}

/* ---- who may come in ------------------------------------------------------------------------- */

/* The stream counts as being read for as long as somebody is in here, also while all comes from the
 * buffer: so a close by another task waits for this one, wherever it was let yield. */
static int enter(eddy_reader *reader) {
    if (EDDYI_UNLIKELY(reader->stream->class->read == NULL)) {
        return -EBADF;
    }
    int r = eddyi_stream_enter(reader->stream, &reader->stream->reading);
    if (EDDYI_LIKELY(r == 0)) {
        reader->busy = true;
        reader->charged = true;
    }
    return r;
}

static int64_t leave(eddy_reader *reader, int64_t result) {
    reader->busy = false;
    eddyi_stream_leave(reader->stream, &reader->stream->reading);
    return result;
}

/* Before each read: the checkpoint, which the first one had in `enter`. */
static int go_on(eddy_reader *reader) {
    if (reader->charged) {
        reader->charged = false;
        return 0;
    }
    return eddyi_stream_go_on(reader->stream);
}

/* ---- the buffer ------------------------------------------------------------------------------ */

static inline size_t buffered(const eddy_reader *reader) {
    return reader->end - reader->start;
}

static inline const char *bytes(const eddy_reader *reader) {
    return reader->data + reader->start;
}

static inline void take(eddy_reader *reader, size_t len) {
    reader->start += len;
    reader->count += len;
}

/* Moves what is buffered to the front of a new place. */
static int move_to(eddy_reader *reader, size_t cap) {
    char *data = eddyi_pool_get(reader->loop, cap);
    if (data == NULL) {
        return -ENOMEM;
    }
    size_t len = buffered(reader);
    memcpy(data, bytes(reader), len);
    give_block_back(reader);
    reader->data = data;
    reader->cap = cap;
    reader->start = 0;
    reader->end = len;
    return 0;
}

/* Makes room for `want` buffered bytes in all, more than there are, and for a read that is worth
 * its system call. A byte is moved at most four times for each one consumed, and the size doubles,
 * so all of it costs O(1) a byte. */
static int make_room(eddy_reader *reader, size_t want) {
    size_t len = buffered(reader);
    size_t least = want - len > reader->cap / 8 ? want - len : reader->cap / 8;
    if (reader->cap - reader->end >= least) {
        return 0;
    }
    if (reader->cap - len >= least && len / 4 <= reader->start) {
        memmove(reader->data, bytes(reader), len);
        reader->start = 0;
        reader->end = len;
        return 0;
    }
    if (want > LARGEST) {
        return -ENOMEM;
    }
    size_t cap = reader->data == reader->first ? reader->size : reader->cap * 2;
    if (cap < want) {
        cap = want;
    }
    int r = move_to(reader, cap);
    /* A smaller step may still be possible, or none needed. */
    return r < 0 && reader->cap > reader->end ? 0 : r;
}

static int64_t filled(eddy_reader *reader, int64_t n) {
    if (n > 0) {
        reader->end += (size_t)n;
        reader->streaming = (size_t)n >= reader->first_cap;
    }
    return n;
}

/* Nothing is buffered, but much came last time: takes what is there, in a block, without waiting.
 * -EAGAIN: nothing is, or there is no block. */
static int64_t fill_now(eddy_reader *reader) {
    eddy_stream *stream = reader->stream;
    if (stream->class->read_try == NULL ||
        (reader->data == reader->first && move_to(reader, reader->size) < 0)) {
        return -EAGAIN;
    }
    int64_t n = stream->class->read_try(stream, reader->data, reader->cap);
    return n == -EAGAIN ? n : filled(reader, eddyi_stream_read_end(stream, n, 0));
}

/* Reads at least one byte more, on the way to `want` buffered ones: how many came, 0 at the end. */
static int64_t fill(eddy_reader *reader, size_t want) {
    int r = go_on(reader);
    if (r < 0) {
        return r;
    }
    if (reader->start == reader->end) {
        reader->start = 0;
        reader->end = 0;
        if (reader->streaming) {
            int64_t n = fill_now(reader);
            if (n != -EAGAIN) {
                return n;
            }
        }
        give_block_back(reader);
    } else if ((r = make_room(reader, want)) < 0) {
        return r;
    }
    return filled(reader, eddyi_stream_read_inside(reader->stream, reader->data + reader->end,
                                                   reader->cap - reader->end));
}

/* What a fill that brought nothing means to a call that needs more than there is. */
static int64_t ended(const eddy_reader *reader, int64_t n) {
    return n < 0 || buffered(reader) == 0 ? n : EDDY_EEND;
}

/* ---- some, and exactly ----------------------------------------------------------------------- */

static size_t copy_out(eddy_reader *reader, void *dst, size_t cap) {
    size_t len = buffered(reader) < cap ? buffered(reader) : cap;
    if (len > 0) {
        memcpy(dst, bytes(reader), len);
        take(reader, len);
    }
    return len;
}

/* One read of the stream for the caller's memory: large ones go there directly. */
static int64_t read_some(eddy_reader *reader, void *dst, size_t cap) {
    if (buffered(reader) == 0 && cap >= reader->first_cap) {
        give_block_back(reader);
        int64_t n = go_on(reader);
        n = n < 0 ? n : eddyi_stream_read_inside(reader->stream, dst, cap);
        reader->count += n > 0 ? (uint64_t)n : 0;
        return n;
    }
    int64_t n = buffered(reader) > 0 ? 1 : fill(reader, 1);
    return n <= 0 ? n : (int64_t)copy_out(reader, dst, cap);
}

int64_t eddy_reader_read(eddy_reader *reader, void *dst, size_t cap) {
    if (cap == 0) {
        return -EINVAL;
    }
    int r = enter(reader);
    return r < 0 ? r : leave(reader, read_some(reader, dst, cap));
}

static int64_t exactly(eddy_reader *reader, char *dst, size_t len) {
    size_t at = 0;
    while (at < len) {
        int64_t n = read_some(reader, dst + at, len - at);
        if (n <= 0) {
            return n < 0 || at == 0 ? n : EDDY_EEND;
        }
        at += (size_t)n;
    }
    return (int64_t)len;
}

int64_t eddy_reader_exactly(eddy_reader *reader, void *dst, size_t len) {
    if (len > LARGEST) {
        return -EINVAL;
    }
    int r = enter(reader);
    return r < 0 ? r : leave(reader, exactly(reader, dst, len));
}

static int64_t read_all(eddy_reader *reader, size_t limit, eddy_buffer *buffer) {
    size_t total = 0;
    for (;;) {
        size_t room = limit - total;
        if (room == 0) {
            int64_t n = buffered(reader) > 0 ? 1 : fill(reader, 1);
            return n < 0 ? n : n > 0 ? EDDY_ELIMIT : (int64_t)total;
        }
        size_t more = buffered(reader) > reader->size ? buffered(reader) : reader->size;
        int r = eddy_buffer_reserve(buffer, more < room ? more : room);
        if (r < 0) {
            return r;
        }
        /* All the room that doubling has made, so that the reads grow with it. */
        size_t cap = buffer->cap - buffer->len < room ? buffer->cap - buffer->len : room;
        int64_t n = read_some(reader, buffer->data + buffer->len, cap);
        if (n <= 0) {
            return n < 0 ? n : (int64_t)total;
        }
        buffer->len += (size_t)n;
        total += (size_t)n;
    }
}

int64_t eddy_reader_all(eddy_reader *reader, size_t limit, eddy_buffer *buffer) {
    int r = enter(reader);
    return r < 0 ? r : leave(reader, read_all(reader, limit < LARGEST ? limit : LARGEST, buffer));
}

/* ---- looking ahead --------------------------------------------------------------------------- */

static int64_t peek(eddy_reader *reader, size_t want, eddy_slice *ret_slice) {
    while (buffered(reader) < want) {
        int64_t n = fill(reader, want);
        if (n <= 0) {
            return ended(reader, n);
        }
    }
    *ret_slice = eddy_slice_from(bytes(reader), buffered(reader));
    return (int64_t)buffered(reader);
}

int64_t eddy_reader_peek(eddy_reader *reader, size_t want, eddy_slice *ret_slice) {
    if (want == 0) {
        return -EINVAL;
    }
    int r = enter(reader);
    return r < 0 ? r : leave(reader, peek(reader, want, ret_slice));
}

void eddy_reader_consume(eddy_reader *reader, size_t len) {
    EDDY_ASSERT_SAY(!reader->busy, "bytes are consumed while another task waits in the reader");
    take(reader, len < buffered(reader) ? len : buffered(reader));
}

static int64_t until(eddy_reader *reader, eddy_slice delimiter, size_t limit,
                     eddy_slice *ret_slice) {
    size_t from = 0; /* no delimiter begins before it */
    for (;;) {
        size_t len = buffered(reader) < limit ? buffered(reader) : limit;
        if (len - from >= delimiter.len) {
            const char *at =
                memmem(bytes(reader) + from, len - from, delimiter.data, delimiter.len);
            if (at != NULL) {
                len = (size_t)(at - bytes(reader)) + delimiter.len;
                *ret_slice = eddy_slice_from(bytes(reader), len);
                take(reader, len);
                return 1;
            }
            from = len - delimiter.len + 1;
        }
        if (len == limit) {
            return EDDY_ELIMIT;
        }
        int64_t n = fill(reader, buffered(reader) + 1);
        if (n <= 0) {
            return ended(reader, n);
        }
    }
}

int64_t eddy_reader_until(eddy_reader *reader, eddy_slice delimiter, size_t limit,
                          eddy_slice *ret_slice) {
    if (delimiter.len == 0 || limit < delimiter.len) {
        return -EINVAL;
    }
    int r = enter(reader);
    return r < 0 ? r : leave(reader, until(reader, delimiter, limit, ret_slice));
}

/* Whether `len` bytes without a \n are too many for a line of `limit`: a \r may be its end's. */
static bool too_long(const char *data, size_t len, size_t limit) {
    return len > limit && !(len - 1 == limit && data[len - 1] == '\r');
}

static int64_t line(eddy_reader *reader, size_t limit, eddy_slice *ret_slice) {
    size_t from = 0;
    for (;;) {
        size_t len = buffered(reader);
        const char *at = len == from ? NULL : memchr(bytes(reader) + from, '\n', len - from);
        if (at != NULL) {
            size_t raw = (size_t)(at - bytes(reader));
            len = raw > 0 && at[-1] == '\r' ? raw - 1 : raw;
            if (len > limit) {
                return EDDY_ELIMIT;
            }
            *ret_slice = eddy_slice_from(bytes(reader), len);
            take(reader, raw + 1);
            return 1;
        }
        if (too_long(bytes(reader), len, limit)) {
            return EDDY_ELIMIT;
        }
        from = len;
        int64_t n = fill(reader, len + 1);
        if (n <= 0) {
            return ended(reader, n);
        }
    }
}

int64_t eddy_reader_line(eddy_reader *reader, size_t limit, eddy_slice *ret_slice) {
    int r = enter(reader);
    return r < 0 ? r : leave(reader, line(reader, limit, ret_slice));
}

/* ---- what it knows --------------------------------------------------------------------------- */

size_t eddy_reader_buffered(const eddy_reader *reader) {
    return buffered(reader);
}

uint64_t eddy_reader_count(const eddy_reader *reader) {
    return reader->count;
}
