/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EDDY_RUNTIME_APP_NOTIFY_IMPL_H
#define EDDY_RUNTIME_APP_NOTIFY_IMPL_H

/* Tells the service manager of $NOTIFY_SOCKET, as sd_notify(3) does: 0 when told or nobody asked. */
int eddyi_notify(const char *state);

#endif
