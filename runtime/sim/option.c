/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sim/option_impl.h>

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include <eddy/runtime/base/error.h>
#include <eddy/runtime/sim/socket_impl.h>

/* As net/core/sock.c and the stock sysctls have them. */
#define BUFFER_MAX 212992
#define SEND_BUFFER_MIN 4608
#define RECEIVE_BUFFER_MIN 2304
#define UNIX_BUFFER_DEFAULT 212992
#define HOP_LIMIT_DEFAULT 64
#define RETRANSMIT_FIRST_S 1
#define RETRANSMIT_MAX_S 120
#define CONGESTION_CONTROL "cubic"
#define CONGESTION_CONTROL_ROOM 16

enum check {
    ANY_IS_ONE, /* every number but 0 is read back as 1 */
    IN_RANGE,   /* others are -EINVAL */
    CUT_ABOVE,  /* below is -EINVAL, above is cut to the end of the range */
    OR_DEFAULT, /* in range, and -1 for the default */
    SEND_BUFFER,
    RECEIVE_BUFFER,
    RETRANSMISSIONS, /* seconds, rounded up to what so many retransmissions take */
    TRAFFIC_CLASS,   /* the two lowest bits are TCP's own */
};

struct rule {
    int level;
    int name;
    enum check check;
    int low, high;
    int initial;
};

static const struct rule rules[EDDYI_SIM_OPTION_COUNT] = {
    [EDDYI_SIM_REUSEADDR] = {SOL_SOCKET, SO_REUSEADDR, ANY_IS_ONE, 0, 0, 0},
    [EDDYI_SIM_REUSEPORT] = {SOL_SOCKET, SO_REUSEPORT, ANY_IS_ONE, 0, 0, 0},
    [EDDYI_SIM_KEEPALIVE] = {SOL_SOCKET, SO_KEEPALIVE, ANY_IS_ONE, 0, 0, 0},
    [EDDYI_SIM_BROADCAST] = {SOL_SOCKET, SO_BROADCAST, ANY_IS_ONE, 0, 0, 0},
    [EDDYI_SIM_OOBINLINE] = {SOL_SOCKET, SO_OOBINLINE, ANY_IS_ONE, 0, 0, 0},
    [EDDYI_SIM_DONTROUTE] = {SOL_SOCKET, SO_DONTROUTE, ANY_IS_ONE, 0, 0, 0},
    [EDDYI_SIM_PRIORITY] = {SOL_SOCKET, SO_PRIORITY, IN_RANGE, 0, INT_MAX, 0},
    [EDDYI_SIM_SNDBUF] = {SOL_SOCKET, SO_SNDBUF, SEND_BUFFER, 0, 0, 16384},
    [EDDYI_SIM_RCVBUF] = {SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER, 0, 0, 131072},
    [EDDYI_SIM_NODELAY] = {IPPROTO_TCP, TCP_NODELAY, ANY_IS_ONE, 0, 0, 0},
    [EDDYI_SIM_CORK] = {IPPROTO_TCP, TCP_CORK, ANY_IS_ONE, 0, 0, 0},
    [EDDYI_SIM_QUICKACK] = {IPPROTO_TCP, TCP_QUICKACK, ANY_IS_ONE, 0, 0, 1},
    [EDDYI_SIM_KEEPIDLE] = {IPPROTO_TCP, TCP_KEEPIDLE, IN_RANGE, 1, 32767, 7200},
    [EDDYI_SIM_KEEPINTVL] = {IPPROTO_TCP, TCP_KEEPINTVL, IN_RANGE, 1, 32767, 75},
    [EDDYI_SIM_KEEPCNT] = {IPPROTO_TCP, TCP_KEEPCNT, IN_RANGE, 1, 127, 9},
    [EDDYI_SIM_SYNCNT] = {IPPROTO_TCP, TCP_SYNCNT, IN_RANGE, 1, 127, 6},
    [EDDYI_SIM_USER_TIMEOUT] = {IPPROTO_TCP, TCP_USER_TIMEOUT, IN_RANGE, 0, INT_MAX, 0},
    [EDDYI_SIM_DEFER_ACCEPT] = {IPPROTO_TCP, TCP_DEFER_ACCEPT, RETRANSMISSIONS, 0, 0, 0},
    [EDDYI_SIM_FASTOPEN] = {IPPROTO_TCP, TCP_FASTOPEN, CUT_ABOVE, 0, EDDYI_SIM_BACKLOG_MAX, 0},
    [EDDYI_SIM_NOTSENT_LOWAT] = {IPPROTO_TCP, TCP_NOTSENT_LOWAT, IN_RANGE, INT_MIN, INT_MAX, 0},
    [EDDYI_SIM_TOS] = {IPPROTO_IP, IP_TOS, TRAFFIC_CLASS, INT_MIN, INT_MAX, 0},
    [EDDYI_SIM_TTL] = {IPPROTO_IP, IP_TTL, OR_DEFAULT, 1, 255, HOP_LIMIT_DEFAULT},
    [EDDYI_SIM_BIND_NO_PORT] = {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, ANY_IS_ONE, 0, 0, 0},
    [EDDYI_SIM_V6ONLY] = {IPPROTO_IPV6, IPV6_V6ONLY, ANY_IS_ONE, 0, 0, 0},
    [EDDYI_SIM_TCLASS] = {IPPROTO_IPV6, IPV6_TCLASS, TRAFFIC_CLASS, 0, 255, 0},
    [EDDYI_SIM_HOPS] = {IPPROTO_IPV6, IPV6_UNICAST_HOPS, OR_DEFAULT, 0, 255, HOP_LIMIT_DEFAULT},
};

void eddyi_sim_options_init(struct eddyi_sim_options *options, int domain) {
    *options = (struct eddyi_sim_options){0};
    for (int i = 0; i < EDDYI_SIM_OPTION_COUNT; i++) {
        options->numbers[i] = rules[i].initial;
    }
    if (domain == AF_UNIX) {
        options->numbers[EDDYI_SIM_SNDBUF] = UNIX_BUFFER_DEFAULT;
        options->numbers[EDDYI_SIM_RCVBUF] = UNIX_BUFFER_DEFAULT;
    }
}

/* Whether sockets of the domain have options of that level at all. */
static bool has_level(const struct eddyi_sim_socket *socket, int level) {
    switch (level) {
    case SOL_SOCKET:
        return true;
    case IPPROTO_TCP:
    case IPPROTO_IP:
        return socket->domain != AF_UNIX;
    case IPPROTO_IPV6:
        return socket->domain == AF_INET6;
    default:
        return false;
    }
}

static int find(int level, int name) {
    for (int i = 0; i < EDDYI_SIM_OPTION_COUNT; i++) {
        if (rules[i].level == level && rules[i].name == name) {
            return i;
        }
    }
    return -ENOPROTOOPT;
}

static int buffer_size(int wanted, int least) {
    /* The kernel compares as unsigned: a negative size is a very large one. */
    int size = wanted < 0 || wanted > BUFFER_MAX ? BUFFER_MAX : wanted;
    return 2 * size > least ? 2 * size : least;
}

static int round_to_retransmissions(int seconds) {
    if (seconds <= 0) {
        return 0;
    }
    int step = RETRANSMIT_FIRST_S;
    int sum = step;
    for (int count = 1; sum < seconds && count < 255; count++) {
        step = 2 * step < RETRANSMIT_MAX_S ? 2 * step : RETRANSMIT_MAX_S;
        sum += step;
    }
    return sum;
}

/* What the option is after `value` was set, or -EINVAL through `reterr`. */
static int checked(const struct rule *rule, int value, int *reterr) {
    *reterr = 0;
    switch (rule->check) {
    case ANY_IS_ONE:
        return value != 0;
    case SEND_BUFFER:
        return buffer_size(value, SEND_BUFFER_MIN);
    case RECEIVE_BUFFER:
        return buffer_size(value, RECEIVE_BUFFER_MIN);
    case RETRANSMISSIONS:
        return round_to_retransmissions(value);
    case OR_DEFAULT:
        if (value == -1) {
            return rule->initial;
        }
        break;
    case CUT_ABOVE:
        if (value > rule->high) {
            return rule->high;
        }
        break;
    case TRAFFIC_CLASS:
        if (rule->name == IPV6_TCLASS && value == -1) {
            return 0;
        }
        break;
    case IN_RANGE:
        break;
    }
    if (value < rule->low || value > rule->high) {
        *reterr = -EINVAL;
    }
    return rule->check == TRAFFIC_CLASS ? value & 0xfc : value;
}

static int set_linger(struct eddyi_sim_socket *socket, const void *value, socklen_t len) {
    struct linger linger;
    if (len < sizeof linger) {
        return -EINVAL;
    }
    memcpy(&linger, value, sizeof linger);
    socket->options.linger.l_onoff = linger.l_onoff != 0;
    if (linger.l_onoff != 0) {
        socket->options.linger.l_linger = linger.l_linger;
    }
    return 0;
}

static int set_congestion(const void *value, socklen_t len) {
    size_t name_len = strnlen(value, len);
    if (name_len == strlen(CONGESTION_CONTROL) &&
        memcmp(value, CONGESTION_CONTROL, name_len) == 0) {
        return 0;
    }
    return -ENOENT;
}

int eddyi_sim_option_set(struct eddyi_sim_socket *socket, int level, int name, const void *value,
                         socklen_t len) {
    if (!has_level(socket, level)) {
        return socket->domain == AF_UNIX ? -EOPNOTSUPP : -ENOPROTOOPT;
    }
    if (value == NULL) {
        return -EFAULT;
    }
    if (level == SOL_SOCKET && name == SO_LINGER) {
        return set_linger(socket, value, len);
    }
    if (level == IPPROTO_TCP && name == TCP_CONGESTION) {
        return set_congestion(value, len);
    }
    int index = find(level, name);
    if (index < 0) {
        return index;
    }
    int number = 0;
    if (len >= sizeof number) {
        memcpy(&number, value, sizeof number);
    } else if (level == IPPROTO_IP && len >= 1) {
        /* This level takes single bytes too. */
        number = *(const unsigned char *)value;
    } else if (level != IPPROTO_IP) {
        return -EINVAL;
    }
    if (index == EDDYI_SIM_V6ONLY && socket->bound) {
        return -EINVAL;
    }
    int err;
    number = checked(&rules[index], number, &err);
    if (err < 0) {
        return index == EDDYI_SIM_PRIORITY ? -EPERM : err;
    }
    socket->options.numbers[index] = number;
    socket->options.sndbuf_set |= index == EDDYI_SIM_SNDBUF;
    socket->options.rcvbuf_set |= index == EDDYI_SIM_RCVBUF;
    if (index == EDDYI_SIM_SNDBUF || index == EDDYI_SIM_RCVBUF) {
        eddyi_sim_link_resize(socket);
    }
    return 0;
}

/* Gives as much as there is room for. */
static int give(const void *value, size_t size, void *ret_value, socklen_t *len) {
    if (*len > size) {
        *len = (socklen_t)size;
    }
    memcpy(ret_value, value, *len);
    return 0;
}

/* What can only be read. */
static int get_fact(struct eddyi_sim_socket *socket, int name, int *ret_number) {
    switch (name) {
    case SO_TYPE:
        *ret_number = SOCK_STREAM;
        return 0;
    case SO_DOMAIN:
        *ret_number = socket->domain;
        return 0;
    case SO_PROTOCOL:
        *ret_number = socket->protocol;
        return 0;
    case SO_ACCEPTCONN:
        *ret_number = socket->state == EDDYI_SIM_LISTENING;
        return 0;
    case SO_ERROR:
        *ret_number = socket->error;
        socket->error = 0;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

int eddyi_sim_option_get(struct eddyi_sim_socket *socket, int level, int name, void *ret_value,
                         socklen_t *len) {
    if (!has_level(socket, level)) {
        return -EOPNOTSUPP;
    }
    if (ret_value == NULL || len == NULL) {
        return -EFAULT;
    }
    if ((int)*len < 0) {
        return -EINVAL;
    }
    if (level == SOL_SOCKET && name == SO_LINGER) {
        return give(&socket->options.linger, sizeof socket->options.linger, ret_value, len);
    }
    if (level == SOL_SOCKET && name == SO_PEERCRED && socket->domain == AF_UNIX) {
        /* Both ends of every connection are this process. */
        struct ucred self = {getpid(), geteuid(), getegid()};
        return give(&self, sizeof self, ret_value, len);
    }
    if (level == IPPROTO_TCP && name == TCP_CONGESTION) {
        char text[CONGESTION_CONTROL_ROOM] = CONGESTION_CONTROL;
        return give(text, sizeof text, ret_value, len);
    }
    int number;
    int index = find(level, name);
    if (index >= 0) {
        number = socket->options.numbers[index];
    } else {
        int r = level == SOL_SOCKET ? get_fact(socket, name, &number) : index;
        if (r < 0) {
            return r;
        }
    }
    return give(&number, sizeof number, ret_value, len);
}
