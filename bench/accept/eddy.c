/* SPDX-License-Identifier: Apache-2.0 */
/* A task for each connection: it reads a request, answers and ends. Prints its port. */
#include <string.h>

#include "../eddy.h"
#include "../http/response.h"

static int64_t respond(eddy_stream *peer, void *arg) {
    (void)arg;
    char bytes[4096];
    size_t len = 0;
    do {
        int64_t n = eddy_stream_read(peer, bytes + len, sizeof bytes - len);
        if (n <= 0) {
            return n;
        }
        len += (size_t)n;
    } while (memmem(bytes, len, "\r\n\r\n", 4) == NULL);
    return eddy_stream_write(peer, CLOSING_RESPONSE, strlen(CLOSING_RESPONSE));
}

static int64_t app(void *arg) {
    (void)arg;
    eddy_listener *listener;
    int r = listen_somewhere(&listener);
    return r < 0 ? r : eddy_serve(listener, respond, NULL, NULL);
}

int main(void) {
    return eddy_main(app, NULL, NULL);
}
