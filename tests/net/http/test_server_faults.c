/* SPDX-License-Identifier: Apache-2.0 */
/* The server when something goes wrong: memory, cancels, resets, handlers, and clients that are as
 * slow as they dare. */
#include <eddy/net/http/server.h>

#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/io/memory.h>
#include <eddy/runtime/loop/loop.h>
#include <eddy/runtime/sync/event.h>

#include "site.h"

/* One request of each kind, the last one malformed. */
static const char talk[] = GET("/a") "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
                                     "POST /stream HTTP/1.1\r\nHost: a\r\n"
                                     "Transfer-Encoding: chunked\r\n\r\n"
                                     "3\r\nabc\r\n0\r\n\r\n"
                                     "HEAD /c HTTP/1.1\r\nHost: a\r\n\r\n" GET("/large")
                                         GET("/d") "GET / HTTP/1.1\r\n\r\n";
#define TALK_LEN (sizeof talk - 1)
#define TALK_ANSWERS 7

static int64_t read_all(eddy_http_exchange *x) {
    char bytes[3];
    int64_t n;
    do {
        n = eddy_http_request_read(x, bytes, sizeof bytes);
    } while (n > 0);
    return n;
}

static int64_t answer(eddy_http_exchange *x, void *arg) {
    static char large[40 * 1024];
    (void)arg;
    memset(large, 'l', sizeof large);
    eddy_slice target = eddy_http_request_head(x)->target;
    int64_t r = read_all(x);
    r = r < 0 ? r : eddy_http_response_begin(x, 200);
    r = r < 0 ? r : eddy_http_response_field(x, "X-Field", eddy_slice_of("value"));
    if (r < 0 || target.len < 6) {
        return r < 0 ? r : eddy_http_response_body(x, target);
    }
    if (target.data[1] == 'l') {
        return eddy_http_response_body(x, eddy_slice_from(large, sizeof large));
    }
    r = eddy_http_response_stream(x, EDDY_HTTP_LENGTH_UNKNOWN);
    for (int i = 0; i < 3 && r == 0; i++) {
        r = eddy_http_response_write(x, "piece", 5);
    }
    return r;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* All is in the pair before the server begins, so that no other task is needed. */
static int64_t serve_a_pair(void *arg) {
    int *answers = arg;
    eddy_stream *client;
    eddy_stream *server;
    int64_t r = eddy_memory_pair(256 * 1024, &client, &server);
    if (r < 0) {
        return r;
    }
    r = eddy_stream_write(client, talk, TALK_LEN);
    r = r < 0 ? r : eddy_stream_shutdown(client);
    if (r == 0) {
        r = eddy_http_connection(server, answer, NULL, NULL);
        CHECK_OK(eddy_stream_shutdown(server));
        hear(client, text, sizeof text);
        *answers = count_of(text, "HTTP/1.1 ");
        int good = count_of(text, "HTTP/1.1 200 OK\r\n");
        CHECK(*answers - good <= 1); /* the last one may be a 500 or the 400 */
        CHECK_EQ(count_of(text, "HTTP/1.1 500 ") + count_of(text, "HTTP/1.1 400 "),
                 *answers - good);
    }
    eddy_stream_close(client);
    eddy_stream_close(server);
    return r;
}

LOOP_TEST(each_allocation_that_fails_costs_a_500_or_the_connection) {
    int answers = 0;
    CHECK_OK(serve_a_pair(&answers));
    CHECK_EQ(answers, TALK_ANSWERS);
    CHECK(strstr(text, "HTTP/1.1 400 ") != NULL);
    CHECK(test_each_allocation_fails(serve_a_pair, &answers) > 3);
}

static int64_t collect(eddy_http_exchange *x, void *arg) {
    eddy_buffer body = {0};
    (void)arg;
    int64_t r = eddy_http_request_body(x, SIZE_MAX, &body);
    r = r < 0 ? r : eddy_http_respond(x, 200, "text/plain", eddy_buffer_slice(&body));
    eddy_buffer_done(&body);
    return r;
}

static int64_t collect_a_body(void *arg) {
    static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n";
    static const char body[40000] = {'b'};
    eddy_stream *client;
    eddy_stream *server;
    int64_t r = eddy_memory_pair(256 * 1024, &client, &server);
    if (r < 0) {
        return r;
    }
    (void)arg;
    r = eddy_stream_write(client, head, strlen(head));
    r = r < 0 ? r : eddy_stream_write(client, body, sizeof body);
    r = r < 0 ? r : eddy_stream_shutdown(client);
    r = r < 0 ? r : eddy_http_connection(server, collect, NULL, NULL);
    if (r == 0) {
        CHECK_OK(eddy_stream_shutdown(server));
        hear(client, text, sizeof text);
        CHECK(strstr(text, "Content-Length: 40000\r\n") != NULL);
    }
    eddy_stream_close(client);
    eddy_stream_close(server);
    return r;
}

LOOP_TEST(a_body_without_memory_is_enomem) {
    CHECK_OK(collect_a_body(NULL)); /* afterwards the loop's pool has the buffers that it keeps */
    CHECK(test_each_allocation_fails(collect_a_body, NULL) > 5);
}

/* ---- cancels and resets ---------------------------------------------------------------------- */

struct pair {
    eddy_stream *client;
    eddy_stream *server;
    size_t request_len; /* what the client sends before it ends its side, or resets */
    size_t answer_len;  /* what it reads before it resets */
    bool resets;
    int running;
    int64_t result; /* the server's */
};

static int64_t run_server(void *arg) {
    struct pair *pair = arg;
    pair->result = eddy_http_connection(pair->server, answer, NULL, NULL);
    pair->running--;
    if (pair->result >= 0) {
        eddy_stream_shutdown(pair->server);
    }
    return 0;
}

static int64_t run_writer(void *arg) {
    struct pair *pair = arg;
    int64_t r = 0;
    for (size_t at = 0; at < pair->request_len && r >= 0; at += 7) {
        size_t len = pair->request_len - at < 7 ? pair->request_len - at : 7;
        r = eddy_stream_write(pair->client, talk + at, len);
    }
    if (r >= 0 && !pair->resets) {
        eddy_stream_shutdown(pair->client);
    }
    pair->running--;
    return 0;
}

static int64_t run_reader(void *arg) {
    struct pair *pair = arg;
    char bytes[64];
    size_t count = 0;
    int64_t n;
    do {
        size_t left = pair->answer_len - count;
        n = left == 0 ? 0 : eddy_stream_read(pair->client, bytes, left < 64 ? left : 64);
        count += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    if (pair->resets) {
        eddy_memory_reset(pair->client);
    }
    pair->running--;
    return 0;
}

/* A pair that holds only a few bytes: everybody waits for everybody. */
static void begin_pair(struct pair *pair, eddy_scope *scope) {
    CHECK_OK(eddy_memory_pair(48, &pair->client, &pair->server));
    pair->running = 3;
    CHECK_OK(eddy_scope_enter(scope, NULL));
    CHECK_OK(eddy_spawn(run_server, pair, 0));
    CHECK_OK(eddy_spawn(run_writer, pair, 0));
    CHECK_OK(eddy_spawn(run_reader, pair, 0));
}

static void end_pair(struct pair *pair, eddy_scope *scope) {
    CHECK_OK(eddy_scope_leave(scope, 0));
    CHECK_OK(eddy_stream_close(pair->client));
    CHECK_OK(eddy_stream_close(pair->server));
}

LOOP_TEST(a_cancel_at_any_moment_leaves_nothing_behind) {
    bool went_through = false;
    for (int turns = 0; !went_through; turns += turns < 400 ? 1 : 23) {
        struct pair pair = {.request_len = TALK_LEN, .answer_len = SIZE_MAX};
        eddy_scope scope;
        begin_pair(&pair, &scope);
        for (int i = 0; i < turns && pair.running > 0; i++) {
            CHECK_OK(eddy_yield());
        }
        went_through = pair.running == 0;
        CHECK_OK(eddy_scope_cancel(&scope));
        end_pair(&pair, &scope);
        CHECK(pair.result == 0 || pair.result == -ECANCELED);
        CHECK_EQ(turns < 3 ? 0 : went_through, went_through); /* it does suspend */
    }
}

static bool is_end_of_a_connection(int64_t r) {
    return r == 0 || r == -ECONNRESET || r == -EPIPE || r == EDDY_EHTTP_BODY;
}

LOOP_TEST(a_reset_at_any_byte_of_the_requests_ends_the_connection) {
    for (size_t len = 0; len <= TALK_LEN; len++) {
        struct pair pair = {.answer_len = SIZE_MAX};
        CHECK_OK(eddy_memory_pair(256 * 1024, &pair.client, &pair.server));
        if (len > 0) {
            CHECK_OK(eddy_stream_write(pair.client, talk, len));
        }
        CHECK_OK(eddy_memory_reset(pair.client));
        int64_t r = eddy_http_connection(pair.server, answer, NULL, NULL);
        CHECK(is_end_of_a_connection(r));
        CHECK_OK(eddy_stream_close(pair.client));
        CHECK_OK(eddy_stream_close(pair.server));
    }
}

LOOP_TEST(a_reset_at_any_byte_of_the_answers_ends_the_connection) {
    for (size_t len = 0; len < 900; len++) {
        struct pair pair = {.request_len = TALK_LEN, .answer_len = len, .resets = true};
        eddy_scope scope;
        begin_pair(&pair, &scope);
        end_pair(&pair, &scope);
        CHECK(is_end_of_a_connection(pair.result));
    }
}

LOOP_TEST(requests_that_end_at_any_byte_are_answered_as_far_as_they_are_whole) {
    int last = 0;
    for (size_t len = 0; len <= TALK_LEN; len++) {
        eddy_stream *client;
        eddy_stream *server;
        CHECK_OK(eddy_memory_pair(256 * 1024, &client, &server));
        if (len > 0) {
            CHECK_OK(eddy_stream_write(client, talk, len));
        }
        CHECK_OK(eddy_stream_shutdown(client));
        CHECK_OK(eddy_http_connection(server, answer, NULL, NULL));
        CHECK_OK(eddy_stream_shutdown(server));
        hear(client, text, sizeof text);
        int good = count_of(text, "HTTP/1.1 200 OK\r\n");
        CHECK(good == last || good == last + 1);
        last = good;
        CHECK_OK(eddy_stream_close(client));
        CHECK_OK(eddy_stream_close(server));
    }
    CHECK_EQ(last, TALK_ANSWERS - 1);
}

/* ---- handlers -------------------------------------------------------------------------------- */

/* "/N" fails after the first N steps of an answer. */
static int64_t fail_at_a_stage(eddy_http_exchange *x, void *arg) {
    static const char bytes[20 * 1024] = {'b'};
    (void)arg;
    int stage = eddy_http_request_head(x)->target.data[1] - '0';
    bool sized = stage < 8;
    if (stage > 0) {
        CHECK_OK(eddy_http_response_begin(x, 200));
    }
    if (stage > 1) {
        CHECK_OK(eddy_http_response_field(x, "X-Field", eddy_slice_of("value")));
    }
    if (stage == 6) {
        CHECK_OK(eddy_http_response_body(x, eddy_slice_of("small")));
        return -EIO;
    }
    if (stage > 2) {
        CHECK_OK(eddy_http_response_stream(x, sized ? 100000 : EDDY_HTTP_LENGTH_UNKNOWN));
    }
    if (stage > 3) {
        CHECK_OK(eddy_http_response_write(x, "small", 5));
    }
    if (stage == 5 || stage == 8) {
        CHECK_OK(eddy_http_response_write(x, bytes, sizeof bytes));
    }
    return stage == 7 ? 0 : -EIO; /* 7: fewer bytes than it has announced */
}

static int64_t serve_stages(void *arg) {
    struct site *mine = arg;
    return eddy_http_serve(mine->listener, fail_at_a_stage, mine, &mine->opts);
}

static void start_stages(eddy_scope *scope) {
    site.serve.on_error = on_error;
    site.serve.ctx = &site;
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &site.listener));
    eddy_address address = eddy_listener_address(site.listener);
    CHECK_OK(eddy_address_format(&address, site.address, sizeof site.address));
    CHECK_OK(eddy_scope_enter(scope, NULL));
    CHECK_OK(eddy_spawn(serve_stages, &site, 0));
    CHECK_OK(eddy_yield());
}

LOOP_TEST(a_handler_that_fails_before_anything_has_left_gives_500) {
    static const char stages[] = {'0', '1', '2', '3', '4', '6', '7'};
    eddy_scope scope;
    start_stages(&scope);
    for (size_t i = 0; i < sizeof stages; i++) {
        char request[] = GET("/N") GET("/0");
        request[5] = stages[i];
        ask(request, strlen(request), text, sizeof text);
        CHECK(strstr(text, "HTTP/1.1 500 ") == text);
        CHECK_EQ(count_of(text, "HTTP/1.1 "), 1);
        CHECK(strstr(text, "X-Field") == NULL);
        CHECK(strstr(text, "small") == NULL);
    }
    stop(&scope);
    CHECK_EQ(site.errors, sizeof stages); /* the client has its answer, and the program hears */
}

LOOP_TEST(a_handler_that_fails_later_cuts_the_line) {
    eddy_scope scope;
    start_stages(&scope);
    ask(GET("/5") GET("/0"), strlen(GET("/5") GET("/0")), text, sizeof text);
    CHECK(strstr(text, "HTTP/1.1 200 OK\r\n") == text);
    CHECK_EQ(count_of(text, "HTTP/1.1 "), 1);
    CHECK_EQ(site.error, -EIO);
    site.error = 0;
    ask(GET("/8") GET("/0"), strlen(GET("/8") GET("/0")), text, sizeof text);
    CHECK(strstr(text, "Transfer-Encoding: chunked\r\n") != NULL);
    CHECK(strstr(text, "\r\n0\r\n\r\n") == NULL); /* no last chunk */
    CHECK_EQ(site.error, -EIO);
    stop(&scope);
}

LOOP_TEST(a_body_that_ends_with_the_connection_ends_with_a_reset_when_it_is_not_whole) {
    static const char old[] = "GET /8 HTTP/1.0\r\n\r\n";
    eddy_scope scope;
    start_stages(&scope);
    eddy_stream *stream = call();
    CHECK_OK(eddy_stream_write(stream, old, strlen(old)));
    int64_t n;
    do {
        n = eddy_stream_read(stream, text, sizeof text);
    } while (n > 0);
    CHECK_ERR(n, -ECONNRESET);
    CHECK_OK(eddy_stream_close(stream));
    stop(&scope);
}

/* ---- many, and slow -------------------------------------------------------------------------- */

#define BATCH 1000

static int64_t write_batch(void *arg) {
    eddy_stream *stream = *(eddy_stream **)arg;
    static char requests[BATCH * 40];
    int len = 0;
    for (int i = 0; i < BATCH; i++) {
        len += snprintf(requests + len, sizeof requests - (size_t)len,
                        "GET /size/%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
    }
    int r = eddy_stream_write(stream, requests, (size_t)len);
    return r < 0 ? r : eddy_stream_shutdown(stream);
}

LOOP_TEST(a_thousand_pipelined_requests_are_answered_in_order) {
    static char answers[BATCH * 1024];
    eddy_scope scope;
    start(&scope);
    eddy_stream *stream = call();
    CHECK_OK(eddy_spawn(write_batch, &stream, sizeof stream));
    hear(stream, answers, sizeof answers);
    const char *at = answers;
    for (int i = 0; i < BATCH; i++) {
        char length[48];
        snprintf(length, sizeof length, "Content-Length: %d\r\n\r\n", i);
        at = strstr(at, "HTTP/1.1 200 OK\r\n");
        CHECK(at != NULL);
        const char *field = strstr(at, "Content-Length: ");
        CHECK(field != NULL && strncmp(field, length, strlen(length)) == 0);
        at = field + strlen(length);
    }
    CHECK(strstr(at, "HTTP/1.1") == NULL);
    CHECK_OK(eddy_stream_close(stream));
    stop(&scope);
}

static eddy_event heard;

static int64_t listen_to(void *arg) {
    hear(*(eddy_stream **)arg, text, sizeof text);
    eddy_event_set(&heard);
    return 0;
}

/* Sends a byte of `bytes` (the last one for ever) each `unit_ns` until the server has hung up. */
static void trickle(const char *bytes, int64_t unit_ns) {
    eddy_scope scope;
    eddy_stream *stream = call();
    eddy_event_clear(&heard);
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn(listen_to, &stream, sizeof stream));
    const char *at = bytes;
    int count = 0;
    while (!eddy_event_is_set(&heard) && eddy_stream_write(stream, at, 1) == 0) {
        CHECK_OK(eddy_sleep(unit_ns));
        at += at[1] != '\0';
        CHECK(++count < 5000);
    }
    CHECK_OK(eddy_scope_leave(&scope, 0));
    CHECK_OK(eddy_stream_close(stream));
}

LOOP_TEST(a_head_that_trickles_is_cut_off_however_steadily_it_comes) {
    eddy_scope scope;
    site.opts.head_timeout_ns = is_virtual() ? 0 : 50 * EDDY_MS;
    start(&scope);
    int64_t from_ns = eddy_loop_now(eddy_loop_current());
    trickle("GET / HTTP/1.1\r\nHost: a\r\nX: x", is_virtual() ? EDDY_S : EDDY_MS);
    CHECK(strstr(text, "HTTP/1.1 408 ") == text);
    int64_t took_ns = eddy_loop_now(eddy_loop_current()) - from_ns;
    CHECK(!is_virtual() || (took_ns >= 10 * EDDY_S && took_ns < 15 * EDDY_S));
    stop(&scope);
}

LOOP_TEST(a_body_that_trickles_is_cut_off) {
    static const char request[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 700\r\n\r\nb";
    eddy_scope scope;
    site.opts.head_timeout_ns = is_virtual() ? 0 : 100 * EDDY_MS;
    site.opts.body_rate_min = is_virtual() ? 0 : 1000000;
    start(&scope);
    trickle(request, is_virtual() ? 100 * EDDY_MS : EDDY_MS);
    CHECK(strstr(text, "HTTP/1.1 408 ") == text);
    stop(&scope);
}

static eddy_event failed;

static void note_failure(int64_t error, const eddy_address *peer, void *arg) {
    on_error(error, peer, arg);
    eddy_event_set(&failed);
}

LOOP_TEST(a_client_that_does_not_read_is_let_go) {
    eddy_scope scope;
    site.opts.idle_ns = is_virtual() ? 0 : 50 * EDDY_MS;
    site.serve.on_error = note_failure;
    site.serve.ctx = &site;
    start(&scope);
    eddy_stream *stream = call();
    for (int i = 0; i < 100; i++) { /* 25 MB of answers, which no socket's buffers hold */
        static const char request[] = GET("/size/250000");
        CHECK_OK(eddy_stream_write(stream, request, strlen(request)));
    }
    CHECK_OK(eddy_event_wait(&failed));
    CHECK_EQ(site.error, -ETIMEDOUT);
    ask(GET("/"), strlen(GET("/")), text, sizeof text);
    CHECK(strstr(text, "hello") != NULL);
    CHECK_OK(eddy_stream_close(stream));
    stop(&scope);
}
