#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The echo examples against Python's sockets and against each other, and signals to the server.

Runs on each driver that talks to a real network: EDDY_DRIVER.
"""
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

EXAMPLES = os.path.join(os.environ["EDDY_BUILD"], "examples")
PATIENCE = 60  # seconds, for what should take none


def plain_signals():
    """A shell in the background may have passed them on ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Server:
    """07_echo_server on a port of its own."""

    def __init__(self, *args, host="127.0.0.1"):
        self.process = subprocess.Popen(
            [os.path.join(EXAMPLES, "07_echo_server"), "--host", host, "--port", "0", *args],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=plain_signals)
        self.text = self.process.stdout.readline().strip()
        host, _, port = self.text.rpartition(":")
        self.address = (host.strip("[]"), int(port))

    def connect(self):
        return socket.create_connection(self.address, timeout=PATIENCE)

    def signal(self, number):
        os.kill(self.process.pid, number)

    def wait(self):
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err

    def wait_until_closed(self):
        """Until nobody listens any more: the drain has begun."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                self.connect().close()
            except (ConnectionRefusedError, ConnectionResetError):
                return
        raise AssertionError("the port is still open")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def exchange(peer, data):
    """Sends all of data while it receives as much."""
    sender = threading.Thread(target=peer.sendall, args=(data,))
    sender.start()
    got = bytearray()
    while len(got) < len(data):
        part = peer.recv(1 << 16)
        if not part:
            break
        got += part
    sender.join()
    return bytes(got)


class Echo(unittest.TestCase):
    def test_bytes_come_back(self):
        for host in "127.0.0.1", "[::1]":
            with Server(host=host) as server, server.connect() as peer:
                for size in 1, 100, 16 * 1024 + 1, 3_000_000:
                    data = os.urandom(size)
                    self.assertEqual(exchange(peer, data), data)

    def test_end_of_the_client_is_the_end_of_the_server(self):
        with Server() as server, server.connect() as peer:
            peer.sendall(b"last words")
            peer.shutdown(socket.SHUT_WR)
            got = b""
            while part := peer.recv(100):
                got += part
            self.assertEqual(got, b"last words")

    def test_many_clients_at_once(self):
        with Server() as server:
            peers = [server.connect() for _ in range(200)]
            for number, peer in enumerate(peers):
                peer.sendall(b"%03d" % number)
            for number, peer in enumerate(peers):
                self.assertEqual(peer.recv(3, socket.MSG_WAITALL), b"%03d" % number)
                peer.close()

    def test_clients_that_reset_do_no_harm(self):
        with Server() as server:
            for number in range(100):
                peer = server.connect()
                if number % 2:
                    peer.sendall(b"x" * number)
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                peer.close()
            with server.connect() as peer:
                self.assertEqual(exchange(peer, b"still there"), b"still there")
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait(), (0, "", ""))

    def test_example_client_talks_to_example_server(self):
        with Server() as server:
            done = subprocess.run([os.path.join(EXAMPLES, "08_echo_client"), server.text],
                                  input="hello\nworld\n\n", capture_output=True, text=True,
                                  timeout=PATIENCE)
            self.assertEqual((done.returncode, done.stdout, done.stderr),
                             (0, "hello\nworld\n\n", ""))

    def test_example_client_says_that_nobody_is_there(self):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # and does not listen
            done = subprocess.run([os.path.join(EXAMPLES, "08_echo_client"),
                                   "127.0.0.1:%d" % nobody.getsockname()[1]], input="x\n",
                                  capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"^cannot connect to 127\.0\.0\.1:\d+\n"
                                      r"08_echo_client: .*\(ECONNREFUSED\)\n$")

    def test_example_client_ends_while_nobody_types(self):
        with Server() as server:
            client = subprocess.Popen([os.path.join(EXAMPLES, "08_echo_client"), server.text],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, bufsize=0,
                                      preexec_fn=plain_signals)
            client.stdin.write(b"one\ntwo")  # the second one is never ended
            self.assertEqual(client.stdout.readline(), b"one\n")
            client.send_signal(signal.SIGTERM)
            self.assertEqual(client.wait(timeout=PATIENCE), 128 + signal.SIGTERM)
            out, err = client.communicate(timeout=PATIENCE)
            self.assertEqual((out, err), (b"", b""))

    def test_example_server_takes_its_options(self):
        program = os.path.join(EXAMPLES, "07_echo_server")

        def run(*args):
            done = subprocess.run([program, *args], capture_output=True, text=True,
                                  timeout=PATIENCE)
            return done.returncode, done.stdout, done.stderr

        usage = "usage: %s [--host HOST] [--port PORT] [--loops N]\n" % program
        self.assertEqual(run("--help"), (0, usage, ""))
        for bad in ["--port"], ["--loops", "x"], ["--loops", "0"], ["--loops", ""], ["x", "y"]:
            self.assertEqual(run(*bad), (2, "", usage))
        with Server(host="::1") as server:
            self.assertRegex(server.text, r"^\[::1\]:\d+$")

    def test_example_client_has_a_deadline(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            done = subprocess.run([os.path.join(EXAMPLES, "08_echo_client"),
                                   "127.0.0.1:%d" % silent.getsockname()[1]], input="x\n",
                                  capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("(ETIME)", done.stderr)

    def test_port_that_is_taken_is_said(self):
        with Server() as server:
            second = subprocess.run([os.path.join(EXAMPLES, "07_echo_server"), "--port",
                                     str(server.address[1])], capture_output=True, text=True,
                                    timeout=PATIENCE)
            self.assertEqual((second.returncode, second.stdout), (1, ""))
            self.assertIn("(EADDRINUSE)", second.stderr)
            self.assertIn("cannot listen on " + server.text + "\n", second.stderr)


class Signals(unittest.TestCase):
    def test_signal_ends_a_server_without_connections(self):
        for number in signal.SIGINT, signal.SIGTERM:
            for loops in "1", "3":
                with Server("--loops", loops) as server:
                    server.signal(number)
                    self.assertEqual(server.wait(), (0, "", ""))

    def test_first_signal_drains(self):
        with Server() as server, server.connect() as peer:
            self.assertEqual(exchange(peer, b"before"), b"before")
            server.signal(signal.SIGTERM)
            server.wait_until_closed()
            self.assertEqual(exchange(peer, b"after"), b"after")
            self.assertIsNone(server.process.poll())
            peer.close()
            self.assertEqual(server.wait(), (0, "", ""))

    def test_second_signal_cancels(self):
        for loops in "1", "3":
            with Server("--loops", loops) as server:
                peers = [server.connect() for _ in range(10)]
                for peer in peers:
                    self.assertEqual(exchange(peer, b"x"), b"x")
                server.signal(signal.SIGINT)
                server.wait_until_closed()
                server.signal(signal.SIGINT)
                self.assertEqual(server.wait(), (128 + signal.SIGINT, "", ""))
                for peer in peers:
                    self.assertEqual(peer.recv(1), b"")
                    peer.close()

    def test_port_is_free_at_the_end(self):
        with Server() as server:
            server.connect().close()
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait()[0], 0)
            with socket.socket() as again:
                again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                again.bind(server.address)
                again.listen()

    def test_idle_server_uses_no_time(self):
        with Server() as server, server.connect() as peer:
            self.assertEqual(exchange(peer, b"x"), b"x")

            def ticks():
                with open("/proc/%d/stat" % server.process.pid) as stat:
                    fields = stat.read().rpartition(")")[2].split()
                return int(fields[11]) + int(fields[12])

            before = ticks()
            select.select([peer], [], [], 1)  # nothing comes
            self.assertLessEqual(ticks() - before, 5)  # of 100


if __name__ == "__main__":
    print("EDDY_DRIVER is", os.environ.get("EDDY_DRIVER"), file=sys.stderr)
    unittest.main(verbosity=2)
