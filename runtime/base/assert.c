/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last words. Nothing here allocates, locks or uses stdio: the state of the program is known
 * to be broken, and the stack may be a small one.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <eddy/runtime/base/assert_impl.h>

#define LINE_MAX_BYTES 1024 /* longer words are cut */

const char *(*eddyi_panic_context)(const char **ret_site);

struct line {
    size_t len;
    char text[LINE_MAX_BYTES];
};

static void add(struct line *line, const char *text) {
    /* The last byte is kept for the newline. */
    while (*text != '\0' && line->len < sizeof line->text - 1) {
        unsigned char c = (unsigned char)*text++;
        /* A task's name is the user's own: it must not break the line or drive the terminal. */
        line->text[line->len++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
}

static void add_number(struct line *line, unsigned number) {
    char digits[16];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    add(line, digits + at);
}

/* What runs here, or NULL. Asked once a thread: to find the name may be what panics. */
static const char *running_task(const char **ret_site) {
    static _Thread_local bool asked;
    if (asked || eddyi_panic_context == NULL) {
        return NULL;
    }
    asked = true;
    return eddyi_panic_context(ret_site);
}

_Noreturn void eddyi_panic(const char *file, int line_number, const char *condition,
                           const char *sentence) {
    struct line line;
    line.len = 0;
    add(&line, "eddy: ");
    add(&line, file);
    add(&line, ":");
    add_number(&line, (unsigned)line_number);
    add(&line, ": ");
    add(&line, condition);
    if (sentence != NULL) {
        add(&line, ": ");
        add(&line, sentence);
    }
    const char *site = NULL;
    const char *task = running_task(&site);
    if (task != NULL) {
        add(&line, " (task \"");
        add(&line, task);
        add(&line, site != NULL ? "\", spawned at " : "\"");
        add(&line, site != NULL ? site : "");
        add(&line, ")");
    }
    line.text[line.len++] = '\n';
    /* One write, so that lines of two threads do not mix; if it fails there is nobody to tell. */
    ssize_t ignored = write(STDERR_FILENO, line.text, line.len);
    (void)ignored;
    abort();
}
