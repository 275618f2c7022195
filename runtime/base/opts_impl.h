/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structs that may grow: options and limits, which the library reads, and figures that it fills in.
 * Each begins with `size_t size`, and what any version of the library makes of one is
 *
 *     size               read                                    written
 *     0                  the first released layout               likewise
 *     an older version's what it has; the rest is zero           what it has
 *     a newer version's  all, and what is not known here has     the rest becomes zero
 *                        to be zero, or it is -EINVAL
 *
 * So 0 never means "what this library happens to have": a program that was built with the first
 * version and left it 0 has no more memory than that. (A member that came later counts only for who
 * sets `size`.) One struct is never a part of another, which would move what stands behind it: it
 * is pointed to, and NULL means its defaults.
 *
 * Members are added at the end. The first one that a version adds is aligned as the struct is (an
 * int64_t, a size_t, a pointer): it must not lie where older programs have padding, whose bytes
 * nobody has set. Nor is there padding between or behind what is added: older libraries ask that it
 * be zero.
 */
#ifndef EDDY_RUNTIME_BASE_OPTS_IMPL_H
#define EDDY_RUNTIME_BASE_OPTS_IMPL_H

#include <eddy/runtime/base/api.h>

/* No version will have a longer one: such a size is no size but a mistake, and is not followed. */
#define EDDYI_OPTS_MAX 1024

/* The bytes of the first released layout, of which `last` is the last member. For ever: a new
 * member changes nothing here. */
#define EDDYI_OPTS_FIRST(type, last) (offsetof(type, last) + sizeof(((type *)0)->last))

/*
 * Copies the caller's options to *ret_copy, in this version's size (which its `size` then is), with
 * zeros for what is not there. opts NULL: all of it is zero. 0, or -EINVAL with *ret_copy all zero.
 */
#define EDDYI_OPTS_READ(ret_copy, opts, last) \
    eddyi_opts_read((ret_copy), sizeof *(ret_copy), \
                    EDDYI_OPTS_FIRST(__typeof__(*(ret_copy)), last), 1 ? (opts) : (ret_copy))

/* Copies *from, apart from `size`, to the caller's struct, as much as that has room for: 0, or
 * -EINVAL with nothing written. */
#define EDDYI_OPTS_WRITE(ret_figures, from, last) \
    eddyi_opts_write((ret_figures), 1 ? (from) : (ret_figures), sizeof *(from), \
                     EDDYI_OPTS_FIRST(__typeof__(*(from)), last))

/* How long the caller's struct is; 0: that is no size of any version. */
#define EDDYI_OPTS_SIZE(opts, last) \
    eddyi_opts_size((opts), EDDYI_OPTS_FIRST(__typeof__(*(opts)), last))

int eddyi_opts_read(void *ret_copy, size_t copy_size, size_t first_size, const void *opts);
int eddyi_opts_write(void *ret_figures, const void *from, size_t from_size, size_t first_size);
size_t eddyi_opts_size(const void *opts, size_t first_size);

#endif
