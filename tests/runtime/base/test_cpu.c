/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <eddy/runtime/base/cpu_impl.h>
#include <eddy/runtime/base/host_impl.h>

#include "test.h"

/* --- affinity --------------------------------------------------------------------------------- */

static bool affinity_refused;

/* Stands in for the C library's function of this name. */
int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set) {
    if (affinity_refused) {
        errno = EPERM;
        return -1;
    }
    memset(set, 0, size);
    long n = syscall(SYS_sched_getaffinity, pid, size, set);
    return n < 0 ? -1 : 0;
}

TEST(affinity_counts_the_processors_of_this_thread) {
    cpu_set_t all;
    CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    CHECK_EQ(eddyi_cpu_affinity(), CPU_COUNT(&all));
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all)) {
            CPU_SET(cpu, &one);
            break;
        }
    }
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_EQ(eddyi_cpu_affinity(), 1);
    CHECK_EQ(eddyi_host_real.cpu_count(eddyi_host_real.ctx), 1);
}

TEST(without_affinity_those_online_count) {
    affinity_refused = true;
    CHECK_EQ(eddyi_cpu_affinity(), sysconf(_SC_NPROCESSORS_ONLN));
}

/* --- cgroups: a system made of files ---------------------------------------------------------- */

/* Writes a file of the system, and the folders that it stands in. */
static void put(const char *path, const char *text) {
    char whole[PATH_MAX];
    snprintf(whole, sizeof whole, "%s%s", test_tmpdir(), path);
    for (char *slash = whole + strlen(test_tmpdir()) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        CHECK(mkdir(whole, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    int fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int limit(void) {
    return eddyi_cpu_limit(test_tmpdir());
}

#define MOUNT_ROOT "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
#define MOUNT_2 "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define MOUNT_1 \
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"

/* One that has version 2 alone, and the process in /a/b. */
static void put_version_2(void) {
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/proc/self/mountinfo", MOUNT_ROOT MOUNT_2);
}

TEST(a_system_without_cgroups_sets_no_limit) {
    CHECK_EQ(limit(), 0);
    put("/proc/self/cgroup", "0::/a/b\n");
    CHECK_EQ(limit(), 0);
    put("/proc/self/mountinfo", MOUNT_ROOT);
    CHECK_EQ(limit(), 0);
    put("/proc/self/mountinfo", MOUNT_ROOT MOUNT_2);
    CHECK_EQ(limit(), 0); /* the folder is not there */
}

TEST(cpu_max_is_rounded_up) {
    put_version_2();
    put("/sys/fs/cgroup/a/b/cpu.max", "200000 100000\n");
    CHECK_EQ(limit(), 2);
    put("/sys/fs/cgroup/a/b/cpu.max", "200001 100000\n");
    CHECK_EQ(limit(), 3);
    put("/sys/fs/cgroup/a/b/cpu.max", "1000 100000\n");
    CHECK_EQ(limit(), 1);
    put("/sys/fs/cgroup/a/b/cpu.max", "9223372036854775807 1\n");
    CHECK_EQ(limit(), INT_MAX);
}

TEST(cpu_max_without_a_number_is_no_limit) {
    static const char *const texts[] = {"max 100000\n", "",           "\n",   "1000\n", "1000 0\n",
                                        "-1 100000\n",  "0 100000\n", "x y\n"};
    put_version_2();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        put("/sys/fs/cgroup/a/b/cpu.max", texts[i]);
        CHECK_EQ(limit(), 0);
    }
}

TEST(the_least_limit_from_the_group_to_the_top_counts) {
    put_version_2();
    put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    CHECK_EQ(limit(), 3);
    put("/sys/fs/cgroup/a/b/cpu.max", "500000 100000\n");
    CHECK_EQ(limit(), 3);
    put("/sys/fs/cgroup/cpu.max", "200000 100000\n"); /* in a container the top has one */
    CHECK_EQ(limit(), 2);
    put("/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
    CHECK_EQ(limit(), 1);
    put("/sys/fs/cpu.max", "1 100000\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    CHECK_EQ(limit(), 2); /* above the mount point there is no group */
}

TEST(the_top_group_is_asked_too) {
    put_version_2();
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "400000 100000\n");
    CHECK_EQ(limit(), 4);
}

TEST(version_1_divides_quota_by_period) {
    put("/proc/self/cgroup", "5:memory:/m\n4:cpuset:/c\n3:cpu,cpuacct:/a:b/c\n1:name=systemd:/s\n");
    put("/proc/self/mountinfo", MOUNT_ROOT MOUNT_1);
    put("/sys/fs/cgroup/cpu,cpuacct/a:b/c/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/a:b/c/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(limit(), 0);
    put("/sys/fs/cgroup/cpu,cpuacct/a:b/c/cpu.cfs_quota_us", "250000\n");
    CHECK_EQ(limit(), 3);
    put("/sys/fs/cgroup/cpu,cpuacct/a:b/cpu.cfs_quota_us", "50000\n");
    CHECK_EQ(limit(), 3); /* without a period it means nothing */
    put("/sys/fs/cgroup/cpu,cpuacct/a:b/cpu.cfs_period_us", "25000\n");
    CHECK_EQ(limit(), 2);
}

TEST(version_1_takes_the_hierarchy_of_the_processors) {
    put("/proc/self/cgroup", "5:cpuacct:/a\n4:cpuset:/a\n3:cpu:/b\n");
    put("/proc/self/mountinfo", "32 31 0:29 / /acct rw - cgroup cgroup rw,cpuacct\n"
                                "32 31 0:29 / /set rw - cgroup cgroup rw,cpuset\n"
                                "32 31 0:29 / /cpu rw - cgroup cgroup rw,cpu\n");
    put("/acct/b/cpu.cfs_quota_us", "100\n");
    put("/acct/b/cpu.cfs_period_us", "100\n");
    put("/cpu/a/cpu.cfs_quota_us", "100\n");
    put("/cpu/a/cpu.cfs_period_us", "100\n");
    put("/cpu/b/cpu.cfs_quota_us", "700\n");
    put("/cpu/b/cpu.cfs_period_us", "100\n");
    CHECK_EQ(limit(), 7);
}

TEST(with_both_versions_the_stricter_one_counts) {
    put("/proc/self/cgroup", "3:cpu,cpuacct:/one\n0::/two\n");
    put("/proc/self/mountinfo", MOUNT_1 "9 8 0:3 / /unified rw - cgroup2 none rw\n");
    put("/sys/fs/cgroup/cpu,cpuacct/one/cpu.cfs_quota_us", "300000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/one/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(limit(), 3);
    put("/unified/two/cpu.max", "200000 100000\n");
    CHECK_EQ(limit(), 2);
    put("/unified/two/cpu.max", "600000 100000\n");
    CHECK_EQ(limit(), 3);
}

TEST(a_mount_of_a_part_of_the_hierarchy_is_looked_into_from_there) {
    put("/proc/self/cgroup", "0::/docker/abc/in\n");
    put("/proc/self/mountinfo", "30 1 0:3 /docker/ab /wrong rw - cgroup2 cgroup2 rw\n"
                                "31 1 0:3 /docker/abc /right rw - cgroup2 cgroup2 rw\n");
    put("/wrong/c/in/cpu.max", "100000 100000\n");
    put("/wrong/cpu.max", "100000 100000\n");
    put("/right/in/cpu.max", "600000 100000\n");
    put("/right/cpu.max", "500000 100000\n");
    CHECK_EQ(limit(), 5);
    put("/proc/self/cgroup", "0::/docker/abc\n");
    put("/right/cpu.max", "400000 100000\n");
    CHECK_EQ(limit(), 4);
}

TEST(a_group_outside_the_namespace_is_not_looked_for) {
    put("/proc/self/cgroup", "0::/../other\n");
    put("/proc/self/mountinfo", MOUNT_2);
    put("/sys/fs/other/cpu.max", "100000 100000\n");
    put("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    CHECK_EQ(limit(), 0);
}

TEST(a_mount_point_may_have_a_space_in_its_name) {
    put("/proc/self/cgroup", "0::/a\n");
    put("/proc/self/mountinfo", "31 1 0:3 / /my\\040c\\134\\groups rw - cgroup2 cgroup2 rw\n");
    put("/my c\\\\groups/a/cpu.max", "600000 100000\n");
    CHECK_EQ(limit(), 6);
}

TEST(lines_of_any_length_may_stand_before_the_one_that_counts) {
    put("/sys/fs/cgroup/a/cpu.max", "600000 100000\n");
    put("/proc/self/cgroup", "0::/a"); /* no newline at the end */
    for (int len = 8150; len <= 8250; len++) {
        char mounts[30000];
        int n = snprintf(mounts, sizeof mounts, "%0*d\n1 2\n%017000d\n%s", len, 1, 2, MOUNT_2);
        CHECK(n > 0 && (size_t)n < sizeof mounts);
        put("/proc/self/mountinfo", mounts);
        CHECK_EQ(limit(), 6);
    }
}

TEST(no_part_of_a_line_that_is_too_long_is_taken_for_a_line) {
    put("/sys/fs/cgroup/a/cpu.max", "600000 100000\n");
    put("/wrong/a/cpu.max", "100000 100000\n");
    put("/proc/self/cgroup", "0::/a\n");
    for (int len = 8192; len <= 25000; len += 611) {
        char mounts[30000];
        int n = snprintf(mounts, sizeof mounts, "%0*d 2 3 / /wrong rw - cgroup2 none rw\n%s", len,
                         1, MOUNT_2);
        CHECK(n > 0 && (size_t)n < sizeof mounts);
        put("/proc/self/mountinfo", mounts);
        CHECK_EQ(limit(), 6);
    }
}

TEST(paths_that_are_too_long_set_no_limit) {
    char group[6000] = "0::/";
    memset(group + 4, 'x', 5000);
    put("/proc/self/mountinfo", MOUNT_2);
    put("/proc/self/cgroup", group); /* longer than a path can be */
    CHECK_EQ(limit(), 0);
    group[PATH_MAX - 20] = '\0'; /* too long only together with the mount point */
    put("/proc/self/cgroup", group);
    CHECK_EQ(limit(), 0);
}

TEST(broken_lines_are_passed_over) {
    put("/sys/fs/cgroup/a/cpu.max", "600000 100000\n");
    put("/proc/self/cgroup", "\n:\nx\n0:\n0::/a\n");
    put("/proc/self/mountinfo", "\n - \n - cgroup2\n1 - cgroup2 x rw\n1 2 3 / - cgroup2 x rw\n"
                                "1 2 3 / /x rw - cgroup\n" MOUNT_2);
    CHECK_EQ(limit(), 6);
}

/* --- both ------------------------------------------------------------------------------------- */

TEST(the_smaller_of_affinity_and_limit_counts) {
    put_version_2();
    CHECK_EQ(eddyi_cpu_count(test_tmpdir()), eddyi_cpu_affinity()); /* no limit */
    put("/sys/fs/cgroup/a/b/cpu.max", "2000000000 100000\n");
    CHECK_EQ(eddyi_cpu_count(test_tmpdir()), eddyi_cpu_affinity());
    put("/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
    CHECK_EQ(eddyi_cpu_count(test_tmpdir()), 1);
    CHECK_EQ(eddyi_host_real.cpu_count(eddyi_host_real.ctx), eddyi_cpu_count(""));
}

TEST(where_a_thread_may_run_does_not_change_how_many_processors_there_are) {
    cpu_set_t one;
    CPU_ZERO(&one);
    put_version_2();
    int there = eddyi_cpu_there(test_tmpdir());
    CHECK(there >= eddyi_cpu_affinity());
    CPU_SET(sched_getcpu(), &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_EQ(eddyi_cpu_there(test_tmpdir()), there);
    put("/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
    CHECK_EQ(eddyi_cpu_there(test_tmpdir()), 1);
}
