# SPDX-License-Identifier: Apache-2.0
"""Short connections, 64 at a time: connect, one request, one answer, close."""
import os
import sys

import measure as m
from measure import Goal, Program, Server, load

sys.path.insert(0, os.path.join(m.ROOT, "bench", "http"))
from nginx import NGINX, Nginx  # noqa: E402

TITLE = "accept"
PICTURE = "cpu_us"
SECONDS = 1
CONNECTIONS = 64
VARIANTS = {
    "eddy_uring": Program(["accept_eddy"], {"EDDY_DRIVER": "uring"}),
    "eddy_epoll": Program(["accept_eddy"], {"EDDY_DRIVER": "epoll"}),
    "raw_uring": Program(["accept_uring"]),
    "raw_epoll": Program(["http_epoll", "close"]),
    "nginx": Program([NGINX]),
    "libuv": Program(["accept_uv"]),
    "tokio": Program(["accept_tokio"]),
}
CASES = [{"name": "short"}]
GOALS = [
    Goal("cpu_us", "eddy_uring", ("raw_uring", "raw_epoll"), 1.05),
    Goal("cpu_us", "eddy_uring", ("nginx", "libuv", "tokio"), 1.0),
    Goal("per_s", "eddy_uring", ("nginx", "libuv", "tokio"), 1.0, at_least=True),
    Goal("cpu_us", "eddy_epoll", ("raw_epoll",), 1.07),
]


def measure(program, case):
    with Nginx() if program is VARIANTS["nginx"] else Server(program) as server:
        return load("accept_load", server.port, server.pid, CONNECTIONS, SECONDS)
