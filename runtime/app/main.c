/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/app/main.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <eddy/runtime/app/notify.h>
#include <eddy/runtime/base/detail_impl.h>
#include <eddy/runtime/base/opts_impl.h>
#include <eddy/runtime/loop/group.h>
#include <eddy/runtime/task/overflow_impl.h>
#include <eddy/runtime/task/scope.h>
#include <eddy/runtime/task/task_impl.h>

#define EXIT_NO_LOOP 70 /* EX_SOFTWARE of sysexits.h */

struct program {
    eddy_task_fn app;
    void *arg;
    eddy_opts opts;
    eddy_loop *loop;
    eddy_loop_group *group;
    eddy_track_fn on_forgotten; /* as its loops have it, and when they are gone */
    void *ctx;
    sigset_t signals; /* of SIGINT and SIGTERM those that are ours */
    sigset_t old_mask;
    int signal_fd;     /* -1: none is */
    int caught;        /* the last signal that came, or 0 */
    eddy_future *main; /* app's task */
    int64_t result;
    char detail[EDDYI_DETAIL_MAX]; /* the sentence behind app's failure, or "" */
};

/* ---- signals --------------------------------------------------------------------------------- */

/* As if it had come without us. When it is caught by somebody else we go on. */
static void die_of(const struct program *program, int number) {
    pthread_sigmask(SIG_SETMASK, &program->old_mask, NULL);
    kill(getpid(), number);
    pthread_sigmask(SIG_BLOCK, &program->signals, NULL);
}

/* On each loop: how many servers drain there. */
static int64_t drain_here(void *arg) {
    _Atomic int *servers = arg;
    int r = eddy_loop_drain(eddy_loop_current());
    atomic_fetch_add(servers, r < 0 ? 0 : r);
    return 0;
}

/* A task of its own, so that the next signal is seen while another loop takes its time. */
static int64_t stop_gracefully(void *arg) {
    struct program *program = *(struct program **)arg;
    _Atomic int servers = 0;
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, NULL);
    if (r < 0) {
        return r;
    }
    drain_here(&servers);
    unsigned count = program->group == NULL ? 1 : eddy_loop_group_count(program->group);
    for (unsigned i = 1; i < count && r == 0; i++) {
        r = eddy_spawn_on(eddy_loop_group_loop(program->group, i), drain_here, &servers, 0);
    }
    r = eddy_scope_leave(&scope, r);
    if (r < 0 || atomic_load(&servers) == 0) {
        eddyi_cell_cancel(program->main, -ECANCELED);
    }
    return 0;
}

static void on_signal(struct program *program, int number, int times) {
    program->caught = number;
    if (times == 1 && program->opts.notify) {
        eddy_notify("STOPPING=1");
    }
    if (times > 2) {
        die_of(program, number);
    } else if (times > 1 || eddy_spawn(stop_gracefully, &program, sizeof program) < 0) {
        eddyi_cell_cancel(program->main, -ECANCELED);
    }
}

/* A task beside app: waits for signals until app has ended and its scope is cancelled. */
static int64_t watch_signals(void *arg) {
    struct program *program = *(struct program **)arg;
    eddy_task *task = eddyi_task_here;
    struct eddyi_handle handle;
    eddyi_handle_init(&handle, program->signal_fd, EDDYI_HANDLE_POLLABLE);
    int64_t r = 0;
    for (int times = 0; r >= 0;) {
        struct eddyi_op op = {.kind = EDDYI_OP_POLL, .flags = POLLIN, .handle = &handle};
        r = eddyi_task_checkpoint(task); /* app may have ended before this began */
        r = r < 0 ? r : eddyi_task_op(task, &op, "signal", false);
        struct signalfd_siginfo info;
        while (r >= 0 && read(program->signal_fd, &info, sizeof info) == sizeof info) {
            on_signal(program, (int)info.ssi_signo, ++times);
        }
    }
    struct signalfd_siginfo late;
    while (program->caught != 0 && read(program->signal_fd, &late, sizeof late) == sizeof late) {
        /* One more of those to which the program has just ended. */
    }
    program->signal_fd = -1;
    eddyi_handle_close(task->loop, &handle);
    return 0;
}

/* The simulation has no signals: there, they do what they do to any program. */
static bool wants_signals(const struct program *program) {
    return !program->opts.keep_signals && strcmp(eddy_loop_driver(program->loop), "sim") != 0;
}

/* One that is ignored stays so: of nohup, or of a shell that runs us in the background. */
static void take_unless_ignored(struct program *program, int number) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 &&
        ((action.sa_flags & SA_SIGINFO) != 0 || action.sa_handler != SIG_IGN)) {
        sigaddset(&program->signals, number);
    }
}

/* Before any thread of ours starts, so that all of them have the signals blocked. */
static int block_signals(struct program *program) {
    take_unless_ignored(program, SIGINT);
    take_unless_ignored(program, SIGTERM);
    int r = -pthread_sigmask(SIG_BLOCK, &program->signals, NULL);
    if (r < 0) {
        return r;
    }
    program->signal_fd = signalfd(-1, &program->signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return program->signal_fd < 0 ? -errno : 0;
}

/* ---- the main task --------------------------------------------------------------------------- */

static void say_ready(eddy_loop *loop) {
    loop->on_serving = NULL;
    eddy_notify("READY=1");
}

static int64_t run_app(void *arg) {
    struct program *program = *(struct program **)arg;
    eddy_task_name_set("main");
    int64_t r = program->app(program->arg);
    /* The sentence behind a failure is the task's own, which ends here. */
    const struct eddyi_detail *detail =
        eddyi_detail_of_task == NULL ? NULL : eddyi_detail_of_task(false);
    if (r < 0 && detail != NULL && detail->error == r) {
        memcpy(program->detail, detail->text, sizeof program->detail);
    }
    return r;
}

static int64_t run_program(void *arg) {
    struct program *program = arg;
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, NULL);
    if (r < 0) {
        return r;
    }
    /* No site: the line would be this one, where nobody looks for app. */
    program->main = eddy_task_start_from(NULL, NULL, run_app, &program, sizeof program);
    if (program->signal_fd >= 0) {
        r = eddy_spawn(watch_signals, &program, sizeof program);
    }
    if (r == 0) {
        /* A stop of the loop cancels this task; app is waited for all the same. */
        r = eddyi_task_await(eddyi_task_here, program->main);
        if (r < 0) {
            eddyi_cell_cancel(program->main, (int)r);
            eddyi_task_await_uncancelled(eddyi_task_here, program->main);
        }
        r = eddyi_cell_observe(program->main);
    }
    eddy_scope_cancel(&scope);
    eddy_scope_leave(&scope, 0);
    return r;
}

/* ---- failures that nobody looked at, and what was forgotten ---------------------------------- */

/* One call of stdio for a line, because the loops of a group may speak at the same time. */
static void say_unobserved(int64_t error, const char *site, const char *name, void *ctx) {
    bool named = name != NULL && name[0] != '\0';
    (void)ctx;
    fprintf(stderr, "%s: %s%s%s%s%s%s failed, and nobody looked: %s (%s)\n",
            program_invocation_short_name, named ? "task \"" : "a task or future",
            named ? name : "", named ? "\"" : "", site != NULL ? " (started at " : "",
            site != NULL ? site : "", site != NULL ? ")" : "", eddy_error_text(error),
            eddy_error_name(error));
}

static void say_forgotten(const char *kind, const char *place, const char *task, void *ctx) {
    (void)ctx;
    fprintf(stderr, "%s: forgotten: %s, made at %s%s%s%s\n", program_invocation_short_name, kind,
            place, task == NULL ? "" : " by task \"", task == NULL ? "" : task,
            task == NULL ? "" : "\"");
}

/* What is not set goes to standard error; for the other loops too, which are made alike. */
static void take_reports(struct program *program, eddy_loop_opts *opts) {
    if (opts->on_unobserved == NULL) {
        opts->on_unobserved = say_unobserved;
    }
    if (opts->on_forgotten == NULL) {
        opts->on_forgotten = say_forgotten;
    }
    program->on_forgotten = opts->on_forgotten;
    program->ctx = opts->ctx;
}

/* ---- around it ------------------------------------------------------------------------------- */

static int read_opts(struct program *program, const eddy_opts *opts) {
    if (eddyi_loop_here != NULL) {
        return -EDEADLK;
    }
    return program->app == NULL ? -EINVAL : EDDYI_OPTS_READ(&program->opts, opts, notify);
}

static int make_loops(struct program *program, const eddy_opts *opts) {
    int r = read_opts(program, opts);
    r = r < 0 ? r : eddy_loop_new(program->opts.loop, &program->loop);
    if (r == 0) {
        take_reports(program, &program->loop->opts);
    }
    if (r == 0 && wants_signals(program)) {
        r = block_signals(program);
    }
    if (r == 0 && program->opts.notify) {
        program->loop->on_serving = say_ready;
    }
    if (r == 0 && program->opts.loops > 1) {
        unsigned count = program->opts.loops == EDDY_LOOPS_PER_CPU ? 0 : program->opts.loops;
        program->loop->thread_begin = eddyi_overflow_install;
        program->loop->thread_end = eddyi_overflow_uninstall;
        r = eddy_loop_group_new(program->loop, count, &program->group);
    }
    return r;
}

static void say(const char *what, int64_t error, const char *detail) {
    fprintf(stderr, "%s: %s%s (%s)%s%s\n", program_invocation_short_name, what,
            eddy_error_text(error), eddy_error_name(error), detail[0] == '\0' ? "" : ": ", detail);
}

static int exit_status(const struct program *program) {
    int64_t r = program->result;
    if (r >= 0) {
        return r > 255 ? 255 : (int)r;
    }
    if (r == -ECANCELED && program->caught != 0) {
        return 128 + program->caught;
    }
    say("", r, program->detail);
    return 1;
}

int eddy_main(eddy_task_fn app, void *arg, const eddy_opts *opts) {
    struct program program = {.app = app, .arg = arg, .signal_fd = -1};
    int status = EXIT_NO_LOOP;
    uint64_t before = eddyi_track_last();
    sigemptyset(&program.signals);
    pthread_sigmask(SIG_SETMASK, NULL, &program.old_mask);
    int r = make_loops(&program, opts);
    if (r == 0) {
        int overflow = eddyi_overflow_install();
        program.result = eddy_loop_call(program.loop, run_program, &program);
        status = exit_status(&program);
        eddy_loop_group_free(program.group);
        program.group = NULL;
        if (overflow == 0) {
            eddyi_overflow_uninstall();
        }
    } else {
        say("no loop could be made: ", r, r == EDDY_EDRIVER ? eddy_error_detail() : "");
    }
    eddy_loop_free(program.loop);
    /* What was there before is a business of whoever called. */
    eddyi_track_report(NULL, before, program.on_forgotten, program.ctx);
    if (program.signal_fd >= 0) {
        close(program.signal_fd);
    }
    pthread_sigmask(SIG_SETMASK, &program.old_mask, NULL);
    return status;
}
