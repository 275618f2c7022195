/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/task/overflow_impl.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include <eddy/runtime/base/assert_impl.h>
#include <eddy/runtime/base/memory_impl.h>

/* Room for the handlers that were there before us, besides the registers that the kernel saves,
 * whose size depends on the CPU. */
#define ALTERNATE_STACK_SIZE ((size_t)64 * 1024)

bool (*eddyi_overflow_describe)(const void *fault, const void *sp,
                                struct eddyi_overflow_facts *ret_facts);

#define SIGNAL_COUNT 2
static const int signals[SIGNAL_COUNT] = {SIGSEGV, SIGBUS};

/* The process's. */
static struct {
    pthread_mutex_t lock;
    int count; /* of installs without an uninstall */
    struct {
        struct sigaction before; /* called after us; valid from the first install on, for ever */
        bool ours;               /* our handler is in place, or somebody has put theirs over it */
    } signals[SIGNAL_COUNT];
} installed = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The thread's. */
static _Thread_local struct {
    int count;
    void *memory; /* our alternate stack, or NULL when it had one */
    stack_t before;
} alternate;

/* ---- the handler: nothing here but what a signal handler may do ------------------------------ */

struct line {
    size_t len;
    char text[512];
};

static void put_text(struct line *line, const char *text) {
    while (*text != '\0' && line->len < sizeof line->text) {
        line->text[line->len++] = *text++;
    }
}

static void put_number(struct line *line, size_t number) {
    char digits[24];
    char *p = digits + sizeof digits - 1;
    *p = '\0';
    do {
        *--p = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put_text(line, p);
}

static void report(const struct eddyi_overflow_facts *facts) {
    struct line line = {0};
    put_text(&line, facts->stray ? "eddy: stray access to another task's stack in "
                                 : "eddy: stack overflow in ");
    if (facts->name != NULL && facts->name[0] != '\0') {
        put_text(&line, "task \"");
        put_text(&line, facts->name);
        put_text(&line, "\"");
    } else {
        put_text(&line, "a task");
    }
    if (facts->site != NULL) {
        put_text(&line, " (spawned at ");
        put_text(&line, facts->site);
        put_text(&line, ")");
    }
    put_text(&line, ", stack of ");
    put_number(&line, facts->stack_bytes / 1024);
    put_text(&line, " KiB\n");
    line.text[line.len - 1] = '\n'; /* also when it was cut */
    for (size_t done = 0; done < line.len;) {
        ssize_t n = write(STDERR_FILENO, line.text + done, line.len - done);
        if (n < 0 && errno != EINTR) {
            break;
        }
        done += n < 0 ? 0 : (size_t)n;
    }
}

/* The process ends by this signal, with the faulting instruction in the core file. */
static void end_by(int number, const siginfo_t *info) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(number, &action, NULL);
    /* The instruction faults again when we return; a signal that was sent has to be sent again. */
    if (info->si_code <= 0) {
        raise(number);
    }
}

static void chain(const struct sigaction *next, int number, siginfo_t *info, void *context) {
    if ((next->sa_flags & SA_SIGINFO) == 0 && next->sa_handler == SIG_IGN && info->si_code <= 0) {
        return; /* sent, and not wanted. A fault cannot be ignored: it would come again for ever */
    }
    if ((next->sa_flags & SA_SIGINFO) == 0 &&
        (next->sa_handler == SIG_DFL || next->sa_handler == SIG_IGN)) {
        end_by(number, info);
        return;
    }
    if ((next->sa_flags & SA_RESETHAND) != 0) {
        struct sigaction action = {.sa_handler = SIG_DFL};
        sigaction(number, &action, NULL);
    }
    if ((next->sa_flags & SA_SIGINFO) != 0) {
        next->sa_sigaction(number, info, context);
    } else {
        next->sa_handler(number);
    }
}

static const void *stack_pointer_in(const void *context) {
    const ucontext_t *interrupted = context;
#if defined(__x86_64__)
    return (const void *)(uintptr_t)interrupted->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return (const void *)(uintptr_t)interrupted->uc_mcontext.sp;
#else
    (void)interrupted;
    return NULL;
#endif
}

static void on_fault(int number, siginfo_t *info, void *context) {
    struct eddyi_overflow_facts facts;
    int saved = errno;
    /* A code above zero is a fault's; the address of a signal that was sent means nothing. */
    if (info->si_code > 0 && eddyi_overflow_describe != NULL &&
        eddyi_overflow_describe(info->si_addr, stack_pointer_in(context), &facts)) {
        report(&facts);
    }
    chain(&installed.signals[number == SIGSEGV ? 0 : 1].before, number, info, context);
    errno = saved;
}

/* ---- installing ------------------------------------------------------------------------------ */

static int give_alternate_stack(void) {
    stack_t present;
    if (sigaltstack(NULL, &present) < 0) {
        return -errno;
    }
    if ((present.ss_flags & SS_DISABLE) == 0) {
        return 0; /* the program's own, or a sanitizer's */
    }
    long least = MINSIGSTKSZ; /* asks the kernel, since glibc 2.34 */
    size_t size = ALTERNATE_STACK_SIZE + (least > 0 ? (size_t)least : 0);
    void *memory = eddyi_alloc(size);
    if (memory == NULL) {
        return -ENOMEM;
    }
    if (sigaltstack(&(stack_t){.ss_sp = memory, .ss_size = size}, NULL) < 0) {
        int r = -errno;
        eddyi_free(memory);
        return r;
    }
    alternate.memory = memory;
    alternate.before = present;
    return 0;
}

static void take_alternate_stack(void) {
    stack_t present;
    if (alternate.memory == NULL) {
        return;
    }
    if (sigaltstack(NULL, &present) == 0 && present.ss_sp == alternate.memory) {
        EDDY_ASSERT(sigaltstack(&alternate.before, NULL) == 0);
    }
    eddyi_free(alternate.memory);
    alternate.memory = NULL;
}

static bool is_ours(const struct sigaction *action) {
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_fault;
}

static void take_signals(void) {
    struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    ours.sa_sigaction = on_fault;
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        /* When somebody stood over our handler at the last uninstall, they may call it still: to
         * put it over theirs would be a circle. */
        if (installed.signals[i].ours) {
            continue;
        }
        /* What is to be called after us is known before we can be called. */
        sigaction(signals[i], NULL, &installed.signals[i].before);
        sigaction(signals[i], &ours, NULL);
        installed.signals[i].ours = true;
    }
}

static void give_signals_back(void) {
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        struct sigaction present;
        sigaction(signals[i], NULL, &present);
        if (is_ours(&present)) {
            sigaction(signals[i], &installed.signals[i].before, NULL);
            installed.signals[i].ours = false;
        }
    }
}

int eddyi_overflow_install(void) {
    if (alternate.count == 0) {
        int r = give_alternate_stack();
        if (r < 0) {
            return r;
        }
    }
    alternate.count++;
    pthread_mutex_lock(&installed.lock);
    if (installed.count++ == 0) {
        take_signals();
    }
    pthread_mutex_unlock(&installed.lock);
    return 0;
}

void eddyi_overflow_uninstall(void) {
    EDDY_ASSERT(alternate.count > 0);
    pthread_mutex_lock(&installed.lock);
    if (--installed.count == 0) {
        give_signals_back();
    }
    pthread_mutex_unlock(&installed.lock);
    if (--alternate.count == 0) {
        take_alternate_stack();
    }
}
