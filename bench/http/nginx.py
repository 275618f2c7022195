# SPDX-License-Identifier: Apache-2.0
"""nginx on one worker, with a configuration of its own and a port that is free."""
import os
import shutil
import socket
import subprocess
import tempfile
import time

import measure

NGINX = "/usr/sbin/nginx"
CONFIGURATION = """
daemon off;
master_process off;
worker_processes 1;
error_log {folder}/error.log;
pid {folder}/pid;
events {{ worker_connections 4096; }}
http {{
    access_log {log};
    default_type text/plain;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    sendfile on;
    tcp_nopush on;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ {location} }}
    }}
}}
"""
HELLO = r'return 200 "hello, world\n";'


class Nginx:
    """Like measure.Server."""

    def __init__(self, location=HELLO, log="off"):
        self.folder = tempfile.mkdtemp(prefix="eddy-bench-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        path = os.path.join(self.folder, "nginx.conf")
        with open(path, "w") as out:
            out.write(CONFIGURATION.format(folder=self.folder, port=self.port, location=location,
                                           log=log.format(folder=self.folder)))
        self.process = subprocess.Popen([NGINX, "-c", path, "-e", self.folder + "/error.log"],
                                        preexec_fn=measure.pin(measure.SERVER_CPU))
        self.pid = self.process.pid
        while not self.listens():
            time.sleep(0.01)

    def listens(self):
        if self.process.poll() is not None:
            raise RuntimeError("nginx did not start")
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except ConnectionRefusedError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)
