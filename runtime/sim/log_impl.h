/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event log: what happened in a world, one line an event, `virtual_ns what name=number ...`.
 * Nothing in it comes from outside the seed: no pointer, no real time, no real descriptor. Every
 * event also goes into a running hash, kept text or no text, so that two runs can be compared for
 * the price of a few multiplications.
 */
#ifndef EDDY_RUNTIME_SIM_LOG_IMPL_H
#define EDDY_RUNTIME_SIM_LOG_IMPL_H

#include <eddy/runtime/base/buffer.h>
#include <eddy/runtime/sim/random_impl.h>

enum eddyi_sim_what {
    EDDYI_SIM_NOTE_WORLD,       /* seed, calm */
    EDDYI_SIM_NOTE_PLAN_ORDER,  /* order, again, late */
    EDDYI_SIM_NOTE_PLAN_DATA,   /* short, split, cancel_late */
    EDDYI_SIM_NOTE_PLAN_TIME,   /* latency, late, job: ns */
    EDDYI_SIM_NOTE_PLAN_BUFFER, /* send, receive: bytes */
    EDDYI_SIM_NOTE_ORDER,       /* how many ready items were placed since the last line */
    EDDYI_SIM_NOTE_SOCKET,      /* socket, domain */
    EDDYI_SIM_NOTE_BIND,        /* socket, port (0 for a Unix name) */
    EDDYI_SIM_NOTE_LISTEN,      /* socket, backlog */
    EDDYI_SIM_NOTE_CONNECT,     /* socket, from port, to port */
    EDDYI_SIM_NOTE_LOST,        /* socket, which try: a connection request got no answer */
    EDDYI_SIM_NOTE_REFUSED,     /* socket */
    EDDYI_SIM_NOTE_CONNECTED,   /* socket, its peer's end */
    EDDYI_SIM_NOTE_QUEUED,      /* socket, in the listener's accept queue */
    EDDYI_SIM_NOTE_ARRIVED,     /* socket, bytes that it can read now, in all so far */
    EDDYI_SIM_NOTE_END,         /* socket that saw the peer's end */
    EDDYI_SIM_NOTE_RESET,       /* socket that was reset */
    EDDYI_SIM_NOTE_SHUTDOWN,    /* socket, how */
    EDDYI_SIM_NOTE_CLOSE,       /* socket, unread bytes */
    EDDYI_SIM_NOTE_LEAK,        /* socket that was open when the world ended */
    EDDYI_SIM_NOTE_ATTEMPT,     /* kind, socket, result */
    EDDYI_SIM_NOTE_SUBMIT,      /* op, kind, socket */
    EDDYI_SIM_NOTE_CANCEL,      /* op */
    EDDYI_SIM_NOTE_DONE,        /* op, result */
    EDDYI_SIM_NOTE_JOB,         /* which one ran */
    EDDYI_SIM_WHAT_COUNT,
};

struct eddyi_sim_log {
    eddy_buffer text;
    bool enabled;
    bool truncated; /* there was no memory for a line: nothing was added from there on */
    uint64_t hash;
};

/* Something that has no line of its own but must not differ between two runs of a seed either. */
static inline void eddyi_sim_log_fold(struct eddyi_sim_log *log, uint64_t number) {
    log->hash = eddyi_sim_random_mix(log->hash ^ number) + number;
}

/* Numbers beyond those that `what` names are 0. */
void eddyi_sim_log_add(struct eddyi_sim_log *log, int64_t now_ns, enum eddyi_sim_what what,
                       int64_t a, int64_t b, int64_t c);
/* Writes the text to the file `path`, made or emptied first. 0 or -errno. */
int eddyi_sim_log_write(const struct eddyi_sim_log *log, const char *path);
void eddyi_sim_log_done(struct eddyi_sim_log *log);

#endif
