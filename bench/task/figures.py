# SPDX-License-Identifier: Apache-2.0
"""Tasks on one thread: a switch, a start with its await, a round trip over two channels."""
from measure import Goal, Program, alone

TITLE = "task"
PICTURE = "spawn_ns"
VARIANTS = {
    "eddy": Program(["task_eddy"]),
    "bare_swap": Program(["task_swap"]),
    "go": Program(["task_go"]),
    "tokio": Program(["task_tokio"]),
}
CASES = [{"name": "one_thread"}]
GOALS = [
    Goal("switch_ns", "eddy", ("bare_swap",), 3.0),
    Goal("switch_ns", "eddy", ("go", "tokio"), 1.0),
    Goal("spawn_ns", "eddy", (), 60, absolute=True),
    Goal("spawn_ns", "eddy", ("go", "tokio"), 1.0),
    Goal("channel_ns", "eddy", (), 100, absolute=True),
    Goal("channel_ns", "eddy", ("go", "tokio"), 1.0),
]


def measure(program, case):
    return alone(program)
