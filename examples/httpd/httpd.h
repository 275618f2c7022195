/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of httpd share. */
#ifndef HTTPD_H
#define HTTPD_H

#include <eddy/eddy.h>

struct options {
    const char *host;
    const char *port;
    const char *root;
    const char *log; /* a file's name, "-" for standard output, NULL for no log */
    unsigned loops;
    bool log_combined;
};

/* options.c: 0, or the exit status after a message; -1 when the program is to go on. */
int options_read(struct options *options, int argc, char **argv);

/* site.c: answers a request with a file of the root folder, which may have been opened on another
 * loop: names are looked up below it from all of them. */
int64_t site_answer(eddy_http_exchange *x, eddy_dir *root);

/* listing.c: a page with the entries of a folder. */
int64_t listing_answer(eddy_http_exchange *x, eddy_dir *folder, eddy_slice path);

/* log.c: one line a response, written by a task of its own so that no request waits for the
 * disk. */
struct access_log;
int access_log_open(const char *name, bool combined, struct access_log **ret_log);
void access_log_response(eddy_http_exchange *x, struct access_log *log);
/* Writes what is left. */
void access_log_close(struct access_log *log);

#endif
