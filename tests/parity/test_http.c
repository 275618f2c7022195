/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/http beside Python's http, email, urllib and mimetypes: http_cases.py writes cases with
 * Python's answers, and each is asked here again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <eddy/net/http/chunked.h>
#include <eddy/net/http/date.h>
#include <eddy/net/http/framing.h>
#include <eddy/net/http/mime.h>
#include <eddy/net/http/target.h>

#include "test.h"

#define FIELDS_MAX 64

/* A line of the script: bytes, each with a NUL behind them. */
struct fields {
    eddy_slice items[FIELDS_MAX];
    size_t count;
};

/* Decodes "x6162 x63" over itself; true when the line is such a one, and not "end". */
static bool read_fields(char *line, struct fields *fields) {
    char *rest = NULL;
    fields->count = 0;
    for (char *word = strtok_r(line, " \n", &rest); word != NULL;
         word = strtok_r(NULL, " \n", &rest)) {
        size_t len = strlen(word) / 2;
        if (word[0] != 'x') {
            return false;
        }
        for (size_t i = 0; i < len; i++) {
            const char digits[3] = {word[1 + 2 * i], word[2 + 2 * i], '\0'};
            word[i] = (char)strtoul(digits, NULL, 16);
        }
        word[len] = '\0';
        CHECK(fields->count < FIELDS_MAX);
        fields->items[fields->count++] = eddy_slice_from(word, len);
    }
    return fields->count > 0;
}

/* Runs `check` on each case of this kind. */
static void each_case(const char *kind, void (*check)(const struct fields *fields)) {
    const char *source = getenv("EDDY_SOURCE");
    char command[4096];
    char *line = NULL;
    size_t cap = 0;
    int count = 0;
    bool ended = false;
    snprintf(command, sizeof command,
             "PYTHONDONTWRITEBYTECODE=1 python3 '%s/tests/parity/http_cases.py' %s %llu",
             source == NULL ? "." : source, kind, (unsigned long long)test_seed());
    FILE *python = popen(command, "r");
    CHECK(python != NULL);
    while (getline(&line, &cap, python) >= 0) {
        struct fields fields;
        ended = strcmp(line, "end\n") == 0;
        if (!ended) {
            CHECK(read_fields(line, &fields));
            check(&fields);
            count++;
        }
    }
    free(line);
    int status = pclose(python);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        SKIP("needs python3");
    }
    CHECK_EQ(status, 0);
    CHECK(ended);
    CHECK(count > 0);
}

static int64_t number(eddy_slice text) {
    return strtoll(text.data, NULL, 10);
}

#define CHECK_SAME(got, wanted) check_same((got), (wanted), __LINE__)

static void check_same(eddy_slice got, eddy_slice wanted, int line) {
    test_check_bytes(got.data, got.len, wanted.data, wanted.len, "answer", __FILE__, line);
}

static void check_status(const struct fields *fields) {
    /* Python 3.13 has the phrases of RFC 9110, those before it the ones of RFC 7231. */
    static const char *const renamed[][2] = {
        {"Request Entity Too Large", "Content Too Large"},
        {"Request-URI Too Long", "URI Too Long"},
        {"Requested Range Not Satisfiable", "Range Not Satisfiable"},
        {"Unprocessable Entity", "Unprocessable Content"},
    };
    eddy_slice wanted = fields->items[1];
    for (size_t i = 0; i < sizeof renamed / sizeof renamed[0]; i++) {
        if (eddy_slice_equal(wanted, eddy_slice_of(renamed[i][0]))) {
            wanted = eddy_slice_of(renamed[i][1]);
        }
    }
    CHECK_SAME(eddy_slice_of(eddy_http_status_text((int)number(fields->items[0]))), wanted);
}

TEST(phrases_are_those_of_httpstatus) {
    each_case("status", check_status);
}

static void check_date(const struct fields *fields) {
    char text[EDDY_HTTP_DATE_LEN + 1];
    int64_t unix_s;
    CHECK_OK(eddy_http_date_format(number(fields->items[0]), text));
    CHECK_SAME(eddy_slice_of(text), fields->items[1]);
    CHECK_OK(eddy_http_date_parse(fields->items[1], 0, &unix_s));
    CHECK_EQ(unix_s, number(fields->items[0]));
}

TEST(dates_are_those_of_email_utils_formatdate) {
    each_case("date", check_date);
}

static void check_date_form(const struct fields *fields) {
    int64_t unix_s;
    CHECK_OK(eddy_http_date_parse(fields->items[0], number(fields->items[1]), &unix_s));
    CHECK_EQ(unix_s, number(fields->items[2]));
}

TEST(dates_are_read_as_email_utils_parsedate_tz_does) {
    each_case("date_forms", check_date_form);
}

static void check_mime(const struct fields *fields) {
    CHECK_SAME(eddy_slice_of(eddy_http_mime_of(fields->items[0])), fields->items[1]);
}

TEST(types_are_those_of_mimetypes) {
    each_case("mime", check_mime);
}

static void check_unquote(const struct fields *fields) {
    char bytes[128];
    for (int plus = 0; plus < 2; plus++) {
        int64_t n = eddy_http_percent_decode(fields->items[0], plus == 1, bytes, sizeof bytes);
        CHECK_SAME(eddy_slice_from(bytes, (size_t)CHECK_OK(n)), fields->items[1 + plus]);
    }
}

TEST(decoding_is_that_of_unquote) {
    each_case("unquote", check_unquote);
}

static void check_quote(const struct fields *fields) {
    for (int all = 0; all < 2; all++) {
        eddy_buffer out = {0};
        CHECK_OK(eddy_http_percent_encode(&out, fields->items[0], all == 1 ? "" : "/"));
        CHECK_SAME(eddy_buffer_slice(&out), fields->items[1 + all]);
        eddy_buffer_done(&out);
    }
}

TEST(encoding_is_that_of_quote) {
    each_case("quote", check_quote);
}

static void check_query(const struct fields *fields) {
    eddy_slice rest = fields->items[0];
    eddy_slice parts[2];
    size_t index = 1;
    while (eddy_http_query_next(&rest, &parts[0], &parts[1])) {
        for (int i = 0; i < 2; i++) {
            char bytes[128];
            int64_t n = eddy_http_percent_decode(parts[i], true, bytes, sizeof bytes);
            CHECK(index < fields->count);
            CHECK_SAME(eddy_slice_from(bytes, (size_t)CHECK_OK(n)), fields->items[index++]);
        }
    }
    CHECK_EQ(index, fields->count);
}

TEST(queries_are_those_of_parse_qsl) {
    each_case("query", check_query);
}

static void check_split(const struct fields *fields) {
    eddy_http_target target;
    CHECK_OK(eddy_http_target_split(fields->items[0], &target));
    CHECK(eddy_slice_equal_ignore_case(target.scheme, fields->items[1]));
    CHECK_SAME(target.authority, fields->items[2]);
    CHECK_SAME(target.path, fields->items[3]);
    CHECK_SAME(target.query, fields->items[4]);
}

TEST(targets_are_split_as_urlsplit_does) {
    each_case("split", check_split);
}

static void check_path(const struct fields *fields) {
    char text[256];
    int64_t n = eddy_http_path_resolve(fields->items[0], 0, text, sizeof text);
    if (eddy_slice_equal(fields->items[1], eddy_slice_of("refused"))) {
        CHECK_ERR(n, EDDY_EHTTP_REQUEST);
    } else {
        CHECK_SAME(eddy_slice_from(text, (size_t)CHECK_OK(n)), fields->items[1]);
    }
}

TEST(paths_are_those_of_a_plain_model) {
    each_case("path", check_path);
}

static void check_head(const struct fields *fields) {
    eddy_http_head head;
    eddy_http_head_init(&head, EDDY_HTTP_TRAILERS, NULL);
    CHECK_EQ(eddy_http_head_parse(&head, fields->items[0], NULL), fields->items[0].len);
    CHECK_EQ(head.field_count * 2 + 1, fields->count);
    for (uint32_t i = 0; i < head.field_count; i++) {
        CHECK_SAME(eddy_http_head_field(&head, i).name, fields->items[1 + 2 * i]);
        CHECK_SAME(eddy_http_head_field(&head, i).value, fields->items[2 + 2 * i]);
    }
}

TEST(fields_are_those_of_http_client) {
    each_case("head", check_head);
}

static void check_response(const struct fields *fields) {
    eddy_http_head head;
    eddy_http_framing framing;
    char body[32];
    eddy_http_head_init(&head, EDDY_HTTP_RESPONSE, NULL);
    CHECK_OK(eddy_http_head_parse(&head, fields->items[0], NULL));
    CHECK_OK(eddy_http_framing_of_response(&head, eddy_http_method_of(fields->items[1]), &framing,
                                           NULL));
    CHECK_EQ(head.version, number(fields->items[2]));
    CHECK_EQ(head.status, number(fields->items[3]));
    CHECK_SAME(head.reason, fields->items[4]);
    switch (framing.body) {
    case EDDY_HTTP_BODY_SIZED:
        snprintf(body, sizeof body, "%lld", (long long)framing.length);
        break;
    case EDDY_HTTP_BODY_CHUNKED:
        snprintf(body, sizeof body, "chunked");
        break;
    case EDDY_HTTP_BODY_UNTIL_CLOSE:
        snprintf(body, sizeof body, "close");
        break;
    default:
        snprintf(body, sizeof body, "none");
    }
    CHECK_SAME(eddy_slice_of(body), fields->items[5]);
    CHECK_EQ(framing.keep_alive, number(fields->items[6]));
}

TEST(responses_are_framed_as_http_client_does) {
    each_case("response", check_response);
}

static void check_chunked(const struct fields *fields) {
    eddy_http_chunked chunked;
    eddy_buffer out = {0};
    eddy_slice in = fields->items[0];
    eddy_http_chunked_init(&chunked, NULL);
    while (in.len > 0) {
        eddy_slice data;
        int64_t n = CHECK_OK(eddy_http_chunked_next(&chunked, in, &data, NULL));
        CHECK_OK(eddy_buffer_append_slice(&out, data));
        in = eddy_slice_sub(in, (size_t)n, in.len);
    }
    CHECK(chunked.done);
    CHECK_SAME(eddy_buffer_slice(&out), fields->items[1]);
    eddy_buffer_done(&out);
}

TEST(chunks_are_those_of_http_client) {
    each_case("chunked", check_chunked);
}
