/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/fs/file.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <eddy/fs/dir_impl.h>
#include <eddy/fs/open_impl.h>
#include <eddy/fs/stat_impl.h>
#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/io/descriptor_impl.h>

struct file {
    struct eddyi_descriptor descriptor;
    int64_t position;
    bool appends;      /* opened so: the kernel says where a write goes */
    int inside;        /* tasks in calls that are neither a read nor a write of the stream */
    eddy_task *closer; /* parked in close until nobody is inside */
};

/* More than this is not copied from the page cache on the loop's thread, where others wait; a
 * longer read just gives less. */
#define CACHED_MAX ((size_t)256 * 1024)

static const struct eddyi_stream_class file_class;

static struct file *file_of(eddy_stream *stream) {
    return EDDYI_CONTAINER(stream, struct file, descriptor.base);
}

/* ---- reading and writing --------------------------------------------------------------------- */

static int64_t read_at(eddy_task *task, struct eddyi_handle *handle, void *dst, size_t cap,
                       int64_t offset) {
    const struct eddyi_host *host = task->loop->host;
    size_t now = cap < CACHED_MAX ? cap : CACHED_MAX;
    int64_t n = host->pread_cached(host->ctx, handle->fd, dst, now, offset);
    if (n != -EAGAIN) {
        return n;
    }
    struct eddyi_op op = {.kind = EDDYI_OP_READ, .handle = handle, .len = cap, .offset = offset};
    op.buf = dst;
    return eddyi_task_op(task, &op, "read", true);
}

static int64_t write_at(eddy_task *task, struct eddyi_handle *handle, const void *src, size_t len,
                        int64_t offset) {
    struct eddyi_op op = {.kind = EDDYI_OP_WRITE, .handle = handle, .len = len, .offset = offset};
    op.data = src;
    return eddyi_task_op(task, &op, "write", true);
}

static int64_t file_read(eddy_stream *stream, void *dst, size_t cap) {
    struct file *file = file_of(stream);
    int64_t n = read_at(eddyi_task_here, &file->descriptor.handle, dst, cap, file->position);
    file->position += n > 0 ? n : 0;
    return n;
}

/* At the end, wherever others have moved it: the kernel's own position then is where these bytes
 * ended. */
static int64_t append(struct file *file, const void *src, size_t len) {
    struct eddyi_handle *handle = &file->descriptor.handle;
    const struct eddyi_host *host = file->descriptor.base.loop->host;
    int64_t n = write_at(eddyi_task_here, handle, src, len, -1);
    int64_t end = n > 0 ? host->seek(host->ctx, handle->fd, 0, SEEK_CUR) : -1;
    file->position = end >= 0 ? end : file->position;
    return n;
}

static int64_t file_write_some(eddy_stream *stream, const void *src, size_t len) {
    struct file *file = file_of(stream);
    if (file->appends) {
        return append(file, src, len);
    }
    int64_t n = write_at(eddyi_task_here, &file->descriptor.handle, src, len, file->position);
    file->position += n > 0 ? n : 0;
    return n;
}

static int64_t file_read_try(eddy_stream *stream, void *dst, size_t cap) {
    struct file *file = file_of(stream);
    const struct eddyi_host *host = stream->loop->host;
    size_t now = cap < CACHED_MAX ? cap : CACHED_MAX;
    int64_t n = host->pread_cached(host->ctx, file->descriptor.handle.fd, dst, now, file->position);
    file->position += n > 0 ? n : 0;
    return n;
}

static int64_t file_write_try(eddy_stream *stream, const void *src, size_t len) {
    (void)stream;
    (void)src;
    (void)len;
    return -EAGAIN; /* nobody can promise that a write to a disk does not wait */
}

static void file_interrupt(eddy_stream *stream, bool reads, bool writes) {
    EDDYI_LIST_EACH(node, &file_of(stream)->descriptor.handle.ops) {
        struct eddyi_op *op = EDDYI_LIST_ENTRY(node, struct eddyi_op, in_handle);
        if (op->kind == EDDYI_OP_WRITE ? writes : reads) {
            eddyi_op_cancel(stream->loop, op);
        }
    }
}

static int file_close(eddy_stream *stream) {
    struct file *file = file_of(stream);
    eddyi_handle_cancel(stream->loop, &file->descriptor.handle);
    while (file->inside > 0) {
        struct eddyi_wait wait = {.what = "close"};
        file->closer = eddyi_task_here;
        eddyi_task_park(file->closer, &wait);
    }
    int r = eddyi_handle_close(stream->loop, &file->descriptor.handle);
    eddyi_free(file);
    return r;
}

static int file_fd(const eddy_stream *stream) {
    return EDDYI_CONTAINER(stream, const struct file, descriptor.base)->descriptor.handle.fd;
}

static const struct eddyi_stream_class file_class = {
    .kind = "file",
    .read = file_read,
    .write_some = file_write_some,
    .read_try = file_read_try,
    .write_try = file_write_try,
    .interrupt = file_interrupt,
    .close = file_close,
    .fd = file_fd,
};

/* ---- opening --------------------------------------------------------------------------------- */

static int open_flags(unsigned flags, int *ret_flags) {
    unsigned known = EDDY_FILE_READ | EDDY_FILE_WRITE | EDDY_FILE_CREATE | EDDY_FILE_EXCLUSIVE |
                     EDDY_FILE_TRUNCATE | EDDY_FILE_APPEND | EDDY_FILE_NOFOLLOW;
    bool writes = (flags & EDDY_FILE_WRITE) != 0;
    bool needs_write = (flags & (EDDY_FILE_TRUNCATE | EDDY_FILE_APPEND)) != 0;
    if ((flags & ~known) != 0 || (flags & (EDDY_FILE_READ | EDDY_FILE_WRITE)) == 0 ||
        (needs_write && !writes) ||
        ((flags & EDDY_FILE_EXCLUSIVE) != 0 && (flags & EDDY_FILE_CREATE) == 0)) {
        return -EINVAL;
    }
    /* O_NONBLOCK: a pipe without a writer must not hang the open; it means nothing to a file. */
    int result = O_NONBLOCK | O_NOCTTY;
    result |= (flags & EDDY_FILE_READ) == 0 ? O_WRONLY : writes ? O_RDWR : O_RDONLY;
    result |= flags & EDDY_FILE_CREATE ? O_CREAT : 0;
    result |= flags & EDDY_FILE_EXCLUSIVE ? O_EXCL : 0;
    result |= flags & EDDY_FILE_TRUNCATE ? O_TRUNC : 0;
    result |= flags & EDDY_FILE_APPEND ? O_APPEND : 0;
    result |= flags & EDDY_FILE_NOFOLLOW ? O_NOFOLLOW : 0;
    *ret_flags = result;
    return 0;
}

/* The stream for a descriptor, which it takes over. */
static int wrap(eddy_loop *loop, int fd, bool appends, eddy_stream **ret_file,
                struct stat *ret_stat) {
    const struct eddyi_host *host = loop->host;
    int r = host->fstat(host->ctx, fd, ret_stat);
    if (r == 0 && S_ISDIR(ret_stat->st_mode)) {
        r = -EISDIR;
    }
    if (r < 0) {
        host->close(host->ctx, fd);
        return r;
    }
    if (!S_ISREG(ret_stat->st_mode) && !S_ISBLK(ret_stat->st_mode)) {
        return eddyi_descriptor_new(loop, fd, &eddyi_pipe_class, ret_file);
    }
    struct file *file = eddyi_zalloc(sizeof *file);
    if (file == NULL) {
        host->close(host->ctx, fd);
        return -ENOMEM;
    }
    eddyi_stream_init(&file->descriptor.base, &file_class, loop);
    eddyi_handle_init(&file->descriptor.handle, fd, EDDYI_HANDLE_FILE);
    file->appends = appends;
    *ret_file = &file->descriptor.base;
    return 0;
}

static int open_file(eddy_dir *dir, const char *path, unsigned flags, unsigned mode,
                     const void *place, eddy_stream **ret_file, struct stat *ret_stat) {
    eddy_task *task;
    int r = eddyi_task_enter(&task);
    if (r < 0) {
        return r;
    }
    if (path == NULL || ret_file == NULL || mode > 07777) {
        return -EINVAL;
    }
    struct eddyi_open open = {
        .dirfd = eddyi_dir_fd(dir),
        .path = path,
        .mode = mode == 0 ? 0666 : (mode_t)mode,
        .beneath = dir != NULL,
    };
    r = open_flags(flags, &open.flags);
    if (r < 0) {
        return r;
    }
    open.mode = flags & EDDY_FILE_CREATE ? open.mode : 0;
    int fd = eddyi_open(task, &open);
    r = fd < 0 ? fd : wrap(task->loop, fd, (flags & EDDY_FILE_APPEND) != 0, ret_file, ret_stat);
    if (r == 0) {
        eddyi_stream_give(*ret_file, place);
    }
    return r;
}

int eddy_file_open(const char *path, unsigned flags, unsigned mode, eddy_stream **ret_file) {
    struct stat st;
    return open_file(NULL, path, flags, mode, EDDYI_PLACE, ret_file, &st);
}

int eddy_file_open_at(eddy_dir *dir, const char *path, unsigned flags, unsigned mode,
                      eddy_stream **ret_file) {
    struct stat st;
    return dir == NULL ? -EINVAL : open_file(dir, path, flags, mode, EDDYI_PLACE, ret_file, &st);
}

int eddy_file_open_stat(eddy_dir *dir, const char *path, unsigned flags, unsigned mode,
                        eddy_stream **ret_file, eddy_stat *ret_stat) {
    struct stat st;
    if (ret_stat == NULL) {
        return -EINVAL;
    }
    int r = open_file(dir, path, flags, mode, EDDYI_PLACE, ret_file, &st);
    if (r == 0) {
        eddyi_stat_from(&st, ret_stat);
    }
    return r;
}

/* ---- what only files have -------------------------------------------------------------------- */

static int check(const eddy_stream *stream) {
    if (stream->class != &file_class) {
        return stream->class == &eddyi_pipe_class ? -ESPIPE : -ENOTSUP;
    }
    if (stream->loop != eddyi_loop_here) {
        return EDDY_EWRONGLOOP;
    }
    return stream->closing ? EDDY_ECLOSED : 0;
}

static void leave(eddy_stream *stream) {
    struct file *file = file_of(stream);
    if (--file->inside == 0 && file->closer != NULL) {
        eddyi_task_wake(file->closer);
    }
}

/* What comes in is counted before the checkpoint, which lets others run: a close waits until it is
 * out again. */
static int enter(eddy_stream *stream, eddy_task **ret_task) {
    int r = eddyi_task_here == NULL ? EDDY_ENOTASK : check(stream);
    if (r < 0) {
        return r;
    }
    file_of(stream)->inside++;
    r = eddyi_task_enter(ret_task);
    if (r == 0 && stream->closing) {
        r = EDDY_ECLOSED;
    }
    if (r < 0) {
        leave(stream);
    }
    return r;
}

static int64_t outcome(const eddy_stream *stream, int64_t r) {
    return eddyi_stream_outcome(stream, r, false, eddyi_task_cancelled(eddyi_task_here));
}

int64_t eddy_file_pread(eddy_stream *stream, void *dst, size_t cap, int64_t offset) {
    eddy_task *task;
    if (cap == 0 || offset < 0) {
        return -EINVAL;
    }
    int r = enter(stream, &task);
    if (r < 0) {
        return r;
    }
    int64_t n = read_at(task, &file_of(stream)->descriptor.handle, dst, cap, offset);
    stream->read_count += n > 0 ? (uint64_t)n : 0;
    n = outcome(stream, n);
    leave(stream);
    return n;
}

static int pwrite_inside(eddy_stream *stream, const char *src, size_t len, int64_t offset) {
    size_t at = 0;
    while (at < len) {
        int64_t n = write_at(eddyi_task_here, &file_of(stream)->descriptor.handle, src + at,
                             len - at, offset + (int64_t)at);
        if (n <= 0) {
            return n == 0 ? -EIO : (int)outcome(stream, n);
        }
        stream->written_count += (uint64_t)n;
        at += (size_t)n;
        int r = at < len ? eddyi_stream_go_on(stream) : 0;
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int eddy_file_pwrite(eddy_stream *stream, const void *src, size_t len, int64_t offset) {
    eddy_task *task;
    if (offset < 0 || len > (uint64_t)(INT64_MAX - offset)) {
        return offset < 0 ? -EINVAL : -EFBIG;
    }
    int r = enter(stream, &task);
    if (r < 0) {
        return r;
    }
    r = pwrite_inside(stream, src, len, offset);
    leave(stream);
    return r;
}

/* A block device has its end where the kernel would seek to; elsewhere that might ask a server. */
static int64_t end_of(const struct file *file) {
    struct stat st;
    const struct eddyi_host *host = file->descriptor.base.loop->host;
    int fd = file->descriptor.handle.fd;
    int r = host->fstat(host->ctx, fd, &st);
    if (r < 0) {
        return r;
    }
    return S_ISBLK(st.st_mode) ? host->seek(host->ctx, fd, 0, SEEK_END) : st.st_size;
}

int64_t eddy_file_seek(eddy_stream *stream, int64_t offset, int whence) {
    int64_t r = check(stream);
    if (r < 0) {
        return r;
    }
    if (stream->reading || stream->writing) {
        return -EBUSY;
    }
    struct file *file = file_of(stream);
    r = whence == SEEK_END ? end_of(file) : 0;
    r = r < 0 ? r : eddyi_stream_seek(file->position, r, offset, whence);
    file->position = r < 0 ? file->position : r;
    return r;
}

int64_t eddy_file_tell(const eddy_stream *stream) {
    int r = check(stream);
    return r < 0 ? r : EDDYI_CONTAINER(stream, const struct file, descriptor.base)->position;
}

struct sync {
    const struct eddyi_host *host;
    int fd;
    bool data_only;
};

static int64_t run_sync(void *arg) {
    const struct sync *sync = arg;
    return sync->host->sync(sync->host->ctx, sync->fd, sync->data_only);
}

int eddy_file_sync(eddy_stream *stream, bool data_only) {
    eddy_task *task;
    int r = enter(stream, &task);
    if (r < 0) {
        return r;
    }
    struct sync sync = {task->loop->host, file_fd(stream), data_only};
    r = (int)outcome(stream, eddyi_task_offload(task, run_sync, &sync, "sync"));
    leave(stream);
    return r;
}
