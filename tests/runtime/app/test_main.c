/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/app/main.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <eddy/futures/future.h>
#include <eddy/net/serve.h>
#include <eddy/net/tcp.h>
#include <eddy/runtime/app/notify.h>
#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/base/track.h>
#include <eddy/runtime/loop/group.h>
#include <eddy/runtime/sync/channel.h>
#include <eddy/runtime/task/scope.h>

#include "test.h"

/* ---- results --------------------------------------------------------------------------------- */

static int64_t give(void *arg) {
    CHECK_STR(eddy_task_name(), "main");
    return *(int64_t *)arg;
}

static int result_of(int64_t result) {
    return eddy_main(give, &result, NULL);
}

/* What is printed to standard error meanwhile. */
static int saved_stderr;

static void catch_stderr(void) {
    char path[4096];
    fflush(stderr);
    snprintf(path, sizeof path, "%s/stderr", test_tmpdir());
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    CHECK_OK(fd);
    saved_stderr = fcntl(2, F_DUPFD_CLOEXEC, 10);
    CHECK_EQ(dup2(fd, 2), 2);
    close(fd);
}

static const char *caught_stderr(void) {
    static char text[1024];
    fflush(stderr);
    ssize_t n = pread(2, text, sizeof text - 1, 0);
    CHECK_EQ(dup2(saved_stderr, 2), 2);
    close(saved_stderr);
    CHECK_OK(n);
    text[n] = '\0';
    return text;
}

TEST(result_of_app_is_the_exit_status) {
    CHECK_EQ(result_of(0), 0);
    CHECK_EQ(result_of(7), 7);
    CHECK_EQ(result_of(255), 255);
    CHECK_EQ(result_of(256), 255);
    CHECK_EQ(result_of(INT64_MAX), 255);
}

TEST(failure_is_one_and_a_line_says_which) {
    catch_stderr();
    int status = result_of(-ENOENT);
    const char *text = caught_stderr();
    CHECK_EQ(status, 1);
    char wanted[256];
    snprintf(wanted, sizeof wanted, "%s: %s (ENOENT)\n", program_invocation_short_name,
             eddy_error_text(-ENOENT));
    CHECK_STR(text, wanted);
}

static int64_t fail_with_detail(void *arg) {
    eddy_address address;
    int64_t r = eddy_address_parse("nonsense", &address);
    return arg == NULL ? r : -EIO; /* another failure than the one that has the sentence */
}

TEST(detail_of_the_failure_is_said_and_no_older_one) {
    catch_stderr();
    CHECK_EQ(eddy_main(fail_with_detail, NULL, NULL), 1);
    CHECK(strstr(caught_stderr(), "address \"nonsense\": the port is missing") != NULL);
    catch_stderr();
    CHECK_EQ(eddy_main(fail_with_detail, &saved_stderr, NULL), 1);
    CHECK(strstr(caught_stderr(), "nonsense") == NULL);
}

static int64_t fails_alone(void *arg) {
    char name[] = "careless";
    eddy_task_name_set(arg == NULL ? "" : name);
    return -EIO;
}

enum { UNOBSERVED_LINE = __LINE__ + 3 };
static int64_t looks_at_nothing(void *named) {
    for (int i = 0; i < 2; i++) {
        eddy_task_start(fails_alone, i == 0 ? NULL : named, 0);
    }
    return eddy_sleep(EDDY_MS);
}

TEST(failure_that_nobody_looked_at_is_said) {
    char wanted[1024];
    catch_stderr();
    int status = eddy_main(looks_at_nothing, &saved_stderr, NULL);
    const char *text = caught_stderr();
    CHECK_EQ(status, 0);
    snprintf(wanted, sizeof wanted,
             "%s: a task or future (started at %s:%d) failed, and nobody looked: %s (EIO)\n"
             "%s: task \"careless\" (started at %s:%d) failed, and nobody looked: %s (EIO)\n",
             program_invocation_short_name, __FILE__, UNOBSERVED_LINE, eddy_error_text(-EIO),
             program_invocation_short_name, __FILE__, UNOBSERVED_LINE, eddy_error_text(-EIO));
    CHECK_STR(text, wanted);
}

static int unobserved;

static void count_unobserved(int64_t error, const char *site, const char *name, void *ctx) {
    (void)site;
    (void)name;
    (void)ctx;
    unobserved += error == -EIO;
}

TEST(program_that_hears_of_unobserved_failures_itself_says_what_it_likes) {
    eddy_loop_opts opts = {.on_unobserved = count_unobserved};
    catch_stderr();
    unobserved = 0;
    int status = eddy_main(looks_at_nothing, NULL, &(eddy_opts){.loop = &opts});
    CHECK_STR(caught_stderr(), "");
    CHECK_EQ(status, 0);
    CHECK_EQ(unobserved, 2);
}

static int64_t spawns_who_fails(void *arg) {
    eddy_spawn(fails_alone, arg, 0);
    return eddy_sleep(EDDY_NEVER);
}

TEST(failure_of_what_app_spawned_is_the_programs) {
    char wanted[256];
    catch_stderr();
    int status = eddy_main(spawns_who_fails, NULL, NULL);
    const char *text = caught_stderr();
    CHECK_EQ(status, 1);
    snprintf(wanted, sizeof wanted, "%s: %s (EIO)\n", program_invocation_short_name,
             eddy_error_text(-EIO));
    CHECK_STR(text, wanted);
}

static int64_t fails_elsewhere(void *arg) {
    eddy_loop_group *group = eddy_loop_group_current();
    (void)arg;
    eddy_loop *last = eddy_loop_group_loop(group, eddy_loop_group_count(group) - 1);
    eddy_future *future = eddy_task_start_on(last, fails_alone, NULL, 0);
    while (!eddy_future_done(future)) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
    return 0;
}

TEST(failure_on_another_loop_is_said_too) {
    catch_stderr();
    int status = eddy_main(fails_elsewhere, NULL, &(eddy_opts){.loops = 2});
    const char *text = caught_stderr();
    CHECK_EQ(status, 0);
    CHECK(strstr(text, "failed, and nobody looked") != NULL);
}

TEST(without_a_loop_it_says_why_and_returns_seventy) {
    catch_stderr();
    int64_t zero = 0;
    const eddy_loop_opts steam = {.driver = "steam"};
    CHECK_EQ(eddy_main(give, &zero, &(eddy_opts){.loop = &steam}), 70);
    CHECK(strstr(caught_stderr(), "(EDDY_EDRIVER)") != NULL);
    catch_stderr();
    CHECK_EQ(eddy_main(NULL, NULL, NULL), 70);
    CHECK_EQ(eddy_main(give, &zero, &(eddy_opts){.size = sizeof(eddy_opts) - 8}), 70);
    CHECK(strstr(caught_stderr(), "(EINVAL)") != NULL);
}

static int64_t forget(void *arg) {
    return eddy_channel_new(1, 1, arg);
}

TEST(forgotten_objects_are_a_line_each_and_what_was_there_before_is_none) {
    if (eddy_track_each(NULL, NULL) == -ENOTSUP) {
        SKIP("the library was built without EDDY_TRACK");
    }
    eddy_channel *before;
    eddy_channel *forgotten;
    CHECK_OK(eddy_channel_new(1, 1, &before));
    catch_stderr();
    CHECK_EQ(eddy_main(forget, &forgotten, NULL), 0);
    const char *text = caught_stderr();
    char wanted[256];
    snprintf(wanted, sizeof wanted, "%s: forgotten: channel, made at forget+0x",
             program_invocation_short_name);
    CHECK_EQ(strncmp(text, wanted, strlen(wanted)), 0);
    const char *end = strchr(text, '\n');
    CHECK(end != NULL);
    CHECK_STR(end, "\n");
    CHECK_STR(end - strlen(" by task \"main\""), " by task \"main\"\n");
    eddy_channel_free(before);
    eddy_channel_free(forgotten);
}

/* ---- loops ----------------------------------------------------------------------------------- */

static int64_t count_loops(void *arg) {
    eddy_loop_group *group = eddy_loop_group_current();
    (void)arg;
    return group == NULL ? 0 : eddy_loop_group_count(group);
}

TEST(there_are_as_many_loops_as_asked_for) {
    bool simulation = strcmp(test_driver(), "sim") == 0;
    CHECK_EQ(eddy_main(count_loops, NULL, NULL), 0);
    CHECK_EQ(eddy_main(count_loops, NULL, &(eddy_opts){.loops = 1}), 0);
    CHECK_EQ(eddy_main(count_loops, NULL, &(eddy_opts){.loops = 3}), simulation ? 1 : 3);
    int cpus = eddy_main(count_loops, NULL, &(eddy_opts){.loops = EDDY_LOOPS_PER_CPU});
    CHECK(cpus >= 1 && cpus <= sysconf(_SC_NPROCESSORS_ONLN));
}

static _Atomic int ended;

static int64_t sleep_for_good(void *arg) {
    int64_t r = eddy_sleep(EDDY_NEVER);
    (void)arg;
    atomic_fetch_add(&ended, 1);
    return r;
}

static int64_t leave_tasks(void *arg) {
    eddy_loop_group *group = eddy_loop_group_current();
    (void)arg;
    CHECK_OK(eddy_spawn(sleep_for_good, NULL, 0));
    CHECK_OK(eddy_spawn_on(eddy_loop_group_loop(group, eddy_loop_group_count(group) - 1),
                           sleep_for_good, NULL, 0));
    CHECK_OK(eddy_yield());
    return 3;
}

TEST(tasks_left_by_app_are_cancelled_and_joined) {
    CHECK_EQ(eddy_main(leave_tasks, NULL, &(eddy_opts){.loops = 2}), 3);
    CHECK_EQ(atomic_load(&ended), 2);
}

static int64_t stop_the_loop(void *arg) {
    (void)arg;
    eddy_loop_stop(eddy_loop_current());
    return eddy_sleep(EDDY_NEVER);
}

TEST(stop_of_the_loop_cancels_app) {
    catch_stderr();
    CHECK_EQ(eddy_main(stop_the_loop, NULL, NULL), 1);
    CHECK(strstr(caught_stderr(), "(ECANCELED)") != NULL);
}

static int64_t inside(void *arg) {
    (void)arg;
    int64_t zero = 0;
    catch_stderr();
    int status = eddy_main(give, &zero, NULL);
    CHECK(strstr(caught_stderr(), "(EDEADLK)") != NULL);
    return status;
}

TEST(it_does_not_run_inside_of_itself) {
    CHECK_EQ(eddy_main(inside, NULL, NULL), 70);
}

static int64_t main_once(void *arg) {
    int64_t zero = 0;
    catch_stderr();
    int status = eddy_main(give, &zero, arg);
    const char *text = caught_stderr();
    if (status == 0) {
        return 0;
    }
    /* EDDY_EDRIVER: a driver that was asked for by name did not start, for want of memory. */
    CHECK(strstr(text, "(ENOMEM)") != NULL || strstr(text, "(EDDY_EDRIVER)") != NULL);
    return -ENOMEM;
}

TEST(it_survives_every_allocation_that_fails) {
    eddy_opts opts = {.loops = 2};
    CHECK(test_each_allocation_fails(main_once, &opts) > 5);
}

/* ---- signals --------------------------------------------------------------------------------- */

static bool simulation(void) {
    return strcmp(test_driver(), "sim") == 0;
}

/* Runs `body` in a child process; its wait status. */
static int status_of(int (*body)(void *arg), void *arg) {
    fflush(NULL);
    pid_t pid = fork();
    CHECK_OK(pid);
    if (pid == 0) {
        int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(fd, 2);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        _exit(body(arg));
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static int64_t send_and_sleep(void *arg) {
    CHECK_EQ(kill(getpid(), *(int *)arg), 0);
    return eddy_sleep(EDDY_NEVER);
}

static int main_that_signals(void *number) {
    return eddy_main(send_and_sleep, number, NULL);
}

TEST(signal_cancels_an_app_without_servers) {
    int numbers[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        int status = status_of(main_that_signals, &numbers[i]);
        if (simulation()) { /* where signals do what they always do */
            CHECK(WIFSIGNALED(status));
            CHECK_EQ(WTERMSIG(status), numbers[i]);
        } else {
            CHECK(WIFEXITED(status));
            CHECK_EQ(WEXITSTATUS(status), 128 + numbers[i]);
        }
    }
}

static int64_t take_no_notice(void *arg) {
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, &(eddy_scope_opts){.shield = true}));
    for (int i = 0; i < *(int *)arg; i++) {
        CHECK_EQ(kill(getpid(), SIGINT), 0);
        CHECK_OK(eddy_sleep(50 * EDDY_MS));
    }
    return eddy_scope_leave(&scope, 42);
}

static int main_that_takes_no_notice(void *times) {
    return eddy_main(take_no_notice, times, NULL);
}

TEST(third_signal_does_what_it_does_to_any_program) {
    if (simulation()) {
        return;
    }
    int times = 2;
    int status = status_of(main_that_takes_no_notice, &times);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 42);
    times = 3;
    status = status_of(main_that_takes_no_notice, &times);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGINT);
}

static int main_with_signals_kept(void *number) {
    return eddy_main(send_and_sleep, number, &(eddy_opts){.keep_signals = true});
}

static int main_with_signals_ignored(void *arg) {
    int64_t zero = 0;
    signal(SIGINT, SIG_IGN);
    (void)arg;
    /* Sent, and nobody takes notice. */
    int status = eddy_main(take_no_notice, &(int){3}, NULL);
    return status == 42 ? eddy_main(give, &zero, NULL) : 1;
}

TEST(signals_of_others_are_left_alone) {
    int number = SIGTERM;
    int status = status_of(main_with_signals_kept, &number);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGTERM);
    status = status_of(main_with_signals_ignored, NULL);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

TEST(nothing_of_the_process_is_changed_afterwards) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGSEGV, SIGBUS, SIGPIPE, SIGCHLD};
    sigset_t before;
    sigset_t after;
    struct sigaction actions[6];
    stack_t stack_before;
    stack_t stack_after;
    sigaltstack(NULL, &stack_before);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    for (int i = 0; i < 6; i++) {
        sigaction(numbers[i], NULL, &actions[i]);
    }
    CHECK_EQ(eddy_main(count_loops, NULL, &(eddy_opts){.loops = 2}), simulation() ? 1 : 2);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < NSIG; number++) {
        CHECK_EQ(sigismember(&before, number), sigismember(&after, number));
    }
    for (int i = 0; i < 6; i++) {
        struct sigaction action;
        sigaction(numbers[i], NULL, &action);
        CHECK(action.sa_handler == actions[i].sa_handler);
    }
    sigaltstack(NULL, &stack_after);
    CHECK_PTR_EQ(stack_after.ss_sp, stack_before.ss_sp);
    CHECK_EQ(stack_after.ss_flags, stack_before.ss_flags);
}

/* ---- servers --------------------------------------------------------------------------------- */

static int64_t echo(eddy_stream *peer, void *arg) {
    char buf[64];
    int64_t n;
    (void)arg;
    while ((n = eddy_stream_read(peer, buf, sizeof buf)) > 0) {
        if ((n = eddy_stream_write(peer, buf, (size_t)n)) < 0) {
            break;
        }
    }
    return n;
}

static eddy_address server_address;
static _Atomic bool listening;

static int64_t serve_here(void *arg) {
    eddy_listener *listener;
    (void)arg;
    CHECK_OK(eddy_tcp_listen("127.0.0.1:0", NULL, &listener));
    server_address = eddy_listener_address(listener);
    atomic_store(&listening, true);
    return eddy_serve(listener, echo, NULL, &(eddy_serve_opts){.one_loop = true});
}

static void wait_until_served(void) {
    char text[EDDY_ADDRESS_TEXT_MAX];
    char byte = 'x';
    eddy_stream *stream;
    while (!atomic_load(&listening)) {
        CHECK_OK(eddy_sleep(EDDY_MS));
    }
    CHECK_OK(eddy_address_format(&server_address, text, sizeof text));
    CHECK_OK(eddy_tcp_connect(text, NULL, &stream));
    CHECK_OK(eddy_stream_write(stream, &byte, 1));
    CHECK_EQ(eddy_stream_read(stream, &byte, 1), 1);
    CHECK_OK(eddy_stream_close(stream));
}

/* Signals once it serves: a server on another loop drains as well. */
static int64_t serve_elsewhere(void *arg) {
    eddy_loop_group *group = eddy_loop_group_current();
    eddy_scope scope;
    (void)arg;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn_on(eddy_loop_group_loop(group, 1), serve_here, NULL, 0));
    wait_until_served();
    CHECK_EQ(kill(getpid(), SIGTERM), 0);
    return eddy_scope_leave(&scope, 9);
}

static int main_that_serves_elsewhere(void *arg) {
    (void)arg;
    return eddy_main(serve_elsewhere, NULL, &(eddy_opts){.loops = 2});
}

TEST(signal_drains_the_servers_of_all_loops) {
    if (simulation()) {
        return;
    }
    int status = status_of(main_that_serves_elsewhere, NULL);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 9); /* was not cancelled */
}

static int64_t drain_soon(void *arg) {
    (void)arg;
    CHECK_OK(eddy_sleep(10 * EDDY_MS));
    return eddy_loop_drain(eddy_loop_current());
}

static int64_t serve_and_drain(void *arg) {
    CHECK_OK(eddy_spawn(drain_soon, NULL, 0));
    return serve_here(arg);
}

TEST(drain_by_the_program_itself_needs_no_signal) {
    CHECK_EQ(eddy_main(serve_and_drain, NULL, NULL), 0);
}

/* ---- the service manager --------------------------------------------------------------------- */

static const char *abstract_name(void) {
    return test_unix_name() + strlen("unix:");
}

static int manager_socket(const char *value) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    size_t len = strlen(value);
    CHECK_OK(fd);
    memcpy(un.sun_path, value, len);
    if (value[0] == '@') {
        un.sun_path[0] = '\0';
    }
    CHECK_EQ(
        bind(fd, (struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
        0);
    CHECK_EQ(setenv("NOTIFY_SOCKET", value, 1), 0);
    return fd;
}

static void check_told(int fd, const char *wanted) {
    char text[64];
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    CHECK_OK(n);
    text[n] = '\0';
    CHECK_STR(text, wanted);
}

TEST(notify_tells_the_manager_that_is_named) {
    char path[100];
    unsetenv("NOTIFY_SOCKET");
    CHECK_EQ(eddy_notify("READY=1"), 0);
    CHECK_ERR(eddy_notify(NULL), -EINVAL);
    setenv("NOTIFY_SOCKET", "", 1);
    CHECK_EQ(eddy_notify("READY=1"), 0);
    setenv("NOTIFY_SOCKET", "relative", 1);
    CHECK_ERR(eddy_notify("READY=1"), -EINVAL);
    setenv("NOTIFY_SOCKET", "/", 1);
    CHECK_ERR(eddy_notify("READY=1"), -EINVAL);
    setenv("NOTIFY_SOCKET", "/no/such/socket", 1);
    CHECK_ERR(eddy_notify("READY=1"), -ENOENT);
    snprintf(path, sizeof path, "%s/notify", test_tmpdir());
    const char *values[] = {path, abstract_name()};
    for (int i = 0; i < 2; i++) {
        int fd = manager_socket(values[i]);
        CHECK_EQ(eddy_notify("STATUS=fine"), 1);
        check_told(fd, "STATUS=fine");
        close(fd);
    }
}

TEST(manager_hears_when_the_first_server_starts) {
    int fd = manager_socket(abstract_name());
    char byte;
    int64_t zero = 0;
    CHECK_EQ(eddy_main(serve_and_drain, NULL, NULL), 0);
    CHECK_EQ(recv(fd, &byte, 1, 0), -1); /* was not asked for */
    CHECK_EQ(eddy_main(give, &zero, &(eddy_opts){.notify = true}), 0);
    CHECK_EQ(recv(fd, &byte, 1, 0), -1); /* nothing serves */
    CHECK_EQ(eddy_main(serve_and_drain, NULL, &(eddy_opts){.notify = true}), 0);
    check_told(fd, "READY=1");
    CHECK_EQ(recv(fd, &byte, 1, 0), -1);
    close(fd);
}

static int main_that_notifies(void *number) {
    return eddy_main(send_and_sleep, number, &(eddy_opts){.notify = true});
}

TEST(manager_hears_of_a_signal) {
    if (simulation()) {
        return;
    }
    int fd = manager_socket(abstract_name());
    int number = SIGTERM;
    CHECK_EQ(WEXITSTATUS(status_of(main_that_notifies, &number)), 128 + SIGTERM);
    check_told(fd, "STOPPING=1");
    close(fd);
}

/* ---- overflows ------------------------------------------------------------------------------- */

static int64_t dig(void *arg);
static int64_t (*volatile deeper)(void *arg) = dig; /* so that no compiler sees where it ends */

static int64_t dig(void *arg) {
    char room[4096];
    eddy_task_name_set("digger");
    snprintf(room, sizeof room, "%p", arg);
    return deeper(room) + room[0];
}

static int64_t dig_elsewhere(void *arg) {
    eddy_loop_group *group = eddy_loop_group_current();
    unsigned last = group == NULL ? 0 : eddy_loop_group_count(group) - 1;
    eddy_scope scope;
    CHECK_OK(eddy_scope_enter(&scope, NULL));
    CHECK_OK(eddy_spawn_on(group == NULL ? NULL : eddy_loop_group_loop(group, last), dig, arg, 0));
    return eddy_scope_leave(&scope, 0);
}

static int report_fd;

static int main_that_digs(void *loops) {
    dup2(report_fd, 2);
    return eddy_main(dig_elsewhere, NULL, &(eddy_opts){.loops = *(unsigned *)loops});
}

TEST(overflow_is_reported_by_name_on_every_loop) {
    if (test_is_slow()) {
        return; /* a sanitizer has its own report */
    }
    for (unsigned loops = 1; loops <= 2; loops++) {
        int fds[2];
        char text[512];
        CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
        report_fd = fds[1];
        int status = status_of(main_that_digs, &loops);
        close(fds[1]);
        ssize_t n = read(fds[0], text, sizeof text - 1);
        close(fds[0]);
        CHECK(WIFSIGNALED(status));
        CHECK(n > 0);
        text[n] = '\0';
        CHECK(strstr(text, "eddy: stack overflow in task \"digger\"") != NULL);
    }
}
