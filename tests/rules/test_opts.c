/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of other versions. Each struct that may grow is given as a program has it that was built
 * with the first release: so many bytes and not one more, at the end of a page behind which there
 * is nothing. And as one has it that was built with a version which is still to come.
 *
 * The sizes here are those of the first release. They never change: who adds a member adds it at
 * the end, and this test stays as it is.
 */
#include <eddy/eddy.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test.h"

#define NEWER_BYTES 64 /* what a later version has in addition */
#define ALIGNED(size) (((size) + 7) / 8 * 8)

/* `size` bytes of zeros, the last one just before memory that must not be touched. */
static void *at_the_end_of_a_page(size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    CHECK_OK(mprotect(pages + page, page, PROT_NONE));
    return pages + page - size;
}

static void check_size(void *opts, size_t size, int64_t (*give)(void *opts), bool fine,
                       const char *what) {
    memcpy(opts, &size, sizeof size);
    int64_t r = give(opts);
    if ((r == -EINVAL) == fine) {
        test_fail(__FILE__, __LINE__, "%s: size %zu gave %lld", what, size, (long long)r);
    }
}

/* `give` calls the library, and returns -EINVAL only when it refuses the struct. */
static void check_versions(const char *what, size_t first_size, int64_t (*give)(void *opts)) {
    size_t size = ALIGNED(first_size);
    void *old = at_the_end_of_a_page(size);
    check_size(old, 0, give, true, what);
    check_size(old, first_size, give, true, what);
    check_size(old, size, give, true, what);
    check_size(old, sizeof size, give, false, what);
    check_size(old, 1 << 20, give, false, what);
    char *newer = at_the_end_of_a_page(size + NEWER_BYTES);
    check_size(newer, size + NEWER_BYTES, give, true, what);
}

/* Options besides: what a later version would do is not done, and that is said. */
static void check_options(const char *what, size_t first_size, int64_t (*give)(void *opts)) {
    check_versions(what, first_size, give);
    size_t size = ALIGNED(first_size) + NEWER_BYTES;
    char *newer = at_the_end_of_a_page(size);
    newer[size - 1] = 1;
    check_size(newer, size, give, false, what);
}

/* ---- loops and tasks ------------------------------------------------------------------------- */

static int64_t give_loop(void *opts) {
    eddy_loop *loop;
    int64_t r = eddy_loop_new(opts, &loop);
    if (r == 0) {
        eddy_loop_free(loop);
    }
    return r;
}

static int64_t end_well(void *arg) {
    (void)arg;
    return 0;
}

static int64_t give_main(void *opts) {
    return eddy_main(end_well, NULL, opts) == 70 ? -EINVAL : 0;
}

static int64_t give_main_loop(void *opts) {
    return give_main(&(eddy_opts){.loop = opts});
}

static int64_t give_sim_stats(void *stats) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.driver = "sim"}, &loop));
    int64_t r = eddy_sim_stats_get(loop, stats);
    eddy_loop_free(loop);
    return r;
}

TEST(options_of_other_versions_of_loops) {
    check_options("eddy_loop_opts", 80, give_loop);
    check_options("eddy_opts", 26, give_main);
    check_options("eddy_opts.loop", 80, give_main_loop);
    check_versions("eddy_sim_stats", 72, give_sim_stats);
}

static int64_t give_scope(void *opts) {
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, opts);
    return r < 0 ? r : eddy_scope_leave(&scope, 0);
}

LOOP_TEST(options_of_other_versions_of_scopes) {
    check_options("eddy_scope_opts", 33, give_scope);
}

/* ---- streams --------------------------------------------------------------------------------- */

static int64_t give_reader(void *opts) {
    eddy_stream *stream;
    eddy_reader *reader;
    CHECK_OK(eddy_memory_stream_new("x", 1, &stream));
    int64_t r = eddy_reader_new(stream, opts, &reader);
    if (r == 0) {
        eddy_reader_free(reader);
    }
    CHECK_OK(eddy_stream_close(stream));
    return r;
}

static int64_t give_writer(void *opts) {
    eddy_stream *stream;
    eddy_writer *writer;
    CHECK_OK(eddy_memory_stream_new("x", 1, &stream));
    int64_t r = eddy_writer_new(stream, opts, &writer);
    if (r == 0) {
        eddy_writer_free(writer);
    }
    CHECK_OK(eddy_stream_close(stream));
    return r;
}

LOOP_TEST(options_of_other_versions_of_readers_and_writers) {
    check_options("eddy_reader_opts", 16, give_reader);
    check_options("eddy_writer_opts", 16, give_writer);
}

/* ---- connections ----------------------------------------------------------------------------- */

static int64_t give_listen(void *opts) {
    eddy_listener *listener;
    int64_t r = eddy_tcp_listen("127.0.0.1:0", opts, &listener);
    return r < 0 ? r : eddy_listener_close(listener);
}

static int64_t give_accepted(void *opts) {
    return give_listen(&(eddy_listen_opts){.connection = opts});
}

static eddy_listener *listen_somewhere(eddy_address *ret_address) {
    eddy_listener *listener;
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &listener));
    *ret_address = eddy_listener_address(listener);
    return listener;
}

static int64_t give_connect(void *opts) {
    eddy_address address;
    eddy_listener *listener = listen_somewhere(&address);
    eddy_stream *stream;
    int64_t r = eddy_tcp_connect_to(&address, opts, &stream);
    if (r == 0) {
        r = eddy_tcp_opts_set(stream, opts);
        CHECK_OK(eddy_stream_close(stream));
    }
    CHECK_OK(eddy_listener_close(listener));
    return r;
}

static int64_t give_connect_start(void *opts) {
    eddy_address address;
    char text[EDDY_ADDRESS_TEXT_MAX];
    eddy_listener *listener = listen_somewhere(&address);
    CHECK_OK(eddy_address_format(&address, text, sizeof text));
    eddy_future *future = eddy_tcp_connect_start(text, opts);
    int64_t r = eddy_await(future);
    eddy_future_release(future);
    CHECK_OK(eddy_listener_close(listener));
    return r;
}

static int64_t serve_nobody(eddy_stream *peer, void *arg) {
    (void)peer;
    (void)arg;
    return 0;
}

/* Serving ends as soon as it has begun: the scope's time is up. */
static int64_t give_serve(void *opts) {
    eddy_scope scope;
    eddy_address address;
    eddy_listener *listener = listen_somewhere(&address);
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_ZERO}));
    int64_t r = eddy_serve(listener, serve_nobody, NULL, opts);
    eddy_scope_leave(&scope, 0);
    return r;
}

static int64_t give_serve_stats(void *stats) {
    return give_serve(&(eddy_serve_opts){.stats = stats});
}

LOOP_TEST(options_of_other_versions_of_connections) {
    check_options("eddy_listen_opts", 32, give_listen);
    check_options("eddy_listen_opts.connection", 80, give_accepted);
    check_options("eddy_tcp_opts", 80, give_connect);
    check_options("eddy_tcp_opts", 80, give_connect_start);
    check_options("eddy_serve_opts", 72, give_serve);
    check_versions("eddy_serve_opts.stats", 48, give_serve_stats);
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

static int64_t give_chunked(void *opts) {
    eddy_http_chunked chunked;
    eddy_slice data;
    eddy_http_fault fault;
    int64_t r = eddy_http_chunked_init(&chunked, opts);
    int64_t n = eddy_http_chunked_next(&chunked, eddy_slice_of("0\r\n\r\n"), &data, &fault);
    CHECK_EQ(n, r < 0 ? r : 5);
    return r;
}

static int64_t give_head(void *limits) {
    eddy_http_head head;
    eddy_http_fault fault;
    int64_t r = eddy_http_head_init(&head, EDDY_HTTP_TRAILERS, limits);
    int64_t n = eddy_http_head_parse(&head, eddy_slice_of("\r\n"), &fault);
    CHECK_EQ(n, r < 0 ? r : 2);
    return r;
}

TEST(options_of_other_versions_of_http) {
    check_options("eddy_http_chunked_opts", 17, give_chunked);
    check_options("eddy_http_limits", 20, give_head);
}

static int64_t answer(eddy_http_exchange *x, void *arg) {
    (void)arg;
    return eddy_http_response_begin(x, 200);
}

static int64_t give_connection(void *opts) {
    eddy_stream *client;
    eddy_stream *server;
    CHECK_OK(eddy_memory_pair(100, &client, &server));
    CHECK_OK(eddy_stream_close(client));
    int64_t r = eddy_http_connection(server, answer, NULL, opts);
    CHECK_OK(eddy_stream_close(server));
    return r;
}

static int64_t give_connection_limits(void *limits) {
    return give_connection(&(eddy_http_opts){.limits = limits});
}

static int64_t give_http_serve(void *opts) {
    eddy_scope scope;
    eddy_address address;
    eddy_listener *listener = listen_somewhere(&address);
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = EDDY_ZERO}));
    int64_t r = eddy_http_serve(listener, answer, NULL, opts);
    eddy_scope_leave(&scope, 0);
    return r;
}

static int64_t give_http_serve_limits(void *limits) {
    return give_http_serve(&(eddy_http_opts){.limits = limits});
}

static int64_t give_http_serve_serve(void *opts) {
    return give_http_serve(&(eddy_http_opts){.serve = opts});
}

LOOP_TEST(options_of_other_versions_of_http_servers) {
    check_options("eddy_http_opts", 72, give_connection);
    check_options("eddy_http_opts.limits", 20, give_connection_limits);
    check_options("eddy_http_opts", 72, give_http_serve);
    check_options("eddy_http_opts.limits", 20, give_http_serve_limits);
    check_options("eddy_http_opts.serve", 72, give_http_serve_serve);
}
