# SPDX-License-Identifier: Apache-2.0
"""What io_uring can be used for in more than one form, each form as a bare program: how to receive
and to send, how to make a ring, how to wake a loop, whose threads make calls on files.

No form is ours, so there are no goals; docs/internals.md says what eddy does, and why."""
import os
import tempfile

import measure as m
from measure import Program, Server, alone, load

TITLE = "forms"
PICTURE = "cpu_us"
SECONDS = 0.5
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
    *(echo(f"{name}x{connections}", SEND, size, connections)
      for name, size in (("64", 64), ("4K", 4096), ("16K", 16384))
      for connections in (1, 2, 4, 8, 32)),
    echo("64x1000", SEND, 64, 1000),
    *(echo(f"ring64x{connections}", RING, 64, connections) for connections in (1, 50, 1000)),
    echo("min_wait", WAIT, 64, 50, rate=50000),
    {"name": "wake", "variants": WAKE},
    *({"name": f"{call}x{count}", "variants": FILES, "call": call, "count": count}
      for call in ("statx", "create", "fsync") for count in (1, 4, 32)),
]


def measure(program, case):
    if case["variants"] is WAKE:
        return alone(program, cpu=None)
    if case["variants"] is FILES:
        with tempfile.TemporaryDirectory(dir=os.path.join(m.ROOT, "build")) as folder:
            return alone(program, case["call"], case["count"], folder, cpu=None)
    with Server(program) as server:
        rate = [] if case["rate"] is None else [case["rate"]]
        return load("echo_load", server.port, server.pid, case["connections"], case["bytes"],
                    SECONDS, *rate)
