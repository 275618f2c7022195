# SPDX-License-Identifier: Apache-2.0
"""wrk with 64 keep-alive connections: a handler's fixed small body, and a small file with a log."""
import os
import re
import subprocess
import sys
import tempfile

from measure import LOAD_CPU, PROGRAMS, Goal, Program, Server, cpu_seconds, pin

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from nginx import NGINX, Nginx  # noqa: E402

TITLE = "http"
PICTURE = "cpu_us"
SECONDS = 1
WRK = "/usr/bin/wrk"
HTTPD = os.path.join(os.path.dirname(PROGRAMS), "examples", "httpd")
VARIANTS = {
    "eddy_uring": Program(["http_eddy"], {"EDDY_DRIVER": "uring"}),
    "eddy_epoll": Program(["http_eddy"], {"EDDY_DRIVER": "epoll"}),
    "raw_epoll": Program(["http_epoll"]),
    "nginx": Program([NGINX]),
    "go": Program(["http_go"]),
}
CASES = [{"name": "handler"}, {"name": "file"}]
GOALS = [
    Goal("cpu_us", "eddy_uring", ("nginx",), 0.85, cases=("handler",)),
    Goal("cpu_us", "eddy_uring", ("go",), 0.4, cases=("handler",)),
    Goal("per_s", "eddy_uring", ("nginx", "go"), 1.0, at_least=True, cases=("handler",)),
    Goal("cpu_us", "eddy_uring", ("nginx",), 1.0, cases=("file",)),
    Goal("per_s", "eddy_uring", ("nginx",), 1.0, at_least=True, cases=("file",)),
]
UNITS = {"us": 1, "ms": 1e3, "s": 1e6}


def wrk(server, path):
    """Requests a second, CPU a request, p50 and p99 of a server under wrk."""
    before = cpu_seconds(server.pid)
    output = subprocess.run(
        [WRK, "-t1", "-c64", f"-d{SECONDS}s", "--latency", f"http://127.0.0.1:{server.port}{path}"],
        stdout=subprocess.PIPE, check=True, preexec_fn=pin(LOAD_CPU)).stdout.decode()
    used = cpu_seconds(server.pid) - before
    if re.search("Socket errors|Non-2xx", output):
        raise RuntimeError(output)
    requests = int(re.search(r"(\d+) requests in", output)[1])
    figures = {"per_s": float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]),
               "cpu_us": used * 1e6 / requests}
    for percent in ("50", "99"):
        value, unit = re.search(rf"\n\s+{percent}%\s+([\d.]+)(us|ms|s)", output).groups()
        figures[f"p{percent}_us"] = float(value) * UNITS[unit]
    return figures


def of_a_file(program):
    """httpd and nginx serve a file of 1,000 bytes and write a line into a log for each request,
    gathered for a tenth of a second."""
    with tempfile.TemporaryDirectory(prefix="eddy-bench-") as folder:
        with open(os.path.join(folder, "file.txt"), "w") as out:
            out.write("x" * 999 + "\n")
        if program is VARIANTS["nginx"]:
            log = "{folder}/access.log combined buffer=64k flush=100ms"
            with Nginx(f"root {folder};", log) as server:
                return wrk(server, "/file.txt")
        httpd = Program([HTTPD, "--port", "0", "--loops", "1", "--root", folder, "--log",
                         os.path.join(folder, "access.log")], program.environment)
        with Server(httpd) as server:
            return wrk(server, "/file.txt")


def measure(program, case):
    if case["name"] == "file":
        serves_files = program is VARIANTS["nginx"] or program.command == ["http_eddy"]
        return of_a_file(program) if serves_files else {}
    if program is VARIANTS["nginx"]:
        with Nginx() as server:
            return wrk(server, "/")
    with Server(program) as server:
        return wrk(server, "/")
