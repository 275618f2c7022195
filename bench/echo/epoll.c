/* SPDX-License-Identifier: Apache-2.0 */
/* Echo on epoll and nothing else: the limit of what readiness can do. Prints its port. */
#include "../epoll.h"

static epoll_data_t welcome(int fd) {
    return (epoll_data_t){.fd = fd};
}

/* The load never has more under way than fits into a socket's buffer, so a send is never short. */
static void echo(epoll_data_t data) {
    static char buf[16 * 1024];
    ssize_t n = recv(data.fd, buf, sizeof buf, 0);
    if (n <= 0 || send(data.fd, buf, (size_t)n, MSG_NOSIGNAL) != n) {
        close(data.fd);
    }
}

int main(void) {
    serve_by_epoll(welcome, echo);
}
