/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls on files that may block, so many at once, on eddy's own threads or the kernel's:
 *
 *     forms_files pool|io_wq statx|create|fsync COUNT FOLDER
 *
 * `create` opens a file that is not there; `fsync` waits for a page that was just written. Prints
 * calls a second and the processor time of each, for a quarter of a second.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <eddy/eddy.h>

#include "../cpu.h"
#include "../ring.h"

#define DURATION_NS 250000000
#define COUNT_MAX 64
#define NAME_MAX_LEN 200

enum kind { STATX, CREATE, FSYNC };

static struct {
    enum kind kind;
    unsigned count;
    const char *folder;
} load;

/* One of the calls under way. */
struct lane {
    unsigned index;
    int fd; /* of the file that exists, for what is no call of its own */
    unsigned calls;
    char existing[NAME_MAX_LEN];
    char next[NAME_MAX_LEN];
    struct statx stat;
};

static struct lane lanes[COUNT_MAX];
static int64_t end_ns;

static void prepare_lane(struct lane *lane) {
    lane->index = (unsigned)(lane - lanes);
    snprintf(lane->existing, sizeof lane->existing, "%s/%u", load.folder, lane->index);
    lane->fd = open(lane->existing, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (lane->fd < 0) {
        die(lane->existing, errno);
    }
}

/* What goes before each call. */
static void prepare_call(struct lane *lane) {
    static const char page[4096];
    if (load.kind == CREATE) {
        snprintf(lane->next, sizeof lane->next, "%s/%u-%u", load.folder, lane->index, lane->calls);
    } else if (load.kind == FSYNC && pwrite(lane->fd, page, sizeof page, 0) < 0) {
        die("pwrite", errno);
    }
}

static void check(int64_t result) {
    if (result < 0) {
        die("call", (int)-result);
    }
}

/* ---- eddy's threads -------------------------------------------------------------------------- */

static int64_t call_often(void *arg) {
    struct lane *lane = &lanes[*(const unsigned *)arg];
    eddy_stream *file;
    eddy_stat stat;
    check(eddy_file_open(lane->existing, EDDY_FILE_WRITE, 0, &file));
    while (now_ns() < end_ns) {
        eddy_stream *created;
        prepare_call(lane);
        switch (load.kind) {
        case STATX:
            check(eddy_stat_path(lane->existing, 0, &stat));
            break;
        case CREATE:
            check(eddy_file_open(lane->next, EDDY_FILE_WRITE | EDDY_FILE_CREATE, 0, &created));
            eddy_stream_close(created);
            break;
        default:
            check(eddy_file_sync(file, false));
            break;
        }
        lane->calls++;
    }
    eddy_stream_close(file);
    return 0;
}

static int64_t app(void *arg) {
    (void)arg;
    eddy_scope scope;
    check(eddy_scope_enter(&scope, NULL));
    for (unsigned i = 0; i < load.count; i++) {
        check(eddy_spawn(call_often, &i, sizeof i));
    }
    return eddy_scope_leave(&scope, 0);
}

/* ---- the kernel's threads -------------------------------------------------------------------- */

static void queue_call(struct lane *lane) {
    struct io_uring_sqe *sqe = next_sqe();
    prepare_call(lane);
    switch (load.kind) {
    case STATX:
        io_uring_prep_statx(sqe, AT_FDCWD, lane->existing, 0, STATX_BASIC_STATS, &lane->stat);
        break;
    case CREATE:
        io_uring_prep_openat(sqe, AT_FDCWD, lane->next, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        break;
    default:
        io_uring_prep_fsync(sqe, lane->fd, 0);
        break;
    }
    io_uring_sqe_set_data(sqe, lane);
}

static void ask_ring(void) {
    unsigned under_way = load.count;
    start_ring();
    for (unsigned i = 0; i < load.count; i++) {
        queue_call(&lanes[i]);
    }
    while (under_way > 0) {
        struct io_uring_cqe *cqe;
        io_uring_submit_and_wait(&ring, 1);
        while (io_uring_peek_cqe(&ring, &cqe) == 0) {
            struct lane *lane = io_uring_cqe_get_data(cqe);
            check(cqe->res);
            if (load.kind == CREATE) {
                close(cqe->res);
            }
            io_uring_cqe_seen(&ring, cqe);
            lane->calls++;
            if (now_ns() < end_ns) {
                queue_call(lane);
            } else {
                under_way--;
            }
        }
    }
}

/* ---------------------------------------------------------------------------------------------- */

static int chosen(const char *name, const char *const *names, int count) {
    for (int i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return i;
        }
    }
    die(name, EINVAL);
}

int main(int argc, char **argv) {
    static const char *const kinds[] = {"statx", "create", "fsync"};
    static const char *const places[] = {"pool", "io_wq"};
    if (argc != 5) {
        fprintf(stderr, "usage: %s pool|io_wq statx|create|fsync COUNT FOLDER\n", argv[0]);
        return 2;
    }
    load.kind = (enum kind)chosen(argv[2], kinds, 3);
    load.count = (unsigned)strtoul(argv[3], NULL, 10);
    load.folder = argv[4];
    if (load.count == 0 || load.count > COUNT_MAX) {
        die(argv[3], EINVAL);
    }
    for (unsigned i = 0; i < load.count; i++) {
        prepare_lane(&lanes[i]);
    }
    int64_t begin_ns = now_ns();
    end_ns = begin_ns + DURATION_NS;
    if (chosen(argv[1], places, 2) == 0) {
        check(eddy_main(app, NULL, &(eddy_opts){.loops = 1}));
    } else {
        ask_ring();
    }
    int64_t taken_ns = now_ns() - begin_ns;
    unsigned calls = 0;
    for (unsigned i = 0; i < load.count; i++) {
        calls += lanes[i].calls;
    }
    printf("per_s %.0f\n", calls * 1e9 / (double)taken_ns);
    printf("cpu_us %.3f\n", (double)own_cpu_ns() / 1e3 / calls);
    return 0;
}
