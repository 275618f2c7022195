/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/base/opts_impl.h>

#include <string.h>

#include "test.h"

/* The same options in three versions of the library. */
struct first {
    size_t size;
    uint32_t count;
    bool loud; /* padding follows */
};

struct second {
    size_t size;
    uint32_t count;
    bool loud;
    int64_t wait_ns;
};

struct third {
    size_t size;
    uint32_t count;
    bool loud;
    int64_t wait_ns;
    const char *name;
};

/* What each version's function does. */
static int read_second(struct second *ret_copy, const void *opts) {
    const struct second *given = opts;
    return EDDYI_OPTS_READ(ret_copy, given, loud);
}

static void check_second(const struct second *got, uint32_t count, bool loud, int64_t wait_ns) {
    CHECK_EQ(got->size, sizeof *got);
    CHECK_EQ(got->count, count);
    CHECK_EQ(got->loud, loud);
    CHECK_EQ(got->wait_ns, wait_ns);
}

TEST(options_that_are_not_given_are_all_zero) {
    struct second got;
    memset(&got, 0xff, sizeof got);
    CHECK_OK(read_second(&got, NULL));
    check_second(&got, 0, false, 0);
}

TEST(size_zero_means_the_first_layout_and_nothing_behind_it_is_read) {
    struct second opts = {.count = 3, .loud = true, .wait_ns = 99};
    struct second got;
    CHECK_OK(read_second(&got, &opts));
    check_second(&got, 3, true, 0);
}

TEST(options_of_an_older_program_are_read_as_far_as_they_go) {
    union {
        struct first first;
        struct second room;
    } opts = {.room.wait_ns = 99};
    struct second got;
    opts.first.size = sizeof opts.first;
    opts.first.count = 3;
    CHECK_OK(read_second(&got, &opts));
    check_second(&got, 3, false, 0);
}

TEST(options_of_the_same_version_are_read_whole) {
    struct second opts = {.size = sizeof opts, .count = 3, .loud = true, .wait_ns = 99};
    struct second got;
    CHECK_OK(read_second(&got, &opts));
    check_second(&got, 3, true, 99);
}

TEST(options_of_a_newer_program_are_read_unless_they_ask_for_what_is_not_known) {
    struct third opts = {.size = sizeof opts, .count = 3, .wait_ns = 99};
    struct second got;
    CHECK_OK(read_second(&got, &opts));
    check_second(&got, 3, false, 99);
    opts.name = "new";
    CHECK_ERR(read_second(&got, &opts), -EINVAL);
    CHECK_EQ(got.count, 0);
}

TEST(sizes_that_no_version_has_are_refused) {
    const size_t sizes[] = {1, sizeof(size_t), offsetof(struct first, loud), EDDYI_OPTS_MAX + 1,
                            SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct second opts = {.size = sizes[i]};
        struct second got;
        CHECK_ERR(read_second(&got, &opts), -EINVAL);
        CHECK_EQ(EDDYI_OPTS_SIZE(&opts, loud), 0);
    }
}

TEST(the_longest_struct_that_may_be_is_read) {
    struct {
        struct second known;
        char newer[EDDYI_OPTS_MAX - sizeof(struct second)];
    } opts = {.known.size = sizeof opts, .known.count = 3};
    struct second got;
    CHECK_OK(read_second(&got, &opts));
    check_second(&got, 3, false, 0);
    opts.newer[sizeof opts.newer - 1] = 1;
    CHECK_ERR(read_second(&got, &opts), -EINVAL);
}

TEST(figures_are_written_as_far_as_the_caller_has_room) {
    const struct second from = {.size = 1, .count = 3, .loud = true, .wait_ns = 99};
    struct second figures = {.wait_ns = 7};
    CHECK_OK(EDDYI_OPTS_WRITE(&figures, &from, loud));
    CHECK_EQ(figures.size, 0);
    CHECK_EQ(figures.count, 3);
    CHECK(figures.loud);
    CHECK_EQ(figures.wait_ns, 7);
    figures.size = sizeof figures;
    CHECK_OK(EDDYI_OPTS_WRITE(&figures, &from, loud));
    CHECK_EQ(figures.wait_ns, 99);
}

TEST(figures_that_are_not_known_become_zero) {
    const struct second from = {.count = 3, .wait_ns = 99};
    struct third figures = {.size = sizeof figures, .name = "old"};
    const size_t first_size = EDDYI_OPTS_FIRST(struct second, loud);
    CHECK_OK(eddyi_opts_write(&figures, &from, sizeof from, first_size));
    CHECK_EQ(figures.size, sizeof figures);
    CHECK_EQ(figures.wait_ns, 99);
    CHECK_PTR_EQ(figures.name, NULL);
    figures.size = 4;
    CHECK_ERR(eddyi_opts_write(&figures, &from, sizeof from, first_size), -EINVAL);
    CHECK_EQ(figures.wait_ns, 99);
}
