/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each call of the host table, and each operation that a driver tries at once, refused in turn, in
 * every room that makes such calls: once alone, and with all after it. A scenario then ends with
 * just that error, or does without; nothing is left, and on the same loop the next run finds
 * everything as the first did.
 */
#include "sweep/scenarios.h"

#include <stdatomic.h>
#include <sys/socket.h>

#include "sweep/moments.h"

/* ---- what is refused ------------------------------------------------------------------------- */

static struct {
    _Atomic int64_t made; /* calls, of any thread */
    _Atomic int64_t nth;  /* the one that is refused; 0: none */
    bool all;             /* and those after it */
    int error;
} plan;

static bool refuses(void) {
    int64_t number = atomic_fetch_add(&plan.made, 1) + 1;
    int64_t nth = atomic_load(&plan.nth);
    return nth > 0 && (number == nth || (plan.all && number > nth));
}

static const struct eddyi_host *real;
static struct eddyi_host calls;

/* EACH(result, name, parameters, arguments) for each call that may be refused. */
#define HOST_CALLS(EACH) \
    EACH(int, socket, (void *ctx, int domain, int type, int protocol), \
         (ctx, domain, type, protocol)) \
    EACH(int, bind, (void *ctx, int fd, const struct sockaddr *address, socklen_t len), \
         (ctx, fd, address, len)) \
    EACH(int, listen, (void *ctx, int fd, int backlog), (ctx, fd, backlog)) \
    EACH(int, setsockopt, \
         (void *ctx, int fd, int level, int name, const void *value, socklen_t len), \
         (ctx, fd, level, name, value, len)) \
    EACH(int, getsockopt, \
         (void *ctx, int fd, int level, int name, void *ret_value, socklen_t *len), \
         (ctx, fd, level, name, ret_value, len)) \
    EACH(int, getsockname, (void *ctx, int fd, struct sockaddr *ret_address, socklen_t *len), \
         (ctx, fd, ret_address, len)) \
    EACH(int, shutdown, (void *ctx, int fd, int how), (ctx, fd, how)) \
    EACH(int, dup, (void *ctx, int fd), (ctx, fd)) \
    EACH(int, open, (void *ctx, int dirfd, const char *path, int flags, mode_t mode), \
         (ctx, dirfd, path, flags, mode)) \
    EACH(int, open_resolve, \
         (void *ctx, int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve), \
         (ctx, dirfd, path, flags, mode, resolve)) \
    EACH(int, fstat, (void *ctx, int fd, struct stat *ret_stat), (ctx, fd, ret_stat)) \
    EACH(int, statat, (void *ctx, int dirfd, const char *path, int flags, struct stat *ret_stat), \
         (ctx, dirfd, path, flags, ret_stat)) \
    EACH(int64_t, pread, (void *ctx, int fd, void *dst, size_t len, int64_t offset), \
         (ctx, fd, dst, len, offset)) \
    EACH(int64_t, pread_cached, (void *ctx, int fd, void *dst, size_t len, int64_t offset), \
         (ctx, fd, dst, len, offset)) \
    EACH(int64_t, getdents, (void *ctx, int fd, void *dst, size_t len), (ctx, fd, dst, len)) \
    EACH(int64_t, seek, (void *ctx, int fd, int64_t offset, int whence), \
         (ctx, fd, offset, whence)) \
    EACH(int, sync, (void *ctx, int fd, bool data_only), (ctx, fd, data_only)) \
    EACH(int64_t, pwrite, (void *ctx, int fd, const void *src, size_t len, int64_t offset), \
         (ctx, fd, src, len, offset)) \
    EACH(int, thread_start, \
         (void *ctx, const char *name, void *(*fn)(void *arg), void *arg, pthread_t *ret_thread), \
         (ctx, name, fn, arg, ret_thread))

#define REFUSE(result, name_, parameters, arguments) \
    static result name_##_or_not parameters { \
        return refuses() ? plan.error : real->name_ arguments; \
    }

HOST_CALLS(REFUSE)

#define TAKE(result, name_, parameters, arguments) calls.name_ = name_##_or_not;

static struct eddyi_driver driver;
static const struct eddyi_driver *real_driver;

static int64_t attempt_or_not(eddy_loop *loop, struct eddyi_op *op) {
    return refuses() ? plan.error : real_driver->attempt(loop, op);
}

/* For good: a thread of the pool may look up at any time what is called. */
static void take_calls(eddy_loop *loop) {
    real = loop->host;
    calls = *real;
    HOST_CALLS(TAKE)
    loop->host = &calls;
    real_driver = loop->driver;
    driver = *real_driver;
    driver.attempt = attempt_or_not;
    loop->driver = &driver;
}

/* ---- the sweep ------------------------------------------------------------------------------- */

/* Of two that talk, one may be told by the other's end. */
static bool is_told(int64_t r) {
    return r == plan.error || r == -ECONNRESET || r == -EPIPE || r == -ENOTCONN || r == EDDY_EEND;
}

static void check_nothing_left(void) {
    eddy_loop *loop = eddy_loop_current();
    inventory_check_driver(loop);
    if (real_driver == &eddyi_driver_sim) {
        const struct eddyi_sim *sim = loop->driver_state;
        CHECK_OK(eddy_sleep(3600 * EDDY_S)); /* what is on its way arrives, or is given up */
        CHECK_EQ(sim->host.open_count, 0);
    }
}

static int64_t in_task(void *arg) {
    int64_t (**scenario)(void) = arg;
    int64_t nth = plan.nth;
    int64_t r = (*scenario)();
    int64_t made = plan.made;
    plan.nth = 0;
    bool reached = nth > 0 && made >= nth;
    if (r < 0 && !(reached && is_told(r))) {
        test_fail(__FILE__, __LINE__, "call %lld%s: %s%s: %s", (long long)nth,
                  plan.all ? " and all after it" : "", eddy_error_name(plan.error),
                  reached ? "" : " (not reached)", eddy_error_name(r));
    }
    check_nothing_left();
    CHECK_OK((*scenario)());
    check_nothing_left();
    return reached;
}

/* On a loop of its own, so that the pool has no threads yet. Whether there were so many calls. */
static bool run_once(int64_t (*scenario)(void), int error, int64_t nth, bool all) {
    eddy_loop *loop;
    int64_t blocks = eddy_memory_blocks();
    uint64_t descriptors = inventory_descriptors();
    CHECK_OK(eddy_loop_new(&(eddy_loop_opts){.seed = test_seed()}, &loop));
    take_calls(loop);
    plan.error = error;
    plan.all = all;
    plan.made = 0;
    plan.nth = nth;
    int64_t reached = CHECK_OK(eddy_loop_call(loop, in_task, &scenario));
    eddy_loop_free(loop);
    CHECK_EQ(eddy_memory_blocks(), blocks);
    CHECK_EQ(inventory_descriptors(), descriptors);
    return reached != 0;
}

static void sweep(int64_t (*scenario)(void)) {
    static const int errors[] = {-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM};
    run_once(scenario, 0, 0, false);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        for (int all = 0; all <= 1; all++) {
            int64_t nth = 1;
            while (run_once(scenario, errors[i], nth, all != 0)) {
                nth = moments_next(nth);
            }
            CHECK(nth > 5);
        }
    }
}

#define SWEEP(room) \
    TEST_TIMEOUT(room##_are_refused_each_call, 120) { \
        sweep(room); \
    }

SWEEP(sockets)
SWEEP(unix_sockets)
SWEEP(http)
SWEEP(files)

/* What asks the host for nothing but the time is refused nothing. */
LOOP_TEST(rooms_without_descriptors_make_no_call) {
    static int64_t (*const without[])(void) = {tasks, syncs, futures, streams};
    take_calls(eddy_loop_current());
    plan.error = -ENOMEM;
    plan.all = true;
    plan.nth = 1;
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++) {
        CHECK_OK(without[i]());
    }
    CHECK_EQ(plan.made, 0);
}
