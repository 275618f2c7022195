/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/address.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <eddy/runtime/base/detail_impl.h>

_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
               "both keep the port at the same place");
_Static_assert(sizeof(struct sockaddr_un) <= sizeof(((eddy_address *)0)->storage),
               "the largest address fits");

static struct sockaddr *any_of(eddy_address *address) {
    return (struct sockaddr *)(void *)address->storage;
}

static const struct sockaddr_in *in_of(const eddy_address *address) {
    return (const struct sockaddr_in *)(const void *)address->storage;
}

static const struct sockaddr_in6 *in6_of(const eddy_address *address) {
    return (const struct sockaddr_in6 *)(const void *)address->storage;
}

static const struct sockaddr_un *un_of(const eddy_address *address) {
    return (const struct sockaddr_un *)(const void *)address->storage;
}

/* ---- text to address ------------------------------------------------------------------------- */

static int refuse(const char *text, const char *at, const char *what) {
    return (int)eddyi_detail_set(EDDY_EADDRESS, "address \"%s\": %s at character %td", text, what,
                                 at - text + 1);
}

static int parse_port(const char *text, const char *at, unsigned *ret_port) {
    unsigned port = 0;
    if (*at == '\0') {
        return refuse(text, at, "the port is missing");
    }
    for (; *at != '\0'; at++) {
        if (*at < '0' || *at > '9') {
            return refuse(text, at, "the port is not a number");
        }
        port = port * 10 + (unsigned)(*at - '0');
        if (port > 65535) {
            return refuse(text, at, "the port is over 65535");
        }
    }
    *ret_port = port;
    return 0;
}

static int parse_unix(const char *text, eddy_address *address) {
    const char *path = text + strlen("unix:");
    size_t len = strlen(path);
    struct sockaddr_un *un = (void *)address->storage;
    bool abstract = path[0] == '@';
    if (len == 0 || (abstract && len == 1)) {
        return refuse(text, path, "the path is missing");
    }
    if (len + (abstract ? 0 : 1) > sizeof un->sun_path) {
        return refuse(text, path + sizeof un->sun_path - 1, "the path is too long");
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len);
    if (abstract) {
        un->sun_path[0] = '\0';
    }
    address->len = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + len + (abstract ? 0 : 1));
    return 0;
}

/* "%eth0" or "%3": which link a link-local address is on. */
static int parse_scope(const char *text, const char *at, const char *scope, uint32_t *ret_scope) {
    unsigned index = if_nametoindex(scope);
    char *end;
    if (index == 0) {
        unsigned long number = strtoul(scope, &end, 10);
        if (scope[0] < '0' || scope[0] > '9' || *end != '\0' || number == 0 ||
            number > UINT32_MAX) {
            return refuse(text, at, "no such interface");
        }
        index = (unsigned)number;
    }
    *ret_scope = index;
    return 0;
}

static int parse_in6(const char *text, eddy_address *address) {
    const char *close = strchr(text, ']');
    char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    if (close == NULL) {
        return refuse(text, text, "the bracket is not closed");
    }
    size_t len = (size_t)(close - text - 1);
    if (len >= sizeof host) {
        return refuse(text, text + 1, "not an IPv6 address");
    }
    memcpy(host, text + 1, len);
    host[len] = '\0';
    struct sockaddr_in6 *in6 = (void *)address->storage;
    char *scope = strchr(host, '%');
    if (scope != NULL) {
        *scope++ = '\0';
        uint32_t scope_id = 0;
        int r = parse_scope(text, text + 1 + (scope - host), scope, &scope_id);
        if (r < 0) {
            return r;
        }
        in6->sin6_scope_id = scope_id;
    }
    if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1) {
        return refuse(text, text + 1, "not an IPv6 address");
    }
    if (close[1] != ':') {
        return refuse(text, close + 1, "the port is missing");
    }
    unsigned port;
    int r = parse_port(text, close + 2, &port);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    address->len = sizeof *in6;
    return r;
}

static void fill_in6(eddy_address *address, const struct in6_addr *host, unsigned port) {
    struct sockaddr_in6 *in6 = (void *)address->storage;
    in6->sin6_family = AF_INET6;
    in6->sin6_addr = *host;
    in6->sin6_port = htons((uint16_t)port);
    address->len = sizeof *in6;
}

static int parse_in(const char *text, eddy_address *address) {
    const char *colon = strrchr(text, ':');
    if (colon == NULL) {
        return refuse(text, text + strlen(text), "the port is missing");
    }
    unsigned port;
    int r = parse_port(text, colon + 1, &port);
    if (r < 0) {
        return r;
    }
    size_t len = (size_t)(colon - text);
    char host[INET_ADDRSTRLEN];
    if (len == 0) {
        fill_in6(address, &in6addr_any, port);
        return 0;
    }
    if (memchr(text, ':', len) != NULL) {
        return refuse(text, text, "an IPv6 address stands in brackets");
    }
    struct sockaddr_in *in = (void *)address->storage;
    if (len == strlen("localhost") && memcmp(text, "localhost", len) == 0) {
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
        if (len >= sizeof host) {
            return refuse(text, text, "not an IPv4 address");
        }
        memcpy(host, text, len);
        host[len] = '\0';
        if (inet_pton(AF_INET, host, &in->sin_addr) != 1) {
            return refuse(text, text, "not an IPv4 address");
        }
    }
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    address->len = sizeof *in;
    return 0;
}

int eddy_address_parse(const char *text, eddy_address *ret_address) {
    eddy_address address = {0};
    if (text == NULL || ret_address == NULL) {
        return -EINVAL;
    }
    int r = strncmp(text, "unix:", 5) == 0 ? parse_unix(text, &address)
            : text[0] == '['               ? parse_in6(text, &address)
                                           : parse_in(text, &address);
    if (r == 0) {
        *ret_address = address;
    }
    return r;
}

/* ---- address to text ------------------------------------------------------------------------- */

static int format_in6(const struct sockaddr_in6 *in6, char *dst, size_t cap) {
    char host[INET6_ADDRSTRLEN];
    char scope[IF_NAMESIZE + 1] = "";
    inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
    if (in6->sin6_scope_id != 0) {
        scope[0] = '%';
        if (if_indextoname(in6->sin6_scope_id, scope + 1) == NULL) {
            snprintf(scope + 1, sizeof scope - 1, "%u", in6->sin6_scope_id);
        }
    }
    return snprintf(dst, cap, "[%s%s]:%u", host, scope, (unsigned)ntohs(in6->sin6_port));
}

static int format_unix(const eddy_address *address, char *dst, size_t cap) {
    const struct sockaddr_un *un = un_of(address);
    size_t len = address->len - offsetof(struct sockaddr_un, sun_path);
    if (address->len <= offsetof(struct sockaddr_un, sun_path)) {
        return snprintf(dst, cap, "unix:"); /* the unnamed end of a pair */
    }
    if (un->sun_path[0] == '\0') {
        return snprintf(dst, cap, "unix:@%.*s", (int)len - 1, un->sun_path + 1);
    }
    return snprintf(dst, cap, "unix:%.*s", (int)len, un->sun_path);
}

int eddy_address_format(const eddy_address *address, char *dst, size_t cap) {
    int n;
    switch (eddy_address_family(address)) {
    case AF_INET: {
        char host[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &in_of(address)->sin_addr, host, sizeof host);
        n = snprintf(dst, cap, "%s:%u", host, eddy_address_port(address));
        break;
    }
    case AF_INET6:
        n = format_in6(in6_of(address), dst, cap);
        break;
    case AF_UNIX:
        n = format_unix(address, dst, cap);
        break;
    default:
        n = snprintf(dst, cap, "-");
    }
    if ((size_t)n >= cap) {
        if (cap > 0) {
            dst[0] = '\0';
        }
        return -ENOSPC;
    }
    return n;
}

/* ---- parts ----------------------------------------------------------------------------------- */

int eddy_address_family(const eddy_address *address) {
    return address->len == 0 ? AF_UNSPEC : eddy_address_sockaddr(address)->sa_family;
}

unsigned eddy_address_port(const eddy_address *address) {
    switch (eddy_address_family(address)) {
    case AF_INET:
        return ntohs(in_of(address)->sin_port);
    case AF_INET6:
        return ntohs(in6_of(address)->sin6_port);
    default:
        return 0;
    }
}

int eddy_address_port_set(eddy_address *address, unsigned port) {
    if (port > 65535) {
        return -EINVAL;
    }
    switch (eddy_address_family(address)) {
    case AF_INET:
    case AF_INET6: {
        /* sin_port and sin6_port lie at the same place, of the same size. */
        uint16_t network_port = htons((uint16_t)port);
        memcpy((char *)address->storage + offsetof(struct sockaddr_in, sin_port), &network_port,
               sizeof network_port);
        return 0;
    }
    default:
        return -EINVAL;
    }
}

bool eddy_address_equal(const eddy_address *a, const eddy_address *b) {
    int family = eddy_address_family(a);
    if (family != eddy_address_family(b)) {
        return false;
    }
    switch (family) {
    case AF_INET:
        return in_of(a)->sin_port == in_of(b)->sin_port &&
               in_of(a)->sin_addr.s_addr == in_of(b)->sin_addr.s_addr;
    case AF_INET6:
        return in6_of(a)->sin6_port == in6_of(b)->sin6_port &&
               in6_of(a)->sin6_scope_id == in6_of(b)->sin6_scope_id &&
               memcmp(&in6_of(a)->sin6_addr, &in6_of(b)->sin6_addr, sizeof(struct in6_addr)) == 0;
    default:
        return a->len == b->len && memcmp(a->storage, b->storage, a->len) == 0;
    }
}

/* How many of `len` bytes belong to the address, or -EINVAL. A path counts with one NUL, whatever
 * came behind it, so that equal addresses are equal bytes. */
static int used_of(const eddy_address *address, size_t len) {
    const struct sockaddr_un *un = un_of(address);
    size_t head = offsetof(struct sockaddr_un, sun_path);
    switch (eddy_address_family(address)) {
    case AF_INET:
        return len < sizeof(struct sockaddr_in) ? -EINVAL : (int)sizeof(struct sockaddr_in);
    case AF_INET6:
        return len < sizeof(struct sockaddr_in6) ? -EINVAL : (int)sizeof(struct sockaddr_in6);
    case AF_UNIX:
        if (len <= head || un->sun_path[0] == '\0') {
            return (int)len;
        }
        return (int)(head + strnlen(un->sun_path, len - head) + 1);
    default:
        return -EAFNOSUPPORT;
    }
}

int eddy_address_from(const struct sockaddr *from, size_t len, eddy_address *ret_address) {
    eddy_address address = {.len = (uint32_t)len};
    /* The kernel gives a Unix path of the full 108 bytes with a NUL behind: there is room for it,
     * and always a NUL. */
    if (len >= sizeof address.storage || len < sizeof from->sa_family) {
        return -EINVAL;
    }
    memcpy(any_of(&address), from, len);
    int used = used_of(&address, len);
    if (used < 0) {
        return used;
    }
    memset((char *)address.storage + used, 0, sizeof address.storage - (size_t)used);
    address.len = (uint32_t)used;
    *ret_address = address;
    return 0;
}

const struct sockaddr *eddy_address_sockaddr(const eddy_address *address) {
    return (const struct sockaddr *)(const void *)address->storage;
}
