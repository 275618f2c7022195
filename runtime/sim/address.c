/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sim/address_impl.h>

#include <string.h>

#include <eddy/runtime/base/error.h>

#define V4_PREFIX_LEN 12
static const uint8_t v4_prefix[V4_PREFIX_LEN] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* Where the path of a sockaddr_un begins; shorter lengths carry no family or no name. */
#define UNIX_HEAD offsetof(struct sockaddr_un, sun_path)
/* What the kernel takes: scope and flow label may be missing. */
#define IN6_LEN_MIN 24

static int read_v4(struct eddyi_sim_address *ret_address, const struct sockaddr *from, size_t len) {
    struct sockaddr_in in;
    if (len < sizeof in) {
        return -EINVAL;
    }
    memcpy(&in, from, sizeof in);
    if (in.sin_family != AF_INET) {
        return -EAFNOSUPPORT;
    }
    struct eddyi_sim_address address = {.port = ntohs(in.sin_port)};
    memcpy(address.ip, v4_prefix, V4_PREFIX_LEN);
    memcpy(address.ip + V4_PREFIX_LEN, &in.sin_addr, 4);
    *ret_address = address;
    return 0;
}

static int read_v6(struct eddyi_sim_address *ret_address, const struct sockaddr *from, size_t len) {
    struct sockaddr_in6 in6 = {0};
    if (len < IN6_LEN_MIN) {
        return -EINVAL;
    }
    memcpy(&in6, from, len < sizeof in6 ? len : sizeof in6);
    if (in6.sin6_family != AF_INET6) {
        return -EAFNOSUPPORT;
    }
    struct eddyi_sim_address address = {.port = ntohs(in6.sin6_port)};
    memcpy(address.ip, &in6.sin6_addr, sizeof address.ip);
    *ret_address = address;
    return 0;
}

static int read_unix(struct eddyi_sim_address *ret_address, const struct sockaddr *from,
                     size_t len) {
    struct sockaddr_un un = {0};
    if (len < UNIX_HEAD || len > sizeof un) {
        return -EINVAL;
    }
    memcpy(&un, from, len);
    if (un.sun_family != AF_UNIX) {
        return -EINVAL;
    }
    size_t name_len = len - UNIX_HEAD;
    if (name_len > 0 && un.sun_path[0] != '\0') {
        name_len = strnlen(un.sun_path, name_len);
    }
    struct eddyi_sim_address address = {.name_len = (uint16_t)name_len};
    memcpy(address.name, un.sun_path, name_len);
    *ret_address = address;
    return 0;
}

int eddyi_sim_address_read(struct eddyi_sim_address *ret_address, int domain,
                           const struct sockaddr *from, size_t len) {
    if (from == NULL) {
        return -EFAULT;
    }
    switch (domain) {
    case AF_INET:
        return read_v4(ret_address, from, len);
    case AF_INET6:
        return read_v6(ret_address, from, len);
    default:
        return read_unix(ret_address, from, len);
    }
}

static void copy_out(const void *address, size_t whole, struct sockaddr *to, socklen_t *len) {
    memcpy(to, address, *len < whole ? *len : whole);
    *len = (socklen_t)whole;
}

void eddyi_sim_address_write(const struct eddyi_sim_address *address, int domain,
                             struct sockaddr *to, socklen_t *len) {
    if (domain == AF_INET) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(address->port)};
        memcpy(&in.sin_addr, address->ip + V4_PREFIX_LEN, 4);
        copy_out(&in, sizeof in, to, len);
    } else if (domain == AF_INET6) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
        memcpy(&in6.sin6_addr, address->ip, sizeof address->ip);
        copy_out(&in6, sizeof in6, to, len);
    } else {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        size_t name_len = address->name_len;
        memcpy(un.sun_path, address->name, name_len);
        /* A path is given with its NUL. One that fills the room has it just behind the structure,
         * where there is nothing to copy. */
        if (name_len > 0 && address->name[0] != '\0' && name_len < sizeof un.sun_path) {
            name_len++;
        }
        copy_out(&un, UNIX_HEAD + name_len, to, len);
    }
}

struct eddyi_sim_address eddyi_sim_address_any(int domain) {
    struct eddyi_sim_address any = {0};
    if (domain == AF_INET) {
        memcpy(any.ip, v4_prefix, V4_PREFIX_LEN);
    }
    return any;
}

bool eddyi_sim_address_is_v4(const struct eddyi_sim_address *address) {
    return memcmp(address->ip, v4_prefix, V4_PREFIX_LEN) == 0;
}

bool eddyi_sim_address_is_any(const struct eddyi_sim_address *address) {
    static const uint8_t zero[16];
    if (eddyi_sim_address_is_v4(address)) {
        return memcmp(address->ip + V4_PREFIX_LEN, zero, 4) == 0;
    }
    return memcmp(address->ip, zero, sizeof zero) == 0;
}

bool eddyi_sim_address_is_loopback(const struct eddyi_sim_address *address) {
    static const uint8_t one[16] = {[15] = 1};
    if (eddyi_sim_address_is_v4(address)) {
        return address->ip[V4_PREFIX_LEN] == 127;
    }
    return memcmp(address->ip, one, sizeof one) == 0;
}

bool eddyi_sim_address_is_group(const struct eddyi_sim_address *address) {
    static const uint8_t broadcast[4] = {255, 255, 255, 255};
    if (eddyi_sim_address_is_v4(address)) {
        const uint8_t *v4 = address->ip + V4_PREFIX_LEN;
        return (v4[0] & 0xf0) == 0xe0 || memcmp(v4, broadcast, sizeof broadcast) == 0;
    }
    return address->ip[0] == 0xff;
}

bool eddyi_sim_address_same_ip(const struct eddyi_sim_address *a,
                               const struct eddyi_sim_address *b) {
    return memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

struct eddyi_sim_address eddyi_sim_address_loopback(const struct eddyi_sim_address *like) {
    struct eddyi_sim_address loopback = {0};
    if (eddyi_sim_address_is_v4(like)) {
        memcpy(loopback.ip, v4_prefix, V4_PREFIX_LEN);
        loopback.ip[V4_PREFIX_LEN] = 127;
    }
    loopback.ip[15] = 1;
    return loopback;
}

bool eddyi_sim_address_same_name(const struct eddyi_sim_address *a,
                                 const struct eddyi_sim_address *b) {
    return a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0;
}
