#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/httpd under a real browser, Chromium without a window, on $EDDY_DRIVER.

A page tries in JavaScript what browsers are particular about (types of modules, styles and images,
ranges of media, names in listings, reloads) and reports what it found to a port of the test's.
Skipped where there is no Chromium; no make target installs it, it is large.
"""
import http.server
import json
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

HTTPD = os.path.join(os.environ["EDDY_BUILD"], "examples", "httpd")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

NAMES = ["plain.txt", "sp ace.txt", 'quo"te.txt', "apos'.txt", "\u00fcmlaut \u00e4.txt",
         "ha#sh.txt", "que?stion.txt", "per%cent%41.txt", "a&b<c>.txt", "plus+;=,@:!$*()~.txt",
         "\u65e5\u672c.txt", "colon:x.txt", "back\\slash.txt", "new\nline.txt", "dots...txt",
         "javascript:alert(1).txt", "<script>document.title='evil'<", "sub#/in?side.txt"]

PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<link rel="stylesheet" href="style.css">
<p id="styled">text</p>
<img id="svg" src="icon.svg"><img id="png" src="image.png">
<audio id="audio" src="tone.wav" preload="metadata"></audio>
<script type="module" src="module.js"></script>
"""

MODULE = """
import { answer } from './other.mjs';
const found = { module: answer };
const by_id = id => document.getElementById(id);

async function look_at_files(folder) {
    const text = await (await fetch(folder)).text();
    const page = new DOMParser().parseFromString(text, 'text/html');
    const files = {};
    for (const link of page.querySelectorAll('li a')) {
        const url = new URL(link.getAttribute('href'), new URL(folder, location.href));
        if (link.textContent === '../') {
            continue;
        }
        if (link.textContent.endsWith('/')) {
            Object.assign(files, await look_at_files(url.href));
        } else {
            files[link.textContent] = await (await fetch(url)).text();
        }
    }
    return files;
}

async function look() {
    found.color = getComputedStyle(by_id('styled')).color;
    found.svg = by_id('svg').naturalWidth;
    found.png = by_id('png').naturalWidth;
    const audio = by_id('audio');
    found.seconds = await new Promise(done => {
        const tell = () => done(audio.error ? audio.error.message : audio.duration);
        audio.onloadedmetadata = audio.onerror = tell;
        if (audio.readyState > 0 || audio.error) {
            tell();
        }
    });
    const part = await fetch('tone.wav', { headers: { Range: 'bytes=0-3' }, cache: 'no-store' });
    found.part = [part.status, await part.text(), part.headers.get('Content-Range')];
    found.files = await look_at_files('list/');
    for (let i = 0; i < 2; i++) { /* asks whether it has changed */
        const answer = await fetch('other.mjs', { cache: 'no-cache' });
        found.reload = [answer.status, (await answer.text()).length];
    }
    const many = await Promise.all([...Array(50).keys()].map(i => fetch('style.css?' + i)));
    found.many = many.filter(answer => answer.status === 200).length;
    found.missing = (await fetch('nothing')).status;
    found.redirected = (await fetch('list')).url.endsWith('/list/');
    const head = await fetch('module.js', { method: 'HEAD', cache: 'no-store' });
    found.head = [head.status, (await head.text()).length];
}

look().catch(error => { found.error = String(error); }).then(() => {
    const report = new URLSearchParams(location.search).get('report');
    fetch(report, { method: 'POST', mode: 'no-cors', body: JSON.stringify(found) });
});
"""


def png():
    def chunk(kind, data):
        sum_ = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", sum_)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(b"\0" + b"\xff\0\0" * 3 + b"\0" + b"\0\xff\0" * 3)) +
            chunk(b"IEND", b""))


def wav(seconds):
    data = b"".join(struct.pack("<h", int(9000 * math.sin(i / 9))) for i in range(seconds * 8000))
    return (b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " +
            struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data" +
            struct.pack("<I", len(data)) + data)


FILES = {"index.html": PAGE.encode(), "module.js": MODULE.encode(),
         "other.mjs": b"export const answer = 42;\n",
         "style.css": b"#styled { color: rgb(1, 2, 3) }",
         "icon.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"></svg>',
         "image.png": png(), "tone.wav": wav(60)}


def browse(url, folder):
    """Shows the page, and gives what it reports."""
    reports = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            reports.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        receiver.timeout = 120
        process = subprocess.Popen(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--user-data-dir=" + os.path.join(folder, "profile"), "--remote-debugging-port=0",
             f"{url}/?report=http://127.0.0.1:{receiver.server_port}/"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            receiver.handle_request()
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert reports, "the page's script did not get to its end in two minutes"
    return reports[0]


class Browser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        root = os.path.join(cls.folder, "root")
        files = {**FILES, **{"list/" + name: ("content of " + name).encode() for name in NAMES}}
        for name, data in files.items():
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(data)
        log = os.path.join(cls.folder, "log")
        server = subprocess.Popen([HTTPD, "--port=0", "--root", root, "--log", log],
                                  stdout=subprocess.PIPE)
        try:
            url = server.stdout.readline().decode().strip()
            cls.found = browse(url, cls.folder)
        finally:
            server.terminate()
            cls.status = server.wait(30)
            server.stdout.close()
        with open(log) as lines:
            cls.log = lines.read()

    def test_scripts_styles_and_images_have_types_that_work(self):
        self.assertNotIn("error", self.found)
        self.assertEqual(self.found["module"], 42)
        self.assertEqual(self.found["color"], "rgb(1, 2, 3)")
        self.assertEqual((self.found["svg"], self.found["png"]), (7, 3))

    def test_media_come_in_ranges(self):
        self.assertEqual(self.found["seconds"], 60)
        self.assertEqual(self.found["part"], [206, "RIFF", f"bytes 0-3/{len(FILES['tone.wav'])}"])
        self.assertRegex(self.log, r'"GET /tone\.wav HTTP/1\.1" 206 ')

    def test_listings_lead_to_files_of_any_name(self):
        wanted = {name.rpartition("/")[2]: "content of " + name for name in NAMES}
        self.assertEqual(self.found["files"], wanted)

    def test_reloads_are_answered_with_304(self):
        self.assertEqual(self.found["reload"], [200, len(FILES["other.mjs"])])
        self.assertRegex(self.log, r'"GET /other\.mjs HTTP/1\.1" 304 -')

    def test_the_rest(self):
        self.assertEqual(self.found["many"], 50)
        self.assertEqual(self.found["missing"], 404)
        self.assertTrue(self.found["redirected"])
        self.assertEqual(self.found["head"], [200, 0])
        self.assertNotRegex(self.log, r'" 5\d\d ')

    def test_a_browser_that_has_gone_holds_up_no_end(self):
        self.assertEqual(self.status, 0)


if __name__ == "__main__":
    if not os.path.exists(HTTPD) or not CHROMIUM:
        print("skipped:", "examples/httpd was not built" if CHROMIUM else "there is no Chromium")
        sys.exit(77)
    print("driver:", os.environ.get("EDDY_DRIVER", "auto"))
    unittest.main(verbosity=2)
