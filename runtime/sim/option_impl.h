/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket options: checked, stored and read back as Linux does it (limits and doublings are those of
 * a 6.x kernel with stock sysctls). A few of them also do something here: the two buffer sizes,
 * SO_LINGER, SO_REUSEADDR, SO_REUSEPORT, IPV6_V6ONLY and IP_BIND_ADDRESS_NO_PORT. What is not known
 * gives -ENOPROTOOPT or -EOPNOTSUPP, so that a missing one shows.
 */
#ifndef EDDY_RUNTIME_SIM_OPTION_IMPL_H
#define EDDY_RUNTIME_SIM_OPTION_IMPL_H

#include <sys/socket.h>

#include <eddy/runtime/base/api.h>

struct eddyi_sim_socket;

/* Those with a whole number; each has a rule in option.c. */
enum eddyi_sim_option {
    EDDYI_SIM_REUSEADDR,
    EDDYI_SIM_REUSEPORT,
    EDDYI_SIM_KEEPALIVE,
    EDDYI_SIM_BROADCAST,
    EDDYI_SIM_OOBINLINE,
    EDDYI_SIM_DONTROUTE,
    EDDYI_SIM_PRIORITY,
    EDDYI_SIM_SNDBUF,
    EDDYI_SIM_RCVBUF,
    EDDYI_SIM_NODELAY,
    EDDYI_SIM_CORK,
    EDDYI_SIM_QUICKACK,
    EDDYI_SIM_KEEPIDLE,
    EDDYI_SIM_KEEPINTVL,
    EDDYI_SIM_KEEPCNT,
    EDDYI_SIM_SYNCNT,
    EDDYI_SIM_USER_TIMEOUT,
    EDDYI_SIM_DEFER_ACCEPT,
    EDDYI_SIM_FASTOPEN,
    EDDYI_SIM_NOTSENT_LOWAT,
    EDDYI_SIM_TOS,
    EDDYI_SIM_TTL,
    EDDYI_SIM_BIND_NO_PORT,
    EDDYI_SIM_V6ONLY,
    EDDYI_SIM_TCLASS,
    EDDYI_SIM_HOPS,
    EDDYI_SIM_OPTION_COUNT,
};

struct eddyi_sim_options {
    int numbers[EDDYI_SIM_OPTION_COUNT];
    struct linger linger;
    bool sndbuf_set; /* by the program: the size is then honoured */
    bool rcvbuf_set;
};

/* What a new socket of the domain has. */
void eddyi_sim_options_init(struct eddyi_sim_options *options, int domain);
/* As the system calls. */
int eddyi_sim_option_set(struct eddyi_sim_socket *socket, int level, int name, const void *value,
                         socklen_t len);
int eddyi_sim_option_get(struct eddyi_sim_socket *socket, int level, int name, void *ret_value,
                         socklen_t *len);

#endif
