/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <eddy/runtime/base/memory.h>
#include <eddy/runtime/task/fiber_impl.h>
#include <eddy/runtime/task/overflow_impl.h>
#include <eddy/runtime/task/stack_impl.h>

#include "runtime/base/death.h"
#include "test.h"

/* --- a task that is none ---------------------------------------------------------------------- */

static _Thread_local struct eddyi_stack *running;
static _Thread_local struct eddyi_fiber here;
static _Thread_local struct eddyi_fiber fiber;
static struct eddyi_overflow_facts facts = {"import", "load.c:42", 256 * 1024, false};
static uint8_t guard = EDDYI_STACK_GUARD_REGION;

static bool describe(const void *fault, const void *sp, struct eddyi_overflow_facts *ret_facts) {
    enum eddyi_stack_fault blame =
        running == NULL ? EDDYI_STACK_FAULT_NONE : eddyi_stack_blame(running, fault, sp);
    if (blame == EDDYI_STACK_FAULT_NONE) {
        return false;
    }
    *ret_facts = facts;
    ret_facts->stray = blame == EDDYI_STACK_FAULT_STRAY;
    return true;
}

__attribute__((noinline)) static int descend(volatile int *levels) {
    volatile char block[200];
    block[0] = (char)*levels;
    *levels += 1;
    return *levels == 0 ? block[0] : descend(levels) + block[0];
}

static void recurse(void *arg) {
    int levels = 1;
    (void)arg;
    descend(&levels);
    eddyi_fiber_switch_last(&fiber, &here);
}

static volatile char *volatile nowhere = (volatile char *)8;

static void touch_null(void *arg) {
    (void)arg;
    *nowhere = 1;
    eddyi_fiber_switch_last(&fiber, &here);
}

static struct eddyi_stack *below; /* the neighbour's */

static void touch_neighbours_guard(void *arg) {
    (void)arg;
    ((volatile char *)below->low)[-1] = 1;
    eddyi_fiber_switch_last(&fiber, &here);
}

static void run_on_stack(void (*entry)(void *arg)) {
    struct eddyi_stack_pool pool;
    eddyi_stack_pool_init(&pool, 0);
    pool.guard = guard;
    CHECK_OK(eddyi_stack_get(&pool, &below));
    CHECK_OK(eddyi_stack_get(&pool, &running));
    eddyi_overflow_describe = describe;
    eddyi_fiber_init_thread(&here);
    eddyi_fiber_init(&fiber, running->low, running->size, entry, NULL);
    eddyi_fiber_switch(&here, &fiber);
    fputs("lived on\n", stderr);
}

/* --- checks ----------------------------------------------------------------------------------- */

/* As long as a sanitizer has not taken the signal before us, the process ends by it. */
static void check_ended_by(const struct death *death, int number) {
    struct sigaction before;
    CHECK_EQ(sigaction(number, NULL, &before), 0);
    CHECK(strstr(death->text, "lived on") == NULL);
    CHECK_EQ(death->signal, before.sa_handler == SIG_DFL ? number : 0);
}

/* An emulator adds a line of its own. */
static void check_begins(const struct death *death, const char *text) {
    CHECK_BYTES(death->text, strnlen(death->text, strlen(text)), text, strlen(text));
}

static void check_reported(const struct death *death, const char *line) {
    check_ended_by(death, SIGSEGV);
    check_begins(death, line);
}

static void overflow(void) {
    CHECK_OK(eddyi_overflow_install());
    run_on_stack(recurse);
}

TEST(an_overflow_is_reported_with_name_and_place) {
    struct death death = death_of(overflow);
    check_reported(&death, "eddy: stack overflow in task \"import\" (spawned at load.c:42), "
                           "stack of 256 KiB\n");
}

static void stray(void) {
    CHECK_OK(eddyi_overflow_install());
    run_on_stack(touch_neighbours_guard);
}

TEST(an_access_to_a_neighbours_guard_is_reported_as_what_it_is) {
    struct death death = death_of(stray);
    check_reported(&death, "eddy: stray access to another task's stack in task \"import\" (spawned "
                           "at load.c:42), stack of 256 KiB\n");
}

TEST(an_overflow_into_pages_is_reported_too) {
    guard = EDDYI_STACK_GUARD_PAGES;
    struct death death = death_of(overflow);
    check_reported(&death, "eddy: stack overflow in task \"import\" (spawned at load.c:42), "
                           "stack of 256 KiB\n");
}

TEST(a_task_without_name_or_place_is_reported_without) {
    facts = (struct eddyi_overflow_facts){.name = ""};
    struct death death = death_of(overflow);
    check_reported(&death, "eddy: stack overflow in a task, stack of 0 KiB\n");
    facts = (struct eddyi_overflow_facts){.site = "x.c:1", .stack_bytes = (size_t)1 << 40};
    death = death_of(overflow);
    check_reported(&death,
                   "eddy: stack overflow in a task (spawned at x.c:1), stack of 1073741824 KiB\n");
}

TEST(a_report_that_is_too_long_is_cut_and_still_a_line) {
    char place[2000];
    memset(place, 'p', sizeof place);
    place[sizeof place - 1] = '\0';
    facts.site = place;
    struct death death = death_of(overflow);
    check_reported(&death, "eddy: stack overflow in task \"import\" (spawned at pppp");
    char *end = strchr(death.text, '\n');
    CHECK(end != NULL && end[-1] == 'p' && end - death.text < 600);
}

static void *overflow_here(void *arg) {
    (void)arg;
    overflow();
    return NULL;
}

static void overflow_on_a_thread(void) {
    pthread_t thread;
    CHECK_OK(eddyi_overflow_install());
    CHECK_EQ(pthread_create(&thread, NULL, overflow_here, NULL), 0);
    pthread_join(thread, NULL);
}

TEST(an_overflow_on_another_thread_is_reported) {
    struct death death = death_of(overflow_on_a_thread);
    check_reported(&death, "eddy: stack overflow in task \"import\"");
}

static void fault_elsewhere(void) {
    CHECK_OK(eddyi_overflow_install());
    run_on_stack(touch_null);
}

TEST(a_fault_elsewhere_is_not_reported_and_ends_the_process) {
    struct death death = death_of(fault_elsewhere);
    check_ended_by(&death, SIGSEGV);
    CHECK(strstr(death.text, "eddy:") == NULL);
}

static void fault_without_describe(void) {
    CHECK_OK(eddyi_overflow_install());
    eddyi_overflow_describe = NULL;
    *nowhere = 1;
}

TEST(a_fault_before_there_are_tasks_ends_the_process) {
    struct death death = death_of(fault_without_describe);
    check_ended_by(&death, SIGSEGV);
    CHECK(strstr(death.text, "eddy:") == NULL);
}

/* --- signals that are sent -------------------------------------------------------------------- */

/* Not to be asked: no address comes with a signal that was sent. */
static bool describe_anything(const void *fault, const void *sp,
                              struct eddyi_overflow_facts *ret_facts) {
    (void)fault;
    (void)sp;
    *ret_facts = facts;
    return true;
}

static void (*handler_before)(int number) = SIG_DFL;
static int number_sent = SIGSEGV;

static void send(void) {
    struct sigaction action = {.sa_handler = handler_before};
    CHECK_EQ(sigaction(number_sent, &action, NULL), 0);
    CHECK_OK(eddyi_overflow_install());
    eddyi_overflow_describe = describe_anything;
    raise(number_sent);
    fputs("lived on\n", stderr);
}

TEST(a_signal_that_was_sent_ends_the_process_by_default) {
    struct death death = death_of(send);
    CHECK_EQ(death.signal, SIGSEGV);
    CHECK(strstr(death.text, "eddy:") == NULL);
    number_sent = SIGBUS;
    death = death_of(send);
    CHECK_EQ(death.signal, SIGBUS);
    CHECK(strstr(death.text, "eddy:") == NULL);
}

TEST(a_signal_that_was_sent_is_ignored_where_it_was) {
    handler_before = SIG_IGN;
    struct death death = death_of(send);
    CHECK_STR(death.text, "lived on\n");
    CHECK_EQ(death.signal, 0);
}

/* --- handlers of the program ------------------------------------------------------------------ */

static void say(const char *text) {
    ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n;
}

static void on_plain(int number) {
    say(number == SIGSEGV ? "the program's own: SIGSEGV\n" : "the program's own: another\n");
    _exit(3);
}

static void on_info(int number, siginfo_t *info, void *context) {
    say(number == SIGSEGV && info->si_addr != NULL && context != NULL ? "with facts\n" : "wrong\n");
    _exit(3);
}

static void overflow_with_plain_handler(void) {
    struct sigaction action = {.sa_handler = on_plain};
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
    overflow();
}

static void overflow_with_info_handler(void) {
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_sigaction = on_info;
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
    overflow();
}

static void fault_with_plain_handler(void) {
    struct sigaction action = {.sa_handler = on_plain};
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
    fault_elsewhere();
}

TEST(the_programs_handler_is_called_after_the_report) {
    struct death death = death_of(overflow_with_plain_handler);
    CHECK_STR(death.text,
              "eddy: stack overflow in task \"import\" (spawned at load.c:42), stack of "
              "256 KiB\nthe program's own: SIGSEGV\n");
    death = death_of(overflow_with_info_handler);
    CHECK_STR(death.text,
              "eddy: stack overflow in task \"import\" (spawned at load.c:42), stack of "
              "256 KiB\nwith facts\n");
}

TEST(the_programs_handler_is_called_for_other_faults) {
    struct death death = death_of(fault_with_plain_handler);
    CHECK_STR(death.text, "the program's own: SIGSEGV\n");
    CHECK_EQ(death.signal, 0);
}

static void on_once(int number) {
    (void)number;
    say("once\n");
}

static void overflow_with_handler_for_once(void) {
    struct sigaction action = {.sa_handler = on_once, .sa_flags = (int)SA_RESETHAND};
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
    overflow();
}

TEST(a_handler_for_one_signal_is_called_once_and_then_the_process_ends) {
    struct death death = death_of(overflow_with_handler_for_once);
    CHECK_EQ(death.signal, SIGSEGV);
    check_begins(&death, "eddy: stack overflow in task \"import\" (spawned at load.c:42), stack of "
                         "256 KiB\nonce\n");
    CHECK(strstr(strstr(death.text, "once") + 1, "once") == NULL);
}

/* One that makes the memory accessible, as garbage collectors and database maps do. */
static char *protected_page;

static void on_repair(int number) {
    (void)number;
    mprotect(protected_page, (size_t)getpagesize(), PROT_READ | PROT_WRITE);
}

TEST(a_handler_that_repairs_the_fault_goes_on_working) {
    struct sigaction action = {.sa_handler = on_repair};
    size_t page = (size_t)getpagesize();
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
    CHECK_OK(eddyi_overflow_install());
    for (int i = 0; i < 3; i++) {
        protected_page = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(protected_page != MAP_FAILED);
        *(volatile char *)protected_page = 1;
        CHECK_EQ(*protected_page, 1);
        munmap(protected_page, page);
    }
    eddyi_overflow_uninstall();
}

/* --- what is left behind ---------------------------------------------------------------------- */

static bool same_handler(const struct sigaction *a, const struct sigaction *b) {
    return a->sa_handler == b->sa_handler && a->sa_flags == b->sa_flags;
}

/* Starts with no alternate stack; a sanitizer gives each thread one. */
static void drop_alternate_stack(void) {
    CHECK_EQ(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL), 0);
}

TEST(uninstall_puts_everything_back) {
    static const int numbers[] = {SIGSEGV, SIGBUS};
    struct sigaction before[2];
    struct sigaction after;
    stack_t alternate;
    drop_alternate_stack();
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(sigaction(numbers[i], NULL, &before[i]), 0);
    }
    for (int round = 0; round < 3; round++) {
        int64_t blocks = eddy_memory_blocks();
        CHECK_OK(eddyi_overflow_install());
        CHECK_OK(eddyi_overflow_install());
        for (int times = 2; times > 0; times--) {
            for (int i = 0; i < 2; i++) {
                CHECK_EQ(sigaction(numbers[i], NULL, &after), 0);
                CHECK(!same_handler(&after, &before[i]));
                CHECK((after.sa_flags & SA_ONSTACK) != 0);
            }
            CHECK_EQ(sigaltstack(NULL, &alternate), 0);
            CHECK_EQ(alternate.ss_flags & SS_DISABLE, 0);
            eddyi_overflow_uninstall();
        }
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(sigaction(numbers[i], NULL, &after), 0);
            CHECK(same_handler(&after, &before[i]));
        }
        CHECK_EQ(sigaltstack(NULL, &alternate), 0);
        CHECK((alternate.ss_flags & SS_DISABLE) != 0);
        CHECK_EQ(eddy_memory_blocks(), blocks);
    }
}

TEST(an_alternate_stack_of_the_program_is_used_and_kept) {
    static char memory[128 * 1024];
    stack_t alternate;
    drop_alternate_stack();
    CHECK_EQ(sigaltstack(&(stack_t){.ss_sp = memory, .ss_size = sizeof memory}, NULL), 0);
    int64_t blocks = eddy_memory_blocks();
    CHECK_OK(eddyi_overflow_install());
    CHECK_EQ(eddy_memory_blocks(), blocks);
    CHECK_EQ(sigaltstack(NULL, &alternate), 0);
    CHECK_PTR_EQ(alternate.ss_sp, memory);
    eddyi_overflow_uninstall();
    CHECK_EQ(sigaltstack(NULL, &alternate), 0);
    CHECK_PTR_EQ(alternate.ss_sp, memory);
    drop_alternate_stack();
}

TEST(an_alternate_stack_that_the_program_set_later_is_kept) {
    static char memory[128 * 1024];
    stack_t alternate;
    drop_alternate_stack();
    CHECK_OK(eddyi_overflow_install());
    CHECK_EQ(sigaltstack(&(stack_t){.ss_sp = memory, .ss_size = sizeof memory}, NULL), 0);
    eddyi_overflow_uninstall();
    CHECK_EQ(sigaltstack(NULL, &alternate), 0);
    CHECK_PTR_EQ(alternate.ss_sp, memory);
    drop_alternate_stack();
}

static struct sigaction under;

static void on_over(int number, siginfo_t *info, void *context) {
    say("over\n");
    under.sa_sigaction(number, info, context);
}

static void put_over(void) {
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    action.sa_sigaction = on_over;
    CHECK_EQ(sigaction(SIGSEGV, &action, &under), 0);
}

TEST(a_handler_that_was_put_over_ours_stays) {
    struct sigaction present;
    CHECK_OK(eddyi_overflow_install());
    put_over();
    eddyi_overflow_uninstall();
    CHECK_EQ(sigaction(SIGSEGV, NULL, &present), 0);
    CHECK(present.sa_sigaction == on_over);
    CHECK_EQ(sigaction(SIGBUS, NULL, &present), 0);
    CHECK(present.sa_handler != (void (*)(int))(uintptr_t)under.sa_sigaction);
}

static void overflow_under_another(void) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
    CHECK_OK(eddyi_overflow_install());
    put_over();
    eddyi_overflow_uninstall();
    overflow();
}

TEST(installed_again_below_such_a_handler_there_is_no_circle) {
    struct death death = death_of(overflow_under_another);
    CHECK_EQ(death.signal, SIGSEGV);
    check_begins(&death, "over\neddy: stack overflow in task \"import\" (spawned at load.c:42), "
                         "stack of 256 KiB\n");
    CHECK(strstr(death.text + 4, "over\n") == NULL);
}

static int64_t install(void *arg) {
    (void)arg;
    int r = eddyi_overflow_install();
    if (r == 0) {
        eddyi_overflow_uninstall();
    }
    return r;
}

TEST(no_memory_for_the_alternate_stack_gives_enomem) {
    struct sigaction before;
    struct sigaction after;
    drop_alternate_stack();
    CHECK_EQ(sigaction(SIGSEGV, NULL, &before), 0);
    CHECK_EQ(test_each_allocation_fails(install, NULL), 2 * (1 + 1));
    CHECK_EQ(sigaction(SIGSEGV, NULL, &after), 0);
    CHECK(same_handler(&after, &before));
}

static void *install_often(void *arg) {
    (void)arg;
    for (int i = 0; i < 200; i++) {
        CHECK_OK(eddyi_overflow_install());
        eddyi_overflow_uninstall();
    }
    return NULL;
}

TEST(threads_install_and_uninstall_at_once) {
    pthread_t threads[4];
    struct sigaction before;
    struct sigaction after;
    CHECK_EQ(sigaction(SIGSEGV, NULL, &before), 0);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, install_often, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    CHECK_EQ(sigaction(SIGSEGV, NULL, &after), 0);
    CHECK(same_handler(&after, &before));
}
