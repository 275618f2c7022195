# SPDX-License-Identifier: Apache-2.0
"""A wake-up across threads and back, both asleep on a CPU of their own, or both awake while they
wait; and how long it takes until a loop that works runs what another thread gave it."""
from measure import Goal, Program, alone

TITLE = "wake"
PICTURE = "asleep_us"
VARIANTS = {
    "eddy_uring": Program(["wake_eddy"], {"EDDY_DRIVER": "uring"}),
    "eddy_epoll": Program(["wake_eddy"], {"EDDY_DRIVER": "epoll"}),
    "eventfd": Program(["wake_eventfd"]),
    "libuv": Program(["wake_uv"]),
}
CASES = [{"name": "two_cpus"}]
GOALS = [
    Goal("asleep_us", "eddy_uring", ("eventfd",), 1.1),
    Goal("asleep_us", "eddy_epoll", ("eventfd",), 1.1),
    Goal("asleep_us", "eddy_uring", ("libuv",), 1.0),
    Goal("spinning_us", "eddy_uring", (), 2, absolute=True),
    Goal("spinning_us", "eddy_epoll", (), 2, absolute=True),
    Goal("working_us", "eddy_uring", (), 2, absolute=True),
    Goal("working_us", "eddy_epoll", (), 2, absolute=True),
]


def measure(program, case):
    return alone(program, cpu=None)
