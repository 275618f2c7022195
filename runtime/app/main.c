/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/app/main.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <eddy/runtime/app/notify_impl.h>
#include <eddy/runtime/base/detail_impl.h>
#include <eddy/runtime/loop/group.h>
#include <eddy/runtime/task/overflow_impl.h>
#include <eddy/runtime/task/task_impl.h>

#define EXIT_NO_LOOP 70 /* EX_SOFTWARE of sysexits.h */

struct program {
    eddy_task_fn app;
    void *arg;
    eddy_opts opts;
    eddy_loop *loop;
    eddy_loop_group *group;
    sigset_t signals;   /* SIGINT and SIGTERM */
    sigset_t old_mask;
    int signal_fd;      /* -1: signals are not ours */
    int caught;         /* the last signal that came, or 0 */
    eddy_future *main;  /* app's task */
    int64_t result;
    char detail[EDDYI_DETAIL_MAX]; /* app's last one */
};

/* ---- signals --------------------------------------------------------------------------------- */

static void die_of(const struct program *program) {
    pthread_sigmask(SIG_SETMASK, &program->old_mask, NULL);
    kill(getpid(), program->caught);
}

static void on_signal(struct program *program, int times) {
    if (program->opts.notify) {
        eddyi_notify("STOPPING=1");
    }
    if (times > 2) {
        die_of(program);
    } else if (times > 1 || eddy_loop_drain(program->loop) == 0) {
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
        r = eddyi_task_op(task, &op, "signal", false);
        struct signalfd_siginfo info;
        while (r >= 0 && read(program->signal_fd, &info, sizeof info) == sizeof info) {
            program->caught = (int)info.ssi_signo;
            on_signal(program, ++times);
        }
    }
    program->signal_fd = -1;
    eddyi_handle_close(task->loop, &handle);
    return 0;
}

/* The simulation has no signals: there, they do what they do to any program. */
static bool wants_signals(const struct program *program) {
    return !program->opts.keep_signals && strcmp(eddy_loop_driver(program->loop), "sim") != 0;
}

/* Before any thread of ours starts, so that all of them have the signals blocked. */
static int block_signals(struct program *program) {
    sigemptyset(&program->signals);
    sigaddset(&program->signals, SIGINT);
    sigaddset(&program->signals, SIGTERM);
    int r = -pthread_sigmask(SIG_BLOCK, &program->signals, &program->old_mask);
    if (r < 0) {
        return r;
    }
    program->signal_fd = signalfd(-1, &program->signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (program->signal_fd < 0) {
        r = -errno;
        pthread_sigmask(SIG_SETMASK, &program->old_mask, NULL);
    }
    return r;
}

/* ---- the main task --------------------------------------------------------------------------- */

static int64_t run_app(void *arg) {
    struct program *program = *(struct program **)arg;
    eddy_task_name_set("main");
    if (program->opts.notify) {
        eddyi_notify("READY=1");
    }
    int64_t r = program->app(program->arg);
    /* The sentence behind a failure is the task's own, which ends here. */
    snprintf(program->detail, sizeof program->detail, "%s", eddy_error_detail());
    return r;
}

static int64_t run_program(void *arg) {
    struct program *program = arg;
    eddy_scope scope;
    int64_t r = eddy_scope_enter(&scope, NULL);
    if (r < 0) {
        return r;
    }
    program->main = eddy_task_start(run_app, &program, sizeof program);
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

/* ---- around it ------------------------------------------------------------------------------- */

static int make_loops(struct program *program) {
    int r = eddy_loop_new(&program->opts.loop, &program->loop);
    if (r == 0 && wants_signals(program)) {
        r = block_signals(program);
    }
    if (r == 0 && program->opts.loops > 1) {
        unsigned count = program->opts.loops == EDDY_LOOPS_PER_CPU ? 0 : program->opts.loops;
        r = eddy_loop_group_new(program->loop, count, &program->group);
    }
    return r;
}

static void say(const char *what, int64_t error, const char *detail) {
    fprintf(stderr, "%s: %s (%s)%s%s\n", what, eddy_error_text(error), eddy_error_name(error),
            detail[0] == '\0' ? "" : ": ", detail);
}

static int exit_status(const struct program *program) {
    int64_t r = program->result;
    if (r >= 0) {
        return r > 255 ? 255 : (int)r;
    }
    if (r == -ECANCELED && program->caught != 0) {
        return 128 + program->caught;
    }
    say("eddy", r, program->detail);
    return 1;
}

int eddy_main(eddy_task_fn app, void *arg, const eddy_opts *opts) {
    struct program program = {.app = app, .arg = arg, .signal_fd = -1};
    if (opts != NULL) {
        memcpy(&program.opts, opts, opts->size == 0 || opts->size > sizeof *opts ? sizeof *opts
                                                                                  : opts->size);
    }
    int status = EXIT_NO_LOOP;
    int r = make_loops(&program);
    if (r == 0) {
        int overflow = eddyi_overflow_install();
        program.result = eddy_loop_call(program.loop, run_program, &program);
        if (overflow == 0) {
            eddyi_overflow_uninstall();
        }
        status = exit_status(&program);
    } else {
        say("eddy: no loop could be made", r, eddy_error_detail());
    }
    bool signals = program.loop != NULL && wants_signals(&program);
    eddy_loop_group_free(program.group);
    eddy_loop_free(program.loop);
    if (program.signal_fd >= 0) {
        close(program.signal_fd);
    }
    if (signals) {
        pthread_sigmask(SIG_SETMASK, &program.old_mask, NULL);
    }
    return status;
}
