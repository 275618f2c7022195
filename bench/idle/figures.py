# SPDX-License-Identifier: Apache-2.0
"""Memory of what waits: 10,000 connections that echoed one line, and 100,000 sleeping tasks."""
import os
import resource
import subprocess

from measure import LOAD_CPU, PROGRAMS, Goal, Program, Server, alone, pin, resident_bytes

TITLE = "idle"
PICTURE = "connection_kib"
VARIANTS = {
    "eddy_uring": Program(["idle_eddy"], {"EDDY_DRIVER": "uring"}),
    "eddy_epoll": Program(["idle_eddy"], {"EDDY_DRIVER": "epoll"}),
    "raw_epoll": Program(["idle_epoll"]),
    "libuv": Program(["idle_uv"]),
    "go": Program(["idle_go"]),
    "tokio": Program(["idle_tokio"]),
}
WITH_TASKS = ("idle_eddy", "idle_go", "idle_tokio")
CASES = [{"name": "connections", "count": 10000}, {"name": "sleeping", "count": 100000}]
GOALS = [
    Goal("connection_kib", "eddy_uring", (), 5, absolute=True),
    Goal("connection_kib", "eddy_epoll", (), 5, absolute=True),
    Goal("connection_kib", "eddy_uring", ("go", "tokio"), 1.0),
    Goal("tasks_mib", "eddy_uring", (), 500, absolute=True),
    Goal("start_s", "eddy_uring", (), 1, absolute=True),
]


def measure(program, case):
    if case["name"] == "sleeping":
        return alone(program, "sleep", case["count"]) if program.command[0] in WITH_TASKS else {}
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    with Server(program, "serve") as server:
        before = resident_bytes(server.pid)
        clients = subprocess.Popen(
            [os.path.join(PROGRAMS, "idle_load"), server.port, str(case["count"])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=pin(LOAD_CPU))
        if clients.stdout.readline() != b"idle\n":
            raise RuntimeError("the connections were not made")
        used = resident_bytes(server.pid) - before
        clients.communicate()
    return {"connection_kib": used / 1024 / case["count"]}
