#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/httpd beside nginx: the same folder, the same requests, answers compared.

Where the two differ on purpose, DIFFERENCES says so and why; everything else must be equal.
"""
import email.utils
import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

HTTPD = os.path.join(os.environ["EDDY_BUILD"], "examples", "httpd")
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")

CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen unix:{folder}/socket;
        root {root};
        absolute_redirect off;
        disable_symlinks off;
    }}
}}
"""

LARGE = bytes(range(256)) * 1024
MODIFIED = 1700000000
DATE = email.utils.formatdate(MODIFIED, usegmt=True)
OLDER = email.utils.formatdate(MODIFIED - 1, usegmt=True)
NEWER = email.utils.formatdate(MODIFIED + 1, usegmt=True)
FILES = {"a.txt": b"hello\n", "empty.txt": b"", "large.bin": LARGE, "page.html": b"<p>",
         "style.css": b"p{}", "icon.svg": b"<svg/>", "image.png": b"\x89PNG", "data.json": b"{}",
         "noext": b"?", "film.mp4": LARGE, "sub/index.html": b"<p>index</p>", "sp ace.txt": b"1",
         "\u00fcml%aut#?.txt": b"2"}

# name: (method, target, headers); {etag} becomes the server's own tag of a.txt.
REQUESTS = {}


def add(name, target, method="GET", **headers):
    REQUESTS[name] = (method, target, {key.replace("_", "-"): value
                                       for key, value in headers.items()})


for path in ("/a.txt", "/empty.txt", "/large.bin", "/page.html", "/style.css", "/icon.svg",
             "/image.png", "/data.json", "/noext", "/film.mp4", "/sub/", "/sub", "/sub?x=%20/y",
             "/none", "/none/", "/a.txt/", "/sp%20ace.txt", "/%C3%BCml%25aut%23%3F.txt",
             "/a.txt?x=y", "/./a.txt", "/sub/../a.txt", "//a.txt", "/sub//index.html", "/%61.txt",
             "/a%2etxt"):
    add("GET " + path, path)
    add("HEAD " + path, path, "HEAD")
for path in ("/../a.txt", "/%2e%2e/a.txt", "/sub/../../a.txt", "/a%00.txt", "/a%zz", "/%",
             "/sub%2findex.html"):
    add("GET " + path, path)
for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW", "TRACE"):
    add(method, "/a.txt", method)
for value in ("bytes=0-0", "bytes=1-3", "bytes=3-", "bytes=-2", "bytes=0-999", "bytes=-999",
              "bytes=6-", "bytes=99-", "bytes=-0", "bytes=3-1", "bytes=0-1,3-4", "bytes=0-1,99-",
              "bytes=0-3,2-4", "bytes=0-1,2-3", "bytes=4-5,0-1", "bytes=x", "bytes=", "lines=0-1",
              "bytes=0-1,", "bytes= 0-1 , 3-4", "bytes=99999999999999999999-", "bytes=0-1,x"):
    add("range " + value, "/a.txt", Range=value)
add("range of nothing", "/empty.txt", Range="bytes=0-0")
add("suffix of nothing", "/empty.txt", Range="bytes=-1")
add("range of a large file", "/large.bin", Range="bytes=100000-199999")
add("ranges of a large file", "/large.bin", Range="bytes=0-99,100000-199999,-5")
add("range with HEAD", "/a.txt", "HEAD", Range="bytes=1-3")
add("a thousand ranges", "/large.bin",
    Range="bytes=" + ",".join(f"{i * 10}-{i * 10 + 1}" for i in range(1000)))
add("the whole many times", "/large.bin", Range="bytes=" + ",".join(["0-"] * 150))
for value in ("{etag}", '"other"', "W/{etag}", '"other", {etag}', '"other" , W/{etag}', "*", "-"):
    add("If-None-Match " + value, "/a.txt", If_None_Match=value)
    add("If-Match " + value, "/a.txt", If_Match=value)
for name, value in (("equal", DATE), ("older", OLDER), ("newer", NEWER), ("no date", "yesterday"),
                    ("of 1850", "Tuesday, 14-Nov-23 22:13:20 GMT"),
                    ("of asctime", "Tue Nov 14 22:13:20 2023")):
    add("If-Modified-Since " + name, "/a.txt", If_Modified_Since=value)
    add("If-Unmodified-Since " + name, "/a.txt", If_Unmodified_Since=value)
for value in ("{etag}", '"other"', "W/{etag}", DATE, OLDER, NEWER, "x"):
    add("If-Range " + value, "/a.txt", If_Range=value, Range="bytes=1-2")
add("tag before date", "/a.txt", If_None_Match='"other"', If_Modified_Since=DATE)
add("both", "/a.txt", If_None_Match="{etag}", If_Modified_Since=OLDER)
add("304 before a range", "/a.txt", If_None_Match="{etag}", Range="bytes=0-0")
add("conditional 404", "/none", If_None_Match="*")
add("conditional HEAD", "/a.txt", "HEAD", If_Modified_Since=DATE)

# name: (our status, nginx's, why)
DIFFERENCES = {
    "GET /sub%2findex.html": (400, 200, "no name holds a slash, and a proxy may see two names"),
    "OPTIONS": (204, 405, "RFC 9110 9.3.7: it says what is allowed"),
    "BREW": (501, 405, "RFC 9110 15.6.2: a method that the server does not know"),
    "range bytes=3-1": (200, 416, "RFC 9110 14.2: a Range that is no range is ignored"),
    "range bytes=x": (200, 416, "as above"),
    "range bytes=0-1,x": (200, 416, "as above"),
    "range bytes=0-1,": (206, 416, "RFC 9110 5.6.1.2: empty elements of a list do not count"),
    "range bytes=0-3,2-4": (206, 200, "RFC 9110 14.2: ranges that overlap are sent as one"),
    "range bytes=0-1,2-3": (206, 206, "ranges that adjoin are sent as one"),
    "the whole many times": (206, 200, "as above"),
    "range of nothing": (416, 200, "RFC 9110 14.1.2: no range of an empty file can be satisfied"),
    "range with HEAD": (200, 206, "RFC 9110 14.2: Range is defined for GET only"),
    "a thousand ranges": (200, 400, "too many ranges are ignored; nginx has no room for the field"),
    "If-Modified-Since newer": (304, 200, "RFC 9110 13.1.3: not modified since; nginx's exact"),
    "If-Unmodified-Since no date": (200, 412, "RFC 9110 13.1.4: what is no date is ignored"),
    "both": (304, 200, "RFC 9110 13.1.3: ignored where there is If-None-Match"),
}


def exchange(address, method, target, headers):
    """Status, headers and body of one request on a connection of its own."""
    with socket.socket(address[0]) as own:
        own.settimeout(30)
        own.connect(address[1])
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close",
                 *(f"{name}: {value}" for name, value in headers.items())]
        own.sendall("\r\n".join(lines + ["", ""]).encode())
        answer = http.client.HTTPResponse(own, method=method)
        answer.begin()
        return answer.status, answer.headers, answer.read()


def parts_of(kind, body):
    """A multipart/byteranges body without its boundary, which is each server's own."""
    boundary = re.search(r"boundary=(\S+)", kind)[1].encode()
    parts = []
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.strip().split(b"\r\n"))
        parts.append((fields.get(b"content-range"), data[:-2]))
    return parts


# One type for what has several names.
TYPES = {"application/javascript": "text/javascript"}


def summary(status, headers, body):
    """What has to be the same."""
    kind = headers.get("Content-Type", "").partition(";")[0]
    kind = TYPES.get(kind, kind)
    if status == 206 and kind == "multipart/byteranges" and body:
        content = parts_of(headers["Content-Type"], body)
    elif status in (200, 206):
        content = (kind, body, headers["Content-Length"])
    else:
        content = None  # each says it in its own words
    return (status, content, headers["Content-Range"],
            headers["Last-Modified"] if status < 400 else None,
            headers["ETag"] is not None if status < 400 else None,
            headers["Location"],
            headers["Accept-Ranges"] if status == 200 else None)


class BesideNginx(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        root = os.path.join(cls.folder, "root")
        for name, data in FILES.items():
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(data)
            os.utime(path, (MODIFIED, MODIFIED))
        cls.start_httpd(root)
        cls.start_nginx(root)

    @staticmethod
    def stop(process):
        process.terminate()
        process.wait(30)

    @classmethod
    def start_httpd(cls, root):
        process = subprocess.Popen([HTTPD, "--port=0", "--log=none", "--loops=1", "--root", root],
                                   stdout=subprocess.PIPE)
        cls.addClassCleanup(process.stdout.close)
        cls.addClassCleanup(cls.stop, process)
        port = int(process.stdout.readline().decode().strip().rpartition(":")[2])
        cls.httpd = (socket.AF_INET, ("127.0.0.1", port))

    @classmethod
    def start_nginx(cls, root):
        config = os.path.join(cls.folder, "nginx.conf")
        with open(config, "w") as out:
            out.write(CONFIG.format(folder=cls.folder, root=root))
        with open(os.path.join(cls.folder, "output"), "wb") as output:
            process = subprocess.Popen([NGINX, "-p", cls.folder, "-c", config], stdout=output,
                                       stderr=output)
        cls.addClassCleanup(cls.stop, process)
        cls.nginx = (socket.AF_UNIX, os.path.join(cls.folder, "socket"))
        while not cls.listens(cls.nginx):
            if process.poll() is not None:
                with open(os.path.join(cls.folder, "output")) as output:
                    raise RuntimeError("nginx did not start: " + output.read())

    @staticmethod
    def listens(server):
        with socket.socket(server[0]) as own:
            return own.connect_ex(server[1]) == 0

    def ask(self, server, method, target, headers):
        etag = exchange(server, "HEAD", "/a.txt", {})[1]["ETag"]
        return exchange(server, method, target, {name: value.replace("{etag}", etag)
                                                 for name, value in headers.items()})

    def test_answers_are_the_same(self):
        self.assertLessEqual(set(DIFFERENCES), set(REQUESTS))
        for name, (method, target, headers) in REQUESTS.items():
            with self.subTest(name):
                ours = summary(*self.ask(self.httpd, method, target, headers))
                theirs = summary(*self.ask(self.nginx, method, target, headers))
                if name in DIFFERENCES:
                    self.assertEqual((ours[0], theirs[0]), DIFFERENCES[name][:2])
                    self.assertNotEqual(ours, theirs)
                else:
                    self.assertEqual(ours, theirs)


if __name__ == "__main__":
    if not os.path.exists(HTTPD) or not NGINX:
        print("skipped:", "examples/httpd was not built" if NGINX else "nginx is not installed")
        sys.exit(77)
    unittest.main(verbosity=2)
