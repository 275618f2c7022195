/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "httpd.h"

struct names {
    char **names; /* folders end with '/' */
    size_t count;
    size_t cap;
};

static void names_free(struct names *names) {
    for (size_t i = 0; i < names->count; i++) {
        free(names->names[i]);
    }
    free(names->names);
}

static int names_add(struct names *names, const char *name, bool folder) {
    if (names->count == names->cap) {
        size_t cap = names->cap == 0 ? 64 : names->cap * 2;
        char **more = realloc(names->names, cap * sizeof *more);
        if (more == NULL) {
            return -ENOMEM;
        }
        names->names = more;
        names->cap = cap;
    }
    size_t len = strlen(name);
    char *copy = malloc(len + 2);
    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, name, len);
    memcpy(copy + len, folder ? "/" : "", folder ? 2 : 1);
    names->names[names->count++] = copy;
    return 0;
}

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int64_t names_read(struct names *names, eddy_dir *folder) {
    eddy_dir_entry entry;
    int64_t r;
    while ((r = eddy_dir_next(folder, &entry)) > 0) {
        if (entry.name[0] == '.') {
            continue; /* hidden ones stay hidden, though they can be asked for by name */
        }
        r = names_add(names, entry.name, entry.kind == EDDY_STAT_DIR);
        if (r < 0) {
            return r;
        }
    }
    if (names->count > 0) {
        qsort(names->names, names->count, sizeof names->names[0], compare);
    }
    return r;
}

/* A file's name may hold anything but '/' and NUL: nothing of it may become markup. */
static int append_text(eddy_buffer *page, eddy_slice text) {
    int r = 0;
    for (size_t i = 0; i < text.len && r == 0; i++) {
        switch (text.data[i]) {
        case '&':
            r = eddy_buffer_append(page, "&amp;", 5);
            break;
        case '<':
            r = eddy_buffer_append(page, "&lt;", 4);
            break;
        case '>':
            r = eddy_buffer_append(page, "&gt;", 4);
            break;
        case '"':
            r = eddy_buffer_append(page, "&quot;", 6);
            break;
        default:
            r = eddy_buffer_append(page, &text.data[i], 1);
        }
    }
    return r;
}

static int append_item(eddy_buffer *page, const char *name) {
    int r = eddy_buffer_printf(page, "<li><a href=\"./");
    r = r < 0 ? r : eddy_http_percent_encode(page, eddy_slice_of(name), "/");
    r = r < 0 ? r : eddy_buffer_printf(page, "\">");
    r = r < 0 ? r : append_text(page, eddy_slice_of(name));
    return r < 0 ? r : eddy_buffer_printf(page, "</a></li>\n");
}

static int append_page(eddy_buffer *page, eddy_slice path, const struct names *names) {
    int r = eddy_buffer_printf(page, "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>");
    r = r < 0 ? r : append_text(page, path);
    r = r < 0 ? r : eddy_buffer_printf(page, "</title>\n<h1>");
    r = r < 0 ? r : append_text(page, path);
    r = r < 0 ? r : eddy_buffer_printf(page, "</h1>\n<ul>\n");
    if (r == 0 && path.len > 1) {
        r = eddy_buffer_printf(page, "<li><a href=\"../\">../</a></li>\n");
    }
    for (size_t i = 0; i < names->count && r == 0; i++) {
        r = append_item(page, names->names[i]);
    }
    return r < 0 ? r : eddy_buffer_printf(page, "</ul>\n");
}

int64_t listing_answer(eddy_http_exchange *x, eddy_dir *folder, eddy_slice path) {
    EDDY_AUTO(eddy_buffer) page = {0};
    struct names names = {0};
    int64_t r = names_read(&names, folder);
    r = r < 0 ? r : append_page(&page, path, &names);
    names_free(&names);
    r = r < 0 ? r : eddy_http_response_begin(x, 200);
    r = r < 0 ? r
              : eddy_http_response_field(x, "Content-Type",
                                         eddy_slice_of("text/html; charset=utf-8"));
    return r < 0 ? r : eddy_http_response_body(x, eddy_buffer_slice(&page));
}
