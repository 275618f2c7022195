/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address: where a socket is or goes. A value: copy it freely.
 *
 *     "127.0.0.1:80"   "[::1]:80"   "[fe80::1%eth0]:80"   "localhost:80"
 *     ":80" (any, as "[::]:80")
 *     "unix:/run/app.sock"   "unix:@abstract"
 *
 *     eddy_address address;
 *     int r = eddy_address_parse("[::1]:8080", &address);
 *     char text[EDDY_ADDRESS_TEXT_MAX];
 *     eddy_address_format(&address, text, sizeof text);            "[::1]:8080"
 *
 * Numbers only, "localhost" apart (RFC 6761: the loopback address, without asking anybody).
 */
#ifndef EDDY_NET_ADDRESS_H
#define EDDY_NET_ADDRESS_H

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

struct sockaddr;

/* may_alias: what is written as a struct sockaddr_in is copied as this. */
typedef struct __attribute__((may_alias)) eddy_address {
    uint32_t len;         /* bytes of storage used, as socket calls take it; 0: none */
    uint64_t storage[16]; /* a struct sockaddr_in, _in6 or _un */
} eddy_address;

/* Room for the text of every address, its NUL included. */
#define EDDY_ADDRESS_TEXT_MAX 128

/**
 * Read an address from its text.
 *
 * Shape:   the forms above, nothing around them; the port is 0 to 65535 in decimal digits; IPv4 is
 *          four decimal numbers without leading zeros; IPv6 stands in brackets, as RFC 4291 writes
 *          it, with a scope by name or number after a %.
 * Owns:    copies.
 * Errors:  EDDY_EADDRESS with a sentence in eddy_error_detail that says what is wrong, and where;
 *          -EINVAL text or ret_address is NULL.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_address_parse(const char *text, eddy_address *ret_address);

/**
 * Write an address as text that eddy_address_parse reads.
 *
 * Shape:   IPv6 as RFC 5952 writes it. Returns the length without the NUL; "-" for no address,
 *          "unix:" for a Unix socket without a name. An abstract name ends at its first NUL.
 * Owns:    writes at most cap bytes to dst, with a NUL.
 * Errors:  -ENOSPC it does not fit (EDDY_ADDRESS_TEXT_MAX always does); dst is then "" if cap > 0.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_address_format(const eddy_address *address, char *dst, size_t cap);

/**
 * The address's port.
 *
 * Shape:   0..65535; 0 for addresses that have none.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API unsigned eddy_address_port(const eddy_address *address);

/**
 * Give the address another port.
 *
 * Shape:   0..65535.
 * Owns:    nothing.
 * Errors:  -EINVAL too large, or the address has no port.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_address_port_set(eddy_address *address, unsigned port);

/**
 * The address's family: AF_INET, AF_INET6, AF_UNIX, or AF_UNSPEC for none.
 *
 * Shape:   as <sys/socket.h> numbers them.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_address_family(const eddy_address *address);

/**
 * Whether two addresses are the same: family, host, port, scope or path.
 *
 * Shape:   an IPv4 address and its IPv4-mapped form are different.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API bool eddy_address_equal(const eddy_address *a, const eddy_address *b);

/**
 * Take over an address from the C library's form.
 *
 * Shape:   len bytes at `from`, as accept and getsockname give them.
 * Owns:    copies.
 * Errors:  -EINVAL too long or too short for its family; -EAFNOSUPPORT another family.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_address_from(const struct sockaddr *from, size_t len, eddy_address *ret_address);

/**
 * The address in the C library's form, eddy_address.len bytes long.
 *
 * Shape:   aligned for any of them.
 * Owns:    borrowed from the address.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API const struct sockaddr *eddy_address_sockaddr(const eddy_address *address);

EDDY_END_DECLS

#endif
