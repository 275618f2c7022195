/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/sim: a seed decides all, and the log shows it. */
#include <ctype.h>

#include <eddy/runtime/base/buffer.h>

#include "net.h"

/* ---- a program: an echo server and its clients, driven by ready items ------------------------ */

#define CLIENTS 12
#define ROUNDS 4

/* One socket with one operation at a time. Each end of it queues the item that takes the next step,
 * so the order in which the steps are taken is the world's. */
struct party {
    struct program *program;
    struct eddyi_ready ready;
    struct eddyi_handle handle;
    struct eddyi_op op;
    char buf[64];
    size_t len; /* to be sent, or received so far */
    size_t done;
    int round;
    bool sending;
    void (*step)(struct party *party);
};

struct program {
    struct net net;
    struct sockaddr_in address;
    struct party listener;
    struct party servers[CLIENTS];
    struct party clients[CLIENTS];
    int accepted;
    int left; /* parties that have not ended */
    bool over;
    unsigned char secret[8];
};

static void op_done(struct eddyi_op *op) {
    struct party *party = op->waiter;
    eddyi_loop_ready(party->program->net.loop, &party->ready);
}

static void take_step(struct eddyi_ready *ready) {
    struct party *party = EDDYI_CONTAINER(ready, struct party, ready);
    party->step(party);
}

static void party_init(struct party *party, struct program *program, int fd,
                       void (*step)(struct party *party)) {
    *party = (struct party){.program = program, .ready.run = take_step, .step = step};
    eddyi_handle_init(&party->handle, fd, EDDYI_HANDLE_SOCKET);
    program->left++;
}

static void party_end(struct party *party) {
    CHECK_OK(eddyi_handle_close(party->program->net.loop, &party->handle));
    party->program->over = --party->program->left == 0;
}

static void start(struct party *party, struct eddyi_op op) {
    party->op = op;
    party->op.handle = &party->handle;
    party->op.done = op_done;
    party->op.waiter = party;
    eddyi_op_submit(party->program->net.loop, &party->op);
}

static void start_recv(struct party *party, size_t from, size_t room) {
    party->sending = false;
    start(party, (struct eddyi_op){.kind = EDDYI_OP_RECV, .buf = party->buf + from, .len = room});
}

static void start_send(struct party *party) {
    party->sending = true;
    start(party, (struct eddyi_op){.kind = EDDYI_OP_SEND,
                                   .data = party->buf + party->done,
                                   .len = party->len - party->done,
                                   .flags = MSG_NOSIGNAL});
}

static void server_step(struct party *party) {
    int64_t n = CHECK_OK(party->op.result);
    if (party->sending) {
        party->done += (size_t)n;
    } else if (n == 0) {
        party_end(party);
        return;
    } else {
        party->len = (size_t)n;
        party->done = 0;
    }
    if (party->done < party->len) {
        start_send(party);
    } else {
        start_recv(party, 0, sizeof party->buf);
    }
}

static void listener_step(struct party *party) {
    struct program *program = party->program;
    struct party *server = &program->servers[program->accepted++];
    party_init(server, program, (int)CHECK_OK(party->op.result), server_step);
    start_recv(server, 0, sizeof server->buf);
    if (program->accepted < CLIENTS) {
        start(party, (struct eddyi_op){.kind = EDDYI_OP_ACCEPT});
    } else {
        party_end(party);
    }
}

static void client_says(struct party *party) {
    int name = (int)(party - party->program->clients);
    party->len = (size_t)snprintf(party->buf, sizeof party->buf, "client %d says %d, %02x", name,
                                  party->round, party->program->secret[0]);
    party->done = 0;
    start_send(party);
}

static void client_step(struct party *party) {
    int64_t n = CHECK_OK(party->op.result);
    if (party->op.kind == EDDYI_OP_CONNECT) {
        client_says(party);
        return;
    }
    party->done += (size_t)n;
    if (party->done < party->len) {
        if (party->sending) {
            start_send(party);
        } else {
            start_recv(party, party->done, party->len - party->done);
        }
    } else if (party->sending) {
        party->done = 0;
        start_recv(party, 0, party->len);
    } else if (++party->round < ROUNDS) {
        client_says(party);
    } else {
        party_end(party);
    }
}

static void run_program(eddy_loop *loop) {
    static struct program program;
    program = (struct program){.net = {loop->host, loop}};
    CHECK_OK(HOST(&program.net, random, program.secret, sizeof program.secret));
    int fd = net_listener(&program.net, CLIENTS, &program.address);
    party_init(&program.listener, &program, fd, listener_step);
    start(&program.listener, (struct eddyi_op){.kind = EDDYI_OP_ACCEPT});
    for (int i = 0; i < CLIENTS; i++) {
        party_init(&program.clients[i], &program, net_socket(&program.net, AF_INET), client_step);
        start(&program.clients[i], (struct eddyi_op){.kind = EDDYI_OP_CONNECT,
                                                     .addr = (struct sockaddr *)&program.address,
                                                     .len = sizeof program.address});
    }
    loop->live++;
    CHECK_EQ(eddyi_loop_run_until(loop, &program.over), 0);
    loop->live--;
    CHECK_EQ(program.accepted, CLIENTS);
}

/* Runs the program under a seed; gives what there is to know of it. The text is the caller's. */
static eddy_sim_stats run_seed(uint64_t seed, bool with_text, eddy_buffer *ret_text) {
    eddy_loop *loop = sim_loop(seed);
    eddy_slice text = {NULL, 0};
    eddy_sim_stats stats = {.size = sizeof stats};
    if (with_text) {
        CHECK_OK(eddy_sim_log_enable(loop));
    }
    run_program(loop);
    CHECK_OK(eddy_sim_log(loop, &text));
    CHECK_EQ(text.len != 0, with_text);
    if (ret_text != NULL) {
        CHECK_OK(eddy_buffer_append_slice(ret_text, text));
    }
    CHECK_OK(eddy_sim_stats_get(loop, &stats));
    CHECK_EQ(stats.open, 0);
    CHECK_EQ(stats.seed, seed);
    eddy_loop_free(loop);
    return stats;
}

/* ---- seeds ----------------------------------------------------------------------------------- */

TEST(every_seed_run_twice_gives_the_same_bytes) {
    for (uint64_t seed = 1; seed <= 100; seed++) {
        EDDY_AUTO(eddy_buffer) first = {0};
        EDDY_AUTO(eddy_buffer) second = {0};
        uint64_t hash = run_seed(seed, true, &first).hash;
        /* Another loop takes the first one's place in memory: no address may play a part. */
        eddy_loop *other = sim_loop(seed);
        CHECK_EQ(run_seed(seed, true, &second).hash, hash);
        eddy_loop_free(other);
        CHECK_BYTES(second.data, second.len, first.data, first.len);
        CHECK_EQ(run_seed(seed, false, NULL).hash, hash);
    }
}

TEST(two_seeds_give_two_worlds) {
    uint64_t hashes[50];
    for (uint64_t seed = 1; seed <= 50; seed++) {
        hashes[seed - 1] = run_seed(seed, false, NULL).hash;
        for (uint64_t other = 1; other < seed; other++) {
            CHECK(hashes[other - 1] != hashes[seed - 1]);
        }
    }
}

TEST(what_ran_in_another_order_has_another_hash) {
    eddy_loop *loop = sim_loop(1);
    struct eddyi_sim *sim = eddyi_sim_of(loop);
    eddy_sim_stats before = {.size = sizeof before};
    eddy_sim_stats after = before;
    CHECK_OK(eddy_sim_stats_get(loop, &before));
    CHECK(eddyi_sim_world_place(&sim->world, 5) <= 5);
    CHECK_OK(eddy_sim_stats_get(loop, &after));
    CHECK(before.hash != after.hash);
    eddy_loop_free(loop);
}

TEST(ready_items_go_to_every_place_and_when_calm_to_the_end) {
    eddy_loop *loop = sim_loop(1);
    int seen[4] = {0};
    for (int i = 0; i < 2000; i++) {
        uint64_t place = loop->driver->shuffle(loop, 3);
        CHECK(place <= 3);
        seen[place]++;
    }
    for (int i = 0; i < 4; i++) {
        CHECK(seen[i] > 10);
    }
    CHECK_OK(eddy_sim_calm(loop, true));
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(loop->driver->shuffle(loop, 3), 3);
    }
    eddy_loop_free(loop);
}

TEST(secrets_are_the_seeds) {
    unsigned char bytes[3][21];
    for (int i = 0; i < 3; i++) {
        eddy_loop *loop = sim_loop(i == 2 ? 78 : 77);
        CHECK_EQ(loop->host->random(loop->host->ctx, bytes[i], sizeof bytes[i]), 0);
        eddy_loop_free(loop);
    }
    CHECK_BYTES(bytes[0], 21, bytes[1], 21);
    CHECK(memcmp(bytes[0], bytes[2], 21) != 0);
}

TEST(the_seed_may_come_from_the_environment) {
    CHECK_OK(setenv("EDDY_SEED", "4711", 1));
    eddy_loop *loop;
    eddy_sim_stats stats = {.size = sizeof stats};
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.driver = "sim"}, &loop));
    CHECK_OK(eddy_sim_stats_get(loop, &stats));
    CHECK_EQ(stats.seed, 4711);
    eddy_loop_free(loop);
}

/* ---- text ------------------------------------------------------------------------------------ */

/* "number word name=number ... #hash" */
static void check_line(const char *line, int64_t *last_ns) {
    char *at;
    int64_t time_ns = strtoll(line, &at, 10);
    CHECK(time_ns >= *last_ns);
    *last_ns = time_ns;
    CHECK_EQ(*at++, ' ');
    while (islower((unsigned char)*at) || *at == '_') {
        at++;
    }
    while (*at == ' ' && at[1] != '#') {
        at++;
        while (islower((unsigned char)*at) || *at == '_') {
            at++;
        }
        CHECK_EQ(*at++, '=');
        strtoll(at, &at, 10);
    }
    CHECK_EQ(strncmp(at, " #", 2), 0);
    CHECK_EQ(strspn(at + 2, "0123456789abcdef"), 8);
    CHECK_EQ(at[10], '\0');
}

TEST(each_line_is_a_virtual_time_a_word_and_numbers) {
    EDDY_AUTO(eddy_buffer) text = {0};
    run_seed(11, true, &text);
    CHECK(text.len > 1000);
    int64_t last_ns = EDDYI_SIM_MONO_START_NS;
    CHECK(eddy_buffer_text(&text) != NULL);
    char *line = text.data;
    CHECK_EQ(strncmp(line, "1000000000 world seed=11 calm=0 #", 33), 0);
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        check_line(line, &last_ns);
    }
    CHECK_EQ(*line, '\0');
    CHECK(last_ns > EDDYI_SIM_MONO_START_NS);
}

TEST(descriptors_that_were_forgotten_are_in_the_log) {
    char path[256];
    char buf[4096];
    snprintf(path, sizeof path, "%s/log", test_tmpdir());
    CHECK_OK(setenv("EDDY_SIM_LOG", path, 1));
    eddy_loop *loop = sim_loop(1);
    struct net net = {loop->host, loop};
    net_socket(&net, AF_INET);
    eddy_loop_free(loop);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    size_t len = fread(buf, 1, sizeof buf - 1, file);
    buf[len] = '\0';
    fclose(file);
    CHECK(strstr(buf, " leak socket=1 #") != NULL);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void check_file(const char *path, const eddy_buffer *wanted) {
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    char *bytes = malloc(wanted->len + 1);
    CHECK(bytes != NULL);
    size_t len = fread(bytes, 1, wanted->len + 1, file);
    fclose(file);
    CHECK_BYTES(bytes, len, wanted->data, wanted->len);
    free(bytes);
}

TEST(the_log_is_written_when_the_loop_is_freed_each_loops_to_its_own_file) {
    char path[256];
    EDDY_AUTO(eddy_buffer) second_path = {0};
    EDDY_AUTO(eddy_buffer) first = {0};
    EDDY_AUTO(eddy_buffer) second = {0};
    snprintf(path, sizeof path, "%s/log", test_tmpdir());
    CHECK_OK(eddy_buffer_printf(&second_path, "%s.2", path));
    CHECK_OK(setenv("EDDY_SIM_LOG", path, 1));
    run_seed(3, true, &first);
    run_seed(4, true, &second);
    check_file(path, &first);
    check_file(eddy_buffer_text(&second_path), &second);
}

TEST(a_log_that_cannot_be_written_is_an_error_when_the_loop_is_made) {
    eddy_loop *loop;
    CHECK_OK(setenv("EDDY_SIM_LOG", "/no/such/folder/log", 1));
    CHECK_ERR(eddy_loop_new(&(eddy_loop_opts){.driver = "sim"}, &loop), EDDY_EDRIVER);
}

TEST(a_log_without_memory_ends_and_says_so) {
    eddy_loop *loop = sim_loop(1);
    eddy_slice text;
    CHECK_OK(eddy_sim_log_enable(loop));
    CHECK_OK(eddy_sim_log(loop, &text));
    size_t lines_len = text.len;
    eddy_memory_fail_at(1, true);
    for (int i = 0; i < 1000; i++) {
        eddyi_sim_note(&eddyi_sim_of(loop)->world, EDDYI_SIM_NOTE_JOB, i, 0, 0);
    }
    eddy_memory_fail_at(0, false);
    CHECK_ERR(eddy_sim_log(loop, &text), -ENOMEM);
    CHECK(eddyi_sim_of(loop)->world.log.text.len >= lines_len);
    CHECK_EQ(eddyi_sim_of(loop)->world.log.text.data[eddyi_sim_of(loop)->world.log.text.len - 1],
             '\n');
    eddy_loop_free(loop);
}

/* ---- the public functions -------------------------------------------------------------------- */

TEST(calm_comes_from_the_environment_too_and_is_in_the_log) {
    CHECK_OK(setenv("EDDY_SIM_CALM", "1", 1));
    eddy_loop *loop = sim_loop(1);
    CHECK(eddyi_sim_of(loop)->world.calm);
    CHECK_OK(eddy_sim_log_enable(loop));
    CHECK_OK(eddy_sim_calm(loop, false));
    eddy_slice text;
    CHECK_OK(eddy_sim_log(loop, &text));
    CHECK_OK(eddy_sim_log_enable(loop));
    eddy_slice same;
    CHECK_OK(eddy_sim_log(loop, &same));
    CHECK_EQ(same.len, text.len);
    EDDY_AUTO(eddy_buffer) copy = {0};
    CHECK_OK(eddy_buffer_append_slice(&copy, text));
    CHECK(strstr(eddy_buffer_text(&copy), "world seed=1 calm=1") != NULL);
    CHECK(strstr(eddy_buffer_text(&copy), "world seed=1 calm=0") != NULL);
    eddy_loop_free(loop);
}

TEST(other_loops_are_no_worlds) {
    eddy_loop *loop;
    eddy_slice text;
    eddy_sim_stats stats = {.size = sizeof stats};
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.driver = "epoll"}, &loop));
    CHECK_ERR(eddy_sim_log_enable(loop), -ENOTSUP);
    CHECK_ERR(eddy_sim_log(loop, &text), -ENOTSUP);
    CHECK_ERR(eddy_sim_calm(loop, true), -ENOTSUP);
    CHECK_ERR(eddy_sim_stats_get(loop, &stats), -ENOTSUP);
    CHECK_ERR(eddy_sim_stats_get(NULL, &stats), -ENOTSUP);
    eddy_loop_free(loop);
}

TEST(stats_of_a_newer_version_are_filled_up_with_zeros) {
    eddy_loop *loop = sim_loop(6);
    struct {
        eddy_sim_stats stats;
        uint64_t newer;
    } room = {.newer = 99};
    CHECK_OK(eddy_sim_stats_get(loop, &room.stats));
    CHECK_EQ(room.stats.size, 0);
    CHECK_EQ(room.stats.seed, 6);
    CHECK_EQ(room.newer, 99);
    room.stats.size = sizeof room;
    CHECK_OK(eddy_sim_stats_get(loop, &room.stats));
    CHECK_EQ(room.stats.size, sizeof room);
    CHECK_EQ(room.newer, 0);
    room.stats.size = sizeof room.stats - 1;
    CHECK_ERR(eddy_sim_stats_get(loop, &room.stats), -EINVAL);
    eddy_loop_free(loop);
}

TEST(a_simulated_loop_has_no_descriptor_for_a_foreign_one) {
    eddy_loop *loop = sim_loop(1);
    CHECK_ERR(eddy_loop_fd(loop), -ENOTSUP);
    eddy_loop_free(loop);
}
