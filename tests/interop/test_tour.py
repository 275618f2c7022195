#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The HTTP examples of the tour: a handler with a task in the background, and a fan-out.

Runs on each driver that talks to a real network: EDDY_DRIVER.
"""
import http.client
import os
import signal
import subprocess
import sys
import unittest

EXAMPLES = os.path.join(os.environ["EDDY_BUILD"], "examples")
PATIENCE = 60  # seconds, for what should take none


def plain_signals():
    """A shell in the background may have passed them on ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Server:
    """09_http_server on a port of its own."""

    def __init__(self, *args, host="127.0.0.1"):
        self.args = ["--host", host, "--port", "0", *args]

    def __enter__(self):
        self.process = subprocess.Popen(
            [os.path.join(EXAMPLES, "09_http_server"), *self.args], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, preexec_fn=plain_signals)
        self.address = self.process.stdout.readline().strip().removeprefix("http://")
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        connection.request(method, path, body)
        response = connection.getresponse()
        answer = (response.status, response.read())
        connection.close()
        return answer


def fan_out(address, path, count):
    done = subprocess.run([os.path.join(EXAMPLES, "10_fan_out"), address, path, str(count)],
                          capture_output=True, text=True, timeout=PATIENCE)
    return done.returncode, done.stdout, done.stderr


class Tour(unittest.TestCase):
    def test_handler_answers(self):
        with Server() as server:
            self.assertEqual(server.ask("GET", "/hello?name=you"), (200, b"hello, you\n"))
            self.assertEqual(server.ask("GET", "/hello?x=1&name=a%20b+c"), (200, b"hello, a b c\n"))
            self.assertEqual(server.ask("GET", "/hello"), (200, b"hello, whoever you are\n"))
            self.assertEqual(server.ask("GET", "/hello?name=%"), (400, b"that is no name\n"))
            self.assertEqual(server.ask("GET", "/"), (404, b"nothing here\n"))
            self.assertEqual(server.ask("POST", "/length", b"some text"), (200, b"9 bytes\n"))
            self.assertEqual(server.ask("POST", "/length", iter([b"some", b"text"])),
                             (200, b"8 bytes\n"))

    def test_server_takes_an_address_and_a_number_of_loops(self):
        for host, loops in ("::1", "1"), ("[::1]", "2"), ("127.0.0.1", "3"):
            with Server("--loops", loops, host=host) as server:
                self.assertEqual(server.ask("GET", "/hello?name=you"), (200, b"hello, you\n"))

    def test_server_says_how_it_is_called(self):
        program = os.path.join(EXAMPLES, "09_http_server")
        usage = "usage: %s [--host HOST] [--port PORT] [--loops N]\n" % program
        for status, *args in (0, "--help"), (2, "127.0.0.1:0"), (2, "--loops", "0"), (2, "--port"):
            done = subprocess.run([program, *args], capture_output=True, text=True,
                                  timeout=PATIENCE)
            self.assertEqual((done.returncode, done.stdout, done.stderr),
                             (status, "" if status else usage, usage if status else ""))

    def test_body_over_the_limit_is_413(self):
        with Server() as server:
            self.assertEqual(server.ask("POST", "/length", b"x" * (1 << 20))[1], b"1048576 bytes\n")
            connection = http.client.HTTPConnection(server.address, timeout=PATIENCE)
            connection.putrequest("POST", "/length")
            connection.putheader("Content-Length", str((1 << 20) + 1))
            connection.endheaders()
            self.assertEqual(connection.getresponse().status, 413)
            connection.close()

    def test_background_task_ends_with_the_server(self):
        with Server() as server:
            server.ask("GET", "/hello")
            server.process.send_signal(signal.SIGTERM)
            out, err = server.process.communicate(timeout=PATIENCE)
            self.assertEqual((server.process.returncode, out, err), (0, "", ""))

    def test_fan_out_keeps_its_limit(self):
        with Server() as server:
            self.assertEqual(fan_out(server.address, "/hello", 7),
                             (0, "7 fetched, 7 at once\n", ""))
            self.assertEqual(fan_out(server.address, "/hello", 300),
                             (0, "300 fetched, 50 at once\n", ""))

    def test_first_failure_of_a_fan_out_is_named(self):
        with Server() as server:
            status, out, err = fan_out(server.address, "/nothing", 300)
            self.assertEqual(status, 1)
            self.assertRegex(out, r"^the task of .*10_fan_out\.c:\d+ failed: protocol error\n"
                                  r"0 fetched, ")
            self.assertIn("(EPROTO)", err)


if __name__ == "__main__":
    print("EDDY_DRIVER is", os.environ.get("EDDY_DRIVER"), file=sys.stderr)
    unittest.main(verbosity=2)
