"""What /probe?target= must not do: go where nobody has allowed it to, by whatever spelling.

The kernel is the witness: strace writes down every connection that the sidecar begins, and every
question that it sends to a resolver.
"""

import contextlib
import re
import socket
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.components import require
from tests.support.servers import OK
from tests.support.sidecars import Process
from tests.support.sidecars import sidecar
from tests.support.sidecars import wait_until

pytestmark = pytest.mark.real

METADATA = {
    "dotted": "169.254.169.254",
    "with a port": "169.254.169.254:80",
    "ECS credentials": "169.254.170.2",
    "ECS credentials, EKS": "169.254.170.23",
    "EC2, IPv6": "[fd00:ec2::254]",
    "EC2, IPv6, port": "[fd00:ec2::254]:80",
    "IPv6, bare": "fd00:ec2::254",
    "Alibaba": "100.100.100.200",
    "decimal": "2852039166",
    "decimal, port": "2852039166:80",
    "hexadecimal": "0xa9fea9fe",
    "hexadecimal, dotted": "0xa9.0xfe.0xa9.0xfe",
    "octal": "0251.0376.0251.0376",
    "octal, long": "00000251.00000376.00000251.00000376",
    "mixed": "0xa9.254.0251.254",
    "short": "169.254.43518",
    "short, two": "169.16689662",
    "too large": "169.254.169.510",
    "mapped": "[::ffff:169.254.169.254]",
    "mapped, port": "[::ffff:169.254.169.254]:80",
    "mapped, hexadecimal": "[::ffff:a9fe:a9fe]:80",
    "mapped, long": "[0:0:0:0:0:ffff:a9fe:a9fe]",
    "compatible": "[::169.254.169.254]",
    "translated": "[64:ff9b::a9fe:a9fe]",
    "translated, dotted": "[64:ff9b::169.254.169.254]",
    "translated, local": "[64:ff9b:1::a9fe:a9fe]",
    "6to4": "[2002:a9fe:a9fe::1]",
    "Teredo": "[2001:0:a9fe:a9fe::1]",
    "ISATAP": "[fe80::5efe:169.254.169.254]",
    "name": "metadata.google.internal",
    "name, port": "metadata.google.internal:80",
    "name that is an address": "169.254.169.254.nip.io",
    "name, root": "169.254.169.254.",
    "full width": "\uff11\uff16\uff19.254.169.254",
    "Arabic digits": "\u0661\u0666\u0669.254.169.254",
    "ideographic stop": "169\u3002254\u3002169\u3002254",
    "circled": "\u2460\u2465\u2468.254.169.254",
    "URL": "http://169.254.169.254/",
    "URL, credentials": "http://a@169.254.169.254/latest/meta-data/",
    "path": "169.254.169.254/latest",
    "query": "169.254.169.254?a",
}

LOCAL = {
    "loopback": "127.0.0.1",
    "loopback, port": "127.0.0.1:{port}",
    "loopback, other": "127.1.2.3:{port}",
    "loopback, short": "127.1:{port}",
    "loopback, decimal": "2130706433:{port}",
    "loopback, hexadecimal": "0x7f000001:{port}",
    "loopback, octal": "0177.0.0.1:{port}",
    "loopback, leading zeros": "127.000.000.001:{port}",
    "localhost": "localhost:{port}",
    "localhost, capitals": "LOCALHOST:{port}",
    "localhost, root": "localhost.:{port}",
    "nothing": "0:{port}",
    "zero": "0.0.0.0:{port}",
    "zeros": "0000:{port}",
    "any, IPv6": "[::]:{port}",
    "any, mapped": "[::ffff:0.0.0.0]:{port}",
    "loopback, IPv6": "[::1]:{port}",
    "loopback, IPv6, long": "[0:0:0:0:0:0:0:1]:{port}",
    "loopback, mapped": "[::ffff:127.0.0.1]:{port}",
    "loopback, compatible": "[::127.0.0.1]:{port}",
    "loopback, translated": "[64:ff9b::7f00:1]:{port}",
    "zone": "[::1%lo]:{port}",
    "zone, number": "[::1%1]:{port}",
    "zone, link-local": "[fe80::1%eth0]:{port}",
    "zone, percent": "[fe80::1%25eth0]:{port}",
    "no brackets": "::1:{port}",
    "userinfo": "allowed@127.0.0.1:{port}",
    "userinfo, listed": "127.0.0.9@127.0.0.1:{port}",
    "userinfo, listed, port": "127.0.0.9:80@127.0.0.1:{port}",
    "userinfo, behind": "127.0.0.1:{port}@127.0.0.9",
    "fragment": "127.0.0.1:{port}#127.0.0.9",
    "fragment, listed first": "127.0.0.9#@127.0.0.1:{port}",
    "backslash": "127.0.0.9\\@127.0.0.1:{port}",
    "CRLF": "127.0.0.9:80\r\nHost: 127.0.0.1:{port}",
    "line feed": "127.0.0.9\n127.0.0.1:{port}",
    "end of line": "127.0.0.9:{port}\n",
    "NUL": "127.0.0.9\0127.0.0.1:{port}",
    "NUL behind": "127.0.0.9:{port}\0",
    "space": "127.0.0.9 127.0.0.1:{port}",
    "space before": " 127.0.0.9:{port}",
    "space behind": "127.0.0.9:{port} ",
    "tab": "\t127.0.0.9:{port}",
    "no-break space": "127.0.0.9:{port}\u00a0",
    "zero width": "127.0.0.9\u200b:{port}",
    "two": "127.0.0.9,127.0.0.1:{port}",
    "percent": "127.0.0.9%2e:{port}",
    "port 0": "127.0.0.9:0",
    "port, zeros": "127.0.0.9:0{port}",
    "port, sign": "127.0.0.9:+{port}",
    "port, too large": "127.0.0.9:65536",
    "port, wrapped": "127.0.0.9:131072",
    "port, Arabic": "127.0.0.9:\u0661",
    "port, none": "127.0.0.9:",
    "two ports": "127.0.0.9:80:{port}",
    "empty": "",
    "long": "127.0.0.9" + " " * 5000,
    "Unix socket": "/var/run/docker.sock",
    "Unix URL": "unix:///var/run/docker.sock",
    "file": "file://localhost/etc/passwd",
}  # fmt: skip

QUERIES = {
    "none": "",
    "twice": "target=127.0.0.9&target=169.254.169.254",
    "array": "target[]=169.254.169.254",
    "another": "target=127.0.0.9&path=/latest/meta-data",
    "host": "target=127.0.0.9&host=169.254.169.254",
    "module": "target=127.0.0.9&module=http_2xx",
    "hostname": "target=127.0.0.9&hostname=169.254.169.254",
}


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A sidecar under strace: no target is checked, so that each connection is for /probe."""

    process: Process
    trace: Path

    @property
    def reached(self) -> list[str]:
        """Where connections were begun to, or datagrams sent."""
        text = self.trace.read_text(errors="replace")
        return re.findall(
            r"^\d+ +(?:connect|sendto|sendmsg|sendmmsg)\(.*sa_family=.*", text, re.MULTILINE
        )

    def probe(self, target: str) -> tuple[int, str]:
        return self.process.ask("/probe?" + urllib.parse.urlencode({"target": target}))


@contextlib.contextmanager
def witnessed(folder: Path, *allow: str) -> Iterator[Witnessed]:
    trace = folder / "trace"
    # -D: the sidecar is our own child, and ends as such.
    before = [require("strace"), "-D", "-f", "-qq", "-o", str(trace),
              "-e", "trace=connect,sendto,sendmsg,sendmmsg"]  # fmt: skip
    document = {"probe": {"allow": list(allow)}, "defaults": {"timeout": "3s"}}
    with sidecar(folder, document, before=before) as process:
        wait_until(lambda: process.ask("/livez")[0] == 200)
        yield Witnessed(process, trace)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witnessed]:
    """A sidecar that is allowed one address, 127.0.0.9, which none of the cases may reach."""
    with witnessed(tmp_path_factory.mktemp("closed"), "127.0.0.9") as sidecar:
        yield sidecar


def heard_nothing(listener: socket.socket) -> bool:
    listener.settimeout(0.05)
    with contextlib.suppress(TimeoutError):
        listener.accept()[0].close()
        return False
    return True


@pytest.mark.parametrize("cases", [METADATA, LOCAL], ids=["metadata", "local"])
def test_refused_without_a_connection(closed: Witnessed, cases: dict[str, str]) -> None:
    """Whatever the spelling, there is no connection and no look-up, and the answer says so."""
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = servers.port_of(listener)
        for name, target in cases.items():
            status, text = closed.probe(target.replace("{port}", str(port)))
            assert (status, text[:7]) == (403, "target:"), name
            assert text.count("\n") == 1, name
        assert heard_nothing(listener)
    assert closed.reached == []


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_other_queries(closed: Witnessed, query: str) -> None:
    assert closed.process.ask(f"/probe?{query}")[0] == 400
    assert closed.reached == []


def test_metadata_headers(closed: Witnessed) -> None:
    """Nothing of the request but its target counts: no header moves the probe."""
    kept = closed.process.connection()
    headers = {"Host": "169.254.169.254", "X-Forwarded-Host": "169.254.169.254",
               "X-Prometheus-Scrape-Timeout-Seconds": "nan"}  # fmt: skip
    kept.request("GET", "/probe?target=127.0.0.9", headers=headers)
    assert kept.getresponse().status == 400
    kept.close()
    assert closed.reached == []


REDIRECTS = [
    "http://169.254.169.254/latest/meta-data/",
    "//169.254.169.254/",
    "http://127.0.0.1:{port}/",
]


@pytest.mark.parametrize("location", REDIRECTS)
def test_redirects_are_not_followed(tmp_path: Path, location: str) -> None:
    """An allowed target that points elsewhere is unhealthy, and that is all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = location.replace("{port}", str(servers.port_of(listener)))
        answer = f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()
        with servers.answering(answer) as port, witnessed(tmp_path, "127.0.0.0/8") as sidecar:
            status, text = sidecar.probe(f"127.0.0.1:{port}")
            assert status == 200
            assert "\nprobe_http_status_code 302\n" in text
            assert len(sidecar.reached) == 1
            assert f"htons({port})" in sidecar.reached[0]
        assert heard_nothing(listener)


def test_what_is_allowed_is_what_is_dialled(tmp_path: Path) -> None:
    """The control: a listed address is reached, by one connection to itself and nothing else."""
    with servers.answering(OK) as port, witnessed(tmp_path, "127.0.0.0/8") as sidecar:
        for target in (f"127.0.0.1:{port}", f"[::ffff:127.0.0.1]:{port}"):
            status, text = sidecar.probe(target)
            assert status == 200
            assert "\nprobe_success 1\n" in text
        assert len(sidecar.reached) == 2
        assert all(
            f'htons({port}), sin_addr=inet_addr("127.0.0.1")' in line for line in sidecar.reached
        )
        assert sidecar.probe(f"localhost:{port}")[0] == 403
        assert len(sidecar.reached) == 2
