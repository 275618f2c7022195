/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include <eddy/runtime/base/error.h>

#include "test.h"

#define ERRNO_LAST 133 /* EHWPOISON; 134 to 4095 are free */

struct ours {
    const char *name;
    int64_t number;
    const char *text;
};

#define OURS(name, number, text) {#name, number, text},
static const struct ours table[] = {EDDY_ERROR_TABLE(OURS)};
#define OURS_COUNT (sizeof table / sizeof table[0])

TEST(every_errno_has_the_name_that_the_c_library_gives_it) {
    int known = 0;
    for (int number = 1; number <= ERRNO_LAST; number++) {
        const char *name = strerrorname_np(number);
        CHECK_STR(eddy_error_name(-number), name == NULL ? "EUNKNOWN" : name);
        known += name != NULL;
    }
    CHECK_EQ(known, ERRNO_LAST - 2); /* 41 and 58 were never used */
}

/* An acronym may keep its capitals, the first letter of a sentence does not. */
static bool is_lower_case(const char *text) {
    bool first_is_capital = text[0] >= 'A' && text[0] <= 'Z';
    bool second_is_capital = text[1] >= 'A' && text[1] <= 'Z';
    return !first_is_capital || second_is_capital;
}

TEST(every_errno_has_the_text_of_the_c_library_in_lower_case) {
    for (int number = 1; number <= ERRNO_LAST; number++) {
        const char *text = strerrordesc_np(number);
        if (text == NULL) {
            CHECK_STR(eddy_error_text(-number), "unknown error");
            continue;
        }
        if (number == ETIME) { /* a scope's deadline, and "timer expired" would name none */
            CHECK_STR(eddy_error_text(-number), "the deadline passed");
            continue;
        }
        CHECK_EQ(strcasecmp(eddy_error_text(-number), text), 0);
        CHECK(is_lower_case(eddy_error_text(-number)));
    }
    CHECK_STR(eddy_error_text(-ECONNRESET), "connection reset by peer");
}

TEST(an_alias_has_the_name_of_what_it_stands_for) {
    CHECK_STR(eddy_error_name(-EWOULDBLOCK), "EAGAIN");
    CHECK_STR(eddy_error_name(-ENOTSUP), "EOPNOTSUPP");
    CHECK_STR(eddy_error_name(-EDEADLOCK), "EDEADLK");
}

TEST(every_error_of_ours_has_its_name_and_text) {
    for (size_t i = 0; i < OURS_COUNT; i++) {
        CHECK_STR(eddy_error_name(table[i].number), table[i].name);
        CHECK_STR(eddy_error_text(table[i].number), table[i].text);
        CHECK_EQ(strncmp(table[i].name, "EDDY_E", 6), 0);
        size_t len = strlen(table[i].text);
        CHECK(len > 0);
        CHECK(table[i].text[len - 1] != '.');
        CHECK(is_lower_case(table[i].text));
    }
}

TEST(numbers_of_ours_are_unique_and_below_those_of_the_kernel) {
    for (size_t i = 0; i < OURS_COUNT; i++) {
        CHECK(table[i].number <= EDDY_ERROR_OURS_FIRST);
        for (size_t j = 0; j < i; j++) {
            CHECK(table[i].number != table[j].number);
            CHECK(strcmp(table[i].name, table[j].name) != 0);
        }
    }
}

TEST(a_result_that_is_no_error_is_ok) {
    CHECK_STR(eddy_error_name(0), "OK");
    CHECK_STR(eddy_error_name(1), "OK");
    CHECK_STR(eddy_error_name(INT64_MAX), "OK");
    CHECK_STR(eddy_error_text(0), "no error");
}

TEST(a_number_without_an_error_is_unknown) {
    static const int64_t numbers[] = {-ERRNO_LAST - 1,
                                      -4095,
                                      -4096,
                                      -4999,
                                      -5999,
                                      INT32_MIN,
                                      (int64_t)INT32_MIN - 1,
                                      INT64_MIN,
                                      -((int64_t)1 << 32) - ENOENT};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        CHECK_STR(eddy_error_name(numbers[i]), "EUNKNOWN");
        CHECK_STR(eddy_error_text(numbers[i]), "unknown error");
    }
}

TEST(errno_is_left_alone) {
    errno = 77;
    eddy_error_name(-ENOENT);
    eddy_error_text(EDDY_ECLOSED);
    eddy_error_text(-9999);
    CHECK_EQ(errno, 77);
}
