/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EDDY_RUNTIME_SYNC_MUTEX_IMPL_H
#define EDDY_RUNTIME_SYNC_MUTEX_IMPL_H

#include <eddy/runtime/sync/mutex.h>
#include <eddy/runtime/sync/queue_impl.h>

/* Locks whatever the scope says: for the end of a condition's wait. */
void eddyi_mutex_lock_uncancelled(eddy_mutex *mutex, eddy_task *task);

#endif
