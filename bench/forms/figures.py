# SPDX-License-Identifier: Apache-2.0
"""What io_uring can be used for in more than one form, each form as a bare program: how to receive
and to send, how to make a ring, how to wake a loop, whose threads make calls on files.

No form is ours, so there are no goals; docs/internals.md says what eddy does, and why."""
import os
import tempfile

import measure as m
from measure import Program, Server, alone, figure_of, load, ratio_of
from report import number

TITLE = "forms"
PICTURE = "cpu_us"
SECONDS = 0.4
GOALS = []

SEND = {
    "multi": ["echo_uring"],
    "multi_inline": ["echo_uring", "inline"],
    "single": ["echo_uring", "single"],
    "single_inline": ["echo_uring", "single", "inline"],
    "poll_first": ["echo_uring", "poll_first"],
    "provided": ["echo_uring", "provided"],
    "epoll": ["echo_epoll"],
}
RING = {
    "defer": ["echo_uring"],
    "coop": ["echo_uring", "coop"],
    "plain": ["echo_uring", "plain"],
    "registered": ["echo_uring", "registered"],
    "no_sqarray": ["echo_uring", "registered", "no_sqarray"],
}
WAIT = {
    "at_once": ["echo_uring"],
    "min_wait_10": ["echo_uring", "min_wait=10"],
    "min_wait_50": ["echo_uring", "min_wait=50"],
}
WAKE = {form: ["forms_wake", form] for form in ("eventfd", "msg_ring", "futex")}
FILES = {place: ["forms_files", place] for place in ("pool", "io_wq")}
VARIANTS = {name: Program(command)
            for name, command in {**SEND, **RING, **WAIT, **WAKE, **FILES}.items()}


def echo(name, forms, size, connections, rate=None):
    return {"name": name, "variants": forms, "bytes": size, "connections": connections,
            "rate": rate}


CASES = [
    *(echo(f"64x{connections}", SEND, 64, connections) for connections in (1, 2, 4, 8, 32, 1000)),
    *(echo(f"{name}x{connections}", SEND, size, connections)
      for name, size in (("4K", 4096), ("16K", 16384)) for connections in (4, 32)),
    *(echo(f"ring_{connections}", RING, 64, connections) for connections in (1, 50, 1000)),
    echo("half_busy", WAIT, 64, 50, rate=40000),
    {"name": "asleep", "variants": WAKE},
    *({"name": f"{call}_{count}", "variants": FILES, "call": call, "count": count}
      for call in ("statx", "create", "fsync") for count in (1, 4, 32)),
]


def measure(program, case):
    if case["variants"] is WAKE:
        return alone(program, cpu=None)
    if case["variants"] is FILES:
        # ext4 looks for long at what was deleted a short time ago before it makes a file.
        on = "/dev/shm" if case["call"] == "create" else os.path.join(m.ROOT, "build")
        with tempfile.TemporaryDirectory(dir=on) as folder:
            return alone(program, case["call"], case["count"], folder, cpu=None)
    with Server(program) as server:
        rate = [] if case["rate"] is None else [case["rate"]]
        return load("echo_load", server.port, server.pid, case["connections"], case["bytes"],
                    SECONDS, *rate)


# The tables of the page: forms, and metrics of all their cases.
TABLES = (
    ("server CPU a message, µs", SEND, ("cpu_us",)),
    ("p99, µs", SEND, ("p99_us",)),
    ("server CPU a message, µs", RING, ("cpu_us",)),
    ("half busy", WAIT, ("cpu_us", "p50_us", "p99_us")),
    ("two threads asleep", WAKE, ("asleep_us", "cpu_us")),
    ("calls a second", FILES, ("per_s",)),
    ("CPU a call, µs", FILES, ("cpu_us",)),
)


def tables(results):
    """The first form's figures, and the others' ratios to it."""
    for title, forms, metrics in TABLES:
        first = next(iter(forms))
        columns = [(case["name"], metric) for case in CASES for metric in metrics
                   if case["variants"] is forms and first in results.get(case["name"], {})]
        if not columns:
            continue
        rows = [[form] for form in forms]
        for case, metric in columns:
            runs = results[case]
            for row in rows:
                row.append("" if row[0] not in runs
                           else number(figure_of(runs[first][metric]).value) if row[0] == first
                           else f"× {ratio_of(runs, metric, row[0], first).value:.2f}")
        yield [title, *(case if len(metrics) == 1 else metric for case, metric in columns)], rows
