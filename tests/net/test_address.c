/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/address.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "test.h"

static eddy_address parsed(const char *text) {
    eddy_address address;
    if (eddy_address_parse(text, &address) < 0) {
        test_fail(__FILE__, __LINE__, "%s: %s", text, eddy_error_detail());
    }
    return address;
}

static void check_text(const char *text, const char *wanted) {
    eddy_address address = parsed(text);
    char got[EDDY_ADDRESS_TEXT_MAX];
    CHECK_EQ(eddy_address_format(&address, got, sizeof got), strlen(wanted));
    CHECK_STR(got, wanted);
    eddy_address again = parsed(got);
    CHECK(eddy_address_equal(&address, &again));
}

/* ---- text to address ------------------------------------------------------------------------- */

TEST(ipv4_is_read) {
    eddy_address address = parsed("127.0.0.1:80");
    const struct sockaddr_in *in = (const void *)eddy_address_sockaddr(&address);
    CHECK_EQ(eddy_address_family(&address), AF_INET);
    CHECK_EQ(address.len, sizeof *in);
    CHECK_EQ(in->sin_family, AF_INET);
    CHECK_EQ(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
    CHECK_EQ(ntohs(in->sin_port), 80);
    CHECK_EQ(eddy_address_port(&address), 80);
}

TEST(ipv6_is_read) {
    eddy_address address = parsed("[2001:db8::1]:65535");
    const struct sockaddr_in6 *in6 = (const void *)eddy_address_sockaddr(&address);
    struct in6_addr wanted;
    CHECK_EQ(inet_pton(AF_INET6, "2001:db8::1", &wanted), 1);
    CHECK_EQ(eddy_address_family(&address), AF_INET6);
    CHECK_EQ(address.len, sizeof *in6);
    CHECK_BYTES(&in6->sin6_addr, 16, &wanted, 16);
    CHECK_EQ(in6->sin6_scope_id, 0);
    CHECK_EQ(eddy_address_port(&address), 65535);
}

TEST(texts_come_back_in_their_canonical_form) {
    check_text("0.0.0.0:0", "0.0.0.0:0");
    check_text("255.255.255.255:65535", "255.255.255.255:65535");
    check_text("1.2.3.4:00080", "1.2.3.4:80");
    check_text("localhost:80", "127.0.0.1:80");
    check_text(":80", "[::]:80");
    check_text("[::]:0", "[::]:0");
    /* RFC 5952, section 4: no leading zeros, the longest run of zeros, the first of two, never
     * a single one, small letters. */
    check_text("[2001:0db8:0:0:0:0:0:0001]:1", "[2001:db8::1]:1");
    check_text("[2001:0:0:1:0:0:0:1]:1", "[2001:0:0:1::1]:1");
    check_text("[2001:db8:0:0:1:0:0:1]:1", "[2001:db8::1:0:0:1]:1");
    check_text("[2001:db8:0:1:1:1:1:1]:1", "[2001:db8:0:1:1:1:1:1]:1");
    check_text("[2001:DB8::ABCD]:1", "[2001:db8::abcd]:1");
    check_text("[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]:1");
    check_text("[::ffff:0102:0304]:1", "[::ffff:1.2.3.4]:1");
    check_text("unix:/run/app.sock", "unix:/run/app.sock");
    check_text("unix:relative", "unix:relative");
    check_text("unix:@name", "unix:@name");
    check_text("unix:@a:80", "unix:@a:80");
}

TEST(scope_is_a_name_or_a_number) {
    unsigned lo = if_nametoindex("lo");
    eddy_address address = parsed("[fe80::1%lo]:80");
    const struct sockaddr_in6 *in6 = (const void *)eddy_address_sockaddr(&address);
    CHECK_EQ(in6->sin6_scope_id, lo);
    check_text("[fe80::1%lo]:80", "[fe80::1%lo]:80");
    eddy_address other = parsed("[fe80::1%4000000000]:80"); /* no interface has it */
    in6 = (const void *)eddy_address_sockaddr(&other);
    CHECK_EQ(in6->sin6_scope_id, 4000000000U);
    check_text("[fe80::1%4000000000]:80", "[fe80::1%4000000000]:80");
    CHECK(!eddy_address_equal(&address, &other));
}

static void check_refused(const char *text, const char *why) {
    eddy_address address;
    memset(&address, 0x5a, sizeof address);
    eddy_address before = address;
    CHECK_ERR(eddy_address_parse(text, &address), EDDY_EADDRESS);
    CHECK_BYTES(&address, sizeof address, &before, sizeof before); /* outputs on success only */
    char wanted[300];
    snprintf(wanted, sizeof wanted, "address \"%s\": %s", text, why);
    CHECK_STR(eddy_error_detail(), wanted);
}

TEST(refusals_say_what_and_where) {
    check_refused("", "the port is missing at character 1");
    check_refused("127.0.0.1", "the port is missing at character 10");
    check_refused("127.0.0.1:", "the port is missing at character 11");
    check_refused("127.0.0.1:65536", "the port is over 65535 at character 15");
    check_refused("127.0.0.1:99999999999999999999", "the port is over 65535 at character 15");
    check_refused("127.0.0.1:-1", "the port is not a number at character 11");
    check_refused("127.0.0.1:+1", "the port is not a number at character 11");
    check_refused("127.0.0.1:80 ", "the port is not a number at character 13");
    check_refused("127.0.0.1:http", "the port is not a number at character 11");
    check_refused(" 127.0.0.1:80", "not an IPv4 address at character 1");
    check_refused("127.1:80", "not an IPv4 address at character 1");
    check_refused("0177.0.0.1:80", "not an IPv4 address at character 1");
    check_refused("127.0.0.01:80", "not an IPv4 address at character 1");
    check_refused("0x7f.0.0.1:80", "not an IPv4 address at character 1");
    check_refused("256.0.0.1:80", "not an IPv4 address at character 1");
    check_refused("1.2.3.4.5:80", "not an IPv4 address at character 1");
    check_refused("2130706433:80", "not an IPv4 address at character 1");
    check_refused("*:80", "not an IPv4 address at character 1");
    check_refused("example.org:80", "not an IPv4 address at character 1");
    check_refused("a.name.that.is.longer.than.any.address:80",
                  "not an IPv4 address at character 1");
    check_refused("::1:80", "an IPv6 address stands in brackets at character 1");
    check_refused("[::1", "the bracket is not closed at character 1");
    check_refused("[::1]", "the port is missing at character 6");
    check_refused("[::1]80", "the port is missing at character 6");
    check_refused("[::1]:", "the port is missing at character 7");
    check_refused("[]:80", "not an IPv6 address at character 2");
    check_refused("[1.2.3.4]:80", "not an IPv6 address at character 2");
    check_refused("[::1::]:80", "not an IPv6 address at character 2");
    check_refused("[1:2:3:4:5:6:7:8:9]:80", "not an IPv6 address at character 2");
    check_refused("[12345::]:80", "not an IPv6 address at character 2");
    check_refused("[::1 ]:80", "not an IPv6 address at character 2");
    check_refused("[fe80::1%]:80", "no such interface at character 10");
    check_refused("[fe80::1%nosuchlink]:80", "no such interface at character 10");
    check_refused("[fe80::1%0]:80", "no such interface at character 10");
    check_refused("[fe80::1%1x]:80", "no such interface at character 10");
    check_refused("[fe80::1%4294967296]:80", "no such interface at character 10");
    check_refused("unix:", "the path is missing at character 6");
    check_refused("unix:@", "the path is missing at character 6");
}

TEST(null_is_refused) {
    eddy_address address;
    CHECK_ERR(eddy_address_parse(NULL, &address), -EINVAL);
    CHECK_ERR(eddy_address_parse("1.2.3.4:5", NULL), -EINVAL);
}

/* A text of every length around the longest path. */
TEST(unix_path_may_fill_the_room_that_the_kernel_has) {
    const struct sockaddr_un *un;
    for (size_t len = 100; len < 120; len++) {
        char text[200] = "unix:";
        memset(text + 5, 'x', len);
        text[5 + len] = '\0';
        eddy_address address;
        int r = eddy_address_parse(text, &address);
        CHECK_EQ(r, len < sizeof un->sun_path ? 0 : EDDY_EADDRESS);
        text[5] = '@'; /* needs no NUL at its end */
        r = eddy_address_parse(text, &address);
        CHECK_EQ(r, len <= sizeof un->sun_path ? 0 : EDDY_EADDRESS);
        if (r == 0) {
            CHECK_EQ(address.len, offsetof(struct sockaddr_un, sun_path) + len);
            check_text(text, text);
        }
    }
}

/* ---- address to text ------------------------------------------------------------------------- */

TEST(text_that_does_not_fit_is_refused_and_empty) {
    eddy_address address = parsed("127.0.0.1:80");
    char text[32];
    for (size_t cap = 0; cap < sizeof text; cap++) {
        memset(text, '#', sizeof text);
        int n = eddy_address_format(&address, text, cap);
        if (cap < sizeof "127.0.0.1:80") {
            CHECK_ERR(n, -ENOSPC);
            CHECK(cap == 0 || text[0] == '\0');
        } else {
            CHECK_EQ(n, 12);
            CHECK_STR(text, "127.0.0.1:80");
        }
        CHECK_EQ(text[cap], '#');
    }
}

TEST(no_address_is_a_dash) {
    eddy_address none = {0};
    char text[EDDY_ADDRESS_TEXT_MAX];
    CHECK_EQ(eddy_address_format(&none, text, sizeof text), 1);
    CHECK_STR(text, "-");
    CHECK_EQ(eddy_address_family(&none), AF_UNSPEC);
    CHECK_EQ(eddy_address_port(&none), 0);
    CHECK_ERR(eddy_address_port_set(&none, 1), -EINVAL);
    CHECK(eddy_address_equal(&none, &(eddy_address){0}));
}

/* ---- parts ----------------------------------------------------------------------------------- */

TEST(port_can_be_replaced) {
    const char *texts[] = {"1.2.3.4:5", "[::1]:5"};
    for (int i = 0; i < 2; i++) {
        eddy_address address = parsed(texts[i]);
        CHECK_OK(eddy_address_port_set(&address, 65535));
        CHECK_EQ(eddy_address_port(&address), 65535);
        CHECK_ERR(eddy_address_port_set(&address, 65536), -EINVAL);
        CHECK_EQ(eddy_address_port(&address), 65535);
        CHECK_OK(eddy_address_port_set(&address, 5));
        eddy_address again = parsed(texts[i]);
        CHECK(eddy_address_equal(&address, &again));
    }
    eddy_address path = parsed("unix:/a");
    CHECK_ERR(eddy_address_port_set(&path, 1), -EINVAL);
    CHECK_EQ(eddy_address_port(&path), 0);
}

TEST(equal_looks_at_family_host_port_and_scope) {
    static const char *const texts[] = {
        "1.2.3.4:5",     "1.2.3.4:6",     "1.2.3.5:5", "[::ffff:1.2.3.4]:5", "[::1]:5", "[::2]:5",
        "[fe80::1%1]:5", "[fe80::1%2]:5", "unix:/a",   "unix:/ab",           "unix:@a", "unix:@ab",
        "[::1]:6",
    };
    size_t count = sizeof texts / sizeof texts[0];
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            eddy_address a = parsed(texts[i]);
            eddy_address b = parsed(texts[k]);
            CHECK_EQ(eddy_address_equal(&a, &b), i == k);
        }
    }
}

TEST(addresses_of_the_kernel_are_taken_over) {
    struct sockaddr_storage room = {0};
    struct sockaddr *any = (struct sockaddr *)&room;
    eddy_address wanted = parsed("1.2.3.4:5");
    eddy_address address;
    memcpy(&room, eddy_address_sockaddr(&wanted), wanted.len);
    CHECK_OK(eddy_address_from(any, wanted.len, &address));
    CHECK(eddy_address_equal(&address, &wanted));
    /* More room than the address needs is common: sizeof(struct sockaddr_storage). */
    CHECK_OK(eddy_address_from(any, 100, &address));
    CHECK_EQ(address.len, sizeof(struct sockaddr_in));
    CHECK(eddy_address_equal(&address, &wanted));
    CHECK_ERR(eddy_address_from(any, sizeof(struct sockaddr_in) - 1, &address), -EINVAL);
    CHECK_ERR(eddy_address_from(any, 1, &address), -EINVAL);
    CHECK_ERR(eddy_address_from(any, sizeof room, &address), -EINVAL);
    any->sa_family = AF_INET6;
    CHECK_ERR(eddy_address_from(any, sizeof(struct sockaddr_in6) - 1, &address), -EINVAL);
    CHECK_OK(eddy_address_from(any, sizeof(struct sockaddr_in6), &address));
    any->sa_family = AF_NETLINK;
    CHECK_ERR(eddy_address_from(any, 12, &address), -EAFNOSUPPORT);
}

TEST(unix_addresses_of_the_kernel_are_taken_over) {
    struct {
        struct sockaddr_un un;
        char behind;
    } room = {.un.sun_family = AF_UNIX};
    struct sockaddr *any = (struct sockaddr *)&room.un;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    eddy_address address;
    char text[EDDY_ADDRESS_TEXT_MAX];
    CHECK_OK(eddy_address_from(any, head, &address)); /* one end of a pair */
    CHECK_EQ(eddy_address_format(&address, text, sizeof text), 5);
    CHECK_STR(text, "unix:");
    memset(room.un.sun_path, 'y', sizeof room.un.sun_path);
    /* The kernel counts a NUL behind a path that fills its room. */
    CHECK_OK(eddy_address_from(any, sizeof room.un + 1, &address));
    CHECK_EQ(eddy_address_format(&address, text, sizeof text), 5 + 108);
    eddy_address without;
    CHECK_OK(eddy_address_from(any, sizeof room.un, &without));
    CHECK(eddy_address_equal(&address, &without));
    memcpy(room.un.sun_path, "/a\0rubbish", 10);
    CHECK_OK(eddy_address_from(any, sizeof room.un, &address));
    eddy_address wanted = parsed("unix:/a");
    CHECK(eddy_address_equal(&address, &wanted));
}

/* What was written as one kind of sockaddr must be there after a copy of the struct. */
TEST(address_is_a_value) {
    eddy_address a = parsed("1.2.3.4:5");
    eddy_address b = a;
    CHECK_OK(eddy_address_port_set(&a, 6));
    CHECK_EQ(eddy_address_port(&b), 5);
    b = a;
    CHECK_EQ(eddy_address_port(&b), 6);
    CHECK(eddy_address_equal(&a, &b));
}

/* Random bytes: refused or read, and what was read comes back. */
TEST(random_texts_do_no_harm) {
    static const char letters[] = "0123456789abcf:.[]%@/unix-*lo \x80";
    char text[64];
    for (int i = 0; i < 100000; i++) {
        size_t len = test_random_below(24);
        for (size_t k = 0; k < len; k++) {
            text[k] = letters[test_random_below(sizeof letters - 1)];
        }
        text[len] = '\0';
        eddy_address address;
        int r = eddy_address_parse(text, &address);
        CHECK(r == 0 || r == EDDY_EADDRESS);
        if (r == 0) {
            char again[EDDY_ADDRESS_TEXT_MAX];
            CHECK_OK(eddy_address_format(&address, again, sizeof again));
            eddy_address back = parsed(again);
            CHECK(eddy_address_equal(&address, &back));
        }
    }
}
