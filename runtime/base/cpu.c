/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <eddy/runtime/base/cpu_impl.h>

#define CPUS_MAX 8192       /* what the kernel can be built for at most */
#define LINE_BYTES_MAX 8192 /* longer lines of /proc are passed over; overlay mounts have them */

enum version { CGROUP_2, CGROUP_1 };

int eddyi_cpu_affinity(void) {
    cpu_set_t sets[CPUS_MAX / CPU_SETSIZE];
    if (sched_getaffinity(0, sizeof sets, sets) == 0) {
        return CPU_COUNT_S(sizeof sets, sets);
    }
    /* A seccomp filter, or more processors than any kernel has now. */
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : (int)online;
}

/* --- lines of a file, without stdio or memory ------------------------------------------------- */

struct lines {
    int fd;
    size_t start; /* the next line begins here */
    size_t end;   /* of what has been read */
    char text[LINE_BYTES_MAX];
};

/* False when there is no such file. */
static bool lines_open(struct lines *lines, const char *folder, const char *name) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof path) {
        return false;
    }
    do {
        lines->fd = open(path, O_RDONLY | O_CLOEXEC);
    } while (lines->fd < 0 && errno == EINTR);
    lines->start = 0;
    lines->end = 0;
    return lines->fd >= 0;
}

static ssize_t lines_fill(struct lines *lines) {
    ssize_t n;
    do {
        /* One byte is left for the NUL of a last line without a newline. */
        n = read(lines->fd, lines->text + lines->end, sizeof lines->text - 1 - lines->end);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* The next line without its newline, good until the next call; NULL at the end. */
static char *lines_next(struct lines *lines) {
    bool too_long = false;
    for (;;) {
        char *line = lines->text + lines->start;
        size_t len = lines->end - lines->start;
        char *newline = memchr(line, '\n', len);
        if (newline != NULL) {
            *newline = '\0';
            lines->start = (size_t)(newline + 1 - lines->text);
            if (!too_long) {
                return line;
            }
            too_long = false;
            continue;
        }
        memmove(lines->text, line, len);
        lines->start = 0;
        lines->end = len;
        if (len == sizeof lines->text - 1) {
            too_long = true;
            lines->end = 0;
        }
        ssize_t n = lines_fill(lines);
        if (n > 0) {
            lines->end += (size_t)n;
            continue;
        }
        if (lines->end == 0 || too_long) {
            return NULL;
        }
        lines->text[lines->end] = '\0';
        lines->start = lines->end;
        return lines->text;
    }
}

static void lines_close(struct lines *lines) {
    close(lines->fd);
}

/* --- where the group's folder is -------------------------------------------------------------- */

/* Whether `word` is one of the words of a comma-separated list. */
static bool has_word(const char *list, const char *word) {
    size_t len = strlen(word);
    while (*list != '\0') {
        size_t end = strcspn(list, ",");
        if (end == len && memcmp(list, word, len) == 0) {
            return true;
        }
        list += end + (list[end] == ',');
    }
    return false;
}

/* Copies a text that fits. */
static bool copy(char ret_text[PATH_MAX], const char *text) {
    size_t size = strlen(text) + 1;
    if (size > PATH_MAX) {
        return false;
    }
    memcpy(ret_text, text, size);
    return true;
}

/* The process's group, such as "/user.slice", from lines like "4:cpu,cpuacct:/user.slice". */
static bool find_group(const char *root, enum version version, char ret_path[PATH_MAX]) {
    struct lines lines;
    if (!lines_open(&lines, root, "proc/self/cgroup")) {
        return false;
    }
    bool found = false;
    char *line;
    while (!found && (line = lines_next(&lines)) != NULL) {
        char *rest = line;
        strsep(&rest, ":"); /* the hierarchy's number */
        char *controllers = strsep(&rest, ":");
        if (rest == NULL) {
            continue;
        }
        bool ours = version == CGROUP_2 ? controllers[0] == '\0' : has_word(controllers, "cpu");
        found = ours && copy(ret_path, rest);
    }
    lines_close(&lines);
    return found;
}

/* Undoes the kernel's \040 for a space and its like, in place. */
static void unescape(char *text) {
    char *to = text;
    for (const char *from = text; *from != '\0'; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
            from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/*
 * Takes a line of mountinfo apart:
 *     36 31 0:33 /of/the/file/system /mounted/here rw,relatime shared:9 - cgroup cgroup rw,cpu
 */
static bool parse_mount(char *line, enum version version, char **ret_top, char **ret_point) {
    char *tail = strstr(line, " - ");
    if (tail == NULL) {
        return false;
    }
    *tail = '\0';
    tail += 3;
    char *type = strsep(&tail, " ");
    strsep(&tail, " "); /* the source: for cgroups any text */
    for (int i = 0; i < 3; i++) {
        strsep(&line, " ");
    }
    *ret_top = strsep(&line, " ");
    *ret_point = strsep(&line, " ");
    if (tail == NULL || *ret_point == NULL) {
        return false;
    }
    unescape(*ret_top);
    unescape(*ret_point);
    if (version == CGROUP_2) {
        return strcmp(type, "cgroup2") == 0;
    }
    return strcmp(type, "cgroup") == 0 && has_word(tail, "cpu");
}

/* What is left of `path` below the folder `top`, or NULL when it is not below it. */
static const char *below(const char *path, const char *top) {
    size_t len = strcmp(top, "/") == 0 ? 0 : strlen(top);
    if (strncmp(path, top, len) != 0 || (path[len] != '/' && path[len] != '\0')) {
        return NULL;
    }
    return path + len;
}

/*
 * Where the group stands in the file system, and how long the part is that ends at the mount point.
 * A container may see but a part of the hierarchy mounted, while its group is named from the top.
 */
static bool find_folder(const char *root, enum version version, const char *group,
                        char ret_folder[PATH_MAX], size_t *ret_point_len) {
    struct lines lines;
    if (!lines_open(&lines, root, "proc/self/mountinfo")) {
        return false;
    }
    bool found = false;
    char *line;
    while (!found && (line = lines_next(&lines)) != NULL) {
        char *top;
        char *point;
        if (!parse_mount(line, version, &top, &point)) {
            continue;
        }
        const char *rest = below(group, top);
        /* A group outside our cgroup namespace is named "/../x" and cannot be reached. */
        if (rest == NULL || strncmp(rest, "/..", 3) == 0) {
            continue;
        }
        int n = snprintf(ret_folder, PATH_MAX, "%s%s%s", root, point, rest);
        found = n >= 0 && n < PATH_MAX;
        *ret_point_len = strlen(root) + strlen(point);
    }
    lines_close(&lines);
    return found;
}

/* --- what is granted there -------------------------------------------------------------------- */

/* The first line of a file in the group's folder; NULL when there is none. */
static char *read_setting(struct lines *lines, const char *folder, const char *name) {
    if (!lines_open(lines, folder, name)) {
        return NULL;
    }
    char *line = lines_next(lines);
    lines_close(lines);
    return line;
}

/* Processors for `quota` out of each `period` of time; 0: no limit. */
static int processors(long long quota, long long period) {
    if (quota <= 0 || period <= 0) {
        return 0;
    }
    long long count = quota / period + (quota % period != 0);
    return count > INT_MAX ? INT_MAX : (int)count;
}

static int limit_of_folder(enum version version, const char *folder) {
    struct lines lines;
    char *text;
    if (version == CGROUP_2) {
        text = read_setting(&lines, folder, "cpu.max");
        if (text == NULL) {
            return 0; /* the top has none */
        }
        /* "150000 100000"; "max 100000" has no number in front, which counts as 0. */
        char *period;
        long long quota = strtoll(text, &period, 10);
        return processors(quota, strtoll(period, NULL, 10));
    }
    text = read_setting(&lines, folder, "cpu.cfs_quota_us");
    long long quota = text == NULL ? 0 : strtoll(text, NULL, 10); /* -1: no limit */
    text = read_setting(&lines, folder, "cpu.cfs_period_us");
    return processors(quota, text == NULL ? 0 : strtoll(text, NULL, 10));
}

/* The smaller of two limits of which 0 is none. */
static int stricter(int a, int b) {
    if (a == 0 || b == 0) {
        return a + b;
    }
    return a < b ? a : b;
}

static int limit_of_version(const char *root, enum version version) {
    char group[PATH_MAX];
    char folder[PATH_MAX];
    size_t point_len;
    if (!find_group(root, version, group) ||
        !find_folder(root, version, group, folder, &point_len)) {
        return 0;
    }
    int limit = 0;
    for (size_t len = strlen(folder);;) {
        limit = stricter(limit, limit_of_folder(version, folder));
        while (len > point_len && folder[len - 1] != '/') {
            len--;
        }
        if (len <= point_len) {
            return limit;
        }
        folder[--len] = '\0';
    }
}

int eddyi_cpu_limit(const char *root) {
    /* Both: a system may have version 2 mounted and still keep the processors in version 1. */
    return stricter(limit_of_version(root, CGROUP_2), limit_of_version(root, CGROUP_1));
}

int eddyi_cpu_there(const char *root) {
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return stricter(online < 1 ? 1 : (int)online, eddyi_cpu_limit(root));
}

int eddyi_cpu_count(const char *root) {
    return stricter(eddyi_cpu_affinity(), eddyi_cpu_limit(root));
}
