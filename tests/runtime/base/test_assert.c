/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <eddy/runtime/base/assert_impl.h>

#include "death.h"
#include "test.h"

/* Ends with one whole line, which is `eddy: <this file>:<line>: <words>`. */
static void check_last_words(struct death death, int line, const char *words) {
    char wanted[4096];
    snprintf(wanted, sizeof wanted, "eddy: %s:%d: %s\n", __FILE__, line, words);
    CHECK_STR(death.text, wanted);
    CHECK_EQ(death.signal, SIGABRT);
}

enum { PLAIN_LINE = __LINE__ + 4 };
static void plain(void) {
    int two = 2;
    EDDY_ASSERT(two == 2);
    EDDY_ASSERT(two + two == 5);
}

TEST(a_failed_assert_says_where_and_what_and_aborts) {
    check_last_words(death_of(plain), PLAIN_LINE, "two + two == 5");
}

static int length = 7;

enum { SENTENCE_LINE = __LINE__ + 2 };
static void with_sentence(void) {
    EDDY_ASSERT_SAY(length < 0, "the file got shorter");
}

TEST(a_sentence_follows_the_condition) {
    check_last_words(death_of(with_sentence), SENTENCE_LINE, "length < 0: the file got shorter");
}

static const char *a_task(const char **ret_site) {
    (void)ret_site;
    return "worker \"7\"\n\x1b[31m";
}

TEST(the_running_task_is_named_and_cannot_break_the_line) {
    eddyi_panic_context = a_task;
    check_last_words(death_of(with_sentence), SENTENCE_LINE,
                     "length < 0: the file got shorter (task \"worker \"7\"??[31m\")");
}

static const char *a_task_with_a_site(const char **ret_site) {
    *ret_site = "load.c:42";
    return "import";
}

TEST(the_site_of_the_running_tasks_spawn_is_named) {
    eddyi_panic_context = a_task_with_a_site;
    check_last_words(death_of(with_sentence), SENTENCE_LINE,
                     "length < 0: the file got shorter (task \"import\", spawned at load.c:42)");
}

static const char *no_task(const char **ret_site) {
    (void)ret_site;
    return NULL;
}

TEST(without_a_running_task_none_is_named) {
    eddyi_panic_context = no_task;
    check_last_words(death_of(with_sentence), SENTENCE_LINE, "length < 0: the file got shorter");
}

enum { CONTEXT_LINE = __LINE__ + 2 };
static const char *broken_context(const char **ret_site) {
    EDDY_ASSERT(length == -1 && ret_site != NULL);
    return NULL;
}

TEST(a_panic_while_the_task_is_looked_up_ends_all_the_same) {
    eddyi_panic_context = broken_context;
    check_last_words(death_of(with_sentence), CONTEXT_LINE, "length == -1 && ret_site != NULL");
}

static void with_a_long_sentence(void) {
    char sentence[5000];
    memset(sentence, 'x', sizeof sentence - 1);
    sentence[sizeof sentence - 1] = '\0';
    eddyi_panic("f.c", 0, "c", sentence);
}

TEST(last_words_that_are_too_long_are_cut_but_stay_a_line) {
    struct death death = death_of(with_a_long_sentence);
    CHECK_EQ(death.signal, SIGABRT);
    CHECK_EQ(death.len, 1024);
    CHECK_EQ(strncmp(death.text, "eddy: f.c:0: c: xxx", 19), 0);
    CHECK_EQ(strchr(death.text, '\n') - death.text, (int64_t)death.len - 1);
}

static void slow(void) {
    int evaluated = 0;
    EDDY_ASSERT_SLOW(evaluated++ > 0);
    (void)evaluated;
}

TEST(slow_asserts_are_for_debug_builds) {
#ifdef NDEBUG
    CHECK_EQ(death_of(slow).signal, 0);
#else
    CHECK_EQ(death_of(slow).signal, SIGABRT);
#endif
}

static void used_as_expression(void) {
    int calls = 0;
    calls == 0 ? EDDY_ASSERT(++calls == 1) : EDDY_ASSERT(calls == -1);
    EDDY_ASSERT(calls == 1);
}

TEST(an_assert_evaluates_once_and_is_an_expression) {
    CHECK_EQ(death_of(used_as_expression).signal, 0);
}

struct outer {
    int first;
    char inner;
};

TEST(container_finds_the_struct_around_a_member) {
    struct outer outer = {0};
    CHECK_PTR_EQ(EDDYI_CONTAINER(&outer.inner, struct outer, inner), &outer);
}
