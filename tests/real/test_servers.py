"""Servers nobody here wrote: both probes are right about every one of them."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.components import require
from tests.support.probes import PROBES
from tests.support.probes import asking
from tests.support.probes import run
from tests.support.servers import LOOPBACK
from tests.support.servers import free_port

pytestmark = pytest.mark.real

VERDICTS = {
    "/health/application": (0, "healthy: 200"),
    "/broken": (1, "unhealthy: status 500"),
    "/nowhere": (1, "unhealthy: status 404"),
}

NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder};
  proxy_temp_path {folder};
  fastcgi_temp_path {folder};
  uwsgi_temp_path {folder};
  scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location = /health/application {{ return 200 "healthy\\n"; }}
    location = /broken {{ return 500; }}
    location / {{ return 404; }}
  }}
}}
"""
APACHE = """\
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
DefaultRuntimeDir {folder}
ErrorLog {folder}/error.log
DocumentRoot {folder}/documents
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
User www-data
Group www-data
Redirect 500 /broken
Redirect 404 /nowhere
<Directory {folder}/documents>
  Require all granted
</Directory>
"""
HAPROXY = """\
defaults
  mode http
  timeout client 5s
frontend health
  bind 127.0.0.1:{port}
  http-request return status 200 if {{ path /health/application }}
  http-request return status 500 if {{ path /broken }}
  http-request return status 404
"""
LIGHTTPD = """\
server.document-root = "{folder}/documents"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{folder}/error.log"
server.modules = ("mod_cgi", "mod_alias")
alias.url = ("/broken" => "{folder}/broken.cgi")
cgi.assign = (".cgi" => "/bin/bash")
"""
NODE = """\
const verdicts = {'/health/application': 200, '/broken': 500};
require('http').createServer((request, response) => {
  response.statusCode = verdicts[request.url] || 404;
  response.end('done\\n');
}).listen(Number(process.argv[1]), '127.0.0.1');
"""
HTTP_SERVER = """\
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response({"/health/application": 200, "/broken": 500}.get(self.path, 404))
        self.send_header("Content-Length", "0")
        self.end_headers()
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
AIOHTTP = """\
import sys
from aiohttp import web
async def healthy(request):
    return web.json_response({"healthy": True})
async def broken(request):
    raise RuntimeError("broken")
app = web.Application()
app.add_routes([web.get("/health/application", healthy), web.get("/broken", broken)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


def configuration(folder: Path, text: str, port: int) -> str:
    path = folder / "configuration"
    path.write_text(text.format(folder=folder, port=port))
    return str(path)


def documents(folder: Path) -> None:
    """Lay down what apache2 and lighttpd serve as files, readable for their users."""
    application = folder / "documents" / "health" / "application"
    application.parent.mkdir(parents=True)
    application.write_text("healthy\n")
    (folder / "broken.cgi").write_text("printf 'Status: 500\\r\\n\\r\\n'\n")


def nginx(folder: Path, port: int) -> list[str]:
    program = require("nginx")
    return [program, "-p", str(folder), "-c", configuration(folder, NGINX, port)]


def apache2(folder: Path, port: int) -> list[str]:
    program = require("apache2")
    documents(folder)
    return [program, "-D", "FOREGROUND", "-f", configuration(folder, APACHE, port)]


def haproxy(folder: Path, port: int) -> list[str]:
    return [require("haproxy"), "-db", "-f", configuration(folder, HAPROXY, port)]


def lighttpd(folder: Path, port: int) -> list[str]:
    program = require("lighttpd")
    documents(folder)
    return [program, "-D", "-f", configuration(folder, LIGHTTPD, port)]


def node(folder: Path, port: int) -> list[str]:
    del folder
    return [require("node"), "-e", NODE, str(port)]


def http_server(folder: Path, port: int) -> list[str]:
    del folder
    return [sys.executable, "-c", HTTP_SERVER, str(port)]


def aiohttp(folder: Path, port: int) -> list[str]:
    del folder
    return [sys.executable, "-c", AIOHTTP, str(port)]


SERVERS: list[Callable[[Path, int], list[str]]] = [
    nginx,
    apache2,
    haproxy,
    lighttpd,
    node,
    http_server,
    aiohttp,
]


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), 1):
            return
        time.sleep(0.02)
    pytest.fail(f"does not listen: {log.read_text()[-1000:]}")


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_for(process, port, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@pytest.fixture(scope="module", params=SERVERS, ids=lambda server: server.__name__)
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    number = free_port()
    # not tmp_path: servers that start as root change their user, who must get in
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with running(request.param(folder, number), number, folder / "output"):
            yield number


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("path", VERDICTS)
def test_server(port: int, path: str, probe: str) -> None:
    """The status decides, ten times out of ten."""
    command = asking(PROBES[probe], port, "--path", path, "--timeout", "5")
    results = [run(command) for _ in range(10)]
    assert {result.verdict for result in results} == {VERDICTS[path]}
    assert {result.stderr for result in results} == {""}
