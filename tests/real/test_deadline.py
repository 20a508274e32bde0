"""Each way to make a probe wait: it ends by its deadline, and both implementations say the same."""

import subprocess
import time
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.components import require
from tests.support.components import require_root
from tests.support.probes import LATENESS
from tests.support.probes import PROBES
from tests.support.probes import Result
from tests.support.probes import asking
from tests.support.probes import run

pytestmark = pytest.mark.real

TIMEOUT = (1, "unhealthy: timeout")
UNREACHABLE = (1, "unhealthy: unreachable")
UNRESOLVED = (1, "unhealthy: unresolved")
REFUSED = (1, "unhealthy: refused (nothing listens there, or not yet)")
CONNECT = (1, "unhealthy: connect")


@pytest.fixture(params=PROBES)
def probe(request: pytest.FixtureRequest) -> list[str]:
    return PROBES[request.param]


# --- servers on loopback --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow_ports() -> Iterator[dict[str, int]]:
    with ExitStack() as stack:
        yield {
            "mute": stack.enter_context(servers.mute()).port,
            "full queue": stack.enter_context(servers.full_queue()),
            "drip": stack.enter_context(servers.dripping(servers.OK)),
            "half a line": stack.enter_context(servers.dripping(b"HTTP/1.1 200 O", 0.01)),
            "no line end": stack.enter_context(servers.dripping(b"HTTP/1.1 200 OK\r", 0.01)),
        }


@pytest.mark.parametrize("timeout", [0.3, 1.2], ids=str)
@pytest.mark.parametrize("server", ["mute", "full queue", "drip", "half a line", "no line end"])
def test_slow_server(
    probe: list[str], server: str, timeout: float, slow_ports: dict[str, int]
) -> None:
    """Whatever the server does with the time, there is one deadline for all of it."""
    result = run(asking(probe, slow_ports[server], "--timeout", str(timeout)))
    assert (result.verdict, result.stderr) == (TIMEOUT, "")
    assert timeout <= result.seconds + 0.05
    assert result.seconds < timeout + LATENESS


def test_drip_within_the_deadline(probe: list[str], slow_ports: dict[str, int]) -> None:
    result = run(asking(probe, slow_ports["drip"], "--timeout", "5"))
    assert (result.verdict, result.stderr) == ((0, "healthy: 200"), "")


# --- a network of our own -------------------------------------------------------------------------

# veth1 has no address: what goes to a neighbour that does not answer ends there.
NETWORK = """\
set -e
ip link set lo up
ip link add veth0 type veth peer name veth1
ip link set veth1 up
ip link set veth0 up
ip address add 10.77.0.1/24 dev veth0
ip neighbour add 10.77.0.2 lladdr 02:00:00:00:00:02 dev veth0 nud permanent
ip route add blackhole 10.78.0.0/24
ip route add unreachable 10.79.0.0/24
ip route add prohibit 10.80.0.0/24
ip route add throw 10.81.0.0/24
nft add table ip probe
nft add chain ip probe output '{ type filter hook output priority 0; }'
for rule in \
  '10.77.1.1 drop' \
  '10.77.1.2 reject with tcp reset' \
  '10.77.1.3 reject with icmp port-unreachable' \
  '10.77.1.4 reject with icmp host-unreachable' \
  '10.77.1.5 reject with icmp net-unreachable' \
  '10.77.1.6 reject with icmp admin-prohibited'; do
  nft add rule ip probe output ip daddr $rule
done
ip route add 10.77.1.0/24 via 10.77.0.2
mount --bind "$1" /etc/resolv.conf
mount --bind "$2" /etc/hosts
echo ready
read -r _
"""


class Namespace:
    """A network and a mount namespace, alive as long as the shell that made them."""

    def __init__(self, pid: int) -> None:
        self._enter = [require("nsenter"), f"--target={pid}", "--net", "--mount"]

    def run(self, command: Sequence[str]) -> Result:
        return run([*self._enter, *command])


@contextmanager
def network(resolver: Path, hosts: Path) -> Iterator[Namespace]:
    require_root()
    for component in ("ip", "nft", "nsenter"):
        require(component)
    holder = subprocess.Popen(
        [
            *(require("unshare"), "--net", "--mount"),
            *("/bin/bash", "-c", NETWORK, "network", str(resolver), str(hosts)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"ready\n":
            raise RuntimeError(holder.communicate(timeout=10)[1].decode())
        yield Namespace(holder.pid)
    finally:
        holder.communicate(timeout=10)


@pytest.fixture(scope="module")
def namespaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Namespace]]:
    """One network whose name server never answers, and one where nothing listens on port 53."""
    folder = tmp_path_factory.mktemp("network")
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n10.77.1.1 dropped\n10.79.0.1 unreachable\n")
    with ExitStack() as stack:
        found = {}
        for name, server in {"dead": "10.77.0.2", "refusing": "127.0.0.1"}.items():
            resolver = folder / name
            resolver.write_text(f"nameserver {server}\n")
            found[name] = stack.enter_context(network(resolver, hosts))
        yield found


WAITING = [
    pytest.param("10.77.0.2", id="dead neighbour"),
    pytest.param("10.77.0.3", id="no neighbour"),
    pytest.param("10.77.1.1", id="dropped by a firewall"),
    pytest.param("dropped", id="dropped, by name"),
    pytest.param("synchronizer.example", id="dead name server"),
]


@pytest.mark.parametrize("host", WAITING)
def test_silent_network(probe: list[str], host: str, namespaces: dict[str, Namespace]) -> None:
    """Packets that vanish, the connection's or the look-up's, cost the timeout and no more."""
    result = namespaces["dead"].run([*probe, "--host", host, "--port", "3010", "--timeout", "1.2"])
    assert (result.verdict, result.stderr) == (TIMEOUT, "")
    assert result.seconds < 1.2 + LATENESS


ANSWERING = [
    pytest.param("10.79.0.1", UNREACHABLE, id="unreachable route: EHOSTUNREACH"),
    pytest.param("unreachable", UNREACHABLE, id="unreachable route, by name"),
    pytest.param("10.82.0.1", UNREACHABLE, id="no route: ENETUNREACH"),
    pytest.param("10.81.0.1", UNREACHABLE, id="throw route: ENETUNREACH"),
    pytest.param("2001:db8::1", UNREACHABLE, id="no IPv6 route: ENETUNREACH"),
    pytest.param("10.78.0.1", CONNECT, id="blackhole route: EINVAL"),
    pytest.param("10.80.0.1", CONNECT, id="prohibit route: EACCES"),
    pytest.param("10.77.0.255", UNREACHABLE, id="broadcast address: ENETUNREACH"),
    pytest.param("224.0.0.1", UNREACHABLE, id="multicast address: ENETUNREACH"),
    pytest.param("10.77.1.2", REFUSED, id="rejected with a reset: ECONNREFUSED"),
    pytest.param("10.77.1.3", REFUSED, id="rejected, port unreachable: ECONNREFUSED"),
    pytest.param("10.77.1.4", UNREACHABLE, id="rejected, host unreachable: EHOSTUNREACH"),
    pytest.param("10.77.1.5", UNREACHABLE, id="rejected, net unreachable: ENETUNREACH"),
    pytest.param("10.77.1.6", UNREACHABLE, id="rejected, prohibited: EHOSTUNREACH"),
    pytest.param("127.0.0.1", REFUSED, id="loopback: ECONNREFUSED"),
    pytest.param("localhost", REFUSED, id="loopback by name"),
    pytest.param("synchronizer.example", UNRESOLVED, id="name server that refuses"),
]


@pytest.mark.parametrize(("host", "verdict"), ANSWERING)
def test_network_that_answers(
    probe: list[str],
    host: str,
    verdict: tuple[int, str],
    namespaces: dict[str, Namespace],
) -> None:
    """Each error of connect has its reason, at once."""
    began = time.monotonic()
    result = namespaces["refusing"].run([*probe, "--host", host, "--port", "3010"])
    assert (result.verdict, result.stderr) == (verdict, "")
    assert time.monotonic() - began < 2


def test_neighbour_that_is_not_there(probe: list[str], namespaces: dict[str, Namespace]) -> None:
    """The kernel gives up on a neighbour after 3 s: with the time for it, that is the reason."""
    result = namespaces["dead"].run(
        [*probe, "--host", "10.77.0.4", "--port", "1", "--timeout", "6"]
    )
    assert (result.verdict, result.stderr) == (UNREACHABLE, "")
    assert result.seconds < 6
