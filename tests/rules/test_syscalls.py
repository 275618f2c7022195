#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many system calls an echoed message, an HTTP response and a served file cost.

The numbers are those of "System calls" in docs/internals.md. Servers run as they are installed, on
one loop, and strace counts what they call while a client asks them. Runs on each driver that talks
to a real network: EDDY_DRIVER.

What is asserted holds however the machine schedules: client and server have one CPU between them,
so neither runs while the other calls, and where many connections are to be ready at once the server
is stopped until all have written. The loop sleeps where it has nothing to do: how often it would
look out for events before that depends on who else has the CPU.
"""
import collections
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

EXAMPLES = os.path.join(os.environ["EDDY_BUILD"], "examples")
DRIVER = os.environ.get("EDDY_DRIVER", "uring")
URING = DRIVER == "uring"

MESSAGES = 300    # one after the other over one connection
CONNECTIONS = 50  # that are ready together
ROUNDS = 20

# What a count may be off by, as strace comes and goes in the midst of a wait, or a timer is due.
SLACK = 5

# The first is strace's own doing. The clock is read without a call, but on machines whose clock
# cannot be. A debug build asks which process the list of open objects is for.
UNCOUNTED = {"restart_syscall", "clock_gettime", "getpid"}

# What a message over the network may cost: where it comes alone, where others come with it, and
# what all that come together share.
if URING:
    ONE = {"io_uring_enter": 1, "sendto": 1}
    EACH = {}
    ROUND = {"io_uring_enter": 8, "sendto": 4}
else:
    ONE = {"epoll_wait": 1, "recvfrom": 1, "sendto": 1}
    EACH = {"recvfrom": 1, "sendto": 1}
    ROUND = {"epoll_wait": 4}
# Whether a read that came back short has emptied the socket depends on what the socket is.
ONCE_A_CONNECTION = {"getsockopt": 1}

# What a file that is served costs besides.
FILE = {"openat2": 1, "statx": 1, "preadv2": 1, "close": 1}

# What the access log costs, which is written once a tick: its lines are handed over to a thread,
# which is started again where it has ended, and what has gathered has its memory.
TICK_S = 0.1
LOG = {"lseek": 1, "read": 1, "futex": 4, "io_uring_enter": 4, "epoll_wait": 4,
       "clone3": 1, "rt_sigprocmask": 6, "mmap": 3, "mprotect": 3, "munmap": 3, "mremap": 1,
       "madvise": 1, "brk": 2}


class Server:
    """An example on a port of its own."""

    def __init__(self, name, *options):
        self.process = subprocess.Popen(
            [os.path.join(EXAMPLES, name), "--port", "0", "--loops", "1", *options],
            stdout=subprocess.PIPE, env={**os.environ, "EDDY_SPIN_NS": "0"})
        self.port = int(self.process.stdout.readline().decode().strip().rpartition(":")[2])
        self.connections = []
        self.tick_bounds = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.connections:  # not before: to close is a call, too
            connection.close()
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def connect(self, count):
        new = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(count)]
        self.connections += new
        return new

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def count(self, action):
        """What the loop's thread calls during the action, name -> how often, and its seconds."""
        with tempfile.NamedTemporaryFile("r") as trace:
            strace = subprocess.Popen(
                ["strace", "-o", trace.name, "-p", str(self.process.pid)],
                stderr=subprocess.PIPE, text=True)
            line = strace.stderr.readline()
            if "attached" not in line:
                strace.communicate()
                raise RuntimeError(line)
            start = time.monotonic()
            try:
                action()
            finally:
                seconds = time.monotonic() - start
                strace.terminate()
                strace.communicate()
            # A wait is the one or the other by its timeout.
            calls = collections.Counter(
                re.findall(r"^(\w+)\(", trace.read().replace("epoll_pwait2", "epoll_wait"),
                           re.MULTILINE))
        return {name: n for name, n in calls.items() if name not in UNCOUNTED}, seconds


def receive(connection, length):
    while length > 0:
        part = connection.recv(length)
        if not part:
            raise AssertionError("the server has closed")
        length -= len(part)


def measure_answer(connection, message):
    """How long the answer is, which comes as one piece."""
    connection.sendall(message)
    return len(connection.recv(65536))


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def times(bounds, n):
    return collections.Counter({name: count * n for name, count in bounds.items()})


class Syscalls(unittest.TestCase):
    def hold(self, what, server, ask, limits):
        """No call that is not in `limits`, and none more often."""
        calls, seconds = server.count(ask)
        limits += times(server.tick_bounds, int(seconds / TICK_S) + 2)
        counts = (f"{n} {name} of {limits[name]}" for name, n in sorted(calls.items()))
        print(f"{DRIVER}, {what}: {', '.join(counts)}")
        for name, n in calls.items():
            limit = limits[name] + SLACK if name in limits else 0
            self.assertLessEqual(n, limit, name)

    def one_after_the_other(self, what, server, message, bounds):
        """A connection on which the client waits for each answer: `bounds` a message."""
        connection, = server.connect(1)
        length = measure_answer(connection, message)

        def ask():
            for _ in range(MESSAGES):
                connection.sendall(message)
                receive(connection, length)
        limits = times(ONE, MESSAGES) + times(bounds, MESSAGES) + times(ONCE_A_CONNECTION, 1)
        self.hold(f"{what}, {MESSAGES} messages one after the other", server, ask, limits)

    def all_at_once(self, what, server, message, bounds):
        """Connections that are ready together: `bounds` a message."""
        connections = server.connect(CONNECTIONS)
        lengths = [measure_answer(connection, message) for connection in connections]

        def ask():
            for _ in range(ROUNDS):
                server.stop()
                for connection in connections:
                    connection.sendall(message)
                server.go_on()
                for connection, length in zip(connections, lengths):
                    receive(connection, length)
        limits = times(EACH, CONNECTIONS * ROUNDS) + times(bounds, CONNECTIONS * ROUNDS)
        limits += times(ROUND, ROUNDS) + times(ONCE_A_CONNECTION, CONNECTIONS)
        self.hold(f"{what}, {ROUNDS} times {CONNECTIONS} messages at once", server, ask, limits)

    def both(self, what, server, message, bounds):
        self.one_after_the_other(what, server, message, bounds)
        self.all_at_once(what, server, message, bounds)

    def test_echo(self):
        with Server("07_echo_server") as server:
            self.both("echo", server, b"x" * 64, {})

    def test_handler(self):
        with Server("09_http_server") as server:
            self.both("handler", server, get("/hello"), {})

    def test_file(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "file.txt"), "w") as file:
                file.write("x" * 999 + "\n")
            log = os.path.join(folder, "log")
            with Server("httpd", "--root", folder, "--log", log) as server:
                server.tick_bounds = LOG
                self.both("file", server, get("/file.txt"), FILE)


def can_trace():
    """Whether this process may trace another that is not its child's child."""
    with subprocess.Popen(["sleep", "60"]) as target:
        with subprocess.Popen(["strace", "-o", os.devnull, "-p", str(target.pid)],
                              stderr=subprocess.PIPE, text=True) as strace:
            line = strace.stderr.readline()
            strace.terminate()
        target.terminate()
    return "attached" in line


if __name__ == "__main__":
    if not shutil.which("strace") or not can_trace():
        print("skipped: there is no strace, or nothing that it may trace")
        sys.exit(77)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    unittest.main(verbosity=0)
