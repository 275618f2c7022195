/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sim/log_impl.h>

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include <eddy/runtime/base/error.h>

#define NUMBER_COUNT 3

struct line {
    const char *what;
    const char *names[NUMBER_COUNT]; /* NULL from the first that is not used */
};

static const struct line lines[EDDYI_SIM_WHAT_COUNT] = {
    [EDDYI_SIM_NOTE_WORLD] = {"world", {"seed", "calm"}},
    [EDDYI_SIM_NOTE_PLAN_ORDER] = {"plan", {"order", "again", "late"}},
    [EDDYI_SIM_NOTE_PLAN_DATA] = {"plan", {"short", "split", "cancel_late"}},
    [EDDYI_SIM_NOTE_PLAN_TIME] = {"plan", {"latency_ns", "late_ns", "job_ns"}},
    [EDDYI_SIM_NOTE_PLAN_BUFFER] = {"plan", {"send_bytes", "receive_bytes"}},
    [EDDYI_SIM_NOTE_ORDER] = {"order", {"placed"}},
    [EDDYI_SIM_NOTE_SOCKET] = {"socket", {"socket", "domain"}},
    [EDDYI_SIM_NOTE_BIND] = {"bind", {"socket", "port"}},
    [EDDYI_SIM_NOTE_LISTEN] = {"listen", {"socket", "backlog"}},
    [EDDYI_SIM_NOTE_CONNECT] = {"connect", {"socket", "from", "to"}},
    [EDDYI_SIM_NOTE_LOST] = {"lost", {"socket", "try"}},
    [EDDYI_SIM_NOTE_REFUSED] = {"refused", {"socket"}},
    [EDDYI_SIM_NOTE_CONNECTED] = {"connected", {"socket", "peer"}},
    [EDDYI_SIM_NOTE_QUEUED] = {"queued", {"socket"}},
    [EDDYI_SIM_NOTE_ARRIVED] = {"arrived", {"socket", "unread", "total"}},
    [EDDYI_SIM_NOTE_END] = {"end", {"socket"}},
    [EDDYI_SIM_NOTE_RESET] = {"reset", {"socket"}},
    [EDDYI_SIM_NOTE_SHUTDOWN] = {"shutdown", {"socket", "how"}},
    [EDDYI_SIM_NOTE_CLOSE] = {"close", {"socket", "unread"}},
    [EDDYI_SIM_NOTE_LEAK] = {"leak", {"socket"}},
    [EDDYI_SIM_NOTE_ATTEMPT] = {"attempt", {"kind", "socket", "result"}},
    [EDDYI_SIM_NOTE_SUBMIT] = {"submit", {"op", "kind", "socket"}},
    [EDDYI_SIM_NOTE_CANCEL] = {"cancel", {"op"}},
    [EDDYI_SIM_NOTE_DONE] = {"done", {"op", "result"}},
    [EDDYI_SIM_NOTE_JOB] = {"job", {"job"}},
};

/* The whole line or nothing of it. */
static int append_line(struct eddyi_sim_log *log, int64_t now_ns, const struct line *line,
                       const int64_t numbers[NUMBER_COUNT]) {
    size_t before = log->text.len;
    int r = eddy_buffer_printf(&log->text, "%" PRId64 " %s", now_ns, line->what);
    for (int i = 0; r >= 0 && i < NUMBER_COUNT && line->names[i] != NULL; i++) {
        r = eddy_buffer_printf(&log->text, " %s=%" PRId64, line->names[i], numbers[i]);
    }
    if (r >= 0) {
        /* The hash so far ends each line: where two logs part, they part at the first difference,
         * even if it was one that has no line of its own. */
        r = eddy_buffer_printf(&log->text, " #%08" PRIx32 "\n", (uint32_t)log->hash);
    }
    if (r < 0) {
        log->text.len = before;
    }
    return r;
}

void eddyi_sim_log_add(struct eddyi_sim_log *log, int64_t now_ns, enum eddyi_sim_what what,
                       int64_t a, int64_t b, int64_t c) {
    const int64_t numbers[NUMBER_COUNT] = {a, b, c};
    eddyi_sim_log_fold(log, (uint64_t)now_ns);
    eddyi_sim_log_fold(log, (uint64_t)what);
    for (int i = 0; i < NUMBER_COUNT; i++) {
        eddyi_sim_log_fold(log, (uint64_t)numbers[i]);
    }
    if (log->enabled && !log->truncated) {
        log->truncated = append_line(log, now_ns, &lines[what], numbers) < 0;
    }
}

int eddyi_sim_log_write(const struct eddyi_sim_log *log, const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return -errno;
    }
    int r = 0;
    for (size_t done = 0; r == 0 && done < log->text.len;) {
        ssize_t n = write(fd, log->text.data + done, log->text.len - done);
        if (n >= 0) {
            done += (size_t)n;
        } else if (errno != EINTR) {
            r = -errno;
        }
    }
    close(fd);
    return r;
}

void eddyi_sim_log_done(struct eddyi_sim_log *log) {
    eddy_buffer_done(&log->text);
}
