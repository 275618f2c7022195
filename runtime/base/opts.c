/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/runtime/base/opts_impl.h>

#include <string.h>

#include <eddy/runtime/base/error.h>

size_t eddyi_opts_size(const void *opts, size_t first_size) {
    size_t size;
    memcpy(&size, opts, sizeof size);
    if (size == 0) {
        return first_size;
    }
    return size >= first_size && size <= EDDYI_OPTS_MAX ? size : 0;
}

int eddyi_opts_read(void *ret_copy, size_t copy_size, size_t first_size, const void *opts) {
    memset(ret_copy, 0, copy_size);
    if (opts != NULL) {
        const char *bytes = opts;
        size_t size = eddyi_opts_size(opts, first_size);
        if (size == 0) {
            return -EINVAL;
        }
        for (size_t i = copy_size; i < size; i++) {
            if (bytes[i] != 0) {
                return -EINVAL;
            }
        }
        memcpy(ret_copy, opts, size < copy_size ? size : copy_size);
    }
    memcpy(ret_copy, &copy_size, sizeof copy_size);
    return 0;
}

int eddyi_opts_write(void *ret_figures, const void *from, size_t from_size, size_t first_size) {
    const size_t head = sizeof(size_t);
    char *bytes = ret_figures;
    size_t size = eddyi_opts_size(ret_figures, first_size);
    if (size == 0) {
        return -EINVAL;
    }
    size_t known = size < from_size ? size : from_size;
    memcpy(bytes + head, (const char *)from + head, known - head);
    memset(bytes + known, 0, size - known);
    return 0;
}
