#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The README's program, built as the README says from an installed eddy, and run.

Only its address is another one: a socket file, so that no port is taken.
"""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

SOURCE = os.environ["EDDY_SOURCE"]
BUILD = os.environ["EDDY_BUILD"]
STRICT = "-Wall -Wextra -Werror"
PATIENCE = 60  # seconds, for what should take none


def plain_signals():
    """A shell in the background may have passed them on ignored."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Readme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as file:
            cls.text = file.read()
        cls.home = tempfile.TemporaryDirectory()
        subprocess.run(["cmake", "--install", BUILD, "--prefix", cls.home.name + "/eddy"],
                       check=True, stdout=subprocess.DEVNULL)

    @classmethod
    def tearDownClass(cls):
        cls.home.cleanup()

    def lines_of_the_prefix(self):
        """The commands that follow `make install PREFIX=$HOME/eddy`."""
        block = re.search(r"```\nmake install PREFIX=\$HOME/eddy\n(.*?)```", self.text, re.S)
        return block.group(1).splitlines()

    def build(self, source, command):
        """Runs one of the README's lines for app.c, with all warnings as errors."""
        with open(os.path.join(self.home.name, "app.c"), "w", encoding="utf-8") as file:
            file.write(source)
        setting = next(line for line in self.lines_of_the_prefix() if line.startswith("export "))
        script = "%s\n%s\n" % (setting, command.replace("cc app.c", "cc %s app.c" % STRICT, 1))
        subprocess.run(["bash", "-eu", "-c", script], check=True, cwd=self.home.name,
                       env={**os.environ, "HOME": self.home.name})
        return os.path.join(self.home.name, "a.out")

    def run_echo(self, program, address):
        process = subprocess.Popen([program], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   preexec_fn=plain_signals)
        try:
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(PATIENCE)
            while process.poll() is None:
                try:
                    peer.connect(address)
                    break
                except (FileNotFoundError, ConnectionRefusedError):
                    continue  # it has not got that far
            peer.sendall(b"hello")
            self.assertEqual(peer.recv(5, socket.MSG_WAITALL), b"hello")
            peer.close()
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=PATIENCE)
            self.assertEqual((process.returncode, out, err), (0, b"", b""))
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def test_program_is_built_as_written_and_echoes(self):
        source = re.search(r"```c\n(.*?)```", self.text, re.S).group(1)
        self.assertEqual(source.count('"[::]:7000"'), 1)
        address = os.path.join(self.home.name, "socket")
        commands = [line for line in self.lines_of_the_prefix() if line.startswith("cc ")]
        self.assertEqual(len(commands), 2)
        for command in commands:
            self.build(source, command)  # to the letter
            program = self.build(source.replace("[::]:7000", "unix:" + address), command)
            self.run_echo(program, address)

    def test_links_lead_somewhere(self):
        for target in re.findall(r"\]\(([^)]*)\)", self.text):
            if not target.startswith("http"):
                self.assertTrue(os.path.exists(os.path.join(SOURCE, target)), target)


if __name__ == "__main__":
    print("run with EDDY_BUILD and EDDY_SOURCE", file=sys.stderr)
    unittest.main(verbosity=2)
