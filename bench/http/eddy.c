/* SPDX-License-Identifier: Apache-2.0 */
/* A handler that answers a fixed small body, on one loop. Prints its port. */
#include "../eddy.h"

static int64_t hello(eddy_http_exchange *x, void *arg) {
    (void)arg;
    int r = eddy_http_response_begin(x, 200);
    r = r < 0 ? r : eddy_http_response_field(x, "Content-Type", eddy_slice_of("text/plain"));
    return r < 0 ? r : eddy_http_response_body(x, eddy_slice_of("hello, world\n"));
}

static int64_t app(void *arg) {
    (void)arg;
    eddy_listener *listener;
    int r = listen_somewhere(&listener);
    return r < 0 ? r : eddy_http_serve(listener, hello, NULL, NULL);
}

int main(void) {
    return eddy_main(app, NULL, NULL);
}
