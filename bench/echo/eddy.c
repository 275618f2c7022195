/* SPDX-License-Identifier: Apache-2.0 */
/* Echo on eddy: one task a connection, one loop. Prints its port and serves until SIGTERM. */
#include "../eddy.h"

static int64_t echo(eddy_stream *peer, void *arg) {
    (void)arg;
    char buf[16 * 1024];
    int64_t n;
    while ((n = eddy_stream_read(peer, buf, sizeof buf)) > 0) {
        if ((n = eddy_stream_write(peer, buf, (size_t)n)) < 0) {
            break;
        }
    }
    return n;
}

static int64_t app(void *arg) {
    (void)arg;
    eddy_listener *listener;
    int r = listen_somewhere(&listener);
    return r < 0 ? r : eddy_serve(listener, echo, NULL, NULL);
}

int main(void) {
    return eddy_main(app, NULL, NULL);
}
