/* SPDX-License-Identifier: Apache-2.0 */
/* Futures made of futures made of futures: no end, cancel or release of a long chain may need more
 * stack than that of a short one. A task's stack, and the threads' here, are 256 KiB. */
#include <stdlib.h>

#include <eddy/futures/combine.h>

#include "futures/helpers.h"

/* Either is too long for a frame of 32 bytes for each; a sanitizer's are larger. */
#define LENGTH ((size_t)(test_is_slow() ? 10000 : 100000))
#define STACK_BYTES ((size_t)256 * 1024)

/* Runs fn(arg) on a thread with a small stack. */
static void on_small_thread(void *(*fn)(void *arg), void *arg) {
    pthread_t thread;
    pthread_attr_t attr;
    CHECK_EQ(pthread_attr_init(&attr), 0);
    CHECK_EQ(pthread_attr_setstacksize(&attr, STACK_BYTES), 0);
    CHECK_EQ(pthread_create(&thread, &attr, fn, arg), 0);
    pthread_attr_destroy(&attr);
    thread_join(thread);
}

/* ---- a chain --------------------------------------------------------------------------------- */

enum link { THEN, ALL, ANY, RACE, SHIELD, EACH_IN_TURN };

struct chain {
    struct pair source;
    eddy_future **fs; /* LENGTH of them, the first one on the source */
    enum link link;
};

static int64_t add_one(int64_t result, void *arg) {
    (void)arg;
    return result < 0 ? result : result + 1;
}

static eddy_future *link_to(eddy_future *f, enum link link) {
    switch (link) {
    case THEN:
        return eddy_future_then(f, add_one, NULL);
    case ALL:
        return eddy_future_all(&f, 1);
    case ANY:
        return eddy_future_any(&f, 1);
    case RACE:
        return eddy_future_race(&f, 1);
    default:
        return eddy_future_shield(f);
    }
}

static void chain_new(struct chain *chain, enum link link) {
    chain->source = pair_new();
    chain->link = link;
    chain->fs = calloc(LENGTH, sizeof(eddy_future *));
    eddy_future *before = chain->source.future;
    for (size_t i = 0; i < LENGTH; i++) {
        /* No shield in the mixed one: a cancel would stop at it. */
        enum link one = link == EACH_IN_TURN ? (enum link)(i % SHIELD) : link;
        chain->fs[i] = link_to(before, one);
        before = chain->fs[i];
    }
}

static eddy_future *chain_end(const struct chain *chain) {
    return chain->fs[LENGTH - 1];
}

/* `newest_first`: the last reference of each is another one's in one order, its handle in the
 * other. */
static void chain_free(struct chain *chain, bool newest_first) {
    eddy_promise_free(chain->source.promise);
    if (!newest_first) {
        eddy_future_release(chain->source.future);
    }
    for (size_t i = 0; i < LENGTH; i++) {
        eddy_future_release(chain->fs[newest_first ? LENGTH - 1 - i : i]);
    }
    if (newest_first) {
        eddy_future_release(chain->source.future);
    }
    free(chain->fs);
}

static int64_t wanted(const struct chain *chain) {
    switch (chain->link) {
    case THEN:
        return 7 + LENGTH;
    case ALL:
        return 0;
    case EACH_IN_TURN: /* the last `all` makes 0 of it; `then` counts again from there */
        return LENGTH % SHIELD == 1 ? 1 : 0;
    default:
        return 7;
    }
}

/* ---- what is done to it ---------------------------------------------------------------------- */

static void complete(enum link link) {
    struct chain chain;
    chain_new(&chain, link);
    CHECK(!eddy_future_done(chain_end(&chain)));
    CHECK_OK(eddy_promise_resolve(chain.source.promise, 7));
    CHECK_EQ(eddy_await(chain_end(&chain)), wanted(&chain));
    chain_free(&chain, false);
}

static void fail(enum link link) {
    struct chain chain;
    chain_new(&chain, link);
    eddy_promise_free(chain.source.promise);
    chain.source.promise = NULL;
    CHECK_ERR(eddy_await(chain_end(&chain)), EDDY_EBROKEN);
    chain_free(&chain, true);
}

static void cancel(enum link link) {
    struct chain chain;
    chain_new(&chain, link);
    CHECK_OK(eddy_future_cancel(chain_end(&chain)));
    CHECK_ERR(eddy_await(chain_end(&chain)), -ECANCELED);
    CHECK(eddy_future_cancelled(chain_end(&chain)));
    CHECK_EQ(eddy_promise_cancelled(chain.source.promise), link != SHIELD);
    chain_free(&chain, true);
}

static void release(enum link link) {
    struct chain chain;
    chain_new(&chain, link);
    eddy_future_release(chain_end(&chain));
    chain.fs[LENGTH - 1] = NULL;
    CHECK_EQ(eddy_promise_cancelled(chain.source.promise), link != SHIELD);
    CHECK_EQ(eddy_future_done(chain.fs[0]), link != SHIELD);
    chain_free(&chain, false);
}

static void *do_all(void *arg) {
    (void)arg;
    for (enum link link = THEN; link <= EACH_IN_TURN; link++) {
        complete(link);
        fail(link);
        cancel(link);
        release(link);
    }
    return NULL;
}

TEST_TIMEOUT(a_long_chain_on_a_thread_ends_at_once, 120) {
    on_small_thread(do_all, NULL);
}

LOOP_TEST_TIMEOUT(a_long_chain_in_a_task_ends_at_once, 120) {
    do_all(NULL);
}

/* ---- across ---------------------------------------------------------------------------------- */

static int64_t complete_in_a_task(void *arg) {
    struct chain *chain = arg;
    CHECK_OK(eddy_promise_resolve(chain->source.promise, 7));
    return eddy_await(chain_end(chain));
}

static int64_t cancel_in_a_task(void *arg) {
    struct chain *chain = arg;
    CHECK_OK(eddy_future_cancel(chain_end(chain)));
    return eddy_await(chain_end(chain));
}

static void *made_here_ended_on_a_loop(void *arg) {
    eddy_loop *loop = arg;
    for (enum link link = THEN; link < SHIELD; link++) {
        struct chain chain;
        chain_new(&chain, link);
        CHECK_EQ(eddy_loop_call(loop, complete_in_a_task, &chain), wanted(&chain));
        chain_free(&chain, false);
        chain_new(&chain, link);
        CHECK_ERR(eddy_loop_call(loop, cancel_in_a_task, &chain), -ECANCELED);
        chain_free(&chain, true);
    }
    eddy_loop_free(loop);
    return NULL;
}

TEST_TIMEOUT(a_chain_of_a_thread_may_end_on_a_loop, 120) {
    eddy_loop *loop;
    CHECK_OK(eddy_loop_new(NULL, &loop));
    on_small_thread(made_here_ended_on_a_loop, loop);
}

static void *complete_on_a_thread(void *arg) {
    struct chain *chain = arg;
    CHECK_OK(eddy_promise_resolve(chain->source.promise, 7));
    return NULL;
}

static void *cancel_on_a_thread(void *arg) {
    struct chain *chain = arg;
    CHECK_OK(eddy_future_cancel(chain_end(chain)));
    return NULL;
}

LOOP_TEST_TIMEOUT(a_chain_of_a_task_may_end_on_a_thread, 120) {
    for (enum link link = THEN; link < SHIELD; link++) {
        struct chain chain;
        chain_new(&chain, link);
        on_small_thread(complete_on_a_thread, &chain);
        CHECK_EQ(eddy_await(chain_end(&chain)), wanted(&chain));
        chain_free(&chain, false);
        chain_new(&chain, link);
        on_small_thread(cancel_on_a_thread, &chain);
        CHECK_ERR(eddy_await(chain_end(&chain)), -ECANCELED);
        chain_free(&chain, true);
    }
}

LOOP_TEST_TIMEOUT(a_scope_that_is_left_ends_a_long_chain, 120) {
    for (enum link link = THEN; link <= EACH_IN_TURN; link++) {
        struct chain chain;
        eddy_scope scope;
        CHECK_OK(eddy_scope_enter(&scope, NULL));
        chain_new(&chain, link);
        CHECK_OK(eddy_scope_leave(&scope, 0));
        CHECK_EQ(eddy_promise_cancelled(chain.source.promise), link != SHIELD);
        pair_free(&chain.source);
        free(chain.fs);
    }
}

/* ---- trees ----------------------------------------------------------------------------------- */

#define DEPTH 10
#define LEAVES (1 << DEPTH)

/* A full binary tree over promises: all and any in turn. */
struct tree {
    struct pair leaves[LEAVES];
    eddy_future *nodes[2 * LEAVES]; /* 1 the root, children of i at 2i and 2i+1 */
};

static struct tree *tree_new(void) {
    struct tree *tree = calloc(1, sizeof *tree);
    for (size_t i = 0; i < LEAVES; i++) {
        tree->leaves[i] = pair_new();
        tree->nodes[LEAVES + i] = tree->leaves[i].future;
    }
    for (size_t i = LEAVES - 1; i > 0; i--) {
        eddy_future **children = &tree->nodes[2 * i];
        bool odd = __builtin_clz((unsigned)i) % 2 != 0;
        tree->nodes[i] = odd ? eddy_future_all(children, 2) : eddy_future_any(children, 2);
    }
    return tree;
}

static void tree_free(struct tree *tree) {
    for (size_t i = 1; i < LEAVES; i++) {
        eddy_future_release(tree->nodes[i]);
    }
    for (size_t i = 0; i < LEAVES; i++) {
        pair_free(&tree->leaves[i]);
    }
    free(tree);
}

static void *do_trees(void *arg) {
    (void)arg;
    /* Ends leaf by leaf. An `all` of successes and an `any` with one are 0 or a leaf's number. */
    struct tree *tree = tree_new();
    for (size_t i = 0; i < LEAVES; i++) {
        (void)eddy_promise_resolve(tree->leaves[i].promise, (int64_t)i);
    }
    CHECK(eddy_await(tree->nodes[1]) >= 0);
    tree_free(tree);

    tree = tree_new();
    CHECK_OK(eddy_future_cancel(tree->nodes[1]));
    CHECK_ERR(eddy_await(tree->nodes[1]), -ECANCELED);
    for (size_t i = 0; i < LEAVES; i++) {
        CHECK(eddy_promise_cancelled(tree->leaves[i].promise));
    }
    tree_free(tree);

    tree = tree_new();
    eddy_future_release(tree->nodes[1]);
    tree->nodes[1] = NULL;
    tree_free(tree);
    return NULL;
}

TEST(a_tree_on_a_thread_ends_at_once) {
    on_small_thread(do_trees, NULL);
}

LOOP_TEST(a_tree_in_a_task_ends_at_once) {
    do_trees(NULL);
}

/* ---- a user's function in the middle --------------------------------------------------------- */

/* What is under way on this thread must not keep a callback that waits from what it waits for. */
struct wait_inside {
    struct pair inner;
    eddy_future *inner_end;
    int64_t seen;
};

static void end_inner_and_wait(eddy_future *f, void *arg) {
    (void)f;
    struct wait_inside *wait = arg;
    CHECK_OK(eddy_promise_resolve(wait->inner.promise, 1));
    wait->seen = eddy_await(wait->inner_end);
}

static int64_t end_inner_and_wait_too(int64_t result, void *arg) {
    (void)result;
    end_inner_and_wait(NULL, arg);
    return 0;
}

static void cancel_inner_and_wait(eddy_future *f, void *arg) {
    (void)f;
    struct wait_inside *wait = arg;
    CHECK_OK(eddy_future_cancel(wait->inner_end));
    wait->seen = eddy_await(wait->inner_end);
}

static void *wait_inside(void *arg) {
    (void)arg;
    for (int way = 0; way < 3; way++) {
        struct pair outer = pair_new();
        struct wait_inside wait = {.inner = pair_new()};
        eddy_future *first = eddy_future_then(wait.inner.future, add_one, NULL);
        wait.inner_end = eddy_future_all(&first, 1);
        eddy_future *then = NULL;
        if (way == 0) {
            CHECK_OK(eddy_future_callback(outer.future, end_inner_and_wait, &wait));
        } else if (way == 1) {
            then = eddy_future_then(outer.future, end_inner_and_wait_too, &wait);
        } else {
            CHECK_OK(eddy_future_callback(outer.future, cancel_inner_and_wait, &wait));
        }
        CHECK_OK(eddy_promise_resolve(outer.promise, 0));
        CHECK_EQ(wait.seen, way == 2 ? -ECANCELED : 0);
        eddy_future_release(then);
        eddy_future_release(wait.inner_end);
        eddy_future_release(first);
        pair_free(&wait.inner);
        pair_free(&outer);
    }
    return NULL;
}

TEST(a_callback_on_a_thread_may_wait_for_other_futures) {
    wait_inside(NULL);
}

static void release_inner(void *arg) {
    struct wait_inside *wait = arg;
    wait->inner_end = eddy_future_release(wait->inner_end);
    wait->seen = eddy_promise_cancelled(wait->inner.promise);
}

/* From on_cancel, called by a cancel that came through other futures. */
TEST(a_cancel_function_on_a_thread_may_release_other_futures) {
    struct pair outer = pair_new();
    struct wait_inside wait = {.inner = pair_new()};
    wait.inner_end = eddy_future_then(wait.inner.future, add_one, NULL);
    CHECK_OK(eddy_promise_on_cancel(outer.promise, release_inner, &wait));
    eddy_future *then = eddy_future_then(outer.future, add_one, NULL);
    CHECK_OK(eddy_future_cancel(then));
    CHECK_EQ(wait.seen, 1);
    CHECK_ERR(eddy_future_result(then), -EINPROGRESS);
    outer.promise = eddy_promise_free(outer.promise);
    CHECK_ERR(eddy_await(then), -ECANCELED);
    eddy_future_release(then);
    pair_free(&wait.inner);
    pair_free(&outer);
}

static void dispose_and_release(void *payload) {
    struct wait_inside *wait = payload;
    wait->inner_end = eddy_future_release(wait->inner_end);
    wait->seen = eddy_promise_cancelled(wait->inner.promise);
}

/* The last reference of the source goes while the end of `all` is under way. */
TEST(a_payloads_dispose_may_release_other_futures) {
    struct pair first = pair_new();
    struct pair second = pair_new();
    struct wait_inside wait = {.inner = pair_new()};
    wait.inner_end = eddy_future_then(wait.inner.future, add_one, NULL);
    eddy_future *both[] = {first.future, second.future};
    eddy_future *all = eddy_future_all(both, 2);
    CHECK_OK(eddy_promise_resolve_payload(first.promise, 0, &wait, 0, dispose_and_release));
    pair_free(&first);
    CHECK(wait.inner_end != NULL);
    CHECK_OK(eddy_promise_resolve(second.promise, 0));
    CHECK_EQ(wait.seen, 1);
    CHECK_OK(eddy_await(all));
    eddy_future_release(all);
    pair_free(&second);
    pair_free(&wait.inner);
}
