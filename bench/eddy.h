/* SPDX-License-Identifier: Apache-2.0 */
/* What eddy's servers share: a listener whose port is printed. */
#ifndef EDDY_BENCH_EDDY_H
#define EDDY_BENCH_EDDY_H

#include <stdio.h>

#include <eddy/eddy.h>

static inline int listen_somewhere(eddy_listener **ret_listener) {
    int r = eddy_tcp_listen("127.0.0.1:0", NULL, ret_listener);
    if (r >= 0) {
        eddy_address address = eddy_listener_address(*ret_listener);
        printf("%u\n", eddy_address_port(&address));
        fflush(stdout);
    }
    return r;
}

#endif
