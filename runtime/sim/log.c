/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/sim/log_impl.h>

#include <fcntl.h>
#include <string.h>
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

/* No line is longer: a time, a word, three names, three numbers and the hash. */
#define LINE_MAX_LEN 200

static char *put_text(char *at, const char *text) {
    size_t len = strlen(text);
    memcpy(at, text, len);
    return at + len;
}

/* By hand, because a run can have millions of lines: printf would take most of its time. */
static char *put_number(char *at, int64_t number) {
    char digits[20];
    size_t count = 0;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) {
        *at++ = '-';
    }
    while (count > 0) {
        *at++ = digits[--count];
    }
    return at;
}

static char *put_hash(char *at, uint32_t hash) {
    for (int shift = 28; shift >= 0; shift -= 4) {
        *at++ = "0123456789abcdef"[(hash >> shift) & 15];
    }
    return at;
}

/* The whole line or nothing of it. */
static int append_line(struct eddyi_sim_log *log, int64_t now_ns, const struct line *line,
                       const int64_t numbers[NUMBER_COUNT]) {
    int r = eddy_buffer_reserve(&log->text, LINE_MAX_LEN);
    if (r < 0) {
        return r;
    }
    char *start = log->text.data + log->text.len;
    char *at = put_number(start, now_ns);
    *at++ = ' ';
    at = put_text(at, line->what);
    for (int i = 0; i < NUMBER_COUNT && line->names[i] != NULL; i++) {
        *at++ = ' ';
        at = put_text(at, line->names[i]);
        *at++ = '=';
        at = put_number(at, numbers[i]);
    }
    /* The hash so far ends each line: where two logs part, they part at the first difference, even
     * if it was one that has no line of its own. */
    at = put_text(at, " #");
    at = put_hash(at, (uint32_t)log->hash);
    *at++ = '\n';
    EDDY_ASSERT(at - start <= LINE_MAX_LEN);
    log->text.len += (size_t)(at - start);
    return 0;
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
