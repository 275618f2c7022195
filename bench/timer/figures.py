# SPDX-License-Identifier: Apache-2.0
"""A million timers at once, per timer: created and cancelled, created and fired (all due within a
quarter of a second, so that firing them, not waiting, is what takes the time). All of it twice,
of which the second time counts: the first one finds no memory yet."""
from measure import Goal, Program, alone

TITLE = "timer"
PICTURE = "fire_ns"
VARIANTS = {
    "eddy": Program(["timer_eddy"]),
    "libuv": Program(["timer_uv"]),
    "go": Program(["timer_go"]),
    "tokio": Program(["timer_tokio"]),
}
CASES = [{"name": "a_million"}]
GOALS = [
    Goal("cancel_ns", "eddy", (), 50, absolute=True),
    Goal("cancel_ns", "eddy", ("libuv", "go", "tokio"), 1.0),
    Goal("fire_ns", "eddy", ("libuv",), 1 / 2.5),
    Goal("fire_ns", "eddy", ("go", "tokio"), 1.0),
]


def measure(program, case):
    return alone(program)
