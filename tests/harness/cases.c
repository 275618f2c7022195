/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of which most are wrong on purpose; test_harness.sh sees what the harness makes of them. */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <eddy/runtime/base/memory_impl.h>
#include <eddy/runtime/base/track.h>
#include <eddy/runtime/loop/loop.h>
#include <eddy/runtime/sync/channel.h>
#include <eddy/runtime/task/task.h>

TEST(good_checks_pass) {
    CHECK(true);
    CHECK_EQ(3, 3U);
    CHECK_PTR_EQ(NULL, NULL);
    CHECK_STR("a", "a");
    CHECK_STR(NULL, NULL);
    CHECK_BYTES("a\0b", 3, "a\0b", 3);
    CHECK_EQ(CHECK_OK(5), 5);
    CHECK_ERR(-ENOMEM, -ENOMEM);
}

TEST(good_random_is_below) {
    for (int i = 0; i < 1000; i++) {
        CHECK(test_random_below(10) < 10);
    }
}

TEST(good_tmpdir_can_be_written) {
    char path[4096];
    snprintf(path, sizeof path, "%s/file", test_tmpdir());
    int fd = creat(path, 0600);
    CHECK(fd >= 0);
    close(fd);
    CHECK_EQ(access(path, R_OK), 0);
}

/* Two allocations: three runs for each of the two modes. */
static int64_t allocate_twice(void *arg) {
    bool *leaks = arg;
    void *first = eddyi_alloc(1);
    if (first == NULL) {
        return -ENOMEM;
    }
    void *second = eddyi_alloc(1);
    if (second == NULL) {
        if (!*leaks) {
            eddyi_free(first);
        }
        return -ENOMEM;
    }
    eddyi_free(first);
    eddyi_free(second);
    return 0;
}

TEST(good_sweep_counts_runs) {
    CHECK_EQ(test_each_allocation_fails(allocate_twice, &(bool){false}), 6);
}

LOOP_TEST(good_loop_runs_the_body_as_a_task) {
    CHECK(eddy_loop_current() != NULL);
    if (strcmp(test_driver(), "auto") != 0) {
        CHECK_STR(eddy_loop_driver(eddy_loop_current()), test_driver());
    }
    CHECK_OK(eddy_yield());
}

LOOP_TEST(good_sweep_in_a_task) {
    CHECK_EQ(test_each_allocation_fails(allocate_twice, &(bool){false}), 6);
}

LOOP_TEST(bad_check_in_a_task) {
    CHECK_EQ(1, 2);
}

TEST(bad_sweep_leaks) {
    test_each_allocation_fails(allocate_twice, &(bool){true});
}

static int64_t wrong_error(void *arg) {
    (void)arg;
    void *block = eddyi_alloc(1);
    if (block == NULL) {
        return -EIO;
    }
    eddyi_free(block);
    return 0;
}

TEST(bad_sweep_gives_another_error) {
    test_each_allocation_fails(wrong_error, NULL);
}

TEST(bad_check) {
    CHECK(2 < 1);
}

TEST(bad_check_eq) {
    CHECK_EQ(-ECONNRESET, 4);
}

TEST(bad_check_ptr_eq) {
    CHECK_PTR_EQ((void *)16, NULL);
}

TEST(bad_check_str) {
    CHECK_STR("left", "right");
}

TEST(bad_check_bytes) {
    CHECK_BYTES("abc", 3, "abd", 3);
}

TEST(bad_check_ok) {
    CHECK_OK(-EPIPE);
}

TEST(bad_check_err) {
    CHECK_ERR(0, -EPIPE);
}

TEST(bad_crash) {
    raise(SIGSEGV);
}

TEST(bad_block_is_left) {
    static void *volatile block;
    block = eddyi_alloc(1);
    CHECK(block != NULL);
}

/* The blocks tell, too, where the library does not know its objects. */
TEST(bad_object_is_left) {
    static eddy_channel *channel;
    CHECK_OK(eddy_channel_new(1, 1, &channel));
    if (eddy_track_each(NULL, NULL) < 0) {
        test_fail(__FILE__, __LINE__, "left a channel, made at some place");
    }
}

TEST(bad_descriptor_is_left) {
    CHECK(open("/dev/null", O_RDONLY) >= 0);
}

TEST(bad_descriptor_is_closed) {
    close(0);
}

TEST(bad_child_is_left) {
    if (fork() == 0) {
        pause();
    }
}

TEST_TIMEOUT(bad_hang, 1) {
    pause();
}

TEST(skipped_says_why) {
    SKIP("nothing to see here");
}
