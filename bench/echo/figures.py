# SPDX-License-Identifier: Apache-2.0
"""Ping-pong: each connection sends a message, waits for it to come back, and sends the next."""
from measure import Goal, Program, Server, load

TITLE = "echo"
PICTURE = "cpu_us"
SECONDS = 1
VARIANTS = {
    "eddy_uring": Program(["echo_eddy"], {"EDDY_DRIVER": "uring"}),
    "eddy_epoll": Program(["echo_eddy"], {"EDDY_DRIVER": "epoll"}),
    "raw_uring": Program(["echo_uring"]),
    "raw_epoll": Program(["echo_epoll"]),
    "libuv": Program(["echo_uv"]),
    "go": Program(["echo_go"]),
    "tokio": Program(["echo_tokio"]),
}
CASES = [{"name": name, "bytes": size, "connections": count} for name, size, count in (
    ("64x1", 64, 1), ("64x50", 64, 50), ("64x1000", 64, 1000), ("16Kx50", 16384, 50))]

RAW = ("raw_uring", "raw_epoll")
OTHERS = ("libuv", "go", "tokio")
GOALS = [
    Goal("cpu_us", "eddy_uring", RAW, 1.05),
    Goal("per_s", "eddy_uring", RAW, 0.97, at_least=True),
    Goal("p99_us", "eddy_uring", RAW, 1.10),
    Goal("cpu_us", "eddy_uring", ("libuv",), 0.85, cases=("64x50", "64x1000")),
    Goal("cpu_us", "eddy_uring", OTHERS, 1.0),
    Goal("per_s", "eddy_uring", ("libuv",), 3.0, at_least=True, cases=("64x1",)),
    Goal("cpu_us", "eddy_epoll", ("raw_epoll",), 1.07),
    Goal("cpu_us", "eddy_epoll", ("libuv",), 1.0),
    Goal("per_s", "eddy_epoll", ("libuv",), 1.0, at_least=True),
]


def measure(program, case):
    with Server(program) as server:
        return load("echo_load", server.port, server.pid, case["connections"], case["bytes"],
                    SECONDS)
