/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At each moment of a walk:
 *
 *     root / inside          the folder that was reached: names of folders only, no link, no ".."
 *     at                     its descriptor
 *     rest                   what is still to be looked up, seen from there
 *
 * Each name is opened from `at` and not followed; what it turns out to be is asked of the
 * descriptor, so that nobody can put something else in its place in between. A link's text is put
 * in front of the rest. ".." is never given to the kernel, which would leave the root with a folder
 * that somebody moves: it is walked from the root, without the last name of `inside`.
 */
#include <eddy/runtime/base/beneath_impl.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <eddy/runtime/base/try_impl.h>

#define LINKS_MAX 40 /* the kernel's own number */

struct walk {
    int root;
    int at;     /* `root`, or a descriptor of our own */
    int links;  /* followed so far */
    char *rest; /* in `text`, which is filled from its end */
    size_t len; /* of inside */
    char inside[PATH_MAX];
    char text[2 * PATH_MAX];
};

static int open_again(int dirfd, const char *name, int flags, mode_t mode) {
    return (int)EDDYI_AGAIN_ON_EINTR(openat(dirfd, name, flags | O_CLOEXEC, mode));
}

static void move_to(struct walk *walk, int fd) {
    if (walk->at != walk->root) {
        close(walk->at);
    }
    walk->at = fd;
}

/* Puts `text` and a slash in front of the rest. */
static int prepend(struct walk *walk, const char *text, size_t len) {
    size_t room = (size_t)(walk->rest - walk->text);
    if (len + 1 > room) {
        return -ENAMETOOLONG;
    }
    walk->rest -= len + 1;
    memcpy(walk->rest, text, len);
    walk->rest[len] = '/';
    return 0;
}

/* Takes the next name; true when it is the last one. A slash after it makes it a folder: as if "."
 * came next. */
static bool take_name(struct walk *walk, char ret_name[NAME_MAX + 2]) {
    size_t len = strcspn(walk->rest, "/");
    size_t kept = len <= NAME_MAX ? len : NAME_MAX + 1; /* which the kernel calls too long */
    memcpy(ret_name, walk->rest, kept);
    ret_name[kept] = '\0';
    walk->rest += len;
    bool last = *walk->rest == '\0';
    walk->rest += strspn(walk->rest, "/");
    if (!last && *walk->rest == '\0') {
        *--walk->rest = '.';
    }
    return last;
}

/* From the root to `inside`, where no link was. */
static int walk_back(struct walk *walk) {
    char *name = walk->inside;
    move_to(walk, walk->root);
    while (*name != '\0') {
        size_t len = strcspn(name, "/");
        char after = name[len];
        name[len] = '\0';
        int fd = open_again(walk->at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
        name[len] = after;
        if (fd < 0) {
            /* It is not what it was. */
            return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? -EAGAIN : fd;
        }
        move_to(walk, fd);
        name += len + (after == '/' ? 1 : 0);
    }
    return 0;
}

static int go_up(struct walk *walk) {
    if (walk->len == 0) {
        return -EXDEV;
    }
    const char *slash = memrchr(walk->inside, '/', walk->len);
    walk->len = slash == NULL ? 0 : (size_t)(slash - walk->inside);
    walk->inside[walk->len] = '\0';
    return walk_back(walk);
}

/* `fd` is a link: its text comes next. */
static int follow(struct walk *walk, int fd) {
    char text[PATH_MAX];
    ssize_t len = readlinkat(fd, "", text, sizeof text);
    if (len < 0) {
        return -errno;
    }
    if (len == 0 || (size_t)len == sizeof text) {
        return len == 0 ? -ENOENT : -ENAMETOOLONG;
    }
    if (++walk->links > LINKS_MAX) {
        return -ELOOP;
    }
    return text[0] == '/' ? -EXDEV : prepend(walk, text, (size_t)len);
}

/* Into the folder `name`, or to where a link of that name leads. */
static int go_down(struct walk *walk, const char *name) {
    size_t len = strlen(name);
    size_t slash = walk->len > 0 ? 1 : 0;
    struct stat st;
    int fd = open_again(walk->at, name, O_PATH | O_NOFOLLOW, 0);
    if (fd < 0) {
        return fd;
    }
    int r = fstat(fd, &st) < 0 ? -errno : 0;
    if (r == 0 && S_ISLNK(st.st_mode)) {
        r = follow(walk, fd);
    } else if (r == 0 && !S_ISDIR(st.st_mode)) {
        r = -ENOTDIR;
    } else if (r == 0 && walk->len + slash + len >= sizeof walk->inside) {
        r = -ENAMETOOLONG;
    } else if (r == 0) {
        memcpy(walk->inside + walk->len, "/", slash);
        memcpy(walk->inside + walk->len + slash, name, len + 1);
        walk->len += slash + len;
        move_to(walk, fd);
        return 0;
    }
    close(fd);
    return r;
}

/* The last name: the descriptor, or -EAGAIN when it is a link, whose text is the rest now. */
static int open_last(struct walk *walk, const char *name, int flags, mode_t mode) {
    int fd = open_again(walk->at, name, flags | O_NOFOLLOW, mode);
    /* With O_DIRECTORY a link is "no folder". */
    bool link = fd == -ELOOP || (fd == -ENOTDIR && (flags & O_DIRECTORY) != 0);
    /* With O_PATH it is what was opened. */
    bool open_link = fd >= 0 && (flags & O_PATH) != 0;
    if ((!link && !open_link) || (flags & O_NOFOLLOW) != 0) {
        return fd;
    }
    struct stat st;
    int at = open_link ? fd : open_again(walk->at, name, O_PATH | O_NOFOLLOW, 0);
    if (at < 0) {
        return at;
    }
    int r = fstat(at, &st) < 0 ? -errno : 0;
    if (r == 0 && S_ISLNK(st.st_mode)) {
        r = follow(walk, at);
    } else if (r == 0 && open_link) {
        return fd;
    } else if (r == 0) {
        r = fd == -ELOOP ? -EAGAIN : fd; /* it was one */
    }
    close(at);
    if (r == 0) {
        walk->rest[strlen(walk->rest) - 1] = '\0'; /* the slash, which would ask for a folder */
    }
    return r == 0 ? -EAGAIN : r;
}

static int walk_all(struct walk *walk, int flags, mode_t mode) {
    for (;;) {
        char name[NAME_MAX + 2];
        bool last = take_name(walk, name);
        bool here = strcmp(name, ".") == 0;
        int r = 0;
        if (strcmp(name, "..") == 0) {
            r = go_up(walk);
            here = true;
        } else if (!here && last) {
            char *before = walk->rest;
            r = open_last(walk, name, flags, mode);
            if (r != -EAGAIN || walk->rest == before) {
                return r;
            }
            continue;
        } else if (!here) {
            r = go_down(walk, name);
        }
        if (r < 0) {
            return r;
        }
        if (here && last) {
            return open_again(walk->at, ".", flags, mode);
        }
    }
}

int eddyi_open_beneath(int root, const char *path, int flags, mode_t mode) {
    struct walk walk = {.root = root, .at = root};
    size_t len = strlen(path);
    if (len == 0 || len >= PATH_MAX) {
        return len == 0 ? -ENOENT : -ENAMETOOLONG;
    }
    if (path[0] == '/') {
        return -EXDEV;
    }
    walk.rest = walk.text + sizeof walk.text - len - 1;
    memcpy(walk.rest, path, len + 1);
    int fd = walk_all(&walk, flags, mode);
    move_to(&walk, root);
    return fd;
}
