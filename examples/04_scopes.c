/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines and failures belong to scopes, not to arguments.
 *
 * Shows:  a deadline, whose it was, the first failure cancels the rest, cleanup under a shield.
 * Needs:  Linux 5.10 or later.
 * Run:    ./04_scopes
 * Expect: a timeout, a failure that ends its sibling at once, and a sibling that cleans up
 */
#include <errno.h>
#include <stdio.h>

#include <eddy/eddy.h>

static int64_t fails(void *arg) {
    (void)arg;
    return -EIO;
}

static int64_t waits_for_long(void *arg) {
    (void)arg;
    int r = eddy_sleep(3600 * EDDY_S);
    printf("the long sleep ended with %s\n", eddy_error_name(r));
    /* Every suspending call here fails now. What must be done all the same goes into a shield. */
    eddy_scope cleanup;
    int s = eddy_scope_enter(&cleanup, &(eddy_scope_opts){.shield = true, .timeout_ns = EDDY_S});
    if (s == 0) {
        s = eddy_sleep(EDDY_MS);
        printf("cleaned up: %s\n", eddy_error_name(eddy_scope_leave(&cleanup, s)));
    }
    return r;
}

static int64_t app(void *arg) {
    (void)arg;
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, &(eddy_scope_opts){.timeout_ns = 10 * EDDY_MS});
    if (r < 0) {
        return r;
    }
    r = eddy_sleep(3600 * EDDY_S);
    r = eddy_scope_leave(&scope, r);
    printf("an hour's sleep: %s, expired: %d\n", eddy_error_name(r), eddy_scope_expired(&scope));

    r = eddy_scope_enter(&scope, NULL);
    if (r < 0) {
        return r;
    }
    r = eddy_spawn(waits_for_long, NULL, 0);
    if (r == 0) {
        r = eddy_spawn(fails, NULL, 0);
    }
    r = eddy_scope_leave(&scope, r);
    printf("the scope: %s, failures: %llu\n", eddy_error_name(r),
           (unsigned long long)eddy_scope_failure_count(&scope));
    return 0;
}

int main(void) {
    return eddy_main(app, NULL, NULL);
}
