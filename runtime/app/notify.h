/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling the service manager how the program is: systemd's readiness protocol (sd_notify(3)).
 * eddy_main says READY=1 and STOPPING=1 by itself where its options ask for it.
 *
 *     eddy_notify("STATUS=Loaded 120 of 400 tables");
 */
#ifndef EDDY_RUNTIME_APP_NOTIFY_H
#define EDDY_RUNTIME_APP_NOTIFY_H

#include <eddy/runtime/base/api.h>

EDDY_BEGIN_DECLS

/**
 * Send `state` to the socket that $NOTIFY_SOCKET names.
 *
 * Shape:   lines of NAME=VALUE, parted by newlines. 1 when it was sent, 0 when nobody asked for it.
 * Owns:    borrows state until it returns. One datagram to a local socket, which does not wait.
 * Errors:  -EINVAL state is NULL, or the variable's value is no path and no abstract name;
 *          -ECONNREFUSED, -ENOENT nobody listens; -EAGAIN the manager's queue is full; -EMFILE.
 * Threads: any thread.
 * Cancel:  does not suspend.
 */
EDDY_API int eddy_notify(const char *state);

EDDY_END_DECLS

#endif
