#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/httpd under its real clients: Python's http.client, curl and wrk, on $EDDY_DRIVER."""
import fcntl
import http.client
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

HTTPD = os.path.join(os.environ["EDDY_BUILD"], "examples", "httpd")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as own:
            own.bind(("::1", 0))
    except OSError:
        return False
    return True


class Httpd:
    """The server on a free port, over a folder made for it."""

    def __init__(self, root, *options, nofile=None):
        def limit():
            if nofile is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))
        self.log = tempfile.NamedTemporaryFile()
        self.process = subprocess.Popen(
            [HTTPD, "--port", "0", "--root", root, "--log", self.log.name, *options],
            stdout=subprocess.PIPE, preexec_fn=limit)
        self.url = self.process.stdout.readline().decode().strip()
        self.port = int(self.url.rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.status = self.process.wait(30)
        self.process.stdout.close()

    def get(self, path, method="GET", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body,
                           {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer, data


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp()
        cls.outside = tempfile.mkdtemp()
        cls.large = random.Random(1).randbytes(3 * 1024 * 1024 + 17)
        files = {"a.txt": b"hello\n", "empty": b"", "large.bin": cls.large,
                 "sub/index.html": b"<p>index</p>", "list/<b>&\"x\".txt": b"1",
                 "list/.hidden": b"2", "sp ace%.txt": b"3"}
        for name, data in files.items():
            path = os.path.join(cls.root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(data)
        with open(os.path.join(cls.outside, "secret"), "wb") as out:
            out.write(b"secret")
        os.symlink(os.path.join(cls.outside, "secret"), os.path.join(cls.root, "leak"))
        os.symlink(cls.outside, os.path.join(cls.root, "leakdir"))
        os.symlink("a.txt", os.path.join(cls.root, "inside"))
        os.mkfifo(os.path.join(cls.root, "fifo"))
        cls.server = Httpd(cls.root)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()
        shutil.rmtree(cls.root)
        shutil.rmtree(cls.outside)
        assert cls.server.status == 0, cls.server.status

    def test_files_come_whole_with_type_and_length(self):
        answer, data = self.server.get("/a.txt")
        self.assertEqual((answer.status, data), (200, b"hello\n"))
        self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")
        self.assertEqual(self.server.get("/large.bin")[1], self.large)
        self.assertEqual(self.server.get("/empty")[1], b"")
        self.assertEqual(self.server.get("/sp%20ace%25.txt")[1], b"3")
        self.assertEqual(self.server.get("/inside")[1], b"hello\n")

    def test_head_has_the_length_and_no_body(self):
        answer, data = self.server.get("/large.bin", "HEAD")
        self.assertEqual((answer.status, data), (200, b""))
        self.assertEqual(answer.headers["Content-Length"], str(len(self.large)))

    def test_ranges(self):
        answer, data = self.server.get("/large.bin", Range="bytes=5-14")
        self.assertEqual((answer.status, data), (206, self.large[5:15]))
        self.assertEqual(answer.headers["Content-Range"], f"bytes 5-14/{len(self.large)}")
        self.assertEqual(self.server.get("/large.bin", Range="bytes=-7")[1], self.large[-7:])
        answer, data = self.server.get("/a.txt", Range="bytes=100-")
        self.assertEqual(answer.status, 416)
        self.assertEqual(answer.headers["Content-Range"], "bytes */6")
        answer, data = self.server.get("/a.txt", Range="bytes=0-1,4-5")
        self.assertEqual(answer.status, 206)
        self.assertIn("multipart/byteranges", answer.headers["Content-Type"])
        self.assertIn(b"\r\n\r\nhe\r\n", data)
        self.assertEqual(int(answer.headers["Content-Length"]), len(data))
        self.assertEqual(data.lower().count(b"content-type: text/plain; charset=utf-8\r\n"), 2)
        boundary = answer.headers["Content-Type"].partition("boundary=")[2].encode()
        self.assertEqual(data.count(b"--" + boundary), 3)
        other, _ = self.server.get("/a.txt", Range="bytes=0-1,4-5")
        self.assertNotEqual(answer.headers["Content-Type"], other.headers["Content-Type"])

    def test_conditions(self):
        answer, _ = self.server.get("/a.txt")
        tag, date = answer.headers["ETag"], answer.headers["Last-Modified"]
        for condition in {"If-None-Match": tag}, {"If-Modified-Since": date}:
            answer, data = self.server.get("/a.txt", **condition)
            self.assertEqual((answer.status, data), (304, b""))
        self.assertEqual(self.server.get("/a.txt", If_Match='"other"')[0].status, 412)
        self.assertEqual(self.server.get("/a.txt", If_None_Match='"other"')[0].status, 200)
        answer, data = self.server.get("/a.txt", Range="bytes=0-1", If_Range='"other"')
        self.assertEqual((answer.status, data), (200, b"hello\n"))

    def test_folders(self):
        self.assertEqual(self.server.get("/sub/")[1], b"<p>index</p>")
        answer, _ = self.server.get("/sub")
        self.assertEqual((answer.status, answer.headers["Location"]), (301, "/sub/"))
        _, page = self.server.get("/list/")
        self.assertIn(b"&lt;b&gt;&amp;&quot;x&quot;.txt", page)
        self.assertNotIn(b"<b>", page)
        self.assertNotIn(b".hidden", page)

    def test_nothing_outside_of_the_root_is_reached(self):
        for path in ("/../etc/passwd", "/..%2fetc%2fpasswd", "/%2e%2e/etc/passwd", "/leak",
                     "/leakdir/secret", "//etc/passwd", "/sub/../../etc/passwd", "/a.txt%00.html"):
            answer, data = self.server.get(path)
            self.assertIn(answer.status, (400, 403, 404), path)
            self.assertNotIn(b"secret", data)
            self.assertNotIn(b"root:", data)

    def test_what_is_no_file_is_refused(self):
        self.assertEqual(self.server.get("/nothing")[0].status, 404)
        self.assertEqual(self.server.get("/a.txt/b")[0].status, 404)
        self.assertEqual(self.server.get("/fifo")[0].status, 403)
        self.assertEqual(self.server.get("/a.txt", "POST", b"x")[0].status, 405)
        answer, _ = self.server.get("/a.txt", "DELETE")
        self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET, HEAD, OPTIONS"))
        self.assertEqual(self.server.get("/a.txt", "BREW")[0].status, 501)
        answer, data = self.server.get("*", "OPTIONS")
        self.assertEqual((answer.status, answer.headers["Allow"], data),
                         (204, "GET, HEAD, OPTIONS", b""))

    def test_a_connection_is_kept(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        for _ in range(100):
            connection.request("GET", "/a.txt")
            self.assertEqual(connection.getresponse().read(), b"hello\n")
        connection.close()

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_curl(self):
        url = self.server.url
        run = lambda *words: subprocess.run(["curl", "-sS", "--max-time", "30", *words], check=True,
                                            stdout=subprocess.PIPE).stdout
        self.assertEqual(run(url + "/large.bin"), self.large)
        self.assertEqual(run("-r", "10-19", url + "/large.bin"), self.large[10:20])
        self.assertEqual(run("-L", url + "/sub"), b"<p>index</p>")
        self.assertIn(b"400 Bad", run("-i", "--path-as-is", url + "/../../etc/passwd"))
        both = run(url + "/a.txt", url + "/a.txt", "-w", "%{num_connects}")
        self.assertEqual(both, b"hello\n1hello\n0")

    @unittest.skipUnless(shutil.which("wrk"), "wrk is not installed")
    def test_wrk_sees_no_errors(self):
        out = subprocess.run(["wrk", "-t1", "-c50", "-d1", self.server.url + "/a.txt"], check=True,
                             stdout=subprocess.PIPE).stdout.decode()
        self.assertNotIn("Socket errors", out)
        self.assertNotIn("Non-2xx", out)


class Trouble(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        with open(os.path.join(self.root, "a"), "wb") as out:
            out.write(b"hello\n")

    def test_a_drain_answers_what_is_under_way_and_exits_with_0(self):
        with Httpd(self.root) as server:
            idle = socket.create_connection(("127.0.0.1", server.port))
            idle.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertIn(b"200 OK", idle.recv(4096))
            server.process.send_signal(signal.SIGTERM)
            idle.settimeout(30)
            self.assertEqual(idle.recv(4096), b"")  # let go, not waited for
            idle.close()
            server.process.wait(30)
        self.assertEqual(server.status, 0)

    def test_a_second_signal_ends_it_though_a_client_hangs(self):
        with Httpd(self.root) as server:
            busy = socket.create_connection(("127.0.0.1", server.port))
            busy.sendall(b"GET /a HT")
            self.assertEqual(server.get("/a")[1], b"hello\n")
            server.process.send_signal(signal.SIGINT)
            with self.assertRaises(OSError):
                while True:  # until the port is closed
                    socket.create_connection(("127.0.0.1", server.port)).close()
            server.process.send_signal(signal.SIGINT)
            server.process.wait(30)
            busy.close()

    def test_running_out_of_descriptors_refuses_nobody_for_good(self):
        with Httpd(self.root, "--loops", "1", nofile=40) as server:
            held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(80)]
            before = sum(os.times()[:2])
            for connection in held:
                connection.close()
            self.assertEqual(server.get("/a")[1], b"hello\n")
            self.assertLess(sum(os.times()[:2]) - before, 5)
        self.assertEqual(server.status, 0)

    def test_requests_are_logged_one_line_each(self):
        with Httpd(self.root) as server:
            threads = [threading.Thread(target=server.get, args=("/a?x=\\",))
                       for _ in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        with open(server.log.name) as log:
            lines = log.read().splitlines()
        self.assertEqual(len(lines), 20)
        for line in lines:
            self.assertRegex(line, r'^127\.0\.0\.1 - - \[.*\] "GET /a\?x=\\x5c HTTP/1\.1" 200 6$')

    def test_the_log_is_not_fooled(self):
        """What a client sends cannot end a line or a quoted value, and is not cut in two."""
        with Httpd(self.root, "--log-format", "combined") as server:
            connection = socket.create_connection(("127.0.0.1", server.port))
            connection.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\nReferer: x\" 200 1 \"\\\r\n"
                               b"User-Agent: \xff\t\x80" + b"u" * 1000 + b"\r\n\r\n"
                               b"GET /" + b"y" * 1000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
                               b"GET /\x1b[2J HTTP/1.1\r\nHost: a\r\n\r\n")
            while connection.recv(65536):
                pass
            connection.close()
        with open(server.log.name) as log:
            lines = log.read().splitlines()
        self.assertEqual(len(lines), 3)
        self.assertRegex(lines[0], r'"GET /a HTTP/1\.1" 200 6 "x\\x22 200 1 \\x22\\x5c" '
                                   r'"\\xff\\x09\\x80u{509}"$')
        self.assertRegex(lines[1], r'"GET /y{507}" 404 \d+ "-" "-"$')
        self.assertRegex(lines[2], r'"-" 400 \d+ "-" "-"$')

    def test_the_log_goes_to_standard_output_behind_the_address(self):
        with tempfile.NamedTemporaryFile() as out:
            process = subprocess.Popen([HTTPD, "--port", "0", "--root", self.root], stdout=out)
            with open(out.name) as text:
                while not (url := text.readline()).endswith("\n"):
                    self.assertIsNone(process.poll())
                    text.seek(0)
                address = url.strip().removeprefix("http://")
                connection = http.client.HTTPConnection(address, timeout=30)
                connection.request("HEAD", "/a")
                self.assertEqual(connection.getresponse().status, 200)
                connection.close()
                process.terminate()
                self.assertEqual(process.wait(30), 0)
                self.assertRegex(text.read(),
                                 r'^127\.0\.0\.1 - - \[.*\] "HEAD /a HTTP/1\.1" 200 -\n$')

    def test_a_log_that_nobody_takes_holds_up_the_end_for_a_moment_and_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            pipe = os.path.join(folder, "log")
            os.mkfifo(pipe)
            reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
            process = subprocess.Popen(
                [HTTPD, "--port", "0", "--root", self.root, "--log", pipe],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            address = process.stdout.readline().decode().strip().removeprefix("http://")
            connection = http.client.HTTPConnection(address, timeout=30)
            for _ in range(200):
                connection.request("HEAD", "/a")
                self.assertEqual(connection.getresponse().read(), b"")
            connection.close()
            process.terminate()
            _, said = process.communicate(timeout=30)
            os.close(reader)
            self.assertEqual(process.returncode, 0)
            self.assertIn(b"access log: given up after 2 seconds", said)

    @unittest.skipUnless(has_ipv6(), "this machine has no IPv6 address")
    def test_ipv6(self):
        with Httpd(self.root, "--host", "::1") as server:
            self.assertEqual(server.url, f"http://[::1]:{server.port}")
            connection = http.client.HTTPConnection("::1", server.port, timeout=30)
            connection.request("GET", "/a")
            self.assertEqual(connection.getresponse().read(), b"hello\n")
            connection.close()
        with open(server.log.name) as log:
            self.assertTrue(log.read().startswith("::1 - - ["))

    def test_wrong_options_are_named(self):
        for words, text in ((["--loops", "x"], b"--loops"), (["--loops", "0"], b"--loops"),
                            (["--loops", "-1"], b"--loops"), (["--loops", "9" * 30], b"9999"),
                            (["--nonsense", "1"], b"--nonsense"), (["--port"], b"--port"),
                            (["--port", "65536"], b"65536"), (["--root="], b"--root"),
                            (["--log-format", "x"], b"combined"), (["file"], b"file")):
            done = subprocess.run([HTTPD, *words], stderr=subprocess.PIPE, timeout=30)
            self.assertEqual(done.returncode, 2)
            self.assertIn(text, done.stderr.splitlines()[0])
            self.assertIn(b"usage: httpd [--host HOST]", done.stderr)
        for word, text in (("--help", b"usage: httpd "), ("-h", b"--root FOLDER"),
                           ("--version", b"httpd of eddy ")):
            done = subprocess.run([HTTPD, word], stdout=subprocess.PIPE, timeout=30)
            self.assertEqual(done.returncode, 0)
            self.assertIn(text, done.stdout)

    def test_what_cannot_be_served_is_said_in_one_line(self):
        with Httpd(self.root) as server:
            for words, text in ((["--host", "nowhere"], b"not an address"),
                                (["--port", str(server.port)], b"address already in use"),
                                (["--port=0", "--root", self.root + "/none"], b"/none: no such "),
                                (["--port=0", "--root", self.root + "/a"], b"/a: not a directory"),
                                (["--port=0", "--log", self.root + "/none/log"], b"/none/log: no")):
                done = subprocess.run([HTTPD, *words], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, timeout=30)
                self.assertEqual((done.returncode, done.stdout), (1, b""))
                self.assertIn(text, done.stderr)
                self.assertEqual(done.stderr.count(b"\n"), 1)


if __name__ == "__main__":
    if not os.path.exists(HTTPD):
        sys.exit(77)
    print("driver:", os.environ.get("EDDY_DRIVER", "auto"))
    unittest.main(verbosity=2)
