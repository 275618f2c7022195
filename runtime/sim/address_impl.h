/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses in a world. Both families are kept as IPv6 bytes, IPv4 as ::ffff:a.b.c.d, which is how
 * a dual-stack socket shows it anyway; a Unix address is its name, with the leading NUL of an
 * abstract one and without the trailing NUL of a path.
 */
#ifndef EDDY_RUNTIME_SIM_ADDRESS_IMPL_H
#define EDDY_RUNTIME_SIM_ADDRESS_IMPL_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <eddy/runtime/base/api.h>

struct eddyi_sim_address {
    uint16_t port;     /* host order; 0 for none and for Unix */
    uint16_t name_len; /* Unix: 0 for a socket without a name */
    union {
        uint8_t ip[16];
        char name[sizeof(((struct sockaddr_un *)0)->sun_path)];
    };
};

/* Reads what a program passed for a socket of `domain`; -EINVAL, -EAFNOSUPPORT. */
int eddyi_sim_address_read(struct eddyi_sim_address *ret_address, int domain,
                           const struct sockaddr *from, size_t len);
/* Writes it as getsockname does for a socket of `domain`: `len` is the room before, and the whole
 * length after. */
void eddyi_sim_address_write(const struct eddyi_sim_address *address, int domain,
                             struct sockaddr *to, socklen_t *len);

/* IPv4's or IPv6's "any", with port 0. */
struct eddyi_sim_address eddyi_sim_address_any(int domain);
bool eddyi_sim_address_is_v4(const struct eddyi_sim_address *address);
bool eddyi_sim_address_is_any(const struct eddyi_sim_address *address);
bool eddyi_sim_address_is_loopback(const struct eddyi_sim_address *address);
/* Multicast or broadcast: a stream goes to neither. */
bool eddyi_sim_address_is_group(const struct eddyi_sim_address *address);
bool eddyi_sim_address_same_ip(const struct eddyi_sim_address *a,
                               const struct eddyi_sim_address *b);
/* The loopback address of the same family, with port 0. */
struct eddyi_sim_address eddyi_sim_address_loopback(const struct eddyi_sim_address *like);
bool eddyi_sim_address_same_name(const struct eddyi_sim_address *a,
                                 const struct eddyi_sim_address *b);

#endif
