/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/http/date.h>
#include <eddy/runtime/base/error.h>

#define DAY_S 86400
#define YEAR_MAX 9999

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char long_weekdays[7][10] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                          "Thursday", "Friday", "Saturday"};

struct civil {
    int64_t year;
    int month; /* 1..12 */
    int day;   /* 1..31 */
};

static bool is_leap(int64_t year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in_month(int64_t year, int month) {
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Rounds towards the past, where C's division rounds towards 0. */
static int64_t divide_down(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

/*
 * Days since 1970-01-01. Years are counted from March, so that the day that comes and goes is a
 * year's last, and in blocks of 400, after which the calendar repeats.
 */
static int64_t days_of(struct civil date) {
    int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    int64_t era = divide_down(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t month = (date.month + 9) % 12; /* March is 0 */
    int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468; /* 1970-01-01 counted from 0000-03-01 */
}

static struct civil civil_of(int64_t days) {
    struct civil date;
    days += 719468;
    int64_t era = divide_down(days, 146097);
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (year_of_era * 365 + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* March is 0 */
    date.day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    date.month = (int)(month < 10 ? month + 3 : month - 9);
    date.year = year_of_era + era * 400 + (date.month <= 2);
    return date;
}

static void put_digits(char *text, int count, int64_t number) {
    while (count > 0) {
        text[--count] = (char)('0' + number % 10);
        number /= 10;
    }
}

int eddy_http_date_format(int64_t unix_s, char ret_text[EDDY_HTTP_DATE_LEN + 1]) {
    int64_t days = divide_down(unix_s, DAY_S);
    /* Compared as days: far away the year would not fit into the arithmetic. */
    if (days < days_of((struct civil){0, 1, 1}) ||
        days > days_of((struct civil){YEAR_MAX, 12, 31})) {
        return -ERANGE;
    }
    struct civil date = civil_of(days);
    int64_t second = unix_s - days * DAY_S;
    int64_t weekday = days + 4 - divide_down(days + 4, 7) * 7; /* 1970-01-01 was a Thursday */
    memcpy(ret_text, "Sun, 01 Jan 1970 00:00:00 GMT", EDDY_HTTP_DATE_LEN + 1);
    memcpy(ret_text, weekdays[weekday], 3);
    put_digits(ret_text + 5, 2, date.day);
    memcpy(ret_text + 8, months[date.month - 1], 3);
    put_digits(ret_text + 12, 4, date.year);
    put_digits(ret_text + 17, 2, second / 3600);
    put_digits(ret_text + 20, 2, second / 60 % 60);
    put_digits(ret_text + 23, 2, second % 60);
    return 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* What is still to be read. Each step that fails makes all later ones fail. */
struct reader {
    eddy_slice rest;
    bool failed;
};

static void expect(struct reader *reader, const char *text) {
    size_t len = strlen(text);
    if (reader->rest.len < len || memcmp(reader->rest.data, text, len) != 0) {
        reader->failed = true;
        reader->rest.len = 0;
        return;
    }
    reader->rest = eddy_slice_sub(reader->rest, len, reader->rest.len);
}

static int64_t digits(struct reader *reader, size_t count) {
    int64_t number = 0;
    if (reader->rest.len < count) {
        reader->failed = true;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        char byte = reader->rest.data[i];
        if (byte < '0' || byte > '9') {
            reader->failed = true;
            return 0;
        }
        number = number * 10 + (byte - '0');
    }
    reader->rest = eddy_slice_sub(reader->rest, count, reader->rest.len);
    return number;
}

/* 1..12 */
static int month(struct reader *reader) {
    for (int i = 0; i < 12; i++) {
        if (reader->rest.len >= 3 && memcmp(reader->rest.data, months[i], 3) == 0) {
            reader->rest = eddy_slice_sub(reader->rest, 3, reader->rest.len);
            return i + 1;
        }
    }
    reader->failed = true;
    return 1;
}

/* "08:49:37" as seconds of the day, or -1 when it is no time of day. */
static int64_t time_of_day(struct reader *reader) {
    int64_t hour = digits(reader, 2);
    expect(reader, ":");
    int64_t minute = digits(reader, 2);
    expect(reader, ":");
    int64_t second = digits(reader, 2);
    if (hour > 23 || minute > 59 || second > 60) { /* 60: a leap second */
        return -1;
    }
    return hour * 3600 + minute * 60 + second;
}

static bool skip_weekday(struct reader *reader, bool is_long) {
    for (int i = 0; i < 7; i++) {
        eddy_slice name = eddy_slice_of(is_long ? long_weekdays[i] : weekdays[i]);
        if (eddy_slice_equal(eddy_slice_sub(reader->rest, 0, name.len), name)) {
            reader->rest = eddy_slice_sub(reader->rest, name.len, reader->rest.len);
            return true;
        }
    }
    return false;
}

static void read_imf(struct reader *reader, struct civil *date, int64_t *second) {
    expect(reader, ", ");
    date->day = (int)digits(reader, 2);
    expect(reader, " ");
    date->month = month(reader);
    expect(reader, " ");
    date->year = digits(reader, 4);
    expect(reader, " ");
    *second = time_of_day(reader);
    expect(reader, " GMT");
}

static void read_rfc850(struct reader *reader, struct civil *date, int64_t *second) {
    expect(reader, ", ");
    date->day = (int)digits(reader, 2);
    expect(reader, "-");
    date->month = month(reader);
    expect(reader, "-");
    date->year = digits(reader, 2);
    expect(reader, " ");
    *second = time_of_day(reader);
    expect(reader, " GMT");
}

static void read_asctime(struct reader *reader, struct civil *date, int64_t *second) {
    expect(reader, " ");
    date->month = month(reader);
    expect(reader, " ");
    bool one_digit = reader->rest.len > 0 && reader->rest.data[0] == ' ';
    if (one_digit) {
        expect(reader, " ");
    }
    date->day = (int)digits(reader, one_digit ? 1 : 2);
    expect(reader, " ");
    *second = time_of_day(reader);
    expect(reader, " ");
    date->year = digits(reader, 4);
}

/* Kept to years that have four digits, with a century on either side, however far off the caller's
 * clock is. */
static int64_t this_year(int64_t now_s) {
    int64_t days = divide_down(now_s, DAY_S);
    int64_t first = days_of((struct civil){1000, 1, 1});
    int64_t last = days_of((struct civil){9900, 1, 1});
    return civil_of(days < first ? first : days > last ? last : days).year;
}

int eddy_http_date_parse(eddy_slice text, int64_t now_s, int64_t *ret_unix_s) {
    struct reader reader = {text, false};
    struct civil date = {0, 1, 1};
    int64_t second = 0;
    bool two_digits = skip_weekday(&reader, true);
    if (two_digits) {
        read_rfc850(&reader, &date, &second);
    } else if (!skip_weekday(&reader, false)) {
        return EDDY_ESYNTAX;
    } else if (reader.rest.len > 0 && reader.rest.data[0] == ',') {
        read_imf(&reader, &date, &second);
    } else {
        read_asctime(&reader, &date, &second);
    }
    if (reader.failed || reader.rest.len > 0) {
        return EDDY_ESYNTAX;
    }
    if (two_digits) {
        int64_t latest = this_year(now_s) + 50;
        date.year += (latest - date.year) / 100 * 100;
    }
    if (date.day < 1 || second < 0 || date.day > days_in_month(date.year, date.month)) {
        return -ERANGE;
    }
    *ret_unix_s = days_of(date) * DAY_S + second;
    return 0;
}
