/* SPDX-License-Identifier: Apache-2.0 */
/* A user's program in C++: a lambda as a task. */
#include <cstdio>
#include <memory>

#include <eddy/eddy.h>

int main() {
    eddy_loop *made = nullptr;
    eddy_loop_opts opts{};
    opts.driver = "sim";
    if (eddy_loop_new(&opts, &made) < 0) {
        std::fprintf(stderr, "no loop\n");
        return 1;
    }
    std::unique_ptr<eddy_loop, decltype(&eddy_loop_free)> loop(made, eddy_loop_free);
    int64_t slept = 0;
    int64_t result = eddy_loop_call(
        loop.get(),
        [](void *arg) -> int64_t {
            int64_t before = eddy_loop_now(eddy_loop_current());
            int64_t r = eddy_sleep(3 * EDDY_S);
            *static_cast<int64_t *>(arg) = eddy_loop_now(eddy_loop_current()) - before;
            return r;
        },
        &slept);
    if (result != 0 || slept < 3 * EDDY_S) {
        std::fprintf(stderr, "%s after %lld ns\n", eddy_error_name(result),
                     static_cast<long long>(slept));
        return 1;
    }
    return 0;
}
