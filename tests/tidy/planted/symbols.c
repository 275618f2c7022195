/* SPDX-License-Identifier: Apache-2.0 */
/* Built into a library of its own for tidy's test of the checks that read symbols. */
#define EDDY_API __attribute__((visibility("default")))

EDDY_API int eddy_good(void);
EDDY_API int eddy_undeclared(void);
EDDY_API int unprefixed(void);
int eddyi_hidden(void);

static int listed = 1;
static _Thread_local int unlisted;
static const char *const names[] = {"constant", "after relocation"};

int eddy_good(void) {
    static int count;
    return ++count + ++listed;
}

int eddy_undeclared(void) {
    return ++unlisted;
}

int unprefixed(void) {
    return names[listed & 1][0];
}

int eddyi_hidden(void) {
    return 0;
}
