/* SPDX-License-Identifier: Apache-2.0 */
/* Dates: what is read can be written, and then reads the same. */
#include <eddy/net/http/date.h>

#include "fuzz_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int64_t now_s = 1700000000;
    int64_t number = 0;
    int64_t unix_s;
    char text[EDDY_HTTP_DATE_LEN + 1];
    uint8_t choice = fuzz_byte(&data, &size);
    for (size_t i = 0; i < size && i < sizeof number; i++) {
        number = (int64_t)((uint64_t)number << 8 | data[i]);
    }
    if (choice % 4 == 1) {
        now_s = number;
    }
    char *copy = fuzz_copy(eddy_slice_from(data, size));
    int r = eddy_http_date_parse(eddy_slice_from(copy, size), now_s, &unix_s);
    REQUIRE(r == 0 || r == EDDY_ESYNTAX || r == -ERANGE);
    if (r == 0) {
        int64_t back;
        /* 9999-12-31 23:59:60 is the first second that cannot be written. */
        if (eddy_http_date_format(unix_s, text) == 0) {
            REQUIRE(strlen(text) == EDDY_HTTP_DATE_LEN);
            REQUIRE(eddy_http_date_parse(eddy_slice_of(text), now_s, &back) == 0);
            REQUIRE(back == unix_s);
            /* But for the day of the week and a leap second, it is the same text. */
            if (size == EDDY_HTTP_DATE_LEN && data[3] == ',' && data[23] != '6') {
                REQUIRE(memcmp(text + 3, copy + 3, EDDY_HTTP_DATE_LEN - 3) == 0);
            }
        } else {
            REQUIRE(unix_s == 253402300800);
        }
    }
    if (eddy_http_date_format(number, text) == 0) {
        int64_t back;
        REQUIRE(eddy_http_date_parse(eddy_slice_of(text), now_s, &back) == 0);
        REQUIRE(back == number);
    }
    free(copy);
    return 0;
}
