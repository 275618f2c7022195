/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that have a better form here. Each row says which, and which files are the exception. */
#include "tidy.h"

#include <string.h>

enum scope { LIBRARY = 1, TESTS = 2, OTHERS = 4, EVERYWHERE = 7 };

static const struct rule {
    const char *calls; /* words, parted by spaces */
    enum scope scope;
    const char *exceptions; /* starts of paths, parted by spaces */
    const char *instead;
} rules[] = {
    {"malloc calloc realloc reallocarray aligned_alloc posix_memalign strdup strndup asprintf "
     "vasprintf getline getdelim free",
     LIBRARY, "runtime/base/memory.c",
     "use eddyi_alloc, eddyi_resize, eddyi_strndup and eddyi_free (runtime/base/memory_impl.h)"},
    {"printf fprintf vprintf vfprintf dprintf vdprintf puts fputs putchar fputc perror fopen "
     "fwrite fflush",
     LIBRARY, "runtime/app/", "a library does not print; return an error or call the hook"},
    {"exit _exit quick_exit atexit abort", LIBRARY, "runtime/base/assert.c runtime/app/ proc/",
     "a library does not end the process; return an error, or EDDY_ASSERT for a broken invariant"},
    {"signal sigaction sigprocmask setlocale umask chdir setenv putenv unsetenv", LIBRARY,
     "runtime/app/ proc/ runtime/task/overflow.",
     "nothing process-wide is touched outside eddy_main and explicit calls"},
    {"pthread_sigmask", LIBRARY, "runtime/app/ proc/ runtime/base/host. runtime/base/try.",
     "a thread's signals are its owner's; the host starts threads that take none"},
    {"setjmp longjmp sigsetjmp siglongjmp alloca", EVERYWHERE, "",
     "no jumps across stacks and no stack of unknown size; return through the callers"},
    {"strcpy strcat sprintf vsprintf gets strtok strncpy", EVERYWHERE, "",
     "use eddy_buffer, eddy_slice or snprintf, which know the length"},
    {"strerror gmtime localtime asctime ctime rand random srand", LIBRARY, "",
     "not safe with threads or not reproducible; use eddy_error_text, runtime/time or the host"},
    {"sleep usleep", EVERYWHERE, "",
     "wait for the event itself, or use the virtual clock of the sim driver"},
    /* A crash's last words, and what the kernel says of stacks, are not for a simulation. */
    {"read write", LIBRARY,
     "runtime/base/host. runtime/base/assert.c runtime/base/cpu. runtime/driver/ runtime/sim/ "
     "runtime/app/ runtime/task/stack.c runtime/task/overflow.c",
     "ask the loop's host (runtime/base/host_impl.h) or its driver; a simulation replaces both"},
    {"system popen fork vfork", LIBRARY, "runtime/base/host proc/ futures/process_pool",
     "processes are started in proc/ only"},
    {"socket socketpair bind listen accept accept4 connect setsockopt getsockopt getsockname "
     "getpeername shutdown recv recvfrom recvmsg send sendto sendmsg poll ppoll select "
     "open openat openat2 creat close close_range dup dup2 dup3 fcntl ioctl pipe pipe2 eventfd "
     "timerfd_create signalfd epoll_create1 stat fstat lstat fstatat statx access faccessat "
     "chmod fchmod fchmodat chown lseek readv writev pread pwrite preadv2 pwritev2 sendfile splice "
     "copy_file_range fsync fdatasync truncate ftruncate fallocate opendir readdir getdents64 "
     "mkdir mkdirat rmdir link linkat symlink symlinkat readlink readlinkat rename renameat "
     "renameat2 unlink unlinkat clock_gettime gettimeofday time nanosleep clock_nanosleep "
     "getrandom kill pthread_create pthread_join sysconf sched_getaffinity",
     LIBRARY,
     "runtime/base/host. runtime/base/beneath. runtime/base/cpu. runtime/base/track_place. "
     "runtime/base/try. "
     "runtime/driver/ runtime/sim/ runtime/app/ runtime/task/stack.",
     "ask the loop's host (runtime/base/host_impl.h) or its driver; a simulation replaces both"},
};

static bool in_scope(const struct rule *rule, const struct file *file) {
    enum scope scope = is_library(file) ? LIBRARY : path_in(file->path, "tests") ? TESTS : OTHERS;
    if ((rule->scope & scope) == 0) {
        return false;
    }
    for (const char *p = rule->exceptions; *p != '\0'; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");
        if (strncmp(file->path, p, len) == 0) {
            return false;
        }
        p += len;
    }
    return true;
}

/* Whether the word at `p` is called as a plain function: not a member, not a declaration's name. */
static bool is_call(const char *code, const char *p, size_t len) {
    const char *after = p + len + strspn(p + len, " ");
    const char *before = p;
    while (before > code && before[-1] == ' ') {
        before--;
    }
    bool member = before > code && (before[-1] == '.' || (before[-1] == '>' && before[-2] == '-'));
    bool pointer = before > code && before[-1] == '*' && p[len] == ')';
    return *after == '(' && !member && !pointer;
}

static void find_calls(const struct file *file, const struct rule *rule) {
    for (const char *p = rule->calls; *p != '\0'; p += strspn(p, " ")) {
        char word[32] = "";
        size_t len = strcspn(p, " ");
        memcpy(word, p, len);
        p += len;
        for (const char *at = file->code; (at = find_word(at, word)) != NULL; at += len) {
            if (is_call(file->code, at, len)) {
                report(file->path, line_at(file, at), "%s(); %s", word, rule->instead);
            }
        }
    }
}

void check_calls(const struct tree *tree, char *const *args, int arg_count) {
    (void)args;
    (void)arg_count;
    for (size_t i = 0; i < tree->count; i++) {
        const struct file *file = &tree->files[i];
        if (file->language != LANGUAGE_C || path_in(file->path, "tests/tidy")) {
            continue;
        }
        for (size_t k = 0; k < sizeof rules / sizeof rules[0]; k++) {
            if (in_scope(&rules[k], file)) {
                find_calls(file, &rules[k]);
            }
        }
        if (is_public_header(file) && strcmp(file->path, "runtime/base/error.h") != 0) {
            const char *at = find_word(file->code, "errno");
            if (at != NULL) {
                report(file->path, line_at(file, at),
                       "errno in a public header; errors are results (runtime/base/error.h)");
            }
        }
    }
}
