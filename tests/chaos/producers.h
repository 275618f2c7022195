/* SPDX-License-Identifier: Apache-2.0 */
/* A pledge: a promise that somebody will keep or break, and what both sides know of it. */
#ifndef EDDY_TESTS_CHAOS_PRODUCERS_H
#define EDDY_TESTS_CHAOS_PRODUCERS_H

#include "chaos.h"

#define PLEDGE_FIRST 5000 /* results that are no other future's */

struct pledge {
    eddy_promise *promise;
    int64_t value; /* what it is kept with; every third has it as a payload too */
    bool broken;   /* it will not be */
    bool dawdle;   /* others go first */
    int64_t kept;  /* what resolving it gave; EDDY_EBROKEN: it was not tried */
    bool seen;     /* the consumer has seen `result` */
    int64_t result;
    _Atomic unsigned told;    /* calls of eddy_promise_on_cancel's function */
    _Atomic unsigned parties; /* that have not signed */
    struct pledge *next;
};

/* Makes a promise and hands it to a producer; the future is the caller's, and so is a signature. */
struct pledge *pledge_new(struct me *me, eddy_future **ret_future);
/* The consumer is done with it: it has seen the future's result, or does not know it. */
void pledge_sign(struct pledge *pledge, bool seen, int64_t result);
/* Frees a payload, also one that was taken. */
void pledge_dispose(void *payload);

#endif
