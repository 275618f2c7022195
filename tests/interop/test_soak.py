#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""httpd on $EDDY_DRIVER under wrk and ill-mannered clients, for SOAK_SECONDS (here 3; `make soak`
takes minutes): every answer is the right one all along, and memory, descriptors and threads stay
what they were. Then a drain loses nothing and ends in time, with status 0.

What grows by less than its margin after the warm-up passes. The margin is one of the whole run, so
the longer it is the smaller the leak that it finds: in ten minutes some bytes a connection."""
import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HTTPD = os.path.join(os.environ["EDDY_BUILD"], "examples", "httpd")
SECONDS = float(os.environ.get("SOAK_SECONDS") or 3)
SEED = int(os.environ.get("EDDY_SEED") or random.randrange(1 << 32))
# Of the samples, for pools and the allocator to get to their size.
WARM_UP = 0.6
# How much resident memory may seem to grow over the rest. That of tasks' stacks hangs on how many
# connections there have ever been at once, and on what they did then: it has a margin of its own.
# Seen without a leak: 0 to 100 in minutes; on a machine ten times too busy 450, and 3100 of stacks.
MEMORY_MARGIN_KIB = 768
STACKS_MARGIN_KIB = 8192
SLAB_KIB = 8192         # stacks are mapped in slabs of so much or more, and nothing else is
# Its own, files, and what has gone and it has yet to notice. As a rule: a loop that gets no CPU for
# some seconds finds hundreds afterwards. (In the end none may be left at all.)
DESCRIPTORS_BESIDE = 100
# Two loops, what works for them on files, a sanitizer's own and the kernel's.
THREADS_MAX = 2 + max(8, os.cpu_count()) + 4
DRAIN_SECONDS = 20      # ten that httpd gives its connections, and a busy machine
HEAD_SECONDS = 9        # a head may take ten
WRK_CONNECTIONS = 32
KINDS = ("slow", 10), ("reset", 6), ("silent", 20), ("pipeline", 3), ("bad", 2)  # of clients
FILES = {"small": b"hello\n", "page": bytes(range(256)) * 40,
         "large": random.Random(1).randbytes(2 * 1024 * 1024)}
BAD = [b"\r\n\r\nGET\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
       b"GET / HTTP/3.7\r\nHost: a\r\n\r\n", b"POST /small HTTP/1.1\r\nHost: a\r\n"
       b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
       b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
       b"GET /small HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20000 + b"\r\n"]


def request(name, last=False):
    return (f"GET /{name} HTTP/1.1\r\nHost: a\r\n" + ("Connection: close\r\n" if last else "") +
            "\r\n").encode()


class RequestTimeout(Exception):
    pass


async def read_answer(reader, name):
    head = await reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 408 "):
        raise RequestTimeout(head)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    assert body == FILES[name], f"{name}: another {length} bytes"


class Clients:
    """All but wrk, as tasks of one thread."""

    def __init__(self, port):
        self.port = port
        self.dice = random.Random(SEED)
        self.counts = {}
        self.stopping = False
        self.tasks = []

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port)

    def name(self):
        return self.dice.choices(list(FILES), (50, 20, 1))[0]

    async def pause(self, most):
        await asyncio.sleep(self.dice.random() * most)

    async def slow(self):
        """Sends byte by byte."""
        reader, writer = await self.connect()
        for _ in range(3):
            name = self.name()
            begin = time.monotonic()
            try:
                for byte in request(name):
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await self.pause(0.01)
                await read_answer(reader, name)
            except (RequestTimeout, ConnectionError):
                # On a machine that is so busy we are slower than the server puts up with.
                assert time.monotonic() - begin > HEAD_SECONDS, "it was in time"
                break
        writer.close()

    async def reset(self):
        """Gone at some moment, with a reset."""
        reader, writer = await self.connect()
        sent = b"".join(request(self.name()) for _ in range(self.dice.randrange(8)))
        writer.write(sent[:self.dice.randrange(len(sent) + 1)])
        if self.dice.random() < 0.5:
            await self.pause(0.02)
        if self.dice.random() < 0.3:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(reader.read(5000), 0.01)
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def silent(self):
        """Connects, and no more."""
        _, writer = await self.connect()
        until = time.monotonic() + self.dice.random() * min(SECONDS, 30)
        while not self.stopping and time.monotonic() < until:
            await self.pause(0.1)
        writer.close()

    async def pipeline(self):
        reader, writer = await self.connect()
        names = [self.name() for _ in range(self.dice.randrange(1, 60))]
        writer.write(b"".join(request(name, i == len(names) - 1) for i, name in enumerate(names)))
        for name in names:
            await read_answer(reader, name)
        assert await reader.read() == b""
        writer.close()

    async def bad(self):
        """Nothing but a refusal, and the end of the connection."""
        reader, writer = await self.connect()
        try:
            writer.write(self.dice.choice(BAD))
            writer.write_eof()
            answer = await reader.read()
            assert answer == b"" or answer[:10] in (b"HTTP/1.1 4", b"HTTP/1.1 5"), answer
        except ConnectionError:
            pass  # it was cut while we still sent
        writer.close()

    async def repeat(self, kind):
        while not self.stopping:
            try:
                await asyncio.wait_for(kind(), 120)
            except ConnectionError as error:
                raise AssertionError(f"{kind.__name__}: {error}") from error
            self.counts[kind.__name__] = self.counts.get(kind.__name__, 0) + 1

    def start(self):
        for name, count in KINDS:
            kind = getattr(self, name)
            self.tasks += [asyncio.ensure_future(self.repeat(kind)) for _ in range(count)]

    def check(self):
        for task in self.tasks:
            if task.done():
                task.result()


class Server:
    def __init__(self, root):
        self.process = subprocess.Popen(
            [HTTPD, "--port", "0", "--root", root, "--loops", "2", "--log", "none"],
            stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline().decode().rpartition(":")[2])
        with open(HTTPD, "rb") as program:
            text = program.read()
        # A sanitizer keeps what was freed, and more of it the longer it runs.
        self.is_sanitized = b"__asan_init" in text or b"__tsan_init" in text
        self.samples = []  # (seconds, KiB of stacks, KiB of all else, descriptors, threads)
        self.start = time.monotonic()

    def sample(self):
        proc = f"/proc/{self.process.pid}"
        kib = {True: 0, False: 0}
        is_slab = False
        with open(proc + "/smaps") as smaps:
            for line in smaps:
                if line.startswith("Size:"):
                    is_slab = int(line.split()[1]) >= SLAB_KIB
                elif line.startswith("Rss:"):
                    kib[is_slab] += int(line.split()[1])
        self.samples.append((time.monotonic() - self.start, kib[True], kib[False],
                             len(os.listdir(proc + "/fd")), len(os.listdir(proc + "/task"))))
        return self.samples[-1][3]

    def growth(self, column):
        """By a straight line through what was seen after the warm-up."""
        warm = self.samples[int(WARM_UP * len(self.samples)):]
        middle = sum(s[0] for s in warm) / len(warm)
        mean = sum(s[column] for s in warm) / len(warm)
        slope = (sum((s[0] - middle) * (s[column] - mean) for s in warm) /
                 max(sum((s[0] - middle) ** 2 for s in warm), 1e-9))
        return slope * (warm[-1][0] - warm[0][0])

    def check_flat(self, connections):
        memory, stacks = self.growth(2), self.growth(1)
        warm = self.samples[int(WARM_UP * len(self.samples)):]
        descriptors, threads = statistics.median(s[3] for s in warm), max(s[4] for s in warm)
        print(f"memory: {self.samples[-1][2]} KiB, grows by {memory:.0f} after the warm-up; "
              f"stacks: {self.samples[-1][1]}, by {stacks:.0f}; "
              f"{descriptors:.0f} descriptors, {threads} threads")
        if not self.is_sanitized:
            assert memory < MEMORY_MARGIN_KIB, "memory grows"
            assert stacks < STACKS_MARGIN_KIB, "stacks grow"
        assert descriptors <= connections + DESCRIPTORS_BESIDE, "descriptors"
        assert threads <= THREADS_MAX, "threads"


async def run_wrk(port, seconds):
    process = await asyncio.create_subprocess_exec(
        "wrk", "-t1", "--timeout", "60s", f"-c{WRK_CONNECTIONS}", f"-d{seconds}",
        f"http://127.0.0.1:{port}/small", stdout=subprocess.PIPE)
    try:
        out = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0 and "Non-2xx" not in out and "Socket errors" not in out, out
    return int(out.partition(" requests in")[0].split()[-1])


async def load(server):
    """SECONDS of everything at once, and samples."""
    clients = Clients(server.port)
    clients.start()
    wrk = asyncio.ensure_future(run_wrk(server.port, max(1, round(SECONDS))))
    interval = max(0.05, SECONDS / 400)
    try:
        while not wrk.done():
            await asyncio.sleep(interval)
            server.sample()
            clients.check()
            assert server.process.poll() is None, "httpd has ended"
    finally:
        clients.stopping = True
    await asyncio.gather(*clients.tasks)
    print(f"{wrk.result()} requests of wrk;",
          ", ".join(f"{n} {kind}" for kind, n in sorted(clients.counts.items())))
    missing = {name for name, _ in KINDS} - set(clients.counts)
    assert not missing, f"not one {missing}"


async def quiet(server, descriptors):
    """Everybody has gone: the server has nothing left of them."""
    end = time.monotonic() + 60
    while (left := server.sample()) > descriptors:
        assert time.monotonic() < end, f"{left - descriptors} descriptors left"
        await asyncio.sleep(0.02)


async def drain(server):
    """A signal: what has been sent before it is answered, half of a head may be ended, a large
    answer comes to its end."""
    clients = Clients(server.port)
    whole = [await clients.connect() for _ in range(40)]
    half = [await clients.connect() for _ in range(10)]
    large = [await clients.connect() for _ in range(4)]
    silent = [await clients.connect() for _ in range(10)]
    for _, writer in half:
        writer.write(request("page")[:20])
    for _, writer in large:
        writer.write(request("large"))
    for reader, writer in whole[:20]:  # these are idle when they send again
        writer.write(request("small"))
        await read_answer(reader, "small")
    for _, writer in whole:
        writer.write(request("page"))
    begin = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.1)  # in the drain, as a rule; before it they are served all the same
    for _, writer in half:
        writer.write(request("page")[20:])
    for connections, name in ((whole, "page"), (half, "page"), (large, "large")):
        for reader, _ in connections:
            await asyncio.wait_for(read_answer(reader, name), 30)
            assert await reader.read() == b""
    for reader, _ in silent:
        assert await asyncio.wait_for(reader.read(), 30) == b""
    for _, writer in whole + half + large + silent:
        writer.close()
    while server.process.poll() is None:
        assert time.monotonic() - begin < DRAIN_SECONDS, "the drain takes too long"
        await asyncio.sleep(0.01)
    print(f"drained in {time.monotonic() - begin:.2f} s, status {server.process.returncode}")
    assert server.process.returncode == 0


async def soak(server):
    # Loops, rings and the threads for files are there once each loop has served a file.
    clients = Clients(server.port)
    for _ in range(50):
        await clients.pipeline()
    await asyncio.sleep(0.2)
    descriptors = server.sample()
    await load(server)
    server.check_flat(WRK_CONNECTIONS + sum(count for _, count in KINDS))
    await quiet(server, descriptors)
    await drain(server)


def main():
    if not os.path.exists(HTTPD) or shutil.which("wrk") is None:
        print("needs httpd and wrk")
        return 77
    print(f"driver {os.environ.get('EDDY_DRIVER', 'auto')}, {SECONDS:g} seconds, seed {SEED}",
          flush=True)
    with tempfile.TemporaryDirectory() as root:
        for name, data in FILES.items():
            with open(os.path.join(root, name), "wb") as out:
                out.write(data)
        server = Server(root)
        try:
            asyncio.run(soak(server))
        finally:
            if server.process.poll() is None:
                server.process.kill()
            server.process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
