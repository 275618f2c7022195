/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to a file, and from a file to a response. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "httpd.h"

#define PATH_BYTES 4096
#define RANGES_MAX 16
#define ALLOWED "GET, HEAD, OPTIONS"

struct found {
    eddy_stream *file;
    eddy_stat stat;
    char etag[EDDY_HTTP_ETAG_MAX];
    char type[128]; /* with its charset */
};

static int64_t say(eddy_http_exchange *x, int status) {
    char text[64];
    int n = snprintf(text, sizeof text, "%d %s\n", status, eddy_http_status_text(status));
    int64_t r = eddy_http_response_begin(x, status);
    r = r < 0 ? r : eddy_http_response_field(x, "Content-Type", eddy_slice_of("text/plain"));
    if (status == 405) {
        r = r < 0 ? r : eddy_http_response_field(x, "Allow", eddy_slice_of(ALLOWED));
    }
    return r < 0 ? r : eddy_http_response_body(x, eddy_slice_from(text, (size_t)n));
}

static int status_of(int64_t error) {
    switch (error) {
    case -EACCES:
    case -EPERM:
        return 403;
    case -ENOENT:
    case -ENOTDIR:
    case -ELOOP:
    case -EXDEV: /* a link that leads out of the root */
    case -ENAMETOOLONG:
        return 404;
    case EDDY_EHTTP_TOO_LARGE:
        return 414;
    case EDDY_EHTTP_REQUEST:
        return 400;
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
        return 503;
    default:
        return 500;
    }
}

/* "/docs" to "/docs/": relative links in the folder's page would lead astray without. */
static int64_t redirect(eddy_http_exchange *x, eddy_slice path) {
    EDDY_AUTO(eddy_buffer) location = {0};
    eddy_http_target target;
    bool is_split = eddy_http_target_split(eddy_http_request_head(x)->target, &target) == 0;
    /* From a path that begins with two slashes a browser would read a host. */
    while (path.len > 1 && path.data[0] == '/' && path.data[1] == '/') {
        path = eddy_slice_sub(path, 1, path.len);
    }
    int64_t r = eddy_http_percent_encode(&location, path, "/");
    r = r < 0 ? r : eddy_buffer_append(&location, "/", 1);
    if (r == 0 && is_split && target.has_query) {
        r = eddy_buffer_append(&location, "?", 1);
        r = r < 0 ? r : eddy_buffer_append_slice(&location, target.query);
    }
    r = r < 0 ? r : eddy_http_response_begin(x, 301);
    r = r < 0 ? r : eddy_http_response_field(x, "Location", eddy_buffer_slice(&location));
    return r < 0 ? r : eddy_http_response_body(x, (eddy_slice){0});
}

/* ---- a file ---------------------------------------------------------------------------------- */

static int write_fields(eddy_http_exchange *x, const struct found *found) {
    char date[EDDY_HTTP_DATE_LEN + 1];
    int r = eddy_http_response_field(x, "ETag", eddy_slice_of(found->etag));
    if (r == 0 && eddy_http_date_format(found->stat.mtime_ns / EDDY_S, date) == 0) {
        r = eddy_http_response_field(x, "Last-Modified", eddy_slice_of(date));
    }
    return r < 0 ? r : eddy_http_response_field(x, "Accept-Ranges", eddy_slice_of("bytes"));
}

static int write_type(eddy_http_exchange *x, const struct found *found) {
    return eddy_http_response_field(x, "Content-Type", eddy_slice_of(found->type));
}

static int64_t send_part(eddy_http_exchange *x, const struct found *found, int64_t from,
                         int64_t len) {
    int64_t r = eddy_file_seek(found->file, from, SEEK_SET);
    return r < 0 ? r : eddy_http_response_copy(x, found->file, len);
}

static int64_t send_whole(eddy_http_exchange *x, const struct found *found) {
    int64_t r = eddy_http_response_begin(x, 200);
    r = r < 0 ? r : write_fields(x, found);
    r = r < 0 ? r : write_type(x, found);
    r = r < 0 ? r : eddy_http_response_stream(x, found->stat.size_bytes);
    return r < 0 ? r : eddy_http_response_copy(x, found->file, found->stat.size_bytes);
}

static int64_t send_range(eddy_http_exchange *x, const struct found *found,
                          const eddy_http_range *range) {
    char text[EDDY_HTTP_CONTENT_RANGE_MAX];
    int64_t r = eddy_http_content_range_format(range, found->stat.size_bytes, text);
    r = r < 0 ? r : eddy_http_response_begin(x, 206);
    r = r < 0 ? r : write_fields(x, found);
    r = r < 0 ? r : write_type(x, found);
    r = r < 0 ? r : eddy_http_response_field(x, "Content-Range", eddy_slice_of(text));
    r = r < 0 ? r : eddy_http_response_stream(x, range->len);
    return r < 0 ? r : send_part(x, found, range->from, range->len);
}

static int64_t send_ranges(eddy_http_exchange *x, const struct found *found,
                           const eddy_http_range *ranges, int64_t count) {
    static const char multipart[] = "multipart/byteranges; boundary=";
    uint64_t random[2]; /* nobody can have put it into a file */
    char text[sizeof multipart + 32];
    if (getrandom(random, sizeof random, 0) != sizeof random) {
        return -EIO;
    }
    snprintf(text, sizeof text, "%s%016" PRIx64 "%016" PRIx64, multipart, random[0], random[1]);
    eddy_slice type = eddy_slice_of(text);
    eddy_slice boundary = eddy_slice_sub(type, sizeof multipart - 1, type.len);
    EDDY_AUTO(eddy_buffer) part = {0};
    int64_t r = eddy_http_response_begin(x, 206);
    r = r < 0 ? r : write_fields(x, found);
    r = r < 0 ? r : eddy_http_response_field(x, "Content-Type", type);
    int64_t total = 0; /* the parts' heads have to be made once to be measured */
    for (int64_t i = 0; i < count && r >= 0; i++) {
        r = eddy_http_range_part(&part, boundary, eddy_slice_of(found->type), &ranges[i],
                                 found->stat.size_bytes);
        total += ranges[i].len;
    }
    r = r < 0 ? r : eddy_http_range_end(&part, boundary);
    r = r < 0 ? r : eddy_http_response_stream(x, total + (int64_t)part.len);
    for (int64_t i = 0; i < count && r >= 0; i++) {
        part.len = 0;
        r = eddy_http_range_part(&part, boundary, eddy_slice_of(found->type), &ranges[i],
                                 found->stat.size_bytes);
        r = r < 0 ? r : eddy_http_response_write(x, part.data, part.len);
        r = r < 0 ? r : send_part(x, found, ranges[i].from, ranges[i].len);
    }
    part.len = 0;
    r = r < 0 ? r : eddy_http_range_end(&part, boundary);
    return r < 0 ? r : eddy_http_response_write(x, part.data, part.len);
}

static int64_t send_no_range(eddy_http_exchange *x, const struct found *found) {
    char text[EDDY_HTTP_CONTENT_RANGE_MAX];
    int64_t r = eddy_http_content_range_format(NULL, found->stat.size_bytes, text);
    r = r < 0 ? r : eddy_http_response_begin(x, 416);
    r = r < 0 ? r : eddy_http_response_field(x, "Content-Range", eddy_slice_of(text));
    return r < 0 ? r : eddy_http_response_body(x, (eddy_slice){0});
}

static int64_t answer_file(eddy_http_exchange *x, struct found *found) {
    const eddy_http_head *head = eddy_http_request_head(x);
    int64_t now_s = time(NULL);
    int len = eddy_http_etag_format(found->stat.mtime_ns, found->stat.size_bytes, found->etag);
    eddy_http_validators validators = {
        .etag = eddy_slice_from(found->etag, (size_t)len),
        .modified_s = found->stat.mtime_ns / EDDY_S,
    };
    int status = eddy_http_condition_check(head, &validators, now_s);
    if (status != 200) {
        int64_t r = eddy_http_response_begin(x, status);
        r = r < 0 ? r : write_fields(x, found);
        return r < 0 ? r : eddy_http_response_body(x, (eddy_slice){0});
    }
    eddy_http_range ranges[RANGES_MAX];
    int64_t count = eddy_http_condition_ranges(head, &validators, now_s, found->stat.size_bytes,
                                               ranges, RANGES_MAX);
    if (count == -ERANGE) {
        return send_no_range(x, found);
    }
    return count <= 0   ? send_whole(x, found)
           : count == 1 ? send_range(x, found, &ranges[0])
                        : send_ranges(x, found, ranges, count);
}

/* ---- a path ---------------------------------------------------------------------------------- */

static void set_type(struct found *found, eddy_slice path) {
    static const char charset[] = "; charset=utf-8";
    eddy_slice type = eddy_slice_of(eddy_http_mime_of(path));
    if (type.len == 0) {
        type = eddy_slice_of("application/octet-stream");
    }
    memcpy(found->type, type.data, type.len);
    bool is_text = eddy_http_mime_is_text(type);
    memcpy(found->type + type.len, is_text ? charset : "", is_text ? sizeof charset : 1);
}

/* Opens `path` below the root as a regular file: 0, -EISDIR, or another error. */
static int64_t find_file(eddy_dir *root, const char *path, struct found *ret_found) {
    eddy_stream *file;
    int64_t r = eddy_file_open_stat(root, path, EDDY_FILE_READ, 0, &file, &ret_found->stat);
    if (r < 0) {
        return r;
    }
    if (ret_found->stat.kind != EDDY_STAT_FILE) {
        eddy_stream_close(file);
        return -EACCES;
    }
    ret_found->file = file;
    set_type(ret_found, eddy_slice_of(path));
    return 0;
}

static int64_t answer_folder(eddy_http_exchange *x, eddy_dir *root, char *path, size_t len) {
    struct found found;
    if (path[len - 1] != '/') {
        return redirect(x, eddy_slice_from(path, len));
    }
    if (len + sizeof "index.html" > PATH_BYTES) {
        return say(x, 414);
    }
    memcpy(path + len, "index.html", sizeof "index.html");
    int64_t r = find_file(root, path + 1, &found);
    path[len] = '\0';
    if (r == 0) {
        r = answer_file(x, &found);
        eddy_stream_close(found.file);
        return r;
    }
    if (r != -ENOENT) {
        return say(x, status_of(r));
    }
    EDDY_AUTO(eddy_dir) *folder = NULL;
    r = eddy_dir_open_at(root, len == 1 ? "." : path + 1, &folder);
    return r < 0 ? say(x, status_of(r)) : listing_answer(x, folder, eddy_slice_from(path, len));
}

static int64_t answer_path(eddy_http_exchange *x, eddy_dir *root, char *path, size_t len) {
    struct found found;
    if (path[len - 1] == '/') {
        return answer_folder(x, root, path, len);
    }
    int64_t r = find_file(root, path + 1, &found);
    if (r == -EISDIR) {
        return answer_folder(x, root, path, len);
    }
    if (r < 0) {
        return say(x, status_of(r));
    }
    r = answer_file(x, &found);
    eddy_stream_close(found.file);
    return r;
}

int64_t site_answer(eddy_http_exchange *x, eddy_dir *root) {
    const eddy_http_head *head = eddy_http_request_head(x);
    if (head->method == EDDY_HTTP_OPTIONS) {
        int r = eddy_http_response_begin(x, 204);
        return r < 0 ? r : eddy_http_response_field(x, "Allow", eddy_slice_of(ALLOWED));
    }
    if (head->method != EDDY_HTTP_GET && head->method != EDDY_HTTP_HEAD) {
        return say(x, head->method == EDDY_HTTP_OTHER ? 501 : 405);
    }
    eddy_http_target target;
    char path[PATH_BYTES];
    int64_t r = eddy_http_target_split(head->target, &target);
    r = r < 0 ? r : eddy_http_path_resolve(target.path, 0, path, sizeof path);
    return r < 0 ? say(x, status_of(r)) : answer_path(x, root, path, (size_t)r);
}
