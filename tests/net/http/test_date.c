/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <eddy/net/http/date.h>

#include "test.h"

#define DAY_S 86400
#define NOW 1700000000 /* Tue, 14 Nov 2023 22:13:20 GMT */

static void check_format(int64_t unix_s, const char *wanted) {
    char text[EDDY_HTTP_DATE_LEN + 1];
    CHECK_OK(eddy_http_date_format(unix_s, text));
    CHECK_STR(text, wanted);
}

static void check_parse(const char *text, int64_t wanted) {
    int64_t unix_s = -1;
    CHECK_OK(eddy_http_date_parse(eddy_slice_of(text), NOW, &unix_s));
    CHECK_EQ(unix_s, wanted);
}

static void check_refused(const char *text, int error) {
    int64_t unix_s = -1;
    int r = eddy_http_date_parse(eddy_slice_of(text), NOW, &unix_s);
    if (r != error) {
        fprintf(stderr, "%s gave %d\n", text, r);
    }
    CHECK_ERR(r, error);
    CHECK_EQ(unix_s, -1);
}

TEST(dates_are_written) {
    check_format(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
    check_format(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    check_format(-1, "Wed, 31 Dec 1969 23:59:59 GMT");
    check_format(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    check_format(4107542399, "Sun, 28 Feb 2100 23:59:59 GMT");
    check_format(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
    check_format(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
    check_format(-62167219200, "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST(years_without_four_digits_are_refused) {
    char text[EDDY_HTTP_DATE_LEN + 1] = "untouched";
    CHECK_ERR(eddy_http_date_format(253402300800, text), -ERANGE);
    CHECK_ERR(eddy_http_date_format(-62167219201, text), -ERANGE);
    CHECK_ERR(eddy_http_date_format(INT64_MAX, text), -ERANGE);
    CHECK_ERR(eddy_http_date_format(INT64_MIN, text), -ERANGE);
    CHECK_STR(text, "untouched");
}

TEST(all_three_forms_are_read) {
    check_parse("Sun, 06 Nov 1994 08:49:37 GMT", 784111777);
    check_parse("Sunday, 06-Nov-94 08:49:37 GMT", 784111777);
    check_parse("Sun Nov  6 08:49:37 1994", 784111777);
    check_parse("Wed Nov 16 08:49:37 1994", 784111777 + 10 * DAY_S);
    check_parse("Tue, 29 Feb 2000 00:00:00 GMT", 951782400);
    /* A leap second, and a day of the week that it was not. */
    check_parse("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800);
    check_parse("Mon, 06 Nov 1994 08:49:37 GMT", 784111777);
}

TEST(two_digits_of_a_year_are_at_most_50_years_ahead) {
    int64_t unix_s;
    check_parse("Saturday, 01-Jan-00 00:00:00 GMT", 946684800);
    check_parse("Sunday, 01-Jan-73 00:00:00 GMT", 3250454400);
    check_parse("Tuesday, 01-Jan-74 00:00:00 GMT", 126230400);
    check_parse("Friday, 01-Jan-99 00:00:00 GMT", 915148800);
    /* It is the clock that counts, and no clock leads astray. */
    eddy_slice text = eddy_slice_of("Friday, 01-Jan-99 00:00:00 GMT");
    CHECK_OK(eddy_http_date_parse(text, 2524608000 /* 2050 */, &unix_s));
    CHECK_EQ(unix_s, 4070908800); /* 2099 */
    CHECK_OK(eddy_http_date_parse(text, INT64_MIN, &unix_s));
    CHECK_OK(eddy_http_date_parse(text, INT64_MAX, &unix_s));
}

TEST(what_has_no_form_is_refused) {
    static const char *const cases[] = {
        "",
        "Sun",
        "Sun,",
        "Sunday",
        "784111777",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 19940 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov 1994  08:49:37 GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov   6 08:49:37 1994",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_refused(cases[i], EDDY_ESYNTAX);
    }
}

TEST(days_and_times_that_are_none_are_refused) {
    static const char *const cases[] = {
        "Sun, 00 Nov 1994 08:49:37 GMT",  "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1999 08:49:37 GMT",  "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 32 Dec 1994 08:49:37 GMT",  "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",  "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sunday, 29-Feb-99 08:49:37 GMT", "Sun Feb 29 08:49:37 1999",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_refused(cases[i], -ERANGE);
    }
}

TEST(dates_agree_with_the_c_library_and_are_read_back) {
    for (int i = 0; i < 20000; i++) {
        /* All the years with four digits, seconds of the day included. */
        int64_t unix_s = -62167219200 + (int64_t)test_random_below(315569519999);
        time_t seconds = (time_t)unix_s;
        char text[EDDY_HTTP_DATE_LEN + 1];
        char wanted[64];
        char month[8];
        char old[160];
        struct tm tm;
        int64_t back;
        CHECK(gmtime_r(&seconds, &tm) != NULL);
        strftime(wanted, sizeof wanted, "%a, %d %b ", &tm);
        snprintf(wanted + 12, sizeof wanted - 12, "%04d %02d:%02d:%02d GMT", tm.tm_year + 1900,
                 tm.tm_hour, tm.tm_min, tm.tm_sec);
        CHECK_OK(eddy_http_date_format(unix_s, text));
        CHECK_STR(text, wanted);
        check_parse(text, unix_s);
        strftime(month, sizeof month, "%b", &tm);
        snprintf(old, sizeof old, "%.3s %s %2d %02d:%02d:%02d %04d", wanted, month, tm.tm_mday,
                 tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_year + 1900);
        check_parse(old, unix_s);
        strftime(wanted, sizeof wanted, "%A", &tm);
        snprintf(old, sizeof old, "%s, %02d-%s-%02d %02d:%02d:%02d GMT", wanted, tm.tm_mday, month,
                 (tm.tm_year + 1900) % 100, tm.tm_hour, tm.tm_min, tm.tm_sec);
        /* At the ends two digits may mean another century, in which there is no 29 February. */
        if (tm.tm_year + 1900 >= 1000 && tm.tm_year + 1900 < 9900) {
            CHECK_OK(eddy_http_date_parse(eddy_slice_of(old), unix_s, &back));
            CHECK_EQ(back, unix_s);
        }
    }
}
